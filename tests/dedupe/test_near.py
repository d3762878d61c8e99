"""Near-duplicates: against brute force, in any order, with clumps, and with hashes that say nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.codec import SET_BITS
from pmd.dedupe import near
from pmd.forest import components

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


def found(rows: list[Row], distance: int) -> list[tuple[bytes, bytes, int]]:
    result = near.elect((near.links(table(rows), distance, share) for share in range(near.SHARES)), distance)
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
@given(collections(), st.sampled_from([0, 7, 15, 16, 20, 31]), st.randoms(use_true_random=False))
def test_as_brute_force_and_in_any_order(rows: list[Row], distance: int, random: Any) -> None:
    expected = plainly(rows, distance)
    assert found(rows, distance) == expected
    assert found(random.sample(rows, len(rows)), distance) == expected


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
    expected = components(len(hashes), one, other)
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
    told = [near.links(table(rows), 31, share).num_rows for share in range(near.SHARES)]
    assert max(told) <= 2000
    assert found(rows, 31) == [(n.to_bytes(16, "big"), bytes(16), n % 5) for n in range(1, 2000)]


def test_flat_pictures_are_not_compared() -> None:
    flat = np.zeros(256, np.uint8)
    assert found([(bytes([n]) * 16, flat, 640, 480, True, False) for n in range(5)], 31) == []
    assert found([], 31) == []
