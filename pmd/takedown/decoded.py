"""Everything that a file holds: columns of tables, members of archives, what is compressed, JSON, text, bytes.

What a file is, is told by its first bytes and never by its name: a file that somebody has left in ROOT may be called
anything. Of tables with named columns (Parquet, Arrow, SQLite, CSV) a value is yielded by itself, and where its column says who
somebody is, with the column's name.
"""

from __future__ import annotations

import bz2
import csv
import dataclasses
import functools
import gzip
import io
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from pmd.suppression import people

_HEAD_BYTES: Final = 512
_PARQUET: Final = b"PAR1"
_ARROW: Final = b"ARROW1\0\0"
#: Where the messages of a stream of Arrow begin.
_ARROW_STREAM: Final = b"\xff\xff\xff\xff"
_SQLITE: Final = b"SQLite format 3\0"
#: Where a header of a tar has its own sum.
_TAR_SUM: Final = slice(148, 156)
#: Archives that nothing here unpacks: 7-Zip and RAR.
_CLOSED: Final = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
#: Archives in archives, and what is compressed twice, so deep at most; what lies deeper is told as not unpacked.
_DEPTH: Final = 8
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_LINE_END: Final = re.compile("[\r\n]")

#: Said at the end of a place whose content was not seen.
CLOSED: Final = "(cannot be unpacked)"

#: What damaged, encrypted and unknown archives raise.
_BROKEN: Final = (
    OSError, EOFError, ValueError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error,
    pa.ArrowException, sqlite3.Error,
)  # fmt: skip


@functools.cache
def _people() -> frozenset[str]:
    """Return the fields by which sources name people."""
    return frozenset(people.fields().values())


@dataclasses.dataclass(frozen=True)
class Piece:
    """One thing that a file holds.

    Attributes:
        place: Where in the file: a column, a member; "" for all of it.
        content: Text, bytes, or (of JSON, and of a column that names people) an object or list.
        source: Of ids of rows, the source that has them.
    """

    place: str
    content: Any
    source: str | None = None


def pieces(file: BinaryIO, place: str = "", depth: int = 0) -> Iterator[Piece]:
    """Yield all that a file holds, unpacked; what cannot be unpacked is yielded as it is, after a piece that says so."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    unpack = _unpacks(head)
    if unpack is not None:
        try:
            if depth >= _DEPTH:
                raise ValueError("too deep")
            yield from unpack(file, place, depth)
            return
        except _BROKEN:
            yield Piece(f"{place} {CLOSED}".strip(), "")
            file.seek(0)
    yield from _plain(file.read(), place, depth)


def _unpacks(head: bytes) -> Callable[[BinaryIO, str, int], Iterator[Piece]] | None:
    """Return what unpacks a file that begins so; None: it is no archive and no table."""
    for magic, unpack in _BY_MAGIC.items():
        if head.startswith(magic):
            return unpack
    return _members if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    if len(head) < _HEAD_BYTES or not head[0]:
        return False
    said = head[_TAR_SUM].split(b"\0")[0].strip()
    summed = sum(head) - sum(head[_TAR_SUM]) + 8 * ord(" ")
    return said.isdigit() and not said.strip(b"01234567") and int(said, 8) == summed


def _closed(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    raise ValueError("nothing here unpacks it")


def _unpacked_by(unpack: Callable[[bytes], bytes], name: str) -> Callable[[BinaryIO, str, int], Iterator[Piece]]:
    """Return what yields the pieces of compressed bytes."""

    def yielding(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
        yield from pieces(io.BytesIO(unpack(file.read())), f"{place} ({name})".strip(), depth + 1)

    return yielding


def _by_arrow(codec: str) -> Callable[[bytes], bytes]:
    def unpack(content: bytes) -> bytes:
        with pa.CompressedInputStream(pa.py_buffer(content), codec) as stream:
            return cast(bytes, stream.read())

    return unpack


def _members(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    # Whatever stands behind the end is read too: tars may have been put one behind the other.
    with tarfile.open(fileobj=file, mode="r:", ignore_zeros=True) as tar:
        for member in tar:
            where = f"{place} {member.name}".strip()
            said = [member.name, member.linkname, member.uname, member.gname, *map(str, member.pax_headers.values())]
            yield Piece(where, "\n".join(filter(None, said)))
            content = (
                tar.extractfile(member) if member.isreg() else None
            )  # what a link means is a member itself, or not here
            if content is not None:
                yield from pieces(io.BytesIO(content.read()), where, depth + 1)


def _zipped(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    with zipfile.ZipFile(file) as archive:
        if archive.comment:
            yield Piece(f"{place} comment".strip(), archive.comment)
        for member in archive.infolist():
            where = f"{place} {member.filename}".strip()
            yield Piece(where, member.filename)
            if member.comment:
                yield Piece(where, member.comment)
            try:
                content = archive.read(member)
            except _BROKEN:  # one that is encrypted says nothing of those after it
                yield Piece(f"{where} {CLOSED}", "")
                continue
            yield from pieces(io.BytesIO(content), where, depth + 1)


def _columns(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    parquet = pq.ParquetFile(file)
    yield from _described(parquet.schema_arrow, place)
    for group in range(parquet.num_row_groups):
        yield from _table(parquet.read_row_group(group, use_threads=False), place, depth)


def _arrow(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    with pa.ipc.open_file(file) as opened:
        yield from _described(opened.schema, place)
        for number in range(opened.num_record_batches):
            yield from _table(pa.Table.from_batches([opened.get_batch(number)]), place, depth)


def _arrow_stream(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    with pa.ipc.open_stream(file) as opened:
        yield from _described(opened.schema, place)
        for batch in opened:
            yield from _table(pa.Table.from_batches([batch]), place, depth)


def _described(schema: pa.Schema, place: str) -> Iterator[Piece]:
    """Yield what a table's schema says: names and metadata, of the whole and of each column."""
    said = [schema.metadata or {}, *(field.metadata or {} for field in schema)]
    yield Piece(f"{place} names".strip(), "\n".join(schema.names))
    yield Piece(f"{place} metadata".strip(), b"\n".join(value for metadata in said for value in metadata.values()))


