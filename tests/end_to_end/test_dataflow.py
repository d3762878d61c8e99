"""Up to Dataflow's door: pipelines as Beam's client of Dataflow stages them, run on Prism, commit what the local runner commits.

A service on loopback stands in Dataflow's place, and an emulator of Cloud Storage in its own. Nothing here has met the real ones.
Run by `make test-engines`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from benchmarks.breaking import emulators
from pipelines import curate
from pmd.config import Config
from pmd.config.engine import DataflowEngine, Engine
from pmd.engines import choosing
from pmd.errors import PmdError
from pmd.store import commits, root, storage
from tests.end_to_end import building, dataflow
from tests.end_to_end.conftest import Demo
from tests.end_to_end.dataflow import Service
from tests.end_to_end.test_prism import prism as prism  # noqa: PLC0414  a fixture of theirs
from tests.object_stores.test_build import copied

pytestmark = pytest.mark.timeout(1800)

#: Bytes that Dataflow takes of a job's description, and what ours may have: nothing that grows with the data is in it.
MOST_BYTES = 10 * 2**20
OURS_BYTES = 200 * 2**10


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    if importlib.util.find_spec("google") is None or importlib.util.find_spec("google.cloud.dataflow_v1beta3") is None:
        pytest.skip("the client of Dataflow is not installed: make emulators, then PYTHONPATH=.engines/lib")
    why = emulators.missing("gs")
    if why is not None:
        pytest.skip(why)
    with emulators.emulated("gs") as found:
        yield found


@pytest.fixture(scope="module")
def service(prism: str, bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("pool") / "log"
    with (
        log.open("wb") as out,
        dataflow.pool(out) as workers,
        dataflow.serving(dataflow.on(prism, workers), storage.read_bytes) as found,
    ):
        yield found


def there(demo: Demo, bucket: str, name: str) -> Config:
    """Return the demo's configuration with a ROOT in the bucket, and Dataflow as its engine."""
    table = DataflowEngine(project="pmd-project", region="us-central1", temp=f"{bucket}/tmp", image=dataflow.IMAGE)
    return dataclasses.replace(demo.config, root=f"{bucket}/{name}", engine=Engine(name="dataflow", dataflow=table))


def test_what_is_staged_for_dataflow_commits_what_the_local_runner_commits(
    demo: Demo, service: Service, bucket: str, tmp_path: Path
) -> None:
    chosen = there(demo, bucket, "demo")
    for name in storage.list_files(str(demo.root / "fetch")):
        storage.put(f"{chosen.root}/fetch/{name}", (demo.root / "fetch" / name).read_bytes())
    steps = building.run(chosen, service.flags)
    building.assert_same(demo.root, copied(chosen.root, tmp_path), fetched_alike=True)
    assert {job.state for job in service.jobs} == {"DONE"}
    assert len(service.jobs) >= len({step.stage for step in steps if step.seconds is not None})
    for job in service.jobs:
        assert len(job.pipeline) < OURS_BYTES < MOST_BYTES / 10
        assert len(orjson.dumps(job.posted)) < OURS_BYTES
    assert not [name for name in storage.list_files(chosen.root) if name.startswith("_work/")]


def test_fetching_as_staged_for_dataflow_ends_alike(demo: Demo, service: Service, bucket: str, tmp_path: Path) -> None:
    chosen = there(demo, bucket, "fetched")
    building.run(chosen, service.flags)
    building.assert_same(demo.root, copied(chosen.root, tmp_path), fetched_alike=False)
    assert building.outcomes(demo.config.root) == building.outcomes(str(tmp_path))


@pytest.mark.parametrize(
    ("state", "problem", "found"),
    [
        ("FAILED", "the engine's job failed", None),  # Beam's client asks for no reason of a job that fails at once
        ("CANCELLED", "the engine's job failed", "RuntimeError: the job has ended as CANCELLED"),
        ("DRAINED", "the engine's job failed", "RuntimeError: the job has ended as DRAINED"),
        ("DONE", "the engine says that its job is done, and its work is not there", None),
    ],
)
def test_a_job_that_ends_otherwise_is_told_in_a_sentence_with_its_page(
    demo: Demo, bucket: str, state: str, problem: str, found: str | None
) -> None:
    def ends(_: bytes) -> str:
        if state == "FAILED":
            raise ValueError("no more quota of CPUS in us-central1")
        return state

    chosen = there(demo, bucket, f"ends-{state.lower()}")
    with (
        dataflow.serving(ends, storage.read_bytes) as broken,
        pytest.raises(PmdError) as caught,
        root.writer(chosen.root, "test"),
    ):
        curate.build(chosen, ["coco"], choosing.flags(chosen.engine, broken.flags, chosen.root))
    told = caught.value
    (job,) = broken.jobs
    assert told.problem == problem
    assert told.where == f"DataflowRunner, job {job.id}"
    assert (told.found is None) == (found is None)
    assert found is None or found in str(told.found)
    assert told.remedy == (
        f"look into Dataflow's page of jobs/us-central1/{job.id} in project pmd-project, then run the same command again"
    )
    assert commits.read(root.curate_folder(chosen.root, "coco")) is None
    assert not [name for name in storage.list_files(chosen.root) if name.startswith("_work/")]
