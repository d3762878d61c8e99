"""What a row is in each format, by a reading of its own: none of the readers under test, nor their libraries, is used.

A *row* has a key, which is every byte that its outcome may depend on (its own, and those of the records that it is
joined to), and a place, spelled as the reader's `where` ends. Two rows with one key must come out alike.

- Lines: a line without its end, at its byte; among narratives a blank one is none. Of SBU's text files, two of one number.
- Lines under a header: a line with the header, at its byte; a blank line is none.
- Quoted text (WIT): a record under its header, at its line.
- JSON: an element of the list; with it the image record and licence that it names (COCO), and whether Karpathy's file holds
  the image out. Of Visual Genome and Karpathy's file, where an element is an image, a region or sentence within one that
  can be read, with its image's record, or the image that it stands in.

A JSON document is judged by its structure: brackets, commas, colons, literals and the ends of strings. What stands within
a string (bytes that are not UTF-8, half of a surrogate pair), how large a number is and how deep a value is nested may
spoil a row, never the document.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

TABLE: Final = "yfcc100m_dataset"
#: Levels to which a value may be nested.
MAX_DEPTH: Final = 200


class Unreadable(Exception):
    """A document is not what its format asks for.

    Attributes:
        byte: Where a JSON document stops being one; None for anything else.
        cut: Whether it is an archive that is whole, and has lost members.
    """

    def __init__(self, why: str, byte: int | None = None, *, cut: bool = False) -> None:
        super().__init__(why)
        self.byte = byte
        self.cut = cut


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        key: See the module; None where its surroundings are not what they should be.
        place: End of its outputs' `where`.
        document: Name of its document.
    """

    key: bytes | None
    place: str
    document: str


@dataclasses.dataclass(slots=True)
class Node:
    """A JSON value: where it stands, and what is in it.

    Attributes:
        kind: "{", "[", or "v" for a string, number or literal.
        start: Its first byte.
        stop: The byte after it.
        members: Of an object (span of the key, value), in order, repeated keys too; of a list (None, value).
    """

    kind: str
    start: int
    stop: int
    members: list[tuple[tuple[int, int] | None, Node]]


#: May stand at the start of any text.
MARK: Final = b"\xef\xbb\xbf"

_BLANK: Final = b" \t\r\n"
_TOKEN: Final = re.compile(
    rb"[ \t\r\n]*+(?:"
    rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")|([\[\]{},:])|'
    rb"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|NaN|-?Infinity))",  # as Python writes
    re.DOTALL,
)
_INTEGER: Final = re.compile(rb"-?(?:0|[1-9][0-9]{0,18})")


def parse(document: bytes) -> Node:  # noqa: C901  a grammar, from top to bottom
    """Return the value that a document is.

    Raises:
        Unreadable: It is none; with the byte.
    """
    at = len(MARK) if document.startswith(MARK) else 0
    root: Node | None = None
    stack: list[Node] = []
    key: tuple[int, int] | None = None
    wants = "value"  # or: key, key or end, value or end, colon, comma
    match = _TOKEN.match
    while True:
        token = match(document, at)
        if token is None:
            rest = document[at:].lstrip(_BLANK)
            if root is not None and not stack and not rest:
                return root
            raise Unreadable("no token", len(document) - len(rest))
        at = token.end()
        kind = token.lastindex
        start = token.start(kind or 0)
        if root is not None and not stack:
            raise Unreadable("something follows", start)
        if kind == 2:
            sign = document[start : start + 1].decode()
            if sign == ":":
                if wants != "colon":
                    raise Unreadable(sign, start)
                wants = "value"
                continue
            if sign == ",":
                if wants != "comma":
                    raise Unreadable(sign, start)
                wants = "key" if stack[-1].kind == "{" else "value"
                continue
            if sign in "}]":
                if (
                    not stack
                    or stack[-1].kind != {"}": "{", "]": "["}[sign]
                    or wants not in ("comma", "key or end", "value or end")
                ):
                    raise Unreadable(sign, start)
                stack.pop().stop = at
                wants = "comma"
                continue
            node = Node(sign, start, at, [])
        elif wants in ("key", "key or end"):
            if kind != 1:
                raise Unreadable("no key", start)
            key = (start, at)
            wants = "colon"
            continue
        else:
            node = Node("v", start, at, [])
        if wants not in ("value", "value or end"):
            raise Unreadable("a value", start)
        if stack:
            stack[-1].members.append((key, node))
            key = None
        else:
            root = node
        if node.kind == "v":
            wants = "comma"
        else:
            stack.append(node)
            wants = "key or end" if node.kind == "{" else "value or end"


