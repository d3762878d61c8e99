"""The report's section on the pictures that were fetched, by source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pmd.audit.figures.pictures import BINS, NO_COPY, labels, low
from pmd.audit.report import charts, formatting, page
from pmd.audit.statistics.suppression import NOT_SHOWN
from pmd.escape import html as escape

#: Table → what it is called.
TITLES: Final = {
    "short_side_px": "Shorter side, pixels",
    "aspect": "Longer side ÷ shorter",
    "bytes": "Bytes, as it came",
    "orientation": "Orientation",
    "format": "Format",
    "copies": "Copy of another",
}

#: The table that is drawn.
_DRAWN: Final = "short_side_px"
#: Pixels of the shorter side below which a picture is called small: what models are mostly trained on (FLAVA: 224) and some room.
_SMALL_PX: Final = 256


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    pictures = result["pictures"]
    method = f'<p class="coverage">{escape(result["methods"]["pictures"])}</p>'
    if not pictures:
        return f'<p class="reading">No picture has been fetched.</p>{method}'
    sources = [source for source, _, _ in page.sources_in_order(result) if source in pictures]
    tables = "".join(_table(pictures, sources, table, title) for table, title in TITLES.items())
    return (
        f'<p class="reading">{escape(_reading(pictures, sources))}</p>{_chart(_added(pictures, sources, _DRAWN))}'
        f"<details><summary>Sizes, shapes, formats and copies, by source</summary>{tables}</details>{method}"
    )


def _added(pictures: Mapping[str, Any], sources: Sequence[str], table: str) -> dict[str, int]:
    """Return a table's values of all sources together: value → pictures; what is not shown is a value, too."""
    found: dict[str, int] = {}
    for source in sources:
        for row in pictures[source]["values"]:
            if row["table"] == table:
                found[row["value"]] = found.get(row["value"], 0) + row["images"]
    return found


def _reading(pictures: Mapping[str, Any], sources: Sequence[str]) -> str:
    number = sum(pictures[source]["coverage"]["measured"] for source in sources)
    asked: tuple[tuple[str, Callable[[str], bool], str], ...] = (
        (_DRAWN, lambda value: low(value) < _SMALL_PX, f"have a shorter side under {_SMALL_PX} pixels"),
        ("orientation", lambda value: value == "landscape", "are wider than high"),
        ("copies", lambda value: value != NO_COPY, "are a copy of another"),
    )
    said, is_range = [], False
    for table, is_meant, words in asked:
        found = _added(pictures, sources, table)
        hidden = found.pop(NOT_SHOWN, 0)
        meant = sum(images for value, images in found.items() if is_meant(value))
        share = _between(meant, meant + hidden, number)
        is_range |= " to " in share
        said.append(f"{share} {words}")
    few = " What few pictures of a source have in common is not shown, hence the ranges." if is_range else ""
    return (
        f"Of {formatting.counted(number, 'picture')} that {formatting.verb(number, 'was', 'were')} fetched, those of several "
        "sources counted for each, "
        f"{said[0]}, {said[1]}, and {said[2]}.{few}"
    )


def _between(least: int, most: int, number: int) -> str:
    """Return how many pictures have something, as a share: a range where that of some is not shown."""
    return " to ".join(dict.fromkeys(formatting.percent(one / number) for one in (least, most)))


def _chart(sides: Mapping[str, int]) -> str:
    """Return how many pictures have a shorter side of each size, of all sources together."""
    hidden = sides.get(NOT_SHOWN, 0)
    number = sum(sides.values()) - hidden
    if not number:
        return ""
    named = labels(_DRAWN)
    # Of a bin that is not there it is not known whether it has none, where some are not shown.
    shares = [None if hidden and value not in sides else sides.get(value, 0) / number for value in named]
    of = f"the {formatting.counted(number, 'picture')} whose bin is shown" if hidden else "the pictures of all sources"
    title = f"{TITLES[_DRAWN]}: share of {of}"
    return f"<h3>{escape(TITLES[_DRAWN])}, all sources</h3>" + page.chart(
        charts.columns([_short(value) for value in named], [shares], ["after"], title, "pixels")
    )


def _short(value: str) -> str:
    """Return a bin as it stands under its column: "512–767", "2,048+"."""
    first, _, end = value.partition(" to below ")
    return f"{first}–{int(end.replace(',', '')) - 1:,}" if end else first.removesuffix(" or more") + "+"


def _table(pictures: Mapping[str, Any], sources: Sequence[str], table: str, title: str) -> str:
    """Return a row a source: of a dozen sources, columns would be cut off on paper."""
    shares = {
        source: {row["value"]: row["share"] for row in pictures[source]["values"] if row["table"] == table}
        for source in sources
    }
    values = sorted({value for some in shares.values() for value in some}, key=lambda value: _place(table, value))
    rows = [
        page.row(source, *(formatting.percent(some[value]) if value in some else "–" for value in values))
        for source, some in shares.items()
    ]
    return f"<h3>{escape(title)}</h3>{page.table(('<source', *values), rows, label=f'{title}, by source')}"


def _place(table: str, value: str) -> tuple[bool, float, str]:
    """Return where a value stands in its table: bins from the least on, what is not shown at the end."""
    is_hidden = value == NOT_SHOWN
    return is_hidden, low(value) if table in BINS and not is_hidden else 0.0, value
