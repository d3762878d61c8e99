"""The beginning and the end of a run, as its work folder tells them: no other run has that folder.

An engine may run a job on though its driver is gone or has cancelled it: Beam's job servers hand a cancellation to no cluster.
So a worker looks before each task whether its run is still wanted, which is so while the word that the driver left at the
beginning is there. And an engine may call a job done that was drained, cut short, or never ran: the last step of every pipeline
leaves word, and the driver looks for it.
"""

from __future__ import annotations

from typing import Final

from pmd.store import storage

_WANTED: Final = "wanted"
_ENDED: Final = "ended"


class CalledOffError(Exception):
    """Nobody waits for this run any more."""


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
    if not storage.exists(storage.join(work, _WANTED)):
        raise CalledOffError(f"{work}: the driver of this run is gone, or has ended it")


def leave(work: str) -> None:
    """Leave word that all of a run's steps are done."""
    storage.put(storage.join(work, _ENDED), b"", durable=False)


def is_left(work: str) -> bool:
    """Return whether a run's last step has left word."""
    return storage.exists(storage.join(work, _ENDED))
