"""What others run and fill in is as the project is: the workflow, the hooks, the citation, the forms."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pmd import flow
from pmd.engines import servers

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


def test_the_checkout_is_imported_beside_a_root_that_is_called_pmd() -> None:
    """By setuptools' finder, which is asked last, the demo's ROOT would be an empty package of that name."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (install,) = (line for line in text.splitlines() if "--editable ." in line)
    assert "--config-settings editable_mode=compat" in install


#: Stands for the Python that `make` is given, and for that of the environment, which has pip once `-m venv` was run.
_PYTHON = """#!/bin/sh
case "$1 $2" in
-c*) exec {python} "$@" ;;
"-m venv") mkdir -p .venv/bin && cp {itself} .venv/bin/python && touch .venv/pip ;;
"-m pip") test -e .venv/pip || exit 1; test "$3" != install || {{ echo "$*" >> installed; read -r _ < released; }} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing is installed but by `_PYTHON`."""
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    stand_in = tmp_path / "python"
    stand_in.write_text(_PYTHON.format(python=shlex.quote(sys.executable), itself=shlex.quote(str(stand_in))))
    stand_in.chmod(0o755)
    os.mkfifo(tmp_path / "released")
    return tmp_path


def make(checkout: Path) -> subprocess.Popen[str]:
    words = ["make", f"PYTHON={checkout}/python", ".venv/.core"]
    return subprocess.Popen(words, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@contextlib.contextmanager
def released(checkout: Path) -> Iterator[None]:
    """Let installations end: the two of one make, and whatever else waits."""
    number = os.open(checkout / "released", os.O_RDWR)
    os.write(number, b"\n" * 64)
    yield
    os.close(number)


def test_of_two_makes_at_once_one_installs(checkout: Path) -> None:
    first = make(checkout)
    with (checkout / "released").open("w"):  # that is opened once somebody reads: the first installs
        second = make(checkout)
        assert second.stdout is not None
        assert second.stdout.readline()
        with released(checkout):
            said = [each.communicate(timeout=60)[0] for each in (first, second)]
    assert [each.returncode for each in (first, second)] == [0, 0], said
    assert len((checkout / "installed").read_text().splitlines()) == 2


def test_an_environment_that_was_begun_and_left_is_gone_on_with(checkout: Path) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    shutil.copy(checkout / "python", checkout / ".venv/bin/python")
    with released(checkout):
        made = make(checkout)
        said = made.communicate(timeout=60)[0]
    assert made.returncode == 0, said
    assert (checkout / ".venv/pip").exists()


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


IMAGES = (ROOT / "Dockerfile", ROOT / "engines/dataflow/Dockerfile")


def copied(image: Path) -> list[str]:
    """Return what an image takes from the checkout."""
    lines = image.read_text(encoding="utf-8").splitlines()
    return [name for line in lines if line.startswith("COPY ") and "--from" not in line for name in line.split()[1:-1]]


def test_images_are_made_of_files_that_are_there() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for image in IMAGES for name in copied(image)} == let_through
    assert all((ROOT / name).exists() for name in let_through)
    for image in IMAGES:
        lines = image.read_text(encoding="utf-8").splitlines()
        (python,) = {line.split(":")[1].split("-")[0] for line in lines if line.startswith("FROM python:")}
        assert PROJECT["requires-python"].startswith(f">={python},")
    assert "USER pmd" in IMAGES[0].read_text(encoding="utf-8").splitlines()


