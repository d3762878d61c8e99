"""Where a URL leads: its parts, the address that it is asked at, and whether that address may be asked at all.

URLs come from the open web and from redirects: any of them may name a machine of the network we run in, or the cloud's
metadata service. Names are resolved elsewhere (`pmd.fetch.http.resolver`), and only to addresses that this allows.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import ada_url

from pmd.fetch.http import special

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Public by the registries, but a cloud's own: Azure's and Oracle's metadata and wire servers, Alibaba's.
_METADATA: Final = tuple(
    ipaddress.ip_network(network) for network in ("168.63.129.16/32", "192.0.0.0/24", "100.100.100.200/32")
)
#: Blocks of the registries with whether they can be reached, the narrowest first.
_BLOCKS: Final[tuple[tuple[IpNetwork, bool | None], ...]] = tuple(
    sorted(
        ((ipaddress.ip_network(row[0]), row[3]) for row in (*special.IPV4, *special.IPV6, *special.SPACE)),
        key=lambda block: -block[0].prefixlen,
    )
)
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_6TO4: Final = ipaddress.IPv6Network("2002::/16")
#: What only carries an IPv4 address, and is judged by that alone.
_CARRIERS: Final = (_MAPPED, _NAT64, _TEREDO, _6TO4)
_LOW: Final = 0xFFFF_FFFF
PORTS: Final = {"http": 80, "https": 443}
#: Ports of other protocols, to which browsers send no request either (WHATWG Fetch, "port blocking"): a redirect could have us
#: talk to somebody's mail server.
_OTHERS_PORTS: Final = frozenset(
    {
        0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111,
        113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548,
        554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665,
        6666, 6667, 6668, 6669, 6679, 6697, 10080,
    }
)  # fmt: skip

#: An http or https URL as the WHATWG standard serialises it: in user information "@", "/" and "?" are escaped, the path
#: begins with "/", a port is there only if it is not the scheme's. Taking it apart so costs a third of asking for parts.
_HREF: Final = re.compile(r"(https?)://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#@:]+)(?::(\d+))?(/[^#]*)(?:#.*)?")

#: An http or https URL that the standard leaves as it is, letter by letter: a host of small letters whose last label is no
#: number, and a path of what is never escaped. What it may have and must not is looked for in `parse`: a segment of dots,
#: written out or escaped, a label in Punycode, which has to be valid, and its scheme's own port.
_SIMPLE: Final = re.compile(
    r"(https?)://((?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*)(?::([1-9][0-9]{0,3}|[1-5][0-9]{4}))?(/[A-Za-z0-9._~!$&()*+,;=:@%?/-]*)"
)

_REFUSED: Final = " is not a public address"
#: What an attempt keeps of a `Blocked` of `Resolver.route`, up to the refusals. Nothing that a URL may hold looks like it.
_BLOCKED: Final = re.compile(r"Blocked: \S+: ")


class Blocked(OSError):
    """The URL leads to an address that is refused, or is none that may be asked for."""


class NameUnknown(OSError):
    """The host's name does not resolve."""


class Target(NamedTuple):
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
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def parse(url: str, base: str | None = None) -> Target:
    """Return what a URL, or a redirect's Location relative to `base`, names.

    Raises:
        Blocked: It is no absolute http or https URL with a host, or its port is another protocol's.
    """
    simple = _SIMPLE.fullmatch(url) if base is None else None
    if simple is not None and not ("/." in url or "%2e" in url or "%2E" in url or "xn--" in url):
        scheme, host, port, path = simple.groups()
        if port is None or int(port) != PORTS[scheme]:
            return Target(url, scheme, host, _allowed(port) if port else PORTS[scheme], path)
    try:
        parts = ada_url.URL(url, base=base) if base is not None else ada_url.URL(url)
    except ValueError:
        raise Blocked(f"not a URL: {url[:200]!r}") from None
    match = _HREF.fullmatch(parts.href)
    if match is None:
        raise Blocked(f"not an http or https URL: {url[:200]!r}")
    scheme, host, port, path = match.groups()
    authority = host if port is None else f"{host}:{port}"
    return Target(
        f"{scheme}://{authority}{path}", scheme, host.strip("[]"), _allowed(port) if port else PORTS[scheme], path
    )