class Json:
    """A document with its values."""

    def __init__(self, document: bytes) -> None:
        self.document = document
        self.root = parse(document)

    def bytes_of(self, node: Node | None) -> bytes:
        """Return the bytes of a value; none for None."""
        return b"" if node is None else self.document[node.start : node.stop]

    def name(self, span: tuple[int, int] | None) -> str:
        """Return a key."""
        assert span is not None
        raw = self.document[span[0] : span[1]]
        try:
            return str(orjson.loads(raw)) if b"\\" in raw else raw[1:-1].decode()
        except (ValueError, orjson.JSONDecodeError):
            return repr(raw)

    def members(self, node: Node, name: str) -> list[Node]:
        """Return every value that an object has under a key."""
        return [value for span, value in node.members if node.kind == "{" and self.name(span) == name]

    def member(self, node: Node, name: str) -> Node | None:
        """Return the last value that an object has under a key."""
        found = self.members(node, name)
        return found[-1] if found else None

    def integer(self, node: Node, name: str) -> int | None:
        """Return the whole number under a key, if it is one."""
        value = self.bytes_of(self.member(node, name))
        return int(value) if _INTEGER.fullmatch(value) else None

    def items(self, name: str | None) -> list[Node]:
        """Return the elements of the lists under a key of the document, or of the document itself.

        Raises:
            Unreadable: There is no list.
        """
        lists = [self.root] if name is None else self.members(self.root, name)
        lists = [node for node in lists if node.kind == "["]
        if not lists:
            raise Unreadable(f"no list {name}")
        return [value for node in lists for _, value in node.members]


Files = Mapping[str, bytes]


def split_lines(document: bytes) -> list[tuple[int, bytes]]:
    """Return (first byte, line without its end); a byte order mark is no part of the first."""
    at = len(MARK) if document.startswith(MARK) else 0
    lines, text = [], document[at:]
    for line in text.split(b"\n"):
        lines.append((at, line[:-1] if line.endswith(b"\r") and at + len(line) < len(document) else line))
        at += len(line) + 1
    if text.endswith(b"\n") or not text:
        lines.pop()
    return lines


def _of_lines(files: Files, _karpathy: str | None) -> Iterator[Row]:
    for name, document in files.items():
        for at, line in split_lines(document):
            yield Row(line, f"byte {at}", name)


def _of_headed_lines(files: Files, _karpathy: str | None) -> Iterator[Row]:
    for name, document in files.items():
        said = [(at, line) for at, line in split_lines(document) if line.strip(b" \r")]
        if not said:
            raise Unreadable("no header")
        for at, line in said[1:]:
            yield Row(said[0][1] + b"\0" + line, f"byte {at}", name)


def _of_narratives(files: Files, karpathy: str | None) -> Iterator[Row]:
    held = _held(files, karpathy)
    for name, document in files.items():
        if name != karpathy:
            for at, line in split_lines(document):
                if line.strip():
                    yield Row(line + _split(line, held), f"byte {at}", name)


def _split(line: bytes, held: Mapping[int, bytes]) -> bytes:
    if not held:
        return b""
    found = re.search(rb'"image_id": ?"0*([0-9]{1,12})"', line)
    return b"\0" + held.get(int(found[1]), b"") if found else b""


def _of_line_pairs(files: Files, _karpathy: str | None) -> Iterator[Row]:
    (urls_name, urls), (_, captions) = sorted(files.items(), key=lambda item: "captions" in item[0])
    left, right = split_lines(urls), split_lines(captions)
    if len(left) != len(right):
        raise Unreadable("not as many URLs as captions")
    for (at, url), (_, caption) in zip(left, right, strict=True):
        yield Row(url + b"\0" + caption, f"byte {at}", urls_name)


