"""The demo on Prism, where everything crosses a process boundary, equals the local runner's."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmd.config.engine import Engine
from pmd.engines import servers
from tests.end_to_end import building
from tests.end_to_end.conftest import Demo
from tests.end_to_end.test_clusters import engine


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prism job service, and the endpoint it listens on."""
    for here in engine("prism", tmp_path_factory):
        yield servers.started("prism", str(here / servers.FOLDER)).endpoint


def test_the_demo_on_prism_equals_the_local_runners(demo: Demo, prism: str, tmp_path: Path) -> None:
    """Its rows cross Prism's shuffle, where the local runner's have crossed in run files."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copytree(demo.root / "fetch", root / "fetch")
    flags = ("--runner=PortableRunner", f"--job_endpoint={prism}", "--environment_type=LOOPBACK")
    there = dataclasses.replace(demo.config, root=str(root), engine=Engine(shuffle="engine"))
    steps = building.run(there, flags)
    assert {step.stage for step in steps if step.seconds is not None} >= {
        "curate",
        "images",
        "dedupe",
        "shard",
        "audit",
    }
    building.assert_same(demo.root, root, fetched_alike=True)


def test_fetching_on_prism_ends_alike(demo: Demo, prism: str, tmp_path: Path) -> None:
    flags = ("--runner=PortableRunner", f"--job_endpoint={prism}", "--environment_type=LOOPBACK")
    building.run(dataclasses.replace(demo.config, root=str(tmp_path / "root")), flags)
    building.assert_same(demo.root, tmp_path / "root", fetched_alike=False)
    assert building.outcomes(demo.config.root) == building.outcomes(str(tmp_path / "root"))
