"""Images that img2dataset has downloaded already, taken over from its WebDataset shards without asking the web again.

`pmd.fetch.adoption.samples` reads the shards. A picture is taken over for an image that has its URL among its locations. It must
decode. And it must be the download itself, byte for byte, or an honest copy that is no smaller than what we would keep:

- It has the download's shape: it was not cut to a square, and has no border.
- The side by which `resize_mode` goes is long enough.
- img2dataset says that the download was upright and sRGB. Its copies are not turned, and not brought to sRGB.
- Where encoding is to lose nothing, the copy has lost nothing.

Images with regions are kept original: for them only the download itself will do. All else is left to the web, as is what
img2dataset could not have.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec
from pmd.config.options import FetchOptions
from pmd.errors import InputError
from pmd.fetch import outcome
from pmd.fetch.adoption import samples
from pmd.fetch.http import addresses
from pmd.fetch.lane import judging
from pmd.fetch.lists import blocklists, reference_lists
from pmd.fetch.lists.blocklists import Blocklist
from pmd.fetch.outcome import Attempt, Fetched
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import KEY
from pmd.store import exchange, storage
from pmd.text import url_identity, urls

#: What is known of the pictures of all shards, in order of image_id.
INDEX: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("url", pa.string(), nullable=False),  # canonical
        pa.field("tar", pa.string(), nullable=False),
        pa.field("member", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("sha256", pa.binary(32)),  # of the download, as img2dataset says
        pa.field("width_px", pa.int32()),  # of the download, likewise
        pa.field("height_px", pa.int32()),
        pa.field("is_plain", pa.bool_(), nullable=False),  # `samples.is_plain`
    ]
)

_ORDER: Final = [(name, "ascending") for name in ("image_id", "tar", "offset")]

#: Columns of images by which it is told under which keys their addresses stand.
NEEDED: Final = ("image_id", "identity", "locations")

#: An image, and the key that one of its addresses has by itself.
_NAMES: Final = pa.schema([pa.field("image_id", KEY), pa.field("own_id", KEY)])

#: How far the shape of a smaller copy may differ: rounding to whole pixels at 64 px and more, and no crop. Ours.
_ASPECT: Final = 0.01

#: Rows that are Python objects at once, of some kilobyte.
_BATCH_ROWS: Final = 4096

_NOTES: Final = logging.getLogger("pmd.notes")

#: Images from which on bytes that they share are taken for a picture that says "removed", as `repeated_bytes` of `recommended`
#: has it. img2dataset follows redirects to such pictures, and does not say where they have led.
_SHARED: Final = 10


def index(patterns: Sequence[str], *, max_bytes: int | None = None) -> pa.Table:
    """Return what the shards hold; tell once, as a note, what is passed over, and how many copies nothing speaks for.

    Args:
        patterns: Paths or globs of tars.
        max_bytes: Larger pictures are passed over.

    Raises:
        InputError: A pattern matches nothing.
    """
    odd = samples.Odd()
    tables = [INDEX.empty_table()]
    for pattern in patterns:
        paths = storage.glob(pattern)
        if not paths:
            raise InputError("no such file", where=f"fetch.adopt: {pattern}", remedy="mend the path or the glob")
        tables += [_rows(path, odd, max_bytes) for path in paths]
    table = pa.concat_tables(tables)
    if odd:
        _NOTES.warning(odd.text())
    table = _without_shared(table)
    # Bytes that img2dataset has kept as they came have no size in its JSON: it has not decoded them.
    unproven = pc.sum(pc.and_(pc.is_valid(table["width_px"]), pc.invert(table["is_plain"]))).as_py()
    if unproven:
        _NOTES.warning(_UNPROVEN, unproven, table.num_rows)
    return table.sort_by(_ORDER)


def _without_shared(table: pa.Table) -> pa.Table:
    """Leave out what many addresses have, and tell of it: the web says where a redirect leads, and so what it is."""
    counts = pc.value_counts(table["sha256"])
    often = counts.field("values").filter(pc.greater_equal(counts.field("counts"), _SHARED)).drop_null()
    some = table.filter(pc.is_in(table["sha256"], value_set=often)).select(("sha256", "image_id"))
    images = some.group_by("sha256", use_threads=False).aggregate([("image_id", "count_distinct")])
    shared = images.filter(pc.greater_equal(images["image_id_count_distinct"], _SHARED))["sha256"].combine_chunks()
    if not len(shared):  # of all shards it would be a second copy
        return table
    is_shared = pc.is_in(table["sha256"], value_set=shared)
    _NOTES.warning(_TOLD_OF_SHARED, pc.sum(is_shared).as_py(), _SHARED)
    return table.filter(pc.invert(is_shared))


def of_images(known: pa.Table, parts: Iterable[pa.Table]) -> pa.Table:
    """Return an index with the rows of images whose key is not that of their URL, too: a photograph may have two identities.

    Args:
        known: See `index`, whose rows have the keys of their URLs.
        parts: What may be asked for: `IMAGES`, with the columns `NEEDED` at least.
    """
    if not known.num_rows:
        return known
    there = keys.halves(pc.unique(known["image_id"]))  # in order, as the index is
    named = [_NAMES.empty_table()]
    for images in parts:
        names = _names(images)
        at = keys.places_in_order(keys.halves(names["own_id"].combine_chunks()), there)
        named.append(names.filter(pa.array(at >= 0)))
    names = pa.concat_tables(named)
    theirs = known.rename_columns(["own_id" if name == "image_id" else name for name in known.schema.names])
    more = names.join(theirs, "own_id", join_type="inner").select(INDEX.names).cast(INDEX)
    return pa.concat_tables([known, more]).sort_by(_ORDER)


def _names(images: pa.Table) -> pa.Table:
    """Return `_NAMES` of images, each once: those of their addresses on the web that have another identity."""
    images = images.combine_chunks()
    if not images.num_rows:
        return _NAMES.empty_table()
    places = images["locations"].chunk(0)
    flat, whose = places.flatten(), pc.list_parent_indices(places)
    identities, url = images["identity"].chunk(0).take(whose), flat.field("url")
    on_web = pc.not_equal(flat.field("kind"), "archive").to_numpy(zero_copy_only=False)
    others = pa.array(on_web & ~url_identity.is_the_url(identities, url))
    said = url_identity.of(url.filter(others))
    odd = pc.fill_null(pc.not_equal(said, identities.filter(others)), fill_value=False)
    whose = whose.filter(others).filter(odd)
    ids = images["image_id"].chunk(0).take(whose)
    names = pa.table([ids, keys.image_ids(said.filter(odd))], schema=_NAMES)
    return names.group_by(_NAMES.names, use_threads=False).aggregate([])


_TOLD_OF_SHARED: Final = (
    "fetch.adopt: %s samples have bytes that %s images or more share, as placeholders for lost pictures do: the web is asked for "
    "them"
)
_UNPROVEN: Final = (
    "fetch.adopt: the EXIF of %s of %s samples does not say that the download was upright and sRGB: where img2dataset has "
    "encoded them anew, the web is asked (with --disable_all_reencoding it keeps what came)"
)


def _rows(path: str, odd: samples.Odd, max_bytes: int | None) -> pa.Table:
    """Return a shard's samples as `INDEX`, in the shard's order."""
    batches = [
        pa.RecordBatch.from_pylist(list(some), schema=INDEX)
        for some in _batched(_entries(path, odd, max_bytes), _BATCH_ROWS)
    ]
    return pa.Table.from_batches(batches, schema=INDEX)


def write(path: str, table: pa.Table) -> None:
    """Keep an index for the workers."""
    exchange.write_sorted(path, table)


def read(path: str, images: pa.Table) -> pa.Table:
    """Return the rows of an index for a shard's images."""
    return exchange.read_sorted(path, INDEX, images["image_id"])


