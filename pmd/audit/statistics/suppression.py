"""Small cells: rows of a table that are summed up as "other", so that no table, and no two of them, tells of a few pairs.

A row of fewer than `LEAST` pairs is not told. Nor is one that changed by fewer between two stages: the difference would be
such a cell. A total is known, and so what is summed up must not give a row away either. Where that is a single row, or fewer
pairs than `LEAST`, or has changed by fewer, the next smallest row is summed up with it. Stages are asked in an order: what the
first of them tell may keep the others from telling theirs.

For a country of millions that is no help to anybody. So a row of `HELD` or more that changed by fewer than `LEAST` is given as it
was. That says that it hardly changed, and is off by 5 % at most. What it is off by hides in what is summed up, so there must be
something summed up.

A class of rows may have hardly a pair beside the rows that are told: it is not told then. What the told rows make up together
(`added_up`) is no secret, and takes its place where the class is what is asked for.

A row may be divided in two: texts of a value with a term, and those without. Both are rows of tables then (`divided`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

#: Pairs from which a cell is shown.
LEAST: Final = 10
#: What rows are called that are summed up since they are few, in tables that have no place for "other".
NOT_SHOWN: Final = "not shown"
#: Pairs from which a row that hardly changed is given as it was: `LEAST` is 5 % of it.
HELD: Final = 20 * LEAST


def order(stages: int) -> list[int]:
    """Return the first stage, the last, and those between: what is left matters more than how it came to be."""
    return [*dict.fromkeys((0, stages - 1, *range(stages)))] if stages else []


def shown(
    tables: Sequence[Mapping[str, int]],
    totals: Sequence[int] | None,
    asked: Sequence[int] | None = None,
    *,
    only: Sequence[Collection[str]] | None = None,
) -> list[set[str]]:
    """Return which rows of each table are shown, where none is given as it was: see `told`."""
    return [set(found) for found in told(tables, totals, asked, hold=False, only=only)]


def divided(
    wholes: Sequence[Mapping[str, int]],
    parts: Sequence[Mapping[str, int]],
    totals: Sequence[tuple[int, int]],
    may: Sequence[Collection[str]],
    asked: Sequence[int] | None = None,
) -> list[set[str]]:
    """Return the rows of which it is told how many of their pairs have something: neither these are few nor those without it.

    Args:
        wholes: Of each stage, row → pairs.
        parts: Row → those of these pairs that have it.
        totals: All pairs of each stage, in rows or not, and those that have it.
        may: The rows of which it may be told.
        asked: The order in which stages are asked; by default their own.
    """
    having = [{name: pairs for name, pairs in table.items() if pairs} for table in parts]
    lacking = [
        {name: left for name, pairs in whole.items() if (left := pairs - part.get(name, 0))}
        for whole, part in zip(wholes, parts, strict=True)
    ]
    sides = (having, [some for _, some in totals]), (lacking, [whole - some for whole, some in totals])
    found = [{*whole} & {*some} for whole, some in zip(wholes, may, strict=True)]
    while True:
        # What the one side hides may be what the other side needs for its own: until both agree.
        now = found
        for tables, of_all in sides:
            some = shown(tables, of_all, asked, only=now)
            now = [
                {name for name in rows if name in told_of or name not in table}
                for rows, told_of, table in zip(now, some, tables, strict=True)
            ]
        if now == found:
            return found
        found = now


def told(
    tables: Sequence[Mapping[str, int]],
    totals: Sequence[int] | None,
    asked: Sequence[int] | None = None,
    *,
    hold: bool = True,
    only: Sequence[Collection[str]] | None = None,
) -> list[dict[str, int]]:
    """Return what is told of each table: row → pairs.

    Args:
        tables: Of each stage, in order, row → pairs; a row that is lacking has none, or is among the rest.
        totals: The pairs of all rows of each, shown or not; None where rows overlap, so that nothing follows from a total.
        asked: The order in which stages are asked; by default their own.
        hold: Whether large rows that hardly changed are given as they were.
        only: The rows of each that may be told; by default all.
    """
    found: list[dict[str, int]] = [{} for _ in tables]
    done: list[int] = []
    for place in range(len(tables)) if asked is None else asked:
        table = tables[place]
        some: dict[str, int] = {}
        for name, pairs in table.items():
            if only is not None and name not in only[place]:
                continue
            now = _as_told(pairs, [found[other][name] for other in done if name in found[other]], hold=hold)
            if now is not None and now >= LEAST:
                some[name] = now
        if totals is not None:
            others = [(found[other], totals[other]) for other in done]
            known = [_Known(other, tables[other], found[other], totals[other]) for other in done]
            for name in sorted(some, key=lambda name: (some[name], name)):
                stages = [*known, _Known(place, table, some, totals[place])]
                if _safe(table, some, totals[place], others, hold=hold) and not any(
                    _is_few_beside(stage, stages) for stage in stages
                ):
                    break
                del some[name]
        found[place] = some
        done.append(place)
    return found


def hardly_changed(one: Mapping[str, int], other: Mapping[str, int]) -> set[str]:
    """Return the large rows that two stages tell alike: that they changed by fewer than `LEAST` is all that is said of them."""
    return {name for name, pairs in one.items() if pairs >= HELD and other.get(name) == pairs}


def as_they_were(told_of: Sequence[Mapping[str, int]], asked: Sequence[int] | None = None) -> list[set[str]]:
    """Return of each stage the large rows that are given as after one that was asked before it: that one's number is exact."""
    places = [*(range(len(told_of)) if asked is None else asked)]
    found: list[set[str]] = [set() for _ in told_of]
    for number, place in enumerate(places):
        found[place].update(*(hardly_changed(told_of[place], told_of[other]) for other in places[:number]))
    return found


