"""How unequally pairs are spread over users or hosts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from pmd.audit.counting.measure import Counts

#: Where the concentration curve is drawn: the share of pairs that the largest 0.1 %, 1 %, … of units have.
CURVE: Final = (0.0, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)

#: Units below which a "top 1 %" is fewer than one unit, and says nothing.
MIN_UNITS: Final = 100


def as_told(sizes: Counts, number: Counts, held: Mapping[str, tuple[int, int]]) -> tuple[Counts, Counts]:
    """Return sizes and how many units have each, with some units of other sizes than they have."""
    units_of = dict(zip(sizes.tolist(), number.tolist(), strict=True))
    for pairs, told in held.values():
        units_of[pairs] -= 1
        units_of[told] = units_of.get(told, 0) + 1
    found = sorted((size, some) for size, some in units_of.items() if some)
    return np.array([size for size, _ in found], np.int64), np.array([some for _, some in found], np.int64)


def concentration(sizes: Counts, number: Counts, total: int | None = None) -> dict[str, Any]:
    """Return how unequally pairs are spread over units: Gini's coefficient, the largest 1 %, the curve; all exact.

    Args:
        sizes: Of the units, ascending.
        number: How many units have each.
        total: Their pairs, where the sizes are not quite those that they have.
    """
    total, count = int(sizes @ number) if total is None else total, int(number.sum())
    curve = _Curve.of(sizes, number, total)
    enough = count >= MIN_UNITS
    return {
        "distinct": {"value": count, "interval": None, "exact": True},
        "gini": curve.gini() if count > 1 else None,
        "top_1_percent": curve.top(0.01) if enough else None,
        "hold_half": curve.holding(0.5),
        "curve": [[fraction, curve.top(fraction)] for fraction in CURVE] if enough else [],
        "two_pairs_share_one": sum(
            size * (size - 1) * some for size, some in zip(sizes.tolist(), number.tolist(), strict=True)
        )
        / (total * (total - 1))
        if total > 1
        else None,
    }


@dataclasses.dataclass(frozen=True)
class _Curve:
    """Units from the largest on, and their pairs, summed up."""

    sizes: Counts
    units: Counts
    pairs: Counts
    total: int

    @classmethod
    def of(cls, sizes: Counts, number: Counts, total: int) -> _Curve:
        """Return the curve of units by their pairs, ascending, of so many pairs together."""
        down, some = sizes[::-1], number[::-1]
        return cls(down, np.cumsum(some), np.cumsum(down * some), total)

    def top(self, fraction: float) -> float:
        """Return the share of pairs that a fraction of the units has, the largest; a part of a unit counts in part."""
        if fraction >= 1:
            return 1.0
        take = fraction * int(self.units[-1])
        place = min(int(np.searchsorted(self.units, take)), len(self.units) - 1)
        before, held = (int(self.units[place - 1]), int(self.pairs[place - 1])) if place else (0, 0)
        return min((held + (take - before) * int(self.sizes[place])) / self.total, 1.0)

    def holding(self, share: float) -> int:
        """Return how many of the largest units it takes to have a share of the pairs."""
        wanted = math.ceil(share * self.total)
        place = int(np.searchsorted(self.pairs, wanted))
        before, held = (int(self.units[place - 1]), int(self.pairs[place - 1])) if place else (0, 0)
        return before + -(-(wanted - held) // int(self.sizes[place]))

    def gini(self) -> float:
        """Return Gini's coefficient: 0 where all have alike, towards 1 where one has all."""
        number, total = int(self.units[-1]), self.total
        before = 0
        weighted = 0
        for size, until in zip(self.sizes.tolist(), self.units.tolist(), strict=True):
            some = until - before
            # The sum of (n + 1 − 2 rank) over the units from before + 1 to until, the largest first.
            weighted += size * (some * (number + 1) - (before + 1 + until) * some)
            before = until
        return weighted / (number * total)
