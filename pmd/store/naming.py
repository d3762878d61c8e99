"""How a local file that is whole gets its name, and keeps it over a power cut.

A name is given in one step: in place of what has it, or only where nothing has it. A try whose answer was lost is made again, so
each first looks whether the file has the name by now.
"""

from __future__ import annotations

import ctypes
import errno
import os

from pmd.errors import RootError
from pmd.store.patience import patiently

#: How a file system says that it has no hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
#: How a file system says that it has no such call: a rename that replaces nothing, or folders that are synchronised.
_NO_SUCH_CALL = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})

#: Linux: `renameat2` from the working folder, that replaces nothing; macOS: `renamex_np`, the same.
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCL = 4


def _is_name_of(path: str, identity: tuple[int, int]) -> bool:
    """Return whether a name is that of a file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == identity


def replaced(temporary: str, path: str, identity: tuple[int, int]) -> None:
    """Give a whole file its name in place of what has it; that it has it already is the answer that an earlier try had lost."""
    try:
        os.replace(temporary, path)
    except FileNotFoundError:
        if not _is_name_of(path, identity):
            raise


def named(temporary: str, path: str, identity: tuple[int, int]) -> bool:
    """Give a whole file its name where nothing has it; return whether it has it now, be it from an earlier try.

    Raises:
        RootError: The file system can do that in no way.
    """
    failure = link(temporary, path)
    if failure in _NO_LINKS:
        failure = _rename_if_absent(temporary, path)
        if failure in _NO_SUCH_CALL:
            raise RootError(
                "this file system cannot name a file only where the name is free",
                where=path,
                expected="hard links, or a rename that replaces nothing",
                found=os.strerror(failure),
                remedy="choose a root on another file system",
            )
    if failure in {errno.EEXIST, errno.ENOENT} and _is_name_of(path, identity):
        return True
    if failure not in {0, errno.EEXIST}:
        raise OSError(failure, os.strerror(failure), path)
    return not failure


def link(old: str, new: str) -> int:
    """Give a file a second name unless that is taken; return 0 or the errno."""
    try:
        os.link(old, new)
    except OSError as error:
        if error.errno is None:
            raise
        return error.errno
    return 0


def _rename_if_absent(old: str, new: str) -> int:
    """Rename a file in one step unless the new name is taken (file systems without hard links); return 0 or the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(old), os.fsencode(new)
    if hasattr(libc, "renameat2"):  # Linux
        ended = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE)
    elif hasattr(libc, "renamex_np"):  # macOS
        ended = libc.renamex_np(*names, _RENAME_EXCL)
    else:
        return errno.ENOSYS
    return ctypes.get_errno() if ended else 0


def sync_folder(path: str) -> None:
    """Let the names in a local folder outlive a power cut."""
    try:
        number = patiently(lambda: os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:  # a folder above ROOT that is not ours to read: nor did we make it
        return
    try:
        # Tried again, unlike a file's: a broken journal stays broken and says so again, and network mounts keep no names back.
        patiently(lambda: _synchronise(number, path))
    finally:
        os.close(number)


def _synchronise(number: int, path: str) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno in _NO_SUCH_CALL:  # it promises nothing of names, and nothing more can be done
            return
        raise OSError(error.errno, error.strerror, path) from error
