"""Where a URL leads: its parts, the address that it is asked at, and whether that address may be asked at all.

URLs come from the open web and from redirects: any of them may name a machine of the network we run in, or the cloud's
metadata service. So names are resolved here, once, and only addresses that were checked are connected to: a name whose
answer changes (DNS rebinding) is checked like any other. A last check stands where the socket is made.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Final

import ada_url
from aiohttp.abc import AbstractResolver, ResolveResult

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: How long a name's addresses are used, and how long a name that did not resolve is not asked for again.
FOUND_S: Final = 3600.0
NOT_FOUND_S: Final = 300.0

#: Public by the registries, but a cloud's own: Azure's and Oracle's metadata and wire servers, Alibaba's.
_METADATA: Final = tuple(
    ipaddress.ip_network(network) for network in ("168.63.129.16/32", "192.0.0.0/24", "100.100.100.200/32")
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_PORTS: Final = {"http": 80, "https": 443}

#: An http or https URL as the WHATWG standard serialises it: in user information "@", "/" and "?" are escaped, the path
#: begins with "/", a port is there only if it is not the scheme's. Taking it apart so costs a third of asking for parts.
_HREF: Final = re.compile(r"(https?)://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#@:]+)(?::(\d+))?(/[^#]*)(?:#.*)?")


_REFUSED: Final = " is not a public address"
#: What an attempt keeps of a `Blocked` of `Resolver.endpoints`, up to the refusals. Nothing that a URL may hold looks like it.
_BLOCKED: Final = re.compile(r"Blocked: \S+: ")


class Blocked(OSError):
    """The URL leads to an address that is refused, or is none that may be asked for."""


class NameUnknown(OSError):
    """The host's name does not resolve."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart as the WHATWG standard does, without user information and fragment."""

    url: str
    scheme: str
    host: str
    port: int
    path: str  # with the query, as it is sent

    @property
    def origin(self) -> str:
        """Scheme, host and port: what one robots.txt is for."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def parse(url: str, base: str | None = None) -> Target:
    """Return what a URL, or a redirect's Location relative to `base`, names.

    Raises:
        Blocked: It is no absolute http or https URL with a host.
    """
    try:
        parts = ada_url.URL(url, base=base) if base is not None else ada_url.URL(url)
    except ValueError:
        raise Blocked(f"not a URL: {url[:200]!r}") from None
    found = _HREF.fullmatch(parts.href)
    if found is None:
        raise Blocked(f"not an http or https URL: {url[:200]!r}")
    scheme, host, port, path = found.groups()
    authority = host if port is None else f"{host}:{port}"
    return Target(
        f"{scheme}://{authority}{path}", scheme, host.strip("[]"), int(port) if port else _PORTS[scheme], path
    )


@dataclasses.dataclass(frozen=True)
class AddressPolicy:
    """Which addresses may be asked: all public ones, and those named."""

    allowed: tuple[IpNetwork, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[str]) -> AddressPolicy:
        """Return the policy that allows these networks ("127.0.0.1/32"), which the configuration has checked."""
        return cls(tuple(ipaddress.ip_network(network) for network in networks))

    def refusal(self, address: str) -> str | None:
        """Return why an address is refused, or None for one that may be asked."""
        return _refusal(address, self.allowed)


@functools.lru_cache(maxsize=4096)
def _refusal(address: str, allowed: tuple[IpNetwork, ...]) -> str | None:
    ip = ipaddress.ip_address(address)
    embedded = _embedded(ip)
    if any(_within(candidate, network) for candidate in (ip, embedded) for network in allowed):
        return None
    return None if _is_public(embedded or ip) else f"{address}{_REFUSED}"


def _within(ip: IpAddress | None, network: IpNetwork) -> bool:
    return ip is not None and ip.version == network.version and ip in network


def _is_public(ip: IpAddress) -> bool:
    """Return whether an address that embeds no other is a public one."""
    refused = ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local or ip.is_unspecified
    site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not refused and not site_local and not any(_within(ip, network) for network in _METADATA)


def _embedded(ip: IpAddress) -> IpAddress | None:
    """Return the IPv4 address that an IPv6 address stands for: mapped, 6to4, Teredo or NAT64."""
    if isinstance(ip, ipaddress.IPv4Address):
        return None
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def refused(error: str) -> list[str]:
    """Return the addresses that were refused, from an attempt's `error`; none if it was blocked for another reason."""
    begins = _BLOCKED.match(error)
    said = error[begins.end() :].split("; ") if begins is not None else []
    return [
        refusal.removesuffix(_REFUSED)
        for refusal in said
        if refusal.endswith(_REFUSED) and _literal(refusal.removesuffix(_REFUSED)) is not None
    ]


