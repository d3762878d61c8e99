"""What `pmd diff` shows of two sides: the part in which they differ, and no difference that is only an option's name."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.inspection import diff
from pmd.inspection.diff import details, excerpts


def test_long_texts_are_shown_where_they_differ() -> None:
    same = "the same words again and again, " * 20
    one, other = excerpts.around(f"{same}cat and so on{same}", f"{same}dog and so on{same}")
    assert "again, cat and so on" in one
    assert "again, dog and so on" in other
    assert one.startswith("…")
    assert one.endswith("…")


@given(st.text(), st.text(), st.text(), st.integers(20, 200))
def test_what_differs_is_never_shown_alike(before: str, one: str, other: str, repeats: int) -> None:
    a, b = before * repeats + one, before * repeats + other
    shown = excerpts.around(a, b)
    assert (shown[0] == shown[1]) == (a == b)
    assert all(len(text) <= excerpts.SHOWN for text in shown)


def test_short_texts_are_whole() -> None:
    assert excerpts.around("a cat", "a dog") == ("a cat", "a dog")
    assert excerpts.cut("x" * 500) == "x" * 159 + "…"


WIT = details.choices(["wit"])


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("reference: 0 words; attribution: 3 words", "reference: 0 words; attribution_english: 3 words", True),
        ("attribution: 3 words; reference: 0 words", "reference: 0 words; attribution_english: 3 words", True),
        ("reference: 0 words; attribution: 3 words", "reference: 0 words; attribution_english: 0 words", False),
        ("reference: 0 words; attribution: 3 words", "reference: 3 words; attribution: 0 words", False),
        ("expected 2 fields, found 1", "expected 2 fields, found 3", False),
        ("language 'de'", "language 'es'", False),
    ],
)
def test_a_detail_is_compared_without_the_names_of_options(one: str, other: str, alike: bool) -> None:
    first, second = details.without_options(pa.array([one, other]), WIT).to_pylist()
    assert (first == second) == alike


def test_details_may_be_missing() -> None:
    assert details.without_options(pa.array([None, "x"], pa.string()), WIT).to_pylist() == [None, "x"]
    assert details.without_options(pa.array([], pa.string()), WIT).to_pylist() == []
    assert details.choices(["a source whose reader is not here"]) == frozenset()


def shown(what: str, a: dict[str, Any], b: dict[str, Any]) -> str:
    example = {
        "what": what,
        "source": "s",
        "source_id": "1",
        "pair_id": "0" * 32,
        "from": "kept",
        "to": "kept",
        "a": a,
        "b": b,
    }
    lists = ("stages", "fared", "moved", "changed", "only_in", "not_compared", "near_texts", "outputs", "options")
    nothing: dict[str, Any] = {name: [] for name in lists}
    return diff.render(
        {
            **nothing,
            "a": "A",
            "b": "B",
            "kind": "roots",
            "equal": False,
            "pairs": 1,
            "images": None,
            "examples": [example],
        }
    )


def test_other_fields_are_shown_by_name() -> None:
    a = {"text": "x", "fields": {"split": "train", "meta.user": None}}
    b = {"text": "x", "fields": {"split": "test", "meta.user": 7}}
    said = shown("rest", a, b)
    assert "      A: split: train\n      B: split: test\n" in said
    assert "      A: meta.user: nothing\n      B: meta.user: 7" in said


def test_a_row_that_one_side_rejected_shows_its_place_and_what_stands_there() -> None:
    said = shown(
        "fate", {"text": "a cat"}, {"detail": "Karpathy val", "where": "x.tsv:line 7", "upstream": "a cat\thttp://x"}
    )
    assert "      A: a cat\n      B: Karpathy val; x.tsv:line 7\n         the row there: a cat\\thttp://x" in said


def test_a_row_whose_file_is_not_there_says_so() -> None:
    said = shown("fate", {"text": "a cat"}, {"where": "x.tsv:line 7", "unread": "no file /p/x.tsv"})
    assert "      B: x.tsv:line 7\n         the row there: not read: no file /p/x.tsv" in said
