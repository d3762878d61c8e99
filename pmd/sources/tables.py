"""Rows with named columns, whatever the file: Parquet, JSON Lines, CSV, or tab-separated text with a header.

Stands under what reads mirrors of a source (the Hub's above all) and under `url_text`, people's own pairs. Which form a
file has is told by what is in it: a Parquet table by its first bytes, JSON Lines by a first line that is an object, text by
the names in its first line. Which columns are meant is said by a `Layout`, once for all forms; a file without them is
refused, with the columns that it has. Further columns are not read.

Text with commas is quoted as csv does it. Tab-separated text has no quoting of any kind, as everywhere in this project.
"""

from __future__ import annotations

import csv
import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd.errors import InputError
from pmd.formats import archives, compression, json_stream, lines, parquet, tsv
from pmd.formats.json_stream import Spoiled
from pmd.formats.lines import INVALID_UTF8
from pmd.schema import keys
from pmd.sources import records, table_drafts
from pmd.sources.contract import DRAFT_ROWS, Chunk
from pmd.store import storage

Form = Literal["parquet", "jsonl", "csv", "tsv"]

#: Bytes looked at for the names of the columns: rows with an embedding in them are some 100 kB.
_HEAD_BYTES: Final = 1 << 20
#: Lines of JSON looked at for the names of the columns: the first may be a bad one.
_HEAD_LINES: Final = 20
#: Bytes of text in a batch, about.
_BATCH_BYTES: Final = 8 * 1024 * 1024
_NAMES_SHOWN: Final = 24
_KIND_SHOWN: Final = 120
#: How much larger compressed text becomes, about; as in `pipelines.curate`.
_EXPANSION: Final = 5
#: How a chunk of a table is told from one of the source's own forms.
_PREFIX: Final = "table:"
_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclasses.dataclass(frozen=True)
class Table:
    """A file whose rows have named columns.

    Attributes:
        path: The file.
        member: A member of an archive, or None.
        form: Which of the forms it has.
        columns: Names of its columns, in order; of JSON Lines those of the first line that is an object.
        kinds: Column → its type, of Parquet alone.
        class_names: Column → names of its classes, where the file has numbers for them.
    """

    path: str
    member: str | None
    form: Form
    columns: tuple[str, ...]
    kinds: Mapping[str, pa.DataType] = dataclasses.field(default_factory=dict)
    class_names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def label(self) -> str:
        """What places and errors call it."""
        return records.location(self.path, self.member)

    def chunks(self) -> list[Chunk]:
        """Cut it: Parquet at row groups, lines into ranges; quoted text and members of archives are one chunk each."""
        cuts: Sequence[tuple[int, int | None]] = [(0, None)]
        if self.form == "parquet":
            cuts = parquet.ranges(self.path)
        elif self.form != "csv" and self.member is None:
            cuts = lines.ranges(self.path)
        return [Chunk(self.path, _PREFIX + self.form, self.member, start, stop) for start, stop in cuts]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which columns are meant.

    Attributes:
        of: What the rows are called in errors: "a mirror of red_caps".
        needed: Our name of a column → the names that it may have in a file, best first.
        optional: The same, of columns that may be missing.
        text: Our names of the columns that must be text where the file says what its columns are.
        remedy: What to do where a file has other columns.
    """

    of: str
    needed: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    text: frozenset[str] = frozenset()
    remedy: str = (
        "docs/sources.md lists the forms that are read; a table of other columns is a source of its own: "
        'reader = "url_text"'
    )

    def fits(self, table: Table) -> bool:
        """Return whether a file has every column that is needed."""
        return all(any(name in table.columns for name in names) for names in self.needed.values())

    def names(self, table: Table) -> dict[str, str]:
        """Return our name → the file's, of every column that is there.

        Raises:
            InputError: One that is needed is not there, or holds no values that it could; shows what there is.
        """
        if not self.fits(table):
            raise self.refusal(table, "the columns are not known", ", ".join(table.columns[:_NAMES_SHOWN]) or "none")
        found = {
            ours: next(name for name in names if name in table.columns)
            for ours, names in {**self.needed, **self.optional}.items()
            if any(name in table.columns for name in names)
        }
        for ours, name in found.items():
            if table.columns.count(name) > 1:
                raise self.refusal(table, "two columns have one name", name)
            kind = table.kinds.get(name)
            if kind is not None and not self._may_be(ours, kind):
                raise self.refusal(table, "a column is of another kind", f"{name}: {kind}"[:_KIND_SHOWN])
        return found

    def _may_be(self, ours: str, kind: pa.DataType) -> bool:
        if pa.types.is_null(kind):  # no row has a value, so that nobody could say what they would be
            return ours not in self.needed or ours not in self.text
        if ours in self.text:
            return parquet.is_text(kind)
        plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        return ours not in self.needed or plain or parquet.is_text(kind)

    def refusal(self, table: Table, problem: str, found: str) -> InputError:
        """Return the error for a file whose columns are others."""
        expected = ", ".join(" or ".join(names) for names in self.needed.values())
        return InputError(
            problem,
            where=table.label,
            expected=f"{self.of} with the columns {expected}",
            found=found,
            remedy=self.remedy,
        )


def look(path: str, member: str | None = None) -> Table | None:
    """Return what a file's first bytes show; None where it is no table with names. Any first line of text is one of names.

    Raises:
        InputError: A Parquet table that is damaged, or that is in an archive or compressed, where none can be read.
    """
    if member is None and parquet.is_parquet(path):
        schema = parquet.schema_of(path)
        kinds = {field.name: field.type for field in schema}
        return Table(path, member, "parquet", tuple(schema.names), kinds, parquet.class_names(schema))
    with compression.open_decompressed(path, member) as file:
        start = file.read(_HEAD_BYTES)
    if start.startswith(parquet.MAGIC):
        raise InputError(
            "a Parquet table cannot be read where it is",
            where=records.location(path, member),
            expected="a Parquet table as a file of its own",
            found="one in an archive, or compressed",
            remedy="unpack it: Parquet is compressed in itself",
        )
    _refuse_another(start, records.location(path, member))
    head = start.lstrip(records.BLANK)
    named = _keys(head, whole=len(start) < _HEAD_BYTES)
    if named is not None:
        return Table(path, member, "jsonl", named)
    first, newline, _ = head.partition(b"\n")
    if not first or (not newline and len(start) == _HEAD_BYTES) or head.startswith((b"{", b"[")):
        return None
    try:
        line = first.decode().removesuffix("\r")
    except UnicodeDecodeError:
        return None
    if "\t" in line:
        return Table(path, member, "tsv", tuple(line.split("\t")))
    try:
        return Table(path, member, "csv", tuple(next(csv.reader([line]), ())))
    except csv.Error:
        return None


#: What else people have from the Hub: first bytes → what it is, and what to do.
_OTHERS: Final = {
    b"version https://git-lfs.github.com/spec/": ("a pointer of Git LFS in the place of the file", "run: git lfs pull"),
    b"ARROW1": ("an Arrow file", "write it as Parquet, with the library that wrote it"),
    b"PARE": ("an encrypted Parquet table", "write it without encryption"),
}


def _refuse_another(start: bytes, label: str) -> None:
    for magic, (found, remedy) in _OTHERS.items():
        if start.startswith(magic):
            raise InputError(
                "the form is not read",
                where=label,
                expected="Parquet, JSON Lines, CSV, or one of upstream's own forms",
                found=found,
                remedy=remedy,
            )


def split_of(path: str) -> str | None:
    """Return the split that a file's name has in it ("train-00000-of-00002.parquet"), else its folder's; None where none has."""
    folder, name = posixpath.split(path)
    return split_in(name) or _SPLITS.get(posixpath.basename(folder).lower())


def split_in(name: str) -> str | None:
    """Return the split that a name has in it; None where it has none."""
    words = re.split("[^a-z]+", name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def row_estimate(table: Table) -> int:
    """Return about how many rows a table has: Parquet says it; of text the first lines tell how long a row is."""
    if table.form == "parquet":
        return parquet.row_count(table.path)
    with compression.open_decompressed(table.path, table.member) as file:
        start = file.read(_HEAD_BYTES)
        more = bool(file.read(1))
    rows = start.count(b"\n") + (not more and not start.endswith(b"\n")) - (table.form != "jsonl")
    if not more:
        return max(rows, 0)
    if table.member is not None:
        plain = next(entry.bytes for entry in archives.members(table.path) if entry.name == table.member)
    else:
        plain = storage.size(table.path) * (1 if compression.sniff(table.path) == "plain" else _EXPANSION)
    return round(rows * plain / len(start))


def is_chunk(chunk: Chunk) -> bool:
    """Return whether a chunk is one of a table."""
    return chunk.form.startswith(_PREFIX)


def rows(chunk: Chunk, layout: Layout) -> Iterator[tuple[Any, str]]:
    """Yield each row of a chunk as (its columns that are there, by our names; where it stands).

    What cannot be read is `Spoiled`. A line of JSON that is no object is given as it is. Values are those of the file: text
    throughout in a CSV, and in Parquet whatever the column is; numbers of classes become their names.

    Raises:
        InputError: The file is damaged, or its columns are others than when it was planned.
    """
    table = _planned(chunk, layout)
    names = layout.names(table)
    if table.form == "jsonl":
        yield from _json_rows(chunk, layout)
    else:
        read = {"parquet": _parquet_rows, "csv": _csv_rows, "tsv": _tsv_rows}[table.form]
        yield from read(table, chunk, names)


@dataclasses.dataclass(frozen=True)
class Part:
    """Some rows by columns.

    Attributes:
        columns: Our name → the column, as text (large_string); null where the row has none.
        places: Where each row stands.
        lost: Drafts of the rows that could not be read.
    """

    columns: Mapping[str, pa.Array]
    places: pa.Array
    lost: tuple[dict[str, Any], ...] = ()


def parts(chunk: Chunk, layout: Layout) -> Iterator[Part]:
    """Yield a chunk's rows by columns, at most `DRAFT_ROWS` at a time: for tables of which no row should be an object.

    Numbers are text, as they are spelled; anything else that is no text makes its row a `malformed_row`.

    Raises:
        InputError: As `rows`.
    """
    table = _planned(chunk, layout)
    names = layout.names(table)
    if table.form == "parquet":
        for batch in parquet.read(table.path, [*dict.fromkeys(names.values())], chunk.start, chunk.stop):
            yield _parquet_part(batch, names)
    elif table.form == "tsv":
        yield from _tsv_parts(table, chunk, names)
    else:
        yield from _gathered(rows(chunk, layout), [*names])


def _planned(chunk: Chunk, layout: Layout) -> Table:
    table = look(chunk.path, chunk.member)
    if table is None or _PREFIX + table.form != chunk.form:
        raise InputError(
            "the file has changed since it was planned",
            where=records.location(chunk.path, chunk.member),
            expected=f"{layout.of}: {chunk.form.removeprefix(_PREFIX)}",
            found="another form",
            remedy="run the build again",
        )
    return table


def _keys(head: bytes, *, whole: bool) -> tuple[str, ...] | None:
    """Return the keys of the first line that is an object; None where the lines are none of JSON Lines.

    Args:
        head: The file's first bytes.
        whole: Whether they are all of the file.
    """
    listed = head.split(b"\n", _HEAD_LINES)
    # The last is what follows the lines looked at, or a line that may be cut.
    listed = listed[:_HEAD_LINES] if whole or len(listed) > _HEAD_LINES else listed[:-1]
    # A document over many lines begins with a brace, too; its first line does not end with one.
    if not listed or not listed[0].startswith(b"{") or not listed[0].rstrip().endswith(b"}"):
        return None
    for line in listed:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            return tuple(value)
    return None


def _parquet_rows(table: Table, chunk: Chunk, names: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
    for batch in parquet.read(table.path, [*dict.fromkeys(names.values())], chunk.start, chunk.stop):
        columns = {name: batch.batch[name] for name in names.values()}
        spoiled = _spoiled(columns)
        readable = pa.array([index not in spoiled for index in range(len(batch.batch))]) if spoiled else None
        values = {ours: _values(columns[name], readable, table.class_names.get(name)) for ours, name in names.items()}
        for index in range(len(batch.batch)):
            if index in spoiled:
                yield spoiled[index], batch.place(index)
            else:
                yield {ours: column[index] for ours, column in values.items()}, batch.place(index)


def _spoiled(columns: Mapping[str, pa.Array]) -> dict[int, Spoiled]:
    """Return the rows of which a column of text is not UTF-8."""
    texts = {name: column.cast(pa.large_binary()) for name, column in columns.items() if parquet.is_text(column.type)}
    found: dict[int, Spoiled] = {}
    for name, column in texts.items():
        for index in np.flatnonzero(parquet.undecodable(column)).tolist():
            raw = b"\0".join(other[index].as_py() or b"" for other in texts.values())
            found.setdefault(index, Spoiled(raw, f"{INVALID_UTF8} in {name}"))
    return found


def _values(column: pa.Array, readable: pa.Array | None, classes: tuple[str, ...] | None) -> list[Any]:
    """Return a column's values; None in rows that are not readable, whose text cannot be made a string."""
    if parquet.is_text(column.type):
        column = column.cast(pa.large_binary())
        if readable is not None:
            column = pc.if_else(readable, column, pa.scalar(None, column.type))
        column = column.cast(pa.large_string())
    values: list[Any] = column.to_pylist()
    if classes is None:
        return values
    return [classes[value] if type(value) is int and 0 <= value < len(classes) else value for value in values]


