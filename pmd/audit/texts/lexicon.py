"""Gendered terms: the word lists of genbit, read from its wheel, and what is changed of them.

The lists are GenBit's (Sengupta et al., "GenBit: measure and mitigate gender bias in language datasets", Microsoft
Journal of Applied Research 16, 2021; MIT). The package itself is never imported: that would bring in torch, stanza and
nltk. It is optional, so its absence is an answer, which the report prints together with the command that mends it.

Which terms are dropped or added, and which runs of words are passed over ("king size"), stands with reasons in
`terms/gendered.toml`. Terms are cut into words as texts are (`texts.words`) and match whole words, the longest term first, so
that "trans woman" is one term. A hyphenated compound that is no term ("woman-sized") mentions nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

from pmd.audit.texts import words

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

#: What is changed of the lists: the name in `Lexicon.sha256`.
CHANGES: Final = "changes"


@dataclasses.dataclass(frozen=True)
class Lexicon:
    """Terms by list.

    Attributes:
        terms: The words of a term → the lists that have it; none where the words are an exception, to be passed over.
        sizes: Number of terms of each list.
        sha256: Digest of each list's file.
        version: Version of the package they came from.
    """

    terms: Mapping[tuple[str, ...], frozenset[str]]
    sizes: Mapping[str, int]
    sha256: Mapping[str, str]
    version: str = VERSION


@dataclasses.dataclass(frozen=True)
class Absent:
    """Why there is no lexicon, and what to do."""

    reason: str
    remedy: str = INSTALL


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is changed of the lists: terms that are dropped from all, added to one, and passed over."""

    drop: frozenset[tuple[str, ...]] = frozenset()
    add: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    exceptions: frozenset[tuple[str, ...]] = frozenset()


def changes() -> tuple[Changes, str]:
    """Return our changes, and the digest of their file."""
    content = resources.files("pmd.audit.texts").joinpath("terms/gendered.toml").read_bytes()
    raw: dict[str, list[dict[str, Any]]] = tomllib.loads(content.decode())
    added: dict[str, list[str]] = {}
    for entry in raw["add"]:
        added.setdefault(entry["list"], []).extend(entry["terms"])
    exceptions = frozenset(
        tuple(words.plain(run)) for entry in raw["exception"] for line in entry["terms"] for run in words.runs(line)
    )
    found = Changes(_together(raw["drop"]), added, exceptions)
    return found, hashlib.sha256(content).hexdigest()


def _together(entries: Sequence[Mapping[str, Any]]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(words.plain(term)) for entry in entries for term in entry["terms"])


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
    changed, digest = changes()
    found = of({name: content.decode().splitlines() for name, content in contents.items()}, changed)
    return dataclasses.replace(found, sha256={**found.sha256, CHANGES: digest})


def of(lists: Mapping[str, Sequence[str]], changed: Changes | None = None) -> Lexicon:
    """Return the lexicon of the given lists of terms; empty lines are no terms."""
    changed = changed or Changes()
    by_term: dict[tuple[str, ...], set[str]] = {}
    for name, lines in lists.items():
        for line in lines:
            if (term := tuple(words.plain(line))) and term not in changed.drop:
                by_term.setdefault(term, set()).add(name)
    for name, lines in changed.add.items():
        for line in lines:
            by_term.setdefault(tuple(words.plain(line)), set()).add(name)
    return Lexicon(
        terms={
            **{term: frozenset(names) for term, names in sorted(by_term.items())},
            **{term: frozenset() for term in sorted(changed.exceptions)},
        },
        sizes={name: sum(name in names for names in by_term.values()) for name in lists},
        sha256={
            name: LISTS[name][1] if name in LISTS else hashlib.sha256("\n".join(lines).encode()).hexdigest()
            for name, lines in lists.items()
        },
    )
