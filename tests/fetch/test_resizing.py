"""Sizes and formats at fetch: what is stored, what is refused, and which copies of img2dataset's will do."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pmd import codec
from pmd.config.options import FetchOptions
from pmd.fetch.adoption import img2dataset
from pmd.fetch.generations import store
from pmd.fetch.lane import judging
from pmd.fetch.lane.engine import Lane
from pmd.fetch.ledger import state, stored
from pmd.inspection.explain.rendering import _stored_as
from pmd.schema.statuses import STATUSES
from tests.fetch.adoption.test_adopt import ORIGINAL, entry, row, run, shrunk, written
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table

WIDE = photo(900, 200, seed=2)
SMALL = photo(120, 90, seed=4)


def settled(folder: Path, web: Web, contents: dict[str, bytes], **changes: Any) -> dict[str, dict[str, Any]]:
    """Fetch; return rows of the ledger by name. One called "region" has a region."""
    web.routes |= {f"a.test/{name}": reply(content) for name, content in contents.items()}
    rows = table(*(image_row(name, f"http://a.test/{name}", has_region=name == "region") for name in contents))
    chosen = options(web, **changes)
    with Lane(chosen, contact="", patience=HASTE, hashed=False) as lane:
        store.run_shard(store.Order(str(folder / "root"), 0, rows, chosen), lane)
    names = {item["image_id"]: item["identity"] for item in rows.to_pylist()}
    return {names[item["image_id"]]: item for item in state.read_ledger(str(folder / "root"), 0).to_pylist()}


def opened(folder: Path, found: dict[str, Any]) -> Image.Image:
    with Image.open(io.BytesIO(stored.read(str(folder / "root"), found))) as image:
        image.load()
        return image


@pytest.mark.parametrize(
    ("changes", "kind", "sizes"),
    [
        ({"resize_mode": "keep_ratio", "image_size": 150}, "jpeg", [(675, 150), (120, 90), (200, 150)]),
        ({"resize_mode": "keep_ratio_largest", "image_size": 150}, "jpeg", [(150, 33), (120, 90), (150, 112)]),
        ({"resize_mode": "center_crop", "image_size": 150}, "jpeg", [(150, 150), (120, 90), (150, 150)]),
        ({"resize_mode": "border", "image_size": 150}, "jpeg", [(150, 150), (120, 90), (150, 150)]),
        (
            {"resize_mode": "border", "image_size": 150, "resize_only_if_bigger": False},
            "jpeg",
            [(150, 150), (150, 150), (150, 150)],
        ),
        ({"resize_mode": "no", "encode_format": "webp"}, "webp", [(900, 200), (120, 90), (640, 480)]),
        ({"encode_format": "png", "image_size": 150}, "png", [(675, 150), (120, 90), (200, 150)]),
    ],
)
def test_what_each_mode_and_format_stores(
    web: Web, tmp_path: Path, changes: dict[str, Any], kind: str, sizes: list[tuple[int, int]]
) -> None:
    contents = {"wide": WIDE, "small": SMALL, "photo": ORIGINAL}
    found = settled(tmp_path, web, {**contents, "region": photo(640, 480, seed=9)}, **changes)
    for (name, content), size in zip(contents.items(), sizes, strict=True):
        item = found[name]
        assert (item["status"], item["sha256"]) == ("ok", hashlib.sha256(content).digest())
        assert (item["stored_format"], item["stored_width_px"], item["stored_height_px"]) == (kind, *size)
        picture = opened(tmp_path, item)
        assert (str(picture.format).lower(), picture.size) == (kind, size)
        with Image.open(io.BytesIO(content)) as whole:
            assert (item["width_px"], item["height_px"]) == whole.size
    assert (found["region"]["stored_form"], found["region"]["stored_width_px"]) == ("original", 640)


def test_a_border_is_white(web: Web, tmp_path: Path) -> None:
    found = settled(tmp_path, web, {"wide": WIDE}, resize_mode="border", image_size=150, encode_format="png")
    pixels = np.asarray(opened(tmp_path, found["wide"]))
    assert (pixels[:58] == 255).all()
    assert (pixels[91:] == 255).all()
    assert (pixels[58:91] < 255).any(axis=-1).all()


def test_narrow_and_small_pictures_have_their_status(web: Web, tmp_path: Path) -> None:
    contents = {"wide": WIDE, "small": SMALL, "photo": ORIGINAL, "both": photo(400, 20), "region": photo(901, 200)}
    found = settled(tmp_path, web, contents, min_side_px=100, max_aspect_ratio=4.5)
    assert {name: item["status"] for name, item in found.items()} == {
        "wide": "ok",  # 4.5 exactly
        "small": "too_small",
        "photo": "ok",
        "both": "too_small",
        "region": "too_narrow",
    }
    assert found["region"]["store_file"] is None
    assert "too_narrow" in STATUSES


def test_a_narrow_picture_gives_way_to_another_location(web: Web, tmp_path: Path) -> None:
    web.routes |= {"a.test/wide": reply(WIDE), "b.test/photo": reply(ORIGINAL), "b.test/gone": reply(b"", 404)}
    rows = table(
        image_row("one", "http://a.test/wide", "http://b.test/photo"),
        image_row("two", "http://a.test/wide", "http://b.test/gone"),
    )
    chosen = options(web, max_aspect_ratio=2.0)
    with Lane(chosen, contact="", patience=HASTE) as lane:
        found = {item.image_id: item for item in lane.fetch(rows)}
    names = {item["image_id"]: item["identity"] for item in rows.to_pylist()}
    assert {names[key]: (item.status, item.attempts[0].error) for key, item in found.items()} == {
        "one": ("ok", "900 x 200 pixels"),
        "two": ("too_narrow", "900 x 200 pixels"),
    }


def test_explain_says_in_which_form_a_picture_is_stored() -> None:
    entry_of = {"stored_format": "webp", "stored_width_px": 256, "stored_height_px": 256}
    assert _stored_as({**entry_of, "stored_form": "resized"}) == "resized: webp, 256 × 256 px"
    assert _stored_as({**entry_of, "stored_form": "original"}) == "original"


# --- img2dataset


@pytest.mark.parametrize(
    "chosen",
    [
        FetchOptions(engine="img2dataset", resize_mode="center_crop", image_size=100, encode_format="webp"),
        FetchOptions(engine="img2dataset", resize_mode="border", resize_only_if_bigger=False),
        FetchOptions(engine="img2dataset", store="original"),
    ],
)
def test_img2dataset_hands_on_bytes_as_they_came_whatever_is_made_of_them(chosen: FetchOptions) -> None:
    asked = img2dataset.arguments(chosen, "list.parquet", "out", 10)
    assert (asked["resize_mode"], asked["disable_all_reencoding"]) == ("no", True)
    assert not {"image_size", "encode_format", "encode_quality", "min_image_size", "max_aspect_ratio"} & asked.keys()


#: Copies as img2dataset makes them of a photograph of 640 x 480, by its modes and sizes: name → size.
COPIES = {
    "ratio-300": (400, 300),
    "ratio-200": (267, 200),
    "largest-300": (300, 225),
    "crop-300": (300, 300),
    "border-300": (300, 300),
    "whole": (640, 480),
}


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, {"ratio-300", "whole"}),
        ({"image_size": 200}, {"ratio-300", "ratio-200", "largest-300", "whole"}),
        ({"resize_mode": "keep_ratio_largest", "image_size": 300}, {"ratio-300", "largest-300", "whole"}),
        ({"resize_mode": "keep_ratio_largest", "image_size": 301}, {"ratio-300", "whole"}),
        ({"resize_mode": "center_crop", "image_size": 300}, {"ratio-300", "whole"}),
        ({"resize_mode": "border", "image_size": 300}, {"ratio-300", "largest-300", "whole"}),
        ({"resize_mode": "no"}, {"whole"}),
        ({"image_size": 300, "resize_only_if_bigger": False, "encode_format": "webp"}, {"ratio-300", "whole"}),
        ({"image_size": 600, "resize_only_if_bigger": False}, {"whole"}),
        ({"image_size": 200, "encode_format": "png"}, set()),
        ({"image_size": 200, "encode_format": "webp", "encode_quality": 101}, set()),
        ({"store": "original"}, set()),
    ],
)
def test_a_copy_is_taken_where_it_is_what_the_mode_would_be_made_of(
    web: Web, tmp_path: Path, changes: dict[str, Any], taken: set[str]
) -> None:
    web.routes |= {f"a.test/{name}": reply(ORIGINAL) for name in COPIES}
    tar = written(tmp_path, *(entry(f"http://a.test/{name}", shrunk(*size)) for name, size in COPIES.items()))
    chosen = options(web, **changes)
    got = run(tmp_path, table(*(row(name) for name in COPIES)), chosen, tar)
    assert {name for name, found in got.items() if found["location"].startswith(tar)} == taken
    assert sorted(request.path for request in web.asked()) == sorted(f"/{name}" for name in COPIES.keys() - taken)
    expected = judging.form_of(chosen, has_region=False).fit((640, 480)).size
    for found in got.values():
        assert (found["status"], found["width_px"], found["height_px"]) == ("ok", 640, 480)
        size = (found["stored_width_px"], found["stored_height_px"])
        assert max(abs(one - other) for one, other in zip(size, expected, strict=True)) <= 1
        assert opened(tmp_path, found).size == size


def test_a_copy_that_has_lost_nothing_may_be_encoded_without_loss(web: Web, tmp_path: Path) -> None:
    sink = io.BytesIO()
    with Image.open(io.BytesIO(ORIGINAL)) as image:
        image.resize((400, 300)).save(sink, "PNG")
    web.routes["a.test/copy"] = reply(ORIGINAL)
    tar = written(tmp_path, entry("http://a.test/copy", sink.getvalue()))
    chosen = options(web, encode_format="png", image_size=300)
    got = run(tmp_path, table(row("copy")), chosen, tar)
    assert not web.asked()
    assert (got["copy"]["stored_format"], got["copy"]["stored_form"]) == ("png", "resized")
    assert stored.read(str(tmp_path / "root"), got["copy"]) == sink.getvalue()


# --- fingerprints


def test_options_that_came_later_leave_the_hash_of_a_generation_alone() -> None:
    assert (
        store.generation_hash(FetchOptions(), [b"\1" * 16]) == "b981adb64bef16f55d3dfbd616e1e0c6"
    )  # as before they came
    changed = [
        store.generation_hash(FetchOptions(**given), [b"\1" * 16])  # type: ignore[arg-type]
        for given in ({"resize_mode": "border"}, {"encode_format": "png"}, {"max_aspect_ratio": 3.0}, {})
    ]
    assert len(set(changed)) == 4


def test_the_limits_are_the_options() -> None:
    chosen = FetchOptions(max_pixels=9, min_side_px=2, max_aspect_ratio=3.0)
    assert judging.limits_of(chosen) == codec.Limits(9, 2, 3.0)
