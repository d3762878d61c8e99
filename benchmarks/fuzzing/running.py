"""Cases run in processes of their own, under limits of time and memory; one that dies or hangs is a crash of its case."""

from __future__ import annotations

import collections
import dataclasses
import functools
import gc
import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from benchmarks.fuzzing import bases
from benchmarks.fuzzing.cases import PROFILES, Case, make_case
from benchmarks.fuzzing.checking import check, expected
from benchmarks.fuzzing.reading import read, written

#: Seconds that a case may take, and bytes that it may ask for beyond what the process has when it starts.
LIMIT_S: Final = 20.0
LIMIT_BYTES: Final = 2 << 30
#: Seconds without a finished case after which the parent takes a worker for hung in code that no signal reaches.
HUNG_S: Final = 4 * LIMIT_S


class TooSlow(BaseException):
    """A case took longer than `LIMIT_S`."""


def _ring(_signal: int, _frame: object) -> None:
    raise TooSlow


def run_case(case: Case) -> tuple[list[str], Counter[str]]:
    """Run a case under the time limit; return its problems and counts. A crash is a problem that begins so."""
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        with written(case.disk) as folder:
            try:
                outcome = read(case.base, case.profile, folder, sorted(case.disk))
            except Exception:  # noqa: BLE001  a crash is what is looked for
                return [f"crash: {traceback.format_exc()}"], Counter(cases=1, crashes=1)
            try:
                problems, counts = check(case, outcome, folder)
            except Exception:  # noqa: BLE001  ours, to be mended too
                return [f"the check itself failed: {traceback.format_exc()}"], Counter(cases=1, violations=1)
    except TooSlow:
        return [f"crash: not done in {LIMIT_S} s"], Counter(cases=1, crashes=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    counts["violations"] = len(problems)
    return problems, counts


def limit_memory(more: int) -> None:
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))


@dataclasses.dataclass
class Done:
    """What a worker reports of one case: number, source, mutation, problems, counts, its process's peak in KiB."""

    number: int
    source: str
    mutation: str
    problems: list[str]
    counts: Counter[str]
    peak_kib: int


def _work(seed: int, numbers: Sequence[int], names: Sequence[str], results: Connection) -> None:
    for source in names:  # before memory is limited
        for index in range(len(bases.all_bases()[source])):
            for profile in PROFILES:
                expected(source, index, profile)
    limit_memory(LIMIT_BYTES)
    gc.freeze()
    parent = os.getppid()
    for number in numbers:
        if os.getppid() != parent:
            return
        case = make_case(seed, number, names)
        problems, counts = run_case(case)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results.send(Done(number, case.base.source, case.mutation, problems, counts, peak))
    results.close()


@dataclasses.dataclass
class _Worker:
    process: Any
    results: Connection
    left: collections.deque[int]
    seen: float


@functools.cache
def _processes() -> Any:
    """Return what starts workers: forked from a process without threads, since a fork of Polars' own never goes on."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([__name__])
    return found


def _start(seed: int, numbers: list[int], names: Sequence[str]) -> _Worker:
    receive, send = _processes().Pipe(duplex=False)
    process = _processes().Process(target=_work, args=(seed, numbers, names, send), daemon=True)
    process.start()
    send.close()
    return _Worker(process, receive, collections.deque(numbers), time.monotonic() + HUNG_S)


def fuzz(seed: int, numbers: Sequence[int], names: Sequence[str], processes: int) -> Iterator[Done]:
    """Run cases in processes of their own; a process that dies or hangs is a crash of its case, and another takes over."""
    bases.all_bases()
    workers = [
        _start(seed, mine, names) for mine in (list(numbers[first::processes]) for first in range(processes)) if mine
    ]
    while workers:
        ready = wait([worker.results for worker in workers], timeout=1)
        for worker in list(workers):
            if worker.results in ready:
                try:
                    done = worker.results.recv()
                except EOFError:
                    worker.process.join()
                    workers.remove(worker)
                    if worker.left:
                        yield _lost(
                            seed, worker.left[0], names, f"the process died: exit code {worker.process.exitcode}"
                        )
                        workers.append(_start(seed, list(worker.left)[1:], names))
                    continue
                worker.left.popleft()
                worker.seen = time.monotonic()
                yield done
            elif time.monotonic() - worker.seen > HUNG_S:
                worker.process.kill()  # seen as a death in the next round
                worker.seen = time.monotonic()


def _lost(seed: int, number: int, names: Sequence[str], why: str) -> Done:
    case = make_case(seed, number, names)
    return Done(number, case.base.source, case.mutation, [f"crash: {why}"], Counter(cases=1, crashes=1), 0)
