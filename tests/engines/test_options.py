"""Beam's options: a view is made once, and says what the options say, copied or not."""

from __future__ import annotations

import copy
import pickle

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DebugOptions, DirectOptions, PipelineOptions, TypeOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pmd.engines.options import Options


def test_a_view_is_made_once_and_shares_its_values() -> None:
    options = Options(["--direct_num_workers=3"])
    view = options.view_as(DirectOptions)
    assert view.direct_num_workers == 3
    assert options.view_as(DirectOptions) is view
    view.direct_num_workers = 5
    assert options.view_as(DirectOptions).direct_num_workers == 5
    assert options.get_all_options()["direct_num_workers"] == 5


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda options: pickle.loads(pickle.dumps(options))])
def test_a_copy_has_views_of_its_own(copied: object) -> None:
    options = Options(["--experiments=a"])
    options.view_as(DebugOptions).experiments = ["b"]
    other = copied(options)  # type: ignore[operator]
    other.view_as(DebugOptions).experiments.append("c")
    assert options.view_as(DebugOptions).experiments == ["b"]
    assert other.view_as(DebugOptions).experiments == ["b", "c"]
    assert other.get_all_options()["experiments"] == ["b", "c"]


def test_the_same_is_known_as_by_beams_own() -> None:
    flags = ["--runner=x", "--direct_num_workers=2", "--experiments=a", "--unknown=1"]
    ours, theirs = Options(flags), PipelineOptions(flags)
    for options in (ours, theirs):
        options.view_as(TypeOptions).runtime_type_check = True
    assert ours.get_all_options() == theirs.get_all_options()


def test_a_pipeline_makes_no_parser_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[type] = []
    init = PipelineOptions.__init__

    def counted(self: PipelineOptions, *args: object, **kwargs: object) -> None:
        made.append(type(self))
        init(self, *args, **kwargs)

    def parsers(steps: int) -> int:
        made.clear()
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=Options([]))
        rows = pipeline | beam.Create([1])
        for number in range(steps):
            rows |= f"{number}" >> beam.Map(abs)
        return len(made)

    monkeypatch.setattr(PipelineOptions, "__init__", counted)
    assert parsers(2) == parsers(12)
