"""Whether a file's structure is whole, so that its header may be believed without a decode.

A check here says yes only where all that the decoder would look for is there: chunks and boxes that end within the file,
checksums, the end of a JPEG, the bytes of every strip. A no is no verdict: such a file is decoded, and the decoder says
whether it is a picture. So nothing is refused here that a decoder takes. What only a decoder can see is damage inside the
compressed pixels, and what it does not support.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final, cast

import numpy as np
from PIL import ImageFile, TiffImagePlugin

from pmd.codec import header, structure
from pmd.codec.opening import DAMAGE, Opened
from pmd.codec.verdicts import Format
from pmd.store import shortage

#: A JPEG marker behind the start of a scan: neither a stuffed byte nor fill nor a restart, which stand within one.
_BEHIND_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_START: Final = b"\xff\xd8"
_END: Final = b"\xff\xd9"
#: Scans of which the codes are looked through fast; encoders write about ten where there are several.
_SCANS: Final = 16
#: Bytes that are looked at together: what is worked out of them stays in a core's own cache.
_BLOCK_BYTES: Final = 1 << 17

#: PNG chunks that can turn a picture, and the keywords of the texts that can. Behind the pixels, only a decode finds them.
_TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_TURNING_TEXTS: Final = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")

#: Sizes of the first code of a GIF's pixels (GIF89a, appendix F).
_GIF_CODE_BITS: Final = range(2, 9)

#: Tags of TIFF 6.0, and the compressions of which libtiff needs offsets and byte counts alone, by Pillow's names.
_WIDTH, _HEIGHT, _BITS, _PLANES = 256, 257, 258, 284
_STRIPS, _ROWS, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_BY_COUNTS: Final = frozenset({"tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"})


def is_sound(opened: Opened) -> bool:
    """Return whether the structure of a file is whole; False where its decoder has to be asked."""
    try:
        return _CHECKS[opened.kind](opened)
    except DAMAGE as error:
        shortage.refuse_lack(error)
        return False


def _is_whole_jpeg(opened: Opened) -> bool:
    """Return whether a JPEG of Huffman codes comes to its end marker, by way of scans and other segments alone.

    Where only that marker is missing no decoder takes it (docs/decisions.md, "What needs no pixels").
    """
    if opened.plain is not None:
        return ends(opened.content, opened.plain.scan)
    if not opened.scalable or opened.markers[-1][0] != structure.START_OF_SCAN:
        return False
    return ends(opened.content, opened.markers[-1][1])


def ends(content: bytes, at: int) -> bool:
    """Return whether a JPEG comes to its end marker from the segment of a scan, whose length stands at a place."""
    for number in range(structure.MOST_MARKERS):
        start = at + int.from_bytes(content[at : at + 2], "big")
        if number < _SCANS:  # a file may have a marker in every fourth byte
            start = _unstuffed(content, start)
        found = _BEHIND_SCAN.search(content, start)
        if found is None or found.group() == _START:
            return False
        if found.group() == _END:
            return True
        at = found.end()
    return False


def _unstuffed(content: bytes, at: int) -> int:
    """Return where the first 0xff from a place on stands that no zero follows; the end where there is none.

    In a scan of most photographs that is its end. One in 256 bytes is 0xff there: an expression stops at each, NumPy at none.
    """
    octets = np.frombuffer(content, np.uint8)
    for start in range(at, len(content), _BLOCK_BYTES):
        block = octets[start : start + _BLOCK_BYTES + 1]
        found = np.not_equal(block[1:], 0)
        found &= block[:-1] == 0xFF
        place = int(found.argmax()) if len(found) else 0
        if len(found) and found[place]:
            return start + place
    return len(content)


def _is_whole_png(opened: Opened) -> bool:
    """Return whether all chunks are there to the last, pixels among them and their checksums right."""
    content, pixels = opened.content, 0
    for name, start, end in png_chunks(content):
        if name == b"IEND":
            return pixels > 0
        if name == b"IDAT":
            pixels += end - start
            if zlib.crc32(memoryview(content)[start - 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
                return False
        elif pixels and (name == b"eXIf" or (name in _TEXTS and content.startswith(_TURNING_TEXTS, start))):
            return False
    return False


def png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, end) of the chunks that end within a PNG."""
    at = 8
    while (end := at + 8 + int.from_bytes(content[at : at + 4], "big")) + 4 <= len(content):
        yield content[at + 4 : at + 8], at + 8, end
        at = end + 4


def _is_whole_webp(opened: Opened) -> bool:
    """Return True: libwebp opens a file only where every chunk and the header of every frame is whole."""
    return opened.kind == "webp"


def _is_whole_gif(opened: Opened) -> bool:
    """Return whether the first picture has pixels, whose blocks end within the file."""
    content = opened.content
    at = header.gif_pixels(content)
    return at is not None and content[at] in _GIF_CODE_BITS and content[at + 1] > 0


def _is_whole_avif(opened: Opened) -> bool:
    """Return whether all boxes (ISO/IEC 14496-12 §4.2) end where the file does, the pixels' among them."""
    content, at = opened.content, 0
    names: set[bytes] = set()
    for _ in range(structure.MOST_CHUNKS):
        if at == len(content):
            return names >= {b"ftyp", b"meta", b"mdat"}
        size, name = struct.unpack_from(">L4s", content, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
        elif size == 0:
            size = len(content) - at
        if size < 8 or at + size > len(content):
            return False
        names.add(name)
        at += size
    return False


def _is_whole_tiff(opened: Opened) -> bool:
    """Return whether as many strips or tiles as the first picture needs stand within the file."""
    image, length = cast(TiffImagePlugin.TiffImageFile, opened.image), len(opened.content)
    tags, compression = image.tag_v2, image.info["compression"]
    if tags.get(_PLANES, 1) != 1:
        return False
    across, down, places, sizes = _WIDTH, tags[_HEIGHT], _STRIPS, _STRIP_BYTES
    if _TILES in tags:
        across, down, places, sizes = _TILE_WIDTH, tags[_TILE_HEIGHT], _TILES, _TILE_BYTES
    elif _ROWS in tags:
        down = min(tags[_ROWS], down)
    if len(tags[places]) < -(-tags[_WIDTH] // tags[across]) * -(-tags[_HEIGHT] // down):
        return False
    if compression == "raw":
        return all(_is_raw_within(tile, sum(tags.get(_BITS, (1,))), length) for tile in image.tile)
    return compression in _BY_COUNTS and all(
        size > 0 and at + size <= length for at, size in zip(tags[places], tags[sizes], strict=True)
    )


def _is_raw_within(tile: ImageFile._Tile, bits: int, length: int) -> bool:
    """Return whether uncompressed rows of pixels, of so many bits, end within a length; Pillow says where they stand."""
    assert tile.extents is not None
    assert isinstance(tile.args, tuple)
    left, top, right, bottom = tile.extents
    row_bytes = tile.args[1] or -(-(right - left) * bits // 8)
    return bool(tile.offset + (bottom - top) * row_bytes <= length)


def _is_whole_bmp(opened: Opened) -> bool:
    """Return whether all rows are there; where they are run-length encoded, the decoder is asked."""
    (tile,) = opened.image.tile
    return tile.codec_name == "raw" and _is_raw_within(tile, 0, len(opened.content))


_CHECKS: Final[dict[Format, Callable[[Opened], bool]]] = {
    "jpeg": _is_whole_jpeg,
    "png": _is_whole_png,
    "webp": _is_whole_webp,
    "gif": _is_whole_gif,
    "avif": _is_whole_avif,
    "tiff": _is_whole_tiff,
    "bmp": _is_whole_bmp,
}
