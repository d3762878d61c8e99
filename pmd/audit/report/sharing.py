"""The report's sections on what is there more than once: captions that many images share, images that sources share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pmd.audit.report import charts, formatting, page
from pmd.audit.report.charts import Dots, Mark
from pmd.audit.statistics.suppression import LEAST
from pmd.escape import html as escape
from pmd.escape import isolated


def repeated(result: Mapping[str, Any]) -> str:
    """Return the section on repeated captions."""
    first, last = page.ends(result)
    before, after = result["all"][first]["repeated"], result["all"][last]["repeated"]
    if not before["shared_by"][0]["pairs"]:
        least = formatting.count(before["shared_by"][0]["images"])
        return f'<p class="reading">No text stands on {least} images or more.</p>' + page.coverage(result, before)
    populations = [(source, result["sources"][source]) for source, _, _ in page.sources_in_order(result)]
    having = [(name, figures) for name, figures in populations if figures[first]["repeated"]["shared_by"][0]["pairs"]]
    everything = ("all sources", result["all"])
    rows = [
        Dots(
            source,
            [
                _mark(figures[stage]["repeated"]["shared_by"][0], style, f"{source}, after {stage}")
                for stage, style in page.two_stages(first, last)
                if figures[stage]["pairs"]
            ],
            formatting.percent(figures[last]["repeated"]["shared_by"][0]["share"]),
        )
        for source, figures in [*having, everything]
    ]
    title = f"Share of pairs whose text stands on {before['shared_by'][0]['images']} images or more, by source"
    return (
        f'<p class="reading">{escape(_reading(after, last))}</p>'
        + page.chart(charts.dot_plot(rows, title, unit=100, suffix=" %"), *page.dot_keys(result))
        + _shares([*having, everything], first, last)
        + f"<h3>The texts on most images, all sources, after {escape(last)}</h3>"
        + _exactly(after, "all sources")
        + _groups(after["near"]["largest"], last)
        + "<details><summary>The same for each source</summary>"
        + "".join(
            f"<h3>{escape(source)}</h3>{_exactly(figures[last]['repeated'], source)}"
            + _groups(figures[last]["repeated"]["near"]["largest"], last)
            for source, figures in having
        )
        + "</details>"
        + page.coverage(result, after)
    )


def _reading(figures: Mapping[str, Any], stage: str) -> str:
    few, _, many = figures["shared_by"]
    if few["share"] is None:
        return f"No pair is left after {stage}."
    near = figures["near"]["shared_by"][0]["share"]  # None where these pairs are too few to be rounded
    said = (
        f"After {stage}, {formatting.percent(few['share'])} of pairs have a text that stands on {few['images']} images or "
        f"more, {formatting.percent(many['share'])} one on {formatting.count(many['images'])} or more"
    )
    if near is not None:
        share = formatting.percent(near)
        said += f"; with texts that are nearly one counted as one, {share} are on {few['images']} or more"
    return f"{said}."


def _mark(shared: Mapping[str, Any], style: str, title: str) -> Mark:
    said = f"{title}: {formatting.percent(shared['share'])}, {formatting.counted(shared['pairs'], 'pair')}"
    return Mark(shared["share"], None, None, style, said)


def _shares(having: Sequence[tuple[str, Mapping[str, Any]]], first: str, last: str) -> str:
    """Return the shares of pairs by threshold: exactly, by one user, nearly."""
    rows = []
    for source, populations in having:
        for stage, _ in page.two_stages(first, last):
            figures = populations[stage]["repeated"]
            exact = "".join(f"<td>{escape(formatting.percent(one['share']))}</td>" for one in figures["shared_by"])
            near = "".join(
                f"<td>{escape(formatting.percent(one['share']))}</td>" for one in figures["near"]["shared_by"]
            )
            pairs = populations[stage]["pairs"]
            mine = [one.get("one_user_pairs") for one in figures["shared_by"]]
            user = "".join(
                f"<td>{'–' if one is None or not pairs else escape(formatting.percent(one / pairs))}</td>"
                for one in mine
            )
            kind = ' class="total"' if source == "all sources" else ""
            rows.append(
                f'<tr{kind}><th scope="row">{escape(source)}</th><td class="words">after {escape(stage)}</td>'
                f"{exact}{user}{near}</tr>"
            )
    least = [formatting.count(one["images"]) for one in having[0][1][first]["repeated"]["shared_by"]]
    head = [f"{number}+ images" for number in least]
    head += [f"{number}+ of one user" for number in least] + [f"{number}+, nearly" for number in least]
    return page.table(["<source", "<", *head], rows, label="Pairs whose text stands on many images")


def _exactly(figures: Mapping[str, Any], name: str) -> str:
    return _largest(figures["largest"], "users", name, figures["shared_by"])


def _largest(
    texts: Sequence[Mapping[str, Any]], more: str, name: str, shared_by: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return the texts on most images, or that there are none, or that those that there are would tell of a few pairs."""
    if not texts and any(one["pairs"] for one in shared_by):
        return '<p class="soft">None is shown: beside another step it would tell of a few pairs.</p>'
    if not texts:
        return '<p class="soft">No text stands on so many.</p>'
    has_more = any(more in text for text in texts)
    rows = [
        f'<tr><th scope="row" class="wide">{isolated(text["text"] or "(punctuation alone)")}</th>'
        f"<td>{page.held(text, formatting.count(text['images']))}</td>"
        f"<td>{page.held(text, formatting.count(text['pairs']))}</td>"
        + (f"<td>{_number(text[more])}</td>" if has_more else "")
        + "</tr>"
        for text in texts
    ]
    head = ["<text, as it is compared", "images", "pairs", *([more] if has_more else [])]
    return page.table(head, rows, label=f"Texts on most images, {name}")


