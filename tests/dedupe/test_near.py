"""Near-duplicates: against brute force, in any order, with clumps, and with hashes that say nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.codec import SET_BITS
from pmd.dedupe import election, near, packed
from pmd.forest import Forest
from pmd.store import mapped, spools, storage
from tests.memory import most

Row = tuple[bytes, np.ndarray, int, int, bool, bool]


def photograph(random: np.random.Generator) -> np.ndarray:
    """Return 256 bits, half of them set."""
    bits = np.zeros(256, np.uint8)
    bits[random.permutation(256)[:128]] = 1
    return bits


def changed(bits: np.ndarray, by: int, random: np.random.Generator) -> np.ndarray:
    """Return bits of which `by` are turned, as many on as off, so that half stay set."""
    bits = bits.copy()
    on, off = random.permutation(np.flatnonzero(bits)), random.permutation(np.flatnonzero(bits == 0))
    bits[on[: by // 2]] = 0
    bits[off[: by - by // 2]] = 1
    return bits


def table(rows: list[Row]) -> pa.Table:
    columns: list[list[Any]] = [
        [row[0] for row in rows],
        [np.packbits(row[1]).tobytes() for row in rows],
        *([row[at] for row in rows] for at in range(2, 6)),
    ]
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, near.HASHED, strict=True)], schema=near.HASHED
    )


def plainly(rows: list[Row], distance: int) -> list[tuple[bytes, bytes, int]]:
    """The election, one image after another."""
    kept: list[Row] = []
    gone = []
    for row in sorted(rows, key=lambda row: (-row[2] * row[3], row[0])):
        if int(row[1].sum()) not in SET_BITS:
            continue
        for other in kept:
            apart = int((row[1] != other[1]).sum())
            one, two = row[2] * other[3], other[2] * row[3]
            if apart <= distance and 100 * max(one, two) <= 101 * min(one, two) and (other[4] or not row[5]):
                gone.append((row[0], other[0], apart))
                break
        else:
            kept.append(row)
    return sorted(gone)


def linked(rows: pa.Table, distance: int) -> tuple[int, list[near.Pairs]]:
    """Return how many rows there are, and all links: those of equal hashes, and those of each share."""
    pieces = [rows.slice(start, 7) for start in range(0, rows.num_rows, 7)]
    with tempfile.TemporaryDirectory() as folder:
        made, equal = packed.pack(folder, pieces)
        hashes, first = made.opened()
        return made.rows, [equal, *(first[near.links(hashes, distance, share)] for share in range(near.SHARES))]


def found(rows: list[Row], distance: int) -> list[tuple[bytes, bytes, int]]:
    every = table(rows)
    count, links = linked(every, distance)
    assert all(pairs.dtype == np.int32 for pairs in links)
    pieces = [every.slice(start, 5) for start in range(0, every.num_rows, 5)]
    result = election.elect(*near.gathered(pieces, count, links), distance)
    assert result.schema == near.MATCHES
    return [(row["image_id"], row["kept_id"], row["distance"]) for row in result.to_pylist()]


@st.composite
def collections(draw: st.DrawFn) -> list[Row]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    seeds = [photograph(random) for _ in range(draw(st.integers(1, 3)))]
    rows: list[Row] = []
    for number in range(draw(st.integers(0, 24))):
        seed = seeds[draw(st.integers(0, len(seeds) - 1))]
        bits = changed(seed, draw(st.sampled_from([0, 0, 8, 16, 24, 31, 32, 40])), random)
        if draw(st.integers(0, 9)) == 0:
            bits = np.zeros(256, np.uint8)
        width, height = draw(st.sampled_from([(640, 480), (320, 240), (641, 480), (640, 490), (480, 640)]))
        rows.append((number.to_bytes(16, "big"), bits, width, height, draw(st.booleans()), draw(st.booleans())))
    return rows


@settings(max_examples=60, deadline=None)
@given(collections(), st.sampled_from([0, 7, 15, 16, 20, 31]), st.randoms(use_true_random=False), st.booleans())
def test_as_brute_force_and_in_any_order(rows: list[Row], distance: int, random: Any, cut: bool) -> None:
    expected = plainly(rows, distance)
    few = {"_FEW": 2, "_ROUNDS": random.randrange(3), "_SEGMENT": 3} if cut else {"_SEGMENT": election._SEGMENT}
    with mock.patch.object(near, "_SEGMENT", 3 if cut else near._SEGMENT), mock.patch.multiple(election, **few):
        assert found(rows, distance) == expected
        assert found(random.sample(rows, len(rows)), distance) == expected


@pytest.mark.parametrize("segment", [1, 7, 64, 1000])
def test_rows_are_in_order_whatever_the_segments(segment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And rows of one key are in one of them, in order of their numbers."""
    random = np.random.default_rng(segment)
    keys = random.integers(0, 90, 500).astype(np.uint64) << np.uint64(40)
    hashes = np.stack([keys] * 4, axis=1)
    monkeypatch.setattr(near, "_SEGMENT", segment)
    pieces = list(near.ordered(hashes, lambda some: some[:, 0]))
    rows = np.concatenate([piece for piece, _ in pieces])
    assert rows.dtype == np.int32
    assert rows.tolist() == np.lexsort((np.arange(500), keys)).tolist()
    for piece, same in pieces:
        assert same.tolist() == [False, *(keys[piece[1:]] == keys[piece[:-1]]).tolist()]
    assert len({int(keys[row]) for piece, _ in pieces for row in piece[:1]}) == len(pieces)
    assert len(pieces) >= min(500 // max(segment, 10), 90) // 2


def test_the_hashes_that_are_searched_are_each_once_and_those_that_say_something(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    one, two, flat = photograph(random), photograph(random), np.zeros(256, np.uint8)
    bits = [flat, two, one, flat, one, two, two]
    rows = table([(bytes([n]) * 16, each, 640, 480, True, False) for n, each in enumerate(bits)])
    made, links = packed.pack(str(tmp_path), [rows.slice(0, 3), rows.slice(3)])
    assert (made.hashes, made.rows) == (2, 7)
    hashes, first = made.opened()
    assert first.tolist() == [1, 2]
    assert (hashes == near.words(rows["perceptual_hash"])[[1, 2]]).all()
    assert sorted(map(tuple, links.tolist())) == [(4, 2), (5, 1), (6, 1)]
    assert [path.name for path in tmp_path.iterdir()] == [made.path.rpartition("/")[2]]
    assert (tmp_path / made.path).stat().st_size == 2 * 36


def test_hashes_that_are_nowhere_take_no_file_to_be_mapped(tmp_path: Path) -> None:
    for pieces in ([], [table([(bytes(16), np.zeros(256, np.uint8), 640, 480, True, False)])]):
        made, links = packed.pack(str(tmp_path), pieces)
        hashes, first = made.opened()
        assert (made.hashes, len(hashes), len(first), len(links)) == (0, 0, 0, 0)
        assert len(near.links(hashes, 31, 0)) == 0


def test_a_worker_copies_the_hashes_of_an_object_store_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    rows = table([(bytes([n]) * 16, photograph(random), 640, 480, True, False) for n in range(40)])
    asked: list[tuple[int | None, int | None]] = []
    real = storage.read_bytes

    def read(url: str, start: int | None = None, stop: int | None = None) -> bytes:
        asked.append((start, stop))
        return real(url, start, stop)

    monkeypatch.setattr(storage, "read_bytes", read)
    monkeypatch.setattr(mapped, "_RANGE_BYTES", 1000)
    made, _ = packed.pack("memory://hashes", [rows])
    other, _ = packed.pack("memory://others", [rows.slice(1)])
    before = set(os.listdir(spools.folder()))
    for _ in range(3):
        hashes, first = made.opened()
        assert (hashes == near.words(rows["perceptual_hash"])).all()
        assert first.tolist() == list(range(40))
    assert asked == [(0, 1000), (1000, 1440)]
    assert len(other.opened()[0]) == 39
    assert len(set(os.listdir(spools.folder())) - before) == 1  # the other one is gone
    assert (hashes == near.words(rows["perceptual_hash"])).all()  # but whoever has it keeps it


def test_every_pair_at_every_distance_is_connected_among_many_strangers(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    seeds = [photograph(random) for _ in range(33 * 20)]
    others = [changed(seed, number % 33, random) for number, seed in enumerate(seeds)]
    for number, (seed, other) in enumerate(zip(seeds, others, strict=True)):
        assert int((seed != other).sum()) == number % 33
    rows = table([(n.to_bytes(16, "big"), bits, 640, 480, True, False) for n, bits in enumerate(seeds + others)])
    count, links = linked(rows, 31)
    forest = Forest(count)
    for pairs in links:
        forest.join(pairs[:, 0], pairs[:, 1])
    apart = [number % 33 for number in range(660) if forest.root(number) != forest.root(660 + number)]
    assert apart == [32] * 20


def test_a_chain_keeps_what_matches_only_one_that_goes() -> None:
    random = np.random.default_rng(1)
    one = photograph(random)
    two = one.copy()
    on, off = np.flatnonzero(one), np.flatnonzero(one == 0)
    two[on[:10]], two[off[:10]] = 0, 1  # 20 from one
    three = two.copy()
    three[on[20:30]], three[off[20:30]] = 0, 1  # 20 from two, 40 from one
    rows = [
        (bytes([n]) * 16, bits, 900 - 90 * n, 600 - 60 * n, True, False) for n, bits in enumerate((one, two, three))
    ]
    assert found(rows, 31) == [(bytes([1]) * 16, bytes([0]) * 16, 20)]


@pytest.mark.parametrize("count", [16, 12, 11])
@pytest.mark.parametrize("distance", [0, 3, 15, 16, 24, 31])
def test_no_match_is_missed_however_the_bits_are_spread(count: int, distance: int) -> None:
    """Also where the differing bits are dealt out evenly, or all lie in one band."""
    random = np.random.default_rng(count * 100 + distance)
    seeds = [photograph(random) for _ in range(30)]
    others = []
    for number, seed in enumerate(seeds):
        places = random.permutation(256)[:distance]
        if number % 3 == 0:
            places = (np.arange(distance) * 256) // max(distance, 1)
        if number % 3 == 1:
            places = np.arange(distance) + int(random.integers(0, 256 - distance))
        other = seed.copy()
        other[places] ^= 1
        others.append(other)
    packed = np.stack([np.packbits(bits) for bits in seeds + others])
    hashes = packed.view(">u8").astype(np.uint64)
    bands = near.Bands(count, distance)
    connected = near.connect(hashes, distance, bands, bands.searches()).roots(np.arange(60))
    assert connected.tolist() == [*range(30), *range(30)]
    place, far = near.nearest(hashes[30:], hashes[:30], distance)
    assert place.tolist() == list(range(30))
    assert far.tolist() == [distance] * 30


@pytest.mark.parametrize("count", range(4, 17))
@pytest.mark.parametrize("distance", [0, 15, 31])
def test_a_band_has_a_mask_that_hides_any_bits_it_allows_for(count: int, distance: int) -> None:
    """And the bands together allow for the distance: were each to differ in one bit more, it would be more than that."""
    random = np.random.default_rng(count)
    bands = near.Bands(count, distance)
    assert sum(bands.worth) == distance + 1
    for band, worth in enumerate(bands.worth):
        width = bands.edges[band + 1] - bands.edges[band]
        masks = bands.masks[band]
        assert len(masks) == (2**worth - 1 if worth else 0)
        for _ in range(50 if worth else 0):
            apart = random.permutation(width)[: worth - 1]
            beside = (random.integers(0, width) + np.arange(worth - 1)) % width
            for places in (apart, beside):
                bits = np.uint64(sum(1 << int(place) for place in places))
                assert ((masks & bits) == 0).any()


@pytest.mark.parametrize("count", [4, 6, 9, 16])
def test_clumps_and_chains_are_connected_as_by_brute_force(count: int) -> None:
    """Forty near variants, which meet under most masks; variants too far from each other, which chains connect; strangers."""
    random = np.random.default_rng(count)
    seeds = [photograph(random) for _ in range(4)]
    bits = [changed(seeds[0], int(random.integers(0, 9)), random) for _ in range(40)]
    bits += [changed(seed, int(random.integers(0, 36)), random) for seed in seeds[1:] for _ in range(40)]
    bits += [photograph(random) for _ in range(40)]
    bits += bits[:3]
    hashes = np.stack([np.packbits(row) for row in bits]).view(">u8").astype(np.uint64)
    one, other = np.nonzero(near.distances(hashes[:, None], hashes) <= 31)
    forest = Forest(len(hashes))
    forest.join(one, other)
    expected = forest.roots(np.arange(len(hashes)))
    assert 40 < len(np.unique(expected)) < len(hashes)
    bands = near.Bands(count, 31)
    found = near.connect(hashes, 31, bands, bands.searches()).roots(np.arange(len(hashes)))
    assert found.tolist() == expected.tolist()


def test_the_nearest_of_none_is_none() -> None:
    hashes = np.zeros((2, 4), np.uint64)
    assert near.nearest(hashes, hashes[:0], 31)[0].tolist() == [-1, -1]
    assert near.nearest(hashes[:0], hashes, 31)[0].tolist() == []


def test_a_clump_is_told_by_as_many_links_as_it_has_rows() -> None:
    random = np.random.default_rng(2)
    seed = photograph(random)
    rows: list[Row] = [
        (n.to_bytes(16, "big"), changed(seed, n % 5, random), 640, 480, True, False) for n in range(2000)
    ]
    rows += [((9000 + n).to_bytes(16, "big"), photograph(random), 640, 480, True, False) for n in range(500)]
    told = [len(pairs) for pairs in linked(table(rows), 31)[1]]
    assert max(told) <= 2000
    assert found(rows, 31) == [(n.to_bytes(16, "big"), bytes(16), n % 5) for n in range(1, 2000)]


def test_flat_pictures_are_not_compared() -> None:
    flat = np.zeros(256, np.uint8)
    assert found([(bytes([n]) * 16, flat, 640, 480, True, False) for n in range(5)], 31) == []
    assert found([], 31) == []


def chain(count: int, random: np.random.Generator) -> list[np.ndarray]:
    """Return hashes of which each is twenty bits from the one before it, and mostly far from all others."""
    bits = [photograph(random)]
    while len(bits) < count:
        bits.append(changed(bits[-1], 20, random))
    return bits


@pytest.mark.parametrize("kind", ["a chain", "a chain of clumps", "regions of one picture that is not whole"])
def test_where_very_many_stay_an_election_compares_few_more_than_it_has(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounds alone would hold each that stays to all that is open: ten times as many for each tripled number."""

    def compared(count: int) -> int:
        random = np.random.default_rng(3)
        bits = chain(count, random) if kind == "a chain" else chain(count // 8, random)
        if kind == "a chain of clumps":
            bits = [changed(seed, int(random.integers(0, 4)), random) for seed in bits for _ in range(8)]
        one_picture = kind.startswith("regions")
        bits = bits[:1] * count if one_picture else bits
        every = table(
            [(n.to_bytes(16, "big"), each, 640, 480, not one_picture, one_picture) for n, each in enumerate(bits)]
        )
        compare, rows = near.distances, 0

        def counted(one: near.Words, other: near.Words) -> Any:
            nonlocal rows
            found = compare(one, other)
            rows += found.size
            return found

        with monkeypatch.context() as patch:
            patch.setattr(near, "distances", counted)
            gone = election.elect(every, np.zeros(len(every), np.int64), 31).num_rows
        assert gone == 0 if one_picture else gone > len(every) // 4
        return rows

    monkeypatch.setattr(election, "_FEW", 32)
    monkeypatch.setattr(election, "_ROUNDS", 4)
    assert compared(4800) < 4.5 * compared(1600)


def test_what_a_share_has_of_a_hash_is_thirteen_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a segment: a key of eight bytes, and five in the forest. Where equal hashes are found it is nine."""
    monkeypatch.setattr(near, "_SEGMENT", 1 << 11)
    monkeypatch.setattr(near, "_CHUNK", 1 << 8)
    count = 1 << 17
    hashes = np.random.default_rng(7).integers(0, 2**64, (count, 4), np.uint64)
    hashes[::2] ^= hashes[::2] & np.uint64(0xFFFFFF)
    bands = near.Bands(6, 31)
    beside = 2**19
    assert 13 * count < most(lambda: near.connect(hashes, 31, bands, bands.searches()[:2])) < 13 * count + beside
    assert most(lambda: packed._distinct(hashes)) < 9 * count + beside
    pairs = np.arange(count, dtype=np.int32).reshape(-1, 2)
    forest = Forest(count)
    assert most(lambda: [forest.join(some[:, 0], some[:, 1]) for some in np.array_split(pairs, 64)]) < beside
