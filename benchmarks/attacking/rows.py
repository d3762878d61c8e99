"""What is told of tables whose rows share a source's pairs: countries, hosts, years, languages, licences, and their classes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from benchmarks.attacking.cells import Cells, added, less
from benchmarks.attacking.drawn import INCOMES, STAGES, Audit, Pairs, Texts
from pmd.audit.counting import traits
from pmd.audit.counting.measure import CLASSES
from pmd.audit.statistics import groups
from pmd.audit.statistics.suppression import LEAST

#: Table → where in a population its rows are, what their label is, and what they count.
_LISTS: Final = {
    "country": ("countries", "shares", "country", "pairs"),
    "host": ("hosts", "largest", "host", "pairs"),
    "language": ("languages", "shares", "language", "texts"),
    "licence": ("licences", "shares", "image_licence", "pairs"),
}
_ALWAYS: Final = ("en", "und")

Sum = dict[Hashable, float]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of all sources: (source, row, class) are its cells.

    Attributes:
        name: Of `steps.BY`, or "licence".
        rows: Source → row → pairs by their last class.
        classes: Kind of class → the class of a row of a source; None where it has none.
    """

    name: str
    rows: Mapping[str, Mapping[str, list[int]]]
    classes: Mapping[str, Callable[[str, str], str | None]]

    def after(self, source: str, row: str, stage: str) -> Sum:
        """Return the pairs of a row after a stage."""
        return {(source, row, place): 1.0 for place in range(CLASSES.index(stage), len(CLASSES))}

    def together(self, source: str, rows: list[str], stage: str) -> Sum:
        """Return the pairs of some rows after a stage."""
        return added(self.after(source, row, stage) for row in rows)

    def members(self, source: str, kind: str, name: str) -> list[str]:
        """Return the rows of a class."""
        return [row for row in self.rows[source] if self.classes[kind](source, row) == name]


def tables(audit: Audit) -> Iterator[Table]:
    """Yield all tables."""
    for name in ("country", "host", "language", "licence", "year", "user_size"):
        rows: dict[str, dict[str, list[int]]] = {}
        for source in audit.sources:
            some = audit.pairs.of(source)
            values = _sizes_of(some) if name == "user_size" else some.columns[name]
            found = some.counts(values, some.read if name == "language" else None)
            rows[source] = {row: counts for row, counts in found.items() if row not in _ALWAYS}
        yield Table(name, rows, _classes(name, rows))


def _sizes_of(pairs: Pairs) -> Texts:
    """Return how many pairs the user of each has at first, as a group."""
    _, places, counts = np.unique(pairs.columns["user"], return_inverse=True, return_counts=True)
    return np.array([groups.name_of(count) for count in counts.tolist()], str)[places]


def _classes(name: str, rows: Mapping[str, Mapping[str, list[int]]]) -> dict[str, Callable[[str, str], str | None]]:
    if name == "country":
        return {"income": lambda _, row: INCOMES.get(row)}
    if name == "host":
        return {
            "suffix": lambda _, row: traits.suffix(row) or None,
            "host_size": lambda source, row: groups.name_of(sum(rows[source][row])),
        }
    return {}


def cells(audit: Audit, table: Table) -> Cells:
    """Return the cells of a table with all that is told of them."""
    truth = {
        (source, row, place): number
        for source, rows in table.rows.items()
        for row, counts in rows.items()
        for place, number in enumerate(counts)
    }
    for source, stage in itertools.product(table.rows, STAGES if table.name == "country" else ()):
        at = CLASSES.index(stage)
        truth |= {(source, row, stage): int(any(counts[at:])) for row, counts in table.rows[source].items()}
    found = Cells(truth)
    for source, rows in table.rows.items():
        for stage in CLASSES if rows else ():
            whole = table.together(source, [*rows], stage)
            found.know(f"{table.name} of {source} after {stage}", whole, found.true(whole))
    found.known_to_all()
    for source, rows in table.rows.items():
        if rows:
            _rows(audit, table, source, found)
            _distinct(audit, table, source, found)
            _of_classes(audit, table, source, found)
    if table.name == "host":
        _of_sizes(audit, table, found)
    _of_all(audit, table, found)
    return found


@dataclasses.dataclass(frozen=True)
class Told:
    """A number that is told of a row, and whether it may be off by fewer than `LEAST`."""

    row: str
    stage: str
    number: int
    about: bool

    @property
    def off(self) -> int:
        return LEAST - 1 if self.about else 0


