"""ROOTs in an object store of this machine: put there, had back, and what else a command may leave in a store.

Answers come as late as from a store that is elsewhere, and files are sent in parts from a size on that the small world has. So a
signal finds requests on their way, and uploads that have begun.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.breaking import emulators, gone

#: A lease on emulators, in seconds, and how often it is renewed.
LEASE_S: Final = 4.0
RENEW_S: Final = 1.0
#: Bytes of a part of a file that is sent in parts, as soon as it has two of them.
_PART_BYTES: Final = 2**13
#: Has moto take parts of any size.
_MOTO: Final = {"S3_UPLOAD_PART_MIN_SIZE": "1", "MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": str(2**24)}
#: Tells lanes the same.
_PARTS: Final = "PMD_BREAKING_PARTS"


def arm() -> None:
    """Cut what is small into parts, in this process; a lane does so where the environment says it."""
    from s3fs import core

    core.calculate_chunksize = lambda *_, **__: _PART_BYTES


def arm_lane() -> None:
    """In a lane: do what the environment says."""
    if _PARTS in os.environ:
        arm()


def warm() -> None:
    """Read in the clients, and shorten what would be waited for; before any fork."""
    os.environ |= emulators.OF_GCSFS  # it looks when it is read in
    import gcsfs  # noqa: F401
    import s3fs  # noqa: F401

    from pmd.store import lock

    lock.LEASE_S, lock.RENEW_S = LEASE_S, RENEW_S  # type: ignore[misc]
    arm()


@contextlib.contextmanager
def store(kind: str, late_s: float, temporary: Path) -> Iterator[str]:
    """Run an object store whose answers come late, with a folder for temporary files; give the URL of an empty bucket."""
    kept, told = tempfile.tempdir, {"TMPDIR": str(temporary)}
    if kind == "s3":
        told |= {_PARTS: "1", **_MOTO}
    os.environ |= told
    tempfile.tempdir = None
    try:
        with emulators.proxied(kind, lambda port: gone.relayed(0.0, port, late_s)) as (bucket, _):
            yield bucket
    finally:
        for name in told:
            os.environ.pop(name, None)
        tempfile.tempdir = kept


def upload(folder: Path, url: str) -> None:
    """Put a ROOT into a store."""
    from pmd.store import storage

    fs, path = storage.filesystem(url)
    names = storage.list_files(str(folder))
    fs.put([str(folder / name) for name in names], [f"{path}/{name}" for name in names])


def download(url: str, folder: Path) -> None:
    """Have a ROOT of a store in a folder, in place of what is there."""
    from pmd.store import storage

    fs, path = storage.filesystem(url)
    shutil.rmtree(folder, ignore_errors=True)
    names = storage.list_files(url)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    fs.get([f"{path}/{name}" for name in names], [str(folder / name) for name in names])


def remove(url: str) -> None:
    """Remove a ROOT from a store, and uploads that have not ended."""
    from pmd.store import storage

    storage.remove_tree(url)
    for name, number in storage.unended_uploads(url):
        storage.take_back(f"{url}/{name}", number)


def left(url: str) -> dict[str, Any]:
    """Return what stands that a run may leave: uploads that have not ended, and for how many seconds a lease still holds."""
    from pmd.store import lock, storage

    state = lock.read(url)
    return {
        "uploads": [name for name, _ in storage.unended_uploads(url)],
        "lease_s": state.left_s(datetime.datetime.now(datetime.UTC)),
        "ended": state.ended,
    }


def sweep() -> None:
    """Remove what processes that are gone have left on this machine, as the next one does that writes to a store."""
    from pmd.store import spools

    spools.folder()


def temporary_left(folder: Path) -> list[str]:
    """Return the temporary files that stand in a folder, and in those below."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
