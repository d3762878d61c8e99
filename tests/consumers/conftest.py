"""The release of the demo; a ready one may be named, since building it takes a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Set by `make test-consumers`: the demo is built for it, and processes are started a package.
if "PMD_CONSUMERS" not in os.environ:
    collect_ignore_glob = ["test_*.py"]

#: Names a folder that `pmd demo` has made.
DEMO = "PMD_DEMO"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The ROOT of the demo."""
    out = Path(os.environ.get(DEMO) or tmp_path_factory.mktemp("demo") / "out")
    if not out.is_dir():
        from pipelines import demo

        demo.run(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        yield out / "pmd"


@pytest.fixture(scope="session")
def published(built: Path) -> Path:
    """What the demo publishes."""
    return built / "release"
