"""The report: audit.json as one HTML page that needs nothing else, neither network nor scripts.

Each section begins with one sentence that says what its chart shows, made from the figures and as careful as they are;
then the chart with its coverage. "Before" is what curate kept, "after" what the last stage that has run kept;
the tables have every stage between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pmd.audit import charts
from pmd.audit.charts import Bar, Dots, Mark, Segment, Stack, escape
from pmd.audit.measure import STAGES
from pmd.audit.style import CSS, ROW_COLOURS
from pmd.schema.reasons import REASONS

#: What each stage does to the pairs, for people who do not know the stages.
DOES: Final = {
    "curate": "rules on texts and rows",
    "images": "sampling, takedowns",
    "fetch": "dead links, refusals, bad images",
    "dedupe": "placeholders and duplicates",
    "shard": "crops that cannot be made",
}

#: Pairs below which a share is written as "3 of 7".
FEW: Final = 30

#: What no figure here can say, whatever its interval.
LIMITS: Final = (
    "What readers saw and curate rejected has no text here: it is counted, by reason, and not described.",
    "A caption is not a picture. Terms in a text say what someone wrote, not who is in the image; a picture of people "
    "may well have a caption without any gendered term.",
    "The word lists are English, made for another purpose, and blind to context: “Ms” also stands for a state, “guys” "
    "for everyone, first names are not listed at all. Texts in other languages are not looked at.",
    "The language identifier is weakest on the shortest texts; a list of place names has no language. "
    "What it does not recognise it cannot count.",
    "Only YFCC100M carries geotags, and people who geotag differ from people who do not. A country is where the camera "
    "was said to be, not where the photographer is from; borders are those of time zones.",
    "A user is an account name: one person may have several, and an account several people. RedCaps' authors and "
    "Flickr's users are different worlds and are not joined.",
    "A host is where the file lay when upstream listed it, not who made it.",
    "Intervals are for chance in sampling texts, users and hosts, with images as clusters. They do not cover errors of "
    "the identifier, the lists or upstream's fields.",
    "A difference between two stages describes what left; it does not say that the stage was wrong, or why.",
)


def html(result: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        result: The content of audit.json, as `pmd.audit.result.result` makes it or as read from the file.
    """
    title = "Bias audit of a PMD build"
    body = "\n".join(_sections(result)) if result["stages"] else _nothing()
    return (
        '<!doctype html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n"
        f"{_components(result)}\n</main>\n</body>\n</html>\n"
    )


def _nothing() -> str:
    return (
        '<p class="lead">Nothing to report: no stage is committed in this ROOT yet.</p>'
        '<p class="notice">Run <code>pmd build CONFIG</code>, then <code>pmd audit CONFIG</code>.</p>'
    )


def _sections(result: Mapping[str, Any]) -> Iterable[str]:
    yield _header(result)
    yield _flow(result)
    yield _against_table2(result)
    yield _stage_by_stage(result)
    yield _lengths(result)
    yield _languages(result)
    yield _countries(result)
    yield _gendered(result)
    yield _users(result)
    yield _hosts(result)
    yield (
        '<h2 id="limits">What this cannot tell</h2>\n<ul>'
        + "".join(f"<li>{escape(limit)}</li>" for limit in LIMITS)
        + "</ul>"
    )


# Numbers.


def _count(number: float | None) -> str:
    return "–" if number is None else f"{round(number):,}"


def _decimal(number: float | None) -> str:
    return "–" if number is None else f"{number:.1f}"


def _approximate(distinct: Mapping[str, Any]) -> str:
    """Return a number of distinct units for a table: "≈ 1.2M", or exactly."""
    return _count(distinct["value"]) if distinct["exact"] else f"≈ {_short(distinct['value'])}"


def _short(number: float | None) -> str:
    """Return a count in three figures: "30.3M", "4.1k", "512"."""
    if number is None:
        return "–"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if number >= size * 0.9995:
            scaled = number / (1e3 if letter == "k" else size)
            return f"{scaled:.3g}{letter}" if scaled < 999.5 else f"{scaled:.0f}{letter}"
    return f"{round(number):,}"


def _percent(share: float | None, width: float | None = None) -> str:
    """Return a share with as many decimals as an interval of this width (of one) bears; without one, two or three."""
    if share is None:
        return "–"
    value = share * 100
    if width is not None:
        decimals = 2 if width < 0.002 else 1 if width < 0.05 else 0
    else:
        decimals = 0 if value >= 99.95 or value == 0 else 1 if value >= 1 else 2
    text = f"{value:.{decimals}f}"
    if value > 0 and float(text) == 0:
        return f"under {10**-decimals:g} %"
    return f"{text} %"


