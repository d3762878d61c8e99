"""Which of many differences may be called findings.

Every test of a section asks whether an effect is larger than a stated least effect. Its null hypothesis is |effect| ≤ δ: a
difference too small to matter is no finding, however surely it is known.

Tests of one section share users, hosts and words. So the share of false discoveries is controlled whatever their dependence:
Benjamini and Yekutieli, "The control of the false discovery rate in multiple testing under dependency", Annals of Statistics
29(4), 2001.

So do sections. The page has nine that look for findings, and each is held to a ninth of what the page may have (Bonferroni's
rule; Dunn, "Multiple comparisons among means", Journal of the American Statistical Association 56(293), 1961). Among all findings
of the page, or of any sections that a reader picks, the share that is false is no larger than that of the worst section, which is
no more than those of all sections added up. Where there is no effect at all, every finding is false, so no more than that part
of pages have one.

What was chosen looks larger than it is. So the intervals of R findings among m tests have the level 1 − R q ÷ (m Σ 1/i):
Benjamini and Yekutieli, "False discovery rate-adjusted multiple confidence intervals for selected parameters", Journal of the
American Statistical Association 100(469), 2005.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from pmd.audit.statistics import estimates
from pmd.audit.statistics.losses import Test

#: The share of false discoveries that is allowed on average, among all findings of a page and among those of any of its sections.
FALSE_DISCOVERIES: Final = 0.05
#: Sections of a page that look for findings: those of losses (`figures.uneven.TESTED`), terms that stand with gendered ones, and
#: words beside terms of identity.
SECTIONS: Final = 9
#: How findings are told among the tests of a section, as a table names it.
RULE: Final = "Benjamini and Yekutieli 2001"
#: The least effect that is a finding, and the least change of an exact figure that is pointed at: half a percentage point.
LEAST_EFFECT: Final = 0.005

#: A p-value that is found by halving is told down to this, and so near.
_LEAST_P: Final = 1e-12
_NEAR: Final = 1.001


@dataclasses.dataclass(frozen=True)
class Judged:
    """A test among the tests of its family.

    Attributes:
        p: The chance of so large an effect or a larger, were the true one no more than δ; None where the test was refused.
        interval: Of 95 %, or where it is a finding of the level that corrects for its being chosen; None where it was refused.
        level: That level.
        finding: Whether it is one.
        among: How many tests there are that could be answered; None where this one was refused.
        held_to: The share of false discoveries that these are held to; likewise.
    """

    p: float | None
    interval: tuple[float, float] | None
    level: float | None
    finding: bool
    among: int | None = None
    held_to: float | None = None


def p_value(effect: float, error: float, degrees: float, least: float = LEAST_EFFECT) -> float:
    """Return the chance of an effect as large as this one or larger, to either side, were the true one just `least`."""
    if error <= 0:
        return 0.0 if abs(effect) > least else 1.0
    near, far = (abs(effect) - least) / error, (abs(effect) + least) / error
    return min(1.0, float(estimates.special().stdtr(degrees, -near) + estimates.special().stdtr(degrees, -far)))


def allowed(families: int) -> float:
    """Return the share of false discoveries that one of a section's families of tests is held to; all have equal parts.

    Args:
        families: How many the section has: one, or as many as there are sources.
    """
    return FALSE_DISCOVERIES / (SECTIONS * families)


def chosen(p_values: Sequence[float], held_to: float) -> list[bool]:
    """Return which tests are findings, by Benjamini and Yekutieli's rule."""
    number = len(p_values)
    order = sorted(range(number), key=lambda place: p_values[place])
    harmonic = _harmonic(number)
    last = 0
    for rank, place in enumerate(order, start=1):
        if p_values[place] <= held_to * rank / (number * harmonic):
            last = rank
    found = set(order[:last])
    return [place in found for place in range(number)]


def judge(tests: Sequence[Test], *, least: float = LEAST_EFFECT, families: int = 1) -> list[Judged]:
    """Return the tests of one family, each with its p-value and whether it is a finding; in their order.

    Args:
        tests: All of the family.
        least: The largest effect that is none.
        families: How many their section has.
    """
    held = [_p_of(test, least) for test in tests]
    places = [place for place, p in enumerate(held) if p is not None]
    number, held_to = len(places), allowed(families)
    picked = chosen([p for p in held if p is not None], held_to)
    findings = {place for place, one in zip(places, picked, strict=True) if one}
    corrected = 1 - len(findings) * held_to / (number * _harmonic(number)) if places else estimates.LEVEL
    judged = []
    for place, (test, p) in enumerate(zip(tests, held, strict=True)):
        if p is None:
            judged.append(Judged(None, None, None, finding=False))
            continue
        level = corrected if place in findings else estimates.LEVEL
        judged.append(Judged(p, test.interval(level), level, place in findings, number, held_to))
    return judged


def _p_of(test: Test, least: float) -> float | None:
    """Return a test's p-value; of two means that which their interval has just without an effect of `least`."""
    if test.effect is None or test.error is None or test.degrees is None:
        return None
    if test.means is None:
        return p_value(test.effect, test.error, test.degrees, least)
    if abs(test.effect) <= least:
        return 1.0
    low, high = _LEAST_P, 1.0
    while high > _LEAST_P * _NEAR and high / low > _NEAR:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _holds(test, 1 - middle, least) else (low, middle)
    return high


def _holds(test: Test, level: float, least: float) -> bool:
    """Return whether the interval of a level has an effect of `least` or less."""
    interval = test.interval(level)
    return interval is not None and interval[0] <= least and interval[1] >= -least


def _harmonic(number: int) -> float:
    return math.fsum(1 / rank for rank in range(1, number + 1))
