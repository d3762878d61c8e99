"""The perceptual hash of a picture (PDQ), by which near-duplicates are found."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from PIL import Image

from pmd.codec import scaling

#: Short side of the picture that the perceptual hash is taken of, whatever form is stored: one value, so that
#: the hash does not depend on the options of the store. The default store keeps that very picture, and pays nothing.
HASH_SIDE_PX: Final = 256

#: A PDQ hash says which of 256 coefficients lie above their median: 128, unless many are equal, as in a flat picture (none is
#: set) or one of a few lines. 159 photographs of COCO have 128, all of them. Hashes with fewer set bits, or more, match
#: strangers: they are compared with none.
SET_BITS: Final = range(120, 137)

#: PDQ's picture, and the weights of its luma (ITU-R BT.601).
_PDQ_PX: Final = 64
_LUMA: Final = np.array([0.299, 0.587, 0.114])

#: Rows 1…16 of the orthonormal DCT-II of 64 values.
_DCT: Final = math.sqrt(2 / _PDQ_PX) * np.cos(
    math.pi / (2 * _PDQ_PX) * np.outer(np.arange(1, 17), 2 * np.arange(_PDQ_PX) + 1)
)

#: Frequencies are rounded: far above the errors of their sums (10⁻¹⁰), in which processors differ. Ours.
_PDQ_DECIMALS: Final = 6


def perceptual_hash(image: Image.Image) -> bytes:
    """Return the 32-byte PDQ hash of an upright RGB image, in the byte order of PDQ's hexadecimal form.

    PDQ (facebook/ThreatExchange, hashing.pdf): luma of 64 x 64, its DCT's 16 x 16 lowest frequencies above the
    constant, and a bit for each that is above their median. The image is
    brought to 64 x 64 by a triangle filter, instead of by PDQ's Jarosz filter (two passes of a box, so a triangle as well)
    at full size: on photographs a mean of 9 and at most 18 of 256 bits differ from the reference hash (PDQ calls 31 bits a
    match), at a tenth of the time. From there on the bits are those of the reference implementation, which takes eight
    times as long and holds the GIL; only where it compares rounding errors, as in flat pictures, here nothing is above.
    """
    luma = np.asarray(scaling.scaled(image, (_PDQ_PX, _PDQ_PX))) @ _LUMA
    frequencies = np.round(_DCT @ luma @ _DCT.T, _PDQ_DECIMALS).ravel()
    median = np.partition(frequencies, len(frequencies) // 2 - 1)[len(frequencies) // 2 - 1]
    return np.packbits((frequencies > median)[::-1]).tobytes()


def is_telling(perceptual_hash: bytes) -> bool:
    """Return whether a hash can tell pictures apart (`SET_BITS`)."""
    return int.from_bytes(perceptual_hash, "big").bit_count() in SET_BITS
