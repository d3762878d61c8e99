"""Patterns of paths as robots.txt has them (RFC 9309 §2.2.2 and §2.2.3), prepared once and looked through at a bounded cost.

Hosts write the patterns and, by redirects, the paths: half a megabyte of the one against eight kilobytes of the other. So all
that depends on the patterns alone is done when a file is read: each is brought to its normal form and split at its `*`, those
that say the same are one, and all are found by what they begin with. What is left of a look is searching for the pieces behind
a `*`, and that has a limit (`MOST_STEPS`).

Normal form: a character is the same as its escape. Left apart are what separates the parts of a URL from what only looks like
it: `%2F` from "/" in the path and `%3F` from the first "?" (RFC 3986 §2.2), `%26`, `%2B`, `%3B`, `%3D` and `%23` everywhere.
Within a query "/" and "?" separate nothing, and are the same as their escapes, as in the RFC's second example. Characters that
a URL never holds as they are (spaces, quotes, what is not ASCII, ...) are escaped, in UTF-8.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

#: What is looked through for one path, in steps: for each pattern, the characters of its longest piece times those of the path,
#: and 2,048 for every piece. Some 30 ms where all is built to take long
#: (benchmarks/policies.py). More is needed only where patterns that differ begin as the path does and occur in it in part: 512 kB
#: of them for a path of 128 characters, 32 kB for one of 2,000. Ours.
MOST_STEPS: Final = 1 << 26
_STEPS_A_PIECE: Final = 2048

#: Characters of a path that is looked at: twice what servers take by default. A longer one is forbidden by any pattern. Ours.
LONGEST_PATH: Final = 1 << 14

#: Characters of a piece that are looked up before it is searched for, and for how many patterns that is worth while.
_HEAD: Final = 3
_MANY: Final = 64

#: Characters that a URL as sent may hold as they are, and "%", which may stand alone (WHATWG URL, "path percent-encode set").
_AS_SENT: Final = "%/?#[]@!$&'()*+,;=:-._~|"
_SENT: Final = re.compile(f"[A-Za-z0-9{re.escape(_AS_SENT)}]*")
_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")
#: What separates, and so is not the same as its escape.
_SEPARATING: Final = frozenset("/?#&+;=")
_IN_QUERY: Final = frozenset("#&+;=")
_STARS: Final = re.compile(r"\*+")


@dataclasses.dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, prepared.

    Attributes:
        first: What a path must begin with.
        rest: What must follow, each piece anywhere behind the one before; none is empty.
        anchored: Whether the last piece must be the path's end.
        least: Characters that a path has which matches.
        longest: The longest piece of `rest`; of several the first.
        octets: Its length, by which RFC 9309 §2.2.2 tells which of several counts.
    """

    first: str
    rest: tuple[str, ...]
    anchored: bool
    least: int
    longest: str
    octets: int

    @property
    def is_apart(self) -> bool:
        """Return whether it has an escape that means another thing before a query than in it."""
        return any("%2F" in piece or "%3F" in piece for piece in (self.first, *self.rest))

    def follows(self, path: str) -> bool:
        """Return whether a path in normal form that begins with `first` matches."""
        at = len(self.first)
        if not self.rest:
            return not self.anchored or at == len(path)
        *middle, last = self.rest
        for piece in middle:
            start = path.find(piece, at)
            if start < 0:
                return False
            at = start + len(piece)
        if self.anchored:
            return len(path) - len(last) >= at and path.endswith(last)
        return path.find(last, at) >= 0


def prepared(pattern: str) -> Pattern:
    """Return a pattern as a file has it (`*` for anything, a last `$` for the end), prepared."""
    anchored = pattern.endswith("$")
    escaped = _escaped(_STARS.sub("*", pattern.removesuffix("$")))
    path, mark, query = escaped.partition("?")
    normal = [_unescaped(piece, _SEPARATING) for piece in path.split("*")]
    if mark:
        begins, *others = (_unescaped(piece, _IN_QUERY) for piece in query.split("*"))
        normal[-1] += mark + begins
        normal += others
    first, *rest = normal
    if rest and not rest[-1]:  # "…*$" says no more than "…*", and that no more than "…"
        rest, anchored = rest[:-1], False
    octets = sum(map(len, normal)) + pattern.count("*") + pattern.endswith("$")
    least = len(first) + sum(map(len, rest))
    return Pattern(first, tuple(rest), anchored, least, max(rest, key=len, default=""), octets)


