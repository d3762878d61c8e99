"""Which images a wave asks for: a seeded sample of those that were there, alike for every run of the same seed and day.

Every image has a number, the hash of seed, day and key. Half of the sample are those of the lowest numbers of all, so they are
drawn as by lot from all images. The other half is shared out evenly among the sources, each of which gets those of its own
lowest numbers: so a small source has figures too. Within a source, all its images up to its *bound*, the larger of
the two, are in the sample; of the rest none counts for it. So every figure is of images that are drawn alike, and needs no
weights.

Memory is that of the sample: what cannot be in it is dropped part by part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.fetch.ledger.asked import ALL, ASKED
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import IMAGES

_NUMBER: Final = pa.field("number", pa.uint64(), nullable=False)
#: What a wave draws: the image, what stood, and where it is.
DRAWN: Final = pa.schema(
    [
        *(field for field in ASKED if field.name != "status"),
        _NUMBER,
        IMAGES.field("locations"),
        IMAGES.field("has_region"),
    ]
)


@dataclasses.dataclass(frozen=True)
class Bound:
    """What was drawn of a population: of a source's images, or of all.

    Attributes:
        images: How many there are, alive before.
        below: Images whose number is not above this are its sample.
    """

    images: int
    below: int


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A sample: `DRAWN` rows in order of image_id, and the bound of each source and of all."""

    rows: pa.Table
    bounds: Mapping[str, Bound]


def draw(parts: Iterable[tuple[pa.Table, pa.Table]], images: int, seed: str) -> Drawn:
    """Return the sample of a wave.

    Args:
        parts: `ASKED` with the `IMAGES` of the same rows; only those that were there are drawn.
        images: How many are drawn, at most.
        seed: Of the wave: seed and day.
    """
    counts: dict[str, int] = {}
    table = DRAWN.empty_table()
    for asked, places in parts:
        rows = _numbered(asked, places, seed)
        for name, mine in _by_source(rows):
            counts[name] = counts.get(name, 0) + mine
        table = _lowest(pa.concat_tables([table, rows]), images)
    return _bounded(table, counts, images)


def _numbered(asked: pa.Table, places: pa.Table, seed: str) -> pa.Table:
    there = pc.equal(asked["status"], OK)
    asked, places = asked.filter(there), places.filter(there)
    numbers = [int.from_bytes(keys.digest("refresh", seed, key)[:8], "big") for key in asked["image_id"].to_pylist()]
    columns = {field.name: asked[field.name] for field in ASKED if field.name != "status"}
    return pa.table(
        columns
        | {
            "number": pa.array(numbers, pa.uint64()),
            "locations": places["locations"],
            "has_region": places["has_region"],
        }
    ).cast(DRAWN)


def _by_source(rows: pa.Table) -> Iterable[tuple[str, int]]:
    counted = pc.value_counts(pc.list_flatten(rows["sources"]))
    yield ALL, rows.num_rows
    yield from zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)


def _lowest(rows: pa.Table, images: int) -> pa.Table:
    """Return what can still be in the sample: of all, and of each source, so many of the lowest numbers."""
    rows = rows.take(pc.sort_indices(rows["number"]))
    kept = np.arange(rows.num_rows) < images
    for _, places in _places(rows):
        kept[places[:images]] = True
    return rows.filter(pa.array(kept)).combine_chunks()


def _places(rows: pa.Table) -> Iterable[tuple[str, np.ndarray]]:
    """Yield each source, and the places of its rows in their order."""
    column = rows["sources"].combine_chunks()
    lists = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    parents, names = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists)
    for name in sorted(pc.unique(names).to_pylist()):
        yield name, parents[pc.equal(names, name).to_numpy(zero_copy_only=False)]


def _bounded(rows: pa.Table, counts: Mapping[str, int], images: int) -> Drawn:
    numbers = rows["number"].to_numpy()
    sources = dict(_places(rows))
    share = max((images - images // 2) // max(len(sources), 1), 1)
    of_all = _bound(numbers, images // 2 if len(sources) > 1 else images)
    bounds = {ALL: Bound(counts.get(ALL, 0), of_all)}
    kept = numbers <= of_all
    for name, places in sources.items():
        own = max(_bound(numbers[places], share), of_all)
        bounds[name] = Bound(counts[name], own)
        kept[places[numbers[places] <= own]] = True
    chosen = rows.filter(pa.array(kept))
    return Drawn(chosen.take(pc.sort_indices(chosen, [("image_id", "ascending")])).combine_chunks(), bounds)


def _bound(numbers: np.ndarray, count: int) -> int:
    """Return the number up to which so many of sorted numbers are; of fewer, the highest that there can be."""
    return 2**64 - 1 if count >= len(numbers) else int(numbers[count - 1]) if count else 0
