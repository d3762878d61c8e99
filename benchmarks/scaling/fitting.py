"""How processor time grows with the rows: a + b·nᶜ, fitted to what was measured, with an interval for c."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

#: Exponents that are tried.
_EXPONENTS: Final = np.linspace(0.3, 2.0, 1701)


@dataclasses.dataclass(frozen=True)
class Growth:
    """Processor time in seconds as a + b·nᶜ.

    Attributes:
        start: a, what a run of nothing costs.
        rate: b.
        exponent: c.
        low: Lower end of the 95 % interval of c.
        high: Upper end.
    """

    start: float
    rate: float
    exponent: float
    low: float
    high: float

    def at(self, rows: float) -> float:
        """Return the seconds of so many rows."""
        return self.start + self.rate * rows**self.exponent


def fit(rows: Sequence[int], seconds: Sequence[float]) -> Growth:
    """Fit by relative errors, with a and b at least 0; the interval is the profile's (an F test of c)."""
    counts, took = np.asarray(rows, float), np.asarray(seconds, float)
    fitted = [_at(exponent, counts, took) for exponent in _EXPONENTS]
    errors = np.array([error for error, _, _ in fitted])
    best = int(errors.argmin())
    free = max(1, len(counts) - 3)
    limit = errors[best] * (1 + stats.f.ppf(0.95, 1, free) / free)
    inside = _EXPONENTS[errors <= limit]
    _, start, rate = fitted[best]
    return Growth(start, rate, float(_EXPONENTS[best]), float(inside.min()), float(inside.max()))


def _at(exponent: float, counts: NDArray[np.float64], took: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the sum of squared relative errors of the best a and b, and these."""
    scale = counts.max() ** exponent
    shares = np.column_stack([np.ones_like(counts), counts**exponent / scale]) / took[:, None]
    (start, rate), distance = optimize.nnls(shares, np.ones_like(counts))
    return float(distance**2), float(start), float(rate / scale)
