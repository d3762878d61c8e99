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

from pmd.audit.statistics import suppression
from pmd.audit.statistics.figures import coverage
from pmd.fetch.ledger import partitions
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

#: Of each picture the number of a value, and the values.
Coded = tuple[NDArray[np.int64], list[str]]

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
    at = partitions.places(images["image_id"], there)
    images, at = images.filter(pa.array(at >= 0)).combine_chunks(), at[at >= 0]
    lists = images["sources"].combine_chunks()
    sources = pc.list_flatten(lists).dictionary_encode()
    shown, of_sources = pc.list_parent_indices(lists).to_numpy(), sources.indices.to_numpy().astype(np.int64)
    names = sources.dictionary.to_pylist()
    counts: list[list[Any]] = []
    for table, (values, said) in {**_binned(there, at), "copies": _copies(images, groups)}.items():
        # Of a source and a value one number, so that one pass counts all.
        pairs = of_sources * len(said) + values[shown]
        numbers = np.bincount(pairs, minlength=len(said) * len(names))
        counts += [
            [names[place // len(said)], table, said[place % len(said)], int(numbers[place])]
            for place in np.flatnonzero(numbers).tolist()
        ]
    return sorted(counts)


def _copies(images: pa.Table, groups: pa.Table) -> Coded:
    at = partitions.places(images["image_id"], groups)
    codes, said = _coded(pc.fill_null(groups["relation"], NO_COPY))
    return np.r_[codes, len(said)][at], [*said, NO_COPY]  # -1, of an image without a row, is the last


def _binned(rows: pa.Table, at: NDArray[np.int64]) -> dict[str, Coded]:
    """Return the bins of some rows of a ledger."""
    width, height, sizes = (
        pc.fill_null(rows[name].cast(pa.float64()), 0).to_numpy()[at] for name in ("width_px", "height_px", "bytes")
    )
    short, long = np.minimum(width, height), np.maximum(width, height)
    values = {"short_side_px": short, "aspect": long / np.maximum(short, 1), "bytes": sizes}
    formats, said = _coded(pc.fill_null(rows["format"], "unknown"))
    return {
        **{name: (_bins(name, numbers), labels(name)) for name, numbers in values.items()},
        "orientation": (np.sign(height - width).astype(np.int64) + 1, ["landscape", "square", "portrait"]),
        "format": (formats[at], said),
    }


def _coded(values: pa.ChunkedArray) -> Coded:
    encoded = values.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def labels(name: str) -> list[str]:
    """Return what the bins of a table are called."""
    ends = BINS[name]
    said = [f"{int(end):,}" if name == "bytes" else f"{end:,g}" for end in ends]
    return [f"{low} to below {high}" for low, high in itertools.pairwise(said)] + [f"{said[-1]} or more"]


def _bins(name: str, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the number of the bin of each, by the least that is in it; what is below all is in the first."""
    found: NDArray[np.int64] = np.searchsorted(np.array(BINS[name][1:]), numbers, "right")
    return found


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
