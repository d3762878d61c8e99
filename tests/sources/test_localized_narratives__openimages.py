"""Localized Narratives on Open Images: which images, by golden rows; the rest is tested with COCO's."""

# ruff: noqa: E501 - golden rows stand as upstream has them, one line each

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pmd.schema import keys
from pmd.sources.localized_narratives__openimages import SOURCE
from tests.sources.planting import write_named_narratives

ReadAll = Callable[..., list[dict[str, Any]]]

UPSTREAM = r"""{"dataset_id": "open_images_train", "image_id": "000a1249af2bc5f0", "annotator_id": 1, "caption": "A \"dog\". It runs."}
{"dataset_id": "open_images_validation", "image_id": "0001eeaf4aed83f9", "annotator_id": 2, "caption": "caf\u00e9 \u6771\u4eac"}
{"dataset_id": "open_images_test", "image_id": "000045257f66b9e2", "annotator_id": 3, "caption": "false"}
{"dataset_id": "open_images_test", "image_id": "000045257f66b9e2", "annotator_id": 3, "caption": "false"}
{"dataset_id": "open_images", "image_id": "000045257f66b9e2", "annotator_id": 3, "caption": "no split"}
{"dataset_id": "open_images_test", "image_id": "000045257f66b9e2", "annotator_id": 3, "caption": ""}
{"dataset_id": "open_images_test", "image_id": 45257, "annotator_id": 3, "caption": "a number"}
{"dataset_id": "open_images_test", "image_id": "000045257f66b9e2", "annotator_id": 3, "caption": null}
{"dataset_id": "open_images_test", "image_id": "000045257f66b9e2", "annotator_id": false, "caption": "no number"}
{}
"""


def write_golden(folder: Path) -> list[str]:
    """Write upstream's rows."""
    path = folder / "narratives.jsonl"
    path.write_text(UPSTREAM)
    return [str(path)]


def test_golden_rows(tmp_path: Path, read_all: ReadAll) -> None:
    root = "https://s3.amazonaws.com/open-images-dataset"
    rows = read_all(SOURCE, *write_golden(tmp_path))
    columns = ("source_id", "identity", "image_url", "file_name", "text", "split", "reason")
    dog, cafe, false = (keys.digest(text).hex() for text in ('A "dog". It runs.', "café 東京", "false"))
    train, validation, test = (
        "train/000a1249af2bc5f0.jpg",
        "validation/0001eeaf4aed83f9.jpg",
        "test/000045257f66b9e2.jpg",
    )
    in_train = ("openimages:000a1249af2bc5f0", f"{root}/{train}", train)
    in_test = ("openimages:000045257f66b9e2", f"{root}/{test}", test)
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (f"open_images_train/000a1249af2bc5f0/1/{dog}/0", *in_train, 'A "dog".', "train", None),
        (f"open_images_train/000a1249af2bc5f0/1/{dog}/1", *in_train, "It runs.", "train", None),
        (
            f"open_images_validation/0001eeaf4aed83f9/2/{cafe}/0",
            "openimages:0001eeaf4aed83f9",
            f"{root}/{validation}",
            validation,
            "café 東京.",
            "validation",
            None,
        ),
        (f"open_images_test/000045257f66b9e2/3/{false}/0", *in_test, "false.", "test", None),
        (f"open_images_test/000045257f66b9e2/3/{false}/0", *in_test, "false.", "test", None),
        (None, None, None, None, None, None, "no_image"),
        (f"open_images_test/000045257f66b9e2/3/{keys.digest('').hex()}/0", *in_test, "", "test", "empty_text"),
        *[(None, None, None, None, None, None, "malformed_row")] * 4,
    ]
    assert [row["detail"] for row in rows if row["reason"] in {"no_image", "malformed_row"}] == [
        "neither dataset_id, image_id nor the file's name says train, validation or test",
        "image_id: expected a string, found 45257",
        "caption: expected a string, found null",
        "annotator_id: expected a whole number, found false",
        "dataset_id: missing",
    ]
    assert rows[3]["row_digest"] == rows[4]["row_digest"]


#: As `tests/sources/planting.py` says.
NAMED = {"original_caption", "credit"}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    return write_named_narratives(folder, "open_images", "000a1249af2bc5f0")
