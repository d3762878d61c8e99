"""Pictures of 4 to 20 kB, each made from a name: what a server can give out by the hundred thousand without a disk.

A picture is a grid of random colours with a texture over it. Two names give pictures that no perceptual hash takes for one;
one name gives the same bytes each time.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import simplejpeg
import xxhash
from numpy.typing import NDArray

#: Rows and columns of colours; each is 16 pixels wide, as is an encoder's block.
_GRID: Final = (12, 16)
_BLOCK_PX: Final = 16
_QUALITY: Final = 80


@functools.cache
def _texture(number: int) -> NDArray[np.int16]:
    strength = (2, 5, 9, 14, 20)[number]
    dice = np.random.default_rng(number)
    return dice.integers(
        -strength, strength + 1, (_GRID[0] * _BLOCK_PX, _GRID[1] * _BLOCK_PX, 3), dtype=np.int16, endpoint=False
    )


def picture(name: str) -> bytes:
    """Return the picture of a name: a JPEG of 256 × 192 pixels."""
    seed = xxhash.xxh3_64_intdigest(name.encode())
    colours = np.random.default_rng(seed).integers(30, 226, (*_GRID, 3), dtype=np.int16)
    pixels = colours.repeat(_BLOCK_PX, axis=0).repeat(_BLOCK_PX, axis=1) + _texture(seed % 5)
    return bytes(simplejpeg.encode_jpeg(np.clip(pixels, 0, 255).astype(np.uint8), _QUALITY, "RGB", "420"))
