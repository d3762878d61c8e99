"""What a process lacks says nothing of what it reads: memory, files to open, threads, rights, a storage that is away.

A decoder without memory, or a read that is not allowed, fails as damage fails. Taken for damage it would be settled for good: the
picture as undecodable, the stored file as lost, the host as not reachable. So whoever takes an exception for damage asks
here first. Where something is lacking, the command ends with that.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import re
import resource
import socket
from collections.abc import Iterator
from typing import Final

from pmd.errors import PmdError

#: Errors that a file's bytes may be the cause of: a sector that is lost, also as file systems with checksums say it, a place that
#: damage names, and something else in the file's place.
_OF_BYTES: Final = frozenset(
    getattr(errno, name)
    for name in ("EIO", "EBADMSG", "EUCLEAN", "ENODATA", "EINVAL", "ENOENT", "EISDIR", "ENOTDIR")
    if hasattr(errno, name)
)
#: What this process can have no more of.
OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})
OUT_OF_MEMORY: Final = frozenset({errno.ENOMEM, errno.ENOBUFS})

#: How Python, and Polars' panic, say that the system starts no further thread.
_NO_THREAD: Final = re.compile(r"can't start new thread|spawn\b.*\bthreads?\b.*(?:\bWouldBlock\b|\(os error 11\))")
#: How the system says that a library finds no place in memory; a file system from which nothing may be run is told so too.
_NO_LIBRARY: Final = "failed to map segment"
#: How decoders say in words that they were given no memory.
_NO_MEMORY: Final = re.compile(
    r"out of memory|insufficient memory|not enough memory|cannot allocate memory", re.IGNORECASE
)
#: Bytes that a process has left if memory is not what it lacks.
_ROOM_BYTES: Final = 1 << 26


def tells_of_bytes(error: BaseException) -> bool:
    """Return whether an error of reading a file may come of its bytes.

    Otherwise it comes of this process, of its rights, or of storage that is away, and what is there is sound as far as is known.
    """
    if isinstance(error, MemoryError | PermissionError):
        return False
    return not isinstance(error, OSError) or error.errno is None or error.errno in _OF_BYTES


def refuse_of_storage(error: BaseException) -> None:
    """Raise an error of decoding a file that is one of its storage or of this process, and none that a decoder makes.

    Damage that leads to a place before the file is EINVAL.
    """
    if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
        raise error


def is_of_threads(error: BaseException) -> bool:
    """Return whether an error is that the system starts no further thread."""
    return isinstance(error, RuntimeError) and _NO_THREAD.search(str(error)) is not None


@contextlib.contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raise a panic of Polars' as a `RuntimeError`: it is no `Exception`, and passes by all who look for what may be raised."""
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as panic:
        raise RuntimeError(f"{type(panic).__name__}: {panic}") from panic


def is_of_memory(error: BaseException) -> bool:
    """Return whether an error is that there is no memory."""
    if isinstance(error, ImportError) and _NO_LIBRARY in str(error):
        return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def lacked(error: BaseException) -> PmdError | None:
    """Return what is told of an error that says nothing to a person, where there is no memory; else None.

    Then whatever fails comes of that: a package that was imported in part lacks names, and Python itself ends calls without
    saying why.
    """
    return None if _is_there(_ROOM_BYTES) else no_memory(f"{type(error).__name__}: {error}")


def is_ours(error: BaseException) -> bool:
    """Return whether an error of asking a host is that this process can have no more files, memory or threads."""
    if isinstance(error, MemoryError) or is_of_threads(error):
        return True
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_MEMORY
    return isinstance(error, OSError) and error.errno in OUT_OF_FILES | OUT_OF_MEMORY


def refuse_lack(error: BaseException, asked_bytes: int = 0) -> None:
    """Raise where a decoder failed while there is no memory to be had: then that may be why.

    A file that asks for more than any machine has fails too, and there memory is left.

    Args:
        error: What it raised.
        asked_bytes: What it needs for a sound file of this size.

    Raises:
        PmdError: There is no memory.
    """
    says_so = isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None
    if _is_there(max(asked_bytes, _ROOM_BYTES if says_so else 0)):
        return
    raise no_memory(f"{type(error).__name__}: {error}") from error


def no_memory(found: str) -> PmdError:
    """Return what is told where memory has run out."""
    return PmdError(
        "there is not enough memory",
        found=found.split("\n", maxsplit=1)[0],
        remedy="raise the limit (ulimit -v, that of the container), end other programs, or work with fewer processes, lanes or "
        "connections; then run the same command again",
    )


def _is_there(size_bytes: int) -> bool:
    if not size_bytes:
        return True
    try:
        mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        return False
    return True
