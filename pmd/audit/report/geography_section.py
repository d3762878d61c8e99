"""The report's section on where photographs were taken, beside who lives there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.audit.report import formatting, page, worldmap
from pmd.audit.report.steps_section import NAMES
from pmd.escape import html as escape

#: Ratios to the share of people at which the map changes its colour.
_EDGES: Final = (0.125, 0.5, 2.0, 8.0)
_CLASSES: Final = ("under ⅛", "⅛ to ½", "½ to 2", "2 to 8", "over 8")
#: Countries that the table lists first and last; the others are folded in.
_RANKED: Final = 15
#: Photographs from which a country is ranked.
_LEAST_RANKED: Final = 30
_INCOMES: Final = {"high": "high", "upper_middle": "upper middle", "lower_middle": "lower middle", "low": "low"}


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    told = result["geography"]
    having = [
        (source, by_stage)
        for source, by_stage in told["sources"].items()
        if by_stage[result["stages"][0]]["coverage"]["measured"]
    ]
    parts = [_source(result, source, by_stage) for source, by_stage in having]
    is_data = "data_set" in result
    if not having:
        parts.append('<p class="reading">No photograph here lies in a country that is known.</p>')
        if is_data:  # which has no column of places: what would be needed for one is no matter of it
            suffixes = _suffixes(result)
            return "".join(parts) + suffixes if suffixes else ""
    return "".join(parts) + _needed(told, is_data=is_data) + _suffixes(result) + _disputed(result)


def _source(result: Mapping[str, Any], source: str, by_stage: Mapping[str, Any]) -> str:
    first, last = page.ends(result)
    after = by_stage[last]
    return (
        f'<p class="reading">{escape(_reading(result, source, by_stage))}</p>'
        + _map(result, source, after)
        + _incomes(source, by_stage, (first, last), [one["step"] for one in result["steps"]["steps"]])
        + _countries(result, source, after, last)
        + page.coverage(result, {"coverage": after["coverage"], "method": "geography"})
    )


def _reading(result: Mapping[str, Any], source: str, by_stage: Mapping[str, Any]) -> str:
    first, last = page.ends(result)
    after = by_stage[last]
    high = after.get("high_income")
    if high is not None and high["photographs"]["value"] is not None:
        photographs, people = high["photographs"], _class(after, "people")
        draw = photographs.get("another_draw", {})
        interval = draw.get("interval")
        ends = (
            f" (another draw of users: {formatting.percent(interval[0])} to {formatting.percent(interval[1])})"
            if interval
            else ""
        )
        lives = (
            f", which have {formatting.percent(people)} of the people of all countries of known income"
            if people is not None
            else ""
        )
        text = (
            f"{formatting.percent(photographs['value'])} of {source}'s photographs after {last} in a country of known income are "
            f"in high-income ones{ends}{lives}; of all its photographs, placed or not, between "
            f"{formatting.percent(photographs['bounds'][0])} and {formatting.percent(photographs['bounds'][1])}."
        )
        before = by_stage[first]["high_income"]["photographs"]["value"]
        return text if first == last or before is None else f"{text} After {first} it was {formatting.percent(before)}."
    rows = after["countries"]
    if not rows:
        return f"No country holds enough of {source}'s photographs after {last} to be shown."
    top = rows[0]
    name = result["labels"]["countries"].get(top["country"], top["country"])
    apart = (
        f", {formatting.ratio(top['to_people'])} times its share of the world's people" if "to_people" in top else ""
    )
    return f"{name} has {formatting.percent(top['share'])} of {source}'s placed photographs after {last}{apart}."


def _class(told: Mapping[str, Any], kind: str) -> float | None:
    found: float | None = told["incomes"][0][kind]["share"]
    return found


def _map(result: Mapping[str, Any], source: str, told: Mapping[str, Any]) -> str:
    names = result["labels"]["countries"]
    ratios = {row["country"]: row["to_people"] for row in told["countries"] if "to_people" in row}
    if not ratios:
        return ""
    titles = {
        row["country"]: _titled(names.get(row["country"], row["country"]), row)
        for row in told["countries"]
        if row["country"] in ratios
    }
    classes = {code: 1 + sum(ratio >= edge for edge in _EDGES) for code, ratio in ratios.items()}
    keys = [page.key(f"fill-{number}", name) for number, name in enumerate(_CLASSES, start=1)]
    title = f"{source}: share of photographs ÷ share of the world's people, by country"
    return "<h3>Photographs for people: share of photographs ÷ share of the world's people</h3>" + page.chart(
        worldmap.drawing(classes, titles, title), *keys, page.key("nothing", "none, or too few to show")
    )


def _titled(name: str, row: Mapping[str, Any]) -> str:
    """Return what a country of the map says when it is pointed at."""
    return (
        f"{name}: {page.held(row, formatting.count(row['pairs']))} photographs, {formatting.rate(row['per_million_people'])} a "
        f"million people, {formatting.ratio(row['to_people'])} times its share of people"
    )


def _incomes(source: str, by_stage: Mapping[str, Any], ends: tuple[str, str], taken: Sequence[str]) -> str:
    before, after = (by_stage[stage] for stage in ends)
    if "incomes" not in after:
        return ""
    earlier = {row["class"]: row for row in before["incomes"]}
    # A table of countries that tells no internet users has none to hide.
    rows, is_hidden = [], False
    for row in after["incomes"]:
        counted = (earlier[row["class"]]["pairs"], row["pairs"], row["users"])
        is_hidden |= any(cell["share"] is None for cell in counted)
        cells = [earlier[row["class"]]["pairs"]["share"]] if ends[0] != ends[1] else []
        cells += [row[kind]["share"] for kind in ("pairs", "users", "people", "internet_users")]
        rows.append(page.row(_INCOMES[row["class"]], *map(formatting.percent, cells)))
    head = [f"photographs after {ends[0]}"] if ends[0] != ends[1] else []
    head += [f"photographs after {ends[1]}", "users, by most of theirs", "people", "internet users"]
    return (
        f"<h3>By income class of the country, {escape(source)}</h3>"
        + page.table(["<income", *head], rows, label=f"{source}: by income class of the country")
        + '<p class="soft">Shares are of what lies, or lives, in a country that has a class.'
        + (" –: none, or too few to show.</p>" if is_hidden else "</p>")
        + _added_up(after["added_up"])
        + _high_by_step(source, {step: by_stage[step] for step in taken})
    )


#: What classes are called that are the told countries' alone.
_OF_KINDS: Final = {"pairs": "photographs", "users": "users"}


def _added_up(kinds: Sequence[str]) -> str:
    """Return of what kinds the classes are those of the told countries alone."""
    if not kinds:
        return ""
    said = " and ".join(_OF_KINDS[kind] for kind in kinds)
    return (
        f'<p class="soft">Of {said}: the countries of each class that are told after the first step and after the last, added '
        "up. The whole class would tell of a few pairs or users in another country.</p>"
    )


def _high_by_step(source: str, by_stage: Mapping[str, Any]) -> str:
    """Return the share of high income after every step, by photograph and by user, with what it rests on."""
    rows, hidden = [], dict[str, list[str]]()
    for kind in ("photographs", "users"):
        for step, told in by_stage.items():
            high = told.get("high_income", {}).get(kind)
            if high is None or high["value"] is None:
                hidden.setdefault(kind, []).append(NAMES.get(step, step))
                continue
            draw = high.get("another_draw", {})
            drawn = formatting.between(draw["interval"]) if draw.get("interval") else draw.get("refused", "–")
            rows.append(
                page.row(
                    f"after {NAMES.get(step, step)}",
                    page.Words(kind),
                    formatting.percent(high["value"]),
                    formatting.count(high["known"]),
                    page.Words(drawn),
                    page.Words(formatting.between(high["bounds"])),
                )
            )
    if not rows:
        return ""
    head = (
        "<step",
        "<of",
        "share of high income",
        "that have a class",
        "<another draw of users",
        "<of all, with and without a place",
    )
    return (
        f"<h3>High income after every step, {escape(source)}</h3>"
        + '<p class="soft">Of photographs with a geotag, and of users by where most of theirs are. The last column has the worst '
        "cases: none or all of those without a place are there.</p>"
        + page.table(head, rows, label=f"Share from high-income countries, {source}, after every step", shown=True)
        + "".join(
            f'<p class="soft">Of {kind} no share is told after {escape(", ".join(steps))}: beside the others it would tell of '
            "a few.</p>"
            for kind, steps in hidden.items()
        )
    )


def _countries(result: Mapping[str, Any], source: str, told: Mapping[str, Any], last: str) -> str:
    ranked = [row for row in told["countries"] if "to_people" in row and row["pairs"] >= _LEAST_RANKED]
    ranked.sort(key=lambda row: (-row["to_people"], row["country"]))
    if not ranked:
        return ""
    names = result["labels"]["countries"]
    has_users = any("to_internet_users" in row for row in ranked)
    rows = [_country(names.get(row["country"], row["country"]), row, has_users=has_users) for row in ranked]
    head = ["<country", "photographs", "share", "users", "share of users", "per million people", "× people"]
    head += ["per million internet users", "× internet users"] if has_users else []
    short = len(rows) > 2 * _RANKED
    label = f"{source}: countries by photographs for people"
    shown = page.table(head, [*rows[:_RANKED], *rows[-_RANKED:]] if short else rows, label=label)
    all_ = page.table(head, rows, label=f"{label}, all of them")
    whole = f"<details><summary>All {len(rows)} countries</summary>{all_}</details>" if short else ""
    ends = f": the first and the last {_RANKED} of {len(rows)}" if short else ""
    return (
        f"<h3>{escape(source)} after {escape(last)}: countries by photographs for people</h3>"
        f'<p class="soft">Countries with {_LEAST_RANKED} photographs or more{ends}. “× people”: share of photographs ÷ share of '
        "the world's people; users count once, where most of their photographs are."
        + (" × internet users: of the countries alone whose internet users the table has.</p>" if has_users else "</p>")
        + shown
        + whole
    )


def _country(name: str, row: Mapping[str, Any], *, has_users: bool) -> str:
    cells = [page.held(row, formatting.count(row["pairs"])), formatting.percent(row["share"])]
    cells += [formatting.count(row.get("users")), formatting.percent(row.get("user_share"))]
    cells += [formatting.rate(row["per_million_people"]), formatting.ratio(row["to_people"])]
    if has_users:
        online = row.get("per_million_internet_users")
        cells += ["–", "–"] if online is None else [formatting.rate(online), formatting.ratio(row["to_internet_users"])]
    return page.row(name, *cells)


def _needed(told: Mapping[str, Any], *, is_data: bool) -> str:
    """Return what is missing, and how to get it; the audit of a data set takes no table of countries."""
    parts = []
    if "absent" in told["population"]:
        parts.append(
            f"No populations: {escape(told['population']['absent'])}. Run <code>{escape(told['population']['remedy'])}</code>, "
            "then the audit again."
        )
    if "absent" in told["reference"] and not is_data:
        wanted = "; ".join(map(escape, told["reference"]["download"]))
        parts.append(
            "No income classes and internet users: no package has them. Download them by name, "
            f"{wanted}; write them as a CSV file with the columns country, year, income_class and internet_users_percent, and "
            "name it: <code>[audit.reference] countries = &quot;countries.csv&quot;</code>."
        )
    return "".join(f'<p class="notice">{part}</p>' for part in parts)


def _suffixes(result: Mapping[str, Any]) -> str:
    """Return the countries of hosts' domains: a second view, of all sources that have URLs."""
    first, last = page.ends(result)
    told = result["geography"]
    names = result["labels"]["countries"]
    parts = []
    for source, by_stage in told["suffixes"].items():
        rows = sorted(by_stage[last]["shares"], key=lambda row: (-row["pairs"], row["value"]))[:_RANKED]
        earlier = {row["value"]: row["share"] for row in by_stage[first]["shares"]}
        if not rows:
            continue
        cells = [
            page.row(
                names.get(row["value"], row["value"]),
                page.held(row, formatting.count(row["pairs"])),
                formatting.percent(earlier.get(row["value"])),
                formatting.percent(row["share"]),
            )
            for row in rows
        ]
        head = ["<domain of", f"pairs after {last}", *(f"share of these after {stage}" for stage in (first, last))]
        covered = by_stage[last]["coverage"]
        parts.append(
            f"<h4>{escape(source)}: {escape(formatting.percent(covered['share']))} of pairs lie under a country's domain</h4>"
            + page.table(head, cells, label=f"{source}: countries of hosts' domains")
        )
    if not parts:
        return ""
    sold = ", ".join(f".{name}" for name in told["sold_abroad"])
    return (
        "<details><summary>A second view: the countries of hosts' domains</summary><p>A site's domain says where it is "
        f"registered or whom it speaks to, and not where a picture was taken. Left out, since they are sold to anyone: "
        f"{escape(sold)}.</p>" + "".join(parts) + "</details>"
    )


def _disputed(result: Mapping[str, Any]) -> str:
    names = result["labels"]["countries"]
    rows = [
        f"<tr><th scope='row'>{escape(one['land'])}</th>"
        f"<td class='words'>{escape(names.get(one['counted_as'], one['counted_as']))}</td>"
        f"<td class='words'>{escape(', '.join(names.get(code, code) for code in one['claimed_by']))}</td>"
        f"<td class='words'>{escape(one['by'])}</td></tr>"
        for one in result["geography"]["disputed"]
    ]
    return (
        "<details><summary>Disputed land: what it is counted as</summary><p>A rule of counting and no opinion on whose the land "
        "is: as the United Nations count it where time zones tell it apart, else as its time zone has it.</p>"
        + page.table(["<land", "<counted as", "<also claimed by", "<by"], rows, label="Disputed land")
        + "</details>"
    )
