"""Image bytes in, pixels and image bytes out: what fetch keeps, what shard crops, and what either calls an image.

Every decision about pixels stands here, so that fetch (which judges what the web sent), shard (which cuts and shrinks)
and the audit agree on what a picture looks like: upright by its EXIF orientation, sRGB, eight bits, on white, first
frame.

Nothing here trusts its input. The format is told by the first bytes, never by a name or a Content-Type. The header is
checked before a pixel is decoded. Pillow's plugins are called directly: `Image.open` would try every other format it
knows, and would judge size by a process-wide setting. Only seven formats are read; the rest is `not_an_image`.

A JPEG of which libjpeg has nothing to say is decoded by its own interface (simplejpeg), which is faster; Pillow has read its
header before, and judges all others.

Threads: pixels are decoded, scaled and encoded outside the GIL. No state of Pillow's is changed.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import os
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, cast

import numpy as np
import pyarrow as pa
import simplejpeg
from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _avif,
)

from pmd.codec import structure
from pmd.schema.statuses import OK

#: Pixels that Pillow itself takes for a decompression bomb: 2^30 / 4 / 3 x 2, half a gigabyte of RGB.
MAX_PIXELS: Final = 178_956_970

#: Scans of a progressive JPEG above which it is taken for a bomb: each scan walks all pixels again, so that a file of
#: some kilobytes can cost hours. Encoders write about ten; 500 is the limit of libjpeg-turbo's own fuzzers.
MAX_SCANS: Final = 500

#: And their pixels: ten scans of the largest picture, 500 of one of 3.6 megapixels. A scan that says nothing costs .6 ns a
#: pixel, 1 s in all.
MAX_SCANNED_PIXELS: Final = 10 * MAX_PIXELS

#: Frames are counted up to here; a hostile GIF of 64 MiB has millions.
MAX_FRAMES: Final = 10_000

#: Short side of the picture that the perceptual hash is taken of, whatever form is stored: one value, so that
#: the hash does not depend on the options of the store. The default store keeps that very picture, and pays nothing.
HASH_SIDE_PX: Final = 256

#: PDQ's picture, and the weights of its luma (ITU-R BT.601).
_PDQ_PX: Final = 64
_LUMA: Final = np.array([0.299, 0.587, 0.114])
#: Rows 1…16 of the orthonormal DCT-II of 64 values.
_DCT: Final = math.sqrt(2 / _PDQ_PX) * np.cos(
    math.pi / (2 * _PDQ_PX) * np.outer(np.arange(1, 17), 2 * np.arange(_PDQ_PX) + 1)
)
#: Frequencies are rounded: far above the errors of their sums (10⁻¹⁰), in which processors differ. Ours.
_PDQ_DECIMALS: Final = 6

#: A JPEG is decoded to at least so many times the short side that is wanted: see `resized` for what less would cost.
_OVERSAMPLING: Final = 2

#: Bytes of memory that a thread keeps for its next JPEG.
_KEPT_BYTES: Final = 16 << 20

#: Longest side that JPEG can hold (libjpeg's JPEG_MAX_DIMENSION).
_JPEG_SIDE_PX: Final = 65_500

#: Largest difference, in one of 256 levels, up to which an embedded profile is taken for sRGB and left alone.
_SAME_COLOUR: Final = 2

Format = Literal["jpeg", "png", "webp", "gif", "avif", "tiff", "bmp"]

_PLUGINS: Final[dict[Format, Callable[[io.BytesIO], ImageFile.ImageFile]]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,  # not Pillow's factory, which would turn a gain map into a second frame
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
}

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

#: What Pillow and its codecs raise on damaged input; found by reading the plugins and by mutating files.
_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)

#: EXIF tag 0x0112 → what brings the picture upright (EXIF 2.32 §4.6.4); 1, 0 and unknown values leave it alone.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION: Final = 0x0112
_QUARTER_TURNS: Final = frozenset(_UPRIGHT[orientation] for orientation in (5, 6, 7, 8))
_WHITE: Final = (255, 255, 255)


#: A PDQ hash says which of 256 coefficients lie above their median: 128, unless many are equal, as in a flat picture (none is
#: set) or one of a few lines. 159 photographs of COCO have 128, all of them. Hashes with fewer set bits, or more, match
#: strangers: they are compared with none.
SET_BITS: Final = range(120, 137)


class Refused(Exception):
    """Content that is no acceptable image.

    Attributes:
        status: One of not_an_image, undecodable, bomb, too_small (`pmd.schema.statuses`).
        detail: What was found.
    """

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is still acceptable: pixels by the header, and the short side."""

    max_pixels: int = MAX_PIXELS
    min_side_px: int = 1


