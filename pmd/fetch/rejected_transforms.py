"""After fetching, on Beam: the pairs whose image could not be had, by part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.engines.partitions import part_of
from pmd.engines.transforms import outputs
from pmd.fetch import partitions
from pmd.images import rules as images_rules
from pmd.schema.statuses import OK
from pmd.store import commits

STAGE = flow.FETCH.name


@dataclasses.dataclass(frozen=True)
class RejectPart:
    """Join a part's views with its ledger; write the pairs that leave."""

    root: str
    folder: str
    cut: partitions.Cut
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """PARTS of one row → OUTPUTS."""
        part = part_of(batch)
        views = partitions.read_views(self.root, part, ["image_id", "pair_id", "source", "source_id"])
        ledger = partitions.read_ledger(self.root, self.cut.shards(part))
        found = partitions.statuses(views, ledger)
        out = pc.not_equal(found, OK)
        rejected = images_rules.reject(views.filter(out), STAGE, found.filter(out))
        name = flow.part(part, self.cut.part_bits)
        files = [commits.put_table(self.folder, name, rejected)] if rejected.num_rows else []
        yield outputs(files, images_rules.count_books(views.filter(pc.invert(out)), rejected))
