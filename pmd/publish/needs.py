"""What publish depends on, source by source: its own pairs and what became of them, nothing of other sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from pmd import flow
from pmd.config import Config, told
from pmd.curate import needs as curate_needs
from pmd.manifests import Terms
from pmd.store import root
from pmd.store.commits import File
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted

#: As `wanted.FORMAT`, for the lists alone. 2: with `perceptual_hash`. 3: `meta` by the manifest's list, columns nullable. 4: with
#: credit, status, names of what has no URL, digests of what is withheld; files by split. 5: one split for images that are one.
LIST_FORMAT: Final = 5


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a source's list is made of: the commit that should stand, what of it may be handed on, and its files of pairs."""

    wanted: Wanted
    terms: Terms
    files: tuple[File, ...]


def units(config: Config, names: Sequence[str], standing: Standing | None = None) -> Sequence[str]:
    """Return the sources that have a list."""
    return curate_needs.curated(config, standing or Standing(config.root))


def wanted(config: Config, source: str, standing: Standing | None = None) -> tuple[Wanted, ...]:
    """Return the commit of a source's list."""
    return (of(config, source, standing).wanted,)


def of(config: Config, source: str, standing: Standing | None = None) -> Needs:
    """Return what a source's list is made of.

    Raises:
        RootError: A stage before it has not run.
    """
    there = standing or Standing(config.root)
    dedupe = there.require(root.dedupe_folder(config.root), f"run: {flow.DEDUPE.command}")
    commit = curate_needs.commit_of(there, source)
    inputs = {"pairs": commit.digest("pairs"), "survivors": dedupe.facts.get("survivors", {}).get(source, "")}
    terms = config.sources[source].terms
    options = told.of(config, flow.PUBLISH.name) | {
        "format": LIST_FORMAT,
        "meta": dict(terms.meta),
        "licence_evidence": terms.licence_evidence,
        "redistribute": terms.redistribute,
        "file_name": terms.file_name,
    }
    return Needs(
        Wanted(flow.PUBLISH.name, source, root.publish_folder(config.root, source), options, inputs),
        terms,
        tuple(commit.under("pairs")),
    )


def retired(config: Config, standing: Standing | None = None) -> list[tuple[str, str]]:
    """Return (source, folder) of lists that stand under ROOT and whose sources are no longer chosen."""
    there = standing or Standing(config.root)
    chosen = curate_needs.curated(config, there)
    return [(name, root.publish_folder(config.root, name)) for name in there.published if name not in chosen]