@dataclasses.dataclass(frozen=True)
class Form:
    """In which form content is kept. `short_side_px` None keeps the original bytes."""

    short_side_px: int | None = None
    quality: int = 95


@dataclasses.dataclass(frozen=True)
class Inspected:
    """What content is. Sizes are upright, and None where the header could not be read."""

    status: str
    format: Format | None = None
    width_px: int | None = None
    height_px: int | None = None
    frames: int | None = None
    detail: str | None = None


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Content judged and brought into the form that is kept; the rest is None unless `inspected.status` is ok."""

    inspected: Inspected
    stored: bytes | None = None
    stored_form: Literal["original", "resized"] | None = None
    stored_format: Format | None = None
    stored_width_px: int | None = None  # upright
    stored_height_px: int | None = None
    perceptual_hash: bytes | None = None


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


#: Lengths that a DIB header may have: two letters alone, "BM", begin many texts.
_BMP_HEADERS: Final = frozenset(struct.pack("<I", length) for length in (12, 16, 40, 52, 56, 64, 108, 124))


def _is_avif(head: bytes) -> bool:
    """Return whether an ISO-BMFF file's brands include AVIF's (HEIC has the same container)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    return b"avif" in brands or b"avis" in brands


def inspect(content: bytes, limits: Limits) -> Inspected:
    """Judge content, decoding all of it (a JPEG at an eighth of its size, which still reads every byte)."""
    try:
        loaded = _load(_open(content, limits), at_least_px=1)
        return _accepted(loaded, limits)
    except Refused as refused:
        return _refused(content, refused)


def prepare(content: bytes, limits: Limits, form: Form) -> Prepared:
    """Judge content, hash it and bring it into the form that is kept, decoding it once where scales agree.

    Never raises on account of the content. The same content and form give the same bytes, for one version of the
    codecs.
    """
    try:
        loaded = _load(_open(content, limits), shrunk_to_px=HASH_SIDE_PX)
        inspected = _accepted(loaded, limits)
        small = loaded.picture(HASH_SIDE_PX)
        hashed = perceptual_hash(small)
        side = form.short_side_px
        if side is None or not _is_to_change(loaded, side):
            return Prepared(
                inspected, content, "original", loaded.kind, inspected.width_px, inspected.height_px, hashed
            )
        if side != HASH_SIDE_PX:
            if loaded.kind == "jpeg" and _draft_scale(loaded.size, side) != _draft_scale(loaded.size, HASH_SIDE_PX):
                loaded = _load(_open(content, limits), shrunk_to_px=side)
            small = loaded.picture(side)
        return Prepared(inspected, encode_jpeg(small, form.quality), "resized", "jpeg", *small.size, hashed)
    except Refused as refused:
        return Prepared(_refused(content, refused))


