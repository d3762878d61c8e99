"""Any data set on Beam: its chunks are pairs, as the audit counts them."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Iterator

import pyarrow as pa

from pmd import flow
from pmd.audit.transforms import KINDS, Counting
from pmd.datasets import files, pairs
from pmd.engines.transforms import Spreads, outputs
from pmd.store import commits
from pmd.store.exchange import Rows

#: A chunk of any data set, with what its file is.
DATA_TASKS = pa.schema([pa.field("task", pa.binary(), nullable=False)])


def data_tasks(found: Iterable[files.DataFile]) -> list[pa.RecordBatch]:
    """Return every chunk of a data set, in batches that are a unit each."""
    return [
        pa.RecordBatch.from_pylist(
            [{"task": pickle.dumps((dataclasses.replace(file, chunks=()), chunk))}], schema=DATA_TASKS
        )
        for file in found
        for chunk in file.chunks
    ]


@dataclasses.dataclass(frozen=True)
class CountData(Spreads):
    """Count the pairs of a chunk of any data set, all of which are left; hand on its books."""

    counting: Counting
    kinds = KINDS

    @property
    def work(self) -> str:  # type: ignore[override]  # a field elsewhere
        """The folder of this run."""
        return self.counting.work

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows | pa.RecordBatch]:
        """DATA_TASKS → rows of `KINDS`, and OUTPUTS."""
        books: dict[str, commits.Books] = {}
        yield from self.counting.count(self._pairs(batch, books))
        yield outputs((), books=books)

    def _pairs(
        self, batch: pa.RecordBatch, books: dict[str, commits.Books]
    ) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
        for row in batch.to_pylist():
            file, chunk = pickle.loads(row["task"])  # noqa: S301  this process, or its driver, has made it
            for rows, found in pairs.read(file, chunk):
                for name, book in found.items():
                    books[name] = books.get(name, commits.Books()) + book
                yield rows, pa.repeat(flow.CURATE.name, rows.num_rows)
