"""CITATION.cff of published lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pmd import escape
from pmd.config.options import CardOptions

#: Who is cited where the configuration names nobody: the format asks for an author.
_NOBODY: Final = "The publishers of this list"


def cff(options: CardOptions) -> str:
    """Return the file: Citation File Format 1.2.0, of a data set."""
    return "\n".join(_lines(options)) + "\n"


def _lines(options: CardOptions) -> Iterator[str]:
    yield "cff-version: 1.2.0"
    yield "type: dataset"
    yield 'message: "If you use these lists, cite them, the paper that defined the corpus, and the sources that you use."'
    yield f"title: {escape.yaml(options.title)}"
    yield f"version: {escape.yaml(options.version)}"
    if options.released:
        yield f"date-released: {escape.yaml(options.released)}"
    if options.url:
        yield f"url: {escape.yaml(options.url)}"
    yield "authors:"
    yield from (f"  - name: {escape.yaml(name)}" for name in options.authors or (_NOBODY,))
    yield "references:"
    yield "  - type: conference-paper"
    yield '    title: "FLAVA: A Foundational Language And Vision Alignment Model"'
    yield "    authors:"
    for given, family in (
        ("Amanpreet", "Singh"),
        ("Ronghang", "Hu"),
        ("Vedanuj", "Goswami"),
        ("Guillaume", "Couairon"),
        ("Wojciech", "Galuba"),
        ("Marcus", "Rohrbach"),
        ("Douwe", "Kiela"),
    ):
        yield f"      - family-names: {family}"
        yield f"        given-names: {given}"
    yield "    year: 2022"
    yield '    url: "https://arxiv.org/abs/2112.04482"'
