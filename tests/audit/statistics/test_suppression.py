"""Small cells: none is shown, and none follows from what is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.audit.statistics import suppression


def test_rows_of_few_pairs_are_summed_up() -> None:
    assert suppression.shown([{"FR": 50, "GB": 40, "IS": 6, "MT": 5}], [101]) == [{"FR", "GB"}]


def test_a_single_row_does_not_follow_from_the_total() -> None:
    assert suppression.shown([{"FR": 50, "GB": 40, "IS": 6}], [96]) == [{"FR"}]
    assert suppression.shown([{"FR": 50, "GB": 40}], [90]) == [{"FR", "GB"}]
    # What is not listed hides it as well as another row would.
    assert suppression.shown([{"FR": 50, "GB": 40, "IS": 6}], [196]) == [{"FR", "GB"}]


def test_a_few_that_were_lost_do_not_follow_from_two_tables() -> None:
    before, after = {"FR": 90, "GB": 80, "DE": 70}, {"FR": 90, "GB": 77, "DE": 40}
    assert suppression.shown([before, after], [240, 207]) == [{"FR", "GB", "DE"}, {"FR"}]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8))
def test_no_difference_of_what_is_shown_is_small(drawn: list[tuple[int, int]]) -> None:
    before = {str(place): size for place, (size, _) in enumerate(drawn) if size}
    after = {str(place): min(size, left) for place, (size, left) in enumerate(drawn) if min(size, left)}
    tables = [before, after]
    totals = [sum(table.values()) for table in tables]
    found = suppression.shown(tables, totals)
    rests = []
    for table, some, total in zip(tables, found, totals, strict=True):
        rest = total - sum(table[name] for name in some)
        rests.append(rest)
        assert all(table[name] >= suppression.LEAST for name in some)
        assert rest == 0 or not some or rest >= suppression.LEAST
        hidden = set(table) - some
        assert not some or len(hidden) != 1
    for name in found[0] & found[1]:
        assert not 0 < before[name] - after[name] < suppression.LEAST
    if found[1]:
        assert not 0 < abs(rests[0] - rests[1]) < suppression.LEAST
