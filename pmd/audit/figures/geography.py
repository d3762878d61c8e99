"""Where photographs were taken, beside who lives there: by photograph and by user, against people, internet users and incomes.

Counts are of this table and exact. Ratios are a country's share of the placed photographs ÷ its share of the world's people, or
of its internet users: 1 where both are alike. Countries of which these are not known are in neither. Populations come from a
package (`pmd.audit.places.population`), income classes and internet users from a file that the user names
(`pmd.config.reference`).

A photographed country is not a home: who travels is counted where they went.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pmd.audit.counting import traits, unit_sums
from pmd.audit.counting.measure import CLASSES, SourcePartial, recorded
from pmd.audit.figures import steps
from pmd.audit.figures.steps import Source
from pmd.audit.places import places, territories
from pmd.audit.places.population import Beside
from pmd.audit.statistics import clusters, estimates, groups, suppression
from pmd.audit.statistics.clusters import Counts
from pmd.audit.statistics.estimates import Estimate, Part
from pmd.audit.statistics.figures import Draw, coverage, figure
from pmd.audit.texts.lexicon import Absent
from pmd.config import reference

#: What to download, by name, where there is no table of countries.
DOWNLOAD: Final = (
    "World Bank, “World Bank country classifications by income level”, historical table (OGHIST)",
    "World Bank, World Development Indicators: “Individuals using the Internet (% of population)”, IT.NET.USER.ZS, by the "
    "International Telecommunication Union",
)
_HIGH: Final = reference.CLASSES[0]
#: A figure of too few to be shown.
_HIDDEN: Final = {"value": None, "interval": None, "enough": False, "exact": True, "known": None, "bounds": None}


def mentioned(content: Mapping[str, Any]) -> set[str]:
    """Return the codes of the countries that the section names."""
    rows = [row for by_stage in content["sources"].values() for told in by_stage.values() for row in told["countries"]]
    suffixes = [
        row for by_stage in content["suffixes"].values() for told in by_stage.values() for row in told["shares"]
    ]
    claims = {code for one in content["disputed"] for code in (one["counted_as"], *one["claimed_by"])}
    return {row["country"] for row in rows} | {row["value"] for row in suffixes} | claims


def geography(
    sources: Mapping[str, SourcePartial],
    counted: unit_sums.Counted,
    ran: Sequence[str],
    beside: Beside,
    told: Mapping[str, Source],
) -> dict[str, Any]:
    """Return the section of audit.json.

    Args:
        sources: What was counted of each source's pairs.
        counted: What is known of users.
        ran: The steps that have been taken, in order (`steps.of`): what opt-outs and blocks removed is told from what was dead.
        beside: What is compared with.
        told: The pairs of each source, told apart: what is hidden there is hidden here.
    """
    population = beside.population
    return {
        "method": "geography",
        "year": beside.year,
        "population": {"absent": population.reason, "remedy": population.remedy}
        if isinstance(population, Absent)
        else {"year": population.year, "world": population.world},
        "reference": {"absent": "no table of countries was named", "download": DOWNLOAD}
        if beside.rows is None
        else {"rows": len(beside.rows), "classes": len(beside.incomes)},
        "disputed": [dataclasses.asdict(one) for one in territories.DISPUTED],
        "sources": {
            source: _by_stage(_Placed(source, partial, counted), ran, beside, told[source])
            for source, partial in sorted(sources.items())
            if recorded(source).geotag is not None
        },
        "years": {
            source: {"date": recorded(source).dated, **_values(partial, "year", ran, told[source])}
            for source, partial in sorted(sources.items())
            if recorded(source).dated is not None
        },
        "suffixes": {
            source: _values(partial, "suffix", ran, told[source]) for source, partial in sorted(sources.items())
        },
        "sold_abroad": sorted(traits.SOLD_ABROAD),
    }


def after(counts: Counts, stage: str) -> int:
    """Return how many pairs stand after a stage, of those of each class."""
    return int(counts[CLASSES.index(stage) :].sum())


@dataclasses.dataclass(frozen=True)
class _Placed:
    """Photographs of a source that lie in a country, and its users."""

    source: str
    partial: SourcePartial
    counted: unit_sums.Counted

    def pairs(self, stage: str) -> dict[str, int]:
        """Return country → photographs after a stage."""
        rows = self.partial.countries.items()
        return {code: number for code, row in rows if code != places.NOWHERE and (number := after(row, stage))}

    def users(self, stage: str) -> dict[str, int]:
        """Return country → users most of whose placed photographs are in it."""
        found = self.counted.groups_of(self.source, "user", groups.COUNTRY)
        return {code: int(row[CLASSES.index(stage)]) for code, (_, row) in found.items() if row[CLASSES.index(stage)]}

    def all_users(self, stage: str) -> int:
        return int(self.counted.sizes_of(self.source, "user", CLASSES.index(stage))[1].sum())


def _by_stage(placed: _Placed, ran: Sequence[str], beside: Beside, told: Source) -> dict[str, Any]:
    years = {int(year): after(counts, ran[0]) for year, counts in placed.partial.traits.get("year", {}).items()}
    online = beside.online(years)
    users = [placed.users(stage) for stage in ran]
    asked, whole = steps.order(ran), [sum(table.values()) for table in users]
    shown_users = suppression.told(users, whole, asked, hold=False)
    classes = beside.incomes
    incomes = [{name: round(number) for name, number in _by_class(table, classes).items() if number} for table in users]
    known = [sum(table.values()) for table in incomes]
    shown_incomes = suppression.classes_told(
        suppression.told(incomes, known, asked, hold=False), shown_users, classes.get, whole, asked, known=known
    )
    added_up = ["pairs"] if "income" in told.added_up else []
    if steps.hides_high(incomes, shown_incomes):
        shown_incomes = steps.in_order(suppression.added_up(shown_users, classes.get))
        added_up.append("users")
    found = {}
    for stage, some, of_users in zip(ran, shown_users, shown_incomes, strict=True):
        found[stage] = _stage(placed, stage, beside, online, (told, some))
        if classes:
            of_classes = _Classes(told.of_step("income", stage), of_users, added_up)
            found[stage] |= _incomes(placed, stage, beside, online, of_classes)
    return found


@dataclasses.dataclass(frozen=True)
class _Classes:
    """What is told of income classes after a step.

    Attributes:
        pairs: Class → photographs.
        users: Class → users most of whose placed photographs are there.
        added_up: "pairs" and "users": of which of the two these are the told countries' alone, added up.
    """

    pairs: Mapping[str, int]
    users: Mapping[str, int]
    added_up: Sequence[str]


def _stage(
    placed: _Placed,
    stage: str,
    beside: Beside,
    online: Mapping[str, float],
    shown: tuple[Source, Mapping[str, int]],
) -> dict[str, Any]:
    of_users = placed.users(stage)
    total, users = sum(placed.pairs(stage).values()), sum(of_users.values())
    pairs, same = shown[0].of_step("country", stage), shown[0].as_before("country", stage)
    compared = [
        (name, held, sum(held.values()), _known_of(held, pairs, total))
        for name, held in (("people", beside.people), ("internet_users", online))
    ]
    rows = []
    for code in sorted(pairs, key=lambda code: (-pairs[code], code)):
        row: dict[str, Any] = {"country": code, "pairs": pairs[code], "share": pairs[code] / total}
        if code in same:
            row["as_before"] = True
        if code in shown[1]:
            row |= {"users": of_users[code], "user_share": of_users[code] / users}
        for name, held, world, known in compared:
            if held.get(code):
                row[f"per_million_{name}"] = pairs[code] / held[code] * 1e6
                row[f"to_{name}"] = pairs[code] / known / (held[code] / world)
        rows.append(row)
    whole = after(placed.partial.pairs, stage)
    return {
        "coverage": coverage(total, whole, "pairs", "has no geotag, or one in no single country"),
        "users": coverage(users, placed.all_users(stage), "users", "has no photograph with a country"),
        "countries": rows,
        "other": {
            "pairs": total - sum(row["pairs"] for row in rows),
            "users": users - sum(row.get("users", 0) for row in rows),
        },
    }


def _known_of(held: Mapping[str, float], pairs: Mapping[str, int], total: int) -> int:
    """Return the photographs without those of countries of which nothing is known to compare with.

    Those of countries that are not told count as known: what they are would follow else.
    """
    return total - sum(number for code, number in pairs.items() if not held.get(code))


def _incomes(
    placed: _Placed, stage: str, beside: Beside, online: Mapping[str, float], told: _Classes
) -> dict[str, Any]:
    """Return photographs, users, people and internet users by income class, and the share of high income."""
    pairs, users = (
        numbers if kind in told.added_up else _by_class(counts, beside.incomes)
        for kind, numbers, counts in (
            ("pairs", told.pairs, placed.pairs(stage)),
            ("users", told.users, placed.users(stage)),
        )
    )
    by_class = {
        "pairs": (pairs, told.pairs),
        "users": (users, told.users),
        "people": (_by_class(beside.people, beside.incomes), reference.CLASSES),
        "internet_users": (_by_class(online, beside.incomes), reference.CLASSES),
    }
    whole, all_users = after(placed.partial.pairs, stage), placed.all_users(stage)
    draw = _draw(placed, stage)
    if "pairs" in told.added_up and told.pairs:
        draw = estimates.about(draw, pairs.get(_HIGH, 0) / sum(pairs.values()))
    return {
        "incomes": [
            {"class": name} | {kind: _of_class(held, name, some) for kind, (held, some) in by_class.items()}
            for name in reference.CLASSES
        ],
        "added_up": told.added_up,
        "high_income": {
            "photographs": _high(pairs, whole, draw) if _HIGH in told.pairs else _HIDDEN,
            "users": _high(users, all_users, _draw_of_users(users)) if _HIGH in told.users else _HIDDEN,
        },
    }


def _of_class(held: Mapping[str, float], name: str, shown: Collection[str]) -> dict[str, Any]:
    whole = sum(held.values())
    if name not in shown or not whole:
        return {"number": None, "share": None}
    return {"number": round(held[name]), "share": held[name] / whole}


def _by_class(counts: Mapping[str, float], classes: Mapping[str, str]) -> dict[str, float]:
    found = dict.fromkeys(reference.CLASSES, 0.0)
    for code, number in counts.items():
        if code in classes:
            found[classes[code]] += number
    return found


def _high(by_class: Mapping[str, float], whole: int, draw: Estimate) -> dict[str, Any]:
    """Return the share of high income among what has a class, and between which shares of all it must lie.

    The bounds are the worst cases: nothing without a class is of high income, or all of it is.
    """
    known, high = sum(by_class.values()), by_class[_HIGH]
    table = Estimate(high / known, exact=True, enough=known >= estimates.MIN_EFFECTIVE) if known else estimates.NOTHING
    return figure(table, [Draw("user", draw)]) | {
        "known": round(known),
        "bounds": [high / whole, (high + whole - known) / whole] if whole else None,
    }


def _draw(placed: _Placed, stage: str) -> Estimate:
    sums = placed.counted.sums_of(placed.source, "user", CLASSES.index(stage), "income")
    return estimates.share_of_draw([Part(sums, 1.0)], _HIGH)


def _draw_of_users(by_class: Mapping[str, float]) -> Estimate:
    """Return the share of another draw of users, each of whom counts once."""
    sums = clusters.alike(round(sum(by_class.values())), {_HIGH: round(by_class[_HIGH])})
    return estimates.share_of_draw([Part(sums, 1.0)], _HIGH)


def _values(partial: SourcePartial, kind: str, ran: Sequence[str], told: Source) -> dict[str, Any]:
    """Return how many pairs have each value after each stage; few are summed up."""
    counts = partial.traits.get(kind, {})
    found = {}
    for stage in ran:
        some, same = told.of_step(kind, stage), told.as_before(kind, stage)
        total = sum(after(row, stage) for row in counts.values())
        found[stage] = {
            "coverage": coverage(total, after(partial.pairs, stage), "pairs", "has none"),
            "shares": [
                {"value": value, "pairs": some[value], "share": some[value] / total}
                | ({"as_before": True} if value in same else {})
                for value in sorted(some)
            ],
            "other": total - sum(some.values()),
        }
    return found
