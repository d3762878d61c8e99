"""MinHash on whole columns: the hash values that datasketch's `MinHash` would have, of many texts at once.

A text is the set of its runs of 5 characters: what Leskovec, Rajaraman and Ullman (Mining of Massive Datasets, §3.2.2)
advise for texts as short as e-mails; captions are too short for runs of 5 words. datasketch makes one Python object a text,
and hashes it by itself, which takes ten times as long (benchmarks/near_texts.py). The permutations are its own too, drawn as it
draws them: to import it brings half a second of scipy. A test compares both.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

SHINGLE: Final = 5

#: datasketch's defaults: hash values of a text, the seed of the permutations, and how they permute: a * fmix(h) + b mod 2^32.
PERMUTATIONS: Final = 128
SEED: Final = 1
SCHEME: Final = "affine32"

#: Texts whose signatures are made at once.
_CHUNK: Final = 10_000

Words = npt.NDArray[np.uint64]
Minima = npt.NDArray[np.uint32]


def signatures(texts: Sequence[str]) -> Minima:
    """Return the hash values of each text, shape (texts, PERMUTATIONS)."""
    factors, addends = _permutations()
    found = np.empty((len(texts), PERMUTATIONS), np.uint32)
    for start in range(0, len(texts), _CHUNK):
        hashes, starts = shingles(texts[start : start + _CHUNK])
        hashes = _fmix(hashes)
        for column, (factor, addend) in enumerate(zip(factors, addends, strict=True)):
            found[start : start + _CHUNK, column] = np.minimum.reduceat(hashes * factor + addend, starts)
    return found


def shingles(texts: Sequence[str]) -> tuple[Minima, npt.NDArray[np.int64]]:
    """Return a 32-bit hash of each shingle of each text, and where each text's begin; a short text is one shingle."""
    padded = [text.ljust(SHINGLE, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    points = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32)
    values = np.zeros(len(points) - SHINGLE + 1, np.uint64)
    for place in range(SHINGLE):
        values = values * np.uint64(0x100000001B3) + points[place : place + len(values)]
    ends = np.cumsum(lengths)
    within = np.ones(len(points), bool)
    for back in range(1, SHINGLE):
        within[ends - back] = False  # would reach into the next text
    hashes = (mixed(values[within[: len(values)]]) >> np.uint64(32)).astype(np.uint32)
    return hashes, np.r_[0, np.cumsum(lengths - SHINGLE + 1)[:-1]]


def shingle_set(text: str) -> frozenset[str]:
    """Return the shingles of a text, exactly."""
    return frozenset(text[at : at + SHINGLE] for at in range(max(1, len(text) - SHINGLE + 1)))


def jaccard(one: frozenset[str], other: frozenset[str], least: float = 0.0) -> float:
    """Return how much of two sets is common to both; 0 where their sizes say that it is less than `least`."""
    few, many = sorted((len(one), len(other)))
    if few < least * many:
        return 0.0
    common = len(one & other)
    return common / (few + many - common)


@functools.cache
def _permutations() -> tuple[Minima, Minima]:
    dice = np.random.RandomState(SEED)
    factors = dice.randint(0, 2**31, PERMUTATIONS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, dice.randint(0, 2**32, PERMUTATIONS, dtype=np.uint32)


def _fmix(hashes: Minima) -> Minima:
    """Return 32-bit words through MurmurHash3's finaliser, as datasketch does before it permutes them."""
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))


def mixed(words: Words) -> Words:
    """Return words through SplitMix64's finaliser (Steele et al., OOPSLA 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