def _number(value: int | None) -> str:
    """Return a number of users or texts; one that is too small to be told says so, and of all sources there is none."""
    return escape(f"<{LEAST}") if value is None else formatting.count(value)


def _groups(groups: Sequence[Mapping[str, Any]], stage: str) -> str:
    """Return the groups of texts that are nearly one, each by the text on most images."""
    if not groups:
        return ""
    return f"<h4>Nearly one text, after {escape(stage)}</h4>" + _largest(groups, "texts", "nearly one text")


def overlap(result: Mapping[str, Any]) -> str:
    """Return the section on images that several sources show."""
    matrix = result["overlap"]
    if matrix is None or not matrix["images"]:
        return '<p class="reading">No image has been found yet.</p>'
    shared = {tuple(row["sources"]): row for row in matrix["pairs_of_sources"]}
    several = matrix["images"] - sum(row["only_here"] for row in matrix["by_source"])
    largest = max(matrix["pairs_of_sources"], key=lambda row: row["images"], default=None)
    share = formatting.percent(several / matrix["images"])
    are = formatting.verb(matrix["images"], "is", "are")
    reading = f"{share} of {formatting.counted(matrix['images'], 'image')} {are} in several sources"
    reading += (
        f"; {largest['sources'][0]} and {largest['sources'][1]} share most: {formatting.count(largest['images'])}."
        if largest is not None and largest["images"]
        else "."
    )
    names = [row["source"] for row in matrix["by_source"]]
    rows = []
    for number, row in enumerate(matrix["by_source"], start=1):
        cells = ""
        for other in names:
            if other == row["source"]:
                cells += "<td>–</td>"
                continue
            pair = shared[tuple(sorted((row["source"], other)))]
            share = pair["shares"][pair["sources"].index(row["source"])]
            verb = "is" if pair["images"] == 1 else "are"
            title = f"{formatting.counted(pair['images'], 'image')} of {row['source']} {verb} in {other}"
            shown = formatting.percent(share) if pair["images"] else "·"
            cells += f'<td title="{escape(title)}">{escape(shown)}</td>'
        rows.append(
            f"<tr><th scope='row'>{number} {escape(row['source'])}</th><td>{formatting.count(row['images'])}</td>"
            f"<td>{formatting.count(row['only_here'])}</td>{cells}</tr>"
        )
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + "<p class=\"soft\">Share of the row's images that the column's source shows too.</p>"
        + page.table(
            ["<source", "images", "only here", *(str(number + 1) for number in range(len(names)))],
            rows,
            label="Images that two sources have",
        )
        + f'<p class="coverage">{escape(result["methods"][matrix["method"]])}</p>'
    )
