"""Recounting what curate commits: a source's pairs and rejected rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow as pa

from pmd.books import reconciliation, recount
from pmd.books.recount import Keys, Table
from pmd.schema.tables import PAIRS, REJECTED, in_source_folder


class Recount(recount.Recount):
    """The recount of one source's pairs."""

    tables: ClassVar[Mapping[str, pa.Schema]] = {"pairs": in_source_folder(PAIRS)}

    def table(self, name: str, columns: Sequence[str]) -> Table:
        if self.is_rejected(name):
            return self.rejected(in_source_folder(REJECTED))
        return Table(in_source_folder(PAIRS), self._pairs)

    def _pairs(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        recount.check_pair_keys(self.tally.report, name, batch)
        recount.check_image_keys(self.tally.report, name, batch)
        for other in {*batch["source"].to_pylist()} - {self.committed.source}:
            self.tell("source", name, self.committed.source, other)
        self.keep(reconciliation.CURATED, number, batch)
        return recount.check_order(self.tally.report, name, batch, ("pair_id",), before)
