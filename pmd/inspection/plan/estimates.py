"""Numbers that are known, and numbers that are estimated: a value with the range in which it is expected.

A range is not a proof. One that comes of a sample holds in about nineteen of twenty cases, if what was not read is like what
was; one that comes of published figures is theirs. Values are rounded to what they know where they are made for people and
for JSON, and added up after that, so that columns and totals agree.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

#: Digits of an estimate, and of the ends of its range.
_DIGITS: Final = 3
_RANGE_DIGITS: Final = 2

#: Standard deviations in a range: 95 % of a normal distribution.
_DEVIATIONS: Final = 2.0

#: Images that a fetch must have settled, or samples that a shard must hold, to tell of the others.
ENOUGH: Final = 30


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


@dataclasses.dataclass(frozen=True)
class Piece:
    """The distinct keys of some rows that follow each other, and where in all rows these are: 0 the first, 1 the last."""

    place: float
    keys: frozenset[bytes]


#: Draws by which the range of `distinct` is found, and which of them, in order, its ends are: 95 %.
_DRAWS: Final = 200
_ENDS: Final = (4, 195)
#: How far the formula itself may be off.
_FORM: Final = 0.03
#: From so many keys that were met in three pieces on they tell how unequally keys have rows …
_ENOUGH: Final = 10
#: … by how many more there are than if all keys had equally many.
_EVEN: Final = 1.5
#: Keys met again where none were, at most, by chance: e⁻³ is 5 %.
_NONE_MET: Final = 3.0


def distinct(pieces: Sequence[Piece], fraction: float) -> Estimate:
    """Return how many distinct keys there are in all rows, from those of a sample.

    Keys of a piece that earlier ones of the sample have are held for of two kinds. Some share of all rows repeat any row before
    them, wherever they stand: then as many are met again near the start as further on. Or each key has several rows, in no
    order: then the more are met again the further on one is. Both shares are fitted, and the rest of the rows is taken to be
    so. That is too low where few keys have very many rows. Then how many keys are met in one piece, and how many in two, gives a
    lower bound (Chao and Lin, Nonparametric lower bounds for species richness and shared species richness under sampling
    without replacement, Biometrics 68, 2012). The range ends at what there were if no key of the sample came again.

    Args:
        pieces: Of about one size, in order.
        fraction: What they are of the whole, above 0.
    """
    met: Counter[bytes] = Counter()
    again, anywhere, evenly = [], [], []
    whole = sum(len(piece.keys) for piece in pieces) / fraction if fraction else 0.0
    before = 0
    for piece in pieces:
        again.append(sum(met[key] for key in piece.keys))
        met.update(piece.keys)
        mean = len(piece.keys) * before
        anywhere.append(mean / max(piece.place * whole, before, 1))
        evenly.append(mean / max(whole, 1))
        before += len(piece.keys)
    if fraction >= 1 or not met:
        return known(len(met))
    if not sum(again):
        return Estimate(whole, max(whole / (1 + _NONE_MET / max(sum(evenly), 1e-9)), len(met)), whole)
    expected = np.array([anywhere, evenly])
    fitted = _fit(np.array(again, float), expected)
    times = Counter(met.values())
    value = max(_of_all(whole, *fitted), _bound(times, len(pieces), fraction), len(met))
    dice = np.random.default_rng(0)
    mean = np.array(fitted) @ expected
    drawn = sorted(_of_all(whole, *_fit(dice.poisson(mean).astype(float), expected)) for _ in range(_DRAWS))
    low, high = (drawn[end] for end in _ENDS)
    uneven = times[3] >= _ENOUGH and times[3] > _EVEN * 2 * times[2] ** 2 / (3 * max(times[1], 1))
    return Estimate(
        min(value, whole),
        max(min(low, value) * (1 - _FORM), len(met)),
        whole if uneven else min(max(high, value) * (1 + _FORM), whole),
    )


def _bound(times: Mapping[int, int], pieces: int, fraction: float) -> float:
    """Return the least number of keys of which so many are met in one piece, in two, in more."""
    apart = pieces / (pieces - 1) if pieces > 1 else 1.0  # what is met twice in one piece is not seen
    divisor = 2 * times[2] * apart + fraction / (1 - fraction) * times[1]
    return sum(times.values()) + (times[1] ** 2 / divisor if divisor else 0.0)


def _of_all(whole: float, anywhere: float, evenly: float) -> float:
    """Return the distinct keys of so many rows: a key that has `evenly` more rows than one is met so often more."""
    return whole * (1 - min(anywhere, 1.0)) / (1 + evenly)


def _fit(again: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return both shares, none below zero, that come nearest to what was met again (weighted least squares)."""
    weights = 1 / np.maximum(expected.sum(axis=0), 1e-9)
    (aa, ab), (_, bb) = (expected * weights) @ expected.T
    a, b = (expected * weights) @ again
    inner = aa * bb - ab * ab
    if inner > 1e-9 * aa * bb:
        both = (a * bb - b * ab) / inner, (b * aa - a * ab) / inner
        if min(both) >= 0:
            return float(both[0]), float(both[1])
    alone = [(a / aa if aa else 0.0, 0.0), (0.0, b / bb if bb else 0.0)]

    def off(shares: tuple[float, float]) -> float:
        return float((weights * (again - np.array(shares) @ expected) ** 2).sum())

    return min(alone, key=off)
