"""A rejected row as it stands upstream: where, as people count (lines, and not bytes or bits), and what it says.

Readers note where a row starts in the way that costs them nothing (`pmd.formats.lines`): a byte of the file, or of what is
decompressed from it, or a block of bzip2. Here few rows are looked at, so their file is opened once more. It may have been
moved, changed or be on other storage since: then the place stays as it was noted, and nothing is said of the row.

Places name files as the configuration does. Relative ones are looked for from its folder, which the last writer has noted, and
never from the folder that pmd is run in: that may have another file of the same name.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import itertools
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final

import orjson

from pmd.config import places
from pmd.errors import PmdError, RootError
from pmd.formats import archives, bzip2, json_stream, lines, tsv
from pmd.formats.compression import open_decompressed, sniff
from pmd.store import lock, storage

#: Bytes before a row that are read to count its lines: a second or a few.
MOST_BYTES: Final = 1 << 30
MOST_DECOMPRESSED_BYTES: Final = 1 << 28
MOST_BZIP2_BYTES: Final = 1 << 25
#: Characters of a row that are shown.
SHOWN: Final = 1_000

#: Why a relative path leads nowhere.
NO_FOLDER: Final = "nobody has noted in which folder the configuration is"

_PIECE_BYTES: Final = 1 << 20
_BYTE: Final = re.compile(r"(?P<file>.+):(?P<plain>decompressed )?byte (?P<byte>[0-9]+)", re.DOTALL)
_BLOCK: Final = re.compile(r"(?P<file>.+):bz2 block at bit (?P<bit>[0-9]+), byte (?P<byte>[0-9]+) of it", re.DOTALL)
_LINE: Final = re.compile(r"(?P<file>.+):line (?P<line>[0-9]+)", re.DOTALL)
_VALUE: Final = re.compile(
    r"(?P<file>.+):(?P<list>\w*)\[(?P<index>[0-9]+)\](?:\.(?P<inner>\w+)\[(?P<number>[0-9]+)\])?", re.DOTALL
)
#: The list that stands beside another one, value by value (SBU Captions).
_BESIDE: Final = {"image_urls": "captions"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of an annotation file.

    Attributes:
        place: "FILE:line 12", or whatever is known of it.
        says: The row as it stands there, cut at `SHOWN` characters; None where it cannot be read any more.
        unread: Why there is no file to read it from; None where there is one, or where the place names none.
    """

    place: str
    says: str | None = None
    unread: str | None = None


def read(wheres: Iterable[str | None], root_url: str) -> dict[str, Row]:
    """Return the rows that stand at some places, as `REJECTED.where` tells them in a ROOT; each file is read once."""
    folder = _folder(root_url)
    rows: dict[str, Row] = {}
    by_file: dict[tuple[str, str], list[tuple[tuple[int, int], str]]] = defaultdict(list)
    for where in {*wheres} - {None}:
        assert where is not None
        rows[where] = Row(_at_least(where))
        for pattern in (_BLOCK, _BYTE, _LINE, _VALUE):
            found = pattern.fullmatch(where)
            if found is not None:
                by_file[found["file"], pattern.pattern].append((_position(found), where))
                break
    for (file, kind), wanted in by_file.items():
        path = places.rejoined(file, folder)
        unread = NO_FOLDER if path is None else _absent(path)
        if path is None or unread is not None:
            rows |= {where: dataclasses.replace(rows[where], unread=unread) for _, where in wanted}
            continue
        # Another file by now: what was noted stands.
        with contextlib.suppress(PmdError, OSError, ValueError, LookupError, TypeError):
            for where, row in _READERS[kind](path, sorted(wanted)):
                noted = file + row.place.removeprefix(path) if row.place.startswith(path) else row.place
                rows[where] = dataclasses.replace(row, place=noted)
    return rows


def _folder(root_url: str) -> str | None:
    """Return the folder of the configuration that has written a ROOT last; None where nobody knows it."""
    try:
        last = lock.read(root_url).last
    except (RootError, OSError):
        return None
    return posixpath.dirname(last.config) if last is not None and last.config else None


def _absent(path: str) -> str | None:
    """Return what there is to say where a file is not there."""
    file, _ = archives.split_member(path)
    with contextlib.suppress(PmdError, OSError, ValueError):
        if storage.exists(file):
            return None
    return f"no file {file}"


def _position(found: re.Match[str]) -> tuple[int, int]:
    """Return what orders the places of one file."""
    named = found.groupdict()
    first = named.get("bit") or named.get("byte") or named.get("line") or named.get("index") or 0
    return int(first), int((named.get("byte") if named.get("bit") else named.get("number")) or 0)


def _at_least(where: str) -> str:
    """Return a place as people can find it without the file."""
    found = _BLOCK.fullmatch(where)
    return f"{found['file']}: in the bzip2 block from byte {int(found['bit']) // 8:,} on" if found else where


def _shortened(row: bytes | str) -> str:
    text = row.decode("utf-8", "replace") if isinstance(row, bytes) else row
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


