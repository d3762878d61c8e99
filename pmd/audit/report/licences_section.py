"""The report's section on licences: of which share of the pairs one is stated, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pmd.audit.report import formatting, page, rates
from pmd.audit.statistics.suppression import NOT_SHOWN
from pmd.escape import html as escape
from pmd.schema.licences import NOASSERTION

_Row = Mapping[str, Any]


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    _, last = page.ends(result)
    told = result["all"][last]["licences"]
    if not told["shares"]:
        return f'<p class="reading">No pair is left after {escape(last)}.</p>' + page.coverage(result, told)
    stages = [stage for stage, _ in page.two_stages(*page.ends(result))]
    head = ("<licence of the text", "<of the image", *(f"after {stage}" for stage in stages), "share")
    everything: list[str] = []
    each: list[str] = []
    for source, populations in rates.populations(result):
        for row, counts in _rows(populations, stages):
            cells = (page.Words(row["image_licence"]), *counts, formatting.percent(row["share"]))
            if source == rates.ALL:
                everything.append(page.row(row["text_licence"], *cells))
            else:
                each.append(page.row(source, page.Words(row["text_licence"]), *cells))
    label = "Pairs by the licences that are stated of their text and of their image"
    by_source = page.table(("<source", *head), each, label=f"{label}, by source")
    return (
        f'<p class="reading">{escape(_reading(told, last))}</p>{page.table(head, everything, label=label)}'
        f"<details><summary>The same by source</summary>{by_source}</details>{page.coverage(result, told)}"
    )


def _rows(populations: Mapping[str, Any], stages: list[str]) -> list[tuple[_Row, list[str]]]:
    """Return what is told after the last stage, each with its pairs after all of some stages."""
    tables = [
        {_both(row): page.held(row, formatting.count(row["pairs"])) for row in _told(populations, stage)}
        for stage in stages
    ]
    return [
        (row, [table.get(_both(row), formatting.count(None)) for table in tables])
        for row in _told(populations, stages[-1])
    ]


def _told(populations: Mapping[str, Any], stage: str) -> Sequence[_Row]:
    found: Sequence[_Row] = populations[stage]["licences"]["shares"]
    return found


def _both(row: _Row) -> tuple[str, str]:
    return row["text_licence"], row["image_licence"]


def _reading(told: Mapping[str, Any], last: str) -> str:
    """Return of which share of the pairs a licence is stated: a range, where licences of few are summed up."""
    hidden = sum(row["share"] for row in told["shares"] if row["text_licence"] == NOT_SHOWN)

    def stated(*columns: str) -> str:
        rows = (
            row for row in told["shares"] if {row[column] for column in columns}.isdisjoint({NOASSERTION, NOT_SHOWN})
        )
        least = sum(row["share"] for row in rows)
        return " to ".join(dict.fromkeys(formatting.percent(share) for share in (least, min(least + hidden, 1.0))))

    few = " Licences that few pairs of a source have are not shown, hence the ranges." if hidden else ""
    return (
        f"Of the pairs after {last} a licence is stated of {stated('text_licence')} of the texts, of {stated('image_licence')} "
        f"of the images, and of both in {stated('text_licence', 'image_licence')}.{few}"
    )
