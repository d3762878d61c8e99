"""Parquet tables: which columns they have, and their rows, a few row groups at a time; the form of most of the Hub's mirrors.

A table is cut at its row groups, which workers read alone. Of a row only the columns that are asked for are read, so that
a mirror with the pictures in it costs no more than one without. Memory does not grow with a row group: its pages are read
batch by batch.

A few bytes may stand for many: a text that a row group has once may be that of every row. So the longest of these is looked at
before rows are read, and rows are read so few at a time that they cannot be more than `BATCH_BYTES`. What is held is that, and
what pages take once they are unpacked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.errors import InputError
from pmd.formats import metering, mistaken, tsv
from pmd.store import clients, shortage, storage

#: The first and the last bytes of a table.
MAGIC: Final = b"PAR1"

#: Bytes of row groups in a chunk, uncompressed: some minutes of work for one core at most.
RANGE_BYTES: Final = 64 * 1024 * 1024
#: Rows in a batch. Captions are some hundred bytes; an image of WIT, with all the articles that it is in, some 100 kB.
BATCH_ROWS: Final = 1024
#: Rows in a batch where a column holds lists or objects, whose text cannot be read as numbers of values.
BATCH_ROWS_NESTED: Final = 64
#: Bytes of text in a batch, at most; also those of a row: as of a row of quoted text.
BATCH_BYTES: Final = tsv.MAX_ROW_BYTES

_AGAIN: Final = "fetch the file again: it is cut short, or damaged"


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of one row group.

    Attributes:
        batch: The columns that were asked for, in the file's types; text that the file has as numbers of values, as text.
        label: What places call the file.
        group: Number of the row group in the file, from 0.
        first: Number of the first of the rows in the row group, from 0.
        long: Index of each row of more than `BATCH_BYTES` of text → a digest of its texts, which are null in `batch`.
    """

    batch: pa.RecordBatch
    label: str
    group: int
    first: int
    long: Mapping[int, bytes] = dataclasses.field(default_factory=dict)

    def place(self, index: int) -> str:
        """Return where a row stands: "FILE:row group 3, row 17", both from 0."""
        return f"{self.label}:row group {self.group}, row {self.first + index}"

    def places(self) -> pa.Array:
        """Return `place` of every row."""
        numbers = pa.array(np.arange(self.first, self.first + len(self.batch))).cast(pa.string())
        return pc.binary_join_element_wise(f"{self.label}:row group {self.group}, row ", numbers, "")


def is_parquet(path: str) -> bool:
    """Return whether a file begins as a Parquet table does.

    Raises:
        InputError: There is no such file.
    """
    with storage.open_raw(path) as file:
        return file.read(len(MAGIC)) == MAGIC


def refuse_others(path: str, expected: str) -> None:
    """Refuse a file that does not begin as a Parquet table does.

    Args:
        path: The file.
        expected: What it should be.

    Raises:
        InputError: It is another file, or there is none.
    """
    if not is_parquet(path):
        found, remedy = mistaken.at(path) or (None, None)
        raise InputError("not a Parquet file", where=path, expected=expected, found=found, remedy=remedy)


def schema_of(path: str) -> pa.Schema:
    """Return the columns of a table and their types.

    Raises:
        InputError: The file is damaged, or cut short.
    """
    with _reading(path) as table, telling(path):
        schema = table.schema_arrow
        _ = schema.names  # which are decoded when they are asked for
        return schema


