"""Did loss strike unevenly? A test of its own, apart from what changed.

What a stage left is known exactly, and so is how a share has changed. Another question is whether links died *because* of what
the pairs show, or whether the accounts and hosts that were lost just happened to show it: one user's thousand photographs go
together. The test answers that. Its null hypothesis: which pairs were lost has nothing to do with the property, but for the
clusters that they came in.

Given which pairs were lost, the change is linear in the property: (lost ÷ before) × (share of the kept − share of the lost).
So its variance is that of a difference of two means whose pairs come in clusters, corrected as in `estimates`. Clusters
are the coarsest of users and hosts; hosts are none where all pairs lie on one.

Sums are kept by the pairs that a cluster had and the pairs that it has left, since clusters alike in both are corrected alike.
Whether users or hosts of one size lose more than others is another question, of the same sums: `statistics.unit_losses`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.audit.statistics import clusters, estimates
from pmd.audit.statistics.clusters import ITSELF, Counts, Having

#: Pairs that must have been lost, and kept, for the test to say anything: fewer are no normal sum.
MIN_PAIRS: Final = 30

#: Effective clusters that must be expected in each of four kinds, lost or kept and with the property or without. Three users with
#: all the pairs of a year are three draws, however many pairs those are: that none of them is lost says nothing. With 1 to 5, as
#: Cochran asks of χ², up to 44 % of null tests are findings; from 8 on they are 5 % (benchmarks/audit_truth.py).
MIN_EXPECTED: Final = estimates.FEW

#: Losses as rows: one a property and kind of cluster. `both` sums before × after; squares are of single clusters.
ROWS: Final = pa.schema(
    [
        pa.field("property", pa.string(), nullable=False),
        *(
            pa.field(name, pa.int64(), nullable=False)
            for name in ("before", "after", "units", "had", "has", "had_squares", "has_squares", "both")
        ),
    ]
)


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean of units' shares, 0…1, and how it varies."""

    value: float
    spread: estimates.Spread

    def interval(self, level: float) -> tuple[float, float]:
        """Return its interval; one that varies too little for its units is refused before (`Spread.refused`)."""
        found = estimates.share_of_spread(self.value, self.spread, level)
        assert found.low is not None
        assert found.high is not None
        return found.low, found.high


@dataclasses.dataclass(frozen=True)
class Test:
    """Whether loss struck unevenly.

    Attributes:
        effect: The share after less the share before, or the difference of `means`; None where nothing was lost or nothing is
            left.
        error: Its standard error under the null hypothesis of no difference.
        degrees: Degrees of freedom.
        clusters: How many clusters had pairs.
        refused: Why there is no answer, of `estimates.TOO_CONCENTRATED` and `TOO_FEW`.
        means: What units of a size keep on average, and all others, where that is the question.
    """

    effect: float | None
    error: float | None = None
    degrees: float | None = None
    clusters: int = 0
    refused: str | None = None
    means: tuple[Mean, Mean] | None = None

    def interval(self, level: float) -> tuple[float, float] | None:
        """Return the interval of the effect; None where there is no answer."""
        if self.effect is None or self.error is None or self.degrees is None:
            return None
        if self.means is None:
            half = estimates.t_quantile(self.degrees, level) * self.error
            return self.effect - half, self.effect + half
        one, other = self.means
        (low, high), (least, most) = one.interval(level), other.interval(level)
        below = math.hypot(one.value - low, most - other.value)
        above = math.hypot(high - one.value, other.value - least)
        return self.effect - below, self.effect + above


