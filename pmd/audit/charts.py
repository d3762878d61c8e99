"""The report's charts: inline SVG from numbers, coloured by the page's own style sheet, so in light and dark alike.

Every chart has a title that says what it shows, for readers who cannot see it; every mark has one with its figures.
Texts that come from data are escaped here, by `pmd.escape`, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from pmd.escape import html as escape

WIDTH: Final = 1040
_LABEL_WIDTH: Final = 262
_VALUE_WIDTH: Final = 150
_ROW: Final = 26


@dataclasses.dataclass(frozen=True)
class Mark:
    """One dot of a dot plot.

    Attributes:
        value: Where it stands, in units of the axis.
        low: Lower end of its interval, or None.
        high: Upper end.
        style: CSS class: "before" or "after", with "a" or "b" for the two kinds of thing that are compared.
        title: What it says when pointed at, and to readers who cannot see it.
        faint: Whether too little was measured for it to be read as a figure.
    """

    value: float
    low: float | None
    high: float | None
    style: str
    title: str
    faint: bool = False


@dataclasses.dataclass(frozen=True)
class Dots:
    """A row of a dot plot: a label, marks, and a figure at the right."""

    label: str
    marks: Sequence[Mark]
    note: str = ""
    reference: float | None = None


@dataclasses.dataclass(frozen=True)
class Bar:
    """A row of a bar list: one bar a series, and a figure at the right."""

    label: str
    values: Sequence[float | None]
    note: str
    title: str


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of a stacked bar."""

    value: float
    style: str
    title: str


@dataclasses.dataclass(frozen=True)
class Stack:
    """A stacked bar: what stays, by part, and a figure at the right."""

    label: str
    segments: Sequence[Segment]
    note: str


