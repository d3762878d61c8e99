"""Whether it is the network that is broken, not the hosts: then a run stops, instead of writing down losses that are none.

Counted by host group (`politeness.hosts`), the latest outcome of each: a big host that is down is one, and old lists of URLs
have many hosts that are gone. Failures come at once and answers take their time, so groups that are being asked and were not
lost before count as answers. Only names that do not resolve or lead inside a network, connections that fail and TLS that does not
come about are looked at: a host that is slow says nothing. Pure: told of outcomes, it says when to stop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from pmd.errors import NetworkError
from pmd.schema.statuses import BLOCKED_ADDRESS

#: With no answer from anybody so far, so many hosts are enough. If as many as 60 % of a list's hosts are gone, which is
#: more than is known of any source, a run on a sound network stops once in 27,000 times. Ours.
FIRST_HOSTS: Final = 20

#: Later, of the last so many one at most has answered: with 60 % gone, once in 10⁹ hosts. Ours.
LAST_HOSTS: Final = 50
LEAST_ANSWERS: Final = 2

_SAYS: Final = {
    "dns": "names that do not resolve",
    "connection": "connections that fail",
    "tls": "TLS that does not come about",
    BLOCKED_ADDRESS: "names that lead to private addresses",
}

#: Statuses that may be the network's: of so many hosts they are. TLS fails with all where a clock is wrong, a certificate
#: authority is missing, or somebody in between has one of his own.
SIGNS: Final = frozenset(_SAYS) - {BLOCKED_ADDRESS}

#: Statuses of an image whose host was not reached.
UNREACHED: Final = SIGNS - {"tls"}

#: Statuses that say nothing of an image in a run in which no host answered at all.
UNHEARD: Final = UNREACHED | {"timeout"}


#: What does not work then, and what of it is to be mended.
_BROKEN: Final = {
    "dns": ("DNS", "the resolver of this machine"),
    "connection": ("network", "the connection, proxy or firewall of this machine"),
    "tls": (
        "TLS",
        "the clock, or name the certificate authorities that are missing in fetch.ca_file; or the proxy of this machine",
    ),
    # Of names alone, not of addresses in URLs. Clash and others hand out 198.18.0.0/15 ("fake IP").
    BLOCKED_ADDRESS: (
        "DNS",
        "the resolver of this machine; or, where a VPN or a proxy gives names addresses of its own, name their network in "
        "fetch.allow_addresses",
    ),
}


class Network:
    """What a lane has seen of the network."""

    def __init__(self) -> None:
        self._latest: dict[str, str | None] = {}  # host group → status, None where it answered; latest last
        self._lost: set[str] = set()
        self.answered = False  # by anybody, so far

    def reached(self, group: str) -> None:
        """Note an answer, whatever it was."""
        self.answered = True
        self._lost.discard(group)
        self._note(group, None)

    def unreached(self, group: str, status: str, error: str | None, asking: Collection[str]) -> None:
        """Note that a host was not reached.

        Args:
            group: Its group.
            status: One of `SIGNS`, or `BLOCKED_ADDRESS` of a name.
            error: What was told, for the diagnosis.
            asking: Groups with requests under way.

        Raises:
            NetworkError: It is not the hosts.
        """
        self._lost.add(group)
        self._note(group, status)
        least = LAST_HOSTS if self.answered else FIRST_HOSTS
        if len(self._latest) < least:
            return
        answers = sum(seen is None for seen in self._latest.values()) + sum(name not in self._lost for name in asking)
        if answers >= LEAST_ANSWERS:
            return
        counts = Counter(seen for seen in self._latest.values() if seen is not None)
        statuses = ", ".join(f"{count} × {_SAYS[seen]}" for seen, count in counts.most_common())
        first = counts.most_common(1)[0][0]
        what, mend = _BROKEN[first]
        raise NetworkError(
            f"this machine's {what} does not work",
            where="fetch",
            expected=f"answers from some of the last {len(self._latest)} hosts",
            found=f"{statuses}; last {group}: {error}",
            remedy=f"mend {mend}; then "
            "run the same command again: it goes on after what is committed. Images that were lost to it before it was "
            f"noticed: --retry {','.join(sorted(counts))}. If it is the hosts that are gone: --settle-unreached",
        )

    def _note(self, group: str, status: str | None) -> None:
        self._latest.pop(group, None)
        self._latest[group] = status
        if len(self._latest) > LAST_HOSTS:
            del self._latest[next(iter(self._latest))]
