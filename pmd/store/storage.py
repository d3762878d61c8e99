"""Bytes on any file system that fsspec reaches: raw reads, whole-file writes, put-if-absent, removing.

Beam's own `FileSystems` is not used: its files show before they are whole, its local rename overwrites, and it decides
compression by name. Here a file is there whole or not at all, and only `put_if_absent` and `pmd.store.versions` decide races.

After a power cut a local file is whole only where it was synchronised before it got its name, and it has its name only where
its folder was synchronised after that. Files are synchronised as they are written, their folders by who commits them
(`sync_folders`). Object stores promise both when they have answered.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import io
import os
import posixpath
import re
import shutil
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, cast

from pmd.errors import ConfigError, InputError, PmdError
from pmd.store import bulk, clients, naming, spools
from pmd.store.local import LOCAL, NOWHERE, Local, walk
from pmd.store.patience import PAUSES_S, CutShortError, Reading, Writing, asking, patiently, refuse_pipes, wholly

#: Marks files that are being written; sweeps remove them, readers never see them.
TEMPORARY = ".tmp-"

#: Bytes that are collected before they are written, or read ahead, of an open file.
_WRITE_BYTES: Final = 2**13
_READ_BYTES: Final = 2**14

#: How file systems call what tells the version of a file, the best first; the last is a web server's.
_VERSIONS: Final = ("mtime", "etag", "ETag", "generation", "created", "Last-Modified")

#: Signs of a pattern.
_WILD: Final = "*?["

#: Protocol → the extra of pmd that brings what it needs.
_EXTRAS = {"s3": "aws", "s3a": "aws", "gs": "gcp", "gcs": "gcp"}
#: Protocol → how the variables begin that tell its client where the store is and who asks. In a notebook they may change.
_AWS, _GCP = ("AWS_",), ("GOOGLE_", "STORAGE_", "GCSFS_", "CLOUDSDK_")
_S3_PROTOCOLS: Final = frozenset({"s3", "s3a"})
_TOLD_BY: Final = {"s3": _AWS, "s3a": _AWS, "gs": _GCP, "gcs": _GCP}

#: What is asked of a client of S3 so that it waits some 30 s for a store that is busy or away (429, 5xx, no connection); gcsfs
#: does by itself. Its own loop around such waits would make minutes of them. To read a whole object in ranges side by side it
#: asks for its size first, which doubles the requests for small ones.
_S3: Final[dict[str, Any]] = {
    "config_kwargs": {"retries": {"mode": "standard", "max_attempts": 7}},
    "max_concurrency": 1,
}
_S3_TRIES: Final = 1

#: How s3fs takes a version out of a name, which it then passes over.
_VERSION_ID: Final = "?versionId="

#: A range as gcsfs asks for it, and how an answer tells the bytes of the whole.
_SPAN: Final = re.compile(r"bytes=(\d+)-(\d+)")
_SIZE: Final = re.compile(r"/(\d+)$")
#: Encodings of an object that gcsfs undoes, or has the store undo.
_DECODED: Final = frozenset({"gzip", "deflate", "br", "zstd"})

#: What a web server answers that is asked too much, and from which number on it fails.
_BUSY: Final = 429
_FAILS: Final = 500


def _filesystem(protocol: str) -> Any:
    if protocol in LOCAL.protocol:
        return LOCAL
    begin = _TOLD_BY.get(protocol)
    return _client(protocol, () if begin is None else tuple(sorted(_environment(begin))))


def _environment(begin: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((name, os.environ[name]) for name in os.environ if name.startswith(begin))


@functools.lru_cache(maxsize=16)
def _client(protocol: str, _: tuple[tuple[str, str], ...]) -> Any:
    """Return the file system of a protocol: the same as long as the environment tells its client the same."""
    import fsspec  # here: most commands meet local files alone (`pmd.store.local`)

    # A cached listing would not show what other processes have written since; fsspec's own cache knows no environment.
    more = _told_to_s3() if protocol in _S3_PROTOCOLS else {}
    fs = fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True, **more)
    if protocol in _S3_PROTOCOLS:
        fs.retries = _S3_TRIES
    if protocol in {"gs", "gcs"}:
        import fsspec.asyn

        fs._call = _wholly(fs._call)
        fs.call = lambda *what, **said: fsspec.asyn.sync(fs.loop, fs._call, *what, **said)
    return fs


def _told_to_s3() -> dict[str, Any]:
    """Return what a client of S3 is told beside what `FSSPEC_S3` tells it: of `config_kwargs` it takes the one or the other."""
    from fsspec.config import conf

    told = [conf.get(name, {}).get("config_kwargs", {}) for name in ("s3", "s3a")]
    return {**_S3, "config_kwargs": {**_S3["config_kwargs"], **told[0], **told[1]}}


def _wholly(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return how gcsfs asks for anything, but what it was given less of than the answer itself says is asked for again.

    gcsfs takes less for the end of a file, whose other rows would be lost, or waits for the rest without end.
    """
    import asyncio  # which a client of Cloud Storage has read in

    async def asked(method: str, *what: Any, **said: Any) -> Any:
        for pause_s in (*PAUSES_S, None):
            answer = await call(method, *what, **said)
            is_content = method == "GET" and isinstance(answer, tuple)
            wanted = _promised((said.get("headers") or {}).get("Range"), answer[0]) if is_content else None
            if wanted is None or len(answer[1]) == wanted:
                return answer
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        raise CutShortError(f"{len(answer[1])} bytes, where {wanted} were asked for")

    return asked


