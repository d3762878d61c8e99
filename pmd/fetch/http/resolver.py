"""Names to addresses that may be asked.

Each name is resolved once, and only addresses that were checked are connected to: a name whose answer changes (DNS rebinding)
is checked like any other. Last checks stand where the socket is made and where it is used (`pmd.fetch.http.transfers`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import math
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Final, NamedTuple

from pmd.fetch.http import addresses, proxies
from pmd.fetch.http.proxies import Proxies, Proxy
from pmd.store import shortage

#: How long a name's addresses are used, and how long a name that did not resolve is not asked for again.
FOUND_S: Final = 3600.0
NOT_FOUND_S: Final = 300.0

_UNKNOWN: Final = (0.0, None)
_ALWAYS: Final = (math.inf, None)
_NOT_READY: Final = (0.0, None)
NO_PROXIES: Final = Proxies(None)

#: Routes that are at hand; all are worked out again where there are more.
_READY: Final = 16_384

Lookup = Callable[[str], list[str]]


def system_lookup(host: str) -> list[str]:
    """Return the addresses of a name, by the system's resolver.

    Raises:
        OSError: It does not resolve.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """Where to connect to for a host and port of URLs.

    Attributes:
        host: The URL's own, or the one that stands in for it.
        port: The same of its port.
        addresses: Of `host`, all checked; where that is an address, it alone. Of a proxy, its own, which need not be public.
        proxy: The proxy that is asked for it; `host` and `port` are then the proxy's.
    """

    host: str
    port: int
    addresses: tuple[str, ...]
    proxy: Proxy | None = None


