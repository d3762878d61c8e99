"""Forecasts agree with what the engine's own pacer takes, in a time that passes only while everybody waits."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from pmd.config.options import FetchOptions, PerHost
from pmd.errors import ConfigError
from pmd.fetch.politeness import forecast, hosts, shares
from pmd.fetch.politeness.forecast import ARCHIVES, MANY, STORE, Shard
from pmd.fetch.politeness.slots import Slots
from pmd.text import domain_names


class Waiting(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while there is something to do, and then goes to the next timer at once."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class Late(Waiting):
    """Such a loop that wakes late, by another while at every timer."""

    def __init__(self, most_s: float) -> None:
        super().__init__()
        self._late_s = itertools.cycle([most_s * part / 7 for part in (3, 0, 7, 1, 6, 2, 7, 5)])

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when() + next(self._late_s))  # type: ignore[attr-defined]
        super()._run_once()


def left(requests: int, requests_per_s: int, late_s: float) -> list[float]:
    """Return when requests leave that one host is asked one after the other, by a loop that wakes as late as that."""
    patience = hosts.Patience()
    spacing_s = shares.spacing_s(requests_per_s, 1, 0)

    async def story() -> list[float]:
        group, circuit = hosts.Group(spacing_s, 1, Slots(1, 1), patience), hosts.Circuit(patience)
        times = []
        for _ in range(requests):
            turn = await group.turn(circuit)
            times.append(turn.sent_at)
            turn.leave()
        return times

    with asyncio.Runner(loop_factory=lambda: Late(late_s)) as runner:
        return runner.run(story())


def test_a_loop_that_wakes_a_little_late_costs_a_host_nothing_of_its_rate() -> None:
    """Requests that each waited from when the one before had left lost 2.6 % of the rate here."""
    times = left(500, 10, 0.005)
    assert times[-1] - times[0] <= 499 * shares.spacing_s(10, 1, 0) + 0.005 + 1e-6


@pytest.mark.parametrize("late_s", [0.001, 0.005, 0.02, 0.3])
def test_however_late_requests_leave_no_second_has_more_than_agreed(late_s: float) -> None:
    times = left(500, 10, late_s)
    closest = min(later - sooner for sooner, later in zip(times, times[10:], strict=False))
    assert closest >= 1 + shares.MARGIN_S - hosts._LATE_S - 1e-9, "the rest is for their way"


def paced(options: FetchOptions, lanes: int, lane: int, shards: list[dict[str, int]]) -> float:
    """Return the seconds in which a lane's pacer lets through the images of its shards, each `IMAGE_S` on its way."""
    patience = hosts.Patience()
    slots = Slots(options.concurrency, options.max_bytes)
    known = hosts.Hosts(options, lanes, lane, slots, patience)

    async def image(host: str) -> None:
        turn = await known.group(host).turn(known.circuit(host, 80))
        await asyncio.sleep(forecast.IMAGE_S)
        turn.leave()

    async def story() -> float:
        for shard in shards:
            await asyncio.gather(*(image(host) for host, count in shard.items() for _ in range(count)))
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=Waiting) as runner:
        return runner.run(story())


def chosen(requests_per_s: float = 10.0, connections: int = 8, **more: Any) -> FetchOptions:
    return FetchOptions(per_host=PerHost(requests_per_s=requests_per_s, connections=connections), **more)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (chosen(), "requests_per_s"),
        (chosen(0.5, 1), "requests_per_s"),
        (chosen(10.0, 8, lanes=4), "requests_per_s"),  # shares of 3, 3, 2 and 2
        (chosen(100.0, 7, lanes=2), "connections"),  # shares of 4 and 3
    ],
)
def test_a_fetch_takes_as_long_as_its_slowest_lane_is_paced(options: FetchOptions, limit: str) -> None:
    shards = [
        {"a.one.test": 60, "b.one.test": 30 + number, "two.test": 5 * number, "www.flickr.com": 3}
        for number in range(8)
    ]
    named = hosts.named_groups(options.host_groups)
    grouped: list[dict[str, int]] = [{} for _ in shards]
    for number, shard in enumerate(shards):
        for host, count in shard.items():
            name = hosts.group_name(host, named)
            grouped[number][name] = grouped[number].get(name, 0) + count
    found = forecast.forecast((Shard(number, counts) for number, counts in enumerate(grouped)), options)
    took = [
        paced(
            options, options.lanes, lane, [s for n, s in enumerate(shards) if shares.lane_of(n, options.lanes) == lane]
        )
        for lane in range(options.lanes)
    ]
    # Of each shard the last image's way, and before its first nobody waits.
    edge = (forecast.IMAGE_S + shares.spacing_s(options.per_host.requests_per_s, options.lanes, options.lanes - 1)) * 8
    assert found.hours * 3600 == pytest.approx(max(took), abs=edge)
    assert edge < max(took) / 4
    assert found.slowest is not None
    assert (found.slowest.host, found.slowest.images, found.slowest.limit) == ("one.test", 60 * 8 + 30 * 8 + 28, limit)


