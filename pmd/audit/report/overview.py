"""The page's first lines: what was audited, and the numbers that say how much of it there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmd.audit.counting.measure import STAGES
from pmd.audit.report import formatting, page
from pmd.escape import html as escape


def lead(result: Mapping[str, Any]) -> str:
    """Return what was audited."""
    first, _ = page.ends(result)
    if "data_set" in result:
        return _of_data_set(result)
    rows = result["table2"]
    of_paper = sum(bool(row["sources_here"]) for row in rows)
    profile = f"Profile <b>{escape(result['profile'])}</b>. " if result["profile"] else ""
    missing = [stage for stage in STAGES if stage not in result["stages"]]
    waiting = f" Not run yet: {', '.join(missing)}." if missing else ""
    return (
        f'<p class="lead">Who and what is in the pairs, where they come from, and what each stage took away. {profile}'
        f"{formatting.counted(len(result['sources']), 'source')}, {of_paper} of the {formatting.counted(len(rows), 'row')} of "
        f"Table 2; stages: "
        f"{escape(', '.join(result['stages']))}.{escape(waiting)}{_thinned(result, first)}</p>"
    )


def _of_data_set(result: Mapping[str, Any]) -> str:
    data, books = result["data_set"], result["books"][result["stages"][0]].values()
    files = formatting.counted(data["files"], "file")
    lost: dict[str, int] = {}
    for book in books:
        for reason, count in book["rejected"].items():
            lost[reason] = lost.get(reason, 0) + count
    left = ", ".join(
        f"{formatting.count(count)} as {reason.replace('_', ' ')}" for reason, count in sorted(lost.items())
    )
    return (
        f'<p class="lead">Who and what is in the pairs of <b>{escape(data["path"])}</b> ({files}), and where they come from. '
        "It was audited as it is: no step of a build has gone over it.</p>"
        f"<p>Columns: {escape('; '.join(data['columns']) or 'none')}."
        f"{escape(f' Rows left out: {left}.' if left else '')}</p>"
    )


def _thinned(result: Mapping[str, Any], first: str) -> str:
    if result["sample"] == 1:
        return ""
    return (
        f" <b>A sample:</b> one in {formatting.count(result['sample'])} of the images. Every figure but the books', also after "
        f"{escape(first)}, is of pairs of these images."
    )


def tiles(result: Mapping[str, Any]) -> str:
    """Return the largest numbers."""
    first, last = page.ends(result)
    everything = result["all"]
    read = sum(book["in"] for book in result["books"].get(first, {}).values())
    published = sum(row["published"]["pairs"] for row in result["table2"])
    kept, left = everything[first]["pairs"], everything[last]["pairs"]
    tiles = [
        (
            formatting.short(read),
            formatting.noun(read, "row") if "data_set" in result else "pairs and lost records that the readers gave",
        ),
        (
            formatting.short(kept),
            f"{formatting.noun(kept, 'pair')} after {first}"
            + (f", {formatting.percent(kept / read)} of those read" if read else ""),
        ),
    ]
    if last != first:
        tiles.append(
            (
                formatting.short(left),
                f"{formatting.noun(left, 'pair')} after {last}"
                + (f", {formatting.percent(left / kept)} of curate's" if kept else ""),
            )
        )
    images = everything[last]["images"]["distinct"]["value"]
    tiles.append((formatting.short(images), f"distinct {formatting.noun(images, 'image')} after {last}"))
    of_paper = [row["pairs"].get(last, 0) for row in result["table2"] if row["sources_here"]]
    if of_paper:
        # As beside Table 2: pairs of sources that the paper does not have are no part of its count.
        tiles.append(
            (
                formatting.percent(sum(of_paper) / published),
                f"of the {formatting.short(published)} pairs in FLAVA's Table 2",
            )
        )
    drawn = "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in tiles)
    return f'<div class="tiles">{drawn}</div>'