def upright_rgb(
    content: bytes,
    *,
    min_short_side_px: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Return the picture: upright, sRGB, eight bits a channel, transparency on white, the first frame.

    Args:
        content: A whole file.
        min_short_side_px: A JPEG may come smaller than it is, by a factor of 2, 4 or 8, as long as neither side falls
            under this. None: as it is.
        max_pixels: More are refused.

    Raises:
        Refused: The content is no acceptable image.
    """
    return _load(_open(content, Limits(max_pixels)), at_least_px=min_short_side_px).picture()


def resized(
    content: bytes,
    short_side_px: int,
    quality: int = 95,
    *,
    max_pixels: int = MAX_PIXELS,
) -> tuple[bytes, Format]:
    """Return content with its short side brought down to `short_side_px`, ratio kept, and the format it has now.

    Never enlarges. Bytes come back untouched where they are a JPEG already that is small enough, upright and sRGB;
    otherwise the result is a baseline JPEG without metadata. A picture too long for JPEG also stays as it is.

    Scaled by a triangle filter as wide as the scale, of a JPEG from a decoding that may be scaled already but has twice
    the short side. Against a full decoding averaged by area, mean SSIM on 159 photographs of 640 x 480 brought to 256
    is .993 and never under .968 (with encoding, .982); Pillow's own box filter, which gives each pixel to one side of
    an edge and none to the other, has .975 and falls to .886.

    Raises:
        Refused: The content is no acceptable image.
    """
    loaded = _load(_open(content, Limits(max_pixels)), shrunk_to_px=short_side_px)
    if not _is_to_change(loaded, short_side_px):
        return content, loaded.kind
    return encode_jpeg(loaded.picture(short_side_px), quality), "jpeg"


def crop(image: Image.Image, region: Sequence[float]) -> Image.Image:
    """Cut a region out.

    Args:
        image: Upright.
        region: `[x, y, width, height]` in fractions of the image.

    Each of the four edges goes to the nearest pixel boundary (halves up), within the image, so that a box of whole
    pixels on an image of the size it was drawn on gives exactly these pixels. At least one pixel is left on each axis.
    """
    x, y, width, height = region
    left, right = _edges(x, width, image.width)
    top, bottom = _edges(y, height, image.height)
    return image.crop((left, top, right, bottom))


#: What Pillow would otherwise take over from the picture that an image comes from.
_NO_METADATA: Final[dict[str, Any]] = {"exif": b"", "icc_profile": None, "comment": None}


def encode_jpeg(image: Image.Image, quality: int = 95) -> bytes:
    """Return an RGB image as a baseline JPEG (4:2:0, no metadata).

    Goes through an unnamed file in memory where there is such a thing: Pillow's encoder lets go of the GIL only when it
    writes to a file descriptor. A thread keeps its file: to make one for each image takes a quarter of the encoding.
    """
    file = _MEMORY.file() if hasattr(os, "memfd_create") else io.BytesIO()
    file.seek(0)
    image.save(file, "JPEG", quality=quality, **_NO_METADATA)
    length = file.tell()
    file.seek(0)
    content = file.read(length)
    if length > _KEPT_BYTES:
        file.truncate(0)
    return content


def is_telling(perceptual_hash: bytes) -> bool:
    """Return whether a hash can tell pictures apart (`SET_BITS`)."""
    return int.from_bytes(perceptual_hash, "big").bit_count() in SET_BITS


def perceptual_hash(image: Image.Image) -> bytes:
    """Return the 32-byte PDQ hash of an upright RGB image, in the byte order of PDQ's hexadecimal form.

    PDQ (facebook/ThreatExchange, hashing.pdf): luma of 64 x 64, its
    DCT's 16 x 16 lowest frequencies above the constant, and a bit for each that is above their median. The image is
    brought to 64 x 64 by a triangle filter, instead of by PDQ's Jarosz filter (two passes of a box, so a triangle as well)
    at full size: on photographs a mean of 9 and at most 18 of 256 bits differ from the reference hash (PDQ calls 31 bits a
    match), at a tenth of the time. From there on the bits are those of the reference implementation, which takes eight
    times as long and holds the GIL; only where it compares rounding errors, as in flat pictures, here nothing is above.
    """
    luma = np.asarray(_scaled(image, (_PDQ_PX, _PDQ_PX))) @ _LUMA
    frequencies = np.round(_DCT @ luma @ _DCT.T, _PDQ_DECIMALS).ravel()
    median = np.partition(frequencies, len(frequencies) // 2 - 1)[len(frequencies) // 2 - 1]
    return np.packbits((frequencies > median)[::-1]).tobytes()


# --- opening and judging ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Opened:
    """A file whose header was read and found acceptable."""

    content: bytes
    kind: Format
    image: ImageFile.ImageFile
    scalable: bool = False  # the decoder may be asked for a smaller picture


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """A decoded picture, in the colours and the position that the file has it in.

    Attributes:
        kind: Its format.
        pixels: RGB, L, CMYK, LAB or RGBA, perhaps scaled down by the decoder.
        size: The upright size it has in full.
        frames: How many it has.
        turn: What brings it upright.
        transform: What brings its colours to sRGB; None where plain conversion does.
    """

    kind: Format
    pixels: Image.Image
    size: tuple[int, int]
    frames: int
    turn: Image.Transpose | None
    transform: ImageCms.ImageCmsTransform | None

    def picture(self, short_side_px: int | None = None) -> Image.Image:
        """Return it upright and sRGB on white, its short side brought down first: colours cost by the pixel."""
        pixels = self.pixels
        if short_side_px is not None:
            target = _target(self.size, short_side_px)
            target = target[::-1] if self.turn in _QUARTER_TURNS else target
            pixels = _scaled(pixels, target)
        picture = _on_white(pixels, self.transform)
        return picture if self.turn is None else picture.transpose(self.turn)


def _open(content: bytes, limits: Limits) -> _Opened:
    kind = sniff(content[:64])
    if kind is None:
        raise Refused("not_an_image", f"{len(content)} bytes that begin with {content[:16]!r}")
    if kind == "webp":  # Pillow allocates the canvas when it opens the file
        _check_pixels(_webp_size(content), limits)
    try:
        structure.check(content, kind, limits.max_pixels)
        if kind == "avif":  # Pillow reads its EXIF when it opens the file
            structure.check_exif(_avif.AvifDecoder(content, "auto", 1).get_info()[4] or b"")
        image = _PLUGINS[kind](io.BytesIO(content))
    except (Image.DecompressionBombError, structure.Bomb) as error:
        raise Refused("bomb", str(error)) from None
    except _DAMAGE as error:
        raise Refused("undecodable", _says(error)) from None
    _check_pixels(image.size, limits)
    return _Opened(content, kind, image, scalable=kind == "jpeg" and _is_scalable(content, image.size))


def _is_scalable(content: bytes, size: tuple[int, int]) -> bool:
    """Return whether libjpeg may scale a JPEG while decoding it: Huffman-coded baseline, extended or progressive.

    Asked to scale a lossless JPEG (ITU-T T.81, SOF3), libjpeg-turbo 3 writes it in full size into the smaller buffer
    that Pillow 12.3 hands it: the heap is overrun. So the frame header that libjpeg will find decides, not Pillow's
    reading.

    Raises:
        Refused: There is no frame header, it is not the one that Pillow read, or there are too many scans.
    """
    frame = _frame_header(content)
    if frame is None or frame[1] != size:
        raise Refused("undecodable", "no JPEG frame header of the size that was read")
    scans = content.count(b"\xff\xda") if frame[0] in _PROGRESSIVE else 1
    if scans > MAX_SCANS or scans * size[0] * size[1] > MAX_SCANNED_PIXELS:
        raise Refused("bomb", f"a progressive JPEG of {scans} scans of {size[0]} x {size[1]} pixels")
    return frame[0] in _SCALABLE


def _frame_header(content: bytes) -> tuple[int, tuple[int, int]] | None:
    """Return the first frame header's marker and (width, height), of the markers that libjpeg would find."""
    for marker, at in structure.jpeg_markers(content):
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 3 : at + 7].ljust(4, b"\0"))
            return marker, (width, height)
        if marker in _ENDS:
            return None
    return None


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise Refused("bomb", f"{width} x {height} pixels")


