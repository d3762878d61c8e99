"""Proxies of the environment, asked only where the configuration says so (`fetch.proxy`).

A proxy resolves names itself: no address can be checked here but its own. What a URL says can be checked. An address is judged as
ever. Names that the public DNS does not have are refused: where a proxy has them, they lead inside its network.
"""

from __future__ import annotations

import dataclasses
import os
import urllib.request
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from pmd.errors import ConfigError
from pmd.fetch.http.addresses import PORTS

#: Domains that are nobody's in the public DNS (IANA's special-use domain names; ICANN's of 2024 for private use).
_INSIDE: Final = frozenset({"localhost", "local", "internal", "home.arpa"})


@dataclasses.dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy.

    Attributes:
        url: With who we are to it, where it asks for that: not to be shown.
        host: Its name or address.
        port: Its port.
    """

    url: str = dataclasses.field(repr=False)
    host: str
    port: int


class Proxies:
    """Which proxy is asked for a URL.

    Args:
        environment: As variables of the environment have it: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in capitals
            too. None: no proxy is asked, whatever the environment says.

    Raises:
        ConfigError: A proxy is none that can be asked.
    """

    def __init__(self, environment: Mapping[str, str] | None) -> None:
        self._told = _proxy_variables(environment or {})
        self._by_scheme = {
            scheme: _proxy(scheme, url)
            for scheme in PORTS
            if (url := self._told.get(scheme) or self._told.get("all")) is not None
        }

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._by_scheme)

    def of(self, scheme: str, host: str) -> Proxy | None:
        """Return the proxy for a URL of a scheme and host, or None where it is asked for without."""
        proxy = self._by_scheme.get(scheme)
        if proxy is None or urllib.request.proxy_bypass_environment(host, self._told):  # type: ignore[attr-defined]
            return None
        return proxy


def configured(proxy: str) -> Proxies:
    """Return the proxies that `fetch.proxy` allows.

    Raises:
        ConfigError: One of the environment's is none that can be asked.
    """
    return Proxies(os.environ if proxy == "environment" else None)


def is_inside(host: str) -> bool:
    """Return whether a name can only lead inside somebody's network."""
    labels = host.rstrip(".").lower().split(".")
    return len(labels) == 1 or bool({labels[-1], ".".join(labels[-2:])} & _INSIDE)


def _proxy_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what variables say: of two of one name, that in small letters counts, as for curl."""
    told: dict[str, str] = {}
    for name, value in sorted(environment.items()):  # capitals come first
        kind, underline, end = name.lower().rpartition("_")
        if underline and end == "proxy":
            told[kind] = value
    return {kind: value for kind, value in told.items() if value}


def _proxy(scheme: str, url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme in PORTS and parts.hostname:
            return Proxy(url if "://" in url else f"http://{url}", parts.hostname, parts.port or PORTS[parts.scheme])
    except ValueError:
        pass
    raise ConfigError(
        "the environment names a proxy that cannot be asked",
        where=f"{scheme}_proxy",
        expected="http://host:port, or https://host:port",
        found="something else (not shown: it may hold a password)",
        remedy='mend the variable, or leave out fetch.proxy = "environment"',
    )
