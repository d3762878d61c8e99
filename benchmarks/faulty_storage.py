"""Storage that fails now and then, and disks that are full: every stage ends in words, and its reruns give what is to be.

    python benchmarks/faulty_storage.py [--seed 0] [--times 3] [--only STAGE …] [--kind KIND …] [--images 2000] [--folder FOLDER]

On ROOTs as they were before each stage (`breaking.kept`), in drivers and, for fetch, in lanes:

- `passing`: one write in 20 and one read in 50 fail with EIO, ETIMEDOUT or ESTALE (`breaking.faults`). The stage is run until
  it succeeds, with other faults each time, at most `RERUNS` times more.
- `lasting`: one write in 20 fails with ENOSPC. The rerun has room.
- `lacking`: one write in 20 and one read in 50 is refused: no rights, a quota, no further file to open, no memory. The rerun has
  all of them.
- `gone`: after some writes, from none to fifty, every call fails with EIO, ETIMEDOUT or ESTALE. The rerun has its storage back.
- `full`: ROOT on a small tmpfs, filled until so many bytes are left, from none to as many as the stage needs. Then room is
  made. Root's rights are needed to mount it; where they are not there, it says so.

Checked: a run that fails ends in words, with exit code 4 (or 2 or 3, where the configuration or an input could not be read, or 1,
where this machine lacks something), without a traceback, and at most ten seconds later than one that nothing disturbs; the last
leaves what an undisturbed run leaves (`breaking.equal`). Exits with 1 where that is not so. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.breaking import faults, kills, world
from benchmarks.breaking.faults import Faults
from benchmarks.breaking.kept import STAGES, Kept

KINDS: Final = ("passing", "lasting", "lacking", "full", "gone")
#: Reruns within which a stage is to succeed though writes and reads fail.
RERUNS: Final = 3
_PASSING: Final = ("EIO", "ETIMEDOUT", "ESTALE")
_LACKING: Final = ("EACCES", "EROFS", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM")
_LANES: Final = 2
#: Done; this machine lacks something; the configuration or an input could not be read; ROOT could not be read or written.
_ENDINGS: Final = (0, 1, 2, 3, 4)
#: What is left on a full disk, in bytes.
_ROOMS: Final = (0, 8_192, 32_768, 131_072, 524_288, 1_048_576)
#: After how many writes of a process storage is gone.
_LAST_WRITES: Final = (0, 3, 8, 15, 25, 50)
_DISK_BYTES: Final = 200 * 2**20
#: Seconds by which a run that fails may take longer than one that nothing disturbs.
_WITHIN_S: Final = 10.0
_PLACE: Final = re.compile(r"/[^ :']*/(?=tried|world|root|disk)|[0-9a-f]{16,}")
_LAST_LINE: Final = re.compile(r'File ".*/(pmd|pipelines)/(\S+)", line \d+, in (\S+)')


@dataclass
class Tried:
    """What became of a stage under faults."""

    stage: str
    kind: str
    reruns: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    wordless: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def ended(self, run: kills.Ended, undisturbed: Sequence[Callable[[], float]]) -> None:
        """Note how a run ended; where its storage fails for good, whether in time.

        Args:
            run: How it ended.
            undisturbed: Tell how many seconds a run takes that nothing disturbs, the cheapest first: one is enough.
        """
        self.codes[str(run.code)] += 1
        can_be_late = self.kind != "passing" and run.code != 0
        if run.hung or (can_be_late and all(run.seconds > each() + _WITHIN_S for each in undisturbed)):
            self.problems.append(f"took {run.seconds:.0f} s, exit {run.code}")
        if run.code:
            problems = [_PLACE.sub("…", line) for line in run.text.splitlines() if line.startswith("pmd: ")]
            found = [_PLACE.sub("…", line) for line in run.text.splitlines() if line.startswith("  found: ")]
            self.said[" ".join((f"exit {run.code}:", *problems[-1:], *found[-1:]))[:200]] += 1
        if run.traceback:
            places = _LAST_LINE.findall(run.text)
            error = [line for line in run.text.splitlines() if line and not line.startswith((" ", "!"))]
            where = f"{places[-1][0]}/{places[-1][1]} {places[-1][2]}" if places else "elsewhere"
            self.wordless[f"{where}: {(error or ['?'])[-1][:80]}"] += 1
        elif run.code not in _ENDINGS:
            self.problems.append(f"exit {run.code}: {run.text.strip().splitlines()[-3:]}")


def _again(kept: Kept, tried: Tried, age: int, lanes: int, where: Path, faulty: Callable[[int], Faults | None]) -> None:
    """Run a stage until it succeeds; then look at what it left."""
    config = kept.world.config(where, age, lanes)
    for number in range(RERUNS + 1):
        chosen = faulty(number)
        run = kills.run(
            [tried.stage, str(config)], kept.log("tried"), within=_within(chosen), environment=_told(chosen)
        )
        tried.ended(run, _undisturbed(kept, tried.stage, age, lanes))
        if run.code == 0:
            tried.reruns = number
            if chosen is not None and tried.kind != "passing":  # what it could not tidy at its end, the next run does
                kills.run([tried.stage, str(config)], kept.log("tried"))
            tried.problems += kept.differences(where, age, tried.stage, verified=True)
            return
    tried.problems.append(f"did not succeed in {RERUNS} reruns")


def _undisturbed(kept: Kept, stage: str, age: int, lanes: int) -> list[Callable[[], float]]:
    """Return what tells how long a stage takes: as it was prepared, and now, when other programs may have the processor."""

    def now() -> float:
        config = kept.world.config(kept.fresh(age, stage, kept.folder / "beside"), age, lanes)
        return kills.run([stage, str(config)], kept.log("beside")).seconds

    return [lambda: kept.seconds[f"{age} {stage}"], now]


def _within(chosen: Faults | None) -> kills.Within:
    return lambda: faults.failing(chosen) if chosen is not None else kills.nothing()


def _told(chosen: Faults | None) -> dict[str, str]:
    return {faults.FAULTS: str(chosen)} if chosen is not None else {}


def _passing(kept: Kept, stage: str, told: argparse.Namespace) -> Iterator[Tried]:
    for time in range(told.times):
        tried = Tried(stage, "passing")
        seed = f"{told.seed} {stage} {time}"
        _again(
            kept,
            tried,
            time % 2,
            _lanes(stage, time),
            kept.fresh(time % 2, stage),
            lambda number, seed=seed: Faults(  # type: ignore[misc]
                f"{seed} {number}", faults.below(kept.folder), _PASSING, told.write_every, told.read_every
            ),
        )
        yield tried


def _lasting(kept: Kept, stage: str, told: argparse.Namespace) -> Iterator[Tried]:
    for time in range(told.times):
        chosen = Faults(f"{told.seed} {stage} {time}", faults.below(kept.folder), ("ENOSPC",), told.write_every, 0)
        yield _once(kept, Tried(stage, "lasting"), time, chosen)


def _lacking(kept: Kept, stage: str, told: argparse.Namespace) -> Iterator[Tried]:
    for time in range(told.times):
        seed = f"{told.seed} {stage} {time}"
        chosen = Faults(seed, faults.below(kept.folder), _LACKING, told.write_every, told.read_every)
        yield _once(kept, Tried(stage, "lacking"), time, chosen)


def _gone(kept: Kept, stage: str, told: argparse.Namespace) -> Iterator[Tried]:
    for time, last in enumerate(_LAST_WRITES[: 2 * told.times]):
        chosen = Faults(f"{told.seed} {stage} {time}", faults.below(kept.folder), _PASSING, last_write=last)
        yield _once(kept, Tried(stage, "gone"), time, chosen)


def _once(kept: Kept, tried: Tried, time: int, chosen: Faults) -> Tried:
    """Try a stage whose first run alone meets faults."""
    age, lanes = time % 2, _lanes(tried.stage, time)
    _again(kept, tried, age, lanes, kept.fresh(age, tried.stage), lambda number: None if number else chosen)
    return tried


def _lanes(stage: str, time: int) -> int:
    return _LANES if stage == "fetch" and time % 2 else 1


def _full(kept: Kept, stage: str, told: argparse.Namespace) -> Iterator[Tried]:
    disk = kept.folder / "disk"
    disk.mkdir(exist_ok=True)
    size = f"size={_DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)], check=True)
    try:
        for number, room in enumerate(_ROOMS):
            tried = Tried(stage, "full")
            age = number % 2
            where = kept.fresh(age, stage, disk / "root")
            config = kept.world.config(where, age, _lanes(stage, number))
            _fill(disk / "filler", room)
            run = kills.run([stage, str(config)], kept.log("tried"))
            tried.ended(run, _undisturbed(kept, stage, age, _lanes(stage, number)))
            (disk / "filler").unlink()
            _again(kept, tried, age, _lanes(stage, number), where, lambda _: None)
            shutil.rmtree(where)
            yield tried
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _fill(path: Path, room: int) -> None:
    free = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - room))


_TRIALS: Final[dict[str, Callable[[Kept, str, argparse.Namespace], Iterator[Tried]]]] = {
    "passing": _passing,
    "lasting": _lasting,
    "lacking": _lacking,
    "full": _full,
    "gone": _gone,
}


def _missing(kind: str) -> str | None:
    """Return in words why a kind cannot be tried here, or None."""
    return "no right to mount a tmpfs" if kind == "full" and os.geteuid() != 0 else None


def _tell(found: Sequence[Tried]) -> None:
    print(f"{'stage':8} {'kind':8} {'times':>5} {'reruns':>6} {'wordless':>8} {'unlike':>6}  exit codes")
    for stage in STAGES:
        for kind in KINDS:
            mine = [tried for tried in found if (tried.stage, tried.kind) == (stage, kind)]
            if mine:
                codes = sum((tried.codes for tried in mine), Counter())
                told = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))
                wordless = sum(tried.wordless.total() for tried in mine)
                bad = sum(bool(tried.problems) for tried in mine)
                most = max(tried.reruns for tried in mine)
                print(f"{stage:8} {kind:8} {len(mine):5} {most:6} {wordless:8} {bad:6}  {told}")
    for words, count in sum((tried.said for tried in found), Counter()).most_common():
        print(f"said {count} times: {words}")
    for place, count in sum((tried.wordless for tried in found), Counter()).most_common():
        print(f"a traceback, {count} times: {place}")


def main() -> None:
    """Try every stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--times", type=int, default=3, help="how often a stage is tried")
    parser.add_argument("--write-every", type=int, default=20, help="one write in so many fails")
    parser.add_argument("--read-every", type=int, default=50, help="one read in so many fails")
    parser.add_argument("--only", action="append", choices=STAGES)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="a local folder; one in memory is as good")
    told = parser.parse_args()
    folder = (told.folder or Path(tempfile.mkdtemp(prefix="faulty-"))).resolve()
    kills.warm()
    found: list[Tried] = []
    with world.opened(folder / "world", told.images) as web:
        kept = Kept(folder, web)
        kept.prepare()
        for kind in told.kind or KINDS:
            why = _missing(kind)
            if why is not None:
                print(f"{kind} is not tried: {why}")
                continue
            for stage in told.only or STAGES:
                for tried in _TRIALS[kind](kept, stage, told):
                    found.append(tried)
                    for problem in tried.problems[:3]:
                        print(f"PROBLEM {stage} {kind}: {problem}", flush=True)
    _tell(found)
    bad, wordless = sum(bool(tried.problems) for tried in found), sum(tried.wordless.total() for tried in found)
    most = max((tried.reruns for tried in found), default=0)
    print(json.dumps({"tried": len(found), "unlike": bad, "wordless": wordless, "reruns": most}))
    sys.exit(1 if bad or wordless else 0)


if __name__ == "__mp_main__":  # a lane
    faults.arm()
if __name__ == "__main__":
    main()
