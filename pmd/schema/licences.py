"""Licences as they are written: an SPDX expression (`CC-BY-4.0 AND LicenseRef-…`), or NOASSERTION where none is stated.

What an expression means for whoever hands something on is decided here, too: of `A AND B` both hold, of `A OR B` one may be
chosen. The list of identifiers is SPDX's own, as `packaging` carries it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

#: Nobody states one: SPDX's word for it. It is no expression, and no part of one.
NOASSERTION: Final = "NOASSERTION"

#: Those that let a work be handed on without credit. Any other is taken to ask for it.
_WITHOUT_CREDIT: Final = frozenset(
    {NOASSERTION, "0BSD", "CC-PDDC", "CC-PDM-1.0", "CC0-1.0", "MIT-0", "PDDL-1.0", "Unlicense", "WTFPL"}
)
_CREATIVE_COMMONS: Final = re.compile(r"CC-(BY(?:-NC)?(?:-ND|-SA)?)-([0-9]\.[0-9])")
_TOKEN: Final = re.compile(r"[()]|[^\s()]+(?: WITH [^\s()]+)?")


def canonical(expression: str) -> str:
    """Return an expression, or NOASSERTION, as SPDX spells it.

    >>> canonical("cc-by-4.0 and LicenseRef-mine")
    'CC-BY-4.0 AND LicenseRef-mine'

    Raises:
        ValueError: It is neither.
    """
    if expression == NOASSERTION:
        return expression
    try:
        return str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression:
        raise ValueError('an SPDX expression, as "CC-BY-4.0" or "LicenseRef-mine", or "NOASSERTION"') from None


def or_none(expression: str) -> str:
    """Return an expression that a source has put together; where SPDX knows no such licence, NOASSERTION."""
    try:
        return canonical(expression)
    except ValueError:
        return NOASSERTION


def asks_for_credit(expression: str) -> bool:
    """Return whether a work under it may be handed on only with credit to its author."""
    return not _holds(expression, _WITHOUT_CREDIT.__contains__)


def is_allowed(expression: str, allowed: Collection[str]) -> bool:
    """Return whether it is one of some expressions, or made of them so that one may choose these alone."""
    return expression in allowed or _holds(expression, allowed.__contains__)


def address(expression: str) -> str | None:
    """Return where a licence can be read; None of several, and of one that SPDX does not list.

    >>> address("CC-BY-NC-SA-2.0")
    'https://creativecommons.org/licenses/by-nc-sa/2.0/'
    """
    if creative_commons := _CREATIVE_COMMONS.fullmatch(expression):
        return f"https://creativecommons.org/licenses/{creative_commons[1].lower()}/{creative_commons[2]}/"
    if expression == NOASSERTION or " " in expression or expression.startswith("LicenseRef-"):
        return None
    return f"https://spdx.org/licenses/{expression}.html"


def _holds(expression: str, of_one: Callable[[str], bool]) -> bool:
    """Return whether an expression holds, if its licences do or do not: AND binds closer than OR (SPDX 2.3, annex D)."""
    tokens = deque([*_TOKEN.findall(expression), ""])

    def one() -> bool:
        first = tokens.popleft()
        if first != "(":
            return of_one(first)
        inner = either()
        tokens.popleft()  # the bracket that closes
        return inner

    def both() -> bool:
        holds = one()
        while tokens[0] == "AND":
            tokens.popleft()
            holds &= one()
        return holds

    def either() -> bool:
        holds = both()
        while tokens[0] == "OR":
            tokens.popleft()
            holds |= both()
        return holds

    return either()
