"""What one command costs: seconds, processor time of it and of all that it started, and the memory of its largest process."""

from __future__ import annotations

import abc
import dataclasses
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: From its start to its end.
        processor_s: User and system time of it and of all processes that it waited for.
        peak_bytes: The most that any one of its processes ever held (VmHWM).
        together_bytes: The most that all of them were seen to hold at once (PSS).
    """

    seconds: float
    processor_s: float
    peak_bytes: int
    together_bytes: int


def cost(command: Sequence[str]) -> Cost:
    """Run a command to its end; raise where it fails."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with _Watch(process.pid) as watch:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(time.monotonic() - start, used.ru_utime + used.ru_stime, watch.peak_bytes, watch.together_bytes)


def least(command: Sequence[str], root: Path, turns: int) -> Cost:
    """Run a command several times, each time from the same ROOT; return the turn with the least processor time.

    The ROOT is kept by hard links, since no file of it is ever written to again. What the last turn wrote stays.
    """
    before = root.with_name("before")
    if root.exists():
        _linked(root, before)
    costs = [cost(command)]
    for _ in range(turns - 1):
        shutil.rmtree(root)
        if before.exists():
            _linked(before, root)
        costs.append(cost(command))
    shutil.rmtree(before, ignore_errors=True)
    return min(costs, key=lambda took: took.processor_s)


def _linked(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=os.link, symlinks=True)


def each_once(
    kept: Path, name: str, sizes: Iterable[Any], measure: Callable[[Any], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Measure sizes that were not measured before; return what is known of all of them, the smallest first.

    Args:
        kept: What was measured before, a line of JSON each; more is written behind it.
        name: What the size is called in it.
        sizes: Those that are wanted.
        measure: Measures one.
    """
    lines = kept.read_text().splitlines() if kept.exists() else []
    known = {found[name]: found for found in map(json.loads, lines)}
    for size in sizes:
        if size not in known:
            known[size] = measure(size)
            with kept.open("a") as target:
                target.write(json.dumps(known[size]) + "\n")
    return [known[size] for size in sorted(sizes)]


class Watch(abc.ABC):
    """Looks at processes while it is entered, in a thread of its own."""

    #: Seconds from one look to the next.
    every_s: float = 0.5

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @abc.abstractmethod
    def look(self) -> None:
        """Look once."""

    def _run(self) -> None:
        while not self._over.wait(self.every_s):
            self.look()


class _Watch(Watch):
    def __init__(self, pid: int) -> None:
        super().__init__()
        self.peak_bytes = self.together_bytes = 0
        self._pid = pid

    def look(self) -> None:
        together = 0
        for pid in tree(self._pid):
            self.peak_bytes = max(self.peak_bytes, kilobytes(f"/proc/{pid}/status", "VmHWM:") * 1024)
            together += kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") * 1024
        self.together_bytes = max(self.together_bytes, together)


def tree(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            children.setdefault(int(after_name[1]), []).append(int(folder.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def kilobytes(path: str, label: str) -> int:
    """Return a number of kilobytes that a file of /proc tells; 0 where the process has ended."""
    try:
        with Path(path).open() as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith(label)), 0)
    except OSError:
        return 0
