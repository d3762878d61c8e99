"""Stages that are killed at a call of the storage, in their driver, a lane or a worker, or by a signal from outside.

Everything is imported once, in a process without threads (the *warm* one); each run of a stage is forked from it and is the
command line itself, `pmd STAGE CONFIG`. Lanes and workers are new processes, which are told by their environment where to
die.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.breaking import calls
from benchmarks.breaking.calls import Call

#: Tells a lane or a worker what to do at its storage's calls: a number to die at, and a file for when it did; or a file to
#: write them down in.
DIE: Final = "PMD_BREAKING_DIE"
DIED: Final = "PMD_BREAKING_DIED"
RECORD: Final = "PMD_BREAKING_RECORD"
#: Seconds after which a run is taken for one that hangs.
LIMIT_S: Final = 150.0
_PAUSE_S: Final = 0.005
#: Makes a driver that hangs write down where its threads are, and the seconds that it has for that.
_STACKS: Final = signal.SIGUSR2
_STACKS_S: Final = 0.5
#: Seconds that processes have to end after their driver.
_LEFT_S: Final = 5.0
#: What holds in a lane or a worker until it ends.
_armed: Final = contextlib.ExitStack()
_THREADS: Final = "/proc/self/task"
#: Threads that libraries start when they are imported; they hold nothing that a fork would miss.
_IDLE: Final = ("jemalloc_bg_thd", "polars-ooc-clea")


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: Its exit code, negative for a signal.
        text: What it wrote.
        began: When it began, by the monotonic clock.
        seconds: How long it took.
        session: The number of the session that all its processes were in.
        hung: It had to be killed for hanging.
    """

    code: int
    text: str
    began: float
    seconds: float
    session: int
    hung: bool = False

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.text


#: What a run is done in.
Within = Callable[[], AbstractContextManager[object]]


def nothing() -> AbstractContextManager[None]:
    """Return a context that does nothing."""
    return contextlib.nullcontext()


def warm() -> None:
    """Import what stages need, so that a fork has it."""
    import apache_beam
    import apache_beam.runners.portability.fn_api_runner
    import apache_beam.runners.worker.sdk_worker  # noqa: F401

    from pipelines import audit, build, curate, dedupe, fetch, images, publish, shard  # noqa: F401
    from pmd import audit as measured  # noqa: F401
    from pmd import cli  # noqa: F401

    small()
    threads = {Path(f"{_THREADS}/{name}/comm").read_text(encoding="utf-8").strip() for name in os.listdir(_THREADS)}
    threads -= {Path("/proc/self/comm").read_text(encoding="utf-8").strip(), *_IDLE}
    assert not threads, f"a process with threads must not be forked: {threads}"


def small() -> None:
    """Cut what is small into several parts nevertheless."""
    from pipelines import audit, curate
    from pmd.images import rules as images_rules

    curate.PARTITION_BYTES = 30_000  # type: ignore[misc]
    audit.PARTITION_PAIRS = dict.fromkeys(audit.PARTITION_PAIRS, 600)  # type: ignore[misc]
    images_rules.PART_ROWS = 600  # type: ignore[misc]


def run(
    words: Sequence[str],
    log: Path,
    *,
    act: calls.Act | None = None,
    within: Within = nothing,
    environment: dict[str, str] | None = None,
    workers: bool = False,
    meanwhile: Callable[[int, float], None] | None = None,
    limit_s: float = LIMIT_S,
) -> Ended:
    """Run `pmd` with some words, in a fork of this process.

    Args:
        words: The command line.
        log: Where its output goes.
        act: Done at each call of the driver's storage.
        within: What else the driver runs in.
        environment: Added to that of the driver, and so of its lanes and workers.
        workers: Beam's workers are processes that look at the environment.
        meanwhile: Called again and again, with the driver's number and the seconds since it began.
        limit_s: Seconds after which it is taken for one that hangs.
    """
    start = time.monotonic()
    pid = os.fork()
    if not pid:
        around = within if act is None else functools.partial(calls.watched, act)
        _be(words, log, around, environment or {}, workers=workers)
    hung = False
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() - start > limit_s:
            if not hung:
                _kill(pid, _STACKS)
                time.sleep(_STACKS_S)
            hung = True
            for each in [*descendants(pid), pid]:
                _kill(each, signal.SIGKILL)
        if meanwhile is not None:
            meanwhile(pid, time.monotonic() - start)
        time.sleep(_PAUSE_S)
    text = log.read_text(encoding="utf-8", errors="replace")
    return Ended(os.waitstatus_to_exitcode(status), text, start, time.monotonic() - start, pid, hung)


