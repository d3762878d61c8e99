"""What a person sees while a stage runs: workers leave counts in the run's work folder, the driver reads and tells them.

Beam's metrics arrive when a pipeline has ended; these arrive on the way, on every engine whose workers reach ROOT. What there is
to do in all the driver knows before (`Total`); where it does not, tasks of the pipeline's steps are told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import orjson

from pmd.store import storage
from pmd.terminal import bar, output, telling

_LOG: Final = logging.getLogger("pmd.progress")
_PREFIX: Final = "counts-"
#: Seconds between two writes of a worker.
_WRITE_S: Final = 1.0
#: Hosts that a worker tells, and statuses that a line does.
_HOSTS: Final = 8
#: Hosts that a worker remembers, and to how many it comes back when it has met more: those that were waited for longest.
_MOST_HOSTS: Final = 1024
_KEPT_HOSTS: Final = 256
_SHOWN: Final = 4
#: Seconds a try under which a host is not slow.
_WORTH_TELLING_S: Final = 0.05
#: Counts that are no statuses.
_UNITS: Final = ("rows", "images", "bytes")
#: Stands for the number of tasks of a step that has one for each unit of the pipeline, which the driver knows.
UNITS: Final = -1


@dataclasses.dataclass(frozen=True)
class Total:
    """How much a stage has to do.

    Attributes:
        unit: Which of the counts says how much is done.
        count: How many there are.
    """

    unit: str
    count: int


@dataclasses.dataclass
class Seen:
    """What workers have told.

    Attributes:
        counts: Name → how many.
        steps: Step → (tasks done, tasks in all or 0).
        waited: Host → (tries, seconds).
        written: Bytes of the run files.
    """

    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    steps: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    waited: dict[str, tuple[int, float]] = dataclasses.field(default_factory=dict)
    written: int = 0

    def add(self, told: Mapping[str, Any]) -> None:
        """Add what one worker tells."""
        self.counts.update(told.get("counts", {}))
        for name, (done, total) in told.get("steps", {}).items():
            before = self.steps.get(name, (0, 0))
            self.steps[name] = (before[0] + done, max(before[1], total) or total)
        for host, (tries, seconds) in told.get("waited", {}).items():
            earlier = self.waited.get(host, (0, 0.0))
            self.waited[host] = (earlier[0] + tries, earlier[1] + seconds)


class Counts:
    """Counts of one worker, written at most once a second."""

    def __init__(self, work: str, name: str) -> None:
        self._path = storage.join(work, f"{_PREFIX}{name}.json")
        self._seen = Seen()
        self._written = 0.0

    def add(self, **more: int) -> None:
        """Add to the counts."""
        counts = self._seen.counts
        for name, count in more.items():  # `update` takes twice as long
            counts[name] += count
        self._write_soon()

    def step(self, name: str, total: int = 0) -> None:
        """Note that a task of a step is done; `total`: of so many in all, or `UNITS`; 0: nobody knows."""
        self._seen.steps[name] = (self._seen.steps.get(name, (0, 0))[0] + 1, total)
        self._write_soon()

    def waited(self, host: str, seconds: float) -> None:
        """Note that a host was waited for."""
        tries, before = self._seen.waited.get(host, (0, 0.0))
        self._seen.waited[host] = (tries + 1, before + seconds)
        if len(self._seen.waited) > _MOST_HOSTS:
            self._seen.waited = self._longest(_KEPT_HOSTS)

    def _write_soon(self) -> None:
        if time.monotonic() - self._written >= _WRITE_S:
            self.write()

    def write(self) -> None:
        """Write the counts as they are; of hosts those that were waited for longest."""
        told = {"counts": self._seen.counts, "steps": self._seen.steps, "waited": self._longest(_HOSTS)}
        storage.put(self._path, orjson.dumps(told), durable=False)
        self._written = time.monotonic()

    def _longest(self, count: int) -> dict[str, tuple[int, float]]:
        """Return the hosts that were waited for longest."""
        return dict(heapq.nlargest(count, self._seen.waited.items(), key=lambda item: item[1][1]))


def read(work: str) -> Seen:
    """Return what all workers have told, and the bytes of the run files that they have written."""
    seen = Seen()
    for name, size in storage.sizes(work).items():
        if name.startswith(_PREFIX):
            with contextlib.suppress(FileNotFoundError):  # renamed or removed since
                seen.add(orjson.loads(storage.read_bytes(storage.join(work, name))))
        elif name.startswith(("run-", storage.TEMPORARY)):
            seen.written += size
    return seen


def state(seen: Seen, total: Total | None, seconds: float, units: int = 0) -> bar.State:
    """Return how far a stage is: by what it counts, or else by the step that it is at."""
    counts = Counter(seen.counts)
    unit = total.unit if total is not None else next((name for name in ("images", "rows") if counts[name]), "")
    more = _slowest(seen.waited)
    if total is None and seen.steps:
        return _at_step(seen, units, seconds)
    if unit != "rows" and counts["rows"]:
        more.append(bar.amount(counts["rows"], "rows"))
    if unit != "bytes" and counts["bytes"]:
        more.append(
            f"{bar.amount(counts['bytes'], 'bytes')}, {bar.amount(counts['bytes'] / max(seconds, 0.001), 'bytes')}/s"
        )
    others = [(name, count) for name, count in counts.most_common() if name not in _UNITS]
    more += [f"{name} {count:,}" for name, count in others[:_SHOWN]]
    if len(others) > _SHOWN:
        more.append(f"others {sum(count for _, count in others[_SHOWN:]):,}")
    return bar.State(unit, counts[unit], total.count if total is not None else None, seconds, [*more, *_written(seen)])


def _at_step(seen: Seen, units: int, seconds: float) -> bar.State:
    """Return how far the last step is that is not done; steps follow each other."""
    totals = {name: units if of == UNITS else of for name, (_, of) in seen.steps.items()}
    open_ = [name for name, (done, _) in seen.steps.items() if not totals[name] or done < totals[name]]
    name = (open_ or [*seen.steps])[-1]
    rows = seen.counts["rows"]
    more = [f"{bar.amount(rows, 'rows')}, {bar.amount(rows / max(seconds, 0.001), 'rows')}/s"] if rows else []
    return bar.State(
        "tasks", seen.steps[name][0], totals[name] or None, seconds, [*more, _spelled(name), *_written(seen)]
    )


def _written(seen: Seen) -> Sequence[str]:
    return [f"{bar.amount(seen.written, 'bytes')} of rows under way"] if seen.written else []


def _slowest(waited: Mapping[str, tuple[int, float]]) -> list[str]:
    """Return who was waited for longest in all, and how long in the mean, unless that is nothing worth telling."""
    if not waited:
        return []
    host, (tries, seconds) = max(waited.items(), key=lambda item: (item[1][1], item[0]))
    return [f"slowest {host} {seconds / tries:.1f} s"] if seconds / tries >= _WORTH_TELLING_S else []


def _spelled(name: str) -> str:
    """Return a step's name in words: "SpreadFates" → "spread fates"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


class Watch:
    """Tells a stage's progress while it is open, on a logger of its own.

    Args:
        work: The folder of the run.
        total: How much there is to do, where that is known.
        units: With how many units its pipeline begins.
    """

    def __init__(self, work: str, total: Total | None = None, units: int = 0) -> None:
        self._work = work
        self._units = units
        self._total = total
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
        terminal = sys.stderr.isatty()
        while not self._ended.wait(telling.next_wait_s(time.monotonic() - started, terminal=terminal)):
            try:
                seen = read(self._work)
            except Exception:  # noqa: BLE001, S112  storage, or a store's client: whoever needs it tells of it, the next look may reach it
                continue
            said = output.progress(state(seen, self._total, time.monotonic() - started, self._units))
            if said:
                _LOG.info("%s", said)
