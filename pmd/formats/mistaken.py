"""What stands in the place of a file that was meant: a pointer of Git LFS, a table in a form that is not read."""

from __future__ import annotations

import re
from typing import Final

from pmd.store import storage

#: How it begins → what it is, and what to do. A caption may begin with "PARE".
_OTHERS: Final = {
    re.compile(rb"version https://git-lfs\.github\.com/spec/"): (
        "a pointer of Git LFS in the place of the file",
        "run: git lfs pull",
    ),
    re.compile(rb"ARROW1\0\0"): ("an Arrow file", "write it as Parquet, with the library that wrote it"),
    # As the library datasets keeps what it has read.
    re.compile(rb"\xff{4}"): ("an Arrow stream", "write it as Parquet, with the library that wrote it: to_parquet"),
    # The length of what follows, of less than 16 MiB.
    re.compile(rb"PARE[\s\S]{3}\0"): ("an encrypted Parquet table", "write it without encryption"),
}
#: By how many first bytes they are told.
_START_BYTES: Final = 64


def of_another(start: bytes) -> tuple[str, str] | None:
    """Return what a file is that stands in the place of another, and what to do; None where its first bytes do not tell.

    Args:
        start: Its first bytes, decompressed.
    """
    return next((told for beginning, told in _OTHERS.items() if beginning.match(start)), None)


def at(path: str) -> tuple[str, str] | None:
    """Return `of_another` of the file at a path, as it is."""
    with storage.open_raw(path) as file:
        return of_another(file.read(_START_BYTES))
