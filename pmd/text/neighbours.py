"""Near-duplicate texts: datasketch chooses bands and proposes, the sets of shingles decide.

Two texts match where the Jaccard similarity of their sets of shingles reaches a threshold. `MinHashLSH` cuts their hash
values into bands, and proposes those that agree in one; what it proposes is compared set with set, so that no chance brings
strangers together. A missed match is lost and a stranger costs one comparison: hence the weights that datasketch chooses by.
At .8 it takes 16 bands of 8, which propose .947 of the pairs at .8 and .996 of those at .86.

`groups` holds all texts in one process, for the audit; a whole build has its own way with the same bands
(`pmd.dedupe.near_texts`). datasketch is imported late: it brings scipy, a second or more of start. Where there are few texts,
each is compared with each, and it is not needed.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Final

from pmd.forest import Forest
from pmd.text import minhash

#: How much a stranger that is proposed and a match that is missed count when bands are chosen.
WEIGHTS: Final = (0.05, 0.95)

#: Texts proposed to one, from which on it is not put into the index: the time would grow with the square of those that share
#: a band. It is compared with those that are there.
CROWDED: Final = 32

#: Texts of which each is compared with each: that takes less than reading datasketch in.
FEW: Final = 32


@dataclasses.dataclass(frozen=True)
class Bands:
    """How hash values are cut: `number` bands of `rows` each, less than `minhash.PERMUTATIONS` together."""

    number: int
    rows: int


@functools.cache
def bands(threshold: float) -> Bands:
    """Return the bands that datasketch chooses for a threshold (from .6 to .95: above, it finds no two)."""
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
    import datasketch

    index = datasketch.MinHashLSH(num_perm=minhash.PERMUTATIONS, params=dataclasses.astuple(bands(threshold)))
    found = []
    for place, values in enumerate(minhash.signatures(ordered)):
        sketch = datasketch.LeanMinHash(seed=minhash.SEED, hashvalues=values, scheme=minhash.SCHEME)
        proposed = index.query(sketch)
        if len(proposed) < CROWDED:
            index.insert(place, sketch, check_duplication=False)
        found.append(sorted(proposed))
    return found
