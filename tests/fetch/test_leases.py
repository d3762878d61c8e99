"""Leases of lanes: one copy of a lane asks at a time, whoever dies, stands still or comes back."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from pmd.config.options import FetchOptions, PerHost
from pmd.engines import ends
from pmd.fetch import hosts, leases
from pmd.fetch.leases import ASK_S, LEASE_S, RENEW_S
from pmd.fetch.stopping import Stop
from pmd.store import storage, versions
from tests.fetch.test_forecast import Waiting

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
    assert 3 * RENEW_S < ASK_S < LEASE_S, "three renewals may fail"


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
    """The first stands still for longer and longer, comes back, and finds what it finds."""
    for still in (ASK_S - 5, ASK_S + 1, LEASE_S - 1, LEASE_S + 1, 2 * LEASE_S):
        clock.now, clock.meanwhile = 0.0, lambda: None
        storage.remove_tree(folder)
        first = take(folder, clock)

        def meanwhile(first: leases.Lease = first, still: float = still) -> None:
            if clock.now >= still:
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
        assert (still < ASK_S) == (clock.now > 500)


def test_who_could_not_renew_asks_no_more_and_is_told(
    folder: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = take(folder, clock)
    told: list[float] = []
    lease.tell(lambda: told.append(clock.now))

    def fails(*_: object, **__: object) -> bool:
        raise RuntimeError("a client's own kind of error")

    monkeypatch.setattr(versions, "swap", fails)
    while clock.now < ASK_S - 1:
        clock.now += 1
        lease.renew()
    assert lease.holds
    assert not told
    clock.now = ASK_S
    assert not lease.holds, "without being told"
    lease.renew()
    assert told == [ASK_S]
    with pytest.raises(ends.CalledOffError, match="another worker may have this lane now"):
        lease.check()
    monkeypatch.undo()
    lease.renew()
    assert not lease.holds, "it may not begin to ask again"


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
    assert caplog.messages == ["lanes of an earlier run may still ask: waiting until they have ended, 60 s at most"]
    assert storage.list_files(folder) == []


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


# What a host sees

RATE, LANES = 4.0, 4
#: Seconds after which an engine begins a dead worker's tasks anew: Flink's heartbeat.timeout.
NOTICED_S = 50.0


def test_a_host_sees_nine_tenths_of_its_rate_and_never_more_though_a_worker_dies(tmp_path: Path) -> None:
    """Two workers of two lanes; one dies. Time and engine are simulated, pacer and leases are the fetch's own.

    The engine gives all lanes anew, since it cannot know which live. Copies of lanes that do are to wait for them.
    """
    all_s = 1200.0
    asked: list[float] = []
    options = FetchOptions(per_host=PerHost(requests_per_s=RATE, connections=LANES), lanes=LANES)
    folder = str(tmp_path)

    async def copy(lane: int, begins: float, dies: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(begins)
        path = leases.path_of(folder, f"lane-{lane:05d}")
        watch = leases._Watch(path, loop.time)
        while (lease := leases._claimed(path, watch, wanted, loop.time)) is None:
            await asyncio.sleep(leases._LOOK_S)
            watch.look()
        known = hosts.Hosts(options, LANES, lane, hosts.Slots(64, options.max_bytes), hosts.Patience())
        renewed = loop.time()
        while loop.time() < dies:
            turn = await known.group("one.test").turn(known.circuit("one.test", 80))
            if lease.holds and loop.time() < dies:
                asked.append(loop.time())
            turn.leave()
            if loop.time() - renewed >= RENEW_S:
                lease.renew()
                renewed = loop.time()

    async def story() -> None:
        died = all_s / 3
        first = [copy(lane, 0.0, died if lane % 2 else all_s) for lane in range(LANES)]
        again = [copy(lane, died + NOTICED_S, all_s) for lane in range(LANES)]
        await asyncio.gather(*first, *again)

    with asyncio.Runner(loop_factory=Waiting) as runner:
        runner.run(story())
    times = sorted(asked)
    most = int(RATE)
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[most:], strict=False))
    # Half of the lanes stand still until their worker's death is noticed and their leases are over, about.
    assert len(times) >= 0.9 * RATE * (all_s - (NOTICED_S + LEASE_S) / 2)
