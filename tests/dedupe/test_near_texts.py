"""Near-duplicate captions over several partitions: who is compared, what matches, who leads, and what a crowd costs."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.dedupe import captions, near_texts
from pmd.schema import keys
from pmd.schema.tables import NEAR_TEXTS
from pmd.store import exchange
from pmd.text import minhash, neighbours
from tests.text import generated

JACCARD = 0.8


def key(number: int) -> bytes:
    return keys.digest(str(number))


def rows(found: list[tuple[str, int, int]]) -> tuple[pa.Table, pa.ChunkedArray]:
    """`captions.TEXTS` of (text, image, pair), and the texts."""
    texts = pa.chunked_array([pa.array([text for text, _, _ in found], pa.string())])
    columns = [
        captions.text_ids(texts.combine_chunks()),
        pa.array([key(image) for _, image, _ in found], pa.binary(16)),
        pa.array([key(-image) for _, image, _ in found], pa.binary(16)),
        pa.array([key(1000 + pair) for _, _, pair in found], pa.binary(16)),
        pa.array([False] * len(found)),
    ]
    return pa.table(columns, schema=captions.TEXTS), texts


def met(tables: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema, name: str, bits: int) -> dict[int, pa.Table]:
    """Return the rows by partition of a key, as run files bring them together."""
    found: dict[int, list[pa.Table]] = defaultdict(list)
    for rows_of_one in tables:
        table = pa.table(rows_of_one).cast(schema)
        where = pa.array(exchange.partitions(table[name], bits))
        for number in where.unique().to_pylist():
            found[number].append(table.filter(pc.equal(where, number)))
    return {number: pa.concat_tables(found[number]) for number in sorted(found)}


def searched(parts: list[list[tuple[str, int, int]]], threshold: float = JACCARD, bits: int = 2) -> pa.Table:
    """Return the `NEAR_TEXTS` of the texts of some parts: all steps, with partitions and without files."""
    near = near_texts
    seen = met((near.occurrences(*rows(part)) for part in parts), near.OCCURRENCES, "text_id", bits)
    known = {number: near.texts(table) for number, table in seen.items()}
    bands = neighbours.bands(threshold)
    banded = met(
        (batch for table in known.values() for batch in near.band_keys(table, bands)), near.BANDED, "band", bits + 1
    )
    proposed = met(
        (batch for table in banded.values() for batch in near.proposals(table)), near.PROPOSED, "text_id", bits
    )
    asked = met(
        (batch for number, table in proposed.items() for batch in near.asked(table, known[number])),
        near.ASKED,
        "earlier",
        bits,
    )
    verified = (near.verified(table, known[number], threshold) for number, table in asked.items())
    linked = met(verified, near.LINKS, "text_id", bits)
    members = met(near.elect(linked.items(), bits), near.MEMBERS, "text_id", bits)
    found = [near.groups(known[number], table) for number, table in members.items()]
    assert all(table.schema == NEAR_TEXTS for table in found)
    return pa.concat_tables([NEAR_TEXTS.empty_table(), *found])


def alone(texts: list[str]) -> list[tuple[str, int, int]]:
    """Each text on an image of its own."""
    return [(text, number, number) for number, text in enumerate(texts)]


SIGNED = [generated.SIGNED.format(name[:4]) for name in generated.WORDS]


def test_boilerplate_with_a_name_in_it_is_one_group_and_others_are_none() -> None:
    others = [f"a {one} near the {other}" for one in generated.WORDS[:9] for other in generated.WORDS[9:]]
    found = searched([alone(SIGNED[:7]), [("A dog", 90, 90), *alone(others)], alone(SIGNED[7:])]).to_pylist()
    assert {row["form"] for row in found} == {*SIGNED}
    (leader,) = {row["group_id"] for row in found}
    assert leader == min(row["text_id"] for row in found)
    for row in found:
        assert row["text_id"] == keys.digest(row["form"])
        assert (row["jaccard"] == 1) == (row["text_id"] == leader)


@pytest.mark.parametrize("bits", [0, 1, 5])
def test_images_and_pairs_are_those_of_all_parts(bits: int) -> None:
    one, other = generated.SIGNED.format("Ann"), generated.SIGNED.format("Bob")
    parts = [[(one, 1, 1), (one, 1, 2), (one.upper(), 2, 3)], [(one + "!", 1, 4), (other, 3, 5)], []]
    found = {row["form"]: (row["images"], row["pairs"]) for row in searched(parts, bits=bits).to_pylist()}
    assert found == {one.lower(): (2, 4), other.lower(): (1, 1)}


@pytest.mark.parametrize("texts", [[], ["a dog"], ["a dog", "a cat"], ["", "...", "a", "ab", "日本"], ["one text"] * 3])
def test_nothing_is_near(texts: list[str]) -> None:
    assert searched([alone(texts)]).num_rows == 0


@pytest.mark.parametrize(
    ("threshold", "words", "least"),
    [(0.6, 24, 0.95), (0.7, 24, 0.95), (0.8, 24, 0.95), (0.9, 48, 0.95), (0.95, 80, 0.95)],
)
def test_what_matches_is_linked_and_nothing_else(threshold: float, words: int, least: float) -> None:
    """Links beside those that comparing all with all gives: none is wrong, and nearly all are there."""
    texts = generated.near(500, 11, words)
    known = near_texts.texts(near_texts.occurrences(*rows(alone(texts))))
    banded = pa.Table.from_batches(near_texts.band_keys(known, neighbours.bands(threshold)))
    proposed = pa.Table.from_batches(near_texts.proposals(banded))
    asked = pa.Table.from_batches(near_texts.asked(proposed, known))
    links = near_texts.verified(asked, known, threshold).to_pylist()
    forms = dict(zip(known["text_id"].to_pylist(), known["form"].to_pylist(), strict=True))
    found = {tuple(sorted((forms[row["text_id"]], forms[row["earlier"]]))) for row in links}
    assert len(found) == len(links)
    wanted = generated.matches(texts, threshold)
    assert len(wanted) > 20
    assert found <= wanted
    assert len(found) >= least * len(wanted)
    for row in links:
        assert row["earlier"] < row["text_id"]
        sets = [minhash.shingle_set(forms[row[name]]) for name in ("text_id", "earlier")]
        assert row["jaccard"] == len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(generated.WORDS[:6]), min_size=4, max_size=12).map(" ".join),
            st.integers(1, 9),
        ),
        max_size=24,
    ),
    st.sampled_from([0.6, 0.8, 0.95]),
    st.randoms(use_true_random=False),
)
def test_groups_depend_on_no_order_and_every_member_matches_its_leader(
    found: list[tuple[str, int]], threshold: float, chance: Any
) -> None:
    pairs = [(text, image, number) for number, (text, image) in enumerate(found)]
    grouped = searched([pairs], threshold, 0)
    shuffled = chance.sample(pairs, len(pairs))
    cut = chance.randint(0, len(pairs))
    again = searched([shuffled[:cut], shuffled[cut:]], threshold, chance.randint(0, 4))
    assert again.equals(grouped)
    forms = {row["text_id"]: row["form"] for row in grouped.to_pylist()}
    for row in grouped.to_pylist():
        mine, leader = (minhash.shingle_set(forms[row[name]]) for name in ("text_id", "group_id"))
        assert row["jaccard"] == len(mine & leader) / len(mine | leader) >= threshold
        assert row["group_id"] <= row["text_id"]
    sizes = Counter(grouped["group_id"].to_pylist())
    leaders = {row["group_id"] for row in grouped.to_pylist() if row["group_id"] == row["text_id"]}
    assert {*sizes} == leaders
    assert all(size > 1 for size in sizes.values())


def links(*found: tuple[int, int, float]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"text_id": bytes([text]) * 16, "earlier": bytes([first]) * 16, "jaccard": near}
            for text, first, near in found
        ],
        schema=near_texts.LINKS,
    )


@pytest.mark.parametrize(
    ("found", "members"),
    [
        ([], {}),
        ([(2, 1, 0.9)], {2: 1}),
        # 3 matches 2, which has joined 1: 3 stays, and leads 4.
        ([(2, 1, 0.9), (3, 2, 0.9), (4, 3, 0.9)], {2: 1, 4: 3}),
        # Of two that lead, the nearest; of two as near, the first.
        ([(9, 1, 0.8), (9, 5, 0.9)], {9: 5}),
        ([(9, 5, 0.9), (9, 1, 0.9)], {9: 1}),
        # The nearest has joined another.
        ([(5, 1, 0.9), (9, 5, 1.0), (9, 3, 0.8)], {5: 1, 9: 3}),
        # Across partitions.
        ([(0x81, 1, 0.9), (0xC1, 0x81, 0.9), (0xC2, 0xC1, 0.9), (0xC3, 0x81, 0.9)], {0x81: 1, 0xC2: 0xC1}),
    ],
)
@pytest.mark.parametrize("bits", [0, 2, 8])
def test_elections(found: list[tuple[int, int, float]], members: dict[int, int], bits: int) -> None:
    chance = random.Random(1)
    linked = met([links(*chance.sample(found, len(found)))], near_texts.LINKS, "text_id", bits)
    rows = [row for table in near_texts.elect(linked.items(), bits) for row in table.to_pylist()]
    joined = {row["text_id"][0]: row["group_id"][0] for row in rows if row["text_id"] != row["group_id"]}
    assert joined == members
    assert {row["text_id"][0] for row in rows if row["text_id"] == row["group_id"]} == {*members.values()}


def banded(count: int, number: Callable[[int], int]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"band": number(text).to_bytes(16, "big"), "text_id": hashlib.md5(str(text).encode()).digest()}
            for text in range(count)
        ],
        schema=near_texts.BANDED,
    )


def test_a_band_that_all_share_is_not_compared_all_with_all() -> None:
    found = [batch for batch in near_texts.proposals(banded(1000, lambda _: 7)) if batch.num_rows]
    pairs = [(row["earlier"], row["text_id"]) for batch in found for row in batch.to_pylist()]
    assert len({*pairs}) == len(pairs) == 3 * 1000 - 6 + 996
    ordered = sorted({text for pair in pairs for text in pair})
    assert len(ordered) == 1000
    places = {text: place for place, text in enumerate(ordered)}
    assert {(places[later] - places[first]) for first, later in pairs if places[first]} == {1, 2, 3}
    assert {places[later] for first, later in pairs if not places[first]} == {*range(1, 1000)}


def test_few_in_a_band_are_all_compared() -> None:
    pairs = [row for batch in near_texts.proposals(banded(12, lambda text: text // 4)) for row in batch.to_pylist()]
    assert len(pairs) == 3 * 6
    assert near_texts.proposals(near_texts.BANDED.empty_table()) is not None
    assert [batch.num_rows for batch in near_texts.proposals(near_texts.BANDED.empty_table())] == [0] * 4


def test_a_crowd_is_one_group_all_the_same() -> None:
    """Three hundred signatures that share most of their bands: each matches the first, with which it is always compared."""
    texts = [generated.SIGNED.format(f"{chr(97 + number % 26)}{chr(97 + number // 26)}") for number in range(300)]
    found = searched([alone(texts)])
    assert found.num_rows == 300
    assert len(found["group_id"].unique()) == 1


def test_a_texts_cap_is_its_groups() -> None:
    """A group of two texts on three images, and a text alone on three: of each two images stay."""
    one, other = generated.SIGNED.format("Ann"), generated.SIGNED.format("Bob")
    pairs = [(one, 1, 1), (one, 2, 2), (other, 3, 3), (other, 2, 4), ("a dog", 1, 5), ("a dog", 2, 6), ("a dog", 3, 7)]
    table, _ = rows(pairs)
    stands = table.select(captions.STANDS.names)
    for found, sizes in ((searched([pairs]), {"near_text": 3, "repeated_text": 3}), (NEAR_TEXTS.empty_table(), None)):
        counted = near_texts.capped(stands, found)
        gone = captions.over(counted, 2)
        details = Counter((row["reason"], row["detail"]) for row in gone.to_pylist())
        if sizes is None:
            assert counted["text_id"].equals(table["text_id"])
            assert details == {("repeated_text", "its text stands on 3 images"): 1}
            continue
        assert details["repeated_text", "its text stands on 3 images"] == 1
        said = "its text and those nearly the same stand on 3 images"
        assert details["near_text", said] == len(gone) - 1 >= 1
        out = {*gone["pair_id"].to_pylist()}
        left = {image for text, image, pair in pairs if text != "a dog" and key(1000 + pair) not in out}
        assert len(left) == 2
