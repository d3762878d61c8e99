"""The figures as one page that needs nothing else: neither network nor scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pmd.audit.report import charts, formatting
from pmd.audit.report.charts import Bar, Dots, Mark
from pmd.audit.report.page import chart, key, table
from pmd.audit.report.style import CSS
from pmd.config.reasons import REASONS
from pmd.escape import html as escape
from pmd.fetch.ledger.asked import ALL
from pmd.refresh import figures
from pmd.schema.statuses import OK

_TITLE: Final = "What is still there"
#: Hosts that are drawn; the table has more.
_HOSTS: Final = 15

_REFUSED: Final[Mapping[str, str]] = {
    figures.TOO_FEW_WAVES: f"A half-life is told from {figures.WAVES} waves on",
    figures.NO_TIME: "It is not known when the images were fetched",
    figures.NONE_GONE: "None of the images that were asked for again has gone, so there is no half-life to tell",
    figures.ALL_GONE: "All images that were asked for again have gone",
    "too few": "Too few hosts for an interval",
    "too concentrated": "One host has too many of the images for an interval",
}

LIMITS: Final = (
    "An image is alive where its address, or a mirror's, gives a picture that the fetch would keep. Another picture at the same "
    "address is not noticed, unless it is a placeholder that is known.",
    "What a host refuses for the moment (too many requests, an error of its own, no answer in time) counts as not alive; the "
    "column “maybe” has how many these are.",
    "Intervals of another draw are those of many more such hosts: a host that goes takes all its images with it. They do not "
    "cover what becomes of all hosts at once.",
    "A half-life supposes that images go at one rate, whatever their age. Where the waves above tell otherwise, it tells little.",
    "Hosts of few images are summed up, so that no person's page is named.",
)


def html(found: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        found: What `results.gather` returns.
    """
    body = "\n".join(_sections(found))
    return (
        '<!doctype html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{_TITLE}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n<h1>{_TITLE}</h1>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _sections(found: Mapping[str, Any]) -> Iterator[str]:
    fetched = found["fetched"]
    if not fetched["images"]:
        yield '<p class="lead">No image of these lists was asked for on the web.</p>'
        return
    yield _lead(found)
    yield _by_source(fetched)
    yield _by_status(fetched)
    yield _by_host(fetched)
    yield _by_day(fetched)
    yield _waves(found)
    yield (
        '<h2 id="limits">What this cannot tell</h2>\n<ul>'
        + "".join(f"<li>{escape(limit)}</li>" for limit in LIMITS)
        + "</ul>"
    )


def _lead(found: Mapping[str, Any]) -> str:
    fetched = found["fetched"]
    tiles = [
        (
            formatting.percent(fetched["share"]),
            f"of {formatting.counted(fetched['images'], 'image')} "
            + formatting.verb(fetched["images"], "was there when it was fetched", "were there when they were fetched"),
        )
    ]
    if found["waves"]:
        last = found["waves"][-1]
        of_all = last["sources"][0]
        tiles.append(
            (
                formatting.percent(of_all["share"]),
                f"of those were still there on {last['wave']}, by a sample of {formatting.count(of_all['asked'])}",
            )
        )
    if found["half_life"]["days"] is not None:
        tiles.append(
            (f"{found['half_life']['days']:,.0f} days", "until half of them are gone, at the rate of all waves")
        )
    drawn = "".join(
        f'<div class="tile"><b>{escape(figure)}</b><span>{escape(words)}</span></div>' for figure, words in tiles
    )
    return (
        '<p class="lead">Which images of the web could be had when they were asked for, and how many of these are still there. '
        "Images out of upstream's own archives are not counted.</p>"
        f'<div class="tiles">{drawn}</div>'
    )


def title(source: str) -> str:
    """Return how a source, or all of them, stands in a table."""
    return "all sources" if source == ALL else source


def _dots(rows: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any], int]]) -> list[Dots]:
    """Return rows of a dot plot: (label, figures, interval, images)."""
    found = []
    for label, row, interval, images in rows:
        low, high = interval["interval"] or (None, None)
        between = "" if low is None else f" ({formatting.percent(low)} to {formatting.percent(high)})"
        title = f"{label}: {formatting.percent(row['share'])}{between} of {formatting.counted(images, 'image')}"
        note = f"{formatting.percent(row['share'])} of {formatting.short(images)}"
        found.append(Dots(label, [Mark(row["share"] or 0.0, low, high, "after", title)], note))
    return found


def _by_source(fetched: Mapping[str, Any]) -> str:
    rows = fetched["sources"]
    dots = _dots([(title(row["source"]), row, row["another_draw"], row["images"]) for row in rows])
    cells = [
        _row([title(row["source"])], formatting.count(row["images"]), formatting.count(row["alive"]),
             formatting.percent(row["share"]), formatting.count(row["hosts"]), interval(row["another_draw"]))
        for row in rows
    ]  # fmt: skip
    return (
        '<h2 id="sources">By source</h2>\n<p class="reading">The share that was there when it was fetched.</p>'
        + chart(
            charts.dot_plot(dots, "Share of the images that was there, by source", unit=100, suffix="\u00a0%"),
            key("after", "share; the line, where there is one, is its 95 % interval of another draw of such hosts"),
        )
        + table(
            ("source", "images", "alive", "share", "hosts", "another draw"),
            cells,
            label="Images that were there, by source",
        )
    )


def _row(words: Sequence[str], *figures: str) -> str:
    heads = "".join(f'<td class="words">{escape(word)}</td>' for word in words)
    return f"<tr>{heads}{''.join(f'<td>{escape(figure)}</td>' for figure in figures)}</tr>"


