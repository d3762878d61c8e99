"""Units in groups: by their first size, and by the country of most of their photographs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pmd.audit.statistics import clusters, groups


def _told(table: object) -> dict[tuple[str, int], tuple[int, int]]:
    rows = table.to_pylist()  # type: ignore[attr-defined]
    return {(row["group"], row["class"]): (row["pairs"], row["units"]) for row in rows}


def _having(pairs: dict[str, NDArray[np.int64]]) -> dict[str, clusters.Having]:
    """Return of each country the units that have pairs in it at first, as the audit gives them."""
    some = {name: np.flatnonzero(counts[:, 0]) for name, counts in pairs.items()}
    return {name: clusters.Having(some[name], counts[some[name]]) for name, counts in pairs.items()}


def test_units_stay_in_the_group_of_their_first_size() -> None:
    pairs = np.array([[1, 0], [9, 9], [10, 1], [1500, 900], [2, 2]])
    assert _told(groups.by_size(pairs)) == {
        ("1", 0): (1, 1),
        ("2–9", 0): (11, 2),
        ("2–9", 1): (11, 2),
        ("10–99", 0): (10, 1),
        ("10–99", 1): (1, 1),
        ("1,000+", 0): (1500, 1),
        ("1,000+", 1): (900, 1),
    }


def test_a_user_counts_once_where_most_of_their_photographs_are() -> None:
    ids = np.array([1, 2, 3], dtype=np.uint64)
    having = {
        "DE": np.array([[3, 0], [1, 1], [0, 0]]),
        "FR": np.array([[1, 1], [2, 2], [0, 0]]),
    }
    assert _told(groups.by_country(ids, _having(having))) == {
        ("DE", 0): (4, 1),
        ("FR", 0): (3, 1),
        ("FR", 1): (4, 2),  # what is left of the first user's photographs is in France
    }


def test_no_country_wins_a_tie_by_its_name() -> None:
    ids = np.arange(4000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    ones = np.ones((4000, 1), dtype=np.int64)
    found = _told(groups.by_country(ids, _having({"AA": ones, "MM": ones, "ZZ": ones})))
    assert sum(units for _, units in found.values()) == 4000
    assert all(1200 < units < 1470 for _, units in found.values())
    again = _told(groups.by_country(ids[::-1], _having({"ZZ": ones, "MM": ones, "AA": ones})))
    assert again == found


def test_nothing_has_no_groups() -> None:
    nobody = np.zeros((0, 6), dtype=np.int64)
    assert groups.by_size(nobody).num_rows == 0
    assert groups.by_country(np.zeros(0, dtype=np.uint64), {}).num_rows == 0
