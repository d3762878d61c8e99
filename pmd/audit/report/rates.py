"""What the sections on terms and personal data share: a table of rates by source, and what carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit.report import charts, formatting, page
from pmd.audit.report.charts import Dots, Mark
from pmd.escape import html as escape

#: What all sources together are called.
ALL: Final = "all sources"


def populations(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the sources in the order of Table 2, and all of them together, each with its figures by stage."""
    sources = [(source, result["sources"][source]) for source, _, _ in page.sources_in_order(result)]
    return [*sources, (ALL, result["all"])]


def chart(result: Mapping[str, Any], section: str, names: Sequence[str], title: str) -> str:
    """Return the rates of all sources together, after the first stage and after the last; nothing where none was read."""
    first, last = page.ends(result)
    rows = []
    for name in names:
        stages = [(stage, style, result["all"][stage][section][name]) for stage, style in page.two_stages(first, last)]
        marks = [
            mark(figure, style, f"{name} after {stage}")
            for stage, style, figure in stages
            if figure["value"] is not None
        ]
        if marks:
            rows.append(Dots(name, marks, formatting.share(result["all"][last][section][name])))
    if not rows:
        return ""
    return page.chart(charts.dot_plot(rows, title, unit=100, suffix=" %"), *page.dot_keys(result))


def mark(estimate: Mapping[str, Any], style: str, title: str) -> Mark:
    """Return the dot of a rate, with its interval; faint where it rests on too few."""
    low, high = estimate["interval"] or (None, None)
    said = f"{title}: {formatting.share(estimate)}"
    return Mark(estimate["value"], low, high, style, said, faint=not estimate["enough"])


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
    label = f"Rates: {', '.join(names)}"
    by_source = page.table(head, each, label=f"{label}, by source", stacked=True)
    return (page.table(head, everything, label=label, stacked=True) if everything else "") + (
        f"<details><summary>The same by source</summary>{by_source}</details>" if each else ""
    )


def carriers(result: Mapping[str, Any], section: str) -> str:
    """Return the terms that carry each figure of a section, of all sources together and of each."""
    _, last = page.ends(result)
    everything = [page.row(name, page.Lines(terms)) for name, terms in _carriers(result["all"][last], section)]
    if not everything:
        return ""
    of_each = [
        page.row(source, page.Words(name), page.Lines(terms))
        for source, _, _ in page.sources_in_order(result)
        for name, terms in _carriers(result["sources"][source][last], section)
    ]
    title = "Terms that carry these figures"
    head = ("<list", f"<terms, with the texts of the sample that have them after {last}")
    folded = page.table(("<source", *head), of_each, label=f"{title}, by source", shown=True)
    return f"<h3>{title}</h3>{page.table(head, everything, label=title)}" + (
        f"<details><summary>The same terms by source</summary>{folded}</details>" if of_each else ""
    )


def _carriers(population: Mapping[str, Any], section: str) -> list[tuple[str, str]]:
    """Return each list with its terms, those of most texts first."""
    by_list: dict[str, list[str]] = {}
    for row in population[section]["carried_by"]:
        by_list.setdefault(row["list"], []).append(f"{row['term']} {formatting.count(row['texts'])}")
    return [(name, ", ".join(terms)) for name, terms in by_list.items()]
