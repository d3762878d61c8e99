"""Intervals for shares, ratios and changes when pairs come in clusters: several captions, or fifty regions, an image.

Pairs of one image are alike, and need not lie in one batch, so images are dealt into `BUCKETS` groups by a hash of
image_id, and numerators and denominators are kept by group. Variance is that of the delete-a-group jackknife: leave out
one group at a time, see how far the figure moves (Kott, "The delete-a-group jackknife", Journal of Official Statistics
17(4), 2001; Shao and Tu, "The Jackknife and Bootstrap", Springer 1995, chapter 6). As whole images fall into groups, it
holds however alike the pairs of an image are; with few images a group is an image, and it is the ordinary delete-one
jackknife over clusters.

The interval of a share is Wilson's with the effective sample size that the variance implies, in the manner of Korn and
Graubard ("Confidence intervals for proportions with small expected number of positive counts estimated from survey
data", Survey Methodology 24, 1998): a plain ± would run below 0 and would be [0, 0] where nothing was found. All are 95
% intervals.
"""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Groups of images. With 255 degrees of freedom the interval is 0.5 % wider than a normal one.
BUCKETS: Final = 256

_Z: Final = NormalDist().inv_cdf(0.975)

#: A share is called too uncertain to read below this effective sample size, or above this width: the presentation
#: standards of the US National Center for Health Statistics (Parker et al., Vital and Health Statistics 2(175), 2017).
MIN_EFFECTIVE: Final = 30
MAX_WIDTH: Final = 0.30

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: None where there is nothing to measure, or a ratio has no denominator.
        low: Lower end, or None where no interval can be given.
        high: Upper end.
        enough: Whether the sample is large enough for the figure to be read as one.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    enough: bool = False


NOTHING: Final = Estimate(None)


def t_quantile(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t; exact for 1 and 2 degrees of freedom, else within 0.4 %.

    The expansion is formula 26.7.5 of Abramowitz and Stegun.
    """
    if degrees == 1:
        return math.tan(math.pi * 0.475)
    if degrees == 2:
        return 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025))
    z, d = _Z, degrees
    return (
        z
        + (z**3 + z) / (4 * d)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * d**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * d**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * d**4)
    )


def wilson(share: float, size: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share that was found among `size` independent draws."""
    z2 = _Z * _Z
    centre = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = _Z / (1 + z2 / size) * math.sqrt(share * (1 - share) / size + z2 / (4 * size * size))
    return max(0.0, centre - half), min(1.0, centre + half)


def share(part: Array, whole: Array, pairs: float, images: float) -> Estimate:
    """Return the share of pairs with a property.

    Args:
        part: Pairs with it by group, weighted if need be; shape (groups,).
        whole: Pairs that were looked at by group, weighted alike.
        pairs: How many were looked at: the effective size never exceeds it.
        images: How many images they show: the effective size where all or none have the property, when the jackknife
            sees no variance.
    """
    total = float(whole.sum())
    if total <= 0:
        return NOTHING
    value = float(part.sum()) / total
    used = whole > 0
    groups = int(used.sum())
    if groups < 2:
        return Estimate(value, *wilson(value, 1.0))
    left_out = (part.sum() - part[used]) / (total - whole[used])
    variance = (groups - 1) / groups * float(((left_out - value) ** 2).sum())
    size = min(pairs, value * (1 - value) / variance if variance > 1e-18 else min(pairs, images))
    low, high = wilson(value, max(size * (_Z / t_quantile(groups - 1)) ** 2, 1.0))
    low, high = min(low, value), max(high, value)
    return Estimate(value, low, high, enough=size >= MIN_EFFECTIVE and high - low <= MAX_WIDTH)


def ratio(above: Array, below: Array, *, enough: bool) -> Estimate:
    """Return Σ above ÷ Σ below; the interval is symmetric in the logarithm.

    Args:
        above: By group.
        below: By group.
        enough: Whether both shares that it compares are large enough to be read.
    """
    top, bottom = float(above.sum()), float(below.sum())
    if bottom <= 0:
        return NOTHING
    used = (above > 0) | (below > 0)
    groups = int(used.sum())
    tops, bottoms = top - above[used], bottom - below[used]
    if top <= 0 or groups < 2 or not ((tops > 0) & (bottoms > 0)).all():
        return Estimate(top / bottom)
    log = math.log(top / bottom)
    variance = (groups - 1) / groups * float(((np.log(tops / bottoms) - log) ** 2).sum())
    half = t_quantile(groups - 1) * math.sqrt(variance)
    # Over a factor of four from one end to the other says nothing that a reader could use.
    return Estimate(top / bottom, math.exp(log - half), math.exp(log + half), enough=enough and 2 * half <= math.log(4))


def change(part: Array, whole: Array, part_before: Array, whole_before: Array, *, enough: bool) -> Estimate:
    """Return how a share differs from what it was, in the same groups of images, so that what both have cancels out.

    Args:
        part: Pairs with the property by group, after.
        whole: Pairs that were looked at by group, after.
        part_before: The same before; the pairs after are among those before.
        whole_before: The same before.
        enough: Whether both shares are large enough to be read.
    """
    if whole.sum() <= 0 or whole_before.sum() <= 0:
        return NOTHING
    value = float(part.sum() / whole.sum() - part_before.sum() / whole_before.sum())
    used = whole_before > 0
    groups = int(used.sum())
    rest, rest_before = whole.sum() - whole[used], whole_before.sum() - whole_before[used]
    if groups < 2 or not ((rest > 0) & (rest_before > 0)).all():
        return Estimate(value)
    left_out = (part.sum() - part[used]) / rest - (part_before.sum() - part_before[used]) / rest_before
    half = t_quantile(groups - 1) * math.sqrt((groups - 1) / groups * float(((left_out - value) ** 2).sum()))
    return Estimate(value, value - half, value + half, enough=enough)
