"""Leases of lanes: one copy of a lane asks at a time, whoever dies, stands still, is cut off from the storage or comes back."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import random
import signal
import subprocess
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from pmd.config.options import FetchOptions, PerHost
from pmd.engines import ends
from pmd.fetch.http import addresses
from pmd.fetch.http.answer import Answer
from pmd.fetch.http.client import Client
from pmd.fetch.lane import leases
from pmd.fetch.lane.leases import ASK_S, LEASE_S, LOST_S, RENEW_S
from pmd.fetch.lane.stopping import Stop
from pmd.fetch.politeness import hosts, shares
from pmd.fetch.politeness.slots import Slots
from pmd.fetch.transforms import lane_name
from pmd.store import alive, storage, versions
from tests.fetch.politeness.test_forecast import Waiting

LANE = "lane-00003"


class Clock:
    """Goes on while somebody waits; something may happen meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.meanwhile: Callable[[], None] = lambda: None
        monkeypatch.setattr(leases, "pause", self._pause)

    def __call__(self) -> float:
        return self.now

    def _pause(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "lanes") if request.param == "local" else f"memory://{tmp_path.name}/lanes"


def wanted() -> None:
    """Say that the run is."""


def take(folder: str, clock: Clock) -> leases.Lease:
    return leases.take(leases.path_of(folder, LANE), wanted, clock)


def said(folder: str) -> dict[str, Any]:
    return dict(orjson.loads(storage.read_bytes(leases.path_of(folder, LANE))))


def test_the_holder_asks_no_more_well_before_another_may() -> None:
    assert 3 * RENEW_S < ASK_S < LEASE_S < LOST_S, "two renewals may fail, and the third one may take its time"
    assert RENEW_S + 2 * 3 < ASK_S, "renewals of 3 s follow each other without a pause"
    assert LEASE_S - ASK_S >= 3.5, "for a request that is on its way"
    assert LEASE_S * 0.001 < (LEASE_S - ASK_S) / 100, "clocks of two machines take nothing of that"


def test_a_second_copy_waits_until_the_first_has_given_it_back(folder: str, clock: Clock) -> None:
    first = take(folder, clock)
    ended: list[float] = []

    def meanwhile() -> None:
        if clock.now < 1000:
            first.renew()
        elif not ended:
            first.end()
            ended.append(clock.now)

    clock.meanwhile = meanwhile
    second = take(folder, clock)
    assert ended == [clock.now], "it is taken at the next look"
    assert second.holds
    assert said(folder)["holder"] == second._state.holder != first._state.holder


def test_a_dead_copy_is_waited_for_as_long_as_its_lease_and_no_longer(folder: str, clock: Clock) -> None:
    take(folder, clock)
    second = take(folder, clock)
    assert LEASE_S <= clock.now <= LEASE_S + leases._LOOK_S
    assert second.holds


def test_at_no_time_do_two_copies_hold(folder: str, clock: Clock) -> None:
    """The first stands still for longer and longer, comes back, and finds what it finds: its lease, if nobody has taken it."""
    for still in (ASK_S - 5, ASK_S + 1, LEASE_S - 1, LEASE_S + 1, 2 * LEASE_S):
        back: list[bool] = []
        clock.now, clock.meanwhile = 0.0, lambda: None
        storage.remove_tree(folder)
        first = take(folder, clock)

        def meanwhile(first: leases.Lease = first, still: float = still, back: list[bool] = back) -> None:
            if clock.now >= still:
                back.append(first.holds)
                first.renew()
                if first.holds and clock.now > 500:
                    first.end()

        clock.meanwhile = meanwhile
        second = take(folder, clock)
        assert not first.holds or clock.now > 500
        first.renew()
        assert not first.holds
        assert second.holds
        second.renew()
        assert second.holds, "who came back has changed nothing"
        assert (still < LEASE_S) == (clock.now > 500)
        assert back[:1] in ([], [still < ASK_S]), "it does not ask before it has renewed its lease"


