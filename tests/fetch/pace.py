"""When requests leave, noted where they are given their turn, in whichever process: no load of the machine can bunch that.

A server sees requests when its own process gets to them, and on a busy machine that is several at once. Clocks are those that
all processes of a machine share (`time.monotonic`).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from pmd.fetch import transforms
from pmd.fetch.lane.stopping import Stop
from pmd.fetch.politeness import hosts, shares
from pmd.fetch.politeness.slots import Slot


class Turn(NamedTuple):
    """Leave to send a request: when it was given, and when its host's next may be."""

    at: float
    next_at: float


@contextlib.contextmanager
def noted(path: Path) -> Iterator[None]:
    """Note the turns that this process gives meanwhile in a file."""
    give = hosts.Group._given

    def given(group: hosts.Group, circuit: hosts.Circuit, slot: Slot, now: float) -> hosts.Turn:
        turn = give(group, circuit, slot, now)
        file.write(f"{group.name} {now!r} {group._next!r}\n")
        return turn

    with path.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts.Group, "_given", given)
        yield


class NotedLane(transforms.FetchLane):
    """A lane whose turns are noted beside its ROOT, whichever process it runs in."""

    def fetched(
        self, lane_batch: pa.RecordBatch, stop: Stop, check: Callable[[], None] = lambda: None
    ) -> Iterator[pa.RecordBatch]:
        """Fetch, and note."""
        with noted(file_of(Path(self.root).parent, lane_batch["lane"][0].as_py())):
            yield from super().fetched(lane_batch, stop, check)


def file_of(folder: Path, lane: int) -> Path:
    """Return where a lane's turns are noted."""
    return folder / f"turns-of-lane-{lane}"


def turns(path: Path, name: str) -> list[Turn]:
    """Return the turns that were given for a group of hosts, in their order."""
    lines = (line.split() for line in path.read_text().splitlines())
    return [Turn(float(at), float(next_at)) for of, at, next_at in lines if of == name]


def check(by_lane: Sequence[Sequence[Turn]], rate: int, window: int) -> None:
    """Check that lanes have kept a host's pace, each its share, and all together; and that none had to wait for longer.

    Args:
        by_lane: The turns of each, for one group of hosts.
        rate: Requests a second, of all.
        window: Requests in a row, of all lanes together, of which the time is looked at.
    """
    lanes = len(by_lane)
    for lane, given in enumerate(by_lane):
        spacing_s = shares.spacing_s(rate, lanes, lane)
        for (before, earlier), (after, later) in itertools.combinations(enumerate(given), 2):
            assert later.at - earlier.at >= (after - before) * spacing_s - hosts._LATE_S - 1e-6
        assert all(turn.next_at - turn.at <= spacing_s + 1e-6 for turn in given)
    together = sorted(turn.at for given in by_lane for turn in given)
    assert all(sum(at <= other < at + 1 for other in together) <= rate for at in together)
    spans = [later - earlier for earlier, later in zip(together, together[window:], strict=False)]
    # Each lane may have one request at either end of the time that these take.
    assert min(spans) >= (window - 2 * lanes) / rate
