"""Pixels in another size, by the fastest library here: cykooz.resizer, or Pillow where that has no wheels (Linux on arm64).

Both filter by the same functions, as wide as the scale. Their values are not the same: over 239 photographs and drawings brought
to a short side of 256 px they differ by .18 levels of 256 on average, .3 in the worst of them and 15 at a hard edge; enlarged by
half, by .22, .9 and 43. Pillow takes three to four times as long.
"""

from __future__ import annotations

import threading
from importlib import metadata
from typing import Final

import PIL
from PIL import Image

try:
    import cykooz_resizer
except ImportError:
    cykooz_resizer = None

#: Left, top, right and bottom in pixels, whole or not.
Box = tuple[float, float, float, float]

#: What scales pixels here, and its version.
LIBRARY: Final = (
    f"Pillow {PIL.__version__}" if cykooz_resizer is None else f"cykooz.resizer {metadata.version('cykooz.resizer')}"
)
#: Forms of pixels that cykooz.resizer takes here; others are Pillow's.
_MODES: Final = frozenset({"RGB", "L", "CMYK"})


def resampled(pixels: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Return pixels, or what a box holds of them, in another size: by a cubic filter (Catmull-Rom), enlarged by Lanczos'."""
    left, _, right, _ = box or (0, 0, *pixels.size)
    enlarges = size[0] > right - left
    if cykooz_resizer is None or pixels.mode not in _MODES:
        # A form that Pillow alone takes was always scaled by the cubic one.
        lanczos = enlarges and pixels.mode in _MODES
        return pixels.resize(size, Image.Resampling.LANCZOS if lanczos else Image.Resampling.BICUBIC, box)
    return _SCALER.scaled(pixels, size, box, enlarges=enlarges)


class _Scaler(threading.local):
    """One a thread: it keeps buffers."""

    def __init__(self) -> None:
        if cykooz_resizer is not None:
            filters = cykooz_resizer.FilterType
            self._resizer = cykooz_resizer.Resizer()
            self._cubic = cykooz_resizer.ResizeAlg.convolution(filters.catmull_rom)
            self._lanczos = cykooz_resizer.ResizeAlg.convolution(filters.lanczos3)

    def scaled(self, pixels: Image.Image, size: tuple[int, int], box: Box | None, *, enlarges: bool) -> Image.Image:
        """Return pixels in another size."""
        scaled = Image.new(pixels.mode, size)
        options = cykooz_resizer.ResizeOptions(self._lanczos if enlarges else self._cubic)
        if box is not None:
            left, top, right, bottom = box
            options.crop_box = cykooz_resizer.CropBox(left, top, right - left, bottom - top)
        self._resizer.resize_pil(pixels, scaled, options)
        return scaled


_SCALER: Final = _Scaler()
