"""Curate on Beam: units of annotation files → run files → partitions of pairs and rejected rows."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
import pyarrow as pa

from pmd import sources
from pmd.config.options import CurateOptions
from pmd.curate.rules import STAGE, judge, settle
from pmd.engines import progress
from pmd.engines.transforms import Collected, outputs
from pmd.schema.tables import JUDGED, in_source_folder
from pmd.sources.contract import Unit
from pmd.store import commits, exchange, proposals
from pmd.store.proposals import Proposal

UNITS = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("form", pa.string(), nullable=False),
        pa.field("member", pa.string()),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64()),
        pa.field("companions", pa.list_(pa.string()), nullable=False),
    ]
)


def unit_batch(unit: Unit) -> pa.RecordBatch:
    """Return a unit as a batch of one row."""
    return pa.RecordBatch.from_pylist([dataclasses.asdict(unit)], schema=UNITS)


def unit_of(batch: pa.RecordBatch) -> Unit:
    """Return the unit of a batch of one row."""
    row = batch.to_pylist()[0]
    return Unit(**{**row, "companions": tuple(row["companions"])})


@dataclasses.dataclass(frozen=True)
class ReadUnit:
    """Read a unit, judge its drafts, write them to a run; give references by partition."""

    source: str
    options: Any
    work: str
    bits: int

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """UNITS of one row → RUNS."""
        yield from exchange.write(self.work, JUDGED, self.bits, self._judged(unit_of(batch)), "key")

    def _judged(self, unit: Unit) -> Iterator[pa.RecordBatch]:
        counts = progress.Counts(self.work, uuid.uuid4().hex)
        for drafts in sources.load(self.source).read(unit, self.options):
            yield judge(self.source, drafts)
            counts.add(rows=len(drafts))
        counts.write()


@dataclasses.dataclass(frozen=True)
class SettlePartition:
    """Read a partition's rows back, settle them, write its two files."""

    source: str
    options: CurateOptions
    folder: str
    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → OUTPUTS."""
        partition, references = keyed
        settled = settle(self.source, exchange.read(self.work, references, JUDGED), self.options)
        part = f"part-{partition:05d}-of-{2**self.bits:05d}"
        files = [
            commits.put_table(self.folder, f"{name}/{part}", table.cast(in_source_folder(table.schema)))
            for name, table in (("pairs", settled.pairs), ("rejected", settled.rejected))
            if table.num_rows
        ]
        yield outputs(files, {self.source: settled.books()})


@dataclasses.dataclass(frozen=True)
class CommitSource:
    """Commit a source: its files, its books."""

    source: str
    folder: str
    hash: str
    run: bytes
    work: str

    def __call__(self, found: Collected) -> None:
        """Propose it."""
        books = {self.source: found.books.get(self.source, commits.Books())}
        commit = commits.Commit(STAGE, found.files, books, self.hash, orjson.loads(self.run))
        proposals.leave(self.work, [Proposal(self.folder, commit)])