def svg(content: str, width: float, height: float, title: str) -> str:
    """Return a drawing that scales with the page."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{content}</svg>"
    )


def dot_plot(rows: Sequence[Dots], title: str, *, unit: float = 1.0, suffix: str = "") -> str:
    """Return rows of dots with intervals over one axis that begins at 0.

    Args:
        rows: From top to bottom.
        title: What the chart shows.
        unit: What a value of the data is multiplied with for the axis: 100 for per cent.
        suffix: Follows the axis' numbers.
    """
    ends = [
        end
        for row in rows
        for end in (*(mark.high if mark.high is not None else mark.value for mark in row.marks), row.reference or 0)
    ]
    top, step = _axis(max(ends, default=0) * unit)
    left, right = _LABEL_WIDTH, WIDTH - _VALUE_WIDTH
    height = 26 + _ROW * len(rows) + 8

    def x(value: float) -> float:
        return left + min(value * unit / top, 1.0) * (right - left)

    parts = [_grid((top, step), suffix, (left, right), (22, height - 6))]
    for number, row in enumerate(rows):
        middle = 26 + _ROW * number + _ROW / 2
        parts.append(_row_label(row.label, middle))
        parts.append(_text(WIDTH, middle, row.note, "value end"))
        if row.reference is not None:
            place = x(row.reference)
            parts.append(
                f'<path class="reference" d="M{place:.1f} {middle - 9:.1f}v18"><title>Table 2: '
                f"{row.reference * unit:g}{escape(suffix)}</title></path>"
            )
        offsets = [0.0] if len(row.marks) == 1 else [-4.0 if "before" in mark.style else 4.0 for mark in row.marks]
        for mark, offset in zip(row.marks, offsets, strict=True):
            y, faint = middle + offset, " faint" if mark.faint else ""
            span = (
                f'<path class="interval {mark.style}" d="M{x(mark.low):.1f} {y:.1f}H{x(mark.high):.1f}"/>'
                if mark.low is not None and mark.high is not None
                else ""
            )
            shape = (
                f'<rect class="mark {mark.style}" x="{x(mark.value) - 3.8:.1f}" y="{y - 3.8:.1f}" '
                'width="7.6" height="7.6"/>'
                if mark.style.endswith(" b")
                else f'<circle cx="{x(mark.value):.1f}" cy="{y:.1f}" r="4.2" class="mark {mark.style}"/>'
            )
            parts.append(f'<g class="point{faint}"><title>{escape(mark.title)}</title>{span}{shape}</g>')
    return svg("".join(parts), WIDTH, height, title)


def bar_list(
    rows: Sequence[Bar], styles: Sequence[str], title: str, *, unit: float = 100.0, suffix: str = "\u00a0%"
) -> str:
    """Return rows of horizontal bars, one bar a style, over one axis that begins at 0."""
    largest = max((value for row in rows for value in row.values if value is not None), default=0.0)
    top, step = _axis(largest * unit)
    left, right = _LABEL_WIDTH, WIDTH - _VALUE_WIDTH
    height = 26 + _ROW * len(rows) + 8
    thick = 14 / max(len(styles), 1)
    parts = [_grid((top, step), suffix, (left, right), (22, height - 6))]
    for number, row in enumerate(rows):
        middle = 26 + _ROW * number + _ROW / 2
        parts.append(_row_label(row.label, middle))
        parts.append(_text(WIDTH, middle, row.note, "value end"))
        bars = "".join(
            f'<rect class="bar {style}" x="{left}" y="{middle - 7 + place * thick:.1f}" height="{thick - 1:.1f}" '
            f'width="{max(value * unit / top * (right - left), 0.75 if value else 0):.1f}"/>'
            for place, (style, value) in enumerate(zip(styles, row.values, strict=True))
            if value is not None
        )
        parts.append(f"<g><title>{escape(row.title)}</title>{bars}</g>")
    return svg("".join(parts), WIDTH, height, title)


def columns(
    labels: Sequence[str], series: Sequence[Sequence[float]], styles: Sequence[str], title: str, axis: str
) -> str:
    """Return a histogram: one group of columns a label, one column a style; values are shares of one."""
    top, step = _axis(max((value for values in series for value in values), default=0.0) * 100)
    left, right, low, high = 48.0, float(WIDTH), 206.0, 12.0
    wide = (right - left) / max(len(labels), 1)
    thick = wide * 0.72 / max(len(series), 1)
    parts = []
    for number in range(round(top / step) + 1):
        y = low - number * step / top * (low - high)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{right}"/>')
        parts.append(_text(left - 8, y, f"{number * step:g} %", "tick end"))
    for place, label in enumerate(labels):
        start = left + place * wide + wide * 0.14
        parts.append(_text(start + wide * 0.36, low + 14, label, "tick middle"))
        for number, (values, style) in enumerate(zip(series, styles, strict=True)):
            tall = values[place] * 100 / top * (low - high)
            parts.append(
                f'<rect class="bar {style}" x="{start + number * thick:.1f}" y="{low - tall:.1f}" '
                f'width="{thick - 1:.1f}" height="{tall:.1f}"><title>{escape(label)} {escape(axis)}: '
                f"{values[place] * 100:.2g} %</title></rect>"
            )
    parts.append(_text(right, low + 32, axis, "tick end"))
    return svg("".join(parts), WIDTH, 246, title)


def stacks(rows: Sequence[Stack], title: str) -> str:
    """Return stacked bars, the longest of which fills the width."""
    longest = max((sum(segment.value for segment in row.segments) for row in rows), default=0.0) or 1.0
    left, right, tall = 130.0, float(WIDTH - 190), 34
    parts = []
    for number, row in enumerate(rows):
        y = 6 + tall * number
        parts.append(_text(left - 12, y + 12, row.label, "label end"))
        place = left
        for segment in row.segments:
            wide = segment.value / longest * (right - left)
            if wide > 0:
                parts.append(
                    f'<rect class="segment {segment.style}" x="{place:.2f}" y="{y}" width="{wide:.2f}" height="24">'
                    f"<title>{escape(segment.title)}</title></rect>"
                )
            place += wide
        parts.append(_text(place + 10, y + 12, row.note, "value"))
    return svg("".join(parts), WIDTH, 8 + tall * len(rows), title)


def curve(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], title: str) -> str:
    """Return concentration curves: the largest x of units have y of the pairs; x on a square-root scale.

    Args:
        series: CSS class, and points of the curve from (0, 0) to (1, 1).
        title: What the chart shows.
    """
    left, right, low, high = 40.0, 312.0, 176.0, 10.0

    def at(x: float, y: float) -> str:
        return f"{left + math.sqrt(x) * (right - left):.1f} {low - y * (low - high):.1f}"

    parts = []
    for share in (0.0, 0.5, 1.0):
        parts.append(f'<path class="grid" d="M{at(0, share)}L{at(1, share)}"/>')
        parts.append(_text(left - 6, low - share * (low - high), f"{share * 100:g} %", "tick end"))
    for share in (0.01, 0.1, 0.5, 1.0):
        parts.append(f'<path class="grid" d="M{at(share, 0)}L{at(share, 1)}"/>')
        parts.append(_text(left + math.sqrt(share) * (right - left), low + 14, f"{share * 100:g} %", "tick middle"))
    even = " ".join(at(number / 40, number / 40) for number in range(41))
    parts.append(f'<polyline class="even" points="{even.replace(" ", ",")}"/>')
    for style, points in series:
        drawn = " ".join(at(x, y).replace(" ", ",") for x, y in points)
        parts.append(f'<polyline class="curve {style}" points="{drawn}"/>')
    return svg("".join(parts), 334, 196, title)


def meter(share: float, title: str) -> str:
    """Return a small bar of a share of one; what is over one is drawn full, with a mark."""
    over = share > 1.0
    return svg(
        f'<rect class="track" x="0" y="3" width="100" height="8"/><rect class="bar after" x="0" y="3" '
        f'width="{100 * min(share, 1.0):.1f}" height="8"/>' + ('<path class="over" d="M97 0v14"/>' if over else ""),
        100,
        14,
        title,
    ).replace("<svg ", '<svg class="meter" ', 1)


def _axis(largest: float) -> tuple[float, float]:
    """Return the end of an axis from 0, and its step: 1, 2 or 5 times a power of ten, three to six steps."""
    if largest <= 0:
        return 1.0, 0.5
    raw = largest / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return step * math.ceil(largest / step * 0.999), step


def _grid(axis: tuple[float, float], suffix: str, across: tuple[float, float], down: tuple[float, float]) -> str:
    (top, step), (left, right), (high, low) = axis, across, down
    parts = []
    for number in range(round(top / step) + 1):
        x = left + number * step / top * (right - left)
        parts.append(f'<path class="grid" d="M{x:.1f} {high:g}V{low:g}"/>')
        parts.append(_text(x, 11, f"{number * step:.6g}{suffix}", "tick middle"))
    return "".join(parts)


def _row_label(label: str, y: float) -> str:
    short = label if len(label) <= 32 else label[:31] + "…"
    return _text(_LABEL_WIDTH - 14, y, short, "label end")


def _text(x: float, y: float, content: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(content)}</text>'
