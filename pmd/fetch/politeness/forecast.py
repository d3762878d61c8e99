"""How long a fetch takes, at the least: the engine's own limits on hosts and lanes, laid on counts of images by host.

A lane keeps its share of a host's requests and connections whether or not the other lanes have work, and works off its
fetch shards one after the other; in each, whatever is slowest counts: a host group, or the lane itself. Redirects,
robots.txt, retries and hosts that ask for patience come on top. Pure arithmetic, on what `hosts` paces by.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from pmd.config.options import FetchOptions
from pmd.fetch.politeness import shares

#: Seconds that an image keeps a connection: four round trips of 90 ms. That is what Verizon's service level agreement
#: allows between New York and London; and COCO's mean photograph, 163 kB, takes four from a first window of ten segments
#: (RFC 6928) that doubles with each, as after every pause of a paced connection (RFC 5681 §4.1).
IMAGE_S: Final = 0.36

#: Images a second of one lane on a core of its own, resized: 520 in two lanes (docs/benchmarks/pictures.md, Fetching).
LANE_IMAGES_PER_S: Final = 260.0

#: In the place of a host group: images of archives, those that the store has under another key, and those of more hosts than
#: are known. No host holds them up.
ARCHIVES: Final = "(archives)"
STORE: Final = "(the store)"
MANY: Final = "(many hosts)"
_UNHURRIED: Final = frozenset({ARCHIVES, STORE, MANY})

#: What bounds the images a second of a host or lane; the first two are options of `fetch.per_host`.
Limit = Literal["requests_per_s", "connections", "concurrency", "machine"]


class Pace(NamedTuple):
    """Images a second, at most, and what bounds them."""

    images_per_s: float
    limit: Limit


@dataclasses.dataclass(frozen=True)
class Shard:
    """The images of one fetch shard: host group, `ARCHIVES`, `STORE` or `MANY` → how many.

    `unasked` have no location, or none that may be asked: they end at once.
    """

    number: int
    images: Mapping[str, int]
    unasked: int = 0


@dataclasses.dataclass(frozen=True)
class HostForecast:
    """What one host group has, and how long the slowest lane is busy with its share of it.

    `images_per_s` is that of all lanes together, from the first image to the last.
    """

    host: str
    images: int
    images_per_s: float
    hours: float
    limit: Limit


@dataclasses.dataclass(frozen=True)
class Forecast:
    """How long a fetch takes.

    Attributes:
        lanes: As many as there are shards, at most.
        hours: Of the slowest lane: at least as long as any host, and as `lane_hours`.
        lane_hours: Of the slowest lane, if no host held it up.
        lane_limit: What bounds a lane.
        hosts: Slowest first.
        unasked: Images that end without a request.
    """

    lanes: int
    hours: float
    lane_hours: float
    lane_limit: Limit
    hosts: tuple[HostForecast, ...]
    unasked: int

    @property
    def slowest(self) -> HostForecast | None:
        """The host group that decides how long the fetch takes; None where the lanes themselves do."""
        named = next((host for host in self.hosts if host.host not in _UNHURRIED), None)
        return named if named is not None and named.hours >= self.lane_hours else None


def host_pace(options: FetchOptions, lanes: int, lane: int) -> Pace:
    """Return what a lane gets of one host group; img2dataset, as the engine, spares no host."""
    if options.engine == "img2dataset":
        return lane_pace(options)
    by_requests = 1 / shares.spacing_s(options.per_host.requests_per_s, lanes, lane)
    by_connections = shares.share(options.per_host.connections, lanes, lane) / IMAGE_S
    return min(Pace(by_requests, "requests_per_s"), Pace(by_connections, "connections"))


def lane_pace(options: FetchOptions) -> Pace:
    """Return what a lane gets through where no host holds it up."""
    return min(Pace(LANE_IMAGES_PER_S, "machine"), Pace(options.concurrency / IMAGE_S, "concurrency"))


def forecast(shards: Iterable[Shard], options: FetchOptions) -> Forecast:
    """Lay a fetch's limits on what there is to fetch.

    Args:
        shards: Those with images that are to be asked for; read once, none of them kept.
        options: Limits and lanes.

    Raises:
        ConfigError: There are more lanes than a host's limits have shares.
    """
    coming = iter(shards)
    first = list(itertools.islice(coming, options.lanes))
    lanes = len(first)
    shares.check_lanes(options.per_host, lanes)
    pace = [host_pace(options, lanes, lane) for lane in range(lanes)]
    through = lane_pace(options)
    by_lane: list[collections.Counter[str]] = [collections.Counter() for _ in range(lanes)]
    seconds = [0.0] * lanes
    unasked = 0
    for shard in itertools.chain(first, coming):
        lane = shares.lane_of(shard.number, lanes)
        by_lane[lane].update(shard.images)
        unasked += shard.unasked
        slowest = max((count for host, count in shard.images.items() if host not in _UNHURRIED), default=0)
        seconds[lane] += max(slowest / pace[lane].images_per_s, sum(shard.images.values()) / through.images_per_s)
    estimates = [
        _host(host, [counts[host] for counts in by_lane], [through] * lanes if host in _UNHURRIED else pace)
        for host in set().union(*by_lane)
    ]
    lane_hours = max((counts.total() for counts in by_lane), default=0) / through.images_per_s / 3600
    return Forecast(
        lanes=lanes,
        # The first is never under the others, but for rounding.
        hours=max(max(seconds, default=0.0) / 3600, lane_hours, *(host.hours for host in estimates)),
        lane_hours=lane_hours,
        lane_limit=through.limit,
        hosts=tuple(sorted(estimates, key=lambda host: (-host.hours, host.host))),
        unasked=unasked,
    )


def _host(host: str, counts: list[int], pace: list[Pace]) -> HostForecast:
    """Return the forecast of one host group from its images in each lane, and each lane's pace with it."""
    seconds, limit = max((count / of.images_per_s, of.limit) for count, of in zip(counts, pace, strict=True))
    return HostForecast(host, sum(counts), sum(counts) / seconds, seconds / 3600, limit)
