"""Sums over clusters: equal however the clusters are dealt out, and no cluster can be told from them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.audit.statistics import clusters


def test_sums_by_hand() -> None:
    found = clusters.of(np.array([2, 3, 2, 0]), {"term": np.array([1, 3, 2, 0]), "none": np.zeros(4, dtype=np.int64)})
    assert found.sizes.tolist() == [2, 3]
    assert found.units.tolist() == [2, 1]
    assert (found.first["term"].tolist(), found.second["term"].tolist()) == ([3, 3], [5, 9])
    assert (found.pairs, found.clusters, found.having("term"), found.having("absent")) == (7, 3, 6, 0)
    assert clusters.rows(found).to_pylist() == [
        {"property": "", "size": 2, "units": 2, "first": 0, "second": 0},
        {"property": "", "size": 3, "units": 1, "first": 0, "second": 0},
        {"property": "term", "size": 2, "units": 0, "first": 3, "second": 5},
        {"property": "term", "size": 3, "units": 0, "first": 3, "second": 9},
    ]


def test_no_clusters_have_no_sums() -> None:
    empty = clusters.of(np.zeros(2, dtype=np.int64), {"term": np.zeros(2, dtype=np.int64)})
    assert (empty.pairs, empty.clusters) == (0, 0)
    assert clusters.rows(empty).num_rows == 0
    assert clusters.alike(0, {}).clusters == 0


def _merged(parts: list[clusters.Sums]) -> clusters.Sums:
    return clusters.from_rows(pa.concat_tables([clusters.rows(part) for part in parts]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), max_size=40), st.integers(1, 5))
def test_sums_do_not_depend_on_how_clusters_are_dealt_out(drawn: list[tuple[int, int]], parts: int) -> None:
    sizes = np.array([size for size, _ in drawn], dtype=np.int64)
    having = np.array([min(size, some) for size, some in drawn], dtype=np.int64)
    whole = clusters.rows(_merged([clusters.of(sizes, {"term": having})]))
    dealt = [clusters.of(sizes[place::parts], {"term": having[place::parts]}) for place in range(parts)]
    for order in (dealt, dealt[::-1]):
        assert clusters.rows(_merged(order)).equals(whole)


def test_a_table_of_many_users_has_few_rows() -> None:
    sizes = np.minimum(np.random.default_rng(1).zipf(2.0, 200_000), 5000)
    rows = clusters.rows(clusters.of(sizes, {"term": sizes // 2}))
    assert rows.num_rows < 2 * np.sqrt(2 * sizes.sum())
    assert rows.schema == clusters.ROWS
    assert isinstance(rows, pa.Table)


def test_clusters_that_have_a_property_may_be_given_alone() -> None:
    sizes, having = np.array([2, 3, 0, 2]), np.array([1, 0, 0, 2])
    some = clusters.Having(np.array([0, 3]), np.array([1, 2]))
    assert clusters.rows(clusters.of(sizes, {"term": some})).equals(clusters.rows(clusters.of(sizes, {"term": having})))
    stages = clusters.Having(np.array([0, 3]), np.array([[2, 1], [2, 2]]))
    assert stages.after(1).pairs.tolist() == [1, 2]
    assert stages.after(0, 1).pairs.tolist() == [[2, 1], [2, 2]]
