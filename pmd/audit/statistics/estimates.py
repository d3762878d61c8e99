"""Intervals: which truth they speak of, and how they keep their word when pairs come in clusters.

There are two truths, and each interval names its own.

*This table* (`share_of_table`, `ratio_of_table`, `change_of_table`): the figure that all texts would give, had all been read.
The unit that was drawn is the text, by hash, so texts are the clusters, and variance has the factor 1 − f for the part f
that was read. Where all were read the figure is exact, and there is no interval.

*Another draw* (`share_of_draw`, `ratio_of_draw`, `uneven`): the figure of many more such users (images, pages, hosts). Whole
clusters are what is drawn, so variance is that of clusters' sums, linearised. Of several sources together, the mix is held fixed:
each has the part of the pairs that it has here.

Clusters' sums are corrected in the manner of CR2 (Bell and McCaffrey, "Bias reduction in standard errors for linear regression
with multi-stage samples", Survey Methodology 28(2), 2002; Pustejovsky and Tipton, Journal of Business & Economic Statistics
36(4), 2018), in the diagonal form: a cluster's square is divided by what it is expected to be, given that the figure was taken
from the same clusters, and multiplied with what it ought to be. The working model is exchangeable pairs. The correlation within
clusters is estimated from them, and both the correction and the degrees of freedom (Satterthwaite's) go by it. (Kish's count of
clusters does not know it, and is far too low or too high.)

Shares are symmetric on the logit scale, ratios on the logarithm's. Where a property is as rare as `FEW` effective pairs, or all
but so many have it, the interval is Clopper and Pearson's at the effective sample size (Korn and Graubard, Survey Methodology
24(2), 1998): as many independent pairs as have the same variance. Where no pair has it, or all have, no variance can be seen, and
that size is Kish's effective number of clusters, n² ÷ Σ n²: as though pairs of a cluster were all alike. A ratio with so few
pairs on one side has the odds of such an interval: of the one property among the pairs with either.

There is no interval under `MIN_DEGREES` of freedom, nor with one cluster over `MAX_SHARE` of the pairs. A ratio also needs as
many effective pairs that have either property.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pmd.audit.statistics.clusters import Sums

LEVEL: Final = 0.95

#: Below so many degrees of freedom there is no interval: t's quantile itself is then too uncertain (Bell and McCaffrey's own
#: simulations stop at about as many).
MIN_DEGREES: Final = 8.0
#: A cluster with a larger part of the pairs than this decides a figure by itself.
MAX_SHARE: Final = 0.20

#: A share is too uncertain to be read below this effective sample size, or above this width: the presentation
#: standards of the US National Center for Health Statistics (Parker et al., Vital and Health Statistics 2(175), 2017).
MIN_EFFECTIVE: Final = 30
MAX_WIDTH: Final = 0.30

#: Effective pairs with a property, or without it, from which the normal approximation on the logit scale is near enough.
FEW: Final = 10

#: Why there is no interval.
TOO_CONCENTRATED: Final = "too concentrated"
TOO_FEW: Final = "too few"

#: Rounds in which the correlation within clusters is estimated; three change it by less than a thousandth.
_ROUNDS: Final = 4

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure, with a 95 % interval or the reason why there is none.

    Attributes:
        value: None where there is nothing to measure, or a ratio has no denominator.
        low: Lower end, or None where there is no interval.
        high: Upper end.
        exact: Whether all was counted, so that none is wanted.
        refused: Why none can be given: `TOO_CONCENTRATED` or `TOO_FEW`; None where one is given or none is wanted.
        enough: Whether the figure may be read as a rate.
        clusters: How many clusters it rests on.
        degrees: Degrees of freedom.
        design_effect: Its variance ÷ that of as many independent pairs.
        error: Standard error, on the scale of the interval: logit, logarithm, or the figure's own.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    exact: bool = False
    refused: str | None = None
    enough: bool = False
    clusters: int | None = None
    degrees: float | None = None
    design_effect: float | None = None
    error: float | None = None


NOTHING: Final = Estimate(None)


def special() -> ModuleType:
    """Return SciPy's functions: imported late, since they take .2 s, and neither a driver nor who counts needs them."""
    from scipy import special

    return special  # type: ignore[no-any-return]


