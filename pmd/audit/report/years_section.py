"""The report's section on when photographs were taken, or pairs posted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit.report import charts, formatting, page
from pmd.escape import html as escape

#: Years that are drawn one by one; earlier ones are together.
_FIRST_YEAR: Final = 2000


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    first, last = page.ends(result)
    parts = []
    dated = result["geography"]["years"]
    for source, told in ((source, dated[source]) for source, _, _ in page.sources_in_order(result) if source in dated):
        if told[first]["coverage"]["measured"]:
            parts.append(f'<p class="reading">{escape(_reading(source, told, last))}</p>')
            parts.append(_drawn(result, source, told, (first, last)))
    if not parts and "data_set" in result:  # of which no column says when
        return ""
    return "".join(parts) or '<p class="reading">No pair here has a date.</p>'


def _drawn(result: Mapping[str, Any], source: str, told: Mapping[str, Any], ends: tuple[str, str]) -> str:
    """Return the chart of a source's years and the table behind it; nothing where no late year holds enough."""
    years = sorted({row["value"] for stage in ends for row in told[stage]["shares"]})
    drawn = [year for year in years if int(year) >= _FIRST_YEAR]
    if not drawn:
        return ""
    labels = [*([f"before {_FIRST_YEAR}"] if len(drawn) < len(years) else []), *drawn]
    stages = [stage for stage, _ in page.two_stages(*ends)]
    series = [_by_year(told[stage], drawn)[-len(labels) :] for stage in stages]
    title = f"{source}: pairs by the year in which they were {told['date']}"
    return (
        f"<h3>{escape(source)}: by the year in which they were {escape(told['date'])}</h3>"
        + page.chart(charts.columns(labels, series, page.styles(result), title, "year"), *page.before_after(result))
        + page.behind(
            ["<year", *(f"after {stage}" for stage in stages)],
            [page.row(year, *(_pairs(told[stage], year) for stage in stages)) for year in years],
            title,
        )
    )


def _reading(source: str, told: Mapping[str, Any], stage: str) -> str:
    """Return between which years the middle half of the pairs is, of those whose year is told."""
    rows = sorted((int(row["value"]), row["share"]) for row in told[stage]["shares"])
    covered = told[stage]["coverage"]
    if not rows:
        return f"No year holds enough of {source}'s pairs after {stage} to be shown."
    most = max(rows, key=lambda row: (row[1], -row[0]))
    dated = f"{formatting.percent(covered['share'])} of {source}'s pairs after {stage} have a date"
    if len(rows) == 1:
        return f"{dated}, all that are told in {rows[0][0]}."
    half: list[int] = []
    held = 0.0
    for year, share in rows:
        half += [year] if held < 0.75 and held + share > 0.25 else []
        held += share
    if not half:  # most years hold too few pairs to be told
        return f"{dated}; of the years that are told, most are of {most[0]} ({formatting.percent(most[1])})."
    between = f"in {half[0]}" if half[0] == half[-1] else f"between {half[0]} and {half[-1]}"
    return f"{dated}; the middle half of them were {told['date']} {between}, most in {most[0]} ({formatting.percent(most[1])})."


def _by_year(told: Mapping[str, Any], drawn: Sequence[str]) -> list[float | None]:
    """Return the shares of the years before `_FIRST_YEAR` together, and of later ones; None where it is not told."""
    shares = {row["value"]: row["share"] for row in told["shares"]}
    early = [share for year, share in shares.items() if int(year) < _FIRST_YEAR]
    return [sum(early) if early else None, *map(shares.get, drawn)]


def _pairs(told: Mapping[str, Any], value: str) -> str:
    row = next((row for row in told["shares"] if row["value"] == value), None)
    return (
        "–" if row is None else page.held(row, f"{formatting.count(row['pairs'])} ({formatting.percent(row['share'])})")
    )
