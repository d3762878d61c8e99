"""Names where none should be: records of upstream's with a name in one field after the other.

A source's own test module may have `write_named(folder)`, which writes such records in upstream's form and returns the files, and
`NAMED`, the fields whose names stay in the ROOT's own `meta` or `licence_evidence`. `tests/publish/test_published_names.py` looks
for the names in what is published.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "Zaphod Beeblebrox"
Record = dict[str, Any]


def named(field: str) -> str:
    return f"{NAME} of {field}"


def planted(record: Record, *left: str, above: str = "") -> Iterator[Record]:
    """Yield the record once for each of its fields, which has a name for its value, and once with a field that nobody knows.

    Args:
        record: Upstream's.
        left: Fields that keep their value: the text, the URL, and what the URL is made of.
        above: The field that this record is in.
    """
    for field, value in record.items():
        if isinstance(value, dict):
            yield from ({**record, field: changed} for changed in planted(value, *left, above=f"{above}{field}."))
        elif field not in left:
            yield {**record, field: [named(above + field)] if isinstance(value, list) else named(above + field)}
    yield {**record, "credit": named(f"{above}credit")}


def write_named_narratives(folder: Path, dataset: str, image_id: str) -> list[str]:
    """Write a file of Localized Narratives; `dataset` and `image_id` as upstream has them."""
    record = {
        "dataset_id": f"{dataset}_train", "image_id": image_id, "annotator_id": 89, "caption": "A doll stands.",
        "original_caption": "A doll stands. It is old.", "voice_recording": "open_images_train/rec_1.ogg",
        "timed_caption": [{"utterance": "A doll"}], "traces": [],
    }  # fmt: skip
    # Open Images' URLs are made of the id.
    left = ("caption", "image_id") if dataset == "open_images" else ("caption",)
    path = folder / "x_train_captions.jsonl"
    path.write_text("".join(json.dumps(changed) + "\n" for changed in [record, *planted(record, *left)]))
    return [str(path)]
