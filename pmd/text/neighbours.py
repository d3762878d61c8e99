"""Near-duplicate texts: bands of datasketch's hash values propose, the sets of shingles decide.

Two texts match where the Jaccard similarity of their sets of shingles reaches a threshold. Their hash values are cut into bands,
and those that agree in one are proposed to each other, as datasketch's `MinHashLSH` does; what is proposed is compared set with
set, so that no chance brings strangers together. A missed match is lost and a stranger costs one comparison: hence the weights
that datasketch chooses bands by. At .8 it takes 16 bands of 8, which propose .947 of the pairs at .8 and .996 of those at .86.

`groups` holds all texts in one process, for the audit; a whole build has its own way with the same bands
(`pmd.dedupe.near_texts`). Most bands are of one text alone: no others are kept, where datasketch's index keeps a Python object of
each text and of each of its bands.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from pmd.forest import Forest
from pmd.text import minhash

#: How much a stranger that is proposed and a match that is missed count when bands are chosen.
WEIGHTS: Final = (0.05, 0.95)

#: Texts proposed to one, from which on it is not put into the index: the time would grow with the square of those that share
#: a band. It is compared with those that are there.
CROWDED: Final = 32

#: Texts of which each is compared with each, so that no match is missed.
FEW: Final = 32

Words = npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True)
class Bands:
    """How hash values are cut: `number` bands of `rows` each, less than `minhash.PERMUTATIONS` together."""

    number: int
    rows: int


#: What datasketch chooses for the threshold that every audit has: to import it takes half a second.
_CHOSEN: Final = {0.8: Bands(16, 8)}


@functools.cache
def bands(threshold: float) -> Bands:
    """Return the bands that datasketch chooses for a threshold (from .6 to .95: above, it finds no two)."""
    if threshold in _CHOSEN:
        return _CHOSEN[threshold]
    import datasketch

    index = datasketch.MinHashLSH(threshold=threshold, num_perm=minhash.PERMUTATIONS, weights=WEIGHTS)
    return Bands(index.b, index.r)


def groups(texts: Sequence[str], threshold: float) -> list[int]:
    """Return the number of each text's group: the place of its first text in the order of texts.

    Texts that match are in one group, and so are those that a chain of matches joins.

    Args:
        texts: Distinct, in any order; the groups do not depend on it.
        threshold: The least Jaccard similarity of two that match.
    """
    order = sorted(range(len(texts)), key=texts.__getitem__)
    forest = Forest(len(texts))
    ordered = [texts[place] for place in order]
    for place, proposed in enumerate(_proposals(ordered, threshold)):
        if not proposed:
            continue
        mine = minhash.shingle_set(ordered[place])
        for other in proposed:
            is_new = forest.root(other) != forest.root(place)
            if is_new and minhash.jaccard(mine, minhash.shingle_set(ordered[other]), threshold) >= threshold:
                forest.connect(other, place)
    numbers = [0] * len(texts)
    for place, original in enumerate(order):
        numbers[original] = order[forest.root(place)]
    return numbers


def _proposals(ordered: Sequence[str], threshold: float) -> list[list[int]]:
    """Return for each text the places of those before it that may match it, ascending."""
    if len(ordered) <= FEW:
        return [[*range(place)] for place in range(len(ordered))]
    keys = np.stack([*band_words(minhash.signatures(ordered), bands(threshold))], axis=1)
    found: list[list[int]] = [[] for _ in ordered]
    index: dict[int, list[int]] = {}
    is_shared = _stand_twice(keys)
    for place in np.flatnonzero(is_shared.any(axis=1)).tolist():
        mine = keys[place, is_shared[place]].tolist()
        proposed = {other for key in mine for other in index.get(key, ())}
        if len(proposed) < CROWDED:
            for key in mine:
                index.setdefault(key, []).append(place)
        found[place] = sorted(proposed)
    return found


def band_words(minima: npt.NDArray[np.uint32], chosen: Bands) -> Iterator[Words]:
    """Yield of each band a hash of the hash values that it has of each text; that of another band is another one."""
    for band in range(chosen.number):
        words = np.full(len(minima), band, np.uint64)
        for column in range(band * chosen.rows, (band + 1) * chosen.rows):
            words = minhash.mixed(words ^ minima[:, column].astype(np.uint64))
        yield words


def _stand_twice(keys: Words) -> npt.NDArray[np.bool_]:
    """Return which of some numbers are not the only ones of their kind."""
    flat = keys.reshape(-1)
    order = np.argsort(flat)
    same = np.r_[False, flat[order[1:]] == flat[order[:-1]], False]
    found = np.zeros(len(flat), np.bool_)
    found[order] = same[1:] | same[:-1]
    return found.reshape(keys.shape)
