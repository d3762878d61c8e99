"""Kill every stage at each of its storage calls, and at random moments: the same command gives what it gives undisturbed.

    python benchmarks/break.py [--trials 330] [--seed 0] [--only STAGE …] [--images 2000] [--folder FOLDER] [--fresh]

A small PMD (`breaking.world`) is built twice, the second time with more rows and other options, and its ROOT is kept as it was
before each stage. A trial takes such a ROOT, kills a run of the stage, runs the stage again, and looks whether all is as an
undisturbed run left it: every class of bytes that the design claims, the ledger's outcomes, each file as its commit says, no
file that no commit lists, and (in one trial of five, for its time) `pmd verify` without a problem and without a note.

First come the *named* trials: SIGKILL at the first call of each kind (which function of the protocol changes what on the
storage, before and after the change), in the driver, in lanes and in Beam's workers. Among them the others are *drawn*: rounds
of each stage, process and signal (9, 15, 2), at any moment. So a run that is cut off has seen a share of each.

How the killed run ended is looked at too: within ten seconds, in the words and with the exit code that docs/trouble.md gives, and
with no process left.

What the web is asked for is counted. No image that is settled is asked for again. Asked for twice are, after SIGKILL, at most the
images of the shards in flight, one shard a lane; after another signal at most the requests in flight, `CONCURRENCY` a lane.

FOLDER keeps the ROOTs and the finished trials: started again, it goes on where it was. Exits with 1 where anything differs.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.breaking import calls, equal, kills, outcomes, world
from benchmarks.breaking.calls import Call
from benchmarks.breaking.kept import STAGES, Kept
from benchmarks.breaking.outcomes import Outcome

#: Stages that are tried with Beam's workers as processes too: each such run takes seconds to start.
_WORKED: Final = ("curate", "shard")
_LANES: Final = 2
_SIGNALS: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
#: Each stage with the processes that it may have.
_PROCESSES: Final = tuple(
    (stage, process)
    for stage in STAGES
    for process in ("driver", *(("lane",) if stage == "fetch" else ()), *(("worker",) if stage in _WORKED else ()))
)
#: What the death of a lane or a worker is told by.
_DEATHS: Final = {"lane": "a lane of the fetch died", "worker": "a worker process died"}
#: Seconds after the signal at which a command has ended, whatever it was doing.
_END_S: Final = 10.0
_WORKERS: Final = ("--", "--direct_num_workers=2")
#: One trial in so many asks `pmd verify` too: it takes longer than all the rest, and finds nothing where all is equal and whole.
_VERIFIED_OF: Final = 5
#: Named trials in a worker, of each stage that is tried so.
_MOST_IN_WORKERS: Final = 12


@dataclass(frozen=True)
class Trial:
    """One kill. `number` is the call at which the process kills itself; else the signal comes at a share of the stage's time."""

    stage: str
    age: int
    process: str
    place: str
    signal: int = int(signal.SIGKILL)
    number: int | None = None
    share: float = 0.0
    draw: int = 0

    @property
    def key(self) -> str:
        return f"{self.stage} {self.age} {self.process} {self.place} {self.signal} {self.draw}"


