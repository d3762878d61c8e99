"""Stages and the demo on Flink and Spark, in real job servers on this machine, equal the local runner's.

One stage runs with the other tests, where `make flink` has been run. The whole demo takes minutes on each: `make test-engines`.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import curate
from pmd.config.engine import Engine, FlinkEngine
from pmd.engines import choosing, servers
from pmd.store import root
from tests.end_to_end import building
from tests.end_to_end.conftest import Demo

ENGINES = Path(__file__).resolve().parents[2] / servers.FOLDER
whole = pytest.mark.skipif(not os.environ.get("PMD_WHOLE_ENGINES"), reason="takes minutes; run: make test-engines")

pytestmark = pytest.mark.timeout(3600)


def engine(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start an engine in a folder of its own; give the folder in which it is found."""
    if not (ENGINES / name).is_dir() or shutil.which("java") is None:
        pytest.skip(f"no job server of {name} ({ENGINES / name}), or no Java 17; run: make {name}")
    here = tmp_path_factory.mktemp(name)
    (here / servers.FOLDER).mkdir()
    (here / servers.FOLDER / name).symlink_to(ENGINES / name)
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


FLINK = Engine(name="flink")
#: Flink within its job server, and workers within the driver.
IN_ONE = Engine(name="flink", flink=FlinkEngine(master="[local]", environment="loopback", parallelism=2))
SPARK = Engine(name="spark")


def test_a_stage_on_two_task_managers_equals_the_local_runners(
    demo: Demo, flink: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(flink)
    there = dataclasses.replace(demo.config, root=str(tmp_path / "root"), engine=FLINK)
    with root.writer(there.root, "test"):
        curate.build(there, ["coco"], choosing.flags(there.engine))
    running = servers.started("flink")
    assert [process.part for process in running.processes] == [
        "job-manager",
        "task-manager-1",
        "task-manager-2",
        "job-server",
    ]
    assert running.dead == ()
    ours, theirs = (building.committed(where)["curate/source=coco"] for where in (demo.root, tmp_path / "root"))
    assert building.digests(ours) == building.digests(theirs)
    assert ours["sources"] == theirs["sources"]
    assert ours["hash"] == theirs["hash"]


def build(demo: Demo, chosen: Engine, where: Path) -> None:
    """Build the demo on an engine: all stages upon the local runner's fetch, and fetch once more from the web."""
    upon, anew = where / "upon", where / "anew"
    upon.mkdir()
    shutil.copytree(demo.root / "fetch", upon / "fetch")
    told: dict[str, Any] = {"engine": chosen}
    building.run(dataclasses.replace(demo.config, root=str(upon), **told))
    building.assert_same(demo.root, upon, fetched_alike=True)
    building.run(dataclasses.replace(demo.config, root=str(anew), **told))
    building.assert_same(demo.root, anew, fetched_alike=False)
    assert building.outcomes(demo.config.root) == building.outcomes(str(anew))


@whole
@pytest.mark.parametrize("chosen", [FLINK, IN_ONE], ids=["two task managers", "in one process"])
def test_the_demo_on_flink_equals_the_local_runners(
    demo: Demo, flink: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: Engine
) -> None:
    monkeypatch.chdir(flink)
    build(demo, chosen, tmp_path)


@whole
def test_the_demo_on_spark_equals_the_local_runners(
    demo: Demo, spark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spark)
    build(demo, SPARK, tmp_path)
