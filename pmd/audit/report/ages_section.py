"""The report's section on terms for young and for old people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmd.audit.report import formatting, page, rates
from pmd.escape import html as escape


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    _, last = page.ends(result)
    figures = result["all"][last]["age"]
    return (
        f'<p class="reading">{escape(_reading(figures, last))}</p>'
        + rates.chart(
            result, "age", ("young", "old"), "Share of English captions with a term for young and for old people"
        )
        + rates.table(result, "age", ("young", "old"), ("young_to_old", "young : old"))
        + rates.carriers(result, "age")
        + page.coverage(result, figures)
    )


def _reading(figures: Mapping[str, Any], stage: str) -> str:
    young, old, ratio = figures["young"], figures["old"], figures["young_to_old"]
    if young["value"] is None:
        return "No English caption was looked at."
    if not (young["enough"] and old["enough"]):
        return "Too few English captions were looked at to speak of rates."
    text = (
        f"After {stage}, {formatting.share(young)} of English captions have a term for young people and {formatting.share(old)} "
        "one for old people: "
    )
    if ratio["value"] is None:
        return f"{text}no ratio can be given."
    ends = f" ({formatting.ratios(ratio['interval'])})" if ratio["interval"] else ""
    return f"{text}{formatting.ratio(ratio['value'])} with a term for the young for each with one for the old{ends}."
