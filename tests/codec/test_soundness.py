"""What is judged by its structure: without a decode, and as a decode would judge it."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pmd import codec
from pmd.codec import Form, Limits, decoding, soundness
from tests.codec.pictures import FORMATS, catalogue, encoded, gradient
from tests.fetch import hostile

#: Pillow warns of odd metadata; the tests' own setting would make errors of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def by_expression(content: bytes, at: int) -> bool:
    """Return what `soundness.ends` does, one marker after the other."""
    for _ in range(100):
        found = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]").search(
            content, at + int.from_bytes(content[at : at + 2], "big")
        )
        if found is None or found.group() == b"\xff\xd8":
            return False
        if found.group() == b"\xff\xd9":
            return True
        at = found.end()
    return False


_CODES: Final = st.lists(
    st.one_of(
        st.sampled_from([b"\xff\x00", b"\xff", b"\0", b"\xff\xd0", b"\xff\xd9", b"\xff\xda\0\4ab", b"\xff\xd8"]),
        st.binary(max_size=20),
        st.integers(1, 40).map(lambda count: b"a" * count),
    ),
    max_size=30,
).map(b"".join)


@given(_CODES, st.integers(1, 64), st.integers(0, 3))
def test_the_end_of_a_jpeg_is_found_as_marker_by_marker(codes: bytes, block: int, fast: int) -> None:
    content = b"\xff\xda\0\2" + codes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soundness, "_BLOCK_BYTES", block)
        patch.setattr(soundness, "_SCANS", fast)
        assert soundness.ends(content, 2) == by_expression(content, 2)


def frames(kind: str) -> bytes:
    pictures = [Image.new("RGB", (32, 24), colour) for colour in ("red", "green", "blue")]
    return encoded(pictures[0], kind, save_all=True, append_images=pictures[1:])


#: Files of every kind that is whole.
WHOLE: Final[dict[str, Callable[[], bytes]]] = {
    **{kind: lambda kind=kind: encoded(gradient(40, 30), kind) for kind in FORMATS},  # type: ignore[misc]
    "progressive": lambda: encoded(gradient(40, 30), progressive=True),
    "grey": lambda: encoded(gradient(40, 30, "L")),
    "CMYK": lambda: encoded(gradient(40, 30, "CMYK")),
    "restarts": lambda: encoded(gradient(64, 48), restart_marker_blocks=1),
    "JPEG with a thumbnail": lambda: hostile.jpeg(
        hostile.segments(b"\xff\xe1", b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + encoded(gradient(8, 8)))
    ),
    "palette": lambda: encoded(gradient(40, 30).quantize(16), "PNG"),
    "lossless WebP": lambda: encoded(gradient(40, 30), "WEBP", lossless=True),
    "clear WebP": lambda: encoded(gradient(40, 30, "RGBA"), "WEBP", exif=upright(6)),
    **{f"{kind} of three frames": lambda kind=kind: frames(kind) for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF")},  # type: ignore[misc]
    **{
        f"TIFF by {name}": lambda name=name: encoded(gradient(40, 30), "TIFF", compression=name)  # type: ignore[misc]
        for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits")
    },
    "TIFF of strips": lambda: encoded(gradient(40, 30), "TIFF", tiffinfo={278: 7}),
    "bilevel TIFF": lambda: encoded(gradient(41, 30, "1"), "TIFF"),
    "turned TIFF": lambda: encoded(gradient(40, 30), "TIFF", exif=upright(6)),
    "grey BMP": lambda: encoded(gradient(41, 30, "L"), "BMP"),
    "bilevel BMP": lambda: encoded(gradient(41, 30, "1"), "BMP"),
}

#: Files that are whole, and of which only a decoder can tell what they are.
DECODED: Final[dict[str, Callable[[], bytes]]] = {
    "PNG turned behind its pixels": lambda: with_chunk(encoded(gradient(40, 30), "PNG"), b"eXIf", exif_bytes(6)),
    "PNG turned by a text behind its pixels": lambda: with_chunk(
        encoded(gradient(40, 30), "PNG"),
        b"tEXt",
        b"Raw profile type exif\0\nexif\n  26\n" + exif_bytes(6).hex().encode(),
    ),
    "PNG turned by XMP behind its pixels": lambda: with_chunk(
        encoded(gradient(40, 30), "PNG"), b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'
    ),
    "TIFF by JPEG": lambda: encoded(gradient(40, 30), "TIFF", compression="jpeg"),
    "TIFF by CCITT": lambda: encoded(gradient(40, 30, "1"), "TIFF", compression="group4"),
    "run-length-encoded BMP": lambda: hostile.bmp_of(2, 1, b"\2\1\0\1", compression=1),
}


def upright(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def exif_bytes(orientation: int) -> bytes:
    return upright(orientation).tobytes().removeprefix(b"Exif\0\0")


def with_chunk(content: bytes, name: bytes, data: bytes) -> bytes:
    """Return a PNG with a chunk before its end."""
    chunk = struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))
    return content[:-12] + chunk + content[-12:]


def verdicts(content: bytes, limits: Limits = Limits()) -> tuple[codec.Inspected, codec.Inspected]:  # noqa: B008
    """Return what is said with the hash and without, of bytes that stay as they are."""
    hashed, unhashed = (codec.prepare(content, limits, Form(), hashed=hashed) for hashed in (True, False))
    assert unhashed.perceptual_hash is None
    assert (hashed.perceptual_hash is None) == (hashed.inspected.status != "ok")
    assert (unhashed.stored, unhashed.stored_form) == (
        (content, "original") if unhashed.inspected.status == "ok" else (None, None)
    )
    return hashed.inspected, unhashed.inspected


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the formats that are decoded, as they are."""
    seen: list[str] = []
    load = decoding.load

    def counted(opened: Any, *way: Any) -> decoding.Loaded:
        seen.append(opened.kind)
        return load(opened, *way)

    monkeypatch.setattr(decoding, "load", counted)
    return seen


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_judged_without_a_decode(name: str, decodes: list[str]) -> None:
    content = WHOLE[name]()
    expected, found = verdicts(content)
    assert found == expected
    assert found.status == "ok"
    assert len(decodes) == 1  # the one for the hash


