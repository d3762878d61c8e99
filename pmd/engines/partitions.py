"""Units that are parts: one number each, as a batch of one row."""

from __future__ import annotations

import pyarrow as pa

PARTS = pa.schema([pa.field("part", pa.int32(), nullable=False)])


def part_batches(bits: int) -> list[pa.RecordBatch]:
    """Return all parts of a cut, one batch each."""
    return [pa.RecordBatch.from_pylist([{"part": part}], schema=PARTS) for part in range(2**bits)]


def by_part(batch: pa.RecordBatch) -> tuple[int, pa.RecordBatch]:
    """Return a batch of one row under its part."""
    return part_of(batch), batch


def part_of(batch: pa.RecordBatch) -> int:
    """Return the part of a batch of one row."""
    return int(batch.column(0)[0].as_py())
