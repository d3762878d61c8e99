"""Kill what a stage on Flink is made of, in every stage: the same command gives what it gives undisturbed on this machine.

    python benchmarks/break_flink.py [--rounds 3] [--seed 0] [--only STAGE …] [--kind KIND …] [--images 600] [--folder FOLDER]

A session cluster of two task managers, each of which starts its own workers (`pmd engine up flink`), works on the small PMD of
`breaking.world`: 8 fetch shards, several partitions of everything, two lanes. What stages leave is compared with what the local
runner has left, undisturbed, from the same beginning: bytes, outcomes, files that no commit lists.

First each stage runs undisturbed. Then, in rounds, one of these is done while a job of the stage runs, at a moment that is drawn:

- `driver`: SIGKILL to `pmd`. The job runs on without it; the same command follows at once.
- `manager`: SIGKILL to a task manager, which is started anew. Its workers are left to end by themselves.
- `worker`: SIGKILL to a worker.
- `store`: ROOT is a bucket of an emulator of Cloud Storage, which for 20 s takes no connection and has broken those that stood.

Flink tries again, so that a job may outlive what was killed. Where the command fails it must say so in a sentence, and is run
again, on the cluster as it is then. The web counts what it is asked for: nothing that is settled twice, and of what is in flight
a shard a lane at most.

FOLDER keeps the ROOTs and finished trials: started again, it goes on where it was. Exits with 1 where anything differs. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.breaking import cluster, emulators, equal, gone, kills, outcomes, world
from benchmarks.breaking.cluster import Cluster
from benchmarks.breaking.gone import Relay
from benchmarks.breaking.kept import STAGES, Kept
from benchmarks.breaking.outcomes import Outcome

_LANES: Final = 2
_ON: Final = ("--engine", "flink")
UNDISTURBED: Final = "nothing"
KINDS: Final = (UNDISTURBED, "driver", "manager", "worker", "store")
#: What a job takes, where it is not known from an undisturbed run.
_SUPPOSED_S: Final = 25.0
#: Of a host, so that a fetch takes its time: each has a fifth of the images.
_REQUESTS_PER_S: Final = 10
#: Images that a fetch has asked for, at most, when it is disturbed: the second age has as many new ones.
_ASKED: Final = 60
#: For how long the store is gone.
_GONE_S: Final = 20.0
#: Seconds after which a run is taken for one that hangs, and those that a cluster has to become idle after it.
_LIMIT_S: Final = 420.0
_IDLE_S: Final = 180.0
#: Seconds between two looks at the cluster.
_LOOK_S: Final = 0.3
#: In what a command's end tells of an engine's failure.
#: The exit codes of a disturbed run; others: what tells in a sentence that an engine, or the storage, has failed.
_CODES: Final = {"driver": {-int(signal.SIGKILL), 0}, "nothing": {0}}
_SENTENCES: Final = ("the engine's job failed", "a worker process died", "the storage", "could not be reached")


@dataclass(frozen=True)
class Trial:
    """One trial: at a share of one of the stage's jobs."""

    stage: str
    kind: str
    round: int = 0
    age: int = 1
    job: int = 0
    share: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.stage} {self.kind} {self.round}"


class Disturbance:
    """Watches the cluster beside a run, and does what is to be done when its moment has come.

    Args:
        flink: The cluster.
        trial: What is to be done, and when.
        jobs: The seconds of each of the stage's jobs.
        store: What has the store gone.
        web: The world. A fetch is disturbed by the images that it has asked for, and not by time: its workers start slowly.
    """

    def __init__(
        self, flink: Cluster, trial: Trial, jobs: Sequence[float], store: Relay | None, web: world.World
    ) -> None:
        self._flink, self._trial, self._store, self._web = flink, trial, store, web
        _, self._since = web.asked(0)
        self._chance = random.Random(trial.key)
        self._job = 0 if trial.stage == "fetch" else trial.job % max(1, len(jobs))
        self._after_s = trial.share * (jobs[self._job] if jobs else _SUPPOSED_S)
        self._before = {job["jid"] for job in flink.jobs()}
        self._looked = self._running_since = 0.0
        self.done_after_s: float | None = None

    def __call__(self, driver: int, since_s: float) -> None:
        """Look; called again and again."""
        if self.done_after_s is not None or self._trial.kind == UNDISTURBED or since_s - self._looked < _LOOK_S:
            return
        self._looked = since_s
        mine = self.mine()
        if len(mine) <= self._job or mine[-1]["state"] != cluster.RUNNING:
            return
        self._running_since = self._running_since or since_s
        is_time = since_s - self._running_since >= self._after_s
        if self._trial.stage == "fetch":
            is_time = self._web.asked(self._since)[0].total() > self._trial.share * _ASKED
        if is_time and self._do(driver):
            self.done_after_s = since_s

    def mine(self) -> list[dict[str, Any]]:
        """Return the jobs since the beginning."""
        return [job for job in self._flink.jobs() if job["jid"] not in self._before]

    def _do(self, driver: int) -> bool:
        match self._trial.kind:
            case "driver":
                os.kill(driver, signal.SIGKILL)
            case "manager":
                self._flink.kill_task_manager(self._chance.choice(self._flink.parts))
            case "worker":
                workers = self._flink.workers()
                if not workers:
                    return False
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._chance.choice(workers), signal.SIGKILL)
            case _:
                assert self._store is not None
                self._store.go()
        return True


