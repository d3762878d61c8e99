"""Texts cut at single spaces: what is asked of a word as it stands is asked once a column, however many texts have it.

Nothing is lost: a text is its tokens with spaces between. What a pattern says of a text follows from its tokens where it cannot
match across a space, and a space is to it what the end of a text is.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Booleans = npt.NDArray[np.bool_]


class Pattern(NamedTuple):
    """What tokens are matched with (RE2).

    Attributes:
        any: For all tokens.
        ascii: The same for those of plain ASCII, nearly all: classes of all of Unicode take a millisecond to be made ready.
    """

    any: str
    ascii: str


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The tokens of texts.

    Attributes:
        codes: Of each token its place in the dictionary, text by text.
        lengths: How many each text has: one at least, which may be empty.
        dictionary: The tokens that there are, each once.
    """

    codes: Codes
    lengths: Numbers
    dictionary: pa.Array

    @classmethod
    def of(cls, texts: pa.Array) -> Self:
        """Cut texts; null is cut as the empty one."""
        strings = pc.fill_null(texts.cast(pa.string()), fill_value="")
        lists = pc.split_pattern(strings, " ")
        words = pc.list_flatten(lists).dictionary_encode()
        lengths = np.diff(lists.offsets.to_numpy().astype(np.int64))
        return cls(words.indices.to_numpy(zero_copy_only=False), lengths, words.dictionary)

    @classmethod
    def of_codes(cls, codes: Codes, lengths: Numbers, dictionary: pa.Array) -> Self:
        """Return tokens of a dictionary in which some stand twice, or are in no text."""
        some = np.zeros(len(dictionary), np.bool_)
        some[codes] = True
        words = dictionary.filter(pa.array(some)).dictionary_encode()
        places = np.zeros(len(dictionary), np.int32)
        places[some] = words.indices.to_numpy()
        return cls(places[codes], lengths, words.dictionary)

    def __len__(self) -> int:
        return len(self.lengths)

    @functools.cached_property
    def starts(self) -> Numbers:
        """Where the tokens of each text begin."""
        found: Numbers = np.cumsum(self.lengths) - self.lengths
        return found

    @property
    def rows(self) -> Numbers:
        """Of each token its text."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def only(self, rows: npt.NDArray[np.intp]) -> Self:
        """Return the tokens of some texts, and a dictionary of these alone."""
        if len(rows) == len(self) and (rows == np.arange(len(self))).all():
            return self
        return self.of_codes(self.codes[self.places(rows)], self.lengths[rows], self.dictionary)

    def places(self, rows: npt.NDArray[np.intp]) -> Numbers:
        """Return where the tokens of some texts stand among all."""
        lengths = self.lengths[rows]
        return np.repeat(self.starts[rows] - np.cumsum(lengths) + lengths, lengths) + np.arange(int(lengths.sum()))

    def joined(self, rows: npt.NDArray[np.intp]) -> pa.Array:
        """Return some texts as they were."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])]).astype(np.int32)
        words = self.dictionary.take(pa.array(self.codes[self.places(rows)]))
        return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), words), " ")

    def having(self, of_token: Booleans) -> Booleans:
        """Return which texts have any of some tokens."""
        return self.united(of_token.view(np.uint8)).view(np.bool_)

    def united(self, of_token: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the bits that the tokens of each text have together."""
        if not len(self) or not of_token.any():
            return np.zeros(len(self), np.uint8)
        found: npt.NDArray[np.uint8] = np.bitwise_or.reduceat(of_token[self.codes], self.starts)
        return found

    def matching(self, pattern: Pattern) -> Booleans:
        """Return which texts have a token that a pattern matches."""
        return self.having(self._matched(pattern))

    def _matched(self, pattern: Pattern) -> Booleans:
        found = np.zeros(len(self.dictionary), np.bool_)
        for some, one in ((self._is_ascii, pattern.ascii), (~self._is_ascii, pattern.any)):
            if some.any():
                found[some] = pc.match_substring_regex(self.dictionary.filter(pa.array(some)), one)
        return found

    @functools.cached_property
    def _is_ascii(self) -> Booleans:
        found: Booleans = pc.string_is_ascii(self.dictionary).to_numpy(zero_copy_only=False)
        return found

    def summed(self, of_token: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the sum of what each token has over those of each text."""
        if not len(self):
            return np.zeros(0, of_token.dtype)
        found: npt.NDArray[Any] = np.add.reduceat(of_token[self.codes], self.starts)
        return found

    def in_place(self, whose: Numbers, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Numbers]:
        """Return what stands in place of each token, and how many are in place of it.

        Args:
            whose: Of each value the place in the dictionary of the token that it stands for, ascending.
            values: Of a token none, one, or more.
        """
        counts = np.bincount(whose, minlength=len(self.dictionary))
        number = counts[self.codes]
        first = (np.cumsum(counts) - counts)[self.codes]
        at = np.repeat(first - np.cumsum(number) + number, number) + np.arange(int(number.sum()))
        return values[at], number

    def replaced(self, pattern: Pattern) -> Tokens:
        """Return the tokens of the texts with a space in place of what a pattern matches."""
        if not self._matched(pattern).any():
            return self
        cut = Tokens.of(pc.replace_substring_regex(self.dictionary, pattern.any, " "))
        codes, number = self.in_place(cut.rows, cut.codes)
        return Tokens(codes, np.add.reduceat(number, self.starts), cut.dictionary)
