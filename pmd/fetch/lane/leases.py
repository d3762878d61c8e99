"""Leases of lanes: of the copies of a lane that an engine may run, one at a time asks hosts.

A lane has its share of every host's rate. An engine runs it anew where it takes its worker for dead, and that may be alive: it
stood still, or only the engine does not reach it. An engine may also run a lane on whose driver is gone. So a copy works under a
lease in ROOT, taken and renewed by compare-and-swap. A second copy waits until the first has given it back, is known to be dead,
or has been silent for so long that it asks no more; then it goes on where the commits of the first have got to. The driver
watches too, and gives such leases back, so that the time has often passed when an engine begins a copy. A worker that its engine
ends gives its own back: an engine that has lost one worker ends the others too, and begins all lanes anew.

No clock is compared with another machine's. Who waits counts the time since the file last changed; who holds counts from before
its last renewal that arrived, and asks no host after less than that. That is a pause and no end: where the storage was away for
a while and nobody has taken the lease, the next renewal arrives, and the lane goes on. So the time can be short, for which a host
is left alone where a lane dies, and lanes outlast storage that is away for longer. On one machine a lane is a process that ends
with its driver, and needs no lease.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import orjson

from pmd.engines import ends, leaving, meanwhile
from pmd.store import alive, storage, versions
from pmd.store.versions import Versioned

#: Three times in seconds. RENEW_S: when a lease is renewed. ASK_S: when a holder that could not renew asks no host any more,
#: until it can. LEASE_S: after so long a silence a lease is over. All ours, and each has its reason:
#:
#: - *9.5 is more than three times 3*, so that two renewals may fail unseen, and the third may take half a second; one renewal
#:   may take 3 s. Where the storage is slower a lane pauses now and then, and loses nothing else.
#: - *From 9.5 to 13 is 3.5 s* for a request that is on its way, a loop that was held up between its look and the request, and
#:   clocks that do not go alike: at the thousandth that two machines' may differ by that is a hundredth of a second.
#: - *13 is what a host may be left alone for*: of ten minutes at most 13 s may go to a death for .9 of the agreed rate to be left
#:   of the .92 that lanes keep. Shorter would gain little: an engine takes some ten seconds to begin a lane anew.
#: - *3 costs*: a day of a lane is 28,800 renewals, one write and two reads each, and 86,400 looks of the driver: at an object
#:   store's usual $5 for a million writes and $0.40 for as many reads some 20 cents.
RENEW_S: Final = 3.0
ASK_S: Final = 9.5
LEASE_S: Final = 13.0
#: Seconds after which a holder that could not renew gives it up: those for which a stage waits for storage, about.
LOST_S: Final = 60.0
#: Seconds between two looks of who waits, and of the driver.
_LOOK_S: Final = 1.0

#: Tries at a renewal whose answers are lost.
_TRIES: Final = 3

_NOTES: Final = logging.getLogger("pmd.notes")
_ENDING: Final = ".json"


@dataclasses.dataclass(frozen=True)
class _State:
    """What stands in the file.

    Attributes:
        holder: Which copy.
        renewals: How often it was renewed: equal bytes may be one version.
        ended: Whether it was given back.
        process: Whose it is (`alive.name`); "": nobody can tell.
    """

    holder: str
    renewals: int = 0
    ended: bool = False
    process: str = ""

    def to_json(self) -> bytes:
        return orjson.dumps(self)


def _parse(content: bytes) -> _State:
    """Return what stands; what a power cut has broken, or is none of ours, was somebody's, who may live."""
    try:
        state = _State(**orjson.loads(content))
    except (ValueError, TypeError):
        return _State("")
    ours = (str, int, bool, str)
    return state if tuple(map(type, dataclasses.astuple(state))) == ours else _State("")


def path_of(folder: str, lane: str) -> str:
    """Return the file of a lane's lease."""
    return storage.join(folder, f"{lane}{_ENDING}")


def pause(seconds: float) -> None:
    """Wait a little for another copy; in tests, what lets it work."""
    time.sleep(seconds)


def _now_s() -> float:
    """Return the seconds since this machine's start, those in which it slept too, where the system counts them."""
    return time.clock_gettime(_CLOCK)


