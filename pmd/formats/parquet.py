"""Parquet tables: which columns they have, and their rows, a few row groups at a time; the form of most of the Hub's mirrors.

A table is cut at its row groups, which workers read alone. Of a row only the columns that are asked for are read, so that
a mirror with the pictures in it costs no more than one without. Memory does not grow with a row group: its pages are read
batch by batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.errors import InputError
from pmd.formats import metering
from pmd.store import storage

#: The first and the last bytes of a table.
MAGIC: Final = b"PAR1"

#: Bytes of row groups in a chunk, uncompressed: some minutes of work for one core at most.
RANGE_BYTES: Final = 64 * 1024 * 1024
#: Rows in a batch. Captions are some hundred bytes; an image of WIT, with all the articles that it is in, some 100 kB.
BATCH_ROWS: Final = 1024

_AGAIN: Final = "fetch the file again: it is cut short, or damaged"


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of one row group.

    Attributes:
        batch: The columns that were asked for, in the file's types.
        label: What places call the file.
        group: Number of the row group in the file, from 0.
        first: Number of the first of the rows in the row group, from 0.
    """

    batch: pa.RecordBatch
    label: str
    group: int
    first: int

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


def schema_of(path: str) -> pa.Schema:
    """Return the columns of a table and their types.

    Raises:
        InputError: The file is damaged, or cut short.
    """
    with _reading(path) as table, _telling(path):
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
    """Yield the rows of the row groups [start, stop), in order, at most `BATCH_ROWS` at a time.

    Args:
        path: The table.
        columns: The columns wanted; all are there.
        start: First row group.
        stop: End, exclusive; None means the end of the table.

    Raises:
        InputError: The file is damaged, or cut short; names the row group.
    """
    with _reading(path) as table:
        for group in range(start, table.metadata.num_row_groups if stop is None else stop):
            first = 0
            with _telling(f"{path}:row group {group}"):
                for batch in table.iter_batches(BATCH_ROWS, row_groups=[group], columns=list(columns)):
                    metering.add_rows(len(batch))
                    yield Rows(batch.select(list(columns)), path, group, first)
                    first += len(batch)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column is text; bytes without a name for what they are count as text, as old writers leave them."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


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
def _reading(path: str) -> Iterator[pq.ParquetFile]:
    with storage.open_raw(path) as file:
        with _telling(path):
            table = pq.ParquetFile(file, page_checksum_verification=True)
        yield table


@contextlib.contextmanager
def _telling(where: str) -> Iterator[None]:
    """Turn damage into an `InputError`; what the storage has to say of itself stays as it is."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(
            "the Parquet table is damaged or cut short",
            where=where,
            expected="a Parquet table, whole",
            found=" ".join(str(error).split())[:200],
            remedy=_AGAIN,
        ) from None
