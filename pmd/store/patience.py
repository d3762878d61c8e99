"""Errors of storage that may pass, and local files that outlast them.

A network mount, or a disk behind a bus that was reset, fails now and then. What failed is tried again, a few times within some
1.3 s, where trying again can do no harm: a read, and a write of the same bytes to the same place. After that it has failed, and
the process waits no more for a while, so that a command ends in time on storage that is gone.

A *synchronisation* that failed is another matter. The kernel tells of bytes that it could not write once, and then forgets them:
a second call may succeed without them. So the file is written anew, elsewhere, from what can be read of it, and only if that
is what was written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar, cast

from pmd.errors import InputError, RootError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_T = TypeVar("_T")

#: Errors that may pass when the same is tried again.
PASSING: Final = frozenset(
    getattr(errno, name)
    for name in ("EIO", "EAGAIN", "EINTR", "ETIMEDOUT", "ESTALE", "ECONNRESET", "EREMOTEIO")
    if hasattr(errno, name)
)
#: Seconds before the second, third and fourth try.
PAUSES_S: Final = (0.05, 0.2, 1.0)
#: Seconds for which nothing is waited for once something has failed for good.
_HASTE_S: Final = 10.0
#: Bytes that are read at a time where all are read.
_BLOCK_BYTES: Final = 2**20
#: Pieces that are written by one call: Linux and macOS take as many.
_PIECES: Final = 1024

#: How file systems say that they keep no rights of files.
_WITHOUT_RIGHTS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})

#: The same for a store that is too busy: half a minute.
_BUSY_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
#: How a store says so, or that another request for the same object is under way, and a client of S3 that it has asked again. That
#: client asks again only as long as enough of what it has asked before was answered: a store that is busy for long uses that up.
BUSY: Final = (
    *("(429)", "(500)", "(502)", "(503)", "(504)", "(TooManyRequests)", "(SlowDown)", "(ServiceUnavailable)"),
    *("(InternalError)", "(RequestTimeout)", "(OperationAborted)", "(ConditionalRequestConflict)"),
)
_TRIED: Final = "reached max retries"
#: How clients of stores call an answer that broke off, or that arrived damaged.
_BROKEN: Final = frozenset(
    {
        "ClientPayloadError",
        "FlexibleChecksumError",
        "IncompleteRead",
        "IncompleteReadError",
        "AioReadTimeoutError",
        "ReadTimeoutError",
        "ResponseStreamingError",
    }
)

#: When something failed for good, by the clock of `time.monotonic`.
_failed_at = float("-inf")


class CutShortError(Exception):
    """A store has answered with other bytes than those that were asked for."""


def patiently(call: Callable[[], _T]) -> _T:
    """Return what a call gives that may be made again; an error that may pass is waited out."""
    return _again(call, _may_pass)


def wholly(call: Callable[[], _T]) -> _T:
    """Return what a call reads from a store whose client asks again only for what fails before it answers.

    An answer that breaks off, or that is not what its checksum says, is asked for again, as what may pass is.
    """
    return _again(call, lambda error: _may_pass(error) or type(error).__name__ in {*_BROKEN, CutShortError.__name__})


def _again(call: Callable[[], _T], may_pass: Callable[[Exception], bool]) -> _T:
    global _failed_at  # noqa: PLW0603  the storage is one for all of the process
    tried = 0
    while True:
        try:
            return call()
        except Exception as error:
            if not may_pass(error):
                raise
            pauses_s = _BUSY_PAUSES_S if _is_busy(error) else PAUSES_S
            if tried == len(pauses_s):
                _failed_at = time.monotonic()
                raise
        if time.monotonic() - _failed_at > _HASTE_S:
            time.sleep(pauses_s[tried])
        tried += 1


def _may_pass(error: Exception) -> bool:
    """Return whether the same may be tried again. What a client of S3 has tried itself, and waited for, has such numbers too."""
    has_waited = _TRIED in str(error.__cause__)
    return isinstance(error, OSError) and (error.errno in PASSING or _is_busy(error)) and not has_waited


def _is_busy(error: Exception) -> bool:
    """Return whether a store says that too much is asked of it, or that it fails for now."""
    return any(word in str(error.__cause__) for word in BUSY)


@contextlib.contextmanager
def asking(url: str) -> Iterator[None]:
    """Let errors of a store's client, which name nothing, tell what was asked for (`asked_for`)."""
    try:
        yield
    except Exception as error:
        if asked_for(error) is None:
            error._pmd_asked_for = url  # type: ignore[attr-defined]
        raise


