"""Pictures: what they decode to, that they are the same each time, and that parts are where they are said to be."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from pmd.demo import pictures
from pmd.demo.pictures import COLOURS, SCENES, TIMES, Picture

FORMS = {
    "jpeg": ("JPEG", "RGB"),
    "cmyk": ("JPEG", "CMYK"),
    "exif6": ("JPEG", "RGB"),
    "png": ("PNG", "P"),
    "webp": ("WEBP", "RGB"),
    "avif": ("AVIF", "RGB"),
    "gif": ("GIF", "P"),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: pictures.Format) -> None:
    content = pictures.encoded(Picture("boat", "red", TIMES[0], 480, 320, form))
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode) == FORMS[form]
        assert ImageOps.exif_transpose(image).size == (480, 320)
        assert image.size == ((320, 480) if form == "exif6" else (480, 320))
        assert getattr(image, "n_frames", 1) == (4 if form == "gif" else 1)


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_draws_parts_inside_itself(scene: str) -> None:
    for mirrored in (False, True):
        found = pictures.parts(Picture(scene, "blue", TIMES[1], 375, 500, mirrored=mirrored))
        assert len(found) >= 3
        for part in found:
            x, y, width, height = part.box
            assert x >= 0
            assert y >= 0
            assert width > 0
            assert height > 0
            assert x + width <= 375
            assert y + height <= 500
            assert "{}" not in part.phrase


def _red_pixels(image: Image.Image) -> int:
    pixels = np.asarray(image)
    return int(np.count_nonzero((pixels[..., 0] > 150) & (pixels[..., 1] < 110)))


def test_a_part_shows_what_its_phrase_says() -> None:
    for mirrored in (False, True):
        picture = Picture("snowman", "red", TIMES[1], mirrored=mirrored)
        (scarf,) = (part for part in pictures.parts(picture) if part.phrase == "a red scarf")
        x, y, width, height = scarf.box
        with Image.open(io.BytesIO(pictures.encoded(picture))) as image:
            red = _red_pixels(image.crop((x, y, x + width, y + height)))
            everywhere = _red_pixels(image)
        assert red > 0.95 * everywhere > 0


def test_same_bytes_when_drawn_again() -> None:
    for form in FORMS:
        picture = Picture("cake", "pink", TIMES[2], 320, 240, form)  # type: ignore[arg-type]
        first = pictures.encoded(picture)
        pictures.encoded.cache_clear()
        pictures._drawn.cache_clear()
        assert pictures.encoded(picture) == first


def test_pictures_differ() -> None:
    one = Picture("cake", "pink", TIMES[2], 320, 240)
    others = [
        dataclasses.replace(one, colour="blue"),
        dataclasses.replace(one, time=TIMES[3], scene="car"),
        dataclasses.replace(one, mirrored=True),
        dataclasses.replace(one, quality=80),
    ]
    assert len({pictures.encoded(picture) for picture in [one, *others]}) == len(others) + 1
    assert len(COLOURS) * len(SCENES) >= 184  # as many as the demo's world draws from


def test_bomb_and_pixel() -> None:
    bomb = pictures.bomb_png()
    assert len(bomb) < 100
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(bomb))
    with Image.open(io.BytesIO(pictures.tracking_pixel())) as image:
        assert image.size == (1, 1)
