"""Recounting what dedupe commits: groups, and the pairs that it rejects."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pmd.books import recount
from pmd.books.recount import Keys, Table
from pmd.dedupe.rules import RELATIONS
from pmd.schema.tables import GROUPS


class Recount(recount.Recount):
    """The recount of the groups."""

    def table(self, name: str, columns: Sequence[str]) -> Table:
        return self.rejected() if self.is_rejected(name) else Table(GROUPS, self._groups)

    def _groups(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        for relation in {*batch["relation"].to_pylist()}.difference(RELATIONS):
            self.tell("relation", name, f"one of {', '.join(RELATIONS)}", relation)
        return recount.check_order(self.tally.report, name, batch, ("image_id",), before)
