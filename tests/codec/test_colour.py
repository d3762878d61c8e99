"""Colours as sRGB on white."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pmd import codec
from tests.codec.pictures import difference, encoded, gradient, opened
from tests.fetch import hostile

#: Pillow warns of odd metadata; the tests' own setting would make errors of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def test_colours_become_srgb_on_white() -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    half = Image.new("RGBA", (64, 64), (255, 0, 0, 128))
    palette = gradient(64, 64).quantize(8)
    cases = {
        "clear": (encoded(clear, "PNG"), (255, 255, 255)),
        "half": (encoded(half, "PNG"), (255, 127, 127)),
        "grey and alpha": (encoded(Image.new("LA", (64, 64), (0, 0)), "PNG"), (255, 255, 255)),
        "16 bits": (encoded(Image.fromarray(np.full((64, 64), 0x80FF, np.uint16)), "PNG"), (128, 128, 128)),
        "CMYK": (encoded(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG"), (254, 0, 0)),
        "bilevel": (encoded(Image.new("1", (64, 64), 1), "PNG"), (255, 255, 255)),
        "transparent palette": (encoded(palette, "PNG", transparency=bytes(8)), (255, 255, 255)),
        "clear GIF": (encoded(Image.new("P", (64, 64), 0), "GIF", transparency=0), (255, 255, 255)),
    }
    for name, (content, expected) in cases.items():
        picture = codec.upright_rgb(content)
        assert picture.mode == "RGB"
        colour = np.asarray(picture).reshape(-1, 3).mean(0)
        assert np.abs(colour - expected).max() <= 2, name


def test_the_clear_colour_of_a_png_is_clear_at_any_depth() -> None:
    """PNG (third edition) §11.3.1.1: what has this value has no colour, and all else is opaque."""
    other, ten = 0x80_00, 0x12_34
    grey = np.tile(np.array([ten, other], np.uint16), (2, 1))
    colours = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.repeat(grey, 3, axis=1)))
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    pictures = {
        f"{depth} bits of grey": b"\x89PNG\r\n\x1a\n"
        + hostile.chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, depth, 0, 0, 0, 0))
        + hostile.chunk(b"tRNS", struct.pack(">H", 1))
        + hostile.chunk(b"IDAT", zlib.compress(bytes([0, first, 0, first])))
        + hostile.chunk(b"IEND", b"")
        for depth, first in ((2, 0b0110_0000), (4, 0b0001_1000))
    } | {
        "one bit": encoded(Image.fromarray(grey == other), "PNG", transparency=0),
        "16 bits of grey": encoded(Image.fromarray(grey), "PNG", transparency=ten),
        "16 bits of colours": b"\x89PNG\r\n\x1a\n"
        + hostile.chunk(b"IHDR", header)
        + hostile.chunk(b"tRNS", struct.pack(">HHH", ten, ten, ten))
        + hostile.chunk(b"IDAT", colours)
        + hostile.chunk(b"IEND", b""),
    }
    found = {name: np.asarray(codec.upright_rgb(content))[..., 0].tolist() for name, content in pictures.items()}
    assert found == {
        "2 bits of grey": [[255, 170]] * 2,
        "4 bits of grey": [[255, 136]] * 2,
        "one bit": [[255, 255]] * 2,
        "16 bits of grey": [[255, 128]] * 2,
        "16 bits of colours": [[255, 128]] * 2,
    }


def test_profiles_are_followed_and_srgb_is_left_alone() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = gradient(128, 128)
    plain = encoded(image)
    tagged = encoded(image, icc_profile=srgb)
    assert codec.resized(tagged, codec.Form(200)) == (tagged, "jpeg")
    assert difference(codec.upright_rgb(plain), codec.upright_rgb(tagged)) == 0
    swapped = bytearray(srgb)  # the red primary in the place of the blue one, and the other way round
    red, blue = (swapped.index(tag) + 4 for tag in (b"rXYZ", b"bXYZ"))
    swapped[red : red + 4], swapped[blue : blue + 4] = swapped[blue : blue + 4], swapped[red : red + 4]
    odd = encoded(image, icc_profile=bytes(swapped))
    pictured = np.asarray(codec.upright_rgb(odd), np.int16)
    assert np.abs(pictured - np.asarray(codec.upright_rgb(plain), np.int16)[..., ::-1]).mean() < 2
    kept, _ = codec.resized(odd, codec.Form(200))
    assert kept != odd
    assert "icc_profile" not in opened(kept).info
    broken = encoded(image, icc_profile=b"no profile")
    assert difference(codec.upright_rgb(broken), codec.upright_rgb(plain)) == 0
