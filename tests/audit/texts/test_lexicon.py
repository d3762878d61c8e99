"""Gendered terms: longest terms, the lists of the pinned package, and what is changed of them."""

from __future__ import annotations

import re
import sys
from importlib import metadata

import pytest

from pmd.audit.report import missing
from pmd.audit.texts import lexicon, words
from tests.audit.batches import WORDS
from tests.audit.plain_matcher import mentions


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
    assert mentions(WORDS, text) == lists


def test_the_longest_term_wins_and_its_words_count_no_further() -> None:
    lists = lexicon.of({"male": ["man"], "neutral": ["man page"]})
    assert mentions(lists, "a man page") == {"neutral"}
    assert mentions(lists, "a man page for a man") == {"neutral", "male"}


@pytest.fixture(scope="module")
def pinned() -> lexicon.Lexicon:
    found = lexicon.load()
    assert isinstance(found, lexicon.Lexicon)
    return found


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("a male lion and two female ducks", set()),
        ("a mother duck with a boy", {"male"}),
        ("a mother with her duck", {"female"}),
        ("Wonder Woman meets Iron Man", set()),
        ("a pretty woman in red", {"female"}),
        ("the Golden Girls and the Beach Boys", set()),
        ("boyfriend jeans, cowboy boots and a man bun", set()),
        ("my boyfriend wears jeans", {"male"}),
        ("Martin Luther King", set()),
        ("the king of hearts and the king", {"male"}),
        ("HDMI male-to-female extension, RJ45 female jack", set()),
        ("USB male to female adapter cable", set()),
        ("a male-to-female transgender dancer", {"female"}),
        ("a female black bear and a male bald eagle", set()),
        ("a female with a black bear", {"female"}),
        ("Female northern cardinal", set()),
        ("a king bedroom set and a queen bedspread", set()),
        ("a craftsman style house", set()),
        ("BMW 6 Series Gran Coupé", set()),
        ("A-Line princess dress, princess cut diamond", set()),
        ("a girl in a princess dress", {"female"}),
        ("Port-au-Prince and Port au Prince", set()),
        ("eau de toilette pour homme", {"male"}),
        ("eau de toilette pour femme", {"female"}),
    ],
)
def test_works_animals_and_clothes_are_passed_over(pinned: lexicon.Lexicon, text: str, lists: set[str]) -> None:
    assert mentions(pinned, text) - {"neutral"} == lists


@pytest.mark.parametrize(
    "text",
    [
        "two man caves and a king suite",
        "male kestrels, female goldfinches and mother hippos",
        "queen duvets and king pillows",
        "bachelor pads of sister companies",
        "HDMI male to female extenders",
        "a male chimpanzee with a female puppy",
    ],
)
def test_several_of_a_thing_are_passed_over_as_one_is(pinned: lexicon.Lexicon, text: str) -> None:
    assert mentions(pinned, text) == set()


@pytest.mark.parametrize(
    "text", ["baby shower cake", "a baby grand piano", "kids' menu", "young adult novels", "Kid Rock, adults only"]
)
def test_things_that_are_named_after_babies_and_children_are_no_people(pinned: lexicon.Lexicon, text: str) -> None:
    assert mentions(pinned, text) == set()


def test_young_animals_are_no_neutral_people(pinned: lexicon.Lexicon) -> None:
    assert mentions(pinned, "a baby elephant and a baby penguin") == set()
    assert mentions(pinned, "an infant chimpanzee and newborn puppies") == set()
    assert mentions(pinned, "the child plays with a newborn") == {"neutral"}
    assert mentions(pinned, "a baby and an elephant") == {"neutral"}


