"""The demo's ROOT, built once for all tests of this folder that only read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pmd import config
from pmd.config import Config
from pmd.demo.config import open_web, write_demo
from pmd.demo.web import DemoWeb
from tests.end_to_end import building


@dataclass(frozen=True)
class Demo:
    """A demo, whose web answers."""

    folder: Path
    config: Config
    web: DemoWeb

    @property
    def root(self) -> Path:
        return Path(self.config.root)


@pytest.fixture(scope="session")
def unbuilt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """What a demo is built of."""
    folder = tmp_path_factory.mktemp("demo")
    with open_web() as web:
        yield Demo(folder, config.load(str(write_demo(folder, web))), web)


@pytest.fixture(scope="session")
def demo(unbuilt: Demo) -> Demo:
    """Build it."""
    building.run(unbuilt.config)
    return unbuilt
