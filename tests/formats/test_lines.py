"""Lines: every line exactly once over any cut, in every compression, each with its place."""

from __future__ import annotations

import bz2
import gzip
import itertools
import random
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.errors import InputError
from pmd.formats import lines as lines_module
from pmd.formats.lines import MAX_LINE_BYTES, LineBatch, LongLine, head, ranges, read_lines, split_lines
from pmd.schema.keys import digest


def expected_lines(content: bytes) -> list[bytes]:
    """Split the slow way."""
    parts = content.split(b"\n")
    whole = [part.removesuffix(b"\r") for part in parts[:-1]]
    return [*whole, parts[-1]] if parts[-1] else whole


def in_ranges(path: str, cuts: Sequence[int], batch_bytes: int = 4096) -> list[bytes]:
    """Read a file in ranges cut at given bytes."""
    bounds = [0, *sorted(set(cuts) - {0}), None]
    return [
        line
        for start, stop in itertools.pairwise(bounds)
        for batch in read_lines(path, start or 0, stop, batch_bytes=batch_bytes)
        for line in batch.lines.to_pylist()
    ]


def random_text(seed: int, size: int) -> bytes:
    """Lines that do not compress, with the odd ones: empty, long, CRLF."""
    chance = random.Random(seed)
    parts = []
    while size > 0:
        length = chance.choice([0, 0, 1, 20, 80, 80, 300, 4000])
        parts.append(chance.randbytes(length).replace(b"\n", b"\t") + chance.choice([b"\n", b"\n", b"\r\n"]))
        size -= length + 1
    return b"".join(parts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines")


@pytest.mark.parametrize(
    ("buffer", "found"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"\r\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"a\r\n\r\nb\r", [b"a", b"", b"b\r"]),
        (b"\na\rb\r\r\n\n", [b"", b"a\rb\r", b""]),
        (b"\x00\xff\xe2\x80\xa8\n\x0b\x0c\x85", [b"\x00\xff\xe2\x80\xa8", b"\x0b\x0c\x85"]),
    ],
)
def test_a_buffer_is_cut_at_newlines_only(buffer: bytes, found: list[bytes]) -> None:
    lines, starts = split_lines(buffer)
    assert lines.to_pylist() == found
    lines.validate(full=True)
    assert all(buffer[start:].startswith(line) for start, line in zip(starts, found, strict=True))


@settings(max_examples=150, deadline=None)
@given(
    content=st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bb\r", b"\xff\x00", b"long " * 9]), max_size=60),
    cuts=st.lists(st.integers(0, 500), max_size=6),
    batch_bytes=st.sampled_from([1, 7, 64, 1 << 20]),
)
def test_plain_ranges_give_every_line_once(
    folder: Path, content: list[bytes], cuts: list[int], batch_bytes: int
) -> None:
    path = folder / "plain"
    path.write_bytes(b"".join(content))
    assert in_ranges(str(path), cuts, batch_bytes) == expected_lines(b"".join(content))


TEXT = random_text(1, 700_000)
LONG_LINES = b"\n".join(
    bytes([65 + n % 26]) + random.Random(n).randbytes(250_000).replace(b"\n", b"") for n in range(4)
)
STREAMS = {
    "one stream of small blocks": (TEXT, bz2.compress(TEXT, 1)),
    "pbzip2: a stream for each 150 kB": (
        TEXT,
        b"".join(bz2.compress(TEXT[at : at + 150_000], 1) for at in range(0, len(TEXT), 150_000)),
    ),
    "empty streams between": (
        TEXT,
        bz2.compress(b"") * 2 + bz2.compress(TEXT[:300_000], 1) + bz2.compress(b"") + bz2.compress(TEXT[300_000:], 2),
    ),
    "streams cut at line ends": (
        TEXT,
        b"".join(bz2.compress(line + b"\n") for line in TEXT.split(b"\n")[:40])
        + bz2.compress(b"\n".join(TEXT.split(b"\n")[40:]), 1),
    ),
    "lines longer than blocks": (LONG_LINES, bz2.compress(LONG_LINES, 1)),
    "nothing": (b"", bz2.compress(b"")),
    "one line": (b"one", bz2.compress(b"one")),
}


@settings(max_examples=5, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", STREAMS)
def test_bzip2_ranges_give_every_line_once(folder: Path, kind: str, data: st.DataObject) -> None:
    content, compressed = STREAMS[kind]
    path = folder / "compressed"
    path.write_bytes(compressed)
    cuts = data.draw(st.lists(st.integers(0, len(compressed) + 9), max_size=4))
    assert in_ranges(str(path), cuts, 1 << 16) == expected_lines(content)


def test_bzip2_ranges_far_from_the_start_of_the_file(folder: Path) -> None:
    content = random_text(2, 5_000_000)
    path = folder / "far.bz2"
    path.write_bytes(bz2.compress(content, 9))
    cuts = [2_500_000, 2_500_001, 4_100_000]
    assert in_ranges(str(path), cuts, 1 << 20) == expected_lines(content)


def test_tiny_bzip2_ranges(folder: Path) -> None:
    content = TEXT[:250_000]
    path = folder / "tiny.bz2"
    path.write_bytes(bz2.compress(content, 1))
    size = path.stat().st_size
    for step in (size // 40, size // 3):
        assert in_ranges(str(path), range(step, size, step)) == expected_lines(content)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_other_compressions_are_one_range(folder: Path, compress: object) -> None:
    path = folder / "whole"
    path.write_bytes(compress(TEXT))  # type: ignore[operator]
    assert ranges(str(path), 10_000) == [(0, None)]
    assert in_ranges(str(path), []) == expected_lines(TEXT)
    with pytest.raises(InputError, match="only plain and bzip2 files can be read in ranges"):
        in_ranges(str(path), [1000])


def test_ranges_cover_the_file(folder: Path) -> None:
    path = folder / "some"
    path.write_bytes(b"x" * 100)
    assert ranges(str(path), 40) == [(0, 40), (40, 80), (80, None)]
    assert ranges(str(path), 50) == [(0, 50), (50, None)]
    path.write_bytes(b"")
    assert ranges(str(path)) == [(0, None)]
    assert list(read_lines(str(path))) == []
    path.write_bytes(bz2.compress(TEXT))
    size = path.stat().st_size
    assert ranges(str(path), size - 1) == [(0, size - 1), (size - 1, None)]


def all_places(batches: Iterator[LineBatch]) -> list[tuple[str, bytes]]:
    return [(batch.place(i), line) for batch in batches for i, line in enumerate(batch.lines.to_pylist())]


@pytest.mark.parametrize("start", [0, 70_001])
def test_places_in_plain_files(folder: Path, start: int) -> None:
    path = folder / "places"
    path.write_bytes(TEXT)
    places = all_places(read_lines(str(path), start, 300_000, batch_bytes=5000))
    assert len(places) > 100
    for place, line in places:
        name, byte = place.rsplit(":byte ", 1)
        assert name == str(path)
        assert TEXT[int(byte) :].startswith(line)
        assert int(byte) == 0 or TEXT[int(byte) - 1] == ord("\n")


def test_places_in_compressed_files_and_members(folder: Path) -> None:
    path = folder / "places.gz"
    path.write_bytes(gzip.compress(b"a\nbb\nccc"))
    assert [place for place, _ in all_places(read_lines(str(path), batch_bytes=1))] == [
        f"{path}:decompressed byte {n}" for n in (0, 2, 5)
    ]
    archive = folder / "places.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("x/y.tsv", b"a\nbb\nccc")
        out.writestr("z", b"")
    assert all_places(read_lines(str(archive), member="x/y.tsv"))[2] == (f"{archive}!/x/y.tsv:byte 5", b"ccc")


def test_places_in_bzip2_blocks(folder: Path) -> None:
    path = folder / "places.bz2"
    path.write_bytes(bz2.compress(TEXT, 1))
    size = path.stat().st_size
    whole = all_places(read_lines(str(path), batch_bytes=250_000))
    cut = [
        place
        for start, stop in ((0, size // 2), (size // 2, None))
        for place in all_places(read_lines(str(path), start, stop, batch_bytes=999))
    ]
    assert whole == cut, "a place does not depend on the cut"
    assert whole[0][0] == f"{path}:bz2 block at bit 32, byte 0 of it"
    blocks = {place.split("bit ")[1].split(",")[0] for place, _ in whole}
    assert len(blocks) > 6
    assert len({place for place, _ in whole}) == len(whole)


def test_a_line_without_end_is_an_error(folder: Path) -> None:
    path = folder / "long"
    with path.open("wb") as file:
        file.write(b"short\n")
        file.write(b"x" * MAX_LINE_BYTES)
    assert sum(len(batch) for batch in read_lines(str(path))) == 2
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=rf"long:byte 6: a line is longer than {MAX_LINE_BYTES} bytes"):
        list(read_lines(str(path)))
    with pytest.raises(InputError, match=rf"long:byte 6: a line is longer than {MAX_LINE_BYTES} bytes"):
        list(read_lines(str(path), 3, 10))


def test_a_line_that_is_too_long_is_lost_alone(folder: Path) -> None:
    path = folder / "longer"
    long = b"x" * MAX_LINE_BYTES + b"x"
    path.write_bytes(b"short\n" + long + b"\nnext")
    where, why = f"{path}:byte 6", f"a line of {MAX_LINE_BYTES + 1} bytes, over {MAX_LINE_BYTES}"
    lost = LongLine(where, why, digest(long))
    before, *found, behind = read_lines(str(path))
    assert isinstance(before, LineBatch)
    assert isinstance(behind, LineBatch)
    assert (before.lines.to_pylist(), found, behind.lines.to_pylist()) == ([b"short"], [lost], [b"next"])
    assert behind.place(0) == f"{path}:byte {MAX_LINE_BYTES + 8}"
    assert list(read_lines(str(path), 3, 10)) == [lost], "the range that it starts in owns it"
    assert [batch.lines.to_pylist() for batch in read_lines(str(path), 10)] == [[b"next"]]
    assert [batch.lines.to_pylist() for batch in [head(str(path))] if batch] == [[b"short"]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 900), min_size=1, max_size=40), st.integers(1, 400), st.sampled_from(["plain", "bz2", "gz"])
)
def test_long_lines_among_others(lengths: list[int], batch_bytes: int, packing: str) -> None:
    """Every line comes once and in its order, whole or told, and where it stands, however pieces cut it."""
    texts = [bytes([97 + index % 26]) * length for index, length in enumerate(lengths)]
    content = b"\n".join([*texts, b""])
    pack = {"plain": bytes, "bz2": bz2.compress, "gz": gzip.compress}[packing]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(lines_module, "MAX_LINE_BYTES", 500)
        patch.setattr(lines_module, "_PIECE_BYTES", 90)
        patch.setattr(lines_module, "_plain_pieces", _in_small_pieces(lines_module._plain_pieces))
        patch.setattr(lines_module, "_bzip2_pieces", _in_small_pieces(lines_module._bzip2_pieces))
        path = Path(folder) / "a"
        path.write_bytes(pack(content))
        found: list[tuple[bytes | None, str]] = []
        for batch in read_lines(str(path), batch_bytes=batch_bytes):
            if isinstance(batch, LongLine):
                found.append((None, batch.where))
                assert batch.digest in {digest(text) for text in texts}
            else:
                found += [(line, batch.place(index)) for index, line in enumerate(batch.lines.to_pylist())]
    starts = list(itertools.accumulate([0, *(len(text) + 1 for text in texts[:-1])]))
    assert [line for line, _ in found] == [None if len(text) > 500 else text for text in texts]
    assert [int(re.findall("[0-9]+", place)[-1]) for _, place in found] == starts


def _in_small_pieces(pieces_of: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def small(*args: Any) -> Iterator[Any]:
        for piece, origin in pieces_of(*args):
            for at in range(0, len(piece), 90):
                yield piece[at : at + 90], origin if at == 0 else None

    return small


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_a_hole_is_an_error(folder: Path, pack: Callable[[bytes], bytes]) -> None:
    path = folder / "hole"
    path.write_bytes(pack(b"a\nb" + bytes(131_072) + b"\nc\n"))
    with pytest.raises(InputError, match=r"byte 3.*: a part of the file was never written"):
        list(read_lines(str(path)))
    path.write_bytes(pack(b"a\nb" + bytes(65_535) + b"\nc\n"))
    assert [len(batch) for batch in read_lines(str(path))] == [3], "a character like others"


def test_the_limit_holds_in_bzip2(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 200_000)
    path = folder / "long.bz2"
    path.write_bytes(bz2.compress(b"short\n" + LONG_LINES + b"\n", 1))
    lost = [batch for batch in read_lines(str(path)) if isinstance(batch, LongLine)]
    assert lost[0].where == f"{path}:bz2 block at bit 32, byte 6 of it"
    assert lost[0].why.endswith(", over 200000")


def test_genuine_rows(samples: Path) -> None:
    folder = samples / "yfcc100m"
    lf, crlf = (list(read_lines(str(folder / f"yfcc100m_dataset_23col{end}.tsv"))) for end in ("", "_crlf"))
    assert len(lf[0]) == 100
    assert lf[0].lines == crlf[0].lines