def test_the_pinned_lists_are_read_without_importing_the_package(pinned: lexicon.Lexicon) -> None:
    assert {name: pinned.sha256[name] for name in lexicon.LISTS} == {
        name: digest for name, (_, digest) in lexicon.LISTS.items()
    }
    assert set(pinned.sizes) == {"female", "male", "neutral"}
    assert mentions(pinned, "A waitress and her firefighter brother") == {"female", "male", "neutral"}
    assert "genbit" not in sys.modules
    assert "torch" not in sys.modules


def test_every_change_does_something() -> None:
    """A term that is dropped was there, one that is added was not, and an exception keeps a term from counting."""
    changed, _ = lexicon.changes()
    package = metadata.distribution(lexicon.PACKAGE)
    lines = {
        name: package.locate_file(path).read_text(encoding="utf-8").splitlines()  # type: ignore[attr-defined]
        for name, (path, _) in lexicon.LISTS.items()
    }
    plain = lexicon.of(lines).terms
    assert changed.drop <= set(plain)
    pinned = lexicon.load()
    assert isinstance(pinned, lexicon.Lexicon)
    counting = lexicon.Lexicon({term: names for term, names in pinned.terms.items() if names}, {}, {})
    for term in sorted(changed.exceptions):
        assert mentions(counting, " ".join(term)), term
        assert not mentions(pinned, " ".join(term)), term
    for name, added in changed.add.items():
        for term in added:
            assert name in pinned.terms[tuple(words.plain(term))], term
            assert tuple(words.plain(term)) in changed.drop or name not in plain.get(tuple(words.plain(term)), ()), term


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ("He'll be there", {"male"}),
        ("he’d go", {"male"}),
        ("she'd go", {"female"}),
        ("SHE’LL SING", {"female"}),
        ("mens shoes", {"male"}),
        ("men's shoes", {"male"}),
        ("womens shoes", {"female"}),
        ("the boys' room", {"male"}),
        ("two guys on a bench", {"male"}),
        ("hey guys, look", set()),
        ("king size bed", set()),
        ("a king-size bed", set()),
        ("the king of Spain", {"male"}),
        ("a king sized mattress, fit for a king", {"male"}),
        ("a master chef in the master bedroom", set()),
        ("a convent and a monastery", set()),
        ("maternity ward", set()),
        ("I miss you", set()),
        ("oh my god", set()),
        ("chicks in a nest", set()),
        ("near Gent, Belgium", set()),
        ("a lady bug on a leaf", set()),
        ("the Isle of Man", set()),
        ("an actress", {"neutral"}),
        ("an actor", {"neutral"}),
        ("a heroine and a hero", {"neutral"}),
        ("a waitress", {"female"}),
        ("a waiter", {"male"}),
        ("the landlord and the landlady", {"female", "male"}),
        ("a bridesmaid", {"female"}),
        ("a groomsman", {"male"}),
        ("my sister-in-law", {"female"}),
        ("my brother-in-law", {"male"}),
        ("(s)he", {"female", "male"}),
        ("server room", set()),
        ("people on a beach", {"neutral"}),
    ],
)
def test_what_the_mended_lists_find(pinned: lexicon.Lexicon, text: str, lists: set[str]) -> None:
    assert mentions(pinned, text) == lists


def test_the_limits_speak_of_terms_that_are_listed(pinned: lexicon.Lexicon) -> None:
    (limit,) = [limit for limit in missing.LIMITS if "word lists" in limit]
    quoted = re.findall("“([^”]+)”", limit)
    assert quoted == ["Ms", "guys"]
    assert all(mentions(pinned, term) & {"female", "male"} for term in quoted)


def test_plain_and_marked_forms_count_alike(pinned: lexicon.Lexicon) -> None:
    """Of a pair such as actor and actress neither counts as gendered unless both do."""
    pairs = "actor actress, waiter waitress, host hostess, hero heroine, heir heiress, steward stewardess, adulterer adulteress"
    for pair in pairs.split(", "):
        plain, marked = pair.split()
        assert ("male" in mentions(pinned, plain)) == ("female" in mentions(pinned, marked)), pair


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
