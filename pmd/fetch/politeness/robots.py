"""robots.txt by RFC 9309: what it says, kept with date and evidence, and the verdict for one path.

The standard library's parser knows neither wildcards nor the longest match, which the RFC requires and image hosts use
(`Disallow: /*.jpg$`), so the rules are read here. An origin's file is asked for once a run and kept with its date
(`politeness.policies`): what a host said serves later runs too, while it is fresh; that it was unreachable is evidence, and
no more.
"""

from __future__ import annotations

import codecs
import dataclasses
import datetime
import functools
import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from pmd.fetch import outcome
from pmd.fetch.politeness import patterns, signals
from pmd.fetch.politeness.patterns import Patterns, TooMuch
from pmd.schema.statuses import OK

#: Files that say what may be asked for; `fetch/hosts/` keeps each kind apart.
Kind = Literal["robots", "tdmrep"]

#: What is read of a robots.txt: RFC 9309 §2.5 asks for at least 500 KiB.
MAX_BYTES: Final = 512 * 1024

#: How long a kept file is used (RFC 9309 §2.4).
FRESH: Final = datetime.timedelta(hours=24)

#: How long an unreachable one stands within a run before it is asked for again. Ours. The next run asks at once: whoever
#: starts it may have mended what was broken, also on their own side.
UNREACHABLE_FRESH: Final = datetime.timedelta(minutes=5)

#: What is dated later than this from now was learnt by a clock that was ahead, nobody knows when: it does not stand. Machines'
#: clocks may differ by less. Ours.
SKEW: Final = datetime.timedelta(minutes=5)

#: The longest Crawl-delay that is kept to, in seconds. RFC 9309 has none; hosts write it all the same, most of them the 10 that
#: Drupal's own file had. A fetch takes at least a host's images times its delay, whatever else. The largest hosts of Conceptual
#: 12M (half a million images) take 14 hours at ten a second: with 2 s as long as a host of 25,000 images. Ours.
MOST_DELAY_S: Final = 2.0

#: Characters of a short file, and how many files' rules are kept at hand, of the short ones and of the others. Rules take some
#: ten times as much as the file, and 35 times where each is as short as can be: 420 MB if all files are built for that.
SHORT: Final = 16 * 1024
SHORT_FILES: Final = 512
LONG_FILES: Final = 8

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
#: What of a user-agent line names somebody (§2.2.1): a product token, or a "*" that stands alone.
_TOKEN: Final = re.compile(r"[A-Za-z_-]+|\*(?!\S)")
#: A whole product's name, where it has characters that the RFC knows in none ("img2dataset"): up to its version.
_PRODUCT: Final = re.compile(r"[^\s/]*")
#: Lines of which nobody doubts what they mean: misspelt as Google's parser has met them, the colon left out between two words.
_KEYS: Final = {
    **dict.fromkeys(("user-agent", "useragent", "user agent"), "user-agent"),
    **dict.fromkeys(("disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"), "disallow"),
    "allow": "allow",
    "crawl-delay": "crawl-delay",
    **{name.lower(): name for name in signals.NAMES},
}
#: Those that RFC 9309 does not know: they end no list of agents but that of their own kind.
_BESIDE: Final = frozenset({"crawl-delay", *signals.NAMES})
_SECONDS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9}")
_NO_COLON: Final = re.compile(r"(\S+)\s+(\S+)")
#: A byte order mark, also in part: what is left of one where somebody cut it.
_MARK: Final = re.compile(b"\xef(?:\xbb\xbf?)?(?=[\x00-\x7f]|$)")
#: The mark of UTF-16, in either order.
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One line: allow or disallow paths that match a pattern.

    Attributes:
        pattern: It.
        allow: Whether it allows.
        said: The line, where it is a signal (`pmd.fetch.politeness.signals`).
    """

    pattern: str
    allow: bool
    said: str = ""

    def __str__(self) -> str:
        return self.said or f"{'Allow' if self.allow else 'Disallow'}: {self.pattern}"


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a file says to one agent, prepared.

    Attributes:
        rules: In the order in which they count (§2.2.2).
        patterns: Theirs.
        delay_s: Seconds that it wants between two requests.
        signals: What it says of training, by each of `signals.NAMES` apart.
    """

    rules: tuple[Rule, ...]
    patterns: Patterns
    delay_s: float = 0.0
    signals: tuple[Rules, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[Rule], *, wins: bool = True) -> Rules:
        """Prepare rules: the longest pattern counts first; empty ones never do.

        Args:
            rules: In any order.
            wins: Of two as long, whether the one that allows counts. It does of rules; of signals it is the no (AIPREF's draft).
        """
        made = [(rule, patterns.prepared(rule.pattern)) for rule in dict.fromkeys(rules) if rule.pattern]
        made.sort(key=lambda pair: (-pair[1].octets, pair[0].allow is not wins))
        return cls(tuple(rule for rule, _ in made), Patterns(pattern for _, pattern in made))


