"""Stored pictures: by which keys they are found, what is checked, and what is said where there is none."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import pmd
from pmd import codec, config
from pmd.errors import ConfigError, InputError, RootError, VerificationError
from pmd.schema import keys
from pmd.schema.statuses import STATUSES, TRANSIENT
from pmd.text import url_identity
from tests import tiny_root

GREEN, BLUE, RED = (0, 200, 0), (0, 0, 200), (200, 0, 0)


def image_id(url: str) -> bytes:
    return keys.image_id(str(url_identity.of_one(url)))


def near(picture: object, colour: tuple[int, int, int]) -> bool:
    pixel = picture.getpixel((5, 5))  # type: ignore[attr-defined]
    return all(abs(a - b) < 12 for a, b in zip(pixel, colour, strict=True))


@pytest.mark.parametrize(
    ("key", "size", "colour"),
    [
        (image_id(tiny_root.COCO_URL), (80, 60), GREEN),
        (image_id(tiny_root.COCO_URL).hex(), (80, 60), GREEN),
        (image_id(tiny_root.COCO_URL).hex().upper(), (80, 60), GREEN),
        (keys.pair_id("coco", "12345"), (80, 60), GREEN),
        # Conceptual Captions has it as Flickr's photograph: its own identity gave way to COCO's.
        (keys.image_id("flickr:4242"), (80, 60), GREEN),
        # A region's pair: the whole picture.
        (keys.pair_id("visual_genome", "10").hex(), (100, 100), BLUE),
        # Of two images with the same bytes, each has its own.
        (image_id(tiny_root.C1), (64, 48), RED),
        (image_id(tiny_root.C2), (64, 48), RED),
    ],
)
def test_a_picture_is_found_by_each_of_its_keys(
    tiny: str, key: bytes | str, size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    picture = pmd.open_image(tiny, key)
    assert (picture.mode, picture.size) == ("RGB", size)
    assert near(picture, colour)


def test_the_pair_of_an_image_that_gave_way_shows_the_one_that_stands(tiny: str) -> None:
    (pair,) = [
        row
        for row in pmd.load(tiny).pairs.only(source="conceptual_captions").to_table().to_pylist()
        if row["image_url"] == tiny_root.C5
    ]
    assert near(pmd.open_image(Path(tiny), pair["pair_id"]), GREEN)


def test_a_picture_that_was_not_had_is_told_with_its_status(tiny: str) -> None:
    gone = image_id(tiny_root.C3)
    with pytest.raises(pmd.NotStored) as caught:
        pmd.open_image(tiny, gone)
    assert (caught.value.status, caught.value.image_id) == ("dead", gone)
    assert str(caught.value) == (
        f"{tiny}: image {gone.hex()}: the picture is not stored\n"
        "  expected: status ok\n"
        "  found: status dead: no location has it: 404, 410 and the like"
    )


def test_a_picture_that_was_never_asked_for_is_not_fetched(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(pmd.NotStored) as caught:  # taken down before the fetch
        pmd.open_image(tiny, image_id(tiny_root.C4))
    assert caught.value.status == "not_fetched"
    assert caught.value.remedy == "run: pmd build CONFIG, or pmd.build(CONFIG)"
    chosen = config.load(tiny_root.write_config(tmp_path))
    tiny_root.curate(chosen, "coco")
    for key in (keys.pair_id("coco", "12345"), image_id(tiny_root.COCO_URL)):
        with pytest.raises(pmd.NotStored, match="not_fetched"):
            pmd.open_image(chosen.root, key)


@pytest.mark.parametrize("status", [*STATUSES[1:], "not_fetched"])
def test_every_status_has_its_words(status: str) -> None:
    error = pmd.NotStored("ROOT", b"i" * 16, status)
    assert f"found: status {status}: " in str(error)
    assert (error.remedy == f"run: pmd fetch CONFIG --retry {status}") == (status in TRANSIENT)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again), str(again)) == (pmd.NotStored, vars(error), str(error))


def test_a_key_of_nothing_is_told(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(pmd.PmdError) as caught:
        pmd.open_image(tiny, b"0" * 16)
    assert type(caught.value) is pmd.PmdError
    assert caught.value.problem == f"nothing here is called {(b'0' * 16).hex()}"
    assert caught.value.found == "neither the key of an image nor of a pair"
    with pytest.raises(RootError, match="no ROOT here"):
        pmd.open_image(tmp_path, b"0" * 16)


@pytest.mark.parametrize("key", [b"short", "coco/12345", "0" * 31, ""])
def test_what_is_no_key_is_told(tiny: str, key: bytes | str) -> None:
    with pytest.raises(ConfigError) as caught:
        pmd.open_image(tiny, key)
    assert str(caught.value) == (f"key: not a key\n  expected: 16 bytes, or 32 hexadecimal digits\n  found: {key!r}")


def test_a_damaged_picture_is_not_given(copied: Path) -> None:
    ledger = {row["image_id"]: row for row in pmd.load(copied).ledger.to_table().to_pylist()}
    row = ledger[image_id(tiny_root.COCO_URL)]
    tar = copied / row["store_file"]
    content = bytearray(tar.read_bytes())
    content[row["offset"] + row["length"] // 2] ^= 1
    tar.write_bytes(content)
    with pytest.raises(VerificationError, match="a stored picture is damaged"):
        pmd.open_image(copied, row["image_id"])
    tar.unlink()
    with pytest.raises(VerificationError, match="the store's file is gone"):
        pmd.open_image(copied, row["image_id"])


def test_stored_bytes_that_do_not_decode_are_told(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(content: bytes, *, max_pixels: int) -> None:
        raise codec.Refused("undecodable", "broken data stream")

    monkeypatch.setattr(codec, "upright_rgb", refuse)
    with pytest.raises(InputError) as caught:
        pmd.open_image(tiny, image_id(tiny_root.COCO_URL))
    assert caught.value.problem == "the stored picture cannot be decoded"
    assert caught.value.found == "undecodable: broken data stream"


def test_a_picture_that_was_accepted_is_given_whatever_the_limit_is(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_PIXELS", 100)
    assert pmd.open_image(tiny, image_id(tiny_root.COCO_URL)).size == (80, 60)
