"""The pictures that img2dataset makes, and ours: sizes to the pixel, pixels within a tolerance.

Its own tests (`tests/test_resizer.py`, `fixtures.check_one_image_size`) go over seven photographs, told by their sizes, two
image sizes and ten rows of options; so do these, and over the modes and rows that those leave out. What it makes is taken
before encoding, as PNG.
"""

from __future__ import annotations

import importlib
import io
import itertools
import os
import typing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pmd import codec
from pmd.codec import Form, Limits, colour
from pmd.codec.form import Mode
from tests.codec.pictures import difference, encoded, opened
from tests.codec.test_scaling import ssim

MODES = typing.get_args(Mode)

#: Of its `resize_test_image`.
SIZES = [(123, 456), (208, 495), (321, 421), (389, 535), (416, 264), (456, 123), (524, 316)]
#: An exact half, a square, what is as large as asked for, small ones.
MORE = [(512, 333), (256, 256), (256, 700), (61, 40)]

#: Levels of 255 by which pictures may differ in the mean, and the least mean SSIM: what is measured is 3.8 and .971.
MOST_LEVELS = 4.0
LEAST_SSIM = 0.965
#: … of what is enlarged: .7 and .995.
MOST_LEVELS_ENLARGED = 1.0
LEAST_SSIM_ENLARGED = 0.99


def scene(size: tuple[int, int]) -> Image.Image:
    """Return something like a photograph: soft shapes, edges, and a little noise."""
    chance = np.random.default_rng(size[0] * 10_000 + size[1])
    image = Image.fromarray(chance.integers(0, 255, (9, 9, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image).astype(np.int16)
    down, across = np.mgrid[: size[1], : size[0]]
    pixels[(down // 37 + across // 53) % 5 == 0] //= 2
    return Image.fromarray((pixels + chance.integers(-4, 5, pixels.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def resizer() -> Callable[..., Any]:
    """Return img2dataset's `Resizer`."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return typing.cast(Callable[..., Any], importlib.import_module("img2dataset.resizer").Resizer)
        except ImportError as error:
            pytest.skip(f"img2dataset does not run here: {error}")


def theirs(resizer: Callable[..., Any], content: bytes, side: int, mode: Mode, *, only_if_bigger: bool) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = resizer(side, mode, only_if_bigger, encode_format="png", encode_quality=1)
        content, width, height, _, _, error = made(io.BytesIO(content))
    assert error is None
    found = opened(content).convert("RGB")
    assert found.size == (width, height)
    return found


def ours(content: bytes, side: int, mode: Mode, *, only_if_bigger: bool) -> Image.Image:
    form = Form(None if mode == "no" else side, 1, mode, only_if_bigger, "png")
    return opened(codec.prepare(content, Limits(), form, hashed=False).stored or b"").convert("RGB")


def compared(resizer: Callable[..., Any], content: bytes, side: int, mode: Mode, *, only_if_bigger: bool) -> None:
    size = opened(content).size
    expected = theirs(resizer, content, side, mode, only_if_bigger=only_if_bigger)
    found = ours(content, side, mode, only_if_bigger=only_if_bigger)
    assert found.size == expected.size, (size, side, mode)
    is_enlarged = Form(side, mode=mode).measured(size) < side
    levels, least = (MOST_LEVELS_ENLARGED, LEAST_SSIM_ENLARGED) if is_enlarged else (MOST_LEVELS, LEAST_SSIM)
    assert difference(found, expected) <= levels, (size, side, mode)
    if min(found.size) >= 8:
        assert ssim(found, expected) >= least, (size, side, mode)


@pytest.mark.parametrize("side", [256, 512])
@pytest.mark.parametrize(("mode", "only_if_bigger"), [*itertools.product(MODES, [False, True])])
def test_the_pictures_are_those_of_img2dataset(
    resizer: Callable[..., Any], mode: Mode, side: int, *, only_if_bigger: bool
) -> None:
    for size in (*SIZES, *MORE):
        compared(resizer, encoded(scene(size)), side, mode, only_if_bigger=only_if_bigger)


def test_photographs_are_those_of_img2dataset(resizer: Callable[..., Any], samples: Path) -> None:
    for path in sorted((samples / "coco" / "train2017").glob("*.jpg"))[:8]:
        with Image.open(path) as image:
            if colour.transform_of("RGB", image.info.get("icc_profile")) is not None:
                continue  # img2dataset knows no profiles
        for mode in MODES:
            for side in (64, 224):
                compared(resizer, path.read_bytes(), side, mode, only_if_bigger=True)


def test_in_a_half_the_short_side_rounds_up_and_theirs_to_even(resizer: Callable[..., Any]) -> None:
    content = encoded(scene((512, 681)))
    assert theirs(resizer, content, 256, "keep_ratio", only_if_bigger=True).size == (256, 340)
    assert ours(content, 256, "keep_ratio", only_if_bigger=True).size == (256, 341)


#: What its own tests expect (`check_one_image_size`), written down: mode, size and image_size → width and height.
EXPECTED = {
    ("keep_ratio", (123, 456), 256): (256, 949),
    ("keep_ratio", (208, 495), 256): (256, 609),
    ("keep_ratio", (321, 421), 256): (256, 336),
    ("keep_ratio", (389, 535), 256): (256, 352),
    ("keep_ratio", (416, 264), 256): (403, 256),
    ("keep_ratio", (456, 123), 256): (949, 256),
    ("keep_ratio", (524, 316), 256): (425, 256),
    ("keep_ratio", (123, 456), 512): (512, 1898),
    ("keep_ratio", (208, 495), 512): (512, 1218),
    ("keep_ratio", (321, 421), 512): (512, 672),
    ("keep_ratio", (389, 535), 512): (512, 704),
    ("keep_ratio", (416, 264), 512): (807, 512),
    ("keep_ratio", (456, 123), 512): (1898, 512),
    ("keep_ratio", (524, 316), 512): (849, 512),
    **{(mode, size, side): (side, side) for mode in ("border", "center_crop") for size in SIZES for side in (256, 512)},
    **{("no", size, side): size for size in SIZES for side in (256, 512)},
}


@pytest.mark.parametrize(("mode", "size", "side"), list(EXPECTED))
def test_the_sizes_that_its_own_tests_expect(mode: Mode, size: tuple[int, int], side: int) -> None:
    expected = EXPECTED[mode, size, side]
    content = encoded(scene(size))
    assert ours(content, side, mode, only_if_bigger=False).size == expected
    is_larger = Form(side, mode=mode).measured(size) > side
    assert ours(content, side, mode, only_if_bigger=True).size == (expected if is_larger else size)
