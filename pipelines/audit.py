"""Audit: every pair and the last stage that it survived → audit.json and report.html."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import orjson
import pyarrow as pa

from pipelines import running
from pmd import manifests, stages
from pmd.audit import lexicon, measure
from pmd.audit.transforms import CommitAudit, CountForms, CountOverlap, CountPartition, SpreadPairs, SumForms, units
from pmd.config import Config
from pmd.engines.partitions import part_batches
from pmd.engines.transforms import OUTPUTS, Meet, Only, PerUnit, Spread, WriteCommit, create
from pmd.fetch import partitions
from pmd.store import commits, exchange, root

#: Bytes of committed pairs in a partition; in memory they are about ten times that.
PARTITION_BYTES = 16 * 2**20
#: The same, of a partition by text: of a pair only its text's form, its image and its user are there.
TEXT_PARTITION_BYTES = 8 * PARTITION_BYTES


def books_of(config: Config) -> dict[str, dict[str, commits.Books]]:
    """Return stage → source → books, for the sources of the images."""
    names = stages.chosen_sources(config)
    folders = {
        "images": root.views_folder(config.root),
        "fetch": root.fetch_rejected_folder(config.root),
        "dedupe": root.dedupe_folder(config.root),
        "shard": root.shards_folder(config.root, "rejected"),
    }
    curated = {
        name: commits.require(root.curate_folder(config.root, name), "run: pmd curate").sources[name] for name in names
    }
    later = {stage: commits.require(folder, f"run: pmd {stage}").sources for stage, folder in folders.items()}
    return {
        "curate": curated,
        **{stage: {name: found.get(name, commits.Books()) for name in names} for stage, found in later.items()},
    }


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `audit`."""
    wanted = stages.audit(config)
    names = stages.chosen_sources(config)
    books = books_of(config)
    plan = measure.plan({name: books["curate"][name].kept for name in names}, config.audit, lexicon.load())
    table2 = {name: manifest.table2 for name, manifest in manifests.load_all().items()}
    cut = partitions.cut(config.root)
    committed = [
        file
        for name in names
        for file in commits.require(root.curate_folder(config.root, name), "run: pmd curate").under("pairs")
    ]
    size = sum(file.bytes for file in committed)
    bits = exchange.bits_for(size, PARTITION_BYTES)
    text_bits = exchange.bits_for(size, TEXT_PARTITION_BYTES)
    work = root.work_folder(config.root, "audit")

    def wire(pipeline: beam.Pipeline) -> Any:
        # RUNS of texts, and OUTPUTS
        counted = (
            pipeline
            | "Units" >> create(units(config.root, names, cut.part_bits))
            | "Spread" >> Spread()
            | "Pairs and fates"
            >> beam.ParDo(PerUnit(SpreadPairs(config.root, cut, bits, work))).with_output_types(pa.RecordBatch)
            | "By pair" >> Meet()
            | "Count" >> beam.ParDo(PerUnit(CountPartition(plan, text_bits, work))).with_output_types(pa.RecordBatch)
        )
        counts = counted | "Counts" >> Only(OUTPUTS)
        repeated = (
            counted
            | "Texts" >> Only(exchange.RUNS)
            | "By text" >> Meet()
            | "Repeated" >> beam.ParDo(PerUnit(CountForms(work))).with_output_types(pa.RecordBatch)
            | "All repeated" >> Meet()
            | "Sum" >> beam.ParDo(PerUnit(SumForms(work))).with_output_types(pa.RecordBatch)
        )
        overlap = (
            pipeline
            | "Parts" >> create(part_batches(cut.part_bits))
            | "Spread parts" >> Spread()
            | "Overlap" >> beam.ParDo(PerUnit(CountOverlap(config.root, work))).with_output_types(pa.RecordBatch)
        )
        return (
            (counts, repeated, overlap)
            | "Outputs" >> beam.Flatten()
            | "Commit"
            >> WriteCommit(
                CommitAudit(
                    wanted.folder, plan, books, table2, config.profile, wanted.hash, orjson.dumps(wanted.run()), work
                )
            )
        )

    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, running.parquet_bytes(committed))


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("audit", argv) as told:
        if stages.audit(told.config).why() is not None:
            build(told.config, told.flags)


if __name__ == "__main__":
    main()