def test_an_image_keeps_every_module_that_another_one_imports() -> None:
    """Not all that are called so are tests: `scipy.stats` reads `_bws_test` in."""
    packages = Path(sysconfig.get_paths()["purelib"])
    deleting = re.findall(r"find [^&]*-delete", IMAGES[0].read_text(encoding="utf-8"))
    assert deleting
    gone: set[Path] = set()
    for command in deleting:
        found = subprocess.run(shlex.split(command)[:-1], cwd=packages, capture_output=True, text=True, check=True)
        gone |= {packages / name for name in found.stdout.splitlines() if "/tests/" not in name}
    assert packages / "apache_beam/pipeline_test.py" in gone
    modules = {path for path in gone if path.suffix == ".py"}
    for folder in {path.parent for path in modules}:
        stems = "|".join(path.stem for path in modules if path.parent == folder)
        imports = re.compile(rf"^ *(?:from \.(?:{stems}) import|from \. import (?:{stems})\b)", re.MULTILINE)
        stays = [path for path in folder.glob("*.py") if path not in modules]
        assert not [path for path in stays if imports.search(path.read_text(encoding="utf-8"))]


def test_the_worker_image_has_the_beam_that_drives() -> None:
    text = IMAGES[1].read_text(encoding="utf-8")
    (beam,) = re.findall(r"^FROM apache/beam_python3\.11_sdk:(\S+) AS beam$", text, re.MULTILINE)
    assert f"apache-beam=={beam}" in PROJECT["dependencies"]
    assert f"apache-beam=={beam} " in (ROOT / "requirements-dataflow.txt").read_text(encoding="utf-8")
    # Else Beam's starter makes an environment of the system's Python, in which nothing of ours is.
    (told,) = re.findall(r"^ENV PATH=/opt/pmd/bin:\S+ (\S+)$", text, re.MULTILINE)
    assert told == "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1"


def test_the_template_takes_what_its_launcher_reads() -> None:
    told = json.loads((ROOT / "engines/dataflow/metadata.json").read_text(encoding="utf-8"))["parameters"]
    launcher = (ROOT / "engines/dataflow/launch.py").read_text(encoding="utf-8")
    assert {item["name"] for item in told} == set(re.findall(r'add_argument\("--(\w+)"', launcher))
    config, command = (next(item for item in told if item["name"] == name) for name in ("config", "command"))
    assert re.fullmatch(config["regexes"][0], "gs://bucket/folder/pmd.toml")
    assert not re.fullmatch(config["regexes"][0], "pmd.toml")
    assert all(re.fullmatch(command["regexes"][0], name) for name in ("build", *flow.NAMES))
    assert not re.fullmatch(command["regexes"][0], "build pmd.toml")
    assert 'choices=("build", *flow.NAMES)' in launcher


def test_the_manifests_for_kubernetes_fit_each_other() -> None:
    parts = list(yaml.safe_load_all((ROOT / "engines/flink/kubernetes/flink.yaml").read_text(encoding="utf-8")))
    named = {(part["kind"], part["metadata"]["name"]): part for part in parts}
    assert len(named) == len(parts)
    labels = [
        part["spec"]["template"]["metadata"]["labels"] for (kind, _), part in named.items() if kind == "Deployment"
    ]
    for (kind, _), part in named.items():
        if kind == "Service":
            assert part["spec"]["selector"] in labels
    configured = yaml.safe_load(named["ConfigMap", "pmd-flink"]["data"]["config.yaml"])
    assert ("Service", configured["jobmanager.rpc.address"]) in named
    (server,) = named["Deployment", "pmd-job-server"]["spec"]["template"]["spec"]["containers"]
    assert server["args"][0] == f"--flink-master={configured['rest.address']}:8081"
    for package in servers._OPENED["flink"]:  # what stands there takes the place of Flink's own options
        assert f"--add-opens=java.base/{package}=ALL-UNNAMED" in configured["env.java.opts.all"].split()
    assert "log4j-console.properties" in named["ConfigMap", "pmd-flink"]["data"]
    pom = (ROOT / "engines/flink/pom.xml").read_text(encoding="utf-8")
    (flink, beam) = re.findall(r"<artifactId>beam-runners-flink-(\S+)</artifactId>\s*<version>(\S+)</version>", pom)[0]
    assert server["image"] == f"apache/beam_flink{flink}_job_server:{beam}"
    image = (ROOT / "engines/flink/kubernetes/Dockerfile").read_text(encoding="utf-8")
    assert f"FROM flink:{flink}." in image
