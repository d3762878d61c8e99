"""Fuzz the annotation files of all sources: never a crash, never an unbounded read, every untouched row as it was.

    python benchmarks/fuzz.py [--cases 200000] [--seed 0] [--source NAME …] [--only CASE] [--out FOLDER]

A case is a function of the seed and its number: files of one source (genuine rows and the demo's), one thing done to one
of them (`fuzzing.mutations`), one way in which they come (plain, compressed, in an archive), one profile. It is read as
the curate stage reads it (`inputs.files`, `plan`, `read`, `judge`, `resolve`), without Beam; a few cases run as whole
`pmd curate` commands too. Checked, for each:

- it ends in rows, or in a `PmdError` that names the file; nothing else, within `LIMIT_S` and `LIMIT_BYTES`;
- a file is refused only where it is no longer what its format asks for (`_justified`);
- every row whose bytes are untouched (`fuzzing.documents`) gives what it gave before, in all columns, at its place;
- every other row gives a pair or a rejected row, no row comes from nowhere, and ids are numbered without gaps.

Endless lines, strings, numbers, lists, fields and names are cases of their own, each read with its peak of memory. Exits
with 1 where anything fails, and leaves each failing case's files and what was found in FOLDER. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("POLARS_MAX_THREADS", "1")  # a process a core already

import pyarrow as pa

from benchmarks.fuzzing import bases
from benchmarks.fuzzing.cases import Case, make_case
from benchmarks.fuzzing.endless import MIB, endless
from benchmarks.fuzzing.running import Done, fuzz, run_case
from benchmarks.fuzzing.whole import whole
from pmd import sources

#: Seconds between two lines of progress.
TOLD_S: Final = 20.0
COUNTS: Final = (
    "cases",
    "crashes",
    "violations",
    "refused",
    "rows",
    "untouched",
    "identical",
    "untouched_in_refused",
    "rejected",
)


def _keep(out: Path, seed: int, case: Case, problems: Sequence[str], names: Sequence[str]) -> None:
    """Leave a failing case's files, what was found and the command that repeats it."""
    folder = out / f"case-{case.number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in case.disk.items():
        (folder / name).write_bytes(content)
    chosen = "" if len(names) == len(bases.all_bases()) else "".join(f" --source {name}" for name in names)
    command = f"python benchmarks/fuzz.py --seed {seed} --only {case.number}{chosen}"
    about = f"{case.base.source}, {case.base.label}; {case.packing}; {case.profile}; {case.mutation} in {case.target}"
    (folder / "failure.txt").write_text("\n\n".join([command, about, *problems]) + "\n", errors="backslashreplace")


def _summary(seconds: float, tables: Mapping[str, Mapping[str, Counter[str]]], **more: Any) -> dict[str, Any]:
    total: Counter[str] = sum(tables["by_source"].values(), Counter())
    return {
        **{name: total[name] for name in COUNTS},
        **{
            table: {key: {name: counts[name] for name in COUNTS} for key, counts in sorted(found.items())}
            for table, found in tables.items()
        },
        **more,
        "seconds": round(seconds, 1),
    }


class Tally:
    """The counts of all cases, by source and by mutation; failing cases are kept."""

    def __init__(self, seed: int, names: Sequence[str], out: Path) -> None:
        self.seed = seed
        self.failures = 0
        self._names = names
        self._out = out
        self._tables: dict[str, dict[str, Counter[str]]] = {
            "by_source": defaultdict(Counter),
            "by_mutation": defaultdict(Counter),
        }
        self._peak_kib = 0
        self._begun = time.monotonic()

    def add(self, done: Done) -> None:
        """Count a case."""
        self._tables["by_source"][done.source].update(done.counts)
        self._tables["by_mutation"][done.mutation].update(done.counts)
        self._peak_kib = max(self._peak_kib, done.peak_kib)
        if done.problems:
            self.failures += 1
            case = make_case(self.seed, done.number, self._names)
            _keep(self._out, self.seed, case, done.problems, self._names)
            last = done.problems[0].strip().splitlines()[-1]
            print(f"case {done.number}, {done.source}, {done.mutation}: {last[:200]}", flush=True)

    def told(self, number: int, cases: int) -> dict[str, Any]:
        """Print how far the run is, and return and leave its figures so far."""
        seconds = time.monotonic() - self._begun
        print(f"{number:,} of {cases:,} cases, {number / seconds:.0f}/s, {self.failures} failed", flush=True)
        peak_mb = round(self._peak_kib / 1024)
        found = _summary(seconds, self._tables, failures=self.failures, peak_mb=peak_mb, seed=self.seed)
        (self._out / "so-far.json").write_text(json.dumps(found))
        return found


def main() -> None:
    """Run, print, and exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", action="append", choices=sources.names(), help="only this source; may be repeated")
    parser.add_argument("--only", type=int, help="run this case alone, and say what is wrong with it")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--whole", type=int, default=12, help="cases to run as `pmd curate` too")
    parser.add_argument("--endless-mib", type=int, default=256, help="size of the endless files; 0 leaves them out")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    arguments = parser.parse_args()
    names = sorted(arguments.source or sources.names())
    arguments.out.mkdir(parents=True, exist_ok=True)
    pa.set_cpu_count(1)
    if arguments.only is not None:
        _run_one(make_case(arguments.seed, arguments.only, names), arguments.seed, names, arguments.out)
    tally = Tally(arguments.seed, names, arguments.out)
    told = time.monotonic()
    for number, done in enumerate(fuzz(arguments.seed, range(arguments.cases), names, arguments.processes), 1):
        tally.add(done)
        if time.monotonic() - told > TOLD_S:
            told = time.monotonic()
            tally.told(number, arguments.cases)
    result = tally.told(arguments.cases, arguments.cases)
    of_endless = _endless(arguments.endless_mib, names) if arguments.endless_mib else []
    of_whole = [
        problem for number in range(arguments.whole) for problem in whole(make_case(arguments.seed, number, names))
    ]
    print("\n".join(of_whole), flush=True)
    failures = tally.failures + len(of_whole) + sum(not one["outcome"].startswith("refused") for one in of_endless)
    print(json.dumps({**result, "failures": failures, "endless": of_endless, "whole_runs": arguments.whole}))
    raise SystemExit(1 if failures else 0)


def _run_one(case: Case, seed: int, names: Sequence[str], out: Path) -> None:
    problems, counts = run_case(case)
    _keep(out, seed, case, problems, names)
    print((out / f"case-{case.number}" / "failure.txt").read_text(), dict(counts))
    raise SystemExit(1 if problems else 0)


def _endless(size_mib: int, names: Sequence[str]) -> list[dict[str, Any]]:
    found = []
    for name, source, outcome, peak_mb, seconds in endless(size_mib * MIB):
        if source in names:
            found.append(
                {"name": name, "source": source, "outcome": outcome, "peak_mb": round(peak_mb), "s": round(seconds, 1)}
            )
            last = outcome.strip().splitlines()[-1]
            print(f"endless {name} ({source}): {last}, {peak_mb:.0f} MB, {seconds:.1f} s", flush=True)
    return found


if __name__ == "__main__":
    main()
