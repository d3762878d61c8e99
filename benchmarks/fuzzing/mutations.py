"""What is done to a file: to its bytes, its rows and fields, its encoding, and the container that it comes in.

A mutation is a function of a random generator and of the spans of a document's rows and fields; it returns the new bytes.
The names in `MUTATIONS` are what the table of results counts by.
"""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import random
import sqlite3
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Final

import zstandard

from benchmarks.fuzzing import documents
from benchmarks.fuzzing.bases import Base

Span = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Anatomy:
    """Where the parts of an unharmed document stand.

    Attributes:
        document: Its bytes.
        json: Whether it is JSON, or JSON Lines.
        rows: Its rows, with their line ends.
        fields: What stands in them: values, or what is between two tabs.
        members: Of JSON objects: keys with their values.
    """

    document: bytes
    json: bool
    rows: tuple[Span, ...]
    fields: tuple[Span, ...]
    members: tuple[Span, ...]


def anatomy(base: Base, name: str) -> Anatomy:
    """Return the parts of one document of a base."""
    document = base.files[name]
    if base.form in documents.JSON_FORMS or name == base.karpathy:
        rows: list[Span] = []
        fields: list[Span] = []
        members: list[Span] = []
        _walk(documents.parse(document), 0, rows, fields, members)
        return Anatomy(document, True, tuple(rows), tuple(fields), tuple(members))
    spans: list[Span] = []
    at = 0
    for raw in _rows_of(base, document):
        spans.append((at, at + len(raw)))
        at += len(raw)
    if base.form == "narratives":
        fields, members = [], []
        for start, stop in spans:
            inner: tuple[list[Span], list[Span], list[Span]] = ([], [], [])
            try:
                _walk(documents.parse(document[start:stop]), 0, *inner)
            except documents.Unreadable:  # one of the odd rows
                continue
            fields += [(start + a, start + b) for a, b in inner[1]]
            members += [(start + a, start + b) for a, b in inner[2]]
        return Anatomy(document, True, tuple(spans), tuple(fields), tuple(members))
    fields = []
    for start, stop in spans:
        at = start
        for cell in document[start:stop].rstrip(b"\r\n").split(b"\t"):
            fields.append((at, at + len(cell)))
            at += len(cell) + 1
    return Anatomy(document, False, tuple(spans), tuple(fields), ())


def _rows_of(base: Base, document: bytes) -> list[bytes]:
    if base.form != "records":
        return (
            document.splitlines(keepends=True)
            if b"\r" not in document.replace(b"\r\n", b"")
            else [line + b"\n" for line in document.split(b"\n")][: -1 if document.endswith(b"\n") else None]
        )
    return [raw + b"\n" for _, raw in documents.records(document)]


def _walk(node: documents.Node, depth: int, rows: list[Span], fields: list[Span], members: list[Span]) -> None:
    """Collect elements of lists down to the fourth level, all values and all members."""
    for key, value in node.members:
        span = (value.start, value.stop)
        if key is None and depth <= 3:
            rows.append(span)
        elif key is not None:
            members.append((key[0], value.stop))
        fields.append(span)
        _walk(value, depth + 1, rows, fields, members)


# -------------------------------------------------------------------------------------------------- bytes


def _edit(document: bytes, start: int, stop: int, new: bytes) -> bytes:
    return document[:start] + new + document[stop:]


def _at(rng: random.Random, document: bytes) -> int:
    return rng.randrange(len(document)) if document else 0