_FIELD: Final = rb'(?:"(?:[^"]|"")*"(?!")[^\t\n]*|[^"\t\n][^\t\n]*|)'
_RECORD: Final = re.compile(_FIELD + rb"(?:\t" + _FIELD + rb")*(?:\n|\Z)")
#: One with a carriage return alone, outside quotes: no row, up to the end of that line, whatever quotes follow.
_ODD_RECORD: Final = re.compile(
    rb'(?:(?:"(?:[^"]|"")*"(?!")[^\t\n\r]*|[^"\t\n\r][^\t\n\r]*|)\t)*'
    rb'(?:"(?:[^"]|"")*"(?!")|(?!"))[^\t\n\r]*\r(?!\n|\Z)[^\n]*(?:\n|\Z)'
)


def records(document: bytes) -> list[tuple[int, bytes]]:
    """Return (line, record without its end) of quoted text.

    Raises:
        Unreadable: A quote is open at the end.
    """
    found, at, line = [], 0, 1
    while at < len(document):
        match = _ODD_RECORD.match(document, at) or _RECORD.match(document, at)
        if match is None:
            raise Unreadable("an open quote")
        raw = match[0]
        found.append((line, raw.removesuffix(b"\n").removesuffix(b"\r") if raw.endswith(b"\n") else raw))
        at, line = match.end(), line + raw.count(b"\n")
    return found


def _of_records(files: Files, _karpathy: str | None) -> Iterator[Row]:
    for name, document in files.items():
        found = records(document.removeprefix(MARK))
        if not found:
            raise Unreadable("no header")
        for line, record in found[1:]:
            yield Row(found[0][1] + b"\0" + record, f"line {line}", name)


def _held(files: Files, karpathy: str | None) -> dict[int, bytes]:
    """Return cocoid → split, of Karpathy's file.

    Raises:
        Unreadable: It is damaged, or an image of it is.
    """
    if karpathy is None:
        return {}
    json = _read(files[karpathy])
    held = {}
    for image in json.items("images"):
        coco_id = json.integer(image, "cocoid")
        if coco_id is None:
            raise Unreadable("an image without an id")
        held[coco_id] = json.bytes_of(json.member(image, "split"))
    return held


def _first_by(json: Json, nodes: list[Node], *names: str) -> dict[int, Node]:
    """Return the first record of each id."""
    found: dict[int, Node] = {}
    for node in nodes:
        name = next((name for name in names if json.member(node, name) is not None), names[-1])
        record_id = json.integer(node, name)
        if record_id is not None:
            found.setdefault(record_id, node)
    return found


def _of_coco(files: Files, karpathy: str | None) -> Iterator[Row]:
    held = _held(files, karpathy)
    for name, document in files.items():
        if name == karpathy:
            continue
        json = _read(document)
        licences = _first_by(json, json.items("licenses"), "id")
        images = _first_by(json, json.items("images"), "id")
        for index, node in enumerate(json.items("annotations")):
            image_id = json.integer(node, "image_id")
            image = None if image_id is None else images.get(image_id)
            licence_id = None if image is None else json.integer(image, "license")
            licence = None if licence_id is None else licences.get(licence_id)
            parts = [json.bytes_of(part) for part in (node, image, licence)]
            yield Row(b"\0".join([*parts, held.get(image_id or -1, b"")]), f"annotations[{index}]", name)


def _of_karpathy(files: Files, _karpathy: str | None) -> Iterator[Row]:
    for name, document in files.items():
        json = _read(document)
        for index, image in enumerate(json.items("images")):
            sentences = json.member(image, "sentences")
            if (
                not _is_plain(json.bytes_of(image))
                or sentences is None
                or sentences.kind != "["
                or not sentences.members
            ):
                yield Row(None, f"images[{index}]", name)
                continue
            around = document[image.start : sentences.start] + b"\0" + document[sentences.stop : image.stop]
            for number, (_, sentence) in enumerate(sentences.members):
                yield Row(json.bytes_of(sentence) + b"\0" + around, f"images[{index}].sentences[{number}]", name)