def _promised(asked: str | None, headers: Mapping[str, str]) -> int | None:
    """Return how many bytes an answer of Cloud Storage is to have by its headers, for a range or a whole object; None: unsaid."""
    if asked is None:
        is_plain = headers.get("X-Goog-Stored-Content-Encoding") == "identity"
        return int(headers["X-Goog-Stored-Content-Length"]) if is_plain else None
    span, size = _SPAN.fullmatch(asked), _SIZE.search(headers.get("Content-Range", ""))
    return None if span is None or size is None else min(int(span[2]) + 1, int(size[1])) - int(span[1])


def is_object_store(fs: Any) -> bool:
    """Return whether a file system has objects and no folders, and shows an object when all of it is there."""
    return bool(_protocols(fs) & {*_EXTRAS})


def is_local(url: str) -> bool:
    """Return whether a path or URL lies in this machine's own file system."""
    return isinstance(filesystem(url)[0], Local)


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path within it."""
    protocol = _protocol(url)
    if _VERSION_ID in url and protocol in _S3_PROTOCOLS:
        raise ConfigError(
            "no version of an object can be named",
            where=url,
            expected="the object's name: the version that stands is read",
            remedy="copy that version to a name of its own, and name that",
        )
    try:
        fs = _filesystem(protocol)
    except Exception as error:
        raise _unusable(protocol, url, error) from error
    if not isinstance(fs, Local):
        return fs, cast(str, fs._strip_protocol(url))
    if "\0" in url:
        raise ConfigError("no path has a NUL character", where=repr(url), remedy="mend the path")
    return fs, fs.path(url)


def _protocol(url: str) -> str:
    """Return the protocol of a URL; a path's is "file". fsspec takes every "::" for its end; in a path it is part of a name."""
    return re.split("::|://", url, maxsplit=1)[0] if "://" in url else "file"


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
    """Join path parts with "/", whatever the file system.

    A name below a URL may begin with "/", where an object's key has two in a row: it is no path of this machine.
    """
    *above, last = parts
    if "://" not in parts[0]:
        return posixpath.join(*parts)
    return "/".join([*(part.removesuffix("/") for part in above if part), last])


def resolved(url: str) -> str:
    """Return a URL without "." and ".." among its parts, which a store takes for names; a path as it is: a system resolves it."""
    head, sign, rest = url.partition("://")
    parts = rest.split("/")
    if not sign or not {".", ".."} & {*parts}:
        return url
    left: list[str] = []
    for part in parts:
        if part == ".." and len(left) > 1:  # the bucket stays
            left.pop()
        elif part != ".":
            left.append(part)
    return f"{head}://{'/'.join(left)}"


