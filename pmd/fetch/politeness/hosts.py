"""Politeness: how often and how widely a host is asked, and when it is left alone.

A *group* is a registrable domain, or several that the configuration names as one: pace, connections and pauses hold for
all its hosts together. A *circuit* is one host and port: where connecting fails again and again, the rest of its images
end the same way without being tried, and where its robots.txt has a Crawl-delay, its requests keep that too.

Everything runs in one event loop, whose clock is the only one read.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pmd.config.options import FetchOptions
from pmd.fetch.network import Network
from pmd.fetch.politeness import shares
from pmd.fetch.politeness.slots import Slot, Slots
from pmd.text import domain_names

#: How late a request may leave without all after it leaving later too. A loop wakes a millisecond or two after it was to,
#: and a lane that asks ten times a second lost 1.4 % of its rate by that. Of `shares.MARGIN_S` it takes as much.
_LATE_S: Final = 0.005


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long we wait for a host, and when we give up on it. All ours; none is a published figure.

    Attributes:
        backoff_s: First wait after a failure; doubled each time, plus up to half of it by chance.
        limit_s: The longest wait. A host that asks for a longer one is not asked again before, and its images end
            `rate_limited` meanwhile: sooner would be rude, and later would hold up the shard.
        refusals: Refusals in a row (429, 503), each after a wait, before a host is left alone: else one that refuses everything
            would keep a shard for as many waits as it has images.
        failures: Images in a row that could not be connected to, or that did not come in their time, before a host is left alone.
        open_s: How long it is left alone; then one image tries.
    """

    backoff_s: float = 1.0
    limit_s: float = 120.0
    refusals: int = 8
    failures: int = 10
    open_s: float = 300.0

    def backoff(self, failures: int, chance: float) -> float:
        """Return the wait after the n-th failure (from 1); `chance` in [0, 1) comes from the image, never a clock."""
        return float(min(self.limit_s, self.backoff_s * 2.0 ** (failures - 1) * (1 + chance / 2)))


class Paused(Exception):
    """The host wants to be left alone for longer than we wait, or has refused so often."""

    def __init__(self, seconds: float, refusals: int) -> None:
        super().__init__(
            f"the host wants no request for {seconds:.0f} s more, or has refused too often (in a row: {refusals})"
        )


class CircuitOpen(Exception):
    """The host has not been reached for so long that this image ends without being tried."""

    def __init__(self, status: str, failures: int) -> None:
        super().__init__(f"{failures} images in a row could not be had from the host")
        self.status = status


class Turn:
    """Leave to send one request: a connection of the host's, and a slot."""

    __slots__ = ("_holds", "circuit", "group", "sent_at", "slot")

    def __init__(self, group: Group, circuit: Circuit, slot: Slot, sent_at: float) -> None:
        self.group = group
        self.circuit = circuit
        self._holds = True  # the connection
        self.slot = slot
        self.sent_at = sent_at

    def sent_again(self) -> None:
        """Note that the request went out once more, since the host had closed the connection that was kept."""
        self.group.sent_again(self.circuit)

    def hang_up(self) -> None:
        """Give the connection back, the slot still held."""
        if self._holds:
            self._holds = False
            self.group.hung_up()

    def leave(self) -> None:
        """Give both back."""
        self.hang_up()
        self.slot.release()


class _Waiting(NamedTuple):
    """A request that waits for its turn."""

    turn: asyncio.Future[Turn]
    circuit: Circuit
    has_begun: bool


