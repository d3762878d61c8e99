"""What lanes tell their driver: read back as it was left, and the same as what their generations' files say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pmd.fetch import runs
from pmd.fetch.generations import reports, store
from pmd.fetch.generations.reports import Done, Heard, Reports
from pmd.fetch.runs import Run
from pmd.store.commits import Books, Commit
from tests import tiny_root

COMMIT = Commit(
    "fetch", (), {"coco": Books(2, {"dead": 1})}, "", {"statuses": {"ok": 2, "dead": 1}}, {"shard": 3, "generation": 1}
)


def test_what_is_left_is_read_back(tmp_path: Path) -> None:
    done = [Done(COMMIT, 4, Heard(5, {"one.example": (2, 1.5)})), Done(COMMIT, 0)]
    kept = Reports(str(tmp_path / "reports"))
    kept.leave("lane-00000", done[:1])
    kept.leave("lane-00001", done[1:])
    found = kept.read()
    assert [(one.left, one.heard, one.shard) for one in found] == [(4, done[0].heard, 3), (0, None, 3)]
    assert [one.commit.sources for one in found] == [COMMIT.sources] * 2


def test_tries_and_seconds_are_of_hosts_that_were_asked() -> None:
    places = [
        "http://One.example/a",
        "http://one.example:8080/b",
        "images.zip!/c.jpg",
        "http://two.example/",
        "no place",
        "http://one.example?at=/c",
    ]
    assert reports.waited(places, [1.0, 0.5, 3.0, None, 2.0, 0.25]) == {"one.example": (3, 1.75)}
    assert reports.waited([], []) == {}


def test_sums_are_of_what_was_told(tmp_path: Path) -> None:
    other = dataclasses.replace(COMMIT, facts={"shard": 4, "generation": 0})
    done = [Done(COMMIT, 0, Heard(5, {"a": (1, 0.5)})), Done(other, 0, Heard(6, {"a": (2, 1.0)})), Done(COMMIT, 0)]
    sums = runs.summed(done)
    assert sums.generations == {(3, 1), (4, 0)}
    assert (sums.statuses, sums.sources) == ({"ok": 4, "dead": 2}, {"coco": {"ok": 4, "dead": 2}})
    assert (sums.bytes, sums.tries, sums.seconds) == (11, {"a": 3}, {"a": 1.5})


def test_lanes_tell_what_the_files_of_their_generations_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tiny_root.build(tmp_path)
    done: list[Done | None] = []
    monkeypatch.setattr(store, "run_shard", lambda order, lane: done.append(store.settle_shard(order, lane)))
    tiny_root.fetch(chosen, 1, retry=("dead",))
    mine = [one for one in done if one is not None]
    first = {one.shard: one.commit.facts["generation"] for one in mine}
    assert mine
    assert all(one.heard is not None for one in mine)
    by_files = runs.tell(chosen, Run(first, 2.0))
    assert by_files["images"] == sum(one.commit.run["images"] for one in mine)
    assert by_files["bytes"] > 0
    monkeypatch.setattr(runs, "_read_generation", lambda *_: pytest.fail("a generation's files were read"))
    assert runs.tell(chosen, Run(first, 2.0, told=runs.summed(mine))) == by_files
