"""Whether loss struck unevenly: beside brute force, pair by pair, and what cannot be told."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from pmd.audit.statistics import losses
from pmd.audit.statistics.estimates import TOO_CONCENTRATED, TOO_FEW


def _table(before: np.ndarray, after: np.ndarray, had: np.ndarray, has: np.ndarray) -> losses.Test:
    return losses.uneven(losses.of(before, after, {"term": (had, has)}), "term")


def test_the_effect_is_the_change() -> None:
    before, after = np.full(100, 4), np.repeat([4, 2], 50)
    had, has = np.repeat([1, 2], 50), np.ones(100, dtype=np.int64)
    found = _table(before, after, had, has)
    assert found.effect == pytest.approx(100 / 300 - 150 / 400)
    assert found.clusters == 100


def test_pairs_lost_one_by_one_are_compared_as_two_shares() -> None:
    """Clusters of one pair each: Welch's variance of two means, times (lost ÷ before)²."""
    had = np.repeat([1, 0, 1, 0], [240, 560, 30, 170])
    after = np.repeat([1, 0], [800, 200])
    found = _table(np.ones(1000, dtype=np.int64), after, had, had * after)
    kept, lost = 240 / 800, 30 / 200
    assert found.effect == pytest.approx(0.2 * (kept - lost))
    error = 0.2 * math.sqrt(kept * (1 - kept) / 799 + lost * (1 - lost) / 199)
    assert found.error == pytest.approx(error, rel=1e-3)


def test_the_degrees_of_freedom_are_those_of_the_full_matrix() -> None:
    chance = np.random.default_rng(2)
    before = chance.integers(1, 9, 60)
    after = np.where(chance.random(60) < 0.3, 0, chance.binomial(before, 0.9))
    had = chance.binomial(before, chance.beta(1, 2, 60))
    has = np.minimum(had, chance.hypergeometric(had, before - had, after))
    found = _table(before, after, had, has)
    gone, kept, every = before - after, after.sum(), before.sum()
    lost = every - kept
    rows = losses.Losses.of(losses.of(before, after, {"term": (had, has)}), "term")
    rho = rows.correlation(has.sum() / kept, (had.sum() - has.sum()) / lost)
    # Pair by pair: ordinary least squares of the property on a mark of the kept and one of the lost.
    owner = np.repeat(np.arange(60), before)
    is_kept = np.concatenate([np.arange(size) < left for size, left in zip(before, after, strict=True)])
    value = np.concatenate(
        [
            np.concatenate([np.arange(left) < some, np.arange(away) < rest])
            for left, some, away, rest in zip(after, has, gone, had - has, strict=True)
        ]
    ).astype(float)
    design = np.stack([is_kept, ~is_kept], axis=1).astype(float)
    hat = design @ np.linalg.inv(design.T @ design) @ design.T
    weights = np.where(is_kept, 1 / kept - 1 / every, -1 / every)
    model = np.where(owner[:, None] == owner, rho, 0.0)
    np.fill_diagonal(model, 1.0)
    members = (owner[:, None] == np.arange(60)).astype(float)
    residuals = np.eye(every) - hat
    scores = (members * weights[:, None]).T @ residuals
    covariance = scores @ model @ scores.T
    ought = np.diag((members * weights[:, None]).T @ model @ (members * weights[:, None]))
    factor = ought / np.diag(covariance)
    scaled = np.diag(factor) @ covariance
    assert found.degrees == pytest.approx(np.trace(scaled) ** 2 / np.trace(scaled @ scaled))
    assert found.error == pytest.approx(math.sqrt(factor @ (scores @ value) ** 2))


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ([3] * 100, [3] * 95 + [0] * 5, TOO_FEW),  # 15 pairs were lost
        ([400, *[3] * 300], [0, *[3] * 300], TOO_CONCENTRATED),
        ([50] * 6, [50, 50, 50, 0, 0, 0], TOO_CONCENTRATED),
    ],
)
def test_what_cannot_be_told_is_refused(before: list[int], after: list[int], refused: str) -> None:
    one, other = np.array(before), np.array(after)
    found = _table(one, other, one // 2, other // 2)
    assert found.effect is not None
    assert (found.error, found.refused) == (None, refused)


def test_nothing_lost_is_no_question() -> None:
    some = np.full(50, 4)
    assert _table(some, some, some // 2, some // 2) == losses.Test(None)
    assert _table(some, 0 * some, some // 2, 0 * some) == losses.Test(None)


def test_sums_do_not_depend_on_how_clusters_are_dealt_out() -> None:
    chance = np.random.default_rng(5)
    before = chance.integers(1, 6, 200)
    after = chance.binomial(before, 0.7)
    had = chance.binomial(before, 0.4)
    has = chance.binomial(had, 0.7).clip(max=after)
    whole = losses.of(before, after, {"term": (had, has), "other": (had, has)})
    parts = [
        losses.of(before[k::3], after[k::3], {"term": (had[k::3], has[k::3]), "other": (had[k::3], has[k::3])})
        for k in range(3)
    ]
    names = losses.ROWS.names
    summed = pa.concat_tables(parts).group_by(names[:3]).aggregate([(name, "sum") for name in names[3:]])
    assert (
        summed.sort_by([(name, "ascending") for name in names[:3]])
        .rename_columns(names)
        .cast(losses.ROWS)
        .equals(whole)
    )


@pytest.mark.parametrize(("having", "answered"), [(3, False), (40, False), (60, True)])
def test_a_property_of_a_few_clusters_is_refused_however_many_pairs_they_have(having: int, *, answered: bool) -> None:
    """Of users whose pairs all have it, ten must be expected among the lost: of sixty with a fifth lost there are twelve."""
    before = np.full(500, 20)
    after = np.where(np.arange(500) % 5 == 0, 0, before)
    had = np.where(np.arange(500) < having, before, 0)
    found = _table(before, after, had, np.minimum(had, after))
    assert found.effect == pytest.approx(0, abs=0.01)
    assert (found.refused is None, found.refused == TOO_FEW) == (answered, not answered)
    assert (found.error is not None) == answered


def test_pairs_that_are_not_alike_are_as_many_clusters() -> None:
    """What is dealt out to hosts at random is expected as often as there are pairs, though there are but twelve hosts."""
    chance = np.random.default_rng(3)
    before = np.full(12, 200)
    after, had = chance.binomial(before, 0.8), chance.binomial(before, 0.3)
    found = _table(before, after, had, chance.binomial(had, 0.8).clip(max=after))
    assert found.refused is None
