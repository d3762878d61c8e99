"""What a run that did not end has left under ROOT: the next one removes it, before it does anything.

The stages remove what their own commits do not list, but a stage that is fresh is not run again: killed between its commit and
that, it would keep the files of the commit before for ever. So would a format that was given up, and ROOT's top folder.
"""

from __future__ import annotations

from pmd.errors import PmdError
from pmd.store import commits, storage, written
from pmd.store.commits import STAGE_FILE, Check


def remove(root: str, epoch: int, check: Check) -> None:
    """Remove all files that runs write and that no commit lists; only for who holds ROOT's lock, before its workers start.

    Where a commit cannot be read, nobody knows what it lists: then nothing is removed, and `pmd verify` tells of it.

    Args:
        root: ROOT.
        epoch: The holder's.
        check: Raises where the lock is no longer held.
    """
    try:
        for folder in _committed(root, storage.list_files(root)):
            commits.unclaim(folder, epoch)  # a worker of that run, still alive, then commits nothing
        names = storage.list_files(root)
        found = {folder: commits.read(folder) for folder in _committed(root, names)}
    except PmdError:
        return
    listed = {commits.path_of(folder, file.name) for folder, each in found.items() if each for file in each.files}
    left = [name for name in names if not name.endswith(STAGE_FILE) and written.home(name) is not None]
    paths = [path for path in (storage.join(root, name) for name in left) if path not in listed]
    commits.remove(paths, check)
    for top in sorted({name.partition("/")[0] for name in left if "/" in name}):
        storage.remove_empty(storage.join(root, top))


def remove_unfinished(root: str, check: Check) -> None:
    """Remove files that stand directly in ROOT and never got their name: a writer may be killed before it is known as one."""
    names = [name for name in storage.list_names(root) if written.home(name) == ""]
    commits.remove([storage.join(root, name) for name in names], check)


def _committed(root: str, names: list[str]) -> list[str]:
    ending = f"/{STAGE_FILE}"
    folders = [name.removesuffix(ending) for name in names if name.endswith(ending)]
    return [storage.join(root, folder) for folder in folders if written.is_home(folder)]
