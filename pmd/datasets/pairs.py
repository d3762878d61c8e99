"""Any data set's rows as pairs: what the audit measures, and how many rows could not be one.

A row with a text is a pair. Its image is known by its URL, as images are everywhere here, or by a path or another address in its
place, else by its id, else it is one of its own. Who made it and where stand in `meta` under names of ours. The rows of a
published list are what they are in the list: their source, keys and fields.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import manifests
from pmd.audit.counting.measure import DATA
from pmd.datasets import files
from pmd.formats import json_stream
from pmd.schema import keys
from pmd.schema.tables import KEY, PAIRS
from pmd.sources import column_drafts, named_rows
from pmd.sources.contract import Chunk
from pmd.store.commits import Books
from pmd.text import cleaning, url_identity

#: Columns that pairs have in `meta`.
META: Final = ("user", "latitude", "longitude")
_NUL: Final = pa.scalar("\0", pa.large_string())
_OWN: Final = pa.scalar("row:", pa.large_string())
_ELSEWHERE: Final = pa.scalar("at:", pa.large_string())
_EMPTY: Final = pa.scalar("", pa.large_string())


def read(file: files.DataFile, chunk: Chunk) -> Iterator[tuple[pa.RecordBatch, dict[str, Books]]]:
    """Yield the pairs of a chunk (`PAIRS`), each batch with its books: source → kept, and why others were not."""
    for part in files.parts(file, chunk):
        columns = dict(part.columns)
        source = _sources(columns, len(part.places))
        lost: dict[str, dict[str, int]] = {}
        if len(part.places):
            # As curate leaves each text: a term is one with any white space in it, and however its accents are put together.
            text = pc.fill_null(cleaning.normalise(columns["text"].cast(pa.string())), "")
            columns["text"] = text.cast(pa.large_string())
            said = pc.not_equal(text, "")
            for name in source.filter(pc.invert(said)).to_pylist():
                _count(lost, name, "empty_text")
        for draft in part.lost:
            _count(lost, DATA, draft["reason"])
        pairs = PAIRS.empty_table().combine_chunks().to_batches()
        batch = pairs[0] if pairs else pa.RecordBatch.from_pylist([], schema=PAIRS)
        if len(part.places):
            mine = {name: column.filter(said) for name, column in columns.items()}
            batch = _pairs(mine, source.filter(said), part.places.filter(said), is_list=file.is_list)
        kept = {one["values"]: one["counts"] for one in batch["source"].value_counts().to_pylist()}
        yield (
            batch,
            {
                name: Books(kept.get(name, 0), dict(sorted(lost.get(name, {}).items())))
                for name in sorted({*kept, *lost})
            },
        )


def _count(lost: dict[str, dict[str, int]], source: str, reason: str) -> None:
    reasons = lost.setdefault(source, {})
    reasons[reason] = reasons.get(reason, 0) + 1


def _sources(columns: Mapping[str, pa.Array], length: int) -> pa.Array:
    """Return the source of each row as pmd spells it; `DATA` where none is named."""
    if "source" not in columns:
        return pa.array([DATA] * length, pa.string())
    names = columns["source"].to_pylist()
    return pa.array([_spelled(name) for name in names], pa.string())


def sources_of(rows: Mapping[str, int]) -> dict[str, int]:
    """Return numbers of rows by source as pmd spells it."""
    found: dict[str, int] = {}
    for name, count in rows.items():
        found[_spelled(name)] = found.get(_spelled(name), 0) + count
    return found


def _spelled(name: str | None) -> str:
    return _names().get(name, name) if name else DATA


@functools.cache
def _names() -> dict[str, str]:
    return {manifest.hub_name: name for name, manifest in manifests.load_all().items()}


def _pairs(columns: Mapping[str, pa.Array], source: pa.Array, places: pa.Array, *, is_list: bool) -> pa.RecordBatch:
    length = len(places)
    nothing = pa.nulls(length, pa.large_string())
    url = named_rows.given(columns.get("url", nothing))
    # What writers put where there is none is none: as an id, it would make one image, or one person, of all that have it.
    columns = {**columns, **{name: named_rows.ids(columns[name]) for name in ("id", "user") if name in columns}}
    row = pc.binary_join_element_wise(
        *(pc.fill_null(columns.get(name, nothing), "") for name in ("id", "url", "text", "user")), _NUL
    )
    own = pc.coalesce(columns.get("id", nothing), places.cast(pa.large_string()))
    named = (pc.binary_join_element_wise(start, name, _EMPTY) for start, name in ((_ELSEWHERE, url), (_OWN, own)))
    identity = pc.coalesce(_identities(url), *named)
    found: dict[str, Any] = {
        "pair_id": keys.hashed(row),
        "image_id": keys.image_ids(identity),
        "source": source,
        "source_id": own,
        "image_url": url,
        "identity": identity,
        "width_px": _pixels(columns.get("width")),
        "height_px": _pixels(columns.get("height")),
        "text": columns["text"],
        "meta": column_drafts.json_objects({name: columns.get(name, nothing) for name in META}),
        "image_licence": named_rows.given(columns.get("licence", nothing)),
    }
    if is_list:
        found |= {name: _keys(columns[name], found[name]) for name in ("pair_id", "image_id") if name in columns}
        found["meta"] = _objects(columns["meta"]) if "meta" in columns else found["meta"]
    arrays = []
    for field in PAIRS:
        values = found.get(field.name)
        arrays.append(pa.nulls(length, field.type) if values is None else values.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=PAIRS)


def _objects(column: pa.Array) -> pa.Array:
    """Return objects of JSON as they are, and an empty one for what is none: others may have written the list again."""
    values = [b"" if text is None else text for text in column.cast(pa.large_binary()).to_pylist()]
    parsed = [json_stream.parsed_without_nan(text) for text in values]
    found = [
        (text if b"NaN" not in text and b"Infinity" not in text else orjson.dumps(value))
        if isinstance(value, dict)
        else b"{}"
        for text, value in zip(values, parsed, strict=True)
    ]
    return pa.array(found, pa.large_binary()).cast(pa.large_string())


def _identities(url: pa.Array) -> pa.Array:
    return url_identity.of(url.cast(pa.string())).cast(pa.large_string())


def _pixels(column: pa.Array | None) -> pa.Array | None:
    """Return whole numbers of pixels; null for what is none, or is no size."""
    return None if column is None else named_rows.whole_numbers(column)


def _keys(column: pa.Array, ours: pa.Array) -> pa.Array:
    """Return keys that are spelled in hexadecimal; ours where one is not."""
    spelled = pc.fill_null(pc.match_substring_regex(column, "^[0-9a-f]{32}$"), fill_value=False).to_pylist()
    rows = zip(spelled, column.to_pylist(), ours.to_pylist(), strict=True)
    return pa.array([bytes.fromhex(key) if sound else own for sound, key, own in rows], KEY)
