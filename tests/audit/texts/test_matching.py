"""The native matcher finds what the plain one finds, and nothing else; and words are the same however they are cut."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.audit.texts import lexicon, matching, vocabulary, words
from pmd.text.tokens import Tokens
from tests.audit import plain_matcher
from tests.audit.batches import WORDS

_PIECES = st.sampled_from(
    [
        *(
            "woman",
            "Man",
            "the",
            "boys",
            "trans",
            "king",
            "size",
            "mother-in-law",
            "he'll",
            "she\u2019d",
            "it's",
            "'s",
            "'ll ",
        ),
        *(
            "'",
            "-",
            "--",
            " ",
            "  ",
            "_",
            ",",
            "\n",
            "\u2011",
            "\u00ad",
            "\u00a0",
            "\u2028",
            "\x00",
            "\x1c",
            "\x85",
            "´",
            "ŉ",
            "\u0301",
            "x",
            "7",
            "é",
            "ß",
            "İ",
            "他",
            "K",
            "ﬁ",
        ),
        *("baby", "shower", "fire", "hydrant", "doctor", "<PERSON>"),
    ]
)
KNOWN = vocabulary.of(lexicon.of({"female": [" ".join(term) for term in WORDS.terms]}, lexicon.changes()[0]))
_TEXTS = st.lists(st.lists(_PIECES, max_size=9).map("".join), max_size=6)


def _tokens(texts: list[str]) -> Tokens:
    return Tokens.of(pa.array(texts, pa.string()))


def _words(texts: list[str]) -> list[list[str]]:
    found = words.split(_tokens(texts))
    lists: list[list[str]] = [[] for _ in texts]
    for row, word in zip(found.rows.tolist(), found.values.to_pylist(), strict=True):
        lists[row].append(word)
    return lists


@settings(max_examples=100, deadline=None)
@given(_TEXTS)
def test_words_are_cut_alike(texts: list[str]) -> None:
    assert _words(texts) == [words.plain(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("He'll, she\u2019d; they\u02bcve", ["he", "she", "they"]),
        ("the women's and men\u2019s", ["the", "women", "and", "men"]),
        ("ma'am o'clock mother\u2010in\u2011law", ["ma'am", "o'clock", "mother-in-law"]),
        ("a--b c' 'd -e- x'y'", ["a", "b", "c", "d", "e", "x'y"]),
        ("HE_SHE wo\u00adman", ["he", "she", "woman"]),
        ("", []),
        (
            "<PERSON>'s wife, King <PERSON> size (<person>) a person",
            ["0", "wife", "king", "0", "size", "0", "a", "person"],
        ),
    ],
)
def test_words_by_hand(text: str, found: list[str]) -> None:
    assert words.plain(text) == found
    assert _words([text]) == [found]


@settings(max_examples=100, deadline=None)
@given(_TEXTS)
def test_the_native_matcher_finds_what_the_plain_one_finds(texts: list[str]) -> None:
    found = matching.Matcher.of(KNOWN.groups).find(words.split(_tokens(texts)))
    mine = [set(found.terms[found.rows == row].tolist()) for row in range(len(texts))]
    assert mine == [set().union(*(plain_matcher.numbers(group, text) for group in KNOWN.groups)) for text in texts]


def test_groups_do_not_hinder_each_other() -> None:
    one, other = matching.Forms({("hot", "dog"): 0}), matching.Forms({("dog",): 1, ("dog", "days"): matching.NONE})
    found = matching.Matcher.of([one, other]).find(words.split(_tokens(["a hot dog", "hot dog days", "dog"])))
    assert list(zip(found.rows.tolist(), found.terms.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0), (2, 1)]


def test_every_file_of_terms_is_whole() -> None:
    """No form stands twice in a group, each exception has a term in it, and each file says where it comes from."""
    for name in vocabulary.FILES:
        group = vocabulary.group(name)
        assert group.source
        assert group.licence
        assert len({term.name for term in group.terms}) == len(group.terms), name
        single = {form: number for form, number in group.forms.items() if number != matching.NONE}
        assert set(single.values()) == set(range(len(group.terms))), name
        for form in set(group.forms) - set(single):
            assert plain_matcher.found(single, " ".join(form)), (name, form)
