"""Do users, or hosts, of one size lose more of their pairs than the others? Here each unit is one draw, whatever its size.

`statistics.losses` asks what pairs show, and weighs clusters by their pairs. Of a size that cannot be answered: all pairs of a
cluster have the same size, the largest clusters decide, and a size that few large hosts have is nothing but these. So here the
size is what is given, and what is drawn is what each unit keeps: a share of its own, 0…1. The effect is the mean of these shares
among units of a size less that among all others.

How far a mean of so many units varies is told twice, and the larger counts: by their own spread, and by a working model in which
pairs of any unit are lost alike (beta-binomial: the correlation within units is estimated from all of them). The model knows
what few units cannot show: that whole hosts die, though of these nine none did. Each mean has the interval of a share of as many
draws as have that variance (`estimates.share_of_spread`), exact where nearly all or nearly none were lost; the two are joined as
squares of their distances from the means (Zou and Donner, "Construction of confidence limits about effect measures", Statistics
in Medicine 27(10), 2008; Newcombe, Statistics in Medicine 17(8), 1998). So a few losses among seventy hosts have a wide interval,
and not none.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from pmd.audit.statistics import estimates, losses
from pmd.audit.statistics.losses import Losses, Mean, Test


def uneven(table: pa.Table, name: str) -> Test:
    """Return whether units of a size kept another share of their pairs than all others.

    Args:
        table: `losses.ROWS` of all units.
        name: A property that a unit's pairs have all or none of.

    Raises:
        ValueError: If some pairs of a unit have the property and others have not.
    """
    rows = Losses.of(table, name)
    if not np.array_equal(rows.had_squares, rows.had * rows.before):
        raise ValueError(f"expected units whose pairs all are {name!r} or none, and some of these are in part")
    kept, every = float(rows.after @ rows.units), float(rows.before @ rows.units)
    mine = rows.had / rows.before
    groups = [mine, rows.units - mine]
    if not 0 < kept < every or not all(group.any() for group in groups):
        return Test(None)
    shares = rows.after / rows.before
    means = [float(group @ shares / group.sum()) for group in groups]
    effect, number = means[0] - means[1], int(rows.units.sum())
    if min(kept, every - kept) < losses.MIN_PAIRS:
        return Test(effect, clusters=number, refused=estimates.TOO_FEW)
    rho = _correlation(rows, groups, means)
    spreads = [_spread(rows, group, mean, rho) for group, mean in zip(groups, means, strict=True)]
    refused = next((why for spread in spreads if (why := spread.refused(spread.degrees))), None)
    if refused is not None:
        return Test(effect, clusters=number, refused=refused)
    variance = math.fsum(spread.variance for spread in spreads)
    degrees = variance**2 / math.fsum(spread.variance**2 / spread.degrees for spread in spreads)
    one, other = (Mean(mean, spread) for mean, spread in zip(means, spreads, strict=True))
    return Test(effect, math.sqrt(variance), degrees, number, means=(one, other))


def _correlation(rows: Losses, groups: list[estimates.Array], means: list[float]) -> float:
    """Return how alike pairs of one unit fare, beyond what its size has to do with it."""
    before, units = np.concatenate([rows.before, rows.before]), np.concatenate(groups)
    squares = [group * (rows.after - mean * rows.before) ** 2 for group, mean in zip(groups, means, strict=True)]
    gone = rows.before - rows.after
    within = [
        group * (rows.after * (1 - mean) ** 2 + gone * mean**2) for group, mean in zip(groups, means, strict=True)
    ]
    return estimates.correlation(before, units, np.concatenate(squares), np.concatenate(within))


def _spread(rows: Losses, group: estimates.Array, mean: float, rho: float) -> estimates.Spread:
    """Return how the mean of a group's shares varies: by the shares themselves or by the model, whichever is more."""
    number = float(group.sum())
    single = mean * (1 - mean)
    alone = single * float(group @ (1 / rows.before)) / number**2
    modelled = rho * single / number + (1 - rho) * alone
    seen = float(group @ (rows.after / rows.before - mean) ** 2) / (number * (number - 1)) if number > 1 else 0.0
    return estimates.Spread(max(seen, modelled), alone, number - 1, round(number), 1 / number, number)
