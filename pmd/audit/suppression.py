"""Small cells: rows of a table that are summed up as "other", so that no table, and no two of them, tells of a few pairs.

A row of fewer than `LEAST` pairs is not shown. Nor is one that changed by fewer from a stage to a later one, since the difference
would be such a cell; and as a total is known, neither is the next smallest row where all that is summed up were a single row or
fewer pairs than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

#: Pairs from which a cell is shown.
LEAST: Final = 10


def shown(tables: Sequence[Mapping[str, int]], totals: Sequence[int]) -> list[set[str]]:
    """Return which rows of each table are shown.

    Args:
        tables: Of each stage, in order, row → pairs; a row that is lacking has none, or is among the rest.
        totals: The pairs of all rows of each, shown or not.
    """
    found: list[set[str]] = []
    last: dict[str, int] = {}
    last_rest: int | None = None
    for table, total in zip(tables, totals, strict=True):
        some = {
            name
            for name, pairs in table.items()
            if pairs >= LEAST and (name not in last or not 0 < abs(last[name] - pairs) < LEAST)
        }
        ranked = sorted(some, key=lambda name: (table[name], name))
        while ranked and not _safe(table, some, total, last_rest):
            some.discard(ranked.pop(0))
        found.append(some)
        last |= {name: table[name] for name in some}
        last_rest = total - sum(table[name] for name in some)
    return found


def _safe(table: Mapping[str, int], some: set[str], total: int, last_rest: int | None) -> bool:
    """Return whether what is summed up tells of no single row and of no few pairs, by itself or beside the table before."""
    rest = total - sum(table[name] for name in some)
    hidden = len(table) - len(some)
    if rest == 0:
        return True
    single = hidden == 1 and rest == sum(pairs for name, pairs in table.items() if name not in some)
    if rest < LEAST or single:
        return False
    return last_rest is None or not 0 < abs(last_rest - rest) < LEAST
