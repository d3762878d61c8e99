"""A small finished ROOT, built once for the tests that only read it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pmd.store import sealed
from tests import tiny_root


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The ROOT; all but the audit is built."""
    return tiny_root.build(tmp_path_factory.mktemp("tiny")).root


@pytest.fixture
def copied(tiny: str, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    shutil.copytree(tiny, tmp_path / "copy")
    sealed.forget()
    return tmp_path / "copy"
