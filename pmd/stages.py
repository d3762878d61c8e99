"""What each stage depends on, and therefore what is stale and why.

A unit (a source's curate, the images, …) is fresh when its commit's hash is that of the options and inputs it would be
run with now. Inputs of a later stage are the *contents* of earlier commits, so a stage that is redone with the same
outcome does not make the next one stale. Options and inputs are also kept, spelled out, in the commit's `run` section;
comparing them tells why.
"""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

from pmd import __version__, manifests
from pmd.config import Config, inputs
from pmd.fetch import state
from pmd.store import commits, root, storage

#: Raised when a change of the code changes the bytes a stage writes for the same options and inputs.
FORMAT: Final = 4

#: The same for the published lists alone. 2: with `perceptual_hash`. 3: `meta` by the manifest's list, columns nullable.
LIST_FORMAT: Final = 3


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One unit, with all that its output depends on."""

    stage: str
    unit: str
    folder: str
    options: Mapping[str, Any]
    inputs: Mapping[str, str]

    @property
    def hash(self) -> str:
        """The hash that a commit of this unit carries."""
        return commits.options_hash([self.stage, self.unit, FORMAT, self.options, self.inputs])

    def why(self) -> str | None:
        """Return why the unit must be run, in words, or None where its commit is fresh."""
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
        """Return the `run` section of this unit's commit: outside every equality claim."""
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


def _json(model: Any) -> dict[str, Any]:
    return dict(model.model_dump(mode="json"))


def chosen_sources(config: Config) -> list[str]:
    """Return the configured sources that are curated: those that the images come from."""
    curated = root.curated_sources(config.root)
    return [name for name in sorted(config.sources) if name in curated]


def curate(config: Config, source: str) -> Wanted:
    """Return what a source's pairs depend on: its options, and its files' sizes and versions."""
    chosen = config.sources[source]
    paths = [file.path for file in inputs.files(chosen)]
    karpathy = inputs.karpathy_of(chosen)
    if karpathy is not None and karpathy not in paths:
        paths.append(karpathy)
    return Wanted(
        "curate",
        source,
        root.curate_folder(config.root, source),
        {**_json(chosen.options), **_json(config.curate)},
        inputs.fingerprints(paths),
    )


def leaves_out_evaluation_images(commit: commits.Commit, source: str) -> bool:
    """Return whether a source's curate rejected some rows as `evaluation_image`, by its books."""
    books = commit.sources.get(source)
    return books is not None and bool(books.rejected.get("evaluation_image"))


def images(config: Config) -> Wanted:
    """Return what the images depend on: the sources' pairs, what is held out, archives, sample, scores, takedowns."""
    found: dict[str, str] = {}
    options = {"sample": config.sample, "scores": [_json(rule) for rule in config.scores], **_json(config.images)}
    for name in chosen_sources(config):
        commit = commits.require(root.curate_folder(config.root, name), "run: pmd curate")
        found[name] = commit.digest("pairs")
        if config.images.evaluation_copies == "reject" and leaves_out_evaluation_images(commit, name):
            found[f"{name}, rejected"] = commit.digest("rejected")
        for path in inputs.archives_of(config.sources[name]):
            found[path] = storage.fingerprint(path)
    for rule in config.scores:
        found[rule.file] = storage.fingerprint(rule.file)
    for path in config.takedown:
        found[path] = hashlib.sha256(storage.read_bytes(path)).hexdigest()
    return Wanted("images", "all", root.images_folder(config.root), options, found)


def settle(config: Config) -> Wanted:
    """Return what the fetch stage's rejected pairs depend on: the views and the ledger."""
    found = {"views": _digest(root.views_folder(config.root)), "ledger": ledger_digest(config.root)}
    return Wanted("fetch", "rejected", root.fetch_rejected_folder(config.root), {}, found)


def dedupe(config: Config) -> Wanted:
    """Return what the groups depend on: the views, the ledger, and the lists of evaluation images."""
    found = {"views": _digest(root.views_folder(config.root)), "ledger": ledger_digest(config.root)}
    for path in config.dedupe.evaluation:
        files = [storage.join(path, name) for name in storage.list_files(path)] if storage.is_folder(path) else [path]
        found[path] = commits.options_hash([[file, storage.fingerprint(file)] for file in files])
    return Wanted("dedupe", "all", root.dedupe_folder(config.root), _json(config.dedupe), found)


def shard(config: Config, form: str) -> Wanted:
    """Return what a format's shards depend on; form "rejected" stands for the pairs that no format takes."""
    options = _json(config.shard) | {"seed": config.seed}
    del options["formats"]
    found = {
        "views": _digest(root.views_folder(config.root)),
        "ledger": ledger_digest(config.root),
        "dedupe": _digest(root.dedupe_folder(config.root)),
    }
    return Wanted("shard", form, root.shards_folder(config.root, form), options, found)


def publish(config: Config, source: str) -> Wanted:
    """Return what a source's list depends on: its own pairs and what became of them, nothing of other sources."""
    survivors = commits.require(root.dedupe_folder(config.root), "run: pmd dedupe").facts.get("survivors", {})
    found = {
        "pairs": commits.require(root.curate_folder(config.root, source), "run: pmd curate").digest("pairs"),
        "survivors": survivors.get(source, ""),
    }
    manifest = manifests.load(source)
    options = _json(config.publish) | {
        "format": LIST_FORMAT,
        "meta": dict(manifest.meta),
        "licence_evidence": manifest.licence_evidence,
    }
    return Wanted("publish", source, root.publish_folder(config.root, source), options, found)


def audit(config: Config) -> Wanted:
    """Return what the audit depends on: everything before it."""
    found = {name: _digest(root.curate_folder(config.root, name)) for name in chosen_sources(config)}
    for name, folder in (
        ("views", root.views_folder(config.root)),
        ("fetch", root.fetch_rejected_folder(config.root)),
        ("dedupe", root.dedupe_folder(config.root)),
        ("shard", root.shards_folder(config.root, "rejected")),
    ):
        found[name] = _digest(folder)
    options = _json(config.audit) | {"profile": config.profile}
    return Wanted("audit", "all", root.audit_folder(config.root), options, found)


def retired(config: Config) -> list[tuple[str, str, str]]:
    """Return (stage, unit, folder) of shards and lists that stand under ROOT and that the configuration no longer names.

    They would never be brought up to date again, and a takedown must not leave its images in them.
    """
    forms = storage.list_names(storage.join(config.root, "shards"))
    kept = {"rejected", *config.shard.formats}
    found = [("shard", form, root.shards_folder(config.root, form)) for form in forms if form not in kept]
    folders = storage.list_names(storage.join(config.root, "publish"))
    names = [name.removeprefix("source=") for name in folders if name.startswith("source=")]
    chosen = chosen_sources(config)
    found += [("publish", name, root.publish_folder(config.root, name)) for name in names if name not in chosen]
    return [unit for unit in found if commits.read(unit[2]) is not None]  # other folders there are somebody's


def ledger_digest(root_url: str) -> str:
    """Return the digest of all committed generations."""
    return commits.options_hash(
        [
            [shard, generation, commit.digest()]
            for shard in state.shards(root_url)
            for generation, _, commit in state.generations(root_url, shard)
        ]
    )


def _digest(folder: str) -> str:
    return commits.require(folder, "run: pmd build CONFIG").digest()
