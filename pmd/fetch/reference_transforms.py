"""What published lists say of the images that are to be fetched, on Beam: brought together by name, then by image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pmd.engines.transforms import Spreads, SpreadsMet, outputs
from pmd.fetch.ledger import partitions
from pmd.fetch.lists import reference_lists
from pmd.store import exchange
from pmd.store.exchange import Rows


@dataclasses.dataclass(frozen=True)
class SpreadNames(Spreads):
    """Give the rows of lists, or the images of a part that are to be fetched, by the names they have."""

    root: str
    shards: tuple[int, ...]
    bits: int
    work: str

    kinds = exchange.one_kind(reference_lists.MEETING)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """Units (`pmd.publish.transforms.tasks`) → `reference_lists.MEETING`."""
        yield from exchange.by_key(self._rows(batch.to_pylist()), "name", self.bits)

    def _rows(self, unit: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        for row in unit:
            if row["path"] is not None:
                yield from reference_lists.listed_rows(row["path"])
            else:
                images = partitions.read_images(self.root, row["part"])
                wanted = pc.is_in(images["fetch_shard"], value_set=pa.array(self.shards, pa.int32()))
                yield from reference_lists.image_rows(images.filter(wanted))


@dataclasses.dataclass(frozen=True)
class MeetNames(SpreadsMet):
    """Bring together what has one name, and give it by image."""

    bits: int  # of the partitions of names
    part_bits: int
    work: str

    kinds = exchange.one_kind(reference_lists.LISTED)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition, all its RUNS) → `reference_lists.LISTED`."""
        met = reference_lists.meet(exchange.read(self.work, keyed[1], reference_lists.MEETING))
        yield from exchange.by_key([met], "image_id", self.part_bits)


@dataclasses.dataclass(frozen=True)
class WriteListed:
    """Write what lists say of a part's images, for the lanes."""

    folder: str
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(part, all its RUNS) → an empty batch of OUTPUTS."""
        part, references = keyed
        table = reference_lists.gather(exchange.read(self.work, references, reference_lists.LISTED))
        exchange.write_sorted(reference_lists.listed_file(self.folder, part), table)
        yield outputs(())
