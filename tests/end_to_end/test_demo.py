"""The demo's ROOT is what its author wrote down beforehand: books, texts, statuses, samples; and nothing is fetched twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from pmd.demo import rows
from pmd.demo.config import SOURCES
from pmd.fetch.ledger import partitions
from pmd.inspection import verify
from pmd.schema.statuses import UNASKED
from pmd.store import commits
from tests.demo import expected
from tests.demo.expected import Expected
from tests.end_to_end import building
from tests.end_to_end.conftest import Demo

FOLDERS = {"fetch": "fetch/rejected", "dedupe": "dedupe", "shard": "shards/rejected"}


@pytest.fixture(scope="module")
def meant() -> Expected:
    return expected.expected(rows.build_world())


def _books(folder: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((folder / "_stage.json").read_text())["sources"]
    return found


def test_the_books_are_those_that_were_meant(demo: Demo, meant: Expected) -> None:
    for source, books in meant.curate.items():
        assert _books(demo.root / f"curate/source={source}") == {source: books}
    for stage, folder in FOLDERS.items():
        assert _books(demo.root / folder) == dict(getattr(meant, stage)), stage


def test_texts_are_those_that_were_meant(demo: Demo, meant: Expected) -> None:
    for source, texts in meant.texts.items():
        found = building.rows(demo.root / f"curate/source={source}", "pairs/")
        assert Counter(row["text"] for row in found) == Counter(texts), source


def test_every_image_ends_as_it_was_meant(demo: Demo, meant: Expected) -> None:
    root = str(demo.root)
    cut = partitions.cut(root)
    images = {
        row["image_id"]: row
        for part in range(2**cut.part_bits)
        for row in partitions.read_images(root, part).to_pylist()
    }
    ledger = partitions.read_ledger(root, range(2**cut.shard_bits)).to_pylist()
    assert len(ledger) == len(images) == len(meant.images)
    judged = 0
    for row in ledger:
        urls = [place["url"] for place in images[row["image_id"]]["locations"]]
        statuses = {
            meant.statuses[name] for url in urls for name in (url, url.rsplit("/", 1)[-1]) if name in meant.statuses
        }
        if statuses:
            judged += 1
            assert statuses == {row["status"]}, urls
    assert judged > 200


def test_shards_hold_the_samples_that_were_meant(demo: Demo, meant: Expected) -> None:
    sizes = json.loads((demo.root / "shards/webdataset/sizes.json").read_text())
    assert sum(sizes.values()) == meant.samples
    counts = list(sizes.values())
    assert set(counts[:-1]) == {demo.config.shard.samples_per_shard}
    assert counts[-1] <= demo.config.shard.samples_per_shard
    pairs = building.table(demo.root / "shards/parquet")["pairs"].to_pylist()
    ids = [pair["pair_id"] for sample in pairs for pair in sample]
    assert len(ids) == len(set(ids)) == meant.pairs


def test_one_image_is_asked_for_once(demo: Demo, meant: Expected) -> None:
    asked = Counter(demo.web.requests)
    assert not set(asked) & set(meant.never_requested)
    twice = {
        route for route, count in asked.items() if count > 1 and not route[1].endswith(("/robots.txt", "/tdmrep.json"))
    }
    assert twice <= set(meant.may_repeat)


def test_published_text_is_what_may_be_handed_on(demo: Demo) -> None:
    from pmd import manifests

    for name in SOURCES:
        manifest = manifests.load(name)
        found = building.rows(demo.root / f"publish/source={name}")
        assert {row["source"] for row in found} <= {manifest.hub_name}
        assert all((row["text"] is not None) == (manifest.redistribute == "text") for row in found), name
        assert all(row["image_url"] is None for row in found) or manifest.redistribute != "ids"
        assert all((row["withheld_digest"] is None) == (manifest.redistribute == "text") for row in found), name
        assert all(row["sha256"] for row in found)


def test_the_audit_is_one_page_that_needs_no_network(demo: Demo) -> None:
    page = (demo.root / "audit/report.html").read_text()
    assert [mark for mark in ("<script src", "<link", "@import") if mark in page] == []
    content = json.loads((demo.root / "audit/audit.json").read_text())
    assert content["profile"] == "recommended"
    # What opted out or was blocked is told from what is dead, as the books have it.
    taken = [one["step"] for one in content["steps"]["steps"]]
    assert taken == ["curate", "images", "asked", "fetch", "dedupe", "shard"]
    for source, book in content["books"]["fetch"].items():
        pairs = dict(zip(taken, content["steps"]["sources"][source]["pairs"], strict=True))
        assert pairs["images"] - pairs["asked"] == sum(book["rejected"].get(status, 0) for status in UNASKED)
    assert sum(book["rejected"].get("opted_out", 0) for book in content["books"]["fetch"].values()) > 0


def test_it_verifies_and_a_second_build_does_nothing(demo: Demo) -> None:
    assert verify.verify(str(demo.root))["problems"] == []
    before = len(demo.web.requests)
    assert [step for step in building.run(demo.config) if step.seconds is not None] == []
    assert len(demo.web.requests) == before


def test_every_commit_lists_its_files_as_they_are(demo: Demo) -> None:
    for folder, commit in building.committed(demo.root).items():
        assert set(commit) == {"stage", "files", "sources", "hash", "facts", "run"}
        for file in commit["files"]:
            content = (demo.root / folder / file["name"]).read_bytes()
            assert (len(content), commits.sha256(content)) == (file["bytes"], file["sha256"])