def classes_told(
    classes: Sequence[Mapping[str, int]],
    rows: Sequence[Mapping[str, int]],
    class_of: Callable[[str], str | None],
    totals: Sequence[int],
    asked: Sequence[int] | None = None,
    *,
    known: Sequence[int] | None = None,
) -> list[dict[str, int]]:
    """Return what is told of classes of rows beside what is told of the rows: what both leave over must be no small cell.

    Args:
        classes: What is told of the classes of each stage by themselves: class → pairs.
        rows: What is told of the rows of each stage.
        class_of: The class of a row; None where it has none.
        totals: The pairs of all rows of each stage, told or not.
        asked: The order in which stages are asked; by default their own.
        known: The pairs of all rows that have a class, where that is told with any class.
    """
    found: list[dict[str, int]] = [{} for _ in classes]
    done: list[int] = []
    for place in range(len(classes)) if asked is None else asked:
        some = dict(classes[place])
        others = [
            (_numbers(found[other], totals[other], None if known is None else known[other]), rows[other], totals[other])
            for other in done
        ]
        # What stages that are asked later tell of rows is settled already, and cannot give way to what is told of classes here.
        later = [rows[other] for other in range(len(classes)) if other != place and other not in done]
        for name in sorted(some, key=lambda name: (some[name], name)):
            numbers = _numbers(some, totals[place], None if known is None else known[place])
            one = numbers, rows[place], totals[place]
            if (
                _clear(one, others, class_of)
                and not any(_follows(one, ({}, table, 0), class_of) for table in later)
                and not any(
                    _is_rest(one, table, total, class_of) for table, total in zip(rows, totals, strict=True) if table
                )
            ):
                break
            del some[name]
        found[place] = some
        done.append(place)
    return found


def added_up(rows: Sequence[Mapping[str, int]], class_of: Callable[[str], str | None]) -> list[dict[str, int]]:
    """Return classes by those rows alone that are told after the first stage and after the last: they say no more than these.

    Stages between them that do not tell all these rows tell no class.
    """
    both = sorted({*rows[0]} & {*rows[-1]}) if rows else []
    found: list[dict[str, int]] = []
    for table in rows:
        sums: dict[str, int] = {}
        for row in both if table.keys() >= {*both} else ():
            if (name := class_of(row)) is not None:
                sums[name] = sums.get(name, 0) + table[row]
        found.append(sums)
    return found


def _numbers(told_of: Mapping[str, int], total: int, known: int | None) -> dict[str | None, int]:
    """Return the pairs of classes, and of those without a class where that follows."""
    none: dict[str | None, int] = {} if known is None or not told_of else {None: total - known}
    none.update(told_of)
    return none


_Classes = tuple[Mapping[str | None, int], Mapping[str, int], int]


def _clear(one: _Classes, others: Sequence[_Classes], class_of: Callable[[str], str | None]) -> bool:
    """Return whether nothing small is left over of classes and rows of a stage, by itself or beside another stage."""
    numbers, rows, _ = one
    if any(left < LEAST and left != 0 for left in _left_over(one, [*numbers], [*rows], class_of)):
        return False
    for other in others:
        if _follows(one, other, class_of) or _follows(other, one, class_of):
            return False
        both = [name for name in numbers if name in other[0]]
        same = hardly_changed(rows, other[1])
        some = [name for name in rows if name in other[1] and name not in same]
        lefts = (_left_over(table, both, some, class_of) for table in (one, other))
        if both and any(_is_small(now, then) for now, then in zip(*lefts, strict=True)):
            return False
    return True


