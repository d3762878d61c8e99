"""The words of texts, a column at a time: what terms are matched against.

A word is a run of letters and digits, case-folded, with inner hyphens and apostrophes ("mother-in-law", "ma'am"). What English
hangs on a word after an apostrophe is cut off: a possessive, and a shortened verb ("he'll", "she'd", "they've"). Apostrophes
and hyphens count in each of the shapes that keyboards and typesetters give them.

`plain` is the definition. Texts of plain ASCII, nearly all, are cut by Arrow's own functions, to the same words.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: What is cut off after an apostrophe.
_ENDINGS: Final = ("'s", "'d", "'ll", "'ve", "'re", "'m")
_WORD: Final = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
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
        dictionary: The words that there are; one may stand there twice.
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
    return [_cut(word) for word in _WORD.findall(text.translate(_SHAPES).casefold())]


def _cut(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending):
            return word.removesuffix(ending)
    return word


def split(texts: pa.Array) -> Words:
    """Return the words of texts, none of them null."""
    is_ascii = pc.string_is_ascii(texts)
    rows = np.flatnonzero(is_ascii.to_numpy(zero_copy_only=False))
    some = _split_ascii(texts.filter(is_ascii))
    others = np.flatnonzero(~is_ascii.to_numpy(zero_copy_only=False))
    if not len(others):
        return some
    lists = [plain(text) for text in texts.take(pa.array(others)).to_pylist()]
    counts = np.array([len(words) for words in lists], dtype=np.int64)
    places = np.concatenate([rows[some.rows], np.repeat(others, counts)])
    codes = np.concatenate([some.codes, np.arange(counts.sum(), dtype=np.int32) + np.int32(len(some.dictionary))])
    dictionary = pa.concat_arrays([some.dictionary, pa.array([word for words in lists for word in words], pa.string())])
    order = np.argsort(places, kind="stable")
    return Words(places[order], codes[order], dictionary)


def _split_ascii(texts: pa.Array) -> Words:
    # Single spaces stay: nearly all that parts words, which need not be replaced one by one.
    lines = pc.replace_substring_regex(pc.ascii_lower(texts), "[^a-z0-9' -]+", " ")
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
    empty = pc.index(words.dictionary, "").as_py()
    there = codes != empty
    return Words(rows[there], codes[there], words.dictionary)
