"""What published lists say of the images that are to be fetched, on Beam: brought together by name, then by image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pmd.engines.transforms import outputs
from pmd.fetch import partitions, reference_lists
from pmd.store import exchange


@dataclasses.dataclass(frozen=True)
class SpreadNames:
    """Write the rows of lists, or the images of a part that are to be fetched, to a run, by the names they have."""

    root: str
    shards: tuple[int, ...]
    bits: int
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Units (`pmd.publish.transforms.tasks`) → RUNS."""
        yield from exchange.write(self.work, reference_lists.MEETING, self.bits, self._rows(batch.to_pylist()), "name")

    def _rows(self, unit: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        for row in unit:
            if row["path"] is not None:
                yield from reference_lists.listed_rows(row["path"])
            else:
                images = partitions.read_images(self.root, row["part"])
                wanted = pc.is_in(images["fetch_shard"], value_set=pa.array(self.shards, pa.int32()))
                yield from reference_lists.image_rows(images.filter(wanted))


@dataclasses.dataclass(frozen=True)
class MeetNames:
    """Bring together what has one name, and write it to a run, by image."""

    part_bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → RUNS."""
        met = reference_lists.meet(exchange.read(self.work, keyed[1], reference_lists.MEETING))
        yield from exchange.write(self.work, reference_lists.LISTED, self.part_bits, [met], "image_id")


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