def asked_for(error: BaseException) -> str | None:
    """Return what a store was asked for when this came of it; None: it does not tell."""
    return getattr(error, "_pmd_asked_for", None)


def name(error: OSError, path: str) -> None:
    """Give an error a path where it has none: those of open files do not."""
    if error.errno is not None and error.filename is None:
        error.filename = path


def lock(number: int, kind: int, path: str) -> None:
    """Lock an open file, as `fcntl.flock` does; what some file systems say in its place names the path.

    Raises:
        BlockingIOError: Somebody else holds it, and `kind` says not to wait.
    """
    try:
        fcntl.flock(number, kind)
    except BlockingIOError:
        raise
    except OSError as error:
        name(error, path)
        raise


@contextlib.contextmanager
def alone(path: str, otherwise: Exception) -> Iterator[None]:
    """Have the lock of a file, made where it is not there, for this process alone, as long as this lasts.

    Args:
        path: The file; local.
        otherwise: Raised where another process has it.
    """
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
        except BlockingIOError:
            raise otherwise from None
        yield
    finally:
        os.close(number)


def _given(count: int | None) -> int:
    """Return how much was read or written; None is how `io` says EAGAIN."""
    if count is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return count


def refuse_pipes(path: str) -> None:
    """Refuse to read what is no file, before it is opened: a pipe's reader may wait for ever, and a device may never end.

    Raises:
        InputError: It is a pipe, a socket or a device.
    """
    mode = patiently(lambda: os.stat(path)).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise InputError("not a file", where=path, expected="a file", found=kind, remedy="name a file, or remove it")


def _opened(path: str, mode: str) -> io.FileIO:
    return cast(io.FileIO, patiently(lambda: open(path, mode, buffering=0)))


