"""What to do about a mistake in the configuration: which name was meant, where a key belongs, how a value is written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from pmd import escape
from pmd.errors import ConfigError

#: img2dataset's names of what has another name here → what to write.
_AS_IN_IMG2DATASET: Final[Mapping[str, str]] = {
    "min_image_size": "min_side_px",
    "max_image_area": "max_pixels",
    "disable_all_reencoding": 'store = "original"',
    "skip_reencode": "nothing: what has the format and the size already stays as it is",
    "number_sample_per_shard": "samples_per_shard",
    "output_format": "formats",
    "user_agent_token": "user_agent",
    "thread_count": "concurrency",
    "timeout": "timeout_s",
}

#: pydantic's kinds of mistakes of a value that is a number or true or false, unless it stands in quotation marks.
_UNQUOTED: Final = frozenset({"int_type", "float_type", "bool_type", "int_from_float"})
_QUOTABLE: Final = re.compile(r"true|false|[+-]?\d[\d_]*(\.\d+)?")
#: What other formats write for true and false.
_TRUTHS: Final[Mapping[str, str]] = {
    "yes": "true",
    "on": "true",
    "1": "true",
    "no": "false",
    "off": "false",
    "0": "false",
}
_QUOTED: Final = re.compile(r'"([^"]*)"')


def of_key(name: str, known: Iterable[str], home: str | None = None) -> str:
    """Return what to do about a key that its table does not have.

    Args:
        name: The key.
        known: The keys that the table has.
        home: Where a key of this very name belongs; None where nowhere.
    """
    if name in _AS_IN_IMG2DATASET:
        return f"write {_AS_IN_IMG2DATASET[name]}"
    if home is not None:
        return f"write it {home}"
    known = list(known)
    near = nearest(name, known)
    return f"did you mean {near}?" if near else "remove it, or choose one of: " + ", ".join(known)


def of_value(option: str, kind: str, found: Any, expected: str) -> str:
    """Return what to do about a value; `kind` is pydantic's, `expected` what is told of it."""
    if isinstance(found, str) and kind in _UNQUOTED and _QUOTABLE.fullmatch(found):
        return f"write it without quotation marks: {option} = {found}"
    if kind == "bool_type" and (truth := _TRUTHS.get(str(found).casefold())) is not None:
        return f"write {option} = {truth}"
    if kind == "tuple_type" and isinstance(found, str):
        return f"write {option} = [{escape.toml(found)}]"
    if kind == "literal_error" and isinstance(found, str):
        near = nearest(found, _QUOTED.findall(expected))
        if near:
            return f"did you mean {escape.toml(near)}?"
    return f"change {option}"


def of_source(name: str, known: Sequence[str]) -> str | None:
    """Return which source was meant: the one of whose title it is a word, or that is called nearly so; None where none is."""
    titled = [source for source, words in _words_of_titles().items() if name.casefold() in words and source in known]
    return of_word(titled[0] if len(titled) == 1 else name, known)


def unknown(problem: str, where: str, word: str, known: Collection[str]) -> ConfigError:
    """Return the mistake of a word that is none of those that are known, with which of them was meant."""
    return ConfigError(problem, where=where, expected=", ".join(known), found=word, remedy=of_word(word, known))


def of_word(word: str, known: Iterable[str]) -> str | None:
    """Return which of some words was meant; None where none is nearly so."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else None


def _words_of_titles() -> dict[str, frozenset[str]]:
    """Return source → the words of its title: "cc3m" is one of "Conceptual Captions (CC3M)"."""
    from pmd import manifests  # here: it is for who has named none of them

    titles = {name: manifest.title for name, manifest in manifests.load_all().items()}
    return {name: frozenset(re.findall(r"\w+", title.casefold())) for name, title in titles.items()}


#: What other languages write for true, false, and nothing.
_OTHERS_WORDS: Final = re.compile(r"=\s*(?:(?P<truth>True|False|TRUE|FALSE)|None|null|NULL|nil)\b")


def of_syntax(message: str, line: str) -> str:
    """Return what to do about a file that is no TOML, by what Python's reader says of it, and of which line."""
    if "twice" in message or "overwrite" in message or "mutate" in message:
        return "write each table and each key once: put what stands under the second under the first"
    if message.startswith("Invalid value") and (found := _OTHERS_WORDS.search(line)) is not None:
        default = "remove the line: an option without a value has its default"
        return default if found["truth"] is None else "mend the line: write true or false"
    if message.startswith("Invalid value"):
        return 'mend the line: text stands in quotation marks, as root = "out/pmd"'
    return "mend the line"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name that is most like one; capitals do not count."""
    folded = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[near[0]] if near else None
