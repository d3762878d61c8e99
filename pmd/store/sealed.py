"""Sealed files: committed files whose name carries the digest of their bytes, checked whole before any of it is used.

A byte that flipped on a disk, or a copy that was cut short, can give other rows without an error of any library: Parquet's
own page checksums leave out footers and page headers. `commits.put_content` names a file by the first 16 hex digits of its
SHA-256, so who has the path can tell. A file is read through once a process; what it costs stands in docs/decisions.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import posixpath
import re
from typing import BinaryIO, Final, cast

from pmd.errors import InputError, RootError, VerificationError
from pmd.store import shortage, storage

REMEDY: Final = "run: pmd repair ROOT"

#: The file by which a folder is committed.
COMMIT: Final = "_stage.json"
#: Folders in which a committed file may stand, below that of its commit: `publish/source=S/x` and `curate/source=S/pairs/x`.
_DEEPEST: Final = 2
_BLOCK_BYTES: Final = 1 << 20
#: Not `train-00000-of-00001-0123456789abcdef.parquet`: so the library datasets called what it put on the Hub up to 2023, by
#: digits that promise nothing. Of our names only those of parts say of how many.
_NAME: Final = re.compile(r"(?:part-[0-9]+-of-[0-9]+|(?<!-of-[0-9]{5}))-([0-9a-f]{16})\.parquet")

#: Path → what told this file from another of that name when it was found sound. One entry a file: some 300 bytes.
_sound: dict[str, tuple[object, ...]] = {}


def digest_of(path: str) -> str | None:
    """Return the first 16 hex digits of the SHA-256 that a file's name promises, or None where it promises nothing."""
    found = _NAME.search(path)
    return found[1] if found is not None and found.end() == len(path) else None


def unsealed(path: str) -> str:
    """Return a file's name without the digest that it promises: for other bytes of the same rows.

    >>> unsealed("source=wit/train-part-00000-of-00001-0123456789abcdef.parquet")
    'source=wit/train-part-00000-of-00001.parquet'
    """
    promised = digest_of(path)
    return path if promised is None else path.removesuffix(f"-{promised}.parquet") + ".parquet"


def damaged(where: str, problem: str, expected: str, found: str) -> VerificationError:
    """Return the error that stops a stage before damage is used."""
    return VerificationError(problem, where=where, expected=expected, found=found, remedy=REMEDY)


def open_checked(path: str) -> BinaryIO:
    """Open a file for reading, like `storage.open_raw`; if its name carries a digest, only when its bytes have it.

    A local file is read through in blocks, once. A remote one is read into memory, whole and each time: that is one request,
    where asking whether it is the same as before is several.

    Raises:
        InputError: There is no such file, and its name carries no digest.
        RootError: A run has committed other files in its place, after the commit was read that lists it.
        VerificationError: A committed file is gone, or has other bytes.
    """
    promised = digest_of(path)
    if promised is None:
        return storage.open_raw(path)
    try:
        return _local(path, promised) if storage.is_local(path) else _remote(path, promised)
    except (InputError, FileNotFoundError):
        if _is_replaced(path, promised):
            raise RootError(
                "a run has committed other files in its place, while this command read",
                where=path,
                remedy="run the same command again; pmd status ROOT tells whether somebody writes",
            ) from None
        raise damaged(path, "a committed file is gone", f"a file with sha256 {promised}…", "nothing") from None


def _is_replaced(path: str, promised: str) -> bool:
    """Return whether the commit above a file does not list it, or lists it no more: a writer removes what it has replaced."""
    folder = posixpath.dirname(path)
    for _ in range(_DEEPEST):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return promised.encode() not in storage.read_bytes(storage.join(folder, COMMIT))
        folder = posixpath.dirname(folder)
    return False


def measured(path: str) -> tuple[int, str] | None:
    """Return a file's bytes and its SHA-256, read front to back; None where there is none, or its bytes cannot be had.

    Raises:
        OSError: It cannot be read for another reason than its bytes: rights, say, or storage that is away.
    """
    if not storage.exists(path):
        return None
    digest, size = hashlib.sha256(), 0
    try:
        with storage.open_raw(path) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    except OSError as error:
        if not shortage.tells_of_bytes(error):
            raise
        return None
    return size, digest.hexdigest()


def in_words(state: tuple[int, str] | None) -> str:
    """Return what `measured` has found of a file, as people read it."""
    return "nothing" if state is None else f"{state[0]} bytes, sha256 {state[1]}"


def forget() -> None:
    """Check every file again from now on: for tests that damage files faster than a clock of the file system ticks."""
    _sound.clear()


def _local(path: str, promised: str) -> BinaryIO:
    file = storage.open_raw(path)
    try:
        stat = os.fstat(file.fileno())
        version = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if _sound.get(path) != version:
            _compare(
                path, promised, hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest(), stat.st_size
            )
            _sound[path] = version
            file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _remote(path: str, promised: str) -> BinaryIO:
    content = storage.read_bytes(path)
    _compare(path, promised, hashlib.sha256(content).hexdigest(), len(content))
    return io.BytesIO(content)


def _compare(path: str, promised: str, digest: str, size: int) -> None:
    if not digest.startswith(promised):
        raise damaged(
            path,
            "a committed file has other bytes than were written",
            f"sha256 {promised}…",
            f"sha256 {digest[:16]}…, {size} bytes",
        )
