"""The perceptual hash."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pdqhash
from PIL import Image

from pmd import codec
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


def test_perceptual_hashes_are_those_of_the_reference_implementation() -> None:
    """At PDQ's own size nothing has to be scaled, so that the bits are the same."""
    chance = np.random.default_rng(7)
    for grain in (1, 4, 8, 16):
        pixels = chance.integers(0, 256, (64 // grain, 64 // grain, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
        bits, _ = pdqhash.compute(np.asarray(image))
        assert codec.perceptual_hash(image) == np.packbits(bits.astype(np.uint8)).tobytes()


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
