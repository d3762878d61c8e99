"""The end of a fetch, in words."""

from __future__ import annotations

import pytest

from pmd.errors import NetworkError
from pmd.fetch import summary
from pmd.store.commits import Books


def test_a_line_a_source_and_what_to_do_next() -> None:
    books = {"wit": Books(2, {"timeout": 1, "dead": 7}), "coco": Books(5), "sbu_captions": Books(0, {"dns": 3})}
    assert summary.lines(books) == [
        "coco          5 of 5 pairs have their image (100.0 %)",
        "sbu_captions  0 of 3 pairs have their image (0.0 %); not: 3 dns",
        "wit           2 of 10 pairs have their image (20.0 %); not: 7 dead, 1 timeout",
        "4 pairs may fare better another day: pmd fetch CONFIG --retry",
    ]
    summary.check(books, {})
    assert summary.lines({"coco": Books(0, {"timeout": 1})})[-1].startswith("1 pair may fare better")


def test_nothing_to_do_where_all_is_settled() -> None:
    assert summary.lines({}) == []
    assert summary.lines({"coco": Books(0, {"dead": 1})}) == [
        "coco  0 of 1 pair has its image (0.0 %); not: 1 dead",
    ]
    for books in ({}, {"coco": Books(0, {"dead": 1, "dns": 4})}, {"coco": Books(1, {"dns": 4})}, {"coco": Books()}):
        summary.check(books, {})


def test_images_that_stay_open_are_no_success_whatever_was_had_before() -> None:
    with pytest.raises(NetworkError, match="no image could be reached") as raised:
        summary.check({"coco": Books(9, {"not_fetched": 7})}, {"dns": 2, "timeout": 5})
    assert raised.value.found == "nothing was settled: 7 images stay open (5 timeout, 2 dns)"


def test_no_host_reached_is_no_success() -> None:
    with pytest.raises(NetworkError, match="no image could be reached") as raised:
        summary.check({"coco": Books(0, {"connection": 4}), "wit": Books(0, {"dns": 1, "connection": 1})}, {})
    assert raised.value.exit_code == 6
    assert raised.value.found == "5 pairs: connection, 1 pair: dns"
