"""A chart of ratios: dots beside a line at 1, on a scale where half and double are as far from it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from pmd.audit import charts
from pmd.escape import html as escape

_LEFT: Final = 300.0
_RIGHT: Final = charts.WIDTH - 150.0
_ROW: Final = 22
#: Ratios further out are drawn at the edge.
_WIDEST: Final = 16.0


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A row: a label, ratios by style, and a figure at the right; without ratios it is a heading."""

    label: str
    marks: Sequence[tuple[float, str, str]] = ()  # value, style, title
    note: str = ""


def chart(rows: Sequence[Ratio], title: str) -> str:
    """Return rows of dots over a logarithmic axis, the same distance to both sides of 1."""
    values = [value for row in rows for value, _, _ in row.marks if value > 0]
    reach = min(max((max(value, 1 / value) for value in values), default=1.0), _WIDEST)
    top = next(step for step in (1.25, 1.5, 2.0, 4.0, 8.0, _WIDEST) if step >= reach * 0.999)
    height = 30 + _ROW * len(rows)

    def x(value: float) -> float:
        part = math.log(min(max(value, 1 / top), top)) / math.log(top)
        return (_LEFT + _RIGHT) / 2 + part * (_RIGHT - _LEFT) / 2

    parts = []
    for tick in (1 / top, 1 / math.sqrt(top), 1.0, math.sqrt(top), top):
        style = "reference" if tick == 1 else "grid"
        parts.append(
            f'<path class="{style}" d="M{x(tick):.1f} 20V{height - 4}"/>{_text(x(tick), 10, _said(tick), "tick middle")}'
        )
    for number, row in enumerate(rows):
        y = 30 + _ROW * number + _ROW / 2
        parts.append(_text(_LEFT - 16, y, row.label, "label end") if row.marks else _text(0, y, row.label, "value"))
        parts.append(_text(charts.WIDTH, y, row.note, "value end"))
        for value, kind, said in row.marks:
            parts.append(
                f'<g class="point"><title>{escape(said)}</title><circle cx="{x(value) if value > 0 else x(1 / top):.1f}" '
                f'cy="{y:.1f}" r="4.2" class="mark {kind}"/></g>'
            )
    return charts.svg("".join(parts), charts.WIDTH, height, title)


def _said(ratio: float) -> str:
    return f"{ratio:.2f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, content: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(content)}</text>'
