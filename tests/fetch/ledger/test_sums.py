"""Sums of what was there: made with what every ledger is read for, and read in place of the ledgers."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from pmd import config, flow
from pmd.books import committed
from pmd.fetch import needs
from pmd.fetch.ledger import asked, state, sums
from pmd.inspection import status
from pmd.inspection.diff import roots
from pmd.refresh import results
from pmd.store import commits, parquet_files
from pmd.store.standing import Standing
from tests import tiny_root
from tests.refresh.populations import FETCHED
from tests.refresh.populations import asked as population


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("sums"))


@pytest.fixture
def copy(built: config.Config, tmp_path: Path) -> config.Config:
    shutil.copytree(built.root, tmp_path / "pmd")
    return dataclasses.replace(built, root=str(tmp_path / "pmd"))


def recounted(root_url: str) -> pa.Table:
    return sums.added(sums.of(rows) for rows, _ in asked.read(root_url))


def test_each_image_counts_once_in_every_cut_of_each_source_and_of_all() -> None:
    rows = population([("a.example", ("coco", "wit"), "ok"), ("a.example", ("wit",), "dead"), ("b.example", (), "ok")])
    unknown = rows.slice(1, 1).set_column(6, rows.schema.field(6), pa.nulls(1, rows.schema.field(6).type))
    found = sums.of(pa.concat_tables([rows.slice(0, 1), unknown, rows.slice(2)]))
    assert found.schema == sums.SUMS
    day = FETCHED.date().isoformat()
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("day", "all", day, 2, 2), ("day", "all", "unknown", 1, 0), ("day", "coco", day, 1, 1), ("day", "wit", day, 1, 1),
        ("day", "wit", "unknown", 1, 0),
        ("host", "all", "a.example", 2, 1), ("host", "all", "b.example", 1, 1), ("host", "coco", "a.example", 1, 1),
        ("host", "wit", "a.example", 2, 1),
        ("status", "all", "dead", 1, 0), ("status", "all", "ok", 2, 2), ("status", "coco", "ok", 1, 1),
        ("status", "wit", "dead", 1, 0), ("status", "wit", "ok", 1, 1),
    ]  # fmt: skip
    assert sums.added([found, sums.of(population([]))]) == found


def test_figures_are_told_without_a_ledger(built: config.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = recounted(built.root)
    monkeypatch.setattr(state, "standing", lambda *_: pytest.fail("a ledger was read"))
    assert sums.added(sums.read(built.root)) == wanted
    assert results.gather(built.root)["fetched"]["images"] == 5


def test_a_later_generation_is_counted_and_until_then_the_ledger_is_read(copy: config.Config) -> None:
    before = recounted(copy.root)
    tiny_root.fetch(copy, 1, retry=("dead",))
    after = recounted(copy.root)
    assert after != before
    assert sums.added(sums.read(copy.root)) == after
    assert (
        commits.require(sums.folder_of(copy.root), "").run["inputs"]["ledger"] != Standing(copy.root).generations.digest
    )
    tiny_root.commit_rejected(copy)
    assert [wanted.why() for wanted in needs.wanted(copy)] == [None, None]
    committed = commits.require(sums.folder_of(copy.root), "")
    folder = sums.folder_of(copy.root)
    assert sums.added(parquet_files.read_table(folder, file) for file in committed.files) == after


def test_a_root_of_an_earlier_version_tells_the_same_and_is_told_what_is_missing(copy: config.Config) -> None:
    said = results.gather(copy.root)
    shutil.rmtree(sums.folder_of(copy.root))
    assert results.gather(copy.root) == said
    assert [wanted.why() for wanted in needs.wanted(copy)] == [None, "nothing is committed yet"]


def test_sums_have_no_books(built: config.Config) -> None:
    commit = commits.require(sums.folder_of(built.root), "")
    assert (commit.sources, commit.hash) == ({}, sums.wanted(built.root, Standing(built.root)).hash)
    ledgers = [state.read_ledger(built.root, shard) for shard in state.shards(built.root)]
    assert commit.facts == sums.facts(ledgers)
    assert commit.facts["hashed"] <= commit.facts["ledger"]["ok"]
    assert datetime.date.fromisoformat(
        min(row["name"] for table in sums.read(built.root) for row in table.to_pylist() if row["by"] == sums.DAY)
    )


def test_status_reads_no_ledger_where_a_fetch_has_ended_and_diff_no_commit_of_a_generation(
    copy: config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_root.fetch(copy, 1, retry=("dead",))
    wanted = status.books(copy.root)["fetch"]
    tiny_root.commit_rejected(copy)
    read = committed.read
    folders: list[str] = []

    def noted(root_url: str, folder: str, **more: bool) -> object:
        folders.append(folder)
        return read(root_url, folder, **more)

    monkeypatch.setattr(committed, "read", noted)
    roots.Book(copy.root)
    assert folders
    assert not any(flow.GENERATION.holds(folder) for folder in folders)
    monkeypatch.setattr(state, "standing", lambda *_: pytest.fail("a ledger was read"))
    assert status.books(copy.root)["fetch"] == wanted
    assert wanted["generations"] > wanted["shards"]
