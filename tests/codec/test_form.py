"""Sizes, what is cut off or put around, and the form that content is kept in."""

from __future__ import annotations

import dataclasses
import io
import struct
import typing
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from pmd import codec
from pmd.codec import Form, Limits
from pmd.codec.form import LOSSLESS, Mode
from tests.codec.pictures import encoded, gradient, opened
from tests.fetch.hostile import chunk

MODES = typing.get_args(Mode)
SIDES = st.integers(1, 3000)


def kept(content: bytes, form: Form, *, hashed: bool = False) -> codec.Prepared:
    found = codec.prepare(content, Limits(), form, hashed=hashed)
    assert found.inspected.status == "ok", found
    return found


def pixels(content: bytes | None) -> np.ndarray:
    return np.asarray(opened(content or b"").convert("RGB"), np.int16)


@pytest.mark.parametrize(
    ("mode", "only_if_bigger", "size", "scaled", "result"),
    [
        ("keep_ratio", True, (640, 480), (341, 256), (341, 256)),
        ("keep_ratio", True, (256, 900), (256, 900), (256, 900)),
        ("keep_ratio", True, (100, 200), (100, 200), (100, 200)),
        ("keep_ratio", False, (100, 200), (256, 512), (256, 512)),
        ("keep_ratio", True, (512, 681), (256, 341), (256, 341)),  # 340.5: halves go up, and to 340 in img2dataset
        ("keep_ratio_largest", True, (640, 480), (256, 192), (256, 192)),
        ("keep_ratio_largest", True, (512, 333), (256, 166), (256, 166)),  # 166.5, to the even one
        ("keep_ratio_largest", True, (5000, 3), (256, 1), (256, 1)),
        ("keep_ratio_largest", True, (256, 100), (256, 100), (256, 100)),
        ("keep_ratio_largest", False, (100, 50), (256, 128), (256, 128)),
        ("center_crop", True, (640, 480), (341, 256), (256, 256)),
        ("center_crop", True, (256, 900), (256, 900), (256, 900)),  # no bigger: nothing is cut off
        ("center_crop", False, (256, 900), (256, 900), (256, 256)),
        ("center_crop", False, (100, 200), (256, 512), (256, 256)),
        ("border", True, (640, 480), (256, 192), (256, 256)),
        ("border", True, (256, 100), (256, 100), (256, 100)),  # no bigger: nothing is put around it
        ("border", False, (256, 100), (256, 100), (256, 256)),
        ("border", False, (100, 50), (256, 128), (256, 256)),
        ("no", True, (640, 480), (640, 480), (640, 480)),
    ],
)
def test_what_becomes_of_a_size(
    mode: Mode, only_if_bigger: bool, size: tuple[int, int], scaled: tuple[int, int], result: tuple[int, int]
) -> None:
    form = Form(None if mode == "no" else 256, mode=mode, only_if_bigger=only_if_bigger)
    for turned in (False, True):
        fit = form.fit(size[::-1] if turned else size)
        assert (fit.scaled, fit.size) == ((scaled[::-1], result[::-1]) if turned else (scaled, result))


def test_halves_go_up_in_whole_pictures_and_to_the_even_one_in_crops_as_they_always_have() -> None:
    assert Form(100).fit((200, 225)).size == (100, 113)
    assert codec.formed(gradient(200, 225), Form(100)).size == (100, 112)
    assert codec.formed(gradient(200, 227), Form(100)).size == (100, 114)


@given(SIDES, SIDES, st.integers(16, 600), st.sampled_from([mode for mode in MODES if mode != "no"]), st.booleans())
def test_every_size_keeps_its_shape_until_it_is_cut_or_has_a_border(
    width: int, height: int, side: int, mode: Mode, only_if_bigger: bool
) -> None:
    form = Form(side, mode=mode, only_if_bigger=only_if_bigger)
    fit = form.fit((width, height))
    assert abs(fit.scaled[0] * height - fit.scaled[1] * width) <= max(width, height, *fit.scaled)
    if only_if_bigger and form.measured((width, height)) <= side:
        assert fit.scaled == fit.size == (width, height)
    elif mode in {"center_crop", "border"}:
        assert fit.size == (side, side)
    else:
        assert fit.size == fit.scaled
        assert form.measured(fit.size) == side


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 120), st.integers(2, 120), st.sampled_from(MODES), st.booleans(), st.sampled_from(["png", "jpeg"])
)
def test_what_is_kept_has_the_size_that_is_told(
    width: int, height: int, mode: Mode, only_if_bigger: bool, kind: typing.Literal["png", "jpeg"]
) -> None:
    form = Form(None if mode == "no" else 40, 6 if kind == "png" else 95, mode, only_if_bigger, kind)
    found = kept(encoded(gradient(width, height)), form)
    expected = form.fit((width, height)).size
    assert opened(found.stored or b"").size == expected == (found.stored_width_px, found.stored_height_px)


