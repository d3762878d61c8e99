"""Which of many numbered rows are connected, given pairs of them: union-find, of one row or of whole columns at once.

Near-duplicate pictures and near-duplicate texts are grouped by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.integer[Any]]


class Forest:
    """Which rows are connected: each row's parent, which has a smaller number or is itself; five bytes a row."""

    def __init__(self, count: int) -> None:
        self._parent: Numbers = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
        #: Whether a row is connected to another.
        self.joined = np.zeros(count, bool)

    def roots(self, rows: Numbers) -> Numbers:
        """Return the smallest row of each row's component."""
        found: Numbers = self._parent[rows]
        while True:
            further: Numbers = self._parent[found]
            if np.array_equal(further, found):
                break
            found = further
        self._parent[rows] = found
        return found

    def root(self, row: int) -> int:
        """Return the smallest row of one row's component."""
        parent = self._parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    def connect(self, one: int, other: int) -> None:
        """Connect one pair."""
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first
        self.joined[[one, other]] = True

    def join(self, one: Numbers, other: Numbers) -> None:
        """Connect pairs."""
        self.joined[one] = True
        self.joined[other] = True
        while True:
            one, other = self.roots(one), self.roots(other)
            apart = one != other
            if not apart.any():
                return
            one, other = one[apart], other[apart]
            hung = np.maximum(one, other)
            np.minimum.at(self._parent, hung, np.minimum(one, other))
            while True:
                parent = self._parent[hung]
                further = self._parent[parent]
                if np.array_equal(further, parent):
                    break
                self._parent[hung] = further