def is_text(name: str) -> bool:
    """Return whether the name of a file is text, which tables and commits can hold: locally, and in a tar, it is any bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def refuse_other_than_text(path: str, kind: type[PmdError]) -> None:
    """Raise an error of a kind where a path is no text (`is_text`)."""
    if not is_text(path):
        raise kind(
            "the path is not UTF-8",
            where=path,
            expected="names of files and folders in UTF-8, since tables and commits name them",
            found=repr(os.fsencode(path)),
            remedy="rename the file or folder, or move the file elsewhere",
        )


def exists(url: str) -> bool:
    """Return whether a file or folder is there."""
    fs, path = filesystem(url)
    if isinstance(fs, Local):
        return fs.mode(path) is not None
    with asking(url):
        if not _is_in_gcs(fs, path):
            found = bool(patiently(lambda: fs.exists(path)))
            if not found and {"http", "https"} & _protocols(fs):
                _require_answer(fs, path)
            return found
        try:
            _info(fs, path)
        except FileNotFoundError:
            return False
        return True


def _require_answer(fs: Any, path: str) -> None:
    """Raise what keeps a web server from saying whether it has a file: fsspec takes silence for a no."""
    try:
        patiently(lambda: fs.info(path))
    except FileNotFoundError as error:
        cause = error.__cause__
        status = getattr(cause, "status", None)
        # One that is busy, or fails for now, has said nothing of the file.
        is_no = status is not None and status < _FAILS and status != _BUSY
        has_said_no = is_no or isinstance(cause, FileNotFoundError | ValueError)
        if cause is not None and not has_said_no:
            raise cause from None


def is_folder(url: str) -> bool:
    """Return whether a folder is there."""
    fs, path = filesystem(url)
    if isinstance(fs, Local):
        return fs.isdir(path)
    with asking(url):
        return patiently(lambda: _is_folder(fs, path))


def _is_folder(fs: Any, path: str) -> bool:
    if _is_in_s3(fs):
        return _has_objects_in_s3(fs, path)
    return _has_objects(fs, path) if _is_in_gcs(fs, path) else bool(fs.isdir(path))


def is_same(one: str, other: str) -> bool:
    """Return whether two paths lead to one file: by links, or since both are spellings of one name."""
    (fs, path), (other_fs, other_path) = filesystem(one), filesystem(other)
    if isinstance(fs, Local) and isinstance(other_fs, Local):
        if os.path.normpath(path) == os.path.normpath(other_path):  # by a folder, maybe, that is still to be made
            return True
        return exists(one) and exists(other) and patiently(lambda: os.path.samefile(path, other_path))
    return fs is other_fs and posixpath.normpath(path) == posixpath.normpath(other_path)


def above(url: str) -> Iterator[str]:
    """Yield the folders above a file or folder, the nearest first; of a relative path also those above where we are."""
    is_here = is_local(url)
    folder = os.path.normpath(filesystem(url)[1]) if is_here else url.rstrip("/")
    while (higher := posixpath.dirname(folder)) != folder and (is_here or "://" in higher):
        folder = higher
        yield folder


def _info(fs: Any, path: str) -> Any:
    """Return what a file system says of a file or folder.

    Of Cloud Storage gcsfs asks two or three things at once, of which it needs one: where there is a file, that it is there.

    Raises:
        FileNotFoundError: There is nothing of this name.
    """
    if not _is_in_gcs(fs, path):
        return patiently(lambda: fs.info(path))
    import fsspec.asyn  # which a client of Cloud Storage has read in

    try:
        return patiently(lambda: fsspec.asyn.sync(fs.loop, fs._get_object, path))
    except FileNotFoundError:
        if patiently(lambda: _has_objects(fs, path)):
            return {"name": path, "size": 0, "type": "directory"}
        raise


def _is_in_gcs(fs: Any, path: str) -> bool:
    """Return whether a path is one of Cloud Storage, below a bucket."""
    return "gs" in _protocols(fs) and bool(fs.split_path(path)[1])


def _has_objects(fs: Any, path: str) -> bool:
    """Return whether anything stands below a path of Cloud Storage."""
    bucket, key, _ = fs.split_path(path)
    prefix = key.rstrip("/") + "/"
    try:
        found = fs.call("GET", "b/{}/o", bucket, prefix=prefix, maxResults=1, json_out=True)
    except FileNotFoundError:  # no such bucket
        return False
    return bool(found.get("items"))


def _has_objects_in_s3(fs: Any, path: str) -> bool:
    """Return whether anything stands below a path of S3, or a bucket is there; s3fs would list all of it."""
    bucket, key, _ = fs.split_path(path)
    prefix = f"{key.rstrip('/')}/" if key else ""
    payer = getattr(fs, "req_kw", {})  # who asks pays, where FSSPEC_S3 says so
    try:
        found = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1, **payer)
    except FileNotFoundError:  # no such bucket
        return False
    return not key or bool(found.get("Contents"))


def size(url: str) -> int:
    """Return a file's size in bytes.

    Raises:
        InputError: There is no such file.
    """
    fs, path = filesystem(url)
    try:
        with asking(url):
            found = _info(fs, path)["size"]
    except FileNotFoundError:
        raise InputError("no such file", where=url, remedy="check the path in the configuration") from None
    if found is None:
        raise InputError(
            "its server does not say how large it is", where=url, remedy="download it, and name the file that you have"
        )
    return int(found)


def fingerprint(url: str) -> str:
    """Return a string that changes when the file does: its size and what its file system says of its version.

    A folder's tells the names and sizes of all files below it: its own time does not change with what is deeper in it.

    Raises:
        InputError: There is nothing of this name.
    """
    fs, path = filesystem(url)
    try:
        with asking(url):
            info = _info(fs, path)
    except FileNotFoundError:
        raise InputError("no such file", where=url, remedy="check the path in the configuration") from None
    if info["type"] == "directory":
        sizes = {name.removeprefix(path): size for name, size in patiently(lambda: _sizes(fs, path)).items()}
        return hashlib.sha256(repr(sorted(sizes.items())).encode()).hexdigest()
    version = next((info[name] for name in _VERSIONS if info.get(name)), None)
    return f"{info['size']}:{version}"


def changed_ns(path: str) -> int:
    """Return when a local file was last changed in any way, be it in name or rights, in ns since 1970.

    The system alone sets this time: a file that has another's size and time of modification has its own.
    """
    there = filesystem(path)[1]
    return patiently(lambda: os.stat(there)).st_ctime_ns


def sizes(folder: str) -> dict[str, int]:
    """Return every file below a folder and its size in bytes, as one look shows them; see `list_files`."""
    fs, path = filesystem(folder)
    if not is_object_store(fs) and not exists(folder):
        return {}
    prefix = path.rstrip("/") + "/"
    with asking(folder):
        found = patiently(lambda: _sizes(fs, path))
    return {name.removeprefix(prefix): found[name] for name in sorted(found)}


def _sizes(fs: Any, folder: str) -> dict[str, int]:
    """Return the files below a folder and their sizes, in bytes; the same files as `list_files`."""
    if isinstance(fs, Local):
        return {name: _size_of(name) for name in walk(folder)}
    return {name: entry["size"] for name, entry in fs.find(folder, detail=True).items() if not _is_marker(name)}


def _is_marker(name: str) -> bool:
    """Return whether an object stands for a folder, as consoles and tools make them: one of no bytes whose name ends so."""
    return name.endswith("/")


def _size_of(path: str) -> int:
    """Return the size of a local file; 0 of a link that leads nowhere."""
    try:
        return os.stat(path).st_size
    except OSError as error:
        if error.errno in NOWHERE:
            return 0
        raise


@functools.lru_cache(maxsize=1024)
def content_digest(url: str, version: str) -> str:
    """Return the SHA-256 of a file's bytes, in hex; read once a process.

    Args:
        url: The file.
        version: Its fingerprint: another version is read anew.
    """
    with open_raw(url) as file:
        return hashlib.file_digest(cast(Any, file), "sha256").hexdigest()


def open_raw(url: str) -> BinaryIO:
    """Open a file for reading its bytes as they are: seekable, never decompressed by its name.

    Raises:
        InputError: There is no such file.
    """
    fs, path = filesystem(url)
    try:
        if isinstance(fs, Local):
            return cast(BinaryIO, io.BufferedReader(Reading(path), _READ_BYTES))
        with asking(url):
            file = fs.open(path, "rb", compression=None)
        cache = getattr(file, "cache", None)
        if cache is not None and "gs" in _protocols(fs):  # whose files fetch ahead by themselves (`_wholly`)
            encoded = _encoded(file.details, url)
            if encoded is not None:
                file.close()
                raise encoded
            cache._fetch = functools.partial(_fetched_ahead, cache._fetch, url)
        elif cache is not None:
            cache.fetcher = functools.partial(
                _fetched, wholly if _is_in_s3(fs) else _once, cache.fetcher, cache.size, url
            )
        # Of a line fsspec's files give the whole, however long it is: they know no bound.
        return cast(BinaryIO, file if cache is None else io.BufferedReader(file, _READ_BYTES))
    except FileNotFoundError:
        raise InputError("no such file", where=url, remedy="check the path in the configuration") from None


def _encoded(details: Mapping[str, Any], url: str) -> InputError | None:
    """Return that an object of Cloud Storage is decompressed on its way: its size, and so ranges, are of what is stored."""
    encoding = details.get("contentEncoding")
    if encoding not in _DECODED:
        return None
    return InputError(
        "this object is decompressed on its way here, so that it cannot be read in parts",
        where=url,
        expected="an object without a Content-Encoding; what is compressed is read, whatever its name",
        found=f"Content-Encoding: {encoding}",
        remedy=f"gcloud storage objects update --clear-content-encoding {url}",
    )


def _fetched(
    read: Callable[[Callable[[], bytes]], bytes],
    fetch: Callable[[int, int], bytes],
    size: int,
    url: str,
    start: int,
    stop: int,
) -> bytes:
    """Return a range of an open file: a store that answers with less would be taken for the file's end, and rows be lost."""

    def fetched() -> bytes:
        found = fetch(start, stop)
        _refuse_cut(len(found), start, stop, size)
        return found

    with asking(url):
        return read(fetched)


