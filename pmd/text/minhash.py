"""Near-duplicate texts: groups of texts whose sets of shingles are nearly one, proposed by MinHash and checked exactly.

A text is the set of its runs of 5 characters: what Leskovec, Rajaraman and Ullman (Mining of Massive Datasets, §3.2.2)
advise for texts as short as e-mails; captions are too short for runs of 5 words. Two texts match where the Jaccard
similarity of their sets is .8 or more (Lee et al., ACL 2022, "Deduplicating Training Data Makes Language Models
Better"). 112 minima in 14 bands of 8, as FineWeb has them (Penedo et al., 2024), propose .92 of the pairs at .8 and .99
of those at .86; what they propose is compared set with set, so that no chance brings strangers together.

Own code, since all is a few lines of NumPy on whole columns: benchmarks/repeated_texts.py has it beside datasketch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

SHINGLE: Final = 5
JACCARD: Final = 0.8
BANDS: Final = 14
ROWS: Final = 8

#: Texts whose signatures are made at once.
_CHUNK: Final = 10_000

Words = npt.NDArray[np.uint64]


def groups(texts: Sequence[str]) -> list[int]:
    """Return the number of each text's group: the place of its first text in the order of texts.

    Texts that match are in one group, and so are those that a chain of matches joins.

    Args:
        texts: Distinct, in any order; the groups do not depend on it.
    """
    order = sorted(range(len(texts)), key=texts.__getitem__)
    parents = list(range(len(texts)))

    def first_of(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    ordered = [texts[place] for place in order]
    for left, right in _candidates(ordered):
        one, other = sorted((first_of(left), first_of(right)))
        if one != other and _jaccard(ordered[left], ordered[right]) >= JACCARD:
            parents[other] = one
    found = [0] * len(texts)
    for place, original in enumerate(order):
        found[original] = order[first_of(place)]
    return found


def signatures(texts: Sequence[str]) -> npt.NDArray[np.uint32]:
    """Return the minima of each text, shape (texts, BANDS * ROWS)."""
    random = np.random.default_rng(1)
    factors = random.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    addends = random.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
    found = np.empty((len(texts), BANDS * ROWS), np.uint32)
    for start in range(0, len(texts), _CHUNK):
        hashes, starts = _shingles(texts[start : start + _CHUNK])
        for column, (factor, addend) in enumerate(zip(factors, addends, strict=True)):
            # Multiply and shift, 2-independent (Dietzfelbinger, STACS 1996).
            values = ((hashes * factor + addend) >> np.uint64(32)).astype(np.uint32)
            found[start : start + _CHUNK, column] = np.minimum.reduceat(values, starts)
    return found


def _candidates(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of places to be compared: of those that share a band, each with the first and the one before."""
    if len(texts) < 2:
        return []
    minima = signatures(texts)
    pairs: list[npt.NDArray[np.int64]] = []
    for band in range(BANDS):
        keys = np.zeros(len(texts), np.uint64)
        for column in range(band * ROWS, (band + 1) * ROWS):
            keys = mixed(keys ^ minima[:, column])
        order = np.argsort(keys, kind="stable")
        same = np.r_[False, keys[order[1:]] == keys[order[:-1]]]
        first = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
        repeated = np.flatnonzero(same)
        pairs.append(np.stack([order[first[repeated]], order[repeated]], axis=1))
        pairs.append(np.stack([order[repeated - 1], order[repeated]], axis=1))
    found: list[Any] = np.unique(np.concatenate(pairs), axis=0).tolist()
    return [(left, right) for left, right in found]


def _shingles(texts: Sequence[str]) -> tuple[Words, npt.NDArray[np.int64]]:
    """Return a hash of each shingle of each text, and where each text's begin; a short text is one shingle."""
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
    return mixed(values[within[: len(values)]]), np.r_[0, np.cumsum(lengths - SHINGLE + 1)[:-1]]


def _jaccard(left: str, right: str) -> float:
    one, other = ({text[at : at + SHINGLE] for at in range(max(1, len(text) - SHINGLE + 1))} for text in (left, right))
    return len(one & other) / len(one | other)


def mixed(words: Words) -> Words:
    """Return words through SplitMix64's finaliser (Steele et al., OOPSLA 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
