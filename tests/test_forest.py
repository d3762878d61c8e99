from __future__ import annotations

import numpy as np

from pmd.forest import Forest


def test_components_are_those_of_a_plain_search() -> None:
    random = np.random.default_rng(3)
    one, other = random.integers(0, 300, 200), random.integers(0, 300, 200)
    # A chain in one go, and against the order of its rows.
    one, other = np.r_[one, np.arange(300, 400)], np.r_[other, np.arange(301, 401)]
    expected = list(range(401))
    for _ in range(401):
        for i, j in zip(one.tolist(), other.tolist(), strict=True):
            expected[i] = expected[j] = min(expected[i], expected[j])
    for pairs in ((one, other), (other[::-1], one[::-1])):
        forest = Forest(401)
        forest.join(*pairs)
        assert forest.roots(np.arange(401)).tolist() == expected
    forest = Forest(401)
    for i, j in zip(one.tolist(), other.tolist(), strict=True):
        forest.connect(i, j)
    assert [forest.root(row) for row in range(401)] == expected
    assert np.flatnonzero(forest.joined).tolist() == sorted({*one.tolist(), *other.tolist()})