def _parquet_part(batch: parquet.Rows, names: Mapping[str, str]) -> Part:
    columns = {ours: batch.batch[name] for ours, name in names.items()}
    spoiled = _spoiled({name: batch.batch[name] for name in names.values()})
    lost = [records.unreadable(spoiled[index].raw, spoiled[index].why, batch.place(index)) for index in sorted(spoiled)]
    places = batch.places()
    if spoiled:
        good = pa.array([index for index in range(len(batch.batch)) if index not in spoiled], pa.int64())
        columns, places = {ours: column.take(good) for ours, column in columns.items()}, places.take(good)
    return Part({ours: _as_text(column) for ours, column in columns.items()}, places, tuple(lost))


def _as_text(column: pa.Array) -> pa.Array:
    """Return text as it is, and numbers as they are spelled; other kinds are refused when a file is planned."""
    if pa.types.is_floating(column.type):  # as JSON and Python spell them
        column = pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    between = pa.large_binary() if parquet.is_text(column.type) else pa.large_string()
    return column.cast(between).cast(pa.large_string())


def _json_rows(chunk: Chunk, layout: Layout) -> Iterator[tuple[Any, str]]:
    # Which of its keys a row has is its own: one that is optional may be in any of them.
    asked = {**layout.needed, **layout.optional}
    for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop, member=chunk.member):
        for index, value, error in json_stream.parse_json_lines(batch):
            if error is not None:
                yield Spoiled(batch.lines[index].as_py(), error), batch.place(index)
            elif isinstance(value, dict):
                names = {ours: next((name for name in known if name in value), None) for ours, known in asked.items()}
                yield {ours: value[name] for ours, name in names.items() if name is not None}, batch.place(index)
            else:
                yield value, batch.place(index)


