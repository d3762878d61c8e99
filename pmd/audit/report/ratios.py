"""Charts of ratios: dots beside a line at 1, on a scale where half and double are as far from it.

What is longer than a sheet of paper is drawn as several charts over the same axis, each of whole groups: a printed page has each
of them in one piece.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from pmd.audit.report import charts
from pmd.escape import html as escape

#: Ratios further out are drawn at the edge.
_WIDEST: Final = 16.0
#: Rows of one chart, headings among them, that fit on a sheet under the section's heading.
MOST_ROWS: Final = 30
#: Where the line of a row is, from the top.
_MIDDLE: Final = 13


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A row: a label, ratios by style, and a figure at the right; without ratios it is a heading.

    A row that is `faint` rests on too few to be read as a figure, and stretches no axis.
    """

    label: str
    marks: Sequence[tuple[float, str, str]] = ()  # value, style, title
    note: str = ""
    interval: tuple[float, float] | None = None  # of the last mark
    faint: bool = False


def charts_of(rows: Sequence[Ratio], title: str) -> list[str]:
    """Return rows of dots over a logarithmic axis, the same distance to both sides of 1: one chart or several."""
    top = _top(rows)
    return [_chart(some, title, top) for some in _sheets(rows)]


def _top(rows: Sequence[Ratio]) -> float:
    """Return where the axis ends: at the furthest ratio that can be read as a figure, where there is one."""
    sound = [row for row in rows if not row.faint and row.marks]
    values = [value for row in sound or rows for value, _, _ in row.marks if value > 0]
    reach = min(max((max(value, 1 / value) for value in values), default=1.0), _WIDEST)
    return next(step for step in (1.25, 1.5, 2.0, 4.0, 8.0, _WIDEST) if step >= reach * 0.999)


def _sheets(rows: Sequence[Ratio]) -> list[list[Ratio]]:
    """Return rows in parts that fit on a sheet each, cut before headings; a group that is longer alone is a part."""
    groups: list[list[Ratio]] = []
    for row in rows:
        if not row.marks or not groups:
            groups.append([])
        groups[-1].append(row)
    sheets: list[list[Ratio]] = []
    for group in groups:
        if sheets and len(sheets[-1]) + len(group) <= MOST_ROWS:
            sheets[-1] += group
        else:
            sheets.append(group)
    return sheets


def _chart(rows: Sequence[Ratio], title: str, top: float) -> str:
    stops = (1 / top, 1 / math.sqrt(top), 1.0, math.sqrt(top), top)
    lines = "".join(
        f'<line class="{"reference" if stop == 1 else "grid"}" x1="{_across(stop, top)}" x2="{_across(stop, top)}" y1="0" '
        'y2="100%"/>'
        for stop in stops
    )
    drawn = []
    for row in rows:
        if not row.marks:
            drawn.append(f'<li class="row heading">{escape(row.label)}</li>')
            continue
        said = "; ".join(said for *_, said in row.marks)
        drawn.append(charts.drawn_row(row.label, lines + _marks(row, top), row.note, said))
    axis = charts.ticks((_across(stop, top), _shortest(stop), bool(place % 2)) for place, stop in enumerate(stops))
    return charts.plot(drawn, title, axis)


def _marks(row: Ratio, top: float) -> str:
    parts = []
    if row.interval is not None:
        low, high = (_across(end, top) for end in row.interval)
        style = row.marks[-1][1]
        parts.append(f'<line class="interval {style}" x1="{low}" x2="{high}" y1="{_MIDDLE}" y2="{_MIDDLE}"/>')
    for value, style, _ in row.marks:
        parts.append(f'<circle class="mark {style}" cx="{_across(value, top)}" cy="{_MIDDLE}" r="4.2"/>')
    values = [value for value, *_ in row.marks]
    if max(values) > top * 1.001:
        parts.append(charts.BEYOND)
    if min(values) < 0.999 / top:
        parts.append(charts.BELOW)
    return f'<g class="faint">{"".join(parts)}</g>' if row.faint else "".join(parts)


def _across(value: float, top: float) -> str:
    """Return where a ratio stands, as a part of the width."""
    part = math.log(min(max(value, 1 / top), top)) / math.log(top) if value > 0 else -1.0
    return f"{50 + 50 * part:.2f}%"


def _shortest(ratio: float) -> str:
    return f"{ratio:.2f}".rstrip("0").rstrip(".")
