"""Distinct images, and how many pairs each has, counted where all pairs of one have met.

    occurrences   pairs, and the last stage that each survived → `ROWS`, which meet by image
    count         all rows of some images → `units.SIZES`, of each source and of all together

There are as many rows as pairs, so a row is eleven bytes. An image goes by half of its key: that any two of 70 million have one
half has a chance of 1 in 7,500, and then one image is counted with another, in figures of millions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pmd.audit import units
from pmd.audit.measure import CLASSES, by_source, classes, low_words

ROWS: Final = pa.schema(
    [
        pa.field("image", pa.uint64(), nullable=False),
        pa.field("source", pa.int16(), nullable=False),  # its place among all
        pa.field("last", pa.int8(), nullable=False),  # number of the last of `CLASSES` survived
    ]
)
_KIND: Final = "image"


def occurrences(pairs: pa.RecordBatch, last: pa.Array, sources: Sequence[str]) -> pa.RecordBatch:
    """Return `ROWS`, one a pair.

    Args:
        pairs: `measure.COLUMNS`.
        last: The last of `CLASSES` that each survived.
        sources: All sources.
    """
    places = np.zeros(pairs.num_rows, np.int16)
    for source, mine in by_source(pairs).items():
        places[mine] = sources.index(source)
    columns = [pa.array(low_words(pairs.column("image_id"))), pa.array(places), pa.array(classes(last), pa.int8())]
    return pa.RecordBatch.from_arrays(columns, schema=ROWS)


def count(rows: pa.Table, sources: Sequence[str]) -> units.Counted:
    """Return how many images have so many pairs after each stage.

    Args:
        rows: All `ROWS` of some images, in any order.
        sources: All sources.
    """
    image, source, last = (rows[name].to_numpy() for name in ROWS.names)
    order = np.argsort(image)
    image, source, last = image[order], source[order], last[order]
    found = [*_sizes(units.ALL, image, last)]
    for place, name in enumerate(sources):
        mine = source == place
        found += _sizes(name, image[mine], last[mine])
    return units.of_sizes(found)


def _sizes(source: str, image: NDArray[np.uint64], last: NDArray[np.int8]) -> Iterator[pa.Table]:
    """Yield `units.SIZES` of images whose pairs stand beside each other.

    Most images have one pair. Of these no table by image is made.
    """
    starts = np.flatnonzero(np.r_[True, image[1:] != image[:-1]][: len(image)])
    pairs = np.diff(np.r_[starts, len(image)])
    singles = np.bincount(last[starts[pairs == 1]], minlength=len(CLASSES))
    singles = np.cumsum(singles[::-1])[::-1]
    several = np.repeat(pairs > 1, pairs)
    place = np.repeat(np.arange(int((pairs > 1).sum())), pairs[pairs > 1])
    by_image = units.after(place, last[several].astype(np.int64), int((pairs > 1).sum()))
    for stage in range(len(CLASSES)):
        yield units.sizes(source, _KIND, stage, by_image[:, stage], alone=int(singles[stage]))
