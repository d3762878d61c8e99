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
from pmd.engines.transforms import Spreads, outputs
from pmd.schema.tables import GROUPS
from pmd.store import exchange, parquet_files, storage
from pmd.store.exchange import Rows

#: The kind of rows that `rules.MARKS` are, beside `rules.RELATED`, which need no name.
MARKS: Final = "mark"

#: Parts whose groups are resolved at once: 2 to this power. With as many partitions as parts, most messages had a few rows.
_TOGETHER_BITS: Final = 4


def meeting_bits(part_bits: int) -> int:
    """Return how many bits cut `rules.RELATED` where they are resolved."""
    return max(part_bits - _TOGETHER_BITS, 0)


def related(found: pa.Table, part_bits: int) -> Rows:
    """Return `rules.RELATED` as rows that meet to be resolved."""
    numbers = exchange.partitions(dedupe_rules.meeting_ids(found), meeting_bits(part_bits))
    (rows,) = found.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=found.schema)]
    return Rows(rows, numbers)


def marks(found: pa.Table, part_bits: int) -> Iterator[Rows]:
    """Yield what parts must know of groups of equal bytes, by part."""
    yield from exchange.by_key(dedupe_rules.marks(found).combine_chunks().to_batches(), "image_id", part_bits, MARKS)


@dataclasses.dataclass(frozen=True)
class Groups:
    """The files of a run: of each part its `GROUPS`, with those of `splits.EQUAL_BYTES`."""

    work: str

    def write(self, part: int, found: pa.Table) -> None:
        """Write a part's."""
        storage.put(self._path(part), parquet_files.to_bytes(found), durable=False)

    def read(self, part: int) -> pa.Table:
        """Return a part's."""
        batches = (
            parquet_files.without_dictionaries(pa.Table.from_batches([rows]))
            for rows in parquet_files.iterate(self._path(part))
        )
        return pa.concat_tables([GROUPS.empty_table(), *(rows.cast(GROUPS) for rows in batches)])

    def _path(self, part: int) -> str:
        return storage.join(self.work, f"groups-{part:05d}.parquet")


@dataclasses.dataclass(frozen=True)
class ResolveGroups(Spreads):
    """Find who stands in the end for the images of a partition, by part."""

    part_bits: int
    work: str

    kinds = exchange.one_kind(GROUPS)

    @property
    def partitions(self) -> int:
        """How many there are."""
        return 1 << meeting_bits(self.part_bits)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition, all its RUNS of `rules.RELATED`) → `GROUPS`."""
        found = dedupe_rules.resolved(exchange.read(self.work, keyed[1], dedupe_rules.RELATED))
        yield from exchange.by_key(found.to_batches(), "image_id", self.part_bits)


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
        runs = exchange.runs_among(batches)
        found = exchange.read(self.work, runs, GROUPS).sort_by([("image_id", "ascending"), ("relation", "ascending")])
        Groups(self.work).write(part, found)
        committed = found.filter(pc.not_equal(found["relation"], splits.EQUAL_BYTES))
        if committed.num_rows:
            yield outputs([parquet_files.put_table(self.folder, f"groups/{flow.part(part, self.bits)}", committed)])
        yield from (batch for batch in batches if batch.schema == PARTS)