def _bits(rng: random.Random, parts: Anatomy) -> bytes:
    changed = bytearray(parts.document)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        changed[_at(rng, changed)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _bytes(rng: random.Random, parts: Anatomy) -> bytes:
    changed = bytearray(parts.document)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
        changed[_at(rng, changed)] = rng.choice((rng.randrange(256), *b'\0\t\n\r",:[]{}\\\xff'))
    return bytes(changed)


def _insert(rng: random.Random, parts: Anatomy) -> bytes:
    at = _at(rng, parts.document)
    new = rng.choice(
        (
            rng.randbytes(rng.choice((1, 2, 10, 300))),
            bytes([rng.choice(b'\0\t\n\r",:[]{}\\ ')]),
            b"\0" * rng.choice((1, 512, 5000)),
        )
    )
    return _edit(parts.document, at, at, new)


def _delete(rng: random.Random, parts: Anatomy) -> bytes:
    at = _at(rng, parts.document)
    return _edit(parts.document, at, at + rng.choice((1, 1, 2, 10, 200)), b"")


def _overwrite(rng: random.Random, parts: Anatomy) -> bytes:
    """Put a block of another place, of zeros or of noise over a part, as bad disks and broken downloads do."""
    length = rng.choice((4, 64, 512, 4096))
    at, other = _at(rng, parts.document), _at(rng, parts.document)
    new = rng.choice((parts.document[other : other + length], b"\0" * length, rng.randbytes(length)))
    return _edit(parts.document, at, at + len(new), new)


def _truncate(rng: random.Random, parts: Anatomy) -> bytes:
    return (
        parts.document[: _at(rng, parts.document)] if rng.random() < 0.7 else parts.document[_at(rng, parts.document) :]
    )


# --------------------------------------------------------------------------------------------------- rows


def _cut_rows(rng: random.Random, parts: Anatomy) -> bytes:
    """Take rows out; of a JSON list with the comma that parts them, so that it stays one."""
    document = parts.document
    last = len(document)
    for start, stop in sorted(rng.sample(parts.rows, min(len(parts.rows), rng.choice((1, 2, 5)))), reverse=True):
        if stop > last:
            continue
        first, after = start, stop
        if parts.json and b"\n" not in document[start:stop]:
            after = len(document) - len(document[stop:].lstrip(b" \t\r\n"))
            before = len(document[:start].rstrip(b" \t\r\n"))
            if document[after : after + 1] == b",":
                after += 1
            elif document[before - 1 : before] == b",":
                first, after = before - 1, stop
        document = _edit(document, first, after, b"")
        last = first
    return document


def _duplicate_rows(rng: random.Random, parts: Anatomy) -> bytes:
    start, stop = rng.choice(parts.rows)
    row = parts.document[start:stop]
    if not row.endswith(b"\n"):
        row = (b", " + row) if parts.json else (b"\n" + row)
    at = rng.choice((stop, stop, rng.choice(parts.rows)[1]))
    return _edit(parts.document, at, at, row * rng.choice((1, 1, 2, 9)))


def _move_rows(rng: random.Random, parts: Anatomy) -> bytes:
    return _exchange(rng, parts, parts.rows)


def _swap_fields(rng: random.Random, parts: Anatomy) -> bytes:
    return _exchange(rng, parts, parts.fields)


def _exchange(rng: random.Random, parts: Anatomy, spans: tuple[Span, ...]) -> bytes:
    first, second = sorted((rng.choice(spans), rng.choice(spans)))
    if first[1] > second[0]:
        return _bytes(rng, parts)
    document = parts.document
    return b"".join(
        [
            document[: first[0]],
            document[second[0] : second[1]],
            document[first[1] : second[0]],
            document[first[0] : first[1]],
            document[second[1] :],
        ]
    )


def _foreign_rows(rng: random.Random, parts: Anatomy) -> bytes:
    """Put a row of another format between two."""
    at = rng.choice(parts.rows)[rng.randrange(2)]
    new = rng.choice(
        (
            b'{"dataset_id": "ADE20k_train", "image_id": "ADE_train_00000001", "annotator_id": 1, "caption": "A wall."}',
            b'{"dataset_id": "mscoco_val2017", "image_id": "137576", "annotator_id": 93, "caption": "A hill. A bus."}',
            b"a very typical bus station\thttp://lh6.ggpht.com/-IvRtNLNcG8o/TpFyrudaT6I/AAAAAAAAM6o/_11MuAAKalQ/IMG_3422.JPG",
            b"http://example.org/a.jpg\ta caption of <PERSON>",
            b"<html><head><title>404 Not Found</title></head></html>",
            b"{}",
            b"null",
            b"[]",
            b"",
            b"\t" * rng.choice((1, 16, 22, 24, 300)),
        )
    )
    return _edit(parts.document, at, at, new + (b", " if parts.json and rng.random() < 0.5 else b"\n"))


# ------------------------------------------------------------------------------------------------- fields


def _in_field(rng: random.Random, parts: Anatomy, new: bytes) -> bytes:
    start, stop = rng.choice(parts.fields)
    return _edit(parts.document, start, stop, new)


def _within_text(rng: random.Random, parts: Anatomy, new: bytes) -> bytes:
    """Insert something into a field's text: of JSON between a string's quotation marks."""
    texts = [
        (start, stop)
        for start, stop in rng.sample(parts.fields, min(20, len(parts.fields)))
        if not parts.json or parts.document[start : start + 1] == b'"'
    ]
    if not texts:
        return _in_field(rng, parts, new)
    start, stop = texts[0]
    at = rng.randint(start + parts.json, max(stop - parts.json, start + parts.json))
    return _edit(parts.document, at, at, new)


def _wrong_types(rng: random.Random, parts: Anatomy) -> bytes:
    return _in_field(
        rng,
        parts,
        rng.choice(
            (
                b"null", b"true", b"false", b"0", b"-1", b"1.5", b'""', b'"1"', b'" "', b"{}", b"[]", b'{"a": 1}', b"[1, 2]",
                b'["a", {"b": null}]', b"", b"nan", b'{"item": [1]}', b'"#2"', b"None", b'"\\""', b'"https://[::1"',
                b'"http://a b/c"', b"http://[bad", b"2147483648", b"-2147483649",
            )
        ),
    )  # fmt: skip


def _numbers(rng: random.Random, parts: Anatomy) -> bytes:
    return _in_field(
        rng,
        parts,
        rng.choice(
            (
                b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"18446744073709551615",
                b"18446744073709551616", b"9" * 40, b"9" * 309, b"9" * 4301, b"-" + b"9" * 5000, b"1e308", b"1e309", b"-1e999",
                b"1e-999", b"0." + b"1" * 3000, b"1E+400", b"-0", b"-0.0", b"00", b"01", b"+1", b"0x10", b"1.", b".5", b"NaN",
                b"Infinity", b"-Infinity", b"1e", b"4294967296", b"9007199254740993", "١٢٣".encode(), "²".encode(),
                b'"' + b"7" * 5000 + b'"',
                b"1" + b"0" * 400,
            )
        ),
    )  # fmt: skip


def _nesting(rng: random.Random, parts: Anatomy) -> bytes:
    depth = rng.choice((5, 200, 253, 254, 255, 300, 1023, 1024, 1025, 3000))
    opens, closes = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"b": 1, "a":', b"}]")))
    left_open = rng.choice((0, 0, 0, 1, depth))
    return _in_field(rng, parts, opens * depth + b"1" + closes * (depth - left_open))


def _long(rng: random.Random, parts: Anatomy) -> bytes:
    length = rng.choice((300, 5_000, 5_000, 70_000, 70_000, 300_000))
    unit = rng.choice(
        (b"a", b"a b ", "\u00e9".encode(), b"<b>", b"&amp;", b"%41+", b"http://", b". ", b"\\n" if parts.json else b'"')
    )
    new = unit * (length // len(unit))
    return _within_text(rng, parts, new) if rng.random() < 0.8 else _in_field(rng, parts, new)


def _duplicate_keys(rng: random.Random, parts: Anatomy) -> bytes:
    if not parts.members:
        return _duplicate_rows(rng, parts)
    start, stop = rng.choice(parts.members)
    first, second = (parts.document[slice(*rng.choice(parts.members))] for _ in range(2))
    key = parts.document[start:stop].partition(b":")[0]
    new = rng.choice(
        (parts.document[start:stop], key + b": null", key + b": 7", first, key + b":" + second.partition(b":")[2])
    )
    return _edit(parts.document, stop, stop, b", " + new)


def _keys(rng: random.Random, parts: Anatomy) -> bytes:
    """Rename or remove a key; of a table, remove a column of one row."""
    if not parts.members:
        start, stop = rng.choice(parts.fields)
        return (
            _edit(parts.document, start, stop + 1, b"")
            if rng.random() < 0.5
            else _edit(parts.document, start, start, b"x\t")
        )
    start, stop = rng.choice(parts.members)
    if rng.random() < 0.5:
        return _edit(parts.document, start, stop, b'"_": 0')
    key = parts.document[start:stop].partition(b":")[0]
    other = parts.document[slice(*rng.choice(parts.members))].partition(b":")[0]
    return _edit(
        parts.document, start, start + len(key), rng.choice((other, b'"\\u0061"', b'"item"', b'""', key.upper(), b"1"))
    )


# ----------------------------------------------------------------------------------------------- encoding

_PIECES: Final = (
    b"\xe9", b"\xff\xfe", b"\xfe\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\x80",
    b"\xf0\x9f\x98",
    b"\xef\xbb\xbf", b"\0", b"\x1b", b"\x7f", b"\x85", "\x85".encode(), "\u2028".encode(), "\u200b\u202e".encode(),
    "\ufffe".encode(),
    "e\u0301\u0301".encode(), "\U0001f468\u200d\U0001f469".encode(), "caf\u00e9".encode("latin-1"), "caption".encode("utf-16-le"),
    "caption".encode("utf-16"), "\u65e5\u672c".encode("shift_jis"), "\u0416".encode("koi8-r"),
)  # fmt: skip
_ESCAPES: Final = (
    rb"\ud800", rb"\udc00", rb"\ud800A", rb"\ud83d\ude00", rb"\ude00\ud83d", rb"\u0000", rb"\uFFFF", rb"\ud800\ud800", rb"\u12",
    rb"\x41", rb"\'", rb"\u", rb"\/", rb"\\", rb"\"", rb"%ff%fe", rb"%00", rb"&#xd800;", rb"&#99999999999;", rb"\U0001f600",
)  # fmt: skip


def _encoding(rng: random.Random, parts: Anatomy) -> bytes:
    choice = rng.random()
    if choice < 0.45:
        return _within_text(rng, parts, rng.choice(_PIECES) * rng.choice((1, 1, 3)))
    if choice < 0.8:
        return _within_text(rng, parts, rng.choice(_ESCAPES))
    codec = rng.choice(("latin-1", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp1252", "utf-7"))
    start, stop = rng.choice(parts.rows) if choice < 0.93 else (0, len(parts.document))
    text = parts.document[start:stop].decode(errors="replace")
    return _edit(parts.document, start, stop, text.encode(codec, errors="replace"))


def _line_ends(rng: random.Random, parts: Anatomy) -> bytes:
    document = parts.document
    old, new = rng.choice(
        (
            (b"\n", b"\r\n"),
            (b"\n", b"\r"),
            (b"\n", b"\n\n"),
            (b"\n", b"\r\r\n"),
            (b" ", b"\n"),
            (b"\r\n", b"\n"),
            (b", ", b",\r\n"),
        )
    )
    if rng.random() < 0.4:
        return document.replace(old, new)
    if rng.random() < 0.4 and old in document:
        at = document.find(old, _at(rng, document))
        return document if at < 0 else _edit(document, at, at + len(old), new)
    return _within_text(rng, parts, rng.choice((b"\n", b"\r", b"\r\n", b"\x0b", b"\x0c", b'"\n', b'\t"', b'"')))


#: Name → what it does to a document.
MUTATIONS: Final[dict[str, Callable[[random.Random, Anatomy], bytes]]] = {
    "bits flipped": _bits,
    "bytes flipped": _bytes,
    "bytes inserted": _insert,
    "bytes deleted": _delete,
    "blocks overwritten": _overwrite,
    "truncated": _truncate,
    "rows cut": _cut_rows,
    "rows duplicated": _duplicate_rows,
    "rows moved": _move_rows,
    "foreign rows": _foreign_rows,
    "fields swapped": _swap_fields,
    "wrong types": _wrong_types,
    "huge numbers": _numbers,
    "deep nesting": _nesting,
    "long fields": _long,
    "duplicate keys": _duplicate_keys,
    "keys and columns": _keys,
    "encodings mixed": _encoding,
    "line ends": _line_ends,
}
#: What needs no rows and fields: all that can be done to a document that has none.
_RAW: Final = ("bits flipped", "bytes flipped", "bytes inserted", "bytes deleted", "blocks overwritten", "truncated")


def mutate(rng: random.Random, parts: Anatomy) -> tuple[str, bytes]:
    """Return a mutation's name, and the document after it."""
    kind = rng.choice(list(MUTATIONS) if parts.rows and parts.fields else _RAW)
    return kind, MUTATIONS[kind](rng, parts)


#: Name of what is done to the container.
CONTAINER: Final = "containers"

# ---------------------------------------------------------------------------------------------- databases


def dump(rng: random.Random, document: bytes) -> tuple[str, bytes]:
    """Return a mutation's name, and the database after it: bytes changed, or cells."""
    kind = rng.choice((*_RAW, *_CELLS, *_CELLS))
    if kind in _RAW:
        return kind, MUTATIONS[kind](rng, Anatomy(document, False, (), (), ()))
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(document)
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({documents.TABLE})")]
    ids = [row[0] for row in connection.execute(f"SELECT photoid FROM {documents.TABLE}")]
    name, other, photo = rng.choice(names[1:]), rng.choice(names[1:]), rng.choice(ids)
    where = f"WHERE photoid = {photo}"
    value = rng.choice(
        (
            "NULL", "''", "0", "-1", "1.5", "9e999", "9223372036854775807", "x'ff00'", "CAST(x'e9' AS TEXT)",
            "CAST(x'610062' AS TEXT)",
            "CAST(zeroblob(70000) AS TEXT)", f"replace(hex(zeroblob({rng.choice((10, 5000, 300000))})), '0', 'a ')",
            "'\t'", "char(10)",
            "char(55296)",
            other,
        )
    )  # fmt: skip
    table = documents.TABLE
    statements = {
        "wrong types": [f"UPDATE {table} SET {name} = {value} {where}"],
        "fields swapped": [
            f"UPDATE {table} SET {name} = {other}, {other} = {name} {where}" if name != other else "SELECT 1"
        ],
        "rows cut": [f"DELETE FROM {table} " + rng.choice((where, "", f"WHERE photoid > {photo}"))],
        "huge numbers": [
            f"UPDATE {table} SET photoid = "
            + rng.choice(("9223372036854775807", "-9223372036854775808", "0", "-1", "4611686018427387904"))
            + f" {where}"
        ],
        "rows duplicated": [
            f"INSERT INTO {table} SELECT photoid + 1, {', '.join(names[1:])} FROM {table} {where} "
            f"AND NOT EXISTS (SELECT 1 FROM {table} WHERE photoid = {photo + 1})"
        ],
        "keys and columns": [
            rng.choice(
                (
                    f"ALTER TABLE {table} RENAME COLUMN {name} TO {rng.choice(('x', chr(34) + chr(233) + chr(34)))}",
                    f"ALTER TABLE {table} RENAME TO photos",
                    f"ALTER TABLE {table} DROP COLUMN {name}",
                    f"ALTER TABLE {table} ADD COLUMN extra TEXT DEFAULT 'x'",
                    f"CREATE INDEX i ON {table} ({name})",
                    f"DROP TABLE {table}",
                )
            )
        ],
    }[kind]
    for statement in statements:
        connection.execute(statement)
    changed = connection.serialize()
    connection.close()
    return kind, changed


_CELLS: Final = ("wrong types", "fields swapped", "rows cut", "huge numbers", "rows duplicated", "keys and columns")


# --------------------------------------------------------------------------------------------- containers


def pack(packing: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files as they lie on disk, by name: an archive is called "annotations", or as the file if it holds one."""
    if packing == "plain":
        return dict(files)
    if packing in ("gzip", "bzip2", "zstd"):
        squeeze: Callable[[bytes], bytes] = {
            "gzip": lambda data: gzip.compress(data, 1, mtime=0),
            "bzip2": lambda data: bz2.compress(data, 1),
            "zstd": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
        }[packing]
        return {name: squeeze(content) for name, content in files.items()}
    target = io.BytesIO()
    if packing == "zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    else:
        with tarfile.open(
            fileobj=target, mode="w", format=tarfile.PAX_FORMAT if len(files) > 1 else tarfile.GNU_FORMAT
        ) as tar:
            for name, content in sorted(files.items()):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    packed = target.getvalue()
    if packing == "tar.gz":
        packed = gzip.compress(packed, 1, mtime=0)
    return {archive_name(files): packed}


def archive_name(files: Mapping[str, bytes]) -> str:
    """Return the name of an archive of files."""
    return next(iter(files)) if len(files) == 1 else "annotations"


def unpack(packing: str, content: bytes) -> dict[str | None, bytes]:
    """Return what a container holds, by member (None for what has none), as Python's own modules read it.

    Raises:
        Exception: They cannot; of any kind.
    """
    if packing == "gzip":
        return {None: gzip.decompress(content)}
    if packing == "bzip2":
        return {None: bz2.decompress(content)}
    if packing == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as reader:
            return {None: reader.read()}
    if packing == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content) if packing == "tar.gz" else content)) as tar:
        listed = list(tar)
        if any(
            info.size > len(content) << 10 for info in listed
        ):  # which the module would read, zeros for what is not there
            raise ValueError("a member longer than its archive")
        files = [(info.name, tar.extractfile(info)) for info in listed if info.isreg()]
        return {name: file.read() for name, file in files if file is not None}


def damage(rng: random.Random, packing: str, content: bytes) -> bytes:
    """Return a container with something wrong, or only odd, about it."""
    choice = rng.random()
    raw = Anatomy(content, False, (), (), ())
    if choice < 0.55:
        return MUTATIONS[rng.choice(_RAW)](rng, raw)
    if choice < 0.65:  # within the first header
        at = rng.randrange(min(len(content), 60))
        return _edit(content, at, at + 1, bytes([rng.randrange(256)]))
    if choice < 0.8:
        tail = rng.choice(
            (b"\0" * 1024, b"\n", b"{}", content[:8], content, b"PK\x05\x06" + b"\0" * 18, rng.randbytes(30))
        )
        return content + tail
    if packing == "zip":
        return _odd_zip(rng, content)
    if packing == "tar":
        return _odd_tar(rng, content)
    empty = {"gzip": gzip.compress(b"", mtime=0), "bzip2": bz2.compress(b"")}.get(
        packing, b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"
    )
    if packing == "tar.gz":
        return rng.choice((empty, gzip.compress(damage(rng, "tar", gzip.decompress(content)), mtime=0)))
    return rng.choice((empty, empty + content, content + empty, empty * 3))


def _odd_zip(rng: random.Random, content: bytes) -> bytes:
    """Change one number of a directory entry, or of a local header."""
    signature, fields = rng.choice(
        (
            (b"PK\x01\x02", ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4))),
            (b"PK\x03\x04", ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))),
            (b"PK\x05\x06", ((4, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
        )
    )
    at = content.find(signature)
    offset, length = rng.choice(fields)
    number = rng.choice(
        (0, 1, 12, 14, 93, 99, 2 ** (8 * length) - 1, 2 ** (8 * length - 1), rng.randrange(2 ** (8 * length)))
    )
    return _edit(content, at + offset, at + offset + length, number.to_bytes(length, "little"))


def _odd_tar(rng: random.Random, content: bytes) -> bytes:
    """Change a header and mend its checksum: another type, a size of gigabytes, a long name that is none."""
    header = bytearray(content[:512])
    header[156:157] = rng.choice((b"0", b"5", b"1", b"L", b"K", b"x", b"g", b"S", b"7", b"D"))
    size = rng.choice((0, 10, 600, len(content), 2**33 - 1, 2**40))
    header[124:136] = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    rest = rng.choice(
        (
            content[512:],
            rng.randbytes(512) + content,
            b"99999999999 path=x\n".ljust(512, b"\0") + content,
            struct.pack("512x") + content,
        )
    )
    return bytes(header) + rest
