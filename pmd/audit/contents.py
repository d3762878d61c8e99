"""The report's sections on what is in the pairs: by stage, lengths, languages, countries, gendered terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pmd.audit import charts, formatting, page, rates
from pmd.audit.charts import Bar, Dots, Mark
from pmd.audit.findings import LEAST_EFFECT
from pmd.escape import html as escape

#: Texts of a sample below which the share of one language is written as "3 of 512".
MANY: Final = 1000

#: Rows of the tables by stage, from top to bottom.
_STAGE_ROWS: Final = (
    "pairs",
    "distinct images",
    "words, mean",
    "words, median",
    "words, 95th percentile",
    "identified as English",
    "with a geotag",
    "commonest country",
    "with a female term",
    "with a male term",
    "female : male",
    "users",
    "pairs of the top 1 % of users",
    "hosts (registrable domains)",
    "pairs of the top 10 hosts",
)


def stage_by_stage(result: Mapping[str, Any]) -> str:
    """Return the tables of the main figures after each stage."""
    sources = "".join(
        f"<h3>{escape(source)}</h3>{_stage_table(result, result['sources'][source], source)}"
        for source, _, _ in page.sources_in_order(result)
    )
    return (
        "<p>The main figures of all sources together after every stage. Small "
        "figures are 95 % intervals for texts that were not read; what has none is counted and exact; "
        '<span class="few">this colour</span> marks what rests on too few to be read as a rate.</p>'
        + _stage_table(result, result["all"], "all sources")
        + f"<details><summary>The same for each source</summary>{sources}</details>"
    )


def _stage_table(result: Mapping[str, Any], populations: Mapping[str, Any], name: str) -> str:
    """Return the main figures, one row a figure and one column a stage."""
    columns = [_stage_cells(populations[stage]) for stage in result["stages"]]
    rows = [
        f"<tr><th scope='row'>{label}</th>{''.join(column[label] for column in columns)}</tr>"
        for label in columns[0]
        if any(column[label] != "<td>–</td>" for column in columns)
    ]
    head = ("<", *(f"after {stage}" for stage in result["stages"]))
    return page.table(head, rows, label=f"{name}: main figures after every stage")


def _stage_cells(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the cells of one population: label → table cell; "–" for what is not measured."""
    words, countries, gendered = figures["words"], figures["countries"], figures["gendered"]
    users, hosts = figures["users"], figures["hosts"]
    top = countries["shares"][0] if countries["shares"] else None
    none = "<td>–</td>"
    texts = {
        "pairs": formatting.count(figures["pairs"]),
        "distinct images": formatting.count(figures["images"]["distinct"]["value"]),
        "words, mean": formatting.decimal(words["mean"]),
        "words, median": formatting.count(words["median"]),
        "words, 95th percentile": formatting.count(words["p95"]),
        "with a geotag": formatting.percent(countries["coverage"]["share"])
        if countries["coverage"]["measured"]
        else "–",
        "commonest country": f"{top['country']} {formatting.percent(top['share'])}" if top else "–",
        "pairs of the top 1 % of users": formatting.percent(users.get("top_1_percent")),
        "pairs of the top 10 hosts": formatting.percent(hosts.get("top_10")),
        "users": formatting.count(users["distinct"]["value"]) if "distinct" in users else "–",
        "hosts (registrable domains)": formatting.count(hosts["distinct"]["value"]) if "distinct" in hosts else "–",
    }
    cells = {label: f"<td>{escape(text)}</td>" for label, text in texts.items()} | {
        "identified as English": formatting.share_cell(figures["languages"]["english"]),
        "with a female term": formatting.share_cell(gendered.get("female")),
        "with a male term": formatting.share_cell(gendered.get("male")),
        "female : male": formatting.ratio_cell(gendered["female_to_male"]) if "female_to_male" in gendered else none,
    }
    return {label: cells[label] for label in _STAGE_ROWS}


