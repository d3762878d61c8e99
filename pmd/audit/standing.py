"""Images that a source knows under another identity: their pairs are counted with the image that stands for both.

    found            files of pairs → `ALIASES`: few sources know two identities
    Aliases          all of these, brought together
    with_standing    pairs, and these → pairs with the images that stand for theirs

COCO knows the Flickr number of its photographs, so pairs of SBU Captions and YFCC100M that show one are pairs of COCO's image
from `images` on. Curate's pairs have the key that their own source gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.images import takedowns
from pmd.schema import keys
from pmd.schema.tables import KEY

#: The column in which pairs keep the key that their own source gives.
OWN_ID: Final = "own_id"

#: An image, and one that may stand for it.
ALIASES: Final = pa.schema([pa.field("image_id", KEY, nullable=False), pa.field("kept_id", KEY, nullable=False)])


def found(path: str) -> Iterator[pa.RecordBatch]:
    """Yield `ALIASES` of a file of pairs, each once a row group."""
    for rows in takedowns.with_also(path, ["image_id", "also"]):
        table = rows.group_by(["image_id", "also"], use_threads=False).aggregate([]).combine_chunks()
        others, kept = keys.image_ids(table["also"].combine_chunks()), table["image_id"].combine_chunks()
        batch = pa.RecordBatch.from_arrays([others, kept.cast(KEY)], schema=ALIASES)
        yield batch.filter(pc.not_equal(others, kept))


@dataclasses.dataclass(frozen=True)
class Aliases:
    """Images for which another stands.

    Attributes:
        halves: Those of their keys (`keys.halves`), in order.
        kept: The keys of the images that stand for them.
    """

    halves: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]
    kept: pa.Array

    @classmethod
    def of(cls, batches: Iterable[pa.RecordBatch]) -> Aliases:
        """Return what batches of `ALIASES` tell: where several images stand for one, that of the smallest key does."""
        table = pa.Table.from_batches(batches, ALIASES)
        ids, kept = (table[name].combine_chunks() for name in ALIASES.names)
        order = pa.array(keys.order(ids, kept))
        ids, kept = ids.take(order), kept.take(order)
        first, last = keys.halves(ids)
        some = np.flatnonzero(keys.is_first(first, last))
        return cls((first[some], last[some]), kept.take(pa.array(some)))


def with_standing(pairs: pa.RecordBatch, aliases: Aliases) -> pa.RecordBatch:
    """Return pairs with the images that stand for theirs; where any is another, with `OWN_ID` too.

    Args:
        pairs: With `image_id`.
        aliases: Of all sources.
    """
    if not len(aliases.kept):
        return pairs
    own = pairs.column("image_id")
    at = keys.places_in_order(keys.halves(own), aliases.halves)
    other = at >= 0
    if not other.any():
        return pairs
    standing = pc.replace_with_mask(own, pa.array(other), aliases.kept.take(pa.array(at[other])))
    place = pairs.schema.get_field_index("image_id")
    return pairs.set_column(place, pairs.schema.field(place), standing).append_column(OWN_ID, own)