class Reading(io.RawIOBase):
    """A local file that is read; a read that fails is made again. Where its handle is stale, the file is opened again.

    Args:
        path: The file's.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        refuse_pipes(path)
        self._file = _opened(path, "rb")
        self._version = self._version_of(self._file)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the open file's number; another one after its handle was stale."""
        return self._file.fileno()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read some bytes; return how many."""
        try:
            return patiently(lambda: self._read(buffer))
        except OSError as error:
            name(error, self.name)
            raise

    def fill(self, buffer: memoryview, offset: int) -> int:
        """Fill memory from a place on, wherever the file is read; return how much: less where the file ends."""
        self.seek(offset)
        end = 0
        while end < len(buffer) and (count := self.readinto(buffer[end:])):
            end += count
        return end

    def fill_at_once(self, buffer: memoryview, offset: int) -> bool:
        """Fill memory from a place on by one call; return whether that was enough. An error is told, not waited out."""
        return os.preadv(self._file.fileno(), [buffer], offset) == len(buffer)

    def readall(self) -> bytes:
        """Read all that is left."""
        found = bytearray()
        block = bytearray(_BLOCK_BYTES)
        while count := self.readinto(block):
            found += memoryview(block)[:count]
        return bytes(found)

    def close(self) -> None:
        """Close it."""
        self._file.close()
        super().close()

    def _read(self, buffer: WriteableBuffer) -> int:
        try:
            return _given(self._file.readinto(buffer))
        except OSError as error:
            if error.errno == errno.ESTALE:
                self._open_again()
            raise

    def _open_again(self) -> None:
        file = open(self.name, "rb", buffering=0)  # noqa: SIM115  closed with this one
        if self._version_of(file) != self._version:  # another file has its name now: this one is gone
            file.close()
            return
        file.seek(self._file.tell())
        self._file.close()
        self._file = file

    @staticmethod
    def _version_of(file: io.FileIO) -> tuple[int, int, int]:
        found = os.fstat(file.fileno())
        return found.st_ino, found.st_size, found.st_mtime_ns


class Writing(io.RawIOBase):
    """A local file that is written from its beginning to its end; a write that fails is made again in its place.

    Args:
        path: The file's.
        name: What it is called in errors.
        is_hashed: Its bytes are hashed on their way, so that it can be written anew.

    Attributes:
        bytes: How many bytes were written.
        digest: Their SHA-256 so far; None where they are not hashed.
    """

    def __init__(self, path: str, name: str, *, is_hashed: bool) -> None:
        self._file = _opened(path, "wb")
        self.path, self._name = path, name
        self.bytes = 0
        self.digest = hashlib.sha256() if is_hashed else None
        self._failed = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, content: ReadableBuffer) -> int:
        """Write some bytes; return how many."""
        count = self._put(lambda: _given(self._file.write(content)))
        self._took(memoryview(content).cast("B")[:count])
        return count

    def write_all(self, content: bytes) -> None:
        """Write all of some bytes."""
        left = memoryview(content)
        while left:
            left = left[self.write(left) :]

    def writelines(self, pieces: Iterable[ReadableBuffer]) -> None:
        """Write all of some pieces, one after the other; they are gathered by the system, not copied before."""
        left = [memoryview(piece).cast("B") for piece in pieces]
        while left:
            left = self._write_some(left[:_PIECES]) + left[_PIECES:]

    def tell(self) -> int:
        """Return the place: the end."""
        return self.bytes

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            self._file.close()
        super().close()

    def synchronise(self, *, durable: bool, elsewhere: Callable[[], str]) -> None:
        """Let the file outlive a power cut; do at least what tells whether a write that failed has harmed what was before it.

        Where that fails in a way that may pass, a file that is hashed is written anew.

        Args:
            durable: It is to outlive one: not just what tells. A file that is hashed always does.
            elsewhere: Returns the path of a file that is not there yet. This one is then left to its fate, closed.

        Raises:
            RootError: It has to be written anew, and cannot be read as it was written.
        """
        tried = False

        def synchronise() -> None:
            nonlocal tried
            if tried:
                self._write_anew(elsewhere())
            tried = True
            if self._failed:
                patiently(lambda: self._file.truncate(self.bytes))
            os.fsync(self._file.fileno())

        try:
            if self.digest is not None:
                patiently(synchronise)
            elif durable or self._failed:
                synchronise()
        except OSError as error:
            name(error, self._name)
            raise

    def keep_private(self) -> None:
        """Let nobody read the file who may not write it; where the file system knows no rights, it stays as it is."""
        mode = stat.S_IMODE(os.fstat(self._file.fileno()).st_mode)
        for reads, writes in ((stat.S_IRGRP, stat.S_IWGRP), (stat.S_IROTH, stat.S_IWOTH)):
            mode &= ~(0 if mode & writes else reads)
        try:
            os.fchmod(self._file.fileno(), mode)
        except OSError as error:
            if error.errno not in _WITHOUT_RIGHTS:
                name(error, self._name)
                raise

    def identity(self) -> tuple[int, int]:
        """Return what tells the file from every other one that is there."""
        found = os.fstat(self._file.fileno())
        return found.st_dev, found.st_ino

    def _write_some(self, pieces: list[memoryview]) -> list[memoryview]:
        """Write some pieces by one call; return what is left of them."""
        count = self._put(lambda: os.writev(self._file.fileno(), pieces))
        whole, end = 0, 0
        while whole < len(pieces) and end + len(pieces[whole]) <= count:
            end += len(pieces[whole])
            whole += 1
        left = pieces[whole:]
        self._took(*pieces[:whole])
        if end < count:
            self._took(left[0][: count - end])
            left[0] = left[0][count - end :]
        return left

    def _took(self, *pieces: memoryview) -> None:
        """Note what was written."""
        self.bytes += sum(map(len, pieces))
        if self.digest is not None:
            for piece in pieces:
                self.digest.update(piece)

    def _put(self, call: Callable[[], int]) -> int:
        try:
            return patiently(lambda: self._try(call))
        except OSError as error:
            name(error, self._name)
            raise

    def _try(self, call: Callable[[], int]) -> int:
        try:
            return call()
        except OSError:
            self._failed = True
            self._file.seek(self.bytes)
            raise

    def _write_anew(self, path: str) -> None:
        """Be another file of the same content."""
        assert self.digest is not None
        with Writing(path, self._name, is_hashed=True) as other:
            assert other.digest is not None
            with Reading(self.path) as old:
                while block := old.read(_BLOCK_BYTES):
                    other.write_all(block)
            if other.digest.digest() != self.digest.digest():
                raise RootError(
                    "the storage has lost what was written",
                    where=self._name,
                    expected=f"{self.bytes} bytes, sha256 {self.digest.hexdigest()[:16]}…",
                    found=f"{other.bytes} bytes, sha256 {other.digest.hexdigest()[:16]}…",
                    remedy="look whether the storage is sound (the system's log tells), then run the same command again",
                )
            self._file, other._file = other._file, self._file
            self.path, self._failed = path, other._failed
