"""Texts of which many are nearly others, and all pairs of them that match: by comparing every two."""

from __future__ import annotations

import itertools

import numpy as np

from pmd.text import minhash

WORDS = [
    *("harbour", "bridge", "sunset", "market", "kitten", "bicycle", "mountain", "orange", "river", "castle"),
    *("garden", "window", "lantern", "copper", "valley", "meadow", "engine", "pepper", "violet", "marble"),
]
SIGNED = "photo taken by {} on assignment for the daily planet all rights reserved please do not use without permission"


def near(count: int, seed: int, length: int = 24) -> list[str]:
    """Return distinct texts of `length` words; half are another with one to three words exchanged."""
    random = np.random.default_rng(seed)
    found = [" ".join(random.choice(WORDS, length)) for _ in range(count // 2)]
    for text in found[: count - len(found)]:
        words = text.split()
        for place in random.integers(0, len(words), random.integers(1, 4)).tolist():
            words[place] = str(random.choice(WORDS))
        found.append(" ".join(words))
    return list(dict.fromkeys(found))


def crowd(count: int) -> list[str]:
    """Return texts of which every two have about .7 in common: most share a band of .8, none match at it."""
    random = np.random.default_rng(5)
    names = ["".join(map(chr, random.integers(0x4E00, 0x9F00, 8).tolist())) for _ in range(count)]
    return [f"{name} on assignment for the daily planet all right" for name in names]


def matches(texts: list[str], threshold: float) -> set[tuple[str, str]]:
    """Return the pairs that match, each in order, by comparing all with all."""
    sets = {text: minhash.shingle_set(text) for text in texts}
    return {
        (one, other)
        for one, other in itertools.combinations(sorted(texts), 2)
        if minhash.jaccard(sets[one], sets[other]) >= threshold
    }
