"""Estimates: sums, rounding, shares, and how many keys there are of which a sample shows some."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.inspection.plan import estimates
from pmd.inspection.plan.estimates import Estimate, Piece, known


@st.composite
def some(draw: st.DrawFn) -> Estimate:
    low, value, high = sorted(draw(st.tuples(*[st.floats(0, 1e12)] * 3)))
    return Estimate(value, low, high)


@given(some())
def test_rounding_keeps_the_value_in_its_range_and_claims_no_more_digits_than_it_has(estimate: Estimate) -> None:
    found = estimate.rounded()
    assert found.low <= found.value <= found.high
    assert all(float(end).is_integer() for end in (found.low, found.value, found.high))
    if not estimate.known:
        assert len(str(int(found.value)).rstrip("0")) <= 3
        assert found.low <= math.floor(estimate.value) + 1
        assert found.high >= math.floor(estimate.high)
        assert found.low <= estimate.low or found.low <= found.value
    else:
        assert found == known(round(estimate.value))


def test_what_is_known_stays_so_when_it_is_added_up() -> None:
    assert estimates.total([known(3), known(4)]) == known(7)
    assert not (known(3) + Estimate(2, 1, 3)).known
    assert known(10).less(Estimate(4, 3, 12)) == Estimate(6, 0, 7)
    assert Estimate(12_345, 11_111, 15_555).rounded() == Estimate(12_300, 11_000, 16_000)


@pytest.mark.parametrize(("part", "whole"), [(0, 50), (50, 50), (25, 50), (1, 1000)])
def test_a_share_has_a_width_also_where_none_or_all_are_counted(part: int, whole: int) -> None:
    found = estimates.share(part, whole)
    assert found.value == part / whole
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_nothing_is_known_of_a_share_of_nothing() -> None:
    assert estimates.share(0, 0) == Estimate(1.0, 0.0, 1.0)


def test_a_ratio_is_as_wide_as_its_pieces_differ() -> None:
    alike = estimates.ratio([(10, 100)] * 8, 0.01)
    unlike = estimates.ratio([(5, 100), (15, 100)] * 4, 0.01)
    assert alike.value == unlike.value == 0.1
    assert alike.high - alike.low == pytest.approx(0.002)
    assert unlike.high - unlike.low > 0.05


@pytest.mark.parametrize("times", [1, 2, 5, 20])
@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_keys_that_are_met_equally_often_are_counted_well(times: int, fraction: float) -> None:
    dice = random.Random(times)
    count = 60_000 // times
    rows = [key.to_bytes(4, "big") for key in range(count)] * times
    dice.shuffle(rows)
    seen = rows[: int(len(rows) * fraction)]
    size = len(seen) // 16
    pieces = [
        Piece((start + size / 2) / len(rows), frozenset(seen[start : start + size]))
        for start in range(0, len(seen), size)
    ]
    found = estimates.distinct(pieces, fraction)
    assert found.value == pytest.approx(count, rel=0.08 if fraction > 0.1 else 0.15)
    assert found.low <= count <= round(found.high)


def test_rows_of_one_image_that_follow_each_other_are_no_sign_of_others_elsewhere() -> None:
    pieces = [Piece(piece / 10, frozenset(f"{piece}-{key}".encode() for key in range(50))) for piece in range(10)]
    found = estimates.distinct(pieces, 0.1)
    assert found.value == pytest.approx(5000)


@pytest.mark.parametrize("spread", [False, True], ids=["from the start", "all over"])
def test_rows_that_repeat_any_row_before_them_are_as_many_everywhere(*, spread: bool) -> None:
    dice = random.Random(5)
    rows: list[bytes] = []
    for number in range(200_000):
        rows.append(rows[dice.randrange(number)] if number and dice.random() < 0.1 else number.to_bytes(4, "big"))
    size = 1000
    starts = [number * len(rows) // 20 for number in range(20)] if spread else [number * size for number in range(20)]
    pieces = [Piece((start + size / 2) / len(rows), frozenset(rows[start : start + size])) for start in starts]
    found = estimates.distinct(pieces, 20 * size / len(rows))
    assert found.low <= len(set(rows)) <= found.high
    assert found.value == pytest.approx(len(set(rows)), rel=0.1)


def test_where_few_keys_are_met_very_often_the_range_says_so() -> None:
    dice = random.Random(3)
    rows = [key.to_bytes(4, "big") for key in range(30_000)]
    rows += [int(dice.paretovariate(0.9)).to_bytes(16, "big") for _ in range(30_000)]
    dice.shuffle(rows)
    pieces = [Piece((start + 500) / 60_000, frozenset(rows[start : start + 1000])) for start in range(0, 12_000, 1000)]
    found = estimates.distinct(pieces, 0.2)
    assert found.low <= len(set(rows)) <= found.high


def test_all_that_was_read_is_counted() -> None:
    pieces = [Piece(0.2, frozenset({b"a", b"b"})), Piece(0.7, frozenset({b"b"}))]
    assert estimates.distinct(pieces, 1.0) == known(2)
    assert estimates.distinct([], 0.5) == known(0)
