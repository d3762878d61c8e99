"""Whether users or hosts of one size lose more: each is one draw, and what few of them cannot show is told by all."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from pmd.audit.statistics import findings, losses, unit_losses
from pmd.audit.statistics.estimates import TOO_FEW


def _table(before: np.ndarray, after: np.ndarray, is_one: np.ndarray) -> pa.Table:
    return losses.of(before, after, {"one": (before * is_one, after * is_one)})


def _told(before: np.ndarray, after: np.ndarray, is_one: np.ndarray) -> losses.Test:
    return unit_losses.uneven(_table(before, after, is_one), "one")


def test_units_of_one_pair_are_compared_as_two_shares() -> None:
    """The classical test of two shares: error as of Welch's, and an interval of Newcombe's kind."""
    before = np.ones(1000, np.int64)
    is_one = np.arange(1000) < 400
    after = np.where(is_one, np.arange(1000) % 5 > 0, np.arange(1000) % 10 > 0).astype(np.int64)
    found = _told(before, after, is_one)
    assert found.effect == pytest.approx(0.8 - 0.9)
    assert found.error == pytest.approx(math.sqrt(0.8 * 0.2 / 399 + 0.9 * 0.1 / 599), rel=1e-6)
    assert found.clusters == 1000
    low, high = found.interval(0.95)  # type: ignore[misc]
    newcombe = stats.norm.ppf(0.975) * found.error  # type: ignore[operator]
    assert (low, high) == (pytest.approx(-0.1 - newcombe, abs=0.003), pytest.approx(-0.1 + newcombe, abs=0.003))


def test_a_unit_counts_once_however_large_it_is() -> None:
    """One host with nearly all pairs decides nothing: it is one of forty."""
    before = np.array([100_000, *[100] * 39, *[10] * 400])
    chance = np.random.default_rng(4)
    after = chance.binomial(before, 0.8)
    is_one = before >= 100
    found = _told(before, after, is_one)
    kept = after / before
    assert found.effect == pytest.approx(kept[is_one].mean() - kept[~is_one].mean())
    assert found.refused is None
    assert losses.uneven(_table(before, after, is_one), "one").refused is not None


def test_that_whole_hosts_die_is_known_from_all_where_a_few_do_not_show_it() -> None:
    """Of 500 hosts a tenth dies as a whole. That none of ten large ones did is no surprise, and no finding."""
    chance = np.random.default_rng(7)
    before = np.array([*[1000] * 10, *[50] * 490])
    alive = np.arange(500) % 10 != 9
    alive[:10] = True
    after = chance.binomial(before, 0.97) * alive
    found = _told(before, after, before == 1000)
    assert found.effect == pytest.approx(0.1, abs=0.02)
    (judged,) = findings.judge([found])
    assert not judged.finding
    assert found.interval(0.95)[0] < 0 < found.interval(0.95)[1]  # type: ignore[index]
    # By their own spread alone they would be surely different.
    own = (after[:10] / 1000).std(ddof=1) / math.sqrt(10)
    assert found.error > 5 * own  # type: ignore[operator]


def test_a_few_losses_among_many_units_have_an_interval_and_not_none() -> None:
    """Of seventy large hosts three are lost; tests that weigh by pairs refuse."""
    before = np.array([*[300] * 70, *[20] * 1000])
    after = before * (np.arange(1070) % 20 != 1)
    found = _told(before, after, before == 300)
    assert losses.uneven(_table(before, after, before == 300), "one").refused == TOO_FEW
    assert found.refused is None
    low, high = found.interval(0.95)  # type: ignore[misc]
    assert low < found.effect < high  # type: ignore[operator]
    assert high - low > 0.05


def test_where_none_was_lost_the_interval_is_exact() -> None:
    before = np.array([*[30] * 40, *[3] * 400])
    after = before * ((np.arange(440) % 4 > 0) | (np.arange(440) < 40))
    found = _told(before, after, before == 30)
    one, other = found.means  # type: ignore[misc]
    assert one.value == 1.0
    assert one.interval(0.95) == (pytest.approx(0.025 ** (1 / 40)), 1.0)
    low, _ = found.interval(0.95)  # type: ignore[misc]
    below = math.hypot(1 - 0.025 ** (1 / 40), other.interval(0.95)[1] - 0.75)
    assert low == pytest.approx(0.25 - below)
    assert findings.judge([found])[0].finding


@pytest.mark.parametrize(
    ("large", "small", "lost", "refused"),
    [(8, 400, 5, TOO_FEW), (400, 8, 5, TOO_FEW), (9, 400, 5, None), (20, 400, 42, None), (20, 400, 47, TOO_FEW)],
)
def test_what_eight_units_or_fewer_have_is_refused(large: int, small: int, lost: int, refused: str | None) -> None:
    """And where under thirty pairs are lost, as one in 47 of the small ones are."""
    before = np.array([*[30] * large, *[3] * small])
    after = before - np.where(np.arange(len(before)) % lost == (3 if lost == 5 else 30), before, 0)
    found = _told(before, after, before == 30)
    assert found.refused == refused
    assert found.effect is not None
    assert (found.error is None) == (refused is not None)


def test_nothing_lost_or_but_one_size_is_no_question() -> None:
    before = np.array([*[30] * 20, *[3] * 200])
    assert _told(before, before, before == 30) == losses.Test(None)
    assert _told(before, 0 * before, before == 30) == losses.Test(None)
    assert _told(before, before - 1, before > 0) == losses.Test(None)


def test_pairs_of_one_unit_are_all_of_its_size() -> None:
    before, after = np.full(50, 4), np.full(50, 3)
    table = losses.of(before, after, {"one": (np.full(50, 2), np.full(50, 1))})
    with pytest.raises(ValueError, match="expected units whose pairs all are 'one' or none"):
        unit_losses.uneven(table, "one")


def test_the_p_value_is_where_the_interval_begins_to_hold_the_least_effect() -> None:
    before = np.ones(900, np.int64)
    is_one = np.arange(900) < 300
    after = np.where(is_one, np.arange(900) % 10 > 0, np.arange(900) % 6 > 0).astype(np.int64)
    found = _told(before, after, is_one)
    (judged,) = findings.judge([found])
    assert judged.p is not None
    assert 0.001 < judged.p < 0.05
    low, _ = found.interval(1 - judged.p)  # type: ignore[misc]
    assert low == pytest.approx(findings.LEAST_EFFECT, abs=1e-4)
    assert findings.judge([found], least=0.2)[0].p == 1.0
