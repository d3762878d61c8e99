"""The files of published lists, wherever these were copied to: of a list, of a folder of lists, or of a ROOT's."""

from __future__ import annotations

import contextlib
import itertools
import posixpath
from collections.abc import Collection, Iterator, Sequence
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pmd import flow
from pmd.errors import InputError, VerificationError
from pmd.formats import parquet
from pmd.publish import withdrawn
from pmd.publish.rules import LATER, PUBLISHED
from pmd.store import commits, root, sealed, storage

#: A row as it is read: `PUBLISHED`, however a file is encoded.
ROWS: Final = commits.without_dictionaries(PUBLISHED.empty_table()).schema

#: Folders above a list's file, up to ROOT.
_DEEPEST: Final = flow.LISTS.path.count("/") + 2

_REMEDY: Final = "give a ROOT, ROOT/publish or one of its folders, or a copy of them"


def is_file(url: str) -> bool:
    """Return whether a file may be one of a list: whether it begins as Parquet does."""
    return parquet.is_parquet(url)


def paths(url: str) -> list[str]:
    """Return the Parquet files of a list, of a folder of lists, or of a ROOT's.

    Of a folder that has a commit these are the files that it lists. Under a ROOT there are no others: what no commit lists is
    of a run that goes on, or was killed. Elsewhere people put together what they have, with commits or without.
    """
    if not storage.is_folder(url):
        return [url]
    below = storage.list_files(url)
    top = f"{flow.LISTS.above}/" if root.ROOT_FILE in below else ""
    parquet_files = [
        name
        for name in below
        if name.endswith(".parquet") and name.startswith(top) and posixpath.basename(name) != withdrawn.FILE
    ]
    folders = [
        posixpath.dirname(name)
        for name in below
        if posixpath.basename(name) == commits.STAGE_FILE and name.startswith(top)
    ]
    found = []
    for folder in folders:
        commit = commits.read(storage.join(url, folder).rstrip("/"))
        found += [storage.join(url, folder, file.name) for file in commit.files] if commit is not None else []
    if not folders or not _is_under_root(url, below):
        found += _beside(url, parquet_files, folders, found)
    return found


def _is_under_root(url: str, below: Collection[str]) -> bool:
    """Return whether a file or folder, in which these files stand, is of a ROOT's lists, or its release's."""
    above = itertools.islice(storage.above(url), _DEEPEST)
    return root.ROOT_FILE in below or any(storage.exists(storage.join(folder, root.ROOT_FILE)) for folder in above)


def _beside(url: str, names: Sequence[str], folders: Sequence[str], committed: Sequence[str]) -> list[str]:
    """Return the files in no folder with a commit, but for those that one lists by the same name, which tells the bytes."""
    known = {posixpath.basename(path) for path in committed}
    below = tuple(f"{folder}/" for folder in folders if folder)
    return [
        storage.join(url, name)
        for name in names
        if "" not in folders
        and not name.startswith(below)
        and not (posixpath.basename(name) in known and sealed.digest_of(name) is not None)
    ]


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
    with parquet.telling(path), _opened(path) as file:
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


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Open a file of a list, as `sealed.open_checked` does; whoever has a copy has no ROOT to repair."""
    try:
        file = sealed.open_checked(path)
    except VerificationError as error:
        if _is_under_root(path, ()):
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


def columns(path: str) -> list[str]:
    """Return the columns that a file of a list has."""
    with parquet.telling(path), _opened(path) as file:
        return list(pq.ParquetFile(file).schema_arrow.names)


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
            rows = commits.without_dictionaries(table.read_row_group(group, columns=names, use_threads=False))
            for batch in rows.combine_chunks().to_batches():
                yield _widened(path, batch, chosen)


def _widened(path: str, batch: pa.RecordBatch, chosen: Sequence[pa.Field]) -> pa.RecordBatch:
    """Return a batch in the types of `ROWS`, with columns of nulls for those that it has not."""
    there = {*batch.schema.names}
    return pa.RecordBatch.from_arrays(
        [
            _as(path, batch[field.name], field) if field.name in there else pa.nulls(len(batch), field.type)
            for field in chosen
        ],
        names=[field.name for field in chosen],
    )


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