def lengths(result: Mapping[str, Any]) -> str:
    """Return the section on the lengths of captions."""
    first, last = page.ends(result)
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
    for source, _, _ in page.sources_in_order(result):
        populations = result["sources"][source]
        marks = [
            Mark(
                populations[stage]["words"]["mean"],
                None,
                None,
                style,
                f"{source}, after {stage}: {populations[stage]['words']['mean']:.1f} words on average, "
                f"{formatting.counted(populations[stage]['pairs'], 'pair')}",
                faint=populations[stage]["pairs"] < formatting.FEW,
            )
            for stage, style in page.two_stages(first, last)
            if populations[stage]["words"]["mean"] is not None
        ]
        if marks:
            paper = published.get(source)
            left = populations[last]["words"]["mean"]
            note = ("none left" if left is None else f"{left:.1f}") + (f" (paper {paper:.1f})" if paper else "")
            rows.append(Dots(source, marks, note, reference=paper))
    if not before["histogram"] or not any(one["pairs"] for one in before["histogram"]):
        return '<p class="reading">No caption is left.</p>' + page.coverage(result, after)
    reading = (
        f"A caption has {after['mean']:.1f} words on average after {last}"
        + (f", {before['mean']:.1f} after {first}" if first != last else "")
        + f"; half have {after['median']} or fewer, fewer than one in twenty more than {after['p95']}."
        if after["mean"] is not None and before["mean"] is not None
        else "No caption is left."
    )
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + page.chart(
            charts.columns(labels, series, styles, "Share of captions by number of words", "words"),
            *page.before_after(result),
        )
        + page.behind(
            ("<words", *(f"pairs after {stage}" for stage in result["stages"])),
            [
                page.row(
                    label,
                    *(
                        formatting.count(result["all"][stage]["words"]["histogram"][place]["pairs"])
                        for stage in result["stages"]
                    ),
                )
                for place, label in enumerate(labels)
            ],
            "Pairs by number of words, all sources",
        )
        + page.chart(
            charts.dot_plot(rows, "Mean words of a caption by source" + (", beside Table 2" if published else "")),
            *page.dot_keys(result),
            *([page.key("line", "Table 2")] if published else []),
        )
        + page.coverage(result, after)
    )


def _estimate_mark(estimate: Mapping[str, Any], style: str, title: str) -> Mark:
    interval = estimate["interval"] or (None, None)
    return Mark(
        estimate["value"],
        interval[0],
        interval[1],
        style,
        f"{title}: {formatting.share(estimate)}",
        faint=not estimate["enough"],
    )


def _complement(estimate: Mapping[str, Any]) -> dict[str, Any]:
    """Return the estimate of the share that has not what another has."""
    interval = estimate["interval"]
    return {
        "value": None if estimate["value"] is None else 1 - estimate["value"],
        "interval": None if interval is None else [1 - interval[1], 1 - interval[0]],
        "enough": estimate["enough"],
    }


def languages(result: Mapping[str, Any]) -> str:
    """Return the section on languages."""
    first, last = page.ends(result)
    names = result["labels"]["languages"]
    rows = []
    for source, _, _ in page.sources_in_order(result):
        populations = result["sources"][source]
        marks = [
            _estimate_mark(
                _complement(populations[stage]["languages"]["english"]), style, f"{source}, not English, after {stage}"
            )
            for stage, style in page.two_stages(first, last)
            if populations[stage]["languages"]["english"]["value"] is not None
        ]
        if marks:
            rows.append(Dots(source, marks, formatting.share(_complement(populations[last]["languages"]["english"]))))
    before, after = result["all"][first]["languages"], result["all"][last]["languages"]
    english, unsure = after["english"], after["undetermined"]
    few, sampled = not english["enough"], after["coverage"]["measured"]
    others = [row for row in after["shares"] if row["language"] not in {"en", "und"}]
    earlier = {row["language"]: row["share"] for row in before["shares"]}
    bars = [
        Bar(
            f"{names.get(row['language'], row['language'])} ({row['language']})",
            [row["share"]] if first == last else [earlier.get(row["language"], 0.0), row["share"]],
            f"{formatting.percent(row['share'])} ({formatting.counted(row['texts'], 'text')})"
            if sampled >= MANY
            else f"{row['texts']} of {sampled} texts",
            f"{names.get(row['language'], row['language'])}: {formatting.percent(row['share'])} after {last}, "
            f"{formatting.count(row['texts'])} of {formatting.count(sampled)} texts of the sample",
        )
        for row in others[:12]
    ]
    reading = (
        "No text was looked at."
        if english["value"] is None
        else f"{formatting.percent(english['value'])} of captions are identified as English after {last}, "
        f"{formatting.percent(unsure['value'])} as no language for sure"
        + (
            "; too few were looked at to say more."
            if few
            else f"; {formatting.counted(after['distinct'], 'language')} in the sample."
        )
    )
    other = charts.bar_list(bars, page.styles(result), "Languages other than English")
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + (
            "<h3>Captions not identified as English: another language, or none for sure</h3>"
            + page.chart(
                charts.dot_plot(rows, "Share of captions not identified as English, by source", unit=100, suffix=" %"),
                *page.dot_keys(result),
            )
            if rows
            else ""
        )
        + (f"<h3>Other languages, all sources</h3>{page.chart(other, *page.before_after(result))}" if bars else "")
        + page.behind(
            ("<language", *page.two_columns(result, "texts", "share")),
            page.shares_of_two(result, "languages", ("shares", "language", "texts"), result["labels"]["languages"]),
            "Languages of the sample, all sources",
        )
        + page.coverage(result, after)
    )


