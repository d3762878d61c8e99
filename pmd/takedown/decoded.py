"""Everything that a file holds: columns of Parquet, members of archives, what is compressed, JSON, text, bytes.

What a file is, is told by its first bytes and never by its name: a file that somebody has left in ROOT may be called
anything.
"""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_HEAD_BYTES: Final = 512
_PARQUET: Final = b"PAR1"
_TAR: Final = slice(257, 262)
#: Archives in archives, and what is compressed twice, so deep at most.
_DEPTH: Final = 4


@dataclasses.dataclass(frozen=True)
class Piece:
    """One thing that a file holds.

    Attributes:
        place: Where in the file: a column, a member; "" for all of it.
        content: Text, bytes, or (of JSON) an object or list.
        source: Of ids of rows, the source that has them.
    """

    place: str
    content: Any
    source: str | None = None


def pieces(file: BinaryIO, place: str = "", depth: int = 0) -> Iterator[Piece]:
    """Yield all that a file holds, unpacked; what cannot be unpacked is yielded as it is."""
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    try:
        if depth < _DEPTH and (unpacked := _unpacked(file, head, place, depth)) is not None:
            yield from unpacked
            return
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, pa.ArrowException):
        yield Piece(f"{place} (cannot be unpacked)".strip(), "")
        file.seek(0)
    yield from _plain(file.read(), place, depth)


def _unpacked(file: BinaryIO, head: bytes, place: str, depth: int) -> Iterator[Piece] | None:
    if head.startswith(_PARQUET):
        return _columns(file, place, depth)
    if head[_TAR] == b"ustar":
        return _members(file, place, depth)
    if head.startswith(b"PK\x03\x04"):
        return _zipped(file, place, depth)
    if head.startswith(b"\x1f\x8b"):
        return pieces(cast(BinaryIO, io.BytesIO(gzip.GzipFile(fileobj=file).read())), f"{place} (gzip)", depth + 1)
    if head.startswith(b"BZh"):
        return pieces(io.BytesIO(bz2.decompress(file.read())), f"{place} (bzip2)", depth + 1)
    if head.startswith(b"\xfd7zXZ\x00"):
        return pieces(io.BytesIO(lzma.decompress(file.read())), f"{place} (xz)", depth + 1)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        with pa.CompressedInputStream(pa.py_buffer(file.read()), "zstd") as stream:
            return pieces(io.BytesIO(stream.read()), f"{place} (zstd)", depth + 1)
    return None


def _members(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            where = f"{place} {member.name}".strip()
            yield Piece(where, member.name)
            content = tar.extractfile(member)
            if content is not None:
                yield from pieces(io.BytesIO(content.read()), where, depth + 1)


def _zipped(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            where = f"{place} {name}".strip()
            yield Piece(where, name)
            yield from pieces(io.BytesIO(archive.read(name)), where, depth + 1)


def _columns(file: BinaryIO, place: str, depth: int) -> Iterator[Piece]:
    parquet = pq.ParquetFile(file)
    metadata = parquet.schema_arrow.metadata or {}
    yield Piece(f"{place} metadata".strip(), b"\n".join(value for value in metadata.values()))
    for group in range(parquet.num_row_groups):
        table = parquet.read_row_group(group, use_threads=False)
        if {"source", "source_id"} <= {*table.schema.names}:
            rows = table.select(["source", "source_id"]).group_by(["source", "source_id"]).aggregate([])
            for row in rows.to_pylist():
                yield Piece(f"{place} column source_id".strip(), row["source_id"], row["source"])
        for name in table.schema.names:
            yield from _values(table[name].combine_chunks(), f"{place} column {name}".strip(), depth)


def _values(column: pa.Array | pa.ChunkedArray, place: str, depth: int) -> Iterator[Piece]:
    """Yield the distinct values of a column, whatever it is made of."""
    kind = column.type
    if isinstance(column, pa.ChunkedArray):
        parts = [(chunk, place) for chunk in column.chunks]
    elif pa.types.is_dictionary(kind):
        parts = [(column.dictionary, place)]
    elif pa.types.is_map(kind):
        parts = [(column.keys, place), (column.items, place)]
    elif pa.types.is_struct(kind):
        parts = [(column.field(number), f"{place}.{kind.field(number).name}") for number in range(kind.num_fields)]
    elif pa.types.is_nested(kind):
        parts = [(column.flatten(), place)]
    else:
        yield from _leaves(column, place, depth)
        return
    for values, where in parts:
        yield from _values(values, where, depth)


def _leaves(column: pa.Array, place: str, depth: int) -> Iterator[Piece]:
    """Yield the distinct texts and bytes of a column; numbers name nobody."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        for text in pc.unique(column).drop_null().to_pylist():
            yield from _text(text, place)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        for value in pc.unique(column).drop_null().to_pylist():
            if len(value) > _HEAD_BYTES:
                yield from pieces(io.BytesIO(value), place, depth + 1)
            else:
                yield Piece(place, value)


def _plain(content: bytes, place: str, depth: int) -> Iterator[Piece]:
    """Yield what is in no container: text, JSON or JSON lines, else bytes. A table may follow a line of text."""
    line, end, rest = content.partition(b"\n")
    if end and rest.startswith(_PARQUET) and depth < _DEPTH:
        yield from _plain(line, place, depth)
        yield from pieces(io.BytesIO(rest), place, depth + 1)
        return
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        yield Piece(place, content)
        return
    if "\0" in text:
        yield Piece(place, content)
        return
    yield from _text(text, place)


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
