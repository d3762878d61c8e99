"""Shard: the pairs that are left, and their pictures → training-ready files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipelines import dedupe, fetch, hashes, running
from pmd import codec, flow, stages
from pmd.config import Config
from pmd.engines.committing import CommitStage
from pmd.engines.partitions import part_batches
from pmd.engines.transforms import OUTPUTS, ByPartition, Only, PerTask, Spread, WriteCommit, create
from pmd.fetch import partitions, refusals
from pmd.shard import needs
from pmd.shard.samples import window_bits
from pmd.shard.transforms import (
    SHARDS,
    CutShards,
    OrderWindow,
    SpreadViews,
    WriteShard,
    by_shard,
    joined,
    targets,
    window_outputs,
)
from pmd.store import root, storage


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `shards/rejected` and `shards/<format>`.

    A picture that is decoded here for the first time, and is none, leaves the ledger; then what stands before this stage is
    brought up to date, and it is run again. Each time at least one picture leaves.
    """
    while refused := _write(config, flags):
        hashes.settle(config, refused)
        fetch.settle_rejected(config, flags)
        dedupe.build(config, flags)


def _write(config: Config, flags: Sequence[str]) -> refusals.Refusals:
    """Run the pipeline, and commit where all pictures are some; return those that are none."""
    forms = tuple(config.shard.formats)
    wanted = needs.wanted(config)
    cut = partitions.cut(config.root)
    long_side_px = needs.stored_long_side_px(config)
    bits = window_bits(cut, config.shard.window)
    work = root.work_folder(config.root, "shard")
    folders = tuple((form, root.shards_folder(config.root, form)) for form in forms)
    tag = wanted[0].hash[:8]

    def wire(pipeline: beam.Pipeline) -> Any:
        windows = (
            pipeline
            | "Parts" >> create(part_batches(cut.part_bits))
            | "Windows"
            >> ByPartition(
                SpreadViews(config.root, cut, bits, work),
                OrderWindow(config.root, cut, bits, config.shard, config.seed, wanted[0].folder, work, long_side_px),
            )
        )
        write = WriteShard(config.root, folders, tag, config.shard, work)
        by_window = not storage.is_local(config.root)
        written = (
            windows
            | "All" >> beam.Map(lambda batch: (0, batch)).with_output_types(tuple[int, pa.RecordBatch])
            | "Count" >> beam.GroupByKey()
            | "Cut" >> beam.ParDo(PerTask(CutShards(config.shard, work, by_window))).with_output_types(pa.RecordBatch)
            | "Spread" >> Spread()
            # OUTPUTS, and SHARDS of what is handed on
            | "Write" >> beam.ParDo(PerTask(write)).with_output_types(pa.RecordBatch)
        )
        between = (
            written
            | "Handed on" >> Only(SHARDS)
            | "By shard" >> beam.Map(by_shard).with_output_types(tuple[int, pa.RecordBatch])
            | "Both parts" >> beam.GroupByKey()
            | "Joined" >> beam.Map(joined).with_output_types(pa.RecordBatch)
            | "Write joined" >> beam.ParDo(PerTask(write)).with_output_types(pa.RecordBatch)
        )
        rejected = windows | "Rejected" >> beam.Map(window_outputs).with_output_types(pa.RecordBatch)
        return (
            (written | "Files" >> Only(OUTPUTS), between, rejected)
            | "Outputs" >> beam.Flatten()
            | "Commit" >> WriteCommit(CommitStage(work, targets(wanted)))
        )

    refused: dict[bytes, codec.Refused] = {}

    def is_void() -> bool:
        refused.update(refusals.read(work))
        return bool(refused)

    committed = [item.folder for item in wanted]
    size = running.image_bytes(partitions.image_files(config.root))
    running.run_and_commit(config.root, committed, wire, flags, work, size, is_void)
    return refused


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("shard", argv) as command:
        if stages.why(flow.SHARD, command.config) is not None:
            build(command.config, command.flags)


if __name__ == "__main__":
    main()
