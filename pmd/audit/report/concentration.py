"""The report's sections on how few users and hosts hold how many pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pmd.audit.report import charts, formatting, page
from pmd.audit.report.charts import Bar
from pmd.escape import html as escape
from pmd.escape import isolated


def users(result: Mapping[str, Any]) -> str:
    """Return the section on users."""
    first, last = page.ends(result)
    having = [
        (source, result["sources"][source])
        for source, _, _ in page.sources_in_order(result)
        if "distinct" in result["sources"][source][first]["users"]
    ]
    if not having:
        coverage = page.coverage(result, result["all"][first]["users"])
        return '<p class="reading">No source here names its users.</p>' + coverage
    reading = _most_concentrated([(source, populations[last]["users"]) for source, populations in having], last)
    coverage = page.coverage(result, result["all"][last]["users"])
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + _curves(result, having, "users")
        + _concentration_table(result, having, "users")
        + coverage
    )


def _most_concentrated(figures: Sequence[tuple[str, Mapping[str, Any]]], stage: str) -> str:
    """Return where users are most concentrated, of the sources with enough of them."""
    known = [(users["top_1_percent"], source) for source, users in figures if users.get("top_1_percent") is not None]
    if not known:
        return "There are too few users here for the most active 1 % of them to mean anything."
    share, source = max(known)
    users = dict(figures)[source]
    return (
        f"After {stage}, the most active 1 % of users hold {formatting.percent(share)} of the pairs of {source}, where they are "
        f"most concentrated; {formatting.count(users['hold_half'])} of {formatting.count(users['distinct']['value'])} "
        f"{formatting.verb(users['hold_half'], 'holds', 'hold')} half."
    )


def hosts(result: Mapping[str, Any]) -> str:
    """Return the section on hosts."""
    first, last = page.ends(result)
    having = [
        (source, result["sources"][source])
        for source, _, _ in page.sources_in_order(result)
        if "distinct" in result["sources"][source][first]["hosts"]
    ]
    before, after = result["all"][first]["hosts"], result["all"][last]["hosts"]
    if "distinct" not in before:
        return '<p class="reading">No pair here has an image URL.</p>' + page.coverage(result, before)
    largest = after.get("largest", [])
    seen = after["coverage"]["measured"]
    earlier = {row["host"]: row["share"] for row in before["largest"]}
    bars = [
        Bar(
            row["host"],
            [row["share"]] if first == last else [earlier.get(row["host"]), row["share"]],
            f"{formatting.count(row['pairs'])} of {formatting.count(seen)}"
            if seen < formatting.FEW
            else page.held(row, formatting.percent(row["share"])),
            f"{row['host']}: {page.held(row, formatting.percent(row['share']))} of pairs with an image URL after {last}",
        )
        for row in largest[:15]
    ]
    reading = (
        f"Ten of {formatting.count(after['distinct']['value'])} registrable domains hold "
        f"{formatting.percent(after['top_10'])} of the pairs with an image URL after {last}."
        if seen and after["distinct"]["value"] > 10 and after["top_10"] is not None
        else f"{_domains(after['distinct']['value'])} all pairs with an image URL after {last}."
        if seen
        else f"No pair with an image URL is left after {last}."
    )
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + page.bars(result, bars, "The largest hosts")
        + page.behind(
            ("<host", *page.two_columns(result, "pairs", "share")),
            page.shares_of_two(result, "hosts", ("largest", "host", "pairs"), {}),
            "The largest hosts, all sources",
        )
        + _curves(result, having, "hosts")
        + _concentration_table(result, having, "hosts")
        + page.coverage(result, after)
    )


def _domains(number: int) -> str:
    return formatting.counted(number, "registrable domain") + (" holds" if number == 1 else " hold")


def _curves(result: Mapping[str, Any], having: Sequence[tuple[str, Mapping[str, Any]]], kind: str) -> str:
    """Return one concentration curve a source; none where a curve of so few units would only be steps."""
    first, last = page.ends(result)
    figures = []
    for source, populations in having:
        units = populations[first][kind]
        if not units["curve"]:
            continue
        series = [
            (style, [(x, y) for x, y in populations[stage][kind]["curve"]])
            for stage, style in page.two_stages(first, last)
            if populations[stage][kind].get("curve")
        ]
        title = f"{source}: share of pairs that the largest {kind} hold"
        followed = f"all {formatting.count(units['distinct']['value'])} {kind}"
        figures.append(
            f"<figure><h3>{escape(source)}</h3>{charts.curve(series, title)}"
            f'<p class="soft">Largest … % of {kind} (across) hold … % of pairs (up); {escape(followed)}.</p></figure>'
        )
    if not figures:
        return ""
    keys = "".join((*page.before_after(result), page.key("even", "if all had alike")))
    return f'<p class="keys">{keys}</p><div class="small">{"".join(figures)}</div>'


def _concentration_table(result: Mapping[str, Any], having: Sequence[tuple[str, Mapping[str, Any]]], kind: str) -> str:
    first, last = page.ends(result)
    rows = []
    for source, populations in having:
        for stage, _ in page.two_stages(first, last):
            units = populations[stage][kind]
            if "distinct" not in units:
                continue
            same = units["two_pairs_share_one"]
            chance = "–" if same is None else "none" if same == 0 else f"1 in {formatting.short(1 / same)}"
            cells = (
                f"<tr><th scope='row'>{escape(source)}</th><td class='words'>after {escape(stage)}</td>"
                f"<td>{formatting.count(units['distinct']['value'])}</td><td>{formatting.count(units['hold_half'])}</td>"
                f"<td>{'–' if units['gini'] is None else escape(formatting.ratio(units['gini']))}</td>"
                f"<td>{escape(formatting.percent(units['top_1_percent']))}</td><td>{chance}</td>"
            )
            if kind == "hosts":
                top = units["largest"][0] if units["largest"] else None
                cells += f"<td>{escape(formatting.percent(units['top_10']))}</td>" + (
                    f"<td class='words'>{isolated(top['host'])} {escape(page.held(top, formatting.percent(top['share'])))}</td>"
                    if top
                    else "<td>–</td>"
                )
            rows.append(cells + "</tr>")
    head = [
        "<source",
        "<",
        kind,
        "hold half of the pairs",
        "Gini's coefficient",
        f"top 1 % of {kind}",
        "two pairs share one",
    ]
    if kind == "hosts":
        head += ["top 10", "<largest"]
    return page.table(head, rows, label=f"Concentration of {kind}, by source")
