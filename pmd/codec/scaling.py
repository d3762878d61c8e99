"""Sizes, and pixels in another size: what a decoder may leave out, what is scaled, what is cut out."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Final

from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
from PIL import Image

#: A JPEG is decoded to at least so many times the short side that is wanted: see `resized` for what less would cost.
OVERSAMPLING: Final = 2
_CUBIC: Final = ResizeOptions(ResizeAlg.convolution(FilterType.catmull_rom))


def draft_scale(size: tuple[int, int], short_side_px: int) -> int:
    """Return by how much libjpeg scales while decoding for a short side: 8, 4, 2 or 1."""
    return decoder_scale(size, OVERSAMPLING * short_side_px)


def decoder_scale(size: tuple[int, int], at_least_px: int) -> int:
    """Return by how much libjpeg may scale for neither side to fall under `at_least_px`; for what it has SIMD for."""
    scale = min(size) // at_least_px
    return next(factor for factor in (8, 4, 2, 1) if scale >= factor or factor == 1)


def target(size: tuple[int, int], short_side_px: int) -> tuple[int, int]:
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


_SCALER: Final = _Scaler()


def scaled(pixels: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return pixels in another size, by a cubic filter (Catmull-Rom) as wide as the scale.

    Of the filters at hand it comes nearest to the exact mean by area; `resized` has the figures. Pillow's `BICUBIC` is the same
    filter (values at hard edges differ by a few levels) at three to four times the time.
    """
    if pixels.size == size:
        return pixels
    if pixels.mode not in {"RGB", "L", "CMYK"}:
        return pixels.resize(size, Image.Resampling.BICUBIC)
    scaled = Image.new(pixels.mode, size)
    _SCALER.resizer.resize_pil(pixels, scaled, _CUBIC)
    return scaled


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


def _edges(start: float, length: float, pixels: int) -> tuple[int, int]:
    low = min(max(math.floor(start * pixels + 0.5), 0), pixels - 1)
    high = min(max(math.floor((start + length) * pixels + 0.5), low + 1), pixels)
    return low, high
