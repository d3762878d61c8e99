"""Splits: all pairs of images that are one are in one, the most restrictive that any of them has."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd import flow
from pmd.dedupe import rules as dedupe_rules
from pmd.dedupe import splits
from pmd.schema import keys
from pmd.schema.tables import KEY, SPLITS, VIEWS


def key(number: int) -> bytes:
    return bytes([number]) * 16


def views(*rows: tuple[int, str | None]) -> pa.Table:
    """VIEWS of (image, upstream's split), a source each."""
    return pa.Table.from_pylist(
        [
            {
                "image_id": key(number),
                "pair_id": keys.pair_id(f"source{place}", str(place)),
                "source": f"source{place}",
                "source_id": str(place),
                "text": "text",
                "split": split,
            }
            for place, (number, split) in enumerate(rows)
        ],
        schema=VIEWS,
    )


def groups(*rows: tuple[int, int, str]) -> pa.Table:
    """GROUPS of (image, the one that stands for it, relation)."""
    related = pa.Table.from_pylist(
        [
            {"image_id": key(one), "kept_id": key(kept), "relation": relation, "distance": 0}
            for one, kept, relation in rows
        ],
        schema=dedupe_rules.RELATED,
    )
    return dedupe_rules.resolved(related)


def in_parts(table: pa.Table, found: pa.Table, parts: int = 3) -> list[str]:
    """Return the split of each view, worked out as the stage does it: in parts of images, which learn of each other's groups."""
    cut = [
        table.filter(pa.array([row[0] % parts == part for row in table["image_id"].to_pylist()], pa.bool_()))
        for part in range(parts)
    ]
    held = pa.concat_tables([splits.held(part, found) for part in cut])
    assert held.schema == splits.HELD
    settled: dict[bytes, str] = {}
    for part in cut:
        changed = splits.moved(part, found, held)
        assert changed.schema == SPLITS
        after = splits.settled(part, changed)
        settled |= dict(zip(after["pair_id"].to_pylist(), after["split"].to_pylist(), strict=True))
    return [settled[pair_id] for pair_id in table["pair_id"].to_pylist()]


@pytest.mark.parametrize(
    ("rows", "found", "expected"),
    [
        # Upstream's splits stay; none, and what is no split, is train.
        ([(1, "train"), (2, "validation"), (3, "test")], [], ["train", "validation", "test"]),
        ([(1, None), (2, "dev")], [], ["train", "train"]),
        # One photograph in several sources: test over validation over train.
        ([(1, None), (1, "validation"), (2, "validation"), (2, "test"), (2, "train")], [], ["validation"] * 2 + ["test"] * 3),
        # Equal bytes, near-duplicates, and one after the other.
        ([(1, "train"), (2, "test")], [(1, 2, "same_bytes")], ["test"] * 2),
        ([(1, "test"), (2, "train")], [(1, 2, "same_bytes")], ["test"] * 2),
        ([(1, "validation"), (2, None)], [(1, 2, "near_duplicate")], ["validation"] * 2),
        ([(1, "test"), (2, None), (3, None)], [(1, 2, "same_bytes"), (2, 3, "near_duplicate")], ["test"] * 3),
        ([(1, None), (2, None), (3, "test")], [(1, 2, "same_bytes"), (2, 3, "near_duplicate")], ["test"] * 3),
        # Equal bytes that are not merged, and near-duplicates of one of them.
        ([(1, "test"), (2, None)], [(1, 2, splits.EQUAL_BYTES)], ["test"] * 2),
        ([(1, None), (2, None), (3, "test")], [(1, 2, splits.EQUAL_BYTES), (2, 3, "near_duplicate")], ["test"] * 3),
        # What leaves is in no group, nor is what is somewhere else.
        ([(1, "train"), (2, "test")], [(3, 2, "same_bytes"), (1, 1, "evaluation_overlap")], ["train", "test"]),
    ],
)  # fmt: skip
def test_a_group_takes_the_most_restrictive_split(
    rows: list[tuple[int, str | None]], found: list[tuple[int, int, str]], expected: list[str]
) -> None:
    assert in_parts(views(*rows), groups(*found)) == expected


_SOME = st.sampled_from([*flow.SPLITS, None])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 11), _SOME), max_size=24),
    st.dictionaries(st.integers(0, 5), st.integers(6, 9), max_size=6),
    st.dictionaries(st.integers(6, 9), st.integers(10, 11), max_size=4),
    st.sampled_from([dedupe_rules.SAME_BYTES, splits.EQUAL_BYTES]),
)
def test_no_group_is_in_two_splits(
    rows: list[tuple[int, str | None]], first: dict[int, int], then: dict[int, int], relation: str
) -> None:
    found = groups(
        *((one, kept, relation) for one, kept in first.items()),
        *((one, kept, "near_duplicate") for one, kept in then.items()),
    )
    of_group: dict[int, set[str]] = {}
    stated: dict[int, list[str]] = {}
    for (number, split), settled in zip(rows, in_parts(views(*rows), found), strict=True):
        leader = first.get(number, number)
        leader = then.get(leader, leader)
        of_group.setdefault(leader, set()).add(settled)
        stated.setdefault(leader, []).append(split or "train")
    for leader, found_splits in of_group.items():
        assert found_splits == {max(stated[leader], key=flow.SPLITS.index)}


