"""Sums over clusters: all that an interval needs to know of users, images, hosts or pages, and nothing that names one.

A figure's variance is that of its clusters' sums. Which clusters there are is known only where all their pairs have met;
what is kept of them then is, for every *size* that clusters have, how many there are, and the sums of their counts and of
the squares of these. No more is needed for leverages, corrections and degrees of freedom (`statistics.estimates`), since
clusters of one size are corrected alike. All are integers, so sums merge in any order to the same bytes; and however many
pairs there are, N of them, no more than √(2N) sizes can occur.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Counts = NDArray[np.int64]

#: Numbers below this are counted in a table.
_TABLE: Final = 2**20

#: The property under which the clusters themselves are counted.
ITSELF: Final = ""


@dataclasses.dataclass(frozen=True)
class Sums:
    """The clusters of a population.

    Attributes:
        sizes: How many pairs a cluster has, ascending; shape (sizes,).
        units: How many clusters have so many; shape (sizes,).
        first: Property → sum over these clusters of their pairs with the property; shape (sizes,).
        second: Property → the same of the squares.
    """

    sizes: Counts
    units: Counts
    first: Mapping[str, Counts]
    second: Mapping[str, Counts]

    @functools.cached_property
    def known(self) -> dict[str, Any]:
        """What `pmd.audit.statistics.estimates` has found of a property already."""
        return {}

    @functools.cached_property
    def pairs(self) -> int:
        return int(self.sizes @ self.units)

    @property
    def clusters(self) -> int:
        return int(self.units.sum())

    def having(self, name: str) -> int:
        """Return how many pairs have a property."""
        return int(self.of(name)[0].sum())

    def of(self, name: str) -> tuple[Counts, Counts]:
        """Return the sums of a property, and of its squares; zeros where no pair has it."""
        zero = np.zeros(len(self.sizes), dtype=np.int64)
        return self.first.get(name, zero), self.second.get(name, zero)


@dataclasses.dataclass(frozen=True)
class Having:
    """Pairs with a property, of those clusters that have some: of a country few have.

    Attributes:
        clusters: Their places among all; shape (some,).
        pairs: Shape (some,), or (some, stages).
    """

    clusters: Counts
    pairs: Counts

    @classmethod
    def of_all(cls, pairs: Counts) -> Having:
        """Return the pairs of all clusters, those without any too."""
        return cls(np.arange(len(pairs)), pairs)

    def after(self, first: int, last: int | None = None) -> Having:
        """Return the pairs after a stage; given the last of several, after all of these: shape (some, stages)."""
        return Having(self.clusters, self.pairs[:, first] if last is None else self.pairs[:, first : last + 1])


def of(sizes: Counts, having: Mapping[str, Counts | Having]) -> Sums:
    """Return the sums of clusters.

    Args:
        sizes: Pairs of each cluster; clusters without any count for nothing. Shape (clusters,).
        having: Property → pairs of each cluster that have it.
    """
    if not len(sizes):
        return Sums(sizes, sizes, {}, {})
    present, places, units = ranked(sizes)
    # A cluster without a pair has none with a property: what it adds to the first size is zero.
    without = int(len(present) > 0 and present[0] == 0)
    present, places, units = present[without:], np.maximum(places - without, 0), units[without:]
    if not len(present):
        return Sums(sizes[:0], sizes[:0], {}, {})
    first, second = {}, {}
    for name, counts in having.items():
        some = counts if isinstance(counts, Having) else Having.of_all(counts)
        at = places[some.clusters]
        first[name] = _added(at, some.pairs, len(present))
        second[name] = _added(at, some.pairs * some.pairs, len(present))
    return Sums(present.astype(np.int64), units.astype(np.int64), first, second)


def ranked(numbers: Counts) -> tuple[Counts, NDArray[np.intp], Counts]:
    """Return the numbers that there are, ascending; which of them each is; and how often each stands there.

    Most clusters are small. Below `_TABLE` a table has them all, which takes a fraction of what sorting takes.

    Args:
        numbers: None of them negative.
    """
    if int(numbers.max(initial=0)) >= _TABLE:
        present, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        return present, places, counts
    table = np.bincount(numbers)
    present = np.flatnonzero(table)
    rank = np.zeros(len(table), dtype=np.intp)
    rank[present] = np.arange(len(present))
    return present, rank[numbers], table[present]


def _added(places: NDArray[np.intp], values: Counts, length: int) -> Counts:
    found = np.zeros(length, dtype=np.int64)
    np.add.at(found, places, values)
    return found


#: Sums as rows: of each property and size one.
ROWS: Final = pa.schema(
    [
        pa.field("property", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("units", pa.int64(), nullable=False),  # of `ITSELF` alone
        pa.field("first", pa.int64(), nullable=False),
        pa.field("second", pa.int64(), nullable=False),
    ]
)


def rows(sums: Sums) -> pa.Table:
    """Return `ROWS`, without those that are all zero."""
    names, columns = [], []
    zero = np.zeros(len(sums.sizes), dtype=np.int64)
    for name in (ITSELF, *sorted(sums.first)):
        units, first, second = (sums.units, zero, zero) if name == ITSELF else (zero, *sums.of(name))
        some = (units > 0) | (first > 0)
        columns.append(np.stack([sums.sizes[some], units[some], first[some], second[some]]))
        names += [name] * int(some.sum())
    size, units, first, second = np.concatenate(columns, axis=1)
    return pa.table([pa.array(names, pa.string()), size, units, first, second], schema=ROWS)


def from_rows(table: pa.Table) -> Sums:
    """Return the sums of all rows: those of several parts are added up."""
    names = table["property"].to_pylist()
    size, units, first, second = (table[name].to_numpy() for name in ROWS.names[1:])
    present, places = np.unique(size, return_inverse=True)
    found: dict[str, tuple[Counts, Counts]] = {}
    labels = np.array(names, dtype=object)
    for name in sorted({*names} - {ITSELF}):
        mine = labels == name
        found[name] = (
            _added(places[mine], first[mine], len(present)),
            _added(places[mine], second[mine], len(present)),
        )
    return Sums(
        present.astype(np.int64),
        _added(places, units, len(present)),
        {name: pair[0] for name, pair in found.items()},
        {name: pair[1] for name, pair in found.items()},
    )


def alike(pairs: int, having: Mapping[str, int]) -> Sums:
    """Return the sums where every pair is a cluster of its own: pairs as drawn one by one."""
    if not pairs:
        return of(np.zeros(0, dtype=np.int64), {})
    counts = {name: np.array([count], dtype=np.int64) for name, count in having.items()}
    return Sums(np.array([1], dtype=np.int64), np.array([pairs], dtype=np.int64), counts, counts)
