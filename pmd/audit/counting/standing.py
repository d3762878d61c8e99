"""Pairs of images for which others stand are counted with these: curate's have the key that their own source gives."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd.images.aliases import Aliases
from pmd.schema.tables import with_columns

#: The column in which pairs keep the key that their own source gives.
OWN_ID: Final = "own_id"


def with_standing(pairs: pa.RecordBatch, aliases: Aliases) -> pa.RecordBatch:
    """Return pairs with the images that stand for theirs; where any is another, with `OWN_ID` too.

    Args:
        pairs: With `image_id`.
        aliases: Of all sources.
    """
    own = pairs.column("image_id")
    kept, _ = aliases.standing_for(own)
    if kept.null_count == len(kept):
        return pairs
    return with_columns(pairs, {"image_id": pc.coalesce(kept, own)}).append_column(OWN_ID, own)