def test_only_what_moves_is_written_and_each_pair_that_moves_is_counted() -> None:
    table, found = (
        views((1, None), (1, "test"), (1, "train"), (2, "test"), (3, "validation"), (4, None)),
        groups((3, 2, "same_bytes")),
    )
    changed = splits.moved(table, found, splits.held(table, found))
    assert changed.to_pylist() == [{"image_id": key(1), "split": "test"}, {"image_id": key(3), "split": "test"}]
    counted = splits.count_moved(table, changed)
    assert counted == {"source0": {"test": 1}, "source2": {"test": 1}, "source4": {"test": 1}}


def test_lists_are_made_anew_where_a_split_changes_and_where_none_does_they_stay() -> None:
    table, none = views((1, None), (2, None)), SPLITS.empty_table()
    ledger = pa.table(
        {
            "image_id": pa.array([key(1), key(2)], KEY),
            "sha256": pa.array([b"1" * 32, b"2" * 32], pa.binary(32)),
            "perceptual_hash": pa.nulls(2, pa.binary(32)),
        }
    )
    digests = [
        dedupe_rules.survivors_digest(table, ledger, changed)
        for changed in (
            None,
            none,
            *(
                pa.table({"image_id": pa.array([key(1)], KEY), "split": pa.array([split])}, schema=SPLITS)
                for split in ("validation", "test")
            ),
        )
    ]
    assert digests[0] == digests[1]
    of_first = {digest["source0"] for digest in digests}
    assert len(of_first) == 3
    assert {digest["source1"] for digest in digests} == {digests[0]["source1"]}


def test_images_with_equal_bytes_have_one_leader() -> None:
    rows = [(3, "a"), (1, "b"), (2, "a"), (4, "a"), (5, "c")]
    hashes = pa.Table.from_pylist(
        [
            {
                "key": text.encode() * 16,
                "sha256": text.encode() * 32,
                "image_id": key(number),
                "pixels": 1,
                "whole": True,
            }
            for number, text in rows
        ],
        schema=dedupe_rules.HASHES,
    )
    found = splits.equal(hashes)
    assert found.schema == dedupe_rules.RELATED
    assert [(row["image_id"], row["kept_id"]) for row in found.to_pylist()] == [(key(3), key(2)), (key(4), key(2))]
    assert splits.equal(hashes.slice(0, 0)).num_rows == 0


def test_it_is_no_relation_that_is_committed() -> None:
    values: list[Any] = [*dedupe_rules.RELATIONS]
    assert splits.EQUAL_BYTES not in values
