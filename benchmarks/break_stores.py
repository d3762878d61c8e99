"""Commands with ROOT in a bucket that meet a signal at any moment, or another writer: nothing is left, and the rerun is equal.

    python benchmarks/break_stores.py [--rounds 2] [--seed 0] [--store s3|gs …] [--only COMMAND …] [--kind KIND …] [--images 160]
                                      [--late-ms 15] [--minutes M] [--folder FOLDER] [--fresh]

As `break.py`, but ROOT is in a bucket of moto (S3) or fake-gcs-server (Cloud Storage), whose answers come late
(`breaking.stored`), and there are more commands: those of all stages, `takedown apply`, `repair`, `refresh` and `hashes`. In each
round every command meets each kind once, in each store, at a moment that is drawn from the seed:

- `SIGINT`, `SIGTERM`, `SIGHUP`, `SIGKILL` to the driver; for the fetch in two lanes also `SIGTERM` and `SIGKILL` to one of them.
- `second`: the same command is started twice, the one a moment after the other, in two processes. Who is refused runs again.

Looked at: the words and the exit code in which the command ends, and that it does so within ten seconds; that the lock was
given back, but by SIGKILL, after which the next command is refused in words until the lease ends. Then the command is run
again, and ROOT is compared with that of an undisturbed run on this machine: bytes, outcomes, files that no commit lists, uploads
in parts, the lock. No temporary file stays on this machine, no settled image is asked for again, and one in four is verified
in its bucket.

FOLDER keeps the ROOTs and finished trials: started again, it goes on where it was. Exits with 1 where anything differs. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
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
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.breaking import emulators, equal, forks, kills, outcomes, stored, world
from benchmarks.breaking.kept import STAGES, Kept, copy
from benchmarks.breaking.outcomes import Outcome

#: Commands beside the stages, on a ROOT in which all of them have run.
_BESIDE: Final = ("takedown", "repair", "refresh", "hashes")
COMMANDS: Final = (*STAGES, *_BESIDE)
_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL")
_LANES: Final = 2
SECOND: Final = "second"
_TO_LANES: Final = ("lane SIGTERM", "lane SIGKILL")
KINDS: Final = (*_SIGNALS, *_TO_LANES, SECOND)
#: Seconds after a signal at which a command has ended, and by which a busy machine may be late.
_END_S: Final = 10.5
_INTERRUPTED: Final = "interrupted; what was committed stays"
_REFUSED: Final = "another writer has it"
_DIED: Final = "a lane of the fetch died"
_VERIFIED_OF: Final = 4
_PICTURES: Final = 60
_ASKED: Final = 40


@dataclass(frozen=True)
class Trial:
    """One trial: `share` of the command's time goes by before the signal, or the second writer."""

    store: str
    command: str
    kind: str
    age: int
    share: float
    round: int

    @property
    def key(self) -> str:
        return f"{self.store} {self.command} {self.kind} {self.round}"


