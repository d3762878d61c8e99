"""Files that cost more than they weigh are told from those that are only large."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pmd.codec import structure
from tests.codec.pictures import inspected
from tests.fetch import hostile
from tests.fetch.hostile import encoded


def big_tiff(order: str, tile: int) -> bytes:
    """Return a BigTIFF with a tiled picture of one pixel; its tile's sides are LONG and SHORT."""
    entries = ((322, 4, 1, struct.pack(f"{order}L4x", tile)), (323, 3, 1, struct.pack(f"{order}H6x", tile)))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)
    listed = b"".join(struct.pack(f"{order}HHQ", tag, kind, count) + value for tag, kind, count, value in entries)
    return head + struct.pack(f"{order}Q", len(entries)) + listed + bytes(8)


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">L4s", 8 + len(body), name) + body


def boxes(content: bytes) -> dict[bytes, bytes]:
    """Return the boxes that some bytes are, by name, without their heads."""
    found, at = {}, 0
    while at < len(content):
        size, name = struct.unpack_from(">L4s", content, at)
        found[name] = content[at + 8 : at + size]
        at += size
    return found


def tiled_avif(side: int, padding: int) -> bytes:
    """Return an AVIF of side x side tiles, each the same one, in two pieces: its picture, and padding that all share."""
    top = boxes(encoded("AVIF", (64, 64)))
    meta = boxes(top[b"meta"][4:])
    described = [(name, box(name, body)) for name, body in boxes(boxes(meta[b"iprp"])[b"ipco"]).items()]
    sizes = struct.pack(">LLL", 0, 64 * side, 64 * side)
    properties = box(b"ipco", *(made for _, made in described), box(b"ispe", sizes))
    of_tile = bytes(number | (0x80 if name == b"av1C" else 0) for number, (name, _) in enumerate(described, 1))
    of_all = bytes(number for number, (name, _) in enumerate(described, 1) if name in {b"pixi", b"colr"})
    of_all += bytes([len(described) + 1])
    tiles = range(2, 2 + side * side)
    count = struct.pack(">H", 1 + len(tiles))
    given = [(1, of_all), *((tile, of_tile) for tile in tiles)]
    owned = [struct.pack(">HB", item, len(numbers)) + numbers for item, numbers in given]
    kinds = [(1, b"grid"), *((tile, b"av01") for tile in tiles)]
    infos = [box(b"infe", struct.pack(">LHH", 2 << 24, item, 0), kind, b"\0") for item, kind in kinds]
    parts = struct.pack(f">{2 + len(tiles)}H", 1, len(tiles), *tiles)
    grid = struct.pack(">BBBBHH", 0, 0, side - 1, side - 1, 64 * side, 64 * side)
    picture = top[b"mdat"]
    length = padding - 5  # an OBU of padding: its head, and its length in four groups of seven bits
    pad = bytes([15 << 3 | 2, *(length >> shift & 0x7F | (0x80 if shift < 21 else 0) for shift in (0, 7, 14, 21))])

    def located(at: int) -> bytes:
        first = struct.pack(">HHHLL", 1, 0, 1, at, len(grid))
        at += len(grid)
        each = [struct.pack(">HHHLLLL", tile, 0, 2, at, len(picture), at + len(picture), padding) for tile in tiles]
        return box(b"iloc", bytes(4), b"\x44\0", count, first, *each)

    def described_at(at: int) -> bytes:
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", meta[b"hdlr"]),
            box(b"pitm", struct.pack(">LH", 0, 1)),
            located(at),
            box(b"iinf", bytes(4), count, *infos),
            box(b"iref", bytes(4), box(b"dimg", parts)),
            box(b"iprp", properties, box(b"ipma", struct.pack(">LL", 0, len(given)), *owned)),
        )

    head = box(b"ftyp", top[b"ftyp"])
    at = len(head) + len(described_at(0)) + 8
    return head + described_at(at) + box(b"mdat", grid, picture, pad, b"\x80" * length)


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
    "an AVIF of a hundred tiles": lambda: tiled_avif(10, 40),
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


def test_the_pieces_of_an_avif_come_to_no_more_than_its_file() -> None:
    # Each tile is copied with all of the padding: 400 tiles of a megabyte took half a gigabyte, 40,000 would take all there is.
    found = inspected(tiled_avif(20, 1_000_000))
    assert (found.status, found.detail) == (
        "bomb",
        "an AVIF whose items are over 2 times as long as all that holds them",
    )


@pytest.mark.parametrize("version", [0, 1, 2])
def test_items_of_an_avif_are_counted_in_each_form_of_their_box(version: int) -> None:
    number = "L" if version == 2 else "H"
    more = b"" if version == 0 else bytes(2)  # how places are counted
    pieces = struct.pack(">QQ", 0, 900) * 3
    item = struct.pack(f">{number}", 1) + more + bytes(2) + bytes(4) + struct.pack(">H", 3) + pieces
    iloc = bytes([version, 0, 0, 0, 0x88, 0x40]) + struct.pack(f">{number}", 1) + item
    whole = box(b"ftyp", b"avif") + box(b"uuid", bytes(16)) + box(b"meta", bytes(4), box(b"iloc", iloc))
    structure.check(whole + box(b"mdat", bytes(2_000)), "avif", (), 10_000)
    with pytest.raises(structure.Bomb, match="over 2 times as long"):
        structure.check(whole + box(b"mdat", bytes(900)), "avif", (), 10_000)


@pytest.mark.parametrize(("items", "pieces"), [(100_001, 0), (2, 60_000)])
def test_an_avif_has_not_any_number_of_items(items: int, pieces: int) -> None:
    item = bytes(8) + bytes(4) + struct.pack(">H", pieces) + bytes(8 * pieces)
    iloc = bytes([2, 0, 0, 0, 0x44, 0x40]) + struct.pack(">L", items) + item * items
    with pytest.raises(structure.Bomb, match="an AVIF of over 100000 items"):
        structure.check(box(b"meta", bytes(4), box(b"iloc", iloc)), "avif", (), 10_000)


STARTS = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a", "tiff": b"II*\0", "bmp": b"BM"}
STARTS["avif"] = b"\0\0\0\0meta\0\0\0\0\0\0\0\0iloc"


@given(st.sampled_from(sorted(STARTS)), st.binary(max_size=200))
def test_any_bytes_are_a_bomb_or_not_and_never_an_error(kind: str, rest: bytes) -> None:
    with contextlib.suppress(structure.Bomb):
        content = STARTS[kind] + rest
        structure.check(content, kind, structure.jpeg_markers(content), 10_000)
    with contextlib.suppress(structure.Bomb):
        structure.check_exif(rest)
