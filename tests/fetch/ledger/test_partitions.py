"""How images are cut, as what was fetched tells."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pmd.fetch.ledger import partitions, state
from pmd.schema.tables import KEY

#: A key of each quarter of all, in order.
QUARTERS = [bytes([number << 6]) + bytes(15) for number in range(4)]


@pytest.mark.parametrize(
    ("fetched", "otherwise", "expected"),
    [
        ({}, 5, 5),  # nothing tells
        ({2: QUARTERS[2:3]}, 5, 2),  # "10" of two bits
        ({0: QUARTERS[:1], 3: QUARTERS[3:]}, 0, 2),
        ({1: QUARTERS[2:]}, 5, 1),
        ({0: QUARTERS}, 5, 0),  # the whole is one shard
        ({0: QUARTERS[:1]}, 5, 5),  # a key of zeros fits all
        ({0: QUARTERS[:2]}, 5, 1),  # "00" and "01" are in the first of two, and of one
        ({0: QUARTERS[:2]}, 0, 0),
        ({3: QUARTERS[:1]}, 5, 5),  # no cut has this
        ({3: []}, 5, 5),
    ],
)
def test_keys_tell_how_many_bits_a_shard_is_cut_by(
    monkeypatch: pytest.MonkeyPatch, fetched: dict[int, list[bytes]], otherwise: int, expected: int
) -> None:
    known: Any = [(shard, shard) for shard in fetched]
    monkeypatch.setattr(
        state, "standing", lambda shard, **_: pa.table({"image_id": pa.chunked_array([fetched[shard]], KEY)})
    )
    assert partitions.shard_bits(known, otherwise) == expected
