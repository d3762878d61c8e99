"""Gendered terms: the word lists of genbit, read from its wheel, and which of them a text has.

The lists are GenBit's (Sengupta et al., "GenBit: measure and mitigate gender bias in language datasets", Microsoft
Journal of Applied Research 16, 2021; MIT). The package itself is never imported: that would bring in torch, stanza and
nltk. It is optional, so its absence is an answer, which the report prints together with the command that mends it.

A word here is a run of letters and digits, case-folded, with inner hyphens and apostrophes ("mother-in-law", "ma'am");
a possessive "'s" is cut off. Terms are cut in the same way ("mrs." is the word "mrs"), and match whole words, the
longest term first, so that "trans woman" is one term. A hyphenated compound that is no term ("woman-sized") mentions
nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

PACKAGE: Final = "genbit"
VERSION: Final = "2.2.0.0"
LICENCE: Final = "MIT"
INSTALL: Final = f"pip install --no-deps {PACKAGE}=={VERSION}"

#: Our name of each list → (its file, the SHA-256 of the file in the wheel of `VERSION`).
LISTS: Final[dict[str, tuple[str, str]]] = {
    "female": (
        "genbit/gendered-word-lists/en/female.txt",
        "d5f908fcecf37eb165ba666c3d83a05460309a7012b17ef817f7892f176bedf8",
    ),
    "male": (
        "genbit/gendered-word-lists/en/male.txt",
        "5bc4f6e1fc5cbf50fdd6bc9c211fae23e2e337e2e329cb1380199c9f63be7a70",
    ),
    "neutral": (
        "genbit/gendered-word-lists/en/non-binary.txt",
        "cd4aa6d17f4363c241511cce7116bc7013a4d5128a6b4c5958e76f3ee6c9e40f",
    ),
}

_WORD: Final = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")


@dataclasses.dataclass(frozen=True)
class Lexicon:
    """Terms by list.

    Attributes:
        terms: First word of a term → the terms that begin with it, longest first, each with the lists that have it.
        sizes: Number of terms of each list.
        sha256: Digest of each list's file.
        version: Version of the package they came from.
    """

    terms: Mapping[str, tuple[tuple[tuple[str, ...], frozenset[str]], ...]]
    sizes: Mapping[str, int]
    sha256: Mapping[str, str]
    version: str = VERSION

    def mentions(self, text: str) -> set[str]:
        """Return the names of the lists of which the text has a term."""
        names: set[str] = set()
        tokens = words(text)
        position = 0
        while position < len(tokens):
            step = 1
            for term, lists in self.terms.get(tokens[position], ()):
                if tuple(tokens[position : position + len(term)]) == term:
                    names |= lists
                    step = len(term)
                    break
            position += step
        return names


@dataclasses.dataclass(frozen=True)
class Absent:
    """Why there is no lexicon, and what to do."""

    reason: str
    remedy: str = INSTALL


def words(text: str) -> list[str]:
    """Return the words of a text, as the module's docstring defines them."""
    return [
        word.removesuffix("'s") for word in _WORD.findall(text.replace("\u2019", "'").replace("\u2011", "-").casefold())
    ]


def load() -> Lexicon | Absent:
    """Read the lists from the installed package, or say why not: it is absent, or not the pinned version's."""
    try:
        package = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        return Absent(f"the package {PACKAGE} is not installed")
    contents: dict[str, bytes] = {}
    for name, (path, sha256) in LISTS.items():
        place = Path(str(package.locate_file(path)))
        content = place.read_bytes() if place.is_file() else b""
        if hashlib.sha256(content).hexdigest() != sha256:
            return Absent(f"{path} of {PACKAGE} {package.version} is not that of {PACKAGE} {VERSION}")
        contents[name] = content
    return of({name: content.decode().splitlines() for name, content in contents.items()})


def of(lists: Mapping[str, list[str]]) -> Lexicon:
    """Return the lexicon of the given lists of terms; empty lines are no terms."""
    by_term: dict[tuple[str, ...], set[str]] = {}
    for name, lines in lists.items():
        for line in lines:
            if term := tuple(words(line)):
                by_term.setdefault(term, set()).add(name)
    by_first: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]] = {}
    for term, names in sorted(by_term.items(), key=lambda item: (-len(item[0]), item[0])):
        by_first.setdefault(term[0], []).append((term, frozenset(names)))
    return Lexicon(
        terms={first: tuple(terms) for first, terms in sorted(by_first.items())},
        sizes={name: sum(name in names for names in by_term.values()) for name in lists},
        sha256={
            name: LISTS[name][1] if name in LISTS else hashlib.sha256("\n".join(lines).encode()).hexdigest()
            for name, lines in lists.items()
        },
    )
