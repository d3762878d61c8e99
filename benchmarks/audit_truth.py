"""Whether the audit's intervals hold what they say: data with planted truths, through the functions that the audit calls.

    python benchmarks/audit_truth.py [--seeds N] [--beam N] [--mutant clusters|factor|chosen|sections]

Each scenario is drawn N times (2,000). Printed are how many of the 95 % intervals cover the planted truth, their mean width ÷
that of an oracle who knows the variance components and uses t with the true degrees of freedom, how many were refused, how many
of these although the oracle has degrees of freedom enough, and the coverage of intervals that take pairs for independent. Then
how often a test finds what is not there, the share of false discoveries, and the power; of whole pages, too, with all sections
at once (`benchmarks/audit_findings.py`). A mutant breaks the estimator on purpose: the benchmark must fail then, and says so. A
few draws go the whole way on Beam, from pairs and their texts to the figures of audit.json, which must be those that numpy counts
from the same draw. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from unittest import mock

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa
from apache_beam.pvalue import AsList
from numpy.typing import NDArray
from scipy import special

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import audit_findings
from pmd.audit import transforms
from pmd.audit.counting import fates, measure, unit_sums
from pmd.audit.statistics import clusters, estimates, findings, groups, losses, unit_losses
from pmd.audit.statistics.estimates import Estimate, Part, Read
from pmd.audit.texts import lexicon
from pmd.engines import ends
from pmd.engines.transforms import Cross, Meet, PerTask, create
from pmd.schema import keys
from pmd.schema.tables import PAIRS
from pmd.store import exchange, parquet_files

Counts = NDArray[np.int64]
Chance = np.random.Generator

#: What is demanded of every scenario.
COVERAGE: Final = 0.935
WIDTH: Final = 1.15
SEEDS: Final = 2000


@dataclasses.dataclass(frozen=True)
class Drawn:
    """One figure of one draw: what is said, the truth, and what others would have said."""

    estimate: Estimate
    truth: float
    oracle: float | None  # the width of the oracle's interval; None where there is none to compare
    alone: tuple[float, float]  # the interval of independent pairs
    degrees: float = math.inf  # the oracle's


@dataclasses.dataclass
class Tally:
    """A figure over all draws."""

    drawn: int = 0
    covered: int = 0
    alone: int = 0
    refused: int = 0
    refused_above: int = 0  # although the true degrees of freedom are enough
    given: int = 0
    widths: float = 0.0
    oracles: float = 0.0

    def add(self, one: Drawn) -> None:
        self.drawn += 1
        self.alone += one.alone[0] <= one.truth <= one.alone[1]
        if one.estimate.low is None or one.estimate.high is None:
            self.refused += 1
            self.refused_above += one.degrees >= estimates.MIN_DEGREES
            return
        self.given += 1
        self.covered += one.estimate.low <= one.truth <= one.estimate.high
        if one.oracle is not None:
            self.widths += one.estimate.high - one.estimate.low
            self.oracles += one.oracle


def zipf(units: int, exponent: float, pairs: int) -> Counts:
    """Return the sizes of clusters: the n-th largest has a part ∝ n^-exponent."""
    weights = (1 + np.arange(units)) ** -exponent
    return np.maximum(1, np.round(pairs * weights / weights.sum())).astype(np.int64)


def tastes(chance: Chance, mean: float, correlation: float, number: int) -> NDArray[np.float64]:
    """Return the share of each cluster, so that two of its pairs are correlated so."""
    if correlation == 0:
        return np.full(number, mean)
    strength = 1 / correlation - 1
    return chance.beta(mean * strength, (1 - mean) * strength, number)


@dataclasses.dataclass(frozen=True)
class Known:
    """What the oracle knows of a mean over clusters: Σ v ÷ N² times the variance of one pair, and t's degrees of freedom."""

    factor: float
    degrees: float

    def share(self, mean: float) -> float:
        error = math.sqrt(self.factor / (mean * (1 - mean)))
        half, middle = special.stdtrit(self.degrees, 0.975) * error, special.logit(mean)
        return float(special.expit(middle + half) - special.expit(middle - half))

    def ratio(self, above: float, below: float) -> float:
        """Return the width for two properties that no pair has both of."""
        half = special.stdtrit(self.degrees, 0.975) * math.sqrt(self.factor * (1 / above + 1 / below))
        return float(2 * above / below * math.sinh(half))


def known(sizes: Counts, correlation: float) -> Known:
    n = sizes.astype(np.float64)
    total, model = n.sum(), n * (1 + (n - 1) * correlation)
    # Satterthwaite's by brute force where that fits, from the full matrix of the residuals' covariances.
    if len(n) <= 3000:
        part = n / total
        matrix = np.diag(model) - np.outer(part, model) - np.outer(model, part) + model.sum() * np.outer(part, part)
        scaled = (model / np.diag(matrix)) ** 0.5
        matrix = matrix * np.outer(scaled, scaled)
        degrees = float(np.trace(matrix) ** 2 / (matrix**2).sum())
    else:
        degrees = float(model.sum() ** 2 / (model**2).sum())
    return Known(float(model.sum() / total**2), degrees)


