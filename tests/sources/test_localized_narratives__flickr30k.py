"""Localized Narratives on Flickr30k: which images, by golden rows; the rest is tested with COCO's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pmd.schema import keys
from pmd.sources.localized_narratives__flickr30k import SOURCE
from tests.sources.planting import write_named_narratives

ReadAll = Callable[..., list[dict[str, Any]]]

UPSTREAM = r"""{"dataset_id": "Flick30k_train", "image_id": "1000092795", "annotator_id": 1, "caption": "Two \"men\". A fence."}
{"dataset_id": "Flick30k_val", "image_id": "10002456", "annotator_id": 2, "caption": "caf\u00e9 \ud83d\ude80"}
{"dataset_id": "Flick30k_test", "image_id": "1007129816", "annotator_id": 3, "caption": "false"}
{"dataset_id": "Flick30k_test", "image_id": "1007129816", "annotator_id": 3, "caption": "false"}
{"dataset_id": "Flick30k", "image_id": "007129816", "annotator_id": 3, "caption": "A split is not needed"}
{"dataset_id": "Flick30k_test", "image_id": "1007129816", "annotator_id": 3, "caption": " "}
{"dataset_id": "Flick30k_test", "image_id": "1007129816.jpg", "annotator_id": 3, "caption": "no id"}
{"dataset_id": "Flick30k_test", "image_id": "", "annotator_id": 3, "caption": "no id"}
{"dataset_id": "Flick30k_test", "image_id": "\u0661\u0662", "annotator_id": 3, "caption": "digits, but not ASCII"}
"false"
"""


def write_golden(folder: Path) -> list[str]:
    """Write upstream's rows."""
    path = folder / "narratives.jsonl"
    path.write_text(UPSTREAM)
    return [str(path)]


def test_golden_rows(tmp_path: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, *write_golden(tmp_path))
    columns = ("source_id", "identity", "image_url", "file_name", "text", "split", "reason")
    men, rocket, false, needless = (
        keys.digest(text).hex() for text in ('Two "men". A fence.', "café 🚀", "false", "A split is not needed")
    )
    first = ("flickr:1000092795", None, "1000092795.jpg")
    third = ("flickr:1007129816", None, "1007129816.jpg")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (f"Flick30k_train/1000092795/1/{men}/0", *first, 'Two "men".', "train", None),
        (f"Flick30k_train/1000092795/1/{men}/1", *first, "A fence.", "train", None),
        (
            f"Flick30k_val/10002456/2/{rocket}/0",
            "flickr:10002456",
            None,
            "10002456.jpg",
            "café 🚀.",
            "validation",
            None,
        ),
        (f"Flick30k_test/1007129816/3/{false}/0", *third, "false.", "test", None),
        (f"Flick30k_test/1007129816/3/{false}/0", *third, "false.", "test", None),
        (
            f"Flick30k/007129816/3/{needless}/0",
            "flickr:7129816",
            None,
            "007129816.jpg",
            "A split is not needed.",
            None,
            None,
        ),
        (f"Flick30k_test/1007129816/3/{keys.digest(' ').hex()}/0", *third, " ", "test", "empty_text"),
        *[(None, None, None, None, None, None, "malformed_row")] * 4,
    ]
    assert [row["detail"] for row in rows[7:]] == [
        "image_id: expected a Flickr photo id, found 1007129816.jpg",
        "image_id: expected a Flickr photo id, found ",
        "image_id: expected a Flickr photo id, found ١٢",
        'row: expected an object, found "false"',
    ]


def test_no_photo_id_has_a_thousand_digits(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "flickr30k_train.jsonl"
    row = '{"dataset_id": "Flick30k_train", "image_id": "%s", "annotator_id": 1, "caption": "A fence."}\n'
    path.write_text(row % ("7" * 5000) + row % "9223372036854775807")
    bad, good = read_all(SOURCE, path)
    assert bad["reason"] == "malformed_row"
    assert (good["reason"], good["identity"]) == (None, "flickr:9223372036854775807")


#: As `tests/sources/planting.py` says.
NAMED = {"original_caption", "credit"}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    return write_named_narratives(folder, "Flickr30k", "9")
