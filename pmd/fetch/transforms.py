"""Fetching in lanes: a lane is one element, a list of fetch shards; each shard ends in a generation or in none.

On Beam an engine gives each lane to a worker, and may do so twice: a lease lets one copy ask at a time. On one machine each
lane is a process of its own, without Beam: its local runner would work them off one after the other, several event loops
under one GIL stand in each other's way, and a process can be asked to end with what it has. That is so of a single lane too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import gc
import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Final, cast
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from pmd import lean
from pmd.config.options import FetchOptions
from pmd.engines import counters, ends, mistakes, progress, workers
from pmd.errors import NetworkError, PmdError, WorkerFault
from pmd.fetch.adoption import adopt, renamed
from pmd.fetch.adoption.img2dataset import Img2dataset
from pmd.fetch.clock import utc_now
from pmd.fetch.generations import store
from pmd.fetch.generations.reports import Done, Reports
from pmd.fetch.generations.waiting import Waiting
from pmd.fetch.lane import leases, stopping
from pmd.fetch.lane.engine import Lane
from pmd.fetch.lane.stopping import Stop
from pmd.fetch.ledger import partitions, state
from pmd.fetch.lists import blocklists, reference_lists
from pmd.fetch.outcome import Fetched
from pmd.fetch.politeness import policies, shares
from pmd.schema import keys
from pmd.store import shortage, storage
from pmd.terminal import endings
from pmd.text import domain_names

#: Seconds in which this process hears of a signal that a lane has heard of.
_SIGNAL_S: Final = 0.5

#: Seconds that are waited at once: so late a clock that was set meanwhile is seen.
_WAIT_S: Final = 60.0

_NOTES: Final = logging.getLogger("pmd.notes")

SHARDS = pa.schema([pa.field("shard", pa.int32(), nullable=False)])


def shard_batch(shard: int) -> pa.RecordBatch:
    """Return a fetch shard as a batch of one row."""
    return pa.RecordBatch.from_pylist([{"shard": shard}], schema=SHARDS)


#: A lane, and the fetch shards that are its.
LANES = pa.schema(
    [pa.field("lane", pa.int32(), nullable=False), pa.field("shards", pa.list_(pa.int32()), nullable=False)]
)


def lane_batches(shards: Iterable[int], lanes: int) -> list[pa.RecordBatch]:
    """Return each lane that has shards as a batch of one row: round robin, fixed for the run, since a lane keeps its share."""
    mine: dict[int, list[int]] = {}
    for shard in sorted(shards):
        mine.setdefault(shares.lane_of(shard, lanes), []).append(shard)
    return [pa.RecordBatch.from_pylist([{"lane": lane, "shards": mine[lane]}], schema=LANES) for lane in sorted(mine)]


@dataclasses.dataclass(frozen=True)
class FetchLane:
    """Fetch a lane's shards, one after the other.

    Attributes:
        root: ROOT.
        cut: How its images are cut.
        options: How to fetch.
        contact: Who we are.
        retry: Statuses whose images are tried anew.
        lanes: How many lanes there are.
        work: The folder of this run.
        began: When the run began.
        epoch: Of the run.
        waiting: Where what cannot be reached waits for an answer of any host; None: it is settled, and no network is broken.
        index: What may be taken over (`adopt.write`).
        renamed: What the store has under another key (`renamed.write`).
        listed: The folder of what published lists say.
        hashed: Whether something asks for perceptual hashes (`asking.who`).
        lost_only: Whether nothing is asked for but what was lost to damage (`state.to_restore`).
        until: When it is asked to end with what it has; None: when it is done.
        folder: The configuration's, to which relative archives are.
        reports: Where it tells what it has done.
        leases: The folder of the leases; None: on this machine, where a lane is never doubled.
    """

    root: str
    cut: partitions.Cut
    options: FetchOptions
    contact: str
    retry: tuple[str, ...]
    lanes: int
    work: str
    began: datetime.datetime
    epoch: int = 0
    waiting: Waiting | None = None
    index: str | None = None
    renamed: str | None = None
    listed: str | None = None
    hashed: bool = True
    lost_only: bool = False
    until: datetime.datetime | None = None
    folder: str = ""
    reports: Reports | None = None
    leases: str | None = None

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """LANES of one row → SHARDS that are done.

        Raises:
            CalledOffError: The run is wanted no more, or another copy of the lane has taken over: the engine's next try waits
                for it.
        """
        if self.leases is None:
            yield from self._until_called_off(batch, Stop(), lambda: None)
            return
        with leases.held(
            self.leases,
            _name(batch),
            lambda: ends.check(self.work),
            # img2dataset cannot be told to pause.
            lost_s=leases.LOST_S if self.options.engine == "pmd" else leases.ASK_S,
            first_s=shares.spacing_s(self.options.per_host.requests_per_s, self.lanes, batch["lane"][0].as_py()),
        ) as lease:
            stop = Stop(lambda: not lease.is_lost, lambda: lease.holds)
            lease.tell(stop.ask)
            yield from self._until_called_off(batch, stop, lease.check)
            lease.check()

    def _until_called_off(
        self, batch: pa.RecordBatch, stop: Stop, check: Callable[[], None]
    ) -> Iterator[pa.RecordBatch]:
        for done in self.fetched(batch, stop, check):
            yield done
            ends.check(self.work)  # an engine may work on without its driver: no further request then

    def fetched(
        self, lane_batch: pa.RecordBatch, stop: Stop, check: Callable[[], None] = lambda: None
    ) -> Iterator[pa.RecordBatch]:
        """LANES of one row → SHARDS that are done; where it is asked to stop, the last one maybe in part.

        Args:
            lane_batch: The lane.
            stop: Asks it to.
            check: Raises where nothing is to be committed any more.
        """
        (row,) = lane_batch.to_pylist()
        name = _name(lane_batch)
        counts = progress.Counts(self.work, name)
        done: list[Done] = []

        def told(fetched: Fetched) -> None:
            for attempt in fetched.attempts:
                if attempt.seconds and (domain := _domain(attempt.location)):
                    counts.waited(domain, attempt.seconds)
            counts.add(**{"images": 1, "bytes": fetched.bytes or 0, fetched.status: 1})

        with (
            stopping.at(stop, self.until, utc_now()),
            policies.Kept(self.root, name, self.began, run=self.epoch) as robots_files,
            policies.Kept(self.root, name, self.began, "tdmrep", run=self.epoch) as reservations,
            Lane(
                self.options,
                contact=self.contact,
                lanes=self.lanes,
                number=row["lane"],
                policies=robots_files,
                reservations=reservations,
                stops=self.waiting is not None,
                stop=stop,
                hashed=self.hashed,
                folder=self.folder,
                blocklist=blocklists.of_root(self.root, self.options.blocklists),
            ) as lane,
        ):
            theirs = self.options.engine == "img2dataset"
            fetcher = Img2dataset(lane, self.options, self.work) if theirs else lane
            for shard in row["shards"]:
                if stop.asked:
                    return
                settled = store.settle_shard(self._order(shard, told, check), fetcher)
                if settled is not None:
                    done.append(settled)
                if self.leases is not None:
                    self._count(counts, shard, settled)
                if self.waiting is not None and lane.answered:
                    self.waiting.answered(name)
                yield shard_batch(shard)
        if self.reports is not None:
            self.reports.leave(name, done)

    def _order(self, shard: int, told: Callable[[Fetched], None], check: Callable[[], None]) -> store.Order:
        part = self.cut.part_of(shard)
        images = partitions.read_images(self.root, part)
        mine = images.filter(pc.equal(images["fetch_shard"], shard))
        if self.lost_only:
            known = state.own(self.root, shard)
            lost = state.to_restore(known, state.standing(known))
            mine = mine.filter(pc.is_in(mine["image_id"], value_set=keys.key_array(lost)))
        return store.Order(
            self.root,
            shard,
            mine,
            self.options,
            retry=self.retry,
            epoch=self.epoch,
            progress=told,
            adopted=adopt.read(self.index, mine) if self.index is not None else None,
            renamed=renamed.read(self.renamed, mine) if self.renamed is not None else None,
            waiting=self.waiting,
            listed=reference_lists.read(reference_lists.listed_file(self.listed, part), mine)
            if self.listed is not None
            else reference_lists.NO_LISTS,
            hashed=self.hashed,
            check=check,
        )

    def _count(self, counts: progress.Counts, shard: int, settled: Done | None) -> None:
        """Have an engine's counters tell of a shard; where another copy of this lane has settled it in this run, the progress.

        That one's own count is replaced by this one's.
        """
        if settled is not None:
            counters.count(counters.IMAGES, settled.commit.sources)
            return
        for generation in state.own(self.root, shard):
            if generation.epoch == self.epoch:
                statuses = Counter[str](generation.run.get("statuses", {}))
                counts.add(**{"images": statuses.total(), **statuses})


def _domain(location: str) -> str | None:
    """Return the registrable domain of a location's host, None where it has no host."""
    return _domain_of(location[:end] if (end := location.find("/", _SCHEME)) >= 0 else location)


