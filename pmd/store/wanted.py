"""What a commit depends on, and therefore whether it is stale and why.

A unit (a source's pairs, the images, …) is fresh when its commit's hash is that of the options and inputs that it would be run
with now. Inputs of a later stage are the *contents* of earlier commits, so a stage that is redone with the same outcome does
not make the next one stale. Options and inputs are also kept, spelled out, in the commit's `run` section; comparing them tells
why.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

from pmd import __version__
from pmd.store import commits

#: Raised when a change of the code changes the bytes a stage writes for the same options and inputs.
FORMAT: Final = 4


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One commit that should stand, with all that it depends on.

    Attributes:
        stage: The stage's name.
        unit: A source, a format, or "all".
        folder: Where it stands.
        options: What the configuration says of it.
        inputs: What it reads → what changes when that does.
    """

    stage: str
    unit: str
    folder: str
    options: Mapping[str, Any]
    inputs: Mapping[str, str]

    @property
    def hash(self) -> str:
        """The hash that the commit carries."""
        return commits.options_hash([self.stage, self.unit, FORMAT, self.options, self.inputs])

    def why(self) -> str | None:
        """Return why it must be made, in words, or None where the commit that stands is fresh."""
        commit = commits.read(self.folder)
        if commit is None:
            return "nothing is committed yet"
        if commit.hash == self.hash:
            return None
        before = commit.run
        found = [
            *changes("option", before.get("options", {}), self.options),
            *changes("input", before.get("inputs", {}), self.inputs),
        ]
        return "; ".join(found) or "written by another version of pmd"

    def run(self, **facts: Any) -> dict[str, Any]:
        """Return the commit's `run` section: outside every equality claim."""
        return {
            "pmd": __version__,
            "python": platform.python_version(),
            "beam": metadata.version("apache-beam"),
            "pyarrow": metadata.version("pyarrow"),
            "options": dict(self.options),
            "inputs": dict(self.inputs),
            **facts,
        }


def changes(kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words how options (kind "option", with their values) or inputs ("input") differ."""
    found = []
    for name in sorted({*before, *now}):
        if name not in before:
            found.append(f"{kind} {name} is new")
        elif name not in now:
            found.append(f"{kind} {name} is gone")
        elif before[name] != now[name] and kind == "option":
            found.append(f"option {name} was {before[name]!r}, is {now[name]!r}")
        elif before[name] != now[name]:
            found.append(f"input {name} changed")
    return found


def as_json(model: Any) -> dict[str, Any]:
    """Return a stage's options as a commit keeps them."""
    return dict(model.model_dump(mode="json"))


def digest(folder: str) -> str:
    """Return the digest of what is committed in a folder.

    Raises:
        RootError: Nothing is.
    """
    return commits.require(folder, "run: pmd build CONFIG").digest()
