"""The report's sections on numbers of pairs: where they go, why they leave, and what the paper had."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pmd.audit.counting.measure import STAGES
from pmd.audit.report import charts, formatting, page
from pmd.audit.report.charts import Segment, Stack
from pmd.audit.report.style import ROW_COLOURS
from pmd.config.reasons import REASONS
from pmd.escape import html as escape


def flow(result: Mapping[str, Any]) -> str:
    """Return the section on where pairs go, with all reasons."""
    groups = page.sources_in_order(result)
    books = result["books"]
    rows = []
    populations: list[tuple[str, dict[str, int], int]] = []
    if "curate" in books:
        populations.append(("read", {source: book["in"] for source, book in books["curate"].items()}, 0))
    for stage in result["stages"]:
        lost = sum(sum(book["rejected"].values()) for book in books[stage].values())
        populations.append((stage, {source: book["kept"] for source, book in books[stage].items()}, lost))
    for label, pairs, lost in populations:
        total = sum(pairs.values())
        segments = [
            Segment(
                pairs[source],
                f"row-{colour}",
                f"{source}: {formatting.counted(pairs[source], 'pair')}, {label}",
                source,
            )
            for source, _, colour in groups
            if pairs.get(source)
        ]
        segments.append(Segment(lost, "gone", f"rejected by {label}: {formatting.counted(lost, 'pair')}"))
        note = formatting.short(total) + (f"  (−{formatting.short(lost)})" if lost else "")
        rows.append(Stack("read" if label == "read" else f"after {label}", segments, note))
    keys, seen = [], set()
    for source, row, colour in groups:
        if (row or source) not in seen:
            keys.append(page.key(f"row-{colour}", row or source))
            seen.add(row or source)
    return (
        f'<p class="reading">{escape(_flow_reading(result))}</p>'
        + page.chart(
            charts.stacks(rows, "Pairs by source that each stage kept"), *keys, page.key("gone", "rejected here")
        )
        + _by_source(result, populations)
        + _reasons(result)
    )


def _by_source(result: Mapping[str, Any], populations: Sequence[tuple[str, Mapping[str, int], int]]) -> str:
    """Return the pairs of each source after each step, and all of them."""
    rows = [
        page.row(source, *(formatting.count(pairs.get(source, 0)) for _, pairs, _ in populations))
        for source, _, _ in page.sources_in_order(result)
    ]
    rows.append(
        page.row("all sources", *(formatting.count(sum(pairs.values())) for _, pairs, _ in populations), total=True)
    )
    head = ["read" if label == "read" else f"after {label}" for label, _, _ in populations]
    return page.behind(("<source", *head), rows, "Pairs of each source after each step")


def _flow_reading(result: Mapping[str, Any]) -> str:
    losses = []
    for stage in result["stages"]:
        reasons: dict[str, int] = {}
        for book in result["books"][stage].values():
            for reason, count in book["rejected"].items():
                reasons[reason] = reasons.get(reason, 0) + count
        if reasons:
            losses.append((sum(reasons.values()), stage, max(reasons, key=lambda reason: (reasons[reason], reason))))
    if not losses:
        return "No stage rejected a pair."
    lost, stage, reason = max(losses)
    total = sum(loss[0] for loss in losses)
    return (
        f"{formatting.short(total)} {formatting.noun(total, 'row')} left on the way; {stage} rejected most "
        f"({formatting.short(lost)}), mainly as {reason.replace('_', ' ')}."
    )


def _reasons(result: Mapping[str, Any]) -> str:
    """Return the reasons, largest first: over all sources at once, and in a folded table by source."""
    overall: dict[tuple[str, str], int] = {}
    given: dict[str, int] = {}
    rows = []
    for stage in result["stages"]:
        for source, book in result["books"][stage].items():
            given[stage] = given.get(stage, 0) + book["in"]
            for reason, count in sorted(book["rejected"].items(), key=lambda item: (-item[1], item[0])):
                overall[stage, reason] = overall.get((stage, reason), 0) + count
                rows.append(
                    f'<tr><th scope="row">{escape(stage)}</th><td class="words">{escape(source)}</td>'
                    f'<td class="words">{escape(reason)}</td><td>{formatting.count(count)}</td>'
                    f"<td>{escape(formatting.percent(count / book['in']))}</td></tr>"
                )
    if not overall:
        return '<p class="coverage">No row was rejected.</p>'
    order = sorted(overall, key=lambda key: (STAGES.index(key[0]), -overall[key], key[1]))
    summary = [
        f'<tr><th scope="row">{escape(stage)}</th><td class="words">{escape(reason)}</td>'
        f"<td>{formatting.count(overall[stage, reason])}</td>"
        f'<td>{escape(formatting.percent(overall[stage, reason] / given[stage]))}</td><td class="wide">'
        f"{_meaning(reason)}</td></tr>"
        for stage, reason in order
    ]
    head = ("<stage", "<source", "<reason", "pairs", "of the stage's input")
    folded = page.table(head, rows, label="Rejected rows by stage, source and reason")
    return (
        page.table(
            ("<stage", "<reason", "pairs", "of the stage's input", "<what it means"),
            summary,
            label="Rejected rows by stage and reason",
        )
        + f"<details><summary>By source</summary>{folded}</details>"
        + f'<p class="coverage"><b>Coverage</b> all rows. {escape(result["methods"]["books"])} '
        + f"{escape(result['methods']['readers'])}</p>"
    )


def _meaning(reason: str) -> str:
    """Return what a reason means, as HTML: names of options stand between backticks, as documents have them."""
    words = escape(REASONS[reason][1] if reason in REASONS else "")
    return re.sub("`([^`]+)`", r"<code>\1</code>", words)


def against_table2(result: Mapping[str, Any]) -> str:
    """Return the section that sets the counts beside FLAVA's Table 2."""
    first, last = page.ends(result)
    stages = result["stages"]
    rows = []
    for number, row in enumerate(result["table2"]):
        colour = f'<span class="swatch row-{min(number, len(ROW_COLOURS) - 2)}"></span>'
        if not row["sources_here"]:
            rows.append(
                f"<tr><th scope='row'>{colour}{escape(row['row'])}</th><td>{formatting.short(row['published']['pairs'])}</td>"
                f'<td colspan="{len(stages) + 1}"><small>not in this build</small></td><td>–</td>'
                f"<td>{row['published']['mean_words']:.1f}</td><td>–</td></tr>"
            )
            continue
        cells = "".join(f"<td>{formatting.short(row['pairs'][stage])}</td>" for stage in stages)
        part = formatting.percent(row["of_published"][last])
        meter = charts.meter(row["of_published"][last], f"{part} of Table 2 after {last}")
        mean = row["mean_words"][last]
        rows.append(
            f"<tr><th scope='row'>{colour}{escape(row['row'])}</th><td>{formatting.short(row['published']['pairs'])}</td>"
            f"<td>{formatting.short(row['read'])}</td>{cells}"
            f"<td>{meter}{escape(part)}</td>"
            f"<td>{row['published']['mean_words']:.1f}</td><td>{formatting.decimal(mean)}</td></tr>"
        )
    published = sum(row["published"]["pairs"] for row in result["table2"])
    total = "".join(f"<td>{formatting.short(result['all'][stage]['pairs'])}</td>" for stage in stages)
    mean = result["all"][last]["words"]["mean"]
    words = sum(row["published"]["pairs"] * row["published"]["mean_words"] for row in result["table2"])
    read = sum(book["in"] for book in result["books"].get("curate", {}).values())
    # Pairs of sources that the paper does not have are no part of its count.
    left = sum(row["pairs"].get(last, 0) for row in result["table2"]) / published if published else None
    rows.append(
        f'<tr class="total"><th scope="row">all</th><td>{formatting.short(published)}</td>'
        f"<td>{formatting.short(read)}</td>{total}"
        f"<td>{charts.meter(left or 0.0, 'of Table 2')}{escape(formatting.percent(left))}</td>"
        f"<td>{formatting.decimal(words / published if published else None)}</td><td>{formatting.decimal(mean)}</td></tr>"
    )
    head = (
        "<source",
        "Table 2",
        "read",
        *(f"after {stage}" for stage in stages),
        f"after {last}, of Table 2",
        "words, Table 2",
        f"words, after {last}",
    )
    return (
        f'<p class="reading">{escape(_table2_reading(result, first) + _beside_table2(result))}</p>'
        + page.table(head, rows, label="Pairs and words beside Table 2")
        + '<p class="coverage"><b>Coverage</b> all pairs. Table 2 (arXiv 2112.04482) gives pairs in millions to one '
        "decimal and mean words to one; the mean of its rows, weighted by pairs, stands in the last line. "
        "“Read” counts what the readers gave: pairs, and one for each record that gave none.</p>"
    )