#: Characters of a location before its host, at least as many as `https://` has, and at most as many as with a host's first.
_SCHEME: Final = len("https://")


@functools.lru_cache(maxsize=4096)
def _domain_of(beginning: str) -> str | None:
    host = urlsplit(beginning).hostname
    return domain_names.registrable_domain(host) if host else None


def lane_name(lane: int) -> str:
    """Return the name of a lane, under which it keeps what is its."""
    return f"lane-{lane:05d}"


def _name(lane_batch: pa.RecordBatch) -> str:
    return lane_name(lane_batch["lane"][0].as_py())


def run_lanes(lane: FetchLane, shards: Sequence[int], images: int) -> None:
    """Fetch shards on this machine, each lane in a process of its own, and wait for all.

    A lane that fails or dies ends the others, and an interrupt ends all: they commit what they have settled. So they do when
    the run's time is up; one that does not end then is ended, and leaves its shard in flight as it was. Only where the
    network is broken do they not, since what they have seen of it is then no better.

    Args:
        lane: Says how many lanes there are; its work folder is made, and removed at the end.
        shards: All that are to be fetched.
        images: How many that is, for who watches; 0: nobody knows.

    Raises:
        PmdError: A lane met a user's mistake or storage that fails, or died.
        WorkerFault: A lane met a fault of ours.
    """
    storage.remove_tree(lane.work)
    storage.make_folder(lane.work)
    processes = [_Process(lane, batch) for batch in lane_batches(shards, lane.lanes)]
    try:
        with progress.Watch(lane.work, progress.Total("images", images) if images else None):
            _start(processes)
            failed = _first_that_fails(processes, lane.until)
            if failed is not None:
                told = failed.told()
                if not isinstance(told, NetworkError):
                    _end(processes)
                raise told
    except KeyboardInterrupt:
        _NOTES.warning("what is settled is being committed; a second Ctrl-C ends at once")
        _end(processes)
        raise
    finally:
        for process in processes:
            process.kill()
        with contextlib.suppress(Exception):  # of storage, or its client: the next run removes it
            storage.remove_tree(lane.work)


