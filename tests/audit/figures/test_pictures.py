"""Pictures by source: sizes, shapes, formats and copies, of what was fetched."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pmd.audit.figures import pictures
from pmd.audit.report import pictures_section
from pmd.schema.tables import GROUPS, KEY, LEDGER
from tests.audit.page_tables import Page


def _key(number: int) -> bytes:
    return bytes([number]) * 16


def _ledger(rows: list[tuple[int, str, int, int, int]]) -> pa.Table:
    found = [
        {
            "image_id": _key(number),
            "status": status,
            "width_px": width,
            "height_px": height,
            "bytes": size,
            "format": "jpeg",
        }
        for number, status, width, height, size in rows
    ]
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in LEDGER.names} for row in found],
        pa.schema([field.with_nullable(True) for field in LEDGER]),
    )


def _result(told: dict[str, Any]) -> dict[str, Any]:
    """Return as much of an audit as the section of pictures reads."""
    return {
        "pictures": told,
        "methods": {"pictures": pictures.METHOD},
        "stages": ["curate"],
        "sources": {name: {"curate": {"pairs": 100}} for name in told},
        "table2": {},
    }


def test_images_are_counted_by_source_and_bin() -> None:
    images = pa.table(
        {
            "image_id": pa.array([_key(1), _key(2), _key(3)], KEY),
            "sources": pa.array([["coco", "wit"], ["coco"], ["wit"]]),
        }
    )
    ledger = _ledger([(1, "ok", 640, 480, 50_000), (2, "ok", 100, 300, 5_000), (3, "dead", 0, 0, 0)])
    groups = pa.Table.from_pylist(
        [{"image_id": _key(2), "kept_id": _key(1), "relation": "near_duplicate", "distance": 3, "matched": None}],
        GROUPS,
    )
    found = {(source, table, value): number for source, table, value, number in pictures.count(images, ledger, groups)}
    assert found["coco", "short_side_px", "384 to below 512"] == 1
    assert found["coco", "short_side_px", "0 to below 128"] == 1
    assert found["coco", "aspect", "1.1 to below 1.34"] == 1
    assert found["coco", "aspect", "3 or more"] == 1
    assert found["wit", "bytes", "30,000 to below 100,000"] == 1
    assert found["coco", "copies", "near_duplicate"] == 1
    assert found["wit", "copies", pictures.NO_COPY] == 1
    assert found["coco", "orientation", "portrait"] == 1
    assert sum(number for (source, table, _), number in found.items() if (source, table) == ("wit", "format")) == 1


def test_bins_of_few_are_summed_up() -> None:
    parts = [
        [["coco", table, "many", 30] for table in pictures.TABLES],
        [["coco", table, "more", 20] for table in pictures.TABLES],
    ]
    parts.append([["coco", "format", "png", 3], ["coco", "format", "gif", 9]])
    for table in pictures.TABLES:
        if table in pictures.BINS:
            for part in parts[:2]:
                for row in part:
                    if row[1] == table:
                        row[2] = "0 to below 128" if row[2] == "many" else "128 to below 256"
    found = pictures.figures(parts)["coco"]
    formats = {row["value"]: row["images"] for row in found["values"] if row["table"] == "format"}
    assert formats == {"many": 30, "more": 20, "not shown": 12}
    assert found["coverage"]["measured"] == 62
    assert pictures.figures([]) == {}


def test_the_page_says_and_draws_how_large_pictures_are() -> None:
    def counts(source: str, number: int) -> list[list[Any]]:
        sides = [["128 to below 256", number], ["512 to below 768", 3 * number]]
        shapes = [["landscape", 3 * number], ["square", number]]
        kinds = [["bytes", number], [pictures.NO_COPY, 3 * number]]
        by_table = {"short_side_px": sides, "orientation": shapes, "copies": kinds}
        return [
            [source, table, value, many]
            for table in pictures.TABLES
            for value, many in by_table.get(table, [["jpeg", 4 * number]] if table == "format" else [])
        ]

    told = pictures.figures([counts("coco", 20), counts("wit", 30)])
    result = _result(told)
    page = pictures_section.section(result)
    assert (
        "Of 200 pictures that were fetched, those of several sources counted for each, 25.0 % have a shorter side under 256 "
        "pixels, 75.0 % are wider than high, and 25.0 % are a copy of another." in page.replace("\u00a0", " ")
    )
    drawn = page[page.index("<figure>") : page.index("</figure>")].replace("\u00a0", " ")
    assert "128–255 pixels: 25.0 %" in drawn
    assert "512–767 pixels: 75.0 %" in drawn
    assert "2,048+ pixels: 0 %" in drawn
    assert "No picture has been fetched." in pictures_section.section({**result, "pictures": {}})


def test_the_page_says_between_what_a_share_is_where_small_cells_are_not_shown() -> None:
    """Of 50 pictures 12 are known to be small and 18 may be; nothing is known of their shape, and all of copies."""
    counts = [["short_side_px", "128 to below 256", 12], ["short_side_px", "512 to below 768", 20]]
    counts += [["short_side_px", name, 9] for name in pictures.labels("short_side_px")[5:7]]
    counts += [["orientation", name, 9] for name in ("landscape", "square", "portrait", "4", "5")]
    counts += [["orientation", "6", 5], ["copies", pictures.NO_COPY, 50], ["format", "jpeg", 50]]
    result = _result(pictures.figures([[["coco", *row] for row in counts]]))
    page = pictures_section.section(result).replace("\u00a0", " ")
    assert (
        "24.0 % to 60.0 % have a shorter side under 256 pixels, 0 % to 100 % are wider than high, and 0 % are a copy of another. "
        "What few pictures of a source have in common is not shown, hence the ranges." in page
    )
    assert "Shorter side, pixels: share of the 32 pictures whose bin is shown" in page
    assert "128–255 pixels: 37.5 %" in page
    assert " pixels: 0 %" not in page


def test_a_range_of_nothing_is_no_range() -> None:
    """Of 18 of 100,000 pictures it is not shown what they are: both ends are written alike."""
    names = {
        "short_side_px": pictures.labels("short_side_px")[1:5],
        "orientation": ["landscape", "portrait", "square", "4"],
        "copies": [pictures.NO_COPY, "repeated_bytes", "3", "4"],
        "format": ["jpeg", "png", "gif", "webp"],
    }
    counts = [
        ["coco", table, value, images]
        for table, values in names.items()
        for value, images in zip(values, (60_000, 39_982, 9, 9), strict=True)
    ]
    result = _result(pictures.figures([counts]))
    page = pictures_section.section(result).replace("\u00a0", " ")
    assert "60.0 % have a shorter side under 256 pixels, 60.0 % are wider than high, and 40.0 % are a copy" in page
    assert "hence the ranges" not in page


def test_a_table_of_sources_that_have_other_bins_is_in_order_of_the_bins() -> None:
    """What the first source has too few of stands where it belongs, and what is not shown at the end."""
    bins = pictures.labels("aspect")
    told = pictures.figures(
        [
            [["coco", "format", "jpeg", 105], ["coco", "aspect", bins[3], 50], ["coco", "aspect", bins[5], 50]]
            + [["coco", "aspect", bins[0], 5], ["wit", "format", "jpeg", 80]]
            + [["wit", "aspect", name, 20] for name in (bins[0], bins[1], bins[4], bins[6])]
        ]
    )
    result = _result(told)
    page = Page(f'<h2 id="pictures">Pictures</h2>{pictures_section.section(result)}')
    table = page.table("pictures", "Longer side ÷ shorter")
    assert table.head == ["source", *(bins[place] for place in (0, 1, 4, 5, 6)), "not shown"]


def test_tables_are_no_wider_the_more_sources_there_are() -> None:
    """A dozen sources beside each other were cut off on paper, and all else was printed small."""
    sides = pictures.labels("short_side_px")
    names = [f"source_{number}" for number in range(14)]
    counts = [[name, "short_side_px", side, 20] for name in names for side in sides]
    told = pictures.figures([[*counts, *([name, "format", "jpeg", 20 * len(sides)] for name in names)]])
    content = _result(told)
    page = Page(f'<h2 id="pictures">Pictures</h2>{pictures_section.section(content)}')
    table = page.table("pictures", "Shorter side, pixels", column="source")
    assert table.head == ["source", *sides]
    assert {row[0] for row in table.rows} == {*names}
