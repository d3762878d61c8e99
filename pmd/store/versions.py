"""Compare-and-swap: a file is replaced, or removed, only while it is the one that was read.

Local files are compared and replaced under a lock on their folder, which the kernel lets go of when a process dies. Object
stores compare by themselves: Cloud Storage a generation, S3 an ETag (which two equal contents share: who swaps must never
write the same bytes twice). Other file systems offer nothing of the kind, and cannot hold a ROOT.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import os
import posixpath
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pmd.errors import ConfigError
from pmd.store import failures, patience, storage
from pmd.store.patience import patiently


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
    with patience.asking(url):
        return _kind(fs, url).read(fs, path)


def swap(url: str, content: bytes, seen: Versioned | None, *, durable: bool = True, private: bool = False) -> bool:
    """Replace a file if it is still the one that was seen (None: if there is still none); return whether it was.

    After a power cut one of the two is there, whole; that it is the new one, `storage.sync_folders` sees to. Not so of what
    need not be `durable`: of that a local file may then be broken. For `private` see `storage.put`.

    Raises:
        ConfigError: Its file system cannot compare.
    """
    fs, path = storage.filesystem(url)
    if storage.is_local(url) and (private or not durable):
        return _swap_local(fs, path, content, seen, durable=durable, private=private)
    with patience.asking(url):
        return _kind(fs, url).swap(fs, path, content, seen)


def make_stand(url: str, content: bytes, seen: Versioned | None, *, private: bool = False) -> bool:
    """Replace a file as `swap` does; return whether these bytes stand now.

    A client of a store asks again where an answer was lost. The second try then meets what the first has written, and `swap` says
    no. Not for bytes that another writer might write too, where only one of them may win.

    Raises:
        ConfigError: Its file system cannot compare.
    """
    if swap(url, content, seen, private=private):
        return True
    standing = read(url)
    return standing is not None and standing.content == content


def version(url: str) -> str | None:
    """Return the version of a file without reading it, or None where there is none.

    Raises:
        ConfigError: Its file system cannot compare.
    """
    fs, path = storage.filesystem(url)
    with patience.asking(url):
        return _kind(fs, url).version(fs, path)


@dataclasses.dataclass(frozen=True)
class Listed:
    """A file as a listing shows it: its version, and its bytes."""

    version: str
    bytes: int


def listed(folder: str, ending: str) -> dict[str, Listed]:
    """Return the files below a folder whose names end so, relative to it; on object stores a request a thousand files.

    A local file's version is told by more than that of `version`: it also changes where a file was written in place.

    Raises:
        ConfigError: Its file system cannot compare.
    """
    fs, path = storage.filesystem(folder)
    kind, prefix = _kind(fs, folder), path.rstrip("/") + "/"
    with patience.asking(folder):
        found = patiently(lambda: kind.list(fs, path, ending))
    return {name.removeprefix(prefix): found[name] for name in sorted(found)}


def remove(url: str, version: str) -> bool:
    """Remove a file if it is still of a version; return whether it was removed.

    Some that speak S3, MinIO among them, heed conditions where a file is written, and pass over them where one is removed. So the
    version is looked at before: there a moment is left in which another writer may replace the file, and not a run's length.

    Raises:
        ConfigError: Its file system cannot compare.
    """
    fs, path = storage.filesystem(url)
    kind = _kind(fs, url)
    with patience.asking(url):
        return patiently(lambda: kind.version(fs, path)) == version and kind.remove(fs, path, version)


def probe(folder: str) -> None:
    """Try whether storage holds to the conditions of `swap`, as some that speak S3 do not; local files are not tried.

    Args:
        folder: In which a file is made, and removed again.

    Raises:
        ConfigError: What must fail succeeds, or nothing can be written here.
    """
    if storage.is_local(folder):
        return
    broken = None
    for _ in range(_PROBES):
        broken = _broken(folder)
        if broken is None:
            return
    raise ConfigError(
        "a ROOT cannot stand here: two writers could destroy each other's work",
        where=folder,
        expected="storage that heeds If-Match and If-None-Match (S3), or ifGenerationMatch (Cloud Storage)",
        found=f"it {broken}",
        remedy="name another root in the configuration, or a newer version of this storage",
    )


def _broken(folder: str) -> str | None:
    """Return in words what a storage does not hold to; None: it holds to all."""
    try:
        return _broken_condition(folder)
    except OSError as error:
        if _UNHEARD_OF not in _words(error) or not _takes_files(folder):
            raise
        return "knows no such conditions"


def _takes_files(folder: str) -> bool:
    """Return whether a file can be written without a condition, and so is not refused for anything else that its client sends."""
    url = storage.join(folder, f"{storage.TEMPORARY}{uuid.uuid4().hex}")
    try:
        storage.put(url, b"")
    except OSError:
        return False
    storage.remove(url)
    return True


def _broken_condition(folder: str) -> str | None:
    """Return in words which condition does not hold of a file that is made in a folder, and removed again; None: all do."""
    url = storage.join(folder, f"{storage.TEMPORARY}{uuid.uuid4().hex}")
    if not make_stand(url, b"first", None):
        raise ConfigError(
            "nothing can be written here",
            where=folder,
            expected="a bucket that is there, and that this account may write to",
            remedy="make the bucket, or name another root in the configuration",
        )
    try:
        seen = read(url)
        if seen is not None and seen.content != b"first":
            raise ConfigError(
                "this storage has other bytes than those that were written",
                where=folder,
                expected=repr(b"first"),
                found=repr(seen.content[:_SHOWN]),
                remedy=failures.CHECKSUMS,
            )
        if swap(url, b"second", None):
            return "makes a file anew where one stands"
        if not make_stand(url, b"third", seen):
            return "does not replace the file that was read"
        if swap(url, b"fourth", seen):
            return "replaces a file that is no longer the one that was read"
        # Some say that they know no condition where a file is removed. What such a one does is not looked at (`remove`).
        if seen is not None:
            fs, path = storage.filesystem(url)
            _kind(fs, url).remove(fs, path, seen.version)
        return None
    finally:
        storage.remove(url)


@dataclasses.dataclass(frozen=True)
class _Kind:
    read: Callable[[Any, str], Versioned | None]
    swap: Callable[[Any, str, bytes, Versioned | None], bool]
    version: Callable[[Any, str], str | None]
    remove: Callable[[Any, str, str], bool]
    list: Callable[[Any, str, str], dict[str, Listed]]


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
    """Hold a local folder's lock: one process at a time, of this machine. The folder is made where there is none."""
    number = _locked(folder)
    try:
        yield
    finally:
        os.close(number)