@functools.lru_cache(maxsize=4096)
def _literal(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True)
class Routes:
    """curl's --connect-to: where a host and port is asked for instead.

    "host:port" goes before "*:port", which stands for every other host *name*: an address in a URL is never rerouted,
    so that a redirect to a private address stays one.
    """

    routes: Mapping[tuple[str, int], tuple[str, int]]

    @classmethod
    def of(cls, resolve: Mapping[str, str]) -> Routes:
        """Return the routes of `fetch.resolve`, whose form the configuration has checked."""
        return cls({_endpoint(key): _endpoint(value) for key, value in resolve.items()})

    def of_host(self, host: str, port: int) -> tuple[str, int]:
        """Return the host and port to connect to for those of a URL."""
        if _literal(host) is not None:
            return host, port
        return self.routes.get((host, port)) or self.routes.get(("*", port)) or (host, port)


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]").lower(), int(port)


_UNKNOWN: Final = (0.0, None)

Lookup = Callable[[str], list[str]]


def system_lookup(host: str) -> list[str]:
    """Return the addresses of a name, by the system's resolver.

    Raises:
        OSError: It does not resolve.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver(AbstractResolver):
    """Names to checked addresses: each name asked for once, failures included; aiohttp connects through it.

    Args:
        policy: Which addresses may be asked.
        routes: Where to connect instead.
        threads: Where the system's resolver, which blocks, is called.
        lookup: What resolves a name.
    """

    def __init__(
        self, policy: AddressPolicy, routes: Routes, threads: Executor, lookup: Lookup = system_lookup
    ) -> None:
        self._policy = policy
        self._routes = routes
        self._threads = threads
        self._lookup = lookup
        self._known: dict[str, tuple[float, asyncio.Future[list[str]]]] = {}

    async def endpoints(self, host: str, port: int) -> list[tuple[str, int]]:
        """Return the addresses and port to connect to for a URL's host and port; all checked.

        Raises:
            NameUnknown: The name does not resolve.
            Blocked: None of its addresses may be asked.
        """
        host, port = self._routes.of_host(host, port)
        addresses = [host] if _literal(host) is not None else await self._addresses(host)
        refusals = [(address, self._policy.refusal(address)) for address in addresses]
        allowed = [(address, port) for address, refusal in refusals if refusal is None]
        if not allowed:
            raise Blocked(f"{host}: {'; '.join(str(refusal) for _, refusal in refusals)}")
        return allowed

    def answers_at_once(self, host: str, port: int) -> bool:
        """Return whether `endpoints` has nothing to wait for."""
        host, _ = self._routes.of_host(host, port)
        if _literal(host) is not None:
            return True
        expires, answer = self._known.get(host, _UNKNOWN)
        return answer is not None and answer.done() and expires > asyncio.get_running_loop().time()

    async def require_all(self, host: str) -> None:
        """Check every address of a URL's host, for those who will not connect to the one that was chosen here.

        Raises:
            NameUnknown: The name does not resolve.
            Blocked: One of its addresses may not be asked.
        """
        for address in [host] if _literal(host) is not None else await self._addresses(host):
            refusal = self._policy.refusal(address)
            if refusal is not None:
                raise Blocked(f"{host}: {refusal}")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Answer aiohttp."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=to_port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=int(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV),
            )
            for address, to_port in await self.endpoints(host, port)
        ]

    async def close(self) -> None:
        """Nothing is held."""

    def open_socket(self, address: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """Make the socket of a connection: the last place where an address can be refused, and no way leads around it.

        Raises:
            Blocked: The address is refused.
        """
        family, kind, protocol, _, endpoint = address
        refusal = self._policy.refusal(str(endpoint[0]))
        if refusal is not None:
            raise Blocked(refusal)
        return socket.socket(family, kind, protocol)

    async def _addresses(self, host: str) -> list[str]:
        loop = asyncio.get_running_loop()
        expires, answer = self._known.get(host, _UNKNOWN)
        if answer is None or expires <= loop.time():
            answer = loop.create_future()
            self._known[host] = (loop.time() + FOUND_S, answer)
            asked = loop.run_in_executor(self._threads, self._lookup, host)
            asked.add_done_callback(functools.partial(self._learn, host, answer, loop))
        return await asyncio.shield(answer)

    def _learn(
        self,
        host: str,
        answer: asyncio.Future[list[str]],
        loop: asyncio.AbstractEventLoop,
        asked: asyncio.Future[list[str]],
    ) -> None:
        error = None if asked.cancelled() else asked.exception()
        if asked.cancelled() or error is not None or not asked.result():
            # UnicodeError: a label that is empty or too long for DNS.
            self._known[host] = (loop.time() + NOT_FOUND_S, answer)
            answer.set_exception(NameUnknown(f"{host}: {error or 'no address'}"))
            answer.exception()  # seen: nobody may be waiting any more
        else:
            answer.set_result(asked.result())
