"""What real engines do and the local runner never does: workers doubled and interleaved, and killed between writes.

Every callable that a pipeline runs on a worker is wrapped. *Twice*: it runs in two threads of which one waits while the
other works, and the turn changes at every write; the outputs of one of them are dropped, as those of a zombie are.
*Killed*: it is run and killed before its first write, then before its second, and so on, until a run comes through. In
both cases what is committed must be what an undisturbed build commits.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pmd
from pmd import flow
from pmd.config import Config
from pmd.config.engine import Engine, Shuffle
from pmd.engines import transforms
from pmd.engines.coder import RecordBatchCoder
from pmd.fetch.lane import leases
from pmd.store import parcels, storage, versions
from tests.pipelines import building

Run = Callable[[], list[Any]]
Around = Callable[[Run], list[Any]]
Before = Callable[[], None]

#: Everything in `pmd.store.storage` that changes what is there, but for drafts: every file that is written is one first.
WRITES = ("remove", "remove_tree")


class Killed(BaseException):
    """A worker is gone, in the middle of something; nothing may catch this."""


@contextlib.contextmanager
def before_writes(before: Before) -> Iterator[None]:
    """Call a function before each write to storage."""

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **named: Any) -> Any:
            before()
            return original(*arguments, **named)

        return write

    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES:
            patch.setattr(storage, name, wrapped(getattr(storage, name)))
        patch.setattr(storage.Draft, "__init__", wrapped(storage.Draft.__init__))
        patch.setattr(versions, "swap", wrapped(versions.swap))
        patch.setattr(leases, "pause", lambda _: before())  # a lane waits for its double
        yield


class Turns:
    """Two threads of which one runs at a time; a write hands the turn over."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._turn = 0
        self._done: set[int] = set()
        self._own = threading.local()
        self.changes = 0

    def wait(self) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self._turn == self._own.number, timeout=30)

    def hand_over(self) -> None:
        number = self._own.number
        with self._condition:
            if 1 - number not in self._done:
                self._turn = 1 - number
                self.changes += 1
                self._condition.notify_all()
        self.wait()

    def run(self, number: int, function: Run, results: dict[int, list[Any] | BaseException]) -> None:
        self._own.number = number
        self.wait()
        try:
            results[number] = function()
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
            results[number] = error
        with self._condition:
            self._done.add(number)
            self._turn = 1 - number
            self._condition.notify_all()


class Twice:
    """Runs a worker twice, interleaved, and takes the outputs of the first and the second in turn."""

    def __init__(self) -> None:
        self._which = itertools.cycle((0, 1))
        self.interleaved = 0

    def __call__(self, run: Run) -> list[Any]:
        turns = Turns()
        results: dict[int, list[Any] | BaseException] = {}
        threads = [threading.Thread(target=turns.run, args=(number, run, results)) for number in (0, 1)]
        with before_writes(turns.hand_over):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.interleaved += turns.changes > 1
        for result in results.values():
            if isinstance(result, BaseException):
                raise result
        chosen = results[next(self._which)]
        assert isinstance(chosen, list)
        return chosen


class KilledThenAgain:
    """Kills a worker before its first, second, … write, until one run comes through."""

    def __init__(self) -> None:
        self.kills = 0

    def __call__(self, run: Run) -> list[Any]:
        for survived in itertools.count():
            writes = itertools.count()

            def count(writes: Iterator[int] = writes, limit: int = survived) -> None:
                if next(writes) == limit:
                    raise Killed

            with before_writes(count):
                try:
                    return run()
                except Killed:
                    self.kills += 1
        raise AssertionError


class _Now:
    """What is put around every worker just now; the patches below are found by name, since pipelines are pickled."""

    around: Around
    ran: set[str]


def _run(self: transforms.PerTask, element: Any, *side: Any) -> Iterator[Any]:
    # Each run reads a group's values anew, as an engine would give them.
    again = (element[0], list(element[1])) if isinstance(element, tuple) else element
    _Now.ran.add(type(self._function).__name__)
    yield from _Now.around(lambda: list(self._function(again, *side)))


def _finish(self: transforms._Finish, keyed: Any) -> int:
    collected = transforms.collect(keyed[1])
    _Now.ran |= {f"{type(self._finish).__name__} {target.stage}" for target in self._finish.targets}
    _Now.around(lambda: [self._finish(collected)])
    return 0


@contextlib.contextmanager
def workers(around: Around) -> Iterator[set[str]]:
    """Put something around every worker callable; yields the names of those that ran."""
    _Now.around, _Now.ran = staticmethod(around), set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transforms.PerTask, "_run", _run)
        patch.setattr(transforms._Finish, "__call__", _finish)
        yield _Now.ran


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The tiny world, built as the local runner does."""
    chosen = building.world(tmp_path_factory.mktemp("undisturbed"))
    with building.small(hashed=False):
        building.run(chosen)
    assert building.unlisted(chosen.root) == []
    return chosen


def workers_of(stage: flow.Stage) -> Iterator[type]:
    """Yield the callables of a stage's transforms that a pipeline runs on its workers."""
    for path in sorted((Path(pmd.__file__).parent / stage.name).glob("*transforms.py")):
        module = importlib.import_module(f"pmd.{stage.name}.{path.stem}")
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == module.__name__ and "__call__" in dir(kind):
                yield kind


