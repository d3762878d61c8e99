"""How many bytes a picture takes in one size and format, beside the form that is the default: for the plan.

Every figure is the mean of 80 photographs of COCO's (640 x 480, by `pmd.codec`), against the same with the short side at 256 px
as JPEG of quality 95. Photographs of another kind differ; what is near is the ratio.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

import numpy as np

from pmd.config import Config
from pmd.config.resizing import Resizing

#: The short side that all ratios are against; other sizes are taken by area.
SHORT_SIDE_PX: Final = 256

#: mode → bytes, for one size: what is cut off, and white, cost nothing.
_MODES: Final[Mapping[str, float]] = {
    "keep_ratio": 1.0,
    "keep_ratio_largest": 0.53,
    "center_crop": 0.72,
    "border": 0.55,
}

#: format → qualities, and bytes for each; what lies between is taken by a straight line.
_QUALITIES: Final[Mapping[str, tuple[tuple[int, ...], tuple[float, ...]]]] = {
    "jpg": ((1, 75, 85, 95, 100), (0.05, 0.42, 0.56, 1.0, 1.97)),
    "webp": ((1, 80, 95, 100, 101), (0.05, 0.37, 0.83, 1.11, 2.92)),
    "png": ((0, 6, 9), (6.36, 3.70, 3.68)),
}

#: A whole photograph: as it came (COCO's archives of 2014), and encoded anew as JPEG of quality 95.
_AS_IT_CAME: Final = 163 / 47
_ANEW: Final = 2.77


def relative_bytes(resizing: Resizing) -> float:
    """Return the bytes of a photograph in a form, 1 being those with the short side at 256 px as JPEG of quality 95."""
    by_format = encoded(resizing)
    whole = _AS_IT_CAME if resizing.format == "jpg" else _ANEW * by_format  # a JPEG that may stay as it is does
    if resizing.side_px is None:
        return whole
    scaled = (resizing.side_px / SHORT_SIDE_PX) ** 2 * _MODES[resizing.mode] * by_format
    return min(scaled, whole) if resizing.only_if_bigger else scaled


def encoded(resizing: Resizing) -> float:
    """Return the bytes that the format and its quality give, 1 being those of JPEG of quality 95."""
    return float(np.interp(resizing.quality, *_QUALITIES[resizing.format]))


def in_shards(config: Config) -> float | None:
    """Return the bytes of a whole photograph in a shard, as `relative_bytes` does; None where it stays as it is stored."""
    asked, kept = config.shard.resizing, config.fetch.resizing
    if config.shard.is_as_stored:
        return None
    if config.fetch.store == "original":
        return relative_bytes(asked)
    as_kept = relative_bytes(dataclasses.replace(kept, format=asked.format, quality=asked.quality))
    return as_kept if asked.side_px is None else min(as_kept, relative_bytes(asked))
