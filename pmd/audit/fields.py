"""Upstream's fields of many pairs, read out of `meta` without reading all of it: of an object of 800 bytes four are wanted.

`meta` is a JSON object. Where pmd wrote it, it is compact, and a name in it is looked for as the bytes that it is written as: a
quotation mark inside a string is never bare, so `{"name":` and `,"name":` begin that field wherever they stand. An object that
may be of another form (with white space, escapes, or objects in it) is parsed instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

#: A value of a field: a string without escapes, or a number, or what is said in a word.
_VALUE: Final = r'("[^"\\]*"|[-+.0-9eE]+|null|true|false)'


def tokens(metas: pa.Array, names: Sequence[str]) -> dict[str, pa.Array]:
    """Return of each field its values as JSON spells them; null where an object has none, or null. The first of two counts.

    Args:
        metas: JSON objects, none null.
        names: The fields.
    """
    column = pl.Series(pl.from_arrow(metas.cast(pa.string())))
    # In what is nested, or escaped, bytes that look like a field may be another thing.
    nested = column.str.count_matches("{", literal=True).to_numpy() != 1
    found = {}
    for name in names:
        values = column.str.extract(f"[{{,]{re.escape(_spelled(name))}:{_VALUE}[,}}]")
        lacking = values.is_null().to_numpy()
        doubtful = nested
        if lacking.any():
            perhaps = column.str.contains(_spelled(name), literal=True) | column.str.contains("\\", literal=True)
            doubtful = nested | (lacking & perhaps.to_numpy())
        texts = values.to_arrow().cast(pa.string())
        if doubtful.any():
            parsed = [_parsed(meta, name) for meta in metas.filter(pa.array(doubtful)).to_pylist()]
            texts = pc.replace_with_mask(texts, pa.array(doubtful), pa.array(parsed, pa.string()))
        found[name] = pc.if_else(pc.equal(texts, "null"), None, texts)
    return found


def _spelled(name: str) -> str:
    return orjson.dumps(name).decode()


def _parsed(meta: str, name: str) -> str | None:
    value = orjson.loads(meta).get(name)
    return None if value is None else orjson.dumps(value).decode()


def value(token: str | None) -> Any:
    """Return what a token says."""
    return None if token is None else orjson.loads(token)


def strings(values: pa.Array) -> pa.Array:
    """Return tokens as text, as `str(value or "")` does: strings as they are, "" for what is nothing.

    Args:
        values: Tokens; few of them are no plain strings, or many are equal.
    """
    quoted = pc.starts_with(values, '"')
    plain = pc.fill_null(pc.and_(quoted, pc.invert(pc.match_substring(values, "\\"))), fill_value=False)
    texts = pc.utf8_slice_codeunits(pc.if_else(plain, values, '""'), 1, -1)
    others = pc.and_(pc.invert(plain), pc.is_valid(values))
    if pc.any(others).as_py():
        said = [str(value(token) or "") for token in values.filter(others).to_pylist()]
        texts = pc.replace_with_mask(texts, others, pa.array(said, pa.string()))
    return texts


def numbers(values: pa.Array, some: np.ndarray) -> np.ndarray:
    """Return tokens that are digits, in quotation marks or not, as int64.

    Args:
        values: Tokens.
        some: Which of them are.
    """
    digits = pc.utf8_trim(values.filter(pa.array(some)), '"')
    found: np.ndarray = digits.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found
