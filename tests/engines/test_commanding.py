"""A command of pmd's as a task of an engine, and the launcher that submits it."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from pmd.engines import child, commanding
from pmd.errors import ConfigError, PmdError

LAUNCH = Path(__file__).resolve().parents[2] / "engines/dataflow/launch.py"


def launcher() -> Any:
    spec = importlib.util.spec_from_file_location("launch", LAUNCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_command_that_ends_well_gives_its_exit_code() -> None:
    assert list(commanding.Command("/tmp/no-root").process(("--version",))) == [0]


def test_a_command_ends_with_who_has_started_it(tmp_path: Path) -> None:
    told = subprocess.Popen([sys.executable, "-m", child.__name__, "--version"], stdin=subprocess.PIPE)
    assert told.wait(60) == 0, "as long as that one is there, it does what it is to do"
    assert told.stdin is not None
    told.stdin.close()
    gone = [sys.executable, "-m", child.__name__, "demo", "--out", str(tmp_path / "demo")]
    code = subprocess.run(gone, stdin=subprocess.DEVNULL, check=False, timeout=60).returncode
    assert code in {-signal.SIGTERM, 128 + signal.SIGTERM}


def test_a_command_that_fails_fails_the_task_with_its_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PmdError) as caught:
        commanding.run(("build", str(tmp_path / "none.toml")))
    told = caught.value
    assert told.problem == (
        "the command has failed with exit code 2: the configuration or the command line cannot be used"
    )
    assert told.where == f"pmd build {tmp_path}/none.toml"
    assert "no such configuration file" in str(told.found)
    assert "no such configuration file" in capfd.readouterr().err, "the worker's log has all of it"


def described(folder: Path, more: str) -> str:
    path = folder / "pmd.toml"
    path.write_text(
        f'root = "gs://bucket/pmd"\nprofile = "paper"\ncontact = "mailto:us@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n{more}'
    )
    return str(path)


TABLE = """
[engine.dataflow]
project = "my-project-1"
region = "us-central1"
temp = "gs://bucket/tmp"
image = "example.invalid/pmd:1"
"""


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[beam.Pipeline]:
    """What is submitted, in place of submitting it."""
    found: list[beam.Pipeline] = []

    def run(pipeline: beam.Pipeline) -> None:
        found.append(pipeline)

    monkeypatch.setattr(beam.Pipeline, "run", run)
    return found


def test_the_launcher_submits_one_job_whose_only_task_is_the_driver(
    tmp_path: Path, submitted: list[beam.Pipeline]
) -> None:
    path = described(tmp_path, TABLE)
    launcher().main(["--config", path, "--runner=DirectRunner", "--project=my-project-1"])
    (pipeline,) = submitted
    told = pipeline.options.get_all_options()
    assert told["sdk_container_image"] == "example.invalid/pmd:1"
    assert (told["max_num_workers"], told["project"]) == (1, "my-project-1")
    assert driven(pipeline) == ("build", path, "--engine", "dataflow")


def driven(pipeline: beam.Pipeline) -> tuple[str, ...]:
    """Return the words of the command that a launcher's job runs."""
    (created,) = [
        part.transform.values for part in pipeline.transforms_stack[0].parts if hasattr(part.transform, "values")
    ]
    (words,) = created
    return tuple(words)


def test_the_jobs_of_a_template_stand_in_its_network_and_have_its_key(
    tmp_path: Path, submitted: list[beam.Pipeline]
) -> None:
    path = described(tmp_path, TABLE)
    flags = ["--subnetwork=regions/r/subnetworks/s", "--dataflow_kms_key", "projects/p/k", "--no_use_public_ips"]
    launcher().main(["--config", path, "--runner=DirectRunner", "--temp_location=gs://bucket/other", *flags])
    words = driven(submitted[0])
    assert words[:5] == ("build", path, "--engine", "dataflow", "--")
    assert words[5:] == (
        "--subnetwork=regions/r/subnetworks/s",
        "--dataflow_kms_key=projects/p/k",
        "--no_use_public_ips",
    )
    told = submitted[0].options.get_all_options()
    assert (told["subnetwork"], told["use_public_ips"]) == ("regions/r/subnetworks/s", False)


@pytest.mark.parametrize(
    ("flags", "account"),
    [((), "pmd-worker@my-project-1.iam.gserviceaccount.com"), (("--service_account_email=other@x",), "other@x")],
)
def test_the_launchers_job_has_the_account_of_the_table(
    tmp_path: Path, submitted: list[beam.Pipeline], flags: tuple[str, ...], account: str
) -> None:
    path = described(tmp_path, f'{TABLE}account = "pmd-worker@my-project-1.iam.gserviceaccount.com"\n')
    launcher().main(["--config", path, "--runner=DirectRunner", *flags])
    assert submitted[0].options.get_all_options()["service_account_email"] == account


def test_the_launcher_needs_the_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Dataflow is not described"):
        launcher().main(["--config", described(tmp_path, "")])