def _fetched_ahead(fetch: Callable[[int, int], bytes], url: str, start: int, stop: int) -> bytes:
    with asking(url):
        return fetch(start, stop)


def _refuse_cut(found: int, start: int, stop: int, size: int | None) -> None:
    """Raise where a range of a file of `size` bytes has another length than it should; None: nobody says how large it is."""
    wanted = found if size is None else max(min(stop, size) - start, 0)
    if found != wanted:
        raise CutShortError(f"{found} bytes from byte {start} on, where {wanted} were asked for")


def _once(call: Callable[[], bytes]) -> bytes:
    return call()


def read_bytes(url: str, start: int | None = None, stop: int | None = None) -> bytes:
    """Return a file's bytes, or those of a range."""
    fs, path = filesystem(url)
    if isinstance(fs, Local):
        refuse_pipes(path)
    read = wholly if _is_in_s3(fs) else patiently

    def fetched() -> bytes:
        try:
            found = cast(bytes, fs.cat_file(path, start=start, end=stop))
        except Exception as error:
            if stop is None or isinstance(fs, Local) or not clients.is_behind_the_end(error):
                raise
            found = b""
        if stop is not None and len(found) < stop - (start or 0) and not isinstance(fs, Local):
            _refuse_cut(len(found), start or 0, stop, _info(fs, path)["size"])
        return found

    with asking(url):
        try:
            found = read(fetched)
        except CutShortError as error:
            raise (_encoded(_info(fs, path), url) if _is_in_gcs(fs, path) else None) or error from None
    if stop is not None and len(found) > stop - (start or 0):  # a web server may send all, whatever it is asked for
        return found[start:stop]
    return found


