"""Shard: the pairs that are left, and their pictures → training-ready files."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipelines import build as building
from pipelines import fetch, hashes, running
from pmd import codec, flow, stages
from pmd.config import Config
from pmd.config.asked import Asked
from pmd.engines.committing import CommitStage
from pmd.engines.partitions import part_batches
from pmd.engines.transforms import OUTPUTS, ByPartition, Only, Spread, Together, WriteCommit, create, per_task
from pmd.fetch.generations import refusals
from pmd.fetch.ledger import partitions
from pmd.shard import needs
from pmd.shard.samples import window_bits
from pmd.shard.transforms import (
    PATCHES,
    SHARDS,
    CutPatches,
    CutShards,
    OrderWindow,
    SpreadViews,
    WritePatch,
    WriteShard,
    by_shard,
    joined,
    targets,
    window_outputs,
)
from pmd.store import commits, root, storage
from pmd.store.wanted import Wanted


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `shards/rejected` and `shards/<format>`.

    A picture that is decoded here for the first time, and is none, leaves the ledger; then what stands before this stage is
    brought up to date, and it is run again. Each time at least one picture leaves.
    """
    _build(config, flags, keeps=False)


def patch(config: Config, flags: Sequence[str] = ()) -> None:
    """Do the same, but leave every shard as it stands in which no place has changed hands (`pmd.shard.patching`).

    Where shards of other options stand, or not of all formats, all are written.
    """
    _build(config, flags, keeps=all(map(_is_of_these_options, needs.wanted(config))))


def _is_of_these_options(wanted: Wanted) -> bool:
    """Return whether shards stand that were made as is wanted now, be it of other pairs."""
    commit = commits.read(wanted.folder)
    return commit is not None and commit.run.get("options") == dict(wanted.options)


def _build(config: Config, flags: Sequence[str], *, keeps: bool) -> None:
    while refused := _write(config, flags, keeps=keeps):
        hashes.settle(config, refused)
        fetch.settle_rejected(config, flags)
        building.bring_up(config, flow.between(flow.FETCH, flow.SHARD), flags)


def _write(config: Config, flags: Sequence[str], *, keeps: bool) -> refusals.Refusals:
    """Run the pipeline, and commit where all pictures are some; return those that are none."""
    forms = tuple(config.shard.formats)
    asked, wanted = Asked.of(config, flow.SHARD.name), needs.wanted(config)
    cut = partitions.cut(config.root)
    long_side_px = needs.stored_long_side_px(config)
    bits = window_bits(cut, config.shard.window)
    work = root.work_folder(config.root, "shard")
    folders = tuple((form, root.shards_folder(config.root, form)) for form in forms)
    tag = wanted[0].hash[:8]

    by_window = not storage.is_local(config.root)
    if keeps:
        write = functools.partial(
            _patched, CutPatches(folders, tag, asked, work), WritePatch(config.root, folders, asked, work)
        )
    else:
        write = functools.partial(
            _sharded, CutShards(asked, work, by_window), WriteShard(config.root, folders, tag, asked, work)
        )
    ordered = ByPartition(
        SpreadViews(config.root, cut, bits, work),
        OrderWindow(config.root, cut, bits, asked, wanted[0].folder, work, long_side_px),
        by_engine=config.engine.is_shuffling,
    )

    def wire(pipeline: beam.Pipeline) -> Any:
        windows = pipeline | "Parts" >> create(part_batches(cut.part_bits)) | "Windows" >> ordered
        written = write(windows | "Count" >> Together())
        rejected = windows | "Rejected" >> beam.Map(window_outputs).with_output_types(pa.RecordBatch)
        return (
            (*written, rejected)
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


def _patched(cutting: CutPatches, writing: WritePatch, counted: Any) -> tuple[Any, Any]:
    """Write the shards that change; return OUTPUTS of these, and of those that stay."""
    cut = counted | "Cut" >> per_task(cutting)
    written = cut | "Shards" >> Only(PATCHES) | "Spread" >> Spread() | "Write" >> per_task(writing)
    return written | "Files" >> Only(OUTPUTS), cut | "Kept" >> Only(OUTPUTS)


def _sharded(cutting: CutShards, writing: WriteShard, counted: Any) -> tuple[Any, Any]:
    """Write all shards; return OUTPUTS of those that one worker has whole, and of those of which two have a part."""
    cut = counted | "Cut" >> per_task(cutting)
    # OUTPUTS, and SHARDS of what is handed on
    written = cut | "Shards" >> Only(SHARDS) | "Spread" >> Spread() | "Write" >> per_task(writing)
    beside = (
        written
        | "Handed on" >> Only(SHARDS)
        | "By shard" >> beam.Map(by_shard).with_output_types(tuple[int, pa.RecordBatch])
        | "Both parts" >> beam.GroupByKey()
        | "Joined" >> beam.Map(joined).with_output_types(pa.RecordBatch)
        | "Write joined" >> per_task(writing)
    )
    return written | "Files" >> Only(OUTPUTS), beside


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("shard", argv) as command:
        if stages.why(flow.SHARD, command.config) is not None:
            build(command.config, command.flags)


if __name__ == "__main__":
    main()
