"""How the report writes figures: no more decimals than an interval bears, and a mark on what rests on too few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.escape import html as escape

#: Pairs below which a share is written as "3 of 7".
FEW: Final = 30

#: The sign with its space, which no line breaks.
PER_CENT: Final = "\u00a0%"


def count(number: float | None) -> str:
    """Return a whole number with its thousands marked."""
    return "–" if number is None else f"{round(number):,}"


def noun(number: float, one: str) -> str:
    """Return a noun as it stands after a number that is shown as a whole one."""
    return one if round(number) == 1 else f"{one}s"


def counted(number: float, one: str) -> str:
    """Return a number with its noun: "1 file", "2,000 files"."""
    return f"{count(number)} {noun(number, one)}"


def verb(number: float, one: str, several: str) -> str:
    """Return a verb as it stands after a number that is shown as a whole one."""
    return one if round(number) == 1 else several


def decimal(number: float | None) -> str:
    """Return a number with one decimal."""
    return "–" if number is None else f"{number:.1f}"


def short(number: float | None) -> str:
    """Return a count in three figures: "30.3M", "4.1k", "512"."""
    if number is None:
        return "–"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if number >= size * 0.9995:
            scaled = number / (1e3 if letter == "k" else size)
            return f"{scaled:.3g}{letter}" if scaled < 999.5 else f"{scaled:.0f}{letter}"
    return f"{round(number):,}"


def percent(share: float | None, width: float | None = None) -> str:
    """Return a share with as many decimals as an interval of this width (of one) bears; without one, two or three.

    What is not nothing is not written as nothing, nor as all what is not all.
    """
    if share is None:
        return "–"
    value = share * 100
    if value == 0 or abs(value - 100) < 1e-9:
        return f"{value:.0f}{PER_CENT}"
    decimals = _decimals(value) if width is None else 2 if width < 0.002 else 1 if width < 0.05 else 0
    text = f"{value:.{decimals}f}"
    if value > 0 and float(text) == 0:
        return f"<{10**-decimals:g}{PER_CENT}"
    if value < 100 and float(text) == 100:
        return f">{100 - 10**-decimals:g}{PER_CENT}"
    return f"{text}{PER_CENT}"


def plain_percent(share: float) -> str:
    """Return a share as `percent` does, as cards and plain text have it: "4.1%"."""
    return percent(share).replace(PER_CENT, "%")


def _decimals(value: float) -> int:
    """Return the decimals of a figure in per cent without an interval."""
    return 0 if value >= 100 else 1 if round(value, 2) >= 1 else 2


def _interval(interval: Sequence[float]) -> str:
    """Return an interval of shares in per cent, without the sign: "4.1–5.0"; one figure where both ends are written alike."""
    width = interval[1] - interval[0]
    low, high = (percent(end, width).removesuffix(PER_CENT) for end in interval)
    # Of what reaches to all but a little the end is all, as it is of figures that are rounded up.
    return "–".join(dict.fromkeys((low, "100" if high.startswith(">") and high != low else high)))


def between(interval: Sequence[float]) -> str:
    """Return an interval of shares in per cent: "4.1–5.0 %"."""
    return f"{_interval(interval)}{PER_CENT}"


def share(estimate: Mapping[str, Any]) -> str:
    """Return a share with its interval as plain text, and a word of warning where it is not to be read as a rate."""
    if estimate["value"] is None:
        return "–"
    interval = estimate["interval"]
    if interval is None:
        return percent(estimate["value"]) + ("" if estimate["enough"] else ": too few")
    value = percent(estimate["value"], interval[1] - interval[0])
    if not estimate["enough"]:
        return f"too few: {_interval(interval)}{PER_CENT}"
    return f"{value} ({_interval(interval)})"


def share_cell(estimate: Mapping[str, Any] | None) -> str:
    """Return a share with its interval as a table cell."""
    if estimate is None or estimate["value"] is None:
        return "<td>–</td>"
    interval = estimate["interval"]
    if interval is None:
        return _td(percent(estimate["value"]), "", estimate)
    return _td(percent(estimate["value"], interval[1] - interval[0]), _interval(interval), estimate)


def _td(value: str, interval: str, estimate: Mapping[str, Any]) -> str:
    few = "" if estimate["enough"] else ' class="few" title="too few to be read as a rate"'
    ends = f" <small>{escape(interval)}</small>" if interval else ""
    return f"<td{few}>{escape(value)}{ends}</td>"


def ratio_cell(estimate: Mapping[str, Any]) -> str:
    """Return a ratio with its interval as a table cell."""
    if estimate["value"] is None:
        return "<td>–</td>"
    return _td(ratio(estimate["value"]), ratios(estimate["interval"]), estimate)


def ratio(number: float) -> str:
    """Return a ratio: two decimals, of less than a tenth two figures, so that nothing but none is written as none."""
    if 0 < number < 0.0001:
        return "<0.0001"
    return f"{number:.2g}" if 0 < number < 0.095 else f"{number:.2f}"


def ratios(interval: Sequence[float] | None) -> str:
    """Return the interval of a ratio: "0.41–0.50"; one figure where both ends are written alike, nothing where there is none."""
    return "" if interval is None else "–".join(dict.fromkeys(map(ratio, interval)))


def points_cell(estimate: Mapping[str, Any] | None) -> str:
    """Return a change of a share in percentage points, with its interval, as a table cell."""
    if estimate is None or estimate["value"] is None:
        return "<td>–</td>"
    interval = estimate["interval"]
    if estimate["value"] == 0 and interval in (None, [0, 0]):
        return "<td>0</td>"
    ends = "" if interval is None else f"{signed(interval[0])} to {signed(interval[1])}"
    return _td(signed(estimate["value"]), ends, estimate)


def signed(share: float) -> str:
    """Return a difference of shares in percentage points, with a true minus; nothing has no sign."""
    return minus(share * 100, 2, plus="+") if round(share * 100, 2) else "0.00"


def minus(number: float, decimals: int, plus: str = "") -> str:
    """Return a number with a true minus, and none where nothing but zeros is left."""
    return f"{round(number, decimals) + 0.0:{plus}.{decimals}f}".replace("-", "−")


def rate(number: float) -> str:
    """Return a number of things for so many others: one decimal, of less than one two figures."""
    return f"{number:,.1f}" if number >= 1 or number == 0 else "<0.01" if number < 0.01 else f"{number:.2g}"
