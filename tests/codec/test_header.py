"""What is told by the first bytes and by headers."""

from __future__ import annotations

import ast
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pmd import codec
from pmd.codec import Form, Limits, header, structure, verdicts
from tests.codec.pictures import FORMATS, encoded, gradient, inspected

#: Pillow warns of odd metadata; the tests' own setting would make errors of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_told_by_its_bytes(kind: str) -> None:
    found = inspected(encoded(gradient(), kind))
    assert found == codec.Inspected("ok", FORMATS[kind], 300, 200, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!doctype html><html>",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(99),
        b"P6\n2 2\n255\n" + bytes(12),
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1" + bytes(99),
        b"BMW and other makers" + bytes(99),
        b"\x89PNG\r\n",
        b"%PDF-1.4",
    ],
)
def test_everything_else_is_no_image(content: bytes) -> None:
    assert inspected(content).status == "not_an_image"
    assert codec.prepare(content, Limits(), Form(64), hashed=True).inspected.status == "not_an_image"


def png(width: int, height: int) -> bytes:
    chunks = (
        b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(99)),
        b"IEND",
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def webp(width: int, height: int) -> bytes:
    extended = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + extended


@pytest.mark.parametrize(
    "content", [png(65536, 65536), png(20_000, 10_000), webp(16_384, 16_384), encoded(gradient(200, 100))]
)
def test_bombs_are_refused_by_their_header(content: bytes) -> None:
    limits = Limits(max_pixels=19_999) if content[:2] == b"\xff\xd8" else Limits()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inspected(content, limits).status == "bomb"


def test_a_limit_above_pillows_own_holds() -> None:
    found = inspected(png(20_000, 10_000), Limits(max_pixels=10**9))
    assert found.status == "undecodable"  # it was let through, and has no pixels


def test_too_many_scans_are_a_bomb() -> None:
    content = encoded(gradient(), progressive=True)
    assert inspected(content).status == "ok"
    scan = content[content.rindex(b"\xff\xda") : -2]
    assert inspected(content[:-2] + scan * 600 + b"\xff\xd9").status == "bomb"


def test_frames_are_counted_and_the_first_is_taken() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert inspected(content).frames == 3, kind
        assert np.abs(np.asarray(codec.upright_rgb(content)).mean((0, 1)) - (255, 0, 0)).max() < 4
    many = encoded(frames[0], "GIF") + b""
    block = many[many.index(b"\x2c") : -1]
    assert inspected(many[:-1] + block * 20_000 + b";").frames == codec.MAX_FRAMES


LOSSLESS_HEADER = b"\xff\xd8\xff\xc3\x00\x11\x08\x00\x95\x00\xe3\x03\x52\x11\x00\x47\x11\x00\x42\x11\x00"


def frame_header(content: bytes) -> tuple[int, tuple[int, int]] | None:
    return header._frame_header(content, structure.jpeg_markers(content))


def test_frame_headers_are_found_where_libjpeg_finds_them() -> None:
    assert frame_header(encoded(gradient())) == (0xC0, (300, 200))
    assert frame_header(encoded(gradient(), progressive=True)) == (0xC2, (300, 200))
    assert frame_header(LOSSLESS_HEADER) == (0xC3, (227, 149))
    plain = encoded(gradient())
    assert frame_header(plain[:2] + b"junk\xff\xff\xff\x00" + plain[2:]) == (0xC0, (300, 200))
    assert frame_header(plain[:2] + b"\xff\xda" + plain[2:]) is None
    assert frame_header(b"\xff\xd8\xff") is None


def test_headers_are_judged_without_a_decoder() -> None:
    for module in (verdicts, structure, header):
        tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        assert not {name.split(".")[0] for name in names} - {*sys.stdlib_module_names, "pmd"}
        assert {name for name in names if name.startswith("pmd.")} <= {"pmd.codec", "pmd.codec.verdicts"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (300, 200), (17, 4000)])
def test_the_size_of_what_is_written_stands_in_its_header(kind: str, size: tuple[int, int]) -> None:
    content = encoded(gradient(*size), kind)
    assert codec.written_size(content) == size
    if kind == "WEBP":
        assert codec.written_size(encoded(gradient(*size), kind, lossless=True)) == size
    for length in (0, 3, 12, 20):
        assert codec.written_size(content[:length]) in {None, (0, 0)}
    assert codec.written_size(encoded(gradient(*size), "GIF")) is None
