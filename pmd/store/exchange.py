"""Rows that must meet cross between workers in run files under ROOT; only references to them cross Beam's shuffle.

A worker appends the rows of its unit to a *run*: Arrow messages, each of which holds rows of one partition and is packed as a
whole: Arrow's own way packs each of its buffers, up to three a column, of which a few hundred rows have little. What it hands to
Beam is one batch of `RUNS`: where in the run which partition's messages stand. These batches are small, and meet in one place,
where `by_partition` turns them over; then each partition's worker reads just its own messages. So the bytes of a
100M-row source never stand in a runner's memory (the local one keeps about five times what crosses a shuffle), and memory is
one buffer while writing and one partition while reading. A worker that is killed or doubled leaves a run that nobody
refers to; the commit removes the whole work folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import struct
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.errors import InputError
from pmd.schema.keys import raw
from pmd.store import storage

_T = TypeVar("_T")

#: Bytes of rows that a writer collects before it cuts them by partition.
BUFFER_BYTES: Final = 48 * 2**20

#: Smaller files of Parquet are read together until they have so many bytes, which fill a buffer once or twice; none is cut.
#: Were each a unit of its own, there would be a run for each, with a few rows for each partition.
TASK_BYTES: Final = 16 * 2**20

#: Bits that name a partition, at most.
MOST_BITS: Final = 12

#: How messages are packed, each behind the number of its bytes.
_CODEC: Final = pa.Codec("lz4_raw")
_SIZE: Final = struct.Struct("<q")

#: Rows in a row group of `write_sorted`.
_GROUP_ROWS: Final = 2**16

#: One row a message: 28 bytes, since there are units times partitions of them, millions where the input is large.
RUNS: Final = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("run", pa.int64(), nullable=False),  # names the file
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
    ]
)


class Rows(NamedTuple):
    """Rows that are to meet others of their kind.

    Attributes:
        batch: The rows.
        numbers: The partition of each, int32.
        kind: Told where a worker gives rows of several kinds, each of which meets by itself.
    """

    batch: pa.RecordBatch
    numbers: np.ndarray
    kind: str = ""


def one_kind(schema: pa.Schema) -> Mapping[str, pa.Schema]:
    """Return the kinds of a worker whose rows are all of one."""
    return {"": schema}


def runs_of(kind: str) -> pa.Schema:
    """Return `RUNS` of one kind of rows, told from those of others by a name; where the kind has none, `RUNS` itself."""
    return pa.schema([RUNS.field(0).with_name(f"{kind}_partition"), *list(RUNS)[1:]]) if kind else RUNS


def runs_among(batches: Iterable[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Return those of some batches that are `RUNS`."""
    return [batch for batch in batches if batch.schema == RUNS]


def as_runs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """`RUNS` of one kind → `RUNS`."""
    return pa.RecordBatch.from_arrays(batch.columns, schema=RUNS)


def partitions(keys: pa.Array, bits: int) -> np.ndarray:
    """Return the partition of each 16-byte key: its first `bits` bits, as int32."""
    if isinstance(keys, pa.ChunkedArray):
        keys = keys.combine_chunks()
    first = raw(keys)[:, :4].copy().view(">u4").reshape(-1).astype(np.uint32)
    return (first >> np.uint32(32 - bits)).astype(np.int32) if bits else np.zeros(len(keys), np.int32)


def by_key(batches: Iterable[pa.RecordBatch], key: str, bits: int, kind: str = "") -> Iterator[Rows]:
    """Yield batches as rows of a kind, which meet by the first bits of a column of 16-byte keys."""
    for batch in batches:
        yield Rows(batch, partitions(batch.column(key), bits), kind)


def bits_for(count: float, per_partition: float, most: int = MOST_BITS) -> int:
    """Return how many bits cut `count` (bytes, rows) into partitions of at most `per_partition`."""
    bits = 0
    while bits < most and count > per_partition * 2**bits:
        bits += 1
    return bits


