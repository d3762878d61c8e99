"""Overlap of the sources: images that two of them show, by identity, before anything is fetched.

    count    the sources of each image of a part → images by set of sources
    matrix   the counts of all parts → what audit.json says

What is one image by its bytes or its looks is found later, and is not in these figures: see the groups of dedupe.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def count(sources: pa.ChunkedArray) -> list[list[Any]]:
    """Return [sorted sources, images] for each set of sources that images have.

    Args:
        sources: The column of `IMAGES`: whose pairs show each image, sorted.
    """
    joined = pc.binary_join(sources, " ")  # a source is one word
    return [[row["values"].split(" "), row["counts"]] for row in pc.value_counts(joined).to_pylist()]


def matrix(counts: Iterable[Iterable[list[Any]]]) -> dict[str, Any]:
    """Return the images of each source, and what every two of them share.

    Args:
        counts: What `count` gave of every part.
    """
    by_sources: Counter[tuple[str, ...]] = Counter()
    for part in counts:
        for names, images in part:
            by_sources[tuple(names)] += images
    single: Counter[str] = Counter()
    double: Counter[tuple[str, str]] = Counter()
    for sources, images in by_sources.items():
        single.update(dict.fromkeys(sources, images))
        double.update(dict.fromkeys(itertools.combinations(sources, 2), images))
    return {
        "method": "overlap",
        "images": sum(by_sources.values()),
        "by_source": [
            {
                "source": name,
                "images": single[name],
                "only_here": by_sources[name,],
            }
            for name in sorted(single)
        ],
        "pairs_of_sources": [
            {
                "sources": [one, other],
                "images": double[one, other],
                "shares": [double[one, other] / single[one], double[one, other] / single[other]],
            }
            for one, other in itertools.combinations(sorted(single), 2)
        ],
    }
