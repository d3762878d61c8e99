"""What stands at a path: a ROOT, a published list, or something else."""

from __future__ import annotations

from typing import Literal

from pmd.books import list_files
from pmd.errors import InputError
from pmd.formats import parquet
from pmd.store import root, storage

#: `other` is a file that is no Parquet: an annotation file, maybe.
Kind = Literal["root", "list", "other"]


def kind(url: str) -> Kind:
    """Return what stands at a path; of a list only that it has Parquet files (`lists.check`).

    Raises:
        InputError: There is nothing, or a folder that is neither.
        RootError: It is a ROOT of another version.
        VerificationError: Its `root.json` is damaged.
    """
    if not storage.exists(url):
        raise InputError(
            "nothing is here",
            where=url,
            expected="a ROOT, a published list, or an annotation file",
            remedy=root.meant_by(url),
        )
    if not storage.is_folder(url):
        return "list" if parquet.is_parquet(url) else "other"
    if root.identity(url) is not None or root.curated_sources(url):
        return "root"
    inner = root.within(url)
    # Tables and tars of other stages are committed, too.
    if inner is not None or not any(path.endswith(".parquet") for path in list_files.paths(url)):
        raise InputError(
            "neither a ROOT nor a published list",
            where=url,
            expected="root.json, or Parquet files that pmd publish wrote",
            found="neither" if inner is None else "a folder that holds a ROOT",
            remedy=root.meant_by(url),
        )
    return "list"