def interval(said: Mapping[str, Any]) -> str:
    """Return an interval in words, or why there is none."""
    if said["interval"] is None:
        return said["refused"] or "–"
    low, high = said["interval"]
    return f"{formatting.percent(low, high - low)} to {formatting.percent(high, high - low)}"


def _by_status(fetched: Mapping[str, Any]) -> str:
    names = {row["source"] for row in fetched["statuses"]}
    sources = [ALL, *sorted(names - {ALL})]
    counts = {(row["source"], row["status"]): row["images"] for row in fetched["statuses"]}
    lost = sorted(
        {status for source, status in counts if source == ALL and status != OK},
        key=lambda status: (-counts[ALL, status], status),
    )
    if not lost:
        return ""
    cells = [
        _row([status, REASONS[status][1] if status in REASONS else "gone, and had from a web archive"],
             *(formatting.count(counts.get((source, status), 0)) for source in sources))
        for status in lost
    ]  # fmt: skip
    bars = [
        Bar(
            status,
            [counts[ALL, status] / fetched["images"]],
            f"{formatting.percent(counts[ALL, status] / fetched['images'])} of {formatting.short(fetched['images'])}",
            f"{status}: {formatting.count(counts[ALL, status])} of {formatting.count(fetched['images'])}",
        )
        for status in lost
    ]
    return (
        '<h2 id="reasons">By reason</h2>\n<p class="reading">Why images could not be had, as shares of all that were asked.</p>'
        + chart(charts.bar_list(bars, ["after"], "Share of the images that could not be had, by reason"))
        + table(
            ("status", "<what it says", *map(title, sources)), cells, label="Images that could not be had, by reason"
        )
    )


def _by_host(fetched: Mapping[str, Any]) -> str:
    hosts, others = fetched["hosts"], fetched["other_hosts"]
    if not hosts:
        return ""
    bars = [
        Bar(row["host"], [row["share"]], f"{formatting.percent(row['share'])} of {formatting.short(row['images'])}",
            f"{row['host']}: {formatting.count(row['alive'])} of {formatting.count(row['images'])}")
        for row in hosts[:_HOSTS]
    ]  # fmt: skip
    rest = (
        f"<p>{formatting.counted(others['hosts'], 'other host')} {formatting.verb(others['hosts'], 'has', 'have')} "
        f"{formatting.counted(others['images'], 'image')}, of which "
        f"{formatting.count(others['alive'])} {formatting.verb(others['alive'], 'was', 'were')} there.</p>"
        if others["images"]
        else ""
    )
    return (
        '<h2 id="hosts">By host</h2>\n<p class="reading">The domains with most images, and the share of these that was there.</p>'
        + chart(charts.bar_list(bars, ["after"], "Share of the images that was there, by host"))
        + rest
    )


def _by_day(fetched: Mapping[str, Any]) -> str:
    days = [row for row in fetched["days"] if row["source"] == ALL]
    cells = [
        _row(
            [row["day"]],
            formatting.count(row["images"]),
            formatting.count(row["alive"]),
            formatting.percent(row["share"]),
        )
        for row in days
    ]
    dots = [
        Dots(
            row["day"],
            [Mark(row["share"], None, None, "after", f"{row['day']}: {formatting.percent(row['share'])}")],
            f"{formatting.percent(row['share'])} of {formatting.short(row['images'])}",
        )
        for row in days
    ]
    return (
        '<h2 id="days">By day of the fetch</h2>\n<p class="reading">The share that was there, by the day that settled it.</p>'
        + chart(charts.dot_plot(dots, "Share of the images that was there, by day", unit=100, suffix="\u00a0%"))
        + table(("settled on", "images", "alive", "share"), cells, label="Images that were there, by day")
    )


def _waves(found: Mapping[str, Any]) -> str:
    heading = '<h2 id="waves">Asked again</h2>\n'
    if not found["waves"]:
        return (
            heading
            + "<p>Nobody has asked again yet: <code>pmd refresh CONFIG</code> asks a sample of what was there.</p>"
        )
    dots = _dots(
        [
            (wave["wave"], wave["sources"][0], wave["sources"][0]["another_draw"], wave["sources"][0]["asked"])
            for wave in found["waves"]
        ]
    )
    cells = [
        _row([wave["wave"], title(row["source"])], formatting.count(row["before"]), formatting.count(row["asked"]),
             formatting.count(row["alive"]), formatting.count(row["unsure"]), formatting.percent(row["share"]),
             interval(row["this_table"]), interval(row["another_draw"]))
        for wave in found["waves"]
        for row in wave["sources"]
    ]  # fmt: skip
    return (
        heading
        + '<p class="reading">The share that is still there, among those that were there when they were fetched.</p>'
        + chart(
            charts.dot_plot(dots, "Share that is still there, by wave", unit=100, suffix="\u00a0%"),
            key(
                "after",
                "share of all sources; the line, where there is one, is its 95 % interval of another draw of such hosts",
            ),
        )
        + f"<p>{escape(half_life(found['half_life']))}.</p>"
        + table(
            ("wave", "<source", "there before", "asked", "alive", "maybe", "share", "this table", "another draw"),
            cells,
            label="Images that are still there, by wave and source",
        )
    )


def half_life(said: Mapping[str, Any]) -> str:
    """Return what is known of the half-life, in words."""
    if said["days"] is None:
        return _REFUSED[said["refused"]]
    words = f"At the rate of these {said['waves']} waves half of what was there is gone after {said['days']:,.0f} days"
    if said["interval"] is None:
        return f"{words}; no interval: {_REFUSED[said['refused']].lower()}"
    low, high = said["interval"]
    upper = "with no upper end" if high is None else f"to {high:,.0f}"
    return f"{words} (95 % interval of another draw of such hosts: {low:,.0f} {upper})"