@dataclasses.dataclass(frozen=True)
class Numbered:
    """The partitions of several tables whose rows are exchanged at once: those of one table follow those of another.

    Attributes:
        bits: Name of a table → how many bits name its partitions.
    """

    bits: Mapping[str, int]

    def __len__(self) -> int:
        return sum(2**bits for bits in self.bits.values())

    def numbers(self, name: str, keys: pa.Array) -> np.ndarray:
        """Return the numbers of the partitions of a table's keys."""
        return partitions(keys, self.bits[name]) + self._first(name)

    def _first(self, name: str) -> np.int32:
        return np.int32(sum(2**bits for other, bits in self.bits.items() if other < name))

    def place(self, number: int) -> tuple[str, int]:
        """Return the table that a partition is of, and which of its partitions it is."""
        for name, bits in sorted(self.bits.items()):
            if number < 2**bits:
                return name, number
            number -= 2**bits
        raise IndexError(number)


def _name(run: int) -> str:
    return f"run-{run:016x}.arrows"


def tasks(files: Iterable[tuple[_T, int]]) -> list[list[_T]]:
    """Return files, together where it takes several to make a unit, in their order.

    Args:
        files: Each with its bytes.
    """
    found: list[list[_T]] = []
    size = TASK_BYTES
    for file, length in files:
        if size >= TASK_BYTES:
            found.append([])
            size = 0
        found[-1].append(file)
        size += length
    return found


