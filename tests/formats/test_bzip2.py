"""bzip2 blocks: found at any bit, decoded alone, told from marks that stand there by chance."""

from __future__ import annotations

import bz2
import random
from pathlib import Path

import pytest

from pmd.errors import InputError
from pmd.formats import bzip2
from pmd.formats.bzip2 import Block, blocks_from, find_marks
from pmd.formats.lines import read_lines

CONTENT = b"".join(random.Random(n).randbytes(60).replace(b"\n", b"") + b"\n" for n in range(12_000))


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("shift", range(8))
@pytest.mark.parametrize(("magic", "is_block"), [(0x314159265359, True), (0x177245385090, False)])
def test_marks_are_found_at_any_bit(shift: int, magic: int, is_block: bool) -> None:
    for before, after in ((0, 0), (0, 5), (3, 0), (3, 5)):
        number = magic << (8 - shift) % 8
        data = b"\xaa" * before + number.to_bytes(7 if shift else 6, "big") + b"\x55" * after
        assert find_marks(data) == [(8 * before + shift, is_block)]
    assert find_marks(number.to_bytes(7 if shift else 6, "big")[:-1]) == []


def test_no_marks_in_nothing() -> None:
    assert find_marks(b"") == []
    assert find_marks(b"1AY&S") == []


def test_blocks_join_to_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a", bz2.compress(CONTENT, 1))
    blocks = list(blocks_from(path))
    assert b"".join(block.data for block in blocks) == CONTENT
    assert len(blocks) >= 7
    later = list(blocks_from(path, blocks[3].bit // 8))
    assert later[-4:] == blocks[-4:]
    assert blocks[2] in later


def test_a_range_without_a_block_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", bz2.compress(CONTENT, 1))
    monkeypatch.setattr(bzip2, "MAX_BLOCK_BYTES", 150_000)
    blocks = list(blocks_from(path))
    inside = blocks[4].bit // 8 + 1
    assert list(blocks_from(path, inside, inside + 100)) == []
    assert list(blocks_from(path, 10**9)) == []


def chance_mark_content() -> bytes:
    """Return text whose blocks truly hold a block's mark within.

    A block says which bytes it uses as bit maps of 16 bits, one after the other; those used here read
    0x3141 0x5926 0x5359.
    """
    used = [
        16 * row + column
        for row, bits in ((4, 0x3141), (5, 0x5926), (6, 0x5359))
        for column in range(16)
        if bits >> (15 - column) & 1
    ]
    chance = random.Random(5)
    return bytes(chance.choice(used) for _ in range(250_000))


@pytest.mark.parametrize("far", [False, True])
def test_a_mark_by_chance_within_a_block_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: bool) -> None:
    content = chance_mark_content()
    compressed = bz2.compress(content, 1)
    path = write(tmp_path / "a", compressed)
    starts = [bit for bit, is_block in find_marks(compressed) if is_block]
    blocks = list(blocks_from(path))
    assert len(starts) == 2 * len(blocks), "each block has its own mark and one within"
    assert b"".join(block.data for block in blocks) == content
    if far:  # so that a range looks for a block before it and not at the file's start
        monkeypatch.setattr(bzip2, "MAX_BLOCK_BYTES", 90_000)
    for cut in sorted({bit // 8 + extra for bit in starts for extra in (0, 1)}):
        rows = [
            line
            for start, stop in ((0, cut), (cut, None))
            for batch in read_lines(path, start, stop)
            for line in batch.lines.to_pylist()
        ]
        assert rows == [content], cut


def test_damage_names_the_block(tmp_path: Path) -> None:
    compressed = bytearray(bz2.compress(CONTENT, 1))
    path = write(tmp_path / "a", bytes(compressed))
    victim = list(blocks_from(path))[3]
    for extra in (8, 9_000):  # its checksum, its data
        damaged = bytearray(compressed)
        damaged[victim.bit // 8 + extra] ^= 0x10
        path = write(tmp_path / "a", bytes(damaged))
        for start in (0, victim.bit // 8):
            with pytest.raises(InputError, match=rf"a:byte {victim.bit // 8}: the bzip2 block at bit {victim.bit} is"):
                list(read_lines(path, start))


def test_a_missing_block_is_noticed_by_the_checksum_of_all(tmp_path: Path) -> None:
    compressed = bz2.compress(CONTENT, 1)
    number = int.from_bytes(compressed, "big")
    total = 8 * len(compressed)
    path = write(tmp_path / "a", compressed)
    third, fourth = (block.bit for block in list(blocks_from(path))[2:4])
    head = number >> (total - third)
    tail = number & ((1 << (total - fourth)) - 1)
    joined_bits = third + total - fourth
    joined = (head << (total - fourth) | tail) << (-joined_bits % 8)
    path = write(tmp_path / "a", joined.to_bytes((joined_bits + 7) // 8, "big"))
    with pytest.raises(InputError, match="blocks of the bzip2 stream are missing or in another order"):
        list(blocks_from(path))


@pytest.mark.parametrize("cut", [1, 4, 9, 11, 20, 50_000])
def test_truncation_names_the_last_byte(tmp_path: Path, cut: int) -> None:
    compressed = bz2.compress(CONTENT[:400_000], 1)
    path = write(tmp_path / "a", compressed[:-cut])
    with pytest.raises(InputError, match=rf"a:byte {len(compressed) - cut}: .*truncated"):
        list(blocks_from(path))
    with pytest.raises(InputError, match="truncated"):
        list(blocks_from(path, len(compressed) - cut - 60_000))


@pytest.mark.parametrize("rest", [b"x", b"BZh", b"garbage that is longer", b"BZh9garbage"])
def test_something_else_after_the_stream_is_an_error(tmp_path: Path, rest: bytes) -> None:
    compressed = bz2.compress(CONTENT[:1000])
    path = write(tmp_path / "a", compressed + rest)
    with pytest.raises(InputError, match=rf"a:byte {len(compressed)}: something that is not bzip2|truncated"):
        list(blocks_from(path))


def test_a_block_says_where_it_is(tmp_path: Path) -> None:
    assert list(blocks_from(write(tmp_path / "a", bz2.compress(b"one")))) == [Block(32, b"one")]
