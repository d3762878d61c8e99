"""The page: HTML from what `pmd.inspection.peek.rows` found.

Captions, ids, URLs and headers come from strangers. Every one goes through `_text` (`escape.isolated`), which escapes it and
shows control characters instead of sending them. It stands in a `<bdi>` inside a block of its own: neither markup nor a
direction override reaches its neighbours. A URL becomes a link only where its scheme is http or https.
"""

from __future__ import annotations

import datetime
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from pmd import escape, flow
from pmd.config.reasons import REASONS
from pmd.inspection.peek import page_style
from pmd.inspection.peek.pictures import Picture, data_uri
from pmd.inspection.peek.rows import ShownPair, ShownRejected, SourceBooks, count_reasons
from pmd.store.commits import Books
from pmd.terminal import bar

_STAGES: Final = tuple(stage.name for stage in flow.JUDGING)
#: Key lengths: the first eight hex digits tell a page's ids apart.
_SHORT: Final = 8
_LONG_ID: Final = 40


def page(
    root_url: str,
    *,
    books: Sequence[SourceBooks],
    images: int | None,
    pairs: Sequence[ShownPair],
    rejected: Sequence[ShownRejected],
    seed: int,
    source: str | None,
    reason: str | None,
) -> str:
    """Return the whole page.

    Args:
        root_url: ROOT, as it was given.
        books: The books of every source, shown or not.
        images: Distinct images, where known.
        pairs: Pairs to show.
        rejected: Rejected rows to show.
        seed: What they were drawn with.
        source: The source that was asked for.
        reason: The reason that was asked for.
    """
    return "".join(
        [
            "<!doctype html>\n",
            '<html lang="en-GB"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_escaped(page_style.policy())}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>pmd peek {_escaped(root_url)}</title>",
            f"<style>{page_style.STYLE}</style></head><body>",
            _header(root_url, books, images, len(pairs), len(rejected), seed, source, reason),
            _bar(pairs, rejected),
            "<main>",
            _pairs(pairs),
            _rejected(rejected, books),
            "</main>",
            _footer(seed),
            f"<script>{page_style.SCRIPT}</script></body></html>\n",
        ]
    )


# --- words from strangers --------------------------------------------------------------------------------------------


_escaped: Final = escape.html
_text: Final = escape.isolated


def _url(value: str) -> str:
    """Return a URL, as a link where it leads to the web and as plain words elsewhere."""
    shown = f'<span class="clamp" title="{_escaped(value)}">{_text(value)}</span>'
    if not _is_web(value):
        return shown
    return f'<a href="{_escaped(value)}" target="_blank" rel="noopener noreferrer nofollow">{shown}</a>'