def _webp_size(content: bytes) -> tuple[int, int]:
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


def _load(opened: _Opened, *, at_least_px: int | None = None, shrunk_to_px: int | None = None) -> _Loaded:
    """Decode.

    Args:
        opened: The file.
        at_least_px: A JPEG may come scaled down as long as neither side falls under this.
        shrunk_to_px: The same, for a caller who brings the short side down to this.

    Raises:
        Refused: It does not decode.
    """
    if shrunk_to_px is not None:
        at_least_px = _OVERSAMPLING * shrunk_to_px
    kind, image, header = opened.kind, opened.image, opened.image.size
    try:
        pixels = _sound_jpeg(opened, at_least_px, shrunk_to_px)
        if pixels is None:
            if isinstance(image, JpegImagePlugin.JpegImageFile) and at_least_px is not None and opened.scalable:
                image.draft(None, (at_least_px, at_least_px))
            image.load()
            pixels = _eight_bits(image)
        orientation = _orientation(image)  # after the pixels: a PNG may say it behind them
        size = header if kind == "jpeg" else image.size  # a TIFF has been turned upright by Pillow
    except (Image.DecompressionBombError, structure.Bomb) as error:
        raise Refused("bomb", str(error)) from None
    except _DAMAGE as error:
        raise Refused("undecodable", _says(error)) from None
    turn = _UPRIGHT.get(orientation)
    size = size[::-1] if turn in _QUARTER_TURNS else size
    return _Loaded(kind, pixels, size, _frames(opened), turn, _transform_of(pixels, image.info.get("icc_profile")))


