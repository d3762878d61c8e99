"""The report's section on terms of identity, and the words beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmd.audit import formatting, page, rates
from pmd.audit.marks import OF_ENGLISH
from pmd.escape import html as escape


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    _, last = page.ends(result)
    figures = result["all"][last]["identity"]
    parts = []
    for source, _, _ in page.sources_in_order(result):
        by_term: dict[str, list[str]] = {}
        for row in result["sources"][source][last]["identity"]["beside"]:
            by_term.setdefault(row["term"], []).append(
                f"{row['beside']} {formatting.count(row['texts'])} ({row['npmi']:.2f})"
            )
        rows = [
            f'<tr><td class="words">{escape(term)}</td><td class="wide">{escape(", ".join(words))}</td></tr>'
            for term, words in by_term.items()
        ]
        if rows:
            head = ("<term", "<words beside it, texts with both, nPMI")
            parts.append(
                f"<details><summary>{escape(source)}: words beside each term</summary>{page.table(head, rows)}</details>"
            )
    names = [name for name in OF_ENGLISH["identity"] if (figures[name]["value"] or 0) > 0]
    most = max(names, key=lambda name: figures[name]["value"], default=None)
    reading = (
        f"What English captions name most often is a {most}: {formatting.share(figures[most])} after {last}."
        if most is not None and figures[most]["enough"]
        else "Too few captions name a religion, a nationality, an ethnicity, a disability or an orientation to speak of rates."
    )
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + rates.table(result, "identity", OF_ENGLISH["identity"])
        + rates.carriers(result, "identity", "Terms that carry these figures")
        + "".join(parts)
        + page.coverage(result, figures)
    )
