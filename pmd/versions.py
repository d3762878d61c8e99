"""Compare-and-swap: a file is replaced only while it is the one that was read.

Local files are compared and replaced under a lock on their folder, which the kernel lets go of when a process dies. Object
stores compare by themselves: Cloud Storage a generation, S3 an ETag (which two equal contents share: who swaps must never
write the same bytes twice). Other file systems offer nothing of the kind, and cannot hold a ROOT.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import posixpath
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from pmd import storage
from pmd.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Versioned:
    """A file as it was read: its bytes, and what its file system compares them by."""

    content: bytes
    version: str


def read(url: str) -> Versioned | None:
    """Return a file, or None where there is none.

    Raises:
        ConfigError: Its file system cannot compare.
    """
    fs, path = storage.filesystem(url)
    return _kind(fs, url).read(fs, path)


def swap(url: str, content: bytes, seen: Versioned | None) -> bool:
    """Replace a file if it is still the one that was seen (None: if there is still none); return whether it was.

    After a power cut one of the two is there, whole; that it is the new one, `storage.settle` sees to.

    Raises:
        ConfigError: Its file system cannot compare.
    """
    fs, path = storage.filesystem(url)
    return _kind(fs, url).swap(fs, path, content, seen)


@dataclasses.dataclass(frozen=True)
class _Kind:
    read: Callable[[Any, str], Versioned | None]
    swap: Callable[[Any, str, bytes, Versioned | None], bool]


def _kind(fs: Any, url: str) -> _Kind:
    names = [fs.protocol] if isinstance(fs.protocol, str) else list(fs.protocol)
    found = next((_KINDS[name] for name in names if name in _KINDS), None)
    if found is None:
        raise ConfigError(
            "a ROOT cannot stand here: this storage cannot replace a file only while it is the one that was read",
            where=url,
            expected=f"a local folder, or one of {', '.join(sorted({*_KINDS} - {'file', 'memory'}))}",
            remedy="name another root in the configuration",
        )
    return found


# Local


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Hold a local folder's lock: one process at a time, of this machine."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _read_local(_: Any, path: str) -> Versioned | None:
    try:
        content = storage.read_bytes(path)
    except FileNotFoundError:
        return None
    return Versioned(content, "")


def _swap_local(_: Any, path: str, content: bytes, seen: Versioned | None) -> bool:
    folder = posixpath.dirname(path)
    storage.make_folder(folder)
    with locked(folder):
        if _read_local(None, path) != seen:
            return False
        storage.put(path, content)
    return True


# Object stores


def _read_s3(fs: Any, path: str) -> Versioned | None:
    bucket, key, _ = fs.split_path(path)
    try:
        answer = fs.call_s3("get_object", Bucket=bucket, Key=key)
    except FileNotFoundError:
        return None
    return Versioned(_body(fs, answer["Body"]), str(answer["ETag"]))


def _body(fs: Any, body: Any) -> bytes:
    import fsspec.asyn

    return bytes(fsspec.asyn.sync(fs.loop, body.read))


def _swap_s3(fs: Any, path: str, content: bytes, seen: Versioned | None) -> bool:
    bucket, key, _ = fs.split_path(path)
    condition = {"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen.version}
    try:
        fs.call_s3("put_object", Bucket=bucket, Key=key, Body=content, **condition)
    except FileNotFoundError:  # what was seen is gone
        return False
    except OSError as error:
        if _says(error, "PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
            return False
        raise
    return True


def _read_gcs(fs: Any, path: str) -> Versioned | None:
    bucket, key, _ = fs.split_path(path)
    try:
        headers, content = fs.call("GET", "b/{}/o/{}", bucket, key, alt="media")
    except FileNotFoundError:
        return None
    return Versioned(bytes(content), str(headers["x-goog-generation"]))


def _swap_gcs(fs: Any, path: str, content: bytes, seen: Versioned | None) -> bool:
    bucket, key, _ = fs.split_path(path)
    try:
        fs.call(
            "POST",
            f"{fs._location}/upload/storage/v1/b/{{}}/o",
            bucket,
            uploadType="media",
            name=key,
            ifGenerationMatch="0" if seen is None else seen.version,
            data=content,
        )
    except FileExistsError:  # what gcsfs makes of a condition that does not hold
        return False
    except OSError as error:
        if _says(error, "conditionNotMet", "412"):
            return False
        raise
    return True


def _says(error: BaseException, *words: str) -> bool:
    told = " ".join(repr(part) for part in (error, error.__cause__, getattr(error, "code", "")))
    return any(word in told for word in words)


# Memory, for tests

_memory: Final = threading.Lock()


def _read_memory(fs: Any, path: str) -> Versioned | None:
    return Versioned(bytes(fs.cat_file(path)), "") if fs.exists(path) else None


def _swap_memory(fs: Any, path: str, content: bytes, seen: Versioned | None) -> bool:
    with _memory:
        if _read_memory(fs, path) != seen:
            return False
        fs.pipe_file(path, content)
    return True


_LOCAL: Final = _Kind(_read_local, _swap_local)
_S3: Final = _Kind(_read_s3, _swap_s3)
_GCS: Final = _Kind(_read_gcs, _swap_gcs)
_KINDS: Final = {
    "file": _LOCAL,
    "s3": _S3,
    "s3a": _S3,
    "gs": _GCS,
    "gcs": _GCS,
    "memory": _Kind(_read_memory, _swap_memory),
}
