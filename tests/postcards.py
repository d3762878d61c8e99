"""A source of which little is known and which FLAVA's paper does not have: what is told of it where it stands beside PMD's."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmd.manifests import Manifest, load, load_all, loading

MANIFEST = """
name = "postcards"
title = "Postcards"
hub_name = "postcards"
description = "Pictures of places."
unknown = ["homepage", "citation", "published", "files"]
images_by_url = true
text_licence = "NOASSERTION"
text_licence_note = "None is stated."
image_licence = "NOASSERTION"
image_licence_note = "None is stated."
redistribute = "urls"
redistribute_reason = "no licence is stated"
meta_reason = "nothing else is known"

[meta]
"""


def written(folder: Path) -> Manifest:
    """Write the manifest into a folder, and return it as it is read."""
    (folder / "postcards.toml").write_text(MANIFEST, encoding="utf-8")
    return load("postcards", folder)


def beside_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """Let it be one of the manifests; return it."""
    manifest = written(folder)
    every = {**load_all(), "postcards": manifest}
    monkeypatch.setattr(loading, "_load_folder", lambda _: every)
    return manifest
