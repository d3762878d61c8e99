"""De-duplicate: the ledger's digests and hashes → groups of images that are one, and the pairs that leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import AsList

from pipelines import fetch, hashes, running
from pmd import flow, stages
from pmd.config import Config
from pmd.config.asked import Asked
from pmd.dedupe import evaluation, needs
from pmd.dedupe import rules as dedupe_rules
from pmd.dedupe.group_transforms import MARKS, ResolveGroups, WriteGroups
from pmd.dedupe.text_transforms import Ask, ElectTexts, GroupTexts, Propose, SpreadBands, SpreadOccurrences, Verify
from pmd.dedupe.transforms import (
    LINKED,
    SEARCHES,
    Elect,
    FindEqual,
    FindGroups,
    FindHeld,
    FindLeaving,
    FindLinks,
    FindRepeated,
    JudgePart,
    PackHashes,
    SpreadHashed,
    SpreadHashes,
    SpreadTexts,
    with_survivors,
)
from pmd.engines.committing import CommitStage, target
from pmd.engines.partitions import PARTS, by_part, part_batches
from pmd.engines.transforms import (
    OUTPUTS,
    Cross,
    Meet,
    Only,
    PerTask,
    PerTaskBeside,
    RunsOf,
    Spread,
    Together,
    TurnOver,
    WriteCommit,
    create,
)
from pmd.fetch import asking, partitions
from pmd.store import exchange, root
from pmd.text import neighbours


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Hash what is stored without a hash, where something here asks for it; then run the pipeline and commit `dedupe`."""
    if asking.by_dedupe(config.dedupe) is not None:
        hashes.build(config, flags)
        fetch.settle_rejected(config, flags)
    asked, (wanted,) = Asked.of(config, flow.DEDUPE.name), needs.wanted(config)
    cut = partitions.cut(config.root)
    work = root.work_folder(config.root, "dedupe")
    by_engine = config.engine.is_shuffling
    known = evaluation.read(asked.dedupe.evaluation) if dedupe_rules.may_leave(asked) else None

    def wire(pipeline: beam.Pipeline) -> Any:
        parts = pipeline | "Parts" >> create(part_batches(cut.part_bits))
        related = []
        if known is not None:
            leaving = FindLeaving(config.root, cut, work, asked)
            leaving.write(known)
            found = (
                parts
                | "Spread to find who leaves" >> Spread()
                # RUNS, PARTS
                | "Leaving" >> Cross(leaving, by_engine=by_engine)
            )
            related.append(found | "Leaving for themselves" >> RunsOf())
            parts = found | "Once it stands who leaves" >> Only(PARTS)
        by_digest = (
            parts
            | "Spread digests" >> Spread()
            | "Digests" >> Cross(SpreadHashes(config.root, cut, work, cut.part_bits), by_engine=by_engine)
            | "By digest" >> Meet(by_engine=by_engine)
        )
        # RUNS, those of marks too
        equal = by_digest | "Equal ones" >> Cross(FindGroups(asked, cut.part_bits, work), by_engine=by_engine)
        related.append(equal | "Related by bytes" >> RunsOf())
        if asked.dedupe.near == "merge":
            related.append(near(asked, config.root, cut, work, parts, equal, by_engine=by_engine))
        if asked.dedupe.same_bytes == "keep":
            apart = FindEqual(cut.part_bits, work)
            related.append(by_digest | "Equal bytes" >> Cross(apart, by_engine=by_engine))
        grouped = (
            related
            | "All related" >> beam.Flatten()
            | "By who may give way" >> Meet(by_engine=by_engine)
            | "Resolve" >> Cross(ResolveGroups(cut.part_bits, work), by_engine=by_engine)
            # (part, RUNS)
            | "Groups to their parts" >> TurnOver(by_engine=by_engine)
        )
        groups = WriteGroups(wanted.folder, cut.part_bits, work)
        grouped = (
            (parts | "Each part" >> beam.Map(by_part).with_output_types(tuple[int, pa.RecordBatch]), grouped)
            | "Parts and groups" >> beam.Flatten()
            | "By part" >> beam.GroupByKey()
            # OUTPUTS, PARTS
            | "Write groups" >> beam.ParDo(PerTask(groups)).with_output_types(pa.RecordBatch)
        )
        written = grouped | "Files of groups" >> Only(OUTPUTS)
        parts = grouped | "Once groups stand" >> Only(PARTS)
        held = (
            parts
            | "Spread splits" >> Spread()
            | "Held out of training"
            >> beam.ParDo(PerTask(FindHeld(config.root, cut, work))).with_output_types(pa.RecordBatch)
        )
        # (part, PARTS)
        judging = parts | "To be judged" >> beam.Map(by_part).with_output_types(tuple[int, pa.RecordBatch])
        texts = None
        if asked.dedupe.near_texts is not None:
            texts = near_texts(asked, config.root, wanted.folder, cut, work, parts, by_engine=by_engine)
            written = (written, texts | "Files" >> Only(OUTPUTS)) | "All that is written" >> beam.Flatten()
        elif asked.dedupe.max_images_per_text is not None:
            texts = (
                parts
                | "Spread texts" >> Spread()
                | "Texts" >> Cross(SpreadTexts(config.root, cut, work), by_engine=by_engine)
            )
        if texts is not None and asked.dedupe.max_images_per_text is not None:
            repeated = (
                texts
                | "By text" >> Meet(by_engine=by_engine)
                | "Over the limit" >> Cross(FindRepeated(asked, cut.part_bits, work), by_engine=by_engine)
                # (part, RUNS)
                | "To their parts" >> TurnOver(by_engine=by_engine)
            )
            judging = (judging, repeated) | "And what leaves" >> beam.Flatten()
        judged = (
            judging
            | "All of a part" >> beam.GroupByKey()
            | "Judge"
            >> beam.ParDo(
                PerTaskBeside(JudgePart(config.root, wanted.folder, cut, work)), AsList(held)
            ).with_output_types(pa.RecordBatch)
        )
        return (
            (written, judged)
            | "Outputs" >> beam.Flatten()
            | "Commit" >> WriteCommit(CommitStage(work, (target(wanted, complete=with_survivors),)))
        )

    size = running.parquet_bytes(partitions.view_files(config.root))
    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, size)


