"""De-duplicate: the ledger's digests and hashes → groups of images that are one, and the pairs that leave."""

from __future__ import annotations

import dataclasses
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
    PerTaskBeside,
    RunsOf,
    Spread,
    Together,
    TurnOver,
    WriteCommit,
    create,
    per_task,
)
from pmd.fetch.ledger import asking, partitions
from pmd.store import exchange, root
from pmd.text import neighbours


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Hash what is stored without a hash, where something here asks for it; then run the pipeline and commit `dedupe`."""
    if asking.by_dedupe(config.dedupe) is not None:
        hashes.build(config, flags)
        fetch.settle_rejected(config, flags)
    asked, (wanted,) = Asked.of(config, flow.DEDUPE.name), needs.wanted(config)
    work = root.work_folder(config.root, "dedupe")
    known = evaluation.read(asked.dedupe.evaluation) if dedupe_rules.may_leave(asked) else None
    steps = _Steps(asked, config.root, wanted.folder, partitions.cut(config.root), work, config.engine.is_shuffling)

    def wire(pipeline: beam.Pipeline) -> Any:
        parts = pipeline | "Parts" >> create(part_batches(steps.cut.part_bits))
        related = []
        if known is not None:
            parts, leaving = steps.leaving(parts, known)
            related.append(leaving)
        related += steps.related(parts)
        grouped = steps.grouped(parts, related)
        parts = grouped | "Once groups stand" >> Only(PARTS)
        held = steps.held(parts)
        written, leaving_by_text = steps.by_text(parts)
        judged = steps.judged(parts, leaving_by_text, held)
        return (
            (grouped | "Files of groups" >> Only(OUTPUTS), *written, judged)
            | "Outputs" >> beam.Flatten()
            | "Commit" >> WriteCommit(CommitStage(work, (target(wanted, complete=with_survivors),)))
        )

    size = running.parquet_bytes(partitions.view_files(config.root))
    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, size)


@dataclasses.dataclass(frozen=True)
class _Steps:
    """The pipeline's steps, with what all of them need; `parts` are PARTS of one row."""

    asked: Asked
    root: str
    folder: str
    cut: partitions.Cut
    work: str
    by_engine: bool

    def leaving(self, parts: Any, known: pa.Table) -> tuple[Any, Any]:
        """Find who leaves as an evaluation image: PARTS, once that stands, and RUNS of `rules.RELATED`."""
        leaving = FindLeaving(self.root, self.cut, self.work, self.asked)
        leaving.write(known)
        found = (
            parts
            | "Spread to find who leaves" >> Spread()
            # RUNS, PARTS
            | "Leaving" >> self._cross(leaving)
        )
        return found | "Once it stands who leaves" >> Only(PARTS), found | "Leaving for themselves" >> RunsOf()

    def related(self, parts: Any) -> list[Any]:
        """Find images that are one by their bytes or looks: PCollections of RUNS of `rules.RELATED`."""
        bits = self.cut.part_bits
        by_digest = (
            parts
            | "Spread digests" >> Spread()
            | "Digests" >> self._cross(SpreadHashes(self.root, self.cut, self.work, bits))
            | "By digest" >> self._meet()
        )
        # RUNS, those of marks too
        equal = by_digest | "Equal ones" >> self._cross(FindGroups(self.asked, bits, self.work))
        found = [equal | "Related by bytes" >> RunsOf()]
        if self.asked.dedupe.near == "merge":
            found.append(self._near(parts, equal))
        if self.asked.dedupe.same_bytes == "keep":
            found.append(by_digest | "Equal bytes" >> self._cross(FindEqual(bits, self.work)))
        return found

    def _near(self, parts: Any, equal: Any) -> Any:
        """Find near-duplicates: PARTS, and RUNS of marks → RUNS of `rules.RELATED`."""
        # (part, RUNS)
        marked = equal | "Marks to their parts" >> TurnOver(MARKS, by_engine=self.by_engine)
        hashed = (
            (parts | "Parts with hashes" >> _by_part(), marked)
            | "Parts and marks" >> beam.Flatten()
            | "Marks of a part" >> beam.GroupByKey()
            # RUNS
            | "Hashes" >> self._cross(SpreadHashed(self.root, self.cut, self.work))
            | "All hashes" >> Together()
            # SEARCHES, LINKED, RUNS
            | "Pack" >> per_task(PackHashes(self.work))
        )
        links = (
            hashed
            | "Searches" >> Only(SEARCHES)
            | "Spread searches" >> Spread()
            | "Search" >> per_task(FindLinks(self.asked, self.work))
        )
        return (
            (links, hashed | "Equal hashes" >> Only(LINKED), hashed | "Rows" >> RunsOf())
            | "Links and rows" >> beam.Flatten()
            | "All links" >> Together()
            | "Elect" >> self._cross(Elect(self.asked, self.cut.part_bits, self.work))
        )

    def grouped(self, parts: Any, related: list[Any]) -> Any:
        """Resolve who stands for whom, and write it part by part: OUTPUTS, and PARTS once their groups stand."""
        bits = self.cut.part_bits
        resolved = (
            related
            | "All related" >> beam.Flatten()
            | "By who may give way" >> self._meet()
            | "Resolve" >> self._cross(ResolveGroups(bits, self.work))
            # (part, RUNS)
            | "Groups to their parts" >> TurnOver(by_engine=self.by_engine)
        )
        return (
            (parts | "Each part" >> _by_part(), resolved)
            | "Parts and groups" >> beam.Flatten()
            | "By part" >> beam.GroupByKey()
            # OUTPUTS, PARTS
            | "Write groups" >> per_task(WriteGroups(self.folder, bits, self.work))
        )

    def held(self, parts: Any) -> Any:
        """Find the groups that upstream keeps out of training: HELD."""
        return (
            parts
            | "Spread splits" >> Spread()
            | "Held out of training" >> per_task(FindHeld(self.root, self.cut, self.work))
        )

    def by_text(self, parts: Any) -> tuple[list[Any], list[Any]]:
        """Find what leaves for its text, where that is asked: OUTPUTS, and (part, RUNS) of `captions.REPEATED`, in lists."""
        options = self.asked.dedupe
        written = []
        if options.near_texts is not None:
            texts = self._near_texts(parts, options.near_texts)
            written.append(texts | "Files" >> Only(OUTPUTS))
        elif options.max_images_per_text is not None:
            texts = (
                parts | "Spread texts" >> Spread() | "Texts" >> self._cross(SpreadTexts(self.root, self.cut, self.work))
            )
        if options.max_images_per_text is None:
            return written, []
        repeated = (
            texts
            | "By text" >> self._meet()
            | "Over the limit" >> self._cross(FindRepeated(self.asked, self.cut.part_bits, self.work))
            # (part, RUNS)
            | "To their parts" >> TurnOver(by_engine=self.by_engine)
        )
        return written, [repeated]

    def _near_texts(self, parts: Any, similarity: float) -> Any:
        """Find near-duplicate captions: PARTS whose groups stand → OUTPUTS, and RUNS of `captions.TEXTS`."""
        bands, bits, work = neighbours.bands(similarity), self.cut.part_bits, self.work
        band_bits = min(bits + exchange.bits_for(bands.number, 1), exchange.MOST_BITS)
        members = (
            parts
            | "Spread occurrences" >> Spread()
            | "Occurrences" >> self._cross(SpreadOccurrences(self.root, self.cut, work))
            | "Same text" >> self._meet()
            | "Bands" >> self._cross(SpreadBands(bands, bits, band_bits, work))
            | "By band" >> self._meet()
            | "Propose" >> self._cross(Propose(bits, band_bits, work))
            | "By later text" >> self._meet()
            | "Ask" >> self._cross(Ask(bits, work))
            | "By earlier text" >> self._meet()
            | "Verify" >> self._cross(Verify(self.asked, bits, work))
            # (0, RUNS)
            | "One election" >> Together()
            | "Elect texts" >> self._cross(ElectTexts(bits, work))
            # (partition, RUNS)
            | "To their texts" >> TurnOver(by_engine=self.by_engine)
        )
        return (
            # (partition, PARTS): texts are cut into as many partitions as there are parts.
            (parts | "Each partition" >> _by_part(), members)
            | "Texts and members" >> beam.Flatten()
            | "Each text" >> beam.GroupByKey()
            | "Group texts" >> self._cross(GroupTexts(self.folder, bits, self.asked, work))
        )

    def judged(self, parts: Any, leaving: list[Any], held: Any) -> Any:
        """Write what leaves of each part: PARTS whose groups stand, (part, RUNS) of `captions.REPEATED`, HELD → OUTPUTS."""
        judge = PerTaskBeside(JudgePart(self.root, self.folder, self.cut, self.work))
        # (part, PARTS)
        judging = parts | "To be judged" >> _by_part()
        if leaving:
            judging = (judging, *leaving) | "And what leaves" >> beam.Flatten()
        return (
            judging
            | "All of a part" >> beam.GroupByKey()
            | "Judge" >> beam.ParDo(judge, AsList(held)).with_output_types(pa.RecordBatch)
        )

    def _cross(self, transform: Any) -> Cross:
        return Cross(transform, by_engine=self.by_engine)

    def _meet(self) -> Meet:
        return Meet(by_engine=self.by_engine)


def _by_part() -> beam.PTransform:
    """Key PARTS of one row by their part."""
    return beam.Map(by_part).with_output_types(tuple[int, pa.RecordBatch])


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("dedupe", argv) as command:
        if stages.why(flow.DEDUPE, command.config) is not None:
            build(command.config, command.flags)


if __name__ == "__main__":
    main()
