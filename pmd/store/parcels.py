"""Rows that must meet cross the engine's own shuffle, under keys of which none ever holds more than 4 MB.

Beam's Flink runner gathers the values of a key in one list and hands them on in one record, and others keep them in memory too.
So a key is not a partition but a *parcel* of one. A parcel has pieces of about one size, at most so many from each of so many
units. So its size is bounded whatever the rows are, even if all are in one partition, and nobody needs to know how many there
will be. Whoever gets a parcel lands it: as one message of a run (`pmd.store.exchange`), where the partition's worker finds it. So
a partition is read in messages of megabytes, where units times partitions would make millions of small ones.
"""

from __future__ import annotations

import dataclasses
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from pmd.store import exchange
from pmd.store.exchange import Buffer, Rows

#: What a key holds, encoded, at most; only one row that is larger by itself is more, alone in its parcel.
KEY_BYTES: Final = 4 * 2**20
#: What a piece has, at most, likewise: an element of a shuffle.
PIECE_BYTES: Final = 2**20
#: Pieces up to so many bytes count as equal: 2 to this power.
_LEAST_LEVEL: Final = 12

#: Which of the kinds, partition, size, group of units, group of a unit's pieces.
_KEY: Final = struct.Struct(">BIBII")
#: The key of what a worker gives beside rows, and that crosses nothing.
BESIDE: Final = b""


@dataclasses.dataclass(frozen=True)
class Unit:
    """Which of all units that give rows to one shuffle writes.

    Attributes:
        number: Its own: no other has it.
        of: How many there are. Were they more or fewer, parcels would be emptier than they need be, but none larger.
    """

    number: int
    of: int


def cut(
    kinds: Mapping[str, pa.Schema], given: Iterable[Rows | pa.RecordBatch], unit: Unit
) -> Iterator[tuple[bytes, pa.RecordBatch]]:
    """Yield the rows of a unit in pieces, each of one kind and partition and with the key of its parcel.

    Args:
        kinds: Kind → what its rows are.
        given: Rows; what else there is, is handed on under the key `BESIDE`.
        unit: Whose they are. A unit that is done twice gives the same.
    """
    cutters = {kind: _Cutter(number, kinds[kind], unit) for number, kind in enumerate(sorted(kinds))}
    for found in given:
        if isinstance(found, Rows):
            yield from cutters[found.kind].put(found)
        else:
            yield BESIDE, found
    for cutter in cutters.values():
        yield from cutter.emptied()


class _Cutter:
    """Cuts a unit's rows of one kind, so many at a time as a writer collects."""

    def __init__(self, kind: int, schema: pa.Schema, unit: Unit) -> None:
        self._kind, self._unit = kind, unit
        # What a message costs beside its batch: the schema, and what packing adds where nothing gets smaller.
        self._head = schema.serialize().size + 512
        self._buffer = Buffer()
        self._seen: Counter[tuple[int, int]] = Counter()

    def put(self, rows: Rows) -> Iterator[tuple[bytes, pa.RecordBatch]]:
        if self._buffer.takes(rows.batch, rows.numbers):
            yield from self.emptied()

    def emptied(self) -> Iterator[tuple[bytes, pa.RecordBatch]]:
        for partition, rows in self._buffer.emptied():
            for piece in _pieces(rows, PIECE_BYTES - self._head):
                level = max(_LEAST_LEVEL, (pa.ipc.get_record_batch_size(piece) + self._head - 1).bit_length())
                yield self._key(partition, level), piece
                self._seen[partition, level] += 1

    def _key(self, partition: int, level: int) -> bytes:
        """Return the parcel of a piece of at most 2^level bytes: `most` pieces of that size have the same one, at most."""
        most = max(KEY_BYTES >> level, 1)
        units = min(most, self._unit.of)
        place = self._seen[partition, level] // (most // units)
        return _KEY.pack(self._kind, partition, level, self._unit.number // units, place)


def _pieces(rows: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """Yield rows in pieces that are written in so many bytes at most, or of one row."""
    if rows.num_rows == 1 or pa.ipc.get_record_batch_size(rows) <= most:
        yield rows
        return
    half = rows.num_rows // 2
    yield from _pieces(rows.slice(0, half), most)
    yield from _pieces(rows.slice(half), most)


@dataclasses.dataclass(frozen=True)
class Land:
    """Write a parcel as one message of a run.

    Attributes:
        kinds: Kind → what its rows are.
        work: Where runs go.
    """

    kinds: Mapping[str, pa.Schema]
    work: str

    def __call__(self, keyed: tuple[bytes, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(key of a parcel, its pieces) → `exchange.runs_of` its kind, of one row."""
        key, pieces = keyed
        number, partition, *_ = _KEY.unpack(key)
        kind = sorted(self.kinds)[number]
        rows = pa.concat_batches([piece.cast(self.kinds[kind]) for piece in pieces])
        with exchange.Runs(self.work, self.kinds) as runs:
            runs.put(Rows(rows, np.full(rows.num_rows, partition, np.int32), kind))
        yield from runs.written
