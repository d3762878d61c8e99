"""Large rows that hardly changed: they are shown as they were, and nothing small follows from it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.audit.figures import steps
from pmd.audit.statistics import suppression


def test_a_large_row_that_hardly_changed_is_shown_as_it_was() -> None:
    tables = [
        {"FR": 5000, "GB": 190, "DE": 800, "IT": 300},
        {"FR": 4996, "GB": 188, "DE": 500, "IT": 300},
        {"FR": 4989, "GB": 150, "DE": 400, "IT": 300},
    ]
    totals = [sum(table.values()) for table in tables]
    assert "FR" not in suppression.shown(tables, totals)[1]
    # Were Germany's second number told, it would follow that all others lost six together.
    assert suppression.told(tables, totals) == [
        {"FR": 5000, "GB": 190, "DE": 800, "IT": 300},
        {"FR": 5000},
        {"FR": 4989, "GB": 150, "DE": 400, "IT": 300},
    ]


def test_what_is_left_in_the_end_is_exact_and_so_not_marked() -> None:
    """The last stage is asked before those between: one of these is given as the last, and not the other way round."""
    tables = [{"FR": 5000, "DE": 800}, {"FR": 4706, "DE": 500}, {"FR": 4700, "DE": 400}]
    told = suppression.told(tables, [sum(table.values()) + 90 for table in tables], suppression.order(3))
    assert [table["FR"] for table in told] == [5000, 4700, 4700]
    assert suppression.as_they_were(told, suppression.order(3)) == [set(), {"FR"}, set()]
    values = {"country": told}
    totals = {"country": [sum(table.values()) + 90 for table in tables]}
    one = steps.Source(("curate", "dedupe", "shard"), totals["country"], values, totals, 0.0)
    assert one.as_before("country", "dedupe") == {"FR": "shard"}
    assert one.as_before("country", "shard") == one.as_before("country", "curate") == {}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 30)), max_size=8))
def test_nothing_small_follows_from_rows_that_are_as_they_were(drawn: list[tuple[int, int]]) -> None:
    before = {str(place): size for place, (size, _) in enumerate(drawn) if size}
    after = {str(place): size - lost for place, (size, lost) in enumerate(drawn) if size > lost}
    totals = [sum(before.values()), sum(after.values())]
    tables = suppression.told([before, after], totals)
    rests = [total - sum(table.values()) for table, total in zip(tables, totals, strict=True)]
    assert tables[0].items() <= before.items()
    for name in set(tables[0]) & set(tables[1]):
        assert not 0 < tables[0][name] - tables[1][name] < suppression.LEAST
    for name, pairs in tables[1].items():
        assert abs(pairs - after[name]) <= 0.05 * before[name]
        assert pairs == after[name] or tables[0][name] == pairs, "it is as it was shown"
    if tables[1]:
        assert rests[1] >= suppression.LEAST or tables[1] == after
        assert not 0 < abs(rests[0] - rests[1]) < suppression.LEAST
