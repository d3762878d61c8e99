"""What a run that was killed or cut short has left under ROOT: the next one removes it, before it does anything.

The stages remove what their own commits do not list, but a stage that is fresh is not run again: killed between its commit and
that, it would keep the files of the commit before for ever. So would a format that was given up, and ROOT's top folder.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pmd import flow
from pmd.errors import PmdError
from pmd.store import commits, lock, register, storage, versions, written
from pmd.store.commits import STAGE_FILE, Check
from pmd.store.register import Register
from pmd.store.versions import Listed


def remove(root: str, epoch: int, check: Check) -> None:
    """Remove all files that runs write and that no commit lists; only for who holds ROOT's lock, before its workers start.

    What a wave has drawn and had answered stays until the wave is committed: `pmd refresh` goes on with it. Where a commit cannot
    be read, nobody knows what it lists: then nothing is removed, and `pmd verify` tells of it.

    Args:
        root: ROOT.
        epoch: The holder's.
        check: Raises where the lock is no longer held.
    """
    try:
        known = register.read(root)
        before = _unknown(_committed(root), known.versions)
        # A worker of that run, still alive, then commits nothing.
        register.at_once(root, lambda folder: commits.unclaim(storage.join(root, folder), epoch), before)
        names = _own(storage.list_files(root))
        listed = _listed(root, known)
    except PmdError:
        return
    left = [name for name in names if not name.endswith(STAGE_FILE) and written.home(name) is not None]
    staying = listed.union(_of_begun_waves(left, listed))
    commits.remove([storage.join(root, name) for name in left if name not in staying], check)
    for top in sorted({name.partition("/")[0] for name in left if "/" in name}):
        storage.remove_empty(storage.join(root, top))


def _of_begun_waves(names: Iterable[str], listed: Collection[str]) -> Iterator[str]:
    """Yield those of some files that are of waves which have not come to their end: nothing of these is committed."""
    ended = {posixpath.dirname(name) for name in listed}
    for name in names:
        folder = posixpath.dirname(name)
        if flow.WAVES.holds(folder) and folder not in ended and not written.is_temporary(name):
            yield name


def _own(names: Sequence[str]) -> list[str]:
    """Return files below ROOT without those of other ROOTs that stand in it: what is half written there may be under way."""
    marks = {lock.STATE_FILE, lock.LOCK_FILE}
    others = {posixpath.dirname(name) for name in names if posixpath.basename(name) in marks} - {""}
    return [name for name in names if not name.startswith(tuple(f"{other}/" for other in others))]


def _unknown(committed: Mapping[str, Listed], known: Mapping[str, str]) -> list[str]:
    """Return the folders of commits that the register does not know as they are."""
    return [folder for folder, file in committed.items() if known.get(folder) != file.version]


def _listed(root: str, known: Register) -> set[str]:
    """Return the files that commits list, relative to ROOT; of generations that the register knows, as it says."""
    committed = _committed(root)
    other = _unknown(committed, known.versions)
    read = register.at_once(root, lambda folder: commits.read(storage.join(root, folder)), other)
    files = [(folder, commit.files) for folder, commit in zip(other, read, strict=True) if commit is not None]
    unread = committed.keys() - {*other}
    files += [(generation.name, generation.files) for generation in known.every() if generation.name in unread]
    return {commits.path_of(folder, file.name) for folder, listed in files for file in listed}


def remove_unfinished(root: str, check: Check) -> None:
    """Remove files that stand directly in ROOT and never got their name: a writer may be killed before it is known as one."""
    names = [name for name in storage.list_names(root) if written.home(name) == ""]
    commits.remove([storage.join(root, name) for name in names], check)


def take_back_uploads(root: str, work: str) -> None:
    """Have the store forget what was sent of files that were never whole; only for who holds ROOT's lock, as `remove`.

    Who may not list or end such uploads goes on without: nobody reads them.

    Args:
        root: ROOT.
        work: The name of its folder for what only a run needs.
    """
    with contextlib.suppress(Exception):  # of the store's client
        for name, upload in storage.unended_uploads(root):
            if written.home(name) is not None or name.startswith(f"{work}/"):
                storage.take_back(storage.join(root, name), upload)


def _committed(root: str) -> dict[str, Listed]:
    ending = f"/{STAGE_FILE}"
    folders = {name.removesuffix(ending): file for name, file in versions.listed(root, ending).items()}
    return {folder: file for folder, file in folders.items() if written.is_home(folder)}
