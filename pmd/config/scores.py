"""Anyone's scores as a filter: a Parquet file with an id and a score, and the condition under which pairs stay.

A rule is read once, by the driver, into a file of the ids that decide: those that fail, and, where a missing score rejects, those
that pass. Ids are sorted whole, so that a batch is looked up by bisection, at 16 bytes an id, whatever ids a file has. They are
sorted by buckets of their first bits, on disk once they are many, and whoever looks up maps the file: memory does not grow with
them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import operator
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import IO, Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.errors import InputError
from pmd.formats import parquet
from pmd.schema.keys import sortable
from pmd.store import mapped, spools, storage

#: Ids as strings of 16 bytes, whose order is that of their bytes. NumPy shows them without zeros at their ends; among strings of
#: one length that makes no two alike.
Ids = npt.NDArray[np.bytes_]

_OPERATORS: Final[dict[str, Callable[[Any, float], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_CONDITION: Final = re.compile(
    r"\s*([A-Za-z_][\w.-]*)\s*(<=|>=|==|!=|<|>)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*"
)
#: Columns that a score may be joined by.
IDS: Final = ("pair_id", "image_id")


@dataclasses.dataclass(frozen=True)
class Condition:
    """`column operator number`."""

    column: str
    operator: str  # one of those of Python that compare numbers
    number: float

    def holds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return for which values it holds; NaN is no value, and callers leave it out."""
        return np.asarray(_OPERATORS[self.operator](values, self.number), bool)


def parse(text: str) -> Condition:
    """Read a condition.

    Raises:
        ValueError: It is none.
    """
    match = _CONDITION.fullmatch(text)
    if match is None or not math.isfinite(float(match[3])):
        raise ValueError('a column, one of < <= > >= == !=, and a number, as in "nsfw < 0.2"')
    return Condition(match[1], match[2], float(match[3]))


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """What a rule decides, by id.

    Attributes:
        column: `pair_id` or `image_id`.
        ids: In order, each once: those that fail, or, with `rejects_missing`, those that pass.
        rejects_missing: Whether an id that is not among them leaves.
    """

    column: str
    ids: Ids
    rejects_missing: bool

    def has(self, keys: pa.Array) -> npt.NDArray[np.bool_]:
        """Return which 16-byte keys are among the ids."""
        wanted = sortable(keys)
        if not len(self.ids):
            return np.zeros(len(wanted), bool)
        at = np.searchsorted(self.ids, wanted)
        return np.asarray(self.ids[np.minimum(at, len(self.ids) - 1)] == wanted, bool)


@dataclasses.dataclass(frozen=True)
class Held:
    """`Verdicts` in a file.

    Attributes:
        path: The file: the ids, end to end.
        ids: How many.
        column: See `Verdicts`.
        rejects_missing: See `Verdicts`.
    """

    path: str
    ids: int
    column: str
    rejects_missing: bool

    def mapped(self) -> Verdicts:
        """Return the verdicts, whose ids the system reads as they are looked at, and can take back."""
        ids = np.asarray(np.memmap(mapped.path(self.path, _ID_BYTES * self.ids), _ID, "r")) if self.ids else _NONE
        return Verdicts(self.column, ids, self.rejects_missing)


def put(path: str, keep: str, missing: Literal["keep", "reject"], folder: str) -> Held:
    """Read a rule's file, a batch at a time, and write what it decides into a file of a folder.

    An id that stands in it several times must pass every time. A null or NaN score is a missing one.

    Args:
        path: A Parquet file with `pair_id` or `image_id` (16 bytes or 32 hex digits) and the condition's column, numbers.
        keep: The condition under which pairs stay.
        missing: What becomes of those without a score.
        folder: Where. Whoever has it mapped knows it by its path, so each has a name of its own.

    Raises:
        InputError: The file is not there or not like that.
    """
    condition = parse(keep)
    parquet.refuse_others(path, f"a Parquet file with {' or '.join(IDS)}, and {condition.column}")
    column, ids = "", 0
    url = storage.join(folder, f"scores-{uuid.uuid4().hex}")
    with _Buckets(_rows(path)) as buckets, storage.write_whole(url, durable=False) as target:
        for joined, batch in _batches(path, condition.column):
            column = joined
            values = pc.fill_null(batch[1], float("nan")).to_numpy(zero_copy_only=False)
            there = ~np.isnan(values)
            buckets.add(sortable(keys_of(batch[0], path))[there], condition.holds(values[there]))
        for failing, passing in buckets.sorted():
            decide = failing if missing == "keep" else passing[~np.isin(passing, failing, assume_unique=True)]
            target.write(decide.tobytes())
            ids += len(decide)
    return Held(url, ids, column, missing == "reject")


