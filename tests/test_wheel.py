"""The wheel, installed in an empty environment outside the checkout, runs `pmd sources`, `pmd demo` and examples in Python."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def _run(*command: str | Path, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment that holds the pinned requirements and the wheel, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", REPOSITORY]
    _run(*build, folder=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    pip = (folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps")
    _run(*pip, "--require-hashes", "-r", REPOSITORY / "requirements.txt", folder=folder)
    _run(*pip, wheel, folder=folder)
    return folder


def test_the_wheel_lists_its_sources(installed: Path) -> None:
    listed = json.loads(_run(installed / "venv/bin/pmd", "sources", "--json", folder=installed))
    assert {row["name"] for row in listed} >= {"coco", "wit", "localized_narratives__ADE20k"}
    assert len(listed) == 12


def test_the_wheel_runs_the_demo(installed: Path) -> None:
    said = _run(installed / "venv/bin/pmd", "demo", "--out", "demo", folder=installed)
    assert "The books balance" in said
    assert (installed / "demo/pmd/audit/report.html").exists()
    said = _run(installed / "venv/bin/pmd", "verify", "demo/pmd", "--json", folder=installed)
    assert json.loads(said)["problems"] == []


def test_the_wheel_runs_the_examples_of_the_library(installed: Path) -> None:
    """On the demo that the test before has made: as a reader of the page would."""
    if not (installed / "demo/pmd.toml").exists():
        test_the_wheel_runs_the_demo(installed)
    script, page = REPOSITORY / "tests/library/examples.py", REPOSITORY / "docs/library.md"
    said = _run(installed / "venv/bin/python", script, page, folder=installed)
    assert re.search(r"^1\d examples of 13 names and 1 pages, from (.*)$", said, re.MULTILINE)
    assert f"from {installed}/venv/" in said


def test_the_wheel_tells_that_it_is_typed(installed: Path) -> None:
    code = "import pathlib, pmd; print((pathlib.Path(pmd.__file__).parent / 'py.typed').is_file())"
    assert _run(installed / "venv/bin/python", "-c", code, folder=installed).strip() == "True"
