"""Looks: many perceptual hashes find exactly what comparing all with all finds, and compare few."""

from __future__ import annotations

import numpy as np
import pytest

from pmd.books import pictures


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
    whole = pictures._Band.proposed

    def counted(band: pictures._Band, values: np.ndarray) -> tuple[pictures.Numbers, pictures.Numbers]:
        found = whole(band, values)
        proposed.append(len(found[0]))
        return found

    monkeypatch.setattr(pictures._Band, "proposed", counted)
    pictures.Looks(looks).near(pictures.words(seen))
    assert 0 < sum(proposed) < 4000 * 4000 / 100
