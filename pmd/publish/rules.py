"""Publish: a source's list of image URLs with texts and checksums, for those who rebuild without rebuilding.

Rows stay compatible with `facebook/pmd` (image_url, text, source, meta). Text that its licence does not let us hand on is
left out, and meta with it; the keys stay, so whoever has the annotation files can join them back.

No person is named but in the text and the URL themselves. Of upstream's fields `meta` has those that the source's manifest
lists, where their values have the form that it gives: a field that nobody thought of does not leave. What is evidence of an
image's licence leaves where it has such a form, too.

A URL with user information (`user:password@`) is listed without it. Such a list would hand on somebody's password, and the
picture was had without: what is listed is the address that gave it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd.fetch import partitions
from pmd.manifests import Terms
from pmd.schema.tables import FOLDER_WORD, KEY, PAIRS
from pmd.text import credit, urls

#: What became of a pair's image: what the list says beside the pair.
FATES: Final = pa.schema(
    [
        pa.field("pair_id", KEY, nullable=False),
        pa.field("sha256", pa.binary(32)),
        pa.field("perceptual_hash", pa.binary(32)),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("format", pa.string()),
    ]
)

#: A row of the list. Keys and checksums are hex: people read them, and other tools join on them. All columns are nullable:
#: img2dataset builds rows of its own under this schema, with nulls for what it could not have.
PUBLISHED: Final = pa.schema(
    [
        pa.field("image_url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("source", FOLDER_WORD),
        pa.field("meta", pa.string()),
        pa.field("pair_id", pa.string()),
        pa.field("image_id", pa.string()),
        pa.field("region", PAIRS.field("region").type),
        pa.field("sha256", pa.string()),
        pa.field("perceptual_hash", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("text_licence", pa.string()),
        pa.field("image_licence", pa.string()),
        pa.field("licence_evidence", pa.string()),
        pa.field("attribution", pa.string()),
        pa.field("split", pa.string()),
    ]
)


def fates(views: pa.Table, ledger: pa.Table) -> pa.Table:
    """Return the `FATES` of views that are left; all their images are in the ledger, fetched."""
    at = partitions.positions(views["image_id"], ledger)
    return pa.table(
        {
            "pair_id": views["pair_id"],
            "sha256": ledger["sha256"].take(at),
            "perceptual_hash": ledger["perceptual_hash"].take(at),
            "width": ledger["width_px"].take(at),
            "height": ledger["height_px"].take(at),
            "format": ledger["format"].take(at),
        }
    ).cast(FATES)


def rows(pairs: pa.Table, fate: pa.Table, terms: Terms, *, with_text: bool) -> pa.Table:
    """Return the list of those pairs whose image is there.

    Args:
        pairs: `PAIRS` of a partition.
        fate: `FATES` of the same partition.
        terms: The source's: how `facebook/pmd` spells it, and what of upstream's fields may leave.
        with_text: Whether text and meta may be handed on.

    Returns:
        `PUBLISHED`, in order of pair_id.
    """
    at = pc.index_in(pairs["pair_id"], value_set=fate["pair_id"].combine_chunks()).combine_chunks()
    left = pc.is_valid(at)
    pairs, at = pairs.filter(left).combine_chunks(), at.filter(left)
    withheld = pa.nulls(pairs.num_rows, pa.string())
    columns = {
        "image_url": _without_credentials(pairs["image_url"]),
        "source": pa.repeat(pa.scalar(terms.hub_name), pairs.num_rows),
        "licence_evidence": evidence(pairs["licence_evidence"], terms.licence_evidence),
        "attribution": credit.lines(*(_whole(pairs[name]) for name in ("image_licence", "identity", "also"))),
        "pair_id": _hex(pairs["pair_id"]),
        "image_id": _hex(pairs["image_id"]),
        "sha256": _hex(fate["sha256"].take(at)),
        "perceptual_hash": _hex(fate["perceptual_hash"].take(at)),
        "width": fate["width"].take(at),
        "height": fate["height"].take(at),
    }
    columns |= {"meta": meta(pairs["meta"], terms.meta)} if with_text else {"text": withheld, "meta": withheld}
    table = pa.table([columns.get(field.name, _of(pairs, field.name)) for field in PUBLISHED], names=PUBLISHED.names)
    return table.cast(PUBLISHED).take(pc.sort_indices(table, [("pair_id", "ascending")])).combine_chunks()


def meta(column: pa.ChunkedArray, allowed: Mapping[str, str]) -> pa.Array:
    """Return JSON objects less every field that may not leave.

    Args:
        column: JSON objects.
        allowed: `Terms.meta`.
    """
    if not allowed:
        return pa.repeat(pa.scalar("{}"), len(column))
    forms = [(*_steps(path), re.compile(form).fullmatch) for path, form in allowed.items()]
    kept = (_allowed(orjson.loads(row), forms) for row in column.to_pylist())
    return pa.array([orjson.dumps(row).decode() for row in kept], pa.string())


def _steps(path: str) -> tuple[list[str], str]:
    """Return the objects that a field is in, and its name there."""
    *above, name = path.split(".")
    return above, name


def _allowed(row: Any, forms: Iterable[tuple[list[str], str, Callable[[str], object]]]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for above, name, matches in forms:
        place = row
        for step in above:
            place = place.get(step) if isinstance(place, dict) else None
        value = place.get(name) if isinstance(place, dict) else None
        if value is None or isinstance(value, dict | list) or not matches(_spelled(value)):
            continue
        into = kept
        for step in above:
            into = into.setdefault(step, {})
        into[name] = value
    return kept


def _spelled(value: Any) -> str:
    """Return a value as text: a string itself, others as JSON spells them."""
    if type(value) is str or type(value) is int:
        return str(value)
    return orjson.dumps(value).decode()


def evidence(column: pa.ChunkedArray, pattern: str | None) -> pa.Array:
    """Return a column less what has not the form that may leave."""
    form = None if pattern is None else re.compile(pattern)
    values = column.to_pylist()
    return pa.array(
        [value if form and value is not None and form.fullmatch(value) else None for value in values], pa.string()
    )


def _without_credentials(image_urls: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return URLs less their user information; a column without any comes back as it is."""
    perhaps = pc.match_substring(image_urls, "@")
    if not pc.any(perhaps).as_py():
        return image_urls
    values = image_urls.to_pylist()
    for row in pc.indices_nonzero(pc.fill_null(perhaps, fill_value=False)).to_pylist():
        values[row] = urls.without_credentials(values[row])
    return pa.chunked_array([values], image_urls.type)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays([pa.array([], column.type), *column.chunks])


def _of(pairs: pa.Table, name: str) -> pa.ChunkedArray | None:
    return pairs[name] if name in pairs.schema.names else None


def _hex(array: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if item is None else item.hex() for item in array.to_pylist()], pa.string())
