"""After fetching, on Beam: the pairs whose image could not be had, and how many images were there, by part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.engines.committing import of_kind
from pmd.engines.partitions import part_of
from pmd.engines.transforms import Collected, outputs
from pmd.fetch.ledger import asked, partitions, sums
from pmd.images import rules as images_rules
from pmd.schema.statuses import OK
from pmd.store import parquet_files
from pmd.store.proposals import Proposal

STAGE = flow.FETCH.name
#: Whose the files are (`Target.kind`).
PAIRS: Final = "pairs"
SUMS: Final = "sums"


@dataclasses.dataclass(frozen=True)
class RejectPart:
    """Join a part's views and images with its ledger; write the pairs that leave, and sums of what was there.

    Attributes:
        root: ROOT.
        folder: Of the pairs.
        sums: Of the sums.
        cut: How the views are cut.
        work: The folder of this run.
    """

    root: str
    folder: str
    sums: str
    cut: partitions.Cut
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """PARTS of one row → OUTPUTS."""
        part = part_of(batch)
        views = partitions.read_views(self.root, part, ["image_id", "pair_id", "source", "source_id"])
        generations = partitions.read_generations(self.root, self.cut.shards(part))
        ledger = partitions.standing(generations)
        found = partitions.statuses(views, ledger)
        out = pc.not_equal(found, OK)
        rejected = images_rules.reject(views.filter(out), STAGE, found.filter(out))
        name = flow.part(part, self.cut.part_bits)
        files = [parquet_files.put_table(self.folder, name, rejected)] if rejected.num_rows else []
        rows = asked.of_part(self.root, part, ledger, generations)
        yield of_kind(
            SUMS, outputs(sums.put(self.sums, name, rows), facts=[orjson.dumps(sums.facts([ledger])).decode()])
        )
        yield of_kind(PAIRS, outputs(files, images_rules.count_books(views.filter(pc.invert(out)), rejected)))


def with_ledger(proposal: Proposal, found: Collected) -> Proposal:
    """Return the proposal of the sums with the facts of all ledgers."""
    return proposal.with_facts(sums.together(map(orjson.loads, found.facts)))
