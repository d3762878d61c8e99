"""The files of published lists, wherever these were copied to: of a list, of a folder of lists, or of a ROOT's."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pmd import flow
from pmd.errors import InputError
from pmd.formats import parquet
from pmd.publish import withdrawn
from pmd.publish.rules import LATER, PUBLISHED
from pmd.store import commits, root, sealed, storage

_REMEDY: Final = "give a ROOT, ROOT/publish or one of its folders, or a copy of them"


def is_file(url: str) -> bool:
    """Return whether a file may be one of a list: whether it begins as Parquet does."""
    return parquet.is_parquet(url)


def paths(url: str) -> list[str]:
    """Return the Parquet files of a list, of a folder of lists, or of a ROOT's; what a commit lists, where there is one."""
    if not storage.is_folder(url):
        return [url]
    below = storage.list_files(url)
    top = f"{flow.LISTS.above}/" if root.ROOT_FILE in below else ""
    committed = [name for name in below if posixpath.basename(name) == commits.STAGE_FILE and name.startswith(top)]
    found = []
    for name in committed:
        folder = storage.join(url, posixpath.dirname(name)).rstrip("/")
        commit = commits.read(folder)
        found += [storage.join(folder, file.name) for file in commit.files] if commit is not None else []
    if not committed:
        found = [
            storage.join(url, name)
            for name in below
            if name.endswith(".parquet") and name.startswith(top) and posixpath.basename(name) != withdrawn.FILE
        ]
    return found


def files(url: str) -> list[str]:
    """Return `paths`, each of which is a file of a list.

    Raises:
        InputError: One is none.
    """
    found = paths(url)
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
    with parquet.telling(path), sealed.open_checked(path) as file:
        schema = pq.ParquetFile(file).schema_arrow
        names = schema.names
    absent = [name for name in PUBLISHED.names if name not in names and name not in LATER]
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
                expected=str(commits.plain_type(field)),
                found=found[0],
                remedy=_REMEDY,
            )


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


def columns(path: str) -> list[str]:
    """Return the columns that a file of a list has."""
    with parquet.telling(path), sealed.open_checked(path) as file:
        return list(pq.ParquetFile(file).schema_arrow.names)


def iterate(path: str, wanted: Collection[str] = PUBLISHED.names) -> Iterator[pa.RecordBatch]:
    """Yield rows of a list's file, in the order of `PUBLISHED`'s columns; of those that an earlier version has not, nulls."""
    chosen = [field for field in PUBLISHED if field.name in wanted]
    with parquet.telling(path), sealed.open_checked(path) as file:
        table = pq.ParquetFile(file)
        there = {*table.schema_arrow.names}
        names = [field.name for field in chosen if field.name in there]
        for group in range(table.num_row_groups):
            rows = commits.without_dictionaries(table.read_row_group(group, columns=names, use_threads=False))
            for batch in rows.combine_chunks().to_batches():
                yield _widened(batch, chosen)


def _widened(batch: pa.RecordBatch, chosen: Sequence[pa.Field]) -> pa.RecordBatch:
    """Return a batch with columns of nulls for those that it has not."""
    there = {*batch.schema.names}
    return pa.RecordBatch.from_arrays(
        [
            batch[field.name] if field.name in there else pa.nulls(len(batch), commits.plain_type(field))
            for field in chosen
        ],
        names=[field.name for field in chosen],
    )
