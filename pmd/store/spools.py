"""Where files stand that are written here and sent elsewhere: a folder for each process, which goes with it.

A process that is killed leaves its folder, and the next one that makes its own removes it. Who lives is told by a lock of the
kernel's on the folder, which ends with the process and all that it has forked.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import Final

from pmd.store import patience

#: How the names begin of all that pmd makes in the folder for temporary files.
_OURS: Final = "pmd-"
#: They say that something could not be written, whatever was asked.
WRITING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})

_one: Final = threading.Lock()
#: The folder of this process, with the open file through which it is locked.
_mine: list[tuple[str, int]] = []


def folder() -> str:
    """Return this process's folder; it is made, and those of processes that are gone are removed, when it is first asked for."""
    with _one:
        if not _mine or not os.path.isdir(_mine[0][0]):
            _mine[:] = [_made(_swept())]
            atexit.register(_remove, _mine[0][0], os.getpid())
        return _mine[0][0]


def above() -> str:
    """Return the folder of all processes of this user."""
    return os.path.join(tempfile.gettempdir(), f"{_OURS}{os.getuid()}")


def is_in(path: str) -> bool:
    """Return whether a path is one of pmd's temporary files: in the folder of a process, or beside it under a name of ours."""
    try:
        within = os.path.relpath(os.path.abspath(path), tempfile.gettempdir())
    except FileNotFoundError:  # there is no folder for temporary files at all
        return False
    return within.startswith(_OURS)


@contextlib.contextmanager
def named() -> Iterator[None]:
    """Name the folder in errors of writing to temporary files that are open, which name none: ROOT may be on another disk."""
    try:
        yield
    except OSError as error:
        if error.errno in WRITING:
            patience.name(error, above())
        raise


def _swept() -> str:
    """Return it without what processes that are gone left, or the temporary folder itself where somebody else has its name."""
    ours = above()
    with contextlib.suppress(FileExistsError):
        os.mkdir(ours, 0o700)
    found = os.lstat(ours)
    if os.path.islink(ours) or found.st_uid != os.getuid():
        return tempfile.gettempdir()
    for name in os.listdir(ours):
        _remove_if_left(os.path.join(ours, name))
    return ours


def _made(within: str) -> tuple[str, int]:
    while True:
        path = tempfile.mkdtemp(prefix=_OURS, dir=within)
        with contextlib.suppress(FileNotFoundError):
            number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            patience.lock(number, fcntl.LOCK_EX, path)
            with contextlib.suppress(FileNotFoundError):  # one that was looking for what is left was faster
                if os.path.samestat(os.fstat(number), os.stat(path)):
                    return path, number
            os.close(number)


def _remove_if_left(path: str) -> None:
    """Remove the folder of a process that is gone."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        patience.lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:  # it lives
        pass
    finally:
        os.close(number)


def _remove(path: str, pid: int) -> None:
    if os.getpid() == pid:  # not where a process that it has forked ends
        shutil.rmtree(path, ignore_errors=True)
