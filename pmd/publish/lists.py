"""The rows of published lists, wherever these were copied to, and whoever wrote them again."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pmd import manifests
from pmd.books import list_files
from pmd.errors import InputError, VerificationError
from pmd.formats import folders, parquet
from pmd.publish.rules import LATER, PUBLISHED
from pmd.store import parquet_files, sealed

#: A row as it is read: `PUBLISHED`, however a file is encoded.
ROWS: Final = parquet_files.without_dictionaries(PUBLISHED.empty_table()).schema

#: Columns that may stand in the names of folders, where others have parted a list by them.
_PLAIN: Final = frozenset(field.name for field in ROWS if not pa.types.is_nested(field.type))

_REMEDY: Final = "give a ROOT, ROOT/publish or one of its folders, or a copy of them"


def files(url: str) -> list[str]:
    """Return `paths`, each of which is a file of a list.

    Raises:
        InputError: One is none.
    """
    found = list_files.paths(url)
    for path in found:
        check(path)
    return found


def check(path: str) -> None:
    """Raise where a file is none of a list.

    Raises:
        InputError: It is no Parquet file, or lacks columns of `PUBLISHED` that every version has.
        VerificationError: It is a committed file that is gone, or has other bytes.
    """
    parquet.refuse_others(path, "a list of pmd publish")
    with parquet.telling(path), _opened(path) as file:
        schema = pq.ParquetFile(file).schema_arrow
        names = schema.names
    there = {*names, *of_folders(path)}
    absent = [name for name in PUBLISHED.names if name not in there and name not in LATER]
    if absent:
        raise InputError(
            "not a list that pmd publish wrote",
            where=path,
            expected=f"the columns {', '.join(name for name in PUBLISHED.names if name not in LATER)}",
            found=f"none called {', '.join(absent)}",
            remedy=_REMEDY,
        )
    for field in PUBLISHED:
        found = [str(one.type) for one in schema if one.name == field.name and not _is_alike(one.type, field.type)]
        if names.count(field.name) > 1:
            found = [f"{names.count(field.name)} columns of that name"]
        if found:
            raise InputError(
                "a column is not as pmd publish writes it",
                where=f"{path}: {field.name}",
                expected=str(parquet_files.plain_type(field)),
                found=found[0],
                remedy=_REMEDY,
            )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Open a file of a list, as `sealed.open_checked` does; whoever has a copy has no ROOT to repair."""
    try:
        file = sealed.open_checked(path)
    except VerificationError as error:
        if list_files.is_under_root(path, ()):
            raise
        remedy = "copy it again from where it came from; pmd verify FOLDER tells of all files of a release"
        raise VerificationError(
            error.problem, where=error.where, expected=error.expected, found=error.found, remedy=remedy
        ) from None
    with file:
        yield file


def _is_alike(found: pa.DataType, expected: pa.DataType) -> bool:
    """Return whether values of one type can be read as those of another: other libraries widen what they write again."""
    found, expected = (kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (found, expected))
    if pa.types.is_list(expected):
        return pa.types.is_null(found) or (_is_list(found) and _is_alike(found.value_type, expected.value_type))
    kinds = (_is_text, pa.types.is_integer, pa.types.is_floating)
    return pa.types.is_null(found) or any(kind(found) and kind(expected) for kind in kinds)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def of_folders(path: str) -> dict[str, str | None]:
    """Return column → the value of all rows of a list's file, by the names of its folders; its own columns go before these."""
    found = {name: value for name, value in folders.said(path).items() if name in _PLAIN}
    if (source := found.get("source")) is not None:
        found["source"] = manifests.hub_name(source)  # ours is what our own folders say
    return found


def columns(path: str) -> list[str]:
    """Return the columns that a file of a list has, by itself or by its folders."""
    with parquet.telling(path), _opened(path) as file:
        return [*dict.fromkeys([*pq.ParquetFile(file).schema_arrow.names, *of_folders(path)])]


def iterate(path: str, wanted: Collection[str] = PUBLISHED.names) -> Iterator[pa.RecordBatch]:
    """Yield rows of a list's file as `ROWS` has them; of columns that an earlier version has not, nulls.

    Whatever library wrote the file, its columns come in these types: one calls texts otherwise than another, and many call a
    column without a value one of nulls.

    Raises:
        InputError: A number does not fit into its column.
        VerificationError: It is a committed file that is gone, or has other bytes.
    """
    chosen = [field for field in ROWS if field.name in wanted]
    with parquet.telling(path), _opened(path) as file:
        table = pq.ParquetFile(file)
        there = {*table.schema_arrow.names}
        names = [field.name for field in chosen if field.name in there]
        for group in range(table.num_row_groups):
            rows = parquet_files.without_dictionaries(table.read_row_group(group, columns=names, use_threads=False))
            for batch in rows.combine_chunks().to_batches():
                yield _widened(path, batch, chosen)


def _widened(path: str, batch: pa.RecordBatch, chosen: Sequence[pa.Field]) -> pa.RecordBatch:
    """Return a batch in the types of `ROWS`; columns that it has not say what its folders do, or nothing."""
    there, above = {*batch.schema.names}, of_folders(path)
    found = {
        field.name: batch[field.name] if field.name in there else _repeated(above.get(field.name), len(batch))
        for field in chosen
    }
    arrays = [_as(path, found[field.name], field) for field in chosen]
    return pa.RecordBatch.from_arrays(arrays, names=[field.name for field in chosen])


def _repeated(value: str | None, length: int) -> pa.Array:
    return pa.nulls(length) if value is None else pa.repeat(value, length)


def _as(path: str, values: pa.Array, field: pa.Field) -> pa.Array:
    """Return values in the type of a column of `ROWS`."""
    try:
        return values if values.type == field.type else values.cast(field.type)
    except pa.ArrowInvalid as error:
        raise InputError(
            "a column is not as pmd publish writes it",
            where=f"{path}: {field.name}",
            expected=str(field.type),
            found=str(error),
            remedy=_REMEDY,
        ) from None
