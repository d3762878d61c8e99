"""Any data set on Beam: its chunks become pairs in run files, as the audit counts them."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Iterator

import pyarrow as pa

from pmd.audit.transforms import MEETING
from pmd.datasets import files, pairs
from pmd.engines.transforms import outputs
from pmd.store import commits, exchange

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
class SpreadData:
    """Write the pairs of a chunk of any data set to a run; hand on its books."""

    bits: int
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """DATA_TASKS → RUNS, and OUTPUTS."""
        books: dict[str, commits.Books] = {}
        yield from exchange.write(self.work, MEETING, self.bits, self._rows(batch, books), "pair_id")
        yield outputs((), books=books)

    def _rows(self, batch: pa.RecordBatch, books: dict[str, commits.Books]) -> Iterator[pa.RecordBatch]:
        for row in batch.to_pylist():
            file, chunk = pickle.loads(row["task"])  # noqa: S301  this process, or its driver, has made it
            for rows, found in pairs.read(file, chunk):
                for name, book in found.items():
                    books[name] = books.get(name, commits.Books()) + book
                yield exchange.widen(pa.Table.from_batches([rows]), MEETING)
