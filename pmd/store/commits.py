"""Commits: a stage's output exists when its `_stage.json` does, and is exactly what that file lists.

`_stage.json` is written last. It lists every file of the unit (name relative to its folder, bytes, rows, sha256), the
books, the hash of the options and inputs the unit uses, and a `run` section that stands outside every equality claim.
Readers open what it lists and never glob.

Three things keep a commit whole, whoever dies and whatever comes back to life:

- What it lists outlives a power cut before it does: files are synchronised as they are written, their folders in `write`.
- Each writer of a ROOT works under an *epoch*, a number that only rises (`pmd.store.lock`). Before it works on a commit it writes
  its epoch into it (`claim`); a commit is replaced only by compare-and-swap, and only where the writer's own claim stands. So
  a writer that was taken over, and comes back, can replace nothing, nor can a worker that outlives its run.
- Only who holds the lock removes anything (`sweep`, `retire`), and only files of names that runs write (`pmd.store.written`):
  files of an older commit, of a killed run, of a worker that was doubled. A file is removed only while it is the one that was
  seen under the lock: a later writer may have written one of the same name since.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from pmd import flow
from pmd.errors import RootError, VerificationError
from pmd.store import sealed, storage, versions, written
from pmd.store.versions import Versioned

STAGE_FILE: Final = sealed.COMMIT

#: Raises where the lock is no longer held (`pmd.store.lock.Lock.check`).
Check = Callable[[], None]

#: In the `run` section: the epoch that wrote the commit, the one that has begun to replace it, and that this one has given up.
EPOCH: Final = "epoch"
CLAIMED: Final = "claimed"
LET_GO: Final = "let_go"
#: There too: the SHA-256 of all the rest, by which damage is noticed.
_DIGEST: Final = "digest"
#: What a generation's attempts and hashes, which stand elsewhere, say of its folder.
_OF_GENERATION: Final = re.compile(r"/(shard=[0-9]+/generation=[0-9]+)-")
#: Times that a swap is tried: it fails only where another writer was faster, and there are two at most.
_SWAPS: Final = 16


@dataclasses.dataclass(frozen=True)
class File:
    """One committed file; `name` is relative to the folder of its commit. `rows` counts samples for tars."""

    name: str
    bytes: int
    rows: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Books:
    """What happened to the pairs (in a fetch generation: the images) of one source in one stage."""

    kept: int = 0
    rejected: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def total(self) -> int:
        """Everything that came in; the books balance by construction, and `pmd verify` recounts the files."""
        return self.kept + sum(self.rejected.values())

    def __add__(self, other: Books) -> Books:
        reasons = sorted({*self.rejected, *other.rejected})
        return Books(
            self.kept + other.kept,
            {reason: self.rejected.get(reason, 0) + other.rejected.get(reason, 0) for reason in reasons},
        )


@dataclasses.dataclass(frozen=True)
class Commit:
    """The content of one `_stage.json`."""

    stage: str
    files: tuple[File, ...]
    sources: Mapping[str, Books]
    hash: str
    run: Mapping[str, Any]
    #: Further facts of the stage that later stages read; deterministic, like the books.
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """The highest epoch that has written here; 0 for commits of versions that knew none."""
        return max(int(self.run.get(EPOCH, 0)), int(self.run.get(CLAIMED, 0)))

    @property
    def is_bare(self) -> bool:
        """Whether this is no commit, but a writer's claim where nothing is committed yet."""
        return not self.stage

    def under(self, prefix: str) -> list[File]:
        """Return the files whose name starts with a folder's name, in order."""
        return [file for file in self.files if file.name.startswith(f"{prefix}/")]

    def digest(self, prefix: str | None = None) -> str:
        """Return the hash of what is committed (not of how): what later stages depend on."""
        files = self.files if prefix is None else self.under(prefix)
        return options_hash([[file.name, file.sha256] for file in files] + [dict(self.facts)])


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def options_hash(content: Any) -> str:
    """Return the hash of a JSON-like value, independent of the order of its keys: 32 hex digits."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def to_json(commit: Commit) -> bytes:
    """Return a commit as the bytes of `_stage.json`; `digest` in `run` is the SHA-256 of all the rest."""
    content: dict[str, Any] = {
        "stage": commit.stage,
        "files": [dataclasses.asdict(file) for file in sorted(commit.files, key=lambda file: file.name)],
        "sources": {
            source: {"in": books.total, "kept": books.kept, "rejected": dict(sorted(books.rejected.items()))}
            for source, books in sorted(commit.sources.items())
        },
        "hash": commit.hash,
        "facts": commit.facts,
        "run": commit.run,
    }
    content["run"] = {**commit.run, _DIGEST: _digest(content)}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _digest(content: Mapping[str, Any]) -> str:
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def from_json(content: bytes, where: str, *, damaged: bool = False) -> Commit:
    """Parse `_stage.json`.

    Args:
        content: Its bytes.
        where: What it is called.
        damaged: Take it even if it is not as it was written.

    Raises:
        RootError: It is not one, or of another version.
        VerificationError: It is not as it was written.
    """
    try:
        raw = orjson.loads(content)
        stage = raw["stage"]
        digest = raw["run"].pop(_DIGEST, None)  # commits of earlier versions have none
        if digest is not None and digest != _digest(raw) and not damaged:
            raise _damaged(where, digest, _digest(raw))
        commit = Commit(
            stage=stage,
            files=tuple(File(**file) for file in raw["files"]),
            sources={name: Books(books["kept"], books["rejected"]) for name, books in raw["sources"].items()},
            hash=raw["hash"],
            run=raw["run"],
            facts=raw.get("facts", {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RootError(
            "not a commit of this version of pmd",
            where=where,
            expected="a JSON object with stage, files, sources, hash and run",
            found=f"{type(error).__name__}: {error}",
            remedy="run: pmd repair ROOT; or remove the folder it stands in, and the stage is run again",
        ) from None
    if not damaged:
        _refuse_elsewhere(commit, where)
    return commit


def _refuse_elsewhere(commit: Commit, where: str) -> None:
    """Refuse a commit that tells by itself that it was written in another folder: somebody has put it, whole, into this one.

    Believed, it would have what stands beside it be nobody's: a repair would take it for lost.
    """
    folder = where.rpartition("/")[0]
    parts = folder.split("/")
    told: set[str] = set()
    if commit.stage == flow.CURATE.name and flow.PAIRS.holds("/".join(parts[-2:])):  # else it is a proposal
        told = {flow.PAIRS.at(source=name) for name in commit.sources}
    elif commit.stage == flow.FETCH.name and flow.GENERATION.holds("/".join(parts[-4:])):
        beside = (_OF_GENERATION.search(file.name) for file in commit.files)
        told = {f"{flow.GENERATION.above}/{found[1]}" for found in beside if found}
    others = sorted(name for name in told if not f"/{folder}".endswith(f"/{name}"))
    if others:
        raise VerificationError(
            "the commit is of another folder",
            where=where,
            expected="that of the folder in which it stands",
            found=f"that of {', '.join(others)}",
            remedy="run: pmd repair ROOT",
        )


def _damaged(where: str, wanted: str, found: str) -> VerificationError:
    return VerificationError(
        "the commit is damaged",
        where=where,
        expected=f"the SHA-256 that it states, {wanted}",
        found=found,
        remedy="run: pmd repair ROOT",
    )


def read(folder: str) -> Commit | None:
    """Return the commit of a folder, or None where nothing is committed.

    Raises:
        RootError: It is of another version.
        VerificationError: It is damaged.
    """
    path = storage.join(folder, STAGE_FILE)
    try:
        content = storage.read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    commit = from_json(content, path)
    return None if commit.is_bare else commit


def require(folder: str, remedy: str) -> Commit:
    """Return the commit of a folder.

    Raises:
        RootError: Nothing is committed there.
    """
    commit = read(folder)
    if commit is None:
        raise RootError("nothing is committed here", where=folder, expected=STAGE_FILE, remedy=remedy)
    return commit


def path_of(folder: str, name: str) -> str:
    """Return the path of a file that a commit lists, with its `../` resolved: object stores know no such thing."""
    while name.startswith("../"):
        folder, name = folder.rsplit("/", 1)[0], name.removeprefix("../")
    return storage.join(folder, name)


def _bare(epoch: int) -> bytes:
    return to_json(Commit("", (), {}, "", {CLAIMED: epoch}))


#: Bytes of a claim where nothing is committed, at most; every commit that a run writes has more.
BARE_BYTES: Final = len(_bare(10**10 - 1))


def claim_first(folder: str, epoch: int) -> bool:
    """Claim a folder, as `claim` does, where most likely nothing stands: that is tried first, and takes one request."""
    return versions.swap(storage.join(folder, STAGE_FILE), _bare(epoch), None) or claim(folder, epoch)


def claim(folder: str, epoch: int) -> bool:
    """Write an epoch into a folder's commit, or where it will stand: nobody of a lower one replaces it any more.

    What is committed stays as it is for every reader.

    Returns:
        Whether nothing is committed there.

    Raises:
        RootError: A higher epoch stands there.
    """
    bare = True

    def claimed(standing: Commit | None) -> Commit:
        nonlocal bare
        before = standing or Commit("", (), {}, "", {})
        bare = before.is_bare
        run = {name: value for name, value in before.run.items() if name != LET_GO}
        return dataclasses.replace(before, run={**run, CLAIMED: epoch})

    _swap(folder, epoch, claimed)
    return bare


def open_for_change(folder: str, epoch: int) -> None:
    """Let a claimed folder's commit be nobody's outcome any more, since files that it lists are about to be replaced in place.

    Killed before the next commit, whoever comes then makes the folder anew, whatever is asked for.

    Raises:
        RootError: The claim of the epoch does not stand there.
    """

    def stale(standing: Commit | None) -> Commit | None:
        _refuse_unclaimed(folder, standing, epoch)
        return None if standing is None or standing.is_bare else dataclasses.replace(standing, hash="")

    if _swap(folder, epoch, stale):
        storage.sync_folders([storage.join(folder, STAGE_FILE)])


def write(folder: str, commit: Commit) -> None:
    """Replace the commit of a folder that was claimed, once all that the new one lists outlives a power cut.

    Raises:
        RootError: The claim of its epoch does not stand there.
    """
    storage.sync_folders(path_of(folder, file.name) for file in commit.files)
    epoch = int(commit.run.get(EPOCH, 0))

    def written(standing: Commit | None) -> Commit:
        _refuse_unclaimed(folder, standing, epoch)
        return commit

    _swap(folder, epoch, written)
    storage.sync_folders([storage.join(folder, STAGE_FILE)])


def replace_unreadable(folder: str, commit: Commit) -> None:
    """Commit in place of what cannot be parsed, and so says no epoch to go by; only for who holds the lock.

    Raises:
        RootError: Another writer has replaced it meanwhile.
    """
    path = storage.join(folder, STAGE_FILE)
    seen = versions.read(path)
    storage.sync_folders(path_of(folder, file.name) for file in commit.files)
    if not versions.make_stand(path, to_json(commit), seen):
        raise superseded(path, None, int(commit.run.get(EPOCH, 0)))
    storage.sync_folders([path])


def write_if_absent(folder: str, commit: Commit) -> bool:
    """Commit where nothing is committed yet; return whether this commit is the one that stands. For fetch generations.

    Raises:
        RootError: The claim of its epoch does not stand there: a higher one does, or its run has ended without it.
    """
    storage.sync_folders(path_of(folder, file.name) for file in commit.files)
    epoch = int(commit.run.get(EPOCH, 0))

    def written(standing: Commit | None) -> Commit | None:
        if standing is not None and not standing.is_bare:
            return None
        _refuse_unclaimed(folder, standing, epoch)
        return commit

    is_ours = _swap(folder, epoch, written)
    storage.sync_folders([storage.join(folder, STAGE_FILE)])
    return is_ours


def _refuse_unclaimed(folder: str, standing: Commit | None, epoch: int) -> None:
    claimed = None if standing is None or standing.run.get(LET_GO) else standing.epoch
    if epoch and claimed != epoch:
        raise superseded(storage.join(folder, STAGE_FILE), claimed, epoch)


def unclaim(folder: str, epoch: int) -> None:
    """Let a claim go where nothing was committed after all; only for who holds the lock, when its workers have ended.

    What of this epoch is on its way commits nothing any more, even in the same moment: a worker that has not ended, or the
    request of a driver that was interrupted, whose files are removed next. Where nothing is committed, claims of lower epochs
    go too. A claim of a higher one stays.
    """
    path = storage.join(folder, STAGE_FILE)
    seen = versions.read(path)
    standing = from_json(seen.content, path) if seen is not None else None
    if seen is None or standing is None or standing.epoch > epoch:
        return
    if standing.is_bare:
        if versions.remove(path, seen.version):
            storage.remove_empty(folder)
    elif standing.run.get(CLAIMED) == epoch:
        let_go = dataclasses.replace(standing, run={**standing.run, LET_GO: True})
        versions.make_stand(path, to_json(let_go), seen)


def _swap(folder: str, epoch: int, change: Callable[[Commit | None], Commit | None]) -> bool:
    """Replace what stands in a folder by what is made of it, unless that is None; return whether it was replaced."""
    path = storage.join(folder, STAGE_FILE)
    for _ in range(_SWAPS):
        seen = versions.read(path)
        standing = _standing(seen, path)
        if standing is not None and standing.epoch > epoch:
            raise superseded(path, standing.epoch, epoch)
        new = change(standing)
        if new is None:
            return False
        if versions.make_stand(path, to_json(new), seen):
            return True
    raise RootError(
        "others write here all the time",
        where=path,
        expected="one writer",
        found=f"{_SWAPS} changes while one was made",
        remedy="end the others, then run the same command again",
    )


def _standing(seen: Versioned | None, path: str) -> Commit | None:
    """Return what stands in a folder; a damaged commit is replaced as if nothing stood there."""
    if seen is None:
        return None
    try:
        return from_json(seen.content, path)
    except VerificationError:
        return None


def superseded(where: str, standing: int | None, epoch: int) -> RootError:
    """Return what a writer is told that has been taken over; `standing` is None where the later one has ended already."""
    return RootError(
        "a later run has taken over; this one has changed nothing since, and ends",
        where=where,
        expected=f"epoch {epoch}, under which this run began",
        found=f"epoch {standing}" if standing is not None else "no claim: it has ended too",
        remedy="leave the later run to it",
    )


def retire(folder: str, check: Check = lambda: None) -> None:
    """Remove a commit with all its files; the commit goes first, so that no reader sees it half there."""
    path = storage.join(folder, STAGE_FILE)
    remove([path], check)
    if storage.exists(folder):
        storage.sync_folders([path])
    sweep(folder, check)


def sweep(folder: str, check: Check = lambda: None) -> None:
    """Remove the files below a folder that runs write and that its commit does not list. Only for who holds the lock.

    Folders below with commits of their own are left alone, and so is every file of a name that no run writes.
    """
    names = storage.list_files(folder)  # before the commit is read: what is committed later is not among them
    nested = tuple(name.removesuffix(STAGE_FILE) for name in names if name.endswith(f"/{STAGE_FILE}"))
    commit = read(folder)
    listed = {file.name for file in commit.files} if commit is not None else set()
    paths = [
        storage.join(folder, name) for name in names if name not in listed and not (nested and name.startswith(nested))
    ]
    remove([path for path in paths if written.is_ours(path)], check)
    storage.remove_empty(folder)


def remove(paths: Iterable[str], check: Check) -> None:
    """Remove files that nothing lists, each only while the lock is held and it is the one that was there then.

    Raises:
        RootError: The lock was lost.
    """
    for path in paths:
        if storage.is_local(path):  # the kernel's lock is not lost by standing still
            check()
            storage.remove(path)
            continue
        version = versions.version(path)
        check()
        if version is not None:
            versions.remove(path, version)


def put_content(folder: str, prefix: str, suffix: str, content: bytes, rows: int, *, durable: bool = True) -> File:
    """Write a file under a name that carries its digest, so that a doubled or older worker can never change it.

    Args:
        folder: The folder of the commit.
        prefix: "pairs/part-00003-of-00016"; the digest's first 16 hex digits follow.
        suffix: ".parquet".
        content: The whole file.
        rows: What it holds.
        durable: See `storage.Draft`.
    """
    digest = sha256(content)
    name = f"{prefix}-{digest[:16]}{suffix}"
    storage.put(storage.join(folder, name), content, durable=durable)
    return File(name, len(content), rows, digest)


def put_aside(folder: str, prefix: str, content: bytes, suffix: str = "") -> str:
    """Write a file that a run's workers know by its path, so that another run's has another; return that path."""
    return storage.join(folder, put_content(folder, prefix, suffix, content, 0, durable=False).name)