def countries(result: Mapping[str, Any]) -> str:
    """Return the section on the countries of geotags."""
    first, last = page.ends(result)
    before, after = result["all"][first]["countries"], result["all"][last]["countries"]
    names = result["labels"]["countries"]
    amiss = _amiss(before)
    if not before["coverage"]["measured"]:
        return f'<p class="reading">No pair here has a geotag.</p>{amiss}' + page.coverage(result, before)
    earlier = {row["country"]: row["share"] for row in before["shares"]}
    placed = after["coverage"]["measured"] - after["no_country"]
    few = placed < formatting.FEW
    bars = [
        Bar(
            names.get(row["country"], row["country"]),
            [row["share"]] if first == last else [earlier.get(row["country"], 0.0), row["share"]],
            f"{row['pairs']} of {placed}"
            if few
            else f"{formatting.percent(row['share'])}  ({formatting.short(row['pairs'])})",
            f"{names.get(row['country'], row['country'])}: {formatting.count(row['pairs'])} pairs, "
            f"{formatting.percent(row['share'])} of those with a country after {last}",
        )
        for row in after["shares"][:20]
    ]
    top = after["shares"][:3]
    share = sum(row["share"] for row in top)
    if not after["coverage"]["measured"]:
        reading = f"No pair with a geotag is left after {last}."
    elif few:
        pairs = (
            f"{placed} pair{'s' if placed != 1 else ''} with a geotag {'lie' if placed != 1 else 'lies'} in a country"
        )
        reading = f"Only {pairs}: too few to speak of shares." if placed else "No pair with a geotag lies in a country."
    elif not top:
        reading = f"No country holds enough of the {formatting.count(placed)} pairs with a geotag to be shown."
    else:
        three = ", ".join(names.get(row["country"], row["country"]) for row in top)
        reading = (
            f"{formatting.percent(share)} of the pairs with a geotag in a country are from {len(top)} of "
            f"{after['distinct']} countries: {three}."
            if after["distinct"] > len(top)
            else f"All pairs with a geotag{' in a country' if after['no_country'] else ''} are from {three}."
        )
    rest = (
        '<p class="coverage">Shares are of the pairs whose geotag lies in a country; '
        f"{formatting.count(after['no_country'])} more are at sea or in no single one. "
        f"Countries not shown: {escape(formatting.percent(_rest(after)))}.</p>"
    )
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + (
            page.chart(charts.bar_list(bars, page.styles(result), "Countries of geotags"), *page.before_after(result))
            if bars
            else ""
        )
        + page.behind(
            ("<country", *page.two_columns(result, "pairs", "share")),
            page.shares_of_two(result, "countries", ("shares", "country", "pairs"), result["labels"]["countries"]),
            "Countries of geotags, all sources",
        )
        + rest
        + amiss
        + page.coverage(result, after)
    )


