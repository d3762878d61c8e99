"""The sources: one module each, found by its file name. The folder is the registry.

A module of this folder that has a `SOURCE` is a source. One that has a `READER` reads sources of a configuration's own, under
names that it gives them (`[sources.NAME] reader = …`). The others are what several of them share.
"""

from __future__ import annotations

import functools
import importlib
from importlib import resources
from typing import cast

from pmd.sources.contract import Reader, Source


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of all sources, sorted."""
    return _having("SOURCE")


@functools.cache
def readers() -> tuple[str, ...]:
    """Return the names of what reads sources of a configuration's own, sorted."""
    return _having("READER")


@functools.cache
def load(name: str) -> Source:
    """Return a source, or a reader, by its name.

    Raises:
        KeyError: There is none.
    """
    if name in names():
        return cast(Source, importlib.import_module(f"{__package__}.{name}").SOURCE)
    return cast(Source, load_reader(name))


def load_reader(name: str) -> Reader:
    """Return a reader by its name.

    Raises:
        KeyError: There is none.
    """
    if name not in readers():
        raise KeyError(name)
    return cast(Reader, importlib.import_module(f"{__package__}.{name}").READER)


def _having(constant: str) -> tuple[str, ...]:
    """Return the modules of this folder that have a constant of that name, sorted."""
    folder = resources.files(__package__)
    return tuple(
        sorted(
            entry.name.removesuffix(".py")
            for entry in folder.iterdir()
            if entry.name.endswith(".py") and f"\n{constant}" in entry.read_text(encoding="utf-8")
        )
    )
