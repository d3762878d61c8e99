"""What the sections on terms and personal data share: a table of rates by source, and what carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit import formatting, page
from pmd.escape import html as escape

#: What all sources together are called.
ALL: Final = "all sources"


def populations(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the sources in the order of Table 2, and all of them together, each with its figures by stage."""
    sources = [(source, result["sources"][source]) for source, _, _ in page.sources_in_order(result)]
    return [*sources, (ALL, result["all"])]


def table(result: Mapping[str, Any], section: str, names: Sequence[str], ratio: tuple[str, str] | None = None) -> str:
    """Return the rates of a section by source, after the first stage and after the last.

    Args:
        result: The content of audit.json.
        section: Of a population.
        names: Of its rates.
        ratio: A ratio beside them: its key, and its head.
    """
    first, last = page.ends(result)
    rows: dict[str, list[str]] = {}
    for source, stages in populations(result):
        for stage in dict.fromkeys((first, last)):
            figures = stages[stage][section]
            if not figures["coverage"]["measured"]:
                continue
            cells = "".join(formatting.share_cell(figures[name]) for name in names)
            more = formatting.ratio_cell(figures[ratio[0]]) if ratio else ""
            rows.setdefault(source, []).append(
                f'<tr><th scope="row">{escape(source)}</th><td class="words">{escape(stage)}</td>'
                f"<td>{formatting.count(figures['coverage']['measured'])}</td>{cells}{more}</tr>"
            )
    head = ("<source", "<after", "texts", *names, *((ratio[1],) if ratio else ()))
    everything = rows.pop(ALL, [])
    each = [row for some in rows.values() for row in some]
    return (page.table(head, everything, stacked=True) if everything else "") + (
        f"<details><summary>The same by source</summary>{page.table(head, each, stacked=True)}</details>"
        if each
        else ""
    )


def carriers(result: Mapping[str, Any], section: str, title: str) -> str:
    """Return the terms that carry each figure of a section, all sources together."""
    _, last = page.ends(result)
    by_list: dict[str, list[str]] = {}
    for row in result["all"][last][section]["carried_by"]:
        by_list.setdefault(row["list"], []).append(f"{row['term']} {formatting.count(row['texts'])}")
    rows = [
        f'<tr><th scope="row">{escape(name)}</th><td class="wide">{escape(", ".join(terms))}</td></tr>'
        for name, terms in by_list.items()
    ]
    if not rows:
        return ""
    head = ("<list", f"<terms, with the texts of the sample that have them after {last}")
    return f"<h3>{escape(title)}</h3>{page.table(head, rows)}"
