"""Images are counted as one counts them by hand, whatever the order and the partition."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter

import numpy as np
import pyarrow as pa

from pmd.audit.counting import distinct, unit_sums
from pmd.audit.counting.measure import CLASSES
from tests.audit.batches import batch, pair

SOURCES = ("coco", "visual_genome", "wit")


def _build() -> tuple[list[tuple[str, str, str]], pa.Table]:
    """Return (source, image, last) of pairs, and `ROWS` of them."""
    chance = random.Random(4)
    made = [
        (chance.choice(SOURCES[:2]), str(int(chance.paretovariate(0.4)) % 500), chance.choice(CLASSES))
        for _ in range(3000)
    ]
    pairs = batch(pair(source, str(place), "a dog", image=image) for place, (source, image, _) in enumerate(made))
    rows = distinct.occurrences(pairs, pa.array([last for _, _, last in made]), SOURCES)
    return made, pa.Table.from_batches([rows])


def test_images_have_as_many_pairs_as_one_counts() -> None:
    made, rows = _build()
    found = distinct.count(rows, SOURCES)
    for source in (unit_sums.ALL, *SOURCES):
        for stage in range(len(CLASSES)):
            by_image = Counter(
                image for name, image, last in made if source in (unit_sums.ALL, name) and CLASSES.index(last) >= stage
            )
            sizes, number = found.sizes_of(source, "image", stage)
            assert dict(zip(sizes.tolist(), number.tolist(), strict=True)) == Counter(by_image.values())


def test_images_do_not_depend_on_how_they_are_dealt_out() -> None:
    _, rows = _build()
    whole = distinct.count(rows, SOURCES)
    is_first = rows["pair"].to_numpy() >> np.uint64(40) < np.uint64(2**24 // 3)
    turned = rows.take(pa.array(range(rows.num_rows - 1, -1, -1)))
    parts = [distinct.count(turned.filter(pa.array(some[::-1])), SOURCES) for some in (is_first, ~is_first)]
    assert unit_sums.merged(parts).to_bytes() == unit_sums.merged([whole]).to_bytes()
    assert distinct.count(distinct.ROWS.empty_table(), SOURCES).sizes.num_rows == 0


def test_what_a_partition_takes_is_some_tens_of_bytes_a_pair() -> None:
    """A partition has up to four million pairs: it took 86 bytes of each."""
    pairs = 200_000
    numbers = np.random.default_rng(0).integers(0, 2**63, pairs, np.uint64) >> np.uint64(8) << np.uint64(8)
    rows = pa.table({"pair": numbers}, schema=distinct.ROWS)
    tracemalloc.start()
    try:
        distinct.count(rows, ["coco"])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 50 * pairs
