"""Whether a file that does not decode says of itself that it goes on: then what sent it may have broken off.

Only its form is looked at, up to the first picture. Damage within the pixels is no cut.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from pmd.codec import header, opening, soundness, structure
from pmd.codec.verdicts import Format, Limits, Refused
from pmd.store import shortage


def is_cut(content: bytes) -> bool:
    """Return whether a file that was found undecodable goes on behind its last byte, by its own word.

    Args:
        content: As much of it as came.
    """
    kind = header.sniff(content[:64])
    try:
        return kind is not None and _CUTS[kind](content)
    except (Refused, *opening.DAMAGE) as error:  # the header is cut, or says nothing that can be read
        shortage.refuse_lack(error)
        return True


def _is_cut_jpeg(content: bytes) -> bool:
    """Return whether no end comes behind the start of its first scan; a preview in its header has an end of its own."""
    *_, (marker, at) = structure.jpeg_markers(content)
    return marker != structure.START_OF_SCAN or content.find(b"\xff\xd9", at) < 0


def _is_cut_png(content: bytes) -> bool:
    return all(name != b"IEND" for name, _, _ in soundness.png_chunks(content))


def _is_cut_webp(content: bytes) -> bool:
    return 8 + int.from_bytes(content[4:8], "little") > len(content)


def _is_cut_gif(content: bytes) -> bool:
    return header.gif_pixels(content) is None


def _is_cut_avif(content: bytes) -> bool:
    """Return whether one of its boxes (ISO/IEC 14496-12 §4.2) ends behind its end."""
    at = 0
    while 0 <= at < len(content):
        size, _ = struct.unpack_from(">L4s", content, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
        at = len(content) if size < 8 else at + size
    return at > len(content)


def _has_not_all_rows(content: bytes) -> bool:
    return not soundness.is_sound(opening.read(content, Limits()))


_CUTS: Final[dict[Format, Callable[[bytes], bool]]] = {
    "jpeg": _is_cut_jpeg,
    "png": _is_cut_png,
    "webp": _is_cut_webp,
    "gif": _is_cut_gif,
    "avif": _is_cut_avif,
    "tiff": _has_not_all_rows,
    "bmp": _has_not_all_rows,
}
