"""What Localized Narratives of all four data sets have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd import sources

NONE = ("", "None", "0", "-1")


@pytest.mark.parametrize(
    ("name", "dataset_id", "image_id"),
    [
        ("coco", "mscoco_val2017", "000000000000"),
        *(("coco", "mscoco_val2017", one) for one in NONE),
        *(("flickr30k", "Flick30k_train", one) for one in NONE),
        *(("openimages", "open_images_train", one) for one in (*NONE, "null")),
        *(("ADE20k", "ADE20k_train", one) for one in (*NONE, "null")),
    ],
)
def test_an_id_that_is_none_is_no_image(
    tmp_path: Path, read_all: Callable[..., list[dict[str, Any]]], name: str, dataset_id: str, image_id: str
) -> None:
    row = {"dataset_id": dataset_id, "annotator_id": 1, "caption": "A cat."}
    path = tmp_path / "narratives.jsonl"
    path.write_text("".join(json.dumps(row | {"image_id": one}) + "\n" for one in (image_id, "12")))
    rows = read_all(sources.load(f"localized_narratives__{name}"), path)
    assert [row["reason"] for row in rows] == ["malformed_row", None]
    assert "image_id: expected a" in rows[0]["detail"]
    assert rows[0]["identity"] is None


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"  \n", b"\t", b"\n\n \n"])
def test_a_blank_line_is_no_row(tmp_path: Path, read_all: Callable[..., list[dict[str, Any]]], blank: bytes) -> None:
    """As in any other table of JSON Lines; `cat` and editors leave some."""
    row = {"dataset_id": "mscoco_val2017", "image_id": "12", "annotator_id": 1, "caption": "A cat."}
    path = tmp_path / "narratives.jsonl"
    path.write_bytes(b"\n" + json.dumps(row).encode() + b"\n" + blank + b'{"cut\n' + blank)
    rows = read_all(sources.load("localized_narratives__coco"), path)
    assert [(row["text"], row["reason"]) for row in rows] == [("A cat.", None), (None, "malformed_row")]
