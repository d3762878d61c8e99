"""The report's section on what each step did to whom: inclusion ratios, and whom link rot removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pmd import flow
from pmd.audit.counting.measure import ASKED
from pmd.audit.report import formatting, page, ratios
from pmd.audit.report.ratios import Ratio
from pmd.escape import html as escape
from pmd.escape import isolated

#: Steps as the page calls them.
NAMES: Final = {ASKED: "opt-outs and blocks", flow.FETCH.name: "dead links"}
#: Values of each kind that are drawn, those with most pairs.
_DRAWN: Final = 6
#: Ends of what the sentence names.
_EXTREMES: Final = 3

#: Sections of tests that ask of units, and not of pairs → what these are called.
OF_SIZES: Final = {"user_sizes": "users", "host_sizes": "hosts"}

_VALUES: Final = {
    "upper_middle": "upper middle",
    "lower_middle": "lower middle",
    "neither": "neither female nor male",
}


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    told = result["steps"]
    lost = {
        source: one for source, one in told["sources"].items() if one["pairs"] and one["pairs"][0] > one["pairs"][-1]
    }
    body = _filter(told)
    method = f'<p class="coverage">{escape(result["methods"]["steps"])}</p>'
    if not lost:
        return f'<p class="reading">{escape(whom(result))}</p>' + body + method
    ordered = [source for source, _, _ in page.sources_in_order(result) if source in lost]
    most = max(ordered, key=lambda source: lost[source]["pairs"][0])
    rows = _rows(result, most)
    keys = (
        page.key("hollow", "dead links alone"),
        page.key("filled", "all steps after curate"),
        page.key("line", "as all pairs"),
    )
    title = f"Inclusion ratios of {most}, by step"
    drawing = "".join(page.chart(drawn, *keys) for drawn in ratios.charts_of(rows, title))
    return (
        f'<p class="reading">{escape(whom(result))}</p>'
        + (f"<h3>{escape(most)}: share kept, beside the share kept of all its pairs</h3>{drawing}" if rows else "")
        + "".join(
            f"<details><summary>{escape(source)}: every step</summary>{_tables(result, source)}</details>"
            for source in ordered
        )
        + body
        + method
    )


def whom(result: Mapping[str, Any]) -> str:
    """Return whom link rot removed, in one sentence or two."""
    rotten = {
        source: one["link_rot"]
        for source, one in result["steps"]["sources"].items()
        if one.get("link_rot", {}).get("lost")
    }
    if flow.FETCH.name not in result["stages"]:
        return "Nothing has been fetched yet, so no link is known to be dead."
    if not rotten:
        return "No pair was lost to a dead link."
    source = max(sorted(rotten), key=lambda name: rotten[name]["before"])
    rot = rotten[source]
    extremes = [_extreme(result, one) for one in rot["extremes"][:_EXTREMES]]
    ends = f": {'; '.join(extremes)}" if extremes else ", alike of all that could be told apart"
    return (
        f"Link rot removed {formatting.percent(rot['share'])} of {source}'s {formatting.counted(rot['before'], 'pair')} that "
        f"{formatting.verb(rot['before'], 'was', 'were')} asked for{ends}. {_tested(result, source)}"
    )


def _extreme(result: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    by = result["steps"]["by"][one["by"]]
    about = "" if one["exact"] else " of the texts that were read"
    most, least = one["most"], one["least"]
    few = "hardly any" if least["hardly"] else formatting.percent(least["lost"])
    return (
        f"by {by}, {formatting.percent(most['lost'])}{about} for {value(result, one['by'], most['value'])} and {few} for "
        f"{value(result, one['by'], least['value'])}"
    )


def _tested(result: Mapping[str, Any], source: str) -> str:
    """Return whether the tests that know users and hosts call it uneven."""
    tests = [test for test in result["tests"] if test["source"] == source and test["stage"] == flow.FETCH.name]
    found = [value(result, test["section"], test["property"]) for test in tests if test["finding"]]
    if found:
        return f"Tests clustered by user or host call it uneven for {', '.join(found)}."
    if any(test["refused"] is None for test in tests if test["section"] not in OF_SIZES):
        return "No test clustered by user or host calls it uneven for what pairs show."
    return (
        "Whether it was uneven for what pairs show cannot be tested: too little was lost, or few users or hosts decide."
    )


def value(result: Mapping[str, Any], by: str, name: str) -> str:
    """Return what a value is called, of those that the steps or the tests tell pairs apart by."""
    labels = result["labels"]
    if by in {"country", "countries"}:
        return str(labels["countries"].get(name, name))
    if by == "language":
        return str(labels["languages"].get(name, name))
    if by in {"income", "incomes"}:
        return f"{_VALUES.get(name, name)} income"
    for kind in ("user", "host"):
        if by.startswith(f"{kind}_size"):
            return f"{kind}s with {name} pair" + ("" if name == "1" else "s")
    return {**_VALUES, "en": "English", "english": "English"}.get(name, name)


def _rows(result: Mapping[str, Any], source: str) -> list[Ratio]:
    told = result["steps"]
    at = next((place for place, one in enumerate(told["steps"]) if one["step"] == flow.FETCH.name), None)
    rows: list[Ratio] = []
    for by, table in told["sources"][source]["by"].items():
        having = [row for row in table["rows"] if row["ratio"] is not None]
        largest = sorted(having, key=lambda row: -(row["pairs"][0] or 0))[:_DRAWN]
        some = [row for row in having if row in largest]
        if some:
            rows.append(Ratio(told["by"][by]))
        for row in some:
            name = value(result, by, row["value"])
            marks = []
            if at is not None and row["ratios"][at] is not None:
                marks.append(
                    (row["ratios"][at], "before", f"{name}: {formatting.ratio(row['ratios'][at])} by dead links")
                )
            marks.append((row["ratio"], "after", f"{name}: {formatting.ratio(row['ratio'])} by all steps"))
            held = page.HELD if row["as_before"][-1] else ""
            note = f"{held}{formatting.ratio(row['ratio'])}  of {formatting.short(row['pairs'][0])}"
            rows.append(Ratio(name[:40], marks, note, faint=(row["pairs"][0] or 0) < formatting.FEW))
    return rows


def _tables(result: Mapping[str, Any], source: str) -> str:
    told = result["steps"]
    names = [NAMES.get(one["step"], one["step"]) for one in told["steps"]]
    one = told["sources"][source]
    kept = "".join(f"<td>{escape(formatting.percent(share))}</td>" for share in one["kept"][1:])
    first = (
        f'<tr class="total"><th scope="row">share kept of all pairs</th><td>{formatting.count(one["pairs"][0])}</td>'
        f"{kept}<td></td></tr>"
    )
    parts = [
        page.table(
            ["<", f"pairs after {names[0]}", *names[1:], "all"], [first], label=f"{source}: share kept at every step"
        )
    ]
    for by, table in one["by"].items():
        rows = [
            f'<tr><th scope="row">{isolated(value(result, by, row["value"]))}</th><td>{formatting.count(row["pairs"][0])}</td>'
            + "".join(
                _cell(ratio, interval, held=held)
                for ratio, interval, held in zip(
                    [*row["ratios"][1:], row["ratio"]],
                    [*row["intervals"][1:], row["interval"]],
                    [*row["as_before"][1:], row["as_before"][-1]],
                    strict=True,
                )
            )
            + "</tr>"
            for row in table["rows"]
        ]
        if rows:
            about = "" if table["exact"] else ", of the texts that were read"
            about += ", of the countries that are told" if table["added_up"] else ""
            parts.append(f"<h4>Inclusion ratio by {escape(told['by'][by])}{about}</h4>")
            label = f"{source}: inclusion ratio by {told['by'][by]}"
            parts.append(page.table(["<", f"pairs after {names[0]}", *names[1:], "all"], rows, label=label))
    return "".join(parts)


def _cell(ratio: float | None, interval: list[float] | None, *, held: bool) -> str:
    if ratio is None:
        return "<td>–</td>"
    ends = "" if interval is None else f" <small>{escape(formatting.ratios(interval))}</small>"
    return f"<td>{page.HELD if held else ''}{escape(formatting.ratio(ratio))}{ends}</td>"


def _filter(told: Mapping[str, Any]) -> str:
    """Return what the sources' own filters removed, by reason: nothing else is known of it."""
    rows = []
    for source, one in told["filter"].items():
        reasons = sorted(one["reasons"].items(), key=lambda item: (-item[1], item[0]))[:3]
        said = ", ".join(f"{reason} {formatting.short(count)}" for reason, count in reasons)
        rows.append(
            f'<tr><th scope="row">{escape(source)}</th><td>{formatting.count(one["in"])}</td>'
            f"<td>{escape(formatting.percent(one['kept_share']))}</td><td class='wide'>{escape(said)}</td></tr>"
        )
    if not rows:
        return ""
    return (
        "<h3>The sources' own filters</h3><p>What curate rejects is kept without text, place and user, so it is told by source "
        "and by reason alone.</p>"
        + page.table(
            ["<source", "rows read", "kept", "<most rejected for"], rows, label="What the sources' filters kept"
        )
    )
