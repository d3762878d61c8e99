"""The plain matcher: a text at a time, word by word. What the native one finds is held to this."""

from __future__ import annotations

from collections.abc import Mapping

from pmd.audit.texts import matching, words
from pmd.audit.texts.lexicon import Lexicon


def mentions(lexicon: Lexicon, text: str) -> set[str]:
    """Return the names of the lists of which the text has a term: the longest term at each word, whose words count no further."""
    return {name for term in found(lexicon.terms, text) for name in lexicon.terms[term]}


def found(forms: Mapping[tuple[str, ...], object], text: str) -> list[tuple[str, ...]]:
    """Return the forms that a text has, in their order."""
    here, position = [], 0
    tokens = words.plain(text)
    while position < len(tokens):
        starting = [form for form in forms if tuple(tokens[position : position + len(form)]) == form]
        if starting:
            here.append(max(starting, key=len))
            position += len(here[-1])
        else:
            position += 1
    return here


def numbers(group: matching.Forms, text: str) -> set[int]:
    """Return the numbers of the terms that a text has."""
    return {group.terms[form] for form in found(group.terms, text)} - {matching.NONE}
