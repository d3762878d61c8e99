"""Which rows are shown: those with the smallest digests of seed and key, spread evenly over strata.

A digest of a row's own key decides, so the same ROOT and seed show the same rows on any machine, in any order of files,
and a row that is shown stays shown when others are added beside it. One pass; memory is bounded by what is kept.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from pmd.schema import keys

T = TypeVar("T")

#: What rows are spread over: (source,) or (source, reason).
Stratum = tuple[str, ...]


def rank(seed: int, pair_id: bytes) -> int:
    """Return a pair's place in the order in which rows are shown: smaller comes first."""
    return int.from_bytes(keys.digest("peek", str(seed), pair_id), "big")


class Smallest(Generic[T]):
    """Keeps the `size` items of smallest rank of each stratum.

    Args:
        size: How many each stratum keeps, 1 or more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._heaps: dict[Stratum, list[tuple[int, int, T]]] = {}
        self._order = 0

    def accepts(self, stratum: Stratum, place: int) -> bool:
        """Return whether an item of this rank would be kept, so that only such items need be made."""
        heap = self._heaps.get(stratum)
        return heap is None or len(heap) < self._size or place < -heap[0][0]

    def add(self, stratum: Stratum, place: int, item: T) -> None:
        """Keep an item that `accepts` has found near enough; the farthest one gives way."""
        heap = self._heaps.setdefault(stratum, [])
        self._order += 1
        entry = (-place, -self._order, item)  # largest rank on top; among equals the one that came last
        if len(heap) < self._size:
            heapq.heappush(heap, entry)
        else:
            heapq.heapreplace(heap, entry)

    def strata(self) -> dict[Stratum, list[T]]:
        """Return the items of each stratum, smallest first; strata in order of their names."""
        return {
            stratum: [item for _, _, item in sorted(self._heaps[stratum], key=lambda entry: entry[:2], reverse=True)]
            for stratum in sorted(self._heaps)
        }


def spread(strata: Mapping[Stratum, Iterable[T]], wanted: int) -> list[T]:
    """Take items in turn from the strata until there are enough, or none is left.

    The next turn is that of the stratum that had fewest; among equals, of the one whose parts (its source, its reason) had
    fewest in all; then of the first by name. So where there are more strata than items wanted, all sources and all reasons
    still have their share.

    Args:
        strata: Items of each stratum, in the order in which they are to be taken; read no further than is needed.
        wanted: How many to take.

    Returns:
        The items, in order of their turns.
    """
    left: dict[Stratum, Iterator[T]] = {stratum: iter(items) for stratum, items in strata.items()}
    taken: Counter[Stratum] = Counter()
    of_parts: Counter[tuple[int, str]] = Counter()
    found: list[T] = []
    while left and len(found) < wanted:
        turn = min(
            left, key=lambda stratum: (taken[stratum], sum(of_parts[part] for part in enumerate(stratum)), stratum)
        )
        try:
            found.append(next(left[turn]))
        except StopIteration:
            del left[turn]
            continue
        taken[turn] += 1
        of_parts.update(enumerate(turn))
    return found
