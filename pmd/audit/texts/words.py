"""The words of texts, a column at a time: what terms are matched against.

A word is a run of letters and digits, case-folded, with inner hyphens and apostrophes ("mother-in-law", "ma'am"). What English
hangs on a word after an apostrophe is cut off: a possessive, and a shortened verb ("he'll", "she'd", "they've"). Apostrophes
and hyphens count in each of the shapes that keyboards and typesetters give them. `<PERSON>`, which Conceptual 12M writes for a
name in a quarter of its captions, is a name, and no word "person".

`plain` is the definition. Tokens of plain ASCII, nearly all, are cut by Arrow's own functions, to the same words.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd.text.tokens import Tokens

#: What is cut off after an apostrophe.
_ENDINGS: Final = ("'s", "'d", "'ll", "'ve", "'re", "'m")
_WORD: Final = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
#: What stands for a name, in small letters; and a word in its place that is in no term, so that what is beside it is no run.
_NAME: Final = "<person>"
_IN_PLACE: Final = " 0"
#: Quotation mark, modifier letter, full-width apostrophe, acute accent; hyphens; a soft hyphen is nothing.
_SHAPES: Final = str.maketrans(
    {**dict.fromkeys("\u2018\u2019\u02bc\uff07\u00b4", "'"), "\u2010": "-", "\u2011": "-", "\u00ad": None}
)


@dataclasses.dataclass(frozen=True)
class Words:
    """Words of texts, in order.

    Attributes:
        rows: Of each word, the text that it is in; ascending.
        codes: Of each word, its place in the dictionary.
        dictionary: The words that there are, each once; the empty one may be among them, and is in no text.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.int32]
    dictionary: pa.Array

    @property
    def values(self) -> pa.Array:
        """The words as they stand."""
        return self.dictionary.take(pa.array(self.codes))


def plain(text: str) -> list[str]:
    """Return the words of a text."""
    return [_cut(word) for word in _WORD.findall(text.translate(_SHAPES).casefold().replace(_NAME, _IN_PLACE))]


def _cut(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending):
            return word.removesuffix(ending)
    return word


def runs(line: str) -> Iterator[str]:
    """Yield all runs of words that a line of a list stands for: "young|baby owl" is "young owl" and "baby owl"."""
    yield from map(" ".join, itertools.product(*(word.split("|") for word in line.split(" "))))


def split(tokens: Tokens) -> Words:
    """Return the words of texts: none has a space in it, so that a token is cut once, however often it stands."""
    cut = _of_tokens(tokens.dictionary)
    codes, number = tokens.in_place(cut.rows, cut.codes)
    return Words(np.repeat(tokens.rows, number), codes, cut.dictionary)


def _of_tokens(tokens: pa.Array) -> Words:
    """Return the words of tokens without spaces."""
    is_ascii = pc.string_is_ascii(tokens)
    rows = np.flatnonzero(is_ascii.to_numpy(zero_copy_only=False))
    some = _split_ascii(tokens.filter(is_ascii))
    others = np.flatnonzero(~is_ascii.to_numpy(zero_copy_only=False))
    if not len(others):
        return some
    lists = [plain(token) for token in tokens.take(pa.array(others)).to_pylist()]
    counts = np.array([len(words) for words in lists], dtype=np.int64)
    places = np.concatenate([rows[some.rows], np.repeat(others, counts)])
    values = pa.concat_arrays([some.dictionary, pa.array([word for words in lists for word in words], pa.string())])
    known = values.dictionary_encode()
    of_value = known.indices.to_numpy()
    codes = np.concatenate([of_value[some.codes], of_value[len(some.dictionary) :]])
    order = np.argsort(places, kind="stable")
    return Words(places[order], codes[order], known.dictionary)


def _split_ascii(tokens: pa.Array) -> Words:
    unnamed = pc.replace_substring(pc.ascii_lower(tokens), _NAME, _IN_PLACE)
    lines = pc.replace_substring_regex(unnamed, "[^a-z0-9'-]+", " ")
    marked = pc.match_substring_regex(lines, "['-]")
    if pc.any(marked).as_py():
        mended = pc.replace_substring_regex(lines.filter(marked), "['-]{2,}", " ")
        mended = pc.ascii_trim(pc.replace_substring_regex(mended, "['-]? ['-]?", " "), " '-")
        endings = "|".join(_ENDINGS)
        lines = pc.replace_with_mask(lines, marked, pc.replace_substring_regex(mended, f"(?:{endings})( |$)", " "))
    lists = pc.split_pattern(lines, " ")
    words = pc.list_flatten(lists).dictionary_encode()
    codes = words.indices.to_numpy(zero_copy_only=False)
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    there = codes != pc.index(words.dictionary, "").as_py()
    return Words(rows[there], codes[there], words.dictionary)
