"""Localized Narratives on Flickr30k; its images are behind a form, and have no URL each."""

from __future__ import annotations

from typing import Final

from pmd.sources.narratives import Narratives, Picture
from pmd.sources.records import Malformed

#: Digits of a photo id, at most: it is a number of 64 bits.
_DIGITS: Final = 19


def picture(image_id: str, split: str | None) -> Picture:
    """Return a Flickr30k image: its id is the Flickr photo's."""
    if not (image_id.isascii() and image_id.isdigit() and len(image_id) <= _DIGITS):
        raise Malformed(f"image_id: expected a Flickr photo id, found {image_id[:60]}")
    return Picture(f"flickr:{int(image_id)}", f"{image_id}.jpg")


SOURCE = Narratives(name="localized_narratives__flickr30k", dataset="flickr30k", picture=picture, numbered=True)
