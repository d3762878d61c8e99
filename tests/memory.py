"""How much memory a call takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable


def most(call: Callable[[], object]) -> int:
    """Return the most bytes that a call has at a time."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