class _Group:
    """What a file's groups for one agent say, line by line."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._delay_s = 0.0
        self._signals: dict[str, list[Rule]] = {name: [] for name in signals.NAMES}

    def add(self, key: str, value: str) -> None:
        """Add a line; a signal that says nothing of training is passed over."""
        if key == "crawl-delay":
            self._delay_s = max(self._delay_s, _seconds(value))
        elif key not in self._signals:
            self._rules.append(Rule(value, key == "allow"))
        elif (signal := signals.line(value)) is not None:
            self._signals[key].append(Rule(*signal, f"{key}: {value}"))

    def prepared(self) -> Rules:
        """Return all of it, prepared."""
        said = tuple(Rules.of(rules, wins=False) for rules in self._signals.values() if rules)
        return dataclasses.replace(Rules.of(self._rules), delay_s=self._delay_s, signals=said)


@dataclasses.dataclass(frozen=True)
class Policy:
    """What an origin's robots.txt (or `pmd.fetch.politeness.tdmrep`) said, when.

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

    def __post_init__(self) -> None:
        """See to it that what hosts say can be written down."""
        if self.error is not None:
            object.__setattr__(self, "error", outcome.storable(self.error))

    @property
    def failure(self) -> str:
        """Why it could not be had: what the host said or, where that was no failure, what came of it."""
        is_said = self.http_status is not None and outcome.status_of_http(self.http_status) != OK
        return f"HTTP {self.http_status}" if is_said else str(self.error)

    def is_fresh(self, now: datetime.datetime) -> bool:
        """Return whether it need not be asked for again, by the run that learnt it; an unreachable file stands in no other."""
        return -SKEW <= now - self.when < (FRESH if self.status is None else UNREACHABLE_FRESH)


class Verdict(NamedTuple):
    """Whether a path may be asked for, by what, and how many seconds after the host's last request."""

    allowed: bool
    evidence: str
    delay_s: float = 0.0


def text_of(content: bytes) -> str:
    """Return a file as text (`decoded`).

    Of a file that was cut at `MAX_BYTES` the last line goes: half a pattern forbids, or allows, more than the whole.
    """
    text = decoded(content)
    return text if len(content) < MAX_BYTES else text[: max(text.rfind("\n"), text.rfind("\r")) + 1]


def decoded(content: bytes) -> str:
    """Return a file as text: in UTF-8 as the RFC has it, other octets escaped as a path's would be.

    Some editors write UTF-16. Its mark says so, and what it says is heeded: read as UTF-8, it would forbid nothing.
    """
    if content.startswith(_UTF_16):
        return content.decode("utf-16", "replace")
    mark = _MARK.match(content)
    return content[mark.end() if mark else 0 :].decode("utf-8", _PERCENT)


def _percent(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"%{octet:02X}" for octet in error.object[error.start : error.end]), error.end


_PERCENT: Final = "pmd.percent"
codecs.register_error(_PERCENT, _percent)


def is_long_work(policy: Policy, path: str) -> bool:
    """Return whether a verdict on this file (also one of TDMRep's) may take milliseconds: no work for an event loop."""
    return len(policy.body) > SHORT or len(path) > _SHORT_PATH or len(policy.body) * len(path) > _SHORT_WORK


#: Characters of a path, and characters of a file times those of a path (2 kB and 512).
_SHORT_PATH: Final = 2048
_SHORT_WORK: Final = 1 << 20