def class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return column → names of its classes, for columns that hold numbers of classes (`ClassLabel` of the library datasets).

    The library writes them into the table's metadata; a table without has none.
    """
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            name: tuple(map(str, feature["names"]))
            for name, feature in features.items()
            if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):  # anyone may write anything there
        return {}


def row_count(path: str) -> int:
    """Return how many rows a table has, as its end says.

    Raises:
        InputError: The file is damaged, or cut short.
    """
    with _reading(path) as table:
        return int(table.metadata.num_rows)


def text_bytes(path: str) -> int:
    """Return about how many bytes of text a table holds: its columns of strings, uncompressed, and no picture.

    Raises:
        InputError: The file is damaged, or cut short.
    """
    with _reading(path) as table:
        texts = [number for number, column in enumerate(table.schema) if column.logical_type.type == "STRING"]
        groups = [table.metadata.row_group(number) for number in range(table.metadata.num_row_groups)]
        return int(sum(group.column(number).total_uncompressed_size for group in groups for number in texts))


def ranges(path: str, target_bytes: int = RANGE_BYTES) -> list[tuple[int, int]]:
    """Cut a table into runs [start, stop) of row groups that end where they reach `target_bytes`; at least one.

    Raises:
        InputError: The file is damaged, or cut short.
    """
    cuts: list[tuple[int, int]] = []
    start, total = 0, 0
    with _reading(path) as table:
        groups = table.metadata.num_row_groups
        for group in range(groups):
            total += table.metadata.row_group(group).total_byte_size
            if total >= target_bytes:
                cuts.append((start, group + 1))
                start, total = group + 1, 0
    return [*cuts, (start, groups)] if start < groups or not cuts else cuts


def read(path: str, columns: Sequence[str], start: int = 0, stop: int | None = None) -> Iterator[Rows]:
    """Yield the rows of the row groups [start, stop), in order, at most `BATCH_ROWS` and `BATCH_BYTES` of text at a time.

    Args:
        path: The table.
        columns: The columns wanted; all are there.
        start: First row group.
        stop: End, exclusive; None means the end of the table.

    Raises:
        InputError: The file is damaged, or cut short; names the row group.
    """
    texts = [field.name for field in schema_of(path) if field.name in columns and is_text(field.type)]
    with _reading(path) as table, _reading(path, texts) as numbered:
        for group in range(start, table.metadata.num_row_groups if stop is None else stop):
            first = 0
            with telling(f"{path}:row group {group}"):
                rows = min(_batch_rows(table, group, columns), BATCH_BYTES // max(_longest(numbered, group, texts), 1))
                for batch in table.iter_batches(max(rows, 1), row_groups=[group], columns=list(columns)):
                    metering.add_rows(len(batch))
                    for part, long in _written_out(batch.select(list(columns)), texts):
                        yield Rows(part, path, group, first, long)
                        first += len(part)


def _batch_rows(table: pq.ParquetFile, group: int, columns: Sequence[str]) -> int:
    """Return how many rows of a row group are read at a time: fewer where they are large, as the file says."""
    about = table.metadata.row_group(group)
    stored = [about.column(number) for number in range(about.num_columns)]
    asked = tuple(f"{name}." for name in columns)  # lists and objects are stored as "NAME.…"
    held = sum(one.total_uncompressed_size for one in stored if f"{one.path_in_schema}.".startswith(asked))
    nested = any(pa.types.is_nested(table.schema_arrow.field(name).type) for name in columns)
    return min(BATCH_ROWS_NESTED if nested else BATCH_ROWS, int(BATCH_BYTES * about.num_rows // max(held, 1)))


def _longest(numbered: pq.ParquetFile, group: int, texts: Sequence[str]) -> int:
    """Return the bytes of the longest texts that rows of a group have by number: one of each column."""
    # All numbered values of a group stand before its rows, and come with the first of them.
    batch = next(numbered.iter_batches(1, row_groups=[group], columns=list(texts)), None) if texts else None
    if batch is None:
        return 0
    return sum(int(pc.max(pc.binary_length(batch[name].dictionary)).as_py() or 0) for name in texts)


def _written_out(batch: pa.RecordBatch, texts: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, dict[int, bytes]]]:
    """Yield a batch with its texts as such, some rows at a time, and its rows that have too many bytes of them."""
    batch = _without_views(batch, texts)
    numbered = any(pa.types.is_dictionary(batch[name].type) for name in texts)
    if not numbered and sum(batch[name].nbytes for name in texts) <= BATCH_BYTES:  # as nearly always
        yield batch, {}
        return
    sizes = np.zeros(len(batch), np.int64)
    for name in texts:
        sizes += _sizes(batch[name])
    is_long = sizes > BATCH_BYTES
    ends = np.cumsum(np.where(is_long, 0, sizes))
    start = 0
    while start < len(batch):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, "right")))
        part = batch.slice(start, stop - start)
        long = {int(row): _digest(part, texts, int(row)) for row in np.flatnonzero(is_long[start:stop])}
        kept = pa.array(~is_long[start:stop]) if long else None
        for name in texts:
            part = part.set_column(part.schema.get_field_index(name), name, _dense(part[name], kept))
        yield part, long
        start = stop


def _without_views(batch: pa.RecordBatch, texts: Sequence[str]) -> pa.RecordBatch:
    """Return a batch whose texts stand one behind another: of views, as DataFusion writes them, Arrow tells no lengths."""
    for name in texts:
        kind = batch[name].type
        if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
            plain = batch[name].cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
            batch = batch.set_column(batch.schema.get_field_index(name), name, plain)
    return batch


def _sizes(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the bytes of each value of a column of texts; 0 of null."""
    if pa.types.is_dictionary(column.type):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
    else:
        lengths = pc.binary_length(column)
    return np.asarray(pc.fill_null(lengths, 0).cast(pa.int64()))


