"""Shows people how far downloads have come: bars on a terminal, plain lines in a log. The CLI passes it to `fetch`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pmd import escape
from pmd.manifests.model import ManifestFile
from pmd.manifests.outcome import Doing, Outcome, Progress
from pmd.manifests.selecting import human_bytes
from pmd.terminal import bar, output

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

#: A log gets a line each time this part of a file is done; of a file of unknown size, each such number of bytes.
_LOG_STEP: Final = 0.1
_LOG_STEP_BYTES: Final = 1 << 30
#: Columns of a terminal from which on sizes and pace stand beside share and time; and those that a bar and they need.
_WIDE: Final = 72
_FIGURES: Final = 56
_FEW_FIGURES: Final = 22
_SHORTEST: Final = 12
#: Seconds after which a pace says something.
_TELLING_S: Final = 1.0


@contextlib.contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Progress]:
    """Give the `progress` of `fetch` and `verify`.

    Args:
        console: Where to write; None: standard error, so that standard output stays a command's result.
    """
    console = console or output.console(err=True)
    if not console.is_terminal:
        yield Lines(console)
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=None)]
    columns += [TaskProgressColumn(), TimeRemainingColumn(compact=True)]
    if console.width >= _WIDE:
        columns[3:3] = [DownloadColumn(), TransferSpeedColumn()]
    with Bars(*columns, console=console, expand=True) as bars:
        yield OnTerminal(bars)


class Lines:
    """One line where something happens, and one a tenth of a file."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self._console = console
        self._file: ManifestFile | None = None
        self._total: int | None = None
        self._done = 0
        self._next = 0.0
        self._began, self._first = 0.0, 0

    def start(self, file: ManifestFile, doing: Doing, total_bytes: int | None, done_bytes: int) -> None:
        """Say what is begun, and where."""
        self._file, self._total, self._done = file, total_bytes, done_bytes
        self._began, self._first = time.monotonic(), done_bytes
        size = human_bytes(total_bytes) if total_bytes is not None else "size not known"
        since = f", from {human_bytes(done_bytes)}" if done_bytes else ""
        self._say(f"{file.target}: {doing} ({size}{since})")
        self._next = self._step() * (done_bytes // self._step() + 1)

    def advance(self, count: int) -> None:
        """Say how far it is, once a step."""
        self._done += count
        if self._done < self._next or self._file is None or self._done == self._total:
            return
        self._next = self._step() * (self._done // self._step() + 1)
        share = f" ({100 * self._done // self._total} %)" if self._total else ""
        self._say(f"{self._file.target}: {human_bytes(self._done)}{share}{self._pace()}")

    def retry(self, file: ManifestFile, why: str, wait_s: float) -> None:
        """Say why, and when it goes on."""
        self._say(_retry_line(file, why, wait_s))

    def finish(self, outcome: Outcome) -> None:
        """Say how it ended."""
        self._say(_last_line(outcome))

    def _pace(self) -> str:
        """Return how fast it comes and how long the rest takes, once that can be told."""
        seconds = time.monotonic() - self._began
        came = self._done - self._first
        if seconds < _TELLING_S or not came:
            return ""
        left = f", {bar.duration((self._total - self._done) * seconds / came)} left" if self._total else ""
        return f", {human_bytes(round(came / seconds))}/s{left}"

    def _step(self) -> float:
        return max(self._total * _LOG_STEP, 1.0) if self._total else float(_LOG_STEP_BYTES)

    def _say(self, line: str) -> None:
        output.line(self._console, line)


class OnTerminal:
    """One bar a file, and a line where something happens."""

    def __init__(self, bars: Bars) -> None:
        """Add to `bars`, which is running."""
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def start(self, file: ManifestFile, doing: Doing, total_bytes: int | None, done_bytes: int) -> None:
        """Show the file's bar, anew where it was begun before."""
        if (task := self._tasks.pop(file.target, None)) is not None:
            self._bars.remove_task(task)
        said = _shortened(escape.terminal(f"{doing} {file.target}"), self._bars.console.width)
        task = self._bars.add_task(said, total=total_bytes, completed=done_bytes)
        self._tasks = {**self._tasks, file.target: task}

    def advance(self, count: int) -> None:
        """Move the newest bar."""
        if self._tasks:
            self._bars.advance(list(self._tasks.values())[-1], count)

    def retry(self, file: ManifestFile, why: str, wait_s: float) -> None:
        """Say why, and when it goes on."""
        self._say(_retry_line(file, why, wait_s))

    def finish(self, outcome: Outcome) -> None:
        """Take the bar away and say how it ended."""
        if (task := self._tasks.pop(outcome.file.target, None)) is not None:
            self._bars.remove_task(task)
        self._say(_last_line(outcome))

    def _say(self, line: str) -> None:
        output.line(self._bars.console, line)


def _shortened(said: str, width: int) -> str:
    """Return the name of a bar with its middle left out where the figures would find no room beside it."""
    room = max(_SHORTEST, width - (_FIGURES if width >= _WIDE else _FEW_FIGURES))
    return said if len(said) <= room else f"{said[: room // 2]}…{said[len(said) - room + room // 2 + 1 :]}"


def _retry_line(file: ManifestFile, why: str, wait_s: float) -> str:
    then = f"trying again in {wait_s:g} s" if wait_s else "trying the next place"
    return f"{file.target}: {why}; {then}"


def _last_line(outcome: Outcome) -> str:
    detail = f", {outcome.detail}" if outcome.detail else ""
    remedy = f"; {outcome.remedy}" if outcome.remedy else ""
    return f"{outcome.file.target}: {outcome.status.replace('_', ' ')}{detail}{remedy}"
