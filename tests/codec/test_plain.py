"""Plain JPEGs are judged by their header as Pillow's reading of it judges them; what is not plain is left to Pillow."""

from __future__ import annotations

import warnings
from typing import Final

import pytest
from PIL import ImageCms

from pmd import codec
from pmd.codec import Form, Limits, plain
from pmd.codec.form import ORIGINAL
from tests.codec.pictures import encoded, gradient
from tests.fetch import hostile

SMALL: Final = gradient(40, 30)


def unhashed(content: bytes) -> codec.Prepared:
    return codec.prepare(content, Limits(), ORIGINAL, hashed=False)


def by_pillow(content: bytes) -> codec.Prepared:
    """Return what is judged where nothing is plain."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "read", lambda _: None)
        return unhashed(content)


@pytest.mark.parametrize(
    ("content", "is_progressive"),
    [
        (encoded(SMALL), False),
        (encoded(SMALL, progressive=True), True),
        (encoded(SMALL.convert("L")), False),
        (encoded(SMALL.convert("CMYK")), False),
        (encoded(SMALL, comment=b"by hand"), False),
        (encoded(SMALL, icc_profile=b"no profile"), False),
    ],
)
def test_what_is_plain_needs_no_pillow(content: bytes, is_progressive: bool) -> None:
    found = plain.read(content)
    assert found is not None
    assert (found.size, found.is_progressive, content[found.scan - 2 : found.scan]) == (
        (40, 30),
        is_progressive,
        b"\xff\xda",
    )
    judged = codec.at_sight(content, Limits())
    assert judged is not None
    assert judged == by_pillow(content) == unhashed(content)
    assert judged.stored is content


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
def test_what_is_plain_is_decoded_as_anything_else(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for more in ({}, {"progressive": True}, {"icc_profile": profile} if kind == "RGB" else {}):
        content = encoded(gradient(64, 48, kind), **more)
        found = plain.read(content)
        assert found is not None
        assert (found.mode, found.has_profile) == (kind, "icc_profile" in more)
        for form in (Form(16), Form(64), ORIGINAL):
            mine = codec.prepare(content, Limits(), form, hashed=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(plain, "read", lambda _: None)
                assert mine == codec.prepare(content, Limits(), form, hashed=True)


@pytest.mark.parametrize(
    "segment",
    [
        hostile.segments(b"\xff\xe1", b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
        hostile.segments(b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0<a/>"),
        hostile.segments(b"\xff\xed", b"Photoshop 3.0\0"),
        b"\xff\xff\xfe\0\2",
        b"\xff\xe0\0\6JFIF",
        b"\xff\xee\0\7Adobe",
        b"\xff\xe2\0\x0eICC_PROFILE\0",
        b"\xff\xdb\0\x0a" + bytes(8),
        b"\xff\xfe\0\1",
        b"\xff\xfe\xff\xff",
        b"\xff\xd9",
        b"junk",
        b"\xff\xfe\0\2" * 100,
    ],
)
def test_what_pillow_looks_into_is_left_to_it(segment: bytes) -> None:
    content = encoded(SMALL)
    assert plain.read(content[:2] + segment + content[2:]) is None
    assert codec.at_sight(content[:2] + segment + content[2:], Limits()) is None


@pytest.mark.parametrize("at", [2, 6, 30, 200])
def test_what_is_cut_off_is_left_to_pillow(at: int) -> None:
    assert plain.read(encoded(SMALL)[:at]) is None


def test_no_octet_of_a_header_makes_another_verdict() -> None:
    content = encoded(SMALL)
    found = plain.read(content)
    assert found is not None
    taken = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for at in range(2, found.scan + 14):
            for octet in {0, 3, 0xC2, 0xE1, 0xFF, content[at] ^ 1} - {content[at]}:
                changed = content[:at] + bytes([octet]) + content[at + 1 :]
                judged, found = codec.at_sight(changed, Limits()), by_pillow(changed)
                taken += judged is not None and judged.inspected.status == "ok"
                assert unhashed(changed) == found, (at, octet)
                assert judged in (None, found), (at, octet)
    assert taken > 500


def test_limits_hold_for_what_is_plain() -> None:
    small, many = Limits(max_pixels=1199), Limits(min_side_px=31)
    assert codec.at_sight(encoded(SMALL), small) == codec.Prepared(
        codec.Inspected("bomb", "jpeg", detail="40 x 30 pixels")
    )
    assert codec.at_sight(encoded(SMALL), many) == codec.Prepared(
        codec.Inspected("too_small", "jpeg", detail="40 x 30 pixels")
    )
