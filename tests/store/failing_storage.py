"""Storage that fails where a test says so: at which calls, of Python's `open`, of open files and of `os`, below one folder."""

from __future__ import annotations

import builtins
import errno
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

PASSING = ("EIO", "EAGAIN", "EINTR", "ETIMEDOUT", "ESTALE", "ECONNRESET", "EREMOTEIO")


def error(name: str) -> OSError:
    """Return an error of a name, as an open file raises it."""
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))


class FailingStorage:
    """Lets calls fail.

    Attributes:
        calls: How often each was made: write, read, open and the functions of `os`.
        pauses: Seconds that were waited, none of them really.
        sizes: The bytes of each read and write of an open file.
    """

    def __init__(self, below: Path, patch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.pauses: list[float] = []
        self.sizes: list[int] = []
        self._below = str(below)
        self._plan: dict[str, dict[int, str]] = {}
        self._always: dict[str, str] = {}
        self._after: set[str] = set()
        self._half = False
        real = builtins.open

        def opened(path: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
            if not self._concerns(path):
                return real(path, mode, *args, **named)
            self.call("open")
            return _File(real(path, mode, *args, **named), self)

        patch.setattr(builtins, "open", opened)
        patch.setattr(time, "sleep", self.pauses.append)
        for name in ("fsync", "replace", "link", "scandir", "stat", "mkdir", "unlink", "remove"):
            patch.setattr(os, name, self._failing(name, getattr(os, name)))
        patch.setattr(os, "preadv", self._failing("read", os.preadv))
        patch.setattr(os, "writev", self._failing("write", self._writing(os.writev)))

    def fail(self, call: str, name: str, *numbers: int) -> None:
        """Let calls fail: those of some numbers, from 0 for the next, or all."""
        if not numbers:
            self._always[call] = name
        for number in numbers:
            self._plan.setdefault(call, {})[self.calls[call] + number] = name

    def lose_answers(self, call: str) -> None:
        """Let calls of `os` that fail be done nevertheless."""
        self._after.add(call)

    def write_half(self) -> None:
        """Let writes that fail write half."""
        self._half = True

    def call(self, name: str) -> None:
        """Note a call, and let it fail if that is asked for."""
        number = self.calls[name]
        self.calls[name] += 1
        failure = self._always.get(name) or self._plan.get(name, {}).get(number)
        if failure is not None:
            raise error(failure)

    @property
    def halves(self) -> bool:
        """Whether writes that fail write half."""
        return self._half

    def _concerns(self, path: Any) -> bool:
        try:
            name = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.path.abspath(os.fsdecode(path))
        except (OSError, TypeError):
            return False
        return name.startswith(self._below)

    def _writing(self, real: Any) -> Any:
        def some(number: int, pieces: list[Any]) -> int:
            """Write the half of many pieces, as a system may."""
            self.sizes.append(sum(map(len, pieces)))
            first = pieces[: max(1, len(pieces) // 2)]
            return int(real(number, [*first[:-1], first[-1][: max(1, len(first[-1]) // 2)]]))

        return some

    def _failing(self, name: str, function: Any) -> Any:
        def called(*args: Any, **named: Any) -> Any:
            if args and self._concerns(args[0]):
                try:
                    self.call(name)
                except OSError:
                    if name in self._after:
                        function(*args, **named)
                    raise
            return function(*args, **named)

        return called


class _File:
    def __init__(self, inner: Any, storage: FailingStorage) -> None:
        self._inner, self._storage = inner, storage

    def write(self, content: Any) -> int:
        self._storage.sizes.append(len(content))
        try:
            self._storage.call("write")
        except OSError:
            if self._storage.halves:
                self._inner.write(memoryview(content)[: len(content) // 2])
            raise
        return int(self._inner.write(content))

    def read(self, *size: int) -> Any:
        self._storage.call("read")
        return self._inner.read(*size)

    def readinto(self, buffer: Any) -> Any:
        self._storage.sizes.append(len(buffer))
        self._storage.call("read")
        return self._inner.readinto(buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()
