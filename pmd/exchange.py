"""Rows that must meet cross between workers in run files under ROOT; only references to them cross Beam's shuffle.

A worker appends its rows to a *run*: an Arrow IPC file whose record batches each belong to one partition. What it hands to
Beam is a small batch of `RUNS`: which batches of which run hold which partition. After a GroupByKey, the worker of a
partition reads just those. So the bytes of a 100M-row source never stand in a runner's memory (the local one keeps about
five times what crosses a shuffle), and memory is one buffer while writing and one partition while reading. A worker that
is killed or doubled leaves a run that nobody refers to; the commit removes the whole work folder.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import storage

#: Bytes of rows that a writer collects before it cuts them by partition.
BUFFER_BYTES: Final = 48 * 2**20

#: Rows in a row group of `write_sorted`.
_GROUP_ROWS: Final = 2**16

RUNS: Final = pa.schema(
    [
        pa.field("run", pa.string(), nullable=False),  # path of the run file
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("batches", pa.list_(pa.int32()), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
    ]
)


def partitions(keys: pa.Array, bits: int) -> np.ndarray:
    """Return the partition of each 16-byte key: its first `bits` bits, as int32."""
    if isinstance(keys, pa.ChunkedArray):
        keys = keys.combine_chunks()
    raw = np.frombuffer(keys.buffers()[1], dtype=np.uint8, count=16 * (keys.offset + len(keys)))
    first = raw.reshape(-1, 16)[keys.offset :, :4].copy().view(">u4").reshape(-1).astype(np.uint32)
    return (first >> np.uint32(32 - bits)).astype(np.int32) if bits else np.zeros(len(keys), np.int32)


def bits_for(count: float, per_partition: float, most: int = 12) -> int:
    """Return how many bits cut `count` (bytes, rows) into partitions of at most `per_partition`."""
    bits = 0
    while bits < most and count > per_partition * 2**bits:
        bits += 1
    return bits


class RunWriter:
    """Writes the rows of one worker's unit into one run file, cut by partition."""

    def __init__(self, folder: str, schema: pa.Schema, bits: int) -> None:
        self._path = storage.join(folder, f"run-{uuid.uuid4().hex}.arrow")
        self._schema = schema
        self._bits = bits
        self._buffer: list[tuple[pa.RecordBatch, np.ndarray]] = []
        self._buffered_bytes = 0
        self._index: dict[int, list[int]] = {}
        self._rows: dict[int, int] = {}
        self._batches = 0
        self._whole = storage.write_whole(self._path)
        self._writer = pa.ipc.new_file(
            self._whole.__enter__(), schema, options=pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        )

    def add(self, batch: pa.RecordBatch, key: str) -> None:
        """Add rows; the partition is read from the key column."""
        if not batch.num_rows:
            return
        self._buffer.append((batch, partitions(batch.column(key), self._bits)))
        self._buffered_bytes += batch.nbytes
        if self._buffered_bytes >= BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not self._buffer:
            return
        rows = pa.concat_batches([batch for batch, _ in self._buffer])
        where = np.concatenate([numbers for _, numbers in self._buffer])
        self._buffer, self._buffered_bytes = [], 0
        order = np.argsort(where, kind="stable")
        cuts = np.flatnonzero(np.diff(where[order])) + 1
        for chosen in np.split(order, cuts):
            partition = int(where[chosen[0]])
            self._writer.write_batch(rows.take(pa.array(chosen)))
            self._index.setdefault(partition, []).append(self._batches)
            self._rows[partition] = self._rows.get(partition, 0) + len(chosen)
            self._batches += 1

    def close(self) -> list[tuple[int, pa.RecordBatch]]:
        """Finish the run; return (partition, reference) for each partition that has rows."""
        self._flush()
        self._writer.close()
        self._whole.__exit__(None, None, None)
        return [
            (
                partition,
                pa.RecordBatch.from_pylist(
                    [{"run": self._path, "partition": partition, "batches": numbers, "rows": self._rows[partition]}],
                    schema=RUNS,
                ),
            )
            for partition, numbers in sorted(self._index.items())
        ]

    def discard(self, error: BaseException) -> None:
        """Leave no file behind when the unit failed."""
        self._whole.__exit__(type(error), error, error.__traceback__)


def write(
    folder: str, schema: pa.Schema, bits: int, batches: Iterable[pa.RecordBatch], key: str
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Write batches into one run, and yield what `RunWriter.close` returns; leave no file behind where that fails."""
    run = RunWriter(folder, schema, bits)
    try:
        for batch in batches:
            run.add(batch, key)
    except BaseException as error:
        run.discard(error)
        raise
    yield from run.close()


def widen(rows: pa.Table, schema: pa.Schema, **constants: object) -> pa.RecordBatch:
    """Return rows under a schema that holds rows of several kinds: columns that they lack are constant, or null."""
    columns = [
        rows[field.name].cast(field.type).combine_chunks()
        if field.name in rows.schema.names
        else pa.array([constants.get(field.name)] * rows.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def read(references: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Return all rows of one partition, in no particular order."""
    return pa.Table.from_batches(list(_batches(references)), schema=schema)


def write_sorted(path: str, table: pa.Table) -> None:
    """Write a table that is in order of its first column, 16-byte keys, so that `read_sorted` reads little of it."""
    with storage.write_whole(path) as file:
        pq.write_table(table, file, row_group_size=_GROUP_ROWS)


def read_sorted(path: str, schema: pa.Schema, keys: pa.ChunkedArray) -> pa.Table:
    """Return the rows of a file of `write_sorted` whose first column is one of some keys, in the file's order."""
    wanted, name = keys.combine_chunks(), schema.names[0]
    found = [schema.empty_table()]
    if not len(wanted):
        return found[0]
    low, high = min(wanted.to_pylist()), max(wanted.to_pylist())
    with storage.open_raw(path) as file:
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            statistics = parquet.metadata.row_group(group).column(0).statistics
            if statistics is None or (statistics.min <= high and statistics.max >= low):
                rows = parquet.read_row_group(group, use_threads=False).cast(schema)
                found.append(rows.filter(pc.is_in(rows[name], value_set=wanted)))
    return pa.concat_tables(found)


def _batches(references: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for reference in references:
        for row in reference.to_pylist():
            with storage.open_raw(row["run"]) as file:
                reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(use_threads=False))
                for number in row["batches"]:
                    yield reader.get_batch(number)
