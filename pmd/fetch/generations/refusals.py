"""Stored pictures that a later stage is the first to decode, and that turn out to be none.

Until its first decode an image that is kept as it came is `ok` by its structure alone. Where it is a shard that decodes it first
(a region is cut out, or it is scaled), its worker leaves what was refused in the run's work folder. The driver then commits
nothing of that run, settles these images in the ledger, and brings the stages up to there to date.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import orjson
import pyarrow.compute as pc

from pmd import codec
from pmd.fetch.generations import hashing
from pmd.fetch.generations.hashing import Found, Order
from pmd.fetch.ledger import state
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.store import storage
from pmd.store.commits import Commit
from pmd.terminal import bar

_PREFIX = "refused-"

#: image_id → what decoding says of its stored picture.
Refusals = Mapping[bytes, codec.Refused]


class Undecodable(Exception):
    """Stored pictures that cannot be decoded; `refusals` says which, and why."""

    def __init__(self, refusals: Refusals) -> None:
        super().__init__(f"{bar.amount(len(refusals), 'stored pictures')} cannot be decoded")
        self.refusals = refusals


def leave(work: str, refusals: Refusals) -> None:
    """Leave refusals for the driver."""
    said = {key.hex(): [refusal.status, refusal.detail] for key, refusal in refusals.items()}
    storage.put(storage.join(work, f"{_PREFIX}{uuid.uuid4().hex}.json"), orjson.dumps(said), durable=False)


def read(work: str) -> dict[bytes, codec.Refused]:
    """Return all that workers have left."""
    found: dict[bytes, codec.Refused] = {}
    for name in sorted(storage.list_names(work)):
        if name.startswith(_PREFIX):
            said = orjson.loads(storage.read_bytes(storage.join(work, name)))
            found |= {bytes.fromhex(key): codec.Refused(*words) for key, words in said.items()}
    return found


def settle(order: Order, refusals: Refusals) -> Commit | None:
    """Commit a shard's next generation: rows of the ledger that say of its images what they are.

    Returns:
        The commit; None where none of them is ok by the ledger.

    Raises:
        RootError: A later run has taken over.
    """
    known = state.own(order.root, order.shard)
    ledger = state.standing(known)
    mine = pc.and_(pc.equal(ledger["status"], OK), pc.is_in(ledger["image_id"], value_set=keys.key_array(refusals)))
    rows = ledger.filter(mine).to_pylist()
    if not rows:
        return None
    generation = state.next_generation(known)
    found = [Found(row, refusal=refusals[row["image_id"]]) for row in rows]
    return hashing.commit(order, generation, found)