def rules_for(body: str, agent: str) -> Rules:
    """Return the rules of the groups for an agent, merged; those of "*" if there are none (RFC 9309 §2.2.1).

    Args:
        body: A robots.txt.
        agent: Our product token ("pmd"); compared without case.
    """
    return (_rules_of_short if len(body) <= SHORT else _rules_of_long)(body, agent.lower())


def _rules_for(body: str, agent: str) -> Rules:
    groups = {agent: _Group(), "*": _Group()}
    named = False
    # Whose rules come, and whose lines that the RFC does not know.
    ruled, beside = set[str](), set[str]()
    in_rules = in_group = True
    for line in _LINE_END.split(body.lstrip("\ufeff")):
        key, value = _parted(line)
        if key == "user-agent":
            names = _names(value)
            ruled, beside = names | (set() if in_rules else ruled), names | (set() if in_group else beside)
            in_rules = in_group = False
            named = named or agent in ruled
        elif key is not None:
            in_rules, in_group = in_rules or key not in _BESIDE, True
            for name in (beside if key in _BESIDE else ruled) & groups.keys():
                groups[name].add(key, value)
    return groups[agent if named else "*"].prepared()


def _seconds(value: str) -> float:
    """Return how many seconds a Crawl-delay says, as far as they are kept to; 0 where it says none."""
    said = _SECONDS.match(value)
    return min(MOST_DELAY_S, float(said.group())) if said else 0.0


_rules_of_short: Final = functools.lru_cache(maxsize=SHORT_FILES)(_rules_for)
_rules_of_long: Final = functools.lru_cache(maxsize=LONG_FILES)(_rules_for)


def _parted(line: str) -> tuple[str | None, str]:
    """Return what a line is and its value; None for one that is no rule and begins no group."""
    said = line.partition("#")[0]
    key, colon, value = said.partition(":")
    if not colon:
        words = _NO_COLON.fullmatch(said.strip())
        key, value = words.groups() if words else ("", "")
    return _KEYS.get(key.strip().lower()), value.strip()


def _names(value: str) -> set[str]:
    """Return whom the value of a user-agent line names, in small letters."""
    token, product = _TOKEN.match(value), _PRODUCT.match(value)
    assert product is not None
    names = {product.group().lower()} - {"*"}
    return names | {token.group().lower()} if token else names


#: What a look at the signals of one name may cost: those of both cost no more than half of what the rules do.
_SIGNAL_STEPS: Final = patterns.MOST_STEPS // 4


def decide(rules: Rules, path: str) -> Rule | None:
    """Return the rule that decides for a path: the longest pattern that matches, of two the one that allows (§2.2.2).

    Where the path may be asked for, a signal that forbids training on what is there decides: that would not be kept.

    Args:
        rules: As `rules_for` returns them.
        path: Path and query, as sent.

    Raises:
        TooMuch: It cannot be told at a bounded cost (`patterns.MOST_STEPS`).
    """
    place = rules.patterns.first(path)
    rule = None if place is None else rules.rules[place]
    if rule is not None and not rule.allow:
        return rule
    for said in rules.signals:
        place = said.patterns.first(path, _SIGNAL_STEPS)
        if place is not None and not said.rules[place].allow:
            return said.rules[place]
    return rule


def verdict(policy: Policy, origin: str, path: str, agent: str) -> Verdict:
    """Return whether our agent may ask for a path of an origin; where that would take too long to tell, it may not."""
    where = f"{origin}/robots.txt"
    if policy.status is not None:
        return Verdict(False, f"{where} is unreachable ({policy.failure}): all is disallowed, RFC 9309 2.3.1.4")
    rules = rules_for(policy.body, agent) if policy.body else _NONE
    try:
        rule = decide(rules, path)
    except TooMuch:
        return Verdict(False, f"{where} {TOO_MUCH.format(len(path))}")
    if rule is None:
        return Verdict(True, f"{where} (HTTP {policy.http_status}) has no rule for it", rules.delay_s)
    return Verdict(rule.allow, f"{where}: {rule}", rules.delay_s)


_NONE: Final = Rules.of(())
#: What is said of a verdict that was not looked for to the end.
TOO_MUCH: Final = "has more patterns than are looked through for a path of {} characters: taken as a no"
