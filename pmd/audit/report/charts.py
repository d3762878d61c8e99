"""The report's charts: rows of HTML with inline SVG, coloured by the page's own style sheet, so in light and dark alike.

A chart of rows is a list: of each row a label, a drawing, and its figures as text. The drawings have no size of their own: places
across are parts of what is free, so that a narrow page has the same chart with the label and the figures above each line, in
letters of the same size. Each row can be reached by keyboard, and then shows what a mouse would.

An axis ends where the figures end that can be read as such: what rests on too few stands at its end, with a mark, and stretches
nothing. Texts that come from data are escaped here, by `pmd.escape`, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Final

from pmd.audit.report import formatting
from pmd.escape import html as escape

#: Where the line of a row of dots and of bars is, from the top; and how far two marks are apart.
_MIDDLE: Final = 13.0
_APART: Final = 4.0

#: Marks at the ends of a row: a dot that stands there belongs further out.
BEYOND: Final = '<text class="beyond" x="100%" dx="7" y="13">▸</text>'
BELOW: Final = '<text class="beyond below" x="0" dx="-7" y="13">◂</text>'


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
    """A part of a stacked bar; one of the same name in the next bar is what of it stays."""

    value: float
    style: str
    title: str
    name: str = ""


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
    axis = _axis(_furthest(rows) * unit)
    drawn = []
    for row in rows:
        parts = [_grid(axis)]
        said = [mark.title for mark in row.marks]
        if row.reference is not None:
            place = _across(row.reference * unit, axis)
            parts.append(f'<line class="reference" x1="{place}" x2="{place}" y1="4" y2="22"/>')
            said.append(f"Table 2: {row.reference * unit:g}{suffix}")
        offsets = [0.0] if len(row.marks) == 1 else [_offset(mark.style) for mark in row.marks]
        parts += [_dot(mark, unit, axis, offset) for mark, offset in zip(row.marks, offsets, strict=True)]
        drawn.append(drawn_row(row.label, "".join(parts), row.note, "; ".join(said)))
    return plot(drawn, title, _ticks(axis, suffix))


def _furthest(rows: Sequence[Dots]) -> float:
    """Return where an axis must end: at the furthest mark that can be read as a figure, where there is one."""
    sound = [mark for row in rows for mark in row.marks if not mark.faint]
    marks = sound or [mark for row in rows for mark in row.marks]
    ends = [mark.value if mark.high is None else mark.high for mark in marks]
    return max([*ends, *(row.reference or 0 for row in rows)], default=0)


def _offset(style: str) -> float:
    return -_APART if "before" in style else _APART


def _dot(mark: Mark, unit: float, axis: tuple[float, float], offset: float) -> str:
    y, faint = _MIDDLE + offset, " faint" if mark.faint else ""
    place = _across(mark.value * unit, axis)
    span = ""
    if mark.low is not None and mark.high is not None:
        low, high = (_across(end * unit, axis) for end in (mark.low, mark.high))
        span = f'<line class="interval {mark.style}" x1="{low}" x2="{high}" y1="{y:g}" y2="{y:g}"/>'
    shape = (
        f'<rect class="mark {mark.style}" x="{place}" y="{y - 3.8:g}" width="7.6" height="7.6" '
        'transform="translate(-3.8 0)"/>'
        if mark.style.endswith(" b")
        else f'<circle class="mark {mark.style}" cx="{place}" cy="{y:g}" r="4.2"/>'
    )
    beyond = BEYOND if mark.value * unit > axis[0] * 1.001 else ""
    return f'<g class="point{faint}">{span}{shape}{beyond}</g>'


def bar_list(rows: Sequence[Bar], styles: Sequence[str], title: str) -> str:
    """Return rows of horizontal bars, one bar a style, over one axis of per cent that begins at 0; values are shares of one."""
    axis = _axis(max((value for row in rows for value in row.values if value is not None), default=0.0) * 100)
    thick = 14 / max(len(styles), 1)
    drawn = []
    for row in rows:
        bars = "".join(
            f'<rect class="bar {style}" x="0" y="{_MIDDLE - 7 + place * thick:g}" height="{thick - 1:g}" '
            f'width="{_across(value * 100, axis)}"/>'
            for place, (style, value) in enumerate(zip(styles, row.values, strict=True))
            if value is not None
        )
        drawn.append(drawn_row(row.label, _grid(axis) + bars, row.note, row.title))
    return plot(drawn, title, _ticks(axis, "\u00a0%"))


def columns(
    labels: Sequence[str], series: Sequence[Sequence[float | None]], styles: Sequence[str], title: str, axis: str
) -> str:
    """Return a histogram: a group of columns a label, one a style; values are shares of one, None of what is not told."""
    top, step = _axis(max((value for values in series for value in values if value is not None), default=0.0) * 100)
    low, high = 206.0, 12.0
    wide = 100 / max(len(labels), 1)
    thick = wide * 0.76 / max(len(series), 1)
    parts = []
    for number in range(round(top / step) + 1):
        y = low - number * step / top * (low - high)
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text("-8", y, f"{number * step:g} %", "tick end"))
    for place, label in enumerate(labels):
        start = place * wide + wide * 0.12
        # Where there is little room, every other label has to do.
        parts.append(
            _text(f"{start + wide * 0.38:.2f}%", low + 14, label, "tick middle odd" if place % 2 else "tick middle")
        )
        for number, (values, style) in enumerate(zip(series, styles, strict=True)):
            if (value := values[place]) is None:
                continue
            tall = value * 100 / top * (low - high)
            parts.append(
                f'<rect class="bar {style}" x="{start + number * thick:.2f}%" y="{low - tall:.1f}" '
                f'width="{thick * 0.94:.2f}%" height="{tall:.1f}"><title>{escape(label)} {escape(axis)}: '
                f"{escape(formatting.percent(value))}</title></rect>"
            )
    parts.append(_text("100%", low + 32, axis, "tick end"))
    return f'<div class="columns">{_free("".join(parts), title, 246)}</div>'


def stacks(rows: Sequence[Stack], title: str) -> str:
    """Return stacked bars, the longest of which fills the width; from each to the next goes what stays of each part."""
    longest = max((sum(segment.value for segment in row.segments) for row in rows), default=0.0) or 1.0
    drawn, above = [], dict[str, tuple[float, float]]()
    for row in rows:
        parts, place, here = [], 0.0, dict[str, tuple[float, float]]()
        for segment in row.segments:
            wide = segment.value / longest
            if wide > 0:
                parts.append(
                    f'<rect class="segment {segment.style}" x="{place * 100:.3f}%" y="0" width="{wide * 100:.3f}%" '
                    f'height="24"><title>{escape(segment.title)}</title></rect>'
                )
                if segment.name:
                    here[segment.name] = place, place + wide
            place += wide
        falls = _falls(above, here, {segment.name: segment.style for segment in row.segments})
        said = "; ".join(segment.title for segment in row.segments if segment.value)
        drawn.append(drawn_row(row.label, "".join(parts), row.note, f"{row.label}: {said}", "stack", falls))
        above = here
    return plot(drawn, title, "")


def _falls(above: dict[str, tuple[float, float]], here: dict[str, tuple[float, float]], styles: dict[str, str]) -> str:
    """Return the bands from the parts of one bar to those of the next."""
    bands = "".join(
        f'<polygon class="fall {styles[name]}" points="{1000 * from_left:.1f},0 {1000 * from_right:.1f},0 '
        f'{1000 * right:.1f},16 {1000 * left:.1f},16"/>'
        for name, (left, right) in here.items()
        if name in above
        for from_left, from_right in (above[name],)
    )
    return (
        f'<svg class="falls" viewBox="0 0 1000 16" preserveAspectRatio="none" aria-hidden="true">{bands}</svg>'
        if bands
        else ""
    )


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
        parts.append(_text(f"{left - 6:g}", low - share * (low - high), f"{share * 100:g} %", "tick end"))
    for share in (0.01, 0.1, 0.5, 1.0):
        parts.append(f'<path class="grid" d="M{at(share, 0)}L{at(share, 1)}"/>')
        across = f"{left + math.sqrt(share) * (right - left):.1f}"
        parts.append(_text(across, low + 14, f"{share * 100:g} %", "tick middle"))
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


def plot(rows: Iterable[str], title: str, axis: str) -> str:
    """Return rows of a chart, under the ticks of their axis."""
    return (
        f'<div class="plot" role="group" aria-label="{escape(title)}">{axis}<ul role="list">{"".join(rows)}</ul></div>'
    )


def drawn_row(label: str, drawing: str, note: str, said: str, kind: str = "", above: str = "") -> str:
    """Return a row of a chart: label, drawing in parts of the width, and figure; a stack has what falls into it above."""
    return (
        f'<li class="row {kind}" tabindex="0">{above}<span class="label">{escape(label)}</span>'
        f'{_free(drawing, said, 24 if kind else 26)}<span class="value">{escape(note)}</span>'
        f'<span class="tip" aria-hidden="true">{escape(said)}</span></li>'
    )


def _free(content: str, title: str, height: float) -> str:
    """Return a drawing that takes the width it is given; its height is its own."""
    return (
        f'<svg class="free" height="{height:g}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"{content}</svg>"
    )


def _axis(largest: float) -> tuple[float, float]:
    """Return the end of an axis from 0, and its step: 1, 2 or 5 times a power of ten, three to six steps."""
    if largest <= 0:
        return 1.0, 0.5
    raw = largest / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return step * math.ceil(largest / step * 0.999), step


def _across(value: float, axis: tuple[float, float]) -> str:
    """Return where a value stands on an axis, as a part of the width; what is beyond stands at its end."""
    return f"{100 * min(max(value / axis[0], 0.0), 1.0):.2f}%"


def _grid(axis: tuple[float, float]) -> str:
    top, step = axis
    places = [_across(number * step, axis) for number in range(round(top / step) + 1)]
    return "".join(f'<line class="grid" x1="{place}" x2="{place}" y1="0" y2="100%"/>' for place in places)


def _ticks(axis: tuple[float, float], suffix: str) -> str:
    top, step = axis
    return ticks(
        (_across(number * step, axis), f"{number * step:.6g}{suffix}", bool(number % 2))
        for number in range(round(top / step) + 1)
    )


def ticks(places: Iterable[tuple[str, str, bool]]) -> str:
    """Return the ticks of an axis: where each is, what it says, and whether it gives way where there is little room."""
    drawn = "".join(_text(place, 9, said, "tick middle odd" if odd else "tick middle") for place, said, odd in places)
    return (
        '<div class="row axis" aria-hidden="true"><span class="label"></span>'
        f'<svg class="free" height="18" aria-hidden="true">{drawn}</svg><span class="value"></span></div>'
    )


def _text(x: str, y: float, content: str, style: str) -> str:
    return f'<text x="{x}" y="{y:g}" class="{style}">{escape(content)}</text>'
