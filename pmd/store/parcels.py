"""Rows that must meet cross the engine's own shuffle, under keys of which none ever holds more than 4 MB.

Beam's Flink runner gathers the values of a key in one list and hands them on in one record, and others keep them in memory too.
So a key is not a partition but a *parcel* of one: of pieces of about one size, from so many units and so many pieces of each
that their sum is bounded, whatever the rows are, also where all of them are in one partition. Nobody needs to know how many there
will be. Whoever gets a parcel lands it: as one message of a run (`pmd.store.exchange`), where the partition's worker finds it. So
a partition is read in messages of megabytes, also where units times partitions would make millions of small ones.
"""

from __future__ import annotations

import dataclasses
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from pmd.store import exchange

#: What a key holds, encoded, at most; only one row that is larger by itself is more, alone in its parcel.
KEY_BYTES: Final = 4 * 2**20
#: What a piece has, at most, likewise: an element of a shuffle.
PIECE_BYTES: Final = 2**20
#: Pieces up to so many bytes count as equal: 2 to this power.
_LEAST_LEVEL: Final = 12

#: Partition, size, group of units, group of a unit's pieces.
_KEY: Final = struct.Struct(">IBII")


@dataclasses.dataclass(frozen=True)
class Unit:
    """Which of all units of a pipeline writes."""

    number: int
    of: int


def cut(
    schema: pa.Schema, batches: Iterable[tuple[pa.RecordBatch, np.ndarray]], unit: Unit
) -> Iterator[tuple[bytes, pa.RecordBatch]]:
    """Yield the rows of a unit in pieces, each of one partition and with the key of its parcel.

    Args:
        schema: What the rows are.
        batches: Rows, each batch with the numbers of its rows' partitions.
        unit: Whose they are. A unit that is done twice gives the same.
    """
    head = 2 * schema.serialize().size  # what a batch costs beside its rows: its schema, and where its buffers are
    seen: Counter[tuple[int, int]] = Counter()
    for partition, rows in exchange.cut(batches):
        for piece in _pieces(rows, PIECE_BYTES - head):
            level = max(_LEAST_LEVEL, (piece.nbytes + head - 1).bit_length())
            yield _key(partition, level, unit, seen[partition, level]), piece
            seen[partition, level] += 1


def _key(partition: int, level: int, unit: Unit, place: int) -> bytes:
    """Return the parcel of a unit's piece, of at most 2^level bytes: `most` pieces of that size have the same one, at most."""
    most = max(KEY_BYTES >> level, 1)
    units = min(most, unit.of)
    return _KEY.pack(partition, level, unit.number // units, place // (most // units))


def _pieces(rows: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """Yield rows in pieces of so many bytes at most, or of one row."""
    if rows.nbytes <= most or rows.num_rows == 1:
        yield rows
        return
    half = rows.num_rows // 2
    yield from _pieces(rows.slice(0, half), most)
    yield from _pieces(rows.slice(half), most)


@dataclasses.dataclass(frozen=True)
class Land:
    """Write a parcel as one message of a run."""

    schema: pa.Schema
    work: str

    def __call__(self, keyed: tuple[bytes, Iterable[pa.RecordBatch]]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(key of a parcel, its pieces) → (partition, RUNS of one row)."""
        key, pieces = keyed
        rows = pa.concat_batches([piece.cast(self.schema) for piece in pieces])
        partition = _KEY.unpack(key)[0]
        numbers = np.full(rows.num_rows, partition, np.int32)
        for runs in exchange.write_numbered(self.work, self.schema, [(rows, numbers)]):
            yield partition, runs
