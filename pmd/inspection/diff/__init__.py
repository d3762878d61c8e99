"""Diff: what differs between two ROOTs, two published lists, or a ROOT and an annotation file of facebook/pmd.

Everything is compared by key: pairs by pair_id, images by image_id. Commits are believed (`pmd verify` recounts them). Memory
does not grow with the rows: they meet in buckets on the temporary disk. Modules::

    meeting      rows of two sides, brought together by key
    pairs        what became of each pair, and what it says
    roots        two ROOTs
    lists        two published lists
    theirs       rows of facebook/pmd's annotation files
    hub          a ROOT and such a file
    words        the answer as people read it
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pmd.errors import ConfigError, InputError
from pmd.inspection.diff import hub, lists, roots
from pmd.inspection.diff.render import text as text
from pmd.store import root, storage

Kind = Literal["root", "list", "annotations"]

_PARQUET: Final = b"PAR1"


def diff(a: str, b: str, limit: int = 3) -> dict[str, Any]:
    """Compare two things.

    Args:
        a: A ROOT, or a published list: a Parquet file or a folder of them.
        b: The same, or an annotation file of facebook/pmd, which is compared with the ROOT's curated pairs. A ROOT and a
            list are compared by the ROOT's own lists.
        limit: Examples of each kind of difference.

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
    one, other = _kind(a), _kind(b)
    if one == "annotations" or (other == "annotations" and one != "root"):
        raise ConfigError(
            "cannot be compared",
            where=f"{a} and {b}",
            expected="two ROOTs, two published lists, or a ROOT and then an annotation file of facebook/pmd",
            found=f"{_WORDS[one]} and {_WORDS[other]}",
        )
    if other == "annotations":
        kind, found = "annotations", hub.compare(a, b, limit)
    elif one == other == "root":
        kind, found = "roots", roots.compare(a, b, limit)
    else:
        kind, found = "lists", lists.compare(lists.files(a), lists.files(b), limit)
    return {"a": a, "b": b, "kind": kind, **found}


_WORDS: Final = {"root": "a ROOT", "list": "a list", "annotations": "a file that is no Parquet"}


def _kind(url: str) -> Kind:
    if not storage.exists(url):
        raise InputError("nothing is here", where=url, expected="a ROOT, a published list, or an annotation file")
    if not storage.is_folder(url):
        is_parquet = storage.read_bytes(url, 0, len(_PARQUET)) == _PARQUET
        return "list" if is_parquet else "annotations"
    if root.describe(url) is not None or root.curated_sources(url):
        return "root"
    if not lists.files(url):
        raise InputError(
            "neither a ROOT nor a published list",
            where=url,
            expected="root.json, or Parquet files that pmd publish wrote",
            found="neither",
        )
    return "list"
