"""Byte streams that decompress by content and turn damage into an `InputError` with the byte; the lowest of `formats`.

The standard library's file objects are not used: they hide how far the compressed file was read, so that an error could
not name the byte, and those of `zstandard` take a truncated file for a whole one.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Final, Literal, Protocol

import zstandard

from pmd.errors import InputError
from pmd.store import shortage

Compression = Literal["plain", "gzip", "bzip2", "xz", "zstd", "zip"]

#: Bytes of a file's head that `compression_of` needs to be sure.
HEAD_BYTES: Final = 16
#: Compressed bytes read at a time; also how closely damage within compressed data can be placed.
READ_BYTES: Final = 1 << 16
#: Decompressed bytes made at a time, and the buffer over every stream.
STEP_BYTES: Final = 1 << 18
#: zstd has no bound on what one call makes of its input, so it is fed little: its ratio on text is under 20.
_ZSTD_FEED_BYTES: Final = 1 << 14

_BZIP2_MAGICS: Final = (b"1AY&SY", b"\x17rE8P\x90")  # a block, or the end of an empty stream
_XZ_MAGIC: Final = b"\xfd7zXZ\x00"
#: Memory that an xz stream may ask for: xz -9 asks for 65 MiB, and a damaged header could ask for gigabytes.
_XZ_MEMORY_BYTES: Final = 512 * 1024 * 1024
#: zstd and xz say so where a stream asks for more memory than one file is given, which is no damage.
_WINDOW: Final = re.compile("too much memory|Memory usage limit")
_OF_WINDOW: Final = "it was packed with a larger window than is read: unpack it (zstd -d --long=31, xz -d)"
_ZSTD_SKIPPABLE: Final = 5  # upper half of the first byte of a frame to be skipped (RFC 8878, 3.1.2)
#: How forms begin that are not read, their names, and what unpacks them.
_UNREAD: Final = (
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x"),
    (b"Rar!\x1a\x07", "RAR", "unrar x"),
    (b"\x04\x22\x4d\x18", "LZ4", "lz4 -d"),
    (b"LZIP\x01", "lzip", "lzip -d"),
    (b"\x5d\x00\x00", "LZMA without an xz header", "xz -d"),
    (b"\x1f\x9d", "compress (.Z)", "uncompress"),
    (b"\xff\x06\x00\x00sNaPpY", "Snappy", "snzip -d"),
    (b"PK\x07\x08", "a zip in several parts", "zip -s 0 FILE --out WHOLE.zip, then unzip"),
)
#: What to do where a file is cut short or damaged.
FETCH_AGAIN: Final = "fetch the file again; of upstream's, pmd manifests verify tells whether it is the published one"


def compression_of(head: bytes) -> Compression:
    """Return the compression that a file's first `HEAD_BYTES` bytes show; anything unknown is "plain"."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    # Text may begin with "BZh", so the magic of the first block must follow the level.
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] in _BZIP2_MAGICS:
        return "bzip2"
    if head.startswith(_XZ_MAGIC):
        return "xz"
    if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == _ZSTD_SKIPPABLE):
        return "zstd"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    return "plain"


def refuse_unread(head: bytes, where: str) -> None:
    """Refuse a file in a compression or archive that is not read.

    Raises:
        InputError: It is in one of those that are known by name.
    """
    for magic, name, command in _UNREAD:
        if head.startswith(magic):
            raise InputError(
                f"{name} is not read",
                where=f"{where}:byte 0",
                expected="plain text, gzip, bzip2, xz, zstd, zip or tar",
                found=f"the start of a file in {name}",
                remedy=f"unpack it ({command}) and name what is in it",
            )


