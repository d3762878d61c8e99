"""What others run and fill in is as the project is: the workflow, the hooks, the citation, the forms."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PINS = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_workflow_makes_what_is_made_here_on_pinned_actions_without_secrets() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    (job,) = load(".github/workflows/ci.yml")["jobs"].values()
    made = [words for step in job["steps"] for words in re.findall(r"^make (\w+)", step.get("run", ""))]
    assert set(made) == {"prism", "check", "demo", "test"} <= TARGETS
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) for name in used), used
    assert "secrets." not in text
    assert load(".github/workflows/ci.yml")["permissions"] == {"contents": "read"}
    (python,) = (step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", ""))
    assert PROJECT["requires-python"].startswith(f">={python},")


def test_hooks_run_what_is_pinned() -> None:
    (local,) = load(".pre-commit-config.yaml")["repos"]
    programs = {hook["entry"].split()[0] for hook in local["hooks"]}
    assert programs == {".venv/bin/ruff", ".venv/bin/mypy"}
    assert all(re.search(rf"^{Path(program).name}==", PINS, re.MULTILINE) for program in programs)


def test_the_citation_is_of_this_version() -> None:
    citation = load("CITATION.cff")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/ISSUE_TEMPLATE/[!c]*.yml")), ids=lambda path: path.stem)
def test_a_form_asks_for_what_is_needed(path: Path) -> None:
    form = load(str(path.relative_to(ROOT)))
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_image_is_made_of_files_that_are_there() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [
        name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]
    ]
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_through
    assert all((ROOT / name).exists() for name in copied)
    (python,) = {line.split(":")[1].split("-")[0] for line in lines if line.startswith("FROM python:")}
    assert PROJECT["requires-python"].startswith(f">={python},")
    assert "USER pmd" in lines
