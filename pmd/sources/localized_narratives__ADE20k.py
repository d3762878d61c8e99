"""Localized Narratives on ADE20K; its images come in one archive, and have no URL each."""

from __future__ import annotations

from typing import Final

from pmd.sources.narratives import Narratives, NoSplit, Picture, plain

_FOLDERS: Final = {"train": "training", "validation": "validation", "test": "testing"}


def picture(image_id: str, split: str | None) -> Picture:
    """Return an ADE20K id's image, under its name in ADEChallengeData2016.zip."""
    if split is None:
        raise NoSplit
    name = plain(image_id, "ADE20K")
    return Picture(f"ade20k:{name}", f"ADEChallengeData2016/images/{_FOLDERS[split]}/{name}.jpg")


SOURCE = Narratives(name="localized_narratives__ADE20k", dataset="ADE20k", picture=picture)
