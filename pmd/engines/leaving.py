"""What a worker has to do before its process ends, where the engine that has started it ends it.

Beam's runners on the JVM hang up, at which Beam's worker ends whatever its tasks are at; then they send SIGTERM, and half a
second later SIGKILL (`ProcessManager`). What is not done by then is left to those who find it undone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Final

_calls: Final[list[Callable[[], object]]] = []


@contextlib.contextmanager
def before(call: Callable[[], object]) -> Iterator[None]:
    """Have something called, from a thread, if this process is to end meanwhile; an exception of one keeps no other back."""
    _calls.append(call)
    try:
        yield
    finally:
        _calls.remove(call)


def now() -> None:
    """Do all that is to be done before this process ends."""
    for call in tuple(_calls):
        with contextlib.suppress(Exception):
            call()


def at_sigterm() -> None:
    """Do from now on what is to be done when SIGTERM comes, and then end with it. For the main thread of a worker of ours."""

    def end() -> None:
        now()
        os._exit(128 + signal.SIGTERM)

    # In a thread: what is interrupted may hold what a call waits for.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end, name="leaving", daemon=True).start())
