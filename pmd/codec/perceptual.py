"""The perceptual hash of a picture (PDQ), by which near-duplicates are found."""

from __future__ import annotations

import functools
import math
from typing import Any, Final

import numpy as np
import pyarrow as pa
from PIL import Image

#: A PDQ hash says which of 256 coefficients lie above their median: 128, unless many are equal, as in a flat picture (none is
#: set) or one of a few lines. 159 photographs of COCO have 128, all of them. Hashes with fewer set bits, or more, match
#: strangers: they are compared with none.
SET_BITS: Final = range(120, 137)

#: PDQ's picture, and how many windows of its box filter a side of the whole one takes.
_PDQ_PX: Final = 64
_WINDOWS: Final = 2 * _PDQ_PX

#: Rows 1…16 of the orthonormal DCT-II of 64 values.
_DCT: Final = math.sqrt(2 / _PDQ_PX) * np.cos(
    math.pi / (2 * _PDQ_PX) * np.outer(np.arange(1, 17), 2 * np.arange(_PDQ_PX) + 1)
)

#: Frequencies are rounded: far above the errors of their sums (10⁻¹⁰), in which processors differ. Ours.
_PDQ_DECIMALS: Final = 6

#: Longer sides are first brought under this by averaging whole pixels, so that memory has a bound. Ours.
_LONGEST_PX: Final = 16_384

#: Pixels whose luma is held at once, and those that are summed at once: few enough for a processor's cache, and for BLAS to
#: start no threads of its own (OpenBLAS: 2¹⁸ products of one frequency, row and column).
_BAND_PIXELS: Final = 1 << 20
_STRIP_PIXELS: Final = 1 << 14

#: Sides whose weights are kept at hand: as long as most pictures on the web are, 256 kB at most.
_KEPT_PX: Final = 2048

_Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def perceptual_hash(image: Image.Image) -> bytes:
    """Return the 32-byte PDQ hash of a whole upright RGB image, in the byte order of PDQ's hexadecimal form.

    PDQ (facebook/ThreatExchange, hashing.pdf) takes the luma, filters it twice by boxes a 128th of a side wide, and brings it to
    64 x 64. Of that it takes the DCT's 16 x 16 lowest frequencies above the constant. Each gives a bit: is it above their median?
    All up to the median is linear, and so is done at once: each frequency is a sum of the pixels, by weights along either side.

    These are the bits of the reference implementation, which holds the GIL and takes several times as long. The distances are in
    docs/benchmarks/search.md. Only where that one compares rounding errors, as in flat pictures, nothing is above here. An image
    that has been scaled, or decoded to a smaller one, has another hash than the whole.
    """
    frequencies = np.round(_frequencies(_shortened(image)), _PDQ_DECIMALS).ravel()
    median = np.partition(frequencies, len(frequencies) // 2 - 1)[len(frequencies) // 2 - 1]
    return np.packbits((frequencies > median)[::-1]).tobytes()


def is_telling(perceptual_hash: bytes) -> bool:
    """Return whether a hash can tell pictures apart (`SET_BITS`)."""
    return int.from_bytes(perceptual_hash, "big").bit_count() in SET_BITS


def _shortened(image: Image.Image) -> Image.Image:
    factors = (-(-image.width // _LONGEST_PX), -(-image.height // _LONGEST_PX))
    return image if factors == (1, 1) else image.reduce(factors)


def _frequencies(image: Image.Image) -> _Matrix:
    """Return the 16 x 16 frequencies, by rows."""
    width, height = image.size
    across, rows = _weights(width), np.empty((height, len(_DCT)))
    band, strip = max(1, _BAND_PIXELS // width), max(1, _STRIP_PIXELS // width)
    for top in range(0, height, band):
        luma = _luma(image if band >= height else image.crop((0, top, width, min(top + band, height))))
        for start in range(0, len(luma), strip):
            some = luma[start : start + strip].astype(np.float64)
            np.matmul(some, across, out=rows[top + start : top + start + len(some)])
    return _weights(height).T @ rows


def _luma(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    """Return the luma of an RGB image (ITU-R BT.601), unrounded, as float32; no more than `_BAND_PIXELS`."""
    return np.asarray(pa.array(image.convert("F"))).reshape(image.height, image.width)


def _weights(length: int) -> _Matrix:
    """Return the weight of each pixel along a side in each frequency: length x 16."""
    return _kept_weights(length) if length <= _KEPT_PX else _kept_weights.__wrapped__(length)


@functools.lru_cache(maxsize=256)
def _kept_weights(length: int) -> _Matrix:
    """Return the weights: both passes of the box filter, applied to the DCT's rows where the 64 values are taken."""
    window = -(-length // _WINDOWS)
    ahead = (window + 2) // 2  # the reference's: an even window reaches farther back than ahead
    places = np.arange(length)
    pixels = np.minimum(places + ahead, length) - np.maximum(places - (window - ahead), 0)
    # The windows that a pixel is in: the same the other way round.
    low, high = np.maximum(places - ahead + 1, 0), np.minimum(places + window - ahead + 1, length)
    weights, summed = np.zeros((length, len(_DCT))), np.zeros((length + 1, len(_DCT)))
    taken = ((np.arange(_PDQ_PX) + 0.5) * length / _PDQ_PX).astype(int)
    np.add.at(weights, taken, _DCT.T)  # of under 64 pixels some are taken twice
    for _ in range(2):
        np.cumsum(weights / pixels[:, None], axis=0, out=summed[1:])
        weights = summed[high] - summed[low]
    return weights
