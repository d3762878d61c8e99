"""Lists of earlier versions lack columns: they are still read, compared, and fetched against."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

import pmd
from pmd.errors import InputError
from pmd.inspection.diff import diff
from pmd.publish import lists
from pmd.publish import rules as publish_rules
from tests.publish.test_rules import ASKED_FOR_ALL, WIT, fates_of, pair, pairs_of


@pytest.fixture
def paths(tmp_path: Path) -> tuple[str, str]:
    """A list of today, and the same of an earlier version."""
    table = publish_rules.rows(pairs_of(pair("a"), pair("b")), fates_of("a", "b"), WIT, ASKED_FOR_ALL)
    now, then = tmp_path / "now.parquet", tmp_path / "then.parquet"
    pq.write_table(table, now)
    pq.write_table(table.drop_columns(list(publish_rules.LATER)), then)
    return str(now), str(then)


def test_what_a_list_lacks_is_null(paths: tuple[str, str]) -> None:
    now, then = paths
    lists.check(then)
    (batch,) = lists.iterate(then)
    assert batch.schema.names == publish_rules.PUBLISHED.names
    assert all(batch[name].null_count == 2 for name in publish_rules.LATER)
    (some,) = lists.iterate(then, {"status", "sha256"})
    assert some.schema.names == ["status", "sha256"]
    loaded = [pmd.load(path).published.select(["status", "pair_id"]).head(9).to_pylist() for path in (then, now)]
    assert [[row["status"] for row in rows] for rows in loaded] == [[None, None], ["ok", "ok"]]


def test_it_is_the_same_list_in_what_both_have(paths: tuple[str, str]) -> None:
    assert diff(*paths, limit=3)["equal"]


def test_a_list_lacks_nothing_that_every_version_has(paths: tuple[str, str]) -> None:
    table = pq.read_table(paths[1]).drop_columns(["sha256"])
    pq.write_table(table, paths[1])
    with pytest.raises(InputError, match="not a list that pmd publish wrote"):
        lists.check(paths[1])
