"""Lanes in separate processes: what all of them together ask of one host, how a lane's end comes back, and what it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import curate, fetch, images
from pmd import config
from pmd.config import Config
from pmd.errors import PmdError
from pmd.fetch import needs as fetch_needs
from pmd.fetch import transforms
from pmd.fetch.lane import leases, stopping
from pmd.fetch.ledger import state
from pmd.schema.exits import TIME_IS_UP
from pmd.store import lock, register, root
from pmd.terminal import endings
from tests.fetch import pace
from tests.fetch.conftest import SITE_FILES, Web, photo, reply

COUNT = 60
RATE = 80  # requests a second
REPOSITORY = Path(__file__).parent.parent.parent


def known(folder: Path, web: Web, lanes: int = 4, *, slow: int = 0) -> Config:
    """Return a configuration whose ROOT knows the images, one host's, in as many shards as lanes.

    Args:
        folder: Where it and ROOT are written.
        web: Answers.
        lanes: How many; a power of two.
        slow: Images of a second host, which never answers.
    """
    for number in range(COUNT):
        web.routes[f"photos.test/{number}.jpg"] = reply(photo(seed=number))
    for number in range(slow):
        web.routes[f"slow.test/{number}.jpg"] = lambda _: asyncio.sleep(3600)
    lines = [f"http://photos.test/{number}.jpg\ta photograph, number {number}\n" for number in range(COUNT)]
    lines += [f"http://slow.test/{number}.jpg\ta late photograph, number {number}\n" for number in range(slow)]
    (folder / "cc12m.tsv").write_text("".join(lines))
    path = folder / "pmd.toml"
    path.write_text(
        f'root = "{folder}/root"\nprofile = "paper"\ncontact = "mailto:us@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n'
        f'[fetch]\nlanes = {lanes}\nretries = 0\nallow_addresses = ["127.0.0.1/32"]\n'
        f'resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}\n'
        f"per_host = {{ requests_per_s = {RATE}.0, connections = 8 }}\n"
    )
    chosen = config.load(str(path))
    root.create(chosen.root, lanes.bit_length() - 1)
    with root.writer(chosen.root, "test"):
        curate.build(chosen, ["conceptual_12m"])
        images.build(chosen)
    return chosen


def test_four_lanes_in_processes_keep_the_limit_of_a_host_together(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "FetchLane", pace.NotedLane)
    chosen = known(tmp_path, web)
    assert len(fetch_needs.pending_images(chosen)) == 4
    with root.writer(chosen.root, "test"):
        fetch.build(chosen)
    ledgers = [state.read_ledger(chosen.root, shard) for shard in range(4)]
    assert sum(ledger.num_rows for ledger in ledgers) == COUNT
    assert {status for ledger in ledgers for status in ledger["status"].to_pylist()} == {"ok"}
    assert len(web.asked()) == COUNT
    by_lane = [pace.turns(pace.file_of(tmp_path, lane), "photos.test") for lane in range(4)]
    assert sum(map(len, by_lane)) == len(web.log) == COUNT + 4 * len(SITE_FILES)
    pace.check(by_lane, RATE, window=20)
    assert web.most_at_once <= 8
    assert not (tmp_path / "root" / "_work" / "fetch").exists()
    assert fetch_needs.pending_images(chosen) == {}


def test_a_mistake_that_a_lane_meets_comes_back_as_itself(tmp_path: Path, web: Web) -> None:
    chosen = known(tmp_path, web)
    shards = sorted(fetch_needs.pending_images(chosen))
    (tmp_path / "root" / "images" / "_stage.json").unlink()
    with pytest.raises(PmdError, match="images"), root.writer(chosen.root, "test"):
        fetch._download(chosen, register.current(chosen.root), shards, (), (), settle_unreached=False)
    assert not (tmp_path / "root" / "_work").exists()


def test_a_lease_that_an_earlier_run_left_and_nobody_can_read_keeps_no_fetch_from_beginning(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = known(tmp_path, web)
    left = Path(root.leases_folder(chosen.root)) / "lane-00000.json"
    left.parent.mkdir(parents=True)
    left.symlink_to(left.name)  # in a circle: ELOOP, whoever reads it
    monkeypatch.setattr(leases, "LEASE_S", 0.0)
    with root.writer(chosen.root, "test"):
        fetch.build(chosen)
    assert fetch_needs.pending_images(chosen) == {}
    assert not left.parent.exists()


def on_an_engine(chosen: Config) -> None:
    """Fetch as on an engine: by Beam, in this process."""
    with root.writer(chosen.root, "test"):
        fetch.build(chosen, ("--direct_running_mode=in_memory",))


def test_a_lane_that_an_engine_runs_twice_at_once_asks_once(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, one = known(tmp_path, web), transforms.FetchLane.__call__
    monkeypatch.setattr(leases, "pause", lambda _: threading.Event().wait(0.01))

    def twice(lane: transforms.FetchLane, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        with ThreadPoolExecutor(2) as threads:
            first, second = threads.map(lambda _: list(one(lane, batch)), range(2))
        assert [done.to_pylist() for done in first] == [done.to_pylist() for done in second]
        return first

    monkeypatch.setattr(transforms.FetchLane, "__call__", twice)
    on_an_engine(chosen)
    assert {*Counter(request.path for request in web.asked()).values()} == {1}
    assert len(web.asked()) == COUNT
    assert fetch_needs.pending_images(chosen) == {}
    assert not (tmp_path / "root" / "_work").exists()


def test_a_lane_whose_worker_dies_goes_on_elsewhere_where_it_was(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead one has given nothing back. Its lease runs out, and what is settled is not asked for again."""
    chosen, one = known(tmp_path, web), transforms.FetchLane.__call__
    chosen = dataclasses.replace(chosen, fetch=chosen.fetch.model_copy(update={"lanes": 1}))
    monkeypatch.setattr(leases, "LEASE_S", 0.3)
    monkeypatch.setattr(leases, "pause", lambda _: threading.Event().wait(0.01))
    waited: list[int] = []

    def dies_then_again(lane: transforms.FetchLane, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        with monkeypatch.context() as dead:
            dead.setattr(leases.Lease, "end", lambda _: None)
            copy = iter(one(lane, batch))
            next(copy)
            copy.close()  # type: ignore[attr-defined]  # of a generator
        waited.append(len(web.asked()))
        return list(one(lane, batch))

    monkeypatch.setattr(transforms.FetchLane, "__call__", dies_then_again)
    on_an_engine(chosen)
    assert 0 < waited[0] < COUNT
    assert {*Counter(request.path for request in web.asked()).values()} == {1}
    assert fetch_needs.pending_images(chosen) == {}
    assert not (tmp_path / "root" / "_work").exists()


class Command:
    """`pmd fetch` in a process of its own; killed at the end of a test that fails."""

    def __init__(self, chosen: Config, *flags: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pmd", "fetch", str(Path(chosen.root).parent / "pmd.toml"), *flags],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def until(self, seen: Callable[[], bool]) -> None:
        """Wait until something is so, while the command runs."""
        while not seen():
            assert self._process.poll() is None, self._process.communicate()[1]
            time.sleep(0.01)

    def lanes(self) -> list[int]:
        """Return the processes of its lanes that have heard how to end."""
        return [pid for pid in children(self.pid) if heeds(pid, signal.SIGTERM) and b"spawn_main" in command_of(pid)]

    def everything(self) -> tuple[int, str]:
        """Wait for it to end; return its exit code and what it said."""
        _, said = self._process.communicate(timeout=60)
        return self._process.returncode, said

    def ended(self) -> tuple[int, str]:
        """Wait for it to end; return its exit code and what it said, but for progress and notes."""
        _, said = self._process.communicate(timeout=60)
        lines = [line for line in said.splitlines() if not line.startswith(("    ", "  fetch all: ", "! "))]
        return self._process.returncode, "\n".join(lines)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.communicate()


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def heeds(pid: int, number: int) -> bool:
    """Return whether a thread of a process, all of which began deaf to a signal, takes it now."""
    for path in Path(f"/proc/{pid}/task").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            blocked = next(line for line in path.read_text().splitlines() if line.startswith("SigBlk"))
            if not int(blocked.partition(":")[2], 16) & 1 << (number - 1):
                return True
    return False


def sleeps(pid: int) -> bool:
    """Return whether all threads of a process wait for something, each time of many that one looks."""
    for _ in range(25):
        for path in Path(f"/proc/{pid}/task").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if path.read_text().rsplit(")", 1)[1].split()[0] != "S":
                    return False
        time.sleep(0.02)
    return True


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def settled(chosen: Config) -> dict[str, str]:
    """Return URL → status of all that is settled."""
    return {
        row["location"]: row["status"]
        for shard in state.shards(chosen.root)
        for row in state.read_ledger(chosen.root, shard).to_pylist()
    }


def temporaries(chosen: Config) -> list[str]:
    return [str(path) for path in Path(chosen.root).rglob(".tmp-*")]


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

GOOD = {f"http://photos.test/{number}.jpg" for number in range(COUNT)}
SLOW = 5


@linux
@pytest.mark.parametrize(
    ("lanes", "number", "to_all"),
    [
        (1, signal.SIGINT, True),
        (2, signal.SIGTERM, False),
    ],
)
@pytest.mark.long
def test_an_interrupted_fetch_keeps_what_it_has(
    tmp_path: Path, web: Web, lanes: int, number: int, to_all: bool
) -> None:
    chosen = known(tmp_path, web, lanes, slow=SLOW)
    with Command(chosen) as command:
        command.until(lambda: len(web.asked("photos.test")) == COUNT and len(web.asked("slow.test")) == SLOW)
        command.until(lambda: all(map(sleeps, command.lanes())))  # what came has been judged
        (os.killpg if to_all else os.kill)(command.pid, number)
        assert command.ended() == (128 + number, f"pmd: {endings.INTERRUPTED}")
    assert settled(chosen) == dict.fromkeys(GOOD, "ok")
    assert temporaries(chosen) == []
    assert not (tmp_path / "root" / "_work").exists()
    assert lock.read(chosen.root).ended
    before = len(web.log)
    for late in range(SLOW):
        web.routes[f"slow.test/{late}.jpg"] = reply(photo(seed=COUNT + late))
    with Command(chosen) as command:
        assert command.ended()[0] == 0
    assert Counter(request.host for request in web.log[before:] if ".jpg" in request.path) == {"slow.test": SLOW}
    assert set(settled(chosen).values()) == {"ok"}


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.long
def test_a_lane_that_dies_ends_the_fetch_and_the_others_keep_what_they_have(
    tmp_path: Path, web: Web, number: int
) -> None:
    chosen = known(tmp_path, web, 2, slow=SLOW)
    with Command(chosen) as command:
        command.until(lambda: len(web.asked("photos.test")) == COUNT and len(web.asked("slow.test")) == SLOW)
        os.kill(command.lanes()[0], number)
        code, said = command.ended()
    assert code == 1
    first, found, remedy = said.splitlines()
    assert first in {f"pmd: lane {lane} of 2: a lane of the fetch died" for lane in range(2)}
    assert found == f"  found: signal {number} ({signal.Signals(number).name})"
    assert remedy.startswith("  remedy: run the same command again: what was committed stays")
    kept = settled(chosen)
    assert set(kept.values()) == {"ok"}
    # A lane that was killed leaves its shard as it was; one that was asked to end commits it.
    assert len(state.shards(chosen.root)) == (1 if number == signal.SIGKILL else 2)
    assert set(kept) == GOOD or number == signal.SIGKILL
    assert not (tmp_path / "root" / "_work").exists()


@linux
def test_lanes_that_are_killed_while_they_start_end_the_fetch(tmp_path: Path, web: Web) -> None:
    chosen = known(tmp_path, web, 2)
    with Command(chosen) as command:
        command.until(lambda: any(b"spawn_main" in command_of(pid) for pid in children(command.pid)))
        for pid in children(command.pid):
            if b"spawn_main" in command_of(pid):
                os.kill(pid, signal.SIGKILL)
        code, said = command.ended()
    assert (code, said.splitlines()[1]) == (1, "  found: signal 9 (SIGKILL)")
    assert len(said.splitlines()) == 3


@pytest.mark.long
def test_a_run_whose_time_is_up_says_so_and_the_next_goes_on(tmp_path: Path, web: Web) -> None:
    """Its time is up before its lanes have begun, so that nobody is asked for anything."""
    chosen = known(tmp_path, web)
    code, said = Command(chosen, "--for", "1s").everything()
    assert (code, web.asked()) == (TIME_IS_UP, [])
    assert f"! the time is up: what is settled is committed, {COUNT} images are left; the same command goes on" in said
    assert not Path(root.fetch_rejected_folder(chosen.root)).exists()
    assert not (tmp_path / "root" / "_work").exists()
    assert Command(chosen, "--for", "1h").ended()[0] == 0
    assert len(web.asked()) == COUNT
    assert fetch_needs.pending_images(chosen) == {}


@pytest.mark.long
def test_a_retry_that_is_cut_goes_on_and_comes_to_its_end(tmp_path: Path, web: Web) -> None:
    """Each of its shards is asked for once, and the next retry, when it has ended, asks for all again."""
    chosen = known(tmp_path, web)
    web.routes.clear()  # so that all are dead
    with root.writer(chosen.root, "test"):
        fetch.build(chosen)
    status = "dead"
    code, said = Command(chosen, "--for", "1s", "--retry", status).everything()
    assert code == TIME_IS_UP
    assert f"{COUNT} images are left" in said, "with those that the retry is to try"

    every = fetch_needs.pending_images(chosen, (status,))
    first = sorted(every)[:2]
    with root.writer(chosen.root, "test"):  # what a retry leaves whose time is up after two shards
        fetch._download(chosen, register.current(chosen.root), first, (), (status,), settle_unreached=False)
    assert fetch_needs.pending_images(chosen, (status,)) == {
        shard: count for shard, count in every.items() if shard not in first
    }
    assert Command(chosen, "--for", "1h", "--retry", status).ended()[0] == 0
    assert {*Counter(request.path for request in web.asked()).values()} == {2}
    assert len(web.asked()) == 2 * COUNT
    assert fetch_needs.pending_images(chosen, (status,)) == every


def test_a_lane_that_does_not_end_in_its_time_is_ended(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it waits for may never come: the time that it is given is what counts."""
    waited: list[float | None] = []

    def wait(_: object, timeout: float | None = None) -> list[object]:
        waited.append(timeout)
        return []

    monkeypatch.setattr(transforms.multiprocessing.connection, "wait", wait)
    until = transforms.utc_now()
    assert transforms._first_that_fails([ended_never()], until) is None  # type: ignore[list-item]
    assert waited[0] is not None
    assert 0 <= waited[0] <= stopping.END_S


def test_a_long_time_is_waited_for_a_minute_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever `--for` takes: the system's call has its milliseconds in an int, and clocks are set."""
    now = transforms.utc_now()
    clock = [now]
    waited: list[float] = []

    def wait(_: object, timeout: float) -> list[object]:
        waited.append(timeout)
        clock[0] += datetime.timedelta(seconds=timeout)
        return []

    monkeypatch.setattr(transforms, "utc_now", lambda: clock[0])
    monkeypatch.setattr(transforms.multiprocessing.connection, "wait", wait)
    until = stopping.asked_at(now, stopping.duration_s("25d"))
    assert transforms._first_that_fails([ended_never()], until) is None  # type: ignore[list-item]
    assert max(waited) == 60
    assert len(waited) == 25 * 24 * 60 + 1
    assert clock[0] == until + datetime.timedelta(seconds=stopping.END_S)


def test_where_a_machine_has_slept_past_the_time_lanes_are_asked_before_they_are_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their own timers stand still in its sleep: they were killed, and what they had settled was asked for again."""
    now = transforms.utc_now()
    clock = [now]
    lane = ended_never()

    def wait(_: object, timeout: float) -> list[object]:
        clock[0] += datetime.timedelta(hours=8)
        told.append((timeout, lane.asked))
        return []

    told: list[tuple[float, int]] = []
    monkeypatch.setattr(transforms, "utc_now", lambda: clock[0])
    monkeypatch.setattr(transforms.multiprocessing.connection, "wait", wait)
    until = stopping.asked_at(now, stopping.duration_s("6h"))
    assert transforms._first_that_fails([lane], until) is None  # type: ignore[list-item]
    assert told == [(60.0, 0), (stopping.END_S, 1)]


class Never:
    """A lane's process that never ends, however often it is asked."""

    ended, asked = 0, 0

    def ask_to_end(self) -> None:
        self.asked += 1


def ended_never() -> Never:
    return Never()
