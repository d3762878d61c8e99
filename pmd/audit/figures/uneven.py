"""Which tests of losses audit.json has: of each section, source and step, whether what was lost had to do with what it shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pmd.audit.counting import unit_sums, units
from pmd.audit.counting.measure import CLASSES
from pmd.audit.figures import steps
from pmd.audit.statistics import findings, losses, suppression, unit_losses
from pmd.audit.texts import lexicon


@dataclasses.dataclass(frozen=True)
class _Question:
    """What a section of tests asks.

    Attributes:
        domain: Which pairs.
        properties: What of them; empty for the commonest that their table has.
        by: What `steps.Source` calls these properties, where their numbers may be hidden.
        kind: The units whose own property it is: each is one draw then. Else pairs are drawn, by the coarsest clusters.
    """

    domain: str
    properties: tuple[str, ...] = ()
    by: str | None = None
    kind: str | None = None


#: Section → what it asks.
TESTED: Final[Mapping[str, _Question]] = {
    "languages": _Question("read", ("english",)),
    "gendered": _Question("english", ("female", "male", "both", "neutral")),
    "countries": _Question("placed", by="country"),
    "incomes": _Question("income", ("high",), by="income"),
    "years": _Question(units.DATED, by="year"),
    "user_sizes": _Question(units.SIZED, by="user_size", kind="user"),
    "host_sizes": _Question(units.SIZED, by="host_size", kind="host"),
}


#: Decimals of effects, errors and intervals of sizes: a tenth of a point. With all of them, what sizes lost whose numbers are
#: hidden would follow from the effects of the others, where few users have such a size.
_DECIMALS: Final = 3


def tests(
    counted: unit_sums.Counted, told: Mapping[str, steps.Source], ran: Sequence[str], absent: lexicon.Absent | None
) -> list[dict[str, Any]]:
    """Return all tests, findings or not: of each section, source, step and property one.

    The effect is the share after less the share before; of sizes it is what users, or hosts, of a size keep on average, less what
    all others keep. An effect tells how many pairs a step took. Of countries and incomes there is one only where that is told.
    """
    rows = []
    for section, question in TESTED.items():
        if section == "gendered" and absent is not None:
            continue
        asked = [one for one in _tests_of_section(question, counted, told, ran) if one.test.effect is not None]
        judged = findings.judge([one.test for one in asked])
        decimals = _DECIMALS if question.kind else None
        rows += [{"section": section, **one.told(said, decimals)} for one, said in zip(asked, judged, strict=True)]
    return rows


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A test, and of what."""

    source: str
    stage: str
    kind: str
    name: str
    test: losses.Test

    def told(self, judged: findings.Judged, decimals: int | None) -> dict[str, Any]:
        """Return its row, with what was made of it."""
        low, high = judged.interval or (None, None)
        return {
            "source": self.source,
            "stage": self.stage,
            "property": self.name,
            "cluster": self.kind,
            "effect": _rounded(self.test.effect, decimals),
            "error": _rounded(self.test.error, decimals),
            "degrees": _rounded(self.test.degrees, decimals and 0),
            "clusters": self.test.clusters,
            "p": judged.p,
            "low": _rounded(low, decimals),
            "high": _rounded(high, decimals),
            "level": judged.level,
            "finding": judged.finding,
            "rule": None if judged.among is None else findings.RULE,
            "among": judged.among,
            "held_to": judged.held_to,
            "refused": self.test.refused,
        }


def _tests_of_section(
    question: _Question, counted: unit_sums.Counted, told: Mapping[str, steps.Source], ran: Sequence[str]
) -> Iterator[_Asked]:
    """Yield the tests of a section."""
    for source, one in sorted(told.items()):
        coarsest = _lost_by(counted, source)
        kind = question.kind or coarsest
        if question.kind and _number(counted, source, kind) < 2:
            continue
        for stage in steps.of(ran)[1:]:
            table = counted.losses_of(source, kind, CLASSES.index(stage), question.domain)
            names = [*(question.properties or _commonest(table))]
            if question.by is not None:
                names = [name for name in names if name in one.changed(question.by, stage)]
            asks = unit_losses.uneven if question.kind else losses.uneven
            for name in names if table.num_rows else []:
                test = asks(table, name)
                if kind != coarsest:
                    test = losses.refuse(test, f"{coarsest}s are coarser")
                yield _Asked(source, stage, kind, name, test)


def _rounded(value: float | None, decimals: int | None) -> float | None:
    return value if value is None or decimals is None else round(value, decimals)


def _number(counted: unit_sums.Counted, source: str, kind: str) -> int:
    return int(counted.sizes_of(source, kind, 0)[1].sum())


def _lost_by(counted: unit_sums.Counted, source: str) -> str:
    """Return the coarsest of hosts and users that a source has; hosts are none where all pairs lie on one."""
    numbers = {kind: _number(counted, source, kind) for kind in units.LOST_BY}
    some = [kind for kind in units.LOST_BY if numbers[kind] > 1]
    return min(some, key=lambda kind: numbers[kind]) if some else units.LOST_BY[0]


def _commonest(table: Any) -> list[str]:
    """Return the ten commonest properties before a step, of those that are shown at all; none where all pairs have one."""
    had: dict[str, int] = {}
    for name, count in zip(table["property"].to_pylist(), table["had"].to_pylist(), strict=True):
        had[name] = had.get(name, 0) + count
    some = sorted(name for name, count in had.items() if name and count >= suppression.LEAST)
    if len([name for name in had if name]) < 2:
        return []
    return sorted(some, key=lambda name: -had[name])[:10]
