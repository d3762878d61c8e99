"""One short history of `benchmarks/histories.py`: what is looked at after each step, and in the end, stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end import building


@pytest.mark.timeout(900)
def test_a_history_leads_to_what_a_build_from_nothing_gives(tmp_path: Path) -> None:
    found = building.benchmark(
        "histories", "--first", "175", "--seeds", "1", "--steps", "3-3", "--folder", str(tmp_path)
    )
    assert (found["histories"], found["steps"], found["failed"]) == (1, 3, {})
