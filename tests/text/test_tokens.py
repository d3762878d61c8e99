"""Tokens: nothing is lost of a text, and what is told by tokens is what the text tells."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.text import language
from pmd.text.tokens import Pattern, Tokens

_PIECES = st.sampled_from(
    [
        "a",
        "B",
        "ß",
        "é",
        "É",
        "1",
        "23",
        "'",
        "’",
        "-",
        "_",
        ".",
        "@",
        " ",
        "  ",
        "\t",
        "\x00",
        "\x85",
        "\u2028",
        "\u00a0",
        "\u00ad",
        "\ufffe",
        "</s>",
        "ö",
        "Ö",
    ]
)
_TEXTS = st.lists(st.lists(_PIECES, max_size=8).map("".join), max_size=6)


def _of(texts: list[str]) -> Tokens:
    return Tokens.of(pa.array(texts, pa.string()))


def _all(tokens: Tokens) -> list[str]:
    return list(tokens.joined(np.arange(len(tokens))).to_pylist())


def test_by_hand() -> None:
    tokens = Tokens.of(pa.array(["a dog  a", None, "", "dog"]))
    assert tokens.dictionary.to_pylist() == ["a", "dog", ""]
    assert tokens.codes.tolist() == [0, 1, 2, 0, 2, 2, 1]
    assert tokens.lengths.tolist() == [4, 1, 1, 1]
    assert tokens.starts.tolist() == [0, 4, 5, 6]
    assert tokens.rows.tolist() == [0, 0, 0, 0, 1, 2, 3]
    assert tokens.having(np.array([False, True, False])).tolist() == [True, False, False, True]
    assert tokens.united(np.array([1, 2, 4], np.uint8)).tolist() == [7, 4, 4, 2]
    assert tokens.matching(Pattern("^a$", "^a$")).tolist() == [True, False, False, False]
    assert tokens.summed(np.array([1, 10, 100])).tolist() == [112, 100, 100, 10]


@settings(max_examples=50)
@given(_TEXTS, _TEXTS, _TEXTS)
def test_a_slice_of_a_column_is_cut_as_its_own_column(before: list[str], texts: list[str], behind: list[str]) -> None:
    column = pa.array([*before, *texts, None, *behind], pa.string())
    sliced, alone = Tokens.of(column.slice(len(before), len(texts) + 1)), _of([*texts, ""])
    assert sliced.dictionary.equals(alone.dictionary)
    assert sliced.codes.tolist() == alone.codes.tolist()
    assert sliced.lengths.tolist() == alone.lengths.tolist()


def test_tokens_may_be_long_and_many() -> None:
    texts = ["x" * 200_000 + " é" * 2, " ".join(map(str, range(100_000))), ""]
    tokens = _of(texts)
    assert _all(tokens) == texts
    assert len(tokens.dictionary) == 100_003
    assert tokens.matching(Pattern("^(é|99999)$", "^99999$")).tolist() == [True, True, False]


def test_of_no_texts() -> None:
    tokens = _of([])
    assert len(tokens) == 0
    assert tokens.matching(Pattern("a", "a")).tolist() == tokens.summed(np.zeros(0, np.int64)).tolist() == []
    assert _all(tokens) == _all(tokens.replaced(Pattern("a", "a"))) == []


@settings(max_examples=100)
@given(_TEXTS, st.data())
def test_some_texts_are_what_they_were(texts: list[str], data: st.DataObject) -> None:
    tokens = _of(texts)
    assert _all(tokens) == texts
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1)) if texts else st.just([]))
    some = tokens.only(np.array(rows, np.int64))
    assert _all(some) == [texts[row] for row in rows]
    assert sorted(some.dictionary.to_pylist()) == sorted({word for row in rows for word in texts[row].split(" ")})


def test_all_texts_are_the_same() -> None:
    tokens = _of(["a b", "c"])
    assert tokens.only(np.arange(2)) is tokens
    assert _all(tokens.only(np.array([1, 0]))) == ["c", "a b"]


def test_a_token_that_stands_twice_in_a_dictionary_is_one() -> None:
    tokens = Tokens.of_codes(np.array([3, 1, 0], np.int32), np.array([2, 1]), pa.array(["x", "y", "z", "x"]))
    assert tokens.dictionary.to_pylist() == ["x", "y"]
    assert _all(tokens) == ["x y", "x"]


def test_none_one_or_more_may_stand_in_place_of_a_token() -> None:
    tokens = _of(["a b", "c", "b b"])
    values, number = tokens.in_place(np.array([0, 1, 1]), np.array([5, 6, 7]))
    assert values.tolist() == [5, 6, 7, 6, 7, 6, 7]
    assert number.tolist() == [1, 2, 0, 2, 2]


@settings(max_examples=200)
@given(_TEXTS)
def test_what_a_detector_is_asked_is_told_by_tokens(texts: list[str]) -> None:
    """One without the other would tell languages otherwise."""
    lines = language.readable(pa.array(texts, pa.string()))
    tokens = _of(texts).replaced(language._UNREADABLE_IN_TOKENS)
    assert _all(tokens) == lines.to_pylist()
    assert _all(language._cased_tokens(tokens)) == language._cased(lines).to_pylist()
    assert tokens.matching(language._LETTER_IN_TOKENS).tolist() == language._has_letters(lines).tolist()


@pytest.mark.parametrize("pattern", ["[0-9]+", "x", "[a-c]"])
def test_what_is_replaced_may_part_tokens(pattern: str) -> None:
    texts = ["a1b 2 c33", "", "7"]
    assert (
        _all(_of(texts).replaced(Pattern(pattern, pattern)))
        == pc.replace_substring_regex(pa.array(texts), pattern, " ").to_pylist()
    )
