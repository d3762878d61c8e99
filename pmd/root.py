"""ROOT: where each stage's folder stands, what is chosen once (`root.json`), and the one writer.

`fetch_shard_bits` cuts image_ids into fetch shards of about 4,000 images. It is chosen at the first build and never
derived again, since the store's folders depend on it.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

import orjson

from pmd import commits, sealed, storage
from pmd.errors import RootError

ROOT_FILE: Final = "root.json"
LOCK_FILE: Final = "writer.json"
VERSION: Final = 1
WORK: Final = "_work"
#: What `root.json` says of the rest of itself; those of earlier versions say nothing.
_DIGEST: Final = "digest"
_UNSEALED: Final = frozenset({"version", "fetch_shard_bits"})
#: Ends the name of the lock on removing a lock, which is held for as long as that takes, and when others look again.
_TAKEOVER: Final = ".takeover"
_RETRY_S: Final = 0.02

#: Images in a fetch shard, about: 4,000 pictures of 30 to 80 kB are a tar of 120 to 320 MB.
IMAGES_PER_SHARD: Final = 4096


def curate_folder(root: str, source: str) -> str:
    """Return the folder of a source's pairs and rejected rows."""
    return storage.join(root, "curate", f"source={source}")


def images_folder(root: str) -> str:
    """Return the folder of the distinct images."""
    return storage.join(root, "images")


def views_folder(root: str) -> str:
    """Return the folder of the pairs in order of their images."""
    return storage.join(root, "views")


def ledger_folder(root: str, shard: int, generation: int) -> str:
    """Return the folder of one generation of one fetch shard."""
    return storage.join(root, "fetch", "ledger", f"shard={shard:05d}", f"generation={generation:04d}")


def fetch_rejected_folder(root: str) -> str:
    """Return the folder of the pairs whose image could not be had."""
    return storage.join(root, "fetch", "rejected")


def dedupe_folder(root: str) -> str:
    """Return the folder of groups and of the pairs that they reject."""
    return storage.join(root, "dedupe")


def shards_folder(root: str, form: str) -> str:
    """Return the folder of one format's shards, or of the rejected pairs (form "rejected")."""
    return storage.join(root, "shards", form)


def publish_folder(root: str, source: str) -> str:
    """Return the folder of a source's published list."""
    return storage.join(root, "publish", f"source={source}")


def audit_folder(root: str) -> str:
    """Return the folder of the audit."""
    return storage.join(root, "audit")


def work_folder(root: str, name: str) -> str:
    """Return a folder for what a stage needs only while it runs."""
    return storage.join(root, WORK, name)


def curated_sources(root: str) -> list[str]:
    """Return the sources that have a curate commit, sorted."""
    prefix, suffix = "source=", "/_stage.json"
    names = storage.list_names(storage.join(root, "curate"))
    return sorted(
        name.removeprefix(prefix)
        for name in names
        if name.startswith(prefix) and storage.exists(storage.join(root, "curate", name) + suffix)
    )


def describe(root: str) -> dict[str, Any] | None:
    """Return what `root.json` says, or None for a folder that is no ROOT yet.

    Raises:
        RootError: It is of another version.
        VerificationError: It is damaged.
    """
    path = storage.join(root, ROOT_FILE)
    if not storage.exists(path):
        return None
    try:
        content = orjson.loads(storage.read_bytes(path))
        promised = content.pop(_DIGEST, None)
        found = content["version"]
    except (ValueError, KeyError, TypeError, AttributeError):
        content, found, promised = {}, "something else", None
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


def require(root: str) -> dict[str, Any]:
    """Return what `root.json` says; where sources are curated and nothing more, just the version.

    Raises:
        RootError: This is no ROOT.
    """
    content = describe(root)
    if content is None and curated_sources(root):
        return {"version": VERSION}
    if content is None:
        raise RootError("no ROOT here", where=root, expected=ROOT_FILE, remedy="run: pmd build CONFIG")
    return content


def create(root: str, fetch_shard_bits: int) -> None:
    """Write `root.json` once; the first writer's stays."""
    content = {"version": VERSION, "fetch_shard_bits": fetch_shard_bits}
    sealed_content = content | {_DIGEST: commits.options_hash(content)}
    storage.put_if_absent(storage.join(root, ROOT_FILE), orjson.dumps(sealed_content, option=orjson.OPT_APPEND_NEWLINE))


@contextlib.contextmanager
def writer(root: str, command: str) -> Iterator[None]:
    """Be the one writer of a ROOT.

    A lock whose process on this machine has ended is taken over, by one of however many try; so a killed run needs no
    cleaning up. What it left in the work folder goes first, and the folder itself at the end.

    Raises:
        RootError: Somebody else writes; says who and since when.
    """
    path = storage.join(root, LOCK_FILE)
    own = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": _process_start(os.getpid()),
        "since": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
    }
    holder = _lock(root, path, own)
    if holder is not None:
        raise RootError(
            f"another writer has it since {holder['since']}: {holder['command']}",
            where=root,
            found=f"process {holder['pid']} on {holder['host']}",
            remedy=f"wait for it; if you know that it is gone, remove {path}",
        )
    work = storage.join(root, WORK)
    try:
        with contextlib.suppress(OSError):  # a worker of a killed run may still write there
            storage.remove_tree(work)
        yield
    finally:
        storage.remove_if_empty(work)
        storage.remove(path)


def _lock(root: str, path: str, own: dict[str, Any]) -> dict[str, Any] | None:
    """Take a lock; return who holds it where somebody alive does, else None.

    The lock of a process that is gone is removed only by who holds the lock on doing so, and only while it is still that one:
    a process that had read it before it was taken over cannot remove the one of who took it over.
    """
    while not _take(root, path, orjson.dumps(own)):
        content = _read(path)
        if content is None:
            continue
        holder = _holder(path, content)
        if holder["host"] != own["host"] or _process_start(holder["pid"]) == holder["process"]:
            return holder
        takeover = path + _TAKEOVER
        if _lock(root, takeover, own) is not None:
            time.sleep(_RETRY_S)
            continue
        try:
            if _read(path) == content:
                storage.remove(path)
        finally:
            storage.remove(takeover)
    return None


def _take(root: str, path: str, content: bytes) -> bool:
    try:
        return storage.put_if_absent(path, content)
    except OSError as error:
        raise RootError(
            "cannot be written",
            where=root,
            found=f"{type(error).__name__}: {error}",
            remedy="choose another root, or mend its permissions",
        ) from None


def _read(path: str) -> bytes | None:
    """Return a lock's content, or None where it has just been given back."""
    try:
        return storage.read_bytes(path)
    except FileNotFoundError:
        return None


def _holder(path: str, content: bytes) -> dict[str, Any]:
    """Return who holds a lock."""
    try:
        holder = orjson.loads(content)
    except ValueError:
        holder = None
    if not isinstance(holder, dict) or not {"host", "pid", "process", "since", "command"} <= set(holder):
        raise RootError("not the lock of a writer", where=path, remedy=f"if nobody writes here, remove {path}")
    return holder


def _process_start(pid: int) -> str | None:
    """Return when a process of this machine started (so that a pid used anew is told apart), or None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[19]
    except FileNotFoundError:
        pass
    except OSError:
        return None
    if os.path.isdir("/proc/self"):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "running"
    return "running"
