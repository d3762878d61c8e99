"""What a power cut may leave of a folder: what was synchronised, and the worst that a file system may make of the rest.

While it records, every call that changes names or synchronises is a *step*. After each, what may be there after a cut is built in
a real folder. A file's content is what it was when it was last synchronised, and nothing where it never was. A folder's names
are those of its last synchronisation or, since a file system may write names at any time and in any order, those of now: all
of them the one way or the other, one folder otherwise than the rest, or one name alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

#: A folder's names, each with the number of what has it.
Names = Mapping[str, int]

_CHANGES = ("replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir")


@dataclasses.dataclass(frozen=True)
class Moment:
    """What is there after a step, and what of it was synchronised: by the numbers of files and folders."""

    step: str
    top: int
    now: Mapping[int, Names]
    kept: Mapping[int, Names]
    content: Mapping[int, bytes]

    def views(self) -> Iterator[tuple[str, Mapping[int, Names]]]:
        """Yield each way in which names may come out of a cut."""
        yield "all names are those of now", self.now
        yield "all names are those synchronised", self.kept
        for number, names in self.now.items():
            kept = self.kept.get(number, {})
            changed = sorted(name for name in {*names, *kept} if names.get(name) != kept.get(name))
            if changed:
                yield f"{changed} are as synchronised, all else is of now", {**self.now, number: kept}
            for name in changed:
                alone = {other: inner for other, inner in kept.items() if other != name}
                if name in names:
                    alone[name] = names[name]
                yield f"{name} is of now, all else as synchronised", {**self.kept, number: alone}

    def build(self, names: Mapping[int, Names], folder: Path) -> None:
        """Make a real folder of a view."""
        self._build(names, self.top, folder)

    def _build(self, names: Mapping[int, Names], number: int, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, inner in names.get(number, {}).items():
            if inner in self.now or inner in self.kept:
                self._build(names, inner, folder / name)
            else:
                (folder / name).write_bytes(self.content.get(inner, b""))


class Recorder:
    """Records what happens below a folder, which is taken to have outlived all cuts so far.

    Args:
        top: The folder.
        forgotten: The synchronisation (counted from 0) that does nothing.
    """

    def __init__(self, top: Path, forgotten: int | None = None) -> None:
        self._top = top
        self._forgotten = forgotten
        self.moments: list[Moment] = []
        self.synchronised: list[str] = []
        self._content: dict[int, bytes] = {}
        self._kept: dict[int, Names] = self._names()
        # Open files keep their numbers: one that is removed does not give its own to the next.
        self._open: dict[int, int] = {}
        for path in top.rglob("*"):
            if path.is_file():
                self._content[path.stat().st_ino] = path.read_bytes()
        self._hold()

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record meanwhile."""
        with pytest.MonkeyPatch.context() as patch:
            for name in _CHANGES:
                patch.setattr(os, name, self._changing(name, getattr(os, name)))
            patch.setattr(os, "fsync", self._synchronise)
            yield
        for number in self._open.values():
            os.close(number)

    def _changing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            self._note(f"{name} {args[-1] if name in {'replace', 'rename', 'link'} else args[0]}")
            return result

        return changed

    def _synchronise(self, number: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        if path != self._top and self._top not in path.parents:
            return
        self.synchronised.append(str(path.relative_to(self._top)))
        if len(self.synchronised) - 1 == self._forgotten:
            return
        inode = os.fstat(number).st_ino
        if path.is_dir():
            self._kept[inode] = self._names()[inode]
        else:
            self._content[inode] = path.read_bytes()
        self._note(f"fsync {path}")

    def _names(self) -> dict[int, Names]:
        folders = [self._top, *(path for path in self._top.rglob("*") if path.is_dir())]
        return {
            folder.stat().st_ino: {path.name: path.stat().st_ino for path in folder.iterdir()} for folder in folders
        }

    def _hold(self) -> None:
        for path in [self._top, *self._top.rglob("*")]:
            inode = path.stat().st_ino
            if inode not in self._open:
                self._open[inode] = os.open(path, os.O_RDONLY)

    def _note(self, step: str) -> None:
        self._hold()
        moment = Moment(step, self._top.stat().st_ino, self._names(), dict(self._kept), dict(self._content))
        self.moments.append(moment)
