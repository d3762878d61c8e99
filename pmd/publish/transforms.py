"""Publishing on Beam: a source's pairs and what became of their images meet in run files, by pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.dedupe import rules as dedupe_rules
from pmd.dedupe import splits
from pmd.engines.transforms import outputs
from pmd.fetch import partitions
from pmd.manifests import Terms
from pmd.manifests.model import Redistribute
from pmd.publish import rules as publish_rules
from pmd.schema.tables import PAIRS
from pmd.store import commits, exchange

TASKS = pa.schema([pa.field("part", pa.int32()), pa.field("path", pa.string())])

#: Both kinds of rows in one run: a pair (`sha256` null) or a fate (the pair's columns null).
MEETING = pa.schema(
    [
        publish_rules.FATES.field("pair_id"),
        *(field.with_nullable(True) for field in list(publish_rules.FATES)[1:]),
        pa.field("is_fate", pa.bool_(), nullable=False),
        *(field.with_nullable(True) for field in PAIRS if field.name != "pair_id"),
    ]
)


def tasks(files: Iterable[tuple[str, int]], numbers: Iterable[int]) -> list[pa.RecordBatch]:
    """Return files, each given with its bytes, and parts, in batches that are a unit each."""
    rows: list[list[dict[str, Any]]] = [[{"path": path} for path in paths] for paths in exchange.tasks(files)]
    rows += [[{"part": part}] for part in numbers]
    return [pa.RecordBatch.from_pylist(task, schema=TASKS) for task in rows]


@dataclasses.dataclass(frozen=True)
class SpreadBoth:
    """Write pairs of files, or fates of a part, to a run."""

    root: str
    source: str
    cut: partitions.Cut
    bits: int
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """TASKS → RUNS."""
        yield from exchange.write(self.work, MEETING, self.bits, self._rows(batch.to_pylist()), "pair_id")

    def _rows(self, task: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        for row in task:
            if row["path"] is not None:
                for rows in commits.iterate(row["path"]):
                    yield exchange.widen(pa.Table.from_batches([rows]), MEETING, is_fate=False)
            else:
                yield from self._fates(row["part"])

    def _fates(self, part: int) -> Iterator[pa.RecordBatch]:
        ledger = partitions.read_ledger(self.root, self.cut.shards(part))
        views = partitions.read_views(self.root, part)
        mine = views.filter(pc.equal(views["source"], self.source))
        kept, _ = dedupe_rules.judge_again(self.root, part, mine, ledger, dedupe_rules.read_groups(self.root))
        if kept.num_rows:
            kept = splits.settled(kept, splits.read(self.root, part))
            yield exchange.widen(publish_rules.fates(kept, ledger), MEETING, is_fate=True)


@dataclasses.dataclass(frozen=True)
class WriteList:
    """Join a partition and write its part of the list: a file a split, and another of rows without URLs."""

    terms: Terms
    level: Redistribute
    folder: str
    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → OUTPUTS."""
        partition, references = keyed
        meeting = exchange.read(self.work, references, MEETING)
        pairs = meeting.filter(pc.invert(meeting["is_fate"])).select(PAIRS.names)
        fate = meeting.filter(meeting["is_fate"]).select(publish_rules.FATES.names)
        table = publish_rules.rows(pairs, fate, self.terms, self.level)
        part = flow.part(partition, self.bits)
        files = [
            commits.put_table(self.folder, f"{name}-{part}", rows, page_index=True)
            for name, rows in publish_rules.by_file(table)
        ]
        yield outputs(files, {self.terms.name: commits.Books(table.num_rows, {})})
