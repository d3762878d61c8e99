"""Personal data in texts: which texts have an e-mail address, a telephone number, a user's handle or a URL in them.

Only whether a text has one leaves this module, never what it is. Patterns are RE2's; they are meant to find
what is plainly written as such, so that rates are of plain cases: "name at example dot org" is missed, and a long number with
spaces that is no telephone's may count. What photographers and files write in these shapes is none: "@200mm", "icon@2x.png",
years and dates behind "call", focal lengths behind "telephoto".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd.text.tokens import Tokens

#: Kind → its pattern. Of all but `SPANNING` no match has a space inside, and a space beside one is what an end of the text is.
PATTERNS: Final[Mapping[str, str]] = {
    # A local part, "@", and a domain with a dot: RFC 5321's addresses as people write them.
    "email": r"(?i)(?:^|[^a-z0-9._%+-])[a-z0-9][a-z0-9._%+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?:$|[^a-z0-9@])",
    # An international number: "+" and 8 to 15 digits (E.164), with single marks between them; a number of ten digits as in North
    # America, with the same marks between its parts, or the first in brackets ("200-500 2016" is a lens and a year); or 7 digits
    # and more after "tel", "phone" or "call".
    "phone": (
        r"(?i)(?:^|[^0-9a-z])(?:\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}"
        r"|\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-][0-9]{4}|[2-9][0-9]{2}(?:[.-]| - )[2-9][0-9]{2}(?:[.-]| - )[0-9]{4}"
        r"|(?:tel|phone|telephone|mobile|call|whatsapp)s?[.:]? ?[:#]? ?\(?[0-9](?:[ ().-]{0,2}[0-9]){6,14})(?:$|[^0-9])"
    ),
    # "@name" that no letter precedes, as in an address.
    "handle": (
        r"(?:^|[^A-Za-z0-9._%+/@-])@[A-Za-z0-9_](?:[A-Za-z0-9_.]{0,29}[A-Za-z0-9_])?(?:$|[^A-Za-z0-9_@.]|\.(?:$|[^A-Za-z0-9]))"
    ),
    "url": (
        r"(?i)(?:https?://|ftp://|www\.)[a-z0-9]|(?:^|[\s(])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|info|edu|gov|co\.uk)(?:$|[^a-z0-9@.-]|[./](?:$|[^.]))"
    ),
}
#: Kind → what is taken out before its pattern is asked: how a picture was taken ("@200mm", "@f/2.8", "@7pm"), names of
#: files for screens of twice the resolution, dates, and years from one to another: these have a telephone number's digits.
TAKEN_OUT: Final[Mapping[str, str]] = {
    "email": r"(?i)@[1-4]x\.(?:png|jpe?g|gif|webp|svg)(?:$|[^a-z0-9])",
    "handle": (
        r"(?i)(?:^|[^a-z0-9._%+/@-])@(?:iso|f/?)?[0-9][0-9.,/-]*(?:mm|cm|m|ft|p|am|pm|fps|k?hz|k|x|s|sec|iso)?"
        r"(?:$|[^a-z0-9_@.]|\.(?:$|[^a-z0-9]))"
    ),
    "phone": (
        r"\b(?:(?:1[5-9]|20)[0-9]{2} ?- ?(?:1[5-9]|20)[0-9]{2}|(?:1[89]|20)[0-9]{2}[-./][01]?[0-9][-./][0-3]?[0-9]"
        r"|[0-3]?[0-9][-./][0-3]?[0-9][-./](?:1[89]|20)[0-9]{2})\b"
    ),
}
#: The kind whose matches may have spaces in them, and the digits that each has at least.
SPANNING: Final = "phone"
_DIGITS: Final = 7
#: The others.
_WITHIN: Final = tuple(kind for kind in PATTERNS if kind != SPANNING)
#: What a token has in it that any pattern but `SPANNING` matches: few have.
_PERHAPS: Final = "[@:.]"


def find(tokens: Tokens) -> dict[str, NDArray[np.bool_]]:
    """Return of each kind which texts have it."""
    perhaps = pc.match_substring_regex(tokens.dictionary, _PERHAPS).to_numpy(zero_copy_only=False)
    some = tokens.dictionary.filter(pa.array(perhaps))
    # One bit a kind: all kinds are brought from tokens to texts at once.
    of_token = np.zeros(len(perhaps), np.uint8)
    for bit, kind in enumerate(_WITHIN):
        matched = matching(some, kind).to_numpy(zero_copy_only=False)
        of_token[perhaps] |= matched.astype(np.uint8) << bit
    bits = tokens.united(of_token)
    found = {kind: (bits >> bit & 1).astype(np.bool_) for bit, kind in enumerate(_WITHIN)}
    return found | {SPANNING: _spanning(tokens)}


def _spanning(tokens: Tokens) -> NDArray[np.bool_]:
    """Return which texts the pattern matches whose matches may have spaces in them, and have so many digits."""
    digits = pc.count_substring_regex(tokens.dictionary, "[0-9]").to_numpy(zero_copy_only=False)
    found: NDArray[np.bool_] = tokens.summed(digits) >= _DIGITS
    rows = np.flatnonzero(found)
    found[rows] = matching(tokens.joined(rows), SPANNING).to_numpy(zero_copy_only=False)
    return found


def matching(texts: pa.Array, kind: str) -> pa.Array:
    """Return which texts, or tokens, have a kind."""
    if kind in TAKEN_OUT:
        texts = pc.replace_substring_regex(texts, TAKEN_OUT[kind], " ")
    return pc.match_substring_regex(texts, PATTERNS[kind])
