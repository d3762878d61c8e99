"""Files of a run's work folder that workers map into their memory: the system keeps each once a machine.

Where ROOT is on this machine, its file is mapped as it stands. A worker far from it copies the file to its own disk, once for all
that it does in a run.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from typing import Final

from pmd.store import exchange, root, spools, storage

#: Bytes that are asked for at a time where a file is copied.
_RANGE_BYTES: Final = 2**26

#: The copies of this process, by what they are of: of one folder of each ROOT.
_copies: Final[dict[str, str]] = {}
_one: Final = threading.Lock()


def path(url: str, size: int) -> str:
    """Return where a file of so many bytes can be mapped.

    A copy goes with the process, or when a file of another folder of the same ROOT, which is another run's, is asked for.

    Raises:
        InputError: It is not there: ROOT is a folder of another machine's.
    """
    if not storage.is_local(url):
        return _copied(url, size)
    if not storage.exists(url):
        raise exchange.not_reached(url)
    return storage.filesystem(url)[1]


def _copied(url: str, size: int) -> str:
    with _one:
        if url not in _copies:
            _leave_others(url)
            copy = os.path.join(spools.folder(), f"mapped-{uuid.uuid4().hex}")
            try:
                with spools.named(), open(copy, "wb") as file:
                    for start in range(0, size, _RANGE_BYTES):
                        file.write(storage.read_bytes(url, start, min(start + _RANGE_BYTES, size)))
            except BaseException:  # the task is tried again, with a copy of its own
                with contextlib.suppress(OSError):
                    os.remove(copy)
                raise
            _copies[url] = copy
        return _copies[url]


def _leave_others(url: str) -> None:
    """Remove the copies of files of other folders of a file's ROOT; whoever has mapped one keeps it."""
    folder, top = _folder(url), _root(url)
    for other in [other for other in _copies if _root(other) == top and _folder(other) != folder]:
        with contextlib.suppress(OSError):
            os.remove(_copies.pop(other))


def _folder(url: str) -> str:
    return url.rpartition("/")[0]


def _root(url: str) -> str:
    return url.rpartition(f"/{root.WORK}/")[0]
