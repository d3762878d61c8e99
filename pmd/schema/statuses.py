"""How an image ended in the fetch ledger: the closed list of statuses.

A status other than `ok` is also the reason (`pmd.schema.reasons`, stage `fetch`) with which the image's pairs leave.
"""

from __future__ import annotations

from typing import Final

from pmd.schema.reasons import WITHOUT_OPTION

OK: Final = "ok"

#: Tried again of its own when `allow_addresses` has grown.
BLOCKED_ADDRESS: Final = "blocked_address"

#: Everything a ledger row may say. `not_fetched` is no status: such an image has no ledger row.
STATUSES: Final[tuple[str, ...]] = (
    OK,
    *(reason for reason, (stage, _) in WITHOUT_OPTION.items() if stage == "fetch" and reason != "not_fetched"),
)

#: Statuses that may end otherwise another day, so that `pmd fetch --retry` is worth asking for.
TRANSIENT: Final[tuple[str, ...]] = ("rate_limited", "server_error", "dns", "tls", "connection", "timeout")

#: What `pmd fetch --retry` takes for all of `TRANSIENT`, and means where nothing follows it.
ALL_TRANSIENT: Final = "transient"
