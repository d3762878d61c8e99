"""Sizes, scaling, cropping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pmd import codec
from pmd.codec import scaling
from tests.codec.pictures import encoded, gradient, opened


def averaged_by_area(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the exact mean under each new pixel; Pillow's BOX gives a pixel on an edge to one side of it, whole."""

    def weights(before: int, after: int) -> np.ndarray:
        edges = np.linspace(0, before, after + 1)
        pixels = np.arange(before)
        covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        return covered.clip(0) * after / before

    pixels = np.asarray(image).astype(np.float64)
    means = np.einsum(
        "ay,bx,yxc->abc", weights(image.height, size[1]), weights(image.width, size[0]), pixels, optimize=True
    )
    return Image.fromarray(np.rint(means).astype(np.uint8))


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Return the mean SSIM of luma over windows of 8 x 8 (Wang et al. 2004, with uniform windows)."""
    x, y = (np.asarray(image.convert("L"), np.float64) for image in (one, other))

    def mean(values: np.ndarray) -> np.ndarray:
        summed = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
        return (summed[8:, 8:] - summed[:-8, 8:] - summed[8:, :-8] + summed[:-8, :-8]) / 64

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float((((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean())


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 600))
def test_targets(width: int, height: int, side: int) -> None:
    found = codec.Form(side).fit((width, height)).size
    assert min(found) == min(width, height, side)
    assert all(new <= old for new, old in zip(found, (width, height), strict=True))
    assert abs(found[0] * height - found[1] * width) <= max(width, height)


def test_resizing_keeps_the_ratio_and_never_enlarges() -> None:
    content = encoded(gradient(1000, 500))
    kept, kind = codec.resized(content, codec.Form(100))
    assert (opened(kept).size, kind) == ((200, 100), "jpeg")
    assert codec.resized(content, codec.Form(500)) == (content, "jpeg")
    assert codec.resized(content, codec.Form(5000)) == (content, "jpeg")
    small_png = encoded(gradient(50, 40), "PNG")
    assert opened(codec.resized(small_png, codec.Form(100))[0]).size == (50, 40)
    assert codec.resized(content, codec.Form(100)) == (kept, kind)
    assert opened(kept).info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert codec.upright_rgb(content, min_short_side_px=100).size == (250, 125)
    assert codec.upright_rgb(content, min_short_side_px=126).size == (500, 250)


@pytest.mark.parametrize(
    ("region", "box"),
    [
        ([0, 0, 1, 1], (0, 0, 300, 200)),
        ([10 / 300, 20 / 200, 30 / 300, 40 / 200], (10, 20, 40, 60)),
        ([1 / 3, 0, 1 / 3, 1], (100, 0, 200, 200)),
        ([0.001, 0, 0.0001, 1], (0, 0, 1, 200)),
        ([0.9999, 0.9999, 0.5, 0.5], (299, 199, 300, 200)),
        ([-0.5, -0.5, 0.6, 0.6], (0, 0, 30, 20)),
        ([0.005, 0.005, 0.1, 0.1], (2, 1, 32, 21)),
    ],
)
def test_crops_go_to_the_nearest_pixels(region: list[float], box: tuple[int, int, int, int]) -> None:
    image = gradient(300, 200)
    assert np.array_equal(np.asarray(codec.crop(image, region)), np.asarray(image.crop(box)))


@given(st.integers(1, 2000), st.integers(1, 500), st.data())
def test_a_box_of_whole_pixels_comes_back_exactly(side: int, start: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, side - 1))
    length = data.draw(st.integers(1, side - first))
    assert scaling._edges(first / side, length / side, side) == (first, first + length)


def test_quality_against_a_full_decoding_averaged_by_area(samples: Path) -> None:
    scores = []
    for path in sorted((samples / "coco" / "train2017").glob("*.jpg"))[:16]:
        content = path.read_bytes()
        with Image.open(path) as image:
            full = image.convert("RGB")
        for side in (100, 256):
            kept = opened(codec.resized(content, codec.Form(side))[0])
            scores.append(ssim(kept, averaged_by_area(full, kept.size)))
    assert np.mean(scores) > 0.985  # encoding at quality 95 included
    assert min(scores) > 0.94
