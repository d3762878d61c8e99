"""Fixtures that several test modules share, and how tests are dealt out to processes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

# Machines that tests run on are slow at times, and no test is about time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TESTS: Final = Path(__file__).resolve().parent
SAMPLES = TESTS.parent.parent / "shared" / "samples"

#: Fixtures of a session that are dear: all who use one are dealt out together. Other tests go by their modules.
ONCE: Final = ("demo",)
#: Folders and modules whose tests take longest. They start first, so that no process ends long after the others.
LONGEST: Final = ("end_to_end", "test_wheel.py", "fetch", "pipelines", "store")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal tests out for `--dist loadgroup`: what shares a fixture runs in one process, so that it is made once."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _place(item.path))


def _group(item: pytest.Item) -> str:
    for name in getattr(item, "fixturenames", ()):
        if name in ONCE:
            return name
    return item.path.relative_to(TESTS).as_posix()


def _place(path: Path) -> int:
    first = path.relative_to(TESTS).parts[0]
    return LONGEST.index(first) if first in LONGEST else len(LONGEST)


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