def _allowed(port: str) -> int:
    number = int(port)
    if number in _OTHERS_PORTS:
        raise Blocked(f"port {number} is another protocol's")
    return number


def location(value: str) -> str:
    """Return a Location header as a reference that `parse` takes: octets beyond ASCII are escaped, as browsers do it.

    Args:
        value: With octets that are no UTF-8 as PEP 383 has them.
    """
    return _BEYOND_ASCII.sub(_in_percent, value)


def _in_percent(match: re.Match[str]) -> str:
    octets = match.group().encode("utf-8", "surrogateescape")
    return "".join(f"%{octet:02X}" for octet in octets)


_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


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
        return self._refusals(address)

    @functools.cached_property
    def _refusals(self) -> Callable[[str], str | None]:
        # By policy, so that looking one up does not take the hash of all that is allowed.
        return functools.lru_cache(maxsize=4096)(functools.partial(_refusal, allowed=self.allowed))


def _refusal(address: str, allowed: tuple[IpNetwork, ...]) -> str | None:
    ip = ipaddress.ip_address(address)
    if _is_within(ip, allowed):
        return None
    carried = _carried(ip)
    alone = not carried or not _is_within(ip, _CARRIERS)
    good = all(_is_within(inner, allowed) or _is_public(inner) for inner in carried)
    return None if good and (not alone or _is_public(ip)) else f"{address}{_REFUSED}"


def _is_within(ip: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)


def _is_public(ip: IpAddress) -> bool:
    """Return whether an address is one of the Internet's, whatever it carries."""
    reachable = next((said for block, said in _BLOCKS if ip.version == block.version and ip in block), True)
    return reachable is True and not _is_within(ip, _METADATA)


def _carried(ip: IpAddress) -> tuple[ipaddress.IPv4Address, ...]:
    """Return the IPv4 addresses that an IPv6 address leads to, or may be sent on to, each of which must be allowed.

    Mapped and NAT64; 6to4; Teredo, whose server and client both are in it; and ISATAP (RFC 5214 §6.1) in anybody's network.
    (IPv4-compatible ones, ::/96, and those of RFC 8215 are refused with their blocks.)
    """
    if isinstance(ip, ipaddress.IPv4Address):
        return ()
    bits = int(ip)
    carried = []
    if ip in _MAPPED or ip in _NAT64:
        carried.append(bits & _LOW)
    if ip in _6TO4:
        carried.append(bits >> 80 & _LOW)
    if ip in _TEREDO:
        carried += [bits >> 64 & _LOW, bits & _LOW ^ _LOW]
    if bits >> 32 & 0xFDFF_FFFF == 0x0000_5EFE:
        carried.append(bits & _LOW)
    return tuple(map(ipaddress.IPv4Address, carried))


def refused(error: str) -> list[str]:
    """Return the addresses that were refused, from an attempt's `error`; none if it was blocked for another reason."""
    begins = _BLOCKED.match(error)
    said = error[begins.end() :].split("; ") if begins is not None else []
    return [
        refusal.removesuffix(_REFUSED)
        for refusal in said
        if refusal.endswith(_REFUSED) and literal(refusal.removesuffix(_REFUSED)) is not None
    ]


@functools.lru_cache(maxsize=4096)
def literal(host: str) -> IpAddress | None:
    """Return the address that a host of a URL is, or None for a name."""
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
        if literal(host) is not None:
            return host, port
        return self.routes.get((host, port)) or self.routes.get(("*", port)) or (host, port)


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]").lower(), int(port)
