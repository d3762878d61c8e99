"""Pictures for the page: small, upright, and for a region both what a model sees and where it was cut from."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw

from pmd import codec

#: Longest side of what is shown, and of the whole image beside a region.
VIEW_PX: Final = 320
INSET_PX: Final = 240
_QUALITY: Final = 82
#: The box is a light line within a dark one, so that it is seen on any picture.
_DARK: Final = (20, 20, 24)
_LIGHT: Final = (255, 214, 10)


@dataclasses.dataclass(frozen=True)
class Picture:
    """What is shown of an image.

    Attributes:
        view: JPEG of the whole image, or of the region. None: see `why_not`.
        size: Width and height of `view`, in pixels.
        inset: JPEG of the whole image with the region's box; None where there is no region.
        inset_size: Width and height of `inset`.
        why_not: Why there is no picture, in words.
    """

    view: bytes | None = None
    size: tuple[int, int] = (0, 0)
    inset: bytes | None = None
    inset_size: tuple[int, int] = (0, 0)
    why_not: str | None = None


def picture(content: bytes, region: Sequence[float] | None) -> Picture:
    """Return what is shown of stored bytes; never larger than the stored image.

    Args:
        content: The stored bytes, in whichever form.
        region: `[x, y, width, height]` in fractions, or None for the whole image.
    """
    try:
        whole = codec.upright_rgb(content, min_short_side_px=VIEW_PX if region is None else None)
    except codec.Refused as refused:
        return Picture(why_not=f"the stored bytes do not decode: {refused.detail}")
    if region is None:
        view = _small(whole, VIEW_PX)
        return Picture(codec.encode_jpeg(view, _QUALITY), view.size)
    view = _small(codec.crop(whole, region), VIEW_PX)
    inset = _boxed(_small(whole, INSET_PX), region)
    return Picture(codec.encode_jpeg(view, _QUALITY), view.size, codec.encode_jpeg(inset, _QUALITY), inset.size)


def data_uri(jpeg: bytes) -> str:
    """Return a JPEG as a data: URI."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"


def _small(image: Image.Image, longest_px: int) -> Image.Image:
    """Return an image with its longest side at most `longest_px`, ratio kept as far as whole pixels allow."""
    longest = max(image.size)
    if longest <= longest_px:
        return image
    width, height = (max(1, round(side * longest_px / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _boxed(image: Image.Image, region: Sequence[float]) -> Image.Image:
    x, y, width, height = region
    left, top = round(x * image.width), round(y * image.height)
    right = max(left + 1, round((x + width) * image.width)) - 1
    bottom = max(top + 1, round((y + height) * image.height)) - 1
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for out, colour in zip(range(3, -3, -1), (_DARK, *(_LIGHT,) * 4, _DARK), strict=True):
        if right - left + 2 * out >= 0 and bottom - top + 2 * out >= 0:
            draw.rectangle((left - out, top - out, right + out, bottom + out), outline=colour)
    return image
