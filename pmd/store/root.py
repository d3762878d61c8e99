"""ROOT: where each stage's folder stands, what is chosen once (`root.json`), and the one writer (`pmd.store.lock`).

`fetch_shard_bits` cuts image_ids into fetch shards of about 4,000 images. It is chosen at the first build and never
estimated again, since the store's folders depend on it: a file that is lost is put back (`identity`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson

from pmd import flow
from pmd.errors import RootError, VerificationError
from pmd.store import commits, failures, leftovers, lock, register, sealed, storage, versions, written
from pmd.store.lock import Holder, Job, Lock

ROOT_FILE: Final = "root.json"
VERSION: Final = 1
WORK: Final = "_work"
#: What `root.json` says of the rest of itself; those of earlier versions say nothing.
_DIGEST: Final = "digest"
_BITS: Final = "fetch_shard_bits"
_UNSEALED: Final = frozenset({"version", _BITS})

#: What tells that a folder is a ROOT; the first of them is made before anything else.
_MARKS: Final = frozenset({lock.LOCK_FILE, lock.STATE_FILE, ROOT_FILE})
#: The folders of a ROOT in which runs write.
_OWN: Final = frozenset({*flow.TOPS, flow.RELEASE, WORK})
#: What file systems and desktops put into folders: a folder that holds nothing else is empty.
_NOBODYS: Final = frozenset({"lost+found", ".DS_Store"})
_WORK_OF: Final = re.compile(r"epoch-(\d+)")
#: Of 0.1.0 that of a writer was not its own: these stood in it.
_EARLIER_WORK: Final = re.compile(
    rf"(?:curate|publish)-{flow.SOURCE_NAME}|images(?:-side)?|fetch|dedupe|shard|audit|adopt|against|listed|settle|waiting"
)

#: Folders in which a ROOT is looked for that was not where it was said to be.
_LOOKED_AT: Final = 100

#: Images in a fetch shard, about: 4,000 pictures of 30 to 80 kB are a tar of 120 to 320 MB.
IMAGES_PER_SHARD: Final = 4096


def curate_folder(root: str, source: str) -> str:
    """Return the folder of a source's pairs and rejected rows."""
    return storage.join(root, flow.PAIRS.at(source=source))


def images_folder(root: str) -> str:
    """Return the folder of the distinct images."""
    return storage.join(root, flow.DISTINCT.at())


def views_folder(root: str) -> str:
    """Return the folder of the pairs in order of their images."""
    return storage.join(root, flow.VIEWS.at())


def ledger_folder(root: str, shard: int, generation: int) -> str:
    """Return the folder of one generation of one fetch shard."""
    return storage.join(root, flow.GENERATION.at(shard=shard, generation=generation))


def fetch_rejected_folder(root: str) -> str:
    """Return the folder of the pairs whose image could not be had."""
    return storage.join(root, flow.UNFETCHED.at())


def dedupe_folder(root: str) -> str:
    """Return the folder of groups and of the pairs that they reject."""
    return storage.join(root, flow.GROUPS.at())


def shards_folder(root: str, form: str) -> str:
    """Return the folder of one format's shards, or of the rejected pairs (form "rejected")."""
    return storage.join(root, flow.UNSHARDED.top, form)


def publish_folder(root: str, source: str) -> str:
    """Return the folder of a source's published list."""
    return storage.join(root, flow.LISTS.at(source=source))


def audit_folder(root: str) -> str:
    """Return the folder of the audit."""
    return storage.join(root, flow.REPORT.at())


def work_folder(root: str, name: str) -> str:
    """Return a folder for what a stage needs only while it runs: each writer of a ROOT has its own."""
    return storage.join(root, WORK, _work_of(_epoch(root)), name)


def leases_folder(root: str) -> str:
    """Return where lanes of the fetch keep their leases: those of one run are heeded by the next."""
    return storage.join(root, WORK, "lanes")


def _work_of(epoch: int) -> str:
    return f"epoch-{epoch}"


def curated_sources(root: str) -> list[str]:
    """Return the sources that have a curate commit, sorted."""
    return _committed_sources(root, flow.PAIRS)


def published_sources(root: str) -> list[str]:
    """Return the sources whose list is committed, sorted."""
    return _committed_sources(root, flow.LISTS)


