"""Files built to cost far more than they weigh, told by their structure before a decoder sees them.

Pixels are one thing that a small file may have too many of; `pmd.codec` counts them by the header. Here are the others:
Pillow walks the markers, chunks, blocks and directories of a file in Python, keeps much of what it meets, and reads what a
directory points to as often as it is pointed to. A file of one megabyte can take gigabytes so, and one of ten, hours. Every
limit is far above what encoders write, and low enough that what is let through costs a second and a few times its own
size; found with crafted files, Pillow 12.3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Final

#: Markers, fill bytes and stray bytes of a JPEG before its first scan. A profile of 16 MB takes 255 segments.
MOST_MARKERS: Final = 100_000

#: Chunks of a PNG. libpng's buffer is 8 kB, which makes 8,192 of the largest body that is fetched by default.
MOST_CHUNKS: Final = 100_000

#: Blocks of a GIF before its first picture: comments and extensions, 2.5 MB of them if all are full.
MOST_BLOCKS: Final = 10_000

#: Entries of a file's directories: as many as TIFF 6.0 can count in one.
MOST_ENTRIES: Final = 65_535

#: How often the values of a directory may be as long as all of its file: two tags may share one.
MOST_READINGS: Final = 2

#: Bytes of a directory's numbers, each of which becomes an object. A strip for each of 100,000 rows takes 0.8 MB.
MOST_NUMBER_BYTES: Final = 4 << 20

#: Items of an AVIF, such as the tiles of a large picture, and their pieces: 65,535 pixels a side are 16,384 tiles of 512.
MOST_ITEMS: Final = 100_000

#: Bytes of a run-length-encoded BMP: Pillow decodes it run by run in Python, and nobody writes such photographs.
MOST_RUN_BYTES: Final = 4 << 20

#: A JPEG's marker, and the position behind it.
Marker = tuple[int, int]

_EXIF: Final = b"Exif\0\0"
_FILL: Final = re.compile(rb"\xff+")

#: JPEG markers without a length (ITU-T T.81, table B.1; 0 is none at all, and both ends of a file may stand astray).
_BARE: Final = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})
START_OF_SCAN: Final = 0xDA
_APP1: Final = 0xE1

#: TIFF types → bytes of one value (TIFF 6.0 §2, Supplement 1, BigTIFF); the first three stay bytes in Pillow.
_TYPE_BYTES: Final = {
    1: 1,
    2: 1,
    7: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_BYTES: Final = frozenset({1, 2, 7})
_TILE_WIDTH, _TILE_LENGTH = 322, 323
#: Tags whose value is another directory's place, which Pillow reads too: EXIF, GPS and, in EXIF's, interoperability.
_DIRECTORIES: Final = frozenset({34665, 34853, 40965})


class Bomb(Exception):
    """A file built to cost far more than it weighs; says what was found."""


def check(content: bytes, kind: str, markers: Iterable[Marker], max_pixels: int) -> None:
    """Look at the structure of a file.

    Args:
        content: All of it.
        kind: Its format, as `pmd.codec.sniff` names it.
        markers: What `jpeg_markers` finds in a JPEG.
        max_pixels: As many may be decoded at once.

    Raises:
        Bomb: It is not to be decoded.
    """
    if kind == "jpeg":
        check_exif(_jpeg_exif(content, markers))
    elif kind == "png":
        _check_png(content)
    elif kind == "gif":
        _check_gif(content)
    elif kind == "tiff":
        _check_tiff(content, max_pixels)
    elif kind == "avif":
        _check_avif(content)
    elif kind == "bmp" and content[30:34] in {b"\1\0\0\0", b"\2\0\0\0"} and len(content) > MOST_RUN_BYTES:
        raise Bomb(f"a run-length-encoded BMP of {len(content)} bytes")


def check_exif(exif: bytes) -> None:
    """Look at EXIF metadata, with or without what stands before it in a JPEG.

    Raises:
        Bomb: It is not to be read.
    """
    if exif.startswith(_EXIF * 3):
        raise Bomb("EXIF behind many headers")  # Pillow copies all of it to remove each
    while exif.startswith(_EXIF):
        exif = exif[len(_EXIF) :]
    if exif[:2] in {b"II", b"MM"}:
        _check_tiff(exif, None)


def jpeg_markers(content: bytes) -> Iterator[Marker]:
    """Yield the markers of a JPEG up to its first scan, each with the position behind it.

    They are found as libjpeg's `next_marker` does; those that have no length are left out, but for both ends of a file.

    Raises:
        Bomb: There are too many, or too much stands between them.
    """
    at, steps = 2, 0
    while (found := content.find(b"\xff", at)) >= 0:
        filled = _FILL.match(content, found)
        assert filled is not None
        steps += filled.end() - at
        if steps > MOST_MARKERS:
            raise Bomb(f"a JPEG of over {MOST_MARKERS} markers")
        at = filled.end() + 1
        marker = content[at - 1] if at <= len(content) else 0
        if marker in _BARE:
            if marker in {0xD8, 0xD9}:
                yield marker, at
            continue
        yield marker, at
        if marker == START_OF_SCAN:
            return
        at += max(2, int.from_bytes(content[at : at + 2], "big"))


def _jpeg_exif(content: bytes, markers: Iterable[Marker]) -> bytes:
    """Return the EXIF metadata of a JPEG: all segments of it together, as Pillow reads them."""
    found = []
    for marker, at in markers:
        if marker == _APP1 and content.startswith(_EXIF, at + 2):
            found.append(content[at + 2 + len(_EXIF) : at + int.from_bytes(content[at : at + 2], "big")])
    return b"".join(found)


def _check_png(content: bytes) -> None:
    at, chunks = 8, 0
    while at < len(content) and content[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(content[at : at + 4], "big")
        chunks += 1
        if chunks > MOST_CHUNKS:
            raise Bomb(f"a PNG of over {MOST_CHUNKS} chunks")


def _check_gif(content: bytes) -> None:
    flags = content[10] if len(content) > 10 else 0
    at, blocks = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0), 0
    while at < len(content) and content[at] not in b",;":
        is_extension = content[at] == ord("!")
        at += 2 if is_extension else 1
        while is_extension and at < len(content) and content[at] and blocks <= MOST_BLOCKS:
            at += 1 + content[at]
            blocks += 1
        at += is_extension
        blocks += 1
        if blocks > MOST_BLOCKS:
            raise Bomb(f"a GIF of over {MOST_BLOCKS} blocks before its first picture")


def _check_avif(content: bytes) -> None:
    """Look at where an AVIF says that its items lie (ISO/IEC 14496-12 §8.11.3).

    An item in one piece is read where it lies. Of one in several libavif makes a copy, and keeps those of all items until the
    picture is decoded: where each of a thousand tiles is said to be in two pieces that are all of the file, a thousand files.
    """
    for name, start, end in _boxes(content, 0, len(content)):
        if name == b"meta":
            for inner, at, stop in _boxes(content, start + _FULL_BOX_BYTES, end):
                if inner == b"iloc":
                    _check_items(content[at:stop], len(content))


#: Version and flags of a box that has them.
_FULL_BOX_BYTES: Final = 4


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, end) of the boxes of an AVIF between two places, without their heads."""
    for _ in range(MOST_CHUNKS):
        if at + 8 > end:
            return
        size, name, start = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(content[start : start + 8], "big"), start + 8
        stop = end if size == 0 else at + size
        start += 16 if name == b"uuid" else 0
        if not start <= stop <= end:
            return
        yield name, start, stop
        at = stop
    raise Bomb(f"an AVIF of over {MOST_CHUNKS} boxes")


