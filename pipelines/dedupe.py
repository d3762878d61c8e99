"""De-duplicate: the ledger's digests and hashes → groups of images that are one, and the pairs that leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import orjson
import pyarrow as pa
from apache_beam.pvalue import AsList

from pipelines import running
from pmd import stages
from pmd.config import Config
from pmd.dedupe import evaluation
from pmd.dedupe.transforms import (
    CommitDedupe,
    Elect,
    FindGroups,
    FindLinks,
    FindOverlaps,
    FindRepeated,
    JudgePart,
    SpreadHashed,
    SpreadHashes,
    SpreadTexts,
    WriteGroups,
)
from pmd.engines.partitions import by_part, part_batches
from pmd.engines.transforms import Meet, PerUnit, PerUnitBeside, Spread, TurnOver, WriteCommit, create
from pmd.fetch import partitions
from pmd.store import root


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `dedupe`."""
    wanted = stages.dedupe(config)
    cut = partitions.cut(config.root)
    work = root.work_folder(config.root, "dedupe")
    known = evaluation.read(config.dedupe.evaluation) if config.dedupe.evaluation else None

    def wire(pipeline: beam.Pipeline) -> Any:
        units = pipeline | "Parts" >> create(part_batches(cut.part_bits))
        gone = pipeline | "None leaves" >> create([])
        if known is not None:
            overlaps = FindOverlaps(config.root, cut, work, config.dedupe.near_distance)
            overlaps.write(known)
            found = (
                units
                | "Spread overlaps" >> Spread()
                | "Overlaps" >> beam.ParDo(PerUnit(overlaps)).with_output_types(pa.RecordBatch)
            )
            gone = (gone, found) | "All that leave" >> beam.Flatten()
        equal = (
            units
            | "Spread digests" >> Spread()
            | "Digests"
            >> beam.ParDo(
                PerUnitBeside(SpreadHashes(config.root, cut, work, cut.part_bits)), AsList(gone)
            ).with_output_types(pa.RecordBatch)
            | "By digest" >> Meet()
            | "Groups" >> beam.ParDo(PerUnit(FindGroups(config.dedupe, work))).with_output_types(pa.RecordBatch)
        )
        groups = (gone, equal) | "Before near ones" >> beam.Flatten()
        if config.dedupe.near == "merge":
            distance = config.dedupe.near_distance
            near = (
                units
                | "Spread hashes" >> Spread()
                # (unit, RUNS)
                | "Hashes"
                >> beam.ParDo(PerUnitBeside(SpreadHashed(config.root, cut, work)), AsList(groups)).with_output_types(
                    tuple[int, pa.RecordBatch]
                )
                | "By share" >> beam.GroupByKey()
                | "Search" >> beam.ParDo(PerUnit(FindLinks(distance, work))).with_output_types(pa.RecordBatch)
                | "All links" >> Meet()
                | "Elect" >> beam.ParDo(PerUnit(Elect(distance, work))).with_output_types(pa.RecordBatch)
            )
            groups = (groups, near) | "All groups" >> beam.Flatten()
        written = groups | "Write groups" >> beam.ParDo(PerUnit(WriteGroups(wanted.folder, work))).with_output_types(
            pa.RecordBatch
        )
        # (part, PARTS)
        judging = units | "By part" >> beam.Map(by_part).with_output_types(tuple[int, pa.RecordBatch])
        if config.dedupe.max_images_per_text is not None:
            repeated = (
                units
                | "Spread texts" >> Spread()
                | "Texts"
                >> beam.ParDo(PerUnitBeside(SpreadTexts(config.root, cut, work)), AsList(groups)).with_output_types(
                    pa.RecordBatch
                )
                | "By text" >> Meet()
                | "Over the limit"
                >> beam.ParDo(
                    PerUnit(FindRepeated(config.dedupe.max_images_per_text, cut.part_bits, work))
                ).with_output_types(pa.RecordBatch)
                # (part, RUNS)
                | "To their parts" >> TurnOver()
            )
            judging = (judging, repeated) | "And what leaves" >> beam.Flatten()
        judged = (
            judging
            | "Each part" >> beam.GroupByKey()
            | "Judge"
            >> beam.ParDo(
                PerUnitBeside(JudgePart(config.root, wanted.folder, cut, work)), AsList(groups)
            ).with_output_types(pa.RecordBatch)
        )
        return (
            (written, judged)
            | "Outputs" >> beam.Flatten()
            | "Commit" >> WriteCommit(CommitDedupe(wanted.folder, wanted.hash, orjson.dumps(wanted.run()), work))
        )

    size = running.parquet_bytes(partitions.view_files(config.root))
    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, size)


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("dedupe", argv) as told:
        if stages.dedupe(told.config).why() is not None:
            build(told.config, told.flags)


if __name__ == "__main__":
    main()
