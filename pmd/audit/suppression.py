"""Small cells: rows of a table that are summed up as "other", so that no table, and no two of them, tells of a few pairs.

A row of fewer than `LEAST` pairs is not shown. Nor is one that changed by fewer between two stages, since the difference would be
such a cell; and as a total is known, neither is the next smallest row where all that is summed up were a single row or fewer
pairs than that. Stages are asked in an order: what the first of them show may keep the others from showing theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

#: Pairs from which a cell is shown.
LEAST: Final = 10


def order(stages: int) -> list[int]:
    """Return the first stage, the last, and those between: what is left matters more than how it came to be."""
    return [*dict.fromkeys((0, stages - 1, *range(stages)))] if stages else []


def shown(
    tables: Sequence[Mapping[str, int]], totals: Sequence[int] | None, asked: Sequence[int] | None = None
) -> list[set[str]]:
    """Return which rows of each table are shown.

    Args:
        tables: Of each stage, in order, row → pairs; a row that is lacking has none, or is among the rest.
        totals: The pairs of all rows of each, shown or not; None where rows overlap, so that nothing follows from a total.
        asked: The order in which stages are asked; by default their own.
    """
    found: list[set[str]] = [set() for _ in tables]
    known: dict[str, list[int]] = {}
    rests: list[int] = []
    for place in range(len(tables)) if asked is None else asked:
        table = tables[place]
        some = {
            name
            for name, pairs in table.items()
            if pairs >= LEAST and not any(_is_small(pairs, other) for other in known.get(name, ()))
        }
        if totals is not None:
            ranked = sorted(some, key=lambda name: (table[name], name))
            while ranked and not _safe(table, some, totals[place], rests):
                some.discard(ranked.pop(0))
            rests.append(totals[place] - sum(table[name] for name in some))
        for name in some:
            known.setdefault(name, []).append(table[name])
        found[place] = some
    return found


def _is_small(one: int, other: int) -> bool:
    """Return whether the difference of two cells is a small one."""
    return 0 < abs(one - other) < LEAST


def _safe(table: Mapping[str, int], some: set[str], total: int, rests: Sequence[int]) -> bool:
    """Return whether what is summed up tells of no single row and of no few pairs, by itself or beside the other tables."""
    rest = total - sum(table[name] for name in some)
    hidden = len(table) - len(some)
    if rest == 0:
        return True
    single = hidden == 1 and rest == sum(pairs for name, pairs in table.items() if name not in some)
    if rest < LEAST or single:
        return False
    return not any(_is_small(rest, other) for other in rests)
