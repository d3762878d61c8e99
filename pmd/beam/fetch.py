"""Fetching on Beam: a lane is one key whose value is a list of fetch shards; each shard ends in a generation or in none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pmd import parts
from pmd.beam import sight
from pmd.fetch import adopt, robots, store
from pmd.fetch.engine import Lane
from pmd.fetch.outcome import Fetched
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
        return int(batch.column(0)[0].as_py()) % self.lanes, batch


@dataclasses.dataclass(frozen=True)
class FetchLane:
    """Fetch a lane's shards, one after the other."""

    root: str
    cut: parts.Cut
    options: FetchOptions
    contact: str
    retry: tuple[str, ...]
    lanes: int
    work: str
    index: str | None = None

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(lane, its SHARDS) → SHARDS that are done."""
        policies, reservations = robots.read_policies(self.root), robots.read_policies(self.root, "tdmrep")
        counts = sight.Counts(self.work, f"lane-{keyed[0]:05d}")

        def told(fetched: Fetched) -> None:
            counts.add(**{"images": 1, "bytes": fetched.bytes or 0, fetched.status: 1})

        with Lane(
            self.options,
            contact=self.contact,
            lanes=self.lanes,
            number=keyed[0],
            policies=policies,
            reservations=reservations,
        ) as lane:
            for batch in sorted(keyed[1], key=lambda item: int(item.column(0)[0].as_py())):
                shard = int(batch.column(0)[0].as_py())
                images = parts.read_images(self.root, shard >> (self.cut.shard_bits - self.cut.part_bits))
                mine = images.filter(pc.equal(images["fetch_shard"], shard))
                store.run_shard(
                    self.root,
                    shard,
                    mine,
                    options=self.options,
                    contact=self.contact,
                    lane=lane,
                    retry=self.retry,
                    progress=told,
                    adopted=adopt.read(self.index, mine) if self.index is not None else None,
                )
                yield batch
        robots.write_policies(self.root, f"lane-{keyed[0]:05d}", policies)
        robots.write_policies(self.root, f"lane-{keyed[0]:05d}", reservations, "tdmrep")
