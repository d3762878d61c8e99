"""The report's section on terms of identity, and the words beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit.report import formatting, page, rates
from pmd.audit.texts.marks import OF_ENGLISH
from pmd.escape import html as escape

#: Kind of identity → its article.
_ARTICLES: Final = {name: "an" if name[0] in "aeiou" else "a" for name in OF_ENGLISH["identity"]}
_ANY: Final = "a religion, a nationality, an ethnicity, a disability or an orientation"


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    _, last = page.ends(result)
    figures = result["all"][last]["identity"]
    return (
        f'<p class="reading">{escape(_reading(figures, last))}</p>'
        + rates.chart(result, "identity", OF_ENGLISH["identity"], "Share of English captions with terms of identity")
        + rates.table(result, "identity", OF_ENGLISH["identity"])
        + rates.carriers(result, "identity")
        + _beside(result, last)
        + page.coverage(result, figures)
    )


def _reading(figures: Mapping[str, Any], stage: str) -> str:
    names = [name for name in _ARTICLES if figures[name]["value"]]
    if not names and all(figures[name]["value"] == 0 and figures[name]["enough"] for name in _ARTICLES):
        return f"No English caption that was read names {_ANY}."
    most = max(names, key=lambda name: figures[name]["value"], default=None)
    if most is None or not figures[most]["enough"]:
        return f"Too few captions name {_ANY} to speak of rates."
    return f"What English captions name most often is {_ARTICLES[most]} {most}: {formatting.share(figures[most])} after {stage}."


def _beside(result: Mapping[str, Any], last: str) -> str:
    """Return the words that stand with each term, by source."""
    parts = []
    for source, _, _ in page.sources_in_order(result):
        rows = result["sources"][source][last]["identity"]["beside"]
        if rows:
            found = sum(row["finding"] for row in rows)
            parts.append(
                f"<details><summary>{escape(source)}: {formatting.counted(len(rows), 'word')}, "
                f"{formatting.count(found)} of them a quarter more for sure</summary>{_table(source, rows)}</details>"
            )
    if not parts:
        return ""
    return (
        "<h3>Words beside these terms</h3><p>Whatever words they are: those that stand in captions with a term more than in the "
        "source's other captions, from 20 captions and 10 clusters on, the surest first.</p>" + "".join(parts)
    )


def _table(source: str, rows: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "<term",
        "<word beside it",
        "captions",
        "of those with the term",
        "× odds",
        "<by",
        "clusters",
        "rank score",
        "<",
    )
    return page.table(
        head, [_row(row) for row in rows], stacked=True, label=f"{source}: words beside terms of identity", shown=True
    )


def _row(row: Mapping[str, Any]) -> str:
    least = "≥ " if row["at_least"] else ""
    high = "…" if row["high"] is None else _odds(row["high"])
    ends = "" if row["low"] is None else f" <small>{_odds(row['low'])}–{high}</small>"
    verdict = row["refused"] or ("finding" if row["finding"] else "")
    return (
        f'<tr><th scope="row">{escape(row["term"])}</th><td class="words">{escape(row["beside"])}</td>'
        f"<td>{formatting.count(row['texts'])}</td><td>{formatting.count(row['of_term'])}</td>"
        f'<td>{least}{_odds(row["odds"])}{ends}</td><td class="words">{escape(row["cluster"])}</td>'
        f"<td>{formatting.count(row['clusters'])}</td><td>{row['score']:.1f}</td>"
        f'<td class="words">{escape(verdict)}</td></tr>'
    )


def _odds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
