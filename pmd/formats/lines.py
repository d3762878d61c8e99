"""Lines of a file, or of a range of it, as Arrow arrays: how every reader of TSV and JSON Lines gets its rows.

A large file is cut into byte ranges that workers read alone. A range owns the lines that *start* in it, so that over
any cut every line is read exactly once. bzip2 is cut too (`pmd.formats.bzip2`), since YFCC100M is one 15 GB file of it;
gzip, xz and zstd cannot be. Lines are found over whole buffers: no Python object is made for a line. One that is too long to
be a row is passed over, and told as a `LongLine` between the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pmd.errors import InputError
from pmd.formats import archives, bzip2, encoding
from pmd.formats.compression import open_decompressed, sniff
from pmd.formats.streams import read_head
from pmd.store import storage

#: Default length of a range: some minutes of work for one core at most, and 250 chunks for all of YFCC100M.
RANGE_BYTES: Final = 64 * 1024 * 1024
#: No annotation row is near this, and a longer one would not fit in memory with copies.
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
#: How the reason of a row begins whose bytes are not UTF-8, which its reader rejects as `bad_encoding`.
INVALID_UTF8: Final = "invalid UTF-8"

_BATCH_BYTES: Final = 4 * 1024 * 1024
_PIECE_BYTES: Final = 1024 * 1024
_TAIL_BYTES: Final = 64 * 1024
#: Where the first block of a bzip2 file starts: behind its header.
_FIRST_BLOCK_BIT: Final = 32
_NEWLINE: Final = 10
_RETURN: Final = 13


@dataclasses.dataclass(frozen=True, slots=True)
class _Origin:
    """Where a piece of plain bytes comes from.

    Attributes:
        block_bit: First bit of its bzip2 block in the file, or None.
        byte: Position of its first byte: in the block, else in the file or its decompressed content.
    """

    block_bit: int | None
    byte: int


@dataclasses.dataclass(frozen=True, slots=True)
class LineBatch:
    """Lines, and where each stands.

    Attributes:
        lines: The lines' bytes without a newline, and without a carriage return before it.
        starts: Offset of each line in the buffer that `origins` describes.
        origins: (offset in that buffer, origin), ascending; each holds up to the next.
        label: What places call the file; with the word before their byte.
    """

    lines: pa.LargeBinaryArray
    starts: npt.NDArray[np.int64]
    origins: tuple[tuple[int, _Origin], ...]
    label: str

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.lines)

    def place(self, index: int) -> str:
        """Return where a line starts, by its index.

        Plain: "FILE:byte N"; gzip, xz and zstd: "FILE:decompressed byte N"; bzip2: "FILE:bz2 block at bit B, byte N of it".
        """
        return _place_of(self.label, self.origins, int(self.starts[index]))


@dataclasses.dataclass(frozen=True, slots=True)
class LongLine:
    """A line over `MAX_LINE_BYTES`, of which nothing was kept.

    Attributes:
        where: Its place, as `LineBatch.place` says it.
        why: What is wrong with it, with its length.
        digest: Of its bytes without the newline: what tells it from others.
    """

    where: str
    why: str
    digest: bytes


def ranges(path: str, target_bytes: int = RANGE_BYTES) -> list[tuple[int, int | None]]:
    """Cut a file into ranges for `read_lines` that workers can read alone.

    Depends on nothing but the file's size and kind. bzip2 is cut by compressed bytes.

    Args:
        path: The file.
        target_bytes: Length of a range; all have it but the last.

    Returns:
        Ranges [start, stop) in order; the last one's stop is None. gzip, xz, zstd and zip give one range.

    Raises:
        InputError: There is no such file.
    """
    if sniff(path) not in ("plain", "bzip2"):
        return [(0, None)]
    cuts = list(range(0, max(storage.size(path), 1), target_bytes))
    return list(zip(cuts, [*cuts[1:], None], strict=True))


def read_lines(
    path: str, start: int = 0, stop: int | None = None, *, batch_bytes: int = _BATCH_BYTES, member: str | None = None
) -> Iterator[LineBatch | LongLine]:
    """Yield the lines that start in a range, in order; empty ones too, and a last one without a newline.

    One over `MAX_LINE_BYTES` comes by itself. Where it does not end, it is an error: the file is another, or cut short.

    For bzip2, a line belongs to the range in which the *block* that holds its first byte starts. Memory does not grow
    with the range: a few times `batch_bytes`, and of the longest line. A byte order mark at the start of the file is no
    part of its first line.

    Args:
        path: The file.
        start: First byte of the range, as `ranges` gives it.
        stop: End of the range, exclusive; None means the end of the file.
        batch_bytes: Bytes of lines in a batch, about.
        member: A member of an archive, read whole.

    Raises:
        InputError: The file is damaged or truncated, has a hole, or ends in a line over `MAX_LINE_BYTES` without a newline;
            names the byte. Also where a range is asked of what cannot be cut.
    """
    yield from _read(path, start, stop, batch_bytes, member, pass_over=True)


def head(path: str, *, member: str | None = None, batch_bytes: int = _BATCH_BYTES) -> LineBatch | None:
    """Return the first lines of a file, of about `batch_bytes`, or None where it has none: for whoever looks what it is.

    Raises:
        InputError: As of `read_lines`, and where the first line is over `MAX_LINE_BYTES`: then nothing tells what it is.
    """
    first = next(_read(path, 0, None, batch_bytes, member, pass_over=False), None)
    assert not isinstance(first, LongLine)
    return first


def _read(
    path: str, start: int, stop: int | None, batch_bytes: int, member: str | None, *, pass_over: bool
) -> Iterator[LineBatch | LongLine]:
    """Yield lines as `read_lines` does, or raise at the first that is too long."""
    label = archives.location(path, member)
    compression = sniff(path) if member is None else None
    if compression == "plain":
        label, pieces = f"{label}:byte", _plain_pieces(path, start, stop)
    elif compression == "bzip2":
        label, pieces = f"{label}:", _bzip2_pieces(path, start, stop)
    elif start != 0 or stop is not None:
        raise InputError(
            "only plain and bzip2 files can be read in ranges",
            where=label,
            expected="a plain or bzip2 file",
            found=f"{compression or 'a member of an archive'}, and the range {start}…{stop}",
            remedy="plan again: the file has changed since",
        )
    else:
        word = "byte" if member is not None else "decompressed byte"
        label, pieces = f"{label}:{word}", _stream_pieces(path, member)
    yield from _batches(label, pieces, batch_bytes, pass_over=pass_over)


def split_lines(buffer: bytes | memoryview) -> tuple[pa.LargeBinaryArray, npt.NDArray[np.int64]]:
    """Cut a buffer at each newline; a rest after the last newline is a line, an empty rest is none.

    Returns:
        The lines without their ends, and each one's offset in the buffer.
    """
    data = np.frombuffer(buffer, np.uint8)
    newlines = np.flatnonzero(data == _NEWLINE)
    whole = not len(buffer) or data[-1] == _NEWLINE
    count = len(newlines) + (not whole)
    # Lines and what separates them are alternate values over the buffer, so that one gather copies only the lines.
    bounds = np.zeros(2 * count + 1, np.int64)
    ends, nexts = bounds[1::2], bounds[2::2]
    ends[: len(newlines)] = newlines
    nexts[: len(newlines)] = newlines + 1
    if not whole:
        ends[-1] = nexts[-1] = len(buffer)
    # Every newline has a byte before it but one at the buffer's start.
    ends[: len(newlines)] -= (newlines > 0) & (data[newlines - 1] == _RETURN)
    return every_other(buffer, bounds), bounds[0 : 2 * count : 2]


def every_other(
    buffer: bytes | memoryview | npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]
) -> pa.LargeBinaryArray:
    """Return values 0, 2, 4, … of those that `bounds` cut out of a buffer: by one gather, end to end."""
    pieces = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(buffer)]
    )
    # From buffers, since pa.array() imports pandas first.
    evens = np.arange(0, len(bounds) - 1, 2)
    return pieces.take(pa.Array.from_buffers(pa.int64(), len(evens), [None, pa.py_buffer(evens)]))


#: A piece of plain bytes and where its first byte comes from. An origin of None continues the piece before.
_Piece = tuple[bytes, _Origin | None]


def _plain_pieces(path: str, start: int, stop: int | None) -> Iterator[_Piece]:
    """Yield the bytes of the lines that start in [start, stop) of a plain file."""
    with storage.open_raw(path) as file:
        # A line starts at `start` only where the byte before is a newline, so reading begins there.
        position = max(start - 1, 0)
        if start == 0:
            position = encoding.mark_bytes(read_head(file, encoding.HEAD_BYTES), path)
            # The first line starts at its mark, whatever the range has of it.
            stop = None if stop is None else max(stop, position + bool(position))
        file.seek(position)
        looking = start > 0
        last = b"\n"
        begun = False
        while stop is None or position < stop:
            piece = file.read(_PIECE_BYTES if stop is None else min(_PIECE_BYTES, stop - position))
            if not piece:
                return
            position += len(piece)
            if looking:
                skipped = piece.find(b"\n") + 1
                looking = not skipped
                piece = piece[skipped:] if skipped else b""
            if piece:
                yield piece, None if begun else _Origin(None, position - len(piece))
                begun = True
                last = piece[-1:]
        if last == b"\n":
            return
        # The last line that starts in the range goes on after it.
        while tail := file.read(_TAIL_BYTES):
            end = tail.find(b"\n") + 1
            yield tail[: end or None], None
            if end:
                return


def _stream_pieces(path: str, member: str | None) -> Iterator[_Piece]:
    label = archives.location(path, member)
    with open_decompressed(path, member) as file:
        head = read_head(file, encoding.HEAD_BYTES)
        skipped = encoding.mark_bytes(head, label)
        if head[skipped:]:
            yield head[skipped:], _Origin(None, skipped)
        while piece := file.read(_PIECE_BYTES):
            yield piece, None


def _bzip2_pieces(path: str, start: int, stop: int | None) -> Iterator[_Piece]:
    """Yield the bytes of the lines whose first byte lies in a block that starts in [start, stop)."""
    at_line_start = True  # of the next byte
    ours = False  # a line that is ours has begun
    for block in bzip2.blocks_from(path, start, stop):
        if block.bit < 8 * start:
            at_line_start = block.data.endswith(b"\n")
            continue
        if stop is not None and block.bit >= 8 * stop:
            if not ours or at_line_start:
                return
            end = block.data.find(b"\n") + 1
            yield block.data[: end or None], _Origin(block.bit, 0)
            if end:
                return
            continue
        skipped = 0
        if block.bit == _FIRST_BLOCK_BIT:
            skipped = encoding.mark_bytes(block.data[: encoding.HEAD_BYTES], path)
        elif not ours and not at_line_start:
            skipped = block.data.find(b"\n") + 1
            if not skipped:
                continue
        if skipped < len(block.data):
            ours = True
            yield block.data[skipped:], _Origin(block.bit, skipped)
        at_line_start = block.data.endswith(b"\n")


def _batches(
    label: str, pieces: Iterator[_Piece], batch_bytes: int, *, pass_over: bool
) -> Iterator[LineBatch | LongLine]:
    """Join pieces to buffers of whole lines, and cut these; a line that is too long is passed over, or an error."""
    held = _Held(label)
    long: _Long | None = None
    for piece, origin in pieces:
        held.announce(piece, origin)
        end = piece.find(b"\n")
        # A piece is shorter than the limit, so that only the line that it goes on with can be over it.
        if long is None and held.line_bytes + (end if end >= 0 else len(piece)) > MAX_LINE_BYTES:
            if held.bytes > held.line_bytes:
                yield held.whole_lines()
            long = _Long(held.place(0), held.forget())
            if not pass_over:
                raise long.endless()
        rest = piece
        if long is not None:
            long.add(piece if end < 0 else piece[:end])
            held.skip(len(piece) if end < 0 else end + 1)
            if end < 0:
                continue
            yield long.line()
            long, rest = None, piece[end + 1 :]
        held.add(rest)
        if held.bytes >= batch_bytes and held.line_bytes < held.bytes:
            yield held.whole_lines()
    if long is not None:
        raise long.endless()
    if held.bytes:
        yield held.all_lines()


class _Held:
    """Bytes that were read and are in no batch yet.

    Attributes:
        bytes: How many.
        line_bytes: Of the line that they end in.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._parts: list[bytes] = []
        self._origins: list[tuple[int, _Origin]] = []
        self.bytes = self.line_bytes = 0

    def announce(self, piece: bytes, origin: _Origin | None) -> None:
        """Take note of where the next piece comes from; an origin of None continues the piece before."""
        if origin is not None:
            self._origins.append((self.bytes, origin))
        if (hole := encoding.hole_in(piece)) is not None:
            raise encoding.hole(self.place(self.bytes + hole))

    def add(self, piece: bytes) -> None:
        """Hold a piece that was announced."""
        self._parts.append(piece)
        self.bytes += len(piece)
        newline = piece.rfind(b"\n")
        self.line_bytes = len(piece) - newline - 1 if newline >= 0 else self.line_bytes + len(piece)

    def skip(self, count: int) -> None:
        """Pass over the first bytes of a piece that was announced while nothing is held."""
        self._origins = _from(self._origins, count)

    def forget(self) -> list[bytes]:
        """Return all bytes in parts, and hold none of them."""
        taken, self._parts = self._parts, []
        self._origins = _from(self._origins, self.bytes)
        self.bytes = self.line_bytes = 0
        return taken

    def whole_lines(self) -> LineBatch:
        """Return the lines that have ended, and hold them no longer."""
        buffer = b"".join(self._parts)
        cut = self.bytes - self.line_bytes
        batch = _batch(self._label, memoryview(buffer)[:cut], self._origins)
        self._parts, self.bytes = [buffer[cut:]], self.line_bytes
        self._origins = _from(self._origins, cut)
        return batch

    def all_lines(self) -> LineBatch:
        """Return all lines; the last one has no end."""
        return _batch(self._label, b"".join(self._parts), self._origins)

    def place(self, at: int) -> str:
        """Return where a byte stands, of what is held or was announced."""
        return _place_of(self._label, self._origins, at)


