"""What becomes of the trials of benchmarks/break.py, break_flink.py and break_stores.py is kept in one way, so that all go on."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from benchmarks.breaking import outcomes
from benchmarks.breaking.outcomes import Outcome


@pytest.mark.parametrize("name", ["break", "break_flink", "break_stores"])
def test_all_benchmarks_keep_the_same_outcomes(name: str) -> None:
    assert importlib.import_module(f"benchmarks.{name}").Outcome is Outcome


def test_what_has_ended_is_read_again(tmp_path: Path) -> None:
    assert outcomes.read(tmp_path) == []
    ended = [
        Outcome("shard worker 1", {"stage": "shard"}, hit=True, code=-9, again=0, seconds=1.4),
        Outcome("fetch driver 2", {"stage": "fetch"}, hit=False, code=0, problems=["ünlike"], twice=3, seconds=2.3),
    ]
    for outcome in ended:
        outcomes.add(tmp_path, outcome)
    assert outcomes.read(tmp_path) == ended
    assert outcomes.summary(ended) == {"trials": 2, "hit": 1, "unlike": 1, "seconds": 4}
