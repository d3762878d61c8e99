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
#: Folders and modules that `make test` leaves to `make test-long`: builds again and again, kills, other engines, the wheel.
LONG: Final = ("end_to_end", "pipelines", "fetch/test_kills.py", "test_wheel.py")
#: Of these, what no change may go without: the main job, and genuine rows.
NOT_LONG: Final = ("end_to_end/test_demo.py", "end_to_end/test_real_samples.py", "end_to_end/test_library.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is long, and put first what takes longest.

    `--dist loadscope` then keeps a module in one process, so that its fixtures are made once.
    """
    for item in items:
        if is_long(item.path.relative_to(TESTS).as_posix()):
            item.add_marker("long")
    items.sort(key=lambda item: _place(item.path))


def is_long(module: str) -> bool:
    """Return whether all tests of a module are long; `module`: its path below this folder."""
    return module.startswith(LONG) and module not in NOT_LONG


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