def test_the_middle_is_cut_out_and_white_is_put_around() -> None:
    content = encoded(gradient(400, 200), "PNG")
    ratio, cut, framed = (
        pixels(kept(content, Form(100, 6, mode, format="png")).stored)
        for mode in typing.cast(list[Mode], ["keep_ratio", "center_crop", "border"])
    )
    assert np.abs(cut - ratio[:, 50:150]).max() <= 1
    assert (framed[:25] == 255).all()
    assert (framed[75:] == 255).all()
    small = pixels(kept(content, Form(100, 6, "keep_ratio_largest", format="png")).stored)
    assert np.array_equal(framed[25:75], small)
    odd = pixels(kept(encoded(gradient(301, 100), "PNG"), Form(100, 6, "border", format="png")).stored)
    assert (odd[:33] == 255).all()  # 33 rows of picture: 33 above, 34 below
    assert (odd[66:] == 255).all()
    assert (odd[33:66] < 255).any(axis=-1).all()


def exotic() -> dict[str, bytes]:
    """Return what is not simply an opaque picture of three times eight bits."""
    turned = Image.Exif()
    turned[0x0112] = 6
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = (profile.index(tag) + 4 for tag in (b"rXYZ", b"bXYZ"))
    profile[red : red + 4], profile[blue : blue + 4] = profile[blue : blue + 4], profile[red : red + 4]
    picture = gradient(160, 80)
    clear = picture.copy()
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    grey = Image.fromarray((np.asarray(picture.convert("L")).astype(np.uint16) << 8) + 7)
    frames = [picture, ImageOps.mirror(picture)]
    return {
        "turned JPEG": encoded(picture, exif=turned),
        "turned PNG": encoded(picture, "PNG", exif=turned),
        "turned WebP": encoded(picture, "WEBP", exif=turned),
        "wide JPEG": encoded(picture, icc_profile=bytes(profile)),
        "wide PNG": encoded(picture, "PNG", icc_profile=bytes(profile)),
        "wide WebP": encoded(picture, "WEBP", icc_profile=bytes(profile)),
        "CMYK": encoded(picture.convert("CMYK")),
        "grey": encoded(picture.convert("L")),
        "16 bits": encoded(grey, "PNG"),
        "16 bits a colour": deep(picture),
        "alpha": encoded(clear, "PNG"),
        "alpha WebP": encoded(clear, "WEBP"),
        "palette": encoded(picture.convert("P"), "PNG"),
        "palette with alpha": encoded(picture.convert("P"), "PNG", transparency=bytes(range(256))),
        "one clear colour": encoded(picture, "PNG", transparency=(0, 0, 255)),
        "frames": encoded(picture, "WEBP", save_all=True, append_images=frames[1:], lossless=True),
        "frames of a PNG": encoded(picture, "PNG", save_all=True, append_images=frames[1:]),
    }