class Group:
    """What one registrable domain is asked, by this lane.

    Those who wait for a turn stand in one line. Whoever gives something back that the first of them may be waiting for looks
    after all, so that each of them is woken once: when it has its turn. Made in a running loop.
    """

    __slots__ = (
        "_connections", "_line", "_loop", "_next", "_patience", "_paused_at", "_paused_until", "_refusals", "_slots",
        "_spacing_s", "_timer", "_wishes", "name", "requests",
    )  # fmt: skip

    def __init__(self, spacing_s: float, connections: int, slots: Slots, patience: Patience, name: str = "") -> None:
        self.name = name
        self._loop = asyncio.get_running_loop()  # which to look up takes a call of the system's
        self._spacing_s = spacing_s
        self._connections = connections  # that are free
        self._slots = slots
        self._patience = patience
        # Made when somebody waits, which at most hosts nobody ever does: half a kilobyte.
        self._line: collections.deque[_Waiting] | None = None
        self._timer: asyncio.TimerHandle | None = None  # at which the line is looked after
        self._wishes = False  # for a slot
        self._next = 0.0
        self._paused_until = 0.0
        self._paused_at = 0.0
        self._refusals = 0
        self.requests = 0

    async def turn(self, circuit: Circuit, *, has_begun: bool = False) -> Turn:
        """Wait until a request may be sent: first in, first out.

        Requests are to leave so far apart that no second sees more than was agreed (`shares.spacing_s`); one that leaves a
        little late moves no other (`_LATE_S`). The slot is taken last: images that wait for a slow host keep nobody else waiting.

        Args:
            circuit: Of the host and port.
            has_begun: Whether something was asked for before that this request is for.

        Raises:
            Paused: The host is left alone for longer than we wait.
            CircuitOpen: It is given up; found out when the turn comes, since others may have tried meanwhile.
        """
        if circuit.gate is None or not circuit.delay_s:
            return await self._turn(circuit, has_begun=has_begun)
        async with circuit.gate:  # whoever waits for the delay keeps no other host of the group waiting
            await asyncio.sleep(circuit.tried_at + circuit.delay_s - self._loop.time())
            return await self._turn(circuit, has_begun=has_begun)

    async def _turn(self, circuit: Circuit, *, has_begun: bool) -> Turn:
        turn: asyncio.Future[Turn] = self._loop.create_future()
        if self._line is None:
            self._line = collections.deque()
        self._line.append(_Waiting(turn, circuit, has_begun))
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                turn.result().leave()
            raise

    def turn_now(self, circuit: Circuit) -> Turn | None:
        """Return leave to send a request if that takes no waiting; see `turn`."""
        if self._line or not self._connections or circuit.delay_s:  # nobody overtakes those who wait
            return None
        now = self._loop.time()
        circuit.check(now)
        if now < self._next or now < self._paused_until:
            return None
        slot = self._slots.take_now()
        return None if slot is None else self._given(circuit, slot, now)

    def _serve(self, slot: Slot | None = None) -> None:
        """Give turns to those who wait, as far as there are any; see to it that the others are looked after later.

        Args:
            slot: One that was wished for.
        """
        line, now = self._line, self._loop.time()
        while line and self._connections:
            first = line[0]
            if first.turn.done():  # it is not waited for any more
                line.popleft()
                continue
            try:
                first.circuit.check(now)
                self._check_pause(now)
            except (CircuitOpen, Paused) as no:
                line.popleft().turn.set_exception(no)
                continue
            wait_s = max(self._next, self._paused_until) - now
            if wait_s > 0:
                if self._timer is None:
                    self._timer = self._loop.call_later(wait_s, self._ring)
                break
            slot = slot or self._slots.take_now()
            if slot is None:
                if not self._wishes:
                    self._wishes = True
                    self._slots.wish(self._come, has_begun=first.has_begun)
                break
            line.popleft().turn.set_result(self._given(first.circuit, slot, now))
            slot = None
        if slot is not None:
            slot.release()

    def _ring(self) -> None:
        self._timer = None
        self._serve()

    def _come(self, slot: Slot) -> None:
        self._wishes = False
        self._serve(slot)

    def _check_pause(self, now: float) -> None:
        if self._paused_until - now > self._patience.limit_s:
            raise Paused(self._paused_until - now, self._refusals)

    def _given(self, circuit: Circuit, slot: Slot, now: float) -> Turn:
        circuit.tries(now)
        self._next = max(self._next, now - _LATE_S) + self._spacing_s
        self._connections -= 1
        self.requests += 1
        self._slots.asking[self.name] += 1
        return Turn(self, circuit, slot, now)

    def refused(self, sent_at: float, retry_after_s: float | None, chance: float) -> None:
        """Note a 429 or 503: everybody waits as long as the host asks, or twice as long as the last time.

        Answers to requests that were sent before the last refusal was known do not count again. A host that refuses again is not
        taken at its word for less than our own wait: some say 0 to everybody.
        """
        now = self._loop.time()
        if sent_at >= self._paused_at or not self._refusals:
            self._refusals += 1
            self._paused_at = now
        if retry_after_s is None:
            seconds = self._patience.backoff(self._refusals, chance)
        else:
            again = self._refusals - 1
            seconds = max(retry_after_s, self._patience.backoff(again, chance) if again else 0.0)
        if self._refusals >= self._patience.refusals:
            seconds = max(seconds, self._patience.open_s)
        self._paused_until = max(self._paused_until, now + seconds)

    def sent_again(self, circuit: Circuit) -> None:
        """Count a request more, and let the next one leave as much later."""
        self.requests += 1
        circuit.tried_at = self._loop.time()
        self._next = max(self._next, circuit.tried_at) + self._spacing_s

    def hung_up(self) -> None:
        """Note the end of a request, whose connection the next may have."""
        asking = self._slots.asking
        asking[self.name] -= 1
        if not asking[self.name]:
            del asking[self.name]
        self._connections += 1
        if self._line:
            self._serve()

    def served(self) -> None:
        """Note an answer that is no refusal."""
        self._refusals = 0