class Breaking(Kept):
    """Trials on copies of the ROOTs that are kept."""

    def others(self, age: int, stage: str) -> dict[str, float]:
        """Write down the calls of a stage's lanes or workers; return the seconds that it took."""
        process = "lane" if stage == "fetch" else "worker" if stage in _WORKED else None
        if age == 0 or process is None:
            return {}
        words, workers = self._words(stage, self.fresh(age, stage), age, process)
        environment = {kills.RECORD: str(self.calls(stage, process))}
        ended = kills.run(words, self.log("prepare"), environment=environment, workers=workers)
        assert ended.code == 0, ended.text
        return {f"{age} {stage} {process}": ended.seconds}

    def named(self) -> Iterator[Trial]:
        """Yield a trial for each kind of call: of the second age, where every stage finds commits that stand."""
        for stage in STAGES:
            for process in ("driver", "lane", "worker"):
                found = _kinds(self.recorded(stage, process))
                if process == "worker":
                    found = random.Random(stage).sample(found, min(len(found), _MOST_IN_WORKERS))
                for call in found:
                    yield Trial(stage, 1, process, str(call), number=call.number)

    def drawn(self, seed: int, stages: Sequence[str]) -> Iterator[Trial]:
        """Yield random trials, for ever: in each round one of each stage, process and signal."""
        kinds = [(*each, int(number)) for each in _PROCESSES for number in _SIGNALS if each[0] in stages]
        for draw in itertools.count():
            turn, place = divmod(draw, len(kinds))
            stage, process, number = random.Random(f"{seed} round {turn}").sample(kinds, len(kinds))[place]
            chance = random.Random(f"{seed} {draw}")
            yield Trial(stage, chance.choice((0, 1)), process, "any moment", number, share=chance.random(), draw=draw)

    def try_(self, trial: Trial) -> Outcome:
        """Do one trial."""
        start = time.monotonic()
        where = self.fresh(trial.age, trial.stage)
        words, workers = self._words(trial.stage, where, trial.age, trial.process)
        _, since = self.world.asked(0)
        sent: list[float] = []
        ended = self._killed(trial, words, sent, workers=workers)
        hit = bool(sent) or ended.code == -signal.SIGKILL
        note = self.folder / "note.json"
        settled = equal.apart(lambda: equal.settled(str(where)), note) if trial.stage == "fetch" else []
        first, since = self.world.asked(since)
        again = kills.run(words[:2], self.log("again"))
        second, _ = self.world.asked(since)
        outcome = Outcome(trial.key, asdict(trial), hit, ended.code, again.code)
        outcome.traceback, outcome.hung = ended.traceback, ended.hung
        outcome.problems += _judge_ending(trial, ended, sent)
        if again.code:
            outcome.problems.append(f"the rerun ends with {again.code}: {again.text[-300:]}")
        verified = zlib.crc32(trial.key.encode()) % _VERIFIED_OF == 0
        outcome.problems += self.differences(where, trial.age, trial.stage, verified=verified)
        outcome.problems += [f"a process is left: {command}" for command in kills.left(ended, again)]
        outcome.twice = sum(count - 1 for count in (first + second).values())
        if trial.stage == "fetch":
            outcome.problems += self._judge_requests(trial, where, settled, set(second), outcome.twice)
        shutil.rmtree(where)
        outcome.seconds = round(time.monotonic() - start, 1)
        return outcome

    def _killed(self, trial: Trial, words: Sequence[str], sent: list[float], *, workers: bool) -> kills.Ended:
        log = self.log("killed")
        if trial.number is None:
            seconds = self.seconds
            whole = seconds.get(f"{trial.age} {trial.stage} {trial.process}", seconds[f"{trial.age} {trial.stage}"])
            chance = random.Random(trial.key)
            send = kills.sender(trial.signal, trial.share * whole, trial.process, chance, sent)
            return kills.run(words, log, workers=workers, meanwhile=send)
        if trial.process == "driver":
            return kills.run(words, log, act=kills.killer(trial.number))
        died = self.folder / "died"
        died.unlink(missing_ok=True)
        environment = {kills.DIE: str(trial.number), kills.DIED: str(died)}
        ended = kills.run(words, log, environment=environment, workers=workers)
        if died.exists():
            sent.append(float(died.read_text(encoding="utf-8")) - ended.began)
        return ended

    def _judge_requests(
        self, trial: Trial, where: Path, settled: Sequence[str], second: set[str], twice: int
    ) -> Iterator[str]:
        known = {f"/{url.rpartition('/')[2]}" for url in settled}
        if known & second:
            yield f"{len(known & second)} settled images were asked for again"
        most = world.CONCURRENCY
        if trial.signal == signal.SIGKILL:
            most = equal.apart(lambda: equal.largest_shard(str(where)), self.folder / "note.json")
        most *= _LANES if trial.process == "lane" else 1
        if twice > most:
            yield f"{twice} images were asked for twice, and {most} were in flight"

    def _words(self, stage: str, where: Path, age: int, process: str) -> tuple[list[str], bool]:
        config = self.world.config(where, age, _LANES if process == "lane" else 1)
        is_worker = process == "worker"
        return [stage, str(config), *(_WORKERS if is_worker else ())], is_worker