def _beside_table2(result: Mapping[str, Any]) -> str:
    """Return which sources the paper does not have, in words: they have no row here."""
    named = {source for row in result["table2"] for source in row["sources_here"]}
    beside = sorted(source for source in result["sources"] if source not in named)
    if not named or not beside:
        return ""
    it, has, its = ("it", "has", "Its") if len(beside) == 1 else ("they", "have", "Their")
    return (
        f" Table 2 does not have {', '.join(beside)}: {it} {has} no row here. {its} pairs are in the counts of the last line, "
        "and not in its share of Table 2."
    )


def _table2_reading(result: Mapping[str, Any], stage: str) -> str:
    close = [row for row in result["table2"] if abs(row["of_published"].get(stage, 0) - 1) <= 0.05]
    here = [row for row in result["table2"] if row["sources_here"]]
    if not here:
        return "None of these sources is a row of Table 2."
    if not any(row["of_published"][stage] >= 0.01 for row in here):
        return "This build holds too small a part of PMD for its counts to be compared with the paper's."
    are = formatting.verb(len(close), "is", "are")
    return (
        f"{len(close)} of the {formatting.counted(len(here), 'row')} in this build {are} within 5 % of the paper's count "
        f"after {stage}; what is missing after fetch is what the web has lost or refuses."
    )
