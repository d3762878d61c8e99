"""Shares at the fetch: counted by source, host, status and day; nothing of few images is named."""

from __future__ import annotations

import csv
import io
import itertools

import pytest

from pmd.audit.statistics.suppression import LEAST
from pmd.fetch.ledger import sums
from pmd.refresh import availability, figures, page, results
from tests.refresh.populations import asked

ROWS = [
    *[("big.example", ("coco",), "ok")] * 30,
    *[("big.example", ("coco", "wit"), "dead")] * 10,
    *[("middle.example", ("wit",), "ok")] * 12,
    *[(f"person-{number}.example", ("wit",), "timeout") for number in range(15)],
]


def found(rows: list[tuple[str, tuple[str, ...], str]]) -> dict[str, object]:
    return {
        "fetched": availability.figures([sums.of(asked(rows))]),
        "waves": [],
        "half_life": figures.half_life([]),
    }


def test_an_image_of_two_sources_counts_in_both_and_once_in_all() -> None:
    said = availability.figures([sums.of(asked(ROWS))])
    assert (said["images"], said["alive"], said["share"]) == (67, 42, 0.6269)
    assert [(row["source"], row["images"], row["alive"], row["hosts"]) for row in said["sources"]] == [
        ("all", 67, 42, 17),
        ("coco", 40, 30, 1),
        ("wit", 37, 12, 17),
    ]
    statuses = {(row["source"], row["status"]): row["images"] for row in said["statuses"]}
    assert statuses == {
        ("all", "ok"): 42, ("all", "dead"): 10, ("all", "timeout"): 15, ("coco", "ok"): 30, ("coco", "dead"): 10,
        ("wit", "ok"): 12, ("wit", "dead"): 10, ("wit", "timeout"): 15,
    }  # fmt: skip
    assert [(row["source"], row["day"], row["images"]) for row in said["days"]] == [
        ("all", "2026-01-01", 67), ("coco", "2026-01-01", 40), ("wit", "2026-01-01", 37),
    ]  # fmt: skip


def test_parts_add_up_in_whatever_order_and_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = asked(ROWS)
    parts = [sums.of(whole.slice(start, 9)) for start in range(0, whole.num_rows, 9)]
    monkeypatch.setattr(sums, "_PENDING", 3)
    assert (
        availability.figures(parts) == availability.figures(reversed(parts)) == availability.figures([sums.of(whole)])
    )


def test_reasons_of_as_many_images_stand_by_their_names() -> None:
    """In whatever order a process has its sets."""
    tied = ["forbidden", "timeout", "dead", "placeholder", "not_an_image", "undecodable", "blocked_address"]
    shown = page._by_status(availability.figures([sums.of(asked([("a.example", ("wit",), name) for name in tied]))]))
    assert [part.split("<")[0] for part in shown.split('<td class="words">') if part.split("<")[0] in tied] == sorted(
        tied
    )


def test_one_host_bears_no_interval_and_many_do() -> None:
    said = {row["source"]: row["another_draw"] for row in availability.figures([sums.of(asked(ROWS))])["sources"]}
    assert said["coco"] == {"interval": None, "refused": "too few"}
    assert said["all"] == {"interval": None, "refused": "too concentrated"}
    even = [(f"host-{number % 40}.example", ("coco",), "ok" if number % 3 else "dead") for number in range(400)]
    low, high = availability.figures([sums.of(asked(even))])["sources"][0]["another_draw"]["interval"]
    assert low < 267 / 400 < high


def test_hosts_of_few_images_are_not_named_anywhere() -> None:
    said = found(ROWS)
    fetched = said["fetched"]
    assert [row["host"] for row in fetched["hosts"]] == ["big.example", "middle.example"]  # type: ignore[index]
    assert fetched["other_hosts"] == {"hosts": 15, "images": 15, "alive": 0}  # type: ignore[index]
    for text in (page.html(said), results.table(said)):
        assert "middle.example" in text
        assert "person-" not in text


def test_where_one_host_alone_would_be_left_another_goes_with_it() -> None:
    rows = [
        *[("a.example", ("coco",), "ok")] * 50,
        *[("b.example", ("coco",), "ok")] * 20,
        ("c.example", ("coco",), "dead"),
    ]
    said = availability.figures([sums.of(asked(rows))])
    assert [row["host"] for row in said["hosts"]] == ["a.example"]
    assert said["other_hosts"]["images"] >= LEAST


def test_the_table_has_every_figure_and_its_rows_add_up() -> None:
    rows = list(csv.DictReader(io.StringIO(results.table(found(ROWS)))))
    assert tuple(rows[0]) == results.COLUMNS
    by = {name: list(group) for name, group in itertools.groupby(rows, key=lambda row: row["by"])}
    assert {*by} == {"source", "status", "host", "day"}
    assert sum(int(row["images"]) for row in by["host"]) == 67
    assert sum(int(row["images"]) for row in by["status"] if row["source"] == "all") == 67


def test_the_page_is_sound_without_a_network_and_says_when_nothing_was_asked() -> None:
    text = page.html(found(ROWS))
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert "<script" not in text
    assert "62.7" in text
    assert "Nobody has asked again yet" in text
    nothing = page.html(found([]))
    assert "No image of these lists was asked for on the web" in nothing
