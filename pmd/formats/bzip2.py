"""Blocks of a bzip2 file, each decoded alone, so that one 15 GB file can be read by many workers.

A bzip2 file is one or more streams; a stream is a header, blocks that follow each other without byte alignment, and an
end mark with the checksum of all of them. A block begins with 48 fixed bits, so blocks are found by looking for them
at every bit. The same 48 bits may stand by chance within a block: a block ends at the first mark up to which it decodes
with its own checksum, and marks that are passed over that way are none.
"""

from __future__ import annotations

import bz2
import dataclasses
from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from pmd.errors import InputError
from pmd.formats.streams import FETCH_AGAIN, read_head
from pmd.store import storage

_BLOCK: Final = 0x314159265359  # the digits of pi, which begin a block
_END: Final = 0x177245385090  # those of its square root, which end a stream
_MAGIC_BITS: Final = 48
_CRC_BITS: Final = 32
_HEADER_BYTES: Final = 4
_LEVELS: Final = b"123456789"

#: No block is longer: 900,000 bytes grow by 1 % and 600 bytes at worst (bzip2's manual); twice that to be sure.
MAX_BLOCK_BYTES: Final = 1 << 21
_READ_BYTES: Final = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """One decoded block.

    Attributes:
        bit: Position of its first bit in the file.
        data: Its plain bytes, at most 900,000 before run lengths are undone.
    """

    bit: int
    data: bytes


def blocks_from(path: str, start: int = 0, stop: int | None = None) -> Iterator[Block]:
    """Yield the block before the first that starts in [start, stop), if there is one, then that and all after it.

    There may be several before it. Nothing is yielded where no block starts in the range. Blocks after `stop` are
    decoded only as they are asked for; all streams of the file count as one.

    Args:
        path: A file that begins with a bzip2 header.
        start: First byte of the range; a block starts in it when the byte that holds its first bit does.
        stop: End of the range, exclusive; None means the end of the file.

    Raises:
        InputError: A block fails its checksum, the file is truncated, or something else stands in it; names the byte.
    """
    with storage.open_raw(path) as file:
        margin = MAX_BLOCK_BYTES
        while start - margin > 0:
            window = _Window(file, path, start - margin)
            if not window.has_block(8 * start, None if stop is None else 8 * stop):
                return
            # The nearest block before the range that decodes is a true one, and leads to the range's first.
            for bit in reversed([at for at, is_block in window.marks if is_block and at < 8 * start]):
                if window.decode(bit) is not None:
                    yield from _walk(window, bit, None)
                    return
            margin *= 2
        window = _Window(file, path, 0)
        first = window.stream_at(0)
        if first is not None:
            yield from _walk(window, first, 0)


def _walk(window: _Window, bit: int, combined: int | None) -> Iterator[Block]:
    """Yield blocks from the one at `bit` on; `combined` is its stream's checksum so far, None if not known."""
    at: int | None = bit
    while at is not None:
        decoded = window.decode(at)
        if decoded is None:
            raise window.damaged(at)
        yield Block(at, decoded.data)
        if combined is not None:
            combined = ((combined << 1 | combined >> 31) & 0xFFFFFFFF) ^ decoded.crc
        at = decoded.end
        if decoded.ends_stream:
            at = window.after_stream(at, combined)
            combined = 0
        if at is not None:
            window.drop(at)


@dataclasses.dataclass(frozen=True, slots=True)
class _Decoded:
    data: bytes
    crc: int
    end: int
    ends_stream: bool


