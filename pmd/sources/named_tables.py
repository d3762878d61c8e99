"""Tables whose columns have names (Parquet, JSON Lines, CSV, TSV with a header): which form a file has, which columns are meant.

Stands under what reads mirrors of a source (the Hub's above all) and under `url_text`, people's own pairs; their rows are read by
`pmd.sources.named_rows`. A form is told by what is in the file: a Parquet table by its first bytes, JSON Lines by a first line
that is an object, text by the names in its first line. Which columns are meant is said by a `Layout`, once for all forms. A file
without them is refused, with the columns that it has. Further columns are not read.

Neither a byte order mark nor blank lines before the first row are part of it, and no blank line is a row.
Text with commas is quoted as csv does it. Tab-separated text has no quoting here: a quotation mark is text.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import pyarrow as pa

from pmd.errors import InputError
from pmd.formats import archives, compression, encoding, json_stream, lines, mistaken, parquet, tsv
from pmd.sources import records
from pmd.sources.contract import Chunk

Form = Literal["parquet", "jsonl", "csv", "tsv"]

#: Bytes looked at for the names of the columns: rows with an embedding in them are some 100 kB.
_HEAD_BYTES: Final = 1 << 20
#: Lines of JSON looked at for the names of the columns: the first may be a bad one, or lack some.
_HEAD_LINES: Final = 20
#: Lines before the first that has anything; the readers pass over them, too.
_BLANK_LINES: Final = re.compile(rb"\A(?:[ \r]*\n)+")
#: Rows of a CSV looked at to tell how its quotation marks are written.
_HEAD_ROWS: Final = 200
_NAMES_SHOWN: Final = 24
_URL: Final = re.compile(r"\s*https?://", re.IGNORECASE)
#: What parts columns where it is no comma.
_PARTING: Final = (";", "|")
_NO_NAMES: Final = "the first line is a row, and must have the names of the columns: put a line of them above it"
_OTHER_COMMAS: Final = "the columns are parted by {0}: write the table with commas, or with tabs as TSV"
_OF_DOCUMENT: Final = "write one object a line, which is JSON Lines: of a list jq -c '.[]' FILE > FILE.jsonl does it"
#: Characters of a name, and of a kind of values, that an error shows.
_NAME_SHOWN: Final = 60
_KIND_SHOWN: Final = 120
#: How a chunk of a table is told from one of the source's own forms.
PREFIX: Final = "table:"
SPLITS: Final = {
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
        columns: Names of its columns, in order; of JSON Lines those of its first objects.
        kinds: Column → its type, of Parquet alone.
        class_names: Column → names of its classes, where the file has numbers for them.
        nested: Columns that hold lists or objects alone: of JSON Lines, in its first objects; of Parquet, by their types.
        is_quoted: Of a TSV, whether it is quoted as csv does, which is not read.
    """

    path: str
    member: str | None
    form: Form
    columns: tuple[str, ...]
    kinds: Mapping[str, pa.DataType] = dataclasses.field(default_factory=dict)
    class_names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    nested: frozenset[str] = frozenset()
    is_quoted: bool = False

    @property
    def label(self) -> str:
        """What places and errors call it."""
        return archives.location(self.path, self.member)

    @property
    def otherwise(self) -> str | None:
        """What to do where its first line has no names, or its columns are parted by another sign; None where it seems sound."""
        if self.form in ("csv", "tsv") and any(_URL.match(name) for name in self.columns):
            return _NO_NAMES
        if self.form == "csv" and len(self.columns) == 1:
            parting = next((sign for sign in _PARTING if sign in self.columns[0]), None)
            return None if parting is None else _OTHER_COMMAS.format(parting)
        return None

    def chunks(self) -> list[Chunk]:
        """Cut it: Parquet at row groups, lines into ranges; quoted text and members of archives are one chunk each."""
        cuts: Sequence[tuple[int, int | None]] = [(0, None)]
        if self.form == "parquet":
            cuts = parquet.ranges(self.path)
        elif self.form != "csv" and self.member is None:
            cuts = lines.ranges(self.path)
        return [Chunk(self.path, PREFIX + self.form, self.member, start, stop) for start, stop in cuts]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which columns are meant.

    Attributes:
        of: What the rows are called in errors: "a mirror of red_caps".
        needed: Our name of a column → the names that it may have in a file, best first.
        optional: The same, of columns that may be missing.
        text: Our names of the columns that must be text where the file says what its columns are.
        remedy: What to do where a file has other columns.
        loose: Our names of columns that spoil no row of JSON: a list or an object there is none.
    """

    of: str
    needed: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    text: frozenset[str] = frozenset()
    remedy: str = (
        "docs/sources.md lists the forms that are read; a table of other columns is a source of its own: "
        'reader = "url_text"'
    )
    loose: frozenset[str] = frozenset()

    def fits(self, table: Table) -> bool:
        """Return whether a file has every column that is needed."""
        return all(any(name in table.columns for name in names) for names in self.needed.values())

    def names(self, table: Table) -> dict[str, str]:
        """Return our name → the file's, of every column that is there.

        Raises:
            InputError: One that is needed is not there, or has no values that it could; shows what there is. As `refuse_quoted`.
        """
        refuse_quoted(table)
        if not self.fits(table):
            shown = ", ".join(name[:_NAME_SHOWN] for name in table.columns[:_NAMES_SHOWN])
            raise self.refusal(table, "the columns are not known", shown or "none")
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
        if table.form == "csv":
            _refuse_escaped(table)
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
        nested = frozenset(name for name, kind in kinds.items() if pa.types.is_nested(kind))
        return Table(path, member, "parquet", tuple(schema.names), kinds, parquet.class_names(schema), nested)
    with compression.open_decompressed(path, member) as file:
        start = file.read(_HEAD_BYTES)
    whole = len(start) < _HEAD_BYTES
    if start.startswith(parquet.MAGIC):
        raise InputError(
            "a Parquet table cannot be read where it is",
            where=archives.location(path, member),
            expected="a Parquet table as a file of its own",
            found="one in an archive, or compressed",
            remedy="unpack it: Parquet is compressed in itself",
        )
    _refuse_another(start, archives.location(path, member))
    # Blank lines alone: a table's first name may be none, as pandas has it, so that the line begins with a tab.
    head = _BLANK_LINES.sub(b"", encoding.without_mark(start, archives.location(path, member)), count=1)
    objects = _objects(head, whole=whole)
    if objects:
        # What a row has no value for, many writers leave out of it.
        names = tuple(dict.fromkeys(itertools.chain.from_iterable(objects)))
        return Table(path, member, "jsonl", names, nested=nested_in(objects))
    first, newline, _ = head.partition(b"\n")
    if not first.strip() or not (newline or whole) or head.lstrip().startswith((b"{", b"[")):
        return None
    try:
        line = first.decode().removesuffix("\r")
    except UnicodeDecodeError:
        return None
    if "\t" in line:
        return Table(path, member, "tsv", tuple(line.split("\t")), is_quoted=tsv.is_quoted(head))
    try:
        return Table(path, member, "csv", tuple(next(csv.reader([line]), ())))
    except csv.Error:
        return None


def refuse_quoted(table: Table | None) -> None:
    """Refuse a TSV that is quoted as csv does, as pandas and others write it: quotation marks would get into its texts.

    Raises:
        InputError: It is one.
    """
    if table is not None and table.is_quoted:
        raise InputError(
            "tab-separated text whose fields are quoted",
            where=table.label,
            expected="fields as they are: where tabs part them, a quotation mark is text",
            found='fields in quotes, like "a ""quoted"" word"',
            remedy="write the table as Parquet, JSON Lines or CSV: to_parquet(…), to_json(…, orient='records', lines=True), "
            "to_csv(…) without sep",
        )


def _refuse_escaped(table: Table) -> None:
    """Refuse a CSV whose first rows have quotation marks that are not doubled, as Spark writes them: texts would be others.

    Raises:
        InputError: It is one.
    """
    rows = itertools.islice(tsv.read_csv(table.path, member=table.member, delimiter=","), _HEAD_ROWS)
    escaped = next((row for row in rows if row.error == tsv.ESCAPED), None)
    if escaped is not None:
        raise InputError(
            "text with commas whose quotation marks are escaped by backslashes",
            where=f"{table.label}:line {escaped.line}",
            expected='quotation marks that are doubled within quotes: "a ""quoted"" word"',
            found=escaped.raw[:_KIND_SHOWN].decode("utf-8", "replace"),
            remedy="write the table as Parquet or JSON Lines; or as CSV with doubled marks, in Spark option('escape', '\"')",
        )


def _refuse_another(start: bytes, label: str) -> None:
    if (told := mistaken.of_another(start)) is not None:
        found, remedy = told
        raise InputError(
            "the form is not read",
            where=label,
            expected="Parquet, JSON Lines, CSV, or one of upstream's own forms",
            found=found,
            remedy=remedy,
        )


def split_of(path: str) -> str | None:
    """Return the split that a file's name has in it ("train-00000-of-00002.parquet"), else its folder's; None where none has.

    Of a large data set the Hub makes Parquet of a part, in a folder that is called so: "partial-train/0000.parquet".
    """
    folder, name = posixpath.split(path)
    return split_in(name) or SPLITS.get(posixpath.basename(folder).lower().removeprefix("partial-"))


def split_in(name: str) -> str | None:
    """Return the split that a name has in it; None where it has none."""
    words = re.split("[^a-z]+", name.lower())
    return next((SPLITS[word] for word in words if word in SPLITS), None)


def is_chunk(chunk: Chunk) -> bool:
    """Return whether a chunk is one of a table."""
    return chunk.form.startswith(PREFIX)


def otherwise(start: bytes) -> str | None:
    """Return what to do with a file that is no table as it is, by how it starts; None where that does not tell.

    Args:
        start: Its first bytes (`records.head`).
    """
    if (told := records.told_of(start)) is not None:
        return told[1]
    if (advice := records.of_lines(start)) is not None:
        return advice
    if start.lstrip().startswith((b"[", b"{")):
        return _OF_DOCUMENT
    if b"\n" in start:
        return None
    if len(start) >= records.HEAD_BYTES:
        return f"no line ends in its first {records.HEAD_BYTES:,} bytes: if it is a table, leave out columns that nothing reads"
    return None


def _objects(head: bytes, *, whole: bool) -> list[dict[str, Any]]:
    """Return those of the first lines that are objects; none where the lines are none of JSON Lines.

    Args:
        head: The file's first bytes.
        whole: Whether they are all of the file.
    """
    listed = head.split(b"\n", _HEAD_LINES)
    # The last is what follows the lines looked at, or a line that may be cut.
    listed = listed[:_HEAD_LINES] if whole or len(listed) > _HEAD_LINES else listed[:-1]
    # A document over many lines begins with a brace, too; its first line does not end with one.
    if not listed or not listed[0].lstrip().startswith(b"{") or not listed[0].rstrip().endswith(b"}"):
        return []
    return [value for value in map(json_stream.parsed_without_nan, listed) if isinstance(value, dict)]


def nested_in(objects: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the keys whose values are lists or objects alone, in objects of JSON."""
    values = [(name, value) for one in objects for name, value in one.items() if value is not None]
    return frozenset(name for name, _ in values) - {
        name for name, value in values if not isinstance(value, list | dict)
    }
