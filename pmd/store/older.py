"""Older versions: what a bucket keeps of files that were replaced or removed.

A bucket with versioning keeps the bytes of all that runs ever wrote, hidden from whoever lists it. That is a safeguard against
mistakes, and stays as it is but for one case: what was taken down must not be left there (`pipelines.takedown`). Local folders
and buckets without versioning keep none.

The account may lack the right to list or to delete them, and the bucket may hold on to them (object lock, retention, soft
delete). None of that is an error of ours: it is told in words, for a person to act on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Final, cast

from pmd.store import bulk, spools, storage
from pmd.store.patience import patiently

#: Bytes that are read in a request.
_READ_BYTES: Final = 2**26
#: What clients and services say where a right is missing, and where a service knows no versions at all.
_FORBIDDEN: Final = ("PermissionError", "AccessDenied", "Forbidden")
_UNKNOWN: Final = ("NotImplemented", "MethodNotAllowed")
_DAY_S: Final = 86_400


@dataclasses.dataclass(frozen=True)
class Older:
    """A version of a file that is not the one which stands.

    Attributes:
        name: The file, relative to the folder that was listed.
        path: Its path, as the file system has it.
        version: What the service calls it by.
        bytes: Its size.
        is_marker: Whether it is S3's mark that the file was removed: it holds nothing.
    """

    name: str
    path: str
    version: str
    bytes: int
    is_marker: bool = False


@dataclasses.dataclass(frozen=True)
class Found:
    """What a bucket keeps below a folder.

    Attributes:
        versions: All older versions, by name; marks last.
        unlisted: Why it cannot be told, in words; None: it can.
    """

    versions: tuple[Older, ...] = ()
    unlisted: str | None = None


@dataclasses.dataclass(frozen=True)
class _Kind:
    list: Callable[[Any, str], Iterator[Older]]
    is_versioned: Callable[[Any, str], bool]
    remove: Callable[[Any, Sequence[Older]], Iterator[tuple[Older, str]]]
    read: Callable[[Any, Older, int, int], bytes]
    held_back: Callable[[Any, str], str | None]
    right_to_list: str
    right_to_remove: str


def found(folder: str) -> Found:
    """Return the older versions of all files below a folder."""
    fs, path = storage.filesystem(folder)
    kind = _kind_of(fs)
    if kind is None:
        return Found()
    prefix = path.rstrip("/") + "/"
    try:
        versions = list(patiently(lambda: [*kind.list(fs, prefix)]))
    except OSError as error:
        if _says(error, _UNKNOWN):
            return Found()
        if not _says(error, _FORBIDDEN):
            raise
        with contextlib.suppress(OSError):
            if not kind.is_versioned(fs, path):
                return Found()
        words = "older versions of files, which the bucket may keep, cannot be listed"
        return Found(unlisted=f"{words}: {kind.right_to_list}")
    return Found(tuple(sorted(versions, key=lambda one: (one.is_marker, one.name, one.version))))


def remove(folder: str, versions: Sequence[Older], check: Callable[[], None]) -> list[str]:
    """Remove older versions for good.

    Args:
        folder: The one that was listed.
        versions: Some of what was found. Marks go last, and not where a version before them could not: it would stand again.
        check: Raises where the lock is no longer held.

    Returns:
        What could not be done, in words; a sentence for each cause.
    """
    fs, path = storage.filesystem(folder)
    kind = _kind_of(fs)
    if kind is None:
        return []
    left: dict[str, list[str]] = {}
    kept: set[str] = set()
    for is_marker in (False, True):
        mine = [one for one in versions if one.is_marker is is_marker and one.path not in kept]
        for start in range(0, len(mine), bulk.AT_ONCE):
            check()
            for one, why in kind.remove(fs, mine[start : start + bulk.AT_ONCE]):
                kept.add(one.path)
                left.setdefault(why, []).append(one.name)
    told = [
        f"{len(names):,} older version{'s' if len(names) != 1 else ''} could not be deleted, the first of {min(names)}: "
        f"the bucket says {why}; {kind.right_to_remove}"
        for why, names in sorted(left.items())
    ]
    held_back = kind.held_back(fs, path) if versions else None
    return told + ([held_back] if held_back is not None else [])


@contextlib.contextmanager
def opened(folder: str, one: Older) -> Iterator[BinaryIO]:
    """Open an older version for reading: a copy on this machine.

    Raises:
        OSError: It is gone, or may not be read.
    """
    fs, _ = storage.filesystem(folder)
    kind = _kind_of(fs)
    assert kind is not None, folder
    with tempfile.TemporaryFile(dir=spools.folder()) as copy:
        with spools.named():
            for start in range(0, one.bytes, _READ_BYTES):
                end = min(start + _READ_BYTES, one.bytes)
                copy.write(patiently(functools.partial(kind.read, fs, one, start, end)))
            copy.seek(0)
        yield cast(BinaryIO, copy)


def held_back(folder: str) -> str | None:
    """Return in words what a bucket keeps even of what was deleted for good, as far as it says so."""
    fs, path = storage.filesystem(folder)
    kind = _kind_of(fs)
    return None if kind is None else kind.held_back(fs, path)


def _kind_of(fs: Any) -> _Kind | None:
    if not storage.is_object_store(fs):
        return None
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else {*fs.protocol}
    return _GCS if "gs" in protocols else _S3


def _says(error: OSError, words: Sequence[str]) -> bool:
    told = " ".join(repr(part) for part in (error, error.__cause__))
    return any(word in told for word in words)


# S3


def _list_s3(fs: Any, prefix: str) -> Iterator[Older]:
    bucket, key, _ = fs.split_path(prefix)
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": key.rstrip("/") + "/"}
    while True:
        answer = fs.call_s3("list_object_versions", **asked)
        for entries, is_marker in ((answer.get("Versions", ()), False), (answer.get("DeleteMarkers", ()), True)):
            for entry in entries:
                if is_marker or not entry["IsLatest"]:
                    path = f"{bucket}/{entry['Key']}"
                    size = 0 if is_marker else int(entry["Size"])
                    yield Older(path.removeprefix(prefix), path, str(entry["VersionId"]), size, is_marker)
        if not answer.get("IsTruncated"):
            return
        asked["KeyMarker"] = answer["NextKeyMarker"]
        asked["VersionIdMarker"] = answer["NextVersionIdMarker"]


def _is_versioned_s3(fs: Any, path: str) -> bool:
    return "Status" in fs.call_s3("get_bucket_versioning", Bucket=fs.split_path(path)[0])


def _remove_s3(fs: Any, versions: Sequence[Older]) -> Iterator[tuple[Older, str]]:
    if not versions:
        return
    bucket = fs.split_path(versions[0].path)[0]
    named = {(fs.split_path(one.path)[1], one.version): one for one in versions}
    try:
        left = bulk.refused(fs, bucket, [{"Key": key, "VersionId": version} for key, version in named])
    except OSError as error:
        if not _says(error, _FORBIDDEN):
            raise
        yield from ((one, str(error) or "AccessDenied") for one in versions)
        return
    for told, why in left:
        said = _removed_alone(fs, bucket, told) if why is None else why
        if said is not None:
            yield named[told["Key"], told["VersionId"]], said


def _removed_alone(fs: Any, bucket: str, told: bulk.Named) -> str | None:
    """Remove a version by a request of its own; return why not, where that is forbidden."""
    try:
        bulk.remove_alone(fs, bucket, told)
    except OSError as error:
        if not _says(error, _FORBIDDEN):
            raise
        return str(error) or "AccessDenied"
    return None


def _read_s3(fs: Any, one: Older, start: int, end: int) -> bytes:
    import fsspec.asyn

    bucket, key, _ = fs.split_path(one.path)
    span = f"bytes={start}-{end - 1}"
    answer = fs.call_s3("get_object", Bucket=bucket, Key=key, VersionId=one.version, Range=span)
    return bytes(fsspec.asyn.sync(fs.loop, answer["Body"].read))


# Cloud Storage


def _list_gcs(fs: Any, prefix: str) -> Iterator[Older]:
    bucket, key, _ = fs.split_path(prefix)
    token = None
    while True:
        more: dict[str, str] = {} if token is None else {"pageToken": token}
        answer = fs.call("GET", "b/{}/o", bucket, prefix=key.rstrip("/") + "/", versions="true", json_out=True, **more)
        for entry in answer.get("items", ()):
            if entry.get("timeDeleted"):  # the one that stands has none
                path = f"{bucket}/{entry['name']}"
                yield Older(path.removeprefix(prefix), path, str(entry["generation"]), int(entry["size"]))
        token = answer.get("nextPageToken")
        if token is None:
            return


def _is_versioned_gcs(fs: Any, path: str) -> bool:
    return bool(_bucket(fs, path).get("versioning", {}).get("enabled"))


def _remove_gcs(fs: Any, versions: Sequence[Older]) -> Iterator[tuple[Older, str]]:
    for one in versions:
        bucket, key, _ = fs.split_path(one.path)
        try:
            fs.call("DELETE", "b/{}/o/{}", bucket, key, generation=one.version)
        except FileNotFoundError:
            continue
        except OSError as error:
            if not _says(error, _FORBIDDEN):
                raise
            yield one, str(error) or "Forbidden"


def _read_gcs(fs: Any, one: Older, start: int, end: int) -> bytes:
    bucket, key, _ = fs.split_path(one.path)
    span = {"Range": f"bytes={start}-{end - 1}"}
    _, content = fs.call("GET", "b/{}/o/{}", bucket, key, alt="media", generation=one.version, headers=span)
    return bytes(content)


def _held_back_gcs(fs: Any, path: str) -> str | None:
    """Return what soft delete keeps; a bucket that does not say is taken to keep nothing."""
    try:
        policy = _bucket(fs, path).get("softDeletePolicy", {})
    except OSError:
        return (
            "whether the bucket keeps what was deleted (soft delete) could not be asked: "
            "the account needs storage.buckets.get"
        )
    kept_s = int(policy.get("retentionDurationSeconds", 0))
    if not kept_s:
        return None
    return (
        f"the bucket keeps what was deleted for {kept_s / _DAY_S:.3g} days more (soft delete), and its owner can bring it "
        "back until then; a softDeletePolicy of 0 s ends that for what is deleted later"
    )


def _bucket(fs: Any, path: str) -> dict[str, Any]:
    return cast(dict[str, Any], fs.call("GET", "b/{}", fs.split_path(path)[0], json_out=True))


_S3: Final = _Kind(
    _list_s3,
    _is_versioned_s3,
    _remove_s3,
    _read_s3,
    lambda fs, path: None,
    "the account needs s3:ListBucketVersions",
    "the account needs s3:DeleteObjectVersion, and an object lock must have ended",
)
_GCS: Final = _Kind(
    _list_gcs,
    _is_versioned_gcs,
    _remove_gcs,
    _read_gcs,
    _held_back_gcs,
    "the account needs storage.objects.list",
    "the account needs storage.objects.delete, and a retention policy or hold must have ended",
)