def test_concurrency_bounds_a_lane() -> None:
    options = chosen(concurrency=4)
    counts = {f"h{number}.test": 2 for number in range(100)}
    found = forecast.forecast([Shard(0, counts)], options)
    assert (found.slowest, found.lane_limit) == (None, "concurrency")
    assert found.hours * 3600 == pytest.approx(paced(options, 1, 0, [counts]), rel=0.01)


def test_a_lane_keeps_its_share_though_others_have_no_work() -> None:
    """Shards 0 and 2 are both the first lane's: half the pace, twice the time."""
    both = forecast.forecast([Shard(0, {"a.test": 900}), Shard(1, {"a.test": 900})], chosen(lanes=2))
    one = forecast.forecast([Shard(0, {"a.test": 900}), Shard(2, {"a.test": 900})], chosen(lanes=2))
    assert one.hours == pytest.approx(2 * both.hours)
    assert one.slowest is not None
    assert one.slowest.images_per_s == pytest.approx(1 / shares.spacing_s(10, lanes=2, lane=0))


def test_what_is_slowest_in_each_shard_adds_up() -> None:
    options = chosen(1.0, 8)
    found = forecast.forecast(
        [Shard(0, {"a.test": 100, "b.test": 10}), Shard(1, {"a.test": 10, "b.test": 100})], options
    )
    spacing = shares.spacing_s(1.0, lanes=1, lane=0)
    assert found.hours * 3600 == pytest.approx(200 * spacing)
    assert found.hosts[0].hours * 3600 == pytest.approx(110 * spacing)


def test_img2dataset_spares_no_host() -> None:
    ours = forecast.forecast([Shard(0, {"a.test": 1000})], chosen())
    theirs = forecast.forecast([Shard(0, {"a.test": 1000})], chosen(engine="img2dataset"))
    assert theirs.hours == pytest.approx(1000 * forecast.IMAGE_S / chosen().concurrency / 3600)
    assert theirs.hosts[0].limit == "concurrency"
    assert theirs.hours < ours.hours


def test_archives_and_strangers_are_held_up_by_no_host() -> None:
    counts = {ARCHIVES: 5000, STORE: 1000, MANY: 4000, "a.test": 100}
    found = forecast.forecast([Shard(0, counts, unasked=7)], chosen(concurrency=1000))
    assert found.hours * 3600 == pytest.approx(10_100 / forecast.LANE_IMAGES_PER_S)
    assert (found.slowest, found.lane_limit, found.unasked) == (None, "machine", 7)
    assert {host.host: host.limit for host in found.hosts} == {
        ARCHIVES: "machine",
        STORE: "machine",
        MANY: "machine",
        "a.test": "requests_per_s",
    }


def test_there_are_no_more_lanes_than_shards_nor_than_shares() -> None:
    assert forecast.forecast([Shard(0, {"a.test": 1})], chosen(lanes=8)).lanes == 1
    assert forecast.forecast([], chosen()).hours == 0
    with pytest.raises(ConfigError, match="more lanes than requests"):
        forecast.forecast([Shard(number, {"a.test": 1}) for number in range(4)], chosen(2.0, 8, lanes=4))


def test_the_dns_s_own_dot_is_no_other_host() -> None:
    named = hosts.named_groups({"flickr": ["flickr.com", "staticflickr.com"]})
    for host in ("live.staticflickr.com", "example.com", "a.b.example.co.uk", "127.0.0.1"):
        assert hosts.group_name(f"{host}.", named) == hosts.group_name(host, named)
        assert domain_names.registrable_domain(f"{host}.") == domain_names.registrable_domain(host)
    assert hosts.group_name("www.flickr.com.", named) == "flickr"
