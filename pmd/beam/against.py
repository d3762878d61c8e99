"""What published lists say of the images that are to be fetched, on Beam: brought together by name, then by image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pmd import exchange, parts
from pmd.beam.transforms import outputs
from pmd.fetch import against


@dataclasses.dataclass(frozen=True)
class SpreadNames:
    """Write the rows of lists, or the images of a part that are to be fetched, to a run, by the names they have."""

    root: str
    shards: tuple[int, ...]
    bits: int
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Units (`pmd.beam.publish.units`) → RUNS."""
        yield from exchange.write(self.work, against.MEETING, self.bits, self._rows(batch.to_pylist()), "name")

    def _rows(self, unit: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        for row in unit:
            if row["path"] is not None:
                yield from against.listed_rows(row["path"])
            else:
                images = parts.read_images(self.root, row["part"])
                wanted = pc.is_in(images["fetch_shard"], value_set=pa.array(self.shards, pa.int32()))
                yield from against.image_rows(images.filter(wanted))


@dataclasses.dataclass(frozen=True)
class MeetNames:
    """Bring together what has one name, and write it to a run, by image."""

    part_bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → RUNS."""
        met = against.meet(exchange.read(self.work, keyed[1], against.MEETING))
        yield from exchange.write(self.work, against.LISTED, self.part_bits, [met], "image_id")


@dataclasses.dataclass(frozen=True)
class WriteListed:
    """Write what lists say of a part's images, for the lanes."""

    folder: str
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(part, all its RUNS) → an empty batch of OUTPUTS."""
        part, references = keyed
        table = against.gather(exchange.read(self.work, references, against.LISTED))
        exchange.write_sorted(against.listed_file(self.folder, part), table)
        yield outputs(())
