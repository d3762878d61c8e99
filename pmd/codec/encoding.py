"""Pixels in, JPEG out."""

from __future__ import annotations

import io
import os
import threading
from typing import Any, Final

from PIL import Image

#: Bytes of memory that a thread keeps for its next JPEG.
_KEPT_BYTES: Final = 16 << 20

#: What Pillow would otherwise take over from the picture that an image comes from.
_NO_METADATA: Final[dict[str, Any]] = {"exif": b"", "icc_profile": None, "comment": None}


def encode_jpeg(image: Image.Image, quality: int = 95) -> bytes:
    """Return an RGB image as a baseline JPEG (4:2:0, no metadata).

    Goes through an unnamed file in memory where there is such a thing: Pillow's encoder lets go of the GIL only when it
    writes to a file descriptor. A thread keeps its file: to make one for each image takes a quarter of the encoding.
    """
    file = _MEMORY.file() if hasattr(os, "memfd_create") else io.BytesIO()
    file.seek(0)
    image.save(file, "JPEG", quality=quality, **_NO_METADATA)
    length = file.tell()
    file.seek(0)
    content = file.read(length)
    if length > _KEPT_BYTES:
        file.truncate(0)
    return content


class _Memory(threading.local):
    """An unnamed file in memory, one a thread, for what is encoded; a forked process has its own."""

    def __init__(self) -> None:
        self._process = 0

    def file(self) -> io.FileIO:
        """Return the file, at any position and with anything in it."""
        if self._process != os.getpid():
            self._file = io.FileIO(os.memfd_create("jpeg"), "w+b")
            self._process = os.getpid()
        return self._file


_MEMORY: Final = _Memory()
