"""Small cells: rows of a table that are summed up as "other", so that no table, and no two of them, tells of a few pairs.

A row of fewer than `LEAST` pairs is not shown. Nor is one that changed by fewer from a stage to a later one, since the difference
would be such a cell; and as a total is known, neither is the next smallest row where all that is summed up were a single row or
fewer pairs than that.

A large row would be lost that way for a handful of pairs. So one of `HELD` or more that changed by fewer than `LEAST` since it
was shown is shown as it was (`told`): it says that it hardly changed, and is off by 5 % at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

#: Pairs from which a cell is shown.
LEAST: Final = 10
#: Pairs from which a row that hardly changed is shown as it was: `LEAST` is 5 % of it.
HELD: Final = 20 * LEAST


def told(tables: Sequence[Mapping[str, int]], totals: Sequence[int]) -> list[dict[str, int]]:
    """Return what is shown of each table: row → pairs; a large row that hardly changed since it was shown is as it was.

    Args:
        tables: Of each stage, in order, row → pairs; a row that is lacking has none, or is among the rest.
        totals: The pairs of all rows of each, shown or not.
    """
    return _told(tables, totals, holds=True)


def shown(tables: Sequence[Mapping[str, int]], totals: Sequence[int]) -> list[set[str]]:
    """Return which rows of each table are shown where each has its own pairs; arguments as of `told`."""
    return [set(table) for table in _told(tables, totals, holds=False)]


def _told(tables: Sequence[Mapping[str, int]], totals: Sequence[int], *, holds: bool) -> list[dict[str, int]]:
    found: list[dict[str, int]] = []
    last: dict[str, int] = {}
    last_rest: int | None = None
    for table, total in zip(tables, totals, strict=True):
        now = {name: _as_it_was(last.get(name, 0), pairs) if holds else pairs for name, pairs in table.items()}
        some = {
            name
            for name, pairs in now.items()
            if pairs >= LEAST and (name not in last or not 0 < abs(last[name] - pairs) < LEAST)
        }
        ranked = sorted(some, key=lambda name: (now[name], name))
        while ranked and not _safe(table, {name: now[name] for name in some}, total, last_rest):
            some.discard(ranked.pop(0))
        found.append({name: now[name] for name in now if name in some})
        last |= found[-1]
        last_rest = total - sum(found[-1].values())
    return found


def _as_it_was(before: int, now: int) -> int:
    return before if before >= HELD and abs(before - now) < LEAST else now


def _safe(table: Mapping[str, int], some: Mapping[str, int], total: int, last_rest: int | None) -> bool:
    """Return whether what is summed up tells of no single row and of no few pairs, by itself or beside the table before.

    Rows that are as they were are off by a few, which only what is summed up hides.
    """
    rest = total - sum(some.values())
    hidden = [pairs for name, pairs in table.items() if name not in some]
    if rest == 0:
        return not hidden and all(table[name] == pairs for name, pairs in some.items())
    if rest < LEAST or (len(hidden) == 1 and rest == hidden[0]):
        return False
    return last_rest is None or not 0 < abs(last_rest - rest) < LEAST