class Breaking(Kept):
    """Trials on copies of the ROOTs that are kept."""

    def __init__(self, folder: Path, told: world.World, flink: Cluster, store: tuple[str, Relay] | None) -> None:
        super().__init__(folder, told)
        self._flink, self._store = flink, store

    def trials(self, seed: int, rounds: int, kinds: Sequence[str], stages: Sequence[str]) -> Iterator[Trial]:
        """Yield each stage undisturbed, once, and the rounds."""
        for number, kind, stage in itertools.product(range(rounds), kinds, stages):
            if kind == UNDISTURBED:
                if number == 0:
                    yield Trial(stage, kind)
            elif kind != "store" or self._store is not None:
                chance = random.Random(f"{seed} {number} {kind} {stage}")
                age = chance.choice((0, 1))
                yield Trial(stage, kind, number, age, chance.randrange(1000), chance.random())

    def try_(self, trial: Trial, jobs: Sequence[float]) -> Outcome:
        """Do one trial; `jobs`: what those of the undisturbed run took."""
        start = time.monotonic()
        where, url = self._begin(trial)
        config = self.world.config(where, trial.age, _LANES, url, _REQUESTS_PER_S)
        words = [trial.stage, str(config), *_ON]
        _, since = self.world.asked(0)
        does = Disturbance(self._flink, trial, jobs, self._store and self._store[1], self.world)
        ended = self._run(words, "killed", does)
        first, since = self.world.asked(since)
        outcome = Outcome(trial.key, asdict(trial), does.done_after_s is not None, ended.code)
        outcome.jobs = [round(job["duration"] / 1000, 1) for job in does.mine()]
        outcome.problems += _judge_ending(trial, ended)
        outcome.said = ended.text[-1500:] if ended.code else ""
        second = Counter[str]()
        if ended.code:
            settled = self._settled(trial, where, url)
            again = self._run(words, "again")
            second, _ = self.world.asked(since)
            outcome.again = again.code
            outcome.problems += _judge_again(again)
            if trial.stage == "fetch":
                outcome.problems += _asked_again(settled, second)
        outcome.problems += self._idle()
        self._fetched_back(where, url)
        outcome.problems += self.differences(where, trial.age, trial.stage, verified=False)
        outcome.twice = sum(count - 1 for count in (first + second).values())
        if trial.stage == "fetch":
            outcome.problems += self._judge_twice(where, outcome.twice)
        shutil.rmtree(where)
        outcome.seconds = round(time.monotonic() - start, 1)
        return outcome

    def _run(
        self, words: Sequence[str], log: str, meanwhile: Callable[[int, float], None] | None = None
    ) -> kills.Ended:
        return kills.run(words, self.log(log), meanwhile=meanwhile, limit_s=_LIMIT_S)

    def _begin(self, trial: Trial) -> tuple[Path, str | None]:
        where = self.fresh(trial.age, trial.stage)
        if trial.kind != "store":
            return where, None
        assert self._store is not None
        url = f"{self._store[0]}/{trial.key.replace(' ', '-')}"
        self._apart(lambda: _upload(where, url))
        shutil.rmtree(where)
        return where, url

    def _fetched_back(self, where: Path, url: str | None) -> None:
        if url is not None:
            self._apart(lambda: _download(url, where))

    def _settled(self, trial: Trial, where: Path, url: str | None) -> list[str]:
        if trial.stage != "fetch":
            return []
        found: list[str] = self._apart(lambda: equal.settled(url or str(where)))
        return found

    def _apart(self, work: Callable[[], Any]) -> Any:
        return equal.apart(work, self.folder / "note.json")

    def _idle(self) -> Iterator[str]:
        """Yield what the cluster is left with once it has had the time to end all that was called off."""
        until = time.monotonic() + _IDLE_S
        while not self._flink.is_idle or self._flink.task_managers < len(self._flink.parts):
            if time.monotonic() > until:
                states = [job["state"] for job in self._flink.jobs()]
                yield f"the cluster is not idle: {Counter(states)}, {len(self._flink.workers())} workers"
                return
            time.sleep(_LOOK_S)

    def _judge_twice(self, where: Path, twice: int) -> Iterator[str]:
        most = _LANES * int(self._apart(lambda: equal.largest_shard(str(where))))
        if twice > most:
            yield f"{twice} images were asked for twice, and {most} were in flight"


