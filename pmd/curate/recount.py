"""Recounting what curate commits: a source's pairs and rejected rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow as pa

from pmd import flow
from pmd.books import reconciliation, recount
from pmd.books.recount import Keys, Table
from pmd.curate import rules
from pmd.schema.tables import KEPT_OUT, PAIRS, REJECTED, in_source_folder
from pmd.suppression import kept_out
from pmd.terminal import bar


class Recount(recount.Recount):
    """The recount of one source's pairs."""

    tables: ClassVar[Mapping[str, pa.Schema]] = {"pairs": in_source_folder(PAIRS), "kept_out": KEPT_OUT}

    def table(self, name: str, columns: Sequence[str]) -> Table:
        if self.is_rejected(name):
            return self.rejected(columns, in_source_folder(REJECTED))
        if name.startswith(f"{self.folder}/{flow.KEPT_OUT}/"):
            return Table(KEPT_OUT, self._kept_out)
        return Table(in_source_folder(PAIRS), self._pairs)

    def _kept_out(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        for other in {*batch["kind"].to_pylist()}.difference(kept_out.KINDS):
            self.tell("kind", name, f"one of {', '.join(kept_out.KINDS)}", other)
        if not self.committed.commit.facts.get(rules.SUPPRESSED):
            self.tell(
                "of rows that are kept out", name, "no such rows, as its commit says", bar.amount(len(batch), "rows")
            )
        return recount.check_order(self.tally.report, name, batch, KEPT_OUT.names, before)

    def _pairs(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        recount.check_pair_keys(self.tally.report, name, batch)
        recount.check_image_keys(self.tally.report, name, batch)
        for other in {*batch["source"].to_pylist()} - {self.committed.source}:
            self.tell("source", name, self.committed.source, other)
        self.keep(reconciliation.CURATED, number, batch)
        return recount.check_order(self.tally.report, name, batch, ("pair_id",), before)
