"""Tells how far a command is that works by itself: now and then a line on standard error, which a terminal writes over."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from pmd.terminal import bar, output

_LOG: Final = logging.getLogger("pmd.progress")
#: Seconds between two lines: on a terminal; in a log, where they become fewer as time goes by.
_TERMINAL_S: Final = 1.0
_LOG_S: Final = 20.0
_LONGEST_LOG_S: Final = 600.0
_RARER: Final = 10

#: Told of (done so far, in all, or 0 where nobody knows).
Tell = Callable[[int, int], None]


def next_wait_s(seconds: float, *, terminal: bool) -> float:
    """Return how long to wait for the next line, so many seconds after the beginning."""
    return _TERMINAL_S if terminal else min(_LONGEST_LOG_S, max(_LOG_S, seconds / _RARER))


@contextlib.contextmanager
def telling(unit: str) -> Iterator[Tell]:
    """Give what is to be told how far it is; at the end a terminal's line is taken away.

    Args:
        unit: What is counted.
    """
    began = time.monotonic()
    terminal = sys.stderr.isatty()
    due = began + next_wait_s(0.0, terminal=terminal)

    def tell(done: int, total: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now < due:
            return
        due = now + next_wait_s(now - began, terminal=terminal)
        said = output.progress(bar.State(unit, done, total or None, now - began))
        if said:
            _LOG.info("%s", said)

    try:
        yield tell
    finally:
        output.clear_progress()