class _Process:
    """The process of one lane."""

    def __init__(self, lane: FetchLane, batch: pa.RecordBatch) -> None:
        # Not forked: threads of Arrow's and of a runner's may hold locks in this process.
        context = multiprocessing.get_context("spawn")
        self._hears, tells = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_run_lane, args=(lane, batch, tells), name=f"lane {batch['lane'][0].as_py()} of {lane.lanes}"
        )
        self._ends_well = {0}

    def start(self) -> None:
        """Start it."""
        self._process.start()

    @property
    def ended(self) -> int:
        """What becomes ready when it has ended (`multiprocessing.connection.wait`)."""
        return self._process.sentinel

    @property
    def is_alive(self) -> bool:
        """Whether it was started and works."""
        return self._process.pid is not None and self._process.is_alive()

    @property
    def failed(self) -> bool:
        """Whether it has not ended well; asked when it is ending, which it may be a little before it has ended."""
        self._process.join()
        return self._process.exitcode not in self._ends_well

    def ask_to_end(self) -> None:
        """Ask it to end with what it has."""
        self._ends_well.add(-signal.SIGTERM)
        if self.is_alive:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self.is_alive:
            self._process.kill()
        if self._process.pid is not None:
            self._process.join()

    def told(self) -> PmdError | WorkerFault:
        """Return what it has met, or how it died."""
        with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):  # it died over telling
            if self._hears.poll():
                met: PmdError | WorkerFault = self._hears.recv()
                return met
        return PmdError(
            "a lane of the fetch died",
            where=self._process.name,
            found=workers.how(self._process.exitcode or 0),
            remedy="run the same command again: what was committed stays; if the system's memory ran out, with fewer "
            "fetch.lanes or a lower fetch.concurrency",
        )


