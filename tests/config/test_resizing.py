"""Sizes and formats in a configuration: what goes with what, and what shards can be made of what fetch stores."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pmd import config
from pmd.config import resizing
from pmd.config.options import FetchOptions, ShardOptions
from pmd.config.resizing import Resizing
from pmd.manifests.starter import starter_config
from pmd.store import commits
from tests.config.test_model import LEAST, SBU, only, with_stage

SHARDS_ARE_NOT_LARGER = "shards make nothing larger than it is kept"


@pytest.mark.parametrize(
    ("stage", "lines", "expected"),
    [
        ("fetch", "", Resizing(256, "keep_ratio", True, "jpg", 95)),
        ("fetch", "short_side_px = 300\njpeg_quality = 80", Resizing(300, "keep_ratio", True, "jpg", 80)),
        ("fetch", 'resize_mode = "center_crop"\nshort_side_px = 300', Resizing(300, "center_crop", True, "jpg", 95)),
        ("fetch", 'resize_mode = "border"', Resizing(256, "border", True, "jpg", 95)),
        (
            "fetch",
            'resize_mode = "keep_ratio_largest"\nimage_size = 512\nresize_only_if_bigger = false',
            Resizing(512, "keep_ratio_largest", False, "jpg", 95),
        ),
        ("fetch", 'resize_mode = "no"\nencode_format = "png"', Resizing(None, "no", True, "png", 6)),
        ("fetch", 'encode_format = "webp"', Resizing(256, "keep_ratio", True, "webp", 95)),
        ("fetch", 'encode_format = "webp"\nencode_quality = 101', Resizing(256, "keep_ratio", True, "webp", 101)),
        ("fetch", "encode_quality = 70", Resizing(256, "keep_ratio", True, "jpg", 70)),
        ("shard", "", Resizing(None, "no", True, "jpg", 95)),
        ("shard", "short_side_px = 100", Resizing(100, "keep_ratio", True, "jpg", 95)),
        ("shard", "image_size = 100", Resizing(100, "keep_ratio", True, "jpg", 95)),
        (
            "shard",
            'resize_mode = "center_crop"\nimage_size = 100\nresize_only_if_bigger = false\nencode_format = "png"',
            Resizing(100, "center_crop", False, "png", 6),
        ),
        ("shard", 'encode_format = "webp"\nencode_quality = 1', Resizing(None, "no", True, "webp", 1)),
        ("shard", 'resize_mode = "no"', Resizing(None, "no", True, "jpg", 95)),
    ],
)
def test_the_options_put_together(stage: str, lines: str, expected: Resizing) -> None:
    chosen = getattr(config.parse(with_stage(stage, *lines.splitlines())), stage)
    assert chosen.resizing == expected


def test_whole_pictures_stay_as_they_are_stored_unless_a_size_or_a_format_is_asked_for() -> None:
    assert ShardOptions().is_as_stored
    assert ShardOptions(jpeg_quality=80, resize_mode="no").is_as_stored
    assert not ShardOptions(image_size=100).is_as_stored
    assert not ShardOptions(encode_format="jpg").is_as_stored


NOT_BESIDE_ORIGINAL = 'nothing beside store = "original": pictures are kept as they came'


@pytest.mark.parametrize(
    ("stage", "lines", "key", "expected"),
    [
        ("fetch", 'store = "original"\nresize_mode = "no"', "resize_mode", NOT_BESIDE_ORIGINAL),
        ("fetch", 'store = "original"\nimage_size = 256', "image_size", NOT_BESIDE_ORIGINAL),
        ("fetch", 'store = "original"\nencode_format = "png"', "encode_format", NOT_BESIDE_ORIGINAL),
        ("fetch", 'store = "original"\nencode_quality = 9', "encode_quality", NOT_BESIDE_ORIGINAL),
        (
            "fetch",
            'store = "original"\nresize_only_if_bigger = true',
            "resize_only_if_bigger",
            NOT_BESIDE_ORIGINAL,
        ),
        (
            "fetch",
            "short_side_px = 256\nimage_size = 256",
            "short_side_px",
            "image_size or short_side_px, not both: they are one",
        ),
        (
            "fetch",
            'short_side_px = 256\nresize_mode = "border"',
            "short_side_px",
            'image_size in its place: resize_mode = "border" is not of the short side',
        ),
        (
            "fetch",
            'short_side_px = 256\nresize_mode = "no"',
            "short_side_px",
            'nothing beside resize_mode = "no": sizes stay',
        ),
        (
            "fetch",
            'image_size = 256\nresize_mode = "no"',
            "image_size",
            'nothing beside resize_mode = "no": sizes stay',
        ),
        (
            "fetch",
            'resize_only_if_bigger = false\nresize_mode = "no"',
            "resize_only_if_bigger",
            'nothing beside resize_mode = "no": sizes stay',
        ),
        (
            "fetch",
            'encode_format = "png"\nencode_quality = 95',
            "encode_quality",
            '0 to 9 beside encode_format = "png" (its compression)',
        ),
        (
            "fetch",
            'encode_format = "webp"\nencode_quality = 0',
            "encode_quality",
            '1 to 101 beside encode_format = "webp" (101: without loss)',
        ),
        ("fetch", "encode_quality = 0", "encode_quality", '1 to 100 beside encode_format = "jpg"'),
        (
            "fetch",
            "encode_quality = 90\njpeg_quality = 90",
            "jpeg_quality",
            "encode_quality or jpeg_quality, not both: they are one",
        ),
        (
            "fetch",
            'encode_format = "webp"\njpeg_quality = 90',
            "jpeg_quality",
            'encode_quality in its place: encode_format = "webp" is no JPEG',
        ),
        (
            "shard",
            "samples_per_shard = 10000\nshards = 8",
            "samples_per_shard",
            "shards or samples_per_shard, not both: each tells the other",
        ),
        (
            "shard",
            "short_side_px = 100\nimage_size = 100",
            "short_side_px",
            "image_size or short_side_px, not both: they are one",
        ),
        (
            "shard",
            'short_side_px = 100\nresize_mode = "keep_ratio_largest"',
            "resize_mode",
            'image_size in its place: resize_mode = "keep_ratio_largest" is not of the short side',
        ),
        ("shard", 'resize_mode = "border"', "resize_mode", "image_size beside it: to what pictures are brought"),
        ("shard", 'image_size = 9\nresize_mode = "no"', "resize_mode", "a mode that has a size, or no size beside it"),
        (
            "shard",
            'encode_format = "png"\nencode_quality = 10',
            "encode_quality",
            '0 to 9 beside encode_format = "png" (its compression)',
        ),
        (
            "shard",
            'encode_format = "png"\njpeg_quality = 10',
            "jpeg_quality",
            'encode_quality in its place: encode_format = "png" is no JPEG',
        ),
    ],
)
def test_what_does_not_go_together_is_told(stage: str, lines: str, key: str, expected: str) -> None:
    line, found_key, found_expected, _, remedy = only(with_stage(stage, *lines.splitlines()))
    assert (found_key, found_expected, remedy) == (f"{stage}.{key}", expected, f"change {key}")
    assert line == 8 + [part.split()[0] for part in lines.splitlines()].index(key)


def both(fetch: str, shard: str, source: str = SBU) -> str:
    return f"{LEAST}{source}[fetch]\n{fetch}\n[shard]\n{shard}\n"


@pytest.mark.parametrize(
    ("fetch", "shard", "key", "expected", "found"),
    [
        (
            "",
            "short_side_px = 257",
            "short_side_px",
            f"256 or less, as [fetch] keeps pictures: {SHARDS_ARE_NOT_LARGER}",
            "257",
        ),
        (
            'resize_mode = "center_crop"\nimage_size = 300',
            'image_size = 301\nresize_mode = "border"',
            "image_size",
            f"300 or less, as [fetch] keeps pictures: {SHARDS_ARE_NOT_LARGER}",
            "301",
        ),
        (
            'resize_mode = "keep_ratio_largest"',
            "image_size = 257",
            "image_size",
            f"256 or less, as [fetch] keeps pictures: {SHARDS_ARE_NOT_LARGER}",
            "257",
        ),
        (
            'resize_mode = "keep_ratio_largest"',
            'image_size = 300\nresize_mode = "border"',
            "image_size",
            f"256 or less, as [fetch] keeps pictures: {SHARDS_ARE_NOT_LARGER}",
            "300",
        ),
    ],
)
def test_shards_of_larger_pictures_than_are_stored_are_refused(
    fetch: str, shard: str, key: str, expected: str, found: str
) -> None:
    _, found_key, found_expected, was, remedy = only(both(fetch, shard))
    assert (found_key, found_expected, was) == (f"shard.{key}", expected, found)
    assert remedy == f'change {key}, or let [fetch] keep more, as store = "original" does'


@pytest.mark.parametrize(
    ("fetch", "shard"),
    [
        ("", "short_side_px = 256"),
        ("", 'image_size = 400\nresize_mode = "keep_ratio_largest"'),  # a short side of 256 may have a long one of 400
        ('resize_mode = "no"', "image_size = 1000"),
        ('resize_mode = "keep_ratio_largest"', 'image_size = 224\nresize_mode = "center_crop"'),
        ('store = "original"', "image_size = 1000"),
        ('resize_mode = "border"', 'image_size = 256\nresize_mode = "center_crop"'),
        (
            'resize_mode = "keep_ratio_largest"',
            'image_size = 256\nresize_mode = "border"\nresize_only_if_bigger = false',
        ),
        ("", 'encode_format = "webp"'),
    ],
)
def test_shards_of_what_is_stored_are_not(fetch: str, shard: str) -> None:
    assert config.parse(both(fetch, shard)).shard.resizing


def test_crops_are_cut_from_originals_of_any_size() -> None:
    genome = '[sources.visual_genome]\nannotations = ["x"]\nregions = "crop"\n'
    assert config.parse(both("", "short_side_px = 512", genome)).shard.short_side_px == 512
    assert only(both("", "short_side_px = 512", genome.replace("crop", "whole")))[1] == "shard.short_side_px"


@pytest.mark.parametrize(
    ("stage", "name", "remedy"),
    [
        ("fetch", "min_image_size", "write min_side_px"),
        ("fetch", "max_image_area", "write max_pixels"),
        ("fetch", "disable_all_reencoding", 'write store = "original"'),
        ("fetch", "skip_reencode", "write nothing: what has the format and the size already stays as it is"),
        ("shard", "number_sample_per_shard", "write samples_per_shard"),
    ],
)
def test_other_names_of_img2dataset_are_told_ours(stage: str, name: str, remedy: str) -> None:
    assert only(with_stage(stage, f"{name} = 1"))[4] == remedy


@pytest.mark.parametrize("model", [FetchOptions, ShardOptions])
def test_options_that_came_later_are_part_of_a_fingerprint_once_they_are_set(model: Any) -> None:
    assert model.model_fields.keys() >= model.LATER
    plain = model().told()
    assert plain.keys() == model.model_fields.keys() - model.LATER
    given: dict[str, Any] = {"image_size": 100, "encode_format": "png", "max_aspect_ratio": 2.0}
    assert model(**given).told() == plain | given
    assert model(resize_only_if_bigger=True, image_size=100).told() == plain | {"image_size": 100}


def test_the_lines_of_the_starter_configuration_hold_when_they_are_uncommented() -> None:
    text = re.sub(
        r"^# (resize_mode|image_size|encode_format|min_side_px|max_aspect_ratio) ",
        r"\1 ",
        starter_config(["coco"]),
        flags=re.MULTILINE,
    )
    fetch = config.parse(re.sub(r"^short_side_px.*\n", "", text, flags=re.MULTILINE)).fetch
    assert fetch.resizing == Resizing(256, "center_crop", True, "webp", 95)
    assert (fetch.min_side_px, fetch.max_aspect_ratio) == (200, 3.0)


def test_the_modes_are_the_codecs() -> None:
    from typing import get_args

    from pmd.codec.form import LONGEST_SIDE_PX, Mode
    from pmd.codec.verdicts import MAX_PIXELS

    assert get_args(resizing.Mode) == get_args(Mode)
    assert {"jpeg" if name == "jpg" else name for name in get_args(resizing.EncodeFormat)} == set(LONGEST_SIDE_PX)
    assert resizing.LARGEST_IMAGE_SIZE**2 <= MAX_PIXELS < (resizing.LARGEST_IMAGE_SIZE + 1) ** 2


def test_the_fingerprint_of_shards_is_the_one_before_they_came() -> None:
    assert commits.options_hash(ShardOptions().told()) == "b6d7358c7ec48afd1038ef184afde77e"
