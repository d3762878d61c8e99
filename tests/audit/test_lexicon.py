"""Gendered terms: words, longest terms, and the lists of the pinned package."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from pmd.audit import lexicon
from tests.audit.batches import WORDS


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("A Woman and a man", {"female", "male"}),
        ("the woman's hat", {"female"}),
        ("the woman’s hat", {"female"}),
        ("Mrs. Smith", {"female"}),
        ("my mother-in-law", {"female"}),
        ("a woman-sized hat, a snowman, humans", set()),
        ("the boys, not boys", {"male"}),
        ("boys", set()),
        ("gender non-conforming people", {"neutral"}),
        ("gender", set()),
        ("HE_SHE", {"male", "female"}),
        ("", set()),
        ("他 和 她", set()),
    ],
)
def test_mentions_are_whole_words(text: str, lists: set[str]) -> None:
    assert WORDS.mentions(text) == lists


def test_the_longest_term_wins_and_its_words_count_no_further() -> None:
    lists = lexicon.of({"male": ["man"], "neutral": ["man page"]})
    assert lists.mentions("a man page") == {"neutral"}
    assert lists.mentions("a man page for a man") == {"neutral", "male"}


def test_the_pinned_lists_are_read_without_importing_the_package() -> None:
    found = lexicon.load()
    assert isinstance(found, lexicon.Lexicon)
    assert dict(found.sha256) == {name: digest for name, (_, digest) in lexicon.LISTS.items()}
    # Different terms: the third file has 431 lines, of which some stand there twice.
    assert dict(found.sizes) == {"female": 258, "male": 257, "neutral": 416}
    assert found.mentions("An actress and her firefighter brother") == {"female", "male", "neutral"}
    assert "genbit" not in sys.modules
    assert "torch" not in sys.modules


def test_an_absent_package_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(lexicon.metadata, "distribution", missing)
    assert lexicon.load() == lexicon.Absent(
        "the package genbit is not installed", "pip install --no-deps genbit==2.2.0.0"
    )


def test_lists_of_another_version_are_not_taken_for_the_pinned_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "LISTS", {"female": (lexicon.LISTS["female"][0], "0" * 64)})
    found = lexicon.load()
    assert isinstance(found, lexicon.Absent)
    assert "is not that of genbit 2.2.0.0" in found.reason