def _start(processes: Sequence[_Process]) -> None:
    """Start processes, deaf to the signals that a terminal sends to all until they can heed them (`_run_lane`)."""
    multiprocessing.resource_tracker.ensure_running()  # it would undo the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, endings.SIGNALS)
    try:
        for process in processes:
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _first_that_fails(processes: Sequence[_Process], until: datetime.datetime | None) -> _Process | None:
    """Wait until one fails, or all have ended well, or should have.

    Lanes ask themselves to end when it is time. Their timers stand still where a machine sleeps, and heed no clock that is set
    while they run: so they are asked from here too, by the clock, and only then should have ended.
    """
    left = {process.ended: process for process in processes}
    ends_at: float | None = None  # of those that were asked, by a clock that is never set
    while left:
        wait_s = None if until is None else min(_WAIT_S, (until - utc_now()).total_seconds())
        if ends_at is not None:
            wait_s = max(0.0, ends_at - time.monotonic())
        elif wait_s is not None and wait_s <= 0:
            for process in left.values():
                process.ask_to_end()
            wait_s, ends_at = stopping.END_S, time.monotonic() + stopping.END_S
        ready = multiprocessing.connection.wait(list(left), wait_s)
        if not ready and ends_at is not None:
            return None
        for ended in ready:
            process = left.pop(cast(int, ended))
            if process.failed:
                # A signal to all of the command may have come to it first: then this one's is what is told.
                threading.Event().wait(_SIGNAL_S)
                return process
    return None


def _end(processes: Sequence[_Process]) -> None:
    """Ask all that are left to end with what they have, and wait a little for it."""
    for process in processes:
        process.ask_to_end()
    until = time.monotonic() + stopping.END_S
    while left := [process.ended for process in processes if process.is_alive]:
        if not multiprocessing.connection.wait(left, max(0.0, until - time.monotonic())):
            return


def _run_lane(lane: FetchLane, batch: pa.RecordBatch, tells: Connection) -> None:
    lean.begin()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    stop = Stop()
    came: list[int] = []

    def ask(signalled: int) -> None:
        came.append(signalled)
        stop.ask()

    endings.hear(ask)
    gc.freeze()  # what was imported stays: collecting looks through it no more
    try:
        with shortage.panics_as_errors():
            for _ in lane.fetched(batch, stop):
                pass
    except Exception as error:  # noqa: BLE001  the driver raises it
        tells.send(mistakes.told_of(error, lane.work))
        sys.exit(1)
    if came:  # it ends as a process ends that a signal ended
        signal.signal(came[0], signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, came)
        # To this thread: one to the process may go to the thread that waits for signals, and would end nothing.
        signal.pthread_kill(threading.get_ident(), came[0])


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: ROOT has one writer, and that may soon be another."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
