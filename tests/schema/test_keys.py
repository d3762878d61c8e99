"""Keys: from content alone, the same on every machine and in every process."""

from __future__ import annotations

import random
import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.schema import keys
from pmd.schema.tables import KEY


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (keys.digest(), "99aa06d3014798d86001c324468d497f"),
        (keys.pair_id("coco", "318556"), "b365cbd02476699d6f1e4358113a3432"),
        (keys.image_id("coco:9"), "17bf6da44d21829ef126e934532b6db2"),
    ],
)
def test_keys_never_change(key: bytes, expected: str) -> None:
    assert key.hex() == expected, "published keys change with this: pair_ids and image_ids of every ROOT and list"


def test_a_key_does_not_depend_on_the_process() -> None:
    code = "from pmd.schema import keys; print(keys.pair_id('wit', 'a/é/b').hex())"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert runs == {keys.pair_id("wit", "a/é/b").hex().encode()}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (keys.digest("ab", "c"), keys.digest("a", "bc")),
        (keys.pair_id("coco", "1"), keys.pair_id("wit", "1")),
        (keys.pair_id("coco", "1"), keys.image_id("coco:1")),
        (keys.digest("a"), keys.digest("a", "")),
    ],
)
def test_parts_and_kinds_are_told_apart(one: bytes, other: bytes) -> None:
    assert one != other
    assert len(one) == len(other) == 16


def test_text_and_its_bytes_are_the_same_part() -> None:
    assert keys.digest("é") == keys.digest("é".encode())


def test_a_key_array_holds_keys_and_nulls() -> None:
    array = keys.key_array([keys.digest("a"), None])
    assert array.type == pa.binary(16)
    assert array.to_pylist() == [keys.digest("a"), None]


@pytest.mark.parametrize(
    ("head", "bits", "partition"),
    [
        ("00000000", 0, 0),
        ("ffffffff", 0, 0),
        ("80000000", 1, 1),
        ("7fffffff", 1, 0),
        ("a5000000", 8, 0xA5),
        ("ffffffff", 32, 2**32 - 1),
    ],
)
def test_a_partition_is_the_first_bits(head: str, bits: int, partition: int) -> None:
    assert keys.partition_of(bytes.fromhex(head) + bytes(12), bits) == partition


@given(st.binary(min_size=16, max_size=16), st.integers(0, 31))
def test_partitions_are_nested(key: bytes, bits: int) -> None:
    assert keys.partition_of(key, bits + 1) >> 1 == keys.partition_of(key, bits)


@given(st.lists(st.binary(min_size=16, max_size=16)), st.integers(0, 3))
def test_keys_as_arrays(items: list[bytes], offset: int) -> None:
    array = keys.key_array([b"\0" * 16] * offset + items).slice(offset)
    assert keys.hexadecimal(array).to_pylist() == [item.hex() for item in items]
    assert [items[i] for i in keys.order(array)] == sorted(items)
    assert keys.hashed(array.cast(pa.binary())).to_pylist() == [keys.digest(item) for item in items]
    assert keys.hashed(pa.array([None, *items], pa.binary())).to_pylist() == [None, *map(keys.digest, items)]


@pytest.mark.parametrize("is_sorted", [True, False])
def test_places_are_those_that_a_search_finds(is_sorted: bool) -> None:
    chance = random.Random(5)
    known = [keys.image_id(str(number)) for number in range(300)]
    wanted = [keys.image_id(str(chance.randrange(600))) for _ in range(2000)]
    if is_sorted:
        known.sort()
        wanted.sort()
    found = keys.places(pa.array(wanted, KEY), pa.array(known, KEY))
    assert found.tolist() == [known.index(key) if key in known else -1 for key in wanted]
    assert keys.places(pa.array(wanted, KEY).slice(7, 90), pa.array(known, KEY).slice(3)).tolist() == [
        known.index(key) - 3 if key in known[3:] else -1 for key in wanted[7:97]
    ]


def test_places_of_keys_that_are_alike_or_none() -> None:
    alike = [b"one half" + bytes([number]) * 8 for number in (1, 2, 3)]
    some = pa.array([alike[0], alike[0], alike[2], b"one half" + bytes(8)], KEY)
    assert keys.places(some, pa.array([alike[0], alike[2]], KEY)).tolist() == [0, 0, 1, -1]
    assert keys.places(some, pa.array([alike[2], alike[2]], KEY)).tolist() == [-1, -1, 0, -1]
    assert keys.places(pa.array([None, alike[0]], KEY), pa.array([alike[0]], KEY)).tolist() == [-1, 0]
    assert keys.places(some[:0], some).tolist() == []
    assert keys.places(some, some[:0]).tolist() == [-1] * 4


def test_keys_are_ordered_by_others_where_they_are_equal_and_else_stay_as_they_are() -> None:
    chance = random.Random(6)
    halves = [bytes([number]) * 8 for number in range(4)]
    first = [chance.choice(halves) + chance.choice(halves) for _ in range(500)]
    then = [chance.choice(halves) + chance.choice(halves) for _ in range(500)]
    by_both = sorted(range(500), key=lambda row: (first[row], then[row]))
    assert keys.order(pa.array(first, KEY), pa.array(then, KEY)).tolist() == by_both
    assert keys.order(pa.array(first, KEY)).tolist() == sorted(range(500), key=first.__getitem__)


class Unasked(frozenset[bytes]):
    """Keys that nobody may ask for one by one."""

    def __contains__(self, key: object) -> bool:
        raise AssertionError("asked for a row")


@pytest.mark.parametrize("known", [frozenset(), frozenset({b"a" * 16}), frozenset({b"a" * 16, b"z" * 16})])
def test_of_few_keys_it_is_told_which_rows_have_them_without_a_look_at_each(known: frozenset[bytes]) -> None:
    column = keys.key_array([b"b" * 16, b"a" * 16, None, b"a" * 16])
    expected = [False, bool(known), False, bool(known)]
    assert keys.are_among(column, Unasked(known)).to_pylist() == expected
    many = known | {bytes([number]) * 16 for number in range(10)}
    assert keys.are_among(column, many).to_pylist() == expected
