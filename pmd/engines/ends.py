"""The beginning and the end of a run, as its work folder tells them: no other run has that folder.

An engine may run a job on though its driver is gone or has cancelled it: Beam's job servers hand a cancellation to no cluster.
So a worker looks before each task whether its run is still wanted, which is so while the word that the driver left at the
beginning is there. And an engine may call a job done that was drained, cut short, or never ran: the last step of every pipeline
leaves word, and the driver looks for it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from typing import Final

from pmd.errors import PmdError, RootError
from pmd.store import lock, root, storage

_WANTED: Final = "wanted"
_ENDED: Final = "ended"


class CalledOffError(Exception):
    """Nobody waits for this run any more."""


class UnseenError(CalledOffError):
    """This worker does not see ROOT: whether the run is wanted is not known, and nothing of it can be done here."""


#: How an engine hands that back, as the last of a text.
_UNSEEN: Final = re.compile(rf"{UnseenError.__name__}: ([^\n]*?)(?: \[while running .*)?$", re.MULTILINE)


def folder() -> str:
    """Return this process's working folder; "" where it was removed."""
    with contextlib.suppress(FileNotFoundError):
        return os.getcwd()
    return ""


def root_of(work: str) -> str:
    """Return the ROOT of a run's work folder."""
    return work.rpartition(f"/{root.WORK}/")[0]


def begin(work: str) -> None:
    """Make the work folder of a run, in which nothing is but word that the run is wanted."""
    storage.remove_tree(work)
    storage.make_folder(work)
    storage.put(storage.join(work, _WANTED), b"", durable=False)


def check(work: str) -> None:
    """Find that a run is still wanted.

    Raises:
        CalledOffError: Its driver has ended it, or a later driver has swept what it left.
    """
    if storage.exists(storage.join(work, _WANTED)):
        return
    top = root_of(work)
    if top and not storage.exists(storage.join(top, lock.STATE_FILE)):
        raise UnseenError(f"nothing is there for a worker on {socket.gethostname()}, in the folder {folder()}")
    raise CalledOffError(f"{work}: the driver of this run is gone, or has ended it")


def unseen(error: BaseException, work: str) -> PmdError | None:
    """Return in words that workers do not see ROOT, where an engine's error came of that, or that it is there no more."""
    if isinstance(error, CalledOffError):  # of a worker of this process, which sees what its driver sees
        return RootError(
            "ROOT was moved or removed while this run wrote to it"
            if isinstance(error, UnseenError)
            else "the work folder of this run was removed while it ran",
            where=root_of(work) if isinstance(error, UnseenError) else work,
            remedy="leave it in its place, and run the same command again",
        )
    found = _UNSEEN.search(str(error))
    if found is None:
        return None
    return PmdError(
        "the engine's workers do not see this ROOT",
        where=root_of(work),
        expected="an object store, or a folder that each worker has under the same path",
        found=found[1],
        remedy="name such a root in the configuration, or run this on an engine whose workers see it",
    )


def leave(work: str) -> None:
    """Leave word that all of a run's steps are done."""
    storage.put(storage.join(work, _ENDED), b"", durable=False)


def is_left(work: str) -> bool:
    """Return whether a run's last step has left word."""
    return storage.exists(storage.join(work, _ENDED))