def _table(table: pa.Table, place: str, depth: int) -> Iterator[Piece]:
    if {"source", "source_id"} <= {*table.schema.names}:
        rows = table.select(["source", "source_id"]).group_by(["source", "source_id"], use_threads=False).aggregate([])
        for row in rows.to_pylist():
            yield Piece(f"{place} column source_id".strip(), str(row["source_id"]), str(row["source"]))
    for number, name in enumerate(table.schema.names):
        yield from _values(table.column(number).combine_chunks(), f"{place} column {name}".strip(), name, depth)


def _values(column: pa.Array | pa.ChunkedArray, place: str, name: str, depth: int) -> Iterator[Piece]:
    """Yield the distinct values of a column, whatever it is made of."""
    kind = column.type
    parts: list[tuple[Any, str, str]]
    if isinstance(column, pa.ChunkedArray):
        parts = [(chunk, place, name) for chunk in column.chunks]
    elif pa.types.is_dictionary(kind):
        parts = [(column.dictionary, place, name)]
    elif pa.types.is_map(kind):
        parts = [(column.keys, place, name), (column.items, place, name)]
    elif pa.types.is_struct(kind):
        fields = [kind.field(number).name for number in range(kind.num_fields)]
        parts = [(column.field(number), f"{place}.{field}", field) for number, field in enumerate(fields)]
    elif pa.types.is_nested(kind):
        parts = [(column.flatten(), place, name)]
    elif isinstance(column, pa.ExtensionArray):
        parts = [(column.storage, place, name)]
    else:
        yield from _leaves(column, place, name, depth)
        return
    for values, where, field in parts:
        yield from _values(values, where, field, depth)


def _leaves(column: pa.Array, place: str, name: str, depth: int) -> Iterator[Piece]:
    """Yield the distinct texts and bytes of a column; numbers name nobody."""
    kind = column.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        for text in pc.unique(column).drop_null().to_pylist():
            yield from _value(name, text, place, depth)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        for value in pc.unique(column).drop_null().to_pylist():
            yield from _value(name, value, place, depth)