def _asked_again(settled: Sequence[str], second: Counter[str]) -> Iterator[str]:
    known = {f"/{url.rpartition('/')[2]}" for url in settled} & set(second)
    if known:
        yield f"{len(known)} settled images were asked for again"


def _upload(folder: Path, url: str) -> None:
    from pmd.store import storage

    for name in storage.list_files(str(folder)):
        storage.put(f"{url}/{name}", (folder / name).read_bytes())


def _download(url: str, folder: Path) -> None:
    from pmd.store import storage

    for name in storage.list_files(url):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(storage.read_bytes(f"{url}/{name}"))


def _judge_ending(trial: Trial, ended: kills.Ended) -> Iterator[str]:
    """Yield what is wrong about how a disturbed run ended."""
    if ended.hung:
        yield f"it did not end: {ended.text[-600:]}"
    if ended.traceback:
        yield f"a traceback: {ended.text[-600:]}"
    wanted = _CODES.get(trial.kind, {0, 1, 4})
    if ended.code not in wanted:
        yield f"it ended with {ended.code}: {ended.text[-300:]}"
    elif ended.code > 0 and not any(words in ended.text for words in _SENTENCES):
        yield f"it ended with {ended.code}, and not in a sentence: {ended.text[-300:]}"


def _judge_again(again: kills.Ended) -> Iterator[str]:
    if again.code or again.hung:
        yield f"the rerun ends with {again.code}: {again.text[-600:]}"


def _tell(ended: Sequence[Outcome]) -> None:
    """Print a line a stage and kind."""
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in ended:
        rows[outcome.trial["stage"], outcome.trial["kind"]].append(outcome)
    print(f"{'stage':8} {'killed':8} {'trials':>6} {'hit':>4} {'went on':>7} {'rerun':>5} {'unlike':>6} {'twice':>5}")
    for (stage, kind), found in sorted(rows.items(), key=lambda row: (STAGES.index(row[0][0]), KINDS.index(row[0][1]))):
        hit = [outcome for outcome in found if outcome.hit]
        went_on = sum(outcome.code == 0 for outcome in hit)
        again = sum(outcome.again == 0 for outcome in found)
        bad = sum(bool(outcome.problems) for outcome in found)
        twice = max(outcome.twice for outcome in found)
        print(f"{stage:8} {kind:8} {len(found):6} {len(hit):4} {went_on:7} {again:5} {bad:6} {twice:5}")


@contextlib.contextmanager
def _stored() -> Iterator[tuple[str, Relay] | None]:
    """Run an emulator of Cloud Storage that can be gone; None where there is none."""
    why = emulators.missing("gs")
    if why is not None:
        print(f"without an object store: {why}")
        yield None
        return
    with emulators.proxied("gs", lambda port: gone.relayed(_GONE_S, port)) as found:
        yield found


def main() -> None:
    """Prepare, try, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=STAGES)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no trial after so many")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--fresh", action="store_true", help="forget what FOLDER holds")
    told = parser.parse_args()
    if (why := cluster.missing()) is not None:
        sys.exit(why)
    folder = (told.folder or Path(tempfile.mkdtemp(prefix="break-flink-"))).resolve()
    if told.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    kills.warm()
    until = time.monotonic() + 60 * told.minutes
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(world.opened(folder / "world", told.images))
        Kept(folder, web).prepare()
        store = stack.enter_context(_stored())
        flink = stack.enter_context(cluster.running(folder))
        os.chdir(folder)
        breaking = Breaking(folder, web, flink, store)
        ended = outcomes.read(folder)
        finished = {outcome.key for outcome in ended}
        for trial in breaking.trials(told.seed, told.rounds, told.kind or KINDS, told.only or STAGES):
            if trial.key in finished:
                continue
            if time.monotonic() > until:
                break
            outcome = _tried(breaking, trial, ended)
            ended.append(outcome)
            outcomes.add(folder, outcome)
    _tell(ended)
    summary = outcomes.summary(ended)
    print(json.dumps(summary))
    sys.exit(1 if summary["unlike"] else 0)


def _tried(breaking: Breaking, trial: Trial, before: Sequence[Outcome]) -> Outcome:
    jobs = [outcome.jobs for outcome in before if outcome.key == Trial(trial.stage, UNDISTURBED).key]
    outcome = breaking.try_(trial, jobs[0] if jobs else ())
    what = f"{outcome.code}, {outcome.again}, {outcome.seconds:.0f} s, {'hit' if outcome.hit else 'not hit'}"
    print(f"{trial.key}: {what}", flush=True)
    for problem in outcome.problems[:4]:
        print(f"PROBLEM {trial.key}: {problem}", flush=True)
    return outcome


if __name__ == "__main__":
    main()