_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Lease:
    """One that is held.

    Args:
        path: Its file.
        state: What was written there.
        seen: The file as it stood then.
        began: When the writing began, by the clock.
        wanted: Raises where the run is wanted no more.
        clock: Seconds that only rise.
        lost_s: Seconds without a renewal after which it is lost; `ASK_S`: who holds it cannot pause.
    """

    def __init__(
        self,
        path: str,
        state: _State,
        seen: Versioned,
        began: float,
        wanted: Callable[[], None],
        clock: Callable[[], float],
        lost_s: float,
    ) -> None:
        self._path, self._state, self._seen = path, state, seen
        self._wanted, self._clock, self._lost_s = wanted, clock, lost_s
        self._renewed = began
        self._renewing = threading.Lock()
        self._lost = False
        self._tell: Callable[[], None] | None = None

    @property
    def holds(self) -> bool:
        """Whether a host may be asked now."""
        return not self._lost and self._clock() < self._renewed + ASK_S

    @property
    def is_lost(self) -> bool:
        """Whether no host may be asked any more, ever; else, where it does not hold, it may again."""
        return self._lost or self._clock() >= self._renewed + self._lost_s

    def check(self) -> None:
        """Raise unless it is held: then another copy may have taken over. Where it cannot be renewed just now, wait for that.

        Raises:
            CalledOffError: It is not.
        """
        while not self.holds:
            self.renew()
            if self.is_lost:
                raise ends.CalledOffError(f"{self._path}: another worker may have this lane now")
            if not self.holds:
                pause(_LOOK_S)

    def tell(self, call: Callable[[], None]) -> None:
        """Have something called when it is lost."""
        self._tell = call
        if self._lost:
            call()

    def renew(self) -> None:
        """Renew it, or find that it is lost: to another copy, after too long a time, or since nobody waits for the run."""
        with self._renewing:
            began = self._clock()
            try:
                self._wanted()
                # Also not if its time ran out meanwhile: whoever asked then was told that it is lost, and has begun to end.
                if not self.is_lost and self._swap(ended=False) and not self.is_lost:
                    self._renewed = began
                else:
                    self._lose()
            except ends.CalledOffError:
                self._lose()
            except Exception:  # noqa: BLE001  clients raise errors of their own; the next renewal may reach the storage
                if self.is_lost:
                    self._lose()

    def end(self) -> None:
        """Give it back, so that nobody waits for it; where the storage fails, it runs out."""
        with self._renewing, contextlib.suppress(Exception):
            self._swap(ended=True)

    def let_go(self) -> None:
        """Give it back though the lane has not ended, since its process is about to: it asks nobody from here on."""
        self._lose()
        self.end()

    def _swap(self, *, ended: bool) -> bool:
        """Write the next state; return whether it stands."""
        for _ in range(_TRIES):
            state = dataclasses.replace(self._state, renewals=self._state.renewals + 1, ended=ended)
            versions.swap(self._path, state.to_json(), self._seen, durable=False)
            standing = versions.read(self._path)
            if standing is None or _parse(standing.content).holder != self._state.holder:
                return False
            self._state, self._seen = _parse(standing.content), standing
            if self._state == state:  # else the answer to an earlier write was lost, and that one stands
                return True
        return False

    def _lose(self) -> None:
        if self._lost:
            return
        self._lost = True
        if self._tell is not None:
            self._tell()


@contextlib.contextmanager
def held(
    folder: str,
    lane: str,
    wanted: Callable[[], None],
    clock: Callable[[], float] = _now_s,
    *,
    lost_s: float = LOST_S,
    first_s: float = 0.0,
) -> Iterator[Lease]:
    """Hold the lease of a lane, for which another copy may have to be waited for; a thread renews it.

    Args:
        folder: In which the leases of all lanes stand.
        lane: Its name.
        wanted: Raises where the run is wanted no more: nobody waits on then, and the lease is lost.
        clock: Seconds that only rise.
        lost_s: See `Lease`.
        first_s: Seconds that it is held before anything is done: those between two requests of a lane, of which another copy may
            just have sent one.

    Raises:
        CalledOffError: What `wanted` raises.
    """
    lease = take(path_of(folder, lane), wanted, clock, lost_s=lost_s)
    try:
        with leaving.before(lease.let_go), meanwhile.looking(RENEW_S, lease.renew, "lease"):
            pause(first_s)
            yield lease
    finally:
        lease.end()


class _Watch:
    """What is seen of somebody's lease, and since when by one's own clock."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self.seen, self._since = self._read(), clock()

    def _read(self) -> Versioned | None:
        return versions.read(self._path)

    def look(self) -> None:
        """Look again."""
        now = self._read()
        if now != self.seen:
            self.seen, self._since = now, self._clock()

    @property
    def is_over(self) -> bool:
        """Whether nobody asks under it: there is none, it was given back, its process is dead, or it was silent for its time."""
        if self.seen is None:
            return True
        state = _parse(self.seen.content)
        return state.ended or alive.is_dead(state.process) or self._clock() - self._since >= LEASE_S


class _OfEarlier(_Watch):
    """The same of a run that is over: where it cannot be read, that is said once, and it is somebody's, who may live."""

    seen: Versioned | None = Versioned(b"", "")
    _is_said = False

    def _read(self) -> Versioned | None:
        try:
            return super()._read()
        except Exception as error:  # noqa: BLE001  clients raise errors of their own, and a file may be damaged
            if not self._is_said:
                self._is_said = True
                _NOTES.warning("%s: the lease of a lane cannot be read (%s), and is taken for held", self._path, error)
            return self.seen


