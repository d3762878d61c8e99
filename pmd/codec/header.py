"""What the first bytes and the headers of a file say, read by ourselves: its format, its size, its scans and its frames.

No decoder is imported here, and no pixel is decoded. The format is told by the first bytes, never by a name or a
Content-Type. Only seven formats are read; the rest is `not_an_image`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from pmd.codec import structure
from pmd.codec.verdicts import MAX_PIXELS, Format, Limits, Refused

#: Scans of a progressive JPEG above which it is taken for a bomb: each scan walks all pixels again, so that a file of
#: some kilobytes can cost hours. Encoders write about ten; 500 is the limit of libjpeg-turbo's own fuzzers.
MAX_SCANS: Final = 500

#: And their pixels: ten scans of the largest picture, 500 of one of 3.6 megapixels. A scan that says nothing costs .6 ns a
#: pixel, 1 s in all.
MAX_SCANNED_PIXELS: Final = 10 * MAX_PIXELS

#: Frames are counted up to here; a hostile GIF of 64 MiB has millions.
MAX_FRAMES: Final = 10_000

#: File name extension of a stored member.
EXTENSIONS: Final[dict[Format, str]] = {
    "jpeg": "jpg",
    "png": "png",
    "webp": "webp",
    "gif": "gif",
    "avif": "avif",
    "tiff": "tif",
    "bmp": "bmp",
}

#: JPEG markers (ITU-T T.81, table B.1): frame headers; those of them that libjpeg scales; those of several scans; the end
#: of the picture and the start of a scan, behind which no header comes.
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SCALABLE: Final = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_ENDS: Final = frozenset({0xD8, 0xD9, 0xDA})

#: Lengths that a DIB header may have: two letters alone, "BM", begin many texts.
_BMP_HEADERS: Final = frozenset(struct.pack("<I", length) for length in (12, 16, 40, 52, 56, 64, 108, 124))


def sniff(head: bytes) -> Format | None:
    """Return the format that the first bytes (64 suffice) announce, or None for anything that is not read."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[4:8] == b"ftyp" and _is_avif(head):
        return "avif"
    if head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "tiff"
    if head.startswith(b"BM") and head[14:18] in _BMP_HEADERS:
        return "bmp"
    return None


def _is_avif(head: bytes) -> bool:
    """Return whether an ISO-BMFF file's brands include AVIF's (HEIC has the same container)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    return b"avif" in brands or b"avis" in brands


def check_pixels(size: tuple[int, int], limits: Limits) -> None:
    """Refuse a size with more pixels than the limit as a bomb."""
    width, height = size
    if width * height > limits.max_pixels:
        raise Refused("bomb", f"{width} x {height} pixels")


def is_scalable(content: bytes, markers: Iterable[structure.Marker], size: tuple[int, int]) -> bool:
    """Return whether libjpeg may scale a JPEG while decoding it: Huffman-coded baseline, extended or progressive.

    Asked to scale a lossless JPEG (ITU-T T.81, SOF3), libjpeg-turbo 3 writes it in full size into the smaller buffer
    that Pillow 12.3 hands it: the heap is overrun. So the frame header that libjpeg will find decides, not Pillow's
    reading.

    Raises:
        Refused: There is no frame header, it is not the one that Pillow read, or there are too many scans.
    """
    frame = _frame_header(content, markers)
    if frame is None or frame[1] != size:
        raise Refused("undecodable", "no JPEG frame header of the size that was read")
    check_scans(content, size, is_progressive=frame[0] in _PROGRESSIVE)
    return frame[0] in _SCALABLE


def check_scans(content: bytes, size: tuple[int, int], *, is_progressive: bool) -> None:
    """Refuse a JPEG whose scans walk too many pixels as a bomb."""
    scans = content.count(b"\xff\xda") if is_progressive else 1
    if scans > MAX_SCANS or scans * size[0] * size[1] > MAX_SCANNED_PIXELS:
        raise Refused("bomb", f"a progressive JPEG of {scans} scans of {size[0]} x {size[1]} pixels")


def _frame_header(content: bytes, markers: Iterable[structure.Marker]) -> tuple[int, tuple[int, int]] | None:
    """Return the first frame header's marker and (width, height), of the markers that libjpeg would find."""
    for marker, at in markers:
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 3 : at + 7].ljust(4, b"\0"))
            return marker, (width, height)
        if marker in _ENDS:
            return None
    return None


def written_size(content: bytes) -> tuple[int, int] | None:
    """Return the size of a picture of a format that is written here, by its header alone; None of any other, or without one.

    Args:
        content: As much of its beginning as holds the header.
    """
    kind = sniff(content[:64])
    if kind == "png" and len(content) >= 24:
        width, height = struct.unpack_from(">LL", content, 16)
        return width, height
    if kind == "webp":
        return webp_size(content)
    if kind == "jpeg":
        try:
            frame = _frame_header(content, structure.jpeg_markers(content))
        except structure.Bomb:
            return None
        return frame[1] if frame is not None else None
    return None


def webp_size(content: bytes) -> tuple[int, int]:
    """Return the canvas of a WebP file (RFC 9649 §2.7; RFC 6386 §9.1), or (0, 0) for the decoder to judge."""
    chunk, head = content[12:16], content[20:30]
    if len(head) < 10:
        return 0, 0
    if chunk == b"VP8X":
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", head[6:10])
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def gif_frames(content: bytes) -> int:
    """Count image descriptors (GIF89a §20). Pillow's own count walks millions of frames if there are."""
    frames = 0
    try:
        at = 13 + _colour_table_bytes(content[10])
        while frames < MAX_FRAMES:
            if content[at] == 0x2C:
                frames += 1
                at = _after_blocks(content, at + 11 + _colour_table_bytes(content[at + 9]))
            elif content[at] == 0x21:
                at = _after_blocks(content, at + 2)
            else:
                break
    except IndexError:
        pass
    return max(1, frames)


def gif_pixels(content: bytes) -> int | None:
    """Return where the pixels of the first picture start; None where it has none, or where they do not end."""
    try:
        at = 13 + _colour_table_bytes(content[10])
        while content[at] == 0x21:
            at = _after_blocks(content, at + 2)
        if content[at] != 0x2C or 0 in struct.unpack_from("<HH", content, at + 5):
            return None
        pixels = at + 10 + _colour_table_bytes(content[at + 9])
        _after_blocks(content, pixels + 1)
    except (IndexError, struct.error):
        return None
    return pixels


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(content: bytes, at: int) -> int:
    while content[at]:
        at += 1 + content[at]
    return at + 1


def tiff_frames(content: bytes) -> int:
    """Count the chained directories (TIFF 6.0 §2, BigTIFF), each offset once."""
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in {b"+\x00", b"\x00+"}
    count, offset, entry_bytes = (f"{order}Q", f"{order}Q", 20) if big else (f"{order}H", f"{order}I", 12)
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(offset, content, 8 if big else 4)
        while at and at not in seen and len(seen) < MAX_FRAMES:
            (entries,) = struct.unpack_from(count, content, at)
            seen.add(at)
            (at,) = struct.unpack_from(offset, content, at + struct.calcsize(count) + entries * entry_bytes)
    except (struct.error, OverflowError):
        pass
    return max(1, len(seen))
