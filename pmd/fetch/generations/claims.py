"""Claiming generations for a run, and removing what runs have left of them: before its workers start, and when they have ended.

Only for who holds the lock. His epoch stands where the next generation of each shard will: a worker of an earlier run, still
alive, then commits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pmd import flow
from pmd.fetch.ledger import state
from pmd.store import commits, register, root, storage, written
from pmd.store.commits import Commit
from pmd.store.register import Generation, Register


def begin(known: Register, shards: Sequence[int], epoch: int, check: commits.Check = lambda: None) -> Register:
    """Claim the next generation of some shards for a run, then remove what earlier runs left. Only for who holds the lock.

    A shard costs a request. The register says from here on that somebody is at work.

    Args:
        known: What stands.
        shards: Those that the run may write to.
        epoch: That of the lock.
        check: Raises where the lock is no longer held.

    Returns:
        What stands then.

    Raises:
        RootError: A later run has taken over.
    """
    known = register.begin(known, epoch)

    def claim(shard: int) -> bool:
        return commits.claim_first(root.ledger_folder(known.root, shard, known.next(shard)), epoch)

    while not all(register.at_once(known.root, claim, shards)):
        known = register.refreshed(known)  # a worker of an earlier run has just committed one
    _sweep(known, shards, check)
    return known


def end(
    known: Register,
    shards: Sequence[int],
    epoch: int,
    check: commits.Check = lambda: None,
    told: Iterable[Commit] = (),
) -> Register:
    """Remove claims where nothing was settled, and what doubled or dead workers left; write down what stands, and return it.

    Only for who holds the lock, when its workers have ended.

    Args:
        known: What stood at the beginning.
        shards: Those that were claimed.
        epoch: That of the lock.
        check: Raises where the lock is no longer held.
        told: Commits that workers have told of: they need not be read.

    Raises:
        RootError: A later run has taken over.
    """
    register.unclaim(known.root, epoch)
    known = register.refreshed(known, told)
    _sweep(known, shards, check)
    check()
    return register.save(known, epoch)


#: Files that an object store lists in one request.
_LISTED: Final = 1000


def _sweep(known: Register, shards: Sequence[int], check: commits.Check) -> None:
    kinds = ("store", "attempts", "hashes", "ledger")
    if known.known.num_rows > _LISTED * len(shards):  # to list all of the fetch takes more requests than to list these
        for shard in shards:
            sweep(known.root, shard, check, known.of(shard))
        return
    above = storage.join(known.root, flow.GENERATION.top)
    mine = {state.shard_folder(known.root, kind, shard) for kind in kinds for shard in shards}
    names = [storage.join(above, name) for name in storage.list_files(above)]
    generations = [generation for shard in shards for generation in known.of(shard)]
    _remove_left([path for path in names if _shard_of(path) in mine], generations, check)
    for folder in sorted(mine) if storage.is_local(known.root) else ():
        storage.remove_empty(folder)


def _shard_of(path: str) -> str:
    """Return the folder of the fetch shard in which a file stands."""
    start = path.find("/shard=")
    return path[: path.find("/", start + 1)]


def sweep(
    root_folder: str, shard: int, check: commits.Check = lambda: None, known: Iterable[Generation] | None = None
) -> list[str]:
    """Remove what no commit of a shard lists: leftovers of killed runs. Returns their paths.

    Only for the one writer of ROOT, before its workers start or when they have ended. Files of names that no run writes stay.

    Args:
        root_folder: ROOT.
        shard: The fetch shard.
        check: Raises where the lock is no longer held.
        known: Its generations, where nobody can have added one since; by default they are read.
    """
    folders = [state.shard_folder(root_folder, kind, shard) for kind in ("store", "attempts", "hashes", "ledger")]
    # Before the commits are read: what is committed later is not among them.
    paths = [storage.join(folder, name) for folder in folders for name in storage.list_files(folder)]
    left = _remove_left(paths, state.own(root_folder, shard) if known is None else known, check)
    for folder in folders:
        storage.remove_empty(folder)
    return left


def _remove_left(paths: Iterable[str], known: Iterable[Generation], check: commits.Check) -> list[str]:
    """Remove those of some files that runs write and that no generation lists; return them."""
    listed = {
        commits.path_of(generation.folder, name)
        for generation in known
        for name in (commits.STAGE_FILE, *(file.name for file in generation.files))
    }
    left = [path for path in paths if path not in listed and written.is_ours(path)]
    commits.remove(left, check)
    return left
