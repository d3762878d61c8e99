"""The report's section on languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pmd.audit.report import charts, formatting, page, rates
from pmd.audit.report.charts import Bar, Dots
from pmd.escape import html as escape

#: Texts of a sample below which the share of one language is written as "3 of 512".
_MANY: Final = 1000


def _complement(estimate: Mapping[str, Any]) -> dict[str, Any]:
    """Return the estimate of the share that has not what another has."""
    interval = estimate["interval"]
    return {
        "value": None if estimate["value"] is None else 1 - estimate["value"],
        "interval": None if interval is None else [1 - interval[1], 1 - interval[0]],
        "enough": estimate["enough"],
    }


def languages(result: Mapping[str, Any]) -> str:
    """Return the section on languages."""
    first, last = page.ends(result)
    rows = _not_english(result)
    before, after = result["all"][first]["languages"], result["all"][last]["languages"]
    bars = _others(result, before, after)
    other = page.bars(result, bars, "Languages other than English")
    return (
        f'<p class="reading">{escape(_reading(after, last))}</p>'
        + (
            "<h3>Captions not identified as English: another language, or none for sure</h3>"
            + page.chart(
                charts.dot_plot(rows, "Share of captions not identified as English, by source", unit=100, suffix=" %"),
                *page.dot_keys(result),
            )
            if rows
            else ""
        )
        + (f"<h3>Other languages, all sources</h3>{other}" if other else "")
        + page.behind(
            ("<language", *page.two_columns(result, "texts", "share")),
            page.shares_of_two(result, "languages", ("shares", "language", "texts"), result["labels"]["languages"]),
            "Languages of the sample, all sources",
        )
        + page.coverage(result, after)
    )


def _not_english(result: Mapping[str, Any]) -> list[Dots]:
    """Return a row of dots for each source: the share that is not English, after the first and the last stage."""
    first, last = page.ends(result)
    rows = []
    for source, _, _ in page.sources_in_order(result):
        populations = result["sources"][source]
        marks = [
            rates.mark(
                _complement(populations[stage]["languages"]["english"]), style, f"{source}, not English, after {stage}"
            )
            for stage, style in page.two_stages(first, last)
            if populations[stage]["languages"]["english"]["value"] is not None
        ]
        if marks:
            rows.append(Dots(source, marks, formatting.share(_complement(populations[last]["languages"]["english"]))))
    return rows


def _others(result: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Bar]:
    """Return the bars of the commonest other languages."""
    first, last = page.ends(result)
    names, sampled = result["labels"]["languages"], after["coverage"]["measured"]
    others = [row for row in after["shares"] if row["language"] not in {"en", "und"}]
    earlier = {row["language"]: row["share"] for row in before["shares"]}
    return [
        Bar(
            f"{names.get(row['language'], row['language'])} ({row['language']})",
            [row["share"]] if first == last else [earlier.get(row["language"]), row["share"]],
            page.held(row, f"{formatting.percent(row['share'])} ({formatting.counted(row['texts'], 'text')})")
            if sampled >= _MANY
            else f"{row['texts']} of {sampled} texts",
            f"{names.get(row['language'], row['language'])}: {formatting.percent(row['share'])} after {last}, "
            f"{formatting.count(row['texts'])} of {formatting.count(sampled)} texts of the sample",
        )
        for row in others[:12]
    ]


def _reading(after: Mapping[str, Any], last: str) -> str:
    english, unsure = after["english"], after["undetermined"]
    return (
        "No text was looked at."
        if english["value"] is None
        else f"{formatting.percent(english['value'])} of captions are identified as English after {last}, "
        f"{formatting.percent(unsure['value'])} as no language for sure"
        + (
            "; too few were looked at to say more."
            if not english["enough"]
            else f"; {formatting.counted(after['distinct'], 'language')} in the sample."
        )
    )