def of(before: Counts, after: Counts, properties: Mapping[str, tuple[Counts, Counts] | Having]) -> pa.Table:
    """Return `ROWS` of clusters, sorted.

    Args:
        before: Pairs of each cluster before; shape (clusters,).
        after: Those that are left.
        properties: Property → pairs of each cluster that have it, before and after; or of some clusters, shape (some, 2).
    """
    (sizes, of_size, _), (lefts, of_left, _) = clusters.ranked(before), clusters.ranked(after)
    width = max(len(lefts), 1)
    kinds, places, units = clusters.ranked(of_size * width + of_left)
    # Clusters that had no pair before are none.
    without = int(len(sizes) > 0 and sizes[0] == 0)
    kinds, places, units = kinds[without:], places - without, units[without:]
    found = [(ITSELF, np.stack([units, *[np.zeros_like(units)] * 5]))]
    for name, counts in sorted(properties.items()):
        some = counts if isinstance(counts, Having) else Having.of_all(np.stack(counts, axis=1))
        mine = np.flatnonzero(some.pairs[:, 0])
        had, has = some.pairs[mine].T
        sums = np.zeros((6, len(kinds)), dtype=np.int64)
        place = places[some.clusters[mine]]
        for row, values in enumerate((had, has, had * had, has * has, had * has), 1):
            np.add.at(sums[row], place, values)
        found.append((name, sums))
    # Of a property the kinds that have it.
    chosen = [np.flatnonzero(sums[:2].any(axis=0)) for _, sums in found]
    names = pa.array([name for name, _ in found], pa.string())
    numbers = np.repeat(np.arange(len(found)), [len(some) for some in chosen])
    where = kinds[np.concatenate(chosen)]
    ends = [sizes[where // width], lefts[where % width]]
    columns = np.concatenate([sums[:, some] for (_, sums), some in zip(found, chosen, strict=True)], axis=1)
    return pa.table([names.take(pa.array(numbers)), *ends, *columns], schema=ROWS)


def uneven(table: pa.Table, name: str) -> Test:
    """Return whether loss had to do with a property.

    Args:
        table: `ROWS` of all clusters.
        name: The property.
    """
    rows = Losses.of(table, name)
    kept, all_pairs = float(rows.after @ rows.units), float(rows.before @ rows.units)
    lost = all_pairs - kept
    if not kept or not lost:
        return Test(None)
    of_kept = float(rows.has.sum()) / kept
    of_lost = float(rows.had.sum() - rows.has.sum()) / lost
    effect = of_kept - float(rows.had.sum()) / all_pairs
    clusters = int(rows.units.sum())
    if min(kept, lost) < MIN_PAIRS:
        return Test(effect, clusters=clusters, refused=estimates.TOO_FEW)
    # What every kept and every lost pair counts for.
    each_kept, each_lost = 1 / kept - 1 / all_pairs, -1 / all_pairs
    gone = rows.before - rows.after
    rho = rows.correlation(of_kept, of_lost)
    if rows.effective(rho) * min(kept, lost) / all_pairs < MIN_EXPECTED:
        return Test(effect, clusters=clusters, refused=estimates.TOO_FEW)
    couples = each_kept * rows.after + each_lost * gone
    single = each_kept**2 * rows.after + each_lost**2 * gone
    model = (1 - rho) * single + rho * couples**2
    # Of each cluster: its kept and its lost pairs' covariance with its score, and with each other.
    with_kept = (1 - rho) * each_kept * rows.after + rho * couples * rows.after
    with_lost = (1 - rho) * each_lost * gone + rho * couples * gone
    mixed = rho * float(rows.units @ (rows.after * gone)) / (kept * lost)
    of_means = np.array(
        [
            [float(rows.units @ (rows.after + rho * rows.after * (rows.after - 1))) / kept**2, mixed],
            [mixed, float(rows.units @ (gone + rho * gone * (gone - 1))) / lost**2],
        ]
    )
    variance, degrees = estimates.corrected(
        estimates.Rows(
            rows.units,
            rows.squares(each_kept, each_lost, of_kept, of_lost),
            model,
            taken=np.stack([each_kept * rows.after, each_lost * gone], axis=1),
            shared=np.stack([with_kept / kept, with_lost / lost], axis=1),
            means=of_means,
        )
    )
    largest = float(rows.before.max()) / all_pairs
    if largest > estimates.MAX_SHARE or degrees < estimates.MIN_DEGREES:
        return Test(effect, clusters=clusters, degrees=degrees, refused=estimates.TOO_CONCENTRATED)
    return Test(effect, math.sqrt(variance), degrees, clusters)


def refuse(test: Test, why: str) -> Test:
    """Return a test that cannot be answered for another reason than its own; the effect stays."""
    return Test(test.effect, clusters=test.clusters, refused=why)


@dataclasses.dataclass(frozen=True)
class Losses:
    """Columns of `ROWS` of one property: one row a kind of cluster."""

    before: estimates.Array
    after: estimates.Array
    units: estimates.Array
    had: estimates.Array
    has: estimates.Array
    had_squares: estimates.Array
    has_squares: estimates.Array
    both: estimates.Array

    @classmethod
    def of(cls, table: pa.Table, name: str) -> Losses:
        raw = np.stack([table[column].to_numpy() for column in ROWS.names[1:]])
        every, mine = (
            raw[:, pc.equal(table["property"], one).to_numpy(zero_copy_only=False)] for one in (ITSELF, name)
        )
        # Kinds by one number, which both are put in order by.
        width = int(every[1].max(initial=0)) + 1
        kinds = every[0] * width + every[1]
        order = np.argsort(kinds)
        places = order[np.searchsorted(kinds, mine[0] * width + mine[1], sorter=order)]
        every[3:, places] = mine[3:]
        return cls(*every.astype(np.float64))

    def correlation(self, of_kept: float, of_lost: float) -> float:
        """Return the correlation of pairs of one cluster, in what they have more than the kept and the lost have."""
        gone = self.before - self.after
        mean = of_kept * self.after + of_lost * gone
        squares = self.had_squares - 2 * mean * self.had + mean**2 * self.units
        lost = self.had - self.has
        within = self.has * (1 - of_kept) ** 2 + (self.after * self.units - self.has) * of_kept**2
        within = within + lost * (1 - of_lost) ** 2 + (gone * self.units - lost) * of_lost**2
        return estimates.correlation(self.before, self.units, squares, within)

    def effective(self, rho: float) -> float:
        """Return the effective number of clusters that have the property, or that lack it, whichever are fewer."""
        lacking = self.before * self.units - self.had
        pairs = self.had, lacking
        squares = self.had_squares, self.before * (lacking - self.had) + self.had_squares
        found = []
        for some, of_squares in zip(pairs, squares, strict=True):
            whole = float(some.sum())
            found.append(whole / (1 + (float(of_squares.sum()) / whole - 1) * rho) if whole else 0.0)
        return min(found)

    def squares(self, each_kept: float, each_lost: float, of_kept: float, of_lost: float) -> estimates.Array:
        """Return the sums of the squares of clusters' scores."""
        mean = each_kept * of_kept * self.after + each_lost * of_lost * (self.before - self.after)
        one, other = each_kept - each_lost, each_lost  # of what is left, and of what was before
        scores = one * self.has + other * self.had
        squares = one**2 * self.has_squares + other**2 * self.had_squares + 2 * one * other * self.both
        return np.maximum(squares - 2 * mean * scores + mean**2 * self.units, 0.0)