def independent(part: int, whole: int) -> tuple[float, float]:
    share = part / whole
    if not 0 < share < 1:
        return estimates.clopper_pearson(share, whole)
    half = 1.96 / math.sqrt(whole * share * (1 - share))
    return float(special.expit(special.logit(share) - half)), float(special.expit(special.logit(share) + half))


def independent_ratio(above: int, below: int) -> tuple[float, float]:
    if not (above and below):
        return 0.0, math.inf
    half = 1.96 * math.sqrt(1 / above + 1 / below)
    return above / below * math.exp(-half), above / below * math.exp(half)


# Scenarios: each gives, for a source of chance, figures by name.

Scenario = Callable[[Chance], Mapping[str, Drawn]]


def of_clusters(sizes: Counts, correlation: float, mean: float = 0.3) -> Scenario:
    """Return a scenario of clusters whose pairs are alike: a share, and the ratio of two properties that exclude each other."""
    oracle = known(sizes, correlation)
    female, male = mean * 0.4, mean * 0.6

    def draw(chance: Chance) -> Mapping[str, Drawn]:
        strength = 1 / correlation - 1 if correlation else 0.0
        probabilities = np.array([female, male, 1 - mean])
        of_each = (
            chance.dirichlet(probabilities * strength, len(sizes))
            if strength
            else np.broadcast_to(probabilities, (len(sizes), 3))
        )
        counts = chance.multinomial(sizes, of_each)
        return _figures(sizes, counts[:, 0], counts[:, 1], (female, male), oracle)

    return draw


def found_by(oracle: Known, above: float, below: float) -> float:
    """Return the effective number of pairs that have either property, on which a ratio's floor is."""
    return (above + below) / oracle.factor


def _figures(
    sizes: Counts, women: Counts, men: Counts, truth: tuple[float, float], oracle: Known
) -> Mapping[str, Drawn]:
    either = women + men
    having = {"any": either, "female": women, "male": men, "female+male": either, "both": np.zeros_like(women)}
    parts = [Part(clusters.of(sizes, having), 1.0)]
    female, male = truth
    total, found = int(sizes.sum()), int(either.sum())
    return {
        "share": Drawn(
            estimates.share_of_draw(parts, "any"),
            female + male,
            oracle.share(female + male),
            independent(found, total),
            oracle.degrees,
        ),
        "ratio": Drawn(
            estimates.ratio_of_draw(parts, "female", "male", "both"),
            female / male,
            oracle.ratio(female, male),
            independent_ratio(int(women.sum()), int(men.sum())),
            min(oracle.degrees, found_by(oracle, female, male)),
        ),
    }


def thinned(sizes: Counts, correlation: float, one_in: int) -> Scenario:
    """Return a scenario of a build of some of the images: users keep what chance left them."""

    def draw(chance: Chance) -> Mapping[str, Drawn]:
        left = chance.binomial(sizes, 1 / one_in)
        left = left[left > 0]
        either = chance.binomial(left, tastes(chance, 0.3, correlation, len(left)))
        estimate = estimates.share_of_draw([Part(clusters.of(left, {"any": either}), 1.0)], "any")
        oracle = known(left, correlation)
        alone = independent(int(either.sum()), int(left.sum()))
        return {"share": Drawn(estimate, 0.3, oracle.share(0.3), alone, oracle.degrees)}

    return draw


def two_sources(correlations: tuple[float, float]) -> Scenario:
    """Return a scenario of two sources with other sizes, means and clusters, of whose mix the share is taken."""
    sizes = zipf(300, 0.4, 4000), np.full(800, 5)
    means, weights = (0.2, 0.5), (3.0, 1.0)
    mix = [weight / sum(weights) for weight in weights]
    truth = sum(part * mean for part, mean in zip(mix, means, strict=True))
    oracles = [known(one, rho) for one, rho in zip(sizes, correlations, strict=True)]
    variances = [
        part**2 * oracle.factor * mean * (1 - mean) for part, oracle, mean in zip(mix, oracles, means, strict=True)
    ]
    degrees = sum(variances) ** 2 / sum(v**2 / one.degrees for v, one in zip(variances, oracles, strict=True))
    oracle = Known(sum(variances) / (truth * (1 - truth)), degrees)

    def draw(chance: Chance) -> Mapping[str, Drawn]:
        parts, hits, total = [], 0.0, 0
        for size, mean, rho, weight in zip(sizes, means, correlations, weights, strict=True):
            some = chance.binomial(size, tastes(chance, mean, rho, len(size)))
            parts.append(Part(clusters.of(size, {"any": some}), weight))
            hits += weight / sum(weights) * some.sum() / size.sum()
            total += int(size.sum())
        estimate = estimates.share_of_draw(parts, "any")
        return {"share": Drawn(estimate, truth, oracle.share(truth), independent(round(hits * total), total), degrees)}

    return draw


