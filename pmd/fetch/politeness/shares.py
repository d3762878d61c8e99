"""What each lane may ask of a host: lanes know nothing of each other, and together keep what was agreed."""

from __future__ import annotations

from typing import Final

from pmd.config.options import PerHost
from pmd.errors import ConfigError

#: By how much of a second requests may arrive closer to each other than they were to leave (a connection that had to be
#: opened before the first and not before the last, a busy machine, one that left late): so much longer is the second in
#: which a lane sends its share. Ours: a host sees 1 / 1.075 of its rate at most.
MARGIN_S: Final = 0.075


def share(total: int, lanes: int, lane: int) -> int:
    """Return a lane's share of something that cannot be split: shares differ by one at most, and add up to the total."""
    return (total + lanes - 1 - lane) // lanes


def lane_of(shard: int, lanes: int) -> int:
    """Return the lane that fetches a shard: round robin, fixed for a run."""
    return shard % lanes


def spacing_s(requests_per_s: float, lanes: int, lane: int) -> float:
    """Return how far apart a lane's requests to a host leave, so that no second sees more than was agreed.

    Lanes know nothing of each other, so any second may hold the most that each can send in one: shares are whole
    requests, and k requests leave so far apart that no k + 1 fall into one second, wherever it begins.
    """
    if requests_per_s < 1:
        return 1 / requests_per_s + MARGIN_S
    return (1 + MARGIN_S) / share(int(requests_per_s), lanes, lane)


def check_lanes(per_host: PerHost, lanes: int) -> None:
    """Check that every lane's share of a host is at least one connection, and one request a second.

    Raises:
        ConfigError: There are more lanes than that.
    """
    if lanes > 1 and lanes > per_host.requests_per_s:
        raise ConfigError(
            "more lanes than requests a second to a host",
            where="fetch.lanes",
            expected=f"at most fetch.per_host.requests_per_s, {per_host.requests_per_s:g}",
            found=str(lanes),
            remedy="lower lanes: lanes know nothing of each other, and each asks once a second at least",
        )
    if lanes > per_host.connections:
        raise ConfigError(
            "more lanes than connections to a host",
            where="fetch.lanes",
            expected=f"at most fetch.per_host.connections, {per_host.connections}",
            found=str(lanes),
            remedy="lower lanes or raise connections",
        )
