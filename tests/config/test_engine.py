"""The `[engine]` table: checked whole, and nothing that any commit depends on."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pmd import config, flow, stages
from pmd.config.engine import (
    ENGINES,
    SHUFFLES,
    Address,
    Bucket,
    DataflowEngine,
    Engine,
    EngineName,
    FlinkEngine,
    LocalEngine,
    Manager,
    PrismEngine,
    Project,
)
from pmd.store import root
from tests import tiny_root
from tests.config.test_model import LEAST, SBU, only, problems

DATAFLOW = 'project = "pmd-project"\nregion = "us-central1"\ntemp = "gs://pmdb/tmp"\nimage = "registry.example/pmd:1"\n'


def engine(text: str) -> Engine:
    return config.parse(f"{LEAST}{text}\n{SBU}", "pmd.toml").engine


def test_a_configuration_that_says_nothing_runs_here() -> None:
    assert engine("") == Engine()
    assert engine("").name == "local"


def test_every_engine_has_its_table() -> None:
    found = engine(
        '[engine]\nname = "flink"\nlocal.processes = 3\nprism.endpoint = "localhost:8073"\n'
        '[engine.flink]\nendpoint = "[::1]:8099"\nmaster = "jobs:8081"\nparallelism = 64\n'
        f"[engine.dataflow]\n{DATAFLOW}"
    )
    assert found.name == "flink"
    assert found.local == LocalEngine(processes=3)
    assert found.prism == PrismEngine(endpoint="localhost:8073")
    assert found.flink == FlinkEngine(endpoint="[::1]:8099", master="jobs:8081", parallelism=64)
    assert found.dataflow == DataflowEngine(
        project="pmd-project", region="us-central1", temp="gs://pmdb/tmp", image="registry.example/pmd:1"
    )


@pytest.mark.parametrize("master", ["[local]", "[auto]", "jobs:8081", "http://jobs:8081", "https://flink.example/jobs"])
def test_flinks_master_is_a_job_manager(master: str) -> None:
    assert engine(f'[engine.flink]\nmaster = "{master}"\n').flink.master == master


@pytest.mark.parametrize(
    ("text", "key", "expected", "found"),
    [
        ("engine = 3", "engine", "a table [engine]", "3"),
        (
            '[engine]\nname = "flnk"',
            "engine.name",
            '"local", "prism", "flink", "spark" or "dataflow"',
            '"flnk"',
        ),
        ('[engine]\nshuffle = "beam"', "engine.shuffle", '"files" or "engine"', '"beam"'),
        ('[engine]\nendpoint = "localhost:1"', "engine.endpoint", "a known option", '"endpoint"'),
        ("[engine.local]\nprocesses = -1", "engine.local.processes", "0 or more", "-1"),
        ('[engine.prism]\nendpoint = "8073"', "engine.prism.endpoint", 'HOST:PORT, as in "localhost:8099"', '"8073"'),
        (
            '[engine.prism]\nendpoint = "http://localhost:8073"',
            "engine.prism.endpoint",
            'HOST:PORT, as in "localhost:8099"',
            '"http://localhost:8073"',
        ),
        (
            '[engine.spark]\nendpoint = "localhost:70000"',
            "engine.spark.endpoint",
            'HOST:PORT, as in "localhost:8099"',
            '"localhost:70000"',
        ),
        ('[engine.flink]\nmaster = ""', "engine.flink.master", "a name without spaces", '""'),
        *(
            (
                f'[engine.flink]\nmaster = "{master}"',
                "engine.flink.master",
                'HOST:PORT of a job manager, as in "localhost:8081", or "[local]"',
                f'"{master}"',
            )
            for master in ("cluster", "spark://cluster:7077", "local[2]", "cluster:0")
        ),
        ("[engine.flink]\nparallelism = 0", "engine.flink.parallelism", "1 or more", "0"),
        ("[engine.spark]\nparallelism = 2", "engine.spark.parallelism", "a known option", '"parallelism"'),
        (
            '[engine.flink]\nenvironment = "pool"',
            "engine.flink.environment",
            '"loopback", "process", "external" or "docker"',
            '"pool"',
        ),
        (
            '[engine.flink]\nenvironment = "external"',
            "engine.flink.worker",
            'the address of a worker pool, as in "localhost:50000", in the environment "external"',
            "nothing",
        ),
        (
            '[engine.flink]\nenvironment = "external"\nworker = "pool"',
            "engine.flink.worker",
            'HOST:PORT, as in "localhost:8099"',
            '"pool"',
        ),
        (
            '[engine.spark]\nenvironment = "docker"',
            "engine.spark.worker",
            'the name of an image that has pmd, in the environment "docker"',
            "nothing",
        ),
        (
            '[engine.spark]\nenvironment = "loopback"\nworker = "w"',
            "engine.spark.worker",
            'nothing in the environment "loopback": the driver starts the workers',
            '"w"',
        ),
        (
            '[engine]\nname = "dataflow"',
            "engine.dataflow",
            "a table [engine.dataflow] with project, region, temp and image",
            "nothing",
        ),
        (
            f"[engine.dataflow]\n{DATAFLOW.replace('pmd-project', 'Pmd')}",
            "engine.dataflow.project",
            'the id of a project, as in "my-project-1"',
            '"Pmd"',
        ),
        (
            f"[engine.dataflow]\n{DATAFLOW.replace('gs://pmdb', 's3://pmdb')}",
            "engine.dataflow.temp",
            'a folder of Cloud Storage, its bucket in small letters, as in "gs://my-bucket/tmp"',
            '"s3://pmdb/tmp"',
        ),
        (
            f"[engine.dataflow]\n{DATAFLOW.replace('gs://pmdb', 'gs://BUCKET')}",
            "engine.dataflow.temp",
            'a folder of Cloud Storage, its bucket in small letters, as in "gs://my-bucket/tmp"',
            '"gs://BUCKET/tmp"',
        ),
    ],
)
def test_what_is_wrong_with_it_is_told(text: str, key: str, expected: str, found: str) -> None:
    before, after = (f"{text}\n", "") if text.startswith("engine") else ("", text)
    assert only(f"{before}{LEAST}{SBU}{after}")[1:4] == (key, expected, found)


@pytest.mark.parametrize("form", [Address, Manager, Bucket, Project])
def test_what_an_error_gives_as_an_example_is_taken(form: Any) -> None:
    kind = TypeAdapter(form)
    with pytest.raises(ValidationError) as told:
        kind.validate_python("//")
    examples = re.findall(r'as in "([^"]+)"', str(told.value))
    assert [kind.validate_python(example) for example in examples] == examples
    assert examples


@pytest.mark.parametrize("name", ENGINES)
def test_rows_cross_as_the_table_says_or_as_has_won_on_the_engine(name: EngineName) -> None:
    assert Engine(name=name).is_shuffling == (SHUFFLES[name] == "engine")
    assert Engine(name=name, shuffle="engine").is_shuffling
    assert not Engine(name=name, shuffle="files").is_shuffling


def test_what_dataflow_lacks_is_told_all_at_once() -> None:
    lacking = {problem.key for problem in problems(f'{LEAST}{SBU}[engine.dataflow]\nregion = "us-central1"')}
    assert lacking == {"engine.dataflow.project", "engine.dataflow.temp", "engine.dataflow.image"}


def test_nothing_depends_on_the_engine(tmp_path: Path) -> None:
    here = tiny_root.build(tmp_path)
    there = dataclasses.replace(
        here, engine=engine('[engine]\nname = "flink"\nshuffle = "engine"\n[engine.flink]\nparallelism = 9')
    )
    with root.writer(here.root, "test"):
        for stage in flow.STAGES:
            for unit in stages.units(stage, here, sorted(here.sources)):
                told = [item.hash for item in stages.wanted(stage, here, unit)]
                assert told == [item.hash for item in stages.wanted(stage, there, unit)], stage
                assert told
