"""Hashing stored pictures on Beam: a fetch shard is a unit, and what comes of it is its own commit."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator

import pyarrow as pa

from pmd.engines import progress
from pmd.engines.transforms import outputs
from pmd.fetch.generations import hashing
from pmd.fetch.ledger import partitions


@dataclasses.dataclass(frozen=True)
class HashShard:
    """Compute the perceptual hashes that a shard lacks; see `hashing.run_shard`."""

    root: str
    max_pixels: int
    began: datetime.datetime
    epoch: int
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """SHARDS of one row → an empty batch of OUTPUTS."""
        shard = int(batch.column(0)[0].as_py())
        mine = partitions.read_shard(self.root, shard, ("image_id", "sources"))
        counts = progress.Counts(self.work, f"shard-{shard:05d}")
        order = hashing.Order(self.root, shard, mine, self.max_pixels, self.began, self.epoch)
        hashing.run_shard(order, lambda: counts.add(images=1))
        counts.write()
        yield outputs(())
