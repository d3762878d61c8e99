"""The demo in threads, as stages with more input work, equals the local runner's in one."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from pipelines import running
from pmd.engines import cores
from tests.end_to_end import building
from tests.end_to_end.conftest import Demo


def test_the_demo_in_threads_equals_the_one_in_one_thread(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    counted = running.threads

    def threads(flags: tuple[str, ...], input_bytes: int) -> int:
        found.append(counted(flags, input_bytes))
        return found[-1]

    monkeypatch.setattr(cores, "count", lambda: 2)
    monkeypatch.setattr(running, "THREAD_BYTES", 0)
    monkeypatch.setattr(running, "threads", threads)
    root = tmp_path / "root"
    root.mkdir()
    shutil.copytree(demo.root / "fetch", root / "fetch")
    building.run(dataclasses.replace(demo.config, root=str(root)))
    assert found
    assert set(found) == {2}
    building.assert_same(demo.root, root, fetched_alike=True)