def _figure(estimate: Mapping[str, Any], *, measured: int | None = None) -> str:
    """Return a share with its interval as plain text, and a word of warning where it bears none."""
    if estimate["value"] is None:
        return "–"
    interval = estimate["interval"]
    if interval is None:
        return _percent(estimate["value"]) + ("" if estimate["enough"] else " (too few)")
    width = interval[1] - interval[0]
    ends = f"{_percent(interval[0], width).removesuffix(' %')}–{_percent(interval[1], width)}".replace("under ", "<")
    if not estimate["enough"]:
        return f"{_percent(estimate['value'], width)}, {ends}: too few" + (f" ({measured})" if measured else "")
    return f"{_percent(estimate['value'], width)} ({ends})"


def _cell(estimate: Mapping[str, Any] | None) -> str:
    """Return a share with its interval as a table cell."""
    if estimate is None or estimate["value"] is None:
        return "<td>–</td>"
    interval = estimate["interval"]
    if interval is None:
        few = "" if estimate["enough"] else ' <span class="few">too few</span>'
        return f"<td>{escape(_percent(estimate['value']))}{few}</td>"
    width = interval[1] - interval[0]
    ends = f"{_percent(interval[0], width).removesuffix(' %')}–{_percent(interval[1], width).removesuffix(' %')}"
    ends = ends.replace("under ", "<")
    few = "" if estimate["enough"] else ' <span class="few">too few</span>'
    return f"<td>{escape(_percent(estimate['value'], width))} <small>{escape(ends)}</small>{few}</td>"


def _plain(estimate: Mapping[str, Any]) -> str:
    """Return a ratio with its interval as a table cell."""
    if estimate["value"] is None:
        return "<td>–</td>"
    interval = estimate["interval"]
    ends = "" if interval is None else f" <small>{interval[0]:.2f}–{interval[1]:.2f}</small>"
    few = "" if estimate["enough"] else ' <span class="few">too few</span>'
    return f"<td>{estimate['value']:.2f}{ends}{few}</td>"


def _points(estimate: Mapping[str, Any] | None) -> str:
    """Return a change of a share in percentage points, with its interval, as a table cell."""
    if estimate is None or estimate["value"] is None:
        return "<td>–</td>"
    interval = estimate["interval"]
    ends = "" if interval is None else f" <small>{interval[0] * 100:+.2f} to {interval[1] * 100:+.2f}</small>"
    few = "" if estimate["enough"] else ' <span class="few">too few</span>'
    return f"<td>{estimate['value'] * 100:+.2f}{ends}{few}</td>"


def _number_of(distinct: Mapping[str, Any]) -> str:
    return _count(distinct["value"]) if distinct["exact"] else f"about {_short(distinct['value'])}"


