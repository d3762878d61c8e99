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
    """In one run: most of its time goes into the ROOTs that all kinds are tried on."""
    chosen = ["--only", "fetch", "--only", "dedupe", "--times", "1", "--images", "160", "--seed", "1"]
    chosen += [word for kind in ("passing", "lasting", "gone") for word in ("--kind", kind)]
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
    assert (told["unlike"], told["wordless"]) == (0, 0)
    assert told["tried"] >= 6
    assert told["reruns"] <= 3
