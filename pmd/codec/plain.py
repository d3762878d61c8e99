"""Plain JPEGs: those of which the header says all that is asked, and nothing else is to be looked for.

Most photographs on the web are such. Their header is read here in a tenth of the time that Pillow takes. What is odd, turned, or
may be, is none: whoever asks then has Pillow look (`pmd.codec.opening`). So this says nothing that Pillow would not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from pmd.codec import structure

#: Segments before the first scan; photographs have about ten.
_MOST: Final = 100

_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE: Final = 0xC2
#: Numbers of components, as Pillow names them.
_MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}
_TABLES: Final = 0xDB
_PROFILE: Final = 0xE2

#: Huffman tables, restart interval, comment, and applications' segments that Pillow only keeps. Not Exif's and XMP's, which can
#: turn a picture, nor Photoshop's, in which Pillow may stumble.
_KEPT: Final = frozenset({0xC4, 0xDD, 0xFE, *range(0xE3, 0xED), 0xEF})


class Plain(NamedTuple):
    """What a plain JPEG says of itself.

    Attributes:
        size: Upright, since nothing turns it.
        mode: In which form Pillow has its pixels.
        is_progressive: Whether it has several scans.
        has_profile: Whether it may have an ICC profile.
        scan: Where the segment of its first scan has its length.
    """

    size: tuple[int, int]
    mode: str
    is_progressive: bool
    has_profile: bool
    scan: int


def read(content: bytes) -> Plain | None:
    """Return what a JPEG says of itself; None where it is not plain."""
    try:
        return _read(content)
    except IndexError:
        return None


def _read(content: bytes) -> Plain | None:
    at, frame, has_profile = 2, 0, False
    for _ in range(_MOST):
        start, end = at + 4, at + 2 + (content[at + 2] << 8 | content[at + 3])
        if content[at] != 0xFF or not start <= end <= len(content):
            return None
        marker = content[at + 1]
        if marker == structure.START_OF_SCAN:
            return _plain(content, frame, at + 2, has_profile=has_profile) if frame else None
        if marker in _FRAMES and not frame:
            components = content[start + 5]
            if content[start] != 8 or components not in _MODES or end - start != 6 + 3 * components:
                return None
            frame = at
        elif marker not in _KEPT and not (marker in _CHECKED and _CHECKED[marker](content[start:end])):
            return None
        has_profile = has_profile or marker == _PROFILE
        at = end
    return None


def _plain(content: bytes, frame: int, scan: int, *, has_profile: bool) -> Plain | None:
    height, width = struct.unpack_from(">HH", content, frame + 5)
    if not (width and height):
        return None
    marker, components = content[frame + 1], content[frame + 9]
    return Plain((width, height), _MODES[components], marker == _PROGRESSIVE, has_profile, scan)


def _has_whole_tables(segment: bytes) -> bool:
    """Return whether quantisation tables of one or two bytes a value fill a segment."""
    at = 0
    while at < len(segment):
        at += 65 if segment[at] < 16 else 129
    return at == len(segment)


def _named(name: bytes, least: int) -> Callable[[bytes], bool]:
    """Return a check of segments, that they have another name or are long enough for what Pillow reads of them."""
    return lambda segment: len(segment) >= least or not segment.startswith(name)


_CHECKED: Final[dict[int, Callable[[bytes], bool]]] = {
    _TABLES: _has_whole_tables,
    0xE0: _named(b"JFIF", 7),
    _PROFILE: _named(b"ICC_PROFILE\0", 14),
    0xEE: _named(b"Adobe", 7),
}
