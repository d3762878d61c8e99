"""Local storage that fails now and then, beneath whoever asks for it: what the kernel says is what is said here.

Python's own calls are what fails, below one folder: `open`, the reads and writes of open files, and the functions of `os`. One in
`write_every` of those that change something fails, and one in `read_every` of the others. What fails has done nothing, with two
exceptions that storage has too: of the renames, links and removals that fail half have been done (the answer was lost), and
where a file's synchronisation fails, one in four loses what was written of it last.
"""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import errno
import functools
import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Told to lanes: `Faults` as JSON.
FAULTS: Final = "PMD_BREAKING_FAULTS"

_READS: Final = ("stat", "scandir", "listdir")
_WRITES: Final = ("mkdir", "fsync")
#: Their answer may be lost.
_NAMING: Final = ("replace", "rename", "link", "unlink", "remove", "rmdir")
#: They say that nothing was done.
_REFUSING: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)
#: Bytes that a failed synchronisation loses.
_LOST_BYTES: Final = 4096


@dataclass(frozen=True)
class Faults:
    """Which faults.

    Attributes:
        seed: Of chance.
        below: The folder that fails.
        errors: Names of errors.
        write_every: How rare they are; 0 for none.
        read_every: The same.
        last_write: After so many writes of a process all fails, for ever.
    """

    seed: str
    below: str
    errors: tuple[str, ...]
    write_every: int = 0
    read_every: int = 0
    last_write: int | None = None

    def __str__(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Return what `str` was made of."""
        told = json.loads(text)
        return cls(**told | {"errors": tuple(told["errors"])})


class _Chance:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(f"{faults.seed} {os.environ.get('PMD_BREAKING_PROCESS', '')}")
        self._lock = threading.Lock()
        self._writes = 0
        self.raised: Counter[str] = Counter()

    def concerns(self, path: Any, folder: int | None = None) -> bool:
        """Return whether a path, or an open file, is in the folder that fails."""
        try:
            if isinstance(path, int):
                path = os.readlink(f"/proc/self/fd/{path}")
            elif folder is not None:
                path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
            name = os.path.abspath(os.fsdecode(path))
        except (OSError, TypeError):
            return False
        return name == self._faults.below or name.startswith(f"{self._faults.below}/")

    def is_bad(self, *, write: bool) -> bool:
        last = self._faults.last_write
        with self._lock:
            self._writes += write
            if last is not None and self._writes > last:
                return True
        return self.one_in(self._faults.write_every if write else self._faults.read_every)

    def one_in(self, every: int) -> bool:
        with self._lock:
            return bool(every) and self._random.randrange(every) == 0

    def error(self, what: str, path: object = None) -> OSError:
        with self._lock:
            name = self._random.choice(self._faults.errors)
            self.raised[what] += 1
        code = getattr(errno, name)
        return OSError(code, os.strerror(code), *([path] if isinstance(path, str) else []))  # fsync knows no path

    def perhaps(self, what: str, path: object = None, *, write: bool) -> None:
        if self.is_bad(write=write):
            raise self.error(what, path)


class _File:
    """An open file whose reads and writes fail."""

    def __init__(self, inner: Any, chance: _Chance) -> None:
        self._inner, self._chance = inner, chance

    def write(self, content: Any) -> int:
        self._chance.perhaps("write", write=True)
        return int(self._inner.write(content))

    def flush(self) -> None:
        self._chance.perhaps("flush", write=True)
        self._inner.flush()

    def read(self, *size: Any) -> Any:
        self._chance.perhaps("read", write=False)
        return self._inner.read(*size)

    def readinto(self, buffer: Any) -> Any:
        self._chance.perhaps("read", write=False)
        return self._inner.readinto(buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)


def _failing(chance: _Chance, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    write = name in _WRITES or name in _NAMING

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        path = args[0] if args else "."
        if not chance.concerns(path, kwargs.get("dir_fd", kwargs.get("src_dir_fd"))):
            return function(*args, **kwargs)
        if not chance.is_bad(write=write):
            return function(*args, **kwargs)
        error = chance.error(name, path)
        if error.errno not in _REFUSING and name == "fsync":
            _lose(chance, path)
        elif error.errno not in _REFUSING and name in _NAMING and chance.one_in(2):
            function(*args, **kwargs)
        raise error

    return called


def _lose(chance: _Chance, number: int) -> None:
    """Lose what was written last to an open file, one time in four; not of a folder."""
    size = os.fstat(number).st_size
    if chance.one_in(4) and os.path.isfile(f"/proc/self/fd/{number}"):
        lost = min(size, _LOST_BYTES)
        os.pwrite(number, bytes(lost), size - lost)


@contextlib.contextmanager
def failing(faults: Faults) -> Iterator[Counter[str]]:
    """Let the storage of this process fail meanwhile; give what failed, counted."""
    chance = _Chance(faults)
    real = builtins.open, os.open

    def opened(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not chance.concerns(path):
            return real[0](path, mode, *args, **kwargs)
        chance.perhaps("open", path, write=bool(set(mode) & set("wxa")))
        return _File(real[0](path, mode, *args, **kwargs), chance)

    def opened_number(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if chance.concerns(path, kwargs.get("dir_fd")):
            chance.perhaps("os.open", path, write=bool(flags & os.O_CREAT))
        return real[1](path, flags, *args, **kwargs)

    kept = {name: getattr(os, name) for name in (*_READS, *_WRITES, *_NAMING)}
    for name, function in kept.items():
        setattr(os, name, _failing(chance, name, function))
    builtins.open, os.open = opened, opened_number  # type: ignore[assignment]
    try:
        yield chance.raised
    finally:
        builtins.open, os.open = real  # type: ignore[assignment]
        for name, function in kept.items():
            setattr(os, name, function)


_armed: Final = contextlib.ExitStack()


def arm() -> None:
    """In a lane: fail as the environment says."""
    told = os.environ.get(FAULTS)
    if told is not None:
        _armed.enter_context(failing(Faults.parse(told)))


def below(folder: Path) -> str:
    """Return a folder as `Faults.below` has it."""
    return os.path.abspath(folder)
