"""Paths in a configuration: relative to its own folder, wherever `pmd` is run, and known in ROOT as they are written there.

`placed` is done once, as the configuration is loaded, so that all who open files have paths that lead there. `written` goes the
other way, for what is kept in ROOT: a commit names its inputs, and the images table its archives, alike whichever folder a
command was started in.
"""

from __future__ import annotations

import dataclasses
import os
import posixpath
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from pmd.sources.contract import NamesFiles

if TYPE_CHECKING:
    from pmd.config.model import Config

#: Where a pattern, or the name of a member, begins.
_WILD: Final = re.compile(r"[*?[]|!/")
_Model = TypeVar("_Model", bound=BaseModel)


def folder_of(path: str) -> str:
    """Return the folder in which a configuration stands; "" for the working folder."""
    folder = posixpath.dirname(path)
    return folder if "://" in folder or os.path.abspath(folder) != os.getcwd() else ""


def placed(path: str, folder: str) -> str:
    """Return the path that leads to what a configuration names, from where the program runs.

    Args:
        path: As written: absolute, of the home folder (~), a URL, or relative to the configuration's folder.
        folder: That folder, as `folder_of` gives it.
    """
    return path if not (path and folder) or not _is_relative(path) else posixpath.join(folder, path)


def written(path: str, folder: str, relative: Sequence[str]) -> str:
    """Return how a path is named in ROOT: as the configuration has it: relative to its folder, or absolute.

    Args:
        path: As it leads there.
        folder: The configuration's.
        relative: What paths begin with that are written as relative ones (`Config.relative`).
    """
    if "://" in path:
        return path.removeprefix(f"{folder}/") if path.startswith(tuple(relative)) else path
    slash = "/" * path.endswith("/")
    absolute = os.path.abspath(path)
    if f"{absolute}/".startswith(tuple(relative)):
        return os.path.relpath(absolute, folder) + slash
    return posixpath.normpath(path) + slash if path and _is_relative(path) else path


def all_placed(config: Config, folder: str) -> Config:
    """Return a configuration with every path in it placed."""
    relative: set[str] = set()

    def each(paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one(path) for path in paths)

    def one(path: str) -> str:
        found = placed(path, folder)
        if found != path:
            relative.add(_start(found))
        return found

    sources = {
        name: dataclasses.replace(
            source,
            annotations=each(source.annotations),
            images=each(source.images),
            options=_placed_options(source.options, one),
        )
        for name, source in config.sources.items()
    }
    stages: dict[str, Any] = {
        field.name: _placed_options(value, one)
        for field in dataclasses.fields(config)
        if isinstance(value := getattr(config, field.name), BaseModel)
    }
    takedown = each(config.takedown)
    scores = tuple(_placed_options(rule, one) for rule in config.scores)
    return dataclasses.replace(
        config,
        **stages,
        root=placed(config.root, folder),
        takedown=takedown,
        scores=scores,
        sources=sources,
        folder=folder,
        relative=tuple(sorted(relative)),
    )


def options_written(options: BaseModel, name_of: Callable[[str], str]) -> dict[str, Any]:
    """Return options as a commit keeps them, with their paths as `name_of` (`Config.written`) names them."""
    content: dict[str, Any] = options.model_dump(mode="json")
    return content | {
        name: [name_of(path) for path in value] if isinstance(value, list) else name_of(value)
        for name, value in _naming_files(options, content).items()
    }


def _start(path: str) -> str:
    """Return what everything begins with that a placed path, glob or member leads to."""
    start = _WILD.split(path, maxsplit=1)[0]
    return start if "://" in start else os.path.abspath(start) + "/" * start.endswith("/")


def _is_relative(path: str) -> bool:
    return not ("://" in path or path.startswith(("/", "~")))


def _placed_options(options: _Model, one: Callable[[str], str]) -> _Model:
    """Return options whose paths are placed."""
    values = {name: getattr(options, name) for name in type(options).model_fields}
    changed = {
        name: tuple(one(path) for path in value) if isinstance(value, tuple) else one(value)
        for name, value in _naming_files(options, values).items()
    }
    return options.model_copy(update=changed)


def _naming_files(options: BaseModel, values: dict[str, Any]) -> dict[str, Any]:
    """Return the options that name files, and name some."""
    found = {}
    for name, field in type(options).model_fields.items():
        mark = next((item for item in field.metadata if isinstance(item, NamesFiles)), None)
        if mark is not None and values[name] is not None and values[name] not in mark.besides:
            found[name] = values[name]
    return found
