"""Processes that all want to write one local ROOT, again and again, and kill themselves at calls of the storage.

Each round tries `root.writer`. Who wins, works as a pipeline's driver does (`interleaved.steps`): claims, writes, commits and
sweeps, a stage and a generation of a fetch shard. A *witness* that the lock knows nothing of proves that it is alone, a journal
that epochs rise, and a reader that runs beside them that what a commit lists is there.
"""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import itertools
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.breaking import calls, forks, interleaved
from benchmarks.breaking.calls import Call
from benchmarks.breaking.interleaved import Run
from pmd.errors import RootError
from pmd.store import commits, lock, root

#: Texts that writers write: the same come back, and with them files of the same names.
_TEXTS: Final = ("one", "two", "three")
#: Storage calls of a round, about: a kill comes before or after one of these.
_CALLS: Final = 240
#: Share of rounds that commit nothing.
_FAILS: Final = 0.2
_FOLDER: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Contest:
    """Places that contend for a ROOT; who is killed is replaced.

    Attributes:
        root: A new ROOT.
        notes: A local folder for the journal, the witness and what was won.
        places: How many.
        rounds: What each is to win.
        seed: Of kills and of what is written.
        kill_share: Share of the rounds in which the writer kills itself, if it comes so far.
        threads: Writers in each place's process; with more than one nobody is killed.
        namespaces: Each place has its own PID namespace.
        lease_s: How long leases hold, where storage has them.
    """

    root: str
    notes: str
    places: int
    rounds: int
    seed: int
    kill_share: float = 0.0
    threads: int = 1
    namespaces: bool = False
    lease_s: float = 0.0


@dataclass(frozen=True)
class Found:
    """What happened, and what went wrong."""

    counts: Counter[str]
    problems: tuple[str, ...]


def contend(contest: Contest) -> Found:
    """Let writers contend until each has won its rounds; then let one more run, and look at what is left."""
    root.create(contest.root, 3)
    prefix = ["unshare", "-pf", "--mount-proc"] if contest.namespaces else []
    told = [str(value) for value in dataclasses.astuple(contest)]
    command = [*prefix, sys.executable, "-m", __name__, *told]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_FOLDER), os.environ.get("PYTHONPATH", "")])}
    places = [
        subprocess.Popen([*command, str(number)], cwd=_FOLDER, env=environment) for number in range(contest.places)
    ]
    set_lease(contest.lease_s)
    reader = Reader(contest.root)
    while any(place.poll() is None for place in places):
        reader.look()
        time.sleep(0.002)
    counts, problems = _journal(contest)
    problems += reader.problems + [f"a place ended with {place.returncode}" for place in places if place.returncode]
    time.sleep(contest.lease_s)
    with root.writer(contest.root, "last") as held:
        for _ in interleaved.work(contest.root, Run("last", "last"), held):
            pass
    problems += [f"in the end: {problem}" for problem in interleaved.lost(contest.root).values()]
    problems += [f"in the end: {name} is not listed" for name in interleaved.unlisted(contest.root)]
    return Found(counts + Counter(looks=reader.looks), tuple(problems))


class Reader:
    """Looks, without a lock, whether all that commits list is there."""

    def __init__(self, root_url: str) -> None:
        self._root = root_url
        self.looks = 0
        self.problems: list[str] = []

    def look(self) -> None:
        """Look once. What is not there may have been replaced meanwhile: then another commit stands."""
        self.looks += 1
        before = interleaved.standing(self._root)
        wrong = interleaved.lost(self._root, before)
        if wrong and any(commits.read(folder) == before[folder] for folder in wrong):
            after = interleaved.standing(self._root)
            self.problems += [text for folder, text in wrong.items() if after.get(folder) == before[folder]]


def _journal(contest: Contest) -> tuple[Counter[str], list[str]]:
    lines = Path(f"{contest.notes}/journal").read_text(encoding="utf-8").splitlines()
    told = [line.partition(" ") for line in lines]
    epochs = [int(more) for word, _, more in told if word == "won"]
    problems = [more for word, _, more in told if word == "problem"]
    problems += [f"epoch {one} is followed by {two}" for one, two in itertools.pairwise(epochs) if two <= one]
    return Counter(word for word, _, _ in told), problems


# A place


def main(argv: Sequence[str]) -> None:
    """Be a place: win rounds in one process after the other, each until it is killed."""
    where, notes, places, rounds, seed, kill_share, threads, _, lease_s, number = argv
    contest = Contest(where, notes, int(places), int(rounds), int(seed), float(kill_share), int(threads))
    for name in ("pmd.notes", "gcsfs"):
        logging.getLogger(name).setLevel(logging.ERROR)
    set_lease(float(lease_s))
    won = Path(f"{notes}/won-{number}")
    for life in itertools.count():
        left = contest.rounds - (won.stat().st_size if won.exists() else 0)
        if left <= 0:
            return
        live = functools.partial(_live, contest, str(won), left, f"{seed} {number} {life}")
        _, status = os.waitpid(forks.forked(live), 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))
        _tell(contest, "killed")


def set_lease(lease_s: float) -> None:
    """Let leases of this process hold for so long; 0 changes nothing."""
    if lease_s:
        lock.LEASE_S, lock.RENEW_S = lease_s, lease_s / 5  # type: ignore[misc]


def _tell(contest: Contest, what: str) -> None:
    with open(f"{contest.notes}/journal", "a", encoding="utf-8") as file:
        file.write(f"{what}\n")


def _live(contest: Contest, won: str, rounds: int, seed: str) -> None:
    if contest.threads == 1:
        _win(contest, won, rounds, random.Random(seed))
        return
    shares = [rounds // contest.threads + (number < rounds % contest.threads) for number in range(contest.threads)]
    threads = [
        threading.Thread(target=_win, args=(contest, won, share, random.Random(f"{seed} {number}")))
        for number, share in enumerate(shares)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _win(contest: Contest, won: str, rounds: int, chance: random.Random) -> None:
    # Opened before the lock, and so closed before it by the kernel where this process is killed.
    witness = os.open(f"{contest.notes}/witness", os.O_RDWR | os.O_CREAT, 0o644)
    left = rounds
    while left:
        dies = chance.randrange(_CALLS) if chance.random() < contest.kill_share else None
        run = Run(f"process {os.getpid()}", chance.choice(_TEXTS), fails=chance.random() < _FAILS)
        try:
            if dies is None:
                _round(contest, won, run, witness)
            else:
                with calls.watched(_killer(dies)):
                    _round(contest, won, run, witness)
            left -= 1
        except RootError as error:
            if "another writer has it" not in str(error):
                raise
            _tell(contest, "refused")
            time.sleep(chance.uniform(0, 0.01))


def _killer(number: int) -> calls.Act:
    def act(call: Call) -> None:
        if call.number == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def _round(contest: Contest, won: str, run: Run, witness: int) -> None:
    with root.writer(contest.root, run.name) as held:
        try:
            fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell(contest, f"problem two are at work, one of them {run.name}")
        with open(won, "ab") as file:
            file.write(b".")
        _tell(contest, f"won {held.epoch}")
        for _ in interleaved.work(contest.root, run, held):
            pass
        fcntl.flock(witness, fcntl.LOCK_UN)


if __name__ == "__main__":
    main(sys.argv[1:])