class Breaking(Kept):
    """Trials on copies of the ROOTs that are kept, in buckets."""

    def __init__(self, folder: Path, told: world.World, temporary: Path) -> None:
        super().__init__(folder, told)
        self._temporary = temporary
        #: (store, command) → seconds of the longest run that ended well.
        self._took: dict[tuple[str, str], float] = {}

    # ROOTs

    def prepare_all(self) -> None:
        """Build what stages and the commands beside them start from, and what these make of it."""
        self.prepare()
        done = self.folder / "beside.json"
        if done.exists():
            return
        pictures = self.folder / "pictures"
        pictures.mkdir(exist_ok=True)
        for number in range(1, _PICTURES):
            (pictures / f"{number}.jpg").write_bytes(world.picture(number))
        seconds: dict[str, float] = {}
        for command in ("takedown", "repair", "refresh"):
            work = self.fresh(1, "", self.folder / "work")
            config = str(self.world.config(work, 1))
            self._break(command, work, config)
            copy(work, self.before(command, 1))
            ended = self._run(self.words(command, str(work), config))
            seconds[command] = ended.seconds
            copy(work, self.folder / f"after-{command}")
        ended = self._run(["hashes", str(pictures)])
        (self.folder / "hashes.txt").write_text(_lines(ended.text), encoding="utf-8")
        seconds["hashes"] = ended.seconds
        done.write_text(json.dumps(seconds), encoding="utf-8")

    def _break(self, command: str, work: Path, config: str) -> None:
        """Give a command something to do."""
        if command == "takedown":  # the list has its secret: two that make one themselves have other HMACs
            self._run(["takedown", "add", config, "http://h1.test/1.jpg"])
            self._run(["takedown", "apply", config])
            self._run(["takedown", "add", config, "http://h2.test/2.jpg", "http://h3.test/13.jpg"])
        if command == "repair":
            paths = (
                sorted(work.glob(one))[0]
                for one in ("fetch/store/*/*.tar", "views/pairs/*.parquet", "shards/parquet/*")
            )
            for path in paths:
                content = bytearray(path.read_bytes())
                content[len(content) // 2] ^= 1
                path.write_bytes(content)

    def _run(self, words: Sequence[str]) -> kills.Ended:
        ended = kills.run(words, self.log("prepare"))
        assert ended.code == 0, (words, ended.text)
        return ended

    def before(self, command: str, age: int) -> Path:
        """Return the ROOT as it is before a command; of `hashes` the pictures."""
        if command == "hashes":
            return self.folder / "pictures"
        return self._before(age, command) if command in STAGES else self.folder / f"before-{command}"

    def words(self, command: str, url: str, config: str) -> list[str]:
        """Return a command's words."""
        return {
            "takedown": ["takedown", "apply", config],
            "repair": ["repair", url, "--config", config],
            "refresh": ["refresh", config, "--images", str(_ASKED)],
            "hashes": ["hashes", url],
        }.get(command, [command, config])

    def seconds_of(self, trial: Trial) -> float:
        """Return what a command takes undisturbed, about: as it did in its bucket or, before it has run there, in a folder."""
        beside = json.loads((self.folder / "beside.json").read_text(encoding="utf-8"))
        in_folder = {**self.seconds, **beside}
        key = f"{trial.age} {trial.command}" if trial.command in STAGES else trial.command
        return max(self._took.get((trial.store, trial.command), 0.0), float(in_folder[key]))

    def _ended_well(self, trial: Trial, ended: kills.Ended) -> None:
        key = trial.store, trial.command
        self._took[key] = max(self._took.get(key, 0.0), ended.seconds)

    def wanted_of(self, command: str, age: int) -> dict[str, Any]:
        """Return what ROOT is like when a command has run undisturbed."""
        if command in STAGES:
            return self.wanted(age, command)
        path = self.folder / f"after-{command}.json"
        if not path.exists():
            equal.apart(lambda: equal.facts(str(self.folder / f"after-{command}"), verified=True), path)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    # Trials

    def trials(self, told: argparse.Namespace) -> Iterator[Trial]:
        """Yield the rounds, stores and commands in an order that is drawn."""
        for number in range(told.rounds):
            found = []
            for store in told.store or emulators.KINDS:
                for command in told.only or COMMANDS:
                    for kind in told.kind or KINDS:
                        if (kind in _TO_LANES and command != "fetch") or (kind == SECOND and command == "hashes"):
                            continue
                        chance = random.Random(f"{told.seed} {number} {store} {command} {kind}")
                        age = chance.choice((0, 1)) if command in STAGES else 1
                        found.append(Trial(store, command, kind, age, chance.random(), number))
            random.Random(f"{told.seed} {number}").shuffle(found)
            yield from sorted(found, key=lambda trial: trial.store)  # a store is started once a round

    def try_(self, trial: Trial, bucket: str) -> Outcome:
        """Do one trial."""
        start = time.monotonic()
        url = f"{bucket}/{trial.key.replace(' ', '-')}"
        before = self.before(trial.command, trial.age)
        self._apart(lambda: stored.upload(before, url))
        lanes = _LANES if trial.kind in _TO_LANES else 1
        place = self.folder / "tried"
        config = str(self.world.config(place, trial.age, lanes, url))
        words = self.words(trial.command, url, config)
        _, since = self.world.asked(0)
        sent: list[float] = []
        outcome = Outcome(trial.key, asdict(trial), hit=False, code=0)
        ended = self._second(trial, words, sent, outcome) if trial.kind == SECOND else self._hit(trial, words, sent)
        outcome.hit, outcome.code, outcome.traceback, outcome.hung = bool(sent), ended.code, ended.traceback, ended.hung
        outcome.said = ended.text[-800:] if ended.code else ""
        outcome.problems += _judge_ending(trial, ended, sent)
        if trial.command == "hashes":
            self._judge_hashes(trial, words, outcome)
        else:
            self._judge_root(trial, url, words, ended, since, outcome)
        self._apart(stored.sweep)
        outcome.problems += [f"a temporary file is left: {name}" for name in stored.temporary_left(self._temporary)]
        self._apart(lambda: stored.remove(url))
        outcome.seconds = round(time.monotonic() - start, 1)
        return outcome

    def _hit(self, trial: Trial, words: Sequence[str], sent: list[float]) -> kills.Ended:
        number = signal.Signals[trial.kind.removeprefix("lane ")]
        target = "lane" if trial.kind in _TO_LANES else "driver"
        moment_s = trial.share * self.seconds_of(trial)
        send = kills.sender(number, moment_s, target, random.Random(trial.key), sent)
        return kills.run(words, self.log("hit"), meanwhile=send)

    def _second(self, trial: Trial, words: Sequence[str], sent: list[float], outcome: Outcome) -> kills.Ended:
        """Run a command twice at once; return how the first ended."""
        log = self.log("second")

        def second() -> None:
            time.sleep(trial.share * self.seconds_of(trial))
            found = kills.run(words, log)
            log.with_suffix(".json").write_text(json.dumps([found.code, found.text]), encoding="utf-8")

        pid = forks.forked(second)
        ended = kills.run(words, self.log("hit"))
        os.waitpid(pid, 0)
        sent.append(0.0)
        code, text = json.loads(log.with_suffix(".json").read_text(encoding="utf-8"))
        for one, said in ((ended.code, ended.text), (code, text)):
            if one not in {0, 4} or (one == 4 and _REFUSED not in said):
                outcome.problems.append(f"of two writers one ended with {one}: {said[-400:]}")
        if 0 not in {ended.code, code}:
            outcome.problems.append(f"of two writers none ended well: {ended.code}, {code}")
        return ended

    def _judge_hashes(self, trial: Trial, words: Sequence[str], outcome: Outcome) -> None:
        again = kills.run(words, self.log("again"))
        self._ended_well(trial, again)
        outcome.again = again.code
        if _lines(again.text) != (self.folder / "hashes.txt").read_text(encoding="utf-8"):
            outcome.problems.append(f"the rerun lists other hashes: {again.code}, {again.text[-300:]}")

    def _judge_root(
        self, trial: Trial, url: str, words: Sequence[str], ended: kills.Ended, since: int, outcome: Outcome
    ) -> None:
        stood = self._apart(lambda: stored.left(url))
        if ended.code != -signal.SIGKILL and not stood["ended"]:
            outcome.problems.append(f"the lock was not given back: {stood}, exit {ended.code}")
        settled = self._apart(lambda: equal.settled(url)) if trial.command == "fetch" else []
        first, since = self.world.asked(since)
        if stood["lease_s"] > 1:
            outcome.problems += _judge_refusal(kills.run(words, self.log("refused")))
        if not stood["ended"]:
            time.sleep(stood["lease_s"] + 0.1)
        again = kills.run(words, self.log("again"))
        self._ended_well(trial, again)
        second, _ = self.world.asked(since)
        outcome.again = again.code
        if again.code or again.traceback:
            outcome.problems.append(f"the rerun ends with {again.code}: {again.text[-500:]}")
        outcome.problems += self._differences(trial, url)
        outcome.problems += [f"a process is left: {command}" for command in kills.left(ended, again)]
        outcome.twice = sum(count - 1 for count in (first + second).values())
        known = {f"/{one.rpartition('/')[2]}" for one in settled} & set(second)
        if known:
            outcome.problems.append(f"{len(known)} settled images were asked for again")
        most = self._most_twice(trial, url)
        if outcome.twice > most:
            outcome.problems.append(f"{outcome.twice} images were asked for twice, and {most} were in flight")

    def _most_twice(self, trial: Trial, url: str) -> int:
        if trial.command == "fetch":
            of_lane = int(self._apart(lambda: equal.largest_shard(url))) if "KILL" in trial.kind else world.CONCURRENCY
            return of_lane * (_LANES if trial.kind in _TO_LANES else 1)
        if trial.command == "refresh":  # its answers wait for others before they are written
            return _ASKED if "KILL" in trial.kind else world.CONCURRENCY
        return 2 * world.CONCURRENCY if trial.command == "repair" else 0

    def _differences(self, trial: Trial, url: str) -> Iterator[str]:
        place = self.folder / "tried"
        uploads = self._apart(lambda: stored.left(url))["uploads"]
        yield from (f"parts are left of {name}" for name in uploads)
        self._apart(lambda: stored.download(url, place))
        wanted = self.wanted_of(trial.command, trial.age)
        verified = zlib.crc32(trial.key.encode()) % _VERIFIED_OF == 0
        found: list[str] = self._apart(lambda: equal.differences(str(place), wanted, verified=verified))
        if trial.command == "repair":  # a picture that is asked for anew has its own time, and files another tag for it
            found = [problem for problem in found if not problem.endswith(" differs")]
            facts = self._apart(lambda: equal.facts(str(place), verified=False))
            found += [f"{name} has other content" for name in STAGES if _content(facts, name) != _content(wanted, name)]
        for problem in found:
            if not _is_of_waves_or_takedowns(problem):
                yield problem
        if verified and trial.command not in STAGES:
            told = kills.run(["verify", url], self.log("verify"))
            if told.code:
                yield f"pmd verify in the bucket ends with {told.code}: {told.text[-400:]}"
        shutil.rmtree(place)

    def _apart(self, work: Any) -> Any:
        return equal.apart(work, self.folder / "note.json")


def _is_of_waves_or_takedowns(problem: str) -> bool:
    """Return whether it is what two runs have each their own: waves are of their moment, receipts are no commit's."""
    return problem.startswith(("refresh/", "left over: /takedown/"))


def _content(facts: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return the digests of files of a stage's commits, and their books, whatever these files are called."""
    named = {"sizes.json"}  # it says how others are called
    tops = {"images": ("images", "views"), "shard": ("shards",)}.get(stage, (stage,))
    mine = {name: facts[name] for name in facts if name.partition("/")[0] in tops and isinstance(facts[name], dict)}
    return {
        name: [sorted(digest for file, digest in one["files"].items() if file not in named), one["sources"]]
        for name, one in mine.items()
    }


def _lines(text: str) -> str:
    """Return the hashes among what a command wrote."""
    return "\n".join(line for line in text.splitlines() if line.startswith("sha256:"))


def _judge_ending(trial: Trial, ended: kills.Ended, sent: Sequence[float]) -> Iterator[str]:
    """Yield what is wrong about how a command ended that met a signal, or whose lane did."""
    if ended.hung:
        yield f"it did not end: {ended.text[-600:]}"
    if ended.traceback:
        yield f"a traceback: {ended.text[-900:]}"
    if trial.kind == SECOND:
        return
    if sent and ended.seconds - sent[0] > _END_S:
        yield f"it ended {ended.seconds - sent[0]:.1f} s after the signal"
    number = signal.Signals[trial.kind.removeprefix("lane ")]
    if trial.kind in _TO_LANES:
        if ended.code not in {0, 1, 128 + number} or (ended.code == 1 and _DIED not in ended.text):
            yield f"it ended with {ended.code}, and did not say that {_DIED}: {ended.text[-300:]}"
        return
    # Before its handlers stand and after they are gone, a signal ends a process as any other.
    wanted = {-number, 0} if number == signal.SIGKILL else {128 + number, -number, 0}
    if ended.code not in wanted:
        yield f"it ended with {ended.code}: {ended.text[-400:]}"
    if ended.code == 128 + number and ended.text.count(_INTERRUPTED) != 1:
        yield f"it did not say once that it was interrupted: {ended.text[-400:]}"


def _judge_refusal(ended: kills.Ended) -> Iterator[str]:
    """Yield what is wrong about how a command ended while the lease of one that was killed still held."""
    if ended.code == 0:  # it ran out in between
        return
    if ended.code != 4 or _REFUSED not in ended.text or "its lease ends in" not in ended.text or ended.traceback:
        yield f"under the lease of another it ended with {ended.code}: {ended.text[-400:]}"


def _tell(ended: Sequence[Outcome]) -> None:
    """Print a line a store and command."""
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in ended:
        rows[outcome.trial["store"], outcome.trial["command"]].append(outcome)
    print(f"{'store':5} {'command':9} {'trials':>6} {'hit':>4} {'unlike':>6} {'twice':>5}  ended")
    for (store, command), found in sorted(rows.items(), key=lambda row: (row[0][0], COMMANDS.index(row[0][1]))):
        codes = Counter(f"{outcome.trial['kind']}: {outcome.code}" for outcome in found if outcome.hit)
        told = ", ".join(f"{words} ({count})" for words, count in sorted(codes.items()))
        bad, hit = sum(bool(outcome.problems) for outcome in found), sum(outcome.hit for outcome in found)
        twice = max(outcome.twice for outcome in found)
        print(f"{store:5} {command:9} {len(found):6} {hit:4} {bad:6} {twice:5}  {told}")


def _told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", action="append", choices=emulators.KINDS)
    parser.add_argument("--only", action="append", choices=COMMANDS)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--late-ms", type=float, default=15.0, help="so much later a store's answers come")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no trial after so many")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--fresh", action="store_true", help="forget what FOLDER holds")
    return parser.parse_args()


def main() -> None:
    """Prepare, try, tell."""
    told = _told()
    for store in told.store or emulators.KINDS:
        if (why := emulators.missing(store)) is not None:
            sys.exit(why)
    folder = (told.folder or Path(tempfile.mkdtemp(prefix="break-stores-"))).resolve()
    if told.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    temporary = folder / "temporary"
    temporary.mkdir(parents=True, exist_ok=True)
    stored.warm()
    kills.warm()
    until = time.monotonic() + 60 * told.minutes
    with contextlib.ExitStack() as stack:
        breaking = Breaking(folder, stack.enter_context(world.opened(folder / "world", told.images)), temporary)
        breaking.prepare_all()
        ended = outcomes.read(folder)
        finished = {outcome.key for outcome in ended}
        running: tuple[str, str] = "", ""
        of_store = stack.enter_context(contextlib.ExitStack())
        for trial in breaking.trials(told):
            if trial.key in finished or time.monotonic() > until:
                continue
            if trial.store != running[0]:
                of_store.close()
                running = trial.store, of_store.enter_context(stored.store(trial.store, told.late_ms / 1000, temporary))
            outcome = breaking.try_(trial, running[1])
            ended.append(outcome)
            outcomes.add(folder, outcome)
            print(f"{trial.key}: {outcome.code}, {outcome.again}, {outcome.seconds:.0f} s", flush=True)
            for problem in outcome.problems[:4]:
                print(f"PROBLEM {trial.key}: {problem}", flush=True)
    _tell(ended)
    summary = outcomes.summary(ended)
    print(json.dumps(summary))
    sys.exit(1 if summary["unlike"] else 0)


if __name__ == "__mp_main__":  # a lane of a fetch that is to be broken
    stored.arm_lane()
if __name__ == "__main__":
    main()
