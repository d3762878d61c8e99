"""Audit: every pair and the last stage that it survived → audit.json and report.html."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipelines import running
from pmd import flow, manifests, stages
from pmd.audit import attributes, lexicon, measure, needs
from pmd.audit.transforms import (
    CountPairs,
    CountPartition,
    CountUnits,
    SpreadPairs,
    WithReport,
    tasks,
)
from pmd.config import Config
from pmd.engines.committing import CommitStage, target
from pmd.engines.transforms import OUTPUTS, Only, PerTask, Spread, WriteCommit, create
from pmd.fetch import partitions
from pmd.publish import folder
from pmd.store import commits, exchange, root, storage

#: Bytes of committed pairs in a partition; in memory they are about ten times that.
PARTITION_BYTES = 16 * 2**20
#: The same, of a partition by text: of a pair only its text's form, its image and its user are there.
TEXT_PARTITION_BYTES = 8 * PARTITION_BYTES
#: The same, of a partition by unit: a pair is in it once for its image, its user and its host.
UNIT_PARTITION_BYTES = 16 * PARTITION_BYTES


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `audit`."""
    needed = needs.of(config)
    wanted, books, names = needed.wanted, needed.books, needed.sources
    plan = measure.plan(needs.measured(books), config.audit, lexicon.load())
    beside = needs.beside(config)
    table2 = manifests.of_table2()
    cut = partitions.cut(config.root)
    size = sum(file.bytes for file in needed.files)
    bits = exchange.bits_for(size, PARTITION_BYTES)
    text_bits = exchange.bits_for(size, TEXT_PARTITION_BYTES)
    unit_bits = exchange.bits_for(size, UNIT_PARTITION_BYTES)
    work = root.work_folder(config.root, "audit")
    side = root.work_folder(config.root, "audit-side")
    given = tuple(_put(side, number, one) for number, one in enumerate(attributes.read(config.audit.attributes)))

    def wire(pipeline: beam.Pipeline) -> Any:
        # RUNS, and OUTPUTS
        read = (
            pipeline
            | "Units" >> create(tasks(config.root, names, cut.part_bits))
            | "Spread" >> Spread()
            | "Pairs and fates"
            >> beam.ParDo(PerTask(SpreadPairs(config.root, cut, bits, work))).with_output_types(pa.RecordBatch)
        )
        count = CountPartition(plan, config.sample, text_bits, unit_bits, work, given)
        pairs = read | "Pairs" >> Only(exchange.RUNS)
        counted = pairs | "Counted" >> CountPairs(count, CountUnits(work, beside.incomes))
        return (
            (read | "Images" >> Only(OUTPUTS), counted)
            | "Outputs" >> beam.Flatten()
            | "Commit"
            >> WriteCommit(
                CommitStage(
                    work,
                    (target(wanted, complete=WithReport(plan, books, table2, config.profile, config.sample, beside)),),
                )
            )
        )

    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, running.parquet_bytes(needed.files))


def _put(folder: str, number: int, attribute: attributes.Attribute) -> str:
    """Write a file that workers keep in memory by its path: another run's has another."""
    content = attributes.to_bytes(attribute)
    return storage.join(folder, commits.put_content(folder, f"attribute-{number}", "", content, 0, durable=False).name)


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("audit", argv) as command:
        if stages.why(flow.AUDIT, command.config) is not None:
            build(command.config, command.flags)
        folder.write(command.config)


if __name__ == "__main__":
    main()
