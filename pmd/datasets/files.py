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
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from pmd import flow
from pmd.audit import data_columns
from pmd.books import list_files
from pmd.config import inputs
from pmd.errors import InputError
from pmd.formats import archives, compression, json_stream, parquet, streams
from pmd.formats.json_stream import Spoiled
from pmd.formats.lines import INVALID_UTF8
from pmd.publish import lists
from pmd.publish.rules import LATER, PUBLISHED
from pmd.sources import named_rows, named_tables, records
from pmd.sources.contract import Chunk
from pmd.store import commits, lock, root, storage

#: What a data set's files end with, where a folder is named; a file that is named may be called anything.
ENDINGS: Final = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".tar")
_COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst")
TAR: Final = "tar"
_PARQUET: Final = f"{named_tables.PREFIX}parquet"
_NAME_THEM: Final = "name the columns: --column text=COLUMN"
#: Columns of a published list that are read as they are.
LIST_COLUMNS: Final = ("source", "meta", "pair_id", "image_id")
#: Samples of a tar that are looked at for its keys.
_HEAD_SAMPLES: Final = 20
#: Bytes of a member that is text.
_MEMBER_BYTES: Final = 4 * 2**20
#: Bytes of a tar without a member, at most: writers fill up to 10 KiB, some to more.
_MOST_OF_NOTHING: Final = 2**20
_EXPECTED: Final = "Parquet, JSON Lines, CSV or TSV with a first line of names, a published list, or WebDataset's tars"
_READ_BYTES: Final = 2**20
#: Members of a tar whose endings an error shows, and characters of a name.
_MEMBERS_SHOWN: Final = 5
_CHARACTERS_SHOWN: Final = 60
#: Documents beside data: our own (`_stage.json`, `sizes.json`, what stands in a release), img2dataset's, Croissant's, the Hub's.
_DESCRIBING: Final = re.compile(
    r"[_.].*|(?:.*_stats|sizes|croissant|build|availability|dataset_infos?|state|audit)\.json|availability\.csv|withdrawn\.parquet",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class DataFile:
    """A file of a data set.

    Attributes:
        path: Where it is.
        form: As chunks have it.
        roles: Which of its columns is which.
        is_list: Whether it is of a published list.
        chunks: The pieces in which it is read; none where nothing of it is.
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


def find(path: str, beside: str = "", report: Callable[[str], None] = lambda note: None) -> list[str]:
    """Return the files that a path, a folder or a glob names.

    Args:
        path: The path, folder or glob.
        beside: A folder whose files are none of them: that of the audit, which may stand in the data set's.
        report: Told of audits that stand among the files, which are left out.

    Raises:
        InputError: There is none.
    """
    matched = storage.glob(path) if path else []
    # A glob may match a folder and what stands in it.
    found = [*dict.fromkeys(name for one in matched for name in _files_at(one))]
    is_folder = bool(path) and storage.is_folder(path)
    if matched != [path] or is_folder:  # a file that is named is one of data, however it is called
        start = path if is_folder else _fixed(path)
        found = _without_what_describes(_without_audits(found, start, report, with_home=is_folder))
        found = _of_one_format(found, report)
    within = f"{os.path.abspath(beside)}/" if beside and storage.is_local(beside) else None
    found = [name for name in found if within is None or not os.path.abspath(name).startswith(within)]
    if not found:
        raise InputError("no file of a data set is here", where=path, expected=_EXPECTED)
    for name in found:
        storage.refuse_other_than_text(name, InputError)
    return found


def _files_at(path: str) -> list[str]:
    """Return the files of a data set that stand at a path: a file, or in a folder those that end as such do."""
    if not storage.is_folder(path):
        return [path]
    if _is_of_lists(path):
        return list_files.paths(path)
    return [name for name in inputs.files_of(path) if is_named_so(name)]


def _fixed(pattern: str) -> str:
    """Return the folder of a glob that stands in it as it is written."""
    start = re.split(r"[*?[]", pattern, maxsplit=1)[0]
    return start.rpartition("/")[0]


def _without_audits(found: Sequence[str], start: str, report: Callable[[str], None], *, with_home: bool) -> list[str]:
    """Return files without those of audits that stand below a folder: their tables are no data of the set that they tell of.

    An audit of pmd's has `audit/`, and beside it both files that each ROOT has from its start: others may call one of them so.
    What else stands there is a build's, which is no data of a folder that it stands in, but may be what a glob asks for.

    Args:
        found: The files.
        start: The folder: who names the folder of an audit itself means its tables.
        report: Told what is left out.
        with_home: Leave out what stands beside such an audit too.
    """
    homes = {home for name in found for home in _homes_of_audit(name) if _is_below(home, start)}
    left_out = {
        home: [name for name in found if (with_home and _is_below(name, home)) or home in _homes_of_audit(name)]
        for home in sorted(homes)
        if all(storage.exists(storage.join(home, mark)) for mark in (root.ROOT_FILE, lock.STATE_FILE))
    }
    for home, names in left_out.items():
        whose = "that pmd wrote" if with_home else "of the audit"
        report(f"left out: {len(names):,} {'files' if len(names) != 1 else 'file'} {whose} in {home}")
    gone = {*itertools.chain.from_iterable(left_out.values())}
    return [name for name in found if name not in gone]


def _is_below(inner: str, outer: str) -> bool:
    """Return whether a folder stands below another one."""
    if storage.is_local(inner):
        inner, outer = os.path.abspath(inner), os.path.abspath(outer)
    return inner.startswith(outer.rstrip("/") + "/")


def _homes_of_audit(name: str) -> Iterator[str]:
    """Yield the folders of which a file, by its path, may be the audit's."""
    folder, _, base = name.rpartition("/")
    if base in (root.ROOT_FILE, lock.STATE_FILE, lock.LOCK_FILE):
        yield folder
    parts = folder.split("/")
    yield from ("/".join(parts[:place]) for place, part in enumerate(parts) if part == flow.AUDIT.name)


def _without_what_describes(found: Sequence[str]) -> list[str]:
    """Return the files of a folder or a glob without those that only say something of others.

    These are documents (`_DESCRIBING`), and the table that img2dataset writes beside each tar, whose rows are the tar's samples
    once more.
    """
    tars = {name.removesuffix(".tar") for name in found if name.endswith(".tar")}
    return [
        name
        for name in found
        if not _DESCRIBING.fullmatch(posixpath.basename(name)) and name.removesuffix(".parquet") not in tars
    ]


def _of_one_format(found: Sequence[str], report: Callable[[str], None]) -> list[str]:
    """Return files without those that say of pmd's shards once more what others say: each format has the same samples.

    Beside the formats stand the pairs that no format takes, which are no data either.
    """
    forms = [posixpath.basename(folder.at()) for folder in (*reversed(flow.SHARDS.values()), flow.UNSHARDED)]
    folders = {folder for folder in map(posixpath.dirname, found) if posixpath.basename(folder) in forms}
    shards = {folder for folder in folders if storage.exists(storage.join(folder, commits.STAGE_FILE))}
    gone: set[str] = set()
    for home in sorted(set(map(posixpath.dirname, shards))):
        first, *others = [folder for folder in (posixpath.join(home, form) for form in forms) if folder in shards]
        left_out = {name for name in found if posixpath.dirname(name) in others}
        if left_out:
            report(
                f"left out: {len(left_out):,} {'files' if len(left_out) != 1 else 'file'} beside {first}, which has every sample"
            )
        gone |= left_out
    return [name for name in found if name not in gone]


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
    if archives.is_archive(path) or _is_tar_of_nothing(path):
        return _look_at_tar(path, named)
    table = named_tables.look(path)
    if table is None:
        raise _foreign(path)
    usable = [name for name in table.columns if _is_plain(table, name) and not _has_pictures(table, name)]
    above = lists.of_folders(path)
    is_list = {*PUBLISHED.names} - {*LATER} <= {*table.columns, *above} and all(
        name in usable or name in above or _has_no_value(table, name) for name in LIST_COLUMNS
    )
    roles = _roles(table, usable, named)
    if is_list:
        roles.pop("id", None)
    _layout(roles, is_list=is_list, table=table, usable=usable).names(table)
    return DataFile(path, named_tables.PREFIX + table.form, roles, is_list, tuple(table.chunks()))


def _foreign(path: str) -> InputError:
    """Return the error for a file that is no table."""
    start = records.head(path, None)
    try:
        start.partition(b"\n")[0].decode()
    except UnicodeDecodeError:
        problem, remedy = "the first line is not UTF-8", "convert it: iconv -f ENCODING -t UTF-8 FILE > NEW"
    else:
        problem, remedy = "it is in no form that is read", named_tables.otherwise(start) or "write it as one of them"
    return records.foreign(path, None, problem=problem, expected=_EXPECTED, start=start, remedy=remedy)


def _is_plain(table: named_tables.Table, name: str) -> bool:
    """Return whether a column can be read as text: whether it has values, which are neither lists nor objects nor times."""
    kind = table.kinds.get(name)
    if kind is None:
        return name not in table.nested
    return parquet.is_text(kind) or parquet.is_number(kind)


def _has_pictures(table: named_tables.Table, name: str) -> bool:
    """Return whether a column is called as that of pictures is, and has bytes: they are no text, and no row's name."""
    kind = table.kinds.get(name)
    has_bytes = kind is not None and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
    return has_bytes and data_columns.folded(name) == data_columns.PICTURE


def _has_no_value(table: named_tables.Table, name: str) -> bool:
    """Return whether a column is one of nulls, of which a file says no more."""
    return name in table.kinds and pa.types.is_null(table.kinds[name])


def _roles(table: named_tables.Table, usable: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Return which of a table's columns is which.

    Raises:
        InputError: That of the texts has lists or objects, or such a one is named.
    """
    roles = data_columns.guessed(usable, named)
    if data_columns.TEXT not in roles:
        # Of a table without a text at all, as writers leave it, the rows are counted as such; of lists nothing can be said.
        others = data_columns.guessed([name for name in table.columns if name not in usable], named)
        roles = {role: name for role, name in others.items() if role == data_columns.TEXT} | roles
    amiss = [name for name in roles.values() if name in table.nested]
    if amiss:
        raise InputError(
            "a column holds lists or objects",
            where=table.label,
            expected="a text or a number in each row",
            found=amiss[0][:_CHARACTERS_SHOWN],
            remedy="write a row for each text; or name another column: --column ROLE=COLUMN",
        )
    return roles


def _layout(
    roles: Mapping[str, str],
    *,
    is_list: bool,
    table: named_tables.Table | None = None,
    usable: Sequence[str] = (),
) -> named_tables.Layout:
    """Return what is read of a file; where its table is given, what the user names must be in it, and the text be text."""
    text = roles.get(data_columns.TEXT)
    needed = {data_columns.TEXT: data_columns.ROLES[data_columns.TEXT] if text is None else (text,)}
    optional = {role: (name,) for role, name in roles.items() if role != data_columns.TEXT}
    texts, remedy = frozenset[str](), _NAME_THEM
    if table is not None:
        needed |= {role: names for role, names in optional.items() if names[0] not in usable}
        optional = {role: names for role, names in optional.items() if role not in needed}
        if text is None or not _has_no_value(table, text):
            texts = frozenset({data_columns.TEXT})
        lacking = [role for role, names in needed.items() if not {*names} & {*table.columns}]
        # Of those that are there the user has named one that cannot be read, or the text is no text.
        amiss = lacking or [role for role in needed if role != data_columns.TEXT]
        remedy = table.otherwise or (f"name the columns: --column {amiss[0]}=COLUMN" if amiss else remedy)
    if is_list:
        optional |= {name: (name,) for name in LIST_COLUMNS}
    return named_tables.Layout(
        "a data set",
        needed,
        optional,
        text=texts,
        remedy=remedy,
        loose=frozenset({*optional, *needed} - {data_columns.TEXT}),
    )


def parts(file: DataFile, chunk: Chunk) -> Iterator[named_rows.Part]:
    """Yield the rows of a chunk by columns, under the names of `data_columns.ROLES`."""
    if file.form != TAR:
        above = lists.of_folders(file.path) if file.is_list else {}
        said = {name: value for name, value in above.items() if name in LIST_COLUMNS}
        yield from named_rows.with_same(named_rows.parts(chunk, file.layout), said)
        return
    wanted = file.roles
    found = ((_row(sample, wanted), place) for sample, place in _samples(chunk.path))
    yield from named_rows.gathered(found, [*wanted], frozenset({*wanted} - {data_columns.TEXT}))


def _row(sample: dict[str, Any] | Spoiled, roles: Mapping[str, str]) -> Any:
    if isinstance(sample, Spoiled):
        return sample
    return {role: sample[name] for role, name in roles.items() if name in sample}


def most_rows(file: DataFile) -> dict[str, int]:
    """Return about how many rows a file has, and no fewer, by source; of what is no published list under ""."""
    if file.is_list:
        found: dict[str, int] = {}
        for column in _sources_of(file):
            for count in column.value_counts().to_pylist():
                found[count["values"]] = found.get(count["values"], 0) + count["counts"]
        return found
    if file.form == TAR:
        if not file.chunks:
            return {"": 0}
        with storage.open_raw(file.path) as content:  # each member that a sample may begin with, those of one name too
            return {"": sum(1 for _ in _members(content))}
    if file.form == _PARQUET:
        return {"": parquet.row_count(file.path)}
    with compression.open_decompressed(file.path, None) as content:
        return {"": 1 + sum(block.count(b"\n") for block in iter(lambda: content.read(_READ_BYTES), b""))}


def _sources_of(file: DataFile) -> Iterator[pa.Array]:
    """Yield the sources that the rows of a published list name: of a copy in another form than Parquet, too."""
    if file.form == _PARQUET:
        yield from (batch["source"] for batch in lists.iterate(file.path, {"source"}))
        return
    for chunk in file.chunks:
        for part in parts(file, chunk):
            yield part.columns["source"]
            if part.lost:
                yield pa.nulls(len(part.lost), pa.large_string())


# WebDataset's tars.


def _look_at_tar(path: str, named: Mapping[str, str]) -> DataFile:
    if streams.compression_of(storage.read_bytes(path, 0, streams.HEAD_BYTES)) != "plain":
        raise InputError(
            "the archive is not read",
            where=path,
            expected="a plain tar of WebDataset, or tables as files of their own",
            found="a zip, or a tar that is compressed",
            remedy="unpack it, and name the files; of a workbook (.xlsx) save the sheet as CSV in UTF-8",
        )
    head = [sample for sample, _ in itertools.islice(_samples(path), _HEAD_SAMPLES)]
    if not head:
        return DataFile(path, TAR, {}, False, ())
    known = [sample for sample in head if isinstance(sample, dict)]
    keys = tuple(dict.fromkeys(itertools.chain.from_iterable(known)))
    table = named_tables.Table(path, None, "jsonl", keys, nested=named_tables.nested_in(known))
    usable = [name for name in keys if name not in table.nested]
    roles = _roles(table, usable, named)
    if not keys:
        raise _without_texts(path, [sample.why for sample in head if isinstance(sample, Spoiled)])
    _layout(roles, is_list=False, table=table, usable=usable).names(table)
    return DataFile(path, TAR, roles, False, (Chunk(path, TAR),))


def _without_texts(path: str, spoiled: Sequence[str]) -> InputError:
    with storage.open_raw(path) as file:
        endings = dict.fromkeys(ending for _, ending, _ in itertools.islice(_members(file), _MEMBERS_SHOWN))
    return InputError(
        "no member of the tar says anything",
        where=path,
        expected=f"a member .txt, or one .json with the text in it, among the first {_HEAD_SAMPLES} samples",
        found=spoiled[0] if spoiled else "members " + ", ".join(f".{ending}"[:_CHARACTERS_SHOWN] for ending in endings),
        remedy="audit a table of the texts instead",
    )


def _is_tar_of_nothing(path: str) -> bool:
    """Return whether a file is the end of a tar and nothing before it: what writers leave that had no sample."""
    size = storage.size(path)
    return (
        size <= _MOST_OF_NOTHING
        and storage.read_bytes(path, 0, size).count(0) == size
        and size % tarfile.BLOCKSIZE == 0
    )


def _samples(path: str) -> Iterator[tuple[dict[str, Any] | Spoiled, str]]:
    """Yield what is known of each sample of a tar, and where it stands."""
    with storage.open_raw(path) as file:
        for key, members in _grouped(_members(file)):
            # A tar may name its members in any bytes; what a place is shown as is text.
            yield _sample(file, members), f"{path}!/{key.encode('utf-8', 'backslashreplace').decode()}"


def _grouped(members: Iterable[tuple[str, str, Any]]) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Yield the members of each sample: neighbours of one name; an ending that comes again begins another sample."""
    name, found = "", dict[str, Any]()
    for key, ending, info in members:
        if found and (key != name or ending in found):
            yield name, [*found.items()]
            found = {}
        name, found[ending] = key, info
    if found:
        yield name, [*found.items()]


def _members(file: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the members of a tar that are files: the name of its sample, the ending, and its header."""
    try:
        for info in archives.walk(file):
            folder, name = posixpath.split(info.name)
            stem, _, ending = name.partition(".")
            if info.isreg() and stem:
                yield posixpath.join(folder, stem), ending.lower(), info
    except archives.Damaged as damage:
        raise archives.bad_tar(getattr(file, "name", None) or "a tar", str(damage), "fetch it again") from None


def _sample(file: Any, members: Iterable[tuple[str, Any]]) -> dict[str, Any] | Spoiled:
    found: dict[str, Any] = {}
    for ending, info in members:
        if ending not in ("txt", "json"):
            continue
        if info.size > _MEMBER_BYTES:
            return Spoiled(os.fsencode(info.name), f"more than {_MEMBER_BYTES} bytes of text")
        file.seek(info.offset_data)
        raw = file.read(info.size)
        value = _text_of(raw) if ending == "txt" else json_stream.parsed_without_nan(raw)
        if isinstance(value, Spoiled):
            return value
        if ending == "txt":
            found["txt"] = value
        elif isinstance(value, dict):  # any other document names no fields
            found = {**value, **found}
    return found


def _text_of(raw: bytes) -> str | Spoiled:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Spoiled(raw, f"{INVALID_UTF8} at byte {error.start}")
