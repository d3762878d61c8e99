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

from pmd.audit.words import Words

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


def find(words: Words, groups: Sequence[Forms]) -> Found:
    """Return which terms of any group are in which texts."""
    known = {
        word: number
        for number, word in enumerate(sorted({word for one in groups for form in one.terms for word in form}))
    }
    ids = pc.fill_null(pc.index_in(words.values, value_set=pa.array(list(known), pa.string())), NONE)
    numbers = ids.to_numpy(zero_copy_only=False).astype(np.int64)
    here = np.flatnonzero(numbers >= 0)
    rows, numbers = words.rows[here], numbers[here]
    couples = (here[1:] == here[:-1] + 1) & (rows[1:] == rows[:-1])
    found: list[tuple[Numbers, Numbers]] = []
    for group in groups:
        walked = _to_walk(group, known, rows, numbers, couples)
        single = np.full(len(known), NONE, dtype=np.int64)
        for form, term in group.terms.items():
            if len(form) == 1:
                single[known[form[0]]] = term
        terms = single[numbers] if len(numbers) else numbers
        some = terms >= 0
        if len(walked):
            some &= ~np.isin(rows, walked)
            found.append(_walk(group, words, walked))
        found.append((rows[some], terms[some]))
    return _each_once(found)


def _to_walk(
    group: Forms, known: Mapping[str, int], rows: Numbers, numbers: Numbers, couples: NDArray[np.bool_]
) -> Numbers:
    """Return the texts in which two words in a row begin a form of several."""
    starts = sorted({known[form[0]] * len(known) + known[form[1]] for form in group.terms if len(form) > 1})
    if not starts or len(numbers) < 2:
        return np.zeros(0, dtype=np.int64)
    keys = numbers[:-1] * len(known) + numbers[1:]
    return np.unique(rows[:-1][couples & np.isin(keys, np.array(starts, dtype=np.int64))])


def _walk(group: Forms, words: Words, rows: Numbers) -> tuple[Numbers, Numbers]:
    forms = group.longest()
    starts, ends = np.searchsorted(words.rows, rows, "left"), np.searchsorted(words.rows, rows, "right")
    found_rows, found_terms = [], []
    for row, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        text = words.values.slice(start, end - start).to_pylist()
        position = 0
        while position < len(text):
            step = 1
            for form, term in forms.get(text[position], ()):
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
    keys = np.unique(rows * width + terms)
    return Found(keys // width, keys % width)
