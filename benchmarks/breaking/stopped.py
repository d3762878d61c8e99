"""A writer that SIGSTOP stops at one of its storage calls, past its lease, and SIGCONT wakes; on any storage with leases.

`interleaved` in earnest: real processes, real time, an object store's own conditions.
"""

from __future__ import annotations

import datetime
import logging
import os
import random
import signal
import time
import uuid
from dataclasses import dataclass
from typing import Final

import orjson

from benchmarks.breaking import calls, forks, interleaved
from benchmarks.breaking.calls import Call
from benchmarks.breaking.interleaved import CASES, Case, Run
from pmd.store import lock, storage

#: A lease, in seconds, and how often it is renewed.
LEASE_S: Final = 1.5
RENEW_S: Final = 0.3
#: Storage calls of a run, about: it stops before one of these.
_CALLS: Final = 170


@dataclass(frozen=True)
class Trial:
    """One trial: where the first stopped (None: it had ended before), how it ended, and what went wrong."""

    case: str
    stopped: str | None
    ended: str
    problems: tuple[str, ...]


def trial(base: str, seed: str) -> Trial:
    """Try one case at one call, both drawn by a seed; this process must have no threads, and is forked."""
    reading, writing = os.pipe()
    pid = forks.forked(lambda: os.write(writing, orjson.dumps(_trial(base, random.Random(seed)))))
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        content = file.read()
    os.waitpid(pid, 0)
    if not content:
        return Trial("", None, "", ("the trial itself has failed: its traceback stands above",))
    told = orjson.loads(content)
    return Trial(told["case"], told["stopped"], told["ended"], tuple(told["problems"]))


def _trial(base: str, chance: random.Random) -> Trial:
    # Where nothing renews, the writer that wakes must find out by itself.
    lock.LEASE_S, lock.RENEW_S = LEASE_S, chance.choice((RENEW_S, 3600.0))  # type: ignore[misc]
    logging.getLogger("gcsfs").setLevel(logging.ERROR)
    case, at, root_url = chance.choice(CASES), chance.randrange(_CALLS), f"{base}/{uuid.uuid4().hex}"
    if case.before:
        _, status = os.waitpid(forks.forked(lambda: _run(root_url, Run("before", case.before), None)), 0)
        assert status == 0
    reading, writing = os.pipe()

    def stop(call: Call) -> None:
        if call.number == at:
            os.write(writing, str(call).encode())
            os.kill(os.getpid(), signal.SIGSTOP)

    first = forks.forked(lambda: _run(root_url, case.first, stop))
    os.close(writing)
    _, status = os.waitpid(first, os.WUNTRACED)
    is_stopped = os.WIFSTOPPED(status)
    return _second(root_url, case, first, is_stopped, os.read(reading, 1000).decode() if is_stopped else None, status)


def _second(root_url: str, case: Case, first: int, is_stopped: bool, stopped: str | None, status: int) -> Trial:
    had = interleaved.by_first(root_url)
    if is_stopped:
        time.sleep(LEASE_S + 0.2)
    second = interleaved.steps(root_url, case.second, _now)
    for part in second:
        if part == case.until:
            break
    is_second = lock.read(root_url).left_s(_now()) > 0
    if is_stopped:
        os.kill(first, signal.SIGCONT)
        _, status = os.waitpid(first, 0)
    problems = [f"when the first had ended: {problem}" for problem in interleaved.lost(root_url).values()]
    for _ in second:
        pass
    problems += [f"when the second had ended: {problem}" for problem in interleaved.lost(root_url).values()]
    later = {folder for folder, epoch in interleaved.by_first(root_url).items() if had.get(folder) != epoch}
    if is_second or case.until == "":
        problems += [f"{folder} was committed by who was taken over" for folder in later]
    for _ in interleaved.steps(root_url, Run("last", "last"), _now):
        pass
    problems += [f"after one more run: {problem}" for problem in interleaved.lost(root_url).values()]
    problems += [f"after one more run: {name} is not listed" for name in interleaved.unlisted(root_url)]
    if os.WIFSIGNALED(status):
        ended = f"signal {os.WTERMSIG(status)}"
    else:
        ended = {0: "well", 4: "in words"}.get(os.WEXITSTATUS(status), f"exit {os.WEXITSTATUS(status)}")
    if ended.startswith("exit"):
        problems.append(f"the first ended with {ended}")
    storage.remove_tree(root_url)
    return Trial(str(case), stopped, ended, tuple(problems))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _run(root_url: str, run: Run, act: calls.Act | None) -> None:
    steps = interleaved.steps(root_url, run, _now)
    if act is None:
        for _ in steps:
            pass
        return
    with calls.watched(act):
        told = interleaved.finish(steps)
    if told:
        os._exit(4)
