"""Content in, a file with an acceptable header out. Nothing is decoded yet.

The header is checked before a pixel is decoded. Pillow's plugins are called directly: `Image.open` would try every other
format it knows, and would judge size by a process-wide setting.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
import zlib
from collections.abc import Callable
from typing import Final

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _avif,
)

from pmd.codec import header, plain, structure
from pmd.codec.plain import Plain
from pmd.codec.verdicts import Format, Limits, Refused
from pmd.store import shortage

_PLUGINS: Final[dict[Format, Callable[[io.BytesIO], ImageFile.ImageFile]]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,  # not Pillow's factory, which would turn a gain map into a second frame
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
}

#: What Pillow and its codecs raise on damaged input; found by reading the plugins and by mutating files. Some of it they raise
#: without memory too (`shortage.refuse_lack`).
DAMAGE: Final = (
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

#: Bytes that decoded pixels take at least, of three colours or of four.
BYTES_OF_A_PIXEL: Final = 4


@dataclasses.dataclass  # not frozen, though nothing changes it: that would take four times as long
class Opened:
    """A file whose header was read and found acceptable.

    Attributes:
        content: All of it.
        kind: Its format.
        size: The size in its header, which Pillow's image may exchange for that of a scaled decode.
        markers: Those of a JPEG that is not plain, up to its first scan.
        scalable: Whether it is a JPEG that the decoder may be asked for a smaller picture of.
        plain: What a plain JPEG says of itself.
        by_pillow: What Pillow says of any other file.
    """

    content: bytes
    kind: Format
    size: tuple[int, int]
    markers: tuple[structure.Marker, ...]
    scalable: bool
    plain: Plain | None
    by_pillow: ImageFile.ImageFile | None

    @functools.cached_property
    def image(self) -> ImageFile.ImageFile:
        """What Pillow says of it; decoded later, if at all. Of a plain JPEG it is asked only here."""
        return self.by_pillow if self.by_pillow is not None else _PLUGINS[self.kind](io.BytesIO(self.content))

    @property
    def mode(self) -> str:
        """In which form Pillow has its pixels."""
        return self.plain.mode if self.plain is not None else self.image.mode

    @property
    def icc_profile(self) -> bytes | None:
        """Its ICC profile."""
        is_bare = self.plain is not None and not self.plain.has_profile
        return None if is_bare else self.image.info.get("icc_profile")


def read(content: bytes, limits: Limits) -> Opened:
    """Open content by its header.

    Raises:
        Refused: It is no image that is read, too large, built to cost too much, or damaged.
        PmdError: There is no memory to read it in.
    """
    kind = header.sniff(content[:64])
    if kind is None:
        raise Refused("not_an_image", f"{len(content)} bytes that begin with {content[:16]!r}")
    if kind == "jpeg" and (found := plain.read(content)) is not None:
        return of_plain(content, found, limits)
    needed_bytes = 0
    if kind == "webp":  # Pillow allocates the canvas when it opens the file
        size = header.webp_size(content)
        header.check_pixels(size, limits)
        needed_bytes = BYTES_OF_A_PIXEL * size[0] * size[1]
    try:
        markers = tuple(structure.jpeg_markers(content)) if kind == "jpeg" else ()
        structure.check(content, kind, markers, limits.max_pixels)
        if kind == "avif":  # Pillow reads its EXIF when it opens the file
            structure.check_exif(_avif.AvifDecoder(content, "auto", 1).get_info()[4] or b"")
        image = _PLUGINS[kind](io.BytesIO(content))
    except (Image.DecompressionBombError, structure.Bomb) as error:
        raise Refused("bomb", str(error)) from None
    except DAMAGE as error:
        shortage.refuse_lack(error, needed_bytes)
        raise Refused("undecodable", says(error)) from None
    header.check_pixels(image.size, limits)
    scalable = kind == "jpeg" and header.is_scalable(content, markers, image.size)
    return Opened(content, kind, image.size, markers, scalable, plain=None, by_pillow=image)


def of_plain(content: bytes, found: Plain, limits: Limits) -> Opened:
    """Open a plain JPEG.

    Raises:
        Refused: It is too large, or built to cost too much.
    """
    check_plain(content, found, limits)
    return Opened(content, "jpeg", found.size, (), scalable=True, plain=found, by_pillow=None)


def check_plain(content: bytes, found: Plain, limits: Limits) -> None:
    """Check a plain JPEG.

    Raises:
        Refused: It is too large, or built to cost too much.
    """
    header.check_pixels(found.size, limits)
    header.check_scans(content, found.size, is_progressive=found.is_progressive)


def frames_of(opened: Opened) -> int:
    """Return the number of frames or pages, up to `MAX_FRAMES`."""
    if opened.kind == "gif":
        return header.gif_frames(opened.content)
    if opened.kind == "tiff":
        return header.tiff_frames(opened.content)
    return max(1, min(int(getattr(opened.image, "n_frames", 1)), header.MAX_FRAMES))


def says(error: BaseException) -> str:
    """Return an error as the detail of a status."""
    return f"{type(error).__name__}: {error}"