class Buffer:
    """Rows that wait until there are enough of them to be cut by partition."""

    def __init__(self) -> None:
        self._waiting: list[tuple[pa.RecordBatch, np.ndarray]] = []
        self._bytes = 0

    def takes(self, batch: pa.RecordBatch, numbers: np.ndarray) -> bool:
        """Add rows with the numbers of their partitions; return whether there are enough now."""
        if batch.num_rows:
            self._waiting.append((batch, numbers))
            self._bytes += batch.nbytes
        return self._bytes >= BUFFER_BYTES

    def emptied(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the rows of each partition, ascending; nothing waits any more."""
        if not self._waiting:
            return
        rows = pa.concat_batches([batch for batch, _ in self._waiting])
        where = np.concatenate([numbers for _, numbers in self._waiting])
        self._waiting, self._bytes = [], 0
        if (where != where[0]).any():
            # Numbers of 16 bits are put in order by their digits, in a fraction of the time.
            order = np.argsort(where.astype(np.uint16) if where.max() < 2**16 else where, kind="stable")
            rows, where = rows.take(pa.array(order)), where[order]
        firsts = np.flatnonzero(np.diff(where, prepend=-1)).tolist()
        for first, stop in itertools.pairwise([*firsts, len(where)]):
            yield int(where[first]), rows.slice(first, stop - first)


class RunWriter:
    """Writes the rows of one worker's unit into one run file, cut by partition.

    Args:
        folder: Where.
        schema: What the rows are; without dictionaries.
        bits: How many bits of the key name a partition, where `add` is told no numbers.
    """

    def __init__(self, folder: str, schema: pa.Schema, bits: int = 0) -> None:
        self._run = uuid.uuid4().int >> 65  # two of a million runs are named alike once in 18 million times
        self._bits = bits
        self._buffer = Buffer()
        self._index: list[tuple[int, int, int, int]] = []
        self._schema = schema
        self._end = 0
        self._path = storage.join(folder, _name(self._run))
        self._is_ending = False
        self._draft = storage.Draft(folder, durable=False)

    def add(self, batch: pa.RecordBatch, key: str) -> None:
        """Add rows; the partition is read from the key column."""
        self.put(batch, partitions(batch.column(key), self._bits))

    def put(self, batch: pa.RecordBatch, numbers: np.ndarray) -> None:
        """Add rows, each with the number of its partition."""
        if self._buffer.takes(batch, numbers):
            self._flush()

    def _flush(self) -> None:
        for number, rows in self._buffer.emptied():
            message = _packed(rows, self._schema)
            self._draft.file.writelines(message)
            length = sum(map(len, message))
            self._index.append((number, self._run, self._end, length))
            self._end += length

    def close(self) -> pa.RecordBatch:
        """Finish the run; return its `RUNS`."""
        self._flush()
        self._is_ending = True
        self._draft.finish(_name(self._run))
        columns = zip(*self._index, strict=True) if self._index else ([] for _ in RUNS)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, RUNS, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=RUNS)

    def discard(self) -> None:
        """Leave no file behind when the unit failed, were it another run of the unit's and this one has ended."""
        self._draft.discard()
        if self._is_ending:
            with contextlib.suppress(Exception):  # the storage fails: that is told
                storage.remove(self._path)


class Runs:
    """The runs of one unit, of each kind of rows that it has; left without a file where the unit fails.

    Args:
        folder: Where.
        kinds: Kind → what its rows are.
    """

    def __init__(self, folder: str, kinds: Mapping[str, pa.Schema]) -> None:
        self._folder, self._kinds = folder, kinds
        self._writers: dict[str, RunWriter] = {}
        self.written: list[pa.RecordBatch] = []

    def put(self, rows: Rows) -> None:
        """Add rows to the run of their kind."""
        if rows.kind not in self._writers:
            self._writers[rows.kind] = RunWriter(self._folder, self._kinds[rows.kind])
        self._writers[rows.kind].put(rows.batch, rows.numbers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the runs: `written` has the `runs_of` each kind then."""
        try:
            if kind is None:
                self._close()
                self._writers = {}  # none is discarded any more
        finally:
            for writer in self._writers.values():
                writer.discard()

    def _close(self) -> None:
        for name in sorted(self._writers):
            runs = self._writers[name].close()
            if runs.num_rows:
                self.written.append(pa.RecordBatch.from_arrays(runs.columns, schema=runs_of(name)))


def write(
    folder: str, schema: pa.Schema, bits: int, batches: Iterable[pa.RecordBatch], key: str
) -> Iterator[pa.RecordBatch]:
    """Write batches into one run, and yield its `RUNS`, if it has rows; leave no file behind where that fails."""
    with Runs(folder, one_kind(schema)) as runs:
        for rows in by_key(batches, key, bits):
            runs.put(rows)
    yield from runs.written


def by_partition(written: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Turn the `RUNS` of all units over: yield each partition that has rows, ascending, and all its `RUNS` as one batch."""
    runs = pa.Table.from_batches(list(written), schema=RUNS).combine_chunks()
    if not runs.num_rows:
        return
    numbers = runs["partition"].to_numpy()
    order = np.argsort(numbers, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        (batch,) = runs.take(pa.array(chosen)).combine_chunks().to_batches()
        yield int(numbers[chosen[0]]), batch


def widen(rows: pa.Table, schema: pa.Schema, **constants: object) -> pa.RecordBatch:
    """Return rows under a schema that holds rows of several kinds: columns that they lack are constant, or null."""
    columns = [
        rows[field.name].cast(field.type).combine_chunks()
        if field.name in rows.schema.names
        else pa.repeat(pa.scalar(constants.get(field.name), field.type), rows.num_rows)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def read(folder: str, references: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Return all rows of one partition, in no particular order.

    Args:
        folder: Where the runs were written.
        references: All the partition's `RUNS`.
        schema: What the rows were written as.
    """
    return pa.concat_tables([schema.empty_table(), *iterate(folder, references, schema)])


def not_reached(path: str) -> InputError:
    """Return what is wrong where a file of a run's work folder is not there: another machine has written it to its own disk."""
    return InputError(
        "rows that another worker has written are not there",
        where=path,
        expected="a ROOT on storage that all workers reach",
        found="no such file",
        remedy="name such a ROOT in the configuration",
    )


def write_sorted(path: str, table: pa.Table) -> None:
    """Write a table that is in order of its first column, 16-byte keys, so that `read_sorted` reads little of it."""
    with storage.write_whole(path, durable=False) as file:
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


def iterate(folder: str, references: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows that `read` returns, message by message: none is larger than a buffer of its writer, or one batch."""
    for row in (row for batch in references for row in batch.to_pylist()):
        path = storage.join(folder, _name(row["run"]))
        try:
            message = storage.read_bytes(path, row["offset"], row["offset"] + row["length"])
        except FileNotFoundError:
            raise not_reached(path) from None
        yield pa.Table.from_batches([_unpacked(message, schema)])


def _packed(rows: pa.RecordBatch, schema: pa.Schema) -> tuple[bytes, pa.Buffer]:
    """Return rows as a message: the number of its bytes, and these, packed.

    Raises:
        ValueError: They are not of the schema.
    """
    if rows.schema != schema:
        raise ValueError(f"rows of {rows.schema} in a run of {schema}")
    message = rows.serialize()
    return _SIZE.pack(message.size), _CODEC.compress(message)


def _unpacked(message: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows of a message."""
    content = _CODEC.decompress(memoryview(message)[_SIZE.size :], *_SIZE.unpack_from(message))
    return pa.ipc.read_record_batch(content, schema)
