"""Fetching in lanes: a lane is one key whose value is a list of fetch shards; each shard ends in a generation or in none.

On Beam a lane is an element, which an engine gives to a worker. On one machine each lane is a process of its own, without
Beam: its local runner would work them off one after the other, and several event loops under one GIL stand in each
other's way.
"""

from __future__ import annotations

import dataclasses
import datetime
import gc
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pmd import keys, parts, storage
from pmd.beam import mistakes, sight
from pmd.beam.against import listed_file
from pmd.errors import PmdError
from pmd.fetch import adopt, against, hosts, policies, state, store
from pmd.fetch.engine import Lane
from pmd.fetch.img2dataset import Img2dataset
from pmd.fetch.outcome import Fetched
from pmd.fetch.waiting import Waiting
from pmd.options import FetchOptions

SHARDS = pa.schema([pa.field("shard", pa.int32(), nullable=False)])


def shard_batch(shard: int) -> pa.RecordBatch:
    """Return a fetch shard as a batch of one row."""
    return pa.RecordBatch.from_pylist([{"shard": shard}], schema=SHARDS)


@dataclasses.dataclass(frozen=True)
class ToLane:
    """Give a shard its lane: round robin, fixed for the run, since a lane keeps its share of every host's limits."""

    lanes: int

    def __call__(self, batch: pa.RecordBatch) -> tuple[int, pa.RecordBatch]:
        """SHARDS of one row → (lane, SHARDS)."""
        return hosts.lane_of(int(batch.column(0)[0].as_py()), self.lanes), batch


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
        waiting: Where what cannot be reached waits for an answer of any host; None: it is settled, and no network is broken.
        index: What may be taken over (`adopt.write`).
    """

    root: str
    cut: parts.Cut
    options: FetchOptions
    contact: str
    retry: tuple[str, ...]
    lanes: int
    work: str
    began: datetime.datetime
    epoch: int = 0  # of the run
    waiting: Waiting | None = None
    index: str | None = None
    listed: str | None = None  # the folder of what lists say
    lost_only: bool = False  # nothing but what was lost to damage (`state.to_restore`)

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(lane, its SHARDS) → SHARDS that are done."""
        name = f"lane-{keyed[0]:05d}"
        counts = sight.Counts(self.work, name)

        def told(fetched: Fetched) -> None:
            counts.add(**{"images": 1, "bytes": fetched.bytes or 0, fetched.status: 1})

        with (
            policies.Kept(self.root, name, self.began) as robots_files,
            policies.Kept(self.root, name, self.began, "tdmrep") as reservations,
            Lane(
                self.options,
                contact=self.contact,
                lanes=self.lanes,
                number=keyed[0],
                policies=robots_files,
                reservations=reservations,
                began=self.began,
                stops=self.waiting is not None,
            ) as lane,
        ):
            theirs = self.options.engine == "img2dataset"
            fetcher = Img2dataset(lane, self.options, self.work) if theirs else lane
            for batch in sorted(keyed[1], key=lambda item: int(item.column(0)[0].as_py())):
                shard = int(batch.column(0)[0].as_py())
                part = shard >> (self.cut.shard_bits - self.cut.part_bits)
                images = parts.read_images(self.root, part)
                mine = images.filter(pc.equal(images["fetch_shard"], shard))
                if self.lost_only:
                    lost = state.to_restore(self.root, shard, state.read_ledger(self.root, shard))
                    mine = mine.filter(pc.is_in(mine["image_id"], value_set=keys.key_array(lost)))
                store.run_shard(
                    self.root,
                    shard,
                    mine,
                    options=self.options,
                    contact=self.contact,
                    lane=fetcher,
                    retry=self.retry,
                    epoch=self.epoch,
                    progress=told,
                    adopted=adopt.read(self.index, mine) if self.index is not None else None,
                    waiting=self.waiting,
                    listed=against.read(listed_file(self.listed, part), mine) if self.listed is not None else {},
                )
                if self.waiting is not None and lane.answered:
                    self.waiting.answered(name)
                yield batch


def run_lanes(lane: FetchLane, shards: Sequence[int]) -> None:
    """Fetch shards on this machine, each lane in a process of its own, and wait for all.

    Args:
        lane: Says how many lanes there are; its work folder is made, and removed at the end.
        shards: All that are to be fetched.

    Raises:
        PmdError: A lane met a user's mistake.
        RuntimeError: A lane died.
    """
    to_lane = ToLane(lane.lanes)
    mine: dict[int, list[pa.RecordBatch]] = {}
    for number, batch in map(to_lane, map(shard_batch, shards)):
        mine.setdefault(number, []).append(batch)
    storage.remove_tree(lane.work)
    storage.make_folder(lane.work)
    # Not forked: threads of Arrow's and of a runner's may hold locks in this process.
    processes = [
        multiprocessing.get_context("spawn").Process(
            target=_run_lane, args=(lane, number, batches), name=f"lane-{number}"
        )
        for number, batches in sorted(mine.items())
    ]
    try:
        with sight.Watch(lane.work):
            for process in processes:
                process.start()
            for process in processes:
                process.join()
        told = mistakes.read(lane.work)
        if told is not None:
            raise told
        died = [f"{process.name} (exit {process.exitcode})" for process in processes if process.exitcode]
        if died:
            raise RuntimeError(f"lanes of the fetch died: {', '.join(died)}")
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()
        storage.remove_tree(lane.work)


def _run_lane(lane: FetchLane, number: int, batches: list[pa.RecordBatch]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.freeze()  # what was imported stays: collecting looks through it no more
    try:
        for _ in lane((number, batches)):
            pass
    except PmdError as error:
        mistakes.leave(lane.work, error)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: ROOT has one writer, and that may soon be another."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