#: Ids of a bucket, about: sorted, with copies, some 15 MB.
_BUCKET_IDS: Final = 2**17
#: Each may be an open file, and macOS gives a process 256.
_MOST_BITS: Final = 7
#: What all buckets together hold in memory; what is more goes to temporary files.
_SPOOL_BYTES: Final = 2**24
_ID: Final = np.dtype("S16")
_ID_BYTES: Final = _ID.itemsize
_NONE: Final = np.zeros(0, _ID)
_SCORED: Final = np.dtype([("id", _ID), ("good", "?")])


class _Buckets:
    """Ids with what their scores say, by their first bits; a context manager.

    Args:
        rows: About how many come.
    """

    def __init__(self, rows: int) -> None:
        self._bits = min((max(rows - 1, 0) // _BUCKET_IDS).bit_length(), _MOST_BITS)
        self._stack = contextlib.ExitStack()
        self._buckets: list[IO[bytes]] = []

    def __enter__(self) -> _Buckets:
        self._buckets = [
            self._stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES >> self._bits))  # noqa: SIM115  the stack closes it
            for _ in range(2**self._bits)
        ]
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, ids: Ids, good: npt.NDArray[np.bool_]) -> None:
        """Add ids, and whether each one's score passes."""
        rows = np.zeros(len(ids), _SCORED)
        rows["id"], rows["good"] = ids, good
        first = np.frombuffer(ids.tobytes(), ">u2")[:: _ID_BYTES // 2].astype(np.int64)
        where = first >> (16 - self._bits)
        rows = rows[np.argsort(where, kind="stable")]
        starts = np.r_[0, np.cumsum(np.bincount(where, minlength=len(self._buckets)))]
        with spools.named():
            for bucket, start, stop in zip(self._buckets, starts, starts[1:], strict=False):
                if start < stop:
                    bucket.write(rows[start:stop].tobytes())

    def sorted(self) -> Iterator[tuple[Ids, Ids]]:
        """Yield the ids that fail and those that pass once at least, each once and in order, bucket after bucket."""
        for bucket in self._buckets:
            with spools.named():
                bucket.seek(0)
                rows = np.frombuffer(bucket.read(), _SCORED)
            bucket.close()
            yield np.unique(rows["id"][~rows["good"]]), np.unique(rows["id"][rows["good"]])


def _rows(path: str) -> int:
    with parquet.telling(path), storage.open_raw(path) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)


def _batches(path: str, score: str) -> Iterator[tuple[str, pa.RecordBatch]]:
    with parquet.telling(path), storage.open_raw(path) as file:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        ids = [name for name in names if name in IDS]
        if len(ids) != 1 or names.count(score) != 1:
            raise InputError(
                "scores without the columns that the rule needs",
                where=path,
                expected=f"one of the columns {' and '.join(IDS)}, and {score}",
                found=", ".join(names),
            )
        kind = table.schema_arrow.field(score).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise InputError("a score that is no number", where=f"{path}: {score}", expected="numbers", found=str(kind))
        for batch in table.iter_batches(columns=[ids[0], score]):
            yield (
                ids[0],
                pa.record_batch([batch[ids[0]], batch[score].cast(pa.float64(), safe=False)], names=["id", "score"]),
            )
        if not table.metadata.num_rows:
            yield (
                ids[0],
                pa.record_batch([pa.array([], pa.string()), pa.array([], pa.float64())], names=["id", "score"]),
            )


def keys_of(ids: pa.Array, path: str) -> pa.Array:
    """Return ids, 16 bytes or 32 hexadecimal digits each, as 16 bytes; whoever has a mistake is told the path."""
    values = ids.to_pylist()
    try:
        keys = [bytes.fromhex(value) if isinstance(value, str) else value for value in values]
    except ValueError:
        keys = []
    if len(keys) != len(values) or not all(isinstance(key, bytes) and len(key) == 16 for key in keys):
        raise InputError("an id that is none", where=path, expected="16 bytes, or 32 hex digits", found=str(ids.type))
    return pa.array(keys, pa.binary(16))
