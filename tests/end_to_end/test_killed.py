"""A few trials of `benchmarks/break.py` and of `benchmarks/faulty_storage.py`: stages are killed, or their storage fails.

What is looked at stands there: equal bytes and outcomes, nothing left over, nothing settled asked for again, an end in words.
Both try copies of the same ROOTs, which are prepared once: that takes longer than the trials.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import building

TRIALS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the ROOTs stand, once a benchmark has prepared them."""
    return tmp_path_factory.mktemp("broken")


def told(benchmark: str, folder: Path, *words: str) -> dict[str, Any]:
    """Run a benchmark on the ROOTs of a folder; return its last line."""
    return building.benchmark(benchmark, "--folder", str(folder), "--images", "160", *words)


@pytest.mark.timeout(900)
def test_stages_that_are_killed_and_run_again_give_what_they_give_undisturbed(folder: Path) -> None:
    found = told("break", folder, "--seed", "3", "--named-share", "0.015", "--trials", str(TRIALS))
    assert (found["trials"], found["unlike"]) == (TRIALS, 0)
    assert found["hit"] >= TRIALS // 2


@pytest.mark.timeout(900)
def test_a_stage_ends_in_words_and_its_reruns_give_what_is_to_be(folder: Path) -> None:
    kinds = [word for kind in ("passing", "lasting", "lacking", "gone") for word in ("--kind", kind)]
    found = told("faulty_storage", folder, "--seed", "1", "--times", "1", "--only", "fetch", "--only", "dedupe", *kinds)
    assert (found["unlike"], found["wordless"]) == (0, 0)
    assert found["tried"] >= 8
    assert found["reruns"] <= 3