def _committed_sources(root: str, kind: flow.Folder) -> list[str]:
    folders = (f"{kind.above}/{name}" for name in storage.list_names(storage.join(root, kind.above)))
    return sorted(
        kind.fields(folder)[0]
        for folder in folders
        if kind.holds(folder) and commits.read(storage.join(root, folder)) is not None
    )


def describe(root: str) -> dict[str, Any] | None:
    """Return what `root.json` says, or None for a folder that is no ROOT yet.

    Raises:
        RootError: It is of another version.
        VerificationError: It is damaged.
    """
    path = storage.join(root, ROOT_FILE)
    try:
        raw = storage.read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = orjson.loads(raw)
        promised = content.pop(_DIGEST, None)
        found = content["version"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise sealed.damaged(path, "damaged", f'{{"version": {VERSION}, …}}', "something else") from None
    sound = {*content} <= _UNSEALED if promised is None else promised == commits.options_hash(content)
    if not sound:
        expected = f"content of the digest {promised}"
        raise sealed.damaged(path, "damaged", expected, orjson.dumps(content).decode())
    if found != VERSION:
        raise RootError(
            "not a ROOT that this pmd can read",
            where=path,
            expected=f'{{"version": {VERSION}, …}}',
            found=str(found),
            remedy=f"use the pmd that made it, or another root; if it was damaged, {sealed.REMEDY}",
        )
    return dict(content)


def identity(root: str) -> dict[str, Any] | None:
    """Return what `root.json` says or, where it is gone, what it said; None for a folder that has none yet.

    The commits of the images say how the fetch is cut, too. Who writes puts the file back (`writer`); who reads is told.

    Raises:
        RootError: It is of another version.
        VerificationError: It is damaged.
    """
    content = describe(root)
    bits = _committed_bits(root) if content is None else None
    if bits is None:
        return content
    _tell_of_loss(storage.join(root, ROOT_FILE))
    return {"version": VERSION, _BITS: bits}


def fetch_shard_bits(root: str) -> int:
    """Return how the fetch is cut, by which images are cut anew.

    Raises:
        VerificationError: `root.json` is whole and another ROOT's: cut by it, all images would be fetched again.
    """
    told = int(require(root)[_BITS])
    committed = _committed_bits(root)
    if committed is not None and committed != told:
        raise sealed.damaged(
            storage.join(root, ROOT_FILE),
            "says another cut of the fetch than the images were committed by",
            f'"{_BITS}": {committed}',
            str(told),
        )
    return told


def _committed_bits(root: str) -> int | None:
    """Return `fetch_shard_bits` as a commit of the images says it, or None where none does that can be read."""
    for folder in (views_folder(root), images_folder(root)):
        with contextlib.suppress(RootError, VerificationError):
            commit = commits.read(folder)
            if commit is not None and _BITS in commit.facts:
                return int(commit.facts[_BITS])
    return None


@functools.lru_cache(maxsize=64)
def _tell_of_loss(path: str) -> None:
    """Tell once a process that `root.json` is gone."""
    logging.getLogger("pmd.notes").warning(
        "%s is gone; the commit of the images says what it said. The next command that writes here puts it back.", path
    )


def restored(root: str) -> int | None:
    """Write a `root.json` that is gone or damaged anew, where a commit of the images tells what it said; for who holds the lock.

    Returns:
        `fetch_shard_bits`; None: no commit tells, and nothing was written.
    """
    bits = _committed_bits(root)
    if bits is not None:
        storage.remove(storage.join(root, ROOT_FILE))
        create(root, bits)
    return bits


def require(root: str) -> dict[str, Any]:
    """Return what `root.json` says, or said (`identity`); where sources are curated and nothing more, just the version.

    Raises:
        RootError: This is no ROOT.
    """
    content = identity(root)
    if content is None and curated_sources(root):
        return {"version": VERSION}
    if content is None:
        raise nowhere(root)
    return content


def nowhere(root: str) -> RootError:
    """Return the error for what is no ROOT; it names the ROOT that is meant, if it can be found."""
    is_file = storage.exists(root) and not storage.is_folder(root)
    return RootError(
        "no ROOT here",
        where=root,
        expected=ROOT_FILE,
        found="a file" if is_file else None,
        remedy=meant_by(root) or "run: pmd build CONFIG",
    )


def meant_by(path: str) -> str | None:
    """Return in words which ROOT is meant by what is none: that of a configuration, or one in a folder below or above."""
    found: str | None = None
    if storage.is_folder(path):
        found = within(path)
    elif path.endswith(".toml") and storage.exists(path):
        found = _of_configuration(path)
    found = found or _above(path)
    return None if found is None else f"did you mean {found}?"


def within(folder: str) -> str | None:
    """Return the first ROOT that stands in a folder, of those that are looked at."""
    below = (storage.join(folder, name) for name in storage.list_names(folder)[:_LOOKED_AT])
    return next(filter(_is_root, below), None)


def _of_configuration(path: str) -> str | None:
    """Return the ROOT that a configuration names, if it is there."""
    try:
        named = tomllib.loads(storage.read_bytes(path).decode("utf-8-sig")).get("root")
    except (OSError, ValueError):
        return None
    if not isinstance(named, str):
        return None
    folder = posixpath.dirname(path)
    is_whole = "://" in named or posixpath.isabs(named) or not folder
    placed = named if is_whole else storage.resolved(storage.join(folder, named))
    return placed if _is_root(placed) else None


def _above(root: str) -> str | None:
    """Return the nearest folder above that is a ROOT."""
    while posixpath.dirname(root) not in ("", root):
        root = posixpath.dirname(root)
        if _is_root(root):
            return root
    return None


def _is_root(path: str) -> bool:
    return storage.exists(storage.join(path, ROOT_FILE))


def create(root: str, fetch_shard_bits: int) -> None:
    """Write `root.json` once; the first writer's stays."""
    content = {"version": VERSION, _BITS: fetch_shard_bits}
    sealed_content = content | {_DIGEST: commits.options_hash(content)}
    storage.put_if_absent(storage.join(root, ROOT_FILE), orjson.dumps(sealed_content, option=orjson.OPT_APPEND_NEWLINE))


#: ROOT → the lock that this process holds on it.
_locks: dict[str, Lock] = {}


def writing(root: str) -> Lock:
    """Return the lock that this process holds on a ROOT.

    Raises:
        RootError: It holds none.
    """
    held = _locks.get(root)
    if held is None:
        raise RootError("this process has not taken the lock", where=root, remedy="write within pmd.store.root.writer")
    return held


@contextlib.contextmanager
def doing(work: str, engine: str | None = None) -> Iterator[Callable[[str | None], None]]:
    """Have `writer.json` say what its writer is at, as long as it is; where this process is none, nobody is told.

    Args:
        work: The work folder of the run (`work_folder`), whose name is the task's.
        engine: Where it runs; None: on this machine.

    Yields:
        What tells how the engine calls the job, once that is known.
    """
    top, _, name = work.rpartition(f"/{WORK}/")
    held = _locks.get(top)
    if held is None:
        yield lambda _: None
        return
    job = Job.now(posixpath.basename(name), engine)
    held.at(job)
    try:
        yield lambda called: held.at(dataclasses.replace(job, name=called))
    finally:
        held.at(None)


def _epoch(root: str) -> int:
    held = _locks.get(root)
    return held.epoch if held is not None else 0


@contextlib.contextmanager
def writer(root: str, command: str, config: str | None = None) -> Iterator[Lock]:
    """Be the one writer of a ROOT, which is made if there is none.

    Says so where the last one was killed. Removes what that one left, or one that a signal or an error has cut short. Work
    folders of writers that are gone are removed at the beginning and, since a worker of theirs may still have written, at the
    end.

    Args:
        root: ROOT.
        command: What a second writer is told, and who reads `writer.json`.
        config: The path of the configuration; kept for `pmd repair`.

    Raises:
        RootError: Somebody else writes (says who and since when), or the folder holds other files and is no ROOT, or stands in
            one of another ROOT.
    """
    with failures.at(root):
        is_whole = refuse_others_folders(root)
        _refuse_links_to_others(root)
        is_new = not storage.exists(root)
    with contextlib.ExitStack() as stack:
        for folder in reversed(_new_folders(root)):
            stack.callback(storage.remove_folder, folder)
        with failures.at(root):
            storage.make_folder(root)
            versions.probe(root)
            held = stack.enter_context(lock.held(root, Holder.here(command, config), lambda: _committed_epoch(root)))
        _locks[root] = held
        stack.callback(_locks.pop, root)
        if storage.is_local(root):
            stack.callback(_remove_stub, root)
        if is_new:
            stack.callback(storage.remove_empty, root)  # under the lock: the next writer makes folders there too
        if not is_whole and not is_new:
            with failures.at(root):
                _put_back(root)
        leftovers.remove_unfinished(root, held.check)
        if not held.before.ended:
            _note(held)
        if not held.before.ended or held.before.cut_short:
            leftovers.remove(root, held.epoch, held.check, waves=False)
            leftovers.take_back_uploads(root, WORK)
        _sweep_work(root, held.epoch - 1)
        stack.callback(_sweep_work, root, held.epoch)
        with failures.at(root), register.looked_at(root, held.epoch):
            yield held


def _new_folders(root: str) -> list[str]:
    """Return ROOT's folder, where it is local and not there yet, and those above it that are not there either."""
    found: list[str] = []
    folder = root if storage.is_local(root) else ""
    while folder and not storage.exists(folder):
        found.append(folder)
        folder = posixpath.dirname(folder)
    return found


def _remove_stub(root: str) -> None:
    """Remove what workers have written where ROOT was before it was moved or removed: nothing there is committed."""
    if storage.exists(storage.join(root, lock.LOCK_FILE)):
        return
    with contextlib.suppress(OSError):
        names = storage.list_files(root)
        if not any(name in _MARKS or posixpath.basename(name) == commits.STAGE_FILE for name in names):
            for name in names:
                if written.home(name) is not None:
                    storage.remove(storage.join(root, name))
            storage.remove_empty(root)


def _put_back(root: str) -> None:
    """Write `root.json` anew where it is gone."""
    if not storage.exists(storage.join(root, ROOT_FILE)) and (bits := restored(root)) is not None:
        logging.getLogger("pmd.notes").warning(
            "%s was gone: it was written anew, with %s = %d as the commit of the images has it.",
            storage.join(root, ROOT_FILE),
            _BITS,
            bits,
        )


def _committed_epoch(root: str) -> int:
    """Return the highest epoch that has committed anything under ROOT; reads every commit."""
    found = 0
    for name in storage.list_files(root):
        if posixpath.basename(name) != commits.STAGE_FILE:
            continue
        path = storage.join(root, name)
        with contextlib.suppress(RootError, VerificationError):  # damaged ones are told by who reads them
            found = max(found, commits.from_json(storage.read_bytes(path), path).epoch)
    return found


def _note(held: Lock) -> None:
    last, job = held.before.last, held.before.job
    notes = logging.getLogger("pmd.notes")
    notes.warning(
        "%s did not end: it was killed, or its machine went down. What it had committed stays; the rest is done again.",
        str(last) if last is not None else "the last run",
    )
    if job is not None and job.engine is not None:
        notes.warning(
            "Its job may still run there: %s. From now on it begins no further task, and it can commit nothing.", job
        )


def refuse_others_folders(root: str) -> bool:
    """Raise where a folder holds files and is no ROOT: they are somebody's. Also where another ROOT's runs would remove ours.

    Returns:
        Whether it has a `root.json`, be it damaged.

    Raises:
        RootError: It does, or it is a ROOT of another version, or stands within a folder of another ROOT.
        VerificationError: Its `root.json` is damaged, and nothing else says that it is a ROOT.
    """
    _refuse_within_another(root)
    new = _new_folders(root)
    above = posixpath.dirname(new[-1]) if new else ""
    if above and not storage.is_folder(above):
        raise RootError("a folder of the path is a file", where=above, remedy="name another root in the configuration")
    try:
        if describe(root) is not None:
            return True
    except VerificationError:  # of a ROOT of ours: `pmd repair` writes to it
        if not storage.exists(storage.join(root, lock.STATE_FILE)) and not curated_sources(root):
            raise
        return True
    # A writer that was killed while it tried the storage leaves a temporary, and nothing else.
    names = [
        name
        for name in storage.list_names(root)
        if name not in _NOBODYS and not (name.startswith(storage.TEMPORARY) and written.is_ours(name))
    ]
    if not names or _MARKS.intersection(names) or _holds_commit(root, names):
        return False
    if not storage.is_folder(root):
        raise RootError(
            "a file is here",
            where=root,
            expected="an empty folder, a new one, or a ROOT",
            remedy="name another root in the configuration",
        )
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    raise RootError(
        "the folder holds files, and is no ROOT of pmd",
        where=root,
        expected="an empty folder, a new one, or a ROOT",
        found=f"{', '.join(names[:3])}{more}",
        remedy="name another root in the configuration",
    )


def _refuse_links_to_others(root: str) -> None:
    """Raise where a folder of a ROOT is a link into another one: its files would be removed there, as none of ours.

    Raises:
        RootError: One is.
    """
    if not storage.is_local(root):
        return
    here = storage.filesystem(root)[1]
    for path in filter(os.path.islink, _written_into(here)):
        other = _above(os.path.realpath(path))
        if other is not None and not storage.is_same(other, here):
            raise RootError(
                "a folder of this ROOT is a link into another one",
                where=path,
                expected="folders of its own, also on other disks: a run removes what it has not written itself",
                found=other,
                remedy="remove the link, and copy the folder that it leads to; or build all in one ROOT",
            )


def _refuse_within_another(root: str) -> None:
    """Raise where a ROOT stands, or would stand, in a folder in which another one's runs write: they would remove its files."""
    here = os.path.realpath(storage.filesystem(root)[1]) if storage.is_local(root) else root.rstrip("/")
    for above in storage.above(here):
        top = here.removeprefix(above.rstrip("/") + "/").partition("/")[0]
        if top in _OWN and any(storage.exists(storage.join(above, mark)) for mark in (ROOT_FILE, lock.STATE_FILE)):
            raise RootError(
                "this is within a folder of another ROOT, whose runs remove what they have not written there",
                where=root,
                expected="a folder of its own",
                found=f"the ROOT {above}",
                remedy="name another root in the configuration; move this one there first if it stands already",
            )


def _written_into(here: str) -> Iterator[str]:
    """Yield the folders of a local ROOT in which runs write, and what is in these: any of them may be on another disk."""
    for top in sorted(_OWN):
        path = storage.join(here, top)
        if storage.is_folder(path):
            yield path
            yield from (storage.join(path, name) for name in storage.list_names(path))
        elif os.path.islink(path):  # one that leads nowhere yet
            yield path


def _disk(folder: str) -> int:
    return os.stat(folder).st_dev


def settle(root: str) -> None:
    """Let all that was done so far in a ROOT outlive a power cut (`storage.settle`), on each disk that has folders of its."""
    if not storage.is_local(root):
        return
    here = storage.filesystem(root)[1]
    disks: set[int] = set()
    for folder in filter(storage.is_folder, (here, *_written_into(here))):
        disk = _disk(folder)
        if disk not in disks:
            disks.add(disk)
            storage.settle(folder)


def _holds_commit(root: str, names: Iterable[str]) -> bool:
    """Return whether a stage has committed here: into a ROOT of an earlier version, or one of which a part was copied."""
    files = (
        f"{top}/{name}" for top in names if top in flow.TOPS for name in storage.list_files(storage.join(root, top))
    )
    folders = (name.removesuffix(f"/{commits.STAGE_FILE}") for name in files if name.endswith(f"/{commits.STAGE_FILE}"))
    return any(written.is_home(folder) and commits.read(storage.join(root, folder)) is not None for folder in folders)


def _sweep_work(root: str, epoch: int) -> None:
    """Remove the work folders of all epochs up to one, and those of before there were epochs."""
    work = storage.join(root, WORK)
    for name in storage.list_names(work):
        found = _WORK_OF.fullmatch(name)
        if (found is not None and int(found[1]) <= epoch) or _EARLIER_WORK.fullmatch(name):
            with contextlib.suppress(OSError):  # a worker of a killed run may still write there
                storage.remove_tree(storage.join(work, name))
    storage.remove_empty(work)
