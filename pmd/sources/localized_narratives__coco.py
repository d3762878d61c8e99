"""Localized Narratives on COCO 2017; the images are those of the source `coco`."""

from __future__ import annotations

from typing import Final

from pmd.sources.narratives import CocoOptions, Narratives, NoSplit, Picture
from pmd.sources.records import Malformed

#: Digits of an image's name.
_DIGITS: Final = 12
_FOLDERS: Final = {"train": "train2017", "validation": "val2017", "test": "test2017"}


def picture(image_id: str, split: str | None) -> Picture:
    """Return a COCO id's image, under its name of 2017."""
    if not (image_id.isascii() and image_id.isdigit() and len(image_id) <= _DIGITS):
        raise Malformed(f"image_id: expected a COCO id, found {image_id[:60]}")
    if split is None:
        raise NoSplit
    name = f"{_FOLDERS[split]}/{image_id.zfill(_DIGITS)}.jpg"
    return Picture(f"coco:{int(image_id)}", name, f"http://images.cocodataset.org/{name}")


SOURCE = Narratives(
    name="localized_narratives__coco", dataset="coco", picture=picture, options=CocoOptions, numbered=True
)
