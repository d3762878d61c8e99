"""One short history of `benchmarks/histories.py`: what is looked at after each step, and in the end, stands there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(900)
def test_a_history_leads_to_what_a_build_from_nothing_gives(tmp_path: Path) -> None:
    words = ("--first", "3", "--seeds", "1", "--steps", "3-3", "--folder", str(tmp_path))
    run = subprocess.run(
        [sys.executable, "benchmarks/histories.py", *words],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert (found["histories"], found["steps"], found["failed"]) == (1, 3, {})
