"""Files that cost more than they weigh are told from those that are only large."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pmd.codec import structure
from tests.codec.pictures import inspected
from tests.fetch import hostile


def encoded(kind: str, size: tuple[int, int] = (40, 30), **more: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(buffer, kind, **more)
    return buffer.getvalue()


def big_tiff(order: str, tile: int) -> bytes:
    """Return a BigTIFF with a tiled picture of one pixel; its tile's sides are LONG and SHORT."""
    entries = ((322, 4, 1, struct.pack(f"{order}L4x", tile)), (323, 3, 1, struct.pack(f"{order}H6x", tile)))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)
    listed = b"".join(struct.pack(f"{order}HHQ", tag, kind, count) + value for tag, kind, count, value in entries)
    return head + struct.pack(f"{order}Q", len(entries)) + listed + bytes(8)


PLENTY = {
    "a JPEG of 1,000 segments": lambda: hostile.jpeg(b"\xff\xe1\0\x10http://ns.ad.co" * 1000),
    "a JPEG with padding": lambda: hostile.jpeg(b"\xff" * 4096),
    "EXIF of several segments": lambda: hostile.jpeg(
        hostile.segments(b"\xff\xe1", hostile.directory([(37500, 7, 120_000, 26)], content=bytes(120_000)))
    ),
    "EXIF whose tags share a value": lambda: hostile.jpeg(
        hostile.segments(
            b"\xff\xe1", hostile.directory([(282, 5, 1, 50), (283, 5, 1, 50), (305, 2, 20, 58)], content=bytes(40))
        )
    ),
    "a PNG of chunks of a hundred bytes": lambda: hostile.png(hostile.chunk(b"tEXt", b"a\0" + b"x" * 90) * 5_000),
    "a GIF with a long comment": lambda: hostile.gif(b"!\xfe" + (b"\xff" + b"x" * 255) * 8_000 + b"\0"),
    "a TIFF of a strip a row": lambda: encoded("TIFF", (4, 20_000), tiffinfo={278: 1}),
    "a TIFF with EXIF": lambda: encoded("TIFF", exif=encoded_exif()),
    "a progressive JPEG": lambda: encoded("JPEG", (2_000, 2_000), progressive=True),
}


def encoded_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 3
    exif.get_ifd(0x8769)[0x9286] = b"a comment that is longer than four bytes"
    return exif


@pytest.mark.parametrize("name", PLENTY)
def test_files_that_have_plenty_of_something_are_read(name: str) -> None:
    content = PLENTY[name]()
    found = inspected(content)
    assert (found.status, found.detail) == ("ok", None)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiles_are_measured_in_either_order_of_a_bigtiff(order: str) -> None:
    structure.check(big_tiff(order, 512), "tiff", (), 1_000_000)
    with pytest.raises(structure.Bomb, match="tiles of 2000 x 2000 pixels"):
        structure.check(big_tiff(order, 2_000), "tiff", (), 1_000_000)


@pytest.mark.parametrize(
    ("exif", "said"),
    [
        (hostile.pointing(10, 5_000), "over 2 times as long"),
        (b"Exif\0\0" + hostile.pointing(10, 5_000), "over 2 times as long"),
        (b"Exif\0\0" * 9, "behind many headers"),
        (hostile.directory([(282, 5, 600_000, 8)]).ljust(6_000_000, b"\0"), "bytes of numbers"),
        (hostile.directory([(34665, 4, 1, 38)], content=bytes(12) + hostile.pointing(10, 5_000)[8:]), "over 2 times"),
        (hostile.directories(70_000), "directories of"),
    ],
)
def test_what_is_wrong_with_metadata_is_said(exif: bytes, said: str) -> None:
    with pytest.raises(structure.Bomb, match=said):
        structure.check_exif(exif)


STARTS = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a", "tiff": b"II*\0", "bmp": b"BM"}


@given(st.sampled_from(sorted(STARTS)), st.binary(max_size=200))
def test_any_bytes_are_a_bomb_or_not_and_never_an_error(kind: str, rest: bytes) -> None:
    with contextlib.suppress(structure.Bomb):
        content = STARTS[kind] + rest
        structure.check(content, kind, structure.jpeg_markers(content), 10_000)
    with contextlib.suppress(structure.Bomb):
        structure.check_exif(rest)