def glob(pattern: str) -> list[str]:
    """Return the files that a pattern matches, sorted, spelled with the pattern's protocol.

    What exists under just that name is that, whatever signs are in it; so is a folder that the pattern names.
    """
    if exists(pattern):
        return [pattern]
    if not any(character in pattern for character in _WILD):
        return []
    fs, path = filesystem(pattern)
    protocol = pattern.split("://", 1)[0] + "://" if "://" in pattern else ""
    with asking(pattern):
        found = sorted(cast(list[str], patiently(lambda: _listing(fs).glob(_literal_start(fs, path)))))
    if isinstance(fs, Local) and not os.path.isabs(os.path.expanduser(pattern)) and not protocol:
        return [os.path.relpath(name) for name in found]
    return [name if "://" in name else protocol + name for name in found]  # fsspec's names of a web server have theirs


def _literal_start(fs: Any, path: str) -> str:
    """Return a pattern in which the folders that exist as they are written stand for themselves."""
    parts = path.split("/")
    for end in range(len(parts) - 1, 0, -1):
        folder = "/".join(parts[:end])
        if any(character in folder for character in _WILD) and patiently(functools.partial(_listing(fs).isdir, folder)):
            return "/".join([re.sub(r"([*?[])", r"[\1]", folder), *parts[end:]])
    return path


