"""Reading a configuration: one TOML file, checked whole before anything starts.

Paths in it are relative to its own folder (`pmd.config.places`).
"""

from __future__ import annotations

import dataclasses
import os
import posixpath
import re
import tomllib
from collections.abc import Callable, Sequence
from typing import Any, Final

from pmd.config import places, remedies
from pmd.config.checking import Checker
from pmd.config.model import Config, InvalidConfig, Problem
from pmd.config.tables import TABLES
from pmd.errors import ConfigError, InputError, PmdError
from pmd.formats import encoding
from pmd.store import failures, lock, storage

_ENDING: Final = ".toml"
#: Of N of a sample of 1/N; more are over 64 bits.
_SAMPLE_DIGITS: Final = 19


def load(path: str | os.PathLike[str]) -> Config:
    """Read and check a configuration file, and that the files are there that it names beside those of the sources.

    >>> import pmd
    >>> config = pmd.load_config("demo/pmd.toml")
    >>> "coco" in config.sources, config.fetch.short_side_px
    (True, 256)

    Raises:
        InvalidConfig: It has mistakes; all of them are told. Files are looked for once it has no others.
    """
    path = os.fspath(path)
    _check_name(path)
    content = _content(path)
    checker = Checker(content)
    loaded = all_placed(parse(content, path), places.folder_of(path), checker.path)
    if not checker.problems:
        with failures.of_inputs():
            checker.files(loaded)
    if checker.problems:
        raise InvalidConfig(path, checker.ordered())
    return loaded


def _content(path: str) -> str:
    """Return the text of a configuration file."""
    try:
        if not storage.exists(path):
            is_link = storage.is_local(path) and os.path.islink(path)
            problem = "a link that leads nowhere" if is_link else "no such configuration file"
            raise ConfigError(problem, where=path, remedy=_near_file(path))
        return encoding.without_mark(storage.read_bytes(path), path).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        octets = error.object[error.start : error.end].hex(" ").upper()
        raise ConfigError(
            "cannot be read",
            where=path,
            expected="a TOML file in UTF-8",
            found=f"the byte {octets} in line {line}",
            remedy="save it as UTF-8, or convert it: iconv -f ISO-8859-1 -t UTF-8 FILE > NEW",
        ) from None
    except InputError as error:
        raise ConfigError(error.problem, where=path, expected=error.expected, remedy=error.remedy) from None
    except PmdError:
        raise
    except Exception as error:
        unread = _unread(path, error)
        if unread is None:
            raise
        raise unread from error


def _unread(path: str, error: Exception) -> ConfigError | None:
    """Return what keeps a file from being read, in words; None: it is no failure of storage."""
    told = None if storage.is_local(path) or isinstance(error, FileNotFoundError) else failures.told(error)
    if told is not None:
        return ConfigError(told.problem, where=path, found=told.found, remedy=told.remedy)
    if not isinstance(error, OSError):
        return None
    if storage.is_folder(path):
        return ConfigError("a folder", where=path, expected="a configuration file", remedy=_file_of(path))
    return ConfigError("cannot be read", where=path, expected="a TOML file in UTF-8", found=str(error))


def all_placed(config: Config, folder: str, look: Callable[[tuple[str, ...], str], None] = lambda *_: None) -> Config:
    """Return a configuration with every path in it placed; each is shown, with the key of the option that names it."""

    def one(key: tuple[str, ...], path: str) -> str:
        found = places.placed(path, folder)
        look(key, found)
        return found

    def each(paths: tuple[str, ...], *key: str) -> tuple[str, ...]:
        return tuple(one(key, path) for path in paths)

    named = {
        name: dataclasses.replace(
            source,
            annotations=each(source.annotations, "sources", name, "annotations"),
            images=each(source.images, "sources", name, "images"),
            options=places.replaced(source.options, one, ("sources", name)),
        )
        for name, source in config.sources.items()
    }
    tables: dict[str, Any] = {
        name: places.replaced(getattr(config, name), one, (name,)) for name in (*TABLES, "engine")
    }
    return dataclasses.replace(
        config,
        **tables,
        root=one(("root",), config.root),
        takedown=each(config.takedown, "takedown"),
        suppression=each(config.suppression, "suppression"),
        scores=tuple(places.replaced(rule, one, ("scores", str(n))) for n, rule in enumerate(config.scores)),
        sources=named,
        folder=folder,
    )


def _check_name(path: str) -> None:
    """Refuse a path that is no text: ROOT and its commits name what is in the configuration's folder."""
    if storage.is_local(path):
        storage.refuse_other_than_text(os.path.abspath(path), ConfigError)


def _near_file(path: str) -> str:
    folder, name = posixpath.split(path)
    others = {other for other in storage.list_names(folder or ".") if other.endswith(_ENDING)} - {name}
    near = remedies.nearest(name, sorted(others))
    written = "write one with: pmd init > pmd.toml"
    return f"did you mean {storage.join(folder, near) if folder else near}? Else {written}" if near else written


def _file_of(folder: str) -> str:
    """Return which file to name in the place of its folder: one that is there, or that of the ROOT that it is."""
    files = sorted(name for name in storage.list_names(folder) if name.endswith(_ENDING))
    if files:
        return f"name the file: {storage.join(folder, files[0])}"
    last = lock.read(folder).last
    if last is not None and last.config:
        return f"this is a ROOT, built with {last.config}"
    return "name the file in it, or write one with: pmd init > pmd.toml"


def load_with(path: str, sample: str | None) -> Config:
    """Read a configuration file, with the sample of a command line ("1/N") in the place of its own.

    Raises:
        ConfigError: The file has mistakes, or the sample is none.
    """
    loaded = load(path)
    if sample is None:
        return loaded
    top, _, bottom = (part.strip() for part in sample.partition("/"))
    if top != "1" or not bottom.isdecimal() or len(bottom) > _SAMPLE_DIGITS or not 1 <= int(bottom) < 2**63:
        raise ConfigError("not a sample", where="--sample", expected="1/N with N of 1 or more", found=sample)
    return dataclasses.replace(loaded, sample=int(bottom))


def chosen(given: str | None, known: Sequence[str]) -> list[str] | None:
    """Return the sources that a command line names, separated by commas, each once; None where it names none.

    Raises:
        ConfigError: One of them is not known.
    """
    if given is None:
        return None
    names = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    if not names:
        raise ConfigError(
            "no source is named", where="--sources", expected=f"one of {', '.join(known)}", found=repr(given)
        )
    for name in names:
        if name not in known:
            raise ConfigError(
                "no such source",
                where="--sources",
                expected=f"one of {', '.join(known)}",
                found=name,
                remedy=remedies.of_source(name, known),
            )
    return names


def parse(content: str, path: str = "CONFIG") -> Config:
    """Check the text of a configuration file; `path` names it in errors."""
    try:
        raw = tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits, and of lists in lists
        line = re.search(r"at line (\d+)", str(error))
        said = str(error)
        written = content.split("\n")[int(line[1]) - 1] if line else ""
        remedy = remedies.of_syntax(said, written)
        problem = Problem(int(line[1]) if line else None, "syntax", "a TOML file", said, remedy)
        raise InvalidConfig(path, [problem]) from None
    checker = Checker(content)
    config = checker.config(raw)
    if checker.problems or config is None:
        raise InvalidConfig(path, checker.ordered())
    return config
