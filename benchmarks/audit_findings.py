"""Whole pages of the audit whose truth is known: every section that calls something a finding, drawn at once.

One source has users and places, as YFCC100M; of another only hosts are known, as of Conceptual Captions. A filter takes pairs one
by one, then links die: users and hosts with all they have, and of what is left pair by pair. What pairs show has to do with
neither, but where an effect is planted. The tests are those of production, and so are their families: `uneven.tests`,
`associations.figures` and `context.count`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pmd.audit.counting import associations, context, unit_sums, units
from pmd.audit.counting.measure import CLASSES
from pmd.audit.figures import uneven
from pmd.audit.statistics import clusters, findings, groups, losses
from pmd.audit.texts import vocabulary
from pmd.schema import keys

Counts = NDArray[np.int64]
Chance = np.random.Generator

#: Source → what it is that its pairs are lost by.
SOURCES: Final = {"yfcc100m": "user", "conceptual_captions": "host"}
RAN: Final = ("curate", "images", "fetch")
#: The share of users and hosts that die, and of what is left of the others' pairs.
DEAD: Final = 0.15
LOST: Final = 0.1

COUNTRIES: Final = ("BR", "CA", "DE", "FR", "IN", "JP", "MX", "NG", "US", "VN")
HIGH: Final = ("CA", "DE", "FR", "JP", "US")
YEARS: Final = tuple(str(year) for year in range(2004, 2014))

#: Domain → what its pairs may show, and how often; "" is none of it. A country's income follows from it.
SHOWN: Final[Mapping[str, Mapping[str, float]]] = {
    "read": {"english": 0.6, "": 0.4},
    "english": {"female": 0.25, "male": 0.3, "both": 0.1, "neutral": 0.1, "": 0.25},
    "placed": dict.fromkeys(COUNTRIES, 0.1),
    units.DATED: dict.fromkeys(YEARS, 0.1),
}
#: The section of a domain, and that of units by their size.
SECTIONS: Final = {
    "read": "languages",
    "english": "gendered",
    "placed": "countries",
    "income": "incomes",
    units.DATED: "years",
}
OF_SIZES: Final = {"user": "user_sizes", "host": "host_sizes"}
TERMS, WORDS = "terms beside gendered ones", "words beside terms of identity"

#: Of terms and words the odds that are no finding, at the most; and of those that are planted.
NO_ODDS: Final = 1.25
ODDS: Final = 3.0
#: How many there are of a source, and how many of these are planted.
OF_TERMS: Final = (24, 4)
OF_WORDS: Final = (12, 3)

Effects = Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Page:
    """How a page is drawn.

    Attributes:
        units: Users of the one source, and hosts of the other.
        effects: Domain → what its pairs show → how far dead links move its share in the first source, 0 for all others together.
        smaller: How much less of their pairs users of one pair keep, as a part of what the others keep.
        odds: Of the terms and words that are planted.
        domains: Those of the second source, whose pairs show nothing that is planted.
        filtered: The share of pairs that the filter takes.
    """

    units: int
    effects: Effects = dataclasses.field(default_factory=dict)
    smaller: float = 0.0
    odds: float = NO_ODDS
    domains: tuple[str, ...] = ("read", "english")
    filtered: float = 0.1

    def draw(self, chance: Chance) -> list[Asked]:
        """Return all that one page asks, with the truth."""
        parts = {source: self._part(chance, source) for source in SOURCES}
        counted = unit_sums.merged(part.counted(source) for source, part in parts.items())
        truths = {source: part.truths for source, part in parts.items()}
        rows = uneven.tests(counted, cast(Any, dict.fromkeys(SOURCES, _Told())), RAN, None)
        found = [_of_losses(row, truths[row["source"]]) for row in rows]
        for source in SOURCES:
            found += _terms(chance, self.odds)
            found += _words(chance, source, self.odds)
        return found

    def _part(self, chance: Chance, source: str) -> _Part:
        is_first = source == next(iter(SOURCES))
        domains = tuple(SHOWN) if is_first else self.domains
        shown = {domain: SHOWN[domain] for domain in domains}
        effects = self.effects if is_first else {}
        page = self if is_first else dataclasses.replace(self, smaller=0.0)
        return _Part.drawn(chance, SOURCES[source], page, _Shown(shown, effects))


@dataclasses.dataclass(frozen=True)
class Asked:
    """One test, and the truth.

    Attributes:
        section: Its section; of terms and words one for all sources.
        effect: The true one; of odds their logarithm.
        least: From which on it is one.
        finding: Whether it is said to be a finding.
        interval: What is told of it.
    """

    section: str
    effect: float
    least: float
    finding: bool
    interval: tuple[float | None, float | None]

    @property
    def is_true(self) -> bool:
        """Whether there is an effect. What is planted as large as an effect may be that is none, is none."""
        return abs(self.effect) > self.least * (1 + 1e-9)

    @property
    def covers(self) -> bool:
        """Whether the interval holds the truth."""
        low, high = self.interval
        return (low is None or low <= self.effect) and (high is None or self.effect <= high)


class _Told:
    """No number of pairs is hidden."""

    def changed(self, by: str, stage: str) -> frozenset[str]:
        return frozenset({*COUNTRIES, *YEARS, "high", *(name for _, name in groups.SIZES)})


def _of_losses(row: Mapping[str, Any], truths: Mapping[tuple[str, str, str], float]) -> Asked:
    truth = truths.get((row["section"], row["stage"], row["property"]), 0.0)
    return Asked(row["section"], truth, findings.LEAST_EFFECT, row["finding"], (row["low"], row["high"]))


# Losses.


@dataclasses.dataclass(frozen=True)
class _Shown:
    """What pairs of a source show, and how that moves with dead links."""

    shares: Mapping[str, Mapping[str, float]]
    effects: Effects

    def draw(self, chance: Chance, unit: Counts, number: int) -> dict[str, Counts]:
        """Return the place, among what its domain has, of what each pair shows: pairs of one unit are somewhat alike."""
        found = {}
        for domain, shares in self.shares.items():
            own = chance.dirichlet(np.array([*shares.values()]) * 9, number)  # two pairs of a unit are correlated by .1
            found[domain] = (own.cumsum(axis=1)[unit] < chance.random(len(unit))[:, None]).sum(axis=1)
            found[domain] = np.minimum(found[domain], len(shares) - 1)
        return found

    def kept(self, shows: Mapping[str, Counts], pairs: int) -> NDArray[np.float64]:
        """Return the chance of each pair to be left by what it shows, so that shares move as they should."""
        chances = np.ones(pairs)
        for domain, effects in self.effects.items():
            moved = {"": -sum(effects.values()), **effects}
            odds = np.array([1 + moved.get(name, 0.0) / share for name, share in self.shares[domain].items()])
            chances *= (odds / odds.max())[shows[domain]]
        return chances

    def truths(self) -> Iterator[tuple[tuple[str, str, str], float]]:
        """Yield section, step and property of all that moves, and how far."""
        for domain, effects in self.effects.items():
            for name, effect in effects.items():
                yield (SECTIONS[domain], "fetch", name), effect
            if domain == "placed":
                yield (SECTIONS["income"], "fetch", "high"), sum(effects.get(name, 0.0) for name in HIGH)


@dataclasses.dataclass(frozen=True)
class _Part:
    """The pairs of one source.

    Attributes:
        kind: What they are lost by.
        sizes: Pairs of each unit at first.
        tables: Step → domain → `losses.ROWS`.
        truths: Section, step and property → the true effect, where there is one.
    """

    kind: str
    sizes: Counts
    tables: Mapping[str, Mapping[str, pa.Table]]
    truths: Mapping[tuple[str, str, str], float]

    @classmethod
    def drawn(cls, chance: Chance, kind: str, page: Page, shown: _Shown) -> _Part:
        number, kept_of_small = page.units, 1 - page.smaller
        sizes = np.maximum(1, np.round(chance.lognormal(1.0, 0.9, number))).astype(np.int64)
        unit = np.repeat(np.arange(number), sizes)
        shows = shown.draw(chance, unit, number)
        passed = chance.random(len(unit)) >= page.filtered
        alone = np.where(sizes == 1, kept_of_small, 1.0)
        alive = (chance.random(number) >= DEAD)[unit] & (chance.random(len(unit)) >= LOST)
        kept = shown.kept(shows, len(unit))
        left = passed & alive & (chance.random(len(unit)) < kept * alone[unit])
        every = np.ones_like(passed)
        tables = {
            step: dict(_tables(unit, sizes, shows, shown, (before, after)))
            for step, before, after in (("images", every, passed), ("fetch", passed, left))
        }
        keep = (1 - DEAD) * (1 - LOST) * float(kept.mean())
        group = groups.of_sizes(sizes)[np.bincount(unit[passed], minlength=number) > 0]
        truths = {
            **dict(shown.truths()),
            **dict(_of_sizes(kind, group, keep * np.where(group == 0, kept_of_small, 1.0))),
        }
        return cls(kind, sizes, tables, truths)

    def counted(self, source: str) -> unit_sums.Counted:
        """Return what production knows of these units: their number, and their losses."""
        size, number = np.unique(self.sizes, return_counts=True)
        at = {"source": source, "kind": self.kind}
        sizes = _beside({**at, "stage": 0}, pa.table({"size": size, "units": number}), unit_sums.SIZES)
        lost = [
            _beside({**at, "stage": CLASSES.index(step), "domain": domain}, table, unit_sums.LOSSES)
            for step, domains in self.tables.items()
            for domain, table in domains.items()
        ]
        return dataclasses.replace(unit_sums.EMPTY, sizes=sizes, losses=pa.concat_tables(lost))


def _beside(values: Mapping[str, Any], table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [pa.repeat(pa.scalar(value, schema.field(name).type), len(table)) for name, value in values.items()]
    return pa.table([*columns, *table.columns], schema=schema)


def _tables(
    unit: Counts,
    sizes: Counts,
    shows: Mapping[str, Counts],
    shown: _Shown,
    ends: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> Iterator[tuple[str, pa.Table]]:
    """Yield the losses of each domain at a step, before and after which these pairs are there."""
    for domain, place in shows.items():
        names = [*shown.shares[domain]]
        width = len(names)
        counts = [
            np.bincount(unit[some] * width + place[some], minlength=len(sizes) * width).reshape(len(sizes), width)
            for some in ends
        ]
        yield domain, _lost(counts, {name: [names.index(name)] for name in names if name})
        if domain == "placed":
            yield "income", _lost(counts, {"high": [names.index(name) for name in HIGH]})
    before, after = (np.bincount(unit[some], minlength=len(sizes)) for some in ends)
    group = groups.of_sizes(sizes)
    having = {groups.SIZES[one][1]: (before * (group == one), after * (group == one)) for one in np.unique(group)}
    yield units.SIZED, losses.of(before, after, having)


def _lost(counts: Sequence[Counts], names: Mapping[str, list[int]]) -> pa.Table:
    before, after = counts
    having = {name: (before[:, places].sum(axis=1), after[:, places].sum(axis=1)) for name, places in names.items()}
    return losses.of(before.sum(axis=1), after.sum(axis=1), having)


def _of_sizes(
    kind: str, group: NDArray[np.intp], keeps: NDArray[np.float64]
) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Yield of each size how much more, or less, its units keep than all others."""
    for one in np.unique(group):
        mine = group == one
        if not mine.all():
            yield (OF_SIZES[kind], "fetch", groups.SIZES[one][1]), float(keeps[mine].mean() - keeps[~mine].mean())


