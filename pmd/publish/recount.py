"""Recounting what publish commits: a source's list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import pyarrow as pa

from pmd.books import reconciliation, recount
from pmd.books.recount import Keys, Table
from pmd.publish.rules import LATER, PUBLISHED

#: Columns that lists of earlier versions lack. Who compares pictures by a list must have the last of them, and says so.
_LATER: Final = (*LATER, "perceptual_hash")


class Recount(recount.Recount):
    """The recount of one source's list."""

    tables: ClassVar[Mapping[str, pa.Schema]] = {"published": PUBLISHED}

    def table(self, name: str, columns: Sequence[str]) -> Table:
        return Table(recount.without_later(PUBLISHED, _LATER, columns), self._published)

    def _published(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        source = self.committed.source
        self.tally.kept[self.folder, source] += batch.num_rows
        pair_ids = reconciliation.hex_keys(batch["pair_id"].to_pylist())
        texts = batch["text"].to_pylist()
        self.tally.pairs.add(
            reconciliation.PUBLISHED,
            number,
            pair_ids,
            [source] * batch.num_rows,
            texts,
            splits=batch["split"].to_pylist(),
        )
        return recount.check_order(self.tally.report, name, batch, ("pair_id",), before)
