"""Whether it is this machine's network that is missing, and not a host: told at the first sign, and not file by file."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from pmd.errors import NetworkError

#: Seconds in which another host must let itself be connected to.
_TIMEOUT_S: Final = 5.0
#: Other hosts that are asked, so that one that is gone is not taken for the network.
_OTHERS: Final = 2
_NO_WAY: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}
)

#: Tells whether a host and port can be connected to.
Reach = Callable[[str, int], bool]


class NoNetwork(NetworkError):
    """There is no network: no other file would fare better."""


def reach(host: str, port: int) -> bool:
    """Return whether somebody listens there."""
    try:
        socket.create_connection((host, port), _TIMEOUT_S).close()
    except OSError:
        return False
    return True


def innermost(error: BaseException) -> BaseException:
    """Return what an exception of a library's came of: the system's own words."""
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((one for one in error.args if isinstance(one, BaseException)), None) or error.__cause__
        if inner is None:
            return error
        error = inner


def is_sign(error: BaseException) -> bool:
    """Return whether an error may mean that there is no network: a name that does not resolve, no way to an address."""
    cause = innermost(error)
    return isinstance(cause, socket.gaierror) or (isinstance(cause, OSError) and cause.errno in _NO_WAY)


class Network:
    """What a run has seen of the network.

    Args:
        urls: Of all that may be asked for.
        reach: Tries other hosts.
    """

    def __init__(self, urls: Iterable[str], reach: Reach = reach) -> None:
        self._places = list(dict.fromkeys(map(_place, urls)))
        self._reach = reach
        self._answered = False

    def answered(self) -> None:
        """Note that a host has answered."""
        self._answered = True

    def failed(self, url: str, error: BaseException, *, is_last: bool) -> None:
        """Note that a try ended in a sign (`is_sign`).

        A network that was there before may come back: it is given up with the last try only.

        Raises:
            NoNetwork: Other hosts cannot be reached either.
        """
        if self._answered and not is_last:
            return
        mine = _place(url)
        others = [place for place in self._places if place[0] != mine[0]][:_OTHERS]
        if any(self._reach(*place) for place in others):
            self._answered = True
            return
        also = "".join(f", nor {host}" for host, _ in others)
        cause = innermost(error)
        why = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
        proxy = "; the environment names a proxy" if _has_proxy() else ""
        raise NoNetwork(
            f"there is no network: {mine[0]} cannot be reached ({why}){also}{proxy}; what is here stays, and the same command "
            "goes on once there is one"
        )


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _has_proxy() -> bool:
    return any(os.environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"))
