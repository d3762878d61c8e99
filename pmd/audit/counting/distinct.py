"""Distinct images, and how many pairs each has, counted where all pairs of one have met.

    occurrences   pairs, and the last stage that each survived → `ROWS`, which meet by image
    count         all rows of some images → `unit_sums.SIZES`, of each source and of all together

There are as many rows as pairs, so a row is one number of eight bytes: the first bits are of the second half of the image's key,
the last say the source and the stage. Rows in order of these numbers have the pairs of an image beside each other, and within it
those of a source. With PMD's sources 57 bits tell images. That any two of 70 million have the same ones happens in one audit of
60, and then one image is counted with another, in figures of millions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pmd.audit.counting import unit_sums, units
from pmd.audit.counting.measure import CLASSES, by_source, classes, low_words

ROWS: Final = pa.schema([pa.field("pair", pa.uint64(), nullable=False)])
#: Bits of the last of `CLASSES` survived.
_LAST_BITS: Final = np.uint64((len(CLASSES) - 1).bit_length())
_KIND: Final = "image"


def occurrences(pairs: pa.RecordBatch, last: pa.Array, sources: Sequence[str]) -> pa.RecordBatch:
    """Return `ROWS`, one a pair.

    Args:
        pairs: `measure.COLUMNS`.
        last: The last of `CLASSES` that each survived.
        sources: All sources.
    """
    rest = classes(last).astype(np.uint64)
    for source, mine in by_source(pairs).items():
        rest[mine] |= np.uint64(sources.index(source)) << _LAST_BITS
    bits = _rest_bits(sources)
    return pa.RecordBatch.from_arrays(
        [pa.array(low_words(pairs.column("image_id")) >> bits << bits | rest)], schema=ROWS
    )


def _rest_bits(sources: Sequence[str]) -> np.uint64:
    """Return how many bits tell the source and the stage."""
    return np.uint64((len(sources) - 1).bit_length()) + _LAST_BITS


def count(rows: pa.Table, sources: Sequence[str]) -> unit_sums.Counted:
    """Return how many images have so many pairs after each stage.

    Args:
        rows: All `ROWS` of some images, in any order.
        sources: All sources.
    """
    image = np.sort(rows["pair"].to_numpy())
    rest = (image & ((np.uint64(1) << _rest_bits(sources)) - np.uint64(1))).astype(np.uint32)
    image >>= _rest_bits(sources)  # in its place: a partition has millions
    last = (rest & np.uint32((1 << int(_LAST_BITS)) - 1)).astype(np.uint8)
    source = rest >> np.uint32(_LAST_BITS)
    del rest
    found = [*_sizes(unit_sums.ALL, image, last)]
    for place, name in enumerate(sources):
        mine = source == place
        found += _sizes(name, image[mine], last[mine])
    return unit_sums.of_sizes(found)


def _sizes(source: str, image: NDArray[np.uint64], last: NDArray[np.uint8]) -> Iterator[pa.Table]:
    """Yield `unit_sums.SIZES` of images whose pairs stand beside each other.

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
        yield unit_sums.sizes(source, _KIND, stage, by_image[:, stage], alone=int(singles[stage]))
