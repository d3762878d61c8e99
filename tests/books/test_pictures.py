"""Looks: many perceptual hashes find exactly what comparing all with all finds, and compare few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pmd.books import pictures
from tests.memory import most


def flipped(chance: np.random.Generator, one: bytes, bits: int) -> bytes:
    """Return a hash that differs in so many bits."""
    raw = np.unpackbits(np.frombuffer(one, np.uint8))
    raw[chance.choice(256, bits, replace=False)] ^= 1
    return np.packbits(raw).tobytes()


def near_by_hand(seen: list[bytes], looks: list[bytes]) -> set[tuple[int, bytes]]:
    words = pictures.words(seen)
    return {
        (int(row), look) for look in looks for row in np.flatnonzero(pictures.distances(words, look) <= pictures.MATCH)
    }


@pytest.mark.parametrize("many", [1, 63, 64, 300])
def test_they_find_what_is_near_and_nothing_else(many: int) -> None:
    chance = np.random.default_rng(many)
    looks = [chance.bytes(32) for _ in range(many)]
    seen = [flipped(chance, looks[number % many], bits) for number, bits in enumerate((0, 1, 30, 31, 32, 33) * 50)]
    seen += [chance.bytes(32) for _ in range(9000)]  # more than are held to them at a time
    index = pictures.Looks([*looks, looks[0]])
    rows, which = index.near(pictures.words(seen))
    pairs = [(row, index.hashes[number]) for row, number in zip(rows.tolist(), which.tolist(), strict=True)]
    assert len(pairs) == len({*pairs})
    assert {*pairs} == near_by_hand(seen, looks)
    assert {*np.flatnonzero(index.are_near(pictures.words(seen))).tolist()} == {row for row, _ in pairs}
    assert {bits for bits in range(6) if index.has_near(seen[bits])} >= {0, 1, 2, 3}
    assert not index.has_near(chance.bytes(32))


@pytest.mark.parametrize("many", [0, 1, 64])
def test_nothing_is_near_nothing(many: int) -> None:
    chance = np.random.default_rng(0)
    index = pictures.Looks([chance.bytes(32) for _ in range(many)])
    assert [len(found) for found in index.near(pictures.words([]))] == [0, 0]
    assert many or not index.has_near(chance.bytes(32))


def test_thousands_compare_a_hundredth_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(0)
    looks, seen = [chance.bytes(32) for _ in range(4000)], [chance.bytes(32) for _ in range(4000)]
    proposed = []
    whole = pictures._Bands.proposed

    def counted(
        bands: pictures._Bands, of: pictures.Words, first: int
    ) -> Iterator[tuple[pictures.Numbers, pictures.Numbers]]:
        for rows, which in whole(bands, of, first):
            proposed.append(len(rows))
            yield rows, which

    monkeypatch.setattr(pictures._Bands, "proposed", counted)
    pictures.Looks(looks).near(pictures.words(seen))
    assert 0 < sum(proposed) < 4000 * 4000 / 100


def test_a_hash_takes_little_memory() -> None:
    """Sixteen places of four bytes, beside the hash itself."""
    chance = np.random.default_rng(0)
    looks = [chance.bytes(32) for _ in range(40_000)]
    beside = 24 * 2**20  # where each value of a band begins, and what of two bands is made at a time
    assert most(lambda: pictures.Looks(looks)) < 320 * len(looks) + beside


def test_frames_of_a_film_are_not_all_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """They agree in all bands. That each is near some of them is known by the first few."""
    chance = np.random.default_rng(0)
    one = chance.bytes(32)
    frames = [flipped(chance, one, 2) for _ in range(4000)]
    index, compared = pictures.Looks(frames), 0
    whole = pictures._Bands.proposed

    def counted(
        bands: pictures._Bands, of: pictures.Words, first: int
    ) -> Iterator[tuple[pictures.Numbers, pictures.Numbers]]:
        nonlocal compared
        for rows, which in whole(bands, of, first):
            compared += len(rows)
            yield rows, which

    monkeypatch.setattr(pictures._Bands, "proposed", counted)
    assert index.are_near(pictures.words(frames)).all()
    assert compared < 16 * 17 * pictures._FIRST * len(frames)


@pytest.mark.parametrize("many", [0, 3, 64, 300])
def test_the_nearest_are_those_that_differ_in_the_fewest_bits(many: int) -> None:
    chance = np.random.default_rng(many)
    looks = [chance.bytes(32) for _ in range(many)]
    looks += [flipped(chance, look, bits) for look in looks[:3] for bits in (4, 6)]
    index = pictures.Looks(looks)
    for one in [*looks[:3], *(flipped(chance, look, 12) for look in looks[:3]), chance.bytes(32)]:
        apart = pictures.distances(pictures.words(index.hashes), one)
        near = apart.min(initial=256) <= pictures.MATCH
        expected = [look for look, bits in zip(index.hashes, apart, strict=True) if near and bits == apart.min()]
        assert index.nearest(one) == expected
