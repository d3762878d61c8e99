"""Where the rows of two sides meet by key, however many there are.

Rows are small: a key, what it is compared by (hashes of 64 bits), and the place in a file where the rest stands. They go to
a run file on the temporary disk (`pmd.store.exchange`), cut by the first bits of their keys, and each bucket is compared
alone. So memory is one bucket of about `BUCKET_ROWS` rows, whatever the number of rows; texts are read back for the
examples alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pmd.formats import parquet
from pmd.schema.tables import KEY
from pmd.store import exchange, parquet_files, sealed, spools

A, B = "a", "b"

#: Rows of a bucket, of both sides together: some 200 MB while they are joined.
BUCKET_ROWS: Final = 1 << 19

#: What a side says of a key. A key may have several rows of a side, of different kinds.
ROWS: Final = pa.schema(
    [
        pa.field("key", KEY, nullable=False),
        pa.field("side", pa.string(), nullable=False),  # a or b
        pa.field("kind", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("first", pa.uint64()),  # hashes of what is compared; the kind says of what
        pa.field("second", pa.uint64()),
        pa.field("rest", pa.uint64()),
        pa.field("file", pa.int32()),
        pa.field("row", pa.int64()),
    ]
)


#: Told of (rows that have passed, rows in all; 0 where nobody knows).
Tell = Callable[[int, int], None]


class Passed:
    """Tells how many rows have passed. Each does twice: when it is read, and when it is compared."""

    def __init__(self, tell: Tell | None, rows: int = 0) -> None:
        """Tell of about so many rows of both sides; 0 where nobody knows."""
        self._tell = tell
        self._total = 2 * rows
        self._done = 0

    def add(self, rows: int) -> None:
        """Count rows."""
        self._done += rows
        if self._tell is not None:
            self._tell(min(self._done, self._total) if self._total else self._done, self._total)


class Meeting:
    """Collects rows, then gives them back bucket by bucket; a context manager."""

    def __init__(self, records: int, passed: Passed) -> None:
        """Prepare for about `records` rows in all; those that pass are counted."""
        self._passed = passed
        self._bits = exchange.bits_for(records, BUCKET_ROWS)
        self._files: list[str] = []

    def __enter__(self) -> Meeting:
        self._folder = tempfile.TemporaryDirectory(prefix="diff-", dir=spools.folder())
        self._run = exchange.RunWriter(self._folder.name, ROWS, self._bits)
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:  # not read to its end
            self._run.close()
        self._folder.cleanup()

    def read(self, path: str, columns: Iterable[str] | None = None) -> Iterator[tuple[pa.RecordBatch, int, pa.Array]]:
        """Yield the batches of a Parquet file, the file's number, and the place of each row in it."""
        yield from self.number(path, parquet_files.iterate(path, columns))

    def number(self, path: str, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, int, pa.Array]]:
        """Yield the batches that are read of a file, as `read` does."""
        number = len(self._files)
        self._files.append(path)
        row = 0
        for batch in batches:
            yield batch, number, pa.array(np.arange(row, row + len(batch)))
            row += len(batch)

    def add(self, key: Any, *, side: str, kind: str, **columns: Any) -> None:
        """Add rows.

        Args:
            key: Keys of 16 bytes, without nulls.
            side: `A` or `B`.
            kind: What kind of rows they are.
            columns: The other columns of `ROWS`: arrays, or one value for all rows.
        """
        count = len(key)
        given: dict[str, Any] = {"key": key, "side": side, "kind": kind, **columns}
        batch = pa.RecordBatch.from_arrays(
            [_column(given.get(field.name), field.type, count) for field in ROWS], schema=ROWS
        )
        self._run.add(batch, "key")
        self._passed.add(count)

    def buckets(self) -> Iterator[pl.DataFrame]:
        """Yield all rows of one range of keys after the other, in order of keys; no row can be added any more."""
        self._open = False
        for _, runs in exchange.by_partition([self._run.close()]):
            rows = pl.from_arrow(exchange.read(self._folder.name, [runs], ROWS))
            assert isinstance(rows, pl.DataFrame)
            yield rows
            self._passed.add(rows.height)

    def row(self, file: int | None, row: int | None, columns: list[str]) -> dict[str, Any]:
        """Return some columns of a row where it stands; empty where it stands nowhere."""
        if file is None or row is None:
            return {}
        with parquet.telling(self._files[file]), sealed.open_checked(self._files[file]) as raw:
            table = pq.ParquetFile(raw)
            wanted = [name for name in columns if name in table.schema_arrow.names]
            for group in range(table.num_row_groups):
                count = table.metadata.row_group(group).num_rows
                if row < count:
                    found = table.read_row_group(group, columns=wanted, use_threads=False)
                    return dict(found.slice(row, 1).to_pylist()[0])
                row -= count
        raise AssertionError(f"{self._files[file]} has no such row")


def _column(value: Any, kind: pa.DataType, count: int) -> pa.Array:
    if isinstance(value, pa.ChunkedArray):
        value = value.combine_chunks()
    if isinstance(value, pl.Series):
        value = value.to_arrow()
    if isinstance(value, pa.Array):
        return value.cast(kind)
    return pa.nulls(count, kind) if value is None else pa.repeat(pa.scalar(value, kind), count)


def hashes(batch: pa.RecordBatch | pa.Table, columns: list[str]) -> pl.Series:
    """Return a number for each row that is equal where all these columns are; within one process."""
    frame = pl.from_arrow(batch.select(columns))
    assert isinstance(frame, pl.DataFrame)
    return frame.select(pl.struct(columns).hash().alias("hash"))["hash"]


def joined(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Return one row a key: the columns of both sides, ending in `_a` and `_b`."""
    both = a.join(b, on="key", how="full", coalesce=True, suffix="_b")
    return both.rename({name: f"{name}_a" for name in both.columns if name != "key" and not name.endswith("_b")})


class Examples:
    """Keeps the first few rows of each kind of difference, by key, since buckets come in order of keys."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[tuple[Any, ...], list[dict[str, Any]]] = {}

    def add(self, rows: pl.DataFrame, by: list[str], **more: Any) -> None:
        """Keep what is still wanted of rows; `by` are the columns that say of which kind each is."""
        if not self._limit or not rows.height:
            return
        for row in rows.sort("key").group_by(by, maintain_order=True).head(self._limit).to_dicts():
            kept = self._kept.setdefault((*more.values(), *(row[name] for name in by)), [])
            if len(kept) < self._limit:
                kept.append({**row, **more})

    def all(self) -> list[dict[str, Any]]:
        """Return the rows, those of a kind together, kinds in order."""
        return [row for _, rows in sorted(self._kept.items(), key=lambda item: repr(item[0])) for row in rows]
