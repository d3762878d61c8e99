"""The report's section on the lengths of captions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmd.audit.counting.measure import MAX_WORDS
from pmd.audit.report import charts, formatting, page
from pmd.audit.report.charts import Dots, Mark
from pmd.escape import html as escape


def lengths(result: Mapping[str, Any]) -> str:
    """Return the section on the lengths of captions."""
    first, last = page.ends(result)
    before, after = result["all"][first]["words"], result["all"][last]["words"]
    if not before["histogram"] or not any(one["pairs"] for one in before["histogram"]):
        return '<p class="reading">No caption is left.</p>' + page.coverage(result, after)
    labels = [
        f"{one['from']}+"
        if one["below"] is None
        else (f"{one['from']}" if one["below"] == one["from"] + 1 else f"{one['from']}–{one['below'] - 1}")
        for one in after["histogram"]
    ]

    def shares(words: Mapping[str, Any]) -> list[float]:
        total = sum(one["pairs"] for one in words["histogram"]) or 1
        return [one["pairs"] / total for one in words["histogram"]]

    series, styles = [shares(after)], ["after"]
    if first != last:
        series, styles = [shares(before), shares(after)], ["before", "after"]
    published = {source: row["published"]["mean_words"] for row in result["table2"] for source in row["sources_here"]}
    return (
        f'<p class="reading">{escape(_reading(result))}</p>'
        + page.chart(
            charts.columns(labels, series, styles, "Share of captions by number of words", "words"),
            *page.before_after(result),
        )
        + page.behind(
            ("<words", *(f"pairs after {stage}" for stage in result["stages"])),
            [
                page.row(
                    label,
                    *(
                        formatting.count(result["all"][stage]["words"]["histogram"][place]["pairs"])
                        for stage in result["stages"]
                    ),
                )
                for place, label in enumerate(labels)
            ],
            "Pairs by number of words, all sources",
        )
        + page.chart(
            charts.dot_plot(
                _means(result, published),
                "Mean words of a caption by source" + (", beside Table 2" if published else ""),
            ),
            *page.dot_keys(result),
            *([page.key("line", "Table 2")] if published else []),
        )
        + page.coverage(result, after)
    )


def _means(result: Mapping[str, Any], published: Mapping[str, float]) -> list[Dots]:
    """Return a row of dots for each source: its mean after the first and the last stage, beside that of Table 2."""
    first, last = page.ends(result)
    rows = []
    for source, _, _ in page.sources_in_order(result):
        populations = result["sources"][source]
        marks = [
            Mark(
                populations[stage]["words"]["mean"],
                None,
                None,
                style,
                f"{source}, after {stage}: {populations[stage]['words']['mean']:.1f} words on average, "
                f"{formatting.counted(populations[stage]['pairs'], 'pair')}",
                faint=populations[stage]["pairs"] < formatting.FEW,
            )
            for stage, style in page.two_stages(first, last)
            if populations[stage]["words"]["mean"] is not None
        ]
        if marks:
            paper = published.get(source)
            left = populations[last]["words"]["mean"]
            note = ("none left" if left is None else f"{left:.1f}") + (f" (paper {paper:.1f})" if paper else "")
            rows.append(Dots(source, marks, note, reference=paper))
    return rows


def _reading(result: Mapping[str, Any]) -> str:
    first, last = page.ends(result)
    before, after = result["all"][first]["words"], result["all"][last]["words"]
    return (
        f"A caption has {after['mean']:.1f} words on average after {last}"
        + (f", {before['mean']:.1f} after {first}" if first != last else "")
        + f"; {_half(after['median'])}, {_most(after['p95'])}."
        if after["mean"] is not None and before["mean"] is not None
        else "No caption is left."
    )


def _half(median: int) -> str:
    return f"half have {median} or fewer" if median < MAX_WORDS else f"half have {MAX_WORDS} or more"


def _most(p95: int) -> str:
    """Return what the 95th percentile says; lengths are told apart up to `MAX_WORDS`, which stands for it and all above."""
    return (
        f"fewer than one in twenty more than {p95}" if p95 < MAX_WORDS else f"one in twenty or more {MAX_WORDS} or more"
    )
