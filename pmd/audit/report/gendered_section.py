"""The report's section on gendered terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pmd.audit.report import charts, formatting, page, rates
from pmd.audit.report.charts import Dots
from pmd.audit.statistics.findings import LEAST_EFFECT
from pmd.escape import html as escape


def gendered(result: Mapping[str, Any]) -> str:
    """Return the section on gendered terms, or why there is none."""
    _, last = page.ends(result)
    after = result["all"][last]["gendered"]
    if "not_measured" in after:
        return (
            f'<p class="notice"><b>Not measured:</b> {escape(after["not_measured"])}. To add it: '
            + f"<code>{escape(after['remedy'])}</code>, then run <code>pmd audit CONFIG</code> again.</p>"
            + page.coverage(result, after)
        )
    return (
        f'<p class="reading">{escape(_reading(after, last))}</p>'
        + _by_source(result)
        + page.coverage(result, after)
        + _another_draw(result)
        + rates.carriers(result, "terms")
    )


def _by_source(result: Mapping[str, Any]) -> str:
    """Return the chart and the table of the shares, by source; nothing where no English text was read."""
    first, last = page.ends(result)
    rows, table = [], []
    for source, populations in rates.populations(result):
        figures = populations[last]["gendered"]
        if figures["female"]["value"] is None:
            continue
        for word, kind in (("female", "a"), ("male", "b")):
            marks = [
                rates.mark(
                    populations[stage]["gendered"][word], f"{style} {kind}", f"{source}, {word} term, after {stage}"
                )
                for stage, style in page.two_stages(first, last)
                if populations[stage]["gendered"][word]["value"] is not None
            ]
            rows.append(Dots(source if kind == "a" else "", marks, formatting.share(figures[word])))
        changed = figures.get("change_since_curate")
        table.append(
            ('<tr class="total">' if source == rates.ALL else "<tr>")
            + f'<th scope="row">{escape(source)}</th>'
            + f"<td>{formatting.count(figures['coverage']['measured'])}</td>"
            + "".join(formatting.share_cell(figures[name]) for name in ("female", "male", "both", "neither", "neutral"))
            + formatting.ratio_cell(figures["female_to_male"])
            + "".join(
                formatting.points_cell(changed[name] if changed else None)
                for name in ("female", "male")
                if first != last
            )
            + "</tr>"
        )
    return (
        page.chart(
            charts.dot_plot(
                rows, "Share of English captions with a female and with a male term", unit=100, suffix=" %"
            ),
            page.key("a", "female term"),
            page.key("b", "male term"),
            *((page.key("hollow", f"after {first}"),) if first != last else ()),
            page.key("filled", f"after {last}"),
            '<span class="key">lines: 95 % intervals; faint: too few</span>',
        )
        + page.table(
            (
                f"<after {last}",
                "English texts",
                "female",
                "male",
                "both",
                "neither",
                "neutral",
                "female : male",
                *(f"{name}, since {first} (points)" for name in ("female", "male") if first != last),
            ),
            table,
            label="Gendered terms by source",
            stacked=True,
        )
        if rows
        else ""
    )


def _another_draw(result: Mapping[str, Any]) -> str:
    """Return what another draw of such users, images, pages and hosts would give, with what each figure rests on."""
    _, last = page.ends(result)
    rows = []
    for name, populations in rates.populations(result):
        figures = populations[last]
        kinds: tuple[tuple[str, Mapping[str, Any], Callable[[Mapping[str, Any]], str]], ...] = (
            ("English", figures["languages"]["english"], formatting.share_cell),
            ("female term", figures["gendered"]["female"], formatting.share_cell),
            ("male term", figures["gendered"]["male"], formatting.share_cell),
            ("female : male", figures["gendered"]["female_to_male"], formatting.ratio_cell),
        )
        for label, figure, cell in kinds:
            draw = figure.get("another_draw")
            if draw is None:
                continue
            effect = "–" if draw["design_effect"] is None else f"{draw['design_effect']:.1f}"
            written = f'<td class="words">{escape(draw["refused"])}</td>' if "refused" in draw else cell(draw)
            rows.append(
                f'<tr><th scope="row">{escape(name)}</th><td class="words">{escape(label)}</td>{written}'
                f'<td class="words">{escape(draw["cluster"].replace("+", ", "))}</td>'
                f"<td>{formatting.count(draw['left_out'])}</td><td>{formatting.count(draw['clusters'])}</td>"
                f"<td>{formatting.count(draw['degrees'])}</td><td>{effect}</td></tr>"
            )
    head = (
        *(f"<after {last}", "<figure", "another draw", "<by", "texts left out", "clusters", "degrees of freedom"),
        "design effect",
    )
    table = page.table(head, rows, label="Another draw of such users or images")
    folded = f"<details><summary>Another draw of such users or images</summary>{table}</details>"
    return (folded if rows else "") + (
        f'<p class="coverage"><b>Another draw</b> {escape(result["methods"]["another_draw"] + _left_out(result, last))}</p>'
    )


def _left_out(result: Mapping[str, Any], last: str) -> str:
    """Return how many English texts another draw of each source's clusters leaves out."""
    said, asked = [], False
    for name, populations in rates.populations(result)[:-1]:
        figures = populations[last]["gendered"]
        draw = figures.get("female", {}).get("another_draw")
        asked |= draw is not None
        if draw is not None and draw["left_out"]:
            of = formatting.counted(figures["coverage"]["measured"], "English text")
            said.append(f"{formatting.count(draw['left_out'])} of {of} of {name} (by {draw['cluster']})")
    if said:
        return f" Left out so: {'; '.join(said)}."
    return " Here every English text is in one." if asked else ""


def _reading(figures: Mapping[str, Any], stage: str) -> str:
    female, male, ratio = figures["female"], figures["male"], figures["female_to_male"]
    if female["value"] is None:
        return "No English caption was looked at."
    if not (female["enough"] and male["enough"]):
        having, texts = (
            figures["texts"]["female"],
            formatting.counted(figures["coverage"]["measured"], "English caption"),
        )
        return (
            f"Of {texts} after {stage}, {formatting.count(having)} {formatting.verb(having, 'has', 'have')} a female and "
            f"{formatting.count(figures['texts']['male'])} a male term: too few, from too few images, to speak of rates."
        )
    text = (
        f"After {stage}, {formatting.share(female)} of English captions have a female term and "
        f"{formatting.share(male)} a male one: "
        + (
            f"{formatting.ratio(ratio['value'])} with a female term for each with a male one"
            + (f" ({formatting.ratios(ratio['interval'])})" if ratio["interval"] else "")
            if ratio["value"] is not None
            else "no ratio can be given"
        )
        + "."
    )
    changed = figures.get("change_since_curate")
    if changed is None:
        return text
    moved = [
        f"the {name} share moved by {formatting.signed(change['value'])} points"
        for name, change in sorted(changed.items())
        if change["enough"] and _surely_moved(change)
    ]
    least = f"{LEAST_EFFECT * 100:g} points"
    if not moved:
        return f"{text} Since curate neither share is known to have moved by {least} or more."
    return f"{text} Since curate {' and '.join(moved)}."


def _surely_moved(change: Mapping[str, Any]) -> bool:
    """Return whether a share has moved by the least effect or more: as a fact, or wherever in its interval the change lies."""
    if change["value"] is None:
        return False
    ends = change["interval"] or [change["value"]] * 2
    return bool(min(ends) >= LEAST_EFFECT or max(ends) <= -LEAST_EFFECT)
