"""Publishing on Beam: pairs and what became of their images meet by source and pair.

Several sources are published at once, since each part of the views tells of all. What one's list is made of, and how it is cut,
does not depend on the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config.asked import Asked
from pmd.dedupe import left
from pmd.engines.committing import of_kind
from pmd.engines.transforms import Collected, Spreads, outputs
from pmd.fetch.ledger import partitions
from pmd.manifests import Terms
from pmd.publish import named
from pmd.publish import rules as publish_rules
from pmd.schema.tables import PAIRS
from pmd.store import commits, exchange, parquet_files
from pmd.store.exchange import Rows
from pmd.store.proposals import Proposal

TASKS = pa.schema([pa.field("part", pa.int32()), pa.field("source", pa.string()), pa.field("path", pa.string())])

#: Both kinds of rows in one run: a pair (`sha256` null) or a fate (the pair's columns null).
MEETING = pa.schema(
    [
        publish_rules.FATES.field("pair_id"),
        *(field.with_nullable(True) for field in list(publish_rules.FATES)[1:]),
        pa.field("is_fate", pa.bool_(), nullable=False),
        *(field.with_nullable(True) for field in PAIRS if field.name != "pair_id"),
    ]
)


def tasks(files: Mapping[str, Iterable[tuple[str, int]]], numbers: Iterable[int]) -> list[pa.RecordBatch]:
    """Return each source's files, given with their bytes, and parts, in batches that are a unit each."""
    rows: list[list[dict[str, Any]]] = [
        [{"source": source, "path": path} for path in paths]
        for source, listed in sorted(files.items())
        for paths in exchange.tasks(listed)
    ]
    rows += [[{"part": part}] for part in numbers]
    return [pa.RecordBatch.from_pylist(task, schema=TASKS) for task in rows]


@dataclasses.dataclass(frozen=True)
class SpreadBoth(Spreads):
    """Write pairs of a source's files, or the fates of all sources' pairs in a part, to a run."""

    root: str
    cut: partitions.Cut
    lists: exchange.Numbered
    work: str

    kinds = exchange.one_kind(MEETING)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """TASKS → `MEETING`, with their partitions."""
        for source, rows in self._rows(batch.to_pylist()):
            yield Rows(rows, self.lists.numbers(source, rows.column("pair_id")))

    def _rows(self, task: Iterable[dict[str, Any]]) -> Iterator[tuple[str, pa.RecordBatch]]:
        for row in task:
            if row["path"] is not None:
                for rows in parquet_files.iterate(row["path"]):
                    yield row["source"], exchange.widen(pa.Table.from_batches([rows]), MEETING, is_fate=False)
            else:
                yield from self._fates(row["part"])

    def _fates(self, part: int) -> Iterator[tuple[str, pa.RecordBatch]]:
        ledger = partitions.read_ledger(self.root, self.cut.shards(part))
        kept = left.views(self.root, part, ledger)
        for source in sorted(self.lists.bits):
            mine = kept.filter(pc.equal(kept["source"], source))
            if mine.num_rows:
                yield source, exchange.widen(publish_rules.fates(mine, ledger), MEETING, is_fate=True)


@dataclasses.dataclass(frozen=True)
class SourceList:
    """What a source's list is made by.

    Attributes:
        terms: What of the source may be handed on.
        folder: Where it is written.
    """

    terms: Terms
    folder: str


@dataclasses.dataclass(frozen=True)
class WriteList:
    """Join a partition and write its part of a source's list: a file a split, and another of rows without URLs.

    Its outputs name the source before each file, for `Target.kind`.
    """

    of: Mapping[str, SourceList]
    asked: Asked
    lists: exchange.Numbered
    work: str

    @property
    def partitions(self) -> int:
        """How many there are."""
        return len(self.lists)

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → OUTPUTS."""
        number, references = keyed
        source, partition = self.lists.place(number)
        made = self.of[source]
        meeting = exchange.read(self.work, references, MEETING)
        pairs = meeting.filter(pc.invert(meeting["is_fate"])).select(PAIRS.names)
        fate = meeting.filter(meeting["is_fate"]).select(publish_rules.FATES.names)
        table = publish_rules.rows(pairs, fate, made.terms, self.asked)
        part = flow.part(partition, self.lists.bits[source])
        files = [
            parquet_files.put_table(made.folder, f"{name}-{part}", rows, page_index=True)
            for name, rows in publish_rules.by_file(table)
        ]
        counted = named.count(source, pairs, table)
        facts = [orjson.dumps(counted).decode()] if counted else []
        yield of_kind(source, outputs(files, {source: commits.Books(table.num_rows, {})}, facts))


def with_named(proposal: Proposal, found: Collected) -> Proposal:
    """Return a proposal with how many rows of the list name who contributed them (`pmd.publish.named`)."""
    counted = named.summed(map(orjson.loads, found.facts))
    if not counted:
        return proposal
    return proposal.with_facts({**proposal.commit.facts, named.FACT: counted})