def _is_web(value: str) -> bool:
    if any(character.isspace() for character in value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _id(value: str) -> str:
    """Return an id: its beginning, all of it when pointed at or focused, and all of it when copied."""
    short = value[:_SHORT]
    return (
        f'<code class="id" tabindex="0" title="{_escaped(value)}">'
        f'<span class="head">{_escaped(short)}</span><span class="rest">{_escaped(value[_SHORT:])}</span></code>'
    )


def _upstream_id(value: str) -> str:
    if len(value) <= _LONG_ID:
        return f'<code class="id" tabindex="0" title="{_escaped(value)}">{_text(value)}</code>'
    return f'<code class="id clamp" tabindex="0" title="{_escaped(value)}">{_text(value)}</code>'


# --- head ------------------------------------------------------------------------------------------------------------


def _header(
    root_url: str,
    books: Sequence[SourceBooks],
    images: int | None,
    pairs: int,
    rejected: int,
    seed: int,
    source: str | None,
    reason: str | None,
) -> str:
    total, left = sum(item.total for item in books), sum(item.left for item in books)
    chosen = [item for item in books if source in {None, item.source}]
    could = sum(item.left for item in chosen)
    reasons = count_reasons(chosen)
    could_not = sum(reasons.values()) if reason is None else reasons.get(reason, 0)
    only = "".join(
        f", {word} <strong>{_escaped(value)}</strong> only"
        for word, value in (("source", source), ("rejected for", reason))
        if value is not None
    )
    totals = [
        ("sources", len(books)),
        ("came in", total),
        ("pairs left", left),
        ("rejected", sum(count_reasons(books).values())),
        ("distinct images", images),
    ]
    drawn = f"{bar.amount(could_not, 'rejected rows')}, drawn with seed {seed}{only}"
    return "".join(
        [
            f"<header><h1>A look into <code>{_text(root_url)}</code></h1>",
            f'<p class="lead">{pairs:,} of {bar.amount(could, "pairs")} left, and {rejected:,} of {drawn}. '
            "Pictures are small copies of those in the store.</p>",
            '<dl class="totals">',
            *(
                f"<div><dt>{name}</dt><dd>{'–' if count is None else format(count, ',')}</dd></div>"
                for name, count in totals
            ),
            "</dl>",
            _books_table(books),
            _how(root_url, seed, books),
            "</header>",
        ]
    )


def _books_table(books: Sequence[SourceBooks]) -> str:
    head = "".join(f'<th scope="col"><span class="swatch {stage}"></span>−&#8239;{stage}</th>' for stage in _STAGES)
    return "".join(
        [
            '<section class="panel"><p class="about" id="books">The books: what came in, what each stage rejected, what is '
            "left.</p>",
            '<div class="scroll" role="region" aria-labelledby="books" tabindex="0"><table aria-labelledby="books">',
            '<thead><tr><th scope="col">source</th><th scope="col">in</th>',
            '<th scope="col"><span class="swatch left"></span>left</th>',
            f'<th scope="col" class="share">shares</th>{head}</tr></thead><tbody>',
            *(f"<tr>{_books_row(item.source, [item])}</tr>" for item in books),
            f"</tbody><tfoot><tr>{_books_row('all', books)}</tr></tfoot>" if len(books) > 1 else "</tbody>",
            "</table></div></section>",
        ]
    )


def _books_row(name: str, books: Sequence[SourceBooks]) -> str:
    """Return the cells of one source, or of several added up."""
    stages = {
        stage: sum((item.stages[stage] for item in books if stage in item.stages), Books())
        for stage in _STAGES
        if any(stage in item.stages for item in books)
    }
    total, left = sum(item.total for item in books), sum(item.left for item in books)
    lost = {stage: sum(judged.rejected.values()) for stage, judged in stages.items()}
    return (
        f'<th scope="row">{_breakable(name)}</th><td>{total:,}</td><td>{left:,}</td>'
        f'<td class="share">{_share(name, left, lost, max(total, left + sum(lost.values()), 1))}</td>'
        + "".join(_lost_cell(stages.get(stage)) for stage in _STAGES)
    )


def _breakable(name: str) -> str:
    """Return a source's name, to be broken behind its underscores where there is no room."""
    return re.sub(r"(_+)", r"\1<wbr>", _escaped(name))


def _lost_cell(judged: Books | None) -> str:
    if judged is None:
        return '<td class="nil" title="not run yet">–</td>'
    why = ", ".join(f"{reason} {count:,}" for reason, count in judged.rejected.items())
    lost = sum(judged.rejected.values())
    return f'<td title="{_escaped(why)}">{lost:,}</td>' if lost else '<td class="nil">0</td>'


def _share(source: str, left: int, lost: Mapping[str, int], total: int) -> str:
    parts = [("left", left), *lost.items()]
    says = ", ".join(f"{name} {100 * count / total:.1f} %" for name, count in parts if count)
    start, drawn = 0.0, []
    for name, count in parts:
        width = 100 * count / total
        if count:
            drawn.append(f'<rect class="f-{name}" x="{start:.3f}" y="0" width="{width:.3f}" height="10"></rect>')
        start += width
    return (
        f'<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{_escaped(source)}: {says}"><title>{says}</title>{"".join(drawn)}</svg>'
    )


def _how(root_url: str, seed: int, books: Sequence[SourceBooks]) -> str:
    place = shlex.quote(root_url)
    reasons = count_reasons(books)
    source = max(books, key=lambda item: item.total).source
    lines = [
        (f"pmd peek {place} --seed {seed + 1}", "other rows"),
        (f"pmd peek {place} --source {source} --pairs 200", "one source, more of it"),
    ]
    if reasons:
        reason = max(reasons, key=lambda name: reasons[name])
        lines.append((f"pmd peek {place} --reason {reason} --pairs 0", "one reason"))
    lines.append((f"pmd explain {place} ID", "what became of one pair or image; any id or URL of this page will do"))
    shown = "\n".join(f"{_escaped(command)}  <i># {says}</i>" for command, says in lines)
    return f'<div class="panel more"><p>To see others:</p><pre tabindex="0"><code>{shown}</code></pre></div>'


def _bar(pairs: Sequence[ShownPair], rejected: Sequence[ShownRejected]) -> str:
    names = [item.pair["source"] for item in pairs] + [item.row["source"] for item in rejected]
    chips = _chips("source", {name: names.count(name) for name in sorted(set(names))}, "all sources")
    return f'<nav class="bar" aria-label="Sources on this page">{chips}<div class="status" role="status"></div></nav>'


def _chips(by: str, shown: Mapping[str, int], all_of_them: str, totals: Mapping[str, int] | None = None) -> str:
    """Return the list that the script turns into switches: each value with how many of its rows are on the page."""
    items = [f'<li data-by="{by}">{all_of_them}<small>{sum(shown.values()):,}</small></li>']
    for name, count in shown.items():
        says = f' title="{_escaped(REASONS[name][1])}; {totals.get(name, 0):,} in all"' if totals is not None else ""
        items.append(
            f'<li data-by="{by}" data-value="{_escaped(name)}"{says}>{_escaped(name)}<small>{count:,}</small></li>'
        )
    return f'<ul class="chips {by}s">{"".join(items)}</ul>'


# --- cards -----------------------------------------------------------------------------------------------------------


def _pairs(pairs: Sequence[ShownPair]) -> str:
    cards = "".join(_pair_card(item) for item in pairs) or '<p class="panel empty">There is no pair to show here.</p>'
    return (
        '<section data-block><h2 id="pairs">Pairs</h2>'
        '<p class="lead">What a model would be shown. For a region the picture is the crop; the small one beneath it is the '
        "whole image, with the region's box.</p>"
        f'<div class="grid">{cards}</div></section>'
    )


def _pair_card(item: ShownPair) -> str:
    pair = item.pair
    facts = [
        *_ids(pair["pair_id"], item.image_id, pair["source_id"]),
        *_licences(pair),
        ("image URL", _url(pair["image_url"]) if pair["image_url"] else "none"),
        ("upstream size", _size(pair["width_px"], pair["height_px"]) or "not given"),
        *_fetched(item.ledger, pair["image_url"]),
    ]
    split = f'<span class="tag plain">{_escaped(pair["split"])}</span>' if pair["split"] else ""
    return "".join(
        [
            f'<article class="card panel" data-source="{_escaped(pair["source"])}">',
            _figure(item.picture, pair["text"], pair["region"]),
            f'<div class="body"><div class="tags"><span class="tag">{_escaped(pair["source"])}</span>{split}</div>',
            f'<p class="caption" dir="auto">{_text(pair["text"])}</p>',
            _others(item),
            _facts(facts),
            "</div></article>",
        ]
    )


def _figure(picture: Picture, alt: str, region: Sequence[float] | None) -> str:
    if picture.view is None:
        view = f'<p class="none">{_escaped(picture.why_not or "")}</p>'
    else:
        view = _img(picture.view, picture.size, alt)
    return f'<figure class="look"><div class="view">{view}</div>{_from(picture, region)}</figure>'


def _from(picture: Picture, region: Sequence[float] | None) -> str:
    """Return where in the whole image a region is."""
    if region is None:
        return ""
    whole = "The whole image, with the box of the region"
    inset = "" if picture.inset is None else _img(picture.inset, picture.inset_size, whole)
    x, y, width, height = (100 * side for side in region)
    return (
        f'<figcaption class="from">{inset}<span>A region: {width:.0f} × {height:.0f} % of the image, from {x:.0f} % across '
        f"and {y:.0f} % down.</span></figcaption>"
    )


def _img(jpeg: bytes, size: tuple[int, int], alt: str) -> str:
    return f'<img src="{data_uri(jpeg)}" width="{size[0]}" height="{size[1]}" alt="{_escaped(alt)}">'


def _others(item: ShownPair) -> str:
    if not item.captions:
        return ""
    count = len(item.captions) + item.more_captions
    rows = "".join(
        f"<li><div>{_escaped(caption.source)}{'' if caption.same_view else ', another part of the image'}</div>"
        f'<p class="caption quiet" dir="auto">{_text(caption.text)}</p></li>'
        for caption in item.captions
    )
    more = f"<li>and {item.more_captions:,} more</li>" if item.more_captions else ""
    others = bar.amount(count, "other captions")
    return f"<details><summary>{others} of this image</summary><ul>{rows}{more}</ul></details>"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)}</dl>'


