"""Forks of a process that has imported all it needs and has no threads."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def forked(work: Callable[[], object]) -> int:
    """Do something in a fork, which then ends: with 0, or with 1 and a traceback; return its number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001  a fork must never go on as its parent
        traceback.print_exc()
        os._exit(1)
