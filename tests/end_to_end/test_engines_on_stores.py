"""The demo on engines with a ROOT in an emulator of an object store equals the local runner's on local files.

Run by `make test-engines`: it takes minutes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.breaking import emulators
from pmd.config.engine import Engine
from pmd.store import storage
from tests.end_to_end import test_clusters
from tests.end_to_end.conftest import Demo
from tests.end_to_end.test_clusters import FLINK, IN_ONE, SPARK_IN_ONE
from tests.end_to_end.test_clusters import parted as parted  # noqa: PLC0414  a fixture of theirs
from tests.object_stores.test_build import copied

pytestmark = [pytest.mark.timeout(3600), test_clusters.whole, test_clusters.ending]


@contextlib.contextmanager
def emulated(kind: str) -> Iterator[str]:
    """Run an object store that every process reaches that is started meanwhile; give its bucket."""
    why = emulators.missing(kind)
    if why is not None:
        pytest.skip(why)
    with emulators.emulated(kind) as bucket:
        yield bucket


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        (IN_ONE, "gs"),
        (FLINK, "s3"),
        (SPARK_IN_ONE, "s3"),
        (SPARK_IN_ONE.model_copy(update={"shuffle": "engine"}), "gs"),
        (Engine(name="prism", shuffle="engine"), "s3"),
        (Engine(name="prism", shuffle="files"), "gs"),
        (Engine(shuffle="engine"), "s3"),
        (Engine(shuffle="engine"), "gs"),
    ],
    ids=[
        "Flink, run files, Cloud Storage",
        "Flink's two task managers, its shuffle, S3",
        "Spark, run files, S3",
        "Spark, its shuffle, Cloud Storage",
        "Prism, its shuffle, S3",
        "Prism, run files, Cloud Storage",
        "the local runner, its shuffle, S3",
        "the local runner, its shuffle, Cloud Storage",
    ],
)
def test_the_demo_on_an_engine_and_an_object_store_equals_the_local_one(
    parted: Demo,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: Engine,
    kind: str,
) -> None:
    started = contextlib.contextmanager(test_clusters.engine)
    is_local = chosen.name == "local"
    engine = contextlib.nullcontext(tmp_path) if is_local else started(chosen.name, tmp_path_factory)
    with emulated(kind) as bucket, engine as here:
        monkeypatch.chdir(here)
        test_clusters.build(parted, chosen, f"{bucket}/demo")
        assert [name for name in storage.list_files(f"{bucket}/demo") if name.startswith("_work")] == []
        built = copied(f"{bucket}/demo", tmp_path / "built")
    test_clusters.compare(parted, built, tmp_path / "upon")
