"""Intervals with images as clusters, beside a brute-force bootstrap over images and against textbook figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmd.audit import intervals
from pmd.audit.intervals import BUCKETS


def test_quantiles_of_t() -> None:
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 10: 2.228, 30: 2.042, 255: 1.969}
    for degrees, expected in table.items():
        assert intervals.t_quantile(degrees) == pytest.approx(expected, rel=0.004)


def test_wilson_is_the_textbooks() -> None:
    assert intervals.wilson(0.1, 100) == pytest.approx((0.05523, 0.17437), abs=1e-4)
    assert intervals.wilson(0.0, 30) == pytest.approx((0.0, 0.11351), abs=1e-4)


def _clustered(images: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return group, pairs and hits of images with 1…20 pairs, whose pairs nearly all agree."""
    chance = np.random.default_rng(seed)
    pairs = chance.integers(1, 21, images)
    hits = chance.binomial(pairs, chance.beta(0.2, 0.8, images))
    return chance.integers(0, BUCKETS, images), pairs, hits


def _by_group(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(groups, weights=values, minlength=BUCKETS)


def test_the_interval_of_a_share_is_the_cluster_bootstraps() -> None:
    groups, pairs, hits = _clustered(2000, seed=1)
    found = intervals.share(_by_group(groups, hits), _by_group(groups, pairs), pairs.sum(), 2000)
    chance = np.random.default_rng(2)
    draws = chance.integers(0, 2000, (2000, 2000))
    shares = hits[draws].sum(axis=1) / pairs[draws].sum(axis=1)
    low, high = np.quantile(shares, [0.025, 0.975])
    assert found.value == pytest.approx(hits.sum() / pairs.sum())
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(high - low, rel=0.2)
    assert found.low == pytest.approx(low, abs=0.2 * (high - low))
    # Taken as independent, the pairs would give an interval less than half as wide.
    plain = intervals.wilson(found.value or 0.0, float(pairs.sum()))
    assert plain[1] - plain[0] < 0.5 * (found.high - found.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        groups, pairs, hits = _clustered(150, seed)
        found = intervals.share(_by_group(groups, hits), _by_group(groups, pairs), pairs.sum(), 150)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.2 <= found.high
    assert 180 <= covered <= 199


def test_nothing_found_still_has_an_interval() -> None:
    groups, pairs, _ = _clustered(400, seed=3)
    none = intervals.share(np.zeros(BUCKETS), _by_group(groups, pairs), pairs.sum(), 400)
    assert none.value == 0
    assert none.low == 0
    assert none.high == pytest.approx(intervals.wilson(0, 400)[1], rel=0.02)
    assert none.enough


def test_fifty_regions_of_one_image_tell_nothing_of_others() -> None:
    whole = np.zeros(BUCKETS)
    whole[7] = 50
    found = intervals.share(whole * 0.4, whole, 50, 1)
    assert found.value == pytest.approx(0.4)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.7
    assert not found.enough


def test_nothing_measured_is_no_figure() -> None:
    zero = np.zeros(BUCKETS)
    assert intervals.share(zero, zero, 0, 0) == intervals.NOTHING
    assert intervals.ratio(zero, zero, enough=True) == intervals.NOTHING
    assert intervals.change(zero, zero, zero, zero, enough=True) == intervals.NOTHING


def test_the_ratio_of_independent_counts() -> None:
    chance = np.random.default_rng(4)
    female, male = chance.poisson(4, BUCKETS).astype(float), chance.poisson(8, BUCKETS).astype(float)
    found = intervals.ratio(female, male, enough=True)
    assert found.value == pytest.approx(female.sum() / male.sum())
    assert found.low is not None
    assert found.high is not None
    # Of two Poisson counts the logarithm's variance is 1/a + 1/b.
    expected = 1.96 * math.sqrt(1 / female.sum() + 1 / male.sum())
    assert math.log(found.high / found.low) / 2 == pytest.approx(expected, rel=0.2)


def test_a_change_is_narrower_than_the_shares_that_it_compares() -> None:
    groups, pairs, hits = _clustered(2000, seed=5)
    kept = np.random.default_rng(6).random(2000) < 0.9
    part, whole = _by_group(groups[kept], hits[kept]), _by_group(groups[kept], pairs[kept])
    before, whole_before = _by_group(groups, hits), _by_group(groups, pairs)
    found = intervals.change(part, whole, before, whole_before, enough=True)
    alone = intervals.share(part, whole, whole.sum(), kept.sum())
    assert found.low is not None
    assert found.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert found.high - found.low < 0.6 * (alone.high - alone.low)
    same = intervals.change(before, whole_before, before, whole_before, enough=True)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_a_loss_at_random_is_called_a_change_no_oftener_than_five_times_in_a_hundred() -> None:
    called = 0
    for seed in range(200):
        groups, pairs, hits = _clustered(400, seed)
        kept = np.random.default_rng(10_000 + seed).random(400) < 0.8
        found = intervals.change(
            _by_group(groups[kept], hits[kept]),
            _by_group(groups[kept], pairs[kept]),
            _by_group(groups, hits),
            _by_group(groups, pairs),
            enough=True,
        )
        assert found.low is not None
        assert found.high is not None
        called += not found.low <= 0 <= found.high
    assert called <= 20  # of 200, 10 expected; the chance of more than 20 is below 0.1 %
