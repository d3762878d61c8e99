"""Images that a source knows under another identity: their pairs are counted with the image that stands for both.

COCO knows the Flickr number of its photographs, so pairs of SBU Captions and YFCC100M that show one are pairs of COCO's image
from `images` on. Curate's pairs have the key that their own source gives.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema import keys
from pmd.store import storage

#: The column in which pairs keep the key that their own source gives.
OWN_ID = "own_id"


def with_standing(pairs: pa.RecordBatch, path: str) -> pa.RecordBatch:
    """Return pairs with the images that stand for theirs; where any is another, with `OWN_ID` too.

    Args:
        pairs: With `image_id`.
        path: What `pipelines.images.write_aliases` wrote.
    """
    first, second, kept = _aliases(path)
    own = pairs.column("image_id")
    own_first, own_second = keys.halves(own)
    at = np.minimum(np.searchsorted(second, own_second), len(second) - 1)
    other = (second[at] == own_second) & (first[at] == own_first)
    if not other.any():
        return pairs
    standing = pc.replace_with_mask(own, pa.array(other), kept.take(pa.array(at[other])))
    place = pairs.schema.get_field_index("image_id")
    return pairs.set_column(place, pairs.schema.field(place), standing).append_column(OWN_ID, own)


@functools.lru_cache(maxsize=1)
def _aliases(path: str) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], pa.Array]:
    """Return both halves of keys, in order of the second, and the keys of the images that stand for them."""
    table = pa.ipc.open_file(storage.read_bytes(path)).read_all().combine_chunks()
    first, second = keys.halves(table["image_id"].combine_chunks())
    order = np.argsort(second)
    return first[order], second[order], table["kept_id"].combine_chunks().take(pa.array(order))
