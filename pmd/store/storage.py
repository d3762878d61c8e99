"""Bytes on any file system that fsspec reaches: raw reads, whole-file writes, put-if-absent, removing.

Beam's own `FileSystems` is not used: its files show before they are whole, its local rename overwrites, and it decides
compression by name. Here a file is there whole or not at all, and only `put_if_absent` and `pmd.store.versions` decide races.

After a power cut a local file is whole only where it was synchronised before it got its name, and it has its name only where
its folder was synchronised after that. Files are synchronised as they are written, their folders by who commits them (`settle`).
Object stores promise both when they have answered.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import posixpath
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, TypeVar, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pmd.errors import ConfigError, InputError, RootError

#: Marks files that are being written; sweeps remove them, readers never see them.
TEMPORARY = ".tmp-"

#: Errors that may pass when the same is tried again: of network mounts, of a disk behind a bus that was reset.
_PASSING: Final = frozenset(
    getattr(errno, name)
    for name in ("EIO", "EAGAIN", "EINTR", "ETIMEDOUT", "ESTALE", "ECONNRESET", "EREMOTEIO")
    if hasattr(errno, name)
)
#: Seconds before the second, third and fourth try.
_PAUSES_S: Final = (0.05, 0.2, 1.0)

_T = TypeVar("_T")

#: Protocol → the extra of pmd that brings what it needs.
_EXTRAS = {"s3": "aws", "s3a": "aws", "gs": "gcp", "gcs": "gcp"}

#: How a file system says that it has no hard links, and how one says that it cannot rename without replacing.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_SUCH_RENAME = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


@functools.cache
def _filesystem(protocol: str) -> Any:
    # A cached listing would not show what other processes have written since.
    return fsspec.filesystem(protocol, **({} if protocol in {"file", "local"} else {"use_listings_cache": False}))


def _patiently(call: Callable[[], _T]) -> _T:
    """Return what a call gives that may be made again; an error that may pass is waited out."""
    for pause_s in _PAUSES_S:
        try:
            return call()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
        time.sleep(pause_s)
    return call()


def is_local(url: str) -> bool:
    """Return whether a path or URL lies in this machine's own file system."""
    return isinstance(filesystem(url)[0], LocalFileSystem)


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path within it."""
    # fsspec takes every "::" for the end of a protocol; in a path it is part of a name.
    protocol = fsspec.utils.get_protocol(url) if "://" in url else "file"
    try:
        fs = _filesystem(protocol)
    except Exception as error:
        raise _unusable(protocol, url, error) from error
    if isinstance(fs, LocalFileSystem) and "\0" in url:
        raise ConfigError("no path has a NUL character", where=repr(url), remedy="mend the path")
    return fs, cast(str, fs._strip_protocol(url))


def _unusable(protocol: str, url: str, error: Exception) -> ConfigError:
    """Return what keeps a protocol from being used, which fsspec tells by any exception."""
    extra = _EXTRAS.get(protocol)
    if isinstance(error, ImportError) and extra is not None:
        remedy = f"pip install 'pmd[{extra}]'"
    elif isinstance(error, ImportError):
        remedy = "install what is missing, or choose another place"
    elif "::" in url:
        remedy = "name the file itself: chains of protocols (::) are not read"
    else:
        remedy = "check the part before ://, and what this storage needs in the environment"
    return ConfigError(
        f"the storage {protocol}:// cannot be used",
        where=url,
        found=f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0],
        remedy=remedy,
    )


def join(*parts: str) -> str:
    """Join path parts with "/", whatever the file system."""
    return posixpath.join(*parts)


def exists(url: str) -> bool:
    """Return whether a file or folder is there."""
    fs, path = filesystem(url)
    return bool(_patiently(lambda: fs.exists(path))) if not isinstance(fs, LocalFileSystem) else _mode(path) is not None


def is_folder(url: str) -> bool:
    """Return whether a folder is there."""
    fs, path = filesystem(url)
    if not isinstance(fs, LocalFileSystem):
        return bool(_patiently(lambda: fs.isdir(path)))
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: str) -> int | None:
    """Return what is there locally, as `st_mode` has it, or None for nothing.

    To fsspec, and to `os.path`, what a disk that fails does not tell is not there: a commit, say, that would then be made anew.
    """
    try:
        return _patiently(lambda: os.stat(path)).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def size(url: str) -> int:
    """Return a file's size in bytes.

    Raises:
        InputError: There is no such file.
    """
    fs, path = filesystem(url)
    try:
        return int(_patiently(lambda: fs.size(path)))
    except FileNotFoundError:
        raise InputError("no such file", where=url, remedy="check the path in the configuration") from None


def fingerprint(url: str) -> str:
    """Return a string that changes when the file does: its size and what its file system says of its version.

    A folder's tells the names and sizes of all files below it: its own time does not change with what is deeper in it.

    Raises:
        InputError: There is nothing of this name.
    """
    fs, path = filesystem(url)
    try:
        info = fs.info(path)
    except FileNotFoundError:
        raise InputError("no such file", where=url, remedy="check the path in the configuration") from None
    if info["type"] == "directory":
        sizes = {name.removeprefix(path): entry["size"] for name, entry in fs.find(path, detail=True).items()}
        return hashlib.sha256(repr(sorted(sizes.items())).encode()).hexdigest()
    version = info.get("mtime") or info.get("etag") or info.get("ETag") or info.get("generation") or info.get("created")
    return f"{info['size']}:{version}"


def open_raw(url: str) -> BinaryIO:
    """Open a file for reading its bytes as they are: seekable, never decompressed by its name.

    Raises:
        InputError: There is no such file.
    """
    fs, path = filesystem(url)
    try:
        if isinstance(fs, LocalFileSystem):
            return _patiently(lambda: open(path, "rb"))
        return cast(BinaryIO, fs.open(path, "rb", compression=None))
    except FileNotFoundError:
        raise InputError("no such file", where=url, remedy="check the path in the configuration") from None


def read_bytes(url: str, start: int | None = None, stop: int | None = None) -> bytes:
    """Return a file's bytes, or those of a range."""
    fs, path = filesystem(url)
    return cast(bytes, _patiently(lambda: fs.cat_file(path, start=start, end=stop)))


