"""Upstream's fields of many pairs, read out of `meta` without reading all of it: of an object of 800 bytes four are wanted.

`meta` is a JSON object. Where pmd wrote it, it is compact, and a name in it is looked for as the bytes that it is written as: a
quotation mark inside a string is never bare, so `{"name":` and `,"name":` begin that field wherever they stand. An object that
may be of another form (with white space, escapes, or objects in it) is parsed instead.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: A value of a field: a string without escapes, or a number, or what is said in a word.
_WORD: Final = r"[-+.0-9eE]+|null|true|false"
_VALUE: Final = rf'("[^"\\]*"|{_WORD})'
#: Bytes of a value that are looked at, by eight: longer ones are looked for by pattern.
_LONGEST: Final = 64
_EACH: Final = np.uint64(0x0101010101010101)
_HIGH: Final = np.uint64(0x8080808080808080)

Numbers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


def cut(metas: pa.Array, names: Sequence[str]) -> pa.StructArray:
    """Return of JSON objects these fields alone, as `tokens` gives them: most bytes of an object are asked for by nobody."""
    found = tokens(metas, names)
    return pa.StructArray.from_arrays([found[name] for name in names], names=[*names])


def tokens(metas: pa.Array, names: Sequence[str]) -> dict[str, pa.Array]:
    """Return of each field its values as JSON spells them; null where an object has none, or null. The first of two counts.

    Args:
        metas: JSON objects, none null; or what `cut` has left of them.
        names: The fields.
    """
    if pa.types.is_struct(metas.type):
        return {name: metas.field(name) for name in names}
    texts = metas.cast(pa.string())
    column = pl.Series(pl.from_arrow(texts), dtype=pl.String)
    meta = pl.col("meta").str
    # In what is nested, or escaped, bytes that look like a field may be another thing.
    nested = meta.slice(1).str.contains("{", literal=True)
    at = [
        meta.find(f"{_spelled(name)}:", literal=True).cast(pl.Int64).fill_null(-1).alias(f"at {name}") for name in names
    ]
    # All at once: to ask takes longer than to look at few texts.
    seen = column.alias("meta").to_frame().select(nested, *at)
    data = _Bytes.of(texts)
    is_nested = seen["meta"].to_numpy()
    return {name: _tokens(column, data, name, seen[f"at {name}"].to_numpy(), is_nested) for name in names}


def _tokens(column: pl.Series, data: _Bytes, name: str, at: Numbers, nested: Booleans) -> pa.Array:
    """Return the values of a field: read behind its name, where they are plain; else found by pattern, or parsed."""
    found, others = data.behind(at, len(_spelled(name)) + 1)
    others |= nested
    if others.any():
        some = pa.array(others)
        found = pc.replace_with_mask(found, some, _by_pattern(column.filter(pl.Series(others)), name, nested[others]))
    return found


def _by_pattern(column: pl.Series, name: str, nested: Booleans) -> pa.Array:
    """Return the values of a field in any objects."""
    values = column.str.extract(f"[{{,]{re.escape(_spelled(name))}:{_VALUE}[,}}]")
    lacking = values.is_null().to_numpy()
    doubtful = nested
    if lacking.any():
        perhaps = column.str.contains(_spelled(name), literal=True) | column.str.contains("\\", literal=True)
        doubtful = nested | (lacking & perhaps.to_numpy())
    texts = values.to_arrow().cast(pa.string())
    if doubtful.any():
        parsed = [_parsed(meta, name) for meta in column.filter(pl.Series(doubtful)).to_list()]
        texts = pc.replace_with_mask(texts, pa.array(doubtful), pa.array(parsed, pa.string()))
    return pc.if_else(pc.equal(texts, "null"), None, texts)


@dataclasses.dataclass(frozen=True)
class _Bytes:
    """The bytes of a column of texts.

    Attributes:
        starts: Where each text begins.
        stops: Where it ends.
        content: All of them.
        words: Eight bytes from each place on, as a number whose first byte is the least; at the end there are none.
    """

    starts: Numbers
    stops: Numbers
    content: NDArray[np.uint8]
    words: NDArray[np.uint64]

    @classmethod
    def of(cls, texts: pa.Array) -> _Bytes:
        """Return those of a string array without nulls. Nothing is copied."""
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset) if offsets else np.zeros(1, np.int32)
        whole = np.frombuffer(data if data is not None else b"", np.uint8)
        words = np.ndarray(max(len(whole) - 7, 0), "<u8", whole, 0, (1,))
        return cls(ends[:-1].astype(np.int64), ends[1:].astype(np.int64), whole, words)

    def behind(self, found: Numbers, length: int) -> tuple[pa.Array, Booleans]:
        """Return the plain values of a field, and of which texts there may be another value.

        Args:
            found: Where in each text the field's name and its colon stand first; -1 where they do not.
            length: Of these.
        """
        at = self.starts + found
        begins = at + length
        sure = (found >= 0) & (begins + _LONGEST + 8 <= len(self.content))
        rows = np.flatnonzero(sure)
        before = self.content[at[rows] - 1]
        rows = rows[(before == ord("{")) | (before == ord(","))]
        quoted = self.content[begins[rows]] == ord('"')
        strings, string_ends = self._strings(rows[quoted], begins)
        words, word_ends = self._until(rows[~quoted], begins, b",}")
        ends = np.zeros(len(at), np.int64)
        ends[strings], ends[words] = string_ends, word_ends
        is_plain = ends > begins
        values = self._cut(begins, ends, is_plain)
        said = np.zeros(len(at), np.bool_)
        said[words] = True
        if len(words):
            texts = values.filter(pa.array(said))
            is_plain[words] = pc.match_substring_regex(texts, f"^(?:{_WORD})$").to_numpy(zero_copy_only=False)
            nothing = np.zeros(len(at), np.bool_)
            nothing[words] = pc.equal(texts, "null").to_numpy(zero_copy_only=False)
            values = pc.if_else(pa.array(nothing), None, values)
        # What has not the name, spelled so and with a colon, may yet have it spelled otherwise.
        return values, ~is_plain

    def _strings(self, rows: NDArray[np.intp], begins: Numbers) -> tuple[NDArray[np.intp], Numbers]:
        """Return the texts whose value is a plain string, and where it ends: of some whose value begins as one."""
        rows, ends = self._until(rows, begins + 1, b'"\\')
        after = self.content[ends + 1]
        plain = (self.content[ends] == ord('"')) & ((after == ord(",")) | (after == ord("}")))
        return rows[plain], ends[plain] + 1

    def _until(self, rows: NDArray[np.intp], begins: Numbers, marks: bytes) -> tuple[NDArray[np.intp], Numbers]:
        """Return the texts that have one of some bytes soon, and where the first is."""
        ends = np.full(len(rows), -1, np.int64)
        left = np.arange(len(rows))
        for step in range(0, _LONGEST, 8):
            words = self.words[begins[rows[left]] + step]
            zeros = np.zeros(len(left), np.uint64)
            for mark in marks:
                other = words ^ (_EACH * np.uint64(mark))
                zeros |= (other - _EACH) & ~other & _HIGH
            hit = zeros != 0
            # The lowest of these bits is right; above it, one may be of a byte that is no mark.
            place = np.bitwise_count(zeros[hit] ^ (zeros[hit] - np.uint64(1))).astype(np.int64) // 8
            ends[left[hit]] = begins[rows[left[hit]]] + step + place - 1
            left = left[~hit]
            if not len(left):
                break
        there = ends >= 0
        there &= ends < self.stops[rows]
        return rows[there], ends[there]

    def _cut(self, begins: Numbers, ends: Numbers, some: Booleans) -> pa.Array:
        """Return what stands between some places as texts; null for others."""
        lengths = np.where(some, ends - begins, 0)
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        places = np.arange(offsets[-1], dtype=np.int32) + np.repeat((begins - offsets[:-1]).astype(np.int32), lengths)
        # NumPy takes several times as long for single bytes.
        data = pa.array(self.content).take(pa.array(places)).buffers()[1]
        validity = pa.array(some).buffers()[1] if len(some) else None
        return pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets.astype(np.int32)), data, validity)


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
