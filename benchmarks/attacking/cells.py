"""What follows from all that is told: cells are unknown whole numbers, what is told of them are bounds of their sums.

Of a cell its least and its greatest possible value are asked for, by linear programs. The attacker is a strong one: it knows
which rows there are, and which of them are the largest. A fact that the truth does not satisfy is a mistake, of the audit or of
its reader.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Final

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

#: Cells, each with how often it is in a sum.
Parts = Mapping[Hashable, float]
#: How near numbers of six digits are.
_NEAR: Final = 1e-6


def added(some: Iterable[Parts]) -> dict[Hashable, float]:
    """Return the sum of sums."""
    found: dict[Hashable, float] = {}
    for parts in some:
        for cell, times in parts.items():
            found[cell] = found.get(cell, 0.0) + times
    return found


def less(one: Parts, other: Parts) -> dict[Hashable, float]:
    """Return the difference of two sums."""
    return added([one, {cell: -times for cell, times in other.items()}])


@dataclasses.dataclass(frozen=True)
class Fact:
    """A sum lies between two numbers."""

    parts: Parts
    low: float
    high: float


class Cells:
    """Unknown whole numbers, none of them negative, and what is told of their sums."""

    def __init__(self, truth: Mapping[Hashable, int]) -> None:
        self.truth = truth
        self._places = {cell: place for place, cell in enumerate(truth)}
        self._facts: list[Fact] = []
        self._public = 0
        self._made: dict[int, LinearConstraint] = {}

    def know(self, what: str, parts: Parts, low: float, high: float | None = None) -> None:
        """Take in that a sum lies between two numbers, or is the one.

        Raises:
            AssertionError: It does not.
        """
        high = low if high is None else high
        true = self.true(parts)
        slack = _NEAR * max(abs(true), 1.0)
        assert low - slack <= true <= high + slack, f"{what}: {true} is told to be {low} to {high}"
        self._facts.append(Fact({cell: times for cell, times in parts.items() if times}, low - slack, high + slack))

    def known_to_all(self) -> None:
        """Say that all facts so far are no secret."""
        self._public = len(self._facts)

    def true(self, parts: Parts) -> float:
        """Return what a sum is."""
        return math.fsum(times * self.truth[cell] for cell, times in parts.items())

    def ends(self, parts: Parts, *, public: bool = False) -> tuple[int, int]:
        """Return the least and the greatest that a sum may be, by all facts or by those that are no secret."""
        facts = self._facts[: self._public] if public else self._facts
        rough = self._solved(parts, facts, whole=False)
        if rough[1] - rough[0] > 2 * 10:
            return rough
        return self._solved(parts, facts, whole=True)

    def _solved(self, parts: Parts, facts: list[Fact], *, whole: bool) -> tuple[int, int]:
        aim = np.zeros(len(self._places))
        for cell, times in parts.items():
            aim[self._places[cell]] += times
        constraints = [self._matrix(len(facts))] if facts else []
        kind = np.full(len(aim), int(whole))
        found = []
        for sign in (1, -1):
            solved = milp(sign * aim, constraints=constraints, integrality=kind, bounds=Bounds(0, 10**7))
            assert solved.success, solved.message
            found.append(sign * solved.fun)
        return math.ceil(found[0] - 1e-4), math.floor(found[1] + 1e-4)

    def _matrix(self, number: int) -> LinearConstraint:
        """Return the first so many facts."""
        if number not in self._made:
            facts = self._facts[:number]
            rows = np.repeat(np.arange(number), [len(fact.parts) for fact in facts])
            columns = [self._places[cell] for fact in facts for cell in fact.parts]
            values = [times for fact in facts for times in fact.parts.values()]
            matrix = sparse.csr_array((values, (rows, columns)), shape=(number, len(self._places)))
            self._made[number] = LinearConstraint(matrix, [one.low for one in facts], [one.high for one in facts])
        return self._made[number]