def _csv_rows(table: Table, chunk: Chunk, names: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
    where = {ours: table.columns.index(name) for ours, name in names.items()}
    for row in tsv.read_csv(chunk.path, member=chunk.member, delimiter=","):
        place = f"{table.label}:line {row.line}"
        if row.error is not None:
            yield Spoiled(row.raw, row.error), place
        elif not row.byte:
            continue  # the names
        elif len(row.fields) != len(table.columns):
            yield Spoiled(row.raw, f"expected {len(table.columns)} fields, found {len(row.fields)}"), place
        else:
            yield {ours: row.fields[index] for ours, index in where.items()}, place


def _tsv_rows(table: Table, chunk: Chunk, names: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
    for part in _tsv_parts(table, chunk, names):
        columns = {ours: column.to_pylist() for ours, column in part.columns.items()}
        for index, place in enumerate(part.places.to_pylist()):
            yield {ours: values[index] for ours, values in columns.items()}, place
        for draft in part.lost:
            yield Spoiled(draft["row_digest"], draft["detail"]), draft["where"]


def _tsv_parts(table: Table, chunk: Chunk, names: Mapping[str, str]) -> Iterator[Part]:
    width = len(table.columns)
    first = chunk.start == 0
    for batch in lines.read_lines(chunk.path, chunk.start, chunk.stop, member=chunk.member):
        for part, places in table_drafts.slices(batch):
            # The names are the first line.
            body, where = (part.slice(1), places.slice(1)) if first else (part, places)
            first = False
            if not len(body):
                continue
            cut = tsv.split_columns(body, columns=[width])
            columns = {ours: cut.column(table.columns.index(name)) for ours, name in names.items()}
            lost: list[dict[str, Any]] = []
            if len(cut.bad):
                lost = table_drafts.lost_lines(
                    body, cut, digests=table_drafts.digests(body), places=where, expected=f"{width} fields"
                ).to_pylist()
            yield Part(columns, table_drafts.take(where, cut.good), tuple(lost))


def _gathered(found: Iterator[tuple[Any, str]], names: Sequence[str]) -> Iterator[Part]:
    """Gather rows to columns of text."""
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    places: list[str] = []
    lost: list[dict[str, Any]] = []
    held_bytes = 0
    for row, place in found:
        try:
            values = {name: _text(records.mapping(row, "row"), name) for name in names}
        except records.Malformed as malformed:
            lost.append(
                records.unreadable(row.raw, row.why, place)
                if isinstance(row, Spoiled)
                else records.lost(row, "malformed_row", str(malformed), place)
            )
        else:
            places.append(place)
            for name, value in values.items():
                columns[name].append(value)
                held_bytes += len(value or "")
        if max(len(places), len(lost)) >= DRAFT_ROWS or held_bytes >= _BATCH_BYTES:
            yield _part(columns, places, lost)
            columns, places, lost, held_bytes = {name: [] for name in names}, [], [], 0
    if places or lost:
        yield _part(columns, places, lost)


def _part(columns: Mapping[str, list[str | None]], places: list[str], lost: list[dict[str, Any]]) -> Part:
    return Part(
        {name: pa.array(values, pa.large_string()) for name, values in columns.items()},
        pa.array(places, pa.string()),
        tuple(lost),
    )


def _text(row: Mapping[str, Any], name: str) -> str | None:
    """Return a value as text; None where there is none. A number is spelled as it is."""
    value = row.get(name)
    if value is None or isinstance(value, str):
        return value
    if type(value) in (int, float):
        return str(value)
    raise records.Malformed(f"{name}: expected text, found {records.meta(value)[:60]}")


def lost_batch(lost: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Return drafts of rows that could not be read, as a batch."""
    return table_drafts.drafts(
        len(lost),
        {
            "row_digest": keys.key_array(draft["row_digest"] for draft in lost),
            **{name: pa.array([draft[name] for draft in lost], pa.string()) for name in ("reason", "detail", "where")},
        },
    )
