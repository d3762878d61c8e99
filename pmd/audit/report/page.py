"""What the report's sections share: coverage lines, tables, keys of charts, the two stages that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit.report import charts, formatting
from pmd.audit.report.style import ROW_COLOURS
from pmd.audit.statistics.suppression import LEAST
from pmd.escape import html as escape

#: Rows of a table that stands on one sheet of paper, where that is printed.
SHORT: Final = 14
#: Stands before a figure that is given as after another step, since it hardly changed (`suppression.HELD`); and what it says.
HELD: Final = "≈"
_HELD: Final = f"{HELD}: as after another step, from which it differs by fewer than {LEAST}"


def coverage(result: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    """Return a section's coverage and method."""
    covered = section["coverage"]
    if not covered["eligible"]:
        nothing = f"there are no {covered['of']} here"
        return (
            f'<p class="coverage"><b>Coverage</b> {escape(nothing)}. {escape(result["methods"][section["method"]])}</p>'
        )
    measured, eligible = formatting.count(covered["measured"]), formatting.count(covered["eligible"])
    rest = f"; the rest {covered['rest']}" if "rest" in covered and covered["measured"] < covered["eligible"] else ""
    whole = f"; the sample stands for {formatting.counted(covered['pairs'], 'pair')}" if "pairs" in covered else ""
    return (
        f'<p class="coverage"><b>Coverage</b> {measured} of {eligible} {escape(covered["of"])} '
        f"({escape(formatting.percent(covered['share']))}){escape(rest)}{escape(whole)}. "
        f"{escape(result['methods'][section['method']])}</p>"
    )


def table(
    head: Sequence[str],
    rows: Sequence[str],
    *,
    label: str,
    stacked: bool = False,
    shown: bool = False,
) -> str:
    """Return a table; heads are texts, rows HTML. A head that begins with "<" stands over words, at the left.

    Where scripts run, a click on a head sorts by it, and the table can be taken along as CSV; it is whole without.

    Args:
        head: One a column.
        rows: One a row.
        label: What the table shows, for those who hear the page, or find a table by its name.
        stacked: Intervals stand under their figures.
        shown: Whether the label stands above the table, too, since no heading says the same.
    """
    cells = "".join(_head(name) for name in head)
    kind = ' class="stacked"' if stacked else ""
    short = " short" if len(rows) <= SHORT else ""
    said = f"<caption>{escape(label)}</caption>" if shown else ""
    named = "" if shown else f' aria-label="{escape(label)}"'
    held = f'<p class="soft">{_HELD}.</p>' if any(HELD in row for row in rows) else ""
    return (
        f'<div class="table{short}" tabindex="0" role="group" aria-label="{escape(label)}"><table{kind}{named}>{said}'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{held}"
    )


def held(row: Mapping[str, Any], said: str) -> str:
    """Return what is said of a row, marked where it is given as it was."""
    return (HELD if row.get("as_before") else "") + said


def _head(name: str) -> str:
    if not name.removeprefix("<"):
        return "<td></td>"  # what has no name is no head
    if name.startswith("<"):
        return f'<th scope="col" class="words">{escape(name[1:])}</th>'
    return f'<th scope="col">{escape(name)}</th>'


def behind(head: Sequence[str], rows: Sequence[str], caption: str) -> str:
    """Return the table behind a picture, folded; nothing where all of its rows are too small to be told."""
    if not rows:
        return ""
    return f"<details><summary>The table behind it</summary>{table(head, rows, label=caption, shown=True)}</details>"


class Words(str):
    """A cell that stands at the left."""

    __slots__ = ()


class Lines(str):
    """A cell that stands at the left, in several lines where there is little room."""

    __slots__ = ()


def row(*cells: str, total: bool = False) -> str:
    """Return a row of a table: texts, the first of them its name; those that are no `Words` or `Lines` stand at the right."""
    name, *others = cells
    found = "".join(_cell(cell) for cell in others)
    kind = ' class="total"' if total else ""
    return f'<tr{kind}><th scope="row">{escape(name)}</th>{found}</tr>'


def _cell(cell: str) -> str:
    kind = "wide" if isinstance(cell, Lines) else "words" if isinstance(cell, Words) else None
    return f"<td>{escape(cell)}</td>" if kind is None else f'<td class="{kind}">{escape(cell)}</td>'


def chart(drawing: str, *keys: str) -> str:
    """Return a chart in its frame, under the keys of its colours."""
    if HELD in drawing:
        keys = (*keys, f'<span class="key">{_HELD}</span>')
    caption = f"<figcaption>{''.join(keys)}</figcaption>" if keys else ""
    return f"<figure>{caption}{drawing}</figure>"


def bars(result: Mapping[str, Any], rows: Sequence[charts.Bar], title: str) -> str:
    """Return bars after the first and the last stage, in their frame; nothing where there are none."""
    return chart(charts.bar_list(rows, styles(result), title), *before_after(result)) if rows else ""


def key(style: str, text: str) -> str:
    """Return one key of a chart: a patch of a style, and what it stands for."""
    return f'<span class="key"><i class="{style}"></i>{escape(text)}</span>'


def ends(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return the first and the last stage that have run."""
    return result["stages"][0], result["stages"][-1]


def before_after(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of bars."""
    first, last = ends(result)
    if first == last:
        return (key("after", f"after {last}"),)
    return key("before", f"after {first}"), key("after", f"after {last}")


def styles(result: Mapping[str, Any]) -> list[str]:
    """Return the styles of bars, one a stage that is shown."""
    return ["after"] if len(result["stages"]) == 1 else ["before", "after"]


def two_stages(first: str, last: str) -> tuple[tuple[str, str], ...]:
    """Return the stages that charts compare, each with its style: one where but one has run."""
    return ((last, "after"),) if first == last else ((first, "before"), (last, "after"))


def two_columns(result: Mapping[str, Any], *figures: str) -> list[str]:
    """Return the heads of some figures after the first and the last stage."""
    return [f"{figure} after {stage}" for stage, _ in two_stages(*ends(result)) for figure in figures]


def shares_of_two(
    result: Mapping[str, Any], section: str, listed: tuple[str, str, str], names: Mapping[str, str]
) -> list[str]:
    """Return the rows of a section's list after the first and the last stage, those of the last first; of all sources.

    Args:
        result: The content of audit.json.
        section: The section.
        listed: The list's name, and those of its labels and counts.
        names: Label → what it is called, where it is a code.
    """
    where, label, count = listed
    stages = [stage for stage, _ in two_stages(*ends(result))]
    tables = [{one[label]: one for one in result["all"][stage][section].get(where, [])} for stage in stages]
    rows = []
    for code in dict.fromkeys(code for table in reversed(tables) for code in table):
        some = [table.get(code, {}) for table in tables]
        cells = [
            text
            for one in some
            for text in (
                held(one, formatting.count(one.get(count))),
                formatting.percent(one.get("share")),
            )
        ]
        rows.append(row(f"{names[code]} ({code})" if code in names else code, *cells))
    return rows


def dot_keys(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of dots."""
    first, last = ends(result)
    if first == last:
        return (key("filled", f"after {last}"),)
    return key("hollow", f"after {first}"), key("filled", f"after {last}")


def sources_in_order(result: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Return each source with its Table 2 row and the number of its colour, in the order of Table 2."""
    ordered = []
    for number, row in enumerate(result["table2"]):
        ordered += [(source, row["row"], min(number, len(ROW_COLOURS) - 2)) for source in row["sources_here"]]
    known = {source for source, _, _ in ordered}
    return ordered + [(source, "", len(ROW_COLOURS) - 1) for source in result["sources"] if source not in known]
