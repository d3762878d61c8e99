"""Images for which another stands: a source may know a photograph under two identities, and its own stands for both.

COCO knows the Flickr number of its photographs, so pairs of SBU Captions and YFCC100M that show one are pairs of COCO's image
from `images` on. Whoever must know it before, the images stage, the plan and the audit, asks here.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import sealed

#: An image, and one that may stand for it; both are equal where a source says that an image is itself.
ALIASES = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("kept_id", KEY, nullable=False),
        pa.field("identity", pa.string(), nullable=False),  # of the one that stands
    ]
)


def found(path: str) -> Iterator[pa.RecordBatch]:
    """Yield `ALIASES` of a file of curate's pairs, each once a row group."""
    for rows in with_also(path, ["image_id", "identity", "also"]):
        yield of_pairs(rows)


def with_also(path: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of a file of curate's that tell of another identity (`also`); few files have any."""
    with sealed.open_checked(path) as file:
        parquet = pq.ParquetFile(file)
        column = parquet.schema_arrow.get_field_index("also")
        for group in range(parquet.num_row_groups):
            statistics = parquet.metadata.row_group(group).column(column).statistics
            if statistics is not None and statistics.null_count == parquet.metadata.row_group(group).num_rows:
                continue
            table = parquet.read_row_group(group, columns=[*columns], use_threads=False)
            yield table.filter(pc.is_valid(table["also"]))


def of_pairs(pairs: pa.Table) -> pa.RecordBatch:
    """Return `ALIASES` of pairs that have an `also`, each once."""
    each = pairs.group_by(["image_id", "identity", "also"], use_threads=False).aggregate([]).combine_chunks()
    others = keys.image_ids(each["also"].combine_chunks())
    kept, identities = (each[name].combine_chunks() for name in ("image_id", "identity"))
    return pa.RecordBatch.from_arrays([others, kept.cast(KEY), identities.cast(pa.string())], schema=ALIASES)


def links(batches: Iterable[pa.RecordBatch]) -> set[tuple[bytes, bytes]]:
    """Return (an image, another identity of the same photograph), by key, of batches of `ALIASES`."""
    return {
        link for one in batches for link in zip(one["kept_id"].to_pylist(), one["image_id"].to_pylist(), strict=True)
    }


@dataclasses.dataclass(frozen=True)
class Aliases:
    """Which image stands for which.

    Attributes:
        table: `ALIASES` in order of image_id, each once.
    """

    table: pa.Table

    @classmethod
    def of(cls, batches: Iterable[pa.RecordBatch]) -> Aliases:
        """Return what batches of `ALIASES` tell.

        Where several images say that they are also one (COCO holds some photographs twice), the smallest key stands for it.
        """
        told = pa.Table.from_batches(batches, ALIASES).combine_chunks()
        told = told.filter(pc.not_equal(told["image_id"], told["kept_id"])).combine_chunks()
        ids, kept = (told[name].combine_chunks() for name in ("image_id", "kept_id"))
        ordered = told.take(pa.array(keys.order(ids, kept)))
        first = keys.is_first(*keys.halves(ordered["image_id"].combine_chunks()))
        return cls(ordered.filter(pa.array(first)).combine_chunks())

    def __bool__(self) -> bool:
        return bool(self.table.num_rows)

    @functools.cached_property
    def _halves(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        return keys.halves(self.table["image_id"].combine_chunks())

    def standing_for(self, images: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Return the keys and the identities of the images that stand for some, by their keys; null where none does."""
        if not self:
            return pa.nulls(len(images), KEY), pa.nulls(len(images), pa.string())
        at = keys.places_in_order(keys.halves(images), self._halves)
        some = pa.array(at, mask=at < 0)
        kept, identities = (self.table[name].combine_chunks() for name in ("kept_id", "identity"))
        return kept.take(some), identities.take(some)