def near(
    asked: Asked, root_url: str, cut: partitions.Cut, work: str, parts: Any, equal: Any, *, by_engine: bool
) -> Any:
    """Find near-duplicates: PCollections of PARTS and of RUNS of marks → one of RUNS of `rules.RELATED`."""
    # (part, RUNS)
    marked = equal | "Marks to their parts" >> TurnOver(MARKS, by_engine=by_engine)
    hashed = (
        (parts | "Parts with hashes" >> beam.Map(by_part).with_output_types(tuple[int, pa.RecordBatch]), marked)
        | "Parts and marks" >> beam.Flatten()
        | "Marks of a part" >> beam.GroupByKey()
        # RUNS
        | "Hashes" >> Cross(SpreadHashed(root_url, cut, work), by_engine=by_engine)
        | "All hashes" >> Together()
        # SEARCHES, LINKED, RUNS
        | "Pack" >> beam.ParDo(PerTask(PackHashes(work))).with_output_types(pa.RecordBatch)
    )
    links = (
        hashed
        | "Searches" >> Only(SEARCHES)
        | "Spread searches" >> Spread()
        | "Search" >> beam.ParDo(PerTask(FindLinks(asked, work))).with_output_types(pa.RecordBatch)
    )
    return (
        (links, hashed | "Equal hashes" >> Only(LINKED), hashed | "Rows" >> RunsOf())
        | "Links and rows" >> beam.Flatten()
        | "All links" >> Together()
        | "Elect" >> Cross(Elect(asked, cut.part_bits, work), by_engine=by_engine)
    )


def near_texts(
    asked: Asked, root_url: str, folder: str, cut: partitions.Cut, work: str, parts: Any, *, by_engine: bool
) -> Any:
    """Find near-duplicate captions: PARTS of one row, whose groups stand → OUTPUTS, and RUNS of `captions.TEXTS`."""
    assert asked.dedupe.near_texts is not None
    bands, bits = neighbours.bands(asked.dedupe.near_texts), cut.part_bits
    band_bits = min(bits + exchange.bits_for(bands.number, 1), exchange.MOST_BITS)
    members = (
        parts
        | "Spread occurrences" >> Spread()
        | "Occurrences" >> Cross(SpreadOccurrences(root_url, cut, work), by_engine=by_engine)
        | "Same text" >> Meet(by_engine=by_engine)
        | "Bands" >> Cross(SpreadBands(bands, bits, band_bits, work), by_engine=by_engine)
        | "By band" >> Meet(by_engine=by_engine)
        | "Propose" >> Cross(Propose(bits, band_bits, work), by_engine=by_engine)
        | "By later text" >> Meet(by_engine=by_engine)
        | "Ask" >> Cross(Ask(bits, work), by_engine=by_engine)
        | "By earlier text" >> Meet(by_engine=by_engine)
        | "Verify" >> Cross(Verify(asked, bits, work), by_engine=by_engine)
        # (0, RUNS)
        | "One election" >> Together()
        | "Elect texts" >> Cross(ElectTexts(bits, work), by_engine=by_engine)
        # (partition, RUNS)
        | "To their texts" >> TurnOver(by_engine=by_engine)
    )
    # (partition, PARTS): texts are cut into as many partitions as there are parts.
    every = parts | "Each partition" >> beam.Map(by_part).with_output_types(tuple[int, pa.RecordBatch])
    group = GroupTexts(folder, bits, asked, work)
    return (
        (every, members)
        | "Texts and members" >> beam.Flatten()
        | "Each text" >> beam.GroupByKey()
        | "Group texts" >> Cross(group, by_engine=by_engine)
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("dedupe", argv) as command:
        if stages.why(flow.DEDUPE, command.config) is not None:
            build(command.config, command.flags)


if __name__ == "__main__":
    main()
