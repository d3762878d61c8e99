"""Recounting what refresh commits: a wave's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow as pa

from pmd.books import recount
from pmd.books.recount import Keys, Table
from pmd.refresh.waves import WAVE
from pmd.schema.statuses import STATUSES


class Recount(recount.Recount):
    """The recount of one wave: its rows are in order, each image once, and every status is one."""

    tables: ClassVar[Mapping[str, pa.Schema]] = {"waves": WAVE}

    def table(self, name: str, columns: Sequence[str]) -> Table:
        return Table(WAVE, self._asked)

    def _asked(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        for other in sorted({*batch["status"].to_pylist()}.difference(STATUSES)):
            self.tell("status that is none", name, ", ".join(STATUSES), other)
        return recount.check_order(self.tally.report, name, batch, ("image_id",), before)