def read_head(file: BinaryIO, length: int) -> bytes:
    """Read `length` bytes, or all where there are fewer, however short the single reads are."""
    parts: list[bytes] = []
    while length > 0 and (part := file.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


class _Codec(Protocol):
    """A decompressor of one gzip member, bzip2 stream or zstd frame."""

    def feed(self, data: bytes) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def rest(self) -> bytes: ...
    @property
    def has_more(self) -> bool:
        """Whether it makes more of what it was given, without being given any."""


class _Gzip:
    has_more = False  # what it has not used is in `rest`

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    def feed(self, data: bytes) -> bytes:
        return self._inner.decompress(data, STEP_BYTES)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail


class _Keeping:
    """Of a library that keeps what it has not used (bzip2, xz): `rest` is empty before the end, and feeding nothing goes on."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    def feed(self, data: bytes) -> bytes:
        return self._inner.decompress(data, STEP_BYTES)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data if self._inner.eof else b""

    @property
    def has_more(self) -> bool:
        return not self._inner.eof and not self._inner.needs_input


class _Zstd:
    has_more = False  # it is fed so little that it makes all of it at once

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor().decompressobj()
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        made = self._inner.decompress(data[:_ZSTD_FEED_BYTES])
        self._rest = (self._inner.unused_data if self._inner.eof else b"") + data[_ZSTD_FEED_BYTES:]
        return made

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._rest


_CODECS: Final[dict[str, Callable[[], _Codec]]] = {
    "gzip": _Gzip,
    "bzip2": lambda: _Keeping(bz2.BZ2Decompressor()),
    "xz": lambda: _Keeping(lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES)),
    "zstd": _Zstd,
}

#: How each begins, as far as a stream that was cut short shows it.
_MAGICS: Final = {"gzip": b"\x1f\x8b\x08", "bzip2": b"BZh", "xz": _XZ_MAGIC, "zstd": b"\x28\xb5\x2f\xfd"}


class Decompressed(io.RawIOBase):
    """The plain bytes of a gzip, bzip2, xz or zstd stream; members, streams and frames that follow each other are one file.

    Args:
        file: The compressed bytes, from the first.
        label: What errors call the file.
        compression: "gzip", "bzip2", "xz" or "zstd".

    Raises (when read):
        InputError: The stream is damaged, cut short, or followed by something else; names the compressed byte.
    """

    def __init__(self, file: BinaryIO, label: str, compression: Compression) -> None:
        self._file = file
        self._label = label
        self._compression = compression
        self._new = _CODECS[compression]
        self._codec: _Codec | None = None
        self._taken = 0  # compressed bytes read from the file
        self._input = b""  # of these, not yet given to a codec
        self._output = memoryview(b"")
        self._made = 0

    @property
    def ratio(self) -> float:
        """Plain bytes that came of a compressed one so far."""
        used = self._taken - len(self._input)
        return self._made / used if used else 1.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._output:
            made = self._step()
            if made is None:
                return 0
            self._output = memoryview(made)
        count = min(len(buffer), len(self._output))
        buffer[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _refill(self) -> bool:
        self._input = self._file.read(READ_BYTES)
        self._taken += len(self._input)
        return bool(self._input)

    def _step(self) -> bytes | None:
        """Return some plain bytes, perhaps none; None at the end of the file."""
        if self._codec is None or self._codec.eof:
            return self._next_stream()
        if not self._input and not self._codec.has_more and not self._refill():
            raise InputError(
                f"the {self._compression} data end too early: the file is truncated",
                where=f"{self._label}:byte {self._taken}",
                expected=f"the end of a {self._compression} stream",
                found=f"the end of the file, after {self._made} decompressed bytes",
                remedy=FETCH_AGAIN,
            )
        try:
            made = self._codec.feed(self._input)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, zstandard.ZstdError) as error:
            raise InputError(
                f"the {self._compression} data are damaged",
                where=f"{self._label}:byte {self._taken - len(self._input)}",
                expected=f"valid {self._compression} data in the {max(len(self._input), 1)} bytes from there",
                found=f"{error}, after {self._made} decompressed bytes",
                remedy=_OF_WINDOW if _WINDOW.search(str(error)) else FETCH_AGAIN,
            ) from None
        self._input = self._codec.rest
        self._made += len(made)
        return made

    def _next_stream(self) -> bytes | None:
        """Begin the stream that follows, if any: zero padding of gzip and xz is passed over, anything else is an error."""
        if self._codec is not None and self._compression in ("gzip", "xz"):
            while not self._input.lstrip(b"\0"):
                if not self._refill():
                    return None
            self._input = self._input.lstrip(b"\0")
        while len(self._input) < HEAD_BYTES:
            more = self._file.read(READ_BYTES)
            if not more:
                break
            self._taken += len(more)
            self._input += more
        if self._codec is not None and not self._input:
            return None
        if compression_of(self._input[:HEAD_BYTES]) != self._compression and self._codec is not None:
            self._refuse_tail()
        self._codec = self._new()
        return b""

    def _refuse_tail(self) -> None:
        start = self._input[:HEAD_BYTES]
        cut_short = len(start) < HEAD_BYTES and _MAGICS[self._compression].startswith(start[:3])
        raise InputError(
            f"the {self._compression} data end too early: the file is truncated"
            if cut_short
            else f"something that is not {self._compression} follows the {self._compression} data",
            where=f"{self._label}:byte {self._taken - len(self._input)}",
            expected="the end of the file, or another stream",
            found=repr(start),
            remedy=FETCH_AGAIN,
        )


class Guarded(io.RawIOBase):
    """A stream whose decoder's own exceptions become an `InputError` that names the file and the byte of the stream.

    Args:
        file: The stream.
        label: What errors call it.
        errors: The exceptions that mean damage.
        length: Bytes that the stream must have, when known; fewer is a truncation.
        also_close: Other files to close with it.
    """

    def __init__(
        self,
        file: BinaryIO,
        label: str,
        errors: tuple[type[Exception], ...],
        length: int | None = None,
        also_close: tuple[BinaryIO, ...] = (),
    ) -> None:
        self._file = file
        self._label = label
        self._errors = errors
        self._length = length
        self._also_close = also_close
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(len(buffer))
        except self._errors as error:
            shortage.refuse_of_storage(error)
            raise self._damaged(str(error) or "the end of the archive") from None
        if not data and self._length is not None and self._position < self._length and len(buffer):
            raise self._damaged("the end of the archive")
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            for file in (self._file, *self._also_close):
                file.close()
        super().close()

    def _damaged(self, found: str) -> InputError:
        return InputError(
            "the member is damaged or cut short",
            where=f"{self._label}:decompressed byte {self._position}",
            expected=f"{self._length} bytes in all" if self._length is not None else None,
            found=found,
            remedy=FETCH_AGAIN,
        )


class Slice(io.RawIOBase):
    """The bytes [offset, offset + length) of a file, seekable; owns the file.

    Raises (when read):
        InputError: The file ends before the slice does; names the byte.
    """

    def __init__(self, file: BinaryIO, label: str, offset: int, length: int) -> None:
        self._file = file
        self._label = label
        self._offset = offset
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = max(
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence], 0
        )
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = max(min(len(buffer), self._length - self._position), 0)
        if not wanted:
            return 0
        self._file.seek(self._offset + self._position)
        data = self._file.read(wanted)
        if not data:
            raise InputError(
                "the archive ends inside the member: it is truncated",
                where=f"{self._label}:byte {self._position}",
                expected=f"{self._length} bytes in all",
                found=f"the end of the archive at byte {self._offset + self._position}",
                remedy=FETCH_AGAIN,
            )
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def buffered(raw: io.RawIOBase) -> BinaryIO:
    """Return a raw stream behind a buffer, so that lines and small reads are cheap."""
    return io.BufferedReader(raw, STEP_BYTES)


def decompressed(file: BinaryIO, label: str) -> BinaryIO:
    """Return a stream's plain bytes, whatever its content says that it is; a zip within is left as it is.

    Args:
        file: A stream at its first byte; it is owned by what is returned.
        label: What errors call it.

    Raises:
        InputError: It is in a form that is not read.
    """
    head = read_head(file, HEAD_BYTES)
    refuse_unread(head, label)
    kind = compression_of(head)
    if file.seekable():
        file.seek(0)
        whole = file
    else:
        whole = buffered(_Rejoined(head, file))
    if kind in ("plain", "zip"):
        return whole
    return buffered(Decompressed(whole, label, kind))


class _Rejoined(io.RawIOBase):
    """A stream with the head that was taken from it put back."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] if self._head else self._file.read(len(buffer))
        self._head = self._head[len(data) :] if self._head else b""
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
