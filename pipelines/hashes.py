"""Hash stored pictures: those whose perceptual hash something has begun to ask for → generations of the ledger; no web."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import apache_beam as beam
import pyarrow.compute as pc

from pipelines import running
from pmd.config import Config
from pmd.dedupe import rules as dedupe_rules
from pmd.engines.progress import Total
from pmd.engines.transforms import End, Spread, create, per_task
from pmd.fetch.clock import utc_now
from pmd.fetch.generations import claims, hashing, refusals
from pmd.fetch.hash_transforms import HashShard
from pmd.fetch.ledger import asking, partitions
from pmd.fetch.transforms import shard_batch
from pmd.schema import keys
from pmd.store import register, root
from pmd.store.register import Register
from pmd.store.standing import Standing
from pmd.terminal import bar


def build(config: Config, flags: Sequence[str] = ()) -> bool:
    """Compute all hashes that are missing, each shard's in a generation of its own; say which pictures turned out to be none.

    What was committed when a run died stays, and the next run does the rest.

    Returns:
        Whether any was missing.

    Raises:
        VerificationError: A stored picture is damaged.
    """
    standing = Standing(config.root)
    missing = asking.missing(standing)
    if not missing:
        return False
    lock = root.writing(config.root)
    first = {shard: standing.generations.next(shard) for shard in missing}
    known = claims.begin(standing.generations, sorted(missing), lock.epoch, lock.check)
    work = root.work_folder(config.root, "hashes")
    hash_shard = HashShard(config.root, config.fetch.max_pixels, utc_now(), lock.epoch, work)

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Shards" >> create([shard_batch(shard) for shard in sorted(missing)])
            | "Spread" >> Spread()
            | "Hash" >> per_task(hash_shard)
            | "End" >> End(work)
        )

    try:
        images = sum(missing.values())
        running.run(wire, flags, work, running.picture_bytes(images), total=Total("images", images))
    finally:
        lock.check()
        known = claims.end(known, sorted(missing), lock.epoch, lock.check)
    _tell(known, first)
    return True


def settle(config: Config, refused: refusals.Refusals) -> None:
    """Settle images whose stored pictures are none, and those that gave way to them because they have the same bytes."""
    groups = dedupe_rules.read_groups(config.root)
    groups = groups.filter(pc.equal(groups["relation"], dedupe_rules.SAME_BYTES))
    alike = zip(groups["image_id"].to_pylist(), groups["kept_id"].to_pylist(), strict=True)
    every = {image_id: refused[kept] for image_id, kept in alike if kept in refused} | dict(refused)
    cut = partitions.cut(config.root)
    lock = root.writing(config.root)
    began = utc_now()
    known = register.current(config.root)
    shards = sorted({keys.partition_of(image_id, cut.shard_bits) for image_id in every})
    first = {shard: known.next(shard) for shard in shards}
    known = claims.begin(known, shards, lock.epoch, lock.check)
    for shard in shards:
        order = hashing.Order(
            config.root,
            shard,
            partitions.read_shard(config.root, shard, ("image_id", "sources")),
            config.fetch.max_pixels,
            began,
            lock.epoch,
        )
        refusals.settle(order, every)
    _tell(claims.end(known, shards, lock.epoch, lock.check), first)


#: Bits of 256 in which the hash of a picture that was scaled to 256 px differs from its original's, in the mean; at most 24
#: (benchmarks/scaled_hashes.py).
SCALED_BITS: Final = 13


def _tell(known: Register, first: dict[int, int]) -> None:
    """Say how many pictures were found to be none, by status, and how many hashes are not those of originals."""
    statuses: Counter[str] = Counter()
    scaled = 0
    for shard, number in first.items():
        for generation in known.of(shard):
            if generation.number >= number:
                statuses.update(generation.run["statuses"])
                scaled += generation.run.get("hashed_scaled", 0)
    if scaled:
        logging.getLogger("pmd.notes").warning(
            "hashed as stored, scaled down: %s, each some %s bits of 256 off the hash of its original",
            bar.amount(scaled, "pictures"),
            SCALED_BITS,
        )
    if statuses:
        found = ", ".join(f"{count:,} {status}" for status, count in sorted(statuses.items()))
        logging.getLogger("pmd.notes").warning(
            "stored pictures that their first decoding refused, and that leave: %s", found
        )
