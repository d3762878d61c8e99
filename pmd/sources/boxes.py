"""Boxes in pictures, as annotators draw them, as regions: in fractions of the picture, since copies of it differ in size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

#: A box may reach this far over the edge without a note: annotators' boxes are rounded to whole pixels.
_OVERHANG_PX: Final = 1.0


def fractions(box: Sequence[float], width_px: int, height_px: int) -> tuple[list[float] | None, str | None]:
    """Return a box in fractions of its image, and a note.

    Args:
        box: x, y, width and height in pixels, from the top left corner.
        width_px: Width of the image that the box was drawn on.
        height_px: Its height.

    Returns:
        The box, clipped to the image, and None; a note beside it where more than a pixel was clipped (a draft's `detail`);
        None and what is wrong where nothing is left of it: such a row is a `bad_region`.
    """
    x, y, width, height = box
    if not all(map(math.isfinite, box)):
        return None, "the box has numbers that are not finite"
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, float(width_px)), min(y + height, float(height_px))
    shown = f"box {x:g},{y:g} {width:g} by {height:g} in an image of {width_px} by {height_px}"
    if width <= 0 or height <= 0:
        return None, f"{shown} is empty"
    if right <= left or bottom <= top:
        return None, f"{shown} is outside of it"
    if left == x and top == y and right == x + width and bottom == y + height:
        return [x / width_px, y / height_px, width / width_px, height / height_px], None
    overhang = max(left - x, top - y, x + width - right, y + height - bottom)
    clipped = [left / width_px, top / height_px, (right - left) / width_px, (bottom - top) / height_px]
    return clipped, None if overhang <= _OVERHANG_PX else f"{shown} was clipped to it"