def _check_items(iloc: bytes, length: int) -> None:
    """Look at an item location box, without its head, of a file so long."""
    fields = _Fields(iloc)
    version = fields.next(1)
    fields.next(3)
    sizes, more = fields.next(1), fields.next(1)
    offset_bytes, length_bytes, base_bytes = sizes >> 4, sizes & 15, more >> 4
    index_bytes = more & 15 if version in {1, 2} else 0
    id_bytes = 4 if version == 2 else 2
    pieces, copied = 0, 0
    for _ in range(fields.next(id_bytes)):
        # Its id; how its places are counted; whose they are; where they are counted from.
        fields.next(id_bytes + (2 if version in {1, 2} else 0) + 2 + base_bytes)
        count = fields.next(2)
        pieces += 1 + count
        if pieces > MOST_ITEMS:
            raise Bomb(f"an AVIF of over {MOST_ITEMS} items and pieces of them")
        if fields.is_at_end:
            return
        size = 0
        for _ in range(count):
            fields.next(index_bytes + offset_bytes)
            size += fields.next(length_bytes)
        copied += size if count > 1 else 0
        if copied > MOST_READINGS * length:
            raise Bomb(f"an AVIF whose items are over {MOST_READINGS} times as long as all that holds them")


class _Fields:
    """Numbers one behind the other; what is missing at the end is 0: the decoder refuses such a file."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def next(self, size: int) -> int:
        """Return the number in the next bytes."""
        start, self._at = self._at, self._at + size
        return int.from_bytes(self._content[start : self._at], "big")

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._content)


def _check_tiff(content: bytes, max_pixels: int | None) -> None:
    order = "<" if content[:2] == b"II" else ">"
    is_big = 43 in content[2:4]
    # Of a BigTIFF in big-endian order Pillow takes the header for a plain one's, and libtiff does not.
    for big in {is_big, is_big and order == "<"}:
        where = content[8:16] if big else content[4:8]
        if len(where) == (8 if big else 4):
            _Directories(content, order, max_pixels, big=big).check(
                int.from_bytes(where, "little" if order == "<" else "big")
            )


class _Directories:
    """The directories of one file, and what their values come to together."""

    def __init__(self, content: bytes, order: str, max_pixels: int | None, *, big: bool) -> None:
        self._content = content
        self._max_pixels = max_pixels
        self._count = struct.Struct(f"{order}{'Q' if big else 'H'}")
        self._entry = struct.Struct(f"{order}HH{'QQ' if big else 'LL'}")
        self._single = {3: struct.Struct(f"{order}H"), 4: struct.Struct(f"{order}L"), 13: struct.Struct(f"{order}L")}
        self._inline_bytes = 8 if big else 4
        self._entries = 0
        self._bytes = 0
        self._number_bytes = 0

    def check(self, at: int) -> None:
        """Look at the directory at a position, and those that it names."""
        named, seen = [at], {at}
        while named:
            found = set(self._check_one(named.pop())) - seen
            named += found
            seen |= found

    def _check_one(self, at: int) -> Iterator[int]:
        """Look at one directory, and yield the places of those that it names."""
        if at + self._count.size > len(self._content):
            return
        (entries,) = self._count.unpack_from(self._content, at)
        self._entries += entries
        if self._entries > MOST_ENTRIES:
            raise Bomb(f"directories of {self._entries} entries")
        start = at + self._count.size
        end = min(start + entries * self._entry.size, len(self._content) - self._entry.size + 1)
        tile = {_TILE_WIDTH: 0, _TILE_LENGTH: 0}
        for position in range(start, end, self._entry.size):
            tag, kind, count, value = self._entry.unpack_from(self._content, position)
            self._add(kind, count * _TYPE_BYTES.get(kind, 0), value)
            if tag in tile:
                tile[tag] = max(tile[tag], self._number(position, kind, value))
            elif tag in _DIRECTORIES:
                yield self._number(position, kind, value)
        pixels = tile[_TILE_WIDTH] * tile[_TILE_LENGTH]
        if self._max_pixels is not None and pixels > self._max_pixels:
            raise Bomb(f"tiles of {tile[_TILE_WIDTH]} x {tile[_TILE_LENGTH]} pixels")

    def _number(self, position: int, kind: int, value: int) -> int:
        """Return the number in the entry at a position: one that is shorter than the field stands at its start."""
        if kind not in self._single:
            return value
        return int(self._single[kind].unpack_from(self._content, position + self._entry.size - self._inline_bytes)[0])

    def _add(self, kind: int, size: int, where: int) -> None:
        if size <= self._inline_bytes or where + size > len(self._content):
            return
        self._bytes += size
        self._number_bytes += 0 if kind in _BYTES else size
        if self._bytes > MOST_READINGS * len(self._content):
            raise Bomb(f"a directory whose values are over {MOST_READINGS} times as long as all that holds them")
        if self._number_bytes > MOST_NUMBER_BYTES:
            raise Bomb(f"a directory of over {MOST_NUMBER_BYTES} bytes of numbers")