def test_who_could_not_renew_asks_no_more_and_is_told(
    folder: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = take(folder, clock)
    told: list[float] = []
    lease.tell(lambda: told.append(clock.now))

    def fails(*_: object, **__: object) -> bool:
        raise RuntimeError("a client's own kind of error")

    with monkeypatch.context() as away:
        away.setattr(versions, "swap", fails)
        for clock.now in range(1, int(LOST_S)):
            lease.renew()
            assert lease.holds == (clock.now < ASK_S), "without being told"
            assert not lease.is_lost
    lease.renew()
    assert lease.holds, "nobody has taken it, so that it asks again"
    lease.check()
    assert not told
    monkeypatch.setattr(versions, "swap", fails)
    clock.now += LOST_S
    assert lease.is_lost
    lease.renew()
    assert told == [clock.now]
    monkeypatch.undo()
    lease.renew()
    assert not lease.holds, "it may not begin to ask again"
    with pytest.raises(ends.CalledOffError, match="another worker may have this lane now"):
        lease.check()


def test_who_commits_waits_for_storage_that_is_away_and_not_for_ever(
    folder: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease, real = take(folder, clock), versions.swap
    back_at = 0.0

    def away(*given: Any, **named: Any) -> bool:
        if clock.now < back_at:
            raise OSError("away")
        return real(*given, **named)

    monkeypatch.setattr(versions, "swap", away)
    clock.now, back_at = ASK_S, 30.0
    lease.check()
    assert back_at <= clock.now <= back_at + leases._LOOK_S
    start = clock.now
    clock.now, back_at = start + ASK_S, 1e6
    with pytest.raises(ends.CalledOffError):
        lease.check()
    assert LOST_S <= clock.now - start <= LOST_S + leases._LOOK_S


def test_who_cannot_pause_has_lost_it_when_he_may_ask_no_more(folder: str, clock: Clock) -> None:
    lease = leases.take(leases.path_of(folder, LANE), wanted, clock, lost_s=ASK_S)
    clock.now = ASK_S
    assert lease.is_lost
    lease.renew()
    clock.now = 0.0
    assert not lease.holds


@pytest.mark.parametrize("lost_s", [ASK_S, LOST_S])
def test_what_was_lost_while_a_renewal_was_on_its_way_stays_lost(
    folder: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, lost_s: float
) -> None:
    lease, real = leases.take(leases.path_of(folder, LANE), wanted, clock, lost_s=lost_s), versions.swap
    stop = Stop(lambda: not lease.is_lost, lambda: lease.holds)
    lease.tell(stop.ask)
    seen: list[bool] = []

    def slow(*given: Any, **named: Any) -> bool:
        clock.now += 1.0
        seen.append(stop.asked)
        return real(*given, **named)

    monkeypatch.setattr(versions, "swap", slow)
    clock.now = lost_s - 0.5
    lease.renew()
    assert seen == [True]
    assert stop.asked, "images that were dropped meanwhile are not taken for settled ones"
    assert lease.is_lost


DIES: Final = """
import sys, time
from pmd.fetch.lane import leases
leases.take(sys.argv[1], lambda: None)
print("taken", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not alive.name(), reason="this system does not tell processes apart")
def test_who_has_died_on_this_machine_is_not_waited_for(tmp_path: Path, clock: Clock) -> None:
    """Who merely stands still is."""
    path = leases.path_of(str(tmp_path), LANE)
    dies = subprocess.Popen([sys.executable, "-c", DIES, path], stdout=subprocess.PIPE, text=True)
    with dies:
        try:
            assert dies.stdout is not None
            assert dies.stdout.readline() == "taken\n"
            dies.send_signal(signal.SIGSTOP)
            assert not leases._Watch(path, clock).is_over
        finally:
            dies.kill()
    assert take(str(tmp_path), clock).holds
    assert clock.now == 0.0


def test_an_answer_that_was_lost_loses_no_lease(folder: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    lease, real = take(folder, clock), versions.swap
    lost = [True]

    def unheard(*given: Any, **named: Any) -> bool:
        done = real(*given, **named)
        if lost.pop() if lost else False:
            raise OSError("no answer")
        return done

    monkeypatch.setattr(versions, "swap", unheard)
    clock.now = RENEW_S
    lease.renew()
    clock.now = 2 * RENEW_S
    lease.renew()
    clock.now += ASK_S - 1
    assert lease.holds


def test_a_run_that_is_wanted_no_more_loses_its_leases(folder: str, clock: Clock) -> None:
    over: list[bool] = []

    def still() -> None:
        if over:
            raise ends.CalledOffError

    path = leases.path_of(folder, LANE)
    lease = leases.take(path, still, clock)
    over.append(True)
    lease.renew()
    assert not lease.holds
    with pytest.raises(ends.CalledOffError):
        leases.take(path, still, clock)
    lease.end()
    assert said(folder)["ended"], "nobody has to wait for it"


def test_what_a_power_cut_has_broken_is_somebodys(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / f"{LANE}.json").write_bytes(b"\0\0")
    assert leases.take(str(tmp_path / f"{LANE}.json"), wanted, clock).holds
    assert clock.now >= LEASE_S


@pytest.mark.parametrize(
    "content",
    [
        b'{"holder":5,"renewals":1,"ended":false,"process":""}',
        b'{"holder":"one","renewals":"1","ended":true,"process":""}',
        b'{"holder":"one","renewals":1,"ended":1,"process":""}',
        b'{"holder":"one","renewals":1,"ended":false,"process":7}',
        b'{"holder":"one","renewals":1,"ended":false,"process":"a machine is not this"}',
        b'["holder"]',
        b"\xff",
    ],
)
def test_what_is_none_of_ours_is_somebodys(tmp_path: Path, clock: Clock, content: bytes) -> None:
    (tmp_path / f"{LANE}.json").write_bytes(content)
    assert leases.take(str(tmp_path / f"{LANE}.json"), wanted, clock).holds
    assert clock.now >= LEASE_S


ENDED_BY_ITS_ENGINE: Final = """
import sys, threading
from pmd.engines import leaving
from pmd.fetch.lane import leases
leaving.at_sigterm()
def fails():
    raise RuntimeError("what comes before keeps nothing from being done")
with leaving.before(fails), leases.held(sys.argv[1], sys.argv[2], lambda: None):
    print("taken", flush=True)
    threading.Event().wait(600)
"""


def test_a_worker_that_its_engine_ends_gives_its_lease_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDED_BY_ITS_ENGINE, str(tmp_path), LANE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ends_soon:
        try:
            assert ends_soon.stdout is not None
            assert ends_soon.stdout.readline() == "taken\n"
            assert not said(str(tmp_path))["ended"]
            ends_soon.terminate()
            assert ends_soon.wait(60) == 128 + signal.SIGTERM
        finally:
            ends_soon.kill()
    assert said(str(tmp_path))["ended"]


def test_who_lets_a_lease_go_asks_nobody_from_then_on(folder: str, clock: Clock) -> None:
    first = take(folder, clock)
    told: list[float] = []
    first.tell(lambda: told.append(clock.now))
    first.let_go()
    assert said(folder)["ended"]
    assert first.is_lost
    assert told == [0.0]
    first.renew()
    assert said(folder)["ended"], "what is under way brings it back no more"
    assert take(folder, clock).holds
    assert clock.now == 0.0


def test_a_thread_renews_it_and_the_end_gives_it_back(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = threading.Event()
    monkeypatch.setattr(leases, "RENEW_S", 0.001)
    real = leases.Lease.renew

    def renew(self: leases.Lease) -> None:
        real(self)
        renewed.set()

    monkeypatch.setattr(leases.Lease, "renew", renew)
    with leases.held(folder, LANE, wanted) as lease:
        assert renewed.wait(60)
        assert lease.holds
        assert said(folder)["ended"] is False
    assert said(folder)["ended"] is True
    assert said(folder)["renewals"] > 1


# The driver


def test_the_driver_gives_back_what_is_over_and_nothing_else(folder: str, clock: Clock) -> None:
    lives, dies = (leases.take(leases.path_of(folder, lane), wanted, clock) for lane in ("lane-00000", LANE))
    attendant = leases.Attendant(folder, ["lane-00000", LANE, "lane-00007"], clock)
    for clock.now in range(int(LEASE_S) + 1):
        lives.renew()
        assert not said(folder)["ended"]
        attendant.look()
    assert said(folder)["ended"]
    assert lives.holds
    start = clock.now
    second = take(folder, clock)
    assert (second.holds, clock.now) == (True, start), "who comes later does not wait"
    attendant.look()
    dies.renew()
    assert dies.is_lost
    assert not said(folder)["ended"]
    second.end()
    before = said(folder)
    attendant.look()
    assert said(folder) == before


def test_a_lease_that_cannot_be_looked_at_holds_up_no_other_and_is_said_once(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, bad = str(tmp_path), "lane-00000"
    for lane in (bad, LANE):
        leases.take(leases.path_of(folder, lane), wanted, clock)
    real, damaged = versions.read, True

    def read(path: str) -> versions.Versioned | None:
        if damaged and path == leases.path_of(folder, bad):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(versions, "read", read)
    attendant = leases.Attendant(folder, [bad, LANE], clock)
    with caplog.at_level(logging.WARNING, "pmd.notes"):
        for clock.now in range(int(LOST_S)):
            attendant.look()
            assert said(folder)["ended"] == (clock.now >= LEASE_S)
        assert caplog.messages == [], "storage may be away for a while"
        for clock.now in range(int(LOST_S), int(3 * LOST_S)):
            attendant.look()
    assert caplog.messages == [
        f"{folder}/{bad}.json: the lease of this lane cannot be looked at ([Errno 5] Input/output error); the other lanes go on"
    ]
    damaged = False
    attendant.look()
    clock.now += LEASE_S
    attendant.look()
    assert leases._parse((tmp_path / f"{bad}.json").read_bytes()).ended, "it is looked at again"


def test_who_comes_back_in_time_goes_on_though_the_driver_has_given_up(folder: str, clock: Clock) -> None:
    first = take(folder, clock)
    attendant = leases.Attendant(folder, [LANE], clock)
    attendant.look()
    clock.now = LEASE_S
    attendant.look()
    assert said(folder)["ended"]
    first.renew()
    assert first.holds, "nobody has taken it"
    assert not said(folder)["ended"]
    clock.now += RENEW_S
    take_begins = clock.now
    clock.meanwhile = first.end
    assert take(folder, clock).holds
    assert clock.now > take_begins


def test_the_next_run_waits_for_all_lanes_of_the_last_at_once(
    folder: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(16):
        leases.take(leases.path_of(folder, f"lane-{number:05d}"), wanted, clock)
    leases.remove_ended(folder)
    assert len(storage.list_files(folder)) == 16, "who may still ask is not forgotten"
    with caplog.at_level(logging.WARNING, "pmd.notes"):
        leases.end_earlier(folder, clock)
    assert LEASE_S <= clock.now <= LEASE_S + leases._LOOK_S
    assert caplog.messages == ["lanes of an earlier run may still ask: waiting until they have ended, 13 s at most"]
    assert storage.list_files(folder) == []


UNREADABLE: Final = {"a client's own": RuntimeError("no answer"), "the disk's": OSError(5, "Input/output error")}


@pytest.mark.parametrize("error", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_lease_of_an_earlier_run_that_cannot_be_read_is_held_for_its_time(
    folder: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    path, real = leases.path_of(folder, LANE), versions.read
    take(folder, clock).end()
    leases.take(leases.path_of(folder, "lane-00007"), wanted, clock).end()

    def read(url: str) -> versions.Versioned | None:
        if url == path:
            raise error
        return real(url)

    monkeypatch.setattr(versions, "read", read)
    with caplog.at_level(logging.WARNING, "pmd.notes"):
        leases.remove_ended(folder)
        assert len(storage.list_files(folder)) == 2, "who may still ask is not forgotten"
        caplog.clear()
        leases.end_earlier(folder, clock)
    assert LEASE_S <= clock.now <= LEASE_S + leases._LOOK_S
    assert caplog.messages == [
        f"{path}: the lease of a lane cannot be read ({error}), and is taken for held",
        "lanes of an earlier run may still ask: waiting until they have ended, 13 s at most",
    ]
    assert storage.list_files(folder) == []


@pytest.mark.parametrize("content", [b"", b'{"holder":"one","renew'])
def test_a_lease_of_an_earlier_run_that_is_half_written_is_held_for_its_time(
    tmp_path: Path, clock: Clock, content: bytes
) -> None:
    (tmp_path / "lanes").mkdir()
    (tmp_path / f"lanes/{LANE}.json").write_bytes(content)
    leases.end_earlier(str(tmp_path / "lanes"), clock)
    assert LEASE_S <= clock.now <= LEASE_S + leases._LOOK_S
    assert not (tmp_path / "lanes").exists()


def test_leases_that_were_given_back_are_not_waited_for(
    folder: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    take(folder, clock).end()
    with caplog.at_level(logging.WARNING, "pmd.notes"):
        leases.end_earlier(folder, clock)
    assert (clock.now, caplog.messages) == (0.0, [])
    assert storage.list_files(folder) == []
    take(folder, clock).end()
    leases.remove_ended(folder)
    assert storage.list_files(folder) == []
    leases.end_earlier(folder, clock)
    leases.remove_ended(folder)


def test_a_lane_that_was_swept_away_finds_its_lease_lost(folder: str, clock: Clock) -> None:
    lease = take(folder, clock)
    storage.remove_tree(folder)
    lease.renew()
    assert not lease.holds


def test_a_lane_pauses_while_it_may_not_ask() -> None:
    may = [False]
    stop = Stop(may_ask=lambda: may[0])
    assert stop.pauses
    assert not stop.asked
    may[0] = True
    assert not stop.pauses


def test_a_lane_is_to_end_from_the_moment_in_which_it_may_not_go_on() -> None:
    may = [True]
    stop = Stop(lambda: may[0])
    told: list[int] = []
    stop.tell(lambda: told.append(1))
    assert not stop.asked
    may[0] = False
    assert stop.asked
    assert not told
    stop.ask()
    assert told == [1]


def test_an_image_that_begins_in_a_pause_takes_no_turn_before_its_end() -> None:
    """Of a host that is given up one image tries now and then: would it take that turn and wait, it would find it taken."""
    options, patience = FetchOptions(), hosts.Patience()
    nothing: Any = None
    may = [False]

    async def story() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        known = hosts.Hosts(options, 1, 0, Slots(8, options.max_bytes), patience)
        sends = Client(*(nothing, nothing, known, options, "pmd", {}, {}, nothing, nothing), pauses=lambda: not may[0])
        for _ in range(patience.failures):
            known.circuit("one.test", 80).failed("connection", answered=False)
        await asyncio.sleep(patience.open_s)
        loop.call_later(ASK_S, may.append, True)
        loop.call_later(ASK_S, may.pop, 0)
        asks = asyncio.create_task(sends._gate.turn(Answer("ok"), HOST, has_begun=True))
        await asyncio.sleep(ASK_S / 2)
        meanwhile = known.group("one.test").requests
        (await asks).leave()
        return meanwhile, known.group("one.test").requests

    with asyncio.Runner(loop_factory=Waiting) as runner:
        assert runner.run(story()) == (0, 1)


# What a host sees

RATE, LANES = 4, 4
#: Seconds after which an engine begins a dead worker's tasks anew: two heartbeats of Flink's as `pmd engine up` tells it.
NOTICED_S = 10.0
HOST = addresses.parse("http://one.test/")


@dataclasses.dataclass
class Worker:
    """What becomes of the worker of a copy: it dies, stands still, or does not reach the storage, from a time to another.

    Or its engine ends it, and it gives its lease back.
    """

    dies: float = math.inf
    stands: tuple[float, float] = (math.inf, math.inf)
    cut_off: tuple[float, float] = (math.inf, math.inf)
    ended: float = math.inf

    async def goes_on(self) -> None:
        """Wait until it goes on, where it stands still."""
        now = asyncio.get_running_loop().time()
        if self.stands[0] <= now < self.stands[1]:
            await asyncio.sleep(self.stands[1] - now)


class Simulated:
    """Copies of lanes that ask one host. Time, engine and workers are simulated; leases, pacer and gate are the fetch's own."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.asked: list[float] = []

    async def copy(self, lane: int, begins: float, worker: Worker, ends_at: float) -> None:
        """Run a copy of a lane until its worker dies, its lease is lost, or the run ends."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(begins)
        lease = await self._taken(lane)
        first_s = shares.spacing_s(RATE, LANES, lane)
        await asyncio.sleep(first_s)
        options = FetchOptions(per_host=PerHost(requests_per_s=RATE, connections=LANES), lanes=LANES)
        known = hosts.Hosts(options, LANES, lane, Slots(64, options.max_bytes), hosts.Patience())
        nothing: Any = None  # what makes requests: only the gate before them is asked
        sends = Client(
            *(nothing, nothing, known, options, "pmd", {}, {}, nothing, nothing),
            ends=lambda: lease.is_lost,
            pauses=lambda: not lease.holds,
        )
        keeps = asyncio.create_task(self._keep(lease, worker))
        if worker.ended < math.inf:
            loop.call_at(worker.ended, lease.let_go)
        while loop.time() < min(worker.dies, ends_at) and not lease.is_lost:
            try:
                turn = await sends._gate.turn(Answer("ok"), HOST, has_begun=True)
            except asyncio.CancelledError:
                break
            was = loop.time()
            await worker.goes_on()
            if loop.time() > was:  # it stood still, and only now its turn has come, and it looks
                turn.leave()
                continue
            if loop.time() < min(worker.dies, ends_at):
                self.asked.append(loop.time())
            turn.leave()
        keeps.cancel()
        if loop.time() < worker.dies:
            lease.end()

    async def _taken(self, lane: int) -> leases.Lease:
        loop, path = asyncio.get_running_loop(), leases.path_of(self._folder, lane_name(lane))
        watch = leases._Watch(path, loop.time)
        while (lease := leases._claimed(path, watch, wanted, loop.time)) is None:
            await asyncio.sleep(leases._LOOK_S)
            watch.look()
        return lease

    async def _keep(self, lease: leases.Lease, worker: Worker) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RENEW_S)
            await worker.goes_on()
            if loop.time() >= worker.dies:
                return
            if not worker.cut_off[0] <= loop.time() < worker.cut_off[1]:
                lease.renew()

    def most(self, window_s: float) -> int:
        """Return the most requests in any time of a length."""
        times = sorted(self.asked)
        return max(bisect_right(times, start + window_s - 1e-9) - number for number, start in enumerate(times))


def simulated(folder: Path, copies: Iterable[tuple[int, float, Worker]], all_s: float) -> Simulated:
    """Run copies, given as lane, beginning and worker."""
    found = Simulated(str(folder))

    async def attend() -> None:
        attendant = leases.Attendant(str(folder), map(lane_name, range(LANES)), asyncio.get_running_loop().time)
        while True:
            await asyncio.sleep(leases._LOOK_S)
            attendant.look()

    async def story() -> None:
        attends = asyncio.create_task(attend())
        await asyncio.gather(*(found.copy(lane, begins, worker, all_s) for lane, begins, worker in copies))
        attends.cancel()

    with asyncio.Runner(loop_factory=Waiting) as runner:
        runner.run(story())
    for window_s in (1, 5, 30):
        assert found.most(window_s) <= RATE * window_s
    return found


def test_a_host_sees_nine_tenths_of_its_rate_and_never_more_though_a_worker_dies(tmp_path: Path) -> None:
    """Ten minutes of two workers of two lanes; one dies. The engine gives all lanes anew: it cannot know which live.

    Nobody sees that it is dead. Copies of lanes that live are to wait for them.
    """
    all_s = 600.0
    died = all_s / 3
    first = [(lane, 0.0, Worker(dies=died if lane % 2 else math.inf)) for lane in range(LANES)]
    again = [(lane, died + NOTICED_S, Worker()) for lane in range(LANES)]
    found = simulated(tmp_path, [*first, *again], all_s)
    # Half of the lanes stand still until the driver has looked at their leases for their time, and a copy looks.
    assert NOTICED_S < LEASE_S
    lost_s = (LEASE_S + 3 * leases._LOOK_S) / 2 + 2
    assert len(found.asked) >= RATE / (1 + shares.MARGIN_S) * (all_s - lost_s) - LANES
    assert len(found.asked) >= 0.9 * RATE * all_s


@pytest.mark.parametrize("lanes_dead", [1, 2, LANES])
def test_so_it_does_where_the_engine_ends_all_workers_with_the_one_that_died(tmp_path: Path, lanes_dead: int) -> None:
    """As Flink does: those that it ends have given their leases back, and only the dead are waited for."""
    all_s = 600.0
    died = all_s / 3
    first = [
        (lane, 0.0, Worker(dies=died) if lane < lanes_dead else Worker(ended=died + 2.0, dies=died + 2.5))
        for lane in range(LANES)
    ]
    again = [(lane, died + NOTICED_S, Worker()) for lane in range(LANES)]
    found = simulated(tmp_path, [*first, *again], all_s)
    lost_s = lanes_dead * (LEASE_S + 3 * leases._LOOK_S + 2) + (LANES - lanes_dead) * (NOTICED_S - 2.0 + 2)
    assert len(found.asked) >= RATE / (1 + shares.MARGIN_S) * (all_s - lost_s / LANES) - LANES
    assert len(found.asked) >= 0.9 * RATE * all_s


@pytest.mark.parametrize("seed", range(12))
def test_a_host_never_sees_more_than_its_rate_whatever_becomes_of_workers(tmp_path: Path, seed: int) -> None:
    """Copies of lanes begin, die, stand still, are cut off from the storage and come back, all by chance."""
    chance, all_s = random.Random(seed), 240.0

    def spell() -> tuple[float, float]:
        start = chance.uniform(0, all_s)
        return start, start + chance.choice((ASK_S - 1, ASK_S + 1, LEASE_S, LEASE_S + 1, 3 * LEASE_S, LOST_S + 5))

    def worker() -> Worker:
        return Worker(chance.uniform(0, 2 * all_s), spell(), spell(), chance.uniform(0, 4 * all_s))

    copies = [(lane, chance.uniform(0, all_s) * number / 3, worker()) for lane in range(LANES) for number in range(4)]
    found = simulated(tmp_path, copies, all_s)
    assert len(found.asked) > 0.3 * RATE * all_s