class Resolver:
    """Names to checked addresses: each name asked for once, failures included, but for those that may pass.

    Args:
        policy: Which addresses may be asked.
        routes: Where to connect instead.
        threads: Where the system's resolver, which blocks, is called.
        lookup: What resolves a name.
        proxies: Asked for what no route leads elsewhere.
        again_s: Seconds to wait before each further try of a name of which the resolver could not say whether there is one.
    """

    def __init__(
        self,
        policy: addresses.AddressPolicy,
        routes: addresses.Routes,
        threads: Executor,
        lookup: Lookup = system_lookup,
        proxies: Proxies = NO_PROXIES,
        again_s: Sequence[float] = (),
    ) -> None:
        self._again_s = again_s
        self._policy = policy
        self._routes = routes
        self._threads = threads
        self._lookup = lookup
        self._proxies = proxies
        self._known: dict[str, tuple[float, asyncio.Future[list[str]]]] = {}
        self._began: dict[str, float] = {}  # names that are looked up just now → since when, by the loop's clock
        #: Names that have been looked up, found or not.
        self.looked_up = 0
        self._ready: dict[tuple[str, str, int], tuple[float, Route]] = {}

    async def route(self, scheme: str, host: str, port: int) -> Route:
        """Return where to connect to for a URL's scheme, host and port.

        Raises:
            NameUnknown: The name does not resolve.
            Blocked: None of its addresses may be asked.
            OSError, MemoryError: This process can have no more files or memory.
            RuntimeError: It can have no more threads.
        """
        asked = (scheme, host, port)
        proxy = self._proxy(scheme, host, port)
        if proxy is not None:
            return await self._through(proxy, host)
        host, port = self._routes.of_host(host, port)
        found = [host] if addresses.literal(host) is not None else await self._addresses(host)
        refusals = [(address, self._policy.refusal(address)) for address in found]
        allowed = tuple(address for address, refusal in refusals if refusal is None)
        if not allowed:
            raise addresses.Blocked(f"{host}: {'; '.join(str(refusal) for _, refusal in refusals)}")
        route = Route(host, port, allowed)
        if len(self._ready) >= _READY:
            self._ready.clear()
        expires, _ = self._known.get(host, _ALWAYS)
        self._ready[asked] = expires, route
        return route

    def _proxy(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy that is asked, if no route leads elsewhere."""
        return self._proxies.of(scheme, host) if self._routes.of_host(host, port) == (host, port) else None

    async def _through(self, proxy: Proxy, host: str) -> Route:
        """Return the way through a proxy, for what may be asked of one."""
        refusal = self._policy.refusal(host) if addresses.literal(host) is not None else None
        if refusal is None and addresses.literal(host) is None and proxies.is_inside(host):
            refusal = "such names lead inside a network, and no address of theirs is known here"
        if refusal is not None:
            raise addresses.Blocked(f"{host}: {refusal}")
        literal = addresses.literal(proxy.host) is not None
        found = (proxy.host,) if literal else tuple(await self._addresses(proxy.host))
        return Route(proxy.host, proxy.port, found, proxy)

    def ready(self, scheme: str, host: str, port: int) -> Route | None:
        """Return what `route` said last, while it says the same."""
        expires, route = self._ready.get((scheme, host, port), _NOT_READY)
        return route if expires > asyncio.get_running_loop().time() else None

    def answers_at_once(self, scheme: str, host: str, port: int) -> bool:
        """Return whether `route` has nothing to wait for."""
        host = self._asked_for(scheme, host, port)
        if addresses.literal(host) is not None:
            return True
        expires, answer = self._known.get(host, _UNKNOWN)
        return answer is not None and answer.done() and expires > asyncio.get_running_loop().time()

    def began(self, scheme: str, host: str, port: int) -> float | None:
        """Return since when the name is looked up that `route` waits for; None where it still waits for a thread, or is known."""
        return self._began.get(self._asked_for(scheme, host, port))

    def _asked_for(self, scheme: str, host: str, port: int) -> str:
        """Return the host of which the addresses are wanted: a URL's, one that stands in for it, or a proxy."""
        proxy = self._proxy(scheme, host, port)
        return proxy.host if proxy is not None else self._routes.of_host(host, port)[0]

    async def require_all(self, host: str) -> None:
        """Check every address of a URL's host, for those who will not connect to the one that was chosen here.

        Raises:
            NameUnknown: The name does not resolve.
            Blocked: One of its addresses may not be asked.
        """
        for address in [host] if addresses.literal(host) is not None else await self._addresses(host):
            refusal = self._policy.refusal(address)
            if refusal is not None:
                raise addresses.Blocked(f"{host}: {refusal}")

    async def _addresses(self, host: str) -> list[str]:
        loop = asyncio.get_running_loop()
        expires, answer = self._known.get(host, _UNKNOWN)
        if answer is None or expires <= loop.time():
            name = _Name(host, loop, loop.create_future(), _found(answer), iter(self._again_s))
            self._known[host] = (loop.time() + FOUND_S, name.answer)
            try:
                self._ask(name)
            except BaseException:  # no thread is to be had: nobody may wait for an answer
                del self._known[host]
                raise
            answer = name.answer
        return await asyncio.shield(answer)

    def _ask(self, name: _Name) -> None:
        asked = name.loop.run_in_executor(self._threads, self._look_up, name.host, name.loop.time)
        asked.add_done_callback(functools.partial(self._learn, name))

    def _ask_again(self, name: _Name) -> None:
        try:
            self._ask(name)
        except RuntimeError as error:  # the same
            self._drop(name, error)

    def _look_up(self, host: str, now: Callable[[], float]) -> list[str]:
        self._began.setdefault(host, now())
        return self._lookup(host)

    def _learn(self, name: _Name, asked: asyncio.Future[list[str]]) -> None:
        self.looked_up += 1
        error = None if asked.cancelled() else asked.exception()
        lacking = _lacking(error)
        if lacking is not None:
            self._drop(name, lacking)
        elif _is_temporary(error) and not name.before and (wait_s := next(name.waits, None)) is not None:
            name.loop.call_later(wait_s, self._ask_again, name)
        elif asked.cancelled() or error is not None or not asked.result():
            self._have_not(name, error)
        else:
            self._began.pop(name.host, None)
            name.answer.set_result(asked.result())

    def _have_not(self, name: _Name, error: BaseException | None) -> None:
        """Note for a while that a name does not resolve, or that what is known of it may have changed."""
        self._began.pop(name.host, None)
        self._known[name.host] = (name.loop.time() + NOT_FOUND_S, name.answer)
        if _is_temporary(error) and name.before:
            name.answer.set_result(name.before)
            return
        # UnicodeError: a label that is empty or too long for DNS.
        name.answer.set_exception(addresses.NameUnknown(f"{name.host}: {error or 'no address'}"))
        name.answer.exception()  # seen: nobody may be waiting any more

    def _drop(self, name: _Name, error: BaseException) -> None:
        """Tell whoever waits what this process lacks; nothing is known of the name by that."""
        self._began.pop(name.host, None)
        self._known.pop(name.host, None)
        name.answer.set_exception(error)
        name.answer.exception()  # seen


class _Name(NamedTuple):
    """A name that is looked up.

    Attributes:
        host: It.
        loop: Whose thread learns of it.
        answer: Its addresses, once they are known.
        before: Those that it had until now, if any: they are used on where the resolver cannot say for now (RFC 8767).
        waits: Seconds to wait before each further try, where it cannot say and there are none.
    """

    host: str
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[list[str]]
    before: list[str]
    waits: Iterator[float]


def _found(answer: asyncio.Future[list[str]] | None) -> list[str]:
    return answer.result() if answer is not None and answer.done() and answer.exception() is None else []


def _is_temporary(error: BaseException | None) -> bool:
    """Return whether a resolver could not say whether there is such a name: it failed, or was asked too much."""
    return isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN


def _lacking(error: BaseException | None) -> BaseException | None:
    """Return what this process lacks where a name did not resolve; the system's resolver does not always say so."""
    if error is None or shortage.is_ours(error):
        return error
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as refusal:
        return refusal if shortage.is_ours(refusal) else None
    return None
