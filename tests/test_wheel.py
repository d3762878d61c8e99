"""The wheel, installed in an empty environment outside the checkout, runs `pmd sources`, `pmd demo` and examples in Python."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
    venv.create(folder / "venv")
    python = folder / "venv/bin/python"
    link_requirements(Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})))
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel, folder=folder)
    return folder


def link_requirements(where: Path) -> None:
    """Put into an environment what it has to have, file by file, as links to what make has installed here by its hashes.

    pip would unpack half a gigabyte anew, and compile it: a minute of processor time, for the same files.
    """
    for line in (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if not line[:1].isalnum():
            continue
        pinned = Requirement(line.rstrip("\\ "))
        if pinned.marker is None or pinned.marker.evaluate():
            found = metadata.distribution(pinned.name)
            assert found.version in pinned.specifier, f"{pinned}: {found.version} is installed"
            _link(found, where)


def _link(found: metadata.Distribution, where: Path) -> None:
    for file in found.files or ():
        if ".." not in file.parts:  # not programs: nothing here calls them
            target = where / file
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_file(Path(str(found.locate_file(file))).resolve(), target)


def _link_file(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        target.hardlink_to(source)
    except OSError:  # on another disk
        target.symlink_to(source)


def test_the_environment_has_what_is_pinned_and_nothing_else(installed: Path) -> None:
    """So a requirement that only the checkout's own environment has would be missed by the tests below."""
    said = _run(installed / "venv/bin/python", "-c", NAMES, folder=installed)
    lines = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line.rstrip("\\ ")) for line in lines if line[:1].isalnum()]
    needed = {canonicalize_name(one.name) for one in pinned if one.marker is None or one.marker.evaluate()}
    assert {canonicalize_name(name) for name in said.split()} == needed | {"pmd"}


NAMES = "from importlib import metadata; print(*{found.metadata['Name'] for found in metadata.distributions()})"


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
