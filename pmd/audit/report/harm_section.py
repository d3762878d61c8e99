"""The report's section on terms of violence, of sex and of what is meant for adults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmd.audit.report import formatting, page, rates
from pmd.audit.texts.marks import OF_ENGLISH
from pmd.escape import html as escape


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    _, last = page.ends(result)
    figures = result["all"][last]["harm"]
    parts = []
    for source, _, _ in page.sources_in_order(result):
        for kind in ("subreddit", "host"):
            rows = [
                f'<tr><th scope="row">{escape(row[kind])}</th><td class="words">{escape(row["list"])}</td>'
                f"<td>{formatting.count(row['texts'])}</td><td>{formatting.count(row['english'])}</td>"
                f"<td>{escape(formatting.percent(row['share']))}</td></tr>"
                for row in result["sources"][source][last]["harm"][f"{kind}s"]
            ]
            if rows:
                head = (f"<{kind}", "<list", "texts", "of English texts read", "share")
                table = page.table(head, rows, label=f"{source}: terms of harm by {kind}")
                parts.append(f"<details><summary>{escape(source)}, by {kind}</summary>{table}</details>")
    names = OF_ENGLISH["harm"]
    if figures["coverage"]["measured"] and all(figures[name]["enough"] for name in names):
        told = ", ".join(f"{name} ones {formatting.share(figures[name])}" for name in names)
        reading = f"Of English captions after {last}, terms of our lists are in so many: {told}."
    else:
        reading = "Too few English captions were looked at to speak of rates."
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + rates.chart(
            result, "harm", names, "Share of English captions with terms of violence, sex and what is meant for adults"
        )
        + rates.table(result, "harm", names)
        + rates.carriers(result, "harm")
        + "".join(parts)
        + page.coverage(result, figures)
    )
