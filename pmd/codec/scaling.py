"""Pixels in another size: what a decoder may leave out, what is scaled, what is cut out, what is put around."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from PIL import Image

from pmd.codec.form import Fit, Form, Size
from pmd.codec.resampling import Box, resampled

#: A JPEG is decoded to at least so many times the short side that is wanted: see `resized` for what less would cost.
OVERSAMPLING: Final = 2
_WHITE: Final = (255, 255, 255)


def draft_scale(size: tuple[int, int], short_side_px: int) -> int:
    """Return by how much libjpeg scales while decoding for a short side: 8, 4, 2 or 1."""
    return decoder_scale(size, OVERSAMPLING * short_side_px)


def decoder_scale(size: tuple[int, int], at_least_px: int) -> int:
    """Return by how much libjpeg may scale for neither side to fall under `at_least_px`; for what it has SIMD for."""
    scale = min(size) // at_least_px
    return next(factor for factor in (8, 4, 2, 1) if scale >= factor or factor == 1)


def scaled(pixels: Image.Image, size: Size, box: Box | None = None) -> Image.Image:
    """Return pixels, or what a box holds of them, in another size, by a cubic filter (Catmull-Rom) as wide as the scale.

    Of the filters at hand it comes nearest to the exact mean by area; `resized` has the figures. What is enlarged goes through
    Lanczos, as img2dataset does it: against OpenCV's, mean SSIM on ten photographs is .998, of the cubic one .991.
    """
    if pixels.size == size and box is None:
        return pixels
    return resampled(pixels, size, box)


def box_of(fit: Fit, pixels: Size) -> Box | None:
    """Return what is left of pixels, of whatever size they are decoded in, where a fit cuts them; None: all.

    They are cut and scaled in one step, so that what is cut off is never enlarged: a line of pixels could become gigabytes.
    """
    if not fit.is_cut:
        return None
    left, top = fit.place
    across, down = pixels[0] / fit.scaled[0], pixels[1] / fit.scaled[1]
    right, bottom = min((left + fit.size[0]) * across, pixels[0]), min((top + fit.size[1]) * down, pixels[1])
    return left * across, top * down, right, bottom


def on_canvas(picture: Image.Image, fit: Fit) -> Image.Image:
    """Return an RGB picture with white around it where a fit has some."""
    if picture.size == fit.size:
        return picture
    canvas = Image.new("RGB", fit.size, _WHITE)
    canvas.paste(picture, fit.place)
    return canvas


def formed(picture: Image.Image, form: Form) -> Image.Image:
    """Return an upright RGB picture, such as a crop, brought to the size of a form.

    By Pillow's Lanczos filter: there is no decoder that could leave something out before. What the form cannot hold enlarged
    keeps its size.
    """
    fit = form.fit(picture.size, is_crop=True)
    if fit.size == fit.scaled == picture.size or not form.holds(picture.size):
        return picture
    size = fit.size if fit.is_cut else fit.scaled
    box = box_of(fit, picture.size)
    return on_canvas(picture.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=2.0), fit)


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
