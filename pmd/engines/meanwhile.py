"""Looking at something now and then while something else runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def looking(every_s: float, look: Callable[[], object], name: str, join_s: float | None = None) -> Iterator[None]:
    """Have something called meanwhile, in a thread.

    Args:
        every_s: Seconds before each call.
        look: What is called, until it returns True. An exception, such as of a store's client, ends nothing: the next look may
            reach it.
        name: Of the thread.
        join_s: Seconds for which a call under way is waited for at the end; None: until it returns.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            with contextlib.suppress(Exception):
                if look() is True:
                    return

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(join_s)
