"""Publish: a source's list of image URLs with texts and checksums, for those who rebuild without rebuilding.

Rows stay compatible with `facebook/pmd` (image_url, text, source, meta). Text that its licence does not let us hand on is
left out, and meta with it, since it holds the same words; the keys stay, so whoever has the annotation files can join
them back.

A URL with user information (`user:password@`) is listed without it. Such a list would hand on somebody's password, and the
picture was had without: what is listed is the address that gave it.
"""

from __future__ import annotations

from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import parts, urls
from pmd.schema.tables import KEY, PAIRS

STAGE: Final = "publish"

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

#: A row of the list. Keys and checksums are hex: people read them, and other tools join on them.
PUBLISHED: Final = pa.schema(
    [
        pa.field("image_url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("meta", pa.string()),
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("region", PAIRS.field("region").type),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("perceptual_hash", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("text_licence", pa.string()),
        pa.field("image_licence", pa.string()),
        pa.field("licence_evidence", pa.string()),
        pa.field("split", pa.string()),
    ]
)


def fates(views: pa.Table, ledger: pa.Table) -> pa.Table:
    """Return the `FATES` of views that are left; all their images are in the ledger, fetched."""
    at = parts.positions(views["image_id"], ledger)
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


def rows(pairs: pa.Table, fate: pa.Table, *, name: str, with_text: bool) -> pa.Table:
    """Return the list of those pairs whose image is there.

    Args:
        pairs: `PAIRS` of a partition.
        fate: `FATES` of the same partition.
        name: The source as `facebook/pmd` spells it.
        with_text: Whether text and meta may be handed on.

    Returns:
        `PUBLISHED`, in order of pair_id.
    """
    at = pc.index_in(pairs["pair_id"], value_set=fate["pair_id"].combine_chunks()).combine_chunks()
    left = pc.is_valid(at)
    pairs, at = pairs.filter(left).combine_chunks(), at.filter(left)
    withheld = pa.nulls(pairs.num_rows, pa.string())
    image_urls, meta = _without_credentials(pairs["image_url"], pairs["meta"])
    columns = {
        "image_url": image_urls,
        "meta": meta,
        "source": pa.array([name] * pairs.num_rows, pa.string()),
        "pair_id": _hex(pairs["pair_id"]),
        "image_id": _hex(pairs["image_id"]),
        "sha256": _hex(fate["sha256"].take(at)),
        "perceptual_hash": _hex(fate["perceptual_hash"].take(at)),
        "width": fate["width"].take(at),
        "height": fate["height"].take(at),
    }
    if not with_text:
        columns |= {"text": withheld, "meta": withheld}
    table = pa.table([columns.get(field.name, _of(pairs, field.name)) for field in PUBLISHED], names=PUBLISHED.names)
    return table.cast(PUBLISHED).take(pc.sort_indices(table, [("pair_id", "ascending")])).combine_chunks()


def _without_credentials(image_urls: pa.ChunkedArray, meta: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return URLs less their user information, and meta with the same URLs in it; columns without any come back as they are."""
    perhaps = pc.match_substring(image_urls, "@")
    if not pc.any(perhaps).as_py():
        return image_urls, meta
    found, said = image_urls.to_pylist(), meta.to_pylist()
    for row in pc.indices_nonzero(pc.fill_null(perhaps, fill_value=False)).to_pylist():
        clean = urls.without_credentials(found[row])
        said[row] = said[row].replace(_in_json(found[row]), _in_json(clean))
        found[row] = clean
    return pa.chunked_array([found], image_urls.type), pa.chunked_array([said], meta.type)


def _in_json(text: str) -> str:
    return orjson.dumps(text).decode()[1:-1]


def _of(pairs: pa.Table, name: str) -> pa.ChunkedArray | None:
    return pairs[name] if name in pairs.schema.names else None


def _hex(array: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if item is None else item.hex() for item in array.to_pylist()], pa.string())
