"""What each step did to whom: the share that a step kept of some pairs, beside the share that it kept of all.

An inclusion ratio is (pairs with a property after ÷ before) ÷ (all pairs of the source after ÷ before): 1 where a step treats
them as it treats all, .8 where a fifth fewer are left than of all. Of this table it is a fact, and has no interval but where
texts were sampled. That a step struck unevenly *because* of a property is another claim, which is tested (`statistics.losses`),
clustered by users and hosts, and is told as a finding or not at all.

Steps are the stages, with what opt-outs and blocks removed told from what was dead (`measure.ASKED`). What the first of them
removed, a source's own filter, has no text, place or user here: it is told by source and by reason.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from pmd import flow
from pmd.audit.counting import traits, unit_sums, units
from pmd.audit.counting.measure import ASKED, CATEGORIES, CLASSES, SourcePartial
from pmd.audit.places import places
from pmd.audit.statistics import estimates, groups, suppression
from pmd.audit.statistics.clusters import Counts
from pmd.audit.statistics.estimates import Read
from pmd.audit.statistics.findings import LEAST_EFFECT
from pmd.config.reference import CLASSES as CLASSES_OF_INCOME
from pmd.store import commits
from pmd.text import language

#: Step → what it takes away, in the page's words.
REMOVES: Final[Mapping[str, str]] = {
    flow.CURATE.name: "the sources' own filters and repeated rows",
    flow.IMAGES.name: "takedowns, licences, scores and copies of evaluation images",
    ASKED: "opt-outs (robots.txt, TDMRep and answers' headers), and what may not be asked for or kept",
    flow.FETCH.name: "dead links, refusals and files that are no pictures",
    flow.DEDUPE.name: "placeholders, evaluation images and repeated captions",
    flow.SHARD.name: "cropping, and pictures that are too small",
}

#: What pairs are told apart by, and how it is called.
BY: Final[Mapping[str, str]] = {
    "country": "country of the geotag",
    "income": "income class of that country",
    "gender": "gendered terms of English captions",
    "language": "language",
    "user_size": "pairs of the user at first",
    "host_size": "pairs of the host at first",
    "host": "host",
    "year": "year of the photograph, or of the post",
}
#: Those of the texts that were read, of which there may be a sample.
_OF_TEXTS: Final = frozenset({"gender", "language"})
#: Those whose values have an order of their own.
_IN_ORDER: Final = frozenset({"income", "gender", "user_size", "host_size"})
_GENDER: Final = ("female", "male", "both", "neither", "neutral")

#: Languages whose numbers follow from figures that are always given: the others are told apart among themselves.
ALWAYS_TOLD: Final = frozenset({"en", language.UNDETERMINED})
#: Those whose values overlap, or are known each: nothing more follows from their total.
_OVERLAPPING: Final = frozenset({"gender", "known language"})
#: Those whose large values are given as they were where they hardly changed.
_HELD: Final = frozenset({"country", "language", "host", "year", "suffix"})

#: Values that are listed of each, those with most pairs at first.
LISTED: Final = 12


def of(ran: Sequence[str]) -> list[str]:
    """Return the steps that have been taken: of `CLASSES`, in order."""
    return [step for step in CLASSES if (step in ran or (step == ASKED and flow.FETCH.name in ran))]


@dataclasses.dataclass(frozen=True)
class Source:
    """The pairs of one source, told apart.

    Attributes:
        taken: The steps, of `CLASSES`.
        whole: Pairs after each step.
        values: By what → for each step, value → pairs, of the values that are told, here and wherever else the same pairs are
            told apart.
        totals: By what → the pairs of all values after each step, told or not.
        factor: 1 − f, where f is the part of the texts that were read.
        incomes: Country → income class.
        added_up: By what values are those of the countries alone that are told at first and at last: more could not be told.
    """

    taken: Sequence[str]
    whole: Sequence[int]
    values: Mapping[str, Sequence[Mapping[str, int]]]
    totals: Mapping[str, Sequence[int]]
    factor: float
    incomes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    added_up: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        source: str,
        partial: SourcePartial,
        counted: unit_sums.Counted,
        ran: Sequence[str],
        incomes: Mapping[str, str],
    ) -> Source:
        """Return the pairs of a source, told apart by what is counted of them."""
        taken = of(ran)
        places_of = [CLASSES.index(step) for step in taken]
        whole = [int(number) for number in _after(partial.pairs)[places_of]]
        tables = {
            by: [{value: int(after[place]) for value, after in table.items() if after[place]} for place in places_of]
            for by, table in _values(source, partial, counted, incomes)
            if table
        }
        hosts = [int(sizes @ number) for sizes, number in (counted.sizes_of(source, "host", at) for at in places_of)]
        totals = {by: hosts if by == "host" else [sum(at.values()) for at in table] for by, table in tables.items()}
        values = _told(tables, totals, order(taken), incomes)
        added_up = frozenset({"income"} if hides_high(tables.get("income", ()), values.get("income", ())) else ())
        if added_up:
            values["income"] = in_order(suppression.added_up(values["country"], incomes.get))
        if "known language" in values:
            known = values.pop("known language")
            values["language"] = [
                dict(both) | one for both, one in zip(values.get("language", [{} for _ in taken]), known, strict=True)
            ]
        read = int(partial.sample.sum())
        factor = max(1 - read / whole[0], 0.0) if whole[0] else 0.0
        return cls(taken, whole, values, totals, factor, incomes, added_up)

    def of_step(self, by: str, step: str) -> Mapping[str, int]:
        """Return the values that are told after a step, each with its pairs."""
        return self.values[by][self.taken.index(step)] if by in self.values else {}

    def as_before(self, by: str, step: str) -> dict[str, str]:
        """Return the values whose pairs are given as after another step that has more or fewer pairs, and which that is.

        That one was asked before, so that its number is exact: what is left in the end is, but for what hardly changed since the
        first step.
        """
        if by in self.added_up:
            rows = self.values["country"]
            some = rows[0].keys() & rows[-1].keys() & self.incomes.keys()
            return {
                self.incomes[code]: other for code, other in self.as_before("country", step).items() if code in some
            }
        found: dict[str, str] = {}
        at, asked = self.taken.index(step), order(self.taken)
        for place in asked[: asked.index(at)] if by in _HELD and by in self.totals else ():
            if self.totals[by][place] != self.totals[by][at]:
                other = self.taken[place]
                for value in suppression.hardly_changed(self.of_step(by, step), self.of_step(by, other)):
                    found.setdefault(value, other)
        return found

    def changed(self, by: str, step: str) -> set[str]:
        """Return the values of which it is told exactly how many pairs a step took."""
        if by in self.added_up:
            return set()
        steps_of = (self.taken[self.taken.index(step) - 1], step)
        before, now = ({*self.of_step(by, one)} - {*self.as_before(by, one)} for one in steps_of)
        return before & now

    def told(self) -> dict[str, Any]:
        """Return all pairs after each step, and by what they are told apart those with each value."""
        tables = {by: self._table(by) for by in BY if by in self.values}
        told = {"pairs": self.whole, "kept": _kept(self.whole), "by": tables}
        fetched = flow.FETCH.name in self.taken
        return told | {"link_rot": _lost(tables, self.whole, self.taken)} if fetched else told

    def _table(self, by: str) -> dict[str, Any]:
        at = self.values[by]
        factor = self.factor if by in _OF_TEXTS else 0.0
        ranked = sorted(at[0]) if by == "year" else [*at[0]] if by in _IN_ORDER else _largest(at[0])
        same = [self.as_before(by, step) for step in self.taken]
        rows = []
        for value in ranked if by == "year" else ranked[:LISTED]:
            pairs = [row.get(value) for row in at]
            marked = [value in some for some in same]
            rows.append({"value": value, "pairs": pairs, "as_before": marked, **_ratios(pairs, self.whole, factor)})
        return {"exact": factor == 0, "added_up": by in self.added_up, "rows": rows}


def steps(
    sources: Mapping[str, Source], books: Mapping[str, Mapping[str, commits.Books]], ran: Sequence[str]
) -> dict[str, Any]:
    """Return the section of audit.json.

    Args:
        sources: The pairs of each source, told apart.
        books: Stage → source → its books.
        ran: The stages that have run, in order.
    """
    return {
        "method": "steps",
        "steps": [{"step": step, "removes": REMOVES[step]} for step in of(ran)],
        "filter": {
            source: {
                "in": book.total,
                "kept": book.kept,
                "reasons": dict(sorted(book.rejected.items())),
                "kept_share": book.kept / book.total if book.total else None,
            }
            for source, book in sorted(books.get(flow.CURATE.name, {}).items())
        },
        "by": BY,
        "sources": {source: told.told() for source, told in sorted(sources.items())},
    }


def _values(
    source: str, partial: SourcePartial, counted: unit_sums.Counted, incomes: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, Counts]]]:
    """Yield by what pairs are told apart, and value → pairs that stand after each of `CLASSES`."""
    countries = {code: _after(row) for code, row in partial.countries.items() if code != places.NOWHERE}
    yield "country", countries
    yield "income", by_income(countries, incomes)
    yield "gender", _terms(partial)
    languages = {code: _after(row) for code, row in partial.languages.items()}
    yield "language", {code: row for code, row in languages.items() if code not in ALWAYS_TOLD}
    yield "known language", {code: row for code, row in languages.items() if code in ALWAYS_TOLD}
    for kind in units.LOST_BY:
        sizes = counted.groups_of(source, kind, groups.SIZE)
        yield f"{kind}_size", {name: sizes[name][0] for _, name in groups.SIZES if name in sizes}
    yield "host", counted.large_hosts_of(source)
    for kind in ("year", "suffix"):
        yield kind, {value: _after(row) for value, row in partial.traits.get(kind, {}).items()}


def by_income(countries: Mapping[str, Counts], incomes: Mapping[str, str]) -> dict[str, Counts]:
    """Return income class → the counts of its countries, from the highest class."""
    found: dict[str, Counts] = {}
    for name in CLASSES_OF_INCOME:
        some = [counts for code, counts in sorted(countries.items()) if incomes.get(code) == name]
        if some:
            found[name] = np.sum(some, axis=0)
    return found


def hides_high(classes: Sequence[Mapping[str, int]], told: Sequence[Mapping[str, int]]) -> bool:
    """Return whether the highest class of income, of which the card speaks, is not told at first or at last."""
    high = CLASSES_OF_INCOME[0]
    return any(high in classes[at] and high not in told[at] for at in (0, -1)) if classes else False


def in_order(classes: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """Return classes of income in their own order."""
    return [{name: table[name] for name in CLASSES_OF_INCOME if name in table} for table in classes]


def _lost(tables: Mapping[str, Any], overall: Sequence[int], taken: Sequence[str]) -> dict[str, Any]:
    """Return what dead links removed, and of each of `BY` what lost most and least, the furthest apart first."""
    at = taken.index(flow.FETCH.name)
    before, now = overall[at - 1], overall[at]
    extremes = []
    for by, table in tables.items():
        lost = [
            {
                "value": row["value"],
                "pairs": row["pairs"][at - 1],
                "lost": 1 - row["pairs"][at] / row["pairs"][at - 1],
                "hardly": row["as_before"][at] and row["pairs"][at] == row["pairs"][at - 1],
            }
            for row in table["rows"]
            if (row["pairs"][at - 1] or 0) >= estimates.MIN_EFFECTIVE and row["pairs"][at] is not None
        ]
        lost.sort(key=lambda row: (-row["lost"], str(row["value"])))
        if len(lost) > 1 and lost[0]["lost"] - lost[-1]["lost"] >= LEAST_EFFECT:
            extremes.append({"by": by, "exact": table["exact"], "most": lost[0], "least": lost[-1]})
    extremes.sort(key=lambda one: one["least"]["lost"] - one["most"]["lost"])
    return {"before": before, "lost": before - now, "share": 1 - now / before if before else None, "extremes": extremes}


def _after(counts: Counts) -> Counts:
    """Return how many pairs stand after each class, of those whose last it is."""
    return np.cumsum(counts[::-1])[::-1]


def _terms(partial: SourcePartial) -> dict[str, Counts]:
    """Return the English texts that were read with female, male, both, neither and neutral terms, after each class."""
    after = np.cumsum(partial.sample[::-1], axis=0)[::-1]
    found = {}
    for name in _GENDER:
        some = [
            number
            for number, names in enumerate(CATEGORIES)
            if "english" in names
            and (
                {"female", "male"} <= names
                if name == "both"
                else not {"female", "male"} & names
                if name == "neither"
                else name in names
            )
        ]
        found[name] = after[:, some].sum(axis=1)
    return {name: counts for name, counts in found.items() if counts[0]}


def _largest(at: Mapping[str, int]) -> list[str]:
    return sorted(at, key=lambda value: (-at[value], value))


def _told(
    tables: Mapping[str, Sequence[Mapping[str, int]]],
    totals: Mapping[str, Sequence[int]],
    asked: Sequence[int],
    incomes: Mapping[str, str],
) -> dict[str, list[dict[str, int]]]:
    """Return what may be told of each table."""
    values = {
        by: suppression.told(table, None if by in _OVERLAPPING else totals[by], asked, hold=by in _HELD)
        for by, table in tables.items()
    }
    # Together with countries their classes could tell of a single one, and domains of a single host.
    first = tables.get("host", [{}])[0]
    for classes, rows, class_of in (
        ("income", "country", incomes.get),
        ("suffix", "host", _suffix),
        ("host_size", "host", lambda host: groups.name_of(first[host])),
    ):
        if classes in values and rows in values:
            values[classes] = suppression.classes_told(
                values[classes], values[rows], class_of, totals[rows], asked, known=totals[classes]
            )
    return values


def _suffix(host: str) -> str | None:
    return traits.suffix(host) or None


def order(taken: Sequence[str]) -> list[int]:
    """Return the order in which steps are asked what they tell: first of all the ends, then those about the dead links."""
    links = [place for place, step in enumerate(taken) if step in {ASKED, flow.FETCH.name}]
    ends = suppression.order(len(taken))
    return [*dict.fromkeys((*ends[:2], *links, *ends))]


def _kept(pairs: Sequence[int | None]) -> list[float | None]:
    """Return the share that each step kept of what came to it; None for the first, and where it is not to be told."""
    kept: list[float | None] = [None]
    for before, now in itertools.pairwise(pairs):
        kept.append(now / before if before and now is not None else None)
    return kept


def _ratios(pairs: Sequence[int | None], overall: Sequence[int], factor: float) -> dict[str, Any]:
    """Return inclusion ratios: of each step, and of all of them together, with intervals where texts were sampled."""
    ratios: list[float | None] = []
    intervals: list[list[float] | None] = []
    befores = [None, *pairs[:-1]]
    steps = [*zip(befores, pairs, [0, *overall[:-1]], overall, strict=True)][1:]
    for before, now, all_before, all_now in [*steps, (pairs[0], pairs[-1], overall[0], overall[-1])]:
        if not before or now is None or not all_now:
            ratios.append(None)
            intervals.append(None)
            continue
        kept_of_all = all_now / all_before
        ratios.append(now / before / kept_of_all)
        intervals.append(_interval(before, now, kept_of_all, factor))
    return {
        "ratios": [None, *ratios[:-1]],
        "intervals": [None, *intervals[:-1]],
        "ratio": ratios[-1],
        "interval": intervals[-1],
    }


def _interval(before: int, now: int, kept_of_all: float, factor: float) -> list[float] | None:
    if factor == 0:
        return None
    counts = {frozenset({"x", "left"}): now, frozenset({"x"}): before - now}
    share = estimates.share_of_table([Read(counts, 1.0, factor)], "left", "x")
    return None if share.low is None or share.high is None else [share.low / kept_of_all, share.high / kept_of_all]