class _Window:
    """A part of the compressed file, growing at its end as it is asked for, with the marks in it.

    Attributes:
        marks: (bit in the file, whether a block begins there, else a stream ends), ascending; some are there by chance.
    """

    def __init__(self, file: BinaryIO, path: str, start: int) -> None:
        self._file = file
        self._path = path
        self._start = start
        self._data = b""
        self._ended = False
        self.marks: list[tuple[int, bool]] = []
        file.seek(start)

    def _grow(self) -> bool:
        """Read on; return False at the end of the file."""
        more = b"" if self._ended else read_head(self._file, _READ_BYTES)
        if not more:
            self._ended = True
            return False
        # A mark may lie over the seam: look again from six bytes before it, and keep what ends after it.
        seam = len(self._data)
        self._data += more
        first = max(seam - _MAGIC_BITS // 8, 0)
        self.marks += [
            (8 * (self._start + first) + bit, is_block)
            for bit, is_block in find_marks(self._data[first:])
            if 8 * first + bit + _MAGIC_BITS > 8 * seam
        ]
        return True

    @property
    def _stop(self) -> int:
        return self._start + len(self._data)

    def has_block(self, start_bit: int, stop_bit: int | None) -> bool:
        """Return whether a block may start in a range of bits; reads up to it."""
        seen = 0
        while True:
            for bit, is_block in self.marks[seen:]:
                if is_block and bit >= start_bit:
                    return stop_bit is None or bit < stop_bit
            seen = len(self.marks)
            if stop_bit is not None and 8 * self._stop >= stop_bit + _MAGIC_BITS:
                return False
            if 8 * self._stop > start_bit + 16 * MAX_BLOCK_BYTES:
                return True  # no bzip2 file is that long without a block: let decoding find out what it is
            if not self._grow():
                return False

    def drop(self, bit: int) -> None:
        """Forget what stands before a bit, when it is much."""
        passed = bit // 8 - self._start
        if passed >= _READ_BYTES:
            self._data = self._data[passed:]
            self._start += passed
            self.marks = [mark for mark in self.marks if mark[0] >= bit]

    def decode(self, bit: int) -> _Decoded | None:
        """Return the block at a bit, decoded up to the nearest mark that ends it; None where it is none, or damaged."""
        index = 0
        while True:
            for end, is_block in self.marks[index:]:
                index += 1
                if end <= bit:
                    continue
                if end - bit > 8 * MAX_BLOCK_BYTES:
                    return None
                decoded = _decode(self._data, bit - 8 * self._start, end - 8 * self._start)
                if decoded is not None:
                    return _Decoded(*decoded, end, not is_block)
            if 8 * self._stop - bit > 8 * MAX_BLOCK_BYTES or not self._grow():
                return None

    def after_stream(self, bit: int, combined: int | None) -> int | None:
        """Check the end of a stream, and return the first block of what follows; None at the end of the file."""
        crc = self._bits(bit + _MAGIC_BITS, _CRC_BITS)
        if crc is None:
            raise self._truncated("the checksum that ends a bzip2 stream")
        if combined is not None and crc != combined:
            raise InputError(
                "blocks of the bzip2 stream are missing or in another order",
                where=f"{self._path}:byte {bit // 8}",
                expected=f"the checksum {crc:08x} over all blocks of the stream",
                found=f"{combined:08x}",
                remedy=FETCH_AGAIN,
            )
        return self.stream_at((bit + _MAGIC_BITS + _CRC_BITS + 7) // 8)

    def stream_at(self, byte: int) -> int | None:
        """Return the first block of the stream whose header stands at a byte, or of those after it if it has none."""
        while True:
            while self._stop < byte + _HEADER_BYTES and self._grow():
                pass
            header = self._data[byte - self._start : byte - self._start + _HEADER_BYTES]
            if not header:
                return None
            magic_at = 8 * (byte + _HEADER_BYTES)
            magic = self._bits(magic_at, _MAGIC_BITS)
            level = header[3:4]
            if header[:3] != b"BZh"[: len(header)] or (level and level not in _LEVELS):
                raise self._foreign(byte, header)
            if magic is None:
                raise self._truncated("a bzip2 stream")
            if magic == _BLOCK:
                return magic_at
            if magic != _END:
                raise self._foreign(byte, header)
            if self._bits(magic_at + _MAGIC_BITS, _CRC_BITS) is None:
                raise self._truncated("the checksum that ends a bzip2 stream")
            byte += _HEADER_BYTES + (_MAGIC_BITS + _CRC_BITS) // 8

    def _bits(self, bit: int, count: int) -> int | None:
        """Return bits of the file as a number; None where it ends before them."""
        last = (bit + count + 7) // 8
        while self._stop < last and self._grow():
            pass
        if self._stop < last:
            return None
        number = int.from_bytes(self._data[bit // 8 - self._start : last - self._start], "big")
        return number >> (8 * last - bit - count) & ((1 << count) - 1)

    def damaged(self, bit: int) -> InputError:
        """Return the error that says why no block could be decoded at a bit."""
        if self._ended and not any(mark > bit for mark, _ in self.marks):
            return self._truncated(f"the end of the bzip2 block at bit {bit}")
        return InputError(
            f"the bzip2 block at bit {bit} is damaged",
            where=f"{self._path}:byte {bit // 8}",
            expected="a block that decodes and has its own checksum",
            found=f"none up to any of the next marks within {MAX_BLOCK_BYTES} bytes",
            remedy=FETCH_AGAIN,
        )

    def _truncated(self, expected: str) -> InputError:
        return InputError(
            "the bzip2 data end too early: the file is truncated",
            where=f"{self._path}:byte {self._stop}",
            expected=expected,
            found="the end of the file",
            remedy=FETCH_AGAIN,
        )

    def _foreign(self, byte: int, found: bytes) -> InputError:
        return InputError(
            "something that is not bzip2 follows the bzip2 data" if byte else "not a bzip2 file",
            where=f"{self._path}:byte {byte}",
            expected="the end of the file, or another bzip2 stream",
            found=repr(found),
            remedy=FETCH_AGAIN,
        )


def find_marks(data: bytes) -> list[tuple[int, bool]]:
    """Return where the 48 bits that begin a block, or end a stream, stand in bytes, at any bit.

    Returns:
        (bit, True for a block or False for an end), ascending.
    """
    # Whatever the bit, the second and third byte of a mark are wholly its own: only where two bytes are one of those
    # sixteen pairs (one place in 4,096) is the rest looked at.
    octets = np.frombuffer(b"\0" + data + b"\0\0", np.uint8)
    pairs = octets[1:-1].astype(np.uint16) << 8 | octets[2:]
    seconds = np.flatnonzero(_PAIRS[pairs])
    seconds = seconds[seconds + 5 < len(data) + 1]
    windows = np.zeros(len(seconds), np.uint64)
    for column in range(7):  # from the byte before the pair
        windows = windows << np.uint64(8) | octets[seconds + column]
    marks: list[tuple[int, bool]] = []
    for shift in range(8):
        values = windows >> np.uint64(8 - shift) & np.uint64((1 << _MAGIC_BITS) - 1)
        for magic in (_BLOCK, _END):
            hits = seconds[values == magic]
            marks += [(8 * (int(hit) - 1) + shift, magic == _BLOCK) for hit in hits]
    return sorted(mark for mark in marks if mark[0] >= 0 and mark[0] + _MAGIC_BITS <= 8 * len(data))


def _pairs() -> npt.NDArray[np.bool_]:
    """Return which values of two bytes may be the second and third of a mark."""
    table = np.zeros(1 << 16, np.bool_)
    for magic in (_BLOCK, _END):
        for shift in range(8):
            table[magic << (8 - shift) >> 32 & 0xFFFF] = True
    return table


_PAIRS: Final = _pairs()


def _decode(data: bytes, bit: int, end: int) -> tuple[bytes, int] | None:
    """Decode the bits [bit, end) as exactly one block; return its plain bytes and checksum, None if they are not that.

    The block is moved to a byte's edge, given a header before and an end mark after whose checksum is its own.
    """
    length = end - bit
    if length < _MAGIC_BITS + _CRC_BITS:
        return None
    octets = np.frombuffer(data, np.uint8, count=(end + 7) // 8 - bit // 8, offset=bit // 8)
    if shift := bit % 8:
        following = np.append(octets[1:], np.uint8(0))
        octets = octets << np.uint8(shift) | following >> np.uint8(8 - shift)
    whole, rest = divmod(length, 8)
    crc = int.from_bytes(octets[6:10].tobytes(), "big")
    tail = int(octets[whole]) >> (8 - rest) if rest else 0
    trailer = (tail << _MAGIC_BITS | _END) << _CRC_BITS | crc
    bits = rest + _MAGIC_BITS + _CRC_BITS
    trailer_bytes = (trailer << (-bits % 8)).to_bytes((bits + 7) // 8, "big")
    decoder = bz2.BZ2Decompressor()
    try:
        plain = decoder.decompress(b"BZh9" + octets[:whole].tobytes() + trailer_bytes)
    except OSError:
        return None
    return (plain, crc) if decoder.eof and not decoder.unused_data else None
