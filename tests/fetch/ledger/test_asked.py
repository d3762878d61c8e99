"""Which images the web was asked for, and what it said of them."""

from __future__ import annotations

import datetime

import pytest

from pmd import config
from pmd.fetch.ledger import asked
from pmd.schema import keys
from pmd.schema.statuses import UNASKED
from tests import tiny_root
from tests.refresh.populations import FETCHED, image, images, ledger, settled

A = ("archive", "images.zip!/a.jpg")
ONE, TWO = ("original", "http://www.one.example/a.jpg"), ("original", "http://two.example/a.jpg")
MIRROR = ("mirror", "https://bucket.mirror.example/a.jpg")
COPY = "https://web.archive.org/web/2020id_/http://www.one.example/a.jpg"


@pytest.mark.parametrize(
    ("places", "status", "location", "found"),
    [
        ((ONE,), "ok", ONE[1], ("one.example", "ok")),
        ((ONE,), "dead", ONE[1], ("one.example", "dead")),
        ((MIRROR, ONE), "ok", MIRROR[1], ("one.example", "ok")),  # of upstream's address, wherever it was had
        ((MIRROR,), "ok", MIRROR[1], ("mirror.example", "ok")),
        ((A, ONE), "ok", A[1], None),  # an archive says nothing of the web
        ((A, ONE), "ok", ONE[1], ("one.example", "ok")),  # the archive had it not
        ((A,), "ok", A[1], None),
        ((A, ONE), "ok", "moved/images.zip!/a.jpg", None),
        ((ONE,), "ok", "/data/00000.tar!/000000001.jpg", None),  # img2dataset's
        ((ONE,), "ok", COPY, ("one.example", "archived")),
        ((ONE,), "ok", "http://old.example/a.jpg", ("one.example", "ok")),  # upstream had it there once
        ((ONE,), "ok", "http://old.example/a.jpg?of=/http://b.example/", ("one.example", "ok")),
        ((ONE,), "ok", COPY.replace("www.one", "old"), ("one.example", "archived")),  # and it was gone from there
        ((ONE, TWO), "dead", TWO[1], ("one.example", "dead")),
        ((), "no_location", None, None),
        *(((ONE,), status, ONE[1], None) for status in UNASKED),  # they say nothing of the web
        ((ONE,), "forbidden", ONE[1], ("one.example", "forbidden")),
    ],
)
def test_what_counts(
    places: tuple[tuple[str, str], ...], status: str, location: str | None, found: tuple[str, str] | None
) -> None:
    table, mine = asked.asked(images(image("a", *places)), ledger(settled("a", status, location)), {0: {0: FETCHED}})
    rows = table.to_pylist()
    assert [(row["host"], row["status"]) for row in rows] == ([found] if found else [])
    assert mine["image_id"].to_pylist() == [row["image_id"] for row in rows]
    assert all(row["fetched"] == FETCHED for row in rows)


def test_who_was_not_asked_for_is_not_counted_and_each_has_the_day_of_its_own_generation() -> None:
    later = FETCHED + datetime.timedelta(days=3)
    rows = [
        image(name, ("original", f"http://one.example/{name}"), shard=shard)
        for name, shard in (("a", 0), ("b", 1), ("c", 1))
    ]
    known = ledger(settled("a", "ok", "http://one.example/a", 1), settled("b", "dead", "http://one.example/b", 1))
    table, _ = asked.asked(images(*rows), known, {0: {0: FETCHED, 1: later}, 1: {0: FETCHED}})
    when = dict(zip(table["image_id"].to_pylist(), table["fetched"].to_pylist(), strict=True))
    assert when == {keys.image_id("a"): later, keys.image_id("b"): None}


def test_no_images_are_none() -> None:
    table, mine = asked.asked(images(), ledger(), {})
    assert (table.num_rows, mine.num_rows) == (0, 0)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


def test_a_root(built: config.Config) -> None:
    found = [row for table, _ in asked.read(built.root) for row in table.to_pylist()]
    assert sorted((row["host"], row["status"], tuple(row["sources"])) for row in found) == [
        ("cocodataset.org", "ok", ("coco", "conceptual_captions")),
        ("one.example", "dead", ("conceptual_captions",)),
        ("one.example", "ok", ("conceptual_captions",)),
        ("stanford.edu", "ok", ("visual_genome",)),
        ("two.example", "ok", ("conceptual_captions",)),
    ]
    assert all(row["fetched"] is not None for row in found)