WORKERS = [kind for stage in flow.STAGES for kind in workers_of(stage)]
#: Those that do not run here.
ELSEWHERE = {
    # run by others of the same stage
    *("ReadChunk", "ResolvePartition"),
    # run by the commit
    "WithReport",
    # where options ask for them: evaluation lists, equal bytes that are kept, captions that are nearly one
    *("FindLeaving", "FindEqual"),
    *("SpreadOccurrences", "SpreadBands", "Propose", "Ask", "Verify", "ElectTexts", "GroupTexts"),
    # for takedowns
    *("CutPatches", "WritePatch"),
}
#: Everything else of the stages' transforms, and what commits.
ALL = {kind.__name__ for kind in WORKERS} - ELSEWHERE | {f"CommitStage {stage}" for stage in flow.NAMES}
#: Those that write rows to run files, where these do not cross the engine's shuffle, and what does so there.
WRITE_RUNS = {kind.__name__ for kind in WORKERS if issubclass(kind, transforms.Spreads)}
SHUFFLE = {"ToParcels", "Land"}


def test_workers_are_told_apart_by_their_names() -> None:
    names = [kind.__name__ for kind in WORKERS]
    assert len({*names}) == len(names)
    assert {*names} >= ELSEWHERE
    assert len(WRITE_RUNS) > 20
    for stage in flow.STAGES:
        assert WRITE_RUNS & {kind.__name__ for kind in workers_of(stage)}, f"rows of {stage.name} may cross"


def disturbed(undisturbed: Config, where: Path, around: Around, shuffle: Shuffle = "files") -> str:
    """Build the same inputs into another ROOT with something around every worker; return that ROOT."""
    chosen = dataclasses.replace(undisturbed, root=str(where / "pmd"), engine=Engine(shuffle=shuffle))
    with building.small(hashed=False), workers(around) as ran:
        building.run(chosen)
    expected = ALL if shuffle == "files" else ALL - WRITE_RUNS | SHUFFLE
    assert ran == expected, (
        "every worker is put to the test, and what a `Spreads` gives crosses the shuffle: its pipeline hands it to Cross"
    )
    return chosen.root


def assert_same(root: str, expected: str) -> None:
    assert building.committed(root) == building.committed(expected)
    assert building.outcomes(root) == building.outcomes(expected)


def test_the_world_has_several_of_everything(undisturbed: Config) -> None:
    found = building.committed(undisturbed.root)
    for folder in ("curate/source=coco", "curate/source=conceptual_captions", "images", "views", "shards/webdataset"):
        assert len(found[folder]["files"]) > 1, folder
    assert {row["status"] for row in building.outcomes(undisturbed.root)} == {"ok", "dead"}
    assert found["dedupe"]["files"]


#: What a key holds at most, in place of 4 MB, which the tiny world does not have.
HELD_BYTES = 2**13


@contextlib.contextmanager
def held() -> Iterator[list[int]]:
    """Make parcels small; yields the bytes, encoded, of each that has several pieces."""
    coder, found = RecordBatchCoder(), list[int]()
    land = parcels.Land.__call__

    def weighed(self: parcels.Land, keyed: Any) -> Iterator[Any]:
        pieces = list(keyed[1])
        if len(pieces) > 1:
            found.append(sum(len(coder.encode(piece)) for piece in pieces))
        return land(self, (keyed[0], pieces))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parcels, "KEY_BYTES", HELD_BYTES)
        patch.setattr(parcels, "PIECE_BYTES", HELD_BYTES // 2)
        patch.setattr(parcels, "_LEAST_LEVEL", 9)
        patch.setattr(parcels.Land, "__call__", weighed)
        yield found


def test_workers_that_run_twice_and_interleaved_change_nothing(undisturbed: Config, tmp_path: Path) -> None:
    """Nor does it that rows cross the engine's shuffle, where the undisturbed build had run files; and no key holds too much."""
    twice = Twice()
    with held() as bytes_held:
        root = disturbed(undisturbed, tmp_path, twice, "engine")
    assert len(bytes_held) > 10
    assert HELD_BYTES / 4 < max(bytes_held) <= HELD_BYTES
    assert twice.interleaved > 20
    assert_same(root, undisturbed.root)
    assert building.unlisted(root) == []


def test_workers_that_are_killed_between_their_writes_change_nothing(undisturbed: Config, tmp_path: Path) -> None:
    killed = KilledThenAgain()
    root = disturbed(undisturbed, tmp_path, killed)
    assert killed.kills > 100
    assert_same(root, undisturbed.root)
    # Only fetch leaves something, for its next run to sweep: a generation that was not committed.
    assert [name for name in building.unlisted(root) if not name.startswith("fetch/")] == []
