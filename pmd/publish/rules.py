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

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config.asked import Asked
from pmd.fetch.ledger import partitions
from pmd.manifests import Terms
from pmd.manifests.model import Redistribute
from pmd.schema.statuses import OK
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
        pa.field("in_split", pa.string(), nullable=False),  # that of all pairs of its image
    ]
)

#: Level → the columns that a list leaves out.
WITHHELD: Final[Mapping[Redistribute, tuple[str, ...]]] = {
    "text": (),
    "urls": ("text", "meta"),
    "ids": ("image_url", "text", "meta", "identity", "file_name"),
}

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
        pa.field("identity", pa.string()),
        pa.field("file_name", pa.string()),
        pa.field("region", PAIRS.field("region").type),
        pa.field("status", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("perceptual_hash", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("text_licence", pa.string()),
        pa.field("image_licence", pa.string()),
        pa.field("licence_evidence", pa.string()),
        pa.field("attribution", pa.string()),
        pa.field("split", pa.string()),
        pa.field("withheld_digest", pa.string()),
    ]
)

#: Columns of `PUBLISHED` that lists of earlier versions lack; they are read as nulls.
LATER: Final = ("identity", "file_name", "status", "attribution", "withheld_digest")


def fates(views: pa.Table, ledger: pa.Table) -> pa.Table:
    """Return the `FATES` of views that are left, with the splits that these are in; their images are in the ledger, fetched."""
    at = partitions.positions(views["image_id"], ledger)
    return pa.table(
        {
            "pair_id": views["pair_id"],
            "sha256": ledger["sha256"].take(at),
            "perceptual_hash": ledger["perceptual_hash"].take(at),
            "width": ledger["width_px"].take(at),
            "height": ledger["height_px"].take(at),
            "format": ledger["format"].take(at),
            "in_split": views["split"],
        }
    ).cast(FATES)


def level(terms: Terms, asked: Asked) -> Redistribute:
    """Return how much a source's list carries: text, meta and URL, the URL without them, or neither."""
    return "text" if asked.publish.withheld_text == "include" else terms.redistribute


def rows(pairs: pa.Table, fate: pa.Table, terms: Terms, asked: Asked) -> pa.Table:
    """Return the list of those pairs whose image is there.

    Args:
        pairs: `PAIRS` of a partition.
        fate: `FATES` of the same partition.
        terms: The source's: how `facebook/pmd` spells it, and what of upstream's fields may leave.
        asked: What the configuration asks of publish.

    Returns:
        `PUBLISHED`, in order of pair_id.
    """
    at = pc.index_in(pairs["pair_id"], value_set=fate["pair_id"].combine_chunks()).combine_chunks()
    left = pc.is_valid(at)
    pairs, at = pairs.filter(left).combine_chunks(), at.filter(left)
    full = said(pairs, terms)
    columns = {
        "source": pa.repeat(pa.scalar(terms.hub_name), pairs.num_rows),
        "licence_evidence": evidence(pairs["licence_evidence"], terms.licence_evidence),
        "attribution": credit.lines(*(_whole(pairs[name]) for name in ("image_licence", "identity", "also"))),
        "pair_id": hexadecimal(pairs["pair_id"]),
        "status": pa.repeat(pa.scalar(OK), pairs.num_rows),
        "image_id": hexadecimal(pairs["image_id"]),
        "sha256": hexadecimal(fate["sha256"].take(at)),
        "perceptual_hash": hexadecimal(fate["perceptual_hash"].take(at)),
        "width": fate["width"].take(at),
        "height": fate["height"].take(at),
        "split": fate["in_split"].take(at),
    }
    withheld, nothing = WITHHELD[level(terms, asked)], pa.nulls(pairs.num_rows, pa.string())
    columns |= full | dict.fromkeys(withheld, nothing)
    columns["withheld_digest"] = digests(full) if withheld else nothing
    table = pa.table(
        [columns.get(field.name, _column_or_none(pairs, field.name)) for field in PUBLISHED], names=PUBLISHED.names
    )
    return table.cast(PUBLISHED).take(pc.sort_indices(table, [("pair_id", "ascending")])).combine_chunks()


def said(pairs: pa.Table, terms: Terms) -> dict[str, pa.Array]:
    """Return the columns that a list may have to leave out, as they are where it need not."""
    file_names, identities = _names(pairs, terms)
    return {
        "identity": identities,
        "file_name": file_names,
        "image_url": _whole(urls.handed_on(pairs["image_url"])),
        "text": _whole(pairs["text"]),
        "meta": meta(pairs["meta"], terms.meta),
    }


def digests(full: Mapping[str, pa.Array]) -> pa.Array:
    """Return the digest of each row of `said`: SHA-256 of the JSON list of its URL, text and meta, hex."""
    listed = zip(*(full[name].to_pylist() for name in ("image_url", "text", "meta")), strict=True)
    return pa.array([hashlib.sha256(orjson.dumps(row)).hexdigest() for row in listed], pa.string())


def _names(pairs: pa.Table, terms: Terms) -> tuple[pa.Array, pa.Array]:
    """Return the file names and identities of images that have no URL, where the name has the form that may leave."""
    null = pa.scalar(None, pa.string())
    names = pc.if_else(pc.is_null(pairs["image_url"]), pairs["file_name"], null)
    found = evidence(names, terms.file_name)
    return found, pc.if_else(pc.is_valid(found), _whole(pairs["identity"]), null)


def by_file(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each file, and how its name begins: those of a split, and of these such as have no URL apart."""
    has_url = pc.is_valid(table["image_url"])
    for split in flow.SPLITS:
        for name, chosen in ((split, has_url), (f"{split}-{flow.WITHOUT_URL}", pc.invert(has_url))):
            rows = table.filter(pc.and_(pc.equal(table["split"], split), chosen))
            if rows.num_rows:
                yield name, rows


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
    """Return a column less what has not the form that may leave; without a form, nothing leaves."""
    form = None if pattern is None else re.compile(pattern)
    values = column.to_pylist()
    return pa.array(
        [value if form and value is not None and form.fullmatch(value) else None for value in values], pa.string()
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays([pa.array([], column.type), *column.chunks])


def _column_or_none(pairs: pa.Table, name: str) -> pa.ChunkedArray | None:
    return pairs[name] if name in pairs.schema.names else None


def hexadecimal(array: pa.ChunkedArray) -> pa.Array:
    """Return keys or digests as people read them."""
    return pa.array([None if item is None else item.hex() for item in array.to_pylist()], pa.string())