def _value(name: str, value: Any, place: str, depth: int) -> Iterator[Piece]:
    """Yield a value of a column of a name."""
    if isinstance(value, str):
        yield from _text(value, place)
        if name in _people():
            yield Piece(place, {name: value})
    elif isinstance(value, bytes) and len(value) > _HEAD_BYTES:
        yield from pieces(io.BytesIO(value), place, depth + 1)
    elif isinstance(value, bytes):
        yield Piece(place, value)


def _sqlite(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    """Yield the values of a database's tables, and how these are called."""
    connection = sqlite3.connect(":memory:")
    try:
        content = bytearray(file.read())
        content[18:20] = b"\1\1"  # else one with a write-ahead log is not opened in memory
        connection.deserialize(bytes(content))
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        for table, statement in tables:
            yield Piece(f"{place} table {table}".strip(), statement or "")
            quoted = table.replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608  the name is the file's own, in quotes
            names = [column[0] for column in rows.description]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    yield from _value(name, value, f"{place} table {table} column {name}".strip(), depth)
                yield from _row_of(dict(zip(names, row, strict=True)), place)
    finally:
        connection.close()


def _row_of(row: Mapping[str, Any], place: str) -> Iterator[Piece]:
    source, source_id = row.get("source"), row.get("source_id")
    if source is not None and source_id is not None:
        yield Piece(f"{place} column source_id".strip(), str(source_id), str(source))


def _plain(content: bytes, place: str, depth: int) -> Iterator[Piece]:
    """Yield what is in no container: text, JSON or JSON lines, CSV, else bytes. A table may follow a line of text."""
    line, end, rest = content.partition(b"\n")
    if end and rest.startswith(_PARQUET) and depth < _DEPTH:
        yield from _plain(line, place, depth)
        yield from pieces(io.BytesIO(rest), place, depth + 1)
        return
    try:
        text = content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        yield Piece(place, content)
        return
    if "\0" in text:
        yield Piece(place, content)
        return
    yield from _text(text, place)
    yield from _lines_of_columns(text, place)


def _lines_of_columns(text: str, place: str) -> Iterator[Piece]:
    """Yield what tables of lines say of people and rows: those whose first line names their columns."""
    if text.lstrip().startswith(("{", "[")):
        return
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # else a script of one long line ends the command
    head = _LINE_END.split(text, maxsplit=1)[0]
    marks = [mark for mark in "\t,;" if mark in head]
    names = {mark: {*next(csv.reader([head], delimiter=mark))} for mark in marks}
    mark = next((mark for mark in marks if names[mark] & {*_people(), "source_id"}), None)
    if mark is None:
        return
    try:
        for row in csv.DictReader(io.StringIO(text, newline=None), delimiter=mark):
            yield Piece(place, {name: value for name, value in row.items() if name in _people() and value})
            yield from _row_of(row, place)
    except csv.Error:
        yield Piece(f"{place} {CLOSED}".strip(), "")


def _text(text: str, place: str) -> Iterator[Piece]:
    yield Piece(place, text)
    if not text.lstrip().startswith(("{", "[")):
        return
    for part in [text] if (whole := _json(text)) is not None else text.splitlines():
        found = whole if part is text else _json(part)
        if isinstance(found, dict | list):
            yield Piece(place, found)


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


#: How what a file begins with is unpacked.
_BY_MAGIC: Final[Mapping[bytes, Callable[[BinaryIO, str, int], Iterator[Piece]]]] = {
    _PARQUET: _columns,
    _ARROW: _arrow,
    _ARROW_STREAM: _arrow_stream,
    _SQLITE: _sqlite,
    b"PK\x03\x04": _zipped,
    b"\x1f\x8b": _unpacked_by(gzip.decompress, "gzip"),
    b"BZh": _unpacked_by(bz2.decompress, "bzip2"),
    b"\xfd7zXZ\x00": _unpacked_by(lzma.decompress, "xz"),
    b"\x28\xb5\x2f\xfd": _unpacked_by(_by_arrow("zstd"), "zstd"),
    b"\x04\x22\x4d\x18": _unpacked_by(_by_arrow("lz4"), "lz4"),
    **dict.fromkeys(_CLOSED, _closed),
}
