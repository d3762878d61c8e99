"""What the plan expects of a picture's bytes, by size, mode and format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pmd import codec, config
from pmd.config.options import FetchOptions
from pmd.fetch.lane import judging
from pmd.inspection import plan
from pmd.inspection.plan import picture_sizes
from pmd.inspection.plan.sizes import RESIZED_BYTES
from tests.config.test_model import LEAST, SBU


def expected(**options: Any) -> float:
    return picture_sizes.relative_bytes(FetchOptions(**options).resizing)


def test_the_default_is_one_and_other_sizes_go_by_area_up_to_the_whole() -> None:
    assert expected() == 1.0
    assert expected(short_side_px=128) == 0.25
    assert expected(short_side_px=4000) == expected(resize_mode="no") == pytest.approx(163 / 47)
    assert expected(image_size=1024, resize_only_if_bigger=False) == 16.0


def test_what_is_cut_off_or_white_costs_nothing_and_formats_have_their_own() -> None:
    modes = [expected(resize_mode=mode) for mode in ("keep_ratio_largest", "border", "center_crop", "keep_ratio")]
    assert modes == sorted(modes)
    qualities = [expected(jpeg_quality=quality) for quality in (10, 75, 85, 95, 100)]
    assert qualities == sorted(qualities)
    assert (
        expected(encode_format="webp")
        < 1
        < expected(encode_format="webp", encode_quality=101)
        < expected(encode_format="png")
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"short_side_px": 128},
        {"jpeg_quality": 80},
        {"resize_mode": "keep_ratio_largest"},
        {"resize_mode": "center_crop"},
        {"resize_mode": "border"},
        {"resize_mode": "no"},
        {"encode_format": "webp"},
        {"encode_format": "webp", "encode_quality": 80},
        {"encode_format": "webp", "encode_quality": 101},
        {"encode_format": "png"},
        {"resize_mode": "center_crop", "encode_format": "png"},
    ],
)
def test_photographs_take_about_as_much(samples: Path, options: dict[str, Any]) -> None:
    chosen = FetchOptions(**options)
    form = judging.form_of(chosen, has_region=False)
    sizes = []
    for path in sorted((samples / "coco" / "train2017").glob("*.jpg"))[:40]:
        sizes.append(len(codec.prepare(path.read_bytes(), codec.Limits(), form, hashed=False).stored or b""))
    assert float(np.mean(sizes)) == pytest.approx(RESIZED_BYTES * expected(**options), rel=0.2)


def configured(fetch: str = "", shard: str = "") -> config.Config:
    return config.parse(f"{LEAST}{SBU}[fetch]\n{fetch}\n[shard]\n{shard}\n")


def in_shards(fetch: str = "", shard: str = "") -> float | None:
    return picture_sizes.in_shards(configured(fetch, shard))


def test_what_is_in_shards_is_of_the_smaller_form_in_the_format_of_shards() -> None:
    assert in_shards() is None
    assert in_shards('resize_mode = "border"') is None
    assert in_shards("", "image_size = 128") == 0.25
    assert in_shards("", "short_side_px = 256") == 1.0
    assert in_shards("", 'encode_format = "png"') == 3.7
    squares = 'image_size = 128\nresize_mode = "center_crop"\nencode_format = "webp"'
    assert in_shards("", squares) == pytest.approx(0.25 * 0.72 * 0.83)
    assert in_shards('resize_mode = "keep_ratio_largest"', 'encode_format = "png"') == pytest.approx(0.53 * 3.7)
    assert in_shards('store = "original"', "image_size = 256") == 1.0


def test_the_disk_of_a_plan_goes_by_the_forms_of_fetch_and_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # elsewhere `out` may be somebody's folder, such as the demo's

    def disk(fetch: str = "", shard: str = "") -> tuple[int, int]:
        found = plan.plan(configured(fetch, shard))["disk"]
        return found["store"]["resized"], found["shards"]["webdataset"]

    stored, sharded = disk()
    assert disk('resize_mode = "center_crop"') == pytest.approx((0.72 * stored, 0.72 * sharded), rel=0.02)
    assert disk('encode_format = "png"') == pytest.approx((3.7 * stored, 3.7 * sharded), rel=0.05)
    assert disk("", "image_size = 128") == pytest.approx((stored, 0.25 * sharded), rel=0.2)
    # What stands beside a picture in a shard does not grow with it.
    assert disk("", 'encode_format = "png"') == pytest.approx((stored, 3.7 * sharded), rel=0.05)
