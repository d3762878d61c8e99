"""A chart of ratios: dots beside a line at 1, on a scale where half and double are as far from it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from pmd.audit import charts
from pmd.escape import html as escape

#: Ratios further out are drawn at the edge.
_WIDEST: Final = 16.0
#: Where the line of a row is, from the top.
_MIDDLE: Final = 13


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A row: a label, ratios by style, and a figure at the right; without ratios it is a heading."""

    label: str
    marks: Sequence[tuple[float, str, str]] = ()  # value, style, title
    note: str = ""
    interval: tuple[float, float] | None = None  # of the last mark


def chart(rows: Sequence[Ratio], title: str) -> str:
    """Return rows of dots over a logarithmic axis, the same distance to both sides of 1."""
    values = [value for row in rows for value, _, _ in row.marks if value > 0]
    reach = min(max((max(value, 1 / value) for value in values), default=1.0), _WIDEST)
    top = next(step for step in (1.25, 1.5, 2.0, 4.0, 8.0, _WIDEST) if step >= reach * 0.999)
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
        line = ""
        if row.interval is not None:
            low, high = (_across(end, top) for end in row.interval)
            style = row.marks[-1][1]
            line = f'<line class="interval {style}" x1="{low}" x2="{high}" y1="{_MIDDLE}" y2="{_MIDDLE}"/>'
        dots = line + "".join(
            f'<circle class="mark {style}" cx="{_across(value, top)}" cy="{_MIDDLE}" r="4.2"/>'
            for value, style, _ in row.marks
        )
        drawn.append(charts.drawn_row(row.label, lines + dots, row.note, "; ".join(said for *_, said in row.marks)))
    axis = charts.ticks((_across(stop, top), _said(stop), bool(place % 2)) for place, stop in enumerate(stops))
    return charts.plot(drawn, title, axis)


def _across(value: float, top: float) -> str:
    """Return where a ratio stands, as a part of the width."""
    part = math.log(min(max(value, 1 / top), top)) / math.log(top) if value > 0 else -1.0
    return f"{50 + 50 * part:.2f}%"


def _said(ratio: float) -> str:
    return f"{ratio:.2f}".rstrip("0").rstrip(".")
