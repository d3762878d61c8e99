"""How an image ended in the fetch ledger: the closed list of statuses.

A status other than `ok` is also the reason (`pmd.schema.reasons`, stage `fetch`) with which the image's pairs leave.
"""

from __future__ import annotations

from typing import Final

from pmd.schema.reasons import WITHOUT_OPTION

OK: Final = "ok"

#: Tried again of its own when `allow_addresses` has grown.
BLOCKED_ADDRESS: Final = "blocked_address"

#: What says nothing of the web: a picture that nobody may ask for, or that may not be kept. Where it is told how many pictures
#: were there when they were asked for, and whom dead links struck, these are neither asked for nor dead.
UNASKED: Final = ("opted_out", BLOCKED_ADDRESS, "blocked_content")

#: Everything a ledger row may say. `not_fetched` is no status: such an image has no ledger row.
STATUSES: Final[tuple[str, ...]] = (
    OK,
    *(reason for reason, (stage, _) in WITHOUT_OPTION.items() if stage == "fetch" and reason != "not_fetched"),
)

#: Statuses that may end otherwise another day, so that `pmd fetch --retry` is worth asking for.
TRANSIENT: Final[tuple[str, ...]] = ("rate_limited", "server_error", "dns", "tls", "connection", "timeout")

#: What `pmd fetch --retry` takes for all of `TRANSIENT`, and means where nothing follows it.
ALL_TRANSIENT: Final = "transient"
