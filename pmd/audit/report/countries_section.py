"""The report's section on the countries of geotags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pmd.audit.report import formatting, page
from pmd.audit.report.charts import Bar
from pmd.escape import html as escape

#: What is amiss with numbers that are no geotag → what may help.
_REMEDIES: Final = {
    "no decimal degrees": "write them as decimal degrees, with a point and a sign: 48.85 and -2.35",
    "latitude beyond 90": "perhaps both columns are taken for each other: name them, --column latitude=… --column longitude=…",
    "longitude beyond 180": "perhaps they are counted eastwards to 360: take 360 off those over 180",
}


def countries(result: Mapping[str, Any]) -> str:
    """Return the section on the countries of geotags."""
    first, last = page.ends(result)
    before, after = result["all"][first]["countries"], result["all"][last]["countries"]
    names = result["labels"]["countries"]
    amiss = _amiss(before)
    if not before["coverage"]["measured"]:
        return f'<p class="reading">No pair here has a geotag.</p>{amiss}' + page.coverage(result, before)
    earlier = {row["country"]: row["share"] for row in before["shares"]}
    at_sea = after["no_country"]
    placed = after["coverage"]["measured"] - at_sea
    few = placed < formatting.FEW
    bars = [
        Bar(
            names.get(row["country"], row["country"]),
            [row["share"]] if first == last else [earlier.get(row["country"]), row["share"]],
            f"{row['pairs']} of {placed}"
            if few
            else page.held(row, f"{formatting.percent(row['share'])}  ({formatting.short(row['pairs'])})"),
            f"{names.get(row['country'], row['country'])}: {page.held(row, formatting.counted(row['pairs'], 'pair'))}, "
            f"{formatting.percent(row['share'])} of those with a country after {last}",
        )
        for row in after["shares"][:20]
    ]
    rest = (
        '<p class="coverage">Shares are of the pairs whose geotag lies in a country; '
        f"{formatting.count(at_sea)} more {formatting.verb(at_sea, 'is', 'are')} at sea or in no single one. "
        f"Countries not shown: {escape(formatting.percent(_share_of_others(after)))}.</p>"
    )
    return (
        f'<p class="reading">{escape(_reading(after, last, names))}</p>'
        + page.bars(result, bars, "Countries of geotags")
        + page.behind(
            ("<country", *page.two_columns(result, "pairs", "share")),
            page.shares_of_two(result, "countries", ("shares", "country", "pairs"), result["labels"]["countries"]),
            "Countries of geotags, all sources",
        )
        + rest
        + amiss
        + page.coverage(result, after)
    )


def _reading(after: Mapping[str, Any], last: str, names: Mapping[str, str]) -> str:
    placed = after["coverage"]["measured"] - after["no_country"]
    top = after["shares"][:3]
    share = sum(row["share"] for row in top)
    if not after["coverage"]["measured"]:
        return f"No pair with a geotag is left after {last}."
    if placed < formatting.FEW:
        pairs = (
            f"{formatting.counted(placed, 'pair')} with a geotag {formatting.verb(placed, 'lies', 'lie')} in a country"
        )
        return f"Only {pairs}: too few to speak of shares." if placed else "No pair with a geotag lies in a country."
    if not top:
        return f"No country holds enough of the {formatting.count(placed)} pairs with a geotag to be shown."
    three = ", ".join(names.get(row["country"], row["country"]) for row in top)
    return (
        f"{formatting.percent(share)} of the pairs with a geotag in a country are from {len(top)} of "
        f"{after['distinct']} countries: {three}."
        if after["distinct"] > len(top)
        else f"All pairs with a geotag{' in a country' if after['no_country'] else ''} are from {three}."
    )


def _amiss(countries: Mapping[str, Any]) -> str:
    """Return what is amiss with numbers for places that are no geotags, and what may help; nothing where nothing is."""
    said = [
        f"{formatting.counted(pairs, 'row')} with {escape(what)} ({escape(_REMEDIES[what])})"
        for what, pairs in countries.get("amiss", {}).items()
    ]
    return f'<p class="notice"><b>Not read as places:</b> {"; ".join(said)}.</p>' if said else ""


def _share_of_others(countries: Mapping[str, Any]) -> float:
    return float((countries["other"] or 0.0) + sum(row["share"] for row in countries["shares"][20:]))
