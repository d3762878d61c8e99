"""What the plan expects of a picture's bytes, by size, mode and format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pmd import codec, config
from pmd.config.options import FetchOptions
from pmd.fetch import judging
from pmd.inspection import picture_sizes, plan


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
    assert float(np.mean(sizes)) == pytest.approx(plan.RESIZED_BYTES * expected(**options), rel=0.2)


def planned(folder: Path, fetch: str = "", shard: str = "") -> dict[str, Any]:
    (folder / "cc12m.tsv").write_bytes(b"x" * 100)
    text = (
        f'root = "{folder}/pmd"\ncontact = "mailto:tests@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n[fetch]\n{fetch}\n[shard]\n{shard}\n'
    )
    found: dict[str, Any] = plan.plan(config.parse(text))["disk"]
    return found


def test_the_disk_of_a_plan_goes_by_the_forms_of_fetch_and_shard(tmp_path: Path) -> None:
    plain = planned(tmp_path)

    def ratios(fetch: str = "", shard: str = "") -> tuple[float, float]:
        found = planned(tmp_path, fetch, shard)
        stored, before = (disk["store"][disk["chosen"]] for disk in (found, plain))
        return stored / before, found["shards"]["webdataset"] / plain["shards"]["webdataset"]

    assert ratios() == (1.0, 1.0)
    assert ratios('resize_mode = "center_crop"') == pytest.approx((0.72, 0.72), rel=1e-3)
    assert ratios('encode_format = "webp"') == pytest.approx((0.83, 0.83), rel=1e-3)
    assert ratios("", "image_size = 128") == pytest.approx((1.0, 0.25), rel=1e-3)
    assert ratios("", 'encode_format = "png"') == pytest.approx((1.0, 3.7), rel=1e-3)
    assert ratios("", 'image_size = 128\nresize_mode = "center_crop"\nencode_format = "webp"')[1] == pytest.approx(
        0.25 * 0.72 * 0.83, rel=1e-3
    )
    assert ratios('resize_mode = "keep_ratio_largest"', 'encode_format = "png"')[1] == pytest.approx(
        0.53 * 3.7, rel=1e-3
    )
    assert ratios('store = "original"', "image_size = 256") == pytest.approx((163 / 47, 1.0), rel=1e-3)