def _coverage(result: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    """Return a section's coverage and method."""
    coverage = section["coverage"]
    return (
        f'<p class="coverage"><b>Coverage</b> {_count(coverage["measured"])} of {_count(coverage["eligible"])} '
        f"{escape(coverage['of'])} ({escape(_percent(coverage['share']))}). "
        f"{escape(result['methods'][section['method']])}</p>"
    )


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    """Return a table; heads are texts, rows HTML."""
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return f'<div class="table"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _chart(drawing: str, *keys: str) -> str:
    caption = f"<figcaption>{''.join(keys)}</figcaption>" if keys else ""
    return f"<figure>{caption}{drawing}</figure>"


def _key(style: str, text: str) -> str:
    return f'<span class="key"><i class="{style}"></i>{escape(text)}</span>'


def _ends(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return the first and the last stage that have run."""
    return result["stages"][0], result["stages"][-1]


def _before_after(result: Mapping[str, Any]) -> tuple[str, ...]:
    first, last = _ends(result)
    if first == last:
        return (_key("after", f"after {last}"),)
    return _key("before", f"after {first}"), _key("after", f"after {last}")


def _groups(result: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Return each source with its Table 2 row and the number of its colour, in the order of Table 2."""
    found = []
    for number, row in enumerate(result["table2"]):
        found += [(source, row["row"], min(number, len(ROW_COLOURS) - 2)) for source in row["sources_here"]]
    known = {source for source, _, _ in found}
    return found + [(source, "", len(ROW_COLOURS) - 1) for source in result["sources"] if source not in known]


# Sections.


def _header(result: Mapping[str, Any]) -> str:
    first, last = _ends(result)
    everything = result["all"]
    read = sum(book["in"] for book in result["books"].get("curate", {}).values())
    published = sum(row["published"]["pairs"] for row in result["table2"])
    kept, left = everything[first]["pairs"], everything[last]["pairs"]
    images = everything[last]["images"]["distinct"]
    tiles = [
        (_short(read), "pairs and lost records that the readers gave"),
        (_short(kept), f"pairs after {first}" + (f", {_percent(kept / read)} of those read" if read else "")),
    ]
    if last != first:
        tiles.append((_short(left), f"pairs after {last}" + (f", {_percent(left / kept)} of curate's" if kept else "")))
    tiles.append((_approximate(images), f"distinct images after {last}"))
    if published:
        tiles.append((_percent(left / published), f"of the {_short(published)} pairs in FLAVA's Table 2"))
    here, rows = len(result["sources"]), len(result["table2"])
    profile = f"Profile <b>{escape(result['profile'])}</b>. " if result["profile"] else ""
    missing = [stage for stage in STAGES if stage not in result["stages"]]
    waiting = f" Not run yet: {', '.join(missing)}." if missing else ""
    links = (
        ("flow", "Where pairs go"),
        ("table2", "Beside Table 2"),
        ("stages", "Stage by stage"),
        ("lengths", "Lengths"),
        ("languages", "Languages"),
        ("countries", "Countries"),
        ("gendered", "Gendered terms"),
        ("users", "Users"),
        ("hosts", "Hosts"),
        ("limits", "What this cannot tell"),
        ("components", "Components"),
    )
    return (
        f'<p class="lead">Who and what is in the pairs, where they come from, and what each stage took away. {profile}'
        f"{here} source{'s' if here != 1 else ''} of {rows} row{'s' if rows != 1 else ''} of Table 2; stages: "
        f"{escape(', '.join(result['stages']))}.{escape(waiting)}</p>"
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in tiles)
        + "</div><nav>"
        + "".join(f'<a href="#{anchor}">{text}</a>' for anchor, text in links)
        + "</nav>"
    )


def _flow(result: Mapping[str, Any]) -> str:
    groups = _groups(result)
    books = result["books"]
    rows = []
    populations: list[tuple[str, dict[str, int], int]] = []
    if "curate" in books:
        populations.append(("read", {source: book["in"] for source, book in books["curate"].items()}, 0))
    for stage in result["stages"]:
        lost = sum(sum(book["rejected"].values()) for book in books[stage].values())
        populations.append((stage, {source: book["kept"] for source, book in books[stage].items()}, lost))
    for label, pairs, lost in populations:
        total = sum(pairs.values())
        segments = [
            Segment(pairs[source], f"row-{colour}", f"{source}: {_count(pairs[source])} pairs, {label}")
            for source, _, colour in groups
            if pairs.get(source)
        ]
        segments.append(Segment(lost, "gone", f"rejected by {label}: {_count(lost)} pairs"))
        note = _short(total) + (f"  (−{_short(lost)})" if lost else "")
        rows.append(Stack("read" if label == "read" else f"after {label}", segments, note))
    keys, seen = [], set()
    for source, row, colour in groups:
        if (row or source) not in seen:
            keys.append(_key(f"row-{colour}", row or source))
            seen.add(row or source)
    return (
        f'<h2 id="flow">Where pairs go</h2>\n<p class="reading">{escape(_flow_reading(result))}</p>'
        + _chart(charts.stacks(rows, "Pairs by source that each stage kept"), *keys, _key("gone", "rejected here"))
        + _reasons(result)
    )


def _flow_reading(result: Mapping[str, Any]) -> str:
    losses = []
    for stage in result["stages"]:
        reasons: dict[str, int] = {}
        for book in result["books"][stage].values():
            for reason, count in book["rejected"].items():
                reasons[reason] = reasons.get(reason, 0) + count
        if reasons:
            losses.append((sum(reasons.values()), stage, max(reasons, key=lambda reason: (reasons[reason], reason))))
    if not losses:
        return "No stage rejected a pair."
    lost, stage, reason = max(losses)
    total = sum(loss[0] for loss in losses)
    return (
        f"{_short(total)} rows left on the way; {stage} rejected most ({_short(lost)}), "
        f"mainly as {reason.replace('_', ' ')}."
    )


def _reasons(result: Mapping[str, Any]) -> str:
    """Return the reasons, largest first: over all sources at once, and in a folded table by source."""
    overall: dict[tuple[str, str], int] = {}
    given: dict[str, int] = {}
    rows = []
    for stage in result["stages"]:
        for source, book in result["books"][stage].items():
            given[stage] = given.get(stage, 0) + book["in"]
            for reason, count in sorted(book["rejected"].items(), key=lambda item: (-item[1], item[0])):
                overall[stage, reason] = overall.get((stage, reason), 0) + count
                rows.append(
                    f'<tr><td>{escape(stage)}</td><td class="words">{escape(source)}</td>'
                    f'<td class="words">{escape(reason)}</td><td>{_count(count)}</td>'
                    f"<td>{escape(_percent(count / book['in']))}</td></tr>"
                )
    if not overall:
        return '<p class="coverage">No row was rejected.</p>'
    order = sorted(overall, key=lambda key: (STAGES.index(key[0]), -overall[key], key[1]))
    summary = [
        f'<tr><td>{escape(stage)}</td><td class="words">{escape(reason)}</td><td>{_count(overall[stage, reason])}</td>'
        f'<td>{escape(_percent(overall[stage, reason] / given[stage]))}</td><td class="wide">'
        f"{escape(REASONS[reason][1] if reason in REASONS else '')}</td></tr>"
        for stage, reason in order
    ]
    folded = _table(("stage", "source", "reason", "pairs", "of the stage's input"), rows)
    return (
        _table(("stage", "reason", "pairs", "of the stage's input", "what it means"), summary)
        + f"<details><summary>By source</summary>{folded}</details>"
        + f'<p class="coverage"><b>Coverage</b> all rows. {escape(result["methods"]["books"])} '
        + f"{escape(result['methods']['readers'])}</p>"
    )


def _against_table2(result: Mapping[str, Any]) -> str:
    first, last = _ends(result)
    stages = result["stages"]
    rows = []
    for number, row in enumerate(result["table2"]):
        colour = f'<span class="swatch row-{min(number, len(ROW_COLOURS) - 2)}"></span>'
        if not row["sources_here"]:
            rows.append(
                f"<tr><td>{colour}{escape(row['row'])}</td><td>{_short(row['published']['pairs'])}</td>"
                f'<td colspan="{len(stages) + 1}"><small>not in this build</small></td><td>–</td>'
                f"<td>{row['published']['mean_words']:.1f}</td><td>–</td></tr>"
            )
            continue
        cells = "".join(f"<td>{_short(row['pairs'][stage])}</td>" for stage in stages)
        part = row["of_published"][last]
        mean = row["mean_words"][last]
        rows.append(
            f"<tr><td>{colour}{escape(row['row'])}</td><td>{_short(row['published']['pairs'])}</td>"
            f"<td>{_short(row['read'])}</td>{cells}"
            f"<td>{charts.meter(part, f'{_percent(part)} of Table 2 after {last}')}{escape(_percent(part))}</td>"
            f"<td>{row['published']['mean_words']:.1f}</td><td>{_decimal(mean)}</td></tr>"
        )
    published = sum(row["published"]["pairs"] for row in result["table2"])
    total = "".join(f"<td>{_short(result['all'][stage]['pairs'])}</td>" for stage in stages)
    mean = result["all"][last]["words"]["mean"]
    words = sum(row["published"]["pairs"] * row["published"]["mean_words"] for row in result["table2"])
    read = sum(book["in"] for book in result["books"].get("curate", {}).values())
    left = result["all"][last]["pairs"] / published if published else None
    rows.append(
        f'<tr class="total"><td>all</td><td>{_short(published)}</td><td>{_short(read)}</td>{total}'
        f"<td>{charts.meter(left or 0.0, 'of Table 2')}{escape(_percent(left))}</td>"
        f"<td>{_decimal(words / published if published else None)}</td><td>{_decimal(mean)}</td></tr>"
    )
    head = (
        "source",
        "Table 2",
        "read",
        *(f"after {stage}" for stage in stages),
        f"after {last}, of Table 2",
        "words, Table 2",
        f"words, after {last}",
    )
    return (
        '<h2 id="table2">Beside FLAVA\'s Table 2</h2>\n'
        f'<p class="reading">{escape(_table2_reading(result, first))}</p>'
        + _table(head, rows)
        + '<p class="coverage"><b>Coverage</b> all pairs. Table 2 (arXiv 2112.04482) gives pairs in millions to one '
        "decimal and mean words to one; the mean of its rows, weighted by pairs, stands in the last line. "
        "“Read” counts what the readers gave: pairs, and one for each record that gave none.</p>"
    )


def _table2_reading(result: Mapping[str, Any], stage: str) -> str:
    close = [row for row in result["table2"] if abs(row["of_published"].get(stage, 0) - 1) <= 0.05]
    here = [row for row in result["table2"] if row["sources_here"]]
    if not here:
        return "None of these sources is a row of Table 2."
    if not any(row["of_published"][stage] >= 0.01 for row in here):
        return "This build holds too small a part of PMD for its counts to be compared with the paper's."
    return (
        f"{len(close)} of the {len(here)} rows in this build are within 5 % of the paper's count after {stage}; "
        "what is missing after fetch is what the web has lost or refuses."
    )


def _stage_by_stage(result: Mapping[str, Any]) -> str:
    folded = "".join(
        f"<details><summary>{escape(source)}</summary>{_stage_table(result, result['sources'][source])}</details>"
        for source, _, _ in _groups(result)
    )
    return (
        '<h2 id="stages">Stage by stage</h2>\n<p>The main figures of all sources together after every stage; each '
        "source's own stand below. Small figures are 95 % intervals; a figure without one is an exact count.</p>"
        + _stage_table(result, result["all"])
        + folded
    )


def _stage_table(result: Mapping[str, Any], populations: Mapping[str, Any]) -> str:
    head = (
        "after",
        "pairs",
        "images",
        "words: mean",
        "median",
        "95th pct.",
        "English",
        "geotagged",
        "top country",
        "female term",
        "male term",
        "female : male",
        "users",
        "top 1 % of users",
        "hosts",
        "top 10 hosts",
    )
    rows = []
    for stage in result["stages"]:
        figures = populations[stage]
        words, gendered, countries = figures["words"], figures["gendered"], figures["countries"]
        users, hosts = figures["users"], figures["hosts"]
        top = countries["shares"][0] if countries["shares"] else None
        measured = "not_measured" not in gendered
        rows.append(
            f"<tr><td>{stage}</td><td>{_short(figures['pairs'])}</td>"
            f"<td>{escape(_approximate(figures['images']['distinct']))}</td>"
            f"<td>{_decimal(words['mean'])}</td>"
            f"<td>{_count(words['median'])}</td><td>{_count(words['p95'])}</td>"
            + _cell(figures["languages"]["english"])
            + f"<td>{escape(_percent(countries['coverage']['share']) if countries['coverage']['measured'] else '–')}</td>"
            + (f"<td>{escape(top['country'])} {escape(_percent(top['share']))}</td>" if top else "<td>–</td>")
            + (_cell(gendered["female"]) + _cell(gendered["male"]) if measured else "<td>–</td><td>–</td>")
            + (_plain(gendered["female_to_male"]) if measured else "<td>–</td>")
            + (
                f"<td>{escape(_approximate(users['distinct']))}</td>{_cell(users['top_1_percent'])}"
                if "distinct" in users
                else "<td>–</td><td>–</td>"
            )
            + (
                f"<td>{escape(_approximate(hosts['distinct']))}</td>{_cell(hosts['top_10'])}"
                if "distinct" in hosts
                else "<td>–</td><td>–</td>"
            )
            + "</tr>"
        )
    return _table(head, rows)


def _lengths(result: Mapping[str, Any]) -> str:
    first, last = _ends(result)
    before, after = result["all"][first]["words"], result["all"][last]["words"]
    bins = after["histogram"]
    labels = [
        f"{one['from']}+"
        if one["below"] is None
        else (f"{one['from']}" if one["below"] == one["from"] + 1 else f"{one['from']}–{one['below'] - 1}")
        for one in bins
    ]

    def shares(words: Mapping[str, Any]) -> list[float]:
        total = sum(one["pairs"] for one in words["histogram"]) or 1
        return [one["pairs"] / total for one in words["histogram"]]

    series, styles = [shares(after)], ["after"]
    if first != last:
        series, styles = [shares(before), shares(after)], ["before", "after"]
    published = {source: row["published"]["mean_words"] for row in result["table2"] for source in row["sources_here"]}
    rows = []
    for source, _, _ in _groups(result):
        populations = result["sources"][source]
        marks = [
            Mark(
                populations[stage]["words"]["mean"],
                None,
                None,
                style,
                f"{source}, after {stage}: {populations[stage]['words']['mean']:.1f} words on average, "
                f"{_count(populations[stage]['pairs'])} pairs",
                faint=populations[stage]["pairs"] < FEW,
            )
            for stage, style in _two(first, last)
            if populations[stage]["words"]["mean"] is not None
        ]
        if marks:
            paper = published.get(source)
            note = f"{marks[-1].value:.1f}" + (f"  (paper {paper:.1f})" if paper else "")
            rows.append(Dots(source, marks, note, reference=paper))
    reading = (
        f"A caption has {after['mean']:.1f} words on average after {last}"
        + (f", {before['mean']:.1f} after {first}" if first != last else "")
        + f"; half have {after['median']} or fewer, one in twenty more than {after['p95']}."
        if after["mean"] is not None and before["mean"] is not None
        else "No caption is left."
    )
    return (
        f'<h2 id="lengths">Caption lengths</h2>\n<p class="reading">{escape(reading)}</p>'
        + _chart(
            charts.columns(labels, series, styles, "Share of captions by number of words", "words"),
            *_before_after(result),
        )
        + _chart(
            charts.dot_plot(rows, "Mean words of a caption by source, beside Table 2"),
            *_dot_keys(result),
            _key("line", "Table 2"),
        )
        + _coverage(result, after)
    )


def _styles(result: Mapping[str, Any]) -> list[str]:
    return ["after"] if len(result["stages"]) == 1 else ["before", "after"]


def _two(first: str, last: str) -> tuple[tuple[str, str], ...]:
    return ((last, "after"),) if first == last else ((first, "before"), (last, "after"))


def _dot_keys(result: Mapping[str, Any]) -> tuple[str, ...]:
    first, last = _ends(result)
    if first == last:
        return (_key("filled", f"after {last}"),)
    return _key("hollow", f"after {first}"), _key("filled", f"after {last}")


def _estimate_mark(estimate: Mapping[str, Any], style: str, title: str) -> Mark:
    interval = estimate["interval"] or (None, None)
    return Mark(
        estimate["value"],
        interval[0],
        interval[1],
        style,
        f"{title}: {_figure(estimate)}",
        faint=not estimate["enough"],
    )


def _languages(result: Mapping[str, Any]) -> str:
    first, last = _ends(result)
    names = result["labels"]["languages"]
    rows = []
    for source, _, _ in _groups(result):
        populations = result["sources"][source]
        marks = [
            _estimate_mark(populations[stage]["languages"]["english"], style, f"{source}, English, after {stage}")
            for stage, style in _two(first, last)
            if populations[stage]["languages"]["english"]["value"] is not None
        ]
        if marks:
            rows.append(Dots(source, marks, _figure(populations[last]["languages"]["english"])))
    before, after = result["all"][first]["languages"], result["all"][last]["languages"]
    english, unsure = after["english"], after["undetermined"]
    few = not english["enough"]
    others = [row for row in after["shares"] if row["language"] not in {"en", "und"}]
    earlier = {row["language"]: row["share"] for row in before["shares"]}
    bars = [
        Bar(
            f"{names.get(row['language'], row['language'])} ({row['language']})",
            [row["share"]] if first == last else [earlier.get(row["language"], 0.0), row["share"]],
            f"{_percent(row['share'])}  ({_count(row['texts'])} texts)",
            f"{names.get(row['language'], row['language'])}: {_percent(row['share'])} after {last}, "
            f"{_count(row['texts'])} texts of the sample",
        )
        for row in others[:12]
    ]
    reading = (
        "No text was looked at."
        if english["value"] is None
        else f"{_percent(english['value'])} of captions are identified as English after {last}, "
        f"{_percent(unsure['value'])} as no language for sure"
        + ("; too few were looked at to say more." if few else f"; {after['distinct']} languages occur in the sample.")
    )
    other = charts.bar_list(bars, _styles(result), "Languages other than English")
    return (
        f'<h2 id="languages">Languages</h2>\n<p class="reading">{escape(reading)}</p>'
        + _chart(
            charts.dot_plot(rows, "Share of captions identified as English, by source", unit=100, suffix=" %"),
            *_dot_keys(result),
        )
        + (f"<h3>Other languages, all sources</h3>{_chart(other, *_before_after(result))}" if bars else "")
        + _coverage(result, after)
    )


def _countries(result: Mapping[str, Any]) -> str:
    first, last = _ends(result)
    before, after = result["all"][first]["countries"], result["all"][last]["countries"]
    names = result["labels"]["countries"]
    heading = '<h2 id="countries">Countries of geotags</h2>\n'
    if not before["coverage"]["measured"]:
        return heading + '<p class="reading">No pair here has a geotag.</p>' + _coverage(result, before)
    earlier = {row["country"]: row["share"] for row in before["shares"]}
    placed = after["coverage"]["measured"] - after["no_country"]
    few = placed < FEW
    bars = [
        Bar(
            names.get(row["country"], row["country"]),
            [row["share"]] if first == last else [earlier.get(row["country"], 0.0), row["share"]],
            f"{row['pairs']} of {placed}" if few else f"{_percent(row['share'])}  ({_short(row['pairs'])})",
            f"{names.get(row['country'], row['country'])}: {_count(row['pairs'])} pairs, "
            f"{_percent(row['share'])} of those with a country after {last}",
        )
        for row in after["shares"][:20]
    ]
    top = after["shares"][:3]
    share = sum(row["share"] for row in top)
    if not top:
        reading = f"No pair with a geotag is left after {last}."
    elif few:
        reading = f"Only {placed} pairs with a geotag lie in a country: too few to speak of shares."
    else:
        three = ", ".join(names.get(row["country"], row["country"]) for row in top)
        reading = f"{_percent(share)} of the pairs with a geotag are from {len(top)} of {after['distinct']} countries: {three}."
    rest = (
        f'<p class="coverage">Shares are of the pairs whose geotag lies in a country; {_count(after["no_country"])} '
        f"more are at sea or in no single one. Countries not shown: {escape(_percent(_rest(after)))}.</p>"
    )
    return (
        heading
        + f'<p class="reading">{escape(reading)}</p>'
        + (
            _chart(charts.bar_list(bars, _styles(result), "Countries of geotags"), *_before_after(result))
            if bars
            else ""
        )
        + rest
        + _coverage(result, after)
    )


def _rest(countries: Mapping[str, Any]) -> float:
    return float((countries["other"] or 0.0) + sum(row["share"] for row in countries["shares"][20:]))


def _gendered(result: Mapping[str, Any]) -> str:
    first, last = _ends(result)
    after = result["all"][last]["gendered"]
    heading = '<h2 id="gendered">Gendered terms</h2>\n'
    if "not_measured" in after:
        return (
            heading
            + f'<p class="notice"><b>Not measured:</b> {escape(after["not_measured"])}. To add it: '
            + f"<code>{escape(after['remedy'])}</code>, then run <code>pmd audit CONFIG</code> again.</p>"
            + _coverage(result, after)
        )
    rows, table = [], []
    everything = [("all sources", result["all"])]
    for source, populations in [*((name, result["sources"][name]) for name, _, _ in _groups(result)), *everything]:
        figures = populations[last]["gendered"]
        if figures["female"]["value"] is None:
            continue
        for word, kind in (("female", "a"), ("male", "b")):
            marks = [
                _estimate_mark(
                    populations[stage]["gendered"][word], f"{style} {kind}", f"{source}, {word} term, after {stage}"
                )
                for stage, style in _two(first, last)
                if populations[stage]["gendered"][word]["value"] is not None
            ]
            rows.append(Dots(source if kind == "a" else "", marks, _figure(figures[word])))
        changed = figures.get("change_since_curate")
        table.append(
            ('<tr class="total">' if source == "all sources" else "<tr>")
            + f"<td>{escape(source)}</td>"
            + f"<td>{_count(figures['coverage']['measured'])}</td>"
            + "".join(_cell(figures[name]) for name in ("female", "male", "both", "neither", "neutral"))
            + _plain(figures["female_to_male"])
            + _points(changed["female"] if changed else None)
            + _points(changed["male"] if changed else None)
            + "</tr>"
        )
    drawing = (
        _chart(
            charts.dot_plot(
                rows, "Share of English captions with a female and with a male term", unit=100, suffix=" %"
            ),
            _key("a", "female term"),
            _key("b", "male term"),
            *((_key("hollow", f"after {first}"),) if first != last else ()),
            _key("filled", f"after {last}"),
            '<span class="key">lines: 95 % intervals; faint: too few</span>',
        )
        + _table(
            (
                f"after {last}",
                "English texts",
                "female",
                "male",
                "both",
                "neither",
                "neutral",
                "female : male",
                "female since curate (points)",
                "male since curate (points)",
            ),
            table,
        )
        if rows
        else ""
    )
    return (
        heading
        + f'<p class="reading">{escape(_gendered_reading(after, last))}</p>'
        + drawing
        + _coverage(result, after)
    )


def _gendered_reading(figures: Mapping[str, Any], stage: str) -> str:
    female, male, ratio = figures["female"], figures["male"], figures["female_to_male"]
    if female["value"] is None:
        return "No English caption was looked at."
    if not (female["enough"] and male["enough"]):
        return (
            f"Of {_count(figures['coverage']['measured'])} English captions after {stage}, "
            f"{_count(figures['texts']['female'])} have a female and {_count(figures['texts']['male'])} a male term: "
            "too few, from too few images, to speak of rates."
        )
    text = (
        f"After {stage}, {_figure(female)} of English captions have a female term and {_figure(male)} a male one: "
        + (
            f"{ratio['value']:.2f} with a female term for each with a male one"
            + (f" ({ratio['interval'][0]:.2f}–{ratio['interval'][1]:.2f})" if ratio["interval"] else "")
            if ratio["value"] is not None
            else "no ratio can be given"
        )
        + "."
    )
    changed = figures.get("change_since_curate")
    if changed is None:
        return text
    moved = [
        f"the {name} share moved by {change['value'] * 100:+.2f} points"
        for name, change in sorted(changed.items())
        if change["enough"] and change["interval"] and (change["interval"][0] > 0 or change["interval"][1] < 0)
    ]
    if not moved:
        return f"{text} No change since curate is larger than chance would make it."
    return f"{text} Since curate {' and '.join(moved)}, more than chance would."


def _users(result: Mapping[str, Any]) -> str:
    first = result["stages"][0]
    having = [
        (source, result["sources"][source])
        for source, _, _ in _groups(result)
        if "distinct" in result["sources"][source][first]["users"]
    ]
    heading = '<h2 id="users">Concentration of users</h2>\n'
    coverage = _coverage(result, result["all"][first]["users"])
    if not having:
        return heading + '<p class="reading">No source here names its users.</p>' + coverage
    figures = [(source, populations[first]["users"]) for source, populations in having]
    worst = [
        (users["top_1_percent"]["value"], source)
        for source, users in figures
        if users["top_1_percent"]["value"] is not None and users["top_1_percent"]["enough"]
    ]
    reading = (
        f"The most active 1 % of users hold {_percent(max(worst)[0])} of the pairs of {max(worst)[1]}, "
        "where they are most concentrated."
        if worst
        else "There are too few users here for the most active 1 % of them to mean anything."
    )
    return (
        heading
        + f'<p class="reading">{escape(reading)}</p>'
        + _curves(result, having, "users")
        + _concentration_table(result, having, "users")
        + coverage
    )


def _hosts(result: Mapping[str, Any]) -> str:
    first, last = _ends(result)
    having = [
        (source, result["sources"][source])
        for source, _, _ in _groups(result)
        if "distinct" in result["sources"][source][first]["hosts"]
    ]
    heading = '<h2 id="hosts">Concentration of hosts</h2>\n'
    before, after = result["all"][first]["hosts"], result["all"][last]["hosts"]
    if "distinct" not in before:
        return heading + '<p class="reading">No pair here has an image URL.</p>' + _coverage(result, before)
    largest = after.get("largest", [])
    seen = after.get("largest_seen_in", {"pairs": 0})["pairs"]
    earlier = {row["host"]: row["share"]["value"] for row in before["largest"]}
    bars = [
        Bar(
            row["host"],
            [row["share"]["value"]] if first == last else [earlier.get(row["host"]), row["share"]["value"]],
            f"{_count(row['pairs_seen'])} of {_count(seen)}" if seen < FEW else _percent(row["share"]["value"]),
            f"{row['host']}: {_figure(row['share'])} of pairs with an image URL after {last}",
        )
        for row in largest[:15]
    ]
    reading = (
        f"Ten of {_number_of(after['distinct'])} registrable domains hold {_figure(after['top_10'])} of the pairs with "
        f"an image URL after {last}."
        if largest and after["distinct"]["value"] > 10
        else f"{_number_of(after['distinct'])} registrable domains hold all pairs with an image URL after {last}."
        if largest
        else f"No pair with an image URL is left after {last}."
    )
    return (
        heading
        + f'<p class="reading">{escape(reading)}</p>'
        + (_chart(charts.bar_list(bars, _styles(result), "The largest hosts"), *_before_after(result)) if bars else "")
        + _curves(result, having, "hosts")
        + _concentration_table(result, having, "hosts")
        + _coverage(result, before)
    )


def _curves(result: Mapping[str, Any], having: Sequence[tuple[str, Mapping[str, Any]]], kind: str) -> str:
    """Return one concentration curve a source; none where a curve of so few units would only be steps."""
    first, last = _ends(result)
    figures = []
    for source, populations in having:
        units = populations[first][kind]
        if units["followed"]["units"] < FEW:
            continue
        series = [
            (style, [(x, y) for x, y in populations[stage][kind]["curve"]])
            for stage, style in _two(first, last)
            if populations[stage][kind].get("curve")
        ]
        title = f"{source}: share of pairs that the largest {kind} hold"
        follow = units["followed"]
        followed = (
            f"all {_count(follow['units'])} {kind}"
            if follow["exact"]
            else f"{_count(follow['units'])} of about {_short(units['distinct']['value'])} {kind}"
        )
        figures.append(
            f"<figure><h4>{escape(source)}</h4>{charts.curve(series, title)}"
            f'<p class="soft">Largest … % of {kind} (across) hold … % of pairs (up). {escape(followed)}.</p></figure>'
        )
    if not figures:
        return ""
    keys = "".join((*_before_after(result), _key("even", "if all had alike")))
    return f'<p class="coverage">{keys}</p><div class="small">{"".join(figures)}</div>'


def _concentration_table(result: Mapping[str, Any], having: Sequence[tuple[str, Mapping[str, Any]]], kind: str) -> str:
    first, last = _ends(result)
    rows = []
    for source, populations in having:
        for stage, _ in _two(first, last):
            units = populations[stage][kind]
            if "distinct" not in units:
                continue
            same = units["two_pairs_share_one"]
            chance = (
                "–"
                if same["value"] is None
                else "none seen"
                if same["value"] == 0
                else f"1 in {_short(1 / same['value'])}"
            )
            cells = (
                f"<tr><td>{escape(source)}</td><td class='words'>after {escape(stage)}</td>"
                f"<td>{escape(_number_of(units['distinct']))}</td>{_cell(units['gini'])}{_cell(units['top_1_percent'])}"
                f"<td>{chance} <small>of {_count(same['sample'])}</small></td>"
            )
            if kind == "hosts":
                top = units["largest"][0] if units["largest"] else None
                cells += _cell(units["top_10"]) + (
                    f"<td>{escape(top['host'])} {escape(_percent(top['share']['value']))}</td>" if top else "<td>–</td>"
                )
            rows.append(cells + "</tr>")
    head = ["source", "", kind, "Gini's coefficient", f"top 1 % of {kind}", "two pairs share one"]
    if kind == "hosts":
        head += ["top 10", "largest"]
    return _table(head, rows)


def _components(result: Mapping[str, Any]) -> str:
    rows = []
    for part in result["components"]:
        data = part.get("data", "")
        if "absent" in part:
            data = f"absent: {part['absent']}"
        digests = "".join(
            f'<div class="hash">{escape(name)}: {_count(part["terms"][name])} terms, sha256 {escape(digest)}</div>'
            for name, digest in part.get("sha256", {}).items()
        )
        rows.append(
            f"<tr><td>{escape(part['name'])} {escape(part['version'] or '')}</td>"
            f'<td class="words">{escape(part["licence"])}</td><td class="wide">{escape(part["used_for"])}</td>'
            f'<td class="wide">{escape(data)}{digests}</td>'
            f'<td class="words">{escape(part.get("data_licence", ""))}</td></tr>'
        )
    return (
        '<h2 id="components">Components</h2>\n<p>Word lists, models and tables come from installed packages alone.</p>'
        + _table(("package", "licence", "used for", "data in it", "licence of the data"), rows)
    )
