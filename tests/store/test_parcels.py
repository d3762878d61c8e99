"""Parcels: no key of the engine's shuffle holds more than 4 MB, and rows come where run files bring them, whatever they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.engines.coder import RecordBatchCoder
from pmd.schema.tables import KEY
from pmd.store import exchange, parcels
from pmd.store.parcels import Unit

SCHEMA = pa.schema([pa.field("key", KEY, nullable=False), pa.field("text", pa.string())])
#: Rows of one unit, each batch with its partitions.
Rows = list[tuple[pa.RecordBatch, np.ndarray]]


def rows(chance: np.random.Generator, count: int, width: int, partitions: Sequence[int]) -> tuple[pa.RecordBatch, Any]:
    """Return rows of some bytes that nothing compresses, each in one of some partitions."""
    keys = pa.array([chance.bytes(16) for _ in range(count)], KEY)
    texts = pa.array([chance.bytes((width + 1) // 2).hex()[:width] for _ in range(count)], pa.string())
    where = chance.choice(np.asarray(partitions, np.int32), count)
    return pa.RecordBatch.from_arrays([keys, texts], schema=SCHEMA), where


def shuffled(units: Sequence[Rows]) -> dict[bytes, list[pa.RecordBatch]]:
    """Return key → what a GroupByKey gives it."""
    found: dict[bytes, list[pa.RecordBatch]] = defaultdict(list)
    for number, unit in enumerate(units):
        for key, piece in parcels.cut(SCHEMA, unit, Unit(number, len(units))):
            found[key].append(piece)
    return found


def encoded(pieces: Iterable[pa.RecordBatch]) -> int:
    coder = RecordBatchCoder()
    return sum(len(coder.encode(piece)) for piece in pieces)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_no_key_of_one_hot_partition_holds_more_than_4_mb(count: int) -> None:
    """Nearly all of 60 MB is in one partition, in one unit or in many."""
    chance = np.random.default_rng(count)
    hot = [0] * 99 + [1]
    units = [[rows(chance, 60_000 // count, 1000, hot)] for _ in range(count)]
    found = shuffled(units)
    held = [encoded(pieces) for pieces in found.values()]
    assert sum(held) > 55 * 2**20
    assert max(held) <= parcels.KEY_BYTES == 4 * 2**20
    assert max(encoded([piece]) for pieces in found.values() for piece in pieces) <= parcels.PIECE_BYTES == 2**20
    assert len(found) < 4 * sum(held) / parcels.KEY_BYTES + 8  # and they are not much emptier than they need be


_UNITS = st.lists(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 400), st.integers(1, 4)), max_size=3), min_size=1, max_size=9
)


@settings(max_examples=25, deadline=None)
@given(_UNITS, st.integers(0, 2**32 - 1), st.integers(200, 20_000))
def test_no_key_holds_more_than_its_share_and_no_row_is_lost(
    shape: list[list[tuple[int, int, int]]], seed: int, buffer_bytes: int
) -> None:
    """Units of any number of batches, batches of any width and spread."""
    chance = np.random.default_rng(seed)
    units = [[rows(chance, count, width, range(spread)) for count, width, spread in unit] for unit in shape]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "BUFFER_BYTES", buffer_bytes)
        patch.setattr(parcels, "KEY_BYTES", 2**14)
        patch.setattr(parcels, "PIECE_BYTES", 2**12)
        found, again = shuffled(units), shuffled(units)
    for key, pieces in found.items():
        assert encoded(pieces) <= 2**14, key
        assert [piece.to_pylist() for piece in again[key]] == [piece.to_pylist() for piece in pieces]
    came = Counter(row["key"] for pieces in found.values() for piece in pieces for row in piece.to_pylist())
    assert came == Counter(key for unit in units for batch, _ in unit for key in batch["key"].to_pylist())


def test_a_row_that_is_larger_than_a_key_stands_alone() -> None:
    """It cannot be cut; nothing else is in its parcel."""
    chance = np.random.default_rng(1)
    found = shuffled([[rows(chance, 3, 5 * 2**20, [0]), rows(chance, 3, 10, [0])]])
    sizes = sorted((encoded(pieces) > parcels.KEY_BYTES, len(pieces)) for pieces in found.values())
    assert sizes == [(False, 1), (True, 1), (True, 1), (True, 1)]


def _landed(work: str, units: Sequence[Rows]) -> dict[int, pa.RecordBatch]:
    """Return partition → all its RUNS, as the engine's shuffle brings them."""
    land = parcels.Land(SCHEMA, work)
    found: dict[int, list[pa.RecordBatch]] = defaultdict(list)
    for key, pieces in shuffled(units).items():
        for partition, runs in land((key, pieces)):
            assert runs["partition"].to_pylist() == [partition]
            found[partition].append(runs)
    return {partition: pa.concat_batches(runs) for partition, runs in sorted(found.items())}


def test_partitions_have_the_rows_that_run_files_bring_them_in_fewer_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "BUFFER_BYTES", 2**12)
    chance = np.random.default_rng(5)
    units = [[rows(chance, 50, 40, range(7)) for _ in range(6)] for _ in range(12)]
    written = [runs for unit in units for runs in exchange.write_numbered(str(tmp_path), SCHEMA, unit)]
    ways = dict(exchange.by_partition(written)), _landed(str(tmp_path), units)
    assert [*ways[0]] == [*ways[1]] == list(range(7))
    for partition in range(7):
        one, other = (exchange.read(str(tmp_path), [way[partition]], SCHEMA).sort_by("key") for way in ways)
        assert one.to_pylist() == other.to_pylist()
    assert sum(map(len, ways[1].values())) * 10 < sum(map(len, ways[0].values()))
