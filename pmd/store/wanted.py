"""What a commit depends on, and therefore whether it is stale and why.

A unit (a source's pairs, the images, …) is fresh when its commit's hash is that of the options and inputs that it would be run
with now. Inputs of a later stage are the *contents* of earlier commits, so a stage that is redone with the same outcome does
not make the next one stale. Options and inputs are also kept, spelled out, in the commit's `run` section; comparing them tells
why.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Collection, Iterable, Mapping
from importlib import metadata
from typing import Any, Final

from pmd import __version__
from pmd.store import commits, storage
from pmd.store.commits import Commit
from pmd.store.standing import Standing

#: Raised when a change of the code changes the bytes a stage writes for the same options and inputs.
FORMAT: Final = 4

#: In the `run` section: input → SHA-256 of its bytes.
_DIGESTS: Final = "digests"
#: In the `run` section: input → when it was last changed in any way. Of a ROOT of an earlier version nobody knows.
_CHANGED: Final = "changed"
#: Options that nobody sets: they rise when a change of the code changes what a stage writes, or what it writes of some inputs.
_FORMAT: Final = "format"
_FORMATS: Final = frozenset({_FORMAT, "spellings", "located"})
_ANOTHER: Final = "written by another version of pmd"
#: N of 1/N.
_SAMPLE: Final = "sample"
#: Changes that are told of many: RedCaps has 1,391 files.
_SHOWN: Final = 4


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One commit that should stand, with all that it depends on.

    Attributes:
        stage: The stage's name.
        unit: A source, a format, or "all".
        folder: Where it stands.
        options: What the configuration says of it.
        inputs: What it reads → what changes when that does.
        files: Of the inputs, local files of which their bytes decide where only a time has changed → their paths. Their
            digests are kept in the commit's `run` section, and when each was last changed: another file can be given the time
            of modification of the one before (`cp -p`, `rsync --times`, `touch -r`), not that of its change.
    """

    stage: str
    unit: str
    folder: str
    options: Mapping[str, Any]
    inputs: Mapping[str, str]
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def hash(self) -> str:
        """The hash that the commit carries."""
        return self._hash(self.inputs)

    def _hash(self, inputs: Mapping[str, str]) -> str:
        return commits.options_hash([self.stage, self.unit, FORMAT, self.options, inputs])

    def why(self, standing: Standing | None = None) -> str | None:
        """Return why it must be made, in words, or None where the commit that stands is fresh."""
        commit = commits.read(self.folder) if standing is None else standing.commit(self.folder)
        if commit is None:
            return "nothing is committed yet"
        if self._is_same(commit):
            return None
        before = commit.run
        now = {**self.inputs, **dict.fromkeys(self._replaced(commit), "changed")}
        options = before.get("options", {})
        formats = {name for name in _FORMATS if _is_raised(name, options, self.options)}
        found = [
            *([_ANOTHER] if formats else []),
            *changes("option", _without(options, formats), _without(self.options, formats)),
            *changes("input", before.get("inputs", {}), now),
        ]
        more = [f"and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else []
        return "; ".join([*found[:_SHOWN], *more]) or _ANOTHER

    def _is_same(self, commit: Commit) -> bool:
        """Return whether nothing has changed since a commit but the times of files, of which the bytes are the same."""
        if commit.hash == self.hash:
            return not self._replaced(commit)
        before, digests = commit.run.get("inputs", {}), commit.run.get(_DIGESTS, {})
        if before.keys() != self.inputs.keys() or self._hash(before) != commit.hash:
            return False
        modified = [name for name, version in self.inputs.items() if before[name] != version]
        return all(
            name in self.files and name in digests and _size(before[name]) == _size(self.inputs[name])
            for name in modified
        ) and not self._others({*modified, *self._touched(commit)}, digests)

    def _touched(self, commit: Commit) -> list[str]:
        """Return the files that were changed since a commit, if only in name, owner or rights."""
        before = commit.run.get(_CHANGED, {})
        return [
            name for name, path in self.files.items() if name in before and before[name] != storage.changed_ns(path)
        ]

    def _replaced(self, commit: Commit) -> list[str]:
        """Return the files that have the size and the time of modification of before, and other bytes."""
        before, digests = commit.run.get("inputs", {}), commit.run.get(_DIGESTS, {})
        touched = [name for name in self._touched(commit) if before.get(name) == self.inputs[name]]
        return self._others(touched, digests)

    def _others(self, names: Iterable[str], digests: Mapping[str, str]) -> list[str]:
        return [name for name in sorted(names) if self._digest(name) != digests.get(name)]

    def _digest(self, name: str) -> str:
        path = self.files[name]
        return storage.content_digest(path, f"{self.inputs[name]}:{storage.changed_ns(path)}")

    def remember(self, epoch: int, standing: Standing | None = None) -> bool:
        """Write the present times into the commit that stands, where nothing else has changed; for ROOT's writer.

        The files are then not read again only to see that they are the same. Returns whether the commit was written anew.
        """
        commit = commits.read(self.folder) if standing is None else standing.commit(self.folder)
        if commit is None or not self._is_same(commit) or not (commit.hash != self.hash or self._touched(commit)):
            return False
        commits.claim(self.folder, epoch)
        run = {**commit.run, "inputs": dict(self.inputs), _CHANGED: self._times(), commits.EPOCH: epoch}
        commits.write(self.folder, dataclasses.replace(commit, hash=self.hash, run=run))
        return True

    def _of_files(self) -> dict[str, Any]:
        times = self._times()  # before the bytes: what is written meanwhile has another
        return {_DIGESTS: {name: self._digest(name) for name in sorted(self.files)}, _CHANGED: times}

    def _times(self) -> dict[str, int]:
        return {name: storage.changed_ns(path) for name, path in sorted(self.files.items())}

    def run(self, **facts: Any) -> dict[str, Any]:
        """Return the commit's `run` section: outside every equality claim. Reads `files` once."""
        return {
            "pmd": __version__,
            "python": platform.python_version(),
            "beam": metadata.version("apache-beam"),
            "pyarrow": metadata.version("pyarrow"),
            "options": dict(self.options),
            "inputs": dict(self.inputs),
            **(self._of_files() if self.files else {}),
            **facts,
        }


def _is_raised(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a format is another than a commit says. One that only some inputs have may be new with these."""
    is_known = name in before or name == _FORMAT
    return is_known and name in now and before.get(name) != now[name]


def _without(options: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def changes(kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words how options (kind "option", with their values) or inputs ("input") differ."""
    found = []
    for name in sorted({*before, *now}):
        if name not in before:
            found.append(f"{kind} {name} is new")
        elif name not in now:
            found.append(f"{kind} {name} is gone")
        elif before[name] != now[name] and kind == "option":
            was, is_ = (f"1/{value}" if name == _SAMPLE else repr(value) for value in (before[name], now[name]))
            found.append(f"option {name} was {was}, is {is_}")
        elif before[name] != now[name]:
            found.append(f"input {name} changed")
    return found


def _size(version: str) -> str:
    """Return the size that a file's fingerprint begins with."""
    return version.partition(":")[0]


def as_json(model: Any) -> dict[str, Any]:
    """Return a stage's options as a commit keeps them."""
    return dict(model.model_dump(mode="json"))