KINDS: Final = ("", "english", "female", "male")


def sampled(pairs: int, part: float) -> Scenario:
    """Return a scenario of a table of which a part of the texts is read, and some of whose pairs are lost.

    The truth is the table's. Two sources, the second read as a whole, so that weights differ.
    """

    def draw(chance: Chance) -> Mapping[str, Drawn]:
        tables = [
            chance.choice(4, pairs, p=[0.2, 0.5, 0.1, 0.2]),
            chance.choice(4, pairs // 10, p=[0.05, 0.55, 0.25, 0.15]),
        ]
        left = [chance.random(len(table)) < np.where(table == 2, 0.6, 0.8) for table in tables]
        read = [chance.random(len(tables[0])) < part, np.full(len(tables[1]), fill_value=True)]
        before, after = [], []
        for table, kept, chosen in zip(tables, left, read, strict=True):
            counts = {
                frozenset({name, "english"} - {""} if kind else set())
                | ({"left"} if now and kind else set())
                | ({"is left"} if now else set()): int((table[chosen & (kept == now)] == kind).sum())
                for kind, name in enumerate(KINDS)
                for now in (False, True)
            }
            factor = 1 - chosen.mean()
            before.append(Read(counts, len(table) / chosen.sum(), float(factor)))
            after.append(Read(counts, kept.sum() / (chosen & kept).sum(), float(factor)))
        return _of_tables(tables, left, read, before, after)

    return draw


def _of_tables(
    tables: list[Counts], left: list[Any], read: list[Any], before: list[Read], after: list[Read]
) -> Mapping[str, Drawn]:
    table, kept = np.concatenate(tables), np.concatenate(left)
    english = table > 0
    share = float((table == 2).sum() / english.sum())
    now = float((table[kept] == 2).sum() / english[kept].sum())
    ratio = float((table == 2).sum() / (table == 3).sum())
    scores = {
        "share": ((table == 2) - share) * english / english.sum(),
        "ratio": (table == 2) / (table == 2).sum() - (table == 3) / (table == 3).sum(),
        "change": ((table == 2) - now) * (english & kept) / (english & kept).sum()
        - ((table == 2) - share) * english / english.sum(),
    }
    # What the oracle knows: the spread of the scores over the first table, and how many of its texts were read. Of those that are
    # left the number is known too, so the change's scores are centred in both.
    first, drawn = len(tables[0]), int(read[0].sum())
    errors = {}
    for name, values in scores.items():
        mine = values[:first]
        errors[name] = first * math.sqrt((1 - drawn / first) * float(mine.var(ddof=1)) / drawn)
    half = 1.96 * errors["share"] / (share * (1 - share))
    middle = special.logit(share)
    some = np.concatenate([one[chosen] for one, chosen in zip(tables, read, strict=True)])
    women, men, whole = int((some == 2).sum()), int((some == 3).sum()), int((some > 0).sum())
    exact = estimates.share_of_table(before[1:], "female", "english")
    assert exact.exact
    assert exact.value == (tables[1] == 2).sum() / (tables[1] > 0).sum()
    return {
        "share": Drawn(
            estimates.share_of_table(before, "female", "english"),
            share,
            float(special.expit(middle + half) - special.expit(middle - half)),
            independent(women, whole),
        ),
        "ratio": Drawn(
            estimates.ratio_of_table(before, "female", "male", "english"),
            ratio,
            2 * ratio * math.sinh(1.96 * errors["ratio"]),
            independent_ratio(women, men),
        ),
        "change": Drawn(
            estimates.change_of_table(after, before, "female", ("left", "english")),
            now - share,
            2 * 1.96 * errors["change"],
            (0.0, 0.0),
        ),
    }


def countries(sizes: Counts, correlation: float) -> Scenario:
    """Return a scenario of users who photograph mostly in their own country: the shares of four planted countries."""
    planted = np.array([0.55, 0.3, 0.1, 0.05])
    oracle = known(sizes, correlation)

    def draw(chance: Chance) -> Mapping[str, Drawn]:
        own = chance.dirichlet(planted * (1 / correlation - 1), len(sizes))
        counts = chance.multinomial(sizes, own)
        sums = clusters.of(sizes, {str(code): counts[:, code] for code in range(len(planted))})
        found = {}
        for code, mean in enumerate(planted.tolist()):
            estimate = estimates.share_of_draw([Part(sums, 1.0)], str(code))
            alone = independent(int(counts[:, code].sum()), int(sizes.sum()))
            found[f"country of {mean:.2f}"] = Drawn(estimate, mean, oracle.share(mean), alone, oracle.degrees)
        return found

    return draw


# Tests: whether loss struck unevenly.


@dataclasses.dataclass(frozen=True)
class Loss:
    """How pairs are lost: one by one, by user, or by host; `effect` is how much the share of what is left is moved."""

    by: str
    correlation: float
    effect: float = 0.0
    users: int = 1500
    hosts: int = 300
    mean: float = 0.3
    lost: float = 0.2

    def tests(self, chance: Chance) -> list[losses.Test]:
        return [self.test(chance)]

    def test(self, chance: Chance) -> losses.Test:
        sizes = zipf(self.users, 0.3, self.users * 6)
        homes = chance.integers(0, self.hosts, self.users)
        if self.by == "host":  # tastes are a host's, which is where users of one mind meet
            share = tastes(chance, self.mean, self.correlation, self.hosts)[homes]
        else:
            share = tastes(chance, self.mean, self.correlation, self.users)
        had = chance.binomial(sizes, share)
        # Pairs with the property survive less often, or more, so that the share of what is left moves by `effect`.
        goal = self.mean + self.effect
        odds = goal / (1 - goal) * (1 - self.mean) / self.mean
        others = (1 - self.lost) / (1 - self.mean + odds * self.mean)
        if self.by == "pair":
            has = chance.binomial(had, min(odds * others, 1.0))
            after = has + chance.binomial(sizes - had, others)
        else:
            units = self.users if self.by == "user" else self.hosts
            alive = chance.random(units) < 1 - self.lost
            alive = alive if self.by == "user" else alive[homes]
            after, has = sizes * alive, had * alive
            if self.effect:
                has = chance.binomial(has, min(odds, 1.0))
                after = after - had * alive + has
        if self.by == "host":
            sizes, after, had, has = (
                np.bincount(homes, weights=values, minlength=self.hosts).astype(np.int64)
                for values in (sizes, after, had, has)
            )
        return losses.uneven(losses.of(sizes, after, {"term": (had, has)}), "term")


@dataclasses.dataclass(frozen=True)
class SizeLoss:
    """Users, or hosts, are lost as a whole or pair by pair: were those of some first size lost more often?

    Attributes:
        sizes: Pairs of each.
        by: "pair"; "unit", as a whole; "both", half so and half so; "either", large ones as a whole and small ones pair by pair;
            "own", each at a rate of its own.
        lost: The share that is lost on average, of each size.
        more: How much more is lost of those with fewer than a hundred pairs: what is to be found.
    """

    sizes: Counts
    by: str
    lost: float = 0.2
    more: float = 0.0

    @property
    def group(self) -> NDArray[np.intp]:
        return groups.of_sizes(self.sizes)

    @property
    def untestable(self) -> float:
        """The share of sizes that so few units have, or all but so few, that no test can tell."""
        units = np.bincount(self.group)
        some = np.minimum(units, len(self.sizes) - units)[units > 0]
        return float((some <= estimates.MIN_DEGREES).mean())

    def tests(self, chance: Chance) -> list[losses.Test]:
        after, group = self._left(chance), self.group
        having = {
            str(number): (self.sizes * (group == number), after * (group == number)) for number in np.unique(group)
        }
        table = losses.of(self.sizes, after, having)
        return [unit_losses.uneven(table, name) for name in having]

    def _left(self, chance: Chance) -> Counts:
        lost = self.lost + self.more * (self.sizes < 100)
        whole = chance.random(len(self.sizes))
        if self.by == "own":
            rates = chance.beta(lost * 9, (1 - lost) * 9)  # so that two pairs of one are correlated by .1
            return chance.binomial(self.sizes, 1 - rates)
        if self.by == "both":
            return chance.binomial(self.sizes, 1 - lost / 2) * (whole < (1 - lost) / (1 - lost / 2))
        by_pair, by_unit = chance.binomial(self.sizes, 1 - lost), self.sizes * (whole < 1 - lost)
        is_whole = self.by == "unit" or (self.sizes >= 100 if self.by == "either" else False)
        return np.where(is_whole, by_unit, by_pair)


@dataclasses.dataclass(frozen=True)
class YearLoss:
    """Ten years, of which each user, or host, has some more than others; they are lost as a whole, or pair by pair."""

    by: str
    alike: float  # how alike the years of a user's pairs are, or of a host's
    lost: float = 0.2
    years: int = 10

    def tests(self, chance: Chance) -> list[losses.Test]:
        sizes = zipf(400 if self.by == "host" else 1500, 0.4, 9000)
        strength = 1 / self.alike - 1
        years = chance.multinomial(sizes, chance.dirichlet(np.full(self.years, strength / self.years), len(sizes)))
        if self.by == "pair":
            left = chance.binomial(years, 1 - self.lost)
        else:
            left = years * (chance.random(len(sizes)) < 1 - self.lost)[:, None]
        having = {str(year): (years[:, year], left[:, year]) for year in range(self.years)}
        table = losses.of(sizes, left.sum(axis=1), having)
        return [losses.uneven(table, name) for name in having]


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "five captions an image": of_clusters(np.full(600, 5), 0.4),
    "users by Zipf's law, no correlation": of_clusters(zipf(1000, 0.6, 12_000), 0.0),
    "users by Zipf's law, correlation .05": of_clusters(zipf(1000, 0.6, 12_000), 0.05),
    "users by Zipf's law, correlation .25": of_clusters(zipf(1000, 0.5, 12_000), 0.25),
    "heavy users by Zipf's law, correlation .25": of_clusters(zipf(1000, 0.9, 12_000), 0.25),
    "sixty users by Zipf's law": of_clusters(zipf(60, 0.4, 3000), 0.25),
    "one giant user": of_clusters(np.concatenate([[1500], zipf(500, 0.3, 3500)]), 0.05),
    "twelve users": of_clusters(np.full(12, 40), 0.1),
    "rare terms": of_clusters(np.full(3000, 1), 0.0, mean=0.001),
    "rare terms of users": of_clusters(zipf(1000, 0.4, 6000), 0.05, mean=0.01),
    "nearly no counts": of_clusters(np.full(3000, 1), 0.0, mean=0.0003),
    "two sources": two_sources((0.1, 0.4)),
    "a thinned build": thinned(zipf(1000, 0.5, 24_000), 0.05, 8),
    "a part of the texts read": sampled(12_000, 0.25),
    "most of the texts read": sampled(6_000, 0.8),
    "planted countries": countries(zipf(1500, 0.4, 9000), 0.5),
}

