"""What drives libcurl: sockets that stay with their poller, deadlines under one timer, and permits."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import selectors
import socket
import warnings
from collections.abc import Callable
from typing import Any

import pycurl
import pytest

from pmd import codec
from pmd.config.options import PerHost
from pmd.fetch.http import addresses
from pmd.fetch.http.addresses import Target
from pmd.fetch.http.answer import Answer, Ended
from pmd.fetch.http.client import Client
from pmd.fetch.http.driving import Clock, Deadlines, Driver
from pmd.fetch.http.resolver import Route
from pmd.fetch.lane import judging
from pmd.fetch.lane.engine import Lane
from pmd.fetch.lists import blocklists
from pmd.fetch.politeness import hosts
from pmd.fetch.politeness.slots import Permits, Slots
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table
from tests.fetch.politeness.test_forecast import Waiting

JPEG = photo()


def fetched(web: Web, count: int, **changes: object) -> list[str]:
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(count)))
    with Lane(options(web, robots=False, **changes), contact="", patience=HASTE) as lane:
        return [found.status for found in lane.fetch(rows)]


# --- sockets ---------------------------------------------------------------------------------------------------------


def test_a_socket_stays_with_the_poller_from_one_request_to_the_next(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[int] = []
    register = selectors.DefaultSelector.register

    def noted(poller: Any, file: Any, *more: Any) -> Any:
        registered.append(file)
        return register(poller, file, *more)

    web.routes.update({f"a.test/{number}": reply(JPEG) for number in range(40)})
    monkeypatch.setattr(selectors.DefaultSelector, "register", noted)
    statuses = fetched(web, 40, per_host=PerHost(requests_per_s=10_000, connections=2))
    assert (statuses, web.connections) == (["ok"] * 40, 2)
    assert len(registered) < 20  # a few a connection, for connecting and for reading, and the loop's own


def test_a_socket_with_the_number_of_a_closed_one_is_looked_at_anew(web: Web) -> None:
    async def once(writer: asyncio.StreamWriter) -> None:
        writer.write(reply(JPEG, Connection="close"))

    web.routes.update({f"a.test/{number}": once for number in range(12)})
    statuses = fetched(web, 12, per_host=PerHost(requests_per_s=10_000, connections=1))
    assert (statuses, web.connections) == (["ok"] * 12, 12)


def test_what_is_told_of_a_closed_socket_is_not_taken_for_one_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept connection is closed by its host. In the same round a request begins, whose new socket has its number."""

    async def story() -> dict[int, int]:
        driver = Driver(4)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            file, nothing = ours.fileno(), pycurl.CurlMulti()
            driver._wants(pycurl.POLL_IN, file, nothing, None)
            driver._wants(pycurl.POLL_REMOVE, file, nothing, None)
            theirs.close()
            told = driver._poller.select(1)
            assert [(key.fd, events) for key, events in told] == [(file, selectors.EVENT_READ)]
            driver.made(file)
            driver._wants(pycurl.POLL_OUT, file, nothing, None)
            monkeypatch.setattr(driver._poller, "select", lambda _: told)
            driver._ready()
            watched = {key.fd: key.events for key in driver._poller.get_map().values()}
            driver.close()
        return watched | {-1: file}

    watched = asyncio.run(story())
    file = watched.pop(-1)
    assert watched == {file: selectors.EVENT_WRITE}


def test_no_socket_is_left_to_the_collector(web: Web) -> None:
    web.routes["a.test/0"] = reply(JPEG)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        assert fetched(web, 1) == ["ok"]
    assert [str(warning.message) for warning in told if "socket" in str(warning.message)] == []


# --- deadlines -------------------------------------------------------------------------------------------------------


class _Timer:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call, self.is_set = at, call, True

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.is_set = False


