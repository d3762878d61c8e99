"""Fixtures that several test modules share, and how tests are dealt out to processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.forked import Forked

# Machines that tests run on are slow at times, and no test is about time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TESTS: Final = Path(__file__).resolve().parent
SAMPLES = TESTS.parent.parent / "shared" / "samples"

#: Folders and modules whose tests take longest. They start first, so that no process ends long after the others.
LONGEST: Final = ("end_to_end", "test_wheel.py", "fetch", "pipelines", "store")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest; `--dist loadscope` then keeps a module in one process, so that its fixtures are made once."""
    items.sort(key=lambda item: _place(item.path))


def _place(path: Path) -> int:
    first = path.relative_to(TESTS).parts[0]
    return LONGEST.index(first) if first in LONGEST else len(LONGEST)


@pytest.fixture(scope="session", autouse=True)
def _warm_lanes() -> Iterator[None]:
    """Fork the lanes of a fetch from a process that has their imports (`tests.warm`), where pmd starts each anew.

    That is more than a second of processor time less for each, some hundred times. Commands that tests run as a person would,
    in processes of their own, start them as pmd does.
    """
    by_name, forked = multiprocessing.get_context, Forked()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing, "get_context", lambda name=None: forked if name == "spawn" else by_name(name))
        forked.set_forkserver_preload(["tests.warm"])
        yield


@pytest.fixture(autouse=True)
def _any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget how wide the terminal is that the tests were started from."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of genuine upstream rows and photographs, which stands beside a developer's checkout only."""
    if not SAMPLES.is_dir():
        pytest.skip(f"genuine samples are not here: no folder {SAMPLES}")
    return SAMPLES