#: Pairs of users and of hosts: the largest of few hosts has 13 % of all pairs, that of the concentrated ones 17 %.
UNITS: Final[Mapping[str, Counts]] = {
    "users": zipf(3000, 0.6, 30_000),
    "hosts": zipf(1500, 0.6, 60_000),
    "few hosts": zipf(200, 0.9, 60_000),
    "concentrated hosts": zipf(1500, 1.1, 60_000),
}

LOSSES: Final[Mapping[str, Loss | SizeLoss | YearLoss]] = {
    **{
        f"links die by {by}, correlation {correlation}": Loss(by, correlation)
        for by in ("pair", "user", "host")
        for correlation in (0.0, 0.05, 0.25)
    },
    **{
        f"sizes of {name}, links die by {by}, {lost:.0%} of them": SizeLoss(sizes, by, lost)
        for name, sizes in UNITS.items()
        for by in ("pair", "unit", "both", "own", "either")
        for lost in (0.05, 0.3)
    },
    **{
        f"years, links die by {by}, correlation {alike}": YearLoss(by, alike)
        for by in ("pair", "user", "host")
        for alike in (0.1, 0.6)
    },
}

#: Tests of a section; of half of them the effect is this.
SECTION: Final = 20
POWER_EFFECT: Final = -0.04
#: How much more small units lose, where that is to be found.
MORE: Final = 0.15
#: The others have the largest effect that is none, which is the hardest to tell from one.
NULL_EFFECT: Final = -findings.LEAST_EFFECT