def _ids(pair_id: bytes, image_id: bytes | None, source_id: str) -> Iterator[tuple[str, str]]:
    yield "pair", _id(pair_id.hex())
    if image_id is not None:
        yield "image", _id(image_id.hex())
    yield "source id", _upstream_id(source_id)


def _licences(pair: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "text licence", _escaped(pair["text_licence"] or "not given")
    evidence = pair["licence_evidence"]
    link = f'<div class="by">{_url(evidence)}</div>' if evidence else ""
    yield "image licence", _escaped(pair["image_licence"] or "not given") + link


def _size(width_px: int | None, height_px: int | None) -> str:
    return "" if width_px is None or height_px is None else f"{width_px:,} × {height_px:,} px"


def _fetched(ledger: Mapping[str, Any] | None, image_url: str | None) -> Iterator[tuple[str, str]]:
    if ledger is None:
        return
    if ledger["bytes"] is not None:
        parts = [
            _size(ledger["width_px"], ledger["height_px"]),
            str(ledger["format"] or ""),
            f"{ledger['bytes'] / 1000:,.1f} kB",
            f"kept {ledger['stored_form']}" if ledger["stored_form"] else "",
        ]
        yield "fetched", _escaped(", ".join(part for part in parts if part))
    if ledger["location"]:
        same = ledger["location"] == image_url
        yield "from", "the image URL" if same else _url(ledger["location"])


# --- rejected rows ---------------------------------------------------------------------------------------------------


def _rejected(rejected: Sequence[ShownRejected], books: Sequence[SourceBooks]) -> str:
    reasons = [item.row["reason"] for item in rejected]
    shown = {reason: reasons.count(reason) for reason in REASONS if reason in reasons}
    counts = {
        stage: sum(sum(item.stages[stage].rejected.values()) for item in books if stage in item.stages)
        for stage in _STAGES
    }
    sections = []
    for stage in _STAGES:
        cards = "".join(_rejected_card(item) for item in rejected if item.row["stage"] == stage)
        if cards:
            sections.append(
                f'<section data-block><h3><span class="swatch {stage}"></span>{stage}'
                f"<small>judges {flow.BY_NAME[stage].judges}; {counts[stage]:,} rejected</small></h3>"
                f'<div class="grid">{cards}</div></section>'
            )
    body = "".join(sections) or '<p class="panel empty">There is no rejected row to show here.</p>'
    chips = _chips("reason", shown, "all reasons", count_reasons(books)) if shown else ""
    return (
        '<section data-block><h2 id="rejected">Rejected rows</h2>'
        '<p class="lead">Nothing leaves without a reason. Each of these rows left at one stage, for one reason of a closed '
        f"list.</p>{chips}{body}</section>"
    )


def _rejected_card(item: ShownRejected) -> str:
    row, pair = item.row, item.pair
    stage, meaning = REASONS[row["reason"]]
    text = pair["text"] if pair is not None else None
    stands = item.upstream
    facts = [
        ("stage", stage),
        *((("detail", _text(row["detail"])),) if row["detail"] else ()),
        *((("where", _text(stands.place if stands is not None else row["where"])),) if row["where"] else ()),
        *((("the row there", _text(f"not read: {stands.unread}")),) if stands is not None and stands.unread else ()),
        *_ids(row["pair_id"], row["image_id"], row["source_id"]),
        *((("image URL", _url(pair["image_url"])),) if pair is not None and pair["image_url"] else ()),
        *(_fetched(item.ledger, pair["image_url"] if pair is not None else None) if stage != flow.FETCH.name else ()),
        *_evidence(item),
    ]
    return "".join(
        [
            f'<article class="card panel" data-source="{_escaped(row["source"])}" data-reason="{_escaped(row["reason"])}">',
            _figure(item.picture, text or "", pair["region"] if pair is not None else None) if item.picture else "",
            f'<div class="body"><div class="tags"><span class="tag why">{_escaped(row["reason"])}</span>'
            f'<span class="tag">{_escaped(row["source"])}</span></div>',
            f'<p class="meaning">{_escaped(meaning[:1].upper() + meaning[1:])}.</p>',
            f'<p class="caption quiet" dir="auto">{_text(text)}</p>' if text else "",
            f'<p class="caption quiet" dir="auto">{_text(stands.says)}</p>'
            if stands is not None and stands.says
            else "",
            _facts(facts),
            _headers(item.last),
            "</div></article>",
        ]
    )


def _evidence(item: ShownRejected) -> Iterator[tuple[str, str]]:
    """Yield what the last attempt found."""
    last = item.last
    if item.row["stage"] != flow.FETCH.name:
        return
    if last is None:
        yield "attempts", "none"
        return
    yield "attempts", f"{item.attempts:,}; the last one:"
    image_url = item.pair["image_url"] if item.pair is not None else None
    yield "asked for", "the image URL" if last["location"] == image_url else _url(last["location"])
    yield "answer", _escaped(_answer(last))
    if last["final_url"] and last["final_url"] != last["location"]:
        yield "ended at", _url(last["final_url"])
    if last["error"] and last["error"] != last["policy_evidence"]:
        yield "error", _text(last["error"])
    if last["policy"]:
        yield "policy", _text(": ".join(filter(None, (last["policy"], last["policy_evidence"]))))


def _answer(last: Mapping[str, Any]) -> str:
    when: datetime.datetime = last["when"]
    parts = [
        str(last["status"]),
        f"HTTP {last['http_status']}" if last["http_status"] is not None else "no HTTP answer",
        f"{last['seconds']:.2f} s" if last["seconds"] is not None else "",
        f"{when:%Y-%m-%d %H:%M:%S} UTC",
    ]
    return ", ".join(part for part in parts if part)


def _headers(last: Mapping[str, Any] | None) -> str:
    if last is None or not last["headers"]:
        return ""
    try:
        headers = dict(orjson.loads(last["headers"]))
    except (ValueError, TypeError):
        headers = {"": last["headers"]}
    rows = "".join(
        f"<li><div>{_text(str(name))}</div><p>{_text(str(value))}</p></li>" for name, value in sorted(headers.items())
    )
    return f"<details><summary>Headers kept as evidence</summary><ul>{rows}</ul></details>"


def _footer(seed: int) -> str:
    return (
        "<footer><p>Shown are the rows whose keys have the smallest digests with the seed "
        f"({seed}), in turn from every source, and of rejected rows from every source and reason: the same ROOT and seed "
        "give the same rows. Captions are their authors' words, and pictures their authors' works, under the licences "
        "named beside them; NOASSERTION means that upstream says nothing that would settle it.</p></footer>"
    )