def _sound_jpeg(opened: _Opened, at_least_px: int | None, shrunk_to_px: int | None) -> Image.Image | None:
    """Decode a JPEG of three components in which libjpeg finds nothing odd; None for any other file: Pillow judges it.

    These are Pillow's pixels in a tenth to a fifth less time: nothing is copied from line to line, or afterwards. Where they are
    about to be shrunk (to two thirds, ours), chroma is repeated and not interpolated, which changes no mean SSIM and up to
    2 bits of the perceptual hash (measured on 40 photographs brought to 256).
    """
    if not opened.scalable or opened.image.mode != "RGB":
        return None
    width, height = opened.image.size
    scale = 1 if at_least_px is None else _decoder_scale(opened.image.size, at_least_px)
    least = {} if scale == 1 else {"min_width": -(-width // scale), "min_height": -(-height // scale)}
    shrinks = shrunk_to_px is not None and min(width, height) // scale >= 1.5 * shrunk_to_px
    try:
        pixels = simplejpeg.decode_jpeg(opened.content, "RGBX", fastupsample=shrinks, strict=True, **least)
    except (ValueError, MemoryError):
        return None
    rows = pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), 4)
    return Image.fromarrow(rows, "RGB", (pixels.shape[1], pixels.shape[0]))


def _accepted(loaded: _Loaded, limits: Limits) -> Inspected:
    width, height = loaded.size
    if min(width, height) < limits.min_side_px:
        raise Refused("too_small", f"{width} x {height} pixels")
    return Inspected(OK, loaded.kind, width, height, loaded.frames)


def _refused(content: bytes, refused: Refused) -> Inspected:
    return Inspected(refused.status, sniff(content[:64]), detail=refused.detail)


