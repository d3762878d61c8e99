"""What threads have to do with an event loop: calls into it, and work for it."""

from __future__ import annotations

import asyncio
import collections
import functools
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class Calls:
    """Calls into a loop from other threads. Of several at once only the first wakes the loop, which costs more than they.

    Args:
        loop: Where they are made; not closed before the last of them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: collections.deque[Callable[[], None]] = collections.deque()
        self._told = False

    def soon(self, call: Callable[[], None]) -> None:
        """Have something called, from any thread; it must not raise."""
        self._calls.append(call)
        if not self._told:
            self._told = True
            self._loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        self._told = False  # before looking, so that nothing is left lying
        while self._calls:
            self._calls.popleft()()


_Job = tuple[asyncio.Future[Any], Callable[[], Any]]


class Workers:
    """Threads that work for a loop: as `run_in_executor`, at half its price, since a job has one future and not two.

    Args:
        loop: Whose futures they settle.
        calls: How.
        threads: How many.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, calls: Calls, threads: int) -> None:
        self._loop = loop
        self._calls = calls
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name="codec", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def run(self, function: Callable[[], _T]) -> asyncio.Future[_T]:
        """Return the result of a function to come; called in the loop's thread."""
        future: asyncio.Future[_T] = self._loop.create_future()
        self._jobs.put((future, function))
        return future

    def end(self) -> None:
        """Wait for the threads to end; what has been cancelled is not begun."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function = job
            if future.cancelled():
                continue
            try:
                settle = functools.partial(future.set_result, function())
            except BaseException as error:  # noqa: BLE001  the task that waits raises it
                settle = functools.partial(future.set_exception, error)
            self._calls.soon(functools.partial(_unless_done, future, settle))


def _unless_done(future: asyncio.Future[Any], settle: Callable[[], None]) -> None:
    if not future.done():
        settle()
