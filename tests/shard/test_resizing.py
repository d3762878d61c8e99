"""Shards in other sizes and formats than the store's: what each mode makes of whole pictures and crops, and who leaves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pmd import codec, config
from pmd.errors import ConfigError
from pmd.shard import needs, recount, samples, writing
from tests.config.test_model import LEAST, SBU
from tests.shard.test_shards import asking, fetched, key, ledger_of, members, picture, reason_of, rows_of, view, write

#: Of `write`'s four samples: a PNG of 100 x 100, its left half as a crop, a JPEG of 60 x 40, a PNG of 50 x 80.
WHOLE, SMALL, TALL = key(1).hex(), key(2).hex(), key(3).hex()


def shards(folder: Path, **options: Any) -> dict[str, tuple[str, tuple[int, int]]]:
    """Return the extension and the size of each picture of a shard, by key; the crop is called "crop"."""
    write(folder, formats=("webdataset",), **options)
    found = {}
    for name, content in members(folder / "shards/webdataset/00000-of-00001.tar").items():
        stem, _, suffix = name.partition(".")
        if suffix not in {"json", "txt"}:
            with Image.open(io.BytesIO(content)) as image:
                assert image.format is not None
                assert {"jpg": "jpeg"}.get(suffix, suffix) == image.format.lower()
                found[stem if stem in {WHOLE, SMALL, TALL} else "crop"] = (suffix, image.size)
    form = recount.asked_form(options)
    assert form is None or all(recount.is_brought(size, form) for _, size in found.values()), "what verify recounts"
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [("png", (100, 100)), ("jpg", (50, 100)), ("jpg", (60, 40)), ("png", (50, 80))]),
        ({"image_size": 45}, [("jpg", (45, 45)), ("jpg", (45, 90)), ("jpg", (60, 40)), ("jpg", (45, 72))]),
        ({"short_side_px": 45}, [("jpg", (45, 45)), ("jpg", (45, 90)), ("jpg", (60, 40)), ("jpg", (45, 72))]),
        (
            {"image_size": 50, "resize_mode": "keep_ratio_largest"},
            [("jpg", (50, 50)), ("jpg", (25, 50)), ("jpg", (50, 33)), ("jpg", (31, 50))],
        ),
        (
            {"image_size": 45, "resize_mode": "center_crop"},
            [("jpg", (45, 45)), ("jpg", (45, 45)), ("jpg", (60, 40)), ("jpg", (45, 45))],
        ),
        (
            {"image_size": 45, "resize_mode": "center_crop", "resize_only_if_bigger": False},
            [("jpg", (45, 45))] * 4,
        ),
        ({"image_size": 50, "resize_mode": "border"}, [("jpg", (50, 50))] * 4),
        (
            {"image_size": 70, "resize_mode": "border", "encode_format": "webp"},
            [("webp", (70, 70)), ("webp", (70, 70)), ("webp", (60, 40)), ("webp", (70, 70))],
        ),
        (
            {"image_size": 70, "resize_mode": "border", "resize_only_if_bigger": False, "encode_format": "png"},
            [("png", (70, 70))] * 4,
        ),
        (
            {"encode_format": "webp", "encode_quality": 101},
            [("webp", (100, 100)), ("webp", (50, 100)), ("webp", (60, 40)), ("webp", (50, 80))],
        ),
        ({"encode_format": "jpg"}, [("jpg", (100, 100)), ("jpg", (50, 100)), ("jpg", (60, 40)), ("jpg", (50, 80))]),
        (
            {"encode_format": "png", "resize_mode": "no"},
            [("png", (100, 100)), ("png", (50, 100)), ("png", (60, 40)), ("png", (50, 80))],
        ),
    ],
)
def test_every_mode_and_format_of_whole_pictures_and_crops(
    tmp_path: Path, options: dict[str, Any], expected: list[tuple[str, tuple[int, int]]]
) -> None:
    assert shards(tmp_path, **options) == dict(zip((WHOLE, "crop", SMALL, TALL), expected, strict=True))


def test_what_has_the_format_already_stays_to_the_byte_and_crops_are_cut_before_they_are_formed(tmp_path: Path) -> None:
    write(tmp_path, formats=("webdataset",), encode_format="png")
    files = members(tmp_path / "shards/webdataset/00000-of-00001.tar")
    plain = io.BytesIO()
    picture().save(plain, "PNG")
    assert files[f"{WHOLE}.png"] == plain.getvalue()
    (crop,) = (
        content for name, content in files.items() if name.endswith(".png") and name[:32] not in {WHOLE, TALL, SMALL}
    )
    with Image.open(io.BytesIO(crop)) as image:
        assert np.array_equal(np.asarray(image), np.asarray(picture())[:, :50])


def test_the_same_samples_and_options_give_the_same_bytes(tmp_path: Path) -> None:
    chosen = {"image_size": 40, "resize_mode": "center_crop", "encode_format": "webp"}
    one, again = (write(tmp_path / name, **chosen) for name in ("a", "b"))
    assert one == again


# --- who leaves


@pytest.mark.parametrize(
    ("size", "options", "reason"),
    [
        ((99, 300), {"min_side_px": 100}, "sample_too_small"),
        ((100, 300), {"min_side_px": 100}, None),
        ((100, 300), {"max_aspect_ratio": 3.0}, None),
        ((100, 301), {"max_aspect_ratio": 3.0}, "sample_too_narrow"),
        ((301, 100), {"max_aspect_ratio": 3.0}, "sample_too_narrow"),
        ((10, 301), {"max_aspect_ratio": 3.0, "min_side_px": 11}, "sample_too_small"),
        ((10, 301), {}, None),
    ],
)
def test_a_whole_image_is_judged_as_it_was_fetched(
    size: tuple[int, int], options: dict[str, Any], reason: str | None
) -> None:
    image = fetched(1, *size)
    assert reason_of(view(1, "1"), image, asking(**options)) == reason
    stored = {"stored_form": "resized", "stored_width_px": 10, "stored_height_px": 10}
    assert reason_of(view(1, "1"), image | stored, asking(**options)) == reason


def test_a_region_is_judged_by_its_own_shape_and_its_own_least_side() -> None:
    wide = view(1, "1", [0.0, 0.0, 1.0, 0.4], width_px=100, height_px=100)
    assert reason_of(wide, fetched(1), asking(max_aspect_ratio=2.5)) is None
    assert reason_of(wide, fetched(1), asking(max_aspect_ratio=2.4)) == "sample_too_narrow"
    assert reason_of(wide, fetched(1), asking(min_side_px=90)) is None
    assert reason_of(wide, fetched(1), asking(min_crop_px=41, max_aspect_ratio=2.4)) == "crop_too_small"


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ((640, 480), None),
        ((341, 256), None),  # 341.3
        ((256, 192), None),
        ((256, 256), "box_mismatch"),  # cut to a square, or with a border: whose boxes are elsewhere
        ((640, 479), None),
        ((640, 470), "box_mismatch"),
    ],
)
def test_no_region_is_cut_from_a_picture_that_was_cut_or_has_a_border(
    stored: tuple[int, int], reason: str | None
) -> None:
    image = fetched(1, 640, 480) | {
        "stored_form": "resized",
        "stored_width_px": stored[0],
        "stored_height_px": stored[1],
    }
    box = view(1, "1", [0.0, 0.0, 1.0, 1.0], width_px=640, height_px=480)
    assert reason_of(box, image) == reason
    assert reason_of(view(1, "1", width_px=640, height_px=480), image) is None


# --- what is stored smaller than is asked for


def stored_as(*sizes: tuple[tuple[int, int], tuple[int, int] | None]) -> list[dict[str, Any]]:
    """Return rows of the ledger: the size that was fetched, and the stored one; None: the original."""
    return [
        fetched(number, *size)
        | (
            {"stored_form": "resized", "stored_width_px": kept[0], "stored_height_px": kept[1]}
            if kept is not None
            else {"stored_width_px": size[0], "stored_height_px": size[1]}
        )
        for number, (size, kept) in enumerate(sizes, 1)
    ]


def ordered(ledger: list[dict[str, Any]], *rows: dict[str, Any], **options: Any) -> int:
    given = rows or tuple(view(number, str(number)) for number in range(1, len(ledger) + 1))
    return samples.order(rows_of(*given), ledger_of(*ledger), asking(**options)).samples.num_rows


def test_larger_pictures_than_are_stored_are_refused() -> None:
    ledger = stored_as(((640, 480), (341, 256)), ((640, 480), None), ((300, 200), (300, 200)), ((800, 300), (683, 256)))
    with pytest.raises(ConfigError) as caught:
        ordered(ledger, image_size=257)
    assert caught.value.describe() == {
        "exit_code": 2,
        "problem": "shards make nothing larger than it is kept",
        "where": "shard.image_size = 257",
        "expected": "whole images stored with a short side of 257 px or more, or in their own size",
        "found": "stored smaller than they were: 2 of a window; the first is "
        f"{key(1).hex()}, 640 x 480 px, stored 341 x 256 px",
        "remedy": "write a smaller image_size, or leave it out: then pictures are as they are stored",
    }
    with pytest.raises(ConfigError, match=r"shard\.short_side_px = 257"):
        ordered(ledger, short_side_px=257, resize_only_if_bigger=False)
    with pytest.raises(ConfigError, match="a long side of 342 px"):
        ordered(ledger[:1], image_size=342, resize_mode="border")


def test_what_is_stored_large_enough_or_as_it_was_is_not_refused() -> None:
    ledger = stored_as(((640, 480), (341, 256)), ((640, 480), None), ((300, 200), (300, 200)))
    assert ordered(ledger, image_size=256) == 3
    assert ordered(ledger, image_size=341, resize_mode="keep_ratio_largest") == 3
    assert ordered(ledger[1:], image_size=5000) == 2  # originals, and small pictures in their own size
    assert ordered(ledger) == 3
    assert ordered(ledger, encode_format="webp") == 3
    box = view(1, "1", [0.0, 0.0, 0.5, 0.5], width_px=640, height_px=480)
    assert ordered(ledger, box, image_size=400) == 1  # a crop, which is as large as it is


def test_a_crop_that_cannot_be_enlarged_or_encoded_so_long_is_still_a_picture() -> None:
    long = Image.new("RGB", (17_000, 40))
    form = codec.Form(None, 90, "no", format="webp")
    assert codec.encode(codec.formed(long, form), form)[1] == "png"


@pytest.mark.parametrize(
    ("stored", "mode", "expected"),
    [
        ((341, 256), "center_crop", (256, 256)),
        ((341, 256), "keep_ratio", (341, 256)),
        ((341, 256), "border", (256, 256)),
        ((256, 192), "border", (256, 256)),
        ((256, 192), "keep_ratio_largest", (256, 192)),
    ],
)
def test_a_copy_of_the_size_asked_for_is_formed_as_its_original_would_be(
    stored: tuple[int, int], mode: Any, expected: tuple[int, int]
) -> None:
    """It is no bigger than that; its original was."""
    sink = io.BytesIO()
    picture(stored).save(sink, "PNG")
    asked = asking(image_size=256, resize_mode=mode)
    whole = {"region": None, "width_px": 640, "height_px": 480, "stored_format": "png"}
    content, _, size = writing._picture(memoryview(sink.getvalue()), whole, asked)
    assert size in {None, expected}
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == expected
    small = whole | {"width_px": stored[0], "height_px": stored[1]}
    content, _, _ = writing._picture(memoryview(sink.getvalue()), small, asked)
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == codec.Form(256, mode=mode).fit(stored).size


def test_of_what_is_stored_by_its_long_side_those_too_narrow_for_the_short_one_leave() -> None:
    ledger = stored_as(((640, 480), (256, 192)), ((900, 200), (256, 57)), ((100, 60), (100, 60)), ((900, 200), None))
    rows = rows_of(*(view(number, str(number)) for number in range(1, 5)))
    asked = asking(image_size=100, resize_mode="center_crop")
    found = samples.misfits(rows, ledger_of(*ledger), asked, 256).to_pylist()
    assert found == [None, "sample_too_small", None, None]
    window = samples.order(rows, ledger_of(*ledger), asked, 256)
    assert (window.samples.num_rows, window.rejected["reason"].to_pylist()) == (3, ["sample_too_small"])
    with pytest.raises(ConfigError, match="stored 256 x 57 px"):
        samples.order(rows, ledger_of(*ledger), asked)


@pytest.mark.parametrize(
    ("fetch", "shard", "expected"),
    [
        ('resize_mode = "keep_ratio_largest"', 'image_size = 100\nresize_mode = "center_crop"', 256),
        ('resize_mode = "keep_ratio_largest"', "image_size = 100", 256),
        ('resize_mode = "keep_ratio_largest"', 'image_size = 100\nresize_mode = "border"', None),
        ('resize_mode = "keep_ratio_largest"', 'encode_format = "png"', None),
        ("", "image_size = 100", None),
        ('store = "original"', "image_size = 100", None),
    ],
)
def test_when_the_long_side_of_what_is_stored_matters(fetch: str, shard: str, expected: int | None) -> None:
    chosen = config.parse(f"{LEAST}{SBU}[fetch]\n{fetch}\n[shard]\n{shard}\n")
    assert needs.stored_long_side_px(chosen) == expected