def _of_visual_genome(files: Files, karpathy: str | None) -> Iterator[Row]:
    held = _held(files, karpathy)
    table = _read(files["image_data.json"])
    pictures = _first_by(table, table.items(None), "image_id", "id")
    json = _read(files["region_descriptions.json"])
    for index, element in enumerate(json.items(None)):
        regions = json.member(element, "regions")
        image_id = json.integer(element, "image_id" if json.member(element, "image_id") else "id")
        is_plain = _is_plain(json.bytes_of(element))
        if not is_plain or image_id is None or regions is None or regions.kind != "[" or not regions.members:
            yield Row(None, f"[{index}]", "region_descriptions.json")
            continue
        picture = pictures.get(image_id)
        coco_id = None if picture is None else table.integer(picture, "coco_id")
        around = b"\0".join([str(image_id).encode(), table.bytes_of(picture), held.get(coco_id or -1, b"")])
        for number, (_, region) in enumerate(regions.members):
            key = json.bytes_of(region) + b"\0" + around
            yield Row(key, f"[{index}].regions[{number}]", "region_descriptions.json")


def _is_plain(element: bytes) -> bool:
    """Return whether an element can be read: as a whole, so that what is in it is lost with it where it cannot."""
    try:
        value = orjson.loads(element)
    except orjson.JSONDecodeError:
        return False
    levels = 0
    inner = [value] if isinstance(value, dict | list) else []
    while inner:
        levels += 1
        inner = [
            deeper
            for outer in inner
            for deeper in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(deeper, dict | list)
        ]
    return levels <= MAX_DEPTH


def _of_red_caps(files: Files, _karpathy: str | None) -> Iterator[Row]:
    for name, document in files.items():
        json = _read(document)
        for index, node in enumerate(json.items("annotations")):
            yield Row(json.bytes_of(node), f"annotations[{index}]", name)


def _of_lists(files: Files, _karpathy: str | None) -> Iterator[Row]:
    for name, document in files.items():
        json = _read(document)
        columns = [json.items(key) for key in ("image_urls", "user_ids", "captions")]
        if len({len(column) for column in columns}) > 1:
            raise Unreadable("lists of several lengths")
        for index, cells in enumerate(zip(*columns, strict=True)):
            yield Row(b"\0".join(map(json.bytes_of, cells)), f"image_urls[{index}]", name)


def _of_dump(files: Files, _karpathy: str | None) -> Iterator[Row]:
    for name, document in files.items():
        try:
            for row in dump_rows(document):
                yield Row(repr(row).encode("utf-8", "surrogatepass"), f"{TABLE}, photoid {row[0]}", name)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise Unreadable(str(error)) from None


def _text(value: bytes) -> str:
    """Return a text as something that is no blob of the same bytes."""
    return value.decode("latin-1")


def dump_rows(document: bytes) -> list[tuple[Any, ...]]:
    """Return the rows of a database."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.text_factory = _text
        connection.deserialize(document)
        return connection.execute(f"SELECT * FROM {TABLE} ORDER BY photoid").fetchall()
    finally:
        connection.close()


#: Form → its rows.
READINGS: Final[dict[str, Callable[[Files, str | None], Iterator[Row]]]] = {
    "lines": _of_lines,
    "headed lines": _of_headed_lines,
    "narratives": _of_narratives,
    "line pairs": _of_line_pairs,
    "records": _of_records,
    "coco": _of_coco,
    "karpathy": _of_karpathy,
    "visual genome": _of_visual_genome,
    "red caps": _of_red_caps,
    "lists": _of_lists,
    "dump": _of_dump,
}

#: A form that nothing here reads: that nothing crashes is seen, how refusals are told, and that ids settle; no row is compared.
UNREAD: Final = "unread"

#: Forms whose documents are JSON.
JSON_FORMS: Final = frozenset({"coco", "karpathy", "visual genome", "red caps", "lists"})


@functools.lru_cache(maxsize=64)
def _read(document: bytes) -> Json:
    """Return a document; the files that were not touched are the same ones each time."""
    return Json(document)


def rows(form: str, files: Files, karpathy: str | None) -> list[Row]:
    """Return the rows of the documents of one source.

    Args:
        form: A key of `READINGS`, or `UNREAD`, of which there are none.
        files: Name → bytes.
        karpathy: Name of Karpathy's file, where one says what is held out.

    Raises:
        Unreadable: A document is not what its format asks for.
    """
    return [] if form == UNREAD else list(READINGS[form](files, karpathy))
