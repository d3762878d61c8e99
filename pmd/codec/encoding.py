"""Pixels in; JPEG, PNG or WebP out: the same bytes for the same pixels, without metadata."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Mapping
from typing import Any, Final

from PIL import Image

from pmd.codec.form import LONGEST_SIDE_PX, LOSSLESS, Form, Written

#: Bytes of memory that a thread keeps for its next picture.
_KEPT_BYTES: Final = 16 << 20

#: What Pillow would otherwise take over from the picture that an image comes from.
_NO_METADATA: Final[dict[str, Any]] = {"exif": b"", "icc_profile": None, "comment": None, "xmp": b""}
_NONE_IN_PNG: Final[dict[str, Any]] = {"exif": None, "icc_profile": None}


def encode(image: Image.Image, form: Form) -> tuple[bytes, Written]:
    """Return an RGB image as a form has it encoded, and what that is: one too long for the format becomes a PNG."""
    quality = form.quality
    if max(image.size) > LONGEST_SIDE_PX[form.format]:
        return _saved(image, "PNG", _NONE_IN_PNG), "png"
    if form.format == "png":
        return _saved(image, "PNG", _NONE_IN_PNG | {"compress_level": quality}), "png"
    if form.format == "webp":
        lossless = quality >= LOSSLESS
        chosen = {"lossless": True} if lossless else {"quality": quality}
        return _saved(image, "WEBP", _NO_METADATA | chosen), "webp"
    return encode_jpeg(image, quality), "jpeg"


def encode_jpeg(image: Image.Image, quality: int = 95) -> bytes:
    """Return an RGB image as a baseline JPEG (4:2:0, no metadata)."""
    return _saved(image, "JPEG", _NO_METADATA | {"quality": quality})


def _saved(image: Image.Image, name: str, chosen: Mapping[str, Any]) -> bytes:
    """Return an image as Pillow's encoder of that name writes it.

    Goes through an unnamed file in memory where there is such a thing: Pillow's encoder lets go of the GIL only when it
    writes to a file descriptor. A thread keeps its file: to make one for each image takes a quarter of the encoding.
    """
    file = _MEMORY.file() if hasattr(os, "memfd_create") else io.BytesIO()
    file.seek(0)
    image.save(file, name, **chosen)
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
            self._file = io.FileIO(os.memfd_create("picture"), "w+b")
            self._process = os.getpid()
        return self._file


_MEMORY: Final = _Memory()