def list_files(folder: str) -> list[str]:
    """Return every file below a folder, relative to it, sorted; an absent folder has none."""
    fs, path = filesystem(folder)
    if not is_object_store(fs) and not exists(folder):
        return []
    prefix = path.rstrip("/") + "/"
    find = (lambda: walk(path)) if isinstance(fs, Local) else (lambda: fs.find(path))
    with asking(folder):
        return sorted(name.removeprefix(prefix) for name in patiently(find) if not _is_marker(name))


def _listing(fs: Any) -> Any:
    """Return a file system that finds what a pattern matches, or tells why it cannot."""
    if not isinstance(fs, Local):
        return fs
    from pmd.store import patterns  # here: it needs fsspec, and few commands meet a pattern

    return patterns.Told()


def make_folder(folder: str) -> None:
    """Make a folder and those above it; nothing where the file system has no folders."""
    fs, path = filesystem(folder)
    if is_object_store(fs):
        return  # what fsspec would make is a bucket

    def make() -> None:
        try:
            fs.makedirs(path, exist_ok=True)
        except FileExistsError:  # Python looks what it is, and takes a failing disk for an answer
            if not is_folder(folder):
                raise

    patiently(make)


def remove(url: str) -> None:
    """Remove a file if it is there."""
    fs, path = filesystem(url)
    with contextlib.suppress(FileNotFoundError), asking(url):
        patiently(lambda: fs.rm_file(path))


def remove_tree(folder: str) -> None:
    """Remove a folder and everything in it, if it is there: only for folders that nobody but this program writes into."""
    fs, path = filesystem(folder)
    with contextlib.suppress(FileNotFoundError), asking(folder):
        if isinstance(fs, Local):
            patiently(lambda: shutil.rmtree(path, onerror=_tell_of_removal))
        elif _is_in_s3(fs):
            _remove_objects(fs, patiently(lambda: fs.find(path)))
        elif any(sign in path for sign in _WILD):  # fsspec would take it for a pattern, and remove what is of others
            for name in patiently(lambda: fs.find(path)):
                fs.rm_file(name)
        else:
            fs.rm(path, recursive=True)
    _forget_synced(path)


def _remove_objects(fs: Any, names: Sequence[str]) -> None:
    """Remove objects of S3, which are in one bucket: many by one request, and alone what was not removed so."""
    for start in range(0, len(names), bulk.AT_ONCE):
        parts = [fs.split_path(name) for name in names[start : start + bulk.AT_ONCE]]
        bucket = parts[0][0]
        for one, _ in bulk.refused(fs, bucket, [{"Key": key} for _, key, _ in parts]):
            bulk.remove_alone(fs, bucket, one)


def _tell_of_removal(_: object, path: str, raised: tuple[Any, BaseException, Any]) -> None:
    """Raise what keeps a tree from being removed; not that a worker which is ending removed something of it itself."""
    if not isinstance(raised[1], FileNotFoundError):
        raise raised[1]


def unended_uploads(folder: str) -> list[tuple[str, str]]:
    """Return the uploads in parts that have not ended below a folder: names, relative to it, and the store's own of the upload.

    Of a process that was killed S3 keeps the parts, and charges for them, until somebody takes them back. Nobody else does so.
    """
    fs, path = filesystem(folder)
    if not _is_in_s3(fs):
        return []
    bucket, key, _ = fs.split_path(path)
    prefix = f"{key.rstrip('/')}/" if key else ""
    found: list[tuple[str, str]] = []
    after: dict[str, str] = {}
    while True:
        page = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **after)
        found += [(one["Key"].removeprefix(prefix), one["UploadId"]) for one in page.get("Uploads", [])]
        if not page.get("IsTruncated"):
            return found
        after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def take_back(url: str, upload: str) -> None:
    """Have a store forget the parts of an upload (`unended_uploads`)."""
    fs, path = filesystem(url)
    bucket, key, _ = fs.split_path(path)
    with contextlib.suppress(FileNotFoundError):  # it has ended since
        fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)


