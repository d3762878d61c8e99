"""Paths in a configuration: relative to its own folder, wherever `pmd` is run, and known in ROOT as they are written there.

`placed` is done once, as the configuration is loaded (`pmd.config.loading`), so that all who open files have paths that lead
there. `written` goes the other way, for what is kept in ROOT: a commit names its inputs, the images table its archives, and a
rejected row its place, alike whichever folder a command was started in. A path that was moved knows it (`Placed`), since its
text does not tell: the same may be written as an absolute one elsewhere in the configuration.
"""

from __future__ import annotations

import itertools
import os
import posixpath
import re
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

from pydantic import BaseModel

from pmd.sources.contract import NamesFiles
from pmd.store import storage

_Model = TypeVar("_Model", bound=BaseModel)


#: What a shell would take for a variable, with the rest of the name that begins with it.
_VARIABLE: Final = re.compile(r"(?:^|(?<=/))(?P<name>\$(?:\{[A-Za-z_]\w*\}|[A-Za-z_]\w*))[^/]*")
#: What fsspec reads as a file system's name, and one slash where two belong: pathlib makes one of two.
_ONE_SLASH: Final = re.compile(
    "(?P<name>s3a?|gcs|gs|az|adl|abfss?|hdfs|webhdfs|https?|sftp|ftp|oci|oss|hf):/(?P<rest>[^/].*)"
)
#: Stands between an archive's path and a member's name (`pmd.formats.archives`).
_MEMBER: Final = "!/"
_WILD: Final = frozenset("*?[")
#: Parts of a URL before an object's name, cut at slashes: the protocol, nothing, the bucket.
_BEFORE_KEY: Final = 3


class Placed(str):
    """A path that leads to what a configuration names by a relative one, from another folder than its own."""

    folder: str

    def __new__(cls, path: str, folder: str) -> Self:
        """Return a path that was written as relative to a folder."""
        self = super().__new__(cls, path)
        self.folder = folder
        return self

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]  # as `__new__` has them, for pickle
        return str(self), self.folder

    @property
    def name(self) -> str:
        """Return it as it is written."""
        return _below(self, self.folder) if "://" in self else _relative(self, self.folder)


class Homed(Placed):
    """A path that a configuration names by a home folder; `folder` is how it names that: "~", or "~somebody"."""

    @property
    def name(self) -> str:
        """Return it as it is written."""
        return self.folder + self.removeprefix(os.path.expanduser(self.folder))


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
    head, slash, rest = path.partition("/")
    if head.startswith("~") and (home := os.path.expanduser(head)) != head:
        return Homed(f"{home}{slash}{rest}", head)  # not all who open it know of home folders
    return path if not (path and folder) or not _is_relative(path) else Placed(_joined(path, folder), folder)


def found(path: str, pattern: str) -> str:
    """Return a path that a pattern, or a folder, has led to: written as relative where that is."""
    if isinstance(pattern, Homed):  # what a pattern leads to there was always named by its whole path
        return path if _WILD & {*pattern.partition(_MEMBER)[0]} else Homed(path, pattern.folder)
    return Placed(path, pattern.folder) if isinstance(pattern, Placed) else path


def written(path: str) -> str:
    """Return how a path is named in ROOT: as the configuration has it, relative to its folder or absolute."""
    if isinstance(path, Placed):
        return path.name
    return _relative(path, os.curdir) if path and _is_relative(path) else path


def rejoined(name: str, folder: str | None) -> str | None:
    """Return the path that a name in ROOT leads to; None where it is relative, and the configuration's folder is not known."""
    if not _is_relative(name):
        return name
    return _joined(name, folder) if folder else None


def absolute(path: str) -> str:
    """Return a path that leads to the same file from everywhere."""
    return path if "://" in path else os.path.abspath(path)


def variable(path: str) -> str | None:
    """Return the variable that a path would be taken to have, were a shell to read it: "$HOME", "${DATA}"; else None.

    None is read here, so that what is meant does not depend on who runs it. A file that is really called so is no mistake.
    """
    file = path.partition(_MEMBER)[0]
    for found in _VARIABLE.finditer(file):
        if "://" in file or not storage.glob(file[: found.end()]):
            return found["name"]
    return None


def url(path: str) -> str | None:
    """Return the URL that a path with one slash in the place of two was meant for; else None.

    A file that is really called so is no mistake.
    """
    found = _ONE_SLASH.fullmatch(path)
    return None if found is None or storage.exists(found["name"] + ":") else f"{found['name']}://{found['rest']}"


def homeless(path: str) -> str | None:
    """Return what a path would take for a home folder, and nobody's is: "~", where none is known, "~nobody"; else None.

    A file that is really called so is no mistake.
    """
    head = path.partition("/")[0]
    return head if head.startswith("~") and not isinstance(path, Homed) and not storage.exists(head) else None


def replaced(options: _Model, change: Callable[[tuple[str, ...], str], str], key: tuple[str, ...] = ()) -> _Model:
    """Return options with each path in them replaced.

    Args:
        options: A table of a configuration.
        change: What becomes of a path, by the key of the option that names it, and the path.
        key: That of the table.
    """
    values = {name: getattr(options, name) for name in type(options).model_fields}
    changed: dict[str, Any] = {
        name: tuple(change((*key, name), path) for path in value)
        if isinstance(value, tuple)
        else change((*key, name), value)
        for name, value in _naming_files(options, values).items()
    }
    inner = {name: value for name, value in values.items() if isinstance(value, BaseModel)}
    changed |= {name: replaced(value, change, (*key, name)) for name, value in inner.items()}
    return options.model_copy(update=changed)


def options_written(options: BaseModel, name_of: Callable[[str], str]) -> dict[str, Any]:
    """Return options as a commit keeps them, with their paths as `name_of` (`written`) names them."""
    return replaced(options, lambda _, path: name_of(path)).model_dump(mode="json")


def _joined(path: str, folder: str) -> str:
    file, sign, member = posixpath.join(folder, path).partition(_MEMBER)
    return f"{storage.resolved(file)}{sign}{member}"


def _below(url: str, folder: str) -> str:
    """Return a URL as one relative to a folder's, by ".." where it is not below it; as it is where they share no bucket."""
    parts, above = url.split("/"), folder.split("/")
    shared = len([*itertools.takewhile(lambda pair: pair[0] == pair[1], zip(parts, above, strict=False))])
    return url if shared < _BEFORE_KEY else "/".join([*[".."] * (len(above) - shared), *parts[shared:]]) or "."


def _relative(path: str, folder: str) -> str:
    """Return a path of this machine, relative to a folder."""
    return os.path.relpath(path, folder) + "/" * path.endswith("/")


def _is_relative(path: str) -> bool:
    return not ("://" in path or path.startswith(("/", "~")))


def _naming_files(options: BaseModel, values: dict[str, Any]) -> dict[str, Any]:
    """Return the options that name files, and name some."""
    found = {}
    for name, field in type(options).model_fields.items():
        mark = next((item for item in field.metadata if isinstance(item, NamesFiles)), None)
        if mark is not None and values[name] is not None and values[name] not in mark.besides:
            found[name] = values[name]
    return found