def _locked(folder: str) -> int:
    """Return an open folder that is locked, and that has its name: one that was removed meanwhile excludes nobody."""
    while True:
        storage.make_folder(folder)
        with contextlib.suppress(FileNotFoundError):
            number = patiently(lambda: os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
            try:
                patience.lock(number, fcntl.LOCK_EX, folder)
                if os.path.samestat(os.fstat(number), patiently(lambda: os.stat(folder))):
                    return number
            except BaseException:
                os.close(number)
                raise
            os.close(number)


def _read_local(fs: Any, path: str) -> Versioned | None:
    found = _version_local(fs, path)
    try:
        return Versioned(storage.read_bytes(path), found) if found is not None else None
    except FileNotFoundError:
        return None


def _swap_local(
    fs: Any, path: str, content: bytes, seen: Versioned | None, *, durable: bool = True, private: bool = False
) -> bool:
    folder, name = posixpath.split(path)
    with storage.Draft.holding(folder, content, durable=durable, private=private) as draft, locked(folder):
        if _read_local(fs, path) != seen:
            return False
        draft.finish(name)
    return True


def _version_local(_: Any, path: str) -> str | None:
    try:
        found = patiently(lambda: os.stat(path))
    except FileNotFoundError:
        return None
    return f"{found.st_ino}-{found.st_mtime_ns}"


def _remove_local(fs: Any, path: str, version: str) -> bool:
    with locked(posixpath.dirname(path)):
        if _version_local(fs, path) != version:
            return False
        storage.remove(path)
    return True


def _list_local(_: Any, path: str, ending: str) -> dict[str, Listed]:
    found = {}
    for name in storage.list_files(path):
        if name.endswith(ending):
            whole = f"{path.rstrip('/')}/{name}"
            with contextlib.suppress(FileNotFoundError):  # removed since
                told = patiently(functools.partial(os.stat, whole))
                version = f"{told.st_ino}-{told.st_mtime_ns}-{told.st_ctime_ns}-{told.st_size}"
                found[whole] = Listed(version, told.st_size)
    return found


# Object stores

#: What S3 says where a condition does not hold.
_S3_OTHERS: Final = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
#: The same of Cloud Storage; of most gcsfs makes a `FileExistsError`.
_GCS_OTHERS: Final = ("conditionNotMet", "412")
#: Bytes of a file that an error shows.
_SHOWN: Final = 80
#: Times that a storage must break a condition: a writer that begins in the same moment removes the file that it is tried with, as
#: one that a killed writer has left, and then the conditions are those of a file that is not there.
_PROBES: Final = 4
#: What stores say that know no conditions, or none for what is asked.
_UNHEARD_OF: Final = "NotImplemented"


def _read_s3(fs: Any, path: str) -> Versioned | None:
    bucket, key, _ = fs.split_path(path)

    def read() -> Versioned:
        answer = fs.call_s3("get_object", Bucket=bucket, Key=key)
        return Versioned(_body(fs, answer["Body"]), _version_told(fs, path, answer, "ETag"))

    try:
        return patience.wholly(read)
    except FileNotFoundError:
        return None


def _version_told(fs: Any, path: str, answer: Mapping[str, Any], name: str) -> str:
    """Return what an answer tells of an object's version.

    Raises:
        ConfigError: It tells nothing: a web page, maybe, in the place of a store.
    """
    if name not in answer:
        raise ConfigError(
            "what answers here is no object store",
            where=fs.unstrip_protocol(path),
            expected=f"{name} with every object",
            remedy=failures.ADDRESS,
        )
    return str(answer[name])


def _body(fs: Any, body: Any) -> bytes:
    import fsspec.asyn

    return bytes(fsspec.asyn.sync(fs.loop, body.read))


def _swap_s3(fs: Any, path: str, content: bytes, seen: Versioned | None) -> bool:
    bucket, key, _ = fs.split_path(path)
    condition = {"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen.version}
    # Not found: what was seen is gone.
    return _holds(
        lambda: fs.call_s3("put_object", Bucket=bucket, Key=key, Body=content, **condition),
        FileNotFoundError,
        says=_S3_OTHERS,
    )


def _version_s3(fs: Any, path: str) -> str | None:
    bucket, key, _ = fs.split_path(path)
    try:
        return _version_told(fs, path, fs.call_s3("head_object", Bucket=bucket, Key=key), "ETag")
    except FileNotFoundError:
        return None


def _remove_s3(fs: Any, path: str, version: str) -> bool:
    bucket, key, _ = fs.split_path(path)
    return _holds(
        lambda: fs.call_s3("delete_object", Bucket=bucket, Key=key, IfMatch=version), FileNotFoundError, says=_S3_OTHERS
    )


def _list_s3(fs: Any, path: str, ending: str) -> dict[str, Listed]:
    return _listed_ending(fs, path, ending, "ETag")


def _list_gcs(fs: Any, path: str, ending: str) -> dict[str, Listed]:
    return _listed_ending(fs, path, ending, "generation")


def _listed_ending(fs: Any, path: str, ending: str, version: str) -> dict[str, Listed]:
    return {
        name: Listed(str(entry[version]), int(entry["size"]))
        for name, entry in fs.find(path, detail=True).items()
        if name.endswith(ending)
    }


def _read_gcs(fs: Any, path: str) -> Versioned | None:
    bucket, key, _ = fs.split_path(path)
    try:
        headers, content = fs.call("GET", "b/{}/o/{}", bucket, key, alt="media")
    except FileNotFoundError:
        return None
    return Versioned(bytes(content), _version_told(fs, path, headers, "x-goog-generation"))


def _swap_gcs(fs: Any, path: str, content: bytes, seen: Versioned | None) -> bool:
    bucket, key, _ = fs.split_path(path)

    def put() -> None:
        fs.call(
            "POST",
            f"{fs._location}/upload/storage/v1/b/{{}}/o",
            bucket,
            uploadType="media",
            name=key,
            ifGenerationMatch="0" if seen is None else seen.version,
            data=content,
        )

    return _holds(put, FileExistsError, FileNotFoundError, says=_GCS_OTHERS)


def _version_gcs(fs: Any, path: str) -> str | None:
    bucket, key, _ = fs.split_path(path)
    try:
        return str(fs.call("GET", "b/{}/o/{}", bucket, key, json_out=True)["generation"])
    except FileNotFoundError:
        return None


def _remove_gcs(fs: Any, path: str, version: str) -> bool:
    bucket, key, _ = fs.split_path(path)
    return _holds(
        lambda: fs.call("DELETE", "b/{}/o/{}", bucket, key, ifGenerationMatch=version),
        FileNotFoundError,
        FileExistsError,
        says=_GCS_OTHERS,
    )


def _holds(request: Callable[[], object], *refusals: type[OSError], says: Sequence[str]) -> bool:
    """Make a request under a condition; return whether that held.

    Args:
        request: Makes it.
        refusals: What the client raises where it does not hold.
        says: What stands in other errors then.
    """
    try:
        patiently(request)
    except refusals:
        return False
    except OSError as error:
        told = _words(error)
        if any(word in told for word in says):
            return False
        raise
    return True


def _words(error: OSError) -> str:
    """Return what a store's client says of an error, and the store itself."""
    return " ".join(repr(part) for part in (error, error.__cause__, getattr(error, "code", "")))


# Memory, for tests

_memory: Final = threading.Lock()


def _read_memory(fs: Any, path: str) -> Versioned | None:
    version = _version_memory(fs, path)
    return Versioned(bytes(fs.cat_file(path)), version) if version is not None else None


def _version_memory(fs: Any, path: str) -> str | None:
    return fs.modified(path).isoformat() if fs.exists(path) else None


def _remove_memory(fs: Any, path: str, version: str) -> bool:
    with _memory:
        if _version_memory(fs, path) != version:
            return False
        fs.rm_file(path)
    return True


def _swap_memory(fs: Any, path: str, content: bytes, seen: Versioned | None) -> bool:
    with _memory:
        if _read_memory(fs, path) != seen:
            return False
        fs.pipe_file(path, content)
    return True


def _list_memory(fs: Any, path: str, ending: str) -> dict[str, Listed]:
    return {
        name: Listed(fs.modified(name).isoformat(), int(entry["size"]))
        for name, entry in fs.find(path, detail=True).items()
        if name.endswith(ending)
    }


_LOCAL: Final = _Kind(_read_local, _swap_local, _version_local, _remove_local, _list_local)
_S3: Final = _Kind(_read_s3, _swap_s3, _version_s3, _remove_s3, _list_s3)
_GCS: Final = _Kind(_read_gcs, _swap_gcs, _version_gcs, _remove_gcs, _list_gcs)
_KINDS: Final = {
    "file": _LOCAL,
    "s3": _S3,
    "s3a": _S3,
    "gs": _GCS,
    "gcs": _GCS,
    "memory": _Kind(_read_memory, _swap_memory, _version_memory, _remove_memory, _list_memory),
}
