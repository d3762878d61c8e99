"""Bottom-k sketches: order-free, exact while small, and true on average when not."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.audit import sketch
from pmd.errors import PmdError
from pmd.schema import keys
from pmd.schema.tables import KEY

Rows = list[tuple[int, int]]


def _of(rows: Rows) -> sketch.Sketch:
    return sketch.of(
        np.array([unit for unit, _ in rows], dtype=np.uint64),
        np.array([number for _, number in rows], dtype=np.intp),
        3,
        [f"unit {unit}" for unit, _ in rows],
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2)), max_size=60),
    st.lists(st.integers(0, 4), min_size=60, max_size=60),
    st.permutations(range(5)),
)
def test_the_sketch_depends_on_the_rows_alone(rows: Rows, deal: list[int], order: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sketch, "SIZE", 7)
        parts = [_of([row for row, part in zip(rows, deal, strict=False) if part == number]) for number in order]
        left = functools.reduce(lambda a, b: a + b, parts)
        right = functools.reduce(lambda a, b: b + a, reversed(parts))
        whole = _of(rows)
    assert left.to_json() == right.to_json() == whole.to_json()
    units = sorted({unit for unit, _ in rows})
    assert left.hashes.tolist() == units[:7]
    assert left.limit == (units[7] if len(units) > 7 else sketch.EVERYTHING)
    for unit, counts, name in zip(left.hashes.tolist(), left.counts.tolist(), left.names or (), strict=True):
        assert counts == [sum(row == (unit, number) for row in rows) for number in range(3)]
        assert name == f"unit {unit}"
    assert left.total.tolist() == [sum(row[1] == number for row in rows) for number in range(3)]
    assert sketch.Sketch.from_json(left.to_json()).to_json() == left.to_json()


def test_distinct_units_are_estimated_within_three_standard_errors() -> None:
    number = 30_000
    hashes = sketch.mix(pa.array([keys.image_id(str(image)) for image in range(number)], KEY))
    found = sketch.of(hashes, np.zeros(number, dtype=np.intp), 1)
    assert len(found.hashes) == sketch.SIZE
    assert not found.complete
    assert found.distinct(len(found.hashes)) == pytest.approx(number, rel=3 * sketch.SIZE**-0.5)


def test_hashes_are_even_whatever_else_is_cut_by_the_keys_bits() -> None:
    # Fetch shards take the first bits, a sample of images the last ones: both leave the 256 groups even.
    chosen = [key for key in (keys.image_id(str(image)) for image in range(40_000)) if key[8] == 0 or key[0] == 0]
    groups = np.bincount((sketch.mix(pa.array(chosen, KEY)) >> np.uint64(56)).astype(int), minlength=256)
    mean = len(chosen) / 256
    assert ((groups - mean) ** 2 / mean).sum() < 256 + 4 * (2 * 256) ** 0.5  # chi-squared, four standard deviations


def test_slices_are_hashed_as_their_own_rows() -> None:
    column = pa.array([keys.image_id(str(image)) for image in range(9)], KEY)
    assert sketch.mix(column.slice(3, 4)).tolist() == sketch.mix(column)[3:7].tolist()
    assert sketch.mix(pa.array([], pa.binary(16))).tolist() == []


def test_a_sample_of_pairs_keeps_the_smallest_and_refuses_a_pair_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch, "PAIRS", 3)

    def sample(hashes: list[int]) -> sketch.PairSample:
        return sketch.pair_sample(
            np.array(hashes, dtype=np.uint64),
            np.zeros(len(hashes), dtype=np.int64),
            [f"host{number}.org" for number in hashes],
            np.array(hashes, dtype=np.uint64),
        )

    joined = sample([2, 5, 9]) + sample([1, 7])
    assert joined.to_json() == (sample([1, 7]) + sample([2, 5, 9])).to_json() == sample([1, 2, 5, 7, 9]).to_json()
    assert (joined.hosts, joined.limit) == (("host1.org", "host2.org", "host5.org"), 7)
    assert joined.below(5).hashes.tolist() == [1, 2]
    with pytest.raises(PmdError, match="measured twice"):
        _ = sample([1]) + sample([1])
