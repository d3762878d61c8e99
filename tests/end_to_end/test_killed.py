"""A few trials of `benchmarks/break.py`: stages are killed, at calls of their storage and at random moments, and run again.

What is looked at stands there: equal bytes and outcomes, nothing left over, nothing settled asked for again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2]
TRIALS = 6


@pytest.mark.timeout(900)
def test_stages_that_are_killed_and_run_again_give_what_they_give_undisturbed(tmp_path: Path) -> None:
    words = [
        "--folder",
        str(tmp_path),
        "--images",
        "160",
        "--seed",
        "3",
        "--named-share",
        "0.015",
        "--trials",
        str(TRIALS),
    ]
    run = subprocess.run(
        [sys.executable, "benchmarks/break.py", *words],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert (told["trials"], told["unlike"]) == (TRIALS, 0)
    assert told["hit"] >= TRIALS // 2
