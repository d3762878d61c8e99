"""How far the documents that somebody reads have been read, so that a part of them tells of the whole.

Within `metered`, every stream that `open_decompressed` hands out counts the plain bytes that were taken from it, and knows of
how many packed ones they were made. Outside of it nothing is counted, and streams are handed out as they are.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, BinaryIO, cast

from pmd.formats.streams import Decompressed


class Meter:
    """What was read, by document."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str | None], list[_Counted]] = {}
        #: Rows of Parquet tables, which are not read as streams.
        self.table_rows = 0

    def add(self, path: str, member: str | None, stream: _Counted) -> None:
        """Count one more reading of a document."""
        self._streams.setdefault((path, member), []).append(stream)

    def plain_bytes(self) -> int:
        """Return the plain bytes that were taken of all documents, of each once.

        Of those who read one document side by side (parallel lists) the furthest counts; who has ended was only looking at it
        first, or has read it whole.
        """
        return sum(self._furthest(streams).plain_bytes for streams in self._streams.values())

    def ratio(self, path: str, member: str | None) -> float:
        """Return how many plain bytes came of a byte of the file or member so far; 1 where it was not packed, or not read."""
        streams = self._streams.get((path, member), ())
        longest = max(streams, key=lambda stream: stream.plain_bytes, default=None)
        return 1.0 if longest is None else longest.ratio()

    @staticmethod
    def _furthest(streams: list[_Counted]) -> _Counted:
        reading = [stream for stream in streams if not stream.closed] or streams[-1:]
        return max(reading, key=lambda stream: stream.plain_bytes)


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextlib.contextmanager
def metered() -> Iterator[Meter]:
    """Count what this thread opens until the end of the block."""
    meter = Meter()
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)


def add_rows(count: int) -> None:
    """Count rows of a Parquet table, where somebody counts."""
    meter = _METER.get()
    if meter is not None:
        meter.table_rows += count


def counted(stream: BinaryIO, path: str, member: str | None) -> BinaryIO:
    """Return a stream, counted where somebody counts."""
    meter = _METER.get()
    if meter is None:
        return stream
    counting = _Counted(stream)
    meter.add(path, member, counting)
    return cast(BinaryIO, counting)


class _Counted(io.BufferedIOBase):
    """A stream that counts the bytes that are taken from it; it cannot be sought in."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.plain_bytes = 0

    def ratio(self) -> float:
        """Return how many plain bytes come of a packed one."""
        raw: Any = getattr(self._stream, "raw", None)
        return float(raw.ratio) if isinstance(raw, Decompressed) else 1.0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return self._count(self._stream.read(-1 if size is None else size))

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._count(self._stream.readline(-1 if size is None else size))

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def _count(self, data: bytes) -> bytes:
        self.plain_bytes += len(data)
        return data
