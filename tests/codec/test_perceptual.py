"""The perceptual hash."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pdqhash
import pytest
from PIL import Image

from pmd import codec
from pmd.codec import perceptual
from tests.codec.pictures import distance, encoded, opened


def test_perceptual_hashes_of_copies_are_near_and_of_others_far() -> None:
    noise = np.random.default_rng(7)
    coarse = [Image.fromarray(noise.integers(0, 256, (12, 16, 3), np.uint8)) for _ in range(2)]
    one, other = (image.resize((640, 480), Image.Resampling.BICUBIC) for image in coarse)
    copies = [opened(encoded(one, "JPEG", subsampling=2)), one.resize((320, 240)), one.convert("L").convert("RGB")]
    hashed = codec.perceptual_hash(one)
    assert len(hashed) == 32
    for copy in copies:
        assert distance(hashed, codec.perceptual_hash(copy)) <= 31
    assert distance(hashed, codec.perceptual_hash(other)) > 90


def reference(picture: Image.Image) -> bytes:
    bits, _ = pdqhash.compute(np.asarray(picture))
    return np.packbits(bits.astype(np.uint8)).tobytes()


def grain(size: tuple[int, int], cells: int, chance: np.random.Generator) -> Image.Image:
    """Return a picture of coarse noise."""
    return Image.fromarray(chance.integers(0, 256, (cells, cells, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)


#: Sides whose windows are even and odd, and those on either side of a wider window; under 64 px some pixels count twice.
SIDES = (1, 2, 20, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 384, 385, 500, 640, 1000, 1023, 2047, 2048, 2049)


def test_perceptual_hashes_are_those_of_the_reference_implementation() -> None:
    chance = np.random.default_rng(7)
    for number, width in enumerate(SIDES):
        for height, cells in ((SIDES[-1 - number], 8), (width, 24), (200, 300)):
            picture = grain((width, height), cells, chance)
            hashed = codec.perceptual_hash(picture)
            if codec.is_telling(hashed):  # else the reference compares rounding errors
                assert distance(hashed, reference(picture)) <= 2, (width, height, cells)


def test_perceptual_hashes_of_photographs_are_those_of_the_reference_implementation(samples: Path) -> None:
    """In any size and shape, and from their files, whose chroma may be decoded more coarsely."""
    found = []
    for number, path in enumerate(sorted((samples / "coco" / "val2017").glob("*.jpg"))):
        content = path.read_bytes()
        picture = opened(content).convert("RGB")
        found.append(distance(codec.hash_of(content, codec.Limits()), reference(picture)))
        size = (64 + 23 * number, 64 + 1000 // (1 + number))
        found.append(distance(codec.perceptual_hash(picture.resize(size)), reference(picture.resize(size))))
    assert len(found) > 100
    assert np.percentile(found, 99) <= 10
    assert max(found) <= 16


def test_a_long_picture_is_brought_under_a_bound_first() -> None:
    chance = np.random.default_rng(7)
    for size in ((40_000, 30), (70, 33_000)):
        picture = grain(size, 40, chance)
        assert distance(codec.perceptual_hash(picture), reference(picture)) <= 4
    line = Image.new("RGB", (20_000_000, 1), "navy")
    assert codec.perceptual_hash(line) == bytes(32)


def test_a_large_picture_is_summed_band_by_band(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the bands nor what is summed at once change a bit, and no more than a band is held as numbers."""
    picture = grain((1500, 1100), 30, np.random.default_rng(7))
    expected = codec.perceptual_hash(picture)
    largest = []
    luma = perceptual._luma

    def watched(image: Image.Image) -> np.ndarray:
        largest.append(image.width * image.height)
        return luma(image)

    monkeypatch.setattr(perceptual, "_luma", watched)
    for band, strip in ((100_000, 16_384), (1500, 1500), (4000, 1), (1 << 20, 1 << 20)):
        monkeypatch.setattr(perceptual, "_BAND_PIXELS", band)
        monkeypatch.setattr(perceptual, "_STRIP_PIXELS", strip)
        assert codec.perceptual_hash(picture) == expected
        assert max(largest) <= band
        assert sum(largest) == 1500 * 1100
        largest.clear()


def test_the_hash_is_of_the_whole_picture_in_every_form() -> None:
    """A JPEG that its form decodes to a smaller picture is decoded whole for the hash."""
    picture = grain((2100, 1500), 200, np.random.default_rng(7))
    content = encoded(picture)
    expected = codec.hash_of(content, codec.Limits())
    assert distance(expected, reference(opened(content))) <= 2
    for form in (codec.Form(), codec.Form(100), codec.Form(256), codec.Form(1400), codec.Form(3000)):
        assert codec.prepare(content, codec.Limits(), form, hashed=True).perceptual_hash == expected


def test_what_has_no_frequencies_has_an_empty_hash() -> None:
    assert codec.perceptual_hash(Image.new("RGB", (300, 200), "navy")) == bytes(32)


def test_near_duplicates_are_near(samples: Path) -> None:
    with (samples / "images" / "near-duplicates.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    hashed = {
        row["path"]: codec.perceptual_hash(codec.upright_rgb((samples / "images" / row["path"]).read_bytes()))
        for row in rows
    }
    originals = {row["group"]: row["path"] for row in rows if row["relation"] == "original"}
    for row in rows:
        apart = distance(hashed[row["path"]], hashed[originals[row["group"]]])
        if row["relation"] in {"exact", "format", "grayscale", "resize"}:
            assert apart <= 31, row
        elif row["relation"] in {"hflip", "rotation"}:
            assert apart > 31, row