def told(audit: Audit, name: str, source: str) -> Iterator[Told]:
    """Yield all numbers that are told of the rows of a source's table."""
    yield from (one for one in _told_of_steps(audit, name, source) if one.row not in _ALWAYS)
    if name in _LISTS:
        section, key, label, count = _LISTS[name]
        for stage in STAGES:
            for row in audit.content["sources"][source][stage][section].get(key, ()):
                if row[label] not in (*_ALWAYS, "not shown"):
                    yield Told(row[label], stage, row[count], bool(row.get("as_before")))
    if name == "year":
        yield from _told_of_values(audit, "years", source)
    if name == "country":
        for stage, at in audit.content["geography"]["sources"].get(source, {}).items():
            for row in at["countries"]:
                yield Told(row["country"], stage, row["pairs"], bool(row.get("as_before")))


def _told_of_steps(audit: Audit, name: str, source: str) -> Iterator[Told]:
    taken = [one["step"] for one in audit.content["steps"]["steps"]]
    for row in _steps(audit, source, name).get("rows", ()):
        for stage, number, about in zip(taken, row["pairs"], row["as_before"], strict=True):
            if number is not None:
                yield Told(row["value"], stage, number, about)


def _told_of_values(audit: Audit, name: str, source: str) -> Iterator[Told]:
    for stage, at in audit.content["geography"][name].get(source, {}).items():
        for row in at["shares"] if stage != "date" else ():
            yield Told(row["value"], stage, row["pairs"], bool(row.get("as_before")))


def _rows(audit: Audit, table: Table, source: str, found: Cells) -> None:
    for one in told(audit, table.name, source):
        what = f"{table.name} {one.row} of {source} after {one.stage}"
        found.know(what, table.after(source, one.row, one.stage), one.number - one.off, one.number + one.off)


def _distinct(audit: Audit, table: Table, source: str, found: Cells) -> None:
    """Take in how many countries there are after each stage."""
    for stage in STAGES if table.name == "country" else ():
        number = audit.content["sources"][source][stage]["countries"]["distinct"]
        most = len(audit.pairs.last)
        for row in table.rows[source]:
            there, pairs = {(source, row, stage): 1.0}, table.after(source, row, stage)
            found.know("there or not", there, 0, 1)
            found.know("there", less(pairs, there), 0, math.inf)
            found.know("not there", less(pairs, {(source, row, stage): float(most)}), -math.inf, 0)
        found.know(f"distinct after {stage}", {(source, row, stage): 1.0 for row in table.rows[source]}, number)


def _of_classes(audit: Audit, table: Table, source: str, found: Cells) -> None:
    for kind in table.classes:
        for one in _told_of_classes(audit, kind, source):
            what = f"{kind} {one.row} of {source} after {one.stage}"
            some = table.together(source, table.members(source, kind, one.row), one.stage)
            found.know(what, some, one.number - one.off, one.number + one.off)
    for stage, at in audit.content["geography"]["sources"].get(source, {}).items():
        high = at.get("high_income", {}).get("photographs", {})
        if table.name == "country" and high.get("known") is not None and "pairs" not in at["added_up"]:
            some = table.together(source, [row for row in table.rows[source] if row in INCOMES], stage)
            found.know(f"known of {source} after {stage}", some, high["known"])


def _told_of_classes(audit: Audit, kind: str, source: str) -> Iterator[Told]:
    if not _steps(audit, source, kind).get("added_up"):
        yield from _told_of_steps(audit, kind, source)
    if kind == "suffix":
        yield from _told_of_values(audit, "suffixes", source)
    for stage, at in audit.content["geography"]["sources"].get(source, {}).items() if kind == "income" else ():
        for row in at["incomes"] if "pairs" not in at["added_up"] else ():
            if row["pairs"]["number"] is not None:
                yield Told(row["class"], stage, row["pairs"]["number"], about=False)


