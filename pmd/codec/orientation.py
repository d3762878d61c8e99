"""Which way up a picture stands, by its EXIF."""

from __future__ import annotations

from typing import Final

from PIL import Image, TiffImagePlugin

from pmd.codec import opening, structure
from pmd.store import shortage

_ORIENTATION: Final = 0x0112

#: Its values → what brings the picture upright (EXIF 2.32 §4.6.4); 1, 0 and unknown values leave it alone.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Turns that exchange width and height.
QUARTER_TURNS: Final = frozenset(_UPRIGHT[orientation] for orientation in (5, 6, 7, 8))


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """Return what brings an image upright; None where it stands so, or where its EXIF cannot be read.

    None for a TIFF that says it in its own directory: Pillow turns that one while decoding, and says its upright size before.

    Raises:
        Bomb: The metadata is not to be read.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _ORIENTATION in image.tag_v2:
        return None
    try:
        exif = image.info.get("exif") or _raw_profile(image.info.get("Raw profile type exif"))
        structure.check_exif(exif)
        found = image.getexif().get(_ORIENTATION, 1)
    except opening.DAMAGE as error:
        shortage.refuse_lack(error)
        return None
    return _UPRIGHT.get(found) if isinstance(found, int) else None


def _raw_profile(text: str | None) -> bytes:
    """Return what ImageMagick writes into a PNG's text: a name, a length, and lines of hexadecimal digits."""
    return bytes.fromhex("".join(text.split("\n")[3:])) if text else b""
