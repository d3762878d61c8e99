"""What is said of content: a picture within the limits, or the status for which it is none."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal, NamedTuple

#: Pixels that Pillow itself takes for a decompression bomb: 2^30 / 4 / 3 x 2, half a gigabyte of RGB.
MAX_PIXELS: Final = 178_956_970

Format = Literal["jpeg", "png", "webp", "gif", "avif", "tiff", "bmp"]


class Refused(Exception):
    """Content that is no acceptable image.

    Attributes:
        status: One of not_an_image, undecodable, bomb, too_small, too_narrow (`pmd.schema.statuses`).
        detail: What was found.
    """

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is still acceptable: pixels by the header, the short side, and how often the long side may have its length."""

    max_pixels: int = MAX_PIXELS
    min_side_px: int = 1
    max_aspect_ratio: float | None = None


class Inspected(NamedTuple):
    """What content is. Sizes are upright, and None where the header could not be read."""

    status: str
    format: Format | None = None
    width_px: int | None = None
    height_px: int | None = None
    frames: int | None = None
    detail: str | None = None
