"""The files of any data set: tables (Parquet, JSON Lines, CSV, TSV), published lists, WebDataset's tars; cut into chunks.

The rows of a chunk come by columns of text, as those of people's own pairs do (`pmd.sources.named_rows`). A sample of a tar is
the members that share a name up to its first dot; its text is in a member `.txt`, the rest of what is known in `.json`.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from pmd import flow
from pmd.audit import data_columns
from pmd.config import inputs
from pmd.errors import InputError
from pmd.formats import archives, compression, parquet, streams
from pmd.formats.json_stream import Spoiled
from pmd.publish import lists
from pmd.publish.rules import LATER, PUBLISHED
from pmd.sources import named_rows, named_tables, records
from pmd.sources.contract import Chunk
from pmd.store import commits, root, storage

#: What a data set's files end with, where a folder is named; a file that is named may be called anything.
ENDINGS: Final = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".tar")
_COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst")
TAR: Final = "tar"
#: Columns of a published list that are read as they are.
LIST_COLUMNS: Final = ("source", "meta", "pair_id", "image_id")
#: Samples of a tar that are looked at for its keys.
_HEAD_SAMPLES: Final = 20
#: Bytes of a member that is text.
_MEMBER_BYTES: Final = 4 * 2**20
_EXPECTED: Final = "Parquet, JSON Lines, CSV or TSV with a first line of names, a published list, or WebDataset's tars"
_READ_BYTES: Final = 2**20
#: Documents beside data: our own (`_stage.json`, `sizes.json`, what stands in a release), img2dataset's, Croissant's, the Hub's.
_DESCRIBING: Final = re.compile(
    r"[_.].*|(?:.*_stats|sizes|croissant|build|availability|dataset_infos?|state|audit)\.json", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class DataFile:
    """A file of a data set.

    Attributes:
        path: Where it is.
        form: As chunks have it.
        roles: Which of its columns is which.
        is_list: Whether it is of a published list.
        rows: About how many rows it has, and no fewer; None where it is a list, whose rows are told by source.
    """

    path: str
    form: str
    roles: Mapping[str, str]
    is_list: bool
    chunks: tuple[Chunk, ...]

    @property
    def layout(self) -> named_tables.Layout:
        """What is read of it."""
        return _layout(self.roles, is_list=self.is_list)


def find(path: str, beside: str = "") -> list[str]:
    """Return the files that a path, a folder or a glob names.

    Args:
        path: The path, folder or glob.
        beside: A folder whose files are none of them: that of the audit, which may stand in the data set's.

    Raises:
        InputError: There is none.
    """
    if storage.exists(path) and storage.is_folder(path):
        found = _without_what_describes([name for name in inputs.files_of(path) if is_named_so(name)])
        if _is_of_lists(path):
            found = lists.paths(path)
    else:
        found = inputs.files_of(path)
    within = f"{os.path.abspath(beside)}/" if beside and storage.is_local(beside) else None
    found = [name for name in found if within is None or not os.path.abspath(name).startswith(within)]
    if not found:
        raise InputError("no file of a data set is here", where=path, expected=_EXPECTED)
    return found


def _without_what_describes(found: Sequence[str]) -> list[str]:
    """Return the files of a folder without those that only say something of others.

    These are documents (`_DESCRIBING`), and the table that img2dataset writes beside each tar, whose rows are the tar's samples
    once more.
    """
    tars = {name.removesuffix(".tar") for name in found if name.endswith(".tar")}
    return [
        name
        for name in found
        if not _DESCRIBING.fullmatch(posixpath.basename(name)) and name.removesuffix(".parquet") not in tars
    ]


def _is_of_lists(path: str) -> bool:
    """Return whether a folder is a ROOT, or holds published lists, of which a commit says which files are theirs."""
    below = storage.list_files(path)
    listed = {name for name in below if posixpath.basename(name) == commits.STAGE_FILE}
    of_source = posixpath.basename(flow.LISTS.path).partition("{")[0]
    of_sources = any(posixpath.basename(posixpath.dirname(f"{path}/{name}")).startswith(of_source) for name in listed)
    return root.ROOT_FILE in below or of_sources


def is_named_so(path: str) -> bool:
    """Return whether a path ends as files of data sets do, compressed or not."""
    stem = path.lower()
    for ending in _COMPRESSED:
        stem = stem.removesuffix(ending)
    return stem.endswith(ENDINGS)


def look(path: str, named: Mapping[str, str]) -> DataFile:
    """Return what a file is and which of its columns is which.

    Args:
        path: The file.
        named: The columns that the user names.

    Raises:
        InputError: It is none of what is read, or has no column of texts.
    """
    if not storage.size(path):
        raise InputError("the file is empty", where=path, expected=_EXPECTED, found="0 bytes")
    if archives.is_archive(path):
        return _look_at_tar(path, named)
    table = named_tables.look(path)
    if table is None:
        start = records.head(path, None)
        raise records.foreign(path, None, expected=_EXPECTED, start=start, remedy="write it as one of them")
    usable = [name for name in table.columns if _is_plain(table, name)]
    is_list = {*PUBLISHED.names} - {*LATER} <= {*table.columns}
    roles = {**data_columns.guessed(usable, named)}
    if is_list:
        roles.pop("id", None)
    _layout(roles, is_list=is_list, columns=usable).names(table)
    return DataFile(path, named_tables.PREFIX + table.form, roles, is_list, tuple(table.chunks()))


def _is_plain(table: named_tables.Table, name: str) -> bool:
    """Return whether a column can be read as text: of Parquet, whether it is neither a list nor an object."""
    kind = table.kinds.get(name)
    return kind is None or parquet.is_text(kind) or str(kind).startswith(("int", "uint", "float", "double", "bool"))


def _layout(roles: Mapping[str, str], *, is_list: bool, columns: Sequence[str] = ()) -> named_tables.Layout:
    text = roles.get(data_columns.TEXT)
    needed = {data_columns.TEXT: data_columns.ROLES[data_columns.TEXT] if text is None else (text,)}
    optional = {role: (name,) for role, name in roles.items() if role != data_columns.TEXT}
    if columns:  # what the user names must be there
        needed |= {role: names for role, names in optional.items() if names[0] not in columns}
        optional = {role: names for role, names in optional.items() if role not in needed}
    if is_list:
        optional |= {name: (name,) for name in LIST_COLUMNS}
    remedy = "name the columns: --column text=COLUMN"
    return named_tables.Layout("a data set", needed, optional, text=frozenset({data_columns.TEXT}), remedy=remedy)


def parts(file: DataFile, chunk: Chunk) -> Iterator[named_rows.Part]:
    """Yield the rows of a chunk by columns, under the names of `data_columns.ROLES`."""
    if file.form != TAR:
        yield from named_rows.parts(chunk, file.layout)
        return
    wanted = file.roles
    found = ((_row(sample, wanted), place) for sample, place in _samples(chunk.path))
    yield from named_rows.gathered(found, [*wanted])


def _row(sample: dict[str, Any] | Spoiled, roles: Mapping[str, str]) -> Any:
    if isinstance(sample, Spoiled):
        return sample
    return {role: sample[name] for role, name in roles.items() if name in sample}


def most_rows(file: DataFile) -> dict[str, int]:
    """Return about how many rows a file has, and no fewer, by source; of what is no published list under ""."""
    if file.is_list:
        found: dict[str, int] = {}
        for batch in lists.iterate(file.path, {"source"}):
            for count in batch["source"].value_counts().to_pylist():
                found[count["values"]] = found.get(count["values"], 0) + count["counts"]
        return found
    if file.form == TAR:
        return {"": sum(1 for _ in archives.members(file.path))}
    if file.form == f"{named_tables.PREFIX}parquet":
        return {"": parquet.row_count(file.path)}
    with compression.open_decompressed(file.path, None) as content:
        return {"": 1 + sum(block.count(b"\n") for block in iter(lambda: content.read(_READ_BYTES), b""))}


# WebDataset's tars.


def _look_at_tar(path: str, named: Mapping[str, str]) -> DataFile:
    if streams.compression_of(storage.read_bytes(path, 0, streams.HEAD_BYTES)) != "plain":
        raise InputError(
            "the archive is not read",
            where=path,
            expected="a plain tar of WebDataset, or tables as files of their own",
            found="a zip, or a tar that is compressed",
            remedy="unpack it, and name the files",
        )
    head = itertools.islice(_samples(path), _HEAD_SAMPLES)
    keys = dict.fromkeys(key for sample, _ in head if isinstance(sample, dict) for key in sample)
    roles = data_columns.guessed([*keys], named)
    table = named_tables.Table(path, None, "jsonl", tuple(keys))
    _layout(roles, is_list=False, columns=[*keys]).names(table)
    return DataFile(path, TAR, roles, False, (Chunk(path, TAR),))


def _samples(path: str) -> Iterator[tuple[dict[str, Any] | Spoiled, str]]:
    """Yield what is known of each sample of a tar, and where it stands."""
    with storage.open_raw(path) as file:
        for key, members in itertools.groupby(_members(file), lambda member: member[0]):
            yield _sample(file, [(ending, info) for _, ending, info in members]), f"{path}!/{key}"


def _members(file: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the members of a tar that are files: the name of its sample, the ending, and its header."""
    try:
        for info in archives.walk(file):
            folder, name = posixpath.split(info.name)
            stem, _, ending = name.partition(".")
            if info.isreg() and stem:
                yield posixpath.join(folder, stem), ending.lower(), info
    except archives.Damaged as damage:
        raise InputError(
            "the tar file is damaged or truncated",
            where=getattr(file, "name", None) or "a tar",
            expected="members up to an end-of-archive block",
            found=str(damage),
            remedy="fetch it again",
        ) from None


def _sample(file: Any, members: Iterable[tuple[str, Any]]) -> dict[str, Any] | Spoiled:
    found: dict[str, Any] = {}
    seen: set[str] = set()
    for ending, info in members:
        if ending not in ("txt", "json"):
            continue
        if ending in seen:  # as libraries that read such tars refuse it
            return Spoiled(os.fsencode(info.name), f"more than one .{ending} in a sample")
        seen.add(ending)
        if info.size > _MEMBER_BYTES:
            return Spoiled(os.fsencode(info.name), f"more than {_MEMBER_BYTES} bytes of text")
        file.seek(info.offset_data)
        raw = file.read(info.size)
        try:
            if ending == "txt":
                found["txt"] = raw.decode()
            elif isinstance(value := orjson.loads(raw), dict):
                found = {**value, **found}
            else:
                return Spoiled(raw, "expected an object of JSON")
        except (UnicodeDecodeError, orjson.JSONDecodeError) as error:
            return Spoiled(raw, str(error)[:80])
    return found
