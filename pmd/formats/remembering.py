"""What is remembered of archives: their directories, which many members are looked up in, of the archives asked for last."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sized
from typing import Final, TypeVar

#: Files of archives whose directories are remembered, in all: those of PMD's own archives have some 330,000. One takes some 500
#: bytes, and an archive what several files take.
_MOST: Final = 1 << 19
_ARCHIVE: Final = 4

_Listing = TypeVar("_Listing", bound=Sized)


def remembered(read: Callable[[str, str], _Listing]) -> Callable[[str, str], _Listing]:
    """Remember what a function reads of versions of archives: of those asked for last, what `_MOST` allows for.

    Images stand in no order of their archives: were one too many, each image would take another look at a directory.
    """
    kept: OrderedDict[tuple[str, str], _Listing] = OrderedDict()
    held, one = 0, threading.Lock()

    @functools.wraps(read)
    def known(path: str, fingerprint: str) -> _Listing:
        nonlocal held
        with one:
            if (path, fingerprint) in kept:
                kept.move_to_end((path, fingerprint))
                return kept[path, fingerprint]
        found = read(path, fingerprint)
        with one:
            if (path, fingerprint) not in kept:
                kept[path, fingerprint] = found
                held += len(found) + _ARCHIVE
            while held > _MOST and len(kept) > 1:
                _, other = kept.popitem(last=False)
                held -= len(other) + _ARCHIVE
        return found

    return known