def _steps(audit: Audit, source: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = audit.content["steps"]["sources"][source]["by"].get(name, {})
    return found


def _of_all(audit: Audit, table: Table, found: Cells) -> None:
    """Take in what is told of all sources: no more pairs than all of them have, but for what hardly changed."""
    if table.name not in _LISTS:
        return
    section, key, label, count = _LISTS[table.name]
    for stage in STAGES:
        for row in audit.content["all"][stage][section].get(key, ()):
            having = [source for source, rows in table.rows.items() if row[label] in rows]
            if having:
                whole = added(table.after(source, row[label], stage) for source in having)
                off = (LEAST - 1) * len(having) if row.get("as_before") else 0
                found.know(f"{row[label]} of all after {stage}", whole, row[count] - off, math.inf)


# Hosts by their sizes.


def _of_sizes(audit: Audit, table: Table, found: Cells) -> None:
    """Take in what follows from the sizes of hosts: the attacker knows which are the largest."""
    for sources in {tuple(audit.sources), *((source,) for source in audit.sources)}:
        population = audit.content["all"] if len(sources) > 1 else audit.content["sources"][sources[0]]
        for stage in STAGES:
            figures = population[stage]["hosts"]
            if "largest" in figures:
                _Sizes.of(audit, table, sources, stage).know(figures, found)


@dataclasses.dataclass(frozen=True)
class _Sizes:
    """Hosts after a stage from the largest on, by what is told of those that are given as they were."""

    stage: str
    sums: list[tuple[Sum, float]]  # cells, and what is known beside them
    sizes: list[float]
    total: int

    @classmethod
    def of(cls, audit: Audit, table: Table, sources: tuple[str, ...], stage: str) -> _Sizes:
        held = {
            (source, one.row): one.number
            for source in sources
            for one in told(audit, "host", source)
            if one.about and one.stage == stage
        }
        at = CLASSES.index(stage)
        total, found = 0, []
        for host in sorted({host for source in sources for host in table.rows[source]}):
            cells, known, true = {}, 0.0, 0
            for source in (source for source in sources if host in table.rows[source]):
                left = sum(table.rows[source][host][at:])
                total, true = total + left, true + (held.get((source, host), left))
                if (source, host) in held:
                    known += held[source, host]
                else:
                    cells |= table.after(source, host, stage)
            if true:
                found.append((true, cells, known))
        found.sort(key=lambda one: -one[0])
        return cls(stage, [(cells, known) for _, cells, known in found], [float(true) for true, *_ in found], total)

    def know(self, figures: Mapping[str, Any], found: Cells) -> None:
        number, near = len(self.sizes), 2 * LEAST / self.total
        rounded = figures.get("other") or any(row.get("as_before") for row in figures["largest"])
        if not rounded:
            return
        weights = {"top_10": [1.0] * min(10, number) + [0.0] * max(number - 10, 0)}
        if figures["top_1_percent"] is not None:
            weights["top_1_percent"] = _largest(number, 0.01)
        for name, some in weights.items():
            self._about(name, some, figures[name], near, found)
        for fraction, share in figures["curve"]:
            self._about(f"curve {fraction}", _largest(number, fraction), share, near, found)
        if number > 1:
            ranks = [(number + 1 - 2 * rank) / number for rank in range(1, number + 1)]
            self._about("gini", ranks, figures["gini"], 2 * near, found)
        self._half(figures["hold_half"], found)

    def _about(self, name: str, weights: list[float], value: float | None, near: float, found: Cells) -> None:
        if value is None or value in {0.0, 1.0}:
            return
        low = 0.0 if value < near * 1.01 else value - near / 2
        high = 1.0 if value > 1 - near * 1.01 else value + near / 2
        self._know(f"{name} after {self.stage}", weights, low * self.total, high * self.total, found)

    def _half(self, number: int, found: Cells) -> None:
        half = math.ceil(self.total / 2)
        rest = len(self.sizes) - number
        self._know("hold half", [1.0] * number + [0.0] * rest, half, math.inf, found)
        self._know("hold less than half", [1.0] * (number - 1) + [0.0] * (rest + 1), 0, half - 1, found)

    def _know(self, what: str, weights: list[float], low: float, high: float, found: Cells) -> None:
        parts: Sum = {}
        known = 0.0
        for weight, (cells, beside) in zip(weights, self.sums, strict=True):
            parts = added([parts, dict.fromkeys(cells, weight)])
            known += weight * beside
        slack = self.total * 1e-5
        if any(parts.values()):
            found.know(what, parts, low - known - slack, high - known + slack)


def _largest(number: int, fraction: float) -> list[float]:
    """Return how much each of so many units counts in the largest fraction of them."""
    take = fraction * number
    return [min(max(take - place, 0.0), 1.0) for place in range(number)]


# What the attacker asks for.


def aims(table: Table) -> Iterator[tuple[str, Sum]]:
    """Yield what is not to follow: rows and classes after each stage, and what they lost between any two."""
    for source, rows in table.rows.items():
        some = {f"{table.name} {row}": [row] for row in rows}
        for kind, class_of in table.classes.items():
            names = {class_of(source, row) for row in rows} - {None}
            some |= {f"{kind} {name}": table.members(source, kind, str(name)) for name in names}
        for what, members in some.items():
            for stage in CLASSES:
                yield f"{source}: {what} after {stage}", table.together(source, members, stage)
            for one, other in itertools.combinations(CLASSES, 2):
                lost = less(table.together(source, members, one), table.together(source, members, other))
                yield f"{source}: {what} lost from {one} to {other}", lost
