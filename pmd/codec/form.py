"""In which form a picture is kept: its size, what is cut off or put around it, and how it is encoded.

The modes are img2dataset's (`resizer.py`, 1.47), by its names: what people have trained on keeps its meaning here. Nothing is
decoded here, and no pixel is seen: sizes in, sizes out.
"""

from __future__ import annotations

import dataclasses
from typing import Final, Literal

from pmd.codec.verdicts import MAX_PIXELS
from pmd.schema import modes
from pmd.schema.modes import Mode

#: Formats that are written.
Written = Literal["jpeg", "png", "webp"]

#: Longest side that a format can hold: libjpeg's JPEG_MAX_DIMENSION, libwebp's WEBP_MAX_DIMENSION, PNG's third edition §11.2.1.
LONGEST_SIDE_PX: Final[dict[Written, int]] = {"jpeg": 65_500, "webp": 16_383, "png": 2**31 - 1}

#: The quality that stands for WebP without loss, as in OpenCV's IMWRITE_WEBP_QUALITY: over 100.
LOSSLESS: Final = 101

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Fit:
    """What becomes of a picture of one size.

    Attributes:
        scaled: Width and height of the whole picture, scaled.
        size: Width and height of the result: less than `scaled` where its edges are cut off, more where white is around it.
    """

    scaled: Size
    size: Size

    @property
    def is_cut(self) -> bool:
        """Whether something of the picture is cut off."""
        return self.size[0] < self.scaled[0] or self.size[1] < self.scaled[1]

    @property
    def place(self) -> tuple[int, int]:
        """Left and top of the result within the scaled picture where it is cut, else of that within the result."""
        return abs(self.size[0] - self.scaled[0]) // 2, abs(self.size[1] - self.scaled[1]) // 2


@dataclasses.dataclass(frozen=True)
class Form:
    """In which form content is kept.

    Attributes:
        side_px: What `mode` brings pictures to. None, but for mode "no": the original bytes are kept.
        quality: JPEG 1 to 100; PNG its compression, 0 to 9; WebP 1 to 100, or `LOSSLESS`.
        mode: See `Mode`.
        only_if_bigger: Whether pictures that are no larger keep their size: then nothing is cut off or put around them either.
        format: What is encoded.
    """

    side_px: int | None = None
    quality: int = 95
    mode: Mode = "keep_ratio"
    only_if_bigger: bool = True
    format: Written = "jpeg"

    @property
    def is_original(self) -> bool:
        """Whether the bytes are kept as they came."""
        return self.side_px is None and self.mode != "no"

    @property
    def is_lossless(self) -> bool:
        """Whether what is encoded has the very pixels."""
        return self.format == "png" or (self.format == "webp" and self.quality == LOSSLESS)

    def measured(self, size: Size) -> int:
        """Return the side by which a picture is judged: the short one, or the long one."""
        return min(size) if self.mode in modes.BY_SHORT_SIDE else max(size)

    def for_copy_of(self, original: Size) -> Form:
        """Return the form that makes of a smaller copy what this one makes of the original, which says whether it is bigger.

        A copy that was brought to the very size asked for is no bigger than that, and would be neither cut nor have a border.
        """
        if self.side_px is None or self.mode == "no" or self.measured(original) <= self.side_px:
            return self
        return dataclasses.replace(self, only_if_bigger=False)

    def fit(self, size: Size, *, is_crop: bool = False) -> Fit:
        """Return what becomes of a picture of a size.

        A side that comes between two whole numbers goes to the nearest, and from a half to the even one, as in img2dataset; but
        up where a whole picture is brought to `keep_ratio`: those who have such pictures keep them.
        """
        side = self.side_px
        if side is None or self.mode == "no" or (self.only_if_bigger and self.measured(size) <= side):
            return Fit(size, size)
        if self.mode == "keep_ratio":
            scaled = _by_short_side(size, side, halves_up=not is_crop)
        else:
            scale = side / self.measured(size)
            scaled = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        return Fit(scaled, (side, side) if self.mode in modes.SQUARE else scaled)

    def holds(self, size: Size) -> bool:
        """Return whether a picture of a size can be had in this form: not too long for its format, nor too large by enlarging."""
        fit = self.fit(size)
        enlarged = fit.size[0] * fit.size[1] > max(MAX_PIXELS, size[0] * size[1])
        return max(fit.size) <= LONGEST_SIDE_PX[self.format] and not enlarged


#: The bytes as they came.
ORIGINAL: Final = Form()


def _by_short_side(size: Size, side_px: int, *, halves_up: bool) -> Size:
    """Return a size with its short side brought to this and the long one rounded, halves up (in whole numbers) or to even."""
    width, height = size
    short = min(size)
    long = (2 * max(size) * side_px + short) // (2 * short) if halves_up else round(max(size) * side_px / short)
    long = max(1, long)
    return (side_px, long) if width <= height else (long, side_px)
