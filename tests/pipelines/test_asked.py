"""Every stage's workers are handed what the configuration asks of it whole, so that a new option needs no hand-over.

Fetch takes no option but its own table, which its lanes have; the audit's table is read by the driver (`counting.measure.plan`).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import apache_beam as beam
import pytest

from pipelines import running
from pmd import flow
from pmd.config import Config
from pmd.config.asked import Asked
from pmd.config.options import Also, LicenceOptions, StageOptions
from pmd.engines import transforms
from pmd.store import root
from tests import tiny_root

STAGES = [stage for stage in flow.STAGES if stage not in {flow.FETCH, flow.AUDIT}]


class Marked(LicenceOptions):
    """A table with an option that nobody has heard of."""

    least: Annotated[int, Also(tuple(stage.name for stage in STAGES))] = 0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return tiny_root.build(tmp_path_factory.mktemp("asked"))


def within(value: Any) -> Iterator[Any]:
    """Yield what a worker has, and what that has."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from within(one)
    elif isinstance(value, Asked | StageOptions):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from within(getattr(value, field.name))


def workers(stage: flow.Stage, chosen: Config, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the functions that a stage's pipeline hands to workers; nothing is run."""
    found: list[Any] = []
    per_task, to_parcels = transforms.PerTask.__init__, transforms.Cross.__init__
    monkeypatch.setattr(
        transforms.PerTask,
        "__init__",
        lambda self, function: (found.append(function), per_task(self, function))[1],
    )
    monkeypatch.setattr(
        transforms.Cross,
        "__init__",
        lambda self, spreads, **more: (found.append(spreads), to_parcels(self, spreads, **more))[1],
    )
    monkeypatch.setattr(running, "run_and_commit", lambda root_url, folders, wire, *_: wire(beam.Pipeline()))
    pipeline = importlib.import_module(f"pipelines.{stage.name}")
    with root.writer(chosen.root, "test"):
        if stage.unit == "source":
            pipeline.build(chosen, ["coco"])
        else:
            pipeline.build(chosen)
    return found


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_workers_have_all_that_is_asked_of_their_stage(
    stage: flow.Stage, built: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = dataclasses.replace(
        built,
        licence=Marked(least=3),
        dedupe=built.dedupe.model_copy(update={"near": "merge", "near_texts": 0.8, "max_images_per_text": 2}),
    )
    handed = [value for worker in workers(stage, chosen, monkeypatch) for value in within(worker)]
    assert handed
    assert all(value == Asked.of(chosen, stage.name) for value in handed), "a table by itself, or another stage's"
    assert {value.licence.least for value in handed} == {3}
