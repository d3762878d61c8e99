"""What a person sees while a stage runs: workers leave counts in the run's work folder, the driver reads and tells them.

Beam's metrics arrive when a pipeline has ended; these arrive on the way, on every engine whose workers reach ROOT.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Final, Self

import orjson

from pmd.store import storage

_LOG: Final = logging.getLogger("pmd.progress")
_PREFIX: Final = "counts-"
#: Seconds between two lines: on a terminal, where the line is written over, and in a log.
_TERMINAL_S: Final = 1.0
_LOG_S: Final = 20.0
#: Seconds between two writes of a worker.
_WRITE_S: Final = 1.0


class Counts:
    """Counts of one worker, written at most once a second."""

    def __init__(self, work: str, name: str) -> None:
        self._path = storage.join(work, f"{_PREFIX}{name}.json")
        self._counts: Counter[str] = Counter()
        self._written = 0.0

    def add(self, **more: int) -> None:
        """Add to the counts."""
        self._counts.update(more)
        if time.monotonic() - self._written >= _WRITE_S:
            self.write()

    def write(self) -> None:
        """Write the counts as they are."""
        storage.put(self._path, orjson.dumps(self._counts), durable=False)
        self._written = time.monotonic()


def read(work: str) -> tuple[Counter[str], int]:
    """Return the sum of all workers' counts, and the bytes of the run files that they have written."""
    total: Counter[str] = Counter()
    written = 0
    for name in storage.list_files(work):
        path = storage.join(work, name)
        try:
            if name.startswith(_PREFIX):
                total.update(orjson.loads(storage.read_bytes(path)))
            elif name.startswith(("run-", storage.TEMPORARY)):
                fs, inner = storage.filesystem(path)
                written += int(fs.size(inner))
        except FileNotFoundError:  # renamed or removed between the listing and now
            continue
    return total, written


def words(counts: Counter[str], written: int, seconds: float) -> str:
    """Return the counts in words: "1,204 images, 310/s, ok 1,100, dead 104; 1.2 GB of rows"."""
    counts = Counter(counts)
    said = []
    for unit in ("rows", "images"):
        count = counts.pop(unit, 0)
        if count:
            said.append(f"{count:,} {unit}, {count / max(seconds, 0.001):,.0f}/s")
    size = counts.pop("bytes", 0)
    if size:
        said.append(f"{size / 1e6:,.1f} MB, {size / 1e6 / max(seconds, 0.001):,.1f} MB/s")
    said += [f"{name} {count:,}" for name, count in counts.most_common()]
    if written:
        said.append(f"{written / 1e6:,.0f} MB of rows under way")
    return ", ".join(said)


class Watch:
    """Tells a stage's progress while it is open, on the logger `pmd.progress`."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        if _LOG.isEnabledFor(logging.INFO):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        started = time.monotonic()
        every = _TERMINAL_S if sys.stderr.isatty() else _LOG_S
        while not self._ended.wait(every):
            seconds = time.monotonic() - started
            said = words(*read(self._work), seconds)
            if said:
                _LOG.info("%s s: %s", f"{seconds:.0f}", said)
