"""What another needs to make the same lists again: versions, the configuration, and digests; no path, and nothing that is secret.

The configuration is told by what it decides. What leads to a machine, or names files that others do not have, is left out or
told by name alone: where ROOT is, who is written to, how hosts are reached, lists of takedowns and blocklists.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from pmd import __version__, flow
from pmd.config import Config
from pmd.config.tables import TABLES
from pmd.curate import needs
from pmd.sources.contract import NamesFiles
from pmd.store import root, storage
from pmd.store.commits import Commit
from pmd.store.standing import Standing

#: Options of where and how, which decide nothing of what comes out, or are nobody else's business.
_LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {
    flow.FETCH.name: (
        "resolve",
        "allow_addresses",
        "ca_file",
        "proxy",
        "blocklists",
        "concurrency",
        "lanes",
        "user_agent",
    ),
}
#: The table that says only what the card of a release tells of its makers.
_OF_THE_CARD: Final = "card"
#: What a commit tells of the programs that made it.
_VERSIONS: Final = ("pmd", "python", "beam", "pyarrow")
#: Among the options of a commit, and here among the versions: what rises when its stage makes something else of the same.
_FORMAT: Final = "format"


def describe(config: Config, lists: Mapping[str, Commit], standing: Standing) -> dict[str, Any]:
    """Return build.json: ``pmd``, ``versions`` by stage, ``configuration``, ``inputs`` by source, ``commits``.

    The versions of what is done source by source are by source: two builds have read one by the same rules where the format of
    its ``curate`` is the same, beside what the configuration says of it.

    Args:
        config: The configuration.
        lists: The commits of the lists, by source.
        standing: What stands under its ROOT.
    """
    stages, curated = _committed(standing), _read(lists, standing)
    return {
        "pmd": __version__,
        "versions": {
            flow.CURATE.name: {name: told["versions"] for name, told in curated.items()},
            **{name: _versions(commit) for name, commit in stages.items()},
            flow.PUBLISH.name: {name: _versions(commit) for name, commit in lists.items()},
        },
        "configuration": configuration(config),
        "inputs": {name: told["inputs"] for name, told in curated.items()},
        "commits": {
            **{name: commit.digest() for name, commit in stages.items()},
            flow.PUBLISH.name: {name: commit.digest() for name, commit in lists.items()},
        },
    }


def _read(sources: Iterable[str], standing: Standing) -> dict[str, dict[str, Any]]:
    """Return by source how it was read: by which ``versions``, and from which ``inputs``."""
    found = {name: standing.commit(root.curate_folder(standing.root, name)) for name in sources}
    return {
        name: {
            "versions": {} if commit is None else _versions(commit),
            "inputs": [] if commit is None else _inputs(commit),
        }
        for name, commit in found.items()
    }


def _versions(commit: Commit) -> dict[str, Any]:
    """Return by what a commit was made."""
    of_rules = {name: value for name, value in commit.run.get("options", {}).items() if name == _FORMAT}
    return {key: commit.run[key] for key in _VERSIONS if key in commit.run} | of_rules


def configuration(config: Config) -> dict[str, Any]:
    """Return what a configuration decides, as a configuration spells it."""
    told: dict[str, Any] = {
        "profile": config.profile,
        "seed": config.seed,
        "sample": config.sample,
        "takedown_lists": len(config.takedown),
        "scores": [{**rule.told(), "file": posixpath.basename(rule.file)} for rule in config.scores],
        "sources": {
            name: ({"reader": source.reader} if source.reader else {})
            | {"annotations": [_name(path) for path in source.annotations], **_options(source.options)}
            for name, source in sorted(config.sources.items())
        },
    }
    for table in (name for name in TABLES if name != _OF_THE_CARD):
        said = _options(getattr(config, table))
        told[table] = {name: value for name, value in said.items() if name not in _LEFT_OUT.get(table, ())}
    return told


def _options(options: Any) -> dict[str, Any]:
    """Return a table of options, files in it by name alone."""
    fields = type(options).model_fields
    said: dict[str, Any] = options.model_dump(mode="json")
    for name, field in fields.items():
        if any(isinstance(item, NamesFiles) for item in field.metadata):
            value = said[name]
            said[name] = [_name(item) for item in value] if isinstance(value, list) else value and _name(value)
        elif isinstance(inner := getattr(options, name), BaseModel):
            said[name] = _options(inner)
    return said


def _name(path: str) -> str:
    """Return the last part of a path; of a member of an archive, with the archive's."""
    archive, mark, member = path.partition("!/")
    return posixpath.basename(archive.rstrip("/")) + mark + member


def _inputs(commit: Commit) -> list[dict[str, str]]:
    """Return the files that a source was read from, with the digests that are known of them."""
    digests = commit.run.get("digests", {})
    named = sorted(
        {(_name(path), digests.get(path, "")) for path in commit.run.get("inputs", {}) if path != needs.SUPPRESSION}
    )
    return [{"name": name, **({"sha256": digest} if digest else {})} for name, digest in named]


def _committed(standing: Standing) -> dict[str, Commit]:
    """Return the commits of the stages that work on all sources at once, by stage, as far as they stand."""
    found = {
        stage.name: standing.commit(storage.join(standing.root, stage.books.at()))
        for stage in flow.STAGES
        if stage.unit == "whole"
    }
    return {name: commit for name, commit in found.items() if commit is not None}
