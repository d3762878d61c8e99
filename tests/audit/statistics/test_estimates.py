"""Intervals beside textbook figures, brute force, and rules for what cannot be told; test_audit_truth has how often they hold."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import special

from pmd.audit.statistics import clusters, estimates
from pmd.audit.statistics.estimates import TOO_CONCENTRATED, TOO_FEW, Estimate, Part, Read

ENGLISH = frozenset({"english"})
WOMAN = frozenset({"english", "female"})
MAN = frozenset({"english", "male"})
OTHER: frozenset[str] = frozenset()


def part(sizes: list[int], having: list[int], weight: float = 1.0) -> Part:
    return Part(clusters.of(np.array(sizes), {"term": np.array(having)}), weight)


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def test_quantiles_of_t_are_the_tables() -> None:
    table = {1: 12.7062, 2: 4.3027, 3: 3.1824, 5: 2.5706, 8: 2.3060, 10: 2.2281, 30: 2.0423, 120: 1.9799}
    for degrees, expected in table.items():
        assert estimates.t_quantile(degrees) == pytest.approx(expected, abs=5e-5)
    assert estimates.t_quantile(10, 0.99) == pytest.approx(3.1693, abs=5e-5)


def test_clopper_pearson_is_the_textbooks() -> None:
    assert estimates.clopper_pearson(0.1, 100) == pytest.approx((0.04900, 0.17622), abs=1e-5)
    assert estimates.clopper_pearson(0.0, 30) == pytest.approx((0.0, 1 - 0.025 ** (1 / 30)))
    assert estimates.clopper_pearson(1.0, 30) == pytest.approx((0.025 ** (1 / 30), 1.0))


def test_what_a_source_has_told_is_not_computed_again_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[object] = []
    original = estimates.corrected
    monkeypatch.setattr(estimates, "corrected", lambda rows: computed.append(rows) or original(rows))
    one, other = part([2, 3, 4] * 9, [1, 0, 2] * 9), part([5] * 20, [2, 3] * 10, weight=3.0)
    alone = [estimates.share_of_draw([some], "term") for some in (one, other)]
    assert len(computed) == 2
    both = estimates.share_of_draw([one, other], "term")
    assert len(computed) == 2
    fresh = [part([2, 3, 4] * 9, [1, 0, 2] * 9), part([5] * 20, [2, 3] * 10, weight=3.0)]
    assert estimates.share_of_draw(fresh, "term") == both
    assert [estimates.share_of_draw([some], "term") for some in fresh] == alone


def test_clusters_of_one_size_give_the_textbooks_variance() -> None:
    chance = np.random.default_rng(1)
    sizes = np.full(40, 7)
    having = chance.binomial(7, chance.beta(1, 2, 40))
    found = estimates.share_of_draw([part(sizes.tolist(), having.tolist())], "term")
    means = having / 7
    value, error = means.mean(), means.std(ddof=1) / math.sqrt(40)
    assert found.value == pytest.approx(value)
    assert found.degrees == pytest.approx(39)
    assert found.clusters == 40
    assert found.error == pytest.approx(error / (value * (1 - value)))
    half = estimates.t_quantile(39) * error / (value * (1 - value))
    assert ends(found) == pytest.approx(tuple(special.expit(special.logit(value) + side * half) for side in (-1, 1)))


def test_the_correction_and_the_degrees_of_freedom_are_those_of_the_full_matrix() -> None:
    """Of unequal clusters, by brute force: residuals (I − h 1ᵀ) y, their covariance, Satterthwaite's fraction."""
    sizes = np.tile([1, 1, 2, 2, 3, 5, 8, 9, 9, 12, 4, 4], 3).astype(np.float64)
    having = np.tile([0, 1, 1, 2, 1, 2, 6, 3, 8, 5, 2, 0], 3).astype(np.float64)
    found = estimates.share_of_draw([part(sizes.astype(int).tolist(), having.astype(int).tolist())], "term")
    total, share = sizes.sum(), having.sum() / sizes.sum()
    residuals = having - share * sizes
    within = having * (1 - share) ** 2 + (sizes - having) * share**2
    rho = estimates.correlation(sizes, np.ones(36), residuals**2, within)
    assert 0.0 < rho < 0.5
    model = np.diag(sizes * (1 + rho * (sizes - 1)))
    centred = np.eye(36) - np.outer(sizes / total, np.ones(36))
    covariance = centred @ model @ centred.T
    factor = np.diag(model) / np.diag(covariance)
    variance = factor @ residuals**2 / total**2
    scaled = np.diag(factor) @ covariance
    degrees = np.trace(scaled) ** 2 / np.trace(scaled @ scaled)
    assert found.degrees == pytest.approx(degrees)
    assert found.design_effect == pytest.approx(variance / (within.sum() / (total * (total - 1))))
    assert found.error == pytest.approx(math.sqrt(variance) / (share * (1 - share)))