@pytest.mark.parametrize("name", DECODED)
def test_a_file_of_which_only_a_decoder_can_tell_is_decoded(name: str, decodes: list[str]) -> None:
    expected, found = verdicts(DECODED[name]())
    assert found == expected
    assert found.status == "ok"
    assert len(decodes) == 2


@pytest.mark.parametrize("name", {**WHOLE, **DECODED})
def test_what_is_cut_anywhere_is_judged_alike(name: str) -> None:
    content = {**WHOLE, **DECODED}[name]()
    for length in sorted(
        {*range(0, len(content), max(1, len(content) // 80)), *range(len(content) - 24, len(content))}
    ):
        expected, found = verdicts(content[:length])
        assert found == expected, length


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("behind", [b"\0", bytes(99), b"rubbish" * 9, b"\xff\xd8\xff", b"\xff\xd9", b"IEND"])
def test_what_stands_behind_a_file_changes_nothing(name: str, behind: bytes) -> None:
    expected, found = verdicts(WHOLE[name]() + behind)
    assert found == expected
    assert found.status == "ok"


@pytest.mark.parametrize("more", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_a_jpeg_that_is_cut_off_is_not_whole_by_what_follows(share: float, more: dict[str, object]) -> None:
    """Another picture behind it has an end, which is not its own; a lone end marker is one, to decoders too."""
    chance = np.random.default_rng(7)
    content = encoded(Image.fromarray(chance.integers(0, 256, (60, 80, 3), np.uint8)), **more)
    cut = content[: int(len(content) * share)]
    for behind, status in ((content, "undecodable"), (b"\0\0\xff\xd9", "ok"), (b"", "undecodable")):
        expected, found = verdicts(cut + behind)
        assert found == expected
        assert found.status == status


@pytest.mark.parametrize("more", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_a_jpeg_without_its_end_marker_is_no_picture_to_any_decoder_here(more: dict[str, object]) -> None:
    """Whoever loads it otherwise takes a half for a whole, too."""
    content = encoded(gradient(64, 48), **more)
    assert content.endswith(b"\xff\xd9")
    cut = content[:-2]
    assert {found.status for found in verdicts(cut)} == {"undecodable"}
    with pytest.raises(ValueError, match="Premature end"):
        simplejpeg.decode_jpeg(cut)
    cv2 = pytest.importorskip("cv2", reason="img2dataset is not installed")
    assert cv2.imdecode(np.frombuffer(cut, np.uint8), cv2.IMREAD_COLOR) is None


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_sizes_are_upright(kind: str, orientation: int, decodes: list[str]) -> None:
    expected, found = verdicts(encoded(gradient(40, 30), kind, exif=upright(orientation)))
    assert (found, len(decodes)) == (expected, 1)
    assert (found.width_px, found.height_px) == ((30, 40) if 5 <= orientation <= 8 else (40, 30))


@pytest.mark.parametrize("kind", FORMATS)
def test_limits_hold(kind: str) -> None:
    content = encoded(gradient(40, 30), kind)
    for limits, status in ((Limits(min_side_px=31), "too_small"), (Limits(max_pixels=1199), "bomb")):
        expected, found = verdicts(content, limits)
        assert found == expected
        assert found.status == status


def test_damage_to_the_pixels_of_a_png_is_seen_by_its_checksum() -> None:
    chance = np.random.default_rng(7)
    content = bytearray(encoded(Image.fromarray(chance.integers(0, 256, (30, 40, 3), np.uint8)), "PNG"))
    content[content.index(b"IDAT") + 300] ^= 0xFF
    expected, found = verdicts(bytes(content))
    assert found == expected


def test_what_only_a_decoder_sees_is_not_seen() -> None:
    """The pixels of this PNG are too few, but nothing of the file is missing."""
    content = hostile.png_of(200, 200)
    expected, found = verdicts(content)
    assert (expected.status, found.status) == ("undecodable", "ok")
    with pytest.raises(codec.Refused) as refused:
        codec.hash_of(content, Limits())
    assert (refused.value.status, refused.value.detail) == ("undecodable", expected.detail)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@pytest.mark.filterwarnings("ignore")
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_nothing_is_refused_that_a_decoder_takes(name: str, data: st.DataObject) -> None:
    content = bytearray(WHOLE[name]())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    expected, found = verdicts(bytes(content), Limits(max_pixels=10**6))
    if expected.status == "ok" or found.status != "ok":
        assert found == expected


def test_genuine_files_are_judged_alike(samples: Path) -> None:
    for path, _ in catalogue(samples):
        expected, found = verdicts(path.read_bytes())
        assert found == expected, path


def test_hostile_files_are_judged_alike() -> None:
    limits = Limits(max_pixels=hostile.MAX_PIXELS)
    for name, (make, _) in hostile.PICTURES.items():
        expected, found = verdicts(make(), limits)
        assert found == expected, name


def test_what_is_resized_is_decoded_once_and_not_hashed(decodes: list[str]) -> None:
    content = encoded(gradient(1600, 1200))
    for side in (100, 256, 512):
        prepared = codec.prepare(content, Limits(), Form(side), hashed=False)
        assert prepared.perceptual_hash is None
        assert prepared.stored == codec.prepare(content, Limits(), Form(side), hashed=True).stored
        assert prepared.stored_form == "resized"


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("content", "needs"),
    [
        (lambda: encoded(gradient(40, 30)), 0),
        (lambda: encoded(gradient(40, 30), icc_profile=srgb()), 0),
        (lambda: encoded(gradient(40, 30), exif=upright(6)), 1),
        (lambda: encoded(gradient(40, 30, "L")), 1),
        (lambda: encoded(gradient(40, 30), "PNG"), 1),
        (lambda: encoded(gradient(400, 300)), 1),
        (lambda: encoded(Image.new("RGB", (70_000, 4)), "PNG"), 0),
    ],
)
def test_a_form_that_changes_nothing_takes_no_decode(
    content: Callable[[], bytes], needs: int, decodes: list[str]
) -> None:
    given = content()  # once: a colour profile has the second in which it was made
    found = codec.prepare(given, Limits(), Form(100), hashed=False)
    assert found.inspected.status == "ok"
    assert len(decodes) == needs
    hashed = codec.prepare(given, Limits(), Form(100), hashed=True)
    assert (found.stored, found.stored_form, found.stored_format) == (
        hashed.stored,
        hashed.stored_form,
        hashed.stored_format,
    )


def test_many_segments_behind_a_scan_are_no_work() -> None:
    """Two million of them, and no end: the walk gives up, and the decoder is asked."""
    content = encoded(gradient(40, 30))[:-2] + b"\xff\xe1\0\2" * 2_000_000
    found = codec.prepare(content, Limits(), Form(), hashed=False).inspected
    assert found.status == codec.prepare(content, Limits(), Form(), hashed=True).inspected.status


def test_a_picture_of_no_format_is_none() -> None:
    assert codec.prepare(b"<html>", Limits(), Form(), hashed=False).inspected.status == "not_an_image"
