"""Localized Narratives on Open Images V6; its images stand one by one in a public bucket."""

from __future__ import annotations

from pmd.sources.narratives import Narratives, NoSplit, Picture, plain


def picture(image_id: str, split: str | None) -> Picture:
    """Return an Open Images id's image; its URL has the split in it."""
    if split is None:
        raise NoSplit
    name = f"{split}/{plain(image_id, 'Open Images')}.jpg"
    return Picture(f"openimages:{image_id}", name, f"https://s3.amazonaws.com/open-images-dataset/{name}")


SOURCE = Narratives(name="localized_narratives__openimages", dataset="openimages", picture=picture)