class Attendant:
    """Gives back the leases of lanes that are dead or were silent for their time, so that a copy that is begun need not wait.

    An engine takes a while to find that a worker is dead, and to begin its lane anew. A copy that would only then begin to
    wait for the lease would add the one to the other.

    Args:
        folder: In which the leases of all lanes stand.
        lanes: Their names.
        clock: Seconds that only rise.
    """

    def __init__(self, folder: str, lanes: Iterable[str], clock: Callable[[], float] = _now_s) -> None:
        self._paths = [path_of(folder, lane) for lane in lanes]
        self._clock = clock
        self._watches: dict[str, _Watch] = {}
        #: Since when some could not be looked at, and of which of them that was said.
        self._failing: dict[str, float] = {}
        self._said: set[str] = set()

    def look(self) -> None:
        """Look at all, and give back those that are over; one that cannot be looked at holds up no other."""
        for path in self._paths:
            try:
                self._attend(path)
                self._failing.pop(path, None)
            except Exception as error:  # noqa: BLE001  clients raise errors of their own, and a file may be damaged
                self._failed(path, error)

    def _attend(self, path: str) -> None:
        if path not in self._watches:
            self._watches[path] = _Watch(path, self._clock)
        watch = self._watches[path]
        watch.look()
        if watch.seen is not None and watch.is_over:
            state = _parse(watch.seen.content)
            if not state.ended:
                over = dataclasses.replace(state, renewals=state.renewals + 1, ended=True)
                versions.swap(path, over.to_json(), watch.seen, durable=False)

    def _failed(self, path: str, error: Exception) -> None:
        """Say once of a lease that it cannot be looked at, where that lasts: storage that is away for a while is waited for."""
        now = self._clock()
        if now - self._failing.setdefault(path, now) >= LOST_S and path not in self._said:
            self._said.add(path)
            _NOTES.warning("%s: the lease of this lane cannot be looked at (%s); the other lanes go on", path, error)


@contextlib.contextmanager
def attended(folder: str, lanes: Iterable[str]) -> Iterator[None]:
    """Attend to the leases of a run's lanes meanwhile, in a thread. For the driver."""
    with meanwhile.looking(_LOOK_S, Attendant(folder, lanes).look, "leases"):
        yield


def take(
    path: str, wanted: Callable[[], None], clock: Callable[[], float] = _now_s, *, lost_s: float = LOST_S
) -> Lease:
    """Wait for a lease, and take it; see `held`."""
    watch = _Watch(path, clock)
    while True:
        wanted()
        if (lease := _claimed(path, watch, wanted, clock, lost_s)) is not None:
            return lease
        pause(_LOOK_S)
        watch.look()


def _claimed(
    path: str, watch: _Watch, wanted: Callable[[], None], clock: Callable[[], float], lost_s: float = LOST_S
) -> Lease | None:
    """Return a lease, if it is over for whoever had it and nobody else comes first."""
    if not watch.is_over:
        return None
    mine, began = _State(uuid.uuid4().hex, process=alive.name()), clock()
    versions.swap(path, mine.to_json(), watch.seen, durable=False)
    watch.look()
    stands = watch.seen is not None and _parse(watch.seen.content).holder == mine.holder
    return Lease(path, mine, watch.seen, began, wanted, clock, lost_s) if stands and watch.seen is not None else None


def _paths(folder: str) -> list[str]:
    return [storage.join(folder, name) for name in storage.list_files(folder) if name.endswith(_ENDING)]


def end_earlier(folder: str, clock: Callable[[], float] = _now_s) -> None:
    """Wait until no lane of an earlier run asks any host, and remove what they left. For ROOT's writer, before its lanes begin.

    Lanes of a run that is over hear of it with their next renewal, and those that are dead have been silent long enough after a
    lease's time: it is waited for so long at most. Those of this machine are seen to be dead. One whose lease cannot be read may
    live as well.
    """
    watched = [_OfEarlier(path, clock) for path in _paths(folder)]
    if not watched:
        return
    if any(not watch.is_over for watch in watched):
        _NOTES.warning("lanes of an earlier run may still ask: waiting until they have ended, %.0f s at most", LEASE_S)
    while watched := [watch for watch in watched if not watch.is_over]:
        pause(_LOOK_S)
        for watch in watched:
            watch.look()
    storage.remove_tree(folder)


def remove_ended(folder: str) -> None:
    """Remove the leases if all were given back; else the next run waits for the others. For ROOT's writer, at its end."""
    paths = _paths(folder)
    if paths and all(_OfEarlier(path, _now_s).is_over for path in paths):
        storage.remove_tree(folder)