def test_a_rare_property_has_the_exact_interval_of_as_many_independent_pairs() -> None:
    found = estimates.share_of_draw([part([2] * 500, [2] * 3 + [0] * 497)], "term")
    # Both pairs of an image agree: 500 of them are as good as 500 pairs.
    low, high = estimates.clopper_pearson(0.006, 499 * (special.ndtri(0.975) / estimates.t_quantile(499)) ** 2)
    assert ends(found) == pytest.approx((low, high), rel=1e-3)


def test_the_correlation_within_clusters_is_found() -> None:
    chance = np.random.default_rng(3)
    for planted in (0.0, 0.05, 0.3):
        sizes = chance.integers(1, 30, 4000)
        shares = chance.beta(0.3 * (1 / planted - 1), 0.7 * (1 / planted - 1), 4000) if planted else np.full(4000, 0.3)
        having = chance.binomial(sizes, shares)
        share = having.sum() / sizes.sum()
        within = having * (1 - share) ** 2 + (sizes - having) * share**2
        rho = estimates.correlation(sizes.astype(float), np.ones(4000), (having - share * sizes) ** 2, within)
        assert rho == pytest.approx(planted, abs=0.015)
    assert estimates.correlation(np.array([1.0]), np.array([50.0]), np.array([10.0]), np.array([10.0])) == 0.0


@pytest.mark.parametrize(
    ("sizes", "having", "refused"),
    [
        ([300, *[10] * 70], [90, *[3] * 70], TOO_CONCENTRATED),  # one user has 30 %
        ([10] * 5, [1, 5, 3, 2, 0], TOO_FEW),
        ([500], [200], TOO_FEW),
        ([500] * 6, [0] * 6, TOO_FEW),
        ([180, 170, 160, *[1] * 400], [180, 0, 160, *[0, 1] * 200], TOO_CONCENTRATED),  # three users decide
    ],
)
def test_what_a_few_users_decide_has_no_interval(sizes: list[int], having: list[int], refused: str) -> None:
    found = estimates.share_of_draw([part(sizes, having)], "term")
    assert found.value == pytest.approx(sum(having) / sum(sizes))
    assert (found.low, found.high, found.refused, found.enough) == (None, None, refused, False)


def test_nothing_found_has_the_interval_of_effective_clusters() -> None:
    none = estimates.share_of_draw([part([50] * 40, [0] * 40)], "term")
    assert ends(none) == pytest.approx((0.0, 1 - 0.025 ** (1 / 40)))
    everything = estimates.share_of_draw([part([50] * 40, [50] * 40)], "term")
    assert ends(everything) == pytest.approx((0.025 ** (1 / 40), 1.0))
    # All clusters alike show no variance either: they are no more certain for it.
    same = estimates.share_of_draw([part([2] * 40, [1] * 40)], "term")
    assert ends(same) == pytest.approx(estimates.clopper_pearson(0.5, 40))


def test_nothing_measured_is_no_figure() -> None:
    assert estimates.share_of_draw([part([], [])], "term") == estimates.NOTHING
    assert estimates.share_of_table([Read({}, 1.0, 0.0)], "female", "english") == estimates.NOTHING
    assert estimates.ratio_of_table([Read({ENGLISH: 9}, 1.0, 0.0)], "female", "male", "english") == estimates.NOTHING
    assert estimates.ratio_of_draw([part([], [])], "a", "b", "both") == estimates.NOTHING


def test_a_ratio_of_independent_pairs_is_the_textbooks() -> None:
    having = {"female": 300, "male": 500, "both": 0}
    sums = clusters.alike(20_000, {**having, "female+male": 800})
    found = estimates.ratio_of_draw([Part(sums, 1.0)], "female", "male", "both")
    assert found.value == pytest.approx(0.6)
    low, high = ends(found)
    assert math.log(high / low) / 2 == pytest.approx(1.96 * math.sqrt(1 / 300 + 1 / 500), rel=1e-3)


def test_a_ratio_knows_the_pairs_with_both() -> None:
    sums = clusters.of(
        np.ones(1000, dtype=np.int64),
        {
            "female": np.repeat([1, 1, 0, 0], 250),
            "male": np.repeat([1, 1, 0, 0], 250),
            "both": np.repeat([1, 1, 0, 0], 250),
            "female+male": np.repeat([2, 2, 0, 0], 250),
        },
    )
    found = estimates.ratio_of_draw([Part(sums, 1.0)], "female", "male", "both")
    assert (found.value, found.error) == (1.0, 0.0)


def test_a_ratio_of_too_few_is_refused_and_one_of_none_has_a_rule() -> None:
    def ratio(female: int, male: int) -> Estimate:
        sums = clusters.alike(5000, {"female": female, "male": male, "both": 0, "female+male": female + male})
        return estimates.ratio_of_draw([Part(sums, 1.0)], "female", "male", "both")

    assert ratio(2, 3).refused == TOO_FEW
    high = 1 - 0.025 ** (1 / 40)
    assert ends(ratio(0, 40)) == pytest.approx((0.0, high / (1 - high)))
    assert (ratio(40, 0).value, ratio(40, 0).refused) == (None, TOO_FEW)


