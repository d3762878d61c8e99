"""Personal data in texts: which texts have an e-mail address, a telephone number, a user's handle or a URL in them.

Only whether a text has one leaves this module, never what it is. Patterns are RE2's, on whole columns; they are meant to find
what is plainly written as such, so that rates are of plain cases: "name at example dot org" is missed, and a long number with
spaces that is no telephone's may count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: Kind → what all of it has in it, looked for first, and the pattern.
PATTERNS: Final[Mapping[str, tuple[str, str]]] = {
    # A local part, "@", and a domain with a dot: RFC 5321's addresses as people write them.
    "email": (
        "@",
        r"(?i)(?:^|[^a-z0-9._%+-])[a-z0-9][a-z0-9._%+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?:$|[^a-z0-9@])",
    ),
    # An international number: "+" and 8 to 15 digits (E.164), with single marks between them; a number of ten digits as in North
    # America, with marks between its parts; or 7 digits and more after "tel", "phone" or "call".
    "phone": (
        r"[0-9].*[0-9].*[0-9].*[0-9].*[0-9].*[0-9].*[0-9]",
        r"(?i)(?:^|[^0-9a-z])(?:\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}|\(?[2-9][0-9]{2}(?:\) ?|[.-]| - )[2-9][0-9]{2}[ .-][0-9]{4}"
        r"|(?:tel|phone|telephone|mobile|call|whatsapp)[a-z]*[.:]? ?[:#]? ?\(?[0-9](?:[ ().-]{0,2}[0-9]){6,14})(?:$|[^0-9])",
    ),
    # "@name" that no letter precedes, as in an address.
    "handle": (
        "@",
        r"(?:^|[^A-Za-z0-9._%+/@-])@[A-Za-z0-9_](?:[A-Za-z0-9_.]{0,29}[A-Za-z0-9_])?(?:$|[^A-Za-z0-9_@.]|\.(?:$|[^A-Za-z0-9]))",
    ),
    "url": (
        r"(?i)://|www\.|\.[a-z]{2,3}",
        r"(?i)(?:https?://|ftp://|www\.)[a-z0-9]|(?:^|[\s(])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|info|edu|gov|co\.uk)(?:$|[^a-z0-9@.-]|[./](?:$|[^.]))",
    ),
}


def find(texts: pa.Array) -> dict[str, NDArray[np.bool_]]:
    """Return of each kind which texts have it; none of them is null."""
    found = {}
    for kind, (first, pattern) in PATTERNS.items():
        has = pc.match_substring_regex(texts, first).to_numpy(zero_copy_only=False).copy()
        places = np.flatnonzero(has)
        has[places] = pc.match_substring_regex(texts.take(pa.array(places)), pattern).to_numpy(zero_copy_only=False)
        found[kind] = has
    return found
