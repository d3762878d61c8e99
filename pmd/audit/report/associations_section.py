"""The report's section on what stands with female and with male terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit.report import formatting, page, ratios
from pmd.audit.report.ratios import Ratio
from pmd.escape import html as escape

#: Rows that are shown from either end of a ranking.
SHOWN: Final = 8
#: An interval whose ends are further apart than so many times is drawn faint (`estimates`: nothing that a reader could use).
_WIDEST: Final = 4


def section(result: Mapping[str, Any]) -> str:
    """Return the section, or why there is none."""
    _, last = page.ends(result)
    figures = result["all"][last]["associations"]
    if "not_measured" in figures:
        return f'<p class="notice"><b>Not measured:</b> {escape(figures["not_measured"])}.</p>' + page.coverage(
            result, figures
        )
    parts, number, found = [], 0, 0
    most: tuple[str, Sequence[Mapping[str, Any]]] = ("", ())
    for source, _, _ in page.sources_in_order(result):
        rows = result["sources"][source][last]["associations"]["terms"]
        number, found = number + len(rows), found + sum(row["finding"] for row in rows)
        most = max(most, (source, rows), key=lambda one: len(one[1]))
        if rows:
            parts.append(f"<details><summary>{escape(source)}</summary>{_tables(source, rows)}</details>")
    verb = formatting.verb(number, "stands", "stand")
    differ = formatting.verb(found, "differs from its", "differ from their")
    reading = (
        f"{formatting.counted(number, 'term')} of all sources {verb} with gendered terms in 20 captions of 10 clusters or more "
        f"after {last}; the odds of {formatting.count(found)} {differ} source's by a quarter or more for sure."
        if number
        else "No occupation, activity or object stands with gendered terms often enough."
    )
    picture = _chart(*most) if most[1] else ""
    return f'<p class="reading">{escape(reading)}</p>{picture}{"".join(parts)}{page.coverage(result, figures)}'


def _chart(source: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the odds of a source's terms, of either end of each group's ranking."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["odds"] is not None:
            groups.setdefault(row["group"], []).append(row)
    drawn = []
    for group, some in groups.items():
        drawn.append(Ratio(group))
        for row in _ends(some):
            said = f"{row['term']}: odds {_odds(row)}, {formatting.count(row['captions'])} captions"
            style = "after a" if row["odds"] >= 1 else "after b"
            note = f"{_odds(row)}  of {formatting.short(row['captions'])}"
            interval = None if row["low"] is None or row["high"] is None else (row["low"], row["high"])
            is_faint = interval is None or interval[0] * _WIDEST < interval[1]
            drawn.append(Ratio(row["term"], [(row["odds"], style, said)], note, interval, is_faint))
    title = f"{source}: odds of female to male terms in captions with a term, beside the source's own"
    keys = (
        page.key("a", "more female"),
        page.key("b", "more male"),
        page.key("line", "as in all captions"),
        '<span class="key">lines: 95 % intervals; faint: wider, or none</span>',
    )
    pictures = "".join(page.chart(one, *keys) for one in ratios.charts_of(drawn, title))
    return f"<h3>{escape(source)}: odds, beside the source's own</h3>{pictures}" if drawn else ""


def _odds(row: Mapping[str, Any]) -> str:
    """Return the odds of a row, with a sign where they are told as at most, or at least, so."""
    if row["odds"] is None:
        return "–"
    return f"{'≤ ' if row['at_most'] else '≥ ' if row['at_least'] else ''}{formatting.ratio(row['odds'])}"


def _tables(source: str, rows: Sequence[Mapping[str, Any]]) -> str:
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
        f"<h3>{escape(group.capitalize())}</h3>"
        + page.table(
            head, [_row(row) for row in _ends(some)], label=f"{source}: {group} with gendered terms", stacked=True
        )
        for group, some in groups.items()
    )


def _ends(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list(rows) if len(rows) <= 2 * SHOWN else [*rows[:SHOWN], *rows[-SHOWN:]]


def _row(row: Mapping[str, Any]) -> str:
    ends = "" if row["low"] is None else f" <small>{escape(formatting.ratios((row['low'], row['high'])))}</small>"
    verdict = row["refused"] or ("finding" if row["finding"] else "")
    npmi = "".join(f"<td>{_npmi(row[name])}</td>" for name in ("npmi_female", "npmi_male"))
    counts = "".join(f"<td>{formatting.count(row[name])}</td>" for name in ("captions", "female", "male"))
    return (
        f'<tr><th scope="row">{escape(row["term"])}</th>'
        f"{counts}<td>{escape(_odds(row))}{ends}</td><td>{formatting.minus(row['score'], 1)}</td>{npmi}"
        f'<td class="words">{escape(row["cluster"])}</td><td>{formatting.count(row["clusters"])}</td>'
        f'<td class="wide">{escape(row["carried_by"])}</td><td class="words">{escape(verdict)}</td></tr>'
    )


def _npmi(value: float | None) -> str:
    return "–" if value is None else formatting.minus(value, 2)
