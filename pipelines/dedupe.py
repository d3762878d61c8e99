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
from pmd.config.options import DedupeOptions
from pmd.dedupe import evaluation, needs
from pmd.dedupe.text_transforms import Ask, ElectTexts, GroupTexts, Propose, SpreadBands, SpreadOccurrences, Verify
from pmd.dedupe.transforms import (
    LINKED,
    SEARCHES,
    Elect,
    FindEqual,
    FindGroups,
    FindHeld,
    FindLinks,
    FindOverlaps,
    FindRepeated,
    JudgePart,
    PackHashes,
    SpreadHashed,
    SpreadHashes,
    SpreadTexts,
    WriteGroups,
    with_survivors,
)
from pmd.engines.committing import CommitStage, target
from pmd.engines.partitions import by_part, part_batches
from pmd.engines.transforms import (
    OUTPUTS,
    Meet,
    Only,
    PerTask,
    PerTaskBeside,
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
    (wanted,) = needs.wanted(config)
    cut = partitions.cut(config.root)
    work = root.work_folder(config.root, "dedupe")
    known = evaluation.read(config.dedupe.evaluation) if config.dedupe.evaluation else None

    def wire(pipeline: beam.Pipeline) -> Any:
        parts = pipeline | "Parts" >> create(part_batches(cut.part_bits))
        gone = pipeline | "None leaves" >> create([])
        if known is not None:
            overlaps = FindOverlaps(config.root, cut, work, config.dedupe.near_distance)
            overlaps.write(known)
            overlapping = (
                parts
                | "Spread overlaps" >> Spread()
                | "Overlaps" >> beam.ParDo(PerTask(overlaps)).with_output_types(pa.RecordBatch)
            )
            gone = (gone, overlapping) | "All that leave" >> beam.Flatten()
        by_digest = (
            parts
            | "Spread digests" >> Spread()
            | "Digests"
            >> beam.ParDo(
                PerTaskBeside(SpreadHashes(config.root, cut, work, cut.part_bits)), AsList(gone)
            ).with_output_types(pa.RecordBatch)
            | "By digest" >> Meet()
        )
        equal = by_digest | "Groups" >> beam.ParDo(PerTask(FindGroups(config.dedupe, work))).with_output_types(
            pa.RecordBatch
        )
        groups = (gone, equal) | "Before near ones" >> beam.Flatten()
        if config.dedupe.near == "merge":
            distance = config.dedupe.near_distance
            hashed = (
                parts
                | "Spread hashes" >> Spread()
                # RUNS
                | "Hashes"
                >> beam.ParDo(PerTaskBeside(SpreadHashed(config.root, cut, work)), AsList(groups)).with_output_types(
                    pa.RecordBatch
                )
                | "All hashes" >> Together()
                # SEARCHES, LINKED, RUNS
                | "Pack" >> beam.ParDo(PerTask(PackHashes(work))).with_output_types(pa.RecordBatch)
            )
            links = (
                hashed
                | "Searches" >> Only(SEARCHES)
                | "Spread searches" >> Spread()
                | "Search" >> beam.ParDo(PerTask(FindLinks(distance, work))).with_output_types(pa.RecordBatch)
            )
            near = (
                (links, hashed | "Equal ones" >> Only(LINKED), hashed | "Rows" >> Only(exchange.RUNS))
                | "Links and rows" >> beam.Flatten()
                | "All links" >> Together()
                | "Elect" >> beam.ParDo(PerTask(Elect(distance, work))).with_output_types(pa.RecordBatch)
            )
            groups = (groups, near) | "All groups" >> beam.Flatten()
        together = groups
        if config.dedupe.same_bytes == "keep":
            apart = by_digest | "Equal bytes" >> beam.ParDo(PerTask(FindEqual(work))).with_output_types(pa.RecordBatch)
            together = (groups, apart) | "All that are one" >> beam.Flatten()
        held = (
            parts
            | "Spread splits" >> Spread()
            | "Held out of training"
            >> beam.ParDo(PerTaskBeside(FindHeld(config.root, cut, work)), AsList(together)).with_output_types(
                pa.RecordBatch
            )
        )
        beside = (together, held) | "Beside each part" >> beam.Flatten()
        written = groups | "Write groups" >> beam.ParDo(PerTask(WriteGroups(wanted.folder, work))).with_output_types(
            pa.RecordBatch
        )
        # (part, PARTS)
        judging = parts | "By part" >> beam.Map(by_part).with_output_types(tuple[int, pa.RecordBatch])
        texts = None
        if config.dedupe.near_texts is not None:
            grouped = near_texts(config.dedupe, config.root, wanted.folder, cut, work, parts, groups)
            written = (written, grouped | "Files" >> Only(OUTPUTS)) | "All that is written" >> beam.Flatten()
            texts = grouped | "Texts" >> Only(exchange.RUNS)
        elif config.dedupe.max_images_per_text is not None:
            texts = (
                parts
                | "Spread texts" >> Spread()
                | "Texts"
                >> beam.ParDo(PerTaskBeside(SpreadTexts(config.root, cut, work)), AsList(groups)).with_output_types(
                    pa.RecordBatch
                )
            )
        if texts is not None and config.dedupe.max_images_per_text is not None:
            repeated = (
                texts
                | "By text" >> Meet()
                | "Over the limit"
                >> beam.ParDo(
                    PerTask(FindRepeated(config.dedupe.max_images_per_text, cut.part_bits, work))
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
                PerTaskBeside(JudgePart(config.root, wanted.folder, cut, work)), AsList(beside)
            ).with_output_types(pa.RecordBatch)
        )
        return (
            (written, judged)
            | "Outputs" >> beam.Flatten()
            | "Commit" >> WriteCommit(CommitStage(work, (target(wanted, complete=with_survivors),)))
        )

    size = running.parquet_bytes(partitions.view_files(config.root))
    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, size)