def fetched(
    images: pa.Table,
    entries: pa.Table,
    *,
    options: FetchOptions,
    blocklist: Blocklist,
    generation: int,
    previous: pa.Table,
    when: datetime.datetime,
    listed: reference_lists.Listed = reference_lists.NO_LISTS,
    hashed: bool = True,
) -> Iterator[Fetched]:
    """Yield the images that can be taken over, or that turn out to be blocked; the others are left for the web.

    Args:
        images: `IMAGES` that are wanted.
        entries: `INDEX` rows for them.
        options: Limits, and the form in which images are kept.
        blocklist: What must not be kept.
        generation: Written into the attempts.
        previous: What stands for these images in the ledger.
        when: Written into the attempts.
        listed: What lists say of the images; a picture that is another is not taken, and the web is asked.
        hashed: Whether something asks for perceptual hashes (`asking.who`).
    """
    offered: dict[bytes, list[dict[str, Any]]] = {}
    for entry in entries.to_pylist():
        offered.setdefault(entry["image_id"], []).append(entry)
    tried = dict(zip(previous["image_id"].to_pylist(), previous["tried"].to_pylist(), strict=True))
    for row in images.filter(pc.is_in(images["image_id"], value_set=entries["image_id"].combine_chunks())).to_pylist():
        locations = {urls.canonical_one(place["url"]) for place in row["locations"] if place["kind"] != "archive"}
        for entry in offered[row["image_id"]]:
            if entry["url"] not in locations or _is_placeholder(entry["url"]):
                continue
            form = judging.form_of(options, has_region=row["has_region"])
            taken = _taken(entry, options, form, blocklist, listed.get(row["image_id"], ()), hashed=hashed)
            if taken is None:
                continue
            location = f"{entry['tar']}!/{entry['member']}"
            attempt = Attempt(
                row["image_id"],
                location,
                generation,
                when,
                taken.status,
                final_url=entry["url"] if taken.status == OK else None,
                error=taken.said,
            )
            yield Fetched(
                image_id=row["image_id"],
                status=taken.status,
                location=location,
                tried=tuple(sorted({*(tried.get(row["image_id"]) or ()), location})),
                attempts=(attempt,),
                **taken.facts,
            )
            break


