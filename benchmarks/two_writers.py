"""Two writers and more that all want one ROOT: never two at work, never a listed file gone, epochs rise.

    python benchmarks/two_writers.py [--rounds 1000] [--stops 60] [--seed 0] [--only SCENARIO …] [--folder FOLDER]

Scenarios:

- `interleaved`: storage in memory, under a lease. A writer stops before each of its storage calls, and another takes over and
  goes all the way or a part of it: every moment of every case (`breaking.interleaved`).
- `processes`, `threads`, `namespaces`: a local folder. Rounds that writers win against each other; in the first and the last
  many are killed at a call of the storage (`breaking.contending`).
- `s3`, `gs`: the same with processes on moto and fake-gcs-server, where the lock is a lease of `LEASE_S`; a 25th of the rounds.
- `s3-stopped`, `gs-stopped`: there, SIGSTOP stops a writer before a call until another has taken over, and SIGCONT wakes it
  (`breaking.stopped`).

What cannot be run here is said in words. Exits with 1 where anything was found. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.breaking import contending, emulators, interleaved, stopped
from benchmarks.breaking.contending import Contest, Found

#: Rounds in one ROOT: each leaves a generation, and all of them are looked through again and again.
_ROUNDS_A_ROOT: Final = 100
#: A lease on emulators, in seconds.
LEASE_S: Final = 1.5

Scenario = Callable[[argparse.Namespace], Iterator[Found]]


def _interleaved(_: argparse.Namespace) -> Iterator[Found]:
    for case in interleaved.CASES:
        for at in interleaved.moments(case):
            call, problems = interleaved.meet(case, at)
            yield Found(Counter(stopped=1), tuple(f"{case}, stopped {call}: {problem}" for problem in problems))


def _contest(told: argparse.Namespace, base: str, rounds: int, **more: object) -> Iterator[Found]:
    for number in range(-(-rounds // _ROUNDS_A_ROOT)):
        folder = Path(tempfile.mkdtemp(prefix="two-writers-", dir=told.folder))
        where = f"{base}/{folder.name}" if base else str(folder / "root")
        places = 1 if more.get("threads") else 3
        share = min(_ROUNDS_A_ROOT, rounds) // places
        contest = Contest(where, str(folder), places, share, told.seed + number, **more)  # type: ignore[arg-type]
        yield contending.contend(contest)
        shutil.rmtree(folder)


def _processes(told: argparse.Namespace) -> Iterator[Found]:
    return _contest(told, "", told.rounds, kill_share=0.4)


def _threads(told: argparse.Namespace) -> Iterator[Found]:
    return _contest(told, "", told.rounds, threads=4)


def _namespaces(told: argparse.Namespace) -> Iterator[Found]:
    return _contest(told, "", told.rounds, kill_share=0.4, namespaces=True)


def _remote(kind: str) -> Scenario:
    def run(told: argparse.Namespace) -> Iterator[Found]:
        with emulators.emulated(kind) as base:
            yield from _contest(told, base, told.rounds // 25, kill_share=0.2, lease_s=LEASE_S)

    return run


def _stopped(kind: str) -> Scenario:
    def run(told: argparse.Namespace) -> Iterator[Found]:
        with emulators.emulated(kind) as base:
            for number in range(told.stops):
                trial = stopped.trial(base, f"{told.seed} {number}")
                where = "stopped" if trial.stopped else "had ended before"
                counts = Counter({where: 1, f"then ended: {trial.ended}": 1})
                problems = tuple(f"{number}: {trial.case}, {trial.stopped}: {text}" for text in trial.problems)
                yield Found(counts, problems)

    return run


#: Those that fork come first: this process has no threads until it reads an object store itself.
SCENARIOS: Final[dict[str, Scenario]] = {
    "interleaved": _interleaved,
    **{f"{kind}-stopped": _stopped(kind) for kind in emulators.KINDS},
    "processes": _processes,
    "threads": _threads,
    "namespaces": _namespaces,
    **{kind: _remote(kind) for kind in emulators.KINDS},
}


def _missing(name: str) -> str | None:
    """Return in words why a scenario cannot be run here, or None."""
    if name == "namespaces":
        able = subprocess.run(["unshare", "-pf", "--mount-proc", "true"], check=False, capture_output=True)
        return None if able.returncode == 0 else "no right to make PID namespaces"
    kind = name.partition("-")[0]
    return emulators.missing(kind) if kind in emulators.KINDS else None


def main() -> None:
    """Run the scenarios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--stops", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=sorted(SCENARIOS))
    parser.add_argument("--folder", help="a local folder; one in memory is as good, since kills leave what was written")
    told = parser.parse_args()
    for name in ("pmd.notes", "gcsfs"):
        logging.getLogger(name).setLevel(logging.ERROR)
    result: dict[str, object] = {}
    failed = False
    for name, scenario in SCENARIOS.items():
        if told.only and name not in told.only:
            continue
        why = _missing(name)
        if why is not None:
            print(f"{name:12} not run: {why}", flush=True)
            result[name] = {"not_run": why}
            continue
        start, counts, problems = time.monotonic(), Counter[str](), list[str]()
        for found in scenario(told):
            counts += found.counts
            problems += found.problems
            for problem in found.problems[:3]:
                print(f"{name:12} PROBLEM {problem}", flush=True)
        seconds = time.monotonic() - start
        words = ", ".join(f"{what} {count:,}" for what, count in sorted(counts.items()))
        print(f"{name:12} {words}; problems {len(problems)}; {seconds:.0f} s", flush=True)
        result[name] = {**counts, "problems": len(problems), "seconds": round(seconds)}
        failed = failed or bool(problems)
    print(json.dumps(result, sort_keys=True))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
