"""A ROOT on an object store: the bytes of a local one, no file left over, and few requests where nothing is to be done."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from pmd.config import Config
from pmd.store import storage
from tests.end_to_end import building
from tests.end_to_end.conftest import Demo
from tests.object_stores.conftest import Emulated

#: Requests of a build of twelve sources that finds all as it is to be.
MOST_IDLE = 100

pytestmark = pytest.mark.timeout(1800)  # the emulators are slow, moto most


def copied(url: str, folder: Path) -> Path:
    """Copy a ROOT from an object store to this machine."""
    fs, path = storage.filesystem(url)
    for name in storage.list_files(url):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        fs.get_file(f"{path}/{name}", str(folder / name))
    return folder


def uploaded(folder: Path, url: str) -> None:
    """Copy a folder to an object store."""
    for name in storage.list_files(str(folder)):
        storage.put(f"{url}/{name}", (folder / name).read_bytes())


def at(demo: Demo, url: str) -> Config:
    return dataclasses.replace(demo.config, root=url)


def test_the_demo_on_an_object_store_equals_the_local_one(demo: Demo, store: Emulated, tmp_path: Path) -> None:
    url = f"{store.bucket}/demo"
    uploaded(demo.root / "fetch", f"{url}/fetch")
    building.run(at(demo, url))
    building.assert_same(demo.root, copied(url, tmp_path), fetched_alike=True)
    assert [name for name in storage.list_files(url) if storage.TEMPORARY in name or name.startswith("_work")] == []
    idle = store.asks(lambda: building.run(at(demo, url)))
    assert Counter(method for method, _ in idle)["DELETE"] <= 2  # of the probe
    assert len(idle) <= MOST_IDLE, Counter((method, path.partition("?")[0]) for method, path in idle).most_common(20)


def test_fetching_to_an_object_store_ends_alike(demo: Demo, store: Emulated, tmp_path: Path) -> None:
    url = f"{store.bucket}/fetched"
    asked = store.asks(lambda: building.run(at(demo, url)))
    building.assert_same(demo.root, copied(url, tmp_path), fetched_alike=False)
    assert building.outcomes(demo.config.root) == building.outcomes(str(tmp_path))
    # Nothing is copied to its name: each file is sent once.
    sent = Counter(path for method, path in asked if method in {"PUT", "POST"} and "_stage.json" not in path)
    assert not any("copy" in path.lower() or "rewriteTo" in path or "moveTo" in path for path in sent)