#: What is amiss with numbers that are no geotag → what may help.
_REMEDIES: Final = {
    "no decimal degrees": "write them as decimal degrees, with a point and a sign: 48.85 and -2.35",
    "latitude beyond 90": "perhaps both columns are taken for each other: name them, --column latitude=… --column longitude=…",
    "longitude beyond 180": "perhaps they are counted eastwards to 360: take 360 off those over 180",
}


def _amiss(countries: Mapping[str, Any]) -> str:
    """Return what is amiss with numbers for places that are no geotags, and what may help; nothing where nothing is."""
    said = [
        f"{formatting.counted(pairs, 'row')} with {escape(what)} ({escape(_REMEDIES[what])})"
        for what, pairs in countries.get("amiss", {}).items()
    ]
    return f'<p class="notice"><b>Not read as places:</b> {"; ".join(said)}.</p>' if said else ""


def _rest(countries: Mapping[str, Any]) -> float:
    return float((countries["other"] or 0.0) + sum(row["share"] for row in countries["shares"][20:]))


def gendered(result: Mapping[str, Any]) -> str:
    """Return the section on gendered terms, or why there is none."""
    first, last = page.ends(result)
    after = result["all"][last]["gendered"]
    if "not_measured" in after:
        return (
            f'<p class="notice"><b>Not measured:</b> {escape(after["not_measured"])}. To add it: '
            + f"<code>{escape(after['remedy'])}</code>, then run <code>pmd audit CONFIG</code> again.</p>"
            + page.coverage(result, after)
        )
    rows, table = [], []
    everything = [("all sources", result["all"])]
    for source, populations in [
        *((name, result["sources"][name]) for name, _, _ in page.sources_in_order(result)),
        *everything,
    ]:
        figures = populations[last]["gendered"]
        if figures["female"]["value"] is None:
            continue
        for word, kind in (("female", "a"), ("male", "b")):
            marks = [
                _estimate_mark(
                    populations[stage]["gendered"][word], f"{style} {kind}", f"{source}, {word} term, after {stage}"
                )
                for stage, style in page.two_stages(first, last)
                if populations[stage]["gendered"][word]["value"] is not None
            ]
            rows.append(Dots(source if kind == "a" else "", marks, formatting.share(figures[word])))
        changed = figures.get("change_since_curate")
        table.append(
            ('<tr class="total">' if source == "all sources" else "<tr>")
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
    drawing = (
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
    return (
        f'<p class="reading">{escape(_gendered_reading(after, last))}</p>'
        + drawing
        + page.coverage(result, after)
        + _another_draw(result)
        + rates.carriers(result, "terms")
    )


def _populations(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the sources in the order of Table 2, and all of them together."""
    sources = [(source, result["sources"][source]) for source, _, _ in page.sources_in_order(result)]
    return [*sources, ("all sources", result["all"])]


def _another_draw(result: Mapping[str, Any]) -> str:
    """Return what another draw of such users, images, pages and hosts would give, with what each figure rests on."""
    _, last = page.ends(result)
    rows = []
    for name, populations in _populations(result):
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
    for name, populations in _populations(result)[:-1]:
        figures = populations[last]["gendered"]
        draw = figures.get("female", {}).get("another_draw")
        asked |= draw is not None
        if draw is not None and draw["left_out"]:
            of = formatting.counted(figures["coverage"]["measured"], "English text")
            said.append(f"{formatting.count(draw['left_out'])} of {of} of {name} (by {draw['cluster']})")
    if said:
        return f" Left out so: {'; '.join(said)}."
    return " Here every English text is in one." if asked else ""


def _gendered_reading(figures: Mapping[str, Any], stage: str) -> str:
    female, male, ratio = figures["female"], figures["male"], figures["female_to_male"]
    if female["value"] is None:
        return "No English caption was looked at."
    if not (female["enough"] and male["enough"]):
        return (
            f"Of {formatting.counted(figures['coverage']['measured'], 'English caption')} after {stage}, "
            f"{formatting.count(figures['texts']['female'])} have a female and "
            f"{formatting.count(figures['texts']['male'])} a male term: too few, from too few images, to speak of rates."
        )
    text = (
        f"After {stage}, {formatting.share(female)} of English captions have a female term and "
        f"{formatting.share(male)} a male one: "
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
