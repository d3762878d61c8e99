"""Content judged and brought into its form."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pmd import codec
from pmd.codec import Form, Limits
from tests.codec.pictures import FORMATS, NOT_READ, catalogue, encoded, gradient, inspected, opened

#: Pillow warns of odd metadata; the tests' own setting would make errors of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def test_small_pictures_are_refused_where_asked() -> None:
    found = inspected(encoded(gradient(300, 20)), Limits(min_side_px=32))
    assert (found.status, found.detail) == ("too_small", "300 x 20 pixels")


def test_a_picture_too_long_for_jpeg_stays_as_it_is() -> None:
    content = encoded(Image.new("RGB", (70_000, 4)), "PNG")
    assert codec.resized(content, codec.Form(64)) == (content, "png")
    assert codec.prepare(content, Limits(), Form(64), hashed=True).stored_form == "original"


def test_prepare_decodes_once_and_hashes_alike_in_every_form() -> None:
    content = encoded(gradient(1600, 1200))
    forms = [
        codec.prepare(content, Limits(), form, hashed=True)
        for form in (Form(None), Form(256), Form(512), Form(100), Form(2000))
    ]
    assert forms[0].perceptual_hash == codec.hash_of(content, Limits())
    assert len({prepared.perceptual_hash for prepared in forms}) == 1
    assert [prepared.stored_form for prepared in forms] == ["original", "resized", "resized", "resized", "original"]
    assert [opened(prepared.stored or b"").size[1] for prepared in forms] == [1200, 256, 512, 100, 1200]
    for prepared, side in zip(forms[1:4], (256, 512, 100), strict=True):
        assert prepared.stored == codec.resized(content, codec.Form(side))[0]


def test_threads_agree() -> None:
    contents = [encoded(gradient(400 + number, 300)) for number in range(12)]
    one_by_one = [codec.prepare(content, Limits(), Form(128), hashed=True) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        assert (
            list(pool.map(lambda content: codec.prepare(content, Limits(), Form(128), hashed=True), contents))
            == one_by_one
        )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_damage_is_a_status_and_never_an_error(kind: str, data: st.DataObject) -> None:
    content = bytearray(encoded(gradient(40, 30), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = codec.prepare(bytes(content), Limits(max_pixels=10**7), Form(16), hashed=True).inspected
    assert found.status in {"ok", "not_an_image", "undecodable", "bomb", "too_small"}


def test_genuine_files_end_ok_or_with_the_right_status(samples: Path) -> None:
    for path, row in catalogue(samples):
        found = codec.prepare(path.read_bytes(), Limits(), Form(64), hashed=True).inspected
        if row["status"] == "ok" and row["format"] not in NOT_READ:
            sideways = (row["orientation"] or "1") in {"5", "6", "7", "8"}
            size = (int(row["height"]), int(row["width"])) if sideways else (int(row["width"]), int(row["height"]))
            expected = codec.Inspected("ok", row["format"].lower(), *size, int(row["frames"]))  # type: ignore[arg-type]
            assert found == expected, path
        elif "DecompressionBomb" in row["status"] or row["status"] == "not_loaded_big":
            assert found.status == "bomb", path
        else:
            kind = codec.sniff(path.read_bytes()[:64])
            assert found.status == ("not_an_image" if kind is None else "undecodable"), path
