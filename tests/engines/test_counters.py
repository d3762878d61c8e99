"""Counters of engines: the same names as the books, whatever the stage, and nothing where an engine gives none."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pmd.engines import counters, transforms
from pmd.engines.transforms import Collected
from pmd.store.commits import Books


class Kept:
    """What commits; keeps what it was given."""

    work = "/nowhere"
    stage = "curate"

    def __call__(self, found: Collected) -> None:
        """Commit."""


def test_the_counters_of_a_stage_are_its_books(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms.ends, "check", lambda _: None)
    monkeypatch.setattr(transforms.ends, "leave", lambda _: None)
    batches = [
        transforms.outputs((), {"coco": Books(3, {"bad_url": 2}), "wit": Books(1, {})}),
        transforms.outputs((), {"coco": Books(4, {"bad_url": 1, "empty_text": 5})}, ['{"a": 1}']),
    ]
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | transforms.create(batches) | transforms.WriteCommit(Kept())
    result = pipeline.run()
    result.wait_until_finish()
    found = counters.read(result)
    assert found == {
        "curate.coco.bad_url": 3,
        "curate.coco.empty_text": 5,
        "curate.coco.kept": 7,
        "curate.wit.kept": 1,
    }
    books = transforms.collect(batches).books
    assert {
        f"curate.{source}.{reason}": count
        for source, book in books.items()
        for reason, count in {counters.KEPT: book.kept, **book.rejected}.items()
    } == found


def test_the_documentation_names_the_space_of_the_pictures() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/first-build.md").read_text()
    assert f'"pmd.{counters.IMAGES}" by source and status' in page


class Silent:
    """A job of an engine that gives no counters."""

    def metrics(self) -> Any:
        raise NotImplementedError


def test_an_engine_that_gives_none_has_counted_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert counters.read(Silent()) == {}
    assert counters.read(object()) == {}
    with caplog.at_level(logging.INFO, "pmd.progress"):
        counters.tell({})
        assert not caplog.records
        counters.tell({"curate.coco.kept": 1204, "curate.coco.bad_url": 2})
    assert caplog.messages == ["the engine counted curate.coco.kept 1,204, curate.coco.bad_url 2"]
