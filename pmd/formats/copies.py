"""Plain copies of compressed tars: to reach a member of a compressed one means to read all that stands before it."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import BinaryIO, Final

from pmd.errors import InputError
from pmd.formats.streams import decompressed
from pmd.store import spools, storage

#: Members that are read from the start of their tar before a copy is made, and bytes of it that are written at a time.
_STREAMED: Final = 16
_PIECE: Final = 1 << 20


class Copies:
    """Plain copies of compressed tars of which many members are asked for: each of these would take all that stands before it.

    They stand in the temporary folder of the process, and go with it. Where there is no room for one, there is none.
    """

    def __init__(self) -> None:
        self._asked: Counter[tuple[str, str]] = Counter()
        self._made: dict[tuple[str, str], str | None] = {}
        self._one = threading.Lock()

    def of(self, path: str, version: str, sizes: Iterable[int]) -> str | None:
        """Return the copy of a compressed tar, which is made once members were asked for so often that it pays; else None.

        Args:
            path: The tar.
            version: Its fingerprint: another one is copied anew.
            sizes: How many bytes its members take at most; asked for where a copy is made.
        """
        key = (path, version)
        with self._one:
            self._asked[key] += 1
            if self._asked[key] <= _STREAMED:
                return None
            made = self._made.get(key, "")
            if made is not None and not os.path.exists(made):
                self._made[key] = _unpacked(path, sum(sizes))
            return self._made[key]


def _unpacked(path: str, size: int) -> str | None:
    """Return where a plain copy of a compressed tar was made; None where there is no room, or the tar is damaged."""
    copy = None
    try:
        copy = os.path.join(spools.folder(), f"tar-{uuid.uuid4().hex}")
        if shutil.disk_usage(spools.folder()).free < 2 * size:
            return None
        with decompressed(storage.open_raw(path), path) as plain, open(copy, "wb") as file:
            _reserve(file, size)
            shutil.copyfileobj(plain, file, _PIECE)
            file.truncate()
    except (InputError, OSError):  # whoever reads it from its start is told
        if copy is not None:
            with contextlib.suppress(OSError):
                os.remove(copy)
        return None
    return copy


def _reserve(file: BinaryIO, size: int) -> None:
    """Take a file's room before it is written, where the system can: workers that copy at once would all count on the same."""
    if not hasattr(os, "posix_fallocate"):  # as on macOS
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno in spools.WRITING:
            raise
