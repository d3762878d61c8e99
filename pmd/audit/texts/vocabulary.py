"""Terms that texts are looked through for: gendered ones, and lists of our own with their sources.

The lists stand in `terms/*.toml`, one file a group. Each line is a term with its forms; runs of words that are passed over stand
beside them, as "baby shower" among the terms for young people; each of their words may be one of several ("young tree|trees").
Groups do not hinder each other: "police woman" may be in two.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Final

from pmd.audit.texts import matching, words
from pmd.audit.texts.lexicon import Absent, Lexicon
from pmd.audit.texts.matching import Forms, Matcher

#: The group of gendered terms, which has no file of this kind.
GENDERED: Final = "gendered"
#: Group → its file. Their names are those of the groups in audit.json.
FILES: Final = {
    "age": "age.toml",
    "occupations": "occupations.toml",
    "activities": "activities.toml",
    "objects": "objects.toml",
    "identity": "identity.toml",
    "harm": "harm.toml",
}
#: Groups whose terms are set against gendered ones.
ASSOCIATED: Final = ("occupations", "activities", "objects")


@dataclasses.dataclass(frozen=True)
class Term:
    """A term.

    Attributes:
        group: `GENDERED`, or a key of `FILES`.
        name: Its first form.
        lists: Which lists of the group have it.
    """

    group: str
    name: str
    lists: frozenset[str]

    @property
    def key(self) -> str:
        """What it is called among all terms."""
        return f"{self.group}/{self.name}"


@dataclasses.dataclass(frozen=True)
class Group:
    """A file of terms.

    Attributes:
        terms: In the order of the file.
        forms: Words of a form → the place of its term, or `matching.NONE` where they are passed over.
        source: Where the list comes from.
        licence: Of the list.
        sha256: Of the file.
    """

    terms: tuple[Term, ...]
    forms: Mapping[tuple[str, ...], int]
    source: str
    licence: str
    sha256: str


@dataclasses.dataclass(frozen=True, eq=False)  # known by itself: what is made of one is kept
class Vocabulary:
    """All terms; a term's number is its place.

    Attributes:
        terms: Of all groups.
        groups: What is matched.
    """

    terms: tuple[Term, ...]
    groups: tuple[Forms, ...]

    @functools.cached_property
    def matcher(self) -> Matcher:
        """The groups, ready to be looked for."""
        return Matcher.of(self.groups)


@functools.cache
def group(name: str) -> Group:
    """Return the terms of a file."""
    content = resources.files("pmd.audit.texts").joinpath("terms", FILES[name]).read_bytes()
    raw = tomllib.loads(content.decode())
    terms: list[Term] = []
    forms: dict[tuple[str, ...], int] = {}
    for label, lines in raw["lists"].items():
        for line in lines:
            for form in line.split("|"):
                forms[tuple(words.plain(form))] = len(terms)
            terms.append(Term(name, line.partition("|")[0], frozenset({label})))
    forms |= {
        tuple(words.plain(run)): matching.NONE for line in raw["passed_over"]["terms"] for run in words.runs(line)
    }
    return Group(tuple(terms), forms, raw["source"], raw["licence"], hashlib.sha256(content).hexdigest())


@functools.cache
def associated() -> tuple[Term, ...]:
    """Return the terms that are set against gendered ones; their places here are their numbers in `marks.Marked.associated`."""
    return tuple(term for name in ASSOCIATED for term in group(name).terms)


def of(lexicon: Lexicon | Absent) -> Vocabulary:
    """Return all terms; without a lexicon none is gendered."""
    terms: list[Term] = []
    groups: list[Forms] = []
    if isinstance(lexicon, Lexicon):
        forms: dict[tuple[str, ...], int] = {}
        for form, lists in lexicon.terms.items():
            forms[form] = len(terms) if lists else matching.NONE
            if lists:
                terms.append(Term(GENDERED, " ".join(form), lists))
        groups.append(Forms(forms))
    for name in FILES:
        found = group(name)
        groups.append(Forms({form: place + len(terms) if place >= 0 else place for form, place in found.forms.items()}))
        terms += found.terms
    return Vocabulary(tuple(terms), tuple(groups))
