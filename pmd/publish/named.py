"""How often a list names whoever contributed: only the caption and the URL can, so it is counted in both.

Upstream's field of who it was (`recorded` of a manifest) never leaves. But people sign captions, and hosts put accounts into
addresses; neither is changed. Two numbers are counted: rows whose field holds a name of `LEAST` letters or more, and those of
them whose text or URL in the list has that name as a word of its own, capitals aside.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib import parse

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import manifests
from pmd.publish import rules as publish_rules
from pmd.suppression import people

#: What is counted: rows of which upstream says who contributed, and those where a column says so too.
ROWS: Final = "rows"
COLUMNS: Final = ("text", "image_url")
#: Shorter names stand in too many words.
LEAST: Final = 3
#: The fact of a list's commit.
FACT: Final = "named"


def count(source: str, pairs: pa.Table, listed: pa.Table) -> Counter[str]:
    """Return how many rows of a list name who contributed them, by `ROWS` and `COLUMNS`.

    Args:
        source: The source.
        pairs: `PAIRS`, among them those of the list.
        listed: `PUBLISHED`.
    """
    fields = manifests.recorded(source).people
    found: Counter[str] = Counter()
    if not fields:
        return found
    keys = publish_rules.hexadecimal(pairs["pair_id"])
    metas = pairs["meta"].take(pc.index_in(listed["pair_id"], value_set=keys))
    rows = zip(metas.to_pylist(), *(listed[name].to_pylist() for name in COLUMNS), strict=True)
    for meta, *shown in rows:
        names = _names(orjson.loads(meta), fields)
        if not names:
            continue
        found[ROWS] += 1
        for column, said in zip(COLUMNS, shown, strict=True):
            found[column] += said is not None and any(_stands(name, said) for name in names)
    return found


def _names(meta: Mapping[str, Any], fields: tuple[str, ...]) -> list[str]:
    said = (str(meta.get(field) or "") for field in fields)
    names = (parse.unquote_plus(name).strip().casefold() for name in said if name not in people.NOBODY)
    return [name for name in names if len(name) >= LEAST]


def _stands(name: str, text: str) -> bool:
    """Return whether a name stands by itself in a text or URL, as it is or escaped."""
    pattern = rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"
    forms = {text.casefold(), parse.unquote(text).casefold()}
    return any(name in form and re.search(pattern, form) is not None for form in forms)


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums of several counts; of no row, nothing: upstream never says who contributed."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return {name: total[name] for name in (ROWS, *COLUMNS)} if total[ROWS] else {}
