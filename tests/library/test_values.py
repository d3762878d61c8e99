"""The functions that people use alone: one value and a column give the same, and it is what the stages use."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

import pmd
from pmd.errors import InputError
from pmd.fetch.ledger import stored
from tests import tiny_root

URLS = [
    "HTTP://Example.org:80/a/../b.jpg?utm_source=x#top",
    "https://farm1.staticflickr.com/2/4242_abcdef_z.jpg",
    "no",
    None,
]
TEXTS = ["A dog runs on the beach.", "Ein Hund läuft am Strand.", "", "12345", None]


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        (
            pmd.canonical_url,
            URLS,
            ["http://example.org/b.jpg", "https://farm1.staticflickr.com/2/4242_abcdef_z.jpg", None, None],
        ),
        (pmd.identity, URLS, ["url:example.org/b.jpg", "flickr:4242", None, None]),
        (pmd.is_english, TEXTS, [True, False, False, False, False]),
    ],
)
def test_a_column_gives_what_its_values_give(
    function: Callable[[object], object], values: list[str | None], expected: list[object]
) -> None:
    assert [function(value) for value in values] == expected
    column = pa.array(values, pa.string())
    for given in (column, pa.chunked_array([column]), pa.chunked_array([column[:2], column[2:]])):
        found = function(given)
        assert isinstance(found, pa.Array)
        assert found.to_pylist() == expected
    assert function(pa.array([], pa.string())).to_pylist() == []  # type: ignore[attr-defined]


def test_a_hash_is_that_of_the_ledger(tiny: str) -> None:
    rows = [row for row in pmd.load(tiny).ledger.to_table().to_pylist() if row["status"] == "ok"]
    assert rows
    for row in rows:
        assert pmd.perceptual_hash(stored.read(tiny, row)) == row["perceptual_hash"]


def bits(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "CMYK", "YCbCr"])
def test_a_picture_of_any_mode_is_hashed(mode: str) -> None:
    picture = Image.radial_gradient("L").rotate(9).crop((20, 40, 250, 200))
    whole = pmd.perceptual_hash(picture.convert("RGB"))
    assert bits(whole, pmd.perceptual_hash(picture.convert(mode))) <= 2


def test_a_transparent_picture_is_hashed_as_a_fetch_does() -> None:
    """Whatever colour is hidden under what is transparent."""
    picture = Image.radial_gradient("L").rotate(9).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").rotate(30))
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    assert bits(pmd.perceptual_hash(picture), pmd.perceptual_hash(sink.getvalue())) <= 2
    assert bits(pmd.perceptual_hash(picture), pmd.perceptual_hash(picture.convert("RGB"))) > 31


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"no picture", "not_an_image: "), (tiny_root.picture((1, 2, 3), (64, 64))[:300], "undecodable: ")],
)
def test_what_is_no_picture_has_no_hash(content: bytes, found: str) -> None:
    with pytest.raises(InputError) as caught:
        pmd.perceptual_hash(content)
    assert caught.value.problem == "no picture that can be decoded"
    assert caught.value.expected == "a JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP"
    assert str(caught.value.found).startswith(found)


def test_the_formats_that_are_named_are_those_that_are_read() -> None:
    from pmd import codec

    named = "JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP".replace(" or ", ", ").lower().split(", ")
    assert set(named) == set(codec.EXTENSIONS)


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pmd.is_english("A dog runs on the beach.")
    pmd.perceptual_hash(Image.new("RGB", (64, 64)))
    assert not [*tmp_path.iterdir()]


def test_half_a_surrogate_is_no_error() -> None:
    assert pmd.is_english("A dog runs on the beach \ud800.")
    assert not pmd.is_english("\ud800")


def test_a_path_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a path is no picture") as refused:
        pmd.perceptual_hash(tmp_path / "a.jpg")  # type: ignore[arg-type]  # as people try
    assert refused.value.remedy == "read the file: pathlib.Path(PATH).read_bytes()"


@pytest.mark.parametrize("function", [pmd.canonical_url, pmd.identity, pmd.is_english])
@pytest.mark.parametrize(
    "given", [["http://a.example/b.jpg"], pd.Series(["http://a.example/b.jpg"]), b"http://a.example/b.jpg"]
)
def test_several_values_that_are_no_column_are_refused_and_not_taken_for_none(
    function: Callable[[object], object], given: object
) -> None:
    with pytest.raises(InputError, match="neither a text nor an Arrow array") as refused:
        function(given)
    assert refused.value.remedy == "make a column of it: pyarrow.array(VALUES)"


@pytest.mark.parametrize("function", [pmd.canonical_url, pmd.identity, pmd.is_english])
def test_a_value_of_arrows_is_refused_and_not_taken_for_none(function: Callable[[object], object]) -> None:
    (one,) = pa.array(["http://a.example/b.jpg"])
    with pytest.raises(InputError, match="neither a text nor an Arrow array") as refused:
        function(one)
    assert refused.value.remedy == "give what it holds: VALUE.as_py()"


@pytest.mark.parametrize("missing", [float("nan"), pd.NA, pd.NaT, None])
def test_what_pandas_has_for_a_missing_value_is_none(missing: object) -> None:
    assert pmd.canonical_url(missing) is None  # type: ignore[call-overload]
    assert pmd.identity(missing) is None  # type: ignore[call-overload]
    assert pmd.is_english(missing) is False  # type: ignore[call-overload]


def test_bytes_of_any_kind_are_hashed_and_pixels_alone_are_refused() -> None:
    content = tiny_root.picture((1, 2, 3), (64, 64))
    assert pmd.perceptual_hash(bytearray(content)) == pmd.perceptual_hash(content)
    assert pmd.perceptual_hash(memoryview(content)) == pmd.perceptual_hash(content)
    with pytest.raises(InputError, match="no picture") as refused:
        pmd.perceptual_hash(np.zeros((64, 64, 3), np.uint8))  # type: ignore[arg-type]  # as people try
    assert refused.value.found == "numpy.ndarray"
