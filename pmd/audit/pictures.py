"""Pictures as the ledger has them: resolution, shape, bytes and format by source, and which are copies of others.

    count    the images of a part, their ledger and the groups of dedupe → images by source and bin
    figures  the counts of all parts → what audit.json says

Nothing is taken from pixels here. Whether a picture is grey is recorded by no ledger, so nothing is said of it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd.audit import suppression
from pmd.audit.figures import coverage
from pmd.schema.statuses import OK

#: Lower ends of bins: the shorter side in pixels, the longer side ÷ the shorter, bytes of the file as it came.
BINS: Final[Mapping[str, tuple[float, ...]]] = {
    "short_side_px": (0, 128, 256, 384, 512, 768, 1024, 2048),
    "aspect": (1, 1.1, 1.34, 1.5, 1.78, 2, 3),
    "bytes": (0, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000),
}
#: Of an image that dedupe found to be no copy.
NO_COPY: Final = "none of these"
#: Tables, in their order.
TABLES: Final = (*BINS, "orientation", "format", "copies")

METHOD: Final = (
    "Images that were fetched, by source; one that several sources show counts for each. Sizes are those of the original, "
    "upright, as the ledger of the fetch has them. Copies are images that gave way to another, or were left out for being one. "
    "Whether a picture is grey is not recorded."
)


def count(images: pa.Table, ledger: pa.Table, groups: pa.Table) -> list[list[Any]]:
    """Return [source, table, bin, images].

    Args:
        images: `IMAGES`, or its `image_id` and `sources`.
        ledger: The effective ledger of these images.
        groups: `GROUPS` of the part.
    """
    there = ledger.filter(pc.equal(ledger["status"], OK)).combine_chunks()
    images = images.combine_chunks()
    at = pc.index_in(images["image_id"], value_set=there["image_id"].combine_chunks())
    images = images.filter(at.is_valid()).combine_chunks()
    rows = there.take(at.drop_null().combine_chunks())
    relation = groups["relation"].take(pc.index_in(images["image_id"], value_set=groups["image_id"].combine_chunks()))
    found = _binned(rows)
    found["copies"] = pc.fill_null(relation, NO_COPY)
    lists = images["sources"].combine_chunks()
    sources = pc.list_flatten(lists).dictionary_encode()
    shown, of_sources = pc.list_parent_indices(lists).to_numpy(), sources.indices.to_numpy()
    counts: list[list[Any]] = []
    for table in TABLES:
        values = _whole(found[table]).dictionary_encode()
        width = len(values.dictionary)
        # Of a source and a value one number, so that one pass counts all.
        pairs = of_sources.astype(np.int64) * width + values.indices.to_numpy()[shown]
        numbers = np.bincount(pairs, minlength=width * len(sources.dictionary))
        names, said = sources.dictionary.to_pylist(), values.dictionary.to_pylist()
        counts += [
            [names[place // width], table, said[place % width], int(numbers[place])]
            for place in np.flatnonzero(numbers).tolist()
        ]
    return sorted(counts)


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _binned(rows: pa.Table) -> dict[str, pa.Array | pa.ChunkedArray]:
    width, height = (
        pc.fill_null(rows[name].cast(pa.float64()), 0).to_numpy().astype(np.float64)
        for name in ("width_px", "height_px")
    )
    short, long = np.minimum(width, height), np.maximum(width, height)
    sizes = pc.fill_null(rows["bytes"].cast(pa.float64()), 0).to_numpy().astype(np.float64)
    values = {"short_side_px": short, "aspect": long / np.maximum(short, 1), "bytes": sizes}
    shapes = pa.array(["landscape", "portrait", "square"])
    return {
        **{name: _named(name, numbers) for name, numbers in values.items()},
        "orientation": shapes.take(pa.array(np.where(width > height, 0, np.where(width < height, 1, 2)))),
        "format": pc.fill_null(rows["format"], "unknown"),
    }


def labels(name: str) -> list[str]:
    """Return what the bins of a table are called."""
    ends = BINS[name]
    said = [f"{int(end):,}" if name == "bytes" else f"{end:,g}" for end in ends]
    return [f"{low} to below {high}" for low, high in itertools.pairwise(said)] + [f"{said[-1]} or more"]


def _named(name: str, numbers: NDArray[np.float64]) -> pa.Array:
    places = np.maximum(np.searchsorted(np.array(BINS[name]), numbers, "right") - 1, 0)
    return pa.array(labels(name)).take(pa.array(places))


def figures(parts: Iterable[Iterable[list[Any]]]) -> dict[str, Any]:
    """Return, by source, the images of each bin; bins of few are summed up."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    for part in parts:
        for source, table, value, number in part:
            counts.setdefault(source, {name: Counter() for name in TABLES})[table][value] += number
    return {source: _of_source(tables) for source, tables in sorted(counts.items())}


def _of_source(tables: Mapping[str, Counter[str]]) -> dict[str, Any]:
    total = sum(tables["format"].values())
    rows = []
    for table, found in tables.items():
        (shown,) = suppression.shown([found], [total])
        some = sorted(shown, key=lambda value: (low(value), value)) if table in BINS else sorted(shown)
        rows += [
            {"table": table, "value": value, "images": found[value], "share": found[value] / total} for value in some
        ]
        if rest := total - sum(found[value] for value in shown):
            rows.append({"table": table, "value": suppression.NOT_SHOWN, "images": rest, "share": rest / total})
    return {"coverage": coverage(total, total, "fetched images"), "method": "pictures", "values": rows}


def low(value: str) -> float:
    """Return the lower end of a bin."""
    return float(value.partition(" ")[0].replace(",", ""))