def _is_in_s3(fs: Any) -> bool:
    return "s3" in _protocols(fs)


def _protocols(fs: Any) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else {*fs.protocol}


def remove_empty(folder: str) -> None:
    """Remove a folder, and those in it, that hold no file; nothing where the file system has no folders."""
    fs, path = filesystem(folder)
    if isinstance(fs, Local):
        for inner, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(inner)
        _forget_synced(path)


def remove_folder(folder: str) -> None:
    """Remove a folder if nothing is in it; nothing where the file system has no folders."""
    fs, path = filesystem(folder)
    if isinstance(fs, Local):
        with contextlib.suppress(OSError):
            os.rmdir(path)
        _forget_synced(path)


class Draft:
    """A file that is being written, under a temporary name until it is whole; a context manager that discards what is not.

    What goes to other storage than this machine's is written on this machine, and sent once, when it is whole: a file that shows
    before, or that is copied to its name, costs more and leaves parts of itself behind.

    Args:
        folder: Where.
        durable: It outlives a power cut once it has its name and its folder is settled. Not for what only a run needs.
        is_hashed: Its bytes are hashed as they are written. What is durable then outlasts a synchronisation that fails.

    Attributes:
        file: To write to, from the beginning to the end.
    """

    def __init__(self, folder: str, *, durable: bool = True, is_hashed: bool = True) -> None:
        self._fs, self._folder = filesystem(folder)
        self._url = folder
        self._is_local = isinstance(self._fs, Local)
        self._drafts = self._folder if self._is_local else spools.folder()
        self._durable = durable and self._is_local
        self._temporaries: list[str] = []
        make_folder(folder)
        self._raw = Writing(self._temporary(), self._drafts, is_hashed=is_hashed and durable)
        self.file = cast(BinaryIO, io.BufferedWriter(self._raw, _WRITE_BYTES))

    @staticmethod
    def holding(folder: str, content: bytes, *, durable: bool = True, private: bool = False) -> Draft:
        """Return a file of these bytes, ended; written anew where that fails in a way that may pass. For `private` see `put`."""

        def write() -> Draft:
            draft = Draft(folder, durable=durable, is_hashed=False)
            try:
                if private and draft._is_local:
                    draft._raw.keep_private()
                draft._raw.write_all(content)
                draft.close()
            except BaseException:
                draft.discard()
                raise
            return draft

        return patiently(write)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove what has not got its name."""
        with contextlib.suppress(Exception):
            self._raw.close()  # what the file has not written yet goes nowhere
        for temporary in self._temporaries:
            with contextlib.suppress(Exception):  # renamed, never made, or the storage fails: that is told
                patiently(functools.partial(os.remove, temporary))
        self._temporaries = []

    def writelines(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Write pieces after what stands in `file`; large ones, or many, are not copied on their way."""
        self.file.flush()
        self._raw.writelines(pieces)

    @property
    def bytes(self) -> int:
        """How many bytes an ended file has."""
        return self._raw.bytes

    @property
    def sha256(self) -> str:
        """The SHA-256 of an ended file that is hashed, in hex."""
        assert self._raw.digest is not None
        return self._raw.digest.hexdigest()

    def finish(self, name: str) -> None:
        """End the file and give it its name in the folder, in place of what had it."""
        path = posixpath.join(self._folder, name)
        self.close()
        if self._is_local:
            patiently(functools.partial(naming.replaced, self._raw.path, path, self._identity))
            self._temporaries.remove(self._raw.path)
        else:
            with asking(join(self._url, name)):
                patiently(functools.partial(self._fs.put_file, self._raw.path, path))
            self.discard()  # what was sent is of no use here

    def finish_if_absent(self, name: str) -> bool:
        """End a local file and give it its name if none has it; return whether it did."""
        assert self._is_local
        self.close()
        path = posixpath.join(self._folder, name)
        return patiently(functools.partial(naming.named, self._raw.path, path, self._identity))

    def close(self) -> None:
        """End the file, which has no name yet."""
        if self.file.closed:
            return
        self.file.flush()
        self._raw.synchronise(durable=self._durable, elsewhere=self._temporary)
        self._identity = self._raw.identity()
        self.file.close()

    def _temporary(self) -> str:
        self._temporaries.append(f"{self._drafts}/{TEMPORARY}{uuid.uuid4().hex}")
        return self._temporaries[-1]


