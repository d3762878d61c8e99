"""Stages and the demo on Flink and Spark, in real job servers on this machine, equal the local runner's.

One stage runs with the other tests, where `make flink` has been run. The whole demo takes minutes on each: `make test-engines`.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import audit, curate
from pmd import flow
from pmd.config.engine import Engine, FlinkEngine, SparkEngine
from pmd.engines import choosing, jobs, servers
from pmd.images import rules as images_rules
from pmd.store import root
from tests.end_to_end import building
from tests.end_to_end.conftest import Demo

ENGINES = Path(__file__).resolve().parents[2] / servers.FOLDER
whole = pytest.mark.skipif(not os.environ.get("PMD_WHOLE_ENGINES"), reason="takes minutes; run: make test-engines")

#: A worker of Beam's in this process may still read what its engine has to say when that ends the job, and the stream with it.
ending = pytest.mark.filterwarnings(
    "ignore:Exception in thread read_state:pytest.PytestUnhandledThreadExceptionWarning"
)
pytestmark = [pytest.mark.timeout(3600), ending]


def engine(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start an engine in a folder of its own; give the folder in which it is found."""
    part = "bin/prism" if name == "prism" else name
    if not (ENGINES / part).exists() or (name != "prism" and shutil.which("java") is None):
        pytest.skip(f"no job server of {name} ({ENGINES / part}), or no Java 17; run: make {name}")
    here = tmp_path_factory.mktemp(name)
    (here / servers.FOLDER / part).parent.mkdir(parents=True)
    (here / servers.FOLDER / part).symlink_to(ENGINES / part)
    servers.up(name, str(here / servers.FOLDER))
    try:
        yield here
    finally:
        servers.down(name, str(here / servers.FOLDER))


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from engine("flink", tmp_path_factory)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from engine("spark", tmp_path_factory)


#: Rows cross the shuffle of one, and run files on the others.
FLINK = Engine(name="flink", shuffle="engine")
#: Flink within its job server, and workers within the driver.
IN_ONE = Engine(name="flink", flink=FlinkEngine(master="[local]", environment="loopback", parallelism=2))
SPARK = Engine(name="spark")
SPARK_IN_ONE = Engine(name="spark", spark=SparkEngine(environment="loopback"))
#: What a build of the demo runs on its engine.
STAGES = {*flow.NAMES}


def curated_alike(demo: Demo, chosen: Engine, where: Path) -> None:
    """Curate a source on an engine, and fail where it is not what the local runner has made."""
    there = dataclasses.replace(demo.config, root=str(where), engine=chosen)
    with root.writer(there.root, "test"):
        curate.build(there, ["coco"], choosing.flags(there.engine))
    ours, theirs = (building.committed(each)["curate/source=coco"] for each in (demo.root, where))
    assert building.digests(ours) == building.digests(theirs)
    assert ours["sources"] == theirs["sources"]
    assert ours["hash"] == theirs["hash"]


def test_a_stage_on_two_task_managers_equals_the_local_runners(
    demo: Demo, flink: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(flink)
    curated_alike(demo, FLINK, tmp_path / "root")
    running = servers.started("flink")
    assert [process.part for process in running.processes] == [
        "job-manager",
        "task-manager-1",
        "task-manager-2",
        "job-server",
    ]
    assert running.dead == ()
    # Flink tells of each job which run it is of: a driver that is stopped cancels that one alone.
    web = running.web
    runs = [
        jobs._run_of(f"{web}/jobs/{job['jid']}") for job in jobs._ask_for_json("GET", f"{web}/jobs/overview")["jobs"]
    ]
    assert any(re.fullmatch(rf"{tmp_path}/root/_work/epoch-\d+/curate", run or "") for run in runs)
    logs = [(Path(running.folder) / f"{process.part}.log").read_text() for process in running.processes]
    assert not any("BlobClient: Downloading" in log for log in logs)  # no jar was sent with the job


def test_a_stage_in_flinks_job_server_equals_the_local_runners(
    demo: Demo, flink: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs Flink itself, beside the cluster."""
    monkeypatch.chdir(flink)
    curated_alike(demo, IN_ONE, tmp_path / "root")


@pytest.fixture(scope="module")
def parted(unbuilt: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Build the demo in many parts and two lanes: 32 fetch shards, and several partitions of nearly everything."""
    many = {"lanes": 2}
    root_url = str(tmp_path_factory.mktemp("parted") / "root")
    there = dataclasses.replace(unbuilt.config, root=root_url, fetch=unbuilt.config.fetch.model_copy(update=many))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "IMAGES_PER_SHARD", 24)
        patch.setattr(images_rules, "PART_ROWS", 60)
        patch.setattr(curate, "PARTITION_BYTES", 2048)
        patch.setattr(audit, "PARTITION_PAIRS", dict.fromkeys(audit.PARTITION_PAIRS, 60))
        building.run(there)
        yield dataclasses.replace(unbuilt, config=there)


def build(demo: Demo, chosen: Engine, root_url: str) -> None:
    """Build the demo on an engine, every stage of it."""
    steps = building.run(dataclasses.replace(demo.config, root=root_url, engine=chosen))
    assert {step.stage for step in steps if step.seconds is not None} == STAGES


def compare(demo: Demo, built: Path, upon: Path) -> None:
    """Fail where a build on an engine is not the local runner's: before its fetch, in the fetch, and in all upon it.

    Args:
        demo: What the local runner has built.
        built: What the engine has, with a fetch of its own.
        upon: A new folder, in which the local runner builds upon that fetch.
    """
    building.assert_same(demo.root, built, fetched_alike=False)
    assert building.outcomes(demo.config.root) == building.outcomes(str(built))
    shutil.copytree(demo.root, upon, ignore=shutil.ignore_patterns("fetch"))
    shutil.copytree(built / "fetch", upon / "fetch", ignore=shutil.ignore_patterns("rejected"))
    building.run(dataclasses.replace(demo.config, root=str(upon)))
    building.assert_same(upon, built, fetched_alike=True)


@whole
@pytest.mark.parametrize("chosen", [FLINK, IN_ONE], ids=["two task managers", "in one process"])
def test_the_demo_on_flink_equals_the_local_runners(
    parted: Demo, flink: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: Engine
) -> None:
    monkeypatch.chdir(flink)
    build(parted, chosen, str(tmp_path / "built"))
    compare(parted, tmp_path / "built", tmp_path / "upon")


@whole
def test_the_demo_on_spark_equals_the_local_runners(
    parted: Demo, spark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spark)
    build(parted, SPARK, str(tmp_path / "built"))
    compare(parted, tmp_path / "built", tmp_path / "upon")
