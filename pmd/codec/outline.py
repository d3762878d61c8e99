"""What a picture is beside its pixels: the same whether they have been decoded or not."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from pmd.codec import opening, orientation, plain
from pmd.codec.verdicts import Format


class Outline(NamedTuple):
    """A picture without its pixels.

    Attributes:
        kind: Its format.
        size: The upright size it has in full.
        frames: How many it has.
        turn: What brings it upright.
    """

    kind: Format
    size: tuple[int, int]
    frames: int
    turn: Image.Transpose | None


def of(opened: opening.Opened) -> Outline:
    """Describe a file, before its pixels are decoded or after.

    Raises:
        Bomb: Its metadata is not to be read.
    """
    if opened.plain is not None:
        return of_plain(opened.plain)
    image = opened.image
    turn = orientation.turn_of(image)  # of a PNG that says it behind the pixels, only after them
    size = opened.size if opened.kind == "jpeg" else image.size  # Pillow turns a TIFF itself
    size = size[::-1] if turn in orientation.QUARTER_TURNS else size
    return Outline(opened.kind, size, opening.frames_of(opened), turn)


def of_plain(found: plain.Plain) -> Outline:
    """Describe a plain JPEG."""
    return Outline("jpeg", found.size, 1, None)