class _Long:
    """A line over the limit, while it is passed over."""

    def __init__(self, where: str, begun: Sequence[bytes]) -> None:
        self._where = where
        self._digest = xxhash.xxh3_128()
        self._bytes = 0
        for part in begun:
            self.add(part)

    def add(self, part: bytes) -> None:
        self._digest.update(part)
        self._bytes += len(part)

    def line(self) -> LongLine:
        """Return what is told of it, once it has ended."""
        why = f"a line of {self._bytes} bytes, over {MAX_LINE_BYTES}"
        return LongLine(self._where, why, self._digest.digest())

    def endless(self) -> InputError:
        return InputError(
            f"a line is longer than {MAX_LINE_BYTES} bytes",
            where=self._where,
            expected="text in lines, one row each",
            found=f"no line end in {max(self._bytes, MAX_LINE_BYTES)} bytes",
            remedy="check that the file is the annotation file that the configuration says it is, and whole",
        )


def _batch(label: str, buffer: bytes | memoryview, origins: list[tuple[int, _Origin]]) -> LineBatch:
    lines, starts = split_lines(buffer)
    return LineBatch(lines, starts, tuple(origins), label)


def _from(origins: list[tuple[int, _Origin]], cut: int) -> list[tuple[int, _Origin]]:
    """Return origins as they are for the rest of a buffer from `cut` on."""
    kept = [(offset - cut, origin) for offset, origin in origins if offset > cut]
    offset, origin = next(pair for pair in reversed(origins) if pair[0] <= cut)
    return [(0, dataclasses.replace(origin, byte=origin.byte + cut - offset)), *kept]


def _place(label: str, origin: _Origin, offset: int) -> str:
    if origin.block_bit is None:
        return f"{label} {origin.byte + offset}"
    return f"{label}bz2 block at bit {origin.block_bit}, byte {origin.byte + offset} of it"


def _place_of(label: str, origins: Sequence[tuple[int, _Origin]], start: int) -> str:
    offset, origin = next(pair for pair in reversed(origins) if pair[0] <= start)
    return _place(label, origin, start - offset)