# Terms beside gendered ones, and words beside terms of identity.


def _terms(chance: Chance, planted: float) -> Iterator[Asked]:
    """Yield the terms of a source with as many women as men; the others have the largest odds that are no finding."""
    number, some = OF_TERMS
    odds = np.where(np.arange(number) < some, planted, NO_ODDS)
    sums, having = {}, {}
    terms = vocabulary.associated()[:number]
    for term, one in zip(terms, odds, strict=True):
        sizes = chance.integers(1, 4, 40)
        female = chance.binomial(sizes, one / (1 + one))
        counts = {"female": female, "male": sizes - female, "both": np.zeros_like(sizes), "female+male": sizes}
        sums[term.key] = clusters.of(sizes, counts)
        having[term.key] = (int(sizes.sum()), int(female.sum()), int(sizes.sum() - female.sum()))
    captions = associations.Captions(20_000, 5000, 5000, having)
    truth = {(term.group, term.name): one for term, one in zip(terms, odds.tolist(), strict=True)}
    for row in associations.figures(captions, {"image": sums}, len(SOURCES)):
        yield _of_odds(TERMS, row, truth[row["group"], row["term"]])


def _of_odds(section: str, row: Mapping[str, Any], truth: float) -> Asked:
    ends = tuple(np.log(row[name]) if row[name] else None for name in ("low", "high"))
    interval = cast(tuple[float | None, float | None], ends)
    return Asked(section, float(np.log(truth)), associations.LEAST_LOG_ODDS, row["finding"], interval)