@functools.lru_cache(maxsize=64)
def forms(path: str) -> tuple[str, ...]:
    """Return the normal forms of a path and query as sent: two where the query holds what a pattern may have meant either way.

    A pattern without "?" does not tell whether its `%2F` is one of a query; the second form is for those.
    """
    escaped = _escaped(path)
    before, mark, query = escaped.partition("?")
    begins = _unescaped(before, _SEPARATING) + mark
    return tuple(dict.fromkeys((begins + _unescaped(query, _IN_QUERY), begins + _unescaped(query, _SEPARATING))))


class TooMuch(Exception):
    """More work than is done for one path."""


class Patterns:
    """Patterns in the order in which they count.

    Args:
        patterns: The first that matches a path counts. Those that are equal to an earlier one are never looked at.
    """

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = tuple(patterns)
        firsts: dict[tuple[str, tuple[str, ...], bool], int] = {}
        for place, pattern in enumerate(self._patterns):
            firsts.setdefault((pattern.first, pattern.rest, pattern.anchored), place)
        self._all = _Begins(self._patterns, firsts.values())
        self._apart = _Begins(self._patterns, [place for place in firsts.values() if self._patterns[place].is_apart])

    def first(self, path: str, most_steps: int = MOST_STEPS) -> int | None:
        """Return the place of the first pattern that matches a path and query, as sent; None where none does.

        Raises:
            TooMuch: It cannot be told within so many steps, or the path is too long (`LONGEST_PATH`).
        """
        if not self._patterns:
            return None
        if len(path) > LONGEST_PATH:
            raise TooMuch
        form, *apart = forms(path)
        places = [self._first(form, self._all.of(form), most_steps)]
        places += [self._first(other, self._apart.of(other), most_steps) for other in apart]
        return min((place for place in places if place is not None), default=None)

    def _first(self, path: str, places: Sequence[int], steps: int) -> int | None:
        """Return the first of some places whose pattern matches a path that begins as it must."""
        heads = _heads(path) if len(places) > _MANY else None
        for place in places:
            pattern = self._patterns[place]
            if pattern.rest:
                if pattern.least > len(path) or (heads is not None and pattern.longest[:_HEAD] not in heads):
                    continue
                steps -= len(pattern.longest) * len(path) + _STEPS_A_PIECE * len(pattern.rest)
                if steps < 0:
                    raise TooMuch
            if pattern.follows(path):
                return place
        return None


class _Begins:
    """Places of patterns by what a path must begin with: of each length it begins with one string.

    Args:
        patterns: Patterns.
        places: Which of them, in order.
    """

    def __init__(self, patterns: Sequence[Pattern], places: Iterable[int]) -> None:
        self._places: dict[str, list[int]] = {}
        for place in places:
            self._places.setdefault(patterns[place].first, []).append(place)
        self._lengths = sorted({len(first) for first in self._places})

    def of(self, path: str) -> Sequence[int]:
        """Return the places of those that a path begins with, in order."""
        lengths = self._lengths[: bisect.bisect_right(self._lengths, len(path))]
        begun = [places for length in lengths if (places := self._places.get(path[:length])) is not None]
        return begun[0] if len(begun) == 1 else sorted(itertools.chain.from_iterable(begun))


def _heads(path: str) -> set[str]:
    """Return all that a piece which occurs in a path can begin with."""
    return {path[at : at + length] for length in range(1, _HEAD + 1) for at in range(len(path) - length + 1)}


def _escaped(text: str) -> str:
    """Return a pattern or path in ASCII, as URLs are sent."""
    return text if _SENT.fullmatch(text) else quote(text, safe=_AS_SENT)


def _unescaped(text: str, apart: frozenset[str]) -> str:
    """Return a text with its escapes undone, but for those of characters that are left apart or that a URL never holds."""
    if "%" not in text:
        return text
    return _ESCAPE.sub(lambda match: _escapes(apart)[match.group().upper()], text)


@functools.cache
def _escapes(apart: frozenset[str]) -> dict[str, str]:
    """Return what stands for each escape."""
    undone = {f"%{ord(sign):02X}": sign for sign in map(chr, range(0x21, 0x7F)) if sign not in apart | {"%"}}
    kept = {f"%{octet:02X}": f"%{octet:02X}" for octet in range(256)}
    # What is escaped when it is sent stays so, whoever escapes it.
    return {**kept, **{escape: sign for escape, sign in undone.items() if sign in _AS_SENT or sign.isalnum()}}
