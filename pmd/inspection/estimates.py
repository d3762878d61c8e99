"""Numbers that are known, and numbers that are estimated: a value with the range in which it is expected.

A range is not a proof. One that comes of a sample holds in about nineteen of twenty cases, if what was not read is like what
was; one that comes of published figures is theirs. Values are rounded to what they know where they are made for people and
for JSON, and added up after that, so that columns and totals agree.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

#: Digits of an estimate, and of the ends of its range.
_DIGITS: Final = 3
_RANGE_DIGITS: Final = 2

#: Standard deviations in a range: 95 % of a normal distribution.
_DEVIATIONS: Final = 2.0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, and between what it is expected to be; all three are equal where it is known."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether it is no estimate."""
        return self.low == self.value == self.high

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.value + other.value, self.low + other.low, self.high + other.high)

    def __mul__(self, other: Estimate) -> Estimate:
        return Estimate(self.value * other.value, self.low * other.low, self.high * other.high)

    def less(self, other: Estimate) -> Estimate:
        """Return what is left of it, never less than nothing."""
        return Estimate(max(self.value - other.value, 0), max(self.low - other.high, 0), max(self.high - other.low, 0))

    def at_most(self, other: Estimate) -> Estimate:
        """Return the smaller one, end by end."""
        return Estimate(min(self.value, other.value), min(self.low, other.low), min(self.high, other.high))

    def scaled(self, factor: float) -> Estimate:
        """Return it times a number that is known."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def rounded(self) -> Estimate:
        """Return whole numbers, of no more digits than it knows; a range is rounded outwards."""
        if self.known:
            return known(round(self.value))
        value = _rounded(self.value, _DIGITS, round)
        low, high = _rounded(self.low, _RANGE_DIGITS, math.floor), _rounded(self.high, _RANGE_DIGITS, math.ceil)
        return Estimate(value, min(low, value), max(high, value))


def known(value: float) -> Estimate:
    """Return a number that is known."""
    return Estimate(value, value, value)


def within(value: float, share: float) -> Estimate:
    """Return a number that may be off by a share of itself, either way."""
    return Estimate(value, value * (1 - share), value * (1 + share))


def total(estimates: Iterable[Estimate]) -> Estimate:
    """Return a sum."""
    return sum(estimates, known(0))


def _rounded(value: float, digits: int, how: Callable[[float], int]) -> int:
    if value <= 0:
        return 0
    unit = int(10 ** max(math.floor(math.log10(value)) - digits + 1, 0))
    return how(value / unit) * unit


def share(part: int, whole: int) -> Estimate:
    """Return a share that was counted in a sample: Wilson's interval, which also has a width where none or all are counted.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    if not whole:
        return Estimate(1.0, 0.0, 1.0)
    found = part / whole
    z2 = _DEVIATIONS**2 / whole
    middle = (found + z2 / 2) / (1 + z2)
    half = _DEVIATIONS * math.sqrt(found * (1 - found) / whole + z2 / (4 * whole)) / (1 + z2)
    return Estimate(found, min(max(middle - half, 0.0), found), max(min(middle + half, 1.0), found))


def ratio(parts: Sequence[tuple[float, float]], least: float) -> Estimate:
    """Return Σ of the first ÷ Σ of the second, with a range by how much the pieces of a sample differ.

    Args:
        parts: Pieces that were read, each with what was counted in it and how large it is.
        least: The least that it may be off by, as a share of itself: that of a few pieces, which may be alike by chance.
    """
    whole = sum(size for _, size in parts)
    middle = sum(count for count, _ in parts) / whole if whole else 0.0
    if len(parts) < 2:
        return within(middle, least)
    spread = sum((count - middle * size) ** 2 for count, size in parts) * len(parts) / (len(parts) - 1)
    half = max(_DEVIATIONS * math.sqrt(spread) / whole, least * middle)
    return Estimate(middle, max(middle - half, 0.0), middle + half)


#: From so many images that were met in three pieces on they tell how unequally images are shared.
_ENOUGH: Final = 10
#: How far the formula itself may be off, where keys are met equally often.
_FORM: Final = 0.03
#: How many more of them there may be than if all images had equally many pairs.
_EVEN: Final = 1.5


def distinct(pieces: Sequence[Collection[bytes]], fraction: float) -> Estimate:
    """Return how many distinct keys there are, from those in the pieces of a sample.

    What is met in one piece only and what in two says how often the rest will be met again. The estimate is exact where
    every key is met equally often, and too low where a few are met very often; then the range ends at what there were if
    no key of the sample came again.

    Source: Chao and Lin, Nonparametric lower bounds for species richness and shared species richness under sampling without
    replacement, Biometrics 68 (2012).

    Args:
        pieces: The distinct keys of each piece, of pieces of about one size.
        fraction: What the pieces are of the whole, above 0.
    """
    met = Counter(key for piece in pieces for key in piece)
    seen = len(met)
    if fraction >= 1 or not seen:
        return known(seen)
    most = max(sum(map(len, pieces)) / fraction, seen)
    times = Counter(met.values())
    once, twice, thrice = times[1], times[2], times[3]
    spread = _DEVIATIONS * math.sqrt(twice + 1)
    apart = len(pieces) / (len(pieces) - 1) if len(pieces) > 1 else 1.0  # what is met twice in one piece is not seen
    value = _all(seen, once, twice * apart, fraction)
    low = _all(seen, once, (twice + spread) * apart, fraction) * (1 - _FORM)
    high = _all(seen, once, max(twice - spread, 0) * apart, fraction) * (1 + _FORM)
    uneven = thrice >= _ENOUGH and thrice > _EVEN * 2 * twice**2 / (3 * max(once, 1))
    return Estimate(min(value, most), max(min(low, most), seen), most if uneven else min(max(high, value), most))


def _all(seen: int, once: int, twice: float, fraction: float) -> float:
    divisor = 2 * twice + fraction / (1 - fraction) * once
    return seen + (once**2 / divisor if divisor else 0)
