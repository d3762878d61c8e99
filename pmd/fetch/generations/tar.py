"""The tar of a generation: the pictures that it keeps."""

from __future__ import annotations

import tarfile
from types import TracebackType
from typing import Final

from pmd.formats import ustar
from pmd.store import storage
from pmd.store.commits import File

_BLOCK: Final = tarfile.BLOCKSIZE

#: Bytes of a tar that are hashed and written together: for each write, and each hash, the lane's threads change places.
_WRITE_BYTES: Final = 1 << 19


class StoreTar:
    """A plain ustar file, streamed to a temporary and named by its digest once it is whole; a context manager.

    Members stand in order of completion. Nothing in their headers depends on when, where or by whom they were written.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._draft: storage.Draft | None = None
        self._left: list[bytes] = []  # what is not written yet
        self._left_bytes = 0
        self._bytes = 0
        self._members = 0

    def __enter__(self) -> StoreTar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._draft is not None:
            self._draft.discard()

    def add(self, name: str, content: bytes) -> int:
        """Append a member; return the offset of its first byte."""
        offset = self._bytes + _BLOCK
        self._append(ustar.header(name, len(content)), content, bytes(-len(content) % _BLOCK))
        self._members += 1
        return offset

    def finish(self) -> File | None:
        """End the file and give it its name; None if nothing was added."""
        if not self._members:
            return None
        self._append(bytes(2 * _BLOCK))
        self._write()
        assert self._draft is not None
        self._draft.close()
        name = f"{self._draft.sha256[:16]}.tar"
        self._draft.finish(name)
        return File(name, self._bytes, self._members, self._draft.sha256)

    def _append(self, *pieces: bytes) -> None:
        count = sum(map(len, pieces))
        self._left += pieces
        self._left_bytes += count
        self._bytes += count
        if self._left_bytes >= _WRITE_BYTES:
            self._write()

    def _write(self) -> None:
        if self._draft is None:
            self._draft = storage.Draft(self._folder)
        self._draft.file.write(b"".join(self._left))
        self._left.clear()
        self._left_bytes = 0
