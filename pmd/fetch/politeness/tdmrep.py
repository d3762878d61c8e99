"""TDMRep, the W3C community group's TDM Reservation Protocol: whether mining of a path is reserved, and by what.

Two of its three ways hold for pictures: a file of the origin's, `/.well-known/tdmrep.json`, and headers of the answer,
`tdm-reservation` and `tdm-policy`. (The third stands in HTML.) A `tdm-policy` says on what terms mining could be had; we
make no contracts, so what is reserved is left out with or without one. The file is asked for once a run and kept beside
robots.txt; where it reserves a path, that path is not asked for, though a header could have said otherwise.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from pmd.fetch.politeness import patterns, robots
from pmd.fetch.politeness.patterns import Patterns, TooMuch
from pmd.fetch.politeness.robots import Policy, Verdict

#: Where an origin's file is.
PATH: Final = "/.well-known/tdmrep.json"

#: What is said of a file that was not read to its end. Unlike a robots.txt, which by its RFC counts up to there, half of it is no
#: JSON and says nothing, and what it would have reserved nobody knows.
CUT: Final = f"is longer than the {robots.MAX_BYTES:,} bytes that are read"
#: How such a file begins. What does not is no such file, however long: many hosts answer any path with their page.
_JSON: Final = ("[", "{")


#: Of a header that stands for several, put together on the way (RFC 9110 §5.3), or has something behind its value.
_PARTS: Final = re.compile("[,;]")


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One object of the file: whether paths that match a pattern are reserved."""

    location: str
    reserved: bool
    policy: str | None

    def __str__(self) -> str:
        terms = f", tdm-policy {self.policy}" if self.policy else ""
        return f"{self.location}: tdm-reservation {int(self.reserved)}{terms}"


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a file says, prepared: rules in its order, in which they count."""

    rules: tuple[Rule, ...]
    patterns: Patterns

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Rules:
        """Prepare rules; those with an empty pattern match nothing."""
        kept = tuple(rule for rule in rules if rule.location)
        return cls(kept, Patterns(patterns.prepared(rule.location) for rule in kept))


def rules_of(body: str) -> Rules:
    """Return the rules of a file in its order; objects that are none are passed over, as is a file that is no array."""
    return (_rules_of_short if len(body) <= robots.SHORT else _rules_of_long)(body)


def _rules_of(body: str) -> Rules:
    try:
        content = orjson.loads(body.removeprefix("\ufeff"))
    except orjson.JSONDecodeError:
        return Rules.of(())
    entries = content if isinstance(content, list) else [content]
    named = (_rule(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("location"), str))
    first: dict[str, Rule] = {}
    for rule in named:
        first.setdefault(rule.location, rule)
    return Rules.of(first.values())


_rules_of_short: Final = functools.lru_cache(maxsize=robots.SHORT_FILES)(_rules_of)
_rules_of_long: Final = functools.lru_cache(maxsize=robots.LONG_FILES)(_rules_of)


def decide(rules: Rules, path: str) -> Rule | None:
    """Return the rule for a path and query: the first that matches, with robots.txt's `*` and `$`.

    Raises:
        TooMuch: It cannot be told at a bounded cost (`patterns.MOST_STEPS`).
    """
    place = rules.patterns.first(path)
    return None if place is None else rules.rules[place]


def verdict(policy: Policy, origin: str, path: str) -> Verdict:
    """Return whether a path of an origin may be asked for; only what is reserved, or takes too long to tell, may not."""
    where = f"{origin}{PATH}"
    if policy.status is not None:
        return Verdict(False, f"{where} could not be had ({policy.failure})")
    if policy.error == CUT and policy.body.lstrip("\ufeff \t\r\n")[:1] in _JSON:
        return Verdict(False, f"{where} {CUT}: taken as a no")
    try:
        rule = decide(rules_of(policy.body), path) if policy.body else None
    except TooMuch:
        return Verdict(False, f"{where} {robots.TOO_MUCH.format(len(path))}")
    if rule is None:
        return Verdict(True, f"{where} (HTTP {policy.http_status}) has no rule for it")
    return Verdict(not rule.reserved, f"{where}: {rule}")


def cut(content: bytes) -> str | None:
    """Return what is said of a file of which so much was read; None where that is all of it."""
    return CUT if len(content) >= robots.MAX_BYTES else None


def reserving_header(values: Sequence[str], policies: Sequence[str]) -> str | None:
    """Return the headers that reserve an answer, as one line, or None.

    Args:
        values: Of `tdm-reservation`; of several, one that reserves is enough.
        policies: Of `tdm-policy`.
    """
    if not any(part.strip(' \t"') == "1" for value in values for part in _PARTS.split(value)):
        return None
    return "; ".join(["tdm-reservation: 1", *(f"tdm-policy: {policy}" for policy in policies)])


def _rule(entry: dict[str, Any]) -> Rule:
    value, policy = entry.get("tdm-reservation"), entry.get("tdm-policy")
    # The value is the number 1; files in the wild have it as text. Anything else means "not declared".
    reserved = value is not True and value in (1, "1")
    return Rule(entry["location"], reserved, policy if isinstance(policy, str) else None)