def near_texts(
    options: DedupeOptions, root_url: str, folder: str, cut: partitions.Cut, work: str, parts: Any, groups: Any
) -> Any:
    """Find near-duplicate captions: PCollections of PARTS and of all GROUPS → one of OUTPUTS, and of RUNS of `captions.TEXTS`."""
    assert options.near_texts is not None
    bands, bits = neighbours.bands(options.near_texts), cut.part_bits
    band_bits = min(bits + exchange.bits_for(bands.number, 1), exchange.MOST_BITS)
    members = (
        parts
        | "Spread occurrences" >> Spread()
        | "Occurrences"
        >> beam.ParDo(PerTaskBeside(SpreadOccurrences(root_url, cut, work)), AsList(groups)).with_output_types(
            pa.RecordBatch
        )
        | "Same text" >> Meet()
        | "Bands" >> beam.ParDo(PerTask(SpreadBands(bands, band_bits, work))).with_output_types(pa.RecordBatch)
        | "By band" >> Meet()
        | "Propose" >> beam.ParDo(PerTask(Propose(bits, work))).with_output_types(pa.RecordBatch)
        | "By later text" >> Meet()
        | "Ask" >> beam.ParDo(PerTask(Ask(bits, work))).with_output_types(pa.RecordBatch)
        | "By earlier text" >> Meet()
        | "Verify" >> beam.ParDo(PerTask(Verify(options.near_texts, bits, work))).with_output_types(pa.RecordBatch)
        # (0, RUNS)
        | "One election" >> Together()
        | "Elect texts" >> beam.ParDo(PerTask(ElectTexts(bits, work))).with_output_types(pa.RecordBatch)
        # (partition, RUNS)
        | "To their texts" >> TurnOver()
    )
    # (partition, PARTS): texts are cut into as many partitions as there are parts.
    every = parts | "Each partition" >> beam.Map(by_part).with_output_types(tuple[int, pa.RecordBatch])
    group = GroupTexts(folder, bits, options.max_images_per_text is not None, options.near_texts_action == "cap", work)
    return (
        (every, members)
        | "Texts and members" >> beam.Flatten()
        | "Each text" >> beam.GroupByKey()
        | "Group texts" >> beam.ParDo(PerTask(group)).with_output_types(pa.RecordBatch)
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("dedupe", argv) as command:
        if stages.why(flow.DEDUPE, command.config) is not None:
            build(command.config, command.flags)


if __name__ == "__main__":
    main()