class _Loop:
    """A loop whose time passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[_Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Callable[[], None]) -> _Timer:
        self.timers.append(_Timer(at, call))
        return self.timers[-1]

    def pass_to(self, at: float) -> None:
        while due := [timer for timer in self.timers if timer.is_set and timer.at <= at]:
            timer = min(due, key=_Timer.when)
            timer.is_set, self.now = False, timer.at
            timer.call()
        self.now = at


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> _Loop:
    made = _Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


def test_deadlines_share_a_timer_and_each_rings_at_its_time(loop: _Loop) -> None:
    deadlines, rung = Deadlines(), []
    for number in range(100):
        Clock(deadlines, 30.0 + number, lambda number=number: rung.append((number, loop.now)))  # type: ignore[misc]
    assert len(loop.timers) == 1
    loop.pass_to(31.5)
    assert rung == [(0, 30.0), (1, 31.0)]
    Clock(deadlines, 0.25, lambda: rung.append((-1, loop.now)))  # before all others
    loop.pass_to(32.5)
    assert rung[2:] == [(-1, 31.75), (2, 32.0)]
    deadlines.close()
    loop.pass_to(1000.0)
    assert len(rung) == 4


def test_a_clock_stands_still_while_it_is_stopped(loop: _Loop) -> None:
    deadlines, rung = Deadlines(), []
    clock = Clock(deadlines, 10.0, lambda: rung.append(loop.now))
    loop.pass_to(4.0)
    clock.stop()
    clock.stop()
    loop.pass_to(100.0)
    assert rung == []
    clock.go_on()
    clock.go_on()
    loop.pass_to(105.0)
    assert rung == []
    loop.pass_to(200.0)
    assert rung == [106.0]


def test_a_clock_is_given_less_time_but_never_more(loop: _Loop) -> None:
    deadlines, rung = Deadlines(), []
    first, second = (Clock(deadlines, 10.0, lambda: rung.append("late")) for _ in range(2))
    loop.pass_to(9.5)
    first.limit(1.0, lambda: rung.append(f"drained at {loop.now}"))
    loop.pass_to(9.75)
    second.limit(0.125, lambda: rung.append(f"drained at {loop.now}"))
    loop.pass_to(20.0)
    assert rung == ["drained at 9.875", "drained at 10.0"]


# --- permits --------------------------------------------------------------------------------------------------------


def test_permits_go_to_who_came_first_and_past_who_left() -> None:
    async def run() -> list[int]:
        permits, had = Permits(1), list[int]()

        async def take(number: int) -> None:
            await permits.take()
            had.append(number)

        assert permits.take_now()
        assert not permits.take_now()
        tasks = [asyncio.create_task(take(number)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        permits.give()
        tasks[0].cancel()  # it was given one, and will not take it
        await asyncio.sleep(0)
        permits.give()
        await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        permits.give()
        assert permits.take_now()
        assert not permits.take_now()
        return had

    assert asyncio.run(run()) == [2, 3]


# --- judging at once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "form", "hashed", "at_once"),
    [
        (JPEG, codec.Form(), False, True),
        (JPEG, codec.Form(256), False, False),
        (JPEG, codec.Form(), True, False),
        (photo(kind="PNG"), codec.Form(), False, False),
        (JPEG + bytes(1 << 17), codec.Form(), False, False),  # it might take long
        (JPEG[:-2], codec.Form(), False, False),  # a decoder is asked
    ],
)
def test_what_takes_no_decode_and_no_time_is_judged_at_once(
    content: bytes, form: codec.Form, hashed: bool, at_once: bool
) -> None:
    asked = (content, codec.Limits(), form, blocklists.read(()), ())
    found = judging.judge_at_once(*asked, hashed=hashed)
    assert (found is not None) is at_once
    if found is not None:
        assert found == judging.judge(*asked, hashed=hashed)


# --- turns -----------------------------------------------------------------------------------------------------------


def test_nobody_overtakes_who_waits_for_a_host() -> None:
    async def run() -> list[int]:
        slots = Slots(1, 1)
        group, circuit = hosts.Group(0.0, 8, slots, HASTE), hosts.Circuit(HASTE)
        had = list[int]()

        async def turn(number: int) -> None:
            (await group.turn(circuit)).leave()
            had.append(number)

        first = await group.turn(circuit)  # the only slot
        waiting = [asyncio.create_task(turn(number)) for number in range(3)]
        await asyncio.sleep(0)
        first.leave()
        await asyncio.gather(*waiting, turn(3))  # comes while they are being woken
        return had

    assert asyncio.run(run()) == [0, 1, 2, 3]


def test_who_leaves_the_line_for_a_host_keeps_nothing() -> None:
    async def run() -> None:
        slots = Slots(1, 1)
        group, other = (hosts.Group(0.0, 1, slots, HASTE, name) for name in ("a", "b"))
        circuit = hosts.Circuit(HASTE)
        first = await group.turn(circuit)
        waiting = [asyncio.create_task(group.turn(circuit)) for _ in range(3)]

        async def ask_elsewhere() -> None:
            (await other.turn(circuit)).leave()

        elsewhere = asyncio.create_task(ask_elsewhere())
        await asyncio.sleep(0)
        waiting[0].cancel()
        first.leave()
        waiting[1].cancel()  # it may have been given one, and will not take it
        turn = await waiting[2]
        turn.leave()
        turn.leave()
        await asyncio.gather(elsewhere, *waiting, return_exceptions=True)
        await asyncio.sleep(0)
        assert slots.take_now() is not None
        assert slots.take_now() is None
        assert (group._connections, other._connections, dict(slots.asking)) == (1, 1, {})

    asyncio.run(run())


def test_a_turn_is_one_wait_however_many_stand_in_line() -> None:
    """For a connection, for the pace and for a slot together: each would else be a task woken once more."""

    async def run() -> int:
        slots = Slots(2, 1)
        group, circuit = hosts.Group(0.0, 2, slots, HASTE), hosts.Circuit(HASTE)
        woken = 0

        class Counted:
            def __init__(self, turn: Any) -> None:
                self._turn = turn.__await__()

            def __await__(self) -> Any:
                nonlocal woken
                while True:
                    try:
                        waits = self._turn.send(None)
                    except StopIteration as done:
                        return done.value
                    woken += 1
                    yield waits

        async def ask() -> None:
            turn = await Counted(group.turn(circuit))
            await asyncio.sleep(0)
            turn.leave()

        await asyncio.gather(*(ask() for _ in range(40)))
        return woken

    assert asyncio.run(run()) <= 40


def test_a_request_that_went_out_again_keeps_its_distance_from_one_that_waits_for_a_slot() -> None:
    async def run() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        group, circuit = hosts.Group(1.0, 8, Slots(1, 1), HASTE), hosts.Circuit(HASTE)
        first = await group.turn(circuit)  # the only slot
        second = asyncio.create_task(group.turn(circuit))
        await asyncio.sleep(5)
        again = loop.time()
        first.sent_again()
        first.leave()
        return again, (await second).sent_at

    with asyncio.Runner(loop_factory=Waiting) as runner:
        again, then = runner.run(run())
    assert then >= again + 1.0


def test_requests_keep_their_distance_while_a_name_is_resolved_anew() -> None:
    """Each would else take its turn, wait for the answer, and leave with all others."""
    sent: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        chosen, nothing = options(robots=False, per_host=PerHost(requests_per_s=4, connections=4)), None
        known = hosts.Hosts(chosen, 1, 0, Slots(8, chosen.max_bytes), HASTE)
        client: Any = Client(*(nothing, SlowNames(), known, chosen, "pmd", {}, {}, nothing, nothing))  # type: ignore[arg-type]

        async def get(_: Any, target: Target, turn: hosts.Turn, *__: Any) -> None:
            await client._gate.named(target)
            sent.append(loop.time())
            raise Ended("server_error")

        async def ask() -> None:
            with contextlib.suppress(Ended):
                await client._answered(Answer("ok"), addresses.parse("http://one.test/a"), 0.0, lambda: False, get)

        await asyncio.gather(*(ask() for _ in range(8)))

    with asyncio.Runner(loop_factory=Waiting) as runner:
        runner.run(run())
    assert len(sent) == 8
    assert min(after - before for before, after in itertools.pairwise(sent)) >= 0.25


class SlowNames:
    """A resolver that has the answer after three seconds."""

    looked_up = 0

    def __init__(self) -> None:
        self._route = Route("one.test", 80, ("93.184.215.14",))
        self._began = asyncio.get_running_loop().time()
        self._at = self._began + 3.0
        self.looked_up = 0

    def ready(self, *_: object) -> Route | None:
        return self._route if asyncio.get_running_loop().time() >= self._at else None

    def answers_at_once(self, *_: object) -> bool:
        return False

    def began(self, *_: object) -> float:
        return self._began

    async def route(self, *_: object) -> Route:
        await asyncio.sleep(max(0.0, self._at - asyncio.get_running_loop().time()))
        return self._route
