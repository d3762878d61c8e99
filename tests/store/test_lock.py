"""The lock and the protocol of commits, writers against writers: small versions of `benchmarks/two_writers.py`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.breaking import contending, interleaved
from benchmarks.breaking.contending import Contest
from benchmarks.breaking.interleaved import CASES, Case

#: Moments at which the first writer stops, of each case.
STOPS = 6


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_writer_that_stands_still_past_its_lease_and_comes_back_harms_nothing(case: Case) -> None:
    moments = interleaved.moments(case)
    assert len(moments) > 50
    for at in random.Random(str(case)).sample(moments, STOPS):
        stopped, problems = interleaved.meet(case, at)
        assert stopped is not None
        assert problems == [], f"stopped {stopped}"


def test_writers_that_are_killed_at_any_call_never_meet(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    contest = Contest(str(tmp_path / "root"), str(tmp_path / "notes"), places=3, rounds=12, seed=5, kill_share=0.4)
    found = contending.contend(contest)
    assert found.problems == ()
    assert found.counts["won"] >= 36
    assert found.counts["killed"] > 3