def cover(scenario: Scenario, seeds: int, first: int) -> dict[str, Tally]:
    found: dict[str, Tally] = {}
    for seed in range(seeds):
        for name, one in scenario(np.random.default_rng([first, seed])).items():
            found.setdefault(name, Tally()).add(one)
    return found


def coverage(scenario: str, seeds: int) -> float:
    """Return how many of all intervals of a scenario cover the truth; all where none was given."""
    tallies = cover(SCENARIOS[scenario], seeds, 5000).values()
    given = sum(tally.given for tally in tallies)
    return sum(tally.covered for tally in tallies) / given if given else 1.0


@dataclasses.dataclass
class Tested:
    """What tests said over all draws."""

    runs: int = 0
    answered: int = 0  # runs with a test that could be answered
    tests: int = 0
    refused: int = 0
    covered: int = 0
    found: int = 0

    def add(self, tests: Sequence[losses.Test]) -> None:
        """Add a run: the tests of one section."""
        self.runs += 1
        self.tests += len(tests)
        for test in tests:
            interval = test.interval(estimates.LEVEL)
            if interval is None:
                self.refused += 1
            else:
                self.covered += interval[0] <= 0 <= interval[1]
        self.answered += any(test.error is not None for test in tests)
        self.found += any(judged.finding for judged in findings.judge(tests))


@dataclasses.dataclass
class Sections:
    """Sections of many tests."""

    runs: int = 0
    with_finding: int = 0
    false: float = 0.0
    power: float = 0.0
    truths: int = 0
    covered: int = 0
    findings: int = 0


