"""Which terms texts have: whole columns of words against groups of terms, natively but for runs of several words.

Terms of different groups do not hinder each other. Within a group the longest term at a word wins, and its words count no
further: "king size" is no king where the group passes it over. Words are looked up once for all groups (Arrow's hash table);
texts with two words in a row that begin a longer term of a group, few, are walked through word by word for that group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd.audit.texts.words import Words

Numbers = NDArray[np.int64]
#: Of a word that is in no term, or alone is none.
NONE: Final = -1


@dataclasses.dataclass(frozen=True)
class Forms:
    """The forms of a group.

    Attributes:
        terms: Words of a form → the number of its term; `NONE` for words that are passed over.
    """

    terms: Mapping[tuple[str, ...], int]

    def longest(self) -> dict[str, list[tuple[tuple[str, ...], int]]]:
        """Return the forms by their first word, the longest first."""
        found: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for form, term in sorted(self.terms.items(), key=lambda item: (-len(item[0]), item[0])):
            found.setdefault(form[0], []).append((form, term))
        return found


@dataclasses.dataclass(frozen=True)
class Found:
    """Terms that texts have: each once a text, in order of texts and terms.

    Attributes:
        rows: The text.
        terms: The number of the term.
    """

    rows: Numbers
    terms: Numbers


@dataclasses.dataclass(frozen=True)
class _Group:
    """A group, by the numbers of its words.

    Attributes:
        single: Of each word the term that it is alone, or `NONE`; shape (words,).
        starts: Two words in a row that begin a longer form: the one's number times the number of words, plus the other's.
        longest: As of `Forms`.
    """

    single: Numbers
    starts: Numbers
    longest: Mapping[str, list[tuple[tuple[str, ...], int]]]


@dataclasses.dataclass(frozen=True)
class Matcher:
    """Groups of forms, made ready once.

    Attributes:
        words: Those that forms are made of; a word's number is its place.
        groups: The groups.
        alone: Which words are a term of any group alone.
        begins: Which words begin a longer form of any.
        starts: `starts` of all groups.
    """

    words: pa.Array
    groups: tuple[_Group, ...]
    alone: NDArray[np.bool_]
    begins: NDArray[np.bool_]
    starts: Numbers

    @classmethod
    def of(cls, groups: Sequence[Forms]) -> Matcher:
        """Make groups ready."""
        words = sorted({word for one in groups for form in one.terms for word in form})
        known = {word: number for number, word in enumerate(words)}
        found = []
        alone, begins = (np.zeros(len(known), dtype=bool) for _ in range(2))
        for group in groups:
            single = np.full(len(known), NONE, dtype=np.int64)
            for form, term in group.terms.items():
                if len(form) == 1:
                    single[known[form[0]]] = term
            starts = {known[form[0]] * len(known) + known[form[1]] for form in group.terms if len(form) > 1}
            found.append(_Group(single, np.array(sorted(starts), dtype=np.int64), group.longest()))
            alone |= single != NONE
            begins[found[-1].starts // max(len(known), 1)] = True
        of_all = distinct(np.concatenate([np.zeros(0, dtype=np.int64), *(one.starts for one in found)]))
        return cls(pa.array(words, pa.string()), tuple(found), alone, begins, of_all)

    def find(self, words: Words) -> Found:
        """Return which terms of any group are in which texts."""
        # A word is looked up once, however often it stands in the texts.
        of_word = pc.fill_null(pc.index_in(words.dictionary, value_set=self.words), NONE).to_numpy(zero_copy_only=False)
        rows, numbers = self._alone(words, of_word)
        keys, rows_of_keys = self._starting(words, of_word)
        found: list[tuple[Numbers, Numbers]] = []
        for group in self.groups:
            walked = distinct(rows_of_keys[_among(keys, group.starts)])
            terms = group.single[numbers]
            some = terms >= 0
            if len(walked):
                by_hand = np.zeros(int(words.rows[-1]) + 1, dtype=bool)
                by_hand[walked] = True
                some &= ~by_hand[rows]
                found.append(_walk(group, words, walked))
            found.append((rows[some], terms[some]))
        return _each_once(found)

    def _alone(self, words: Words, of_word: NDArray[np.int32]) -> tuple[Numbers, Numbers]:
        """Return the texts of the words that are a term alone, and the numbers of these."""
        here = np.flatnonzero(_of_known(self.alone, of_word)[words.codes])
        return words.rows[here], of_word[words.codes[here]].astype(np.int64)

    def _starting(self, words: Words, of_word: NDArray[np.int32]) -> tuple[Numbers, Numbers]:
        """Return the two words in a row that begin a longer form of any group, as in `starts`, and their texts."""
        first = np.flatnonzero(_of_known(self.begins, of_word)[words.codes[:-1]])
        second = of_word[words.codes[first + 1]].astype(np.int64)
        some = (second >= 0) & (words.rows[first] == words.rows[first + 1])
        first = first[some]
        keys = of_word[words.codes[first]].astype(np.int64) * len(self.words) + second[some]
        starting = _among(keys, self.starts)
        return keys[starting], words.rows[first[starting]]


def _of_known(known: NDArray[np.bool_], of_word: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return of each word what is known of it by its number; of one without a number nothing."""
    found: NDArray[np.bool_] = np.r_[known, False][of_word]
    return found


def distinct(numbers: Numbers) -> Numbers:
    """Return numbers in order, each once. NumPy's own function, which hashes them, takes many times as long."""
    ordered = np.sort(numbers)
    found: Numbers = ordered[np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]]
    return found


def _among(keys: Numbers, values: Numbers) -> NDArray[np.bool_]:
    """Return which keys are among a few sorted values."""
    if not len(values):
        return np.zeros(len(keys), dtype=bool)
    found: NDArray[np.bool_] = values[np.minimum(np.searchsorted(values, keys), len(values) - 1)] == keys
    return found


def _walk(group: _Group, words: Words, rows: Numbers) -> tuple[Numbers, Numbers]:
    starts, ends = np.searchsorted(words.rows, rows, "left"), np.searchsorted(words.rows, rows, "right")
    found_rows, found_terms = [], []
    lengths = ends - starts
    stops = np.cumsum(lengths)
    codes = words.codes[np.repeat(starts - stops + lengths, lengths) + np.arange(int(lengths.sum()))]
    whole = words.dictionary.take(pa.array(codes)).to_pylist()
    for row, start, stop in zip(rows.tolist(), (stops - lengths).tolist(), stops.tolist(), strict=True):
        text = whole[start:stop]
        position = 0
        while position < len(text):
            step = 1
            for form, term in group.longest.get(text[position], ()):
                if tuple(text[position : position + len(form)]) == form:
                    if term != NONE:
                        found_rows.append(row)
                        found_terms.append(term)
                    step = len(form)
                    break
            position += step
    return np.array(found_rows, dtype=np.int64), np.array(found_terms, dtype=np.int64)


def _each_once(found: Sequence[tuple[Numbers, Numbers]]) -> Found:
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *(rows for rows, _ in found)])
    terms = np.concatenate([np.zeros(0, dtype=np.int64), *(terms for _, terms in found)])
    width = int(terms.max(initial=0)) + 1
    keys = distinct(rows * width + terms)
    return Found(keys // width, keys % width)
