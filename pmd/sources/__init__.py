"""The sources: one module each, found by its file name. The folder is the registry.

A module of this folder that has a `SOURCE` is a source; the others are what several of them share.
"""

from __future__ import annotations

import functools
import importlib
from importlib import resources
from typing import cast

from pmd.sources.contract import Source


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of all sources, sorted."""
    folder = resources.files(__package__)
    return tuple(
        sorted(
            entry.name.removesuffix(".py")
            for entry in folder.iterdir()
            if entry.name.endswith(".py") and "\nSOURCE" in entry.read_text(encoding="utf-8")
        )
    )


@functools.cache
def load(name: str) -> Source:
    """Return a source by its name.

    Raises:
        KeyError: There is none.
    """
    if name not in names():
        raise KeyError(name)
    return cast(Source, importlib.import_module(f"{__package__}.{name}").SOURCE)