def _follows(one: _Classes, other: _Classes, class_of: Callable[[str], str | None]) -> bool:
    """Return whether what is left of a class is but a few more or fewer than the rows that the other stage tells of it."""
    for name, left in zip(one[0], _left_over(one, [*one[0]], [*one[1]], class_of), strict=False):
        there = [pairs for row, pairs in other[1].items() if class_of(row) == name and row not in one[1]]
        if there and _is_small(left, sum(there)):
            return True
    return False


def _is_rest(one: _Classes, table: Mapping[str, int], total: int, class_of: Callable[[str], str | None]) -> bool:
    """Return whether all rows that a stage sums up are but a few more or fewer than another tells of them, by class or by row."""
    numbers, rows, _ = one
    beside, used = 0, set()
    for name, pairs in numbers.items():
        mine = [row for row in table if class_of(row) == name]
        if all(row in rows for row in mine):
            beside += pairs - sum(rows[row] for row in mine)
            used.add(name)
    beside += sum(pairs for row, pairs in rows.items() if row not in table and class_of(row) not in used)
    return bool(used) and beside > 0 and _is_small(total - sum(table.values()), beside)


def _left_over(
    table: _Classes, names: Sequence[str | None], some: Sequence[str], class_of: Callable[[str], str | None]
) -> list[int]:
    """Return what some classes have beside some rows, and what all others have beside the rest of these rows."""
    numbers, rows, total = table
    left = {name: numbers[name] for name in names}
    rest = total - sum(left.values())
    for row in some:
        if class_of(row) in left:
            left[class_of(row)] -= rows[row]
        else:
            rest -= rows[row]
    return [*left.values(), rest]


def _as_told(pairs: int, known: Sequence[int], *, hold: bool) -> int | None:
    """Return what is told of a row beside what other stages tell of it; None for nothing."""
    near = [other for other in known if abs(other - pairs) < LEAST]
    if not near or pairs in near:
        return pairs
    nearest = min(near, key=lambda other: abs(other - pairs))
    return nearest if hold and nearest >= HELD else None


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is known of a stage: which it is, its rows, those that are told, and the pairs of all."""

    place: int
    table: Mapping[str, int]
    told: Mapping[str, int]
    total: int


def _is_few_beside(stage: _Known, stages: Sequence[_Known]) -> bool:
    """Return whether a stage sums up but a few more than later stages tell of these rows, or a few fewer than earlier ones."""
    rest = stage.total - sum(stage.told.values())
    later: dict[str, int] = {}
    earlier: dict[str, int] = {}
    for other in stages:
        for name in other.told.keys() - stage.told.keys():
            if other.place > stage.place:
                later[name] = max(other.told[name], later.get(name, 0))
            else:
                earlier[name] = min(other.told[name], earlier.get(name, other.told[name]))
    hidden = {name for name, pairs in stage.table.items() if pairs and name not in stage.told}
    if later and _is_small(rest, sum(later.values())):
        return True
    return bool(hidden) and hidden <= earlier.keys() and _is_small(rest, sum(earlier[name] for name in hidden))


def _is_small(one: int, other: int) -> bool:
    """Return whether the difference of two cells is a small one."""
    return 0 < abs(one - other) < LEAST


def _safe(
    table: Mapping[str, int],
    some: Mapping[str, int],
    total: int,
    others: Sequence[tuple[Mapping[str, int], int]],
    *,
    hold: bool,
) -> bool:
    """Return whether what is summed up tells of no single row and of no few pairs, by itself or beside the other tables."""
    rest = total - sum(some.values())
    truly = total - sum(table[name] for name in some)
    hidden = [pairs for name, pairs in table.items() if name not in some]
    if truly == 0 and rest != 0:
        return False
    if truly and (rest < LEAST or truly < LEAST or (len(hidden) == 1 and truly == hidden[0])):
        return False
    for other, whole in others:
        same = hardly_changed(some, other) if hold else set()
        both = [name for name in some if name in other and name not in same]
        left, left_there = total - sum(some[name] for name in both), whole - sum(other[name] for name in both)
        if (both and _is_small(left, left_there)) or _is_small(rest, whole - sum(other.values())):
            return False
    return True
