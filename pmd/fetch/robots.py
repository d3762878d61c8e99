"""robots.txt by RFC 9309: what it says, kept with date and evidence, and the verdict for one path.

The standard library's parser knows neither wildcards nor the longest match, which the RFC requires and image hosts use
(`Disallow: /*.jpg$`), so the rules are read here. An origin's file is asked for once a run and kept with its date
(`pmd.fetch.policies`): what a host said serves later runs too, while it is fresh; that it was unreachable is evidence, and
no more.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes

#: Files that say what may be asked for; `fetch/hosts/` keeps each kind apart.
Kind = Literal["robots", "tdmrep"]

#: What is read of a robots.txt: RFC 9309 §2.5 asks for at least 500 KiB.
MAX_BYTES: Final = 512 * 1024

#: How long a kept file is used (RFC 9309 §2.4).
FRESH: Final = datetime.timedelta(hours=24)

#: How long an unreachable one stands within a run before it is asked for again. Ours. The next run asks at once: whoever
#: starts it may have mended what was broken, also on their own side.
UNREACHABLE_FRESH: Final = datetime.timedelta(minutes=5)

#: Characters of a short file, and how many files' rules are kept at hand, of the short ones and of the others. Rules take some
#: ten times as much as the file, so 250 MB where all are as long as they may be.
SHORT: Final = 16 * 1024
SHORT_FILES: Final = 1024
LONG_FILES: Final = 16

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_TOKEN: Final = re.compile(r"[A-Za-z_-]+|\*")
_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One line: allow or disallow paths that match a pattern."""

    pattern: str
    allow: bool
    normal: str  # the pattern with the same escapes for the same octets

    def __str__(self) -> str:
        return f"{'Allow' if self.allow else 'Disallow'}: {self.pattern}"


@dataclasses.dataclass(frozen=True)
class Policy:
    """What an origin's robots.txt (or `pmd.fetch.tdmrep`) said, when.

    Attributes:
        when: When it was asked for.
        http_status: The answer, or None where there was none.
        body: The file, where the status is 200.
        status: Null if the rules hold. Otherwise the file was unreachable (5xx, 429, no answer), so that everything is
            disallowed (RFC 9309 §2.3.1.4), and this is the status of the origin's images: one that may end otherwise
            another day, since the host has said nothing about its pictures.
        error: What went wrong.
    """

    when: datetime.datetime
    http_status: int | None
    body: str = ""
    status: str | None = None
    error: str | None = None

    def is_fresh(self, now: datetime.datetime, began: datetime.datetime) -> bool:
        """Return whether it need not be asked for again.

        Args:
            now: The time.
            began: When the run began: an unreachable file of an earlier run does not stand.
        """
        if self.status is None:
            return now - self.when < FRESH
        return self.when >= began and now - self.when < UNREACHABLE_FRESH


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a path may be asked for, and by what."""

    allowed: bool
    evidence: str


def rules_for(body: str, agent: str) -> tuple[Rule, ...]:
    """Return the rules of the groups for an agent, merged; those of "*" if there are none (RFC 9309 §2.2.1).

    Args:
        body: A robots.txt.
        agent: Our product token ("pmd"); compared without case.
    """
    return (_rules_of_short if len(body) <= SHORT else _rules_of_long)(body, agent)


def _rules_for(body: str, agent: str) -> tuple[Rule, ...]:
    ours: list[Rule] = []
    others: list[Rule] = []
    named = False
    current: set[str] = set()
    in_rules = True
    for line in _LINE_END.split(body.removeprefix("\ufeff")):
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            current = set() if in_rules else current
            in_rules = False
            token = _TOKEN.match(value)
            current.add(token.group().lower() if token else "")
            named = named or agent.lower() in current
        elif key in {"allow", "disallow"}:
            in_rules = True
            rule = Rule(value, key == "allow", _normal(value))
            if agent.lower() in current:
                ours.append(rule)
            if "*" in current:
                others.append(rule)
    return tuple(ours if named else others)


_rules_of_short: Final = functools.lru_cache(maxsize=SHORT_FILES)(_rules_for)
_rules_of_long: Final = functools.lru_cache(maxsize=LONG_FILES)(_rules_for)


def decide(rules: Sequence[Rule], path: str) -> Rule | None:
    """Return the rule that decides for a path: the longest pattern that matches, of two the one that allows (§2.2.2).

    Args:
        rules: As `rules_for` returns them.
        path: Path and query, as sent.
    """
    normal = _normal(path)
    matching = [rule for rule in rules if rule.pattern and _matches(rule.normal, normal)]
    return max(matching, key=lambda rule: (len(rule.normal), rule.allow), default=None)


def verdict(policy: Policy, origin: str, path: str, agent: str) -> Verdict:
    """Return whether our agent may ask for a path of an origin."""
    where = f"{origin}/robots.txt"
    if policy.status is not None:
        said = f"HTTP {policy.http_status}" if policy.http_status is not None else str(policy.error)
        return Verdict(False, f"{where} is unreachable ({said}): all is disallowed, RFC 9309 2.3.1.4")
    rule = decide(rules_for(policy.body, agent), path) if policy.body else None
    if rule is None:
        return Verdict(True, f"{where} (HTTP {policy.http_status}) has no rule for it")
    return Verdict(rule.allow, f"{where}: {rule}")


def matches(pattern: str, path: str) -> bool:
    """Return whether a pattern as robots.txt has them matches a path and query, however either is escaped."""
    return bool(pattern) and _matches(_normal(pattern), _normal(path))


def _normal(path: str) -> str:
    """Return a path or pattern with the same escapes for the same octets (§2.2.2)."""
    ascii_path = quote(path, safe="%/?#[]@!$&'()*+,;=:-._~|^`{}\"<>\\ ")
    return _ESCAPE.sub(lambda found: _unescaped(found.group()), ascii_path)


def _unescaped(escape: str) -> str:
    octet = unquote_to_bytes(escape)
    return octet.decode("ascii") if octet[0] in _UNRESERVED else escape.upper()


def _matches(pattern: str, path: str) -> bool:
    """Return whether a pattern (`*` for anything, `$` for the end) matches a path from its start; in linear time."""
    anchored = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if not rest:
        return not anchored or at == len(path)
    *middle, last = rest
    for piece in middle:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if anchored:
        return len(path) - len(last) >= at and path.endswith(last)
    return path.find(last, at) >= 0
