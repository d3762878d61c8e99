"""Leases of lanes: of the copies of a lane that an engine may run, one at a time asks hosts.

A lane has its share of every host's rate. An engine runs it anew where it takes its worker for dead, and that may be alive: it
stood still, or only the engine does not reach it. An engine may also run a lane on whose driver is gone. So a copy works under a
lease in ROOT, taken and renewed by compare-and-swap. A second copy waits until the first has given it back, or has been silent
for so long that it asks no more; then it goes on where the commits of the first have got to.

No clock is compared with another machine's. Who waits counts the time since the file last changed; who holds counts from before
its last renewal that arrived, and asks no host after less than that. On one machine a lane is a process that ends with its
driver, and needs no lease.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Final

import orjson

from pmd.engines import ends
from pmd.store import storage, versions
from pmd.store.versions import Versioned

#: Seconds of silence after which a lease is over, and those after which it is renewed: three renewals may fail before it is lost.
#: Ours. A day of a lane is some 5,800 renewals, three requests each.
LEASE_S: Final = 60.0
RENEW_S: Final = 15.0
#: Seconds after which a holder that could not renew asks no host any more: what is under way then ends within the difference.
ASK_S: Final = 50.0
#: Seconds between two looks of who waits.
_LOOK_S: Final = 2.0

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
    """

    holder: str
    renewals: int = 0
    ended: bool = False

    def to_json(self) -> bytes:
        return orjson.dumps(self)


def _parse(content: bytes) -> _State:
    """Return what stands; what a power cut has broken was somebody's, who may live."""
    try:
        return _State(**orjson.loads(content))
    except (ValueError, TypeError):
        return _State("")


def path_of(folder: str, lane: str) -> str:
    """Return the file of a lane's lease."""
    return storage.join(folder, f"{lane}{_ENDING}")


def pause(seconds: float) -> None:
    """Wait a little for another copy; in tests, what lets it work."""
    time.sleep(seconds)


class Lease:
    """One that is held.

    Args:
        path: Its file.
        state: What was written there.
        seen: The file as it stood then.
        began: When the writing began, by the clock.
        wanted: Raises where the run is wanted no more.
        clock: Seconds that only rise.
    """

    def __init__(
        self,
        path: str,
        state: _State,
        seen: Versioned,
        began: float,
        wanted: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._path, self._state, self._seen = path, state, seen
        self._wanted, self._clock = wanted, clock
        self._until = began + ASK_S
        self._lost = False
        self._tell: Callable[[], None] | None = None

    @property
    def holds(self) -> bool:
        """Whether a host may be asked now."""
        return not self._lost and self._clock() < self._until

    def check(self) -> None:
        """Raise unless it is held: then another copy may have taken over.

        Raises:
            CalledOffError: It is not.
        """
        if not self.holds:
            raise ends.CalledOffError(f"{self._path}: another worker may have this lane now")

    def tell(self, call: Callable[[], None]) -> None:
        """Have something called when it is lost."""
        self._tell = call
        if self._lost:
            call()

    def renew(self) -> None:
        """Renew it, or find that it is lost: to another copy, by having stood still, or since nobody waits for the run."""
        began = self._clock()
        try:
            self._wanted()
            if self.holds and self._swap(ended=False):
                self._until = began + ASK_S
            else:
                self._lose()
        except ends.CalledOffError:
            self._lose()
        except Exception:  # noqa: BLE001  clients raise errors of their own; the next renewal may reach the storage
            if not self.holds:
                self._lose()

    def end(self) -> None:
        """Give it back, so that nobody waits for it; where the storage fails, it runs out."""
        with contextlib.suppress(Exception):
            self._swap(ended=True)

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
    folder: str, lane: str, wanted: Callable[[], None], clock: Callable[[], float] = time.monotonic
) -> Iterator[Lease]:
    """Hold the lease of a lane, for which another copy may have to be waited for; a thread renews it.

    Args:
        folder: In which the leases of all lanes stand.
        lane: Its name.
        wanted: Raises where the run is wanted no more: nobody waits on then, and the lease is lost.
        clock: Seconds that only rise.

    Raises:
        CalledOffError: What `wanted` raises.
    """
    lease = take(path_of(folder, lane), wanted, clock)
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(RENEW_S):
            lease.renew()

    thread = threading.Thread(target=keep, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        ended.set()
        thread.join()
        lease.end()


class _Watch:
    """What is seen of somebody's lease, and since when by one's own clock."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self.seen, self._since = versions.read(path), clock()

    def look(self) -> None:
        """Look again."""
        now = versions.read(self._path)
        if now != self.seen:
            self.seen, self._since = now, self._clock()

    @property
    def is_over(self) -> bool:
        """Whether nobody asks under it: there is none, it was given back, or has been silent for its time."""
        return self.seen is None or _parse(self.seen.content).ended or self._clock() - self._since >= LEASE_S


def take(path: str, wanted: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> Lease:
    """Wait for a lease, and take it; see `held`."""
    watch = _Watch(path, clock)
    while True:
        wanted()
        if (lease := _claimed(path, watch, wanted, clock)) is not None:
            return lease
        pause(_LOOK_S)
        watch.look()


def _claimed(path: str, watch: _Watch, wanted: Callable[[], None], clock: Callable[[], float]) -> Lease | None:
    """Return a lease, if it is over for whoever had it and nobody else comes first."""
    if not watch.is_over:
        return None
    mine, began = _State(uuid.uuid4().hex), clock()
    versions.swap(path, mine.to_json(), watch.seen, durable=False)
    watch.look()
    stands = watch.seen is not None and _parse(watch.seen.content).holder == mine.holder
    return Lease(path, mine, watch.seen, began, wanted, clock) if stands and watch.seen is not None else None


def _paths(folder: str) -> list[str]:
    return [storage.join(folder, name) for name in storage.list_files(folder) if name.endswith(_ENDING)]


def end_earlier(folder: str, clock: Callable[[], float] = time.monotonic) -> None:
    """Wait until no lane of an earlier run asks any host, and remove what they left. For ROOT's writer, before its lanes begin.

    Lanes of a run that is over hear of it with their next renewal, and those that are dead have been silent long enough after a
    lease's time: it is waited for so long at most.
    """
    watched = [_Watch(path, clock) for path in _paths(folder)]
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
    if paths and all(_Watch(path, time.monotonic).is_over for path in paths):
        storage.remove_tree(folder)
