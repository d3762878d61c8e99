"""Whether a file that does not decode has broken off, by its own word."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pmd import codec
from pmd.codec import ORIGINAL, Limits
from tests.codec.pictures import FORMATS, encoded, gradient
from tests.codec.test_soundness import WHOLE

#: Pillow warns of odd metadata; the tests' own setting would make errors of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def status(content: bytes) -> str:
    return codec.prepare(content, Limits(), ORIGINAL, hashed=True).inspected.status


@pytest.mark.parametrize("name", WHOLE)
def test_every_beginning_that_does_not_decode_is_cut_and_the_whole_is_not(name: str) -> None:
    whole = WHOLE[name]()
    assert not codec.is_cut(whole)
    lengths = {len(whole) * tenth // 10 for tenth in range(1, 10)} | {len(whole) - 1, len(whole) - 30}
    beginnings = [whole[:length] for length in sorted(lengths)]
    undecodable = [beginning for beginning in beginnings if status(beginning) == "undecodable"]
    assert undecodable
    assert all(map(codec.is_cut, undecodable))


def test_a_preview_is_not_the_end_of_its_picture() -> None:
    whole = WHOLE["JPEG with a thumbnail"]()
    assert whole.count(b"\xff\xd9") == 2
    assert codec.is_cut(whole[:-2])


def damaged(kind: str) -> bytes:
    """Return a picture of its full length, in whose pixels something else stands."""
    whole = encoded(gradient(64, 48), kind)
    return whole[:-100] + b"\xa5" * 60 + whole[-40:]


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
def test_what_is_damaged_and_goes_to_its_end_is_not_cut(kind: str) -> None:
    content = damaged(kind)
    assert status(content) == "undecodable"
    assert not codec.is_cut(content)


def test_what_is_no_picture_is_not_cut() -> None:
    assert not codec.is_cut(b"<html>")
    assert not codec.is_cut(b"")


BEGINNINGS: Final = {kind: encoded(Image.new("RGB", (9, 9)), kind)[:64] for kind in FORMATS}


@given(st.sampled_from(sorted(BEGINNINGS)), st.integers(12, 64), st.binary(max_size=200))
def test_any_bytes_are_cut_or_not(kind: str, length: int, noise: bytes) -> None:
    assert codec.is_cut(BEGINNINGS[kind][:length] + noise) in {True, False}
