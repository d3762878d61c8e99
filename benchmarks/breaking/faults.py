"""Local storage that fails now and then, beneath `pmd.store.storage`: what the kernel says is what is said here.

Of the files that are written one in `write_every` fails, at one of its writes or at its end; so does each rename, link,
removal and new folder. Of the files that are opened, read whole, listed or looked at one in `read_every` fails. What fails
has done nothing.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from fsspec.implementations.local import LocalFileSystem

from pmd.store import storage

#: Told to lanes: the fields of `Faults`, with commas.
FAULTS: Final = "PMD_BREAKING_FAULTS"

_READS: Final = ("info", "size", "ls", "cat_file")
_WRITES: Final = ("makedirs", "rm_file", "rm")
_OS_READS: Final = ("stat", "walk")
_OS_WRITES: Final = ("replace", "link", "fsync")
#: A file that fails does so at one of so many writes, else at its end.
_FIRST_WRITES: Final = 4


@dataclass(frozen=True)
class Faults:
    """Which faults: names of errors, and how rare they are; 0 for none."""

    seed: str
    errors: tuple[str, ...]
    write_every: int
    read_every: int

    def __str__(self) -> str:
        return ",".join([self.seed, "/".join(self.errors), str(self.write_every), str(self.read_every)])

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Return what `str` was made of."""
        seed, errors, write_every, read_every = text.split(",")
        return cls(seed, tuple(errors.split("/")), int(write_every), int(read_every))


class _Chance:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(f"{faults.seed} {os.environ.get('PMD_BREAKING_PROCESS', '')}")
        self._lock = threading.Lock()
        self.raised: Counter[str] = Counter()

    def is_bad(self, *, write: bool) -> bool:
        every = self._faults.write_every if write else self._faults.read_every
        with self._lock:
            return bool(every) and self._random.randrange(every) == 0

    def number(self, most: int) -> int:
        with self._lock:
            return self._random.randrange(most)

    def fail(self, what: str, path: object) -> None:
        with self._lock:
            name = self._random.choice(self._faults.errors)
            self.raised[what] += 1
        code = getattr(errno, name)
        raise OSError(code, os.strerror(code), *([path] if isinstance(path, str) else []))  # fsync knows no path

    def perhaps(self, what: str, path: object, *, write: bool) -> None:
        if self.is_bad(write=write):
            self.fail(what, path)


class _File:
    """An open file; `fails` is the write at which it fails, or None."""

    def __init__(self, inner: Any, chance: _Chance, fails: int | None) -> None:
        self._inner, self._chance, self._fails = inner, chance, fails
        self._writes = 0

    def write(self, content: Any) -> int:
        if self._fails is not None and self._writes == self._fails:
            self._fails = None
            self._chance.fail("write", self._inner.name)
        self._writes += 1
        return int(self._inner.write(content))

    def flush(self) -> None:
        if self._fails is not None:
            self._fails = None
            self._chance.fail("flush", self._inner.name)
        self._inner.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)


class _Os:
    """The module `os`, some of whose functions fail."""

    def __init__(self, chance: _Chance) -> None:
        self._chance = chance

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if name in _OS_READS:
            return _failing(self._chance, name, function, write=False, at=0)
        return _failing(self._chance, name, function, write=True, at=0) if name in _OS_WRITES else function


def _failing(chance: _Chance, name: str, function: Callable[..., Any], *, write: bool, at: int) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        chance.perhaps(name, args[at] if len(args) > at else "", write=write)
        return function(*args, **kwargs)

    return called


@contextlib.contextmanager
def failing(faults: Faults) -> Iterator[Counter[str]]:
    """Let the storage of this process fail meanwhile; give what failed, counted."""
    chance = _Chance(faults)

    def opened(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        write = "w" in mode
        if not write:
            chance.perhaps("open", path, write=False)
            return open(path, mode, *args, **kwargs)
        fails = chance.number(_FIRST_WRITES) if chance.is_bad(write=True) else None
        return _File(open(path, mode, *args, **kwargs), chance, fails)

    kept = {name: LocalFileSystem.__dict__.get(name) for name in (*_READS, *_WRITES)}
    for name in kept:
        function = getattr(LocalFileSystem, name)
        setattr(LocalFileSystem, name, _failing(chance, name, function, write=name in _WRITES, at=1))
    storage.open, storage.os = opened, _Os(chance)  # type: ignore[attr-defined, assignment]
    try:
        yield chance.raised
    finally:
        del storage.open  # type: ignore[attr-defined]
        storage.os = os
        for name, function in kept.items():
            if function is None:
                delattr(LocalFileSystem, name)
            else:
                setattr(LocalFileSystem, name, function)


_armed: Final = contextlib.ExitStack()


def arm() -> None:
    """In a lane: fail as the environment says."""
    told = os.environ.get(FAULTS)
    if told is not None:
        _armed.enter_context(failing(Faults.parse(told)))