def test_sources_keep_their_part_of_the_mix() -> None:
    one, other = part([10] * 50, [4] * 25 + [2] * 25, weight=900), part([1] * 100, [1] * 50 + [0] * 50, weight=100)
    found = estimates.share_of_draw([one, other], "term")
    assert found.value == pytest.approx(0.9 * 0.3 + 0.1 * 0.5)
    alone = [estimates.share_of_draw([some], "term") for some in (one, other)]
    errors = [
        (some.error or 0) * (some.value or 0) * (1 - (some.value or 0)) * weight
        for some, weight in zip(alone, (0.9, 0.1), strict=True)
    ]
    assert (found.error or 0) * 0.32 * 0.68 == pytest.approx(math.hypot(*errors))


def test_crossed_units_take_the_wider_or_none() -> None:
    narrow, wide = Estimate(0.5, 0.4, 0.6), Estimate(0.5, 0.3, 0.6)
    none = Estimate(0.5, refused=TOO_CONCENTRATED)
    assert estimates.wider(narrow, wide) == estimates.wider(wide, narrow) == wide
    assert estimates.wider(narrow, none) == estimates.wider(none, narrow) == none


def test_a_table_of_which_all_was_read_is_exact() -> None:
    read = [Read({WOMAN: 30, MAN: 10, ENGLISH: 60, OTHER: 100}, 1.0, 0.0)]
    assert estimates.share_of_table(read, "female", "english") == Estimate(0.3, exact=True, enough=True)
    assert estimates.ratio_of_table(read, "female", "male", "english") == Estimate(3.0, exact=True, enough=True)
    few = estimates.share_of_table([Read({WOMAN: 1, ENGLISH: 3}, 1.0, 0.0)], "female", "english")
    assert few == Estimate(0.25, exact=True, enough=False)


def test_a_part_of_a_table_has_the_factor_of_what_was_not_read() -> None:
    counts = {WOMAN: 300, ENGLISH: 700}
    errors = [
        estimates.share_of_table([Read(counts, 2.0, factor)], "female", "english").error or 0.0
        for factor in (1.0, 0.5, 0.01)
    ]
    assert errors[0] == pytest.approx(math.sqrt(0.21 / 999) / 0.21)
    assert errors[1] / errors[0] == pytest.approx(math.sqrt(0.5))
    assert errors[2] / errors[0] == pytest.approx(0.1)


def test_a_source_of_which_no_text_is_left_is_no_part_of_the_others() -> None:
    """Of two large sources a fetch may leave one text that was read, and none of the other's."""
    none, one = Read({}, 1.0, 0.9), Read({WOMAN: 1}, 40.0, 0.9)
    for read in ([none, one], [one, none], [one]):
        share = estimates.share_of_table(read, "female", "english")
        assert (share.value, share.enough) == (1.0, False)
        assert not estimates.ratio_of_table(read, "female", "male", "english").enough
        change = estimates.change_of_table(read, read, "female", ("english", "english"))
        assert (change.value, change.enough) == (0.0, False)


def test_a_change_in_a_table_has_no_variance_from_what_both_have() -> None:
    left = {WOMAN | {"left"}: 300, ENGLISH | {"left"}: 700}
    same = [Read(left, 5.0, 0.8)]
    found = estimates.change_of_table(same, same, "female", ("left", "english"))
    assert (found.value, *ends(found)) == (0, 0, 0)
    lost = [Read({**left, WOMAN: 20, ENGLISH: 40}, 5.0, 0.8)]
    changed = estimates.change_of_table(lost, lost, "female", ("left", "english"))
    alone = estimates.share_of_table(lost, "female", "english")
    assert changed.value == pytest.approx(0.3 - 320 / 1060)
    assert ends(changed)[1] - ends(changed)[0] < 0.4 * (ends(alone)[1] - ends(alone)[0])
    whole = [dataclasses.replace(lost[0], factor=0.0)]
    assert estimates.change_of_table(whole, whole, "female", ("left", "english")).exact


def test_an_interval_about_another_value_is_as_wide_in_logits() -> None:
    chance = np.random.default_rng(3)
    sizes = chance.integers(1, 9, 400)
    own = estimates.share_of_draw([part(sizes.tolist(), chance.binomial(sizes, 0.4).tolist())], "term")
    assert own.value is not None
    moved = estimates.about(own, own.value + 0.01)

    def width(estimate: Estimate) -> float:
        low, high = ends(estimate)
        return float(special.logit(high) - special.logit(low))

    assert moved.value == own.value + 0.01
    assert ends(moved)[0] > ends(own)[0]
    assert width(moved) == pytest.approx(width(own))
    # An interval that is no logit's cannot be moved: its ends would tell the value.
    few = estimates.share_of_draw([part([5] * 40, [5] + [0] * 39)], "term")
    assert few.error is None
    assert (estimates.about(few, 0.03).low, estimates.about(few, 0.03).refused) == (None, TOO_FEW)
