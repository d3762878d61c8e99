"""Localized Narratives on ADE20K: which images, by golden rows; the rest is tested with COCO's."""

# ruff: noqa: E501 - golden rows stand as upstream has them, one line each

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.schema import keys
from pmd.sources import localized_narratives__ADE20k, localized_narratives__openimages
from pmd.sources.localized_narratives__ADE20k import SOURCE
from pmd.sources.records import Malformed
from tests.sources.planting import write_named_narratives

ReadAll = Callable[..., list[dict[str, Any]]]

UPSTREAM = r"""{"dataset_id": "ADE20k_train", "image_id": "ADE_train_00000001", "annotator_id": 1, "caption": "A \"wall\". A bed."}
{"dataset_id": "ADE20k_validation", "image_id": "ADE_val_00000002", "annotator_id": 2, "caption": "caf\u00e9\n"}
{"dataset_id": "ADE20k_train", "image_id": "ADE_train_00000003", "annotator_id": 3, "caption": "false"}
{"dataset_id": "ADE20k_train", "image_id": "ADE_train_00000003", "annotator_id": 4, "caption": "false"}
{"dataset_id": "ADE20k_train", "image_id": "ADE_train_00000003", "annotator_id": 4, "caption": "false"}
{"dataset_id": "ADE20k", "image_id": "ADE_val_00000004", "annotator_id": 1, "caption": "The split is in the id"}
{"dataset_id": "ADE20k", "image_id": "ADE_00000004", "annotator_id": 1, "caption": "No split at all"}
{"dataset_id": "ADE20k_train", "image_id": "ADE_train_00000001", "annotator_id": 1, "caption": ""}
{"dataset_id": "ADE20k_train", "image_id": "ADE_train_00000001", "annotator_id": 1.5, "caption": "half"}
null
"""


def write_golden(folder: Path) -> list[str]:
    """Write upstream's rows."""
    path = folder / "narratives.jsonl"
    path.write_text(UPSTREAM)
    return [str(path)]


def test_golden_rows(tmp_path: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, *write_golden(tmp_path))
    columns = ("source_id", "identity", "image_url", "file_name", "text", "split", "reason")
    folder = "ADEChallengeData2016/images"
    wall, cafe, false, split = (
        keys.digest(text).hex() for text in ('A "wall". A bed.', "café\n", "false", "The split is in the id")
    )
    first = ("ade20k:ADE_train_00000001", None, f"{folder}/training/ADE_train_00000001.jpg")
    third = ("ade20k:ADE_train_00000003", None, f"{folder}/training/ADE_train_00000003.jpg")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (f"ADE20k_train/ADE_train_00000001/1/{wall}/0", *first, 'A "wall".', "train", None),
        (f"ADE20k_train/ADE_train_00000001/1/{wall}/1", *first, "A bed.", "train", None),
        (
            f"ADE20k_validation/ADE_val_00000002/2/{cafe}/0",
            "ade20k:ADE_val_00000002",
            None,
            f"{folder}/validation/ADE_val_00000002.jpg",
            "café.",
            "validation",
            None,
        ),
        (f"ADE20k_train/ADE_train_00000003/3/{false}/0", *third, "false.", "train", None),
        (f"ADE20k_train/ADE_train_00000003/4/{false}/0", *third, "false.", "train", None),
        (f"ADE20k_train/ADE_train_00000003/4/{false}/0", *third, "false.", "train", None),
        (
            f"ADE20k/ADE_val_00000004/1/{split}/0",
            "ade20k:ADE_val_00000004",
            None,
            f"{folder}/validation/ADE_val_00000004.jpg",
            "The split is in the id.",
            "validation",
            None,
        ),
        (None, None, None, None, None, None, "no_image"),
        (f"ADE20k_train/ADE_train_00000001/1/{keys.digest('').hex()}/0", *first, "", "train", "empty_text"),
        (None, None, None, None, None, None, "malformed_row"),
        (None, None, None, None, None, None, "malformed_row"),
    ]
    assert [row["detail"] for row in rows[9:]] == [
        "annotator_id: expected a whole number, found 1.5",
        "row: expected an object, found null",
    ]


#: As `tests/sources/planting.py` says.
NAMED = {"image_id", "original_caption", "credit"}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    return write_named_narratives(folder, "ade20k", "ADE_train_00000001")


@pytest.mark.parametrize("image_id", ["../train/ADE_train_00000001", "a/b", "a\\b", "", "..", "a\nb", "x" * 200])
@pytest.mark.parametrize("module", [localized_narratives__ADE20k, localized_narratives__openimages])
def test_an_id_that_would_lead_to_another_folder_is_none(module: Any, image_id: str) -> None:
    with pytest.raises(Malformed, match="image_id: expected an id of"):
        module.picture(image_id, "train")
    assert module.picture("ADE_train_00000001", "train").file_name.endswith("/ADE_train_00000001.jpg")
