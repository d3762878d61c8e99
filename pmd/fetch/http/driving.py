"""libcurl's sockets and its clock, driven by the lane's event loop.

As `pycurl.AsyncCurlMulti` does it, at a fraction of its price. Sockets have a poller of their own, in which they stay from one
request to the next, and of which the loop sees one file: what is ready is given to libcurl together. A request that ends is a
call, and no future with callbacks. Deadlines share one timer.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any, Final

import pycurl

#: Called when a request has ended, with what was wrong.
Ended = Callable[[pycurl.error | None], None]

_READ: Final = selectors.EVENT_READ
_WRITE: Final = selectors.EVENT_WRITE
_WANTED: Final = {
    pycurl.POLL_NONE: 0,
    pycurl.POLL_REMOVE: 0,
    pycurl.POLL_IN: _READ,
    pycurl.POLL_OUT: _WRITE,
    pycurl.POLL_INOUT: _READ | _WRITE,
}
_MASKS: Final = {
    _READ: pycurl.CSELECT_IN,
    _WRITE: pycurl.CSELECT_OUT,
    _READ | _WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


class Driver:
    """Requests under way; made and used in a running loop.

    Args:
        connections: That are kept at most.
    """

    def __init__(self, connections: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._ended: dict[pycurl.Curl, Ended] = {}
        #: File → what libcurl wants to know of it, and what the poller looks for: that is more, where a connection waits for its
        #: next request, which most often comes at once.
        self._wanted: dict[int, int] = {}
        self._polled: dict[int, int] = {}
        self._poller = selectors.DefaultSelector()
        self._timer: asyncio.Handle | None = None
        self._is_due = False
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._wants)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._wakes_in)
        self.loop.add_reader(self._poller.fileno(), self._ready)

    def add(self, curl: pycurl.Curl, ended: Ended) -> None:
        """Begin a request; `ended` is called once, unless it is removed before."""
        self._multi.add_handle(curl)
        self._ended[curl] = ended

    def remove(self, curl: pycurl.Curl) -> None:
        """Break a request off; nothing where it has ended."""
        if self._ended.pop(curl, None) is not None:
            self._multi.remove_handle(curl)

    def made(self, file: int) -> None:
        """Note a new socket: its number may be that of one that libcurl has closed."""
        self._wanted.pop(file, None)
        self._forget(file)

    def close(self) -> None:
        """Close all connections."""
        for curl in list(self._ended):
            self.remove(curl)
        self._multi.close()
        if self._timer is not None:
            self._timer.cancel()
        self.loop.remove_reader(self._poller.fileno())
        self._poller.close()

    # --- called by libcurl ---

    def _wants(self, what: int, file: int, _: pycurl.CurlMulti, __: Any) -> None:
        wanted = self._wanted[file] = _WANTED[what]
        polled = self._polled.get(file)
        if not wanted or polled == wanted:
            return
        if polled is not None:
            self._forget(file)
        self._poller.register(file, wanted)
        self._polled[file] = wanted

    def _wakes_in(self, milliseconds: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds > 0:
            self._timer = self.loop.call_later(milliseconds / 1000, self._due)
        elif milliseconds == 0 and not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._due)  # not now: libcurl is at work

    # --- called by the loop ---

    def _due(self) -> None:
        self._is_due = False
        if not self._multi.closed:
            self._act(pycurl.SOCKET_TIMEOUT, 0)
            self._settle()

    def _ready(self) -> None:
        for key, events in self._poller.select(0):
            wanted = self._wanted.get(key.fd, 0)
            if events & wanted:
                self._act(key.fd, _MASKS[events & wanted])
            elif not wanted:  # a kept connection that its host has closed, or on which it speaks unasked
                self._forget(key.fd)
            # else what is told is of a socket that had this number before: one told of earlier in this round has led to a new one
        self._settle()

    # --- of these ---

    def _act(self, file: int, mask: int) -> None:
        try:
            self._multi.socket_action(file, mask)
        except pycurl.error as error:  # it can do nothing more
            for curl in list(self._ended):
                self._end(curl, error)

    def _settle(self) -> None:
        left = 1
        while left:
            left, well, failed = self._multi.info_read()
            for curl in well:
                self._end(curl, None)
            for curl, code, said in failed:
                self._end(curl, pycurl.error(code, said))

    def _end(self, curl: pycurl.Curl, error: pycurl.error | None) -> None:
        ended = self._ended.pop(curl, None)
        if ended is not None:
            try:  # noqa: SIM105  it takes a third of what `contextlib.suppress` does
                self._multi.remove_handle(curl)
            except pycurl.error:  # nobody waits for it any more
                pass
            ended(error)

    def _forget(self, file: int) -> None:
        if self._polled.pop(file, None) is not None:
            self._poller.unregister(file)


class Clock:
    """The time of one request, which can stand still.

    Args:
        deadlines: Where it is watched.
        seconds: After which it is late.
        late: Called then.
    """

    __slots__ = ("_deadlines", "_late", "_left", "at")

    def __init__(self, deadlines: Deadlines, seconds: float, late: Callable[[], None]) -> None:
        self._deadlines = deadlines
        self._late = late
        self._left = seconds
        self.at = math.inf
        self.go_on()

    def stop(self) -> None:
        """Let it stand still."""
        if self.at < math.inf:
            self._left = max(0.0, self.at - self._deadlines.now())
            self.at = math.inf
            self._deadlines.drop(self)

    def end(self) -> None:
        """Let it stand still for ever."""
        if self.at < math.inf:
            self.at = math.inf
            self._deadlines.drop(self)

    def go_on(self) -> None:
        """Let it run again."""
        if self.at == math.inf:
            self.at = self._deadlines.now() + self._left
            self._deadlines.watch(self)

    def limit(self, seconds: float, late: Callable[[], None]) -> None:
        """Let no more than so many seconds pass, and something else happen then."""
        self.stop()
        self._left, self._late = min(self._left, seconds), late
        self.go_on()

    def ring(self) -> None:
        """Be late."""
        self.at = math.inf
        self._late()


class Deadlines:
    """The clocks of all requests under one timer, which is set for the first of them; made in a running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._clocks: dict[Clock, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, clock: Clock) -> None:
        """Ring a clock when it is late."""
        self._clocks[clock] = None
        if self._timer is None or clock.at < self._timer.when():
            self._set(clock.at)

    def drop(self, clock: Clock) -> None:
        """Watch a clock no more. The timer stays: the next request has its deadline soon after."""
        self._clocks.pop(clock, None)

    def close(self) -> None:
        """Watch nothing any more."""
        self._clocks.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        assert self._timer is not None
        now, self._timer = max(self.now(), self._timer.when()), None  # the loop rings a little early
        for clock in [clock for clock in self._clocks if clock.at <= now]:
            del self._clocks[clock]
            clock.ring()
        if self._clocks:
            self._set(min(clock.at for clock in self._clocks))
