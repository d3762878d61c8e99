"""Tables as Parquet files: the same rows give the same bytes, and only the bytes that were committed are read."""

from __future__ import annotations

import io
import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.store import sealed, storage
from pmd.store.commits import File, put_content

#: Rows in a Parquet row group. Fixed, because other groups give other bytes; 64k rows of pairs are about 30 MB.
ROW_GROUP_ROWS: Final = 65_536
#: Rows by which a column is judged to repeat itself.
_HEAD_ROWS: Final = 4096


def to_bytes(table: pa.Table, *, page_index: bool = False) -> bytes:
    """Return a table as Parquet: the same rows give the same bytes, however they were chunked.

    Args:
        table: The rows.
        page_index: Whether readers can find rows in it without reading whole row groups, as viewers on the web do.
    """
    sink = io.BytesIO()
    write(sink, [table], page_index=page_index)
    return sink.getvalue()


def write(sink: BinaryIO, tables: Iterable[pa.Table], *, page_index: bool = False) -> None:
    """Write tables of one schema, one at least, as `to_bytes` would all their rows.

    Args:
        sink: What is written to; it stays open.
        tables: Each but the last of full row groups (`ROW_GROUP_ROWS`).
        page_index: See `to_bytes`.
    """
    parts = (table.combine_chunks() for table in tables)
    first = next(parts)
    with pq.ParquetWriter(
        sink,
        first.schema,
        # Level 3 takes twice the time of 1 for a hundredth fewer bytes; so does a dictionary of texts that never repeat.
        compression="zstd",
        compression_level=1,
        use_dictionary=_repeating(first),
        write_statistics=True,
        write_page_index=page_index,
        store_schema=True,
    ) as writer:
        for rows in itertools.chain([first], parts):
            writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)


def _repeating(rows: pa.Table) -> list[str]:
    """Return the columns of strings whose first rows repeat one another: those that a dictionary makes smaller."""
    head = rows.slice(0, _HEAD_ROWS)
    return [
        field.name
        for field in rows.schema
        if pa.types.is_dictionary(field.type)
        or (pa.types.is_string(field.type) and 4 * pc.count_distinct(head[field.name], mode="all").as_py() <= len(head))
    ]


def put_table(folder: str, prefix: str, table: pa.Table, *, durable: bool = True, page_index: bool = False) -> File:
    """Write a table as one committed Parquet file; see `put_content` and `to_bytes`."""
    content = to_bytes(table, page_index=page_index)
    return put_content(folder, prefix, ".parquet", content, table.num_rows, durable=durable)


def read_table(folder: str, file: File, columns: Iterable[str] | None = None, later: Collection[str] = ()) -> pa.Table:
    """Read one committed Parquet file, or some of its columns; of `later`, which files of earlier versions lack, those it has.

    Raises:
        VerificationError: It is gone, or has other bytes than were committed.
    """
    wanted = list(columns) if columns is not None else None
    with sealed.open_checked(storage.join(folder, file.name)) as source:
        # Neither `pq.read_table` nor threads: Arrow's threads let go of a Python file's buffers a little later than they
        # answer, and a process that ends in between is aborted (seen in one of 12 runs of a short command).
        parquet = pq.ParquetFile(source)
        if wanted is not None and later:
            there = parquet.schema_arrow.names
            wanted = [name for name in wanted if name in there or name not in later]
        table = parquet.read(columns=wanted, use_threads=False)
    return without_dictionaries(table if wanted is None else table.select(wanted))


def iterate(
    path: str, columns: Iterable[str] | None = None, rows: int | None = None, column_bytes: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield a Parquet file's rows, a row group at a time, or so many rows.

    Args:
        path: The file.
        columns: Those that are read; None: all.
        rows: So many at a time, at most.
        column_bytes: Fewer, where a column of so many would take more bytes than this in a row group, on average.

    Raises:
        VerificationError: It is a committed file that is gone, or has other bytes.
    """
    wanted = list(columns) if columns is not None else None
    with sealed.open_checked(path) as file:
        parquet = pq.ParquetFile(file)
        if rows is not None:
            number = rows if column_bytes is None else _fitting(parquet.metadata, wanted, rows, column_bytes)
            for batch in parquet.iter_batches(number, columns=wanted, use_threads=False):
                yield from without_dictionaries(pa.Table.from_batches([batch])).to_batches()
            return
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=wanted, use_threads=False)
            yield from without_dictionaries(table).combine_chunks().to_batches()


def _fitting(told: pq.FileMetaData, columns: list[str] | None, rows: int, column_bytes: int) -> int:
    """Return a number of rows whose longest column has about so many bytes: so many, or half, a fourth and so on of them."""
    longest = 0.0
    for group in (told.row_group(number) for number in range(told.num_row_groups)):
        for column in (group.column(number) for number in range(group.num_columns)):
            if columns is None or column.path_in_schema.partition(".")[0] in columns:
                longest = max(longest, column.total_uncompressed_size / max(group.num_rows, 1))
    while rows > 1 and rows * longest > column_bytes:
        rows = (rows + 1) // 2
    return rows


def without_dictionaries(rows: pa.Table) -> pa.Table:
    """Return rows with plain columns in place of dictionaries: how a file is encoded is nothing to those who use its rows."""
    plain = pa.schema([field.with_type(plain_type(field)) for field in rows.schema], rows.schema.metadata)
    return rows if plain == rows.schema else rows.cast(plain)


def plain_type(field: pa.Field) -> pa.DataType:
    """Return the type of a column's values, of a dictionary those that it is made of."""
    return field.type.value_type if pa.types.is_dictionary(field.type) else field.type
