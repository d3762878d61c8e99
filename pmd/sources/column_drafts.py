"""Columns into drafts: what the readers of tables share, so that no row of theirs becomes a Python object.

YFCC100M, Conceptual Captions and WIT are 150 million rows together. Their readers hold Arrow columns from the file to
the drafts; only digests, one call of a C function a row, leave Arrow. Knows no source.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.formats.lines import INVALID_UTF8, LineBatch, LongLine
from pmd.formats.tsv import SplitColumns
from pmd.schema import keys
from pmd.schema.tables import DRAFTS, KEY
from pmd.sources.contract import DRAFT_ROWS

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


def drafts(rows: int, columns: Mapping[str, Any]) -> pa.RecordBatch:
    """Return a batch of drafts.

    Args:
        rows: Number of rows.
        columns: Columns of `DRAFTS` by name: an array, of strings in either width, or one value for every row. What is
            left out is null.
    """

    def column(field: pa.Field) -> pa.Array:
        value = columns.get(field.name)
        if value is None:
            return pa.nulls(rows, field.type)
        if not isinstance(value, pa.Array):
            return pa.repeat(pa.scalar(value, field.type), rows)
        return value if value.type == field.type else value.cast(field.type)

    return pa.RecordBatch.from_arrays([column(field) for field in DRAFTS], schema=DRAFTS)


def keys_of(digests: Iterable[bytes], rows: int) -> pa.Array:
    """Return 16-byte digests as a key column of `rows` rows."""
    return pa.Array.from_buffers(KEY, rows, [None, pa.py_buffer(b"".join(digests))])


def digests(raw: pa.Array) -> pa.Array:
    """Return `pmd.schema.keys.digest` of each value of a binary array without nulls."""
    return keys.hashed(raw)


def json_objects(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return one JSON object a row (large_string), its keys in the order of `columns`; nulls become JSON nulls.

    Non-ASCII characters stay as they are; quotes, backslashes and control characters are escaped.
    """
    import polars as pl  # late: it takes a tenth of a second, and every command reads this module in

    frame = pl.DataFrame([cast(pl.Series, pl.from_arrow(values)).alias(name) for name, values in columns.items()])
    return frame.to_struct("").struct.json_encode().to_arrow(compat_level=pl.CompatLevel.oldest())


def lines_as_objects(
    cut: SplitColumns, names: Sequence[str], lines: Indices, further: Mapping[str, pa.Array]
) -> pa.Array:
    """Return `json_objects` of whole lines: nearly always without cutting a field out, which takes three times as long.

    Args:
        cut: The lines.
        names: Of their fields, in order.
        lines: Which lines, ascending; all good and of so many fields.
        further: Columns of these lines that follow the fields; few rows of them differ.
    """
    if not len(lines):
        return pa.array([], pa.large_string())
    begun = [b'",' + json.dumps(name).encode() + b':"' for name in names]
    begun[0] = b"{" + begun[0].removeprefix(b'",')
    ends = json_objects(further).dictionary_encode()
    ended = [f'",{end.removeprefix("{")}'.encode() for end in ends.dictionary.to_pylist()]
    objects = cut.joined(begun, ended, ends.indices.to_numpy(), lines)
    quoted = cut.quoted(lines)
    if not quoted.any():
        return objects
    chosen = pa.array(np.flatnonzero(quoted))
    columns = {name: cut.column(place, lines[quoted]) for place, name in enumerate(names)}
    columns |= {name: column.take(chosen) for name, column in further.items()}
    return pc.replace_with_mask(objects, pa.array(quoted), json_objects(columns))


def slices(batch: LineBatch) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Yield (lines, where each stands) for slices of at most `DRAFT_ROWS` lines, of about one length."""
    where = places(batch)
    rows = math.ceil(len(batch) / max(1, math.ceil(len(batch) / DRAFT_ROWS)))
    for first in range(0, len(batch), max(1, rows)):
        yield batch.lines.slice(first, rows), where.slice(first, rows)


def lost_lines(
    lines: pa.Array, cut: SplitColumns, *, digests: pa.Array, places: pa.Array, expected: str
) -> pa.RecordBatch:
    """Return rejections of the bad lines of a cut: not UTF-8, or else of the wrong number of fields.

    Args:
        lines: All lines that were cut.
        cut: Their fields.
        digests: Digest of each line.
        places: Where each line stands.
        expected: "2 fields", as the detail says it.
    """
    indices = pa.array(cut.bad)
    undecodable = [_undecodable(line) for line in lines.take(indices).to_pylist()]
    details = [
        f"expected {expected}, found {count}" if byte is None else f"{INVALID_UTF8} at byte {byte} of the line"
        for byte, count in zip(undecodable, cut.fields[cut.bad], strict=True)
    ]
    return drafts(
        len(cut.bad),
        {
            "row_digest": digests.take(indices),
            "reason": pa.array(
                ["malformed_row" if byte is None else "bad_encoding" for byte in undecodable], pa.string()
            ),
            "detail": pa.array(details, pa.string()),
            "where": places.take(indices),
        },
    )


def long_line(line: LongLine) -> pa.RecordBatch:
    """Return the rejection of a line that is too long to be a row."""
    return drafts(
        1, {"row_digest": keys_of([line.digest], 1), "reason": "malformed_row", "detail": line.why, "where": line.where}
    )


def _undecodable(raw: bytes) -> int | None:
    """Return the first byte that is not UTF-8, or None."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def places(batch: LineBatch) -> pa.Array:
    """Return `batch.place(i)` of each line, without a call for each.

    Within what one origin describes, places differ in their byte only, which is the last number in them.
    """
    cuts = np.searchsorted(batch.starts, [offset for offset, _ in batch.origins])
    parts = [pa.array([], pa.string())]
    for first, stop in zip(cuts, [*cuts[1:], len(batch)], strict=True):
        if first < stop:
            match = re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", batch.place(int(first)), re.DOTALL)
            assert match is not None
            before, byte, after = match.groups()
            bytes_ = pa.array(batch.starts[first:stop] - batch.starts[first] + int(byte)).cast(pa.string())
            parts.append(pc.binary_join_element_wise(before, bytes_, after, ""))
    return pa.concat_arrays(parts)


def equals(column: pa.Array, value: str) -> Mask:
    """Return a mask of the rows that hold exactly `value`; null does not."""
    return mask(pc.equal(column, pa.scalar(value, column.type)))


def matches(column: pa.Array, pattern: str) -> Mask:
    """Return a mask of the rows in which an RE2 pattern is found; not in null."""
    return mask(pc.match_substring_regex(column, pattern))


def mask(values: pa.Array) -> Mask:
    """Return a Boolean array as a NumPy mask; null is False."""
    return cast(Mask, values.fill_null(False).to_numpy(zero_copy_only=False))


def take(values: pa.Array, indices: Indices) -> pa.Array:
    """Return the values at ascending indices without repeats."""
    return values if len(indices) == len(values) else values.take(pa.array(indices))


def scatter(values: pa.Array, where: Indices, rows: int) -> pa.Array:
    """Return an array of `rows` rows that holds `values` at the (ascending) indices `where` and null elsewhere."""
    if len(where) == rows:
        return values
    slots = np.full(rows, -1, np.int64)
    slots[where] = np.arange(len(where))
    return values.take(pa.array(slots, mask=slots < 0))