def deep(image: Image.Image) -> bytes:
    """Return an RGB PNG of 16 bits a channel, which Pillow cannot write."""
    rows = (np.asarray(image).astype(">u2") * 257).astype(">u2").reshape(image.height, -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", sorted(exotic()))
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_whatever_a_file_is_the_picture_is_the_codecs(name: str, kind: typing.Literal["png", "webp"]) -> None:
    content = exotic()[name]
    expected = np.asarray(codec.upright_rgb(content), np.int16)
    form = Form(None, 6 if kind == "png" else LOSSLESS, "no", format=kind)
    found = kept(content, form)
    assert found.stored != content, "kept as it came, though it is no plain picture"
    assert (found.stored_form, found.stored_format) == ("resized", kind)
    assert np.array_equal(pixels(found.stored), expected)
    cut = pixels(kept(content, dataclasses.replace(form, side_px=40, mode="center_crop")).stored)
    shrunk = pixels(kept(content, dataclasses.replace(form, side_px=40, mode="keep_ratio")).stored)
    left, top = (shrunk.shape[1] - 40) // 2, (shrunk.shape[0] - 40) // 2
    assert np.abs(cut - shrunk[top : top + 40, left : left + 40]).max() <= 2
    again = opened(found.stored or b"")
    assert again.mode == "RGB"
    assert again.info.keys() <= {"background", "loop", "duration", "timestamp"}
    assert getattr(again, "n_frames", 1) == 1


@pytest.mark.parametrize(("kind", "form"), [("JPEG", "jpeg"), ("PNG", "png"), ("WEBP", "webp")])
@pytest.mark.parametrize("mode", MODES)
def test_what_has_the_form_already_stays_to_the_byte(
    kind: str, form: typing.Literal["jpeg", "png", "webp"], mode: Mode
) -> None:
    content = encoded(gradient(80, 60), kind)
    for hashed in (False, True):
        found = kept(content, Form(None if mode == "no" else 80, 6, mode, format=form), hashed=hashed)
        assert (found.stored, found.stored_form) == (content, "original")
    for other in typing.cast(list[typing.Literal["jpeg", "png", "webp"]], ["jpeg", "png", "webp"]):
        if other != form:
            found = kept(content, Form(None if mode == "no" else 80, 6, mode, format=other))
            assert (found.stored_form, found.stored_format) == ("resized", other)
            assert codec.sniff((found.stored or b"")[:64]) == other
    enlarged = kept(content, Form(100, 6, "keep_ratio", only_if_bigger=False, format=form))
    assert (enlarged.stored_form, enlarged.stored_height_px) == ("resized", 100)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_the_same_bytes_hashed_or_not_in_any_thread(mode: Mode, kind: typing.Literal["jpeg", "png", "webp"]) -> None:
    form = Form(None if mode == "no" else 50, 9, mode, format=kind)
    contents = [encoded(gradient(90 + number, 70), "PNG") for number in range(6)]
    one_by_one = [kept(content, form, hashed=True).stored for content in contents]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda content: kept(content, form).stored, contents)) == one_by_one
    assert [codec.resized(content, form)[0] for content in contents] == one_by_one


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_what_is_encoded_takes_over_no_metadata(kind: typing.Literal["jpeg", "png", "webp"]) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    content = encoded(gradient(90, 60), exif=exif, icc_profile=b"no profile", comment=b"words", xmp=b"<x:xmpmeta/>")
    assert {"exif", "icc_profile", "comment", "xmp"} <= opened(content).info.keys()
    again = opened(kept(content, Form(30, 6, format=kind)).stored or b"")
    assert not {"exif", "icc_profile", "comment", "xmp"} & again.info.keys()


def test_no_enlarging_makes_a_bomb() -> None:
    line = encoded(gradient(2, 60_000), "PNG")
    cut = kept(line, Form(256, 6, "center_crop", only_if_bigger=False, format="png"))
    assert (cut.stored_width_px, cut.stored_height_px) == (256, 256)
    for kind in ("jpeg", "png", "webp"):
        form = Form(256, 6, "keep_ratio", only_if_bigger=False, format=typing.cast(typing.Any, kind))
        assert kept(line, form).stored == line
        assert codec.resized(line, form) == (line, "png")
        assert codec.formed(opened(line), form).size == (2, 60_000)


def test_what_is_too_long_for_a_format_stays_as_it_came_and_a_crop_is_a_png() -> None:
    long = gradient(20_000, 20)
    content = encoded(long, "PNG")
    form = Form(None, 80, "no", format="webp")
    assert kept(content, form).stored == content
    assert kept(content, dataclasses.replace(form, side_px=10, mode="keep_ratio")).stored_format == "webp"
    found, kind = codec.encode(long, form)
    assert (kind, codec.sniff(found[:64])) == ("png", "png")
    assert np.array_equal(pixels(found), np.asarray(long))


def test_qualities_are_those_of_the_formats() -> None:
    noise = np.random.default_rng(7).integers(0, 9, (64, 64, 3), np.uint8)
    noisy = Image.fromarray(np.asarray(gradient(64, 64)) // 2 + noise)
    for kind, lower, higher in (("jpeg", 50, 95), ("webp", 50, 95), ("png", 9, 0)):
        form = Form(None, lower, "no", format=typing.cast(typing.Any, kind))
        assert len(codec.encode(noisy, form)[0]) < len(
            codec.encode(noisy, dataclasses.replace(form, quality=higher))[0]
        )
    for form in (Form(None, 0, "no", format="png"), Form(None, LOSSLESS, "no", format="webp")):
        assert np.array_equal(pixels(codec.encode(noisy, form)[0]), np.asarray(noisy))
    assert not np.array_equal(pixels(codec.encode(noisy, Form(None, 100, "no", format="webp"))[0]), np.asarray(noisy))


@pytest.mark.parametrize(
    ("size", "limit", "status"),
    [((300, 100), 3.0, "ok"), ((301, 100), 3.0, "too_narrow"), ((100, 301), 3.0, "too_narrow"), ((99, 99), 1.0, "ok")],
)
@pytest.mark.parametrize("hashed", [False, True])
def test_narrow_pictures_are_refused_where_asked(
    size: tuple[int, int], limit: float, status: str, *, hashed: bool
) -> None:
    sink = io.BytesIO()
    gradient(*size).save(sink, "PNG")
    found = codec.prepare(sink.getvalue(), Limits(max_aspect_ratio=limit), Form(), hashed=hashed).inspected
    assert (found.status, found.detail) == (status, None if status == "ok" else f"{size[0]} x {size[1]} pixels")
