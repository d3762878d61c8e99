"""The files of published lists, wherever these were copied to: of a list, of a folder of lists, or of a ROOT's."""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Collection, Sequence
from typing import Final

from pmd import flow
from pmd.store import commits, root, sealed, storage

#: Folders above a list's file, up to ROOT.
_DEEPEST: Final = flow.LISTS.path.count("/") + 2


def paths(url: str) -> list[str]:
    """Return the Parquet files of a list, of a folder of lists, or of a ROOT's.

    Of a folder that has a commit these are the files that it lists. Under a ROOT there are no others: what no commit lists is
    of a run that goes on, or was killed. Elsewhere people put together what they have, with commits or without.
    """
    if not storage.is_folder(url):
        return [url]
    below = storage.list_files(url)
    top = f"{flow.LISTS.above}/" if root.ROOT_FILE in below else ""
    parquet_files = [
        name
        for name in below
        if name.endswith(".parquet") and name.startswith(top) and posixpath.basename(name) != flow.WITHDRAWN
    ]
    folders = [
        posixpath.dirname(name)
        for name in below
        if posixpath.basename(name) == commits.STAGE_FILE and name.startswith(top)
    ]
    found = []
    for folder in folders:
        commit = commits.read(storage.join(url, folder).rstrip("/"))
        found += [storage.join(url, folder, file.name) for file in commit.files] if commit is not None else []
    if not folders or not is_under_root(url, below):
        found += _beside(url, parquet_files, folders, found)
    return found


def is_under_root(url: str, below: Collection[str]) -> bool:
    """Return whether a file or folder, in which these files stand, is of a ROOT's lists, or its release's."""
    above = itertools.islice(storage.above(url), _DEEPEST)
    return root.ROOT_FILE in below or any(storage.exists(storage.join(folder, root.ROOT_FILE)) for folder in above)


def _beside(url: str, names: Sequence[str], folders: Sequence[str], committed: Sequence[str]) -> list[str]:
    """Return the files in no folder with a commit, but for those that one lists by the same name, which tells the bytes."""
    known = {posixpath.basename(path) for path in committed}
    below = tuple(f"{folder}/" for folder in folders if folder)
    return [
        storage.join(url, name)
        for name in names
        if "" not in folders
        and not name.startswith(below)
        and not (posixpath.basename(name) in known and sealed.digest_of(name) is not None)
    ]