def _parted(url: str) -> tuple[str, str]:
    """Return the folder and the name of a file that is to be written."""
    fs, path = filesystem(url)
    if isinstance(fs, Local):
        return posixpath.split(path)
    folder, _, name = url.rpartition("/")
    return folder, name


@contextlib.contextmanager
def write_whole(url: str, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Write a file that shows only when it is whole, in place of what was there; see `Draft`."""
    folder, name = _parted(url)
    with Draft(folder, durable=durable) as draft:
        yield draft.file
        draft.finish(name)


def put(url: str, content: bytes, *, durable: bool = True, private: bool = False) -> None:
    """Write a whole file, replacing what was there.

    A local one that is `private` is read by those alone who may write it: by its owner, and by a group whose members write here.
    """
    folder, name = _parted(url)
    with Draft.holding(folder, content, durable=durable, private=private) as draft:
        draft.finish(name)


def share(source: str, target: str) -> None:
    """Have a file under a second name, unless that is taken: by a hard link where that can be, else as a copy."""
    if exists(target):
        return
    make_folder(posixpath.dirname(target))
    if is_local(source) and is_local(target) and not naming.link(filesystem(source)[1], filesystem(target)[1]):
        return
    put(target, read_bytes(source))


def put_if_absent(url: str, content: bytes) -> bool:
    """Write a whole file only where none stands; return whether it was written. Of several writers exactly one wins.

    Local: a hard link of a finished temporary, which fails where the name is taken; where the file system has no links, a rename
    that replaces nothing. Object stores: fsspec's
    ``mode="create"`` (generation match on Cloud Storage, If-None-Match on S3).
    """
    fs, path = filesystem(url)
    if not isinstance(fs, Local):
        make_folder(posixpath.dirname(url))
        try:
            with asking(url):
                patiently(lambda: fs.pipe_file(path, content, mode="create"))
        except FileExistsError:
            return False
        return True
    with Draft.holding(posixpath.dirname(path), content) as draft:
        written = draft.finish_if_absent(posixpath.basename(path))
    if written:
        sync_folders([url])
    return written


#: Folders whose own names are known to outlive a power cut.
_settled: set[str] = set()


def sync_folders(urls: Iterable[str]) -> None:
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
        naming.sync_folder(folder)
    _settled.update(new)  # not before: what could not be synchronised is not settled


def _forget_synced(path: str) -> None:
    """Forget of a folder that is gone, and of those in it, that they are settled: they may be made again."""
    gone = {folder for folder in _settled if folder == path or folder.startswith(f"{path}/")}
    _settled.difference_update(gone)


def settle(folder: str) -> None:
    """Let all that was done so far in a folder's file system outlive a power cut: also removals, of which no commit tells."""
    fs, path = filesystem(folder)
    if not isinstance(fs, Local):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):  # not Linux
        os.sync()
        return
    number = patiently(lambda: os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    try:
        if libc.syncfs(number):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    finally:
        os.close(number)


def list_names(folder: str) -> list[str]:
    """Return the names that stand directly in a folder, sorted; an absent folder has none."""
    fs, path = filesystem(folder)
    if not is_object_store(fs) and not exists(folder):
        return []
    try:
        with asking(folder):
            found = patiently(lambda: _listed(fs, path))
    except FileNotFoundError:  # a writer has removed it since
        return []
    return sorted(posixpath.basename(name.rstrip("/")) for name in found)


def _listed(fs: Any, path: str) -> list[str]:
    """Return what stands directly in a folder; of an object store without the marker of the folder itself."""
    if not is_object_store(fs):
        return cast(list[str], fs.ls(path, detail=False))
    own = path.rstrip("/")
    return [
        entry["name"]
        for entry in fs.ls(path, detail=True)
        if entry["name"].rstrip("/") != own or (entry["type"] == "file" and not _is_marker(entry["name"]))
    ]
