"""libcurl beneath the fetch: each of its handles makes one request at a time, and the lane's event loop polls their sockets.

Where a connection leads is decided here. Names are resolved and checked before (`http.resolver`) and given to libcurl with
their addresses, so that it asks no resolver; an address is looked at once more where its socket is made, and again before a
request is sent on it. Redirects, cookies and .netrc are off, and so are proxies that the route does not name.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import select
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import pycurl

from pmd.fetch.http import broken
from pmd.fetch.http.addresses import AddressPolicy, Blocked, Target
from pmd.fetch.http.driving import Clock, Deadlines, Driver
from pmd.fetch.http.head import Head
from pmd.fetch.http.resolver import Route

#: Seconds that a connection is kept for its host's next image, which comes within 1.1 s where there is one. After the last of
#: a host's images its connection is closed at once: libcurl looks at each that it keeps once a second, and from the first on
#: again for each that it closes then.
_KEEPALIVE_S: Final = 2

#: Bytes that are read of a socket at once.
_READ_BYTES: Final = 1 << 17

#: Of an answer that is of no use, this much is read so that its connection can be kept; beyond it, hanging up is cheaper.
_DRAIN_BYTES: Final = 64 * 1024
_DRAIN_S: Final = 1.0

#: What a proxy says that wants a name and a password (RFC 9110 §15.5.8). It says nothing of the host, nor of its robots.txt.
_PROXY_ASKS: Final = 407

#: What a callback of libcurl returns that wants it to hang up: that it took none of what it was given.
_STOP: Final = 0


class Then(enum.Enum):
    """What is to be done with the rest of an answer."""

    READ = enum.auto()
    #: Read a short rest, so that the connection can be kept, and give it to nobody; hang up on a long one.
    DRAIN = enum.auto()
    HANG_UP = enum.auto()


#: By a name of the module's own, since looking one up in an enumeration takes as long as five of these.
READ: Final = Then.READ


class Receiver(Protocol):
    """What takes an answer as it comes. libcurl calls it: it must neither raise nor block."""

    def take_head(self, head: Head) -> Then:
        """Take the head of the final answer."""

    def take(self, octets: bytes) -> Then | asyncio.Future[None]:
        """Take the next bytes of the body; a future: not now, and again when it is done. The deadline stands still until then."""


class Transfers:
    """The requests of a lane; made in its loop.

    Args:
        policy: Which addresses may be connected to.
        headers: Sent with every request: "Name: value".
        authorities: A file of certificate authorities (`pmd.fetch.http.trust`).
        connections: That are kept at most.
    """

    def __init__(self, policy: AddressPolicy, headers: Sequence[str], authorities: str, connections: int) -> None:
        self._policy = policy
        self._headers = list(headers)
        self._authorities = authorities
        self._driver = Driver(connections)
        self._deadlines = Deadlines()
        self._idle: list[_Handle] = []
        self._sockets: Sockets = {}
        self._names = _Names()

    @property
    def sent_with(self) -> tuple[list[str], str]:
        """The headers that are sent, and the file of authorities."""
        return self._headers, self._authorities

    async def get(
        self,
        target: Target,
        route: Route,
        receiver: Receiver,
        seconds: float,
        resent: Callable[[], None],
        *,
        is_last: bool = False,
    ) -> None:
        """Ask for a URL and give the answer to a receiver; returns when it is complete, or as much of it as was wanted.

        Args:
            target: What is asked for.
            route: Where.
            receiver: Takes the answer.
            seconds: Within which it must be complete.
            resent: Called when the host had closed the connection that was kept, so that the request goes out once more.
            is_last: Whether the host is asked nothing more soon: its connection is then closed, and not kept.

        Raises:
            broken.Broken: There is no answer, or none that can be used.
            Blocked: An address was refused where its socket was made.
            TimeoutError: It took longer.
            OSError: This process can open no more files.
        """
        handle = self._idle.pop() if self._idle else self._new()
        handle.begin(target, route, receiver, resent, is_last=is_last)
        clock = handle.clock = Clock(self._deadlines, seconds, handle.late)
        try:
            await handle.performed(fresh=False)
            if handle.is_stale and not handle.is_broken_off:  # once more, on a new connection
                await handle.performed(fresh=True)
            handle.settle()
        except asyncio.CancelledError:
            self._driver.remove(handle.curl)
            handle.close()
            raise
        finally:
            clock.end()
            handle.let_go()
        # libcurl would begin the next answer with what is left of a header that broke off.
        self._idle.append(handle) if handle.is_whole else handle.close()
        failure, handle.failure = handle.failure, None
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # or it would hold itself, and all that its frames hold

    def _new(self) -> _Handle:
        return _Handle(self._policy, self._sockets, self._names, _prepared(*self.sent_with), self._driver)

    def close(self) -> None:
        """Close all connections."""
        self._deadlines.close()
        self._driver.close()
        while self._idle:
            self._idle.pop().close()


#: Address and port of ours → what tells whether something waits on that connection (`_is_spoken_on`).
Sockets = dict[tuple[str, int], select.poll]


class _Names:
    """The names whose addresses libcurl has been given, as long as a handle leads to them.

    libcurl itself would keep each for a minute, and look through all of them after each request: with 500 hosts a second, 30,000.
    """

    def __init__(self) -> None:
        self._led: Counter[str] = Counter()  # name and port → handles that lead there
        self._left: list[str] = []  # those that none leads to, and libcurl does not know it yet

    def lead(self, name: str, addresses: str) -> list[str]:
        """Note that one handle more leads to a name; return what libcurl is to be told with its request."""
        self._led[name] += 1
        left, self._left = self._left, []
        return [*(f"-{other}" for other in left if other not in self._led), f"{name}:{addresses}"]

    def leave(self, name: str) -> None:
        """Note that a handle leads there no more."""
        self._led[name] -= 1
        if not self._led[name]:
            del self._led[name]
            self._left.append(name)


class _Handle:
    """A handle of libcurl's with what the request on it has come to."""

    def __init__(
        self, policy: AddressPolicy, sockets: Sockets, names: _Names, curl: pycurl.Curl, driver: Driver
    ) -> None:
        self._policy = policy
        self._sockets = sockets
        self._names = names
        self._driver = driver
        self._place: tuple[object, ...] = ()  # what it was last set for
        self._named: str | None = None  # the name and port whose addresses libcurl was given for that
        self._is_fresh = False
        self._is_last = False
        self._opening: socket.socket | None = None
        self.curl = curl
        for option, function in (
            (pycurl.HEADERFUNCTION, self._header),
            (pycurl.WRITEFUNCTION, self._body),
            (pycurl.OPENSOCKETFUNCTION, self._socket),
            (pycurl.SOCKOPTFUNCTION, self._made),
            (pycurl.PREREQFUNCTION, self._before_request),
        ):
            self.curl.setopt(option, function)

    def begin(
        self, target: Target, route: Route, receiver: Receiver, resent: Callable[[], None], *, is_last: bool
    ) -> None:
        """Begin a request."""
        self._receiver: Receiver | None = receiver
        self._resent: Callable[[], None] | None = resent
        self._lines: list[bytes] | None = []  # None: the head is over
        self._ends_with_connection = False  # nothing in the head tells where the body ends
        self._left: int | None = None  # octets of the body that are yet to come, where libcurl does not know
        self._then = READ
        self._drained = 0
        self._drains = False
        self._sent = 0
        self._files: list[int] = []  # of connections that were begun for this request
        self.is_stale = False
        self._refusal: OSError | None = None
        self._waits: asyncio.Future[None] | None = None
        self._future: asyncio.Future[None] | None = None
        self.clock: Clock | None = None
        self._error: pycurl.error | None = None
        self.failure: Exception | None = None
        self.is_broken_off = False
        self.is_whole = False
        self._proxied = frozenset(route.addresses) if route.proxy is not None else None
        self._tunnels = route.proxy is not None and target.scheme == "https"
        self._lead_to(target, route)
        if is_last != self._is_last:
            self.curl.setopt(pycurl.FORBID_REUSE, is_last)
            self._is_last = is_last
        # libcurl writes a URL's escapes in capitals. A proxy is told all of it (RFC 9112 §3.2.2).
        whole = route.proxy is not None and not self._tunnels
        self.curl.setopt(pycurl.REQUEST_TARGET, target.url if whole else target.path)

    def _lead_to(self, target: Target, route: Route) -> None:
        place = (target.scheme, target.host, target.port, route)
        if place == self._place:
            return
        self._leave()
        self.curl.setopt(pycurl.URL, f"{target.scheme}://{_authority(target)}/")
        self.curl.setopt(pycurl.PROXY, route.proxy.url if route.proxy is not None else "")
        elsewhere = (route.host, route.port) != (target.host, target.port) and route.proxy is None
        _set_or_not(self.curl, pycurl.CONNECT_TO, [f"{_authority(target)}:{_authority(route)}"] if elsewhere else [])
        if route.addresses != (route.host,):
            self._named = _authority(route)
            self.curl.setopt(pycurl.RESOLVE, self._names.lead(self._named, ",".join(map(_bracketed, route.addresses))))
        else:
            self.curl.unsetopt(pycurl.RESOLVE)
        self._place = place

    def _leave(self) -> None:
        """Lead nowhere any more."""
        if self._named is not None:
            self._names.leave(self._named)
        self._named, self._place = None, ()

    def close(self) -> None:
        """Let go of libcurl's."""
        self._leave()
        self.curl.close()

    def performed(self, *, fresh: bool) -> asyncio.Future[None]:
        """Have the request made; the future is done when it has ended, or was broken off."""
        if fresh != self._is_fresh:
            self.curl.setopt(pycurl.FRESH_CONNECT, fresh)
            self._is_fresh = fresh
        self._future = self._driver.loop.create_future()
        self._driver.add(self.curl, self._ended)
        return self._future

    def settle(self) -> None:
        """Judge how it ended: libcurl says of a head that broke off that all is well."""
        if self._error is not None:
            # An end of its answer that nobody waits for any more is no failure, nor is one that only the connection's end tells.
            is_end = self._ends_with_connection and broken.is_bare_end(self._error)
            if self._then is READ and self.failure is None and not is_end:
                self.failure = self._refusal or broken.of(self._error)
            return
        if self._lines is not None and self.failure is None:
            self.failure = broken.Broken("connection", "closed before its headers were complete")
        self.is_whole = self.failure is None and not self.is_broken_off

    def late(self) -> None:
        """Break it off: it has taken too long."""
        if self._is_under_way:
            self.failure = TimeoutError()
            self.break_off()

    def break_off(self) -> None:
        """Break it off: what has come of it will do."""
        if self._is_under_way:
            self.is_broken_off = True
            self._driver.remove(self.curl)
            self._ended(None)

    @property
    def _is_under_way(self) -> bool:
        return self._future is not None and not self._future.done()

    def _ended(self, error: pycurl.error | None) -> None:
        self._error = error
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def let_go(self) -> None:
        """Let go of what belongs to the request."""
        if self._waits is not None:
            self._waits.cancel()
        self._waits = self._receiver = self._resent = self.clock = None

    # --- called by libcurl ---

    def _header(self, line: bytes) -> int | None:
        if self._lines is None or (self._tunnels and not self._sent):
            return None  # trailers, or what a proxy says before it leads to the host
        if line not in (b"\r\n", b"\n"):
            self._lines.append(line)
            return None
        head = Head.of(self._lines)
        self._lines.clear()
        if head.is_interim:
            return None
        self._lines = None
        self._ends_with_connection = not head.has_end
        # libcurl waits for the connection's end where "identity" stands beside a length.
        self._left = head.content_length if "transfer-encoding" in head.headers else None
        assert self._receiver is not None
        if head.http_status == _PROXY_ASKS and self._proxied is not None:
            return self._failed(
                broken.Broken("connection", "the proxy asks who we are (HTTP 407), and the host was not asked")
            )
        try:
            self._then = self._receiver.take_head(head)
        except Exception as error:  # noqa: BLE001  the task that waits raises it
            return self._failed(error)
        if self._then is READ and self._left != 0:
            return None
        if self._left == 0 or (self._then is Then.DRAIN and (head.content_length or 0) > _DRAIN_BYTES):
            self._then = Then.HANG_UP
        self._drain_soon()
        return _STOP if self._then is Then.HANG_UP else None

    def _body(self, octets: bytes) -> int | None:
        if self._then is READ:
            assert self._receiver is not None
            try:
                then = self._receiver.take(octets[: self._left])
            except Exception as error:  # noqa: BLE001  the task that waits raises it
                return self._failed(error)
            if isinstance(then, asyncio.Future):
                self._wait_for(then)
                return pycurl.WRITEFUNC_PAUSE
            if self._left is not None:
                self._left = max(0, self._left - len(octets))
                then = then if self._left else Then.HANG_UP
            if then is READ:
                return None
            self._then = then
            self._drain_soon()
        if self._then is Then.DRAIN:
            self._drained += len(octets)
            if self._drained > _DRAIN_BYTES:
                self._then = Then.HANG_UP
        return _STOP if self._then is Then.HANG_UP else None

    def _socket(self, _: int, address: Any) -> Any:
        """Make the socket of a connection: the last place where an address can be refused, and no way leads around it."""
        refusal = self._refused(str(address.addr[0]))
        if refusal is not None:
            self._refusal = Blocked(refusal)
            return pycurl.SOCKET_BAD
        try:
            made = socket.socket(address.family, address.socktype, address.protocol)
            os.close(os.dup(made.fileno()))  # as pycurl will, which does not tell why it cannot
            self._opening = made
            return made
        except OSError as error:
            self._refusal = error
            return pycurl.SOCKET_BAD

    def _made(self, file: int, _: int) -> int:
        if self._opening is not None:  # pycurl has its own file for it now
            self._opening.close()
            self._opening = None
        self._files.append(file)
        self._driver.made(file)
        return pycurl.SOCKOPT_OK

    def _before_request(self, address: str, ours: str, _: int, port: int) -> int:
        refusal = self._refused(address)
        if refusal is not None:
            self._refusal = Blocked(refusal)
            return pycurl.PREREQFUNC_ABORT
        for file in self._files:
            with contextlib.suppress(OSError):  # of several addresses, one that did not answer
                self._sockets[_name_of(file)] = _looking_at(file)
        if not self._files and _is_spoken_on(self._sockets.get((ours, port))):
            self.is_stale = True
            return pycurl.PREREQFUNC_ABORT
        self._sent += 1
        if self._sent > 1 and self._resent is not None:
            self._resent()
        return pycurl.PREREQFUNC_OK

    # --- of these ---

    def _refused(self, address: str) -> str | None:
        """Return why an address is not connected to: where a proxy is asked, only its own are, be they public or not."""
        if self._proxied is None:
            return self._policy.refusal(address)
        return None if address in self._proxied else f"{address} is not the proxy's"

    def _failed(self, error: Exception) -> int:
        self.failure, self._then = error, Then.HANG_UP
        return _STOP

    def _drain_soon(self) -> None:
        if self._then is Then.DRAIN and self.clock is not None and not self._drains:
            self._drains = True
            self.clock.limit(_DRAIN_S, self.break_off)

    def _wait_for(self, future: asyncio.Future[None]) -> None:
        assert self.clock is not None
        self.clock.stop()
        self._waits = future
        future.add_done_callback(self._go_on)

    def _go_on(self, future: asyncio.Future[None]) -> None:
        if self.clock is None or self._waits is not future or not self._is_under_way:
            return  # the request has ended meanwhile
        self._waits = None
        self.clock.go_on()
        try:
            self.curl.pause(pycurl.PAUSE_CONT)
        except pycurl.error as error:
            # What it gave at once was not taken: that ends it, and libcurl would wait for more.
            self._driver.remove(self.curl)
            self._ended(error)