def glob(pattern: str) -> list[str]:
    """Return the files that match a pattern, sorted, spelled with the pattern's protocol; a plain path matches itself."""
    fs, path = filesystem(pattern)
    if not any(character in pattern for character in "*?["):
        return [pattern] if fs.exists(path) else []
    protocol = pattern.split("://", 1)[0] + "://" if "://" in pattern else ""
    found = sorted(cast(list[str], fs.glob(path)))
    if isinstance(fs, LocalFileSystem) and not os.path.isabs(pattern) and not protocol:
        return [os.path.relpath(name) for name in found]
    return [protocol + name for name in found]


def list_files(folder: str) -> list[str]:
    """Return every file below a folder, relative to it, sorted; an absent folder has none."""
    fs, path = filesystem(folder)
    if not exists(folder):
        return []
    prefix = path.rstrip("/") + "/"
    find = (lambda: _walk(path)) if isinstance(fs, LocalFileSystem) else (lambda: fs.find(path))
    return sorted(name.removeprefix(prefix) for name in _patiently(find))


def _walk(path: str) -> list[str]:
    """Return the files below a local folder. fsspec leaves out what it cannot list, without a word."""

    def tell(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # a folder that was removed meanwhile
            raise error

    if not os.path.isdir(path):
        return [path]
    return [
        posixpath.join(folder, name)
        for folder, _, names in os.walk(path, onerror=tell, followlinks=True)
        for name in names
    ]


def make_folder(folder: str) -> None:
    """Make a folder and those above it; nothing where the file system has no folders."""
    fs, path = filesystem(folder)
    _patiently(lambda: fs.makedirs(path, exist_ok=True))


def remove(url: str) -> None:
    """Remove a file if it is there."""
    fs, path = filesystem(url)
    with contextlib.suppress(FileNotFoundError):
        _patiently(lambda: fs.rm_file(path))


def remove_tree(folder: str) -> None:
    """Remove a folder and everything in it, if it is there: only for folders that nobody but this program writes into."""
    fs, path = filesystem(folder)
    with contextlib.suppress(FileNotFoundError):
        fs.rm(path, recursive=True)
    _unsettle(path)


def remove_empty(folder: str) -> None:
    """Remove a folder, and those in it, that hold no file; nothing where the file system has no folders."""
    fs, path = filesystem(folder)
    if isinstance(fs, LocalFileSystem):
        for inner, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(inner)
        _unsettle(path)


def remove_folder(folder: str) -> None:
    """Remove a folder if nothing is in it; nothing where the file system has no folders."""
    fs, path = filesystem(folder)
    if isinstance(fs, LocalFileSystem):
        with contextlib.suppress(OSError):
            os.rmdir(path)
        _unsettle(path)


class Draft:
    """A file that is being written, under a temporary name until it is whole; a context manager that discards what is not.

    Args:
        folder: Where.
        durable: It outlives a power cut once it has its name and its folder is settled. Not for what only a run needs.
    """

    def __init__(self, folder: str, *, durable: bool = True) -> None:
        self._fs, self._folder = filesystem(folder)
        self._durable = durable
        self._temporary: str | None = f"{self._folder}/{TEMPORARY}{uuid.uuid4().hex}"
        _patiently(lambda: self._fs.makedirs(self._folder, exist_ok=True))
        temporary = self._temporary
        if isinstance(self._fs, LocalFileSystem):
            self.file: BinaryIO = _patiently(lambda: open(temporary, "wb"))  # noqa: SIM115  closed by finish or exit
        else:
            self.file = cast(BinaryIO, self._fs.open(temporary, "wb"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._temporary is not None:  # it has not got its name
            with contextlib.suppress(Exception):
                self.file.close()
            with contextlib.suppress(OSError):  # renamed, never made, or the storage fails: that is told
                self._fs.rm_file(self._temporary)

    def finish(self, name: str) -> None:
        """End the file and give it its name in the folder, in place of what had it."""
        path = posixpath.join(self._folder, name)
        temporary = cast(str, self._temporary)
        self.close()
        if isinstance(self._fs, LocalFileSystem):
            os.replace(temporary, path)
        else:
            self._fs.mv(temporary, path)
        self._temporary = None

    def finish_if_absent(self, name: str) -> bool:
        """End a local file and give it its name if none has it; return whether it did."""
        self.close()
        return _named(cast(str, self._temporary), posixpath.join(self._folder, name))

    def close(self) -> None:
        """End the file, which has no name yet."""
        if self.file.closed:
            return
        if self._durable and isinstance(self._fs, LocalFileSystem):
            self.file.flush()
            _synchronise(self.file.fileno(), self._folder)
        self.file.close()


@contextlib.contextmanager
def write_whole(url: str, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Write a file that shows only when it is whole, in place of what was there; see `Draft`."""
    folder, _, name = url.rpartition("/")
    with Draft(folder or ".", durable=durable) as draft:
        yield draft.file
        draft.finish(name)


def put(url: str, content: bytes, *, durable: bool = True) -> None:
    """Write a whole file, replacing what was there."""

    def write() -> None:
        with write_whole(url, durable=durable) as file:
            file.write(content)

    _patiently(write)


def put_if_absent(url: str, content: bytes) -> bool:
    """Write a whole file only where none stands; return whether it was written. Of several writers exactly one wins.

    Local: a hard link of a finished temporary, which fails where the name is taken; where the file system has no links, a rename
    that replaces nothing. Object stores: fsspec's
    ``mode="create"`` (generation match on Cloud Storage, If-None-Match on S3).
    """
    fs, path = filesystem(url)
    if not isinstance(fs, LocalFileSystem):
        fs.makedirs(posixpath.dirname(path), exist_ok=True)
        try:
            fs.pipe_file(path, content, mode="create")
        except FileExistsError:
            return False
        return True
    with Draft(posixpath.dirname(path)) as draft:
        draft.file.write(content)
        written = draft.finish_if_absent(posixpath.basename(path))
    if written:
        settle([url])
    return written


#: Folders whose own names are known to outlive a power cut.
_settled: set[str] = set()


def settle(urls: Iterable[str]) -> None:
    """Let the names of files outlive a power cut: synchronise their folders, and those above. Local files only.

    Args:
        urls: The files.
    """
    folders = {posixpath.dirname(filesystem(url)[1]) for url in urls if is_local(url)}
    new: set[str] = set()
    for folder in sorted(folders):
        while folder not in _settled | new and folder != posixpath.dirname(folder):
            new.add(folder)
            folder = posixpath.dirname(folder)  # noqa: PLW2901  up to one that is settled
            folders.add(folder)
    for folder in sorted(folders):
        sync_folder(folder)
    _settled.update(new)  # not before: what could not be synchronised is not settled


def _unsettle(path: str) -> None:
    """Forget of a folder that is gone, and of those in it, that they are settled: they may be made again."""
    gone = {folder for folder in _settled if folder == path or folder.startswith(f"{path}/")}
    _settled.difference_update(gone)


def sync_folder(path: str) -> None:
    """Let the names in a local folder outlive a power cut."""
    try:
        number = _patiently(lambda: os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError:  # a folder above ROOT that is not ours to read: nor did we make it
        return
    try:
        _synchronise(number, path)
    finally:
        os.close(number)


def _synchronise(number: int, path: str) -> None:
    """Synchronise an open file or folder. Not tried again: what could not be written once may be forgotten by then."""
    try:
        os.fsync(number)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _named(temporary: str, path: str) -> bool:
    """Give a whole file its name where nothing has it; return whether it has it now.

    Raises:
        RootError: The file system can do that in no way.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return True
    failure = _rename_if_absent(temporary, path)
    if failure in _NO_SUCH_RENAME:
        raise RootError(
            "this file system cannot name a file only where the name is free",
            where=path,
            expected="hard links, or a rename that replaces nothing",
            found=os.strerror(failure),
            remedy="choose a root on another file system",
        )
    if failure not in {0, errno.EEXIST}:
        raise OSError(failure, os.strerror(failure), path)
    return not failure


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


_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCL = 4


def list_names(folder: str) -> list[str]:
    """Return the names that stand directly in a folder, sorted; an absent folder has none."""
    fs, path = filesystem(folder)
    if not exists(folder):
        return []
    return sorted(posixpath.basename(name.rstrip("/")) for name in _patiently(lambda: fs.ls(path, detail=False)))