def _judge_ending(trial: Trial, ended: kills.Ended, sent: Sequence[float]) -> Iterator[str]:
    """Yield what is wrong about how a run ended whose driver, lane or worker was killed."""
    if ended.hung:
        yield f"it did not end: {ended.text}"
    if ended.traceback:
        yield f"a traceback: {ended.text[-600:]}"
    if sent and ended.seconds - sent[0] > _END_S:
        yield f"it ended {ended.seconds - sent[0]:.1f} s after the signal"
    died = _DEATHS.get(trial.process)
    if died is None:
        # Before its handlers stand and after they are gone, a signal ends a process as any other.
        wanted = {-trial.signal, 0} if trial.signal == signal.SIGKILL else {128 + trial.signal, -trial.signal, 0}
        if ended.code not in wanted:
            yield f"it ended with {ended.code}: {ended.text[-300:]}"
        if ended.code == 128 + trial.signal and "interrupted; what was committed stays" not in ended.text:
            yield f"it did not say that it was interrupted: {ended.text[-300:]}"
    elif ended.code not in {0, 1} or (ended.code == 1 and died not in ended.text):
        yield f"it ended with {ended.code}, and did not say that {died}: {ended.text[-300:]}"


def _kinds(found: Sequence[Call]) -> list[Call]:
    """Return the first call of each kind, of those that leave something else on the disk than the one before."""
    kinds: dict[tuple[str, str, str], Call] = {}
    for call in found:
        if (call.name, call.when) in calls.CHANGES:
            kinds.setdefault(call.kind, call)
    return list(kinds.values())


def _tell(ended: Sequence[Outcome]) -> None:
    """Print a line a stage, process and kind of kill."""
    rows: dict[tuple[str, ...], list[Outcome]] = defaultdict(list)
    for outcome in ended:
        trial = outcome.trial
        rows[
            trial["stage"], trial["process"], "named" if trial["number"] is not None else f"-{trial['signal']}"
        ].append(outcome)
    print(f"{'stage':8} {'process':8} {'kill':6} {'trials':>6} {'hit':>5} {'unlike':>6} {'twice':>6}  ended")
    for (stage, process, kind), found in sorted(rows.items(), key=lambda item: (STAGES.index(item[0][0]), item[0])):
        hit = [outcome for outcome in found if outcome.hit]
        codes = Counter(_ending(outcome) for outcome in hit)
        told = ", ".join(f"{words} {count}" for words, count in sorted(codes.items()))
        bad = sum(bool(outcome.problems) for outcome in found)
        twice = max((outcome.twice for outcome in hit), default=0)
        print(f"{stage:8} {process:8} {kind:6} {len(found):6} {len(hit):5} {bad:6} {twice:6}  {told}")


def _ending(outcome: Outcome) -> str:
    if outcome.hung:
        return "hung"
    if outcome.code < 0:
        return f"signal {-outcome.code}"
    return f"exit {outcome.code}{' with a traceback' if outcome.traceback else ''}"


def main() -> None:
    """Prepare, try, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=330)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=STAGES)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--named-share", type=float, default=1.0, help="of the named trials, so many are done")
    parser.add_argument("--folder", type=Path, help="a local folder; one in memory is as good")
    parser.add_argument("--fresh", action="store_true", help="forget what FOLDER holds")
    told = parser.parse_args()
    folder = (told.folder or Path(tempfile.mkdtemp(prefix="break-"))).resolve()
    if told.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    kills.warm()
    with world.opened(folder / "world", told.images) as web:
        breaking = Breaking(folder, web)
        breaking.prepare(breaking.others)
        ended = outcomes.read(folder)
        finished = {outcome.key for outcome in ended}
        stages = told.only or STAGES
        for trial in _chosen(breaking, told, stages):
            if trial.key in finished:
                continue
            outcome = breaking.try_(trial)
            ended.append(outcome)
            outcomes.add(folder, outcome)
            for problem in outcome.problems[:3]:
                print(f"PROBLEM {trial.key}: {problem}", flush=True)
    _tell(ended)
    summary = outcomes.summary(ended)
    print(json.dumps(summary))
    sys.exit(1 if summary["unlike"] else 0)


def _chosen(breaking: Breaking, told: argparse.Namespace, stages: Sequence[str]) -> Iterator[Trial]:
    """Yield the named trials with the drawn ones evenly among them."""
    named = [trial for trial in breaking.named() if trial.stage in stages]
    named = random.Random(told.seed).sample(named, round(told.named_share * len(named)))[: told.trials]
    drawn = itertools.islice(breaking.drawn(told.seed, stages), told.trials - len(named))
    places = [((place + 0.5) / len(named), trial) for place, trial in enumerate(named)]
    places += [((place + 0.5) / (told.trials - len(named)), trial) for place, trial in enumerate(drawn)]
    yield from (trial for _, trial in sorted(places, key=lambda item: item[0]))


if __name__ == "__mp_main__":  # a lane of a fetch that is to be broken
    kills.arm()
if __name__ == "__main__":
    main()
