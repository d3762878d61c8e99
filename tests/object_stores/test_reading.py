"""Stored pictures are had with few requests, counted at the store."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from pmd.fetch.ledger import reading
from pmd.schema import keys
from tests.fetch.ledger.test_reading import write
from tests.object_stores.conftest import Emulated

pytestmark = pytest.mark.timeout(1800)


def test_two_thousand_pictures_take_as_many_requests_as_they_have_files(store: Emulated) -> None:
    root = f"{store.bucket}/reading"
    rows = pa.concat_tables([write(root, f"fetch/store/{number}.tar", [2_000] * 1_000) for number in range(2)])
    chance = random.Random(0)
    wanted = rows.filter(pa.array([chance.random() > 0.1 for _ in range(rows.num_rows)]))
    contents = {}

    def read() -> None:
        with reading.Pictures(root, wanted) as pictures:
            contents.update({(row["store_file"], row["offset"]): pictures.read(row) for row in wanted.to_pylist()})

    asked = store.asks(read)
    assert [method for method, _ in asked] == ["GET", "GET"], asked
    for row in wanted.to_pylist():
        assert keys.digest(contents[row["store_file"], row["offset"]]) == row["stored_digest"]
