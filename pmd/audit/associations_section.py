"""The report's section on what stands with female and with male terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit import formatting, page
from pmd.escape import html as escape

#: Rows that are shown from either end of a ranking.
SHOWN: Final = 8


def section(result: Mapping[str, Any]) -> str:
    """Return the section, or why there is none."""
    _, last = page.ends(result)
    figures = result["all"][last]["associations"]
    if "not_measured" in figures:
        return f'<p class="notice"><b>Not measured:</b> {escape(figures["not_measured"])}.</p>' + page.coverage(
            result, figures
        )
    parts, number, found = [], 0, 0
    for source, _, _ in page.sources_in_order(result):
        rows = result["sources"][source][last]["associations"]["terms"]
        number, found = number + len(rows), found + sum(row["finding"] for row in rows)
        if rows:
            parts.append(f"<details><summary>{escape(source)}</summary>{_tables(rows)}</details>")
    reading = (
        f"{formatting.count(number)} terms of all sources stand with gendered terms in 20 captions of 10 clusters or more after "
        f"{last}; the odds of {formatting.count(found)} differ from their source's by a quarter or more for sure."
        if number
        else "No occupation, activity or object stands with gendered terms often enough."
    )
    return f'<p class="reading">{escape(reading)}</p>{"".join(parts)}{page.coverage(result, figures)}'


def _tables(rows: Sequence[Mapping[str, Any]]) -> str:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    head = (
        "<with",
        "captions",
        "female",
        "male",
        "odds",
        "rank score",
        "nPMI female",
        "nPMI male",
        "<by",
        "clusters",
        "<carried by",
        "<",
    )
    return "".join(
        f"<h3>{escape(group.capitalize())}</h3>{page.table(head, [_row(row) for row in _ends(some)], stacked=True)}"
        for group, some in groups.items()
    )


def _ends(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list(rows) if len(rows) <= 2 * SHOWN else [*rows[:SHOWN], *rows[-SHOWN:]]


def _row(row: Mapping[str, Any]) -> str:
    odds = "–" if row["odds"] is None else f"{row['odds']:.2f}"
    ends = "" if row["low"] is None else f" <small>{row['low']:.2f}–{row['high']:.2f}</small>"
    verdict = row["refused"] or ("finding" if row["finding"] else "")
    npmi = "".join(f"<td>{_npmi(row[name])}</td>" for name in ("npmi_female", "npmi_male"))
    counts = "".join(f"<td>{formatting.count(row[name])}</td>" for name in ("captions", "female", "male"))
    return (
        f"<tr><td>{escape(row['term'])}</td>{counts}<td>{odds}{ends}</td><td>{row['score']:.1f}</td>{npmi}"
        f'<td class="words">{escape(row["cluster"])}</td><td>{formatting.count(row["clusters"])}</td>'
        f'<td class="wide">{escape(row["carried_by"])}</td><td class="words">{escape(verdict)}</td></tr>'
    )


def _npmi(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")