def _is_placeholder(url: str) -> bool:
    """Return whether upstream itself names the address of a placeholder: the fetch asks for none."""
    with contextlib.suppress(addresses.Blocked):
        target = addresses.parse(url)
        return outcome.placeholder_of(target.host, target.path) is not None
    return False


@dataclasses.dataclass(frozen=True)
class _Taken:
    status: str
    said: str
    facts: Mapping[str, Any]


def _taken(
    entry: Mapping[str, Any],
    options: FetchOptions,
    form: codec.Form,
    blocklist: Blocklist,
    known: Sequence[reference_lists.Known],
    *,
    hashed: bool,
) -> _Taken | None:
    """Return the picture of an entry as it goes into store and ledger; None if it will not do."""
    if entry["length"] > options.max_bytes:
        return None
    try:
        content = storage.read_bytes(entry["tar"], entry["offset"], entry["offset"] + entry["length"])
    except FileNotFoundError:  # removed since it was read
        return None
    digest = hashlib.sha256(content).digest()
    if digest != entry["sha256"]:
        form = _form_of_copy(form, entry)
    prepared = codec.prepare(content, judging.limits_of(options), form, hashed=hashed)
    for sha256, seen in ((digest, None), (entry["sha256"], prepared.perceptual_hash)):
        name = blocklist.match(sha256, seen)
        if name is not None:
            return _Taken(blocklists.STATUS, blocklists.evidence(name), {})
    if prepared.inspected.status != OK or outcome.SUBSTITUTES.keys() & {digest, entry["sha256"]}:
        return None
    is_whole = digest == entry["sha256"]
    if not is_whole and not _will_do(entry, form, prepared.inspected):
        return None
    comparison = reference_lists.compare(known, entry["sha256"], prepared.perceptual_hash)
    if comparison.mark == reference_lists.STATUS:
        return None
    said = "adopted from img2dataset" + ("" if is_whole else ", a smaller copy of what it had downloaded")
    facts = _of_original(content, prepared.inspected) if is_whole else _of_copy(entry)
    return _Taken(OK, said, {**facts, "listed": comparison.mark, **_as_stored(prepared, is_whole=is_whole)})


