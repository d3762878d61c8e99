"""A writer that stops at one of its storage calls until another has taken over; the same at every call, in one process.

Storage is fsspec's memory, where the lock is a lease; time stands still but where a writer stops. What must hold, whatever
the second does and wherever the first stopped: a commit that stands lists files that are there, as they were written; who
was taken over replaces nothing; and one more run leaves what it lists and nothing else.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from unittest import mock

from benchmarks.breaking import calls
from benchmarks.breaking.calls import Call
from pmd import flow
from pmd.errors import PmdError, RootError
from pmd.fetch.generations import claims, store
from pmd.fetch.ledger import state
from pmd.store import commits, leftovers, lock, proposals, register, root, storage
from pmd.store.commits import Commit, File
from pmd.store.lock import Holder, Lock
from pmd.store.proposals import Proposal

SHARD: Final = 0
#: A file of a name without a digest.
FIXED: Final = "sizes.json"


class FailedError(Exception):
    """What a run fails by that is to commit nothing."""


@dataclass(frozen=True)
class Run:
    """What a writer does: two folders of one stage as a pipeline's driver does it, then a generation of a fetch shard.

    Attributes:
        name: Who it is.
        text: What its files say: runs of the same text write files of the same names.
        fails: It claims and writes, and commits nothing.
    """

    name: str
    text: str
    fails: bool = False


def steps(root_url: str, run: Run, now: Callable[[], datetime.datetime]) -> Generator[str, None, None]:
    """Do a run, and yield between its parts."""
    with lock.held(root_url, Holder("here", 1, now().isoformat(), run.name)) as held:
        if not held.before.ended:
            leftovers.remove(root_url, held.epoch, held.check)
        yield from work(root_url, run, held)


def work(root_url: str, run: Run, held: Lock) -> Generator[str, None, None]:
    """Do what a run does under its lock, and yield between its parts."""
    yield from _commit_stage(root_url, run, held)
    yield from _commit_generation(root_url, run, held)


def _commit_stage(root_url: str, run: Run, held: Lock) -> Generator[str, None, None]:
    folders = [root.views_folder(root_url), root.shards_folder(root_url, "webdataset")]
    for folder in folders:
        commits.claim(folder, held.epoch)
    yield "claimed"
    with contextlib.suppress(FailedError):
        try:
            files = [
                commits.put_content(folders[0], "pairs/part-00000-of-00001", ".parquet", run.text.encode(), 1),
                File("", 0, 0, ""),
            ]
            files[1] = _shard(folders[1], run.text)
            yield "written"
            if run.fails:
                raise FailedError
            made = [Commit("images", (file,), {}, run.text, {"by": run.name}) for file in files]
            fixed: list[dict[str, bytes]] = [{}, {FIXED: run.text.encode()}]
            proposals.accept([Proposal(*each) for each in zip(folders, made, fixed, strict=True)], held)
        finally:
            for folder in folders:
                commits.unclaim(folder, held.epoch)
    yield "committed"


def _shard(folder: str, text: str) -> File:
    digest = commits.sha256(text.encode())
    name = f"00000-of-00001-{digest[:8]}.tar"
    storage.put(storage.join(folder, name), text.encode())
    return File(name, len(text), 1, digest)


def _commit_generation(root_url: str, run: Run, held: Lock) -> Generator[str, None, None]:
    known = register.current(root_url)
    generation = known.next(SHARD)
    known = claims.begin(known, [SHARD], held.epoch, held.check)
    yield "begun"
    try:
        commit = generation_of(root_url, generation, run, held.epoch)
        yield "fetched"
        if not run.fails:
            store.commit_generation(root_url, commit)
        yield "settled"
    finally:
        held.check()
        claims.end(known, [SHARD], held.epoch, held.check)


def generation_of(root_url: str, generation: int, run: Run, epoch: int) -> Commit:
    """Write the files of a generation, as a lane does; return its commit."""
    folder = root.ledger_folder(root_url, SHARD, generation)
    content = f"{run.text}, generation {generation}".encode()
    digest = commits.sha256(content)
    storage.put(storage.join(state.shard_folder(root_url, "store", SHARD), f"{digest[:16]}.tar"), content)
    tar = File(f"../../../store/shard={SHARD:05d}/{digest[:16]}.tar", len(content), 1, digest)
    ledger = commits.put_content(folder, "ledger", ".parquet", content, 1)
    return Commit(
        "fetch",
        (tar, ledger),
        {},
        run.text,
        {commits.EPOCH: epoch, "by": run.name},
        {"shard": SHARD, "generation": generation},
    )


# Checking


def standing(root_url: str) -> dict[str, Commit]:
    """Return folder → commit, of all that stand below a ROOT."""
    names = [name for name in storage.list_files(root_url) if name.endswith(f"/{commits.STAGE_FILE}")]
    folders = [storage.join(root_url, name.removesuffix(f"/{commits.STAGE_FILE}")) for name in names]
    found = {folder: commits.read(folder) for folder in folders}
    return {folder: commit for folder, commit in found.items() if commit is not None}


def lost(root_url: str, listed: Mapping[str, Commit] | None = None) -> dict[str, str]:
    """Return folder → what it lists, or was read to list, and what is not there as it was written."""
    found = {}
    for folder, commit in (standing(root_url) if listed is None else listed).items():
        for file in commit.files:
            path = commits.path_of(folder, file.name)
            try:
                content = storage.read_bytes(path)
            except FileNotFoundError:
                found[folder] = f"{path} is gone, which {commit.run.get('by')} lists"
                continue
            is_open = not commit.hash and file.name == FIXED  # about to be replaced, and nobody's outcome any more
            if commits.sha256(content) != file.sha256 and not is_open:
                found[folder] = f"{path} is not what {commit.run.get('by')} lists"
    return found


def unlisted(root_url: str) -> list[str]:
    """Return the files below a ROOT that no commit lists and that are no commit."""
    listed = {
        commits.path_of(folder, name)
        for folder, commit in standing(root_url).items()
        for name in (commits.STAGE_FILE, *(file.name for file in commit.files))
    } | {storage.join(root_url, name) for name in (lock.STATE_FILE, lock.LOCK_FILE, root.ROOT_FILE, flow.REGISTER)}
    return sorted({storage.join(root_url, name) for name in storage.list_files(root_url)} - listed)


# One writer stopped


@dataclass(frozen=True)
class Case:
    """One way in which two writers meet.

    Attributes:
        before: The text of what is committed before, "" for nothing.
        first: The writer that stops.
        second: The one that takes over meanwhile.
        until: How far the second goes before the first goes on; "" for all the way.
    """

    before: str
    first: Run
    second: Run
    until: str


#: Parts of a run after which the other goes on.
PARTS: Final = ("claimed", "written", "committed", "begun", "fetched", "settled")
CASES: Final = tuple(
    Case(before, Run("first", one), Run("second", two, fails=fails), until)
    for (before, one, two), fails, until in itertools.product(
        (("", "one", "two"), ("", "one", "one"), ("old", "one", "two"), ("old", "one", "old")),
        (False, True),
        ("", *PARTS),
    )
)


class _Clock:
    def __init__(self) -> None:
        self.now = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        return self.now


@contextlib.contextmanager
def _still() -> Iterator[_Clock]:
    """Let time stand still for leases, and let none be renewed by itself."""
    clock = _Clock()
    with mock.patch.object(lock, "_now", clock), mock.patch.object(lock, "RENEW_S", 3600.0):
        yield clock


def moments(case: Case) -> list[int]:
    """Return the calls before which the first writer can stop; `meet` takes one."""
    seen: list[Call] = []
    with _still() as clock:
        root_url = _before(case, clock)
        with calls.watched(seen.append):
            finish(steps(root_url, case.first, clock))
        storage.remove_tree(root_url)
    return [call.number for call in seen if call.when == "before"]


def meet(case: Case, at: int) -> tuple[Call | None, list[str]]:
    """Let the first writer stop at a call; return the call, and what went wrong."""
    stopped: list[Call] = []
    second: list[Generator[str, None, None]] = []
    problems: list[str] = []
    had: dict[str, int] = {}
    holding: list[bool] = []

    def act(call: Call) -> None:
        if call.number != at or stopped:
            return
        stopped.append(call)
        had.update(by_first(root_url))
        holding.append(lock.read(root_url).left_s(clock()) > 0)
        clock.now += datetime.timedelta(seconds=lock.LEASE_S + 1)
        running = steps(root_url, case.second, clock)
        for part in running:
            if part == case.until:
                second.append(running)
                return

    with _still() as clock:
        root_url = _before(case, clock)
        with calls.watched(act):
            finish(steps(root_url, case.first, clock))
        problems += [f"when the first had ended: {problem}" for problem in lost(root_url).values()]
        if second:
            told = finish(second[0])
            problems += [f"the second, which had taken over, ends: {told}"] if told else []
            problems += [f"when the second had ended: {problem}" for problem in lost(root_url).values()]
        later = {folder: epoch for folder, epoch in by_first(root_url).items() if had.get(folder) != epoch}
        if holding and holding[0]:
            problems += [f"{folder} was committed by who was taken over" for folder in later]
        _last(root_url, clock)
        problems += [f"after one more run: {problem}" for problem in lost(root_url).values()]
        problems += [f"after one more run: {name} is not listed" for name in unlisted(root_url)]
        storage.remove_tree(root_url)
    return (stopped[0] if stopped else None), problems


def _before(case: Case, clock: _Clock) -> str:
    root_url = f"memory://{uuid.uuid4().hex}"
    if case.before:
        finish(steps(root_url, Run("before", case.before), clock))
    return root_url


def finish(run: Generator[str, None, None]) -> str:
    """Let a run end; return how it ended: "" or in whose words."""
    try:
        for _ in run:
            pass
    except PmdError as error:
        return str(error)
    return ""


def _last(root_url: str, clock: _Clock) -> None:
    clock.now += datetime.timedelta(seconds=lock.LEASE_S + 1)
    told = finish(steps(root_url, Run("last", "last"), clock))
    if told:
        raise RootError(f"the last run fails: {told}")


def by_first(root_url: str) -> dict[str, int]:
    """Return folder → epoch of the stage's commits that the first has made."""
    return {
        folder: int(commit.run[commits.EPOCH])
        for folder, commit in standing(root_url).items()
        if commit.run.get("by") == "first" and not folder.startswith(f"{root_url}/fetch/")
    }
