"""Groups on Beam: what is found anywhere → groups, cut by part like the views, each in a file of its part.

Two images are found to be one wherever their digests or hashes meet. Who stands for an image in the end is known where the
one that stays of its equals meets its near-duplicate. Then each row goes to the part of its image, which is the only one that
needs it: no worker holds the groups of other parts. While dedupe runs, a part reads a file of the run, which also has what is
not committed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.dedupe import rules as dedupe_rules
from pmd.dedupe import splits
from pmd.engines.partitions import PARTS
from pmd.engines.transforms import outputs
from pmd.schema.tables import GROUPS
from pmd.store import commits, exchange, storage

#: `exchange.RUNS` of `rules.MARKS`, told from others by a name.
MARK_RUNS: Final = pa.schema([exchange.RUNS.field(0).with_name("mark_partition"), *list(exchange.RUNS)[1:]])

#: Parts whose groups are resolved at once: 2 to this power. With as many partitions as parts, most messages had a few rows.
_TOGETHER_BITS: Final = 4


def meeting_bits(part_bits: int) -> int:
    """Return how many bits cut `rules.RELATED` where they are resolved."""
    return max(part_bits - _TOGETHER_BITS, 0)


def write_related(work: str, found: pa.Table, part_bits: int) -> Iterator[pa.RecordBatch]:
    """Write `rules.RELATED` to a run where they meet to be resolved; yield its RUNS."""
    numbers = exchange.partitions(dedupe_rules.meeting_ids(found), meeting_bits(part_bits))
    (rows,) = found.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=found.schema)]
    yield from exchange.write_numbered(work, dedupe_rules.RELATED, [(rows, numbers)])


def write_marks(work: str, found: pa.Table, part_bits: int) -> Iterator[pa.RecordBatch]:
    """Write what parts must know of groups of equal bytes to a run; yield its MARK_RUNS."""
    rows = dedupe_rules.marks(found).combine_chunks().to_batches()
    for runs in exchange.write(work, dedupe_rules.MARKS, part_bits, rows, "image_id"):
        yield pa.RecordBatch.from_arrays(runs.columns, schema=MARK_RUNS)


def as_runs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """MARK_RUNS → RUNS."""
    return pa.RecordBatch.from_arrays(batch.columns, schema=exchange.RUNS)


@dataclasses.dataclass(frozen=True)
class Groups:
    """The files of a run: of each part its `GROUPS`, with those of `splits.EQUAL_BYTES`."""

    work: str

    def write(self, part: int, found: pa.Table) -> None:
        """Write a part's."""
        storage.put(self._path(part), commits.parquet_bytes(found), durable=False)

    def read(self, part: int) -> pa.Table:
        """Return a part's."""
        batches = (
            commits.without_dictionaries(pa.Table.from_batches([rows])) for rows in commits.iterate(self._path(part))
        )
        return pa.concat_tables([GROUPS.empty_table(), *(rows.cast(GROUPS) for rows in batches)])

    def _path(self, part: int) -> str:
        return storage.join(self.work, f"groups-{part:05d}.parquet")


@dataclasses.dataclass(frozen=True)
class ResolveGroups:
    """Find who stands in the end for the images of a partition; write them by part to a run."""

    part_bits: int
    work: str

    @property
    def bits(self) -> int:
        """There are 2**bits partitions."""
        return meeting_bits(self.part_bits)

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS of `rules.RELATED`) → RUNS of `GROUPS`."""
        found = dedupe_rules.resolved(exchange.read(self.work, keyed[1], dedupe_rules.RELATED))
        yield from exchange.write(self.work, GROUPS, self.part_bits, found.to_batches(), "image_id")


@dataclasses.dataclass(frozen=True)
class WriteGroups:
    """Write the groups of a part: those that are committed, and for this run all of them."""

    folder: str
    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(part, its PARTS of one row and its RUNS of `ResolveGroups`) → PARTS of one row, once they stand, and OUTPUTS."""
        part, batches = keyed
        batches = list(batches)
        runs = [batch for batch in batches if batch.schema == exchange.RUNS]
        found = exchange.read(self.work, runs, GROUPS).sort_by([("image_id", "ascending"), ("relation", "ascending")])
        Groups(self.work).write(part, found)
        committed = found.filter(pc.not_equal(found["relation"], splits.EQUAL_BYTES))
        if committed.num_rows:
            yield outputs([commits.put_table(self.folder, f"groups/{flow.part(part, self.bits)}", committed)])
        yield from (batch for batch in batches if batch.schema == PARTS)
