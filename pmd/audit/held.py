"""Large rows that hardly changed, in tables that `pmd.audit.suppression` cuts: they are given as they were.

A row that changed by fewer than `suppression.LEAST` pairs since it was shown must not be shown: the difference would be a small
cell. For a country of millions that is no help to anybody. So a row of `HELD` or more is given as it was, which says that it
hardly changed, and is off by 5 % at most. What it is off by hides in what is summed up, so that something must be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pmd.audit.suppression import LEAST

#: Pairs from which a row that hardly changed is given as it was: `LEAST` is 5 % of it.
HELD: Final = 20 * LEAST


def told(tables: Sequence[Mapping[str, int]], totals: Sequence[int]) -> list[dict[str, int]]:
    """Return what is shown of each table: row → pairs.

    Args:
        tables: Of each stage, in order, row → pairs; a row that is lacking has none, or is among the rest.
        totals: The pairs of all rows of each, shown or not.
    """
    found: list[dict[str, int]] = []
    last: dict[str, int] = {}
    rests: list[int] = []
    for table, total in zip(tables, totals, strict=True):
        now = {name: _as_it_was(last.get(name, 0), pairs) for name, pairs in table.items()}
        some = {
            name
            for name, pairs in now.items()
            if pairs >= LEAST and (name not in last or not 0 < abs(last[name] - pairs) < LEAST)
        }
        ranked = sorted(some, key=lambda name: (now[name], name))
        while ranked and not _safe(table, {name: now[name] for name in some}, total, rests):
            some.discard(ranked.pop(0))
        found.append({name: now[name] for name in now if name in some})
        last |= found[-1]
        rests.append(total - sum(found[-1].values()))
    return found


def _as_it_was(before: int, now: int) -> int:
    return before if before >= HELD and abs(before - now) < LEAST else now


def _safe(table: Mapping[str, int], some: Mapping[str, int], total: int, rests: Sequence[int]) -> bool:
    """Return whether what is summed up tells of no single row and of no few pairs, by itself or beside the tables before."""
    rest = total - sum(some.values())
    hidden = [pairs for name, pairs in table.items() if name not in some]
    if rest == 0:
        return not hidden and all(table[name] == pairs for name, pairs in some.items())
    if rest < LEAST or (len(hidden) == 1 and rest == hidden[0]):
        return False
    return not any(0 < abs(other - rest) < LEAST for other in rests)
