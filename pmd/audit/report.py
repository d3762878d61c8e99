"""The report: audit.json as one HTML page that needs nothing else, neither network nor scripts.

Each section begins with one sentence that says what its chart shows, made from the figures and as careful as they are;
then the chart with its coverage. "Before" is what curate kept, "after" what the last stage that has run kept;
the tables have every stage between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pmd.audit import (
    ages_section,
    associations_section,
    attributes_section,
    balance,
    concentration,
    contents,
    formatting,
    harm_section,
    identity_section,
    page,
    personal_data_section,
    pictures_section,
    rates,
    sharing,
)
from pmd.audit.measure import STAGES
from pmd.audit.style import CSS
from pmd.escape import html as escape

#: What no figure here can say, whatever its interval.
LIMITS: Final = (
    "What readers saw and curate rejected has no text here: it is counted, by reason, and not described.",
    "A caption is not a picture. Terms in a text say what someone wrote, not who is in the image; a picture of people "
    "may well have a caption without any gendered term.",
    "The word lists are English, made for another purpose, and nearly blind to context: “Ms” also stands for a state, “guys” "
    "for everyone, a lion may be female. First names are not listed at all, and no gender is taken from a name or a face. Texts "
    "in other languages are not looked at.",
    "The language identifier is weakest on the shortest texts; a list of place names has no language. "
    "What it does not recognise it cannot count.",
    "A text on many images is not boilerplate for that: “a red flower” may be true of all of them. Texts are shown as they "
    "are compared, and may name who wrote them.",
    "Only YFCC100M carries geotags, and people who geotag differ from people who do not. A country is where the camera "
    "was said to be, not where the photographer is from; borders are those of time zones.",
    "A user is an account name: one person may have several, and an account several people. RedCaps' authors and "
    "Flickr's users are different worlds and are not joined.",
    "A host is where the file lay when upstream listed it, not who made it.",
    "Intervals are for texts that were not read, or for another draw of such users, images, pages and hosts, as it says "
    "there. They do not cover errors of the identifier, the lists or upstream's fields.",
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
    yield balance.flow(result)
    yield balance.against_table2(result)
    yield sharing.overlap(result)
    yield contents.stage_by_stage(result)
    yield contents.lengths(result)
    yield sharing.repeated(result)
    yield contents.languages(result)
    yield contents.countries(result)
    yield contents.gendered(result)
    yield rates.carriers(result, "terms", "Terms that carry these figures")
    yield ages_section.section(result)
    yield associations_section.section(result)
    yield identity_section.section(result)
    yield harm_section.section(result)
    yield personal_data_section.section(result)
    yield pictures_section.section(result)
    yield attributes_section.section(result)
    yield contents.losses(result)
    yield concentration.users(result)
    yield concentration.hosts(result)
    yield (
        '<h2 id="limits">What this cannot tell</h2>\n<ul>'
        + "".join(f"<li>{escape(limit)}</li>" for limit in LIMITS)
        + "</ul>"
    )


def _header(result: Mapping[str, Any]) -> str:
    first, last = page.ends(result)
    everything = result["all"]
    read = sum(book["in"] for book in result["books"].get("curate", {}).values())
    published = sum(row["published"]["pairs"] for row in result["table2"])
    kept, left = everything[first]["pairs"], everything[last]["pairs"]
    images = everything[last]["images"]["distinct"]
    tiles = [
        (formatting.short(read), "pairs and lost records that the readers gave"),
        (
            formatting.short(kept),
            f"pairs after {first}" + (f", {formatting.percent(kept / read)} of those read" if read else ""),
        ),
    ]
    if last != first:
        tiles.append(
            (
                formatting.short(left),
                f"pairs after {last}" + (f", {formatting.percent(left / kept)} of curate's" if kept else ""),
            )
        )
    tiles.append((formatting.short(images["value"]), f"distinct images after {last}"))
    if published:
        tiles.append(
            (formatting.percent(left / published), f"of the {formatting.short(published)} pairs in FLAVA's Table 2")
        )
    here, rows = len(result["sources"]), len(result["table2"])
    profile = f"Profile <b>{escape(result['profile'])}</b>. " if result["profile"] else ""
    missing = [stage for stage in STAGES if stage not in result["stages"]]
    thinned = (
        f" <b>A sample:</b> one in {formatting.count(result['sample'])} of the images. Every figure but the books', also after "
        f"{escape(first)}, is of pairs of these images."
        if result["sample"] != 1
        else ""
    )
    waiting = f" Not run yet: {', '.join(missing)}." if missing else ""
    links = (
        ("flow", "Where pairs go"),
        ("table2", "Beside Table 2"),
        ("overlap", "Overlap"),
        ("stages", "Stage by stage"),
        ("lengths", "Lengths"),
        ("repeated", "Repeated captions"),
        ("languages", "Languages"),
        ("countries", "Countries"),
        ("gendered", "Gendered terms"),
        ("age", "Young and old"),
        ("associations", "With gendered terms"),
        ("identity", "Identity"),
        ("harm", "Harm"),
        ("personal-data", "Personal data"),
        ("pictures", "Pictures"),
        *((("attributes", "Attributes"),) if everything[first]["attributes"]["values"] else ()),
        ("losses", "Losses"),
        ("users", "Users"),
        ("hosts", "Hosts"),
        ("limits", "What this cannot tell"),
        ("components", "Components"),
    )
    return (
        f'<p class="lead">Who and what is in the pairs, where they come from, and what each stage took away. {profile}'
        f"{here} source{'s' if here != 1 else ''} of {rows} row{'s' if rows != 1 else ''} of Table 2; stages: "
        f"{escape(', '.join(result['stages']))}.{escape(waiting)}{thinned}</p>"
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in tiles)
        + "</div><nav>"
        + "".join(f'<a href="#{anchor}">{text}</a>' for anchor, text in links)
        + "</nav>"
    )


def _components(result: Mapping[str, Any]) -> str:
    rows = []
    for part in result["components"]:
        data = part.get("data", "")
        if "absent" in part:
            data = f"absent: {part['absent']}"
        digests = "".join(
            f'<div class="hash">{escape(name)}: {formatting.count(part["terms"][name])} terms, '
            f"sha256 {escape(digest)}</div>"
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
        + page.table(("<package", "<licence", "<used for", "<data in it", "<licence of the data"), rows)
    )