def _dense(column: pa.Array, kept: pa.Array | None) -> pa.Array:
    """Return a column of texts with each of them written out; null where they are not kept."""
    if not pa.types.is_dictionary(column.type):
        return column if kept is None else pc.if_else(kept, column, pa.scalar(None, column.type))
    indices = column.indices
    return column.dictionary.take(indices if kept is None else pc.if_else(kept, indices, pa.scalar(None, indices.type)))


def _digest(batch: pa.RecordBatch, texts: Sequence[str], row: int) -> bytes:
    """Return what tells a row from others by its texts, one of which is held at a time."""
    found = hashlib.sha256()
    for name in texts:
        column = batch[name]
        value = (
            column.dictionary.slice(column.indices[row].as_py() or 0, 1)
            if pa.types.is_dictionary(column.type)
            else column.slice(row, 1)
        )
        raw = value.cast(pa.large_binary()).to_pylist()[0] if column[row].is_valid else None
        found.update(b"-" if raw is None else hashlib.sha256(raw).digest())
    return found.digest()


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column is text; bytes without a name for what they are count as text, as old writers leave them."""
    kind = _of_values(kind)
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column is numbers of any kind, or true and false."""
    kind = _of_values(kind)
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def _of_values(kind: pa.DataType) -> pa.DataType:
    """Return what the values of a column are, whether they stand in a dictionary or not."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def undecodable(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Return for each value of a text column whether its bytes are not UTF-8: Arrow reads them as they are."""
    invalid = np.zeros(len(column), np.bool_)
    raw = column.cast(pa.large_binary())
    try:
        raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        for row, value in enumerate(raw.to_pylist()):
            try:
                (value or b"").decode()
            except UnicodeDecodeError:
                invalid[row] = True
    return invalid


@contextlib.contextmanager
def _reading(path: str, as_numbers: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """Open a table; some of its columns of text are read as numbers of distinct values."""
    with storage.open_raw(path) as file:
        with telling(path):
            table = pq.ParquetFile(file, page_checksum_verification=True, read_dictionary=list(as_numbers))
        yield table


@contextlib.contextmanager
def telling(where: str) -> Iterator[None]:
    """Turn damage into an `InputError`; what the storage has to say of itself stays as it is.

    Whoever reads a table that a person has named does so within: damage may show in the footer, or in any page.
    """
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        if clients.raised(error) or (isinstance(error, OSError) and error.errno is not None):
            raise
        shortage.refuse_lack(error)
        raise InputError(
            "the Parquet table is damaged or cut short",
            where=where,
            expected="a Parquet table, whole",
            found=" ".join(str(error).split())[:200],
            remedy=_AGAIN,
        ) from None
