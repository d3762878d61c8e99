"""Audit: every pair and the last stage that it survived → audit.json and report.html."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsList

from pipelines import running
from pmd import flow, manifests, stages
from pmd.audit import needs
from pmd.audit.counting import measure
from pmd.audit.figures import attributes
from pmd.audit.texts import lexicon
from pmd.audit.transforms import (
    CountFiles,
    Counting,
    CountMet,
    FindAliases,
    FindOften,
    PackFates,
    SpreadFates,
    SpreadLetters,
    WithReport,
    fate_tasks,
    pair_tasks,
)
from pmd.config import Config
from pmd.engines.committing import CommitStage, target
from pmd.engines.transforms import OUTPUTS, Cross, Meet, Only, Spread, WriteCommit, create, per_task
from pmd.fetch.ledger import partitions
from pmd.publish import folder
from pmd.store import commits, exchange, root

#: Pairs in a partition, at most: what became of them (17 bytes each, twice in memory), their images (8 bytes), what else they
#: come in (some 60 bytes for each user and host), and their texts.
PARTITION_PAIRS = {"fate": 2**22, "image": 2**22, "unit": 2**21, "text": 2**20}


def bits_of(pairs: float) -> dict[str, int]:
    """Return how many bits cut what must meet of so many pairs."""
    return {name: exchange.bits_for(pairs, most) for name, most in PARTITION_PAIRS.items()}


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `audit`."""
    needed = needs.of(config)
    wanted, books, names = needed.wanted, needed.books, needed.sources
    plan = measure.plan(needs.measured(books), config.audit, lexicon.load())
    beside = needs.beside(config)
    table2 = manifests.of_table2()
    cut = partitions.cut(config.root)
    pairs = sum(file.rows for file in needed.files)
    bits = bits_of(pairs)
    parts, of_pairs = fate_tasks(config.root, cut.part_bits), pair_tasks(config.root, names)
    work = root.work_folder(config.root, "audit")
    side = root.work_folder(config.root, "audit-side")
    by_engine = config.engine.is_shuffling
    given = tuple(
        commits.put_aside(side, f"attribute-{number}", attributes.to_bytes(one))
        for number, one in enumerate(attributes.read(config.audit.attributes))
    )

    def wire(pipeline: beam.Pipeline) -> Any:
        # RUNS, and OUTPUTS
        spread = (
            pipeline
            | "Parts" >> create(parts)
            | "Spread parts" >> Spread()
            | "Fates of pairs" >> per_task(SpreadFates(config.root, cut, bits["fate"], work, len(parts)))
        )
        # FILES
        fates = (
            spread
            # Always by run files: who reads pairs maps what comes of it.
            | "By pair" >> Meet(by_engine=False)
            | "Pack" >> per_task(PackFates(work))
        )
        files = pipeline | "Files of pairs" >> create(of_pairs) | "Spread files" >> Spread()
        # OFTEN
        often = (
            files
            | "Letters" >> Cross(SpreadLetters(bits["image"], work, len(of_pairs)), by_engine=by_engine)
            | "By letters" >> Meet(by_engine=by_engine)
            | "Often" >> per_task(FindOften(work))
        )
        # ALIASES
        aliases = files | "Aliases" >> per_task(FindAliases(work, len(of_pairs)))
        beside_pairs = (fates, often, aliases) | "Beside pairs" >> beam.Flatten()
        counting = Counting(plan, names, bits, work, config.sample, given)
        counted = (
            files
            # RUNS of several kinds, and OUTPUTS
            | "Count pairs"
            >> Cross(CountFiles(counting, len(of_pairs)), by_engine=by_engine, side=[AsList(beside_pairs)])
            | "Counted" >> CountMet(counting, beside.incomes, by_engine=by_engine)
        )
        return (
            (spread | "Images" >> Only(OUTPUTS), counted)
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


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("audit", argv) as command:
        if stages.why(flow.AUDIT, command.config) is not None:
            build(command.config, command.flags)
        folder.write(command.config)


if __name__ == "__main__":
    main()
