"""What a source's own test module, `tests/sources/test_NAME.py`, has for tests that look at every source: its golden files."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from pmd.formats import archives, compression, sqlite

FOLDER = Path(__file__).parent / "sources"


@functools.cache
def module(name: str) -> ModuleType:
    """Return a source's test module.

    Raises:
        FileNotFoundError: It has none.
    """
    path = FOLDER / f"test_{name}.py"
    spec = importlib.util.spec_from_file_location(f"golden_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


def has(name: str, constant: str) -> bool:
    """Return whether a source has a test module with such a name in it."""
    return (FOLDER / f"test_{name}.py").is_file() and hasattr(module(name), constant)


def options(name: str) -> dict[str, Any]:
    """Return the options with which a source's golden files are read, where they differ from the profiles'."""
    return dict(getattr(module(name), "GOLDEN_OPTIONS", {}))


def texts(paths: Iterable[str]) -> dict[str, bytes]:
    """Return name → content of annotation files as plain text, out of their archives and compressions; a database is none."""
    found = {}
    for path in sorted({path.split("!/")[0] for path in paths}):
        inside = [member.name for member in archives.members(path)] if archives.is_archive(path) else [None]
        for member in inside:
            name = Path(member or path).name
            if not name.startswith("._") and not sqlite.is_sqlite(path):
                with compression.open_decompressed(path, member) as file:
                    found[name] = file.read()
    return found