def sections(seeds: int, first: int, planted: int) -> Sections:
    """Return what is found in sections of `SECTION` tests, of which `planted` have an effect."""
    found = Sections()
    for seed in range(seeds):
        chance = np.random.default_rng([first, seed])
        kinds = [Loss("pair" if place < planted else "user", 0.05, users=300) for place in range(SECTION)]
        tests = [
            dataclasses.replace(kind, effect=POWER_EFFECT if place < planted else NULL_EFFECT).test(chance)
            for place, kind in enumerate(kinds)
        ]
        judged = findings.judge(tests)
        picked = [place for place, one in enumerate(judged) if one.finding]
        wrong = sum(place >= planted for place in picked)
        found.runs += 1
        found.with_finding += bool(picked)
        found.false += wrong / len(picked) if picked else 0.0
        found.power += sum(place < planted for place in picked) / planted if planted else 0.0
        for place in picked:
            interval = judged[place].interval
            truth = POWER_EFFECT if place < planted else NULL_EFFECT
            found.findings += 1
            found.covered += interval is not None and interval[0] <= truth <= interval[1]
    return found


# The whole way, on Beam.

WOMAN: Final = "a woman is walking with the dogs in the park near the river"
MAN: Final = "a man is walking with the dogs in the park near the river"
NOBODY: Final = "the dogs are running through the park near the river today"


def on_beam(seed: int) -> list[str]:
    """Return where a draw's figures, counted by the transforms of the audit, differ from the truth of the draw."""
    chance = np.random.default_rng([4000, seed])
    sizes = zipf(300, 0.4, 1500)
    users = np.repeat(np.arange(len(sizes)), sizes)
    share = tastes(chance, 0.4, 0.25, len(sizes))[users]
    kind = np.where(chance.random(len(users)) < share, 1, np.where(chance.random(len(users)) < 0.3, 2, 0))
    lost = chance.random(len(sizes))[users] < 0.2
    rows = [
        {
            "pair_id": keys.pair_id("yfcc100m", str(place)),
            "image_id": keys.image_id(f"{seed}/{place}"),
            "source": "yfcc100m",
            "image_url": f"http://host{place % 50}.org/{place}.jpg",
            "text": (NOBODY, WOMAN, MAN)[code],
            "meta": orjson.dumps({"uid": str(user)}).decode(),
        }
        for place, (code, user) in enumerate(zip(kind.tolist(), users.tolist(), strict=True))
    ]
    known = _counted_on_beam(rows, ["images" if gone else "shard" for gone in lost])
    wrong = []
    for stage, left in ((0, np.ones_like(lost)), (len(measure.CLASSES) - 1, ~lost)):
        expected = clusters.of(
            np.bincount(users[left], minlength=len(sizes)),
            {"female": np.bincount(users[left & (kind == 1)], minlength=len(sizes))},
        )
        found = known.sums_of("yfcc100m", "user", stage, "english")
        one = estimates.share_of_draw([Part(found, 1.0)], "female")
        other = estimates.share_of_draw([Part(expected, 1.0)], "female")
        if one != other:
            wrong.append(f"seed {seed}, stage {stage}: {one} and not {other}")
        for name, owner in (("user", users), ("host", np.arange(len(users)) % 50), ("image", np.arange(len(users)))):
            counted = int(known.sizes_of("yfcc100m", name, stage)[1].sum())
            if counted != len(np.unique(owner[left])):
                wrong.append(f"seed {seed}, stage {stage}: {counted} of kind {name}")
    return wrong


def _counted_on_beam(rows: list[dict[str, Any]], last: list[str]) -> unit_sums.Counted:
    lists = lexicon.of({"female": ["woman"], "male": ["man"], "neutral": ["person"]})
    plan = measure.Plan({}, lists)
    with tempfile.TemporaryDirectory() as work:
        ends.begin(work)
        pairs = pa.Table.from_pylist(rows, pa.schema([PAIRS.field(name) for name in measure.COLUMNS])).sort_by(
            "pair_id"
        )
        tasks = [
            pa.RecordBatch.from_pylist([{"pairs": f"{work}/{file.name}", "source": "yfcc100m"}], transforms.PAIR_TASKS)
            for file in (
                parquet_files.put_table(work, f"pairs-{start}", pairs.slice(start, 400))
                for start in range(0, pairs.num_rows, 400)
            )
        ]
        named = {"images": measure.CLASSES.index("images"), "shard": measure.CLASSES.index("dedupe")}
        known = [
            {"pair_id": row["pair_id"], "last": named[one]} for row, one in zip(rows, last, strict=True) if one in named
        ]
        some = pa.Table.from_pylist(known, schema=fates.FATES).to_batches(max_chunksize=400)
        written = list(exchange.write(work, fates.FATES, 2, some, "pair_id"))
        counting = transforms.Counting(plan, ("yfcc100m",), {"fate": 2, "image": 2, "unit": 2, "text": 0}, work)
        target = Path(work) / "facts"
        with beam.Pipeline() as pipeline:
            packed = (
                pipeline
                | "Fates" >> create(written)
                | Meet(by_engine=False)
                | "Pack" >> beam.ParDo(PerTask(transforms.PackFates(work))).with_output_types(pa.RecordBatch)
            )
            (
                pipeline
                | "Pairs" >> create(tasks)
                | Cross(transforms.CountFiles(counting, len(tasks)), by_engine=False, side=[AsList(packed)])
                | transforms.CountMet(counting, by_engine=False)
                | "Facts" >> beam.FlatMap(lambda batch: batch.column("fact").to_pylist())
                | beam.Filter(lambda fact: fact.startswith(transforms.UNITS))
                | beam.Map(lambda fact: fact.removeprefix(transforms.UNITS))
                | beam.io.WriteToText(str(target), shard_name_template="")
            )
        return unit_sums.merged(map(transforms.read_units, target.read_text().splitlines()))


