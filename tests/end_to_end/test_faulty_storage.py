"""A small version of `benchmarks/faulty_storage.py`: storage that fails now and then, and a disk that is full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(900)
def test_a_stage_ends_in_words_and_its_reruns_give_what_is_to_be(tmp_path: Path) -> None:
    kinds = [
        "--kind",
        "passing",
        "--kind",
        "lasting",
    ]  # in one run: most of its time goes into the ROOTs that both are tried on
    chosen = ["--only", "curate", "--only", "images", *kinds, "--times", "1", "--images", "160", "--seed", "1"]
    run = subprocess.run(
        [sys.executable, "benchmarks/faulty_storage.py", "--folder", str(tmp_path), *chosen],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert (told["tried"], told["unlike"], told["wordless"]) == (4, 0, 0)