def _of_original(content: bytes, inspected: codec.Inspected) -> dict[str, Any]:
    """Return what the ledger says of the original, where that is what the entry has."""
    return {
        "sha256": hashlib.sha256(content).digest(),
        "bytes": len(content),
        "format": inspected.format,
        "frames": inspected.frames,
        "width_px": inspected.width_px,
        "height_px": inspected.height_px,
    }


def _of_copy(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the ledger says of the original, where the entry has a copy of it: what img2dataset has written down."""
    return {name: entry[name] for name in ("sha256", "width_px", "height_px")}


def _as_stored(prepared: codec.Prepared, *, is_whole: bool) -> dict[str, Any]:
    """Return what the ledger says of what is stored; is_whole: that it was made of the original."""
    hashed_form = "original" if is_whole else "resized"
    return {
        "perceptual_hash": prepared.perceptual_hash,
        "hashed_form": hashed_form if prepared.perceptual_hash is not None else None,
        "stored": prepared.stored,
        "stored_form": prepared.stored_form if is_whole else "resized",
        "stored_format": prepared.stored_format,
        "stored_width_px": prepared.stored_width_px,
        "stored_height_px": prepared.stored_height_px,
    }


def _will_do(entry: Mapping[str, Any], form: codec.Form, copy: codec.Inspected) -> bool:
    """Return whether a copy of the original may be kept in its place."""
    if form.is_original or entry["sha256"] is None or not entry["is_plain"]:
        return False
    size, whole = (copy.width_px, copy.height_px), (entry["width_px"], entry["height_px"])
    return _is_copy(size, whole, form) and _loses_nothing(form, copy)


def _form_of_copy(form: codec.Form, entry: Mapping[str, Any]) -> codec.Form:
    """Return what is made of a copy for it to be what the whole picture would have become."""
    width, height = entry["width_px"], entry["height_px"]
    return form if width is None or height is None else form.for_copy_of((width, height))


def _loses_nothing(form: codec.Form, copy: codec.Inspected) -> bool:
    """Return whether a copy is as good as the form is meant to be: where that has the very pixels, so does a PNG."""
    return copy.format == "png" or not form.is_lossless


def _is_copy(size: Sequence[int | None], whole: Sequence[int | None], form: codec.Form) -> bool:
    """Return whether a picture is one of a known size, uncropped, not enlarged, and no smaller than what is kept."""
    width, height, full_width, full_height = (*size, *whole)
    if not (width and height and full_width and full_height):
        return False
    same_shape = abs(width / height / (full_width / full_height) - 1) <= _ASPECT and width <= full_width
    is_within = same_shape and height <= full_height
    if form.side_px is None:  # sizes stay
        return is_within and (width, height) == (full_width, full_height)
    return is_within and form.measured((width, height)) >= min(form.side_px, form.measured((full_width, full_height)))


def _entries(path: str, odd: samples.Odd, max_bytes: int | None) -> Iterator[dict[str, Any]]:
    for sample in samples.read(path, odd, max_bytes=max_bytes):
        identity = url_identity.of_one(sample.url)
        if identity is not None:
            yield {
                "image_id": keys.image_id(identity),
                "url": sample.url,
                "tar": path,
                "member": sample.member,
                "offset": sample.offset,
                "length": sample.length,
                "sha256": sample.sha256,
                "width_px": sample.width_px,
                "height_px": sample.height_px,
                "is_plain": sample.is_plain,
            }


def _batched(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while some := list(itertools.islice(rows, size)):
        yield some