# Mutants of the estimator.


def mutant(name: str | None) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which the estimator is broken."""
    original = estimates._varying

    if name == "clusters":

        def ignoring(sums: clusters.Sums, squares: Any, within: Any) -> Any:
            total = np.array([float(within.sum())])
            return original(clusters.alike(sums.pairs, {}), total, total)

        return mock.patch.object(estimates, "_varying", ignoring)
    if name == "factor":
        inner = Read.spread

        def wrong(self: Read, scores: Mapping[frozenset[str], float]) -> estimates.Spread:
            found = inner(self, scores)
            return dataclasses.replace(found, variance=found.alone * (1 - self.factor) if self.factor else 0.0)

        return mock.patch.object(Read, "spread", wrong)
    if name == "chosen":
        return mock.patch.object(findings, "chosen", lambda p_values, _: [p <= 0.05 for p in p_values])
    if name == "sections":
        return mock.patch.object(findings, "SECTIONS", 1)
    return contextlib.nullcontext()


MUTANTS: Final = ("clusters", "factor", "chosen", "sections")


def slack(share: float, runs: int) -> float:
    """Return three standard errors of a share that was found in so many runs; none from 2,000 runs on."""
    return 3 * math.sqrt(share * (1 - share) / max(runs, 1)) if runs < SEEDS / 2 else 0.0


def run(seeds: int, say: Callable[[str], None]) -> tuple[dict[str, Any], list[str]]:
    """Return all figures, and what falls short of what is demanded."""
    figures: dict[str, Any] = {}
    short: list[str] = []
    say(
        "| scenario | figure | covered | width ÷ oracle's | refused | of them above the floor | independent pairs cover |"
    )
    say("|---|---|---|---|---|---|---|")
    all_covered = all_given = 0
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        for figure, tally in cover(scenario, seeds, number).items():
            covered = tally.covered / tally.given if tally.given else None
            width = tally.widths / tally.oracles if tally.oracles else None
            figures[f"{name}: {figure}"] = {
                "covered": covered,
                "width": width,
                "refused": tally.refused / tally.drawn,
                "refused_above": tally.refused_above / tally.drawn,
                "independent": tally.alone / tally.drawn,
            }
            say(
                f"| {name} | {figure} | {_percent(covered)} | {'–' if width is None else f'{width:.2f}'} | "
                f"{_percent(tally.refused / tally.drawn)} | {_percent(tally.refused_above / tally.drawn)} | "
                f"{_percent(tally.alone / tally.drawn)} |"
            )
            all_covered += tally.covered
            all_given += tally.given
            if covered is not None and covered < COVERAGE - slack(COVERAGE, tally.given):
                short.append(f"{name}: {figure} covers {covered:.3f}")
            if width is not None and tally.given >= 30 and width > WIDTH:
                short.append(f"{name}: {figure} is {width:.2f} times as wide as the oracle's")
            if tally.refused_above > 0.01 * tally.drawn + 3 * math.sqrt(0.01 * tally.drawn):
                short.append(f"{name}: {figure} is refused in {tally.refused_above} of {tally.drawn} above the floor")
    if all_covered < (COVERAGE - 0.01) * all_given:
        short.append(f"all together cover {all_covered / all_given:.3f}")
    short += _null_tests(seeds, say, figures)
    short += _sections(seeds, say, figures)
    short += _sizes(seeds, say, figures)
    short += _pages(seeds, say, figures)
    return figures, short


def _null_tests(seeds: int, say: Callable[[str], None], figures: dict[str, Any]) -> list[str]:
    short, answered = [], 0
    say("\n| nothing but chance | 0 is covered | runs with a finding | refused |")
    say("|---|---|---|---|")
    for number, (name, loss) in enumerate(LOSSES.items()):
        tested = Tested()
        for seed in range(seeds):
            tested.add(loss.tests(np.random.default_rng([1000 + number, seed])))
        given, refused = tested.tests - tested.refused, tested.refused / tested.tests
        covered = tested.covered / given if given else None
        found = tested.found / max(tested.answered, 1)
        figures[name] = {"covered": covered, "found": found, "refused": refused}
        say(f"| {name} | {_percent(covered)} | {_percent(found)} | {_percent(refused)} |")
        # Tests of a section share clusters, so a run counts as one.
        answered += tested.answered
        if covered is not None and covered < COVERAGE - slack(COVERAGE, tested.answered):
            short.append(f"{name}: 0 is covered in {covered:.3f}")
        if found > 0.05 + slack(0.05, tested.answered):
            short.append(f"{name}: {found:.3f} of null runs have a finding")
        if isinstance(loss, SizeLoss) and refused > loss.untestable:
            short.append(
                f"{name}: {refused:.3f} of tests are refused, and {loss.untestable:.3f} of sizes have few units"
            )
    if not answered:
        short.append("no test is answered")
    return short


def _sections(seeds: int, say: Callable[[str], None], figures: dict[str, Any]) -> list[str]:
    short = []
    few = max(seeds // 4, 25)
    null, half = sections(few, 2000, 0), sections(few, 3000, SECTION // 2)
    rows = {
        "null sections with a finding": null.with_finding / null.runs,
        "false discoveries": half.false / half.runs,
        "power": half.power / half.runs,
        "findings' intervals cover": half.covered / max(half.findings, 1),
    }
    figures["sections"] = rows
    say(f"\nSections of {SECTION} tests, {few} of them; half with an effect of {POWER_EFFECT * 100:g} points:")
    for name, share in rows.items():
        say(f"- {name}: {_percent(share)}")
    if rows["null sections with a finding"] > 0.05 + slack(0.05, few):
        short.append("more than 5 % of null sections have a finding")
    error = math.sqrt(0.05 * 0.95 / few)
    if rows["false discoveries"] > findings.FALSE_DISCOVERIES + 2 * error:
        short.append(f"{rows['false discoveries']:.3f} of findings are false")
    if rows["power"] < 0.8:
        short.append(f"the power is {rows['power']:.2f}")
    if rows["findings' intervals cover"] < COVERAGE:
        short.append(f"findings' intervals cover {half.covered} of {half.findings}")
    return short


def _sizes(seeds: int, say: Callable[[str], None], figures: dict[str, Any]) -> list[str]:
    """Say how often it is found that small units are lost more often, and which share of what they lose more is covered."""
    few = max(seeds // 4, 25)
    say(f"\nUnits with fewer than a hundred pairs lose {MORE * 100:g} points more, {few} runs:\n")
    say("| units | links die by | found |")
    say("|---|---|---|")
    short = []
    for name, sizes in UNITS.items():
        for by in ("pair", "unit", "both"):
            loss = SizeLoss(sizes, by, 0.1, MORE)
            found = 0
            for seed in range(few):
                judged = findings.judge(loss.tests(np.random.default_rng([6000, seed])))
                found += any(one.finding for one in judged)
            figures[f"sizes of {name}, {by}: power"] = found / few
            say(f"| {name} | {by} | {_percent(found / few)} |")
            if by == "pair" and found < 0.8 * few:
                short.append(f"{name}: that small ones die more often by {by} is found in {found / few:.2f}")
    return short


def _pages(seeds: int, say: Callable[[str], None], figures: dict[str, Any]) -> list[str]:
    """Say what whole pages find, and which part of it is false: of all sections, and of the worst."""
    few = max(seeds // 2, 25)
    say(f"\nWhole pages, {few} of each kind:\n")
    say("| planted | pages with a finding | false | on average of sections | of the worst | intervals beside | found |")
    say("|---|---|---|---|---|---|---|")
    short = []
    for name in audit_findings.PAGES:
        said = audit_findings.said(name, few)
        row = said.shares()
        figures[f"pages: {name}"] = row
        say(f"| {name} | {' | '.join(map(_percent, row.values()))} |")
        for what in ("false", "of sections", "of the worst", "intervals beside"):
            share = row[what]
            if share is not None and share > findings.FALSE_DISCOVERIES + slack(findings.FALSE_DISCOVERIES, few):
                short.append(f"pages, {name}: {share:.3f} {what}")
        if row["found"] is not None and row["found"] < audit_findings.POWER:
            short.append(f"pages, {name}: {row['found']:.2f} of what is planted is found")
    return short


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} %"


def main() -> Iterator[str]:
    parser = argparse.ArgumentParser(description="whether the audit's intervals hold what they say")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--beam", type=int, default=3, help="draws that go the whole way")
    parser.add_argument("--mutant", choices=MUTANTS)
    arguments = parser.parse_args()
    start = time.process_time()
    with mutant(arguments.mutant):
        figures, short = run(arguments.seeds, print)
    for seed in range(arguments.beam):
        short += on_beam(seed)
    for one in short:
        print(f"falls short: {one}")
    print(f"{time.process_time() - start:.0f} s of processor")
    print(json.dumps({"seeds": arguments.seeds, "mutant": arguments.mutant, "short": short, "figures": figures}))
    yield from short


if __name__ == "__main__":
    sys.exit(1 if list(main()) else 0)