def _prepared(headers: list[str], authorities: str) -> pycurl.Curl:
    """Return a handle with all that is the same for every request."""
    curl = pycurl.Curl()
    for option, value in (
        (pycurl.NOSIGNAL, 1),
        (pycurl.PROXY, ""),
        (pycurl.NOPROXY, ""),  # or libcurl would heed the environment's
        (pycurl.PROXY_CAINFO, authorities),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.HTTP_CONTENT_DECODING, 0),
        (pycurl.HTTPHEADER, headers),
        (pycurl.CAINFO, authorities),
        (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
        (pycurl.MAXAGE_CONN, _KEEPALIVE_S),
        (pycurl.DNS_CACHE_TIMEOUT, -1),  # it knows nothing but what it is told (`_Names`)
        (pycurl.CONNECTTIMEOUT, 0),
        (pycurl.BUFFERSIZE, _READ_BYTES),
    ):
        curl.setopt(option, value)
    return curl


def _name_of(file: int) -> tuple[str, int]:
    connection = socket.socket(fileno=file)
    try:
        address, port, *_ = connection.getsockname()
        return address, port
    finally:
        connection.detach()


def _looking_at(file: int) -> select.poll:
    """Return what tells whether something waits to be read on a connection."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return poll


def _is_spoken_on(connection: select.poll | None) -> bool:
    """Return whether something waits to be read on a connection: an answer that nobody asked for, or its end.

    A host may answer twice. libcurl would take the second answer for that to the next request, and one picture would stand
    under another's URL.
    """
    return connection is None or bool(connection.poll(0))


def _set_or_not(curl: pycurl.Curl, option: int, value: list[str]) -> None:
    curl.setopt(option, value) if value else curl.unsetopt(option)


def _authority(place: Target | Route) -> str:
    """Return host and port, as curl's options and the Host header have them."""
    return f"{_bracketed(place.host)}:{place.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