def t_quantile(degrees: float, level: float = LEVEL) -> float:
    """Return how many standard errors an interval of a level reaches to either side."""
    return float(special().stdtrit(degrees, 0.5 + level / 2))


def clopper_pearson(share: float, size: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of a share among `size` independent draws; `size` need not be whole."""
    found, tail = share * size, (1 - level) / 2
    low = 0.0 if found <= 0 else float(special().betaincinv(found, size - found + 1, tail))
    high = 1.0 if found >= size else float(special().betaincinv(found + 1, size - found, 1 - tail))
    return low, high


@dataclasses.dataclass(frozen=True)
class Spread:
    """How much a figure varies, on its linear scale.

    Attributes:
        variance: Of the figure.
        alone: The same had every pair been independent.
        degrees: Of freedom.
        clusters: How many.
        largest: The part of the pairs that the largest cluster has.
        effective: Kish's effective number of clusters.
    """

    variance: float
    alone: float
    degrees: float
    clusters: int
    largest: float
    effective: float

    def refused(self, degrees: float) -> str | None:
        """Return why clusters that vary so, with so many degrees of freedom, bear no interval; None where they do."""
        if self.clusters <= MIN_DEGREES:
            return TOO_FEW
        return TOO_CONCENTRATED if self.largest > MAX_SHARE or degrees < MIN_DEGREES else None


# The working model.


def correlation(sizes: Array, units: Array, squares: Array, within: Array) -> float:
    """Return the correlation of two pairs of one cluster, 0…1, by moments.

    The squares of clusters' residuals have those of their pairs in them, and twice the products of every two. What the
    residuals lack because the mean is estimated is put back. Clusters are weighted as the model says how well each tells it,
    so that the largest does not decide alone.

    Args:
        sizes: Pairs of a cluster; one row a size, as in `Sums`.
        units: Clusters of that size.
        squares: Sum of the squares of their residuals.
        within: Sum of the squares of their pairs' residuals.
    """
    total = float(sizes @ units)
    couples = sizes * (sizes - 1)
    if not (couples @ units) > 0 or not within.sum() > 0:
        return 0.0
    rho, single = 0.05, float(within.sum()) / total
    for _ in range(_ROUNDS):
        model = single * (sizes + rho * couples)
        summed = float(model @ units)
        single = (float(within.sum()) + summed / total) / total
        weights = couples / (sizes * (1 + (sizes - 1) * rho)) ** 2
        lacking = units * (2 * model * (sizes - 1) / total - summed * couples / total**2)
        found = float(weights @ (squares - within + lacking)) / float(weights @ (couples * units))
        rho = min(max(found / single, 0.0), 1.0)
    return rho


@dataclasses.dataclass(frozen=True)
class Rows:
    """Clusters under the working model; one row for clusters that are alike.

    Attributes:
        units: How many; shape (rows,).
        squares: Sum of the squares of their residuals; shape (rows,).
        model: What a cluster's square ought to be; shape (rows,).
        taken: What of a cluster's sum follows each estimated mean; shape (rows, means).
        shared: Covariance of a cluster's sum and each mean; shape (rows, means).
        means: Covariance of the means; shape (means, means).
    """

    units: Array
    squares: Array
    model: Array
    taken: Array
    shared: Array
    means: Array


def corrected(rows: Rows) -> tuple[float, float]:
    """Return the corrected variance, and its degrees of freedom."""
    left = -2 * (rows.taken * rows.shared).sum(axis=1) + ((rows.taken @ rows.means) * rows.taken).sum(axis=1)
    expected = rows.model + left
    factor = np.where(expected > 1e-9 * rows.model, rows.model / np.where(expected > 0, expected, 1), 0.0)
    weights = rows.units * factor
    joined = np.concatenate([rows.taken, rows.shared], axis=1)
    moments = (joined * weights[:, None]).T @ joined
    length = len(rows.means)
    kernel = np.zeros((2 * length, 2 * length))  # the means' covariance, and less one where a mean meets itself
    kernel[:length, :length] = rows.means
    kernel[:length, length:] = kernel[length:, :length] = -np.eye(length)
    product = kernel @ moments
    trace = float((weights * factor) @ (rows.model * (rows.model + 2 * left))) + float((product @ product).trace())
    variance, model = float(factor @ rows.squares), float(weights @ expected)
    return variance, model * model / trace if trace > 0 else 0.0


@dataclasses.dataclass(frozen=True)
class _Varying:
    """How the sum of a score varies over some clusters; `total` are their pairs, `largest` those of the largest."""

    variance: float
    alone: float
    degrees: float
    clusters: int
    total: float
    largest: float
    effective: float

    def spread(self, weight: float) -> Spread:
        """Return how the mean varies in a figure of which these clusters make up a part."""
        scale = (weight / self.total) ** 2
        return Spread(
            scale * self.variance,
            scale * self.alone,
            self.degrees,
            self.clusters,
            weight * self.largest / self.total,
            self.effective,
        )


def _varying(sums: Sums, squares: Array, within: Array) -> _Varying:
    """Return how a score varies that has been centred.

    Args:
        sums: The clusters.
        squares: By size, the sum of the squares of clusters' scores.
        within: By size, the sum of the squares of their pairs' scores.
    """
    sizes, units = sums.sizes.astype(np.float64), sums.units.astype(np.float64)
    total = float(sizes @ units)
    rho = correlation(sizes, units, squares, within)
    model = sizes + rho * sizes * (sizes - 1)
    variance, degrees = corrected(
        Rows(
            units,
            squares,
            model,
            taken=(sizes / total)[:, None],
            shared=model[:, None],
            means=np.array([[float(model @ units)]]),
        )
    )
    alone = float(within.sum()) * total / (total - 1) if total > 1 else 0.0
    effective = total**2 / float(sizes**2 @ units)
    return _Varying(variance, alone, degrees, sums.clusters, total, float(sizes[-1]), effective)


def _together(spreads: Sequence[Spread], weights: Sequence[float]) -> Spread:
    """Return how a sum of independent parts varies; degrees of freedom are Welch's and Satterthwaite's."""
    variance = math.fsum(spread.variance for spread in spreads)
    parts = math.fsum(spread.variance**2 / spread.degrees for spread in spreads if spread.variance)
    lowest = min((spread.degrees for spread in spreads if spread.variance), default=0.0)
    single = max(spreads, key=lambda spread: spread.degrees).degrees
    return Spread(
        variance,
        math.fsum(spread.alone for spread in spreads),
        max(variance**2 / parts, lowest) if parts else single,
        sum(spread.clusters for spread in spreads),
        max(spread.largest for spread in spreads),
        1 / math.fsum(weight**2 / spread.effective for weight, spread in zip(weights, spreads, strict=True)),
    )


# Another draw of such clusters.


@dataclasses.dataclass(frozen=True)
class Part:
    """A source's part in a figure.

    Attributes:
        sums: Its clusters.
        weight: How many pairs it stands for: what was read of it may be a sample.
    """

    sums: Sums
    weight: float


def share_of_draw(parts: Sequence[Part], name: str, *, refuses_by_sizes: bool = False) -> Estimate:
    """Return the share of pairs with a property, of many more such clusters.

    Args:
        parts: The clusters.
        name: The property.
        refuses_by_sizes: Refuse by Kish's effective number of clusters, which their sizes tell, in place of the degrees of
            freedom. These are estimated from who has the property: of few clusters just those draws pass in which they happen
            to look alike, so that the intervals that are left are too narrow (measured by benchmarks/refresh_truth.py).
    """
    parts, weights = _weighted(parts)
    if not parts:
        return NOTHING
    shares = [part.sums.having(name) / part.sums.pairs for part in parts]
    value = math.fsum(weight * share for weight, share in zip(weights, shares, strict=True))
    spreads = [_of_share(part.sums, name).spread(weight) for part, weight in zip(parts, weights, strict=True)]
    return share_of_spread(value, _together(spreads, weights), refuses_by_sizes=refuses_by_sizes)


def _of_share(sums: Sums, name: str) -> _Varying:
    """Return how pairs with a property vary; once, since a figure of all sources asks what those of each have asked."""
    if name not in sums.known:
        share = sums.having(name) / sums.pairs
        first, second = sums.of(name)
        squares = second - 2 * share * sums.sizes * first + share**2 * sums.sizes**2 * sums.units
        within = first * (1 - share) ** 2 + (sums.sizes * sums.units - first) * share**2
        sums.known[name] = _varying(sums, np.maximum(squares, 0.0), within)
    known: _Varying = sums.known[name]
    return known


def ratio_of_draw(parts: Sequence[Part], above: str, below: str, both: str) -> Estimate:
    """Return the ratio of the pairs with two properties, of many more such clusters.

    Args:
        parts: Whose `Sums` also have `above+below`, the pairs with the one plus those with the other.
        above: The numerator's property.
        below: The denominator's.
        both: The pairs with both.
    """
    parts, weights = _weighted(parts)
    if not parts:
        return NOTHING
    tops = [part.sums.having(above) / part.sums.pairs for part in parts]
    bottoms = [part.sums.having(below) / part.sums.pairs for part in parts]
    top = math.fsum(weight * share for weight, share in zip(weights, tops, strict=True))
    bottom = math.fsum(weight * share for weight, share in zip(weights, bottoms, strict=True))
    if bottom <= 0 and top <= 0:
        return NOTHING
    spreads = []
    for part, weight, one, other in zip(parts, weights, tops, bottoms, strict=True):
        a, b = 1 / top if top else 0.0, 1 / bottom if bottom else 0.0
        mean = a * one - b * other
        sizes, units = part.sums.sizes, part.sums.units
        (tops_first, tops_second), (bottoms_first, bottoms_second) = part.sums.of(above), part.sums.of(below)
        products = (part.sums.of(f"{above}+{below}")[1] - tops_second - bottoms_second) / 2
        scores = a * tops_first - b * bottoms_first
        squares = a * a * tops_second + b * b * bottoms_second - 2 * a * b * products
        squares = squares - 2 * mean * sizes * scores + mean**2 * sizes**2 * units
        within = a * a * tops_first + b * b * bottoms_first - 2 * a * b * part.sums.of(both)[0]
        within = within - 2 * mean * scores + mean**2 * sizes * units
        spreads.append(_varying(part.sums, np.maximum(squares, 0.0), np.maximum(within, 0.0)).spread(weight))
    having = math.fsum(_effective_having(part.sums, above, below) for part in parts)
    return _ratio(top, bottom, _together(spreads, weights), having)


def _weighted(parts: Sequence[Part]) -> tuple[list[Part], list[float]]:
    some = [part for part in parts if part.sums.pairs and part.weight > 0]
    total = math.fsum(part.weight for part in some)
    return some, [part.weight / total for part in some]


def _effective_having(sums: Sums, above: str, below: str) -> float:
    """Return the effective number of clusters that have either of two properties."""
    squares = int(sums.of(above)[1].sum()) + int(sums.of(below)[1].sum())
    return (sums.having(above) + sums.having(below)) ** 2 / squares if squares else 0.0


def wider(one: Estimate, other: Estimate) -> Estimate:
    """Return the one with the wider interval, or without any: for clusters that cross, such as users and subreddits."""
    if one.low is None or one.high is None:
        return one
    if other.low is None or other.high is None:
        return other
    return one if one.high - one.low >= other.high - other.low else other


def about(estimate: Estimate, value: float) -> Estimate:
    """Return a share's interval about another value beside its own, as wide as logits go: where its own is not to be told.

    Nor is how many clusters it rests on, from which a few would follow.
    """
    estimate = dataclasses.replace(estimate, clusters=None, design_effect=None)
    if estimate.error is None or estimate.degrees is None or not 0 < value < 1:
        return dataclasses.replace(estimate, value=value, low=None, high=None, refused=estimate.refused or TOO_FEW)
    ends = _ends(math.log(value / (1 - value)), estimate.error, estimate.degrees)
    low, high = (float(special().expit(end)) for end in ends)
    return dataclasses.replace(estimate, value=value, low=low, high=high)


# This table, of whose texts a part was read.


@dataclasses.dataclass(frozen=True)
class Read:
    """What was read of a source.

    Attributes:
        counts: Texts by what they have: a set of names → how many; together all that were read. Of texts that do
            not belong to what the figure speaks of, the set lacks its name.
        weight: How many pairs each text stands for.
        factor: 1 − f, where f is the part that was read; 0 where all were.
    """

    counts: Mapping[frozenset[str], int]
    weight: float
    factor: float

    def having(self, name: str) -> float:
        return self.weight * sum(count for names, count in self.counts.items() if name in names)

    def spread(self, scores: Mapping[frozenset[str], float]) -> Spread:
        """Return how the sum of a score over the table varies; the number of texts is taken as given."""
        read = sum(self.counts.values())
        if read < 2:
            return Spread(0.0, 0.0, 0.0, read, 0.0, float(read))
        mean = math.fsum(count * scores[names] for names, count in self.counts.items()) / read
        squares = math.fsum(count * (scores[names] - mean) ** 2 for names, count in self.counts.items())
        alone = self.weight**2 * squares * read / (read - 1)
        return Spread(self.factor * alone, alone, float(read - 1), read, 1 / read, float(read))


def share_of_table(read: Sequence[Read], name: str, of: str) -> Estimate:
    """Return the share of a table's pairs with a property, among those that are `of` something."""
    whole = math.fsum(source.having(of) for source in read)
    texts = sum(count for source in read for names, count in source.counts.items() if of in names)
    if not whole > 0:
        return NOTHING
    value = _portion(read, name, of) / whole
    if all(source.factor == 0 for source in read):
        return Estimate(value, exact=True, enough=texts >= MIN_EFFECTIVE)
    spreads = [
        source.spread({names: ((name in names) - value) * (of in names) / whole for names in source.counts})
        for source in read
    ]
    return share_of_spread(value, _of_domain(spreads, read, of))


def ratio_of_table(read: Sequence[Read], above: str, below: str, of: str) -> Estimate:
    """Return the ratio of a table's pairs with two properties, among those that are `of` something."""
    top, bottom = _portion(read, above, of), _portion(read, below, of)
    texts = sum(
        count for source in read for names, count in source.counts.items() if of in names and {above, below} & names
    )
    if not texts:
        return NOTHING
    if all(source.factor == 0 for source in read):
        return Estimate(top / bottom, exact=True, enough=texts >= MIN_EFFECTIVE) if bottom else NOTHING
    a, b = 1 / top if top else 0.0, 1 / bottom if bottom else 0.0
    spreads = [
        source.spread({names: (a * (above in names) - b * (below in names)) * (of in names) for names in source.counts})
        for source in read
    ]
    return _ratio(top, bottom, _of_domain(spreads, read, of), float(texts))


def change_of_table(after: Sequence[Read], before: Sequence[Read], name: str, of: tuple[str, str]) -> Estimate:
    """Return how a share of a table's pairs differs from what it was; what both have cancels out.

    Args:
        after: What was read of what is left; the counts are of all that was read *before*, so that pairs can be told.
        before: The same, with the weights that hold before.
        name: The property.
        of: Names of those that the share speaks of, after and before.
    """
    wholes = [math.fsum(source.having(one) for source in read) for read, one in zip((after, before), of, strict=True)]
    if not all(whole > 0 for whole in wholes):
        return NOTHING
    shares = [_portion(read, name, one) / whole for read, one, whole in zip((after, before), of, wholes, strict=True)]
    value = shares[0] - shares[1]
    texts = sum(count for source in before for names, count in source.counts.items() if of[0] in names)
    if all(source.factor == 0 for source in before):
        return Estimate(value, exact=True, enough=texts >= MIN_EFFECTIVE)
    spreads = []
    for left, source in zip(after, before, strict=True):
        scores = {
            names: left.weight * ((name in names) - shares[0]) * (of[0] in names) / wholes[0]
            - source.weight * ((name in names) - shares[1]) * (of[1] in names) / wholes[1]
            for names in source.counts
        }
        spreads.append(dataclasses.replace(source, weight=1.0).spread(scores))
    spread = _of_domain(spreads, before, of[1])
    if spread.variance == 0:
        return Estimate(value, value, value, enough=texts >= MIN_EFFECTIVE, clusters=spread.clusters)
    error = math.sqrt(spread.variance)
    low, high = _ends(value, error, spread.degrees)
    return _described(Estimate(value, low, high, error=error), spread, enough=texts >= MIN_EFFECTIVE)


def _portion(read: Sequence[Read], name: str, of: str) -> float:
    return math.fsum(
        source.weight * count
        for source in read
        for names, count in source.counts.items()
        if name in names and of in names
    )


def _of_domain(spreads: Sequence[Spread], read: Sequence[Read], of: str) -> Spread:
    """Return how parts vary together, with the effective number of texts that the figure speaks of."""
    sizes = [sum(count for names, count in source.counts.items() if of in names) for source in read]
    squares = math.fsum(
        source.weight**2 * size * max(source.factor, 0.0) for source, size in zip(read, sizes, strict=True)
    )
    whole = math.fsum(source.weight * size for source, size in zip(read, sizes, strict=True))
    effective = whole**2 / squares if squares else math.inf
    # Of a source of which one text was read nothing is known of how they vary, and of one without any there is no part.
    some = [spread for spread in spreads if spread.clusters > 1] or [spread for spread in spreads if spread.clusters]
    joined = _together(some, [1.0] * len(some))
    largest = max((source.weight / whole for source, size in zip(read, sizes, strict=True) if size), default=1.0)
    return dataclasses.replace(joined, clusters=sum(sizes), largest=largest, effective=effective)


# From spreads to intervals.


def _ends(value: float, error: float, degrees: float, level: float = LEVEL) -> tuple[float, float]:
    half = t_quantile(degrees, level) * error
    return value - half, value + half


def share_of_spread(value: float, spread: Spread, level: float = LEVEL, *, refuses_by_sizes: bool = False) -> Estimate:
    """Return a share, 0…1, that varies so, with an interval of a level; `refuses_by_sizes` as of `share_of_draw`."""
    single = spread.variance <= 1e-18 or value <= 0 or value >= 1
    refused = spread.refused(spread.effective if single or refuses_by_sizes else spread.degrees)
    if refused is not None:
        return _described(Estimate(value, refused=refused), spread)
    size = spread.effective if single else value * (1 - value) / spread.variance
    error = None
    if single or size * min(value, 1 - value) < FEW:
        loss = 1.0 if single else (t_quantile(math.inf, level) / t_quantile(spread.degrees, level)) ** 2
        low, high = clopper_pearson(value, size * loss, level)
    else:
        error = math.sqrt(spread.variance) / (value * (1 - value))
        ends = _ends(math.log(value / (1 - value)), error, spread.degrees, level)
        low, high = (float(special().expit(end)) for end in ends)
    enough = size >= MIN_EFFECTIVE and high - low <= MAX_WIDTH
    return _described(Estimate(value, low, high, error=error), spread, enough=enough)


def _ratio(top: float, bottom: float, spread: Spread, having: float) -> Estimate:
    """Return a ratio; `having` is the effective number of pairs or clusters that have either."""
    value = top / bottom if bottom > 0 else None
    single = top <= 0 or bottom <= 0
    refused = spread.refused(having if single else spread.degrees)
    if refused is None and not single:
        # As many independent pairs with either, in these parts, would give the logarithm the same variance.
        having = (top + bottom) ** 2 / (top * bottom * spread.variance) if spread.variance else math.inf
    if refused is not None or having < MIN_DEGREES:
        return _described(Estimate(value, refused=refused or TOO_FEW), spread)
    part = top / (top + bottom)
    if single or having * min(part, 1 - part) < FEW:
        loss = 1.0 if single else (t_quantile(math.inf) / t_quantile(spread.degrees)) ** 2
        low, high = clopper_pearson(part, having * loss)
        if high >= 1:
            return _described(Estimate(value, refused=TOO_FEW), spread)
        return _described(Estimate(value, low / (1 - low), high / (1 - high)), spread)
    error = math.sqrt(spread.variance)
    low, high = _ends(math.log(top / bottom), error, spread.degrees)
    # Over a factor of four from one end to the other says nothing that a reader could use.
    enough = high - low <= math.log(4)
    return _described(Estimate(value, math.exp(low), math.exp(high), error=error), spread, enough=enough)


def _described(estimate: Estimate, spread: Spread, *, enough: bool = False) -> Estimate:
    return dataclasses.replace(
        estimate,
        enough=enough and estimate.refused is None,
        clusters=spread.clusters,
        degrees=spread.degrees,
        design_effect=spread.variance / spread.alone if spread.alone > 0 else None,
    )
