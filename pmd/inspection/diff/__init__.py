"""Diff: what differs between two ROOTs, two published lists, or a ROOT and an annotation file of facebook/pmd.

Everything is compared by key: pairs by pair_id, images by image_id. Commits are believed (`pmd verify` recounts them). Memory
does not grow with the rows: they meet in buckets on the temporary disk. Modules, each importing only those above it::

    join         rows of two sides, brought together by key
    pairs        what became of each pair, and what it says
    details      why a row was rejected, without the options' names
    texts        groups of near-duplicate captions
    roots        two ROOTs
    lists        two published lists
    hub_files    rows of facebook/pmd's annotation files
    hub          a ROOT and such a file
    excerpts     the part of two texts in which they differ
    rendering    the answer as people read it
"""

from __future__ import annotations

from typing import Any, Final

from pmd.errors import ConfigError
from pmd.inspection import kinds
from pmd.inspection.diff import hub, lists, roots
from pmd.inspection.diff.join import Tell
from pmd.inspection.diff.rendering import render as render
from pmd.publish.lists import files


def diff(a: str, b: str, limit: int = 3, tell: Tell | None = None) -> dict[str, Any]:
    """Compare two things.

    Args:
        a: A ROOT, or a published list: a Parquet file or a folder of them.
        b: The same, or an annotation file of facebook/pmd, which is compared with the ROOT's curated pairs. A ROOT and a
            list are compared by the ROOT's own lists.
        limit: Examples of each kind of difference.
        tell: Told how far it is, in rows.

    Returns:
        ``a``, ``b``, ``kind`` (roots, lists or annotations), ``equal``, and what `roots.compare`, `lists.compare` or
        `hub.compare` found. JSON-able; the same for the same commits.

    Raises:
        ConfigError: These two cannot be compared, or `limit` is negative.
        InputError: There is nothing at a path, or something else.
        RootError: A ROOT is of another version, or a commit of it is damaged.
    """
    if limit < 0:
        raise ConfigError("not a number of examples", where="--limit", expected="0 or more", found=str(limit))
    one, other = kinds.kind(a), kinds.kind(b)
    if one == "other" or (other == "other" and one != "root"):
        raise ConfigError(
            "cannot be compared",
            where=f"{a} and {b}",
            expected="two ROOTs, two published lists, or a ROOT and then an annotation file of facebook/pmd",
            found=f"{_WORDS[one]} and {_WORDS[other]}",
        )
    if other == "other":
        kind, found = "annotations", hub.compare(a, b, limit, tell)
    elif one == other == "root":
        kind, found = "roots", roots.compare(a, b, limit, tell)
    else:
        kind, found = "lists", lists.compare(files(a), files(b), limit, tell)
    return {"a": a, "b": b, "kind": kind, **found}


_WORDS: Final = {"root": "a ROOT", "list": "a list", "other": "a file that is no Parquet"}
