"""Lists of very many words: what stands in a ROOT is held to all of them at once, and not to one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from pmd.config.asked import Asked
from pmd.images import rules as images_rules
from pmd.schema import keys
from pmd.schema.tables import PAIRS
from pmd.takedown import prove, requests


def photo(number: int) -> str:
    return f"https://live.staticflickr.com/65535/{50_000_000_000 + number}_{number:010x}_o.jpg"


def test_addresses_of_one_host_are_not_all_looked_for_wherever_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest word in all of them is the host's name."""
    needles = prove._Needles([requests.read_word(photo(number)) for number in range(500)])
    asked: list[int] = []
    compiled = prove._any_of
    monkeypatch.setattr(prove, "_any_of", lambda patterns: (asked.append(len(patterns)), compiled(patterns))[1])
    assert all(needles.found(f"see {photo(number)} there".encode()) for number in range(500))
    assert not any(needles.found(photo(number).encode()) for number in range(500, 1000))
    assert asked
    assert max(asked) <= 2 * prove._FEW


class Unwalked(frozenset[bytes]):
    """Names of which nobody may ask for all."""

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("walked through")


def test_a_batch_is_held_to_a_takedown_without_walking_through_its_names() -> None:
    ids = [keys.image_id(f"coco:{number}") for number in range(4)]
    rows = [
        {
            "pair_id": keys.pair_id("coco", str(number)),
            "image_id": ids[number],
            "source": "coco",
            "source_id": str(number),
            "identity": f"coco:{number}",
            "text": "a cat",
            "meta": "{}",
        }
        for number in range(4)
    ]
    pairs = pa.RecordBatch.from_pylist(rows, schema=PAIRS).select(list(images_rules.NEEDED))
    others = [keys.image_id(f"coco:{number}") for number in range(10, 20)]
    takedown = images_rules.Takedown(ids=Unwalked([ids[1], keys.pair_id("coco", "2"), *others]))
    left = images_rules.spread(pairs, Asked.only(), takedown=takedown)["reason"].to_pylist()
    assert left == [None, "takedown", "takedown", None]
