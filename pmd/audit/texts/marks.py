"""What texts of the sample have beside their language: terms of every list, and personal data; and the counts of it.

A *mark* is a property with an interval of its own (`MARKS`): it travels with a pair to where its user, image or host is counted.
The rest is counted by term (`tally`): how many texts have a term, and have it together with a female or a male term. These
vocabularies are closed, so that counts stay small, and so that no name of a person is ever counted; the words beside terms of
identity, which are open, are counted in `pmd.audit.counting.context`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pmd.audit.texts import matching, personal_data, vocabulary, words
from pmd.audit.texts.vocabulary import GENDERED, Vocabulary
from pmd.text.tokens import Tokens

#: Marks of English texts, by their group: the lists of these groups.
OF_ENGLISH: Final[Mapping[str, tuple[str, ...]]] = {
    "age": ("young", "old"),
    "identity": ("religion", "nationality", "ethnicity", "disability", "orientation"),
    "harm": ("violent", "sexual", "adult"),
}
#: Marks of texts in any language.
OF_READ: Final = tuple(personal_data.PATTERNS)
#: All marks; the place of a mark is its bit.
MARKS: Final = (*(name for names in OF_ENGLISH.values() for name in names), *OF_READ)
BITS: Final = {name: 1 << place for place, name in enumerate(MARKS)}

_SEXES: Final = ("female", "male")

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Marked:
    """What some texts have.

    Attributes:
        gendered: Of each text the gendered lists that it has a term of: bits 1, 2 and 4 for female, male and neutral.
        marks: Of each text its marks, as bits.
        associated: Of each text with a female or a male term the numbers of the occupations, activities and objects in it,
            with spaces between; else "".
        found: Which terms are in which texts.
        words: Of the English texts, their words.
    """

    gendered: Numbers
    marks: Numbers
    associated: list[str]
    found: matching.Found
    words: words.Words


def look(tokens: Tokens, english: NDArray[np.bool_], known: Vocabulary) -> Marked:
    """Return what texts have.

    Args:
        tokens: Those of any texts.
        english: Which are English: terms are looked for in these alone.
        known: All terms.
    """
    marks = np.zeros(len(tokens), dtype=np.int64)
    for kind, has in personal_data.find(tokens).items():
        marks[has] |= BITS[kind]
    places = np.flatnonzero(english)
    cut = words.split(tokens.only(places))
    some = known.matcher.find(cut)
    found = matching.Found(places[some.rows], some.terms)
    gendered = np.zeros(len(tokens), dtype=np.int64)
    of_gender, of_marks, associated = _bits(known)
    np.bitwise_or.at(gendered, found.rows, of_gender[found.terms])
    np.bitwise_or.at(marks, found.rows, of_marks[found.terms])
    of_texts = words.Words(places[cut.rows], cut.codes, cut.dictionary)
    return Marked(gendered, marks, _associated(found, gendered, associated), found, of_texts)


@functools.lru_cache(maxsize=4)
def _bits(known: Vocabulary) -> tuple[Numbers, Numbers, Numbers]:
    """Return of each term its bits among gendered lists and among marks, and its number among associated terms, or -1."""
    lists = {"female": 1, "male": 2, "neutral": 4}
    numbers = {term: number for number, term in enumerate(vocabulary.associated())}
    gender, marks = (np.zeros(len(known.terms), dtype=np.int64) for _ in range(2))
    associated = np.full(len(known.terms), -1, dtype=np.int64)
    for place, term in enumerate(known.terms):
        if term.group == GENDERED:
            gender[place] = sum(lists[name] for name in term.lists)
        elif term.group in OF_ENGLISH:
            marks[place] = sum(BITS[name] for name in term.lists)
        associated[place] = numbers.get(term, -1)
    return gender, marks, associated


def _associated(found: matching.Found, gendered: Numbers, numbers: Numbers) -> list[str]:
    texts = [""] * len(gendered)
    some = (numbers[found.terms] >= 0) & ((gendered[found.rows] & 3) > 0)
    for row, term in zip(found.rows[some].tolist(), numbers[found.terms[some]].tolist(), strict=True):
        texts[row] = f"{texts[row]} {term}" if texts[row] else str(term)
    return texts


def tally(marked: Marked, classes: Numbers, number: int, known: Vocabulary) -> dict[str, Numbers]:
    """Return the counts of texts by class, under keys that `key` makes; texts that have nothing are in none.

    Args:
        marked: What the texts have.
        classes: The class of each text.
        number: How many classes there are.
        known: All terms.
    """
    counts: dict[str, Numbers] = {}
    for name, bit in BITS.items():
        _add(counts, key("mark", name), classes[(marked.marks & bit) > 0], number)
    both = BITS["young"] | BITS["old"]
    _add(counts, key("mark", "young", "old"), classes[(marked.marks & both) == both], number)
    rows, terms = marked.found.rows, marked.found.terms
    names, of_group = _names(known)
    _by_term(counts, "term", terms, classes[rows], number, names)
    gendered = of_group[GENDERED]
    for place, sex in enumerate(_SEXES):
        some = ((marked.gendered[rows] >> place) & 1 > 0) & ~gendered[terms] if len(rows) else np.zeros(0, dtype=bool)
        _by_term(counts, sex, terms[some], classes[rows[some]], number, names)
    associated = np.logical_or.reduce([of_group[name] for name in vocabulary.ASSOCIATED])
    _couples(counts, "with", (associated, gendered), marked.found, classes, number, names)
    return counts


def key(*parts: str) -> str:
    """Return the name of a count."""
    return "\t".join(parts)


def _add(counts: dict[str, Numbers], name: str, classes: Numbers, number: int) -> None:
    if len(classes):
        counts[name] = np.bincount(classes, minlength=number).astype(np.int64)


def _by_term(
    counts: dict[str, Numbers], kind: str, terms: Numbers, classes: Numbers, number: int, names: list[str]
) -> None:
    table = np.bincount(terms * number + classes, minlength=len(names) * number).reshape(-1, number)
    for term in np.flatnonzero(table.any(axis=1)).tolist():
        counts[key(kind, names[term])] = table[term].astype(np.int64)


@functools.lru_cache(maxsize=4)
def _names(known: Vocabulary) -> tuple[list[str], Mapping[str, NDArray[np.bool_]]]:
    """Return the keys of all terms, and of each group which terms are its."""
    groups = np.array([term.group for term in known.terms], dtype=object)
    of_group = {name: (groups == name).astype(bool) for name in (GENDERED, *vocabulary.ASSOCIATED)}
    return [term.key for term in known.terms], of_group


def _couples(
    counts: dict[str, Numbers],
    kind: str,
    sides: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    found: matching.Found,
    classes: Numbers,
    number: int,
    names: list[str],
) -> None:
    """Count the texts that have a term of the one side and one of the other."""
    one, other = (side[found.terms] for side in sides)
    rows, terms = found.rows[one], found.terms[one]
    other_rows, other_terms = found.rows[other], found.terms[other]
    starts = np.searchsorted(other_rows, rows, "left")
    lengths = np.searchsorted(other_rows, rows, "right") - starts
    # Of each term on the one side the places of those on the other: a run from its start.
    first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    places = first + np.arange(int(lengths.sum()), dtype=np.int64)
    keys = (np.repeat(terms, lengths) * len(names) + other_terms[places]) * number + np.repeat(classes[rows], lengths)
    for code, count in zip(*(part.tolist() for part in np.unique(keys, return_counts=True)), strict=True):
        couple, at = divmod(code, number)
        term, beside = divmod(couple, len(names))
        counts.setdefault(key(kind, names[term], names[beside]), np.zeros(number, dtype=np.int64))[at] += count
