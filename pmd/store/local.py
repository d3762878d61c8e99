"""This machine's own files, under the names that fsspec's file systems have for what is asked of them here.

fsspec has one too, and reading it in costs every command 50 ms, most of them for asyncio, which object stores need. So fsspec is
read in where a URL names other storage, or a pattern is looked for (`pmd.store.patterns`).
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
from typing import Any, Final

from pmd.store.patience import patiently

#: What a URL of a local file can begin with, as fsspec takes it.
_BEGINNINGS: Final = ("file://", "file:", "local://", "local:")


#: How a file system says that a link leads to nothing.
NOWHERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def unless_gone(error: OSError) -> None:
    """Raise what keeps a folder from being listed; not that it was removed meanwhile."""
    if not isinstance(error, FileNotFoundError):
        raise error


class Local:
    """All of this machine's files. Paths are those that `path` returns."""

    protocol: Final = ("file", "local")

    @staticmethod
    def path(url: str) -> str:
        """Return the whole path of one as a person writes it: from here, from his home, or as a URL."""
        beginning = next((one for one in _BEGINNINGS if url.startswith(one)), "")
        url = url.removeprefix(beginning)
        if url.startswith("~"):
            url = os.path.expanduser(url)
        elif not url.startswith("/"):
            here = "" if url == "." else url.removeprefix("./")
            url = f"{os.getcwd()}/{here}"
        return url.rstrip("/") or "/"

    @staticmethod
    def mode(path: str) -> int | None:
        """Return what is there, as `st_mode` has it, or None for nothing.

        To fsspec, and to `os.path`, what a disk that fails does not tell is not there: a commit, say, that would be made anew.
        """
        try:
            return patiently(lambda: os.stat(path)).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None

    def isdir(self, path: str) -> bool:
        """Return whether a folder is there."""
        mode = self.mode(path)
        return mode is not None and stat.S_ISDIR(mode)

    @staticmethod
    def info(path: str) -> dict[str, Any]:
        """Return the size, kind and time of what is there, or of what a link leads to."""
        found = os.stat(path)
        kind = "directory" if stat.S_ISDIR(found.st_mode) else "file" if stat.S_ISREG(found.st_mode) else "other"
        created = getattr(found, "st_birthtime", found.st_ctime)  # the first is not known everywhere
        return {"size": found.st_size, "type": kind, "mtime": found.st_mtime, "created": created}

    @staticmethod
    def size(path: str) -> int:
        """Return a file's size in bytes."""
        return os.stat(path).st_size

    @staticmethod
    def cat_file(path: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return a file's bytes, or those of a range."""
        with open(path, "rb") as file:
            file.seek(start or 0)
            return file.read() if end is None else file.read(max(0, end - (start or 0)))

    @staticmethod
    def ls(path: str, *, detail: bool) -> list[str]:
        """Return the paths that stand directly in a folder, or the path itself where it is a file."""
        assert not detail
        try:
            with os.scandir(path) as entries:
                return [entry.path for entry in entries]
        except NotADirectoryError:
            return [path]

    @staticmethod
    def makedirs(path: str, *, exist_ok: bool) -> None:
        """Make a folder and those above it."""
        os.makedirs(path, exist_ok=exist_ok)

    @staticmethod
    def rm_file(path: str) -> None:
        """Remove a file."""
        os.remove(path)


LOCAL: Final = Local()


def walk(path: str) -> list[str]:
    """Return the files below a local folder, and in the folders that links below it lead to.

    A link to a folder that it stands in is passed over: there is no end to what is below. So is what is no file, such as a pipe,
    whose reader would wait for ever; a link that leads nowhere is told where it is opened.

    Two links to one folder are two names of its files. Behind a second link in a path a folder is listed once, by the first of
    its paths (fewest links, then by name): were each of n folders linked twice from the one before, the last had 2^n paths.
    """
    if not LOCAL.isdir(path):
        return [path]
    files: list[str] = []
    seen: set[tuple[int, int]] = set()
    pending = [(0, path, _identity(os.stat(path)), frozenset[tuple[int, int]]())]
    while pending:
        links, folder, identity, above = heapq.heappop(pending)
        if links > 1 and identity in seen:
            continue
        seen.add(identity)
        above |= {identity}
        for entry in _entries(folder):
            is_plain = not entry.is_symlink() and entry.is_file()
            found = None if is_plain else _led_to(entry)
            if found is None or stat.S_ISREG(found.st_mode):
                files.append(entry.path)
            elif stat.S_ISDIR(found.st_mode) and (inner := _identity(found)) not in above:
                heapq.heappush(pending, (links + entry.is_symlink(), entry.path, inner, above))
    return files


def _identity(found: os.stat_result) -> tuple[int, int]:
    """Return what tells a local folder from all others, by whatever path."""
    return found.st_dev, found.st_ino


def _led_to(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what a name of a folder, or the link of that name, leads to; None for nothing."""
    try:
        return entry.stat()
    except OSError as error:
        if error.errno in NOWHERE:
            return None
        raise


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        unless_gone(error)
        return []