def _be(words: Sequence[str], log: Path, within: Within, environment: dict[str, str], *, workers: bool) -> None:
    """Be the command line, and end."""
    try:
        os.setsid()
        faulthandler.register(_STACKS, file=2)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no program yet that Python's exception could interrupt
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the trials may run under nohup
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ |= environment
        sys.argv = ["pmd", *words]
        if workers:
            _name_workers()
        from pmd import cli

        with within():
            cli.main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException:  # noqa: BLE001  a fork must never go on as its parent
        traceback.print_exc()
        code = 1
    _end_children()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_children() -> None:
    """Do what the interpreter does at its end, which `os._exit` does not."""
    from multiprocessing import util

    util._exit_function()  # type: ignore[attr-defined]
    threading._shutdown()  # type: ignore[attr-defined]


def _name_workers() -> None:
    from pmd.engines import workers

    def command(driver: int) -> list[str]:
        return [sys.executable, "-m", "benchmarks.breaking.kills", str(driver)]

    workers.command = command


def arm() -> None:
    """In a lane or a worker: do what the environment says."""
    number, record = os.environ.get(DIE), os.environ.get(RECORD)
    if number is not None:
        _armed.enter_context(calls.watched(killer(int(number), os.environ.get(DIED))))
    elif record is not None:
        _armed.enter_context(calls.watched(recorder(Path(f"{record}-{os.getpid()}"))))


def killer(number: int, note: str | None = None) -> calls.Act:
    """Return what kills this process at a call, and writes down before when that is, by the monotonic clock."""

    def act(call: Call) -> None:
        if call.number == number:
            if note is not None:
                Path(note).write_text(str(time.monotonic()), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def recorder(path: Path) -> calls.Act:
    """Return what writes each call down, a line of JSON."""
    file = path.open("a", encoding="utf-8", buffering=1)

    def act(call: Call) -> None:
        file.write(json.dumps([call.number, call.place, call.name, call.when]) + "\n")

    return act


def recorded(path: Path) -> list[Call]:
    """Return the calls that were written down."""
    return [Call(*json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


# Processes


def descendants(pid: int) -> list[int]:
    """Return the processes that one has started, and those that these have, in order of their numbers."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                told = Path(f"/proc/{name}/stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            parents[int(name)] = int(told.rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return sorted(found[1:])


def left(*ended: Ended) -> list[str]:
    """Return the command lines of what is left of runs; those whose driver is gone have some seconds to see that."""
    sessions = {each.session for each in ended}
    until = time.monotonic() + _LEFT_S
    while found := [pid for pid, session in _sessions().items() if session in sessions]:
        if time.monotonic() > until:
            return [_command(pid) for pid in found]
        time.sleep(_PAUSE_S)
    return []


def _sessions() -> dict[int, int]:
    found: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                told = Path(f"/proc/{name}/stat").read_text(encoding="utf-8", errors="replace")
                found[int(name)] = int(told.rpartition(")")[2].split()[3])
    return found


def workers_of(pid: int) -> list[int]:
    """Return the lanes and Beam workers of a driver."""
    return [each for each in descendants(pid) if any(word in _command(each) for word in ("spawn_main", __name__))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _kill(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def sender(number: int, moment_s: float, which: str, chance: Any, sent: list[float]) -> Callable[[int, float], None]:
    """Return what sends a signal at a moment to a driver, or to one of its lanes or workers as soon as there is one.

    `sent` is given the seconds at which it was.
    """

    def send(driver: int, since_s: float) -> None:
        if sent or since_s < moment_s:
            return
        targets = [driver] if which == "driver" else workers_of(driver)
        if targets:
            target = chance.choice(targets)
            if _kill(target, number):
                sent.append(since_s)

    return send


if __name__ == "__main__":
    from pmd.engines import workers as beam_workers

    arm()
    beam_workers.main()