def _words(chance: Chance, source: str, planted: float) -> Iterator[Asked]:
    """Yield the words beside one term of identity that are listed; a fifth of all other captions have each."""
    number, some = OF_WORDS
    truth = {f"word{one:02}": planted if one < some else NO_ODDS for one in range(number)}
    sizes = chance.integers(1, 3, 120)
    others = 20_000
    rows = [_word_row(source, -1, "", int(sizes.sum()) + others), _word_row(source, 0, "", int(sizes.sum()))]
    rows += [_word_row(source, 0, "", int(size), place) for place, size in enumerate(sizes)]
    for word, odds in truth.items():
        has = chance.binomial(sizes, odds / (4 + odds))
        rows += [
            _word_row(source, -1, word, int(has.sum()) + others // 5),
            _word_row(source, 0, word, int(has.sum())),
        ]
        rows += [_word_row(source, 0, word, int(one), place) for place, one in enumerate(has) if one]
    table = pa.Table.from_pylist(rows, context.ROWS)
    for found in context.count(table, len(SOURCES)):
        for row in found["words"]:
            yield _of_odds(WORDS, row, truth[row["beside"]])


def _word_row(source: str, term: int, word: str, captions: int, cluster: int | None = None) -> dict[str, Any]:
    return {
        "source_id": keys.hashed(pa.array([source]))[0].as_py(),
        "source": source,
        "kind": context.CAPTIONS if cluster is None else 0,
        "last": len(CLASSES) - 1,
        "term": term,
        "word": word,
        "cluster": 0 if cluster is None else cluster + 1,
        "captions": captions,
    }


# What pages say.


@dataclasses.dataclass
class Said:
    """What was said over many pages.

    Attributes:
        pages: How many.
        with_finding: How many of them have a finding.
        false: Sum of the shares of all findings of a page that are false.
        of_sections: Sum of the shares that are false, on average over the sections of a page that have findings.
        worst: Sum of the shares of the section of a page with most: whichever sections a reader chooses have no more.
        beside: Sum of the shares of findings whose interval does not hold the truth.
        found: How many planted effects are found.
        planted: How many there are.
    """

    pages: int = 0
    with_finding: int = 0
    false: float = 0.0
    of_sections: float = 0.0
    worst: float = 0.0
    beside: float = 0.0
    found: int = 0
    planted: int = 0

    def add(self, page: Sequence[Asked]) -> None:
        """Add a page."""
        picked = [one for one in page if one.finding]
        by_section: dict[str, list[bool]] = {}
        for one in picked:
            by_section.setdefault(one.section, []).append(not one.is_true)
        shares = [sum(some) / len(some) for some in by_section.values()]
        self.pages += 1
        self.found += sum(one.is_true for one in picked)
        self.planted += sum(one.is_true for one in page)
        if picked:
            self.with_finding += 1
            self.false += sum(not one.is_true for one in picked) / len(picked)
            self.of_sections += sum(shares) / len(shares)
            self.worst += max(shares)
            self.beside += sum(not one.covers for one in picked) / len(picked)

    def shares(self) -> dict[str, float | None]:
        """Return all of it as shares."""
        sums = {
            "with a finding": float(self.with_finding),
            "false": self.false,
            "of sections": self.of_sections,
            "of the worst": self.worst,
            "intervals beside": self.beside,
        }
        found = self.found / self.planted if self.planted else None
        return {name: value / self.pages for name, value in sums.items()} | {"found": found}


#: How much of what is planted is to be found.
POWER: Final = 0.4

#: Effects as large as they may be without being any: half a point, to either side.
_LEAST: Final = findings.LEAST_EFFECT
_EITHER_WAY: Final = {
    "read": {"english": -_LEAST},
    "english": {"female": -_LEAST, "male": _LEAST, "both": -_LEAST, "neutral": _LEAST},
    **{
        domain: {name: (-1) ** place * _LEAST for place, name in enumerate(SHOWN[domain])}
        for domain in ("placed", units.DATED)
    },
}
_WOMEN: Final = {"female": -0.05, "male": 0.03}
_ONE_YEAR: Final = {year: -0.036 if year == YEARS[0] else 0.004 for year in YEARS}

PAGES: Final[Mapping[str, Page]] = {
    "nothing": Page(300),
    "nothing beyond the least effect": Page(300, _EITHER_WAY, domains=(), filtered=0.0),
    "three sections": Page(600, {"english": _WOMEN, units.DATED: _ONE_YEAR}, smaller=0.25),
    "five sections": Page(600, {"english": _WOMEN, units.DATED: _ONE_YEAR}, smaller=0.25, odds=ODDS),
}


def said(name: str, seeds: int) -> Said:
    """Return what so many pages of a kind say."""
    found = Said()
    number = [*PAGES].index(name)
    for seed in range(seeds):
        found.add(PAGES[name].draw(np.random.default_rng([7000 + number, seed])))
    return found