class _Lines:
    """Reads a file front to back and counts its lines; where too much lies before a row, that is passed over uncounted.

    Args:
        file: What places call it.
        content: What it holds.
        most_bytes: That are read for a row.
        can_seek: Whether it can be read from the middle.
    """

    def __init__(self, file: str, content: BinaryIO, most_bytes: int, *, can_seek: bool) -> None:
        self._file, self._content, self._most, self._can_seek = file, content, most_bytes, can_seek
        self._at, self._line = 0, 1
        self._counts = True

    def row_at(self, start: int) -> Row | None:
        """Return the row that starts at a byte, further on than the last; None where none does, or it is too far."""
        if start - self._at > self._most:
            if not self._can_seek:
                return None
            self._content.seek(start - 1)
            self._at, self._counts = start - 1, False
        last = b""
        while self._at < start:
            piece = self._content.read(min(_PIECE_BYTES, start - self._at))
            if not piece:
                return None
            self._line += piece.count(b"\n")
            self._at, last = self._at + len(piece), piece[-1:]
        if last not in {b"", b"\n"} and start != len(codecs.BOM_UTF8):
            return None  # no row starts there: it is another file by now
        row = self._content.readline(lines.MAX_LINE_BYTES)
        place = f"{self._file}:line {self._line:,}" if self._counts else f"{self._file}: {start:,} bytes from its start"
        self._at, self._line = self._at + len(row), self._line + row.count(b"\n")
        return Row(place, _shortened(row.rstrip(b"\r\n")))


def _at_bytes(file: str, wanted: _Wanted) -> Iterator[tuple[str, Row]]:
    path, member = archives.split_member(file)
    plain = member is None and sniff(path) == "plain"
    with storage.open_raw(path) if plain else open_decompressed(path, member) as content:
        counted = _Lines(file, content, MOST_BYTES if plain else MOST_DECOMPRESSED_BYTES, can_seek=plain)
        for (start, _), where in wanted:
            row = counted.row_at(start)
            if row is not None:
                yield where, row


def _in_blocks(file: str, wanted: _Wanted) -> Iterator[tuple[str, Row]]:
    for bit, group in itertools.groupby(wanted, key=lambda item: item[0][0]):
        near = bit // 8 <= MOST_BZIP2_BYTES
        line = 1
        after: list[tuple[int, str]] = [(byte, where) for (_, byte), where in group]
        blocks = bzip2.blocks_from(file, 0 if near else bit // 8)
        for block in blocks:
            if block.bit < bit:
                line += block.data.count(b"\n")
                continue
            if block.bit > bit:
                return  # no block starts there: it is another file by now
            # The last of its lines may end in the next block.
            data = block.data + b"".join(other.data for other in itertools.islice(blocks, 1))
            for byte, where in after:
                row = data[byte:].partition(b"\n")[0]
                number = line + data.count(b"\n", 0, byte)
                place = f"{file}:line {number:,}" if near else _at_least(where)
                yield where, Row(place, _shortened(row.rstrip(b"\r")))
            break


def _at_lines(file: str, wanted: _Wanted) -> Iterator[tuple[str, Row]]:
    """Yield rows of quoted text, which may go on over several lines."""
    path, member = archives.split_member(file)
    places = {line: where for (line, _), where in wanted}
    for row in tsv.read_csv(path, member=member):
        if row.line in places:
            yield places[row.line], Row(places[row.line], _shortened(row.raw))
        if row.line >= max(places):
            return


def _in_lists(file: str, wanted: _Wanted) -> Iterator[tuple[str, Row]]:
    """Yield values of a JSON document's lists, or of a list within one, as JSON."""
    path, member = archives.split_member(file)
    named: dict[str | None, dict[int, list[re.Match[str]]]] = defaultdict(lambda: defaultdict(list))
    for _, where in wanted:
        found = _VALUE.fullmatch(where)
        assert found is not None
        named[found["list"] or None][int(found["index"])].append(found)
    last = max(index for listed in named.values() for index in listed)
    parts: dict[str, dict[str, Any]] = defaultdict(dict)  # place → the list's name → its value
    for name, index, value in json_stream.objects_of(path, [*named, *_beside(named)], member=member, expected=file):
        main = next((one for one in named if _BESIDE.get(one or "") == name), name)
        for found in named[main].get(index, ()):
            parts[found[0]][name or ""] = _inner(value, found)
        if index > last and not _beside(named):
            break
    for where, part in parts.items():
        says = part if len(part) > 1 else next(iter(part.values()))
        yield where, Row(where, _shortened(says if isinstance(says, str) else orjson.dumps(says)))


def _beside(named: Iterable[str | None]) -> list[str]:
    return [_BESIDE[name] for name in named if name in _BESIDE]


def _inner(value: Any, found: re.Match[str]) -> Any:
    """Return the value that a place means within one of a list; bytes of one that is no JSON, as text."""
    if isinstance(value, json_stream.Spoiled):
        return value.raw.decode("utf-8", "replace")
    if found["inner"] is None:
        return value
    return value[found["inner"]][int(found["number"])]


_Wanted = list[tuple[tuple[int, int], str]]
_READERS: Final[dict[str, Callable[[str, _Wanted], Iterator[tuple[str, Row]]]]] = {
    _BLOCK.pattern: _in_blocks,
    _BYTE.pattern: _at_bytes,
    _LINE.pattern: _at_lines,
    _VALUE.pattern: _in_lists,
}
