"""What the store has under another key is looked for shard by shard: PMD has 32,768 of these, and 400,000 such keys."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pmd.fetch.adoption import renamed
from pmd.fetch.ledger import partitions
from pmd.fetch.ledger.partitions import Cut
from pmd.schema import keys
from pmd.schema.tables import ATTEMPTS, KEY, LEDGER
from pmd.store.register import Generation, Register

SHARD_BITS = 4
NAMES = 256


class Fetched(Register):
    """A register that knows all fetch shards, with nothing in them."""

    @property
    def shards(self) -> list[int]:
        return [*range(2**SHARD_BITS)]

    def of(self, _: int) -> tuple[Generation, ...]:
        return ()


def test_each_key_is_looked_for_in_its_own_shard_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    images, own = (
        pa.chunked_array([keys.image_ids(pa.array([f"{kind}:{number}" for number in range(NAMES)]))], KEY)
        for kind in ("coco", "flickr")
    )
    monkeypatch.setattr(partitions, "cut", lambda _: Cut(0, SHARD_BITS))
    monkeypatch.setattr(renamed, "_names", lambda *_: pa.table({"image_id": images, "own_id": own}))
    looked_among = 0
    is_in = pc.is_in

    def counted(values: Any, value_set: Any) -> Any:
        nonlocal looked_among
        looked_among += len(value_set)
        return is_in(values, value_set=value_set)

    monkeypatch.setattr(pc, "is_in", counted)
    found = renamed.find(Fetched("root", pa.table({})), range(2**SHARD_BITS))
    assert found == (LEDGER.empty_table(), ATTEMPTS.empty_table())
    assert looked_among == 2 * NAMES