def _says(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 where there is none, or none that can be read.

    Raises:
        Bomb: The metadata is not to be read.
    """
    try:
        exif = image.info.get("exif") or _raw_profile(image.info.get("Raw profile type exif"))
        structure.check_exif(exif)
        found = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:
        return 1
    return found if isinstance(found, int) else 1


def _raw_profile(text: str | None) -> bytes:
    """Return what ImageMagick writes into a PNG's text: a name, a length, and lines of hexadecimal digits."""
    return bytes.fromhex("".join(text.split("\n")[3:])) if text else b""


def _frames(opened: _Opened) -> int:
    """Return the number of frames or pages, up to `MAX_FRAMES`."""
    if opened.kind == "gif":
        return _gif_frames(opened.content)
    if opened.kind == "tiff":
        return _tiff_frames(opened.content)
    return max(1, min(int(getattr(opened.image, "n_frames", 1)), MAX_FRAMES))


def _gif_frames(content: bytes) -> int:
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


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(content: bytes, at: int) -> int:
    while content[at]:
        at += 1 + content[at]
    return at + 1


def _tiff_frames(content: bytes) -> int:
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


# --- pixels ----------------------------------------------------------------------------------------------------------


def _draft_scale(size: tuple[int, int], short_side_px: int) -> int:
    """Return by how much libjpeg scales while decoding for a short side: 8, 4, 2 or 1."""
    return _decoder_scale(size, _OVERSAMPLING * short_side_px)


def _decoder_scale(size: tuple[int, int], at_least_px: int) -> int:
    """Return by how much libjpeg may scale for neither side to fall under `at_least_px`; for what it has SIMD for."""
    scale = min(size) // at_least_px
    return next(factor for factor in (8, 4, 2, 1) if scale >= factor or factor == 1)


def _is_to_change(loaded: _Loaded, short_side_px: int) -> bool:
    plain = loaded.turn is None and loaded.transform is None and loaded.pixels.mode == "RGB"
    if loaded.kind == "jpeg" and plain and min(loaded.size) <= short_side_px:
        return False
    return max(_target(loaded.size, short_side_px)) <= _JPEG_SIDE_PX


def _target(size: tuple[int, int], short_side_px: int) -> tuple[int, int]:
    """Return the size with the short side brought down and the long one rounded, halves up; in whole numbers."""
    width, height = size
    short = min(size)
    if short <= short_side_px:
        return size
    long = max(1, (2 * max(size) * short_side_px + short) // (2 * short))
    return (short_side_px, long) if width <= height else (long, short_side_px)


class _Scaler(threading.local):
    """One a thread: it keeps buffers."""

    def __init__(self) -> None:
        self.resizer = Resizer()


class _Memory(threading.local):
    """An unnamed file in memory, one a thread, for what is encoded; a forked process has its own."""

    def __init__(self) -> None:
        self._process = 0

    def file(self) -> io.FileIO:
        """Return the file, at any position and with anything in it."""
        if self._process != os.getpid():
            self._file = io.FileIO(os.memfd_create("jpeg"), "w+b")
            self._process = os.getpid()
        return self._file


_SCALER: Final = _Scaler()
_MEMORY: Final = _Memory()
_TRIANGLE: Final = ResizeOptions(ResizeAlg.convolution(FilterType.bilinear))


def _scaled(pixels: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return pixels in another size, by a triangle filter as wide as the scale.

    Pillow's `BILINEAR` is the same filter (no value differs by more than one level) at three to four times the time.
    """
    if pixels.size == size:
        return pixels
    if pixels.mode not in {"RGB", "L", "CMYK"}:
        return pixels.resize(size, Image.Resampling.BILINEAR)
    scaled = Image.new(pixels.mode, size)
    _SCALER.resizer.resize_pil(pixels, scaled, _TRIANGLE)
    return scaled


def _edges(start: float, length: float, pixels: int) -> tuple[int, int]:
    low = min(max(math.floor(start * pixels + 0.5), 0), pixels - 1)
    high = min(max(math.floor((start + length) * pixels + 0.5), low + 1), pixels)
    return low, high


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return any mode as RGB, L, CMYK, LAB or, where there is transparency, RGBA: what can be scaled and has profiles."""
    mode = image.mode
    if mode in {"I", "F"} or mode.startswith("I;16"):
        return _eight_bit_grey(np.asarray(image), upper_half=mode.startswith("I;16"))
    if "transparency" in image.info and mode in {"P", "L", "RGB"}:
        return image.convert("RGBA")
    if mode in {"La", "RGBa"}:  # premultiplied
        return image.convert("LA" if mode == "La" else "RGBA").convert("RGBA")
    if mode in {"LA", "PA"}:
        return image.convert("RGBA")
    if mode == "1":
        return image.convert("L")
    return image if mode in {"RGB", "L", "CMYK", "LAB", "RGBA"} else image.convert("RGB")


def _eight_bit_grey(values: np.ndarray[tuple[int, ...], np.dtype[Any]], *, upper_half: bool) -> Image.Image:
    """Return grey of 16 bits as eight by their upper half; of 32 bits, or of floats, by their own range."""
    if upper_half:
        return Image.fromarray((values >> 8).astype(np.uint8))
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    scaled = (finite - low) * (255.0 / (high - low)) if high > low else np.zeros_like(finite)
    return Image.fromarray(scaled.astype(np.uint8))


def _on_white(pixels: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image:
    colours = pixels.convert("RGB") if pixels.mode == "RGBA" else pixels
    if transform is not None:
        colours = cast(Image.Image, ImageCms.applyTransform(colours, transform))
    elif colours.mode != "RGB":
        colours = colours.convert("RGB")
    if pixels.mode != "RGBA":
        return colours
    flat = Image.new("RGB", pixels.size, _WHITE)
    flat.paste(colours, mask=pixels.getchannel("A"))
    return flat


def _transform_of(pixels: Image.Image, profile: object) -> ImageCms.ImageCmsTransform | None:
    """Return what brings an image's colours to sRGB; None where plain conversion does."""
    mode = "RGB" if pixels.mode == "RGBA" else pixels.mode
    if mode == "LAB":
        return _transform(b"", mode)
    if not isinstance(profile, bytes) or not profile:
        return None
    return _transform(profile, mode) if len(profile) <= _KEPT_PROFILE_BYTES else _transform.__wrapped__(profile, mode)


#: Profiles that are kept at hand are no longer than this: those of cameras and screens are 0.5 to 4 kB, of presses 0.5 to 2 MB.
_KEPT_PROFILE_BYTES: Final = 2 << 20


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform of a profile; None for one that is broken, made for another mode, or sRGB in all but name.

    Most photographs on the web carry an sRGB profile, of which there are many editions: what counts is what it does.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "CMYK" or not profile:
            return transform
        probe = Image.fromarray(_probe()) if mode == "RGB" else Image.fromarray(_probe()[..., 0])
        moved = np.asarray(ImageCms.applyTransform(probe, transform)).astype(np.int16)
    except (ImageCms.PyCMSError, *_DAMAGE):
        return None
    return transform if np.abs(moved - np.asarray(probe.convert("RGB"))).max() > _SAME_COLOUR else None


def _probe() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return 9 x 9 x 9 colours over the whole cube, as an image of 81 x 9."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(81, 9, 3)
