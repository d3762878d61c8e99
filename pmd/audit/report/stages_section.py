"""The report's tables of the main figures after each stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pmd.audit.counting.measure import MAX_WORDS
from pmd.audit.report import formatting, page
from pmd.escape import html as escape

#: Rows of the tables by stage, from top to bottom.
_STAGE_ROWS: Final = (
    "pairs",
    "distinct images",
    "words, mean",
    "words, median",
    "words, 95th percentile",
    "identified as English",
    "with a geotag",
    "commonest country",
    "with a female term",
    "with a male term",
    "female : male",
    "users",
    "pairs of the top 1 % of users",
    "hosts (registrable domains)",
    "pairs of the top 10 hosts",
)


def stage_by_stage(result: Mapping[str, Any]) -> str:
    """Return the tables of the main figures after each stage."""
    sources = "".join(
        f"<h3>{escape(source)}</h3>{_stage_table(result, result['sources'][source], source)}"
        for source, _, _ in page.sources_in_order(result)
    )
    return (
        "<p>The main figures of all sources together after every stage. Small "
        "figures are 95 % intervals for texts that were not read; what has none is counted, and exact but for figures of hosts "
        '(<a href="#hosts">rounded</a> where not all their sizes are told) and what is marked ≈; '
        '<span class="few">this colour</span> marks what rests on too few to be read as a rate.</p>'
        + _stage_table(result, result["all"], "all sources")
        + f"<details><summary>The same for each source</summary>{sources}</details>"
    )


def _stage_table(result: Mapping[str, Any], populations: Mapping[str, Any], name: str) -> str:
    """Return the main figures, one row a figure and one column a stage."""
    columns = [_stage_cells(populations[stage]) for stage in result["stages"]]
    rows = [
        f"<tr><th scope='row'>{label}</th>{''.join(column[label] for column in columns)}</tr>"
        for label in columns[0]
        if any(column[label] != "<td>–</td>" for column in columns)
    ]
    head = ("<", *(f"after {stage}" for stage in result["stages"]))
    return page.table(head, rows, label=f"{name}: main figures after every stage")


def _stage_cells(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells of one population: label → table cell; "–" for what is not measured."""
    words, countries, gendered = figures["words"], figures["countries"], figures["gendered"]
    users, hosts = figures["users"], figures["hosts"]
    top = countries["shares"][0] if countries["shares"] else None
    none = "<td>–</td>"
    texts = {
        "pairs": formatting.count(figures["pairs"]),
        "distinct images": formatting.count(figures["images"]["distinct"]["value"]),
        "words, mean": formatting.decimal(words["mean"]),
        "words, median": _length(words["median"]),
        "words, 95th percentile": _length(words["p95"]),
        "with a geotag": formatting.percent(countries["coverage"]["share"])
        if countries["coverage"]["measured"]
        else "–",
        "commonest country": f"{top['country']} {page.held(top, formatting.percent(top['share']))}" if top else "–",
        "pairs of the top 1 % of users": formatting.percent(users.get("top_1_percent")),
        "pairs of the top 10 hosts": formatting.percent(hosts.get("top_10")),
        "users": formatting.count(users["distinct"]["value"]) if "distinct" in users else "–",
        "hosts (registrable domains)": formatting.count(hosts["distinct"]["value"]) if "distinct" in hosts else "–",
    }
    cells = {label: f"<td>{escape(text)}</td>" for label, text in texts.items()} | {
        "identified as English": formatting.share_cell(figures["languages"]["english"]),
        "with a female term": formatting.share_cell(gendered.get("female")),
        "with a male term": formatting.share_cell(gendered.get("male")),
        "female : male": formatting.ratio_cell(gendered["female_to_male"]) if "female_to_male" in gendered else none,
    }
    return {label: cells[label] for label in _STAGE_ROWS}


def _length(words: int | None) -> str:
    """Return a length of captions; those of `MAX_WORDS` and more are not told apart."""
    return formatting.count(words) + ("+" if words is not None and words >= MAX_WORDS else "")