@dataclasses.dataclass(slots=True)
class Circuit:
    """Whether one host and port can be connected to at all, and its answers come to an end.

    Attributes:
        patience: After how many failures it opens, and for how long.
        failures: Images in a row that could not be connected to.
        late: Those in a row that had answers, and none that ended in its time.
        status: Of an image that is not asked for while it is open.
        until: When one may try again, by the clock of the lane.
        delay_s: Seconds that its requests keep between each other, beside the pace of their group.
        tried_at: When the last of them left.
        gate: Where those wait that keep it, one after the other.
    """

    patience: Patience
    failures: int = 0
    late: int = 0
    status: str = ""
    until: float = 0.0
    delay_s: float = 0.0
    tried_at: float = -math.inf
    gate: asyncio.Lock | None = None

    @property
    def _is_open(self) -> bool:
        return self.failures >= self.patience.failures or self.late >= self.patience.failures

    def check(self, now: float) -> None:
        """Let an image wait for its turn to try.

        Raises:
            CircuitOpen: It may not.
        """
        if (self.failures or self.late) and self._is_open and now < self.until:
            raise CircuitOpen(self.status, max(self.failures, self.late))

    def tries(self, now: float) -> None:
        """Note an image that tries: where the circuit is open, the others wait for what it finds."""
        self.tried_at = now
        if (self.failures or self.late) and self._is_open:
            self.until = now + self.patience.open_s

    def failed(self, status: str, *, answered: bool) -> None:
        """Note an image that could not be connected to, or had only answers without an end, however often it tried."""
        if answered:
            self.late += 1
        else:
            self.failures += 1
        self.status = status
        self.until = asyncio.get_running_loop().time() + self.patience.open_s

    def reached(self) -> None:
        """Note that the host answered, whatever it said."""
        self.failures = 0

    def ended(self) -> None:
        """Note an answer that came to its end."""
        self.late = 0


def named_groups(host_groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return host or domain → group, of the groups that the configuration names (`FetchOptions.host_groups`)."""
    return {host: name for name, hosts in host_groups.items() for host in hosts}


def group_name(host: str, named: Mapping[str, str]) -> str:
    """Return the name of a host's group: that which names the host or the nearest domain above it, else its own domain.

    Args:
        host: As in a URL; with the dot of the DNS's root it is the same host.
        named: As `named_groups` returns it.
    """
    host = host.rstrip(".") or host
    return next(
        (named[name] for name in domain_names.above(host) if name in named), domain_names.registrable_domain(host)
    )


class Hosts:
    """The groups and circuits of a lane.

    Args:
        options: `per_host` and `host_groups`.
        lanes: How many lanes there are.
        lane: Which this is, from 0.
        slots: Of the lane.
        patience: With each host.
    """

    def __init__(self, options: FetchOptions, lanes: int, lane: int, slots: Slots, patience: Patience) -> None:
        self._lanes = lanes
        self._spacing_s = shares.spacing_s(options.per_host.requests_per_s, lanes, lane)
        self._connections = shares.share(options.per_host.connections, lanes, lane)
        self._named = named_groups(options.host_groups)
        self._slots = slots
        self._network = Network()
        self.patience = patience
        self._groups: dict[str, Group] = {}
        self._of: dict[tuple[str, int], tuple[Group, Circuit]] = {}

    def of(self, host: str, port: int) -> tuple[Group, Circuit]:
        """Return the group and the circuit of a host and port."""
        found = self._of.get((host, port))
        if found is None:
            found = self._of[host, port] = self.group(host), Circuit(self.patience)
        return found

    def heard(self, turn: Turn) -> None:
        """Note that the host answered that gave a turn, whatever it said."""
        turn.circuit.reached()
        self._network.reached(turn.group.name)

    def group(self, host: str) -> Group:
        """Return the group of a host."""
        domain = group_name(host, self._named)
        group = self._groups.get(domain)
        if group is None:
            group = self._groups[domain] = Group(self._spacing_s, self._connections, self._slots, self.patience, domain)
        return group

    def reached(self, host: str, port: int) -> None:
        """Note that a host answered, whatever it said."""
        group, circuit = self.of(host, port)
        circuit.reached()
        self._network.reached(group.name)

    def unreached(self, host: str, status: str, error: str | None) -> None:
        """Note that a host was not reached; see `Network.unreached`.

        Raises:
            NetworkError: It is the network.
        """
        self._network.unreached(self.group(host).name, status, error, self._slots.asking)

    @property
    def answered(self) -> bool:
        """Whether any host has answered so far."""
        return self._network.answered

    def circuit(self, host: str, port: int) -> Circuit:
        """Return the circuit of a host and port."""
        return self.of(host, port)[1]

    def keep(self, host: str, port: int, delay_s: float) -> None:
        """Have the requests to a host and port keep a delay; of each lane as many times as long, since none knows of the others.

        One that is no longer than requests to the group are apart anyway is no delay.
        """
        of_lane_s = delay_s * self._lanes
        circuit = self.circuit(host, port)
        circuit.delay_s = of_lane_s if of_lane_s > self._spacing_s else 0.0
        if circuit.delay_s and circuit.gate is None:
            circuit.gate = asyncio.Lock()

    def requests(self) -> dict[str, int]:
        """Return how many requests each domain has had from this lane."""
        return {domain: group.requests for domain, group in self._groups.items()}
