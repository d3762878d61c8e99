"""Published lists that a fetch is checked against: is what an image's URL gives today what it gave to those who published?

A list of `pmd publish` names images by `image_id` and `image_url`, and has the SHA-256 and the perceptual hash of what was
fetched then. Equal bytes are the same image; a near perceptual hash is the same picture in other bytes; anything else
is `changed`: it is not stored. An image is looked for under its own identity and those of its URLs, since in another
ROOT another identity of the same photograph may stand for it. Where lists say several things of one image, one of them
is enough.

Before a fetch, the rows of the lists meet the images in run files (`pmd.store.exchange`): first by that identity, then by the
image that is to be fetched. So a lane reads only what is listed of its shard, however long the lists are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import codec
from pmd.books import list_files, pictures
from pmd.errors import InputError
from pmd.fetch.lists import blocklists
from pmd.formats import parquet
from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import exchange, sealed, storage
from pmd.text import url_identity

#: The status of an image that is another picture.
STATUS: Final = "changed"

SAME: Final = "same"
REENCODED: Final = "reencoded"
#: What the ledger says of an image that is the listed one.
MARKS: Final = (SAME, REENCODED)

_DIGEST: Final = pa.binary(32)

#: Columns of a list that are needed.
COLUMNS: Final = ("image_id", "image_url", "sha256", "perceptual_hash")

#: Rows that meet: what a list says of what it calls `name` (image_id null), and an image that has this name.
MEETING: Final = pa.schema(
    [
        pa.field("name", KEY, nullable=False),  # image_id of an identity
        pa.field("image_id", KEY),
        pa.field("sha256", _DIGEST),
        pa.field("perceptual_hash", _DIGEST),
    ]
)

#: What lists say of an image.
LISTED: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("sha256", _DIGEST, nullable=False),
        pa.field("perceptual_hash", _DIGEST),  # null where the picture gave none
    ]
)


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What one list says of an image."""

    sha256: bytes
    perceptual_hash: bytes | None


Listed = Mapping[bytes, Sequence[Known]]
NO_LISTS: Final[Listed] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing has given: one of `MARKS`, `STATUS`, or None for an image that no list has; and the evidence."""

    mark: str | None
    evidence: str | None = None


_UNLISTED: Final = Comparison(None)


def listed_file(folder: str, part: int) -> str:
    """Return where a run's file stands of what lists say of a part's images."""
    return storage.join(folder, f"{part:05d}.parquet")


def compare(known: Sequence[Known], sha256: bytes, perceptual_hash: bytes | None) -> Comparison:
    """Compare a picture with what lists say of it.

    Args:
        known: All that is said.
        sha256: Of the bytes.
        perceptual_hash: PDQ; pictures are one within 31 bits of 256, PDQ's own threshold (`blocklists.PDQ_MATCH`).
    """
    if not known:
        return _UNLISTED
    if any(one.sha256 == sha256 for one in known):
        return Comparison(SAME)
    said = (one.perceptual_hash for one in known)
    hashes = [one for one in said if one is not None and codec.is_telling(one)]
    listed = known[0].sha256.hex()
    if perceptual_hash is None or not hashes:
        return Comparison(STATUS, f"sha256 {sha256.hex()}, listed {listed}; no perceptual hashes to compare")
    distance = int(pictures.distances(pictures.words(hashes), perceptual_hash).min())
    evidence = f"sha256 {sha256.hex()}, listed {listed}; perceptual hashes differ in {distance} bits of 256"
    return Comparison(REENCODED if distance <= blocklists.PDQ_MATCH else STATUS, evidence)


def files(patterns: Sequence[str]) -> list[str]:
    """Return the files of lists, each once, checked for their columns.

    Raises:
        InputError: A pattern matches nothing, a folder has no list, or a file is none.
    """
    listed: dict[str, None] = {}
    for pattern in patterns:
        paths = storage.glob(pattern)
        if not paths:
            raise InputError(
                "no such list",
                where=f"fetch.against: {pattern}",
                expected="Parquet files of pmd publish",
                remedy="mend the path or the glob, as in ROOT/publish/*/*.parquet",
            )
        listed |= dict.fromkeys(file for path in paths for file in _files_at(path, pattern))
    for path in listed:
        _check(path)
    return list(listed)


def _files_at(path: str, pattern: str) -> list[str]:
    names = list_files.paths(path)
    if not names:
        raise InputError(
            "no list is in this folder",
            where=f"fetch.against: {pattern}",
            expected="Parquet files of pmd publish",
            found=f"none in {path}",
        )
    return names


def _check(path: str) -> None:
    parquet.refuse_others(path, "a list of pmd publish")
    with parquet.telling(path), sealed.open_checked(path) as file:
        schema = pq.ParquetFile(file).schema_arrow
    absent = [name for name in COLUMNS if schema.names.count(name) != 1]
    if absent:
        raise InputError(
            "a list that images cannot be checked against",
            where=path,
            expected=f"the columns {', '.join(COLUMNS)}",
            found=f"none, or several, called {', '.join(absent)}",
            remedy="give a list that pmd publish wrote; one of an earlier version lacks perceptual_hash: publish it again",
        )


def has_hashes(path: str) -> bool:
    """Return whether a list has a perceptual hash of any image: one made where nothing asked for them has none."""
    with parquet.telling(path), sealed.open_checked(path) as file:
        table = pq.ParquetFile(file)
        if pa.types.is_null(table.schema_arrow.field("perceptual_hash").type):
            return False
        leaf = [table.schema.column(at).path for at in range(len(table.schema))].index("perceptual_hash")
        groups = range(table.num_row_groups)
        return any(_has_values(table.metadata.row_group(group).column(leaf)) for group in groups)


def _has_values(column: pq.ColumnChunkMetaData) -> bool:
    counted = column.statistics is not None and column.statistics.has_null_count
    return not counted or column.statistics.null_count < column.num_values


def count_rows(paths: Sequence[str]) -> int:
    """Return how many rows files have."""
    count = 0
    for path in paths:
        with parquet.telling(path), sealed.open_checked(path) as file:
            count += pq.ParquetFile(file).metadata.num_rows
    return count


def listed_rows(path: str) -> Iterator[pa.RecordBatch]:
    """Yield what a list says under every name that it has for an image, as `MEETING`.

    Raises:
        InputError: A key or digest is none.
    """
    with parquet.telling(path), sealed.open_checked(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=list(COLUMNS), use_threads=False):
            own, sha256 = (_bytes(batch, name, width, path) for name, width in (("image_id", 16), ("sha256", 32)))
            hashed = _bytes(batch, "perceptual_hash", 32, path)
            by_url = keys.image_ids(url_identity.of(batch["image_url"].cast(pa.string())))
            other = pc.if_else(pc.not_equal(by_url, own), by_url, None)
            for names in (own, other):
                yield _meeting(names, sha256=sha256, perceptual_hash=hashed)


def image_rows(images: pa.Table) -> Iterator[pa.RecordBatch]:
    """Yield images under every name that they have, as `MEETING`: their own, and those of their URLs.

    Args:
        images: `IMAGES`.
    """
    own = images["image_id"].combine_chunks()
    yield _meeting(own, image_id=own)
    places = images["locations"].combine_chunks()
    each = places.flatten()
    on_the_web = pc.not_equal(pc.struct_field(each, "kind"), "archive")
    addresses = pc.struct_field(each, "url").filter(on_the_web)
    mine = own.take(pc.list_parent_indices(places).filter(on_the_web))
    names = keys.image_ids(url_identity.of(addresses))
    yield _meeting(pc.if_else(pc.not_equal(names, mine), names, None), image_id=mine)


def _meeting(names: pa.Array, **columns: pa.Array) -> pa.RecordBatch:
    """Return distinct rows of `MEETING` of those that have a name."""
    arrays = [
        names.cast(KEY) if field.name == "name" else columns.get(field.name, pa.nulls(len(names), field.type))
        for field in MEETING
    ]
    table = pa.table(arrays, schema=pa.schema([field.with_nullable(True) for field in MEETING]))
    table = _distinct(table.filter(pc.is_valid(table["name"]))).cast(MEETING).combine_chunks()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=MEETING)


def _distinct(table: pa.Table) -> pa.Table:
    return table.group_by(table.schema.names, use_threads=False).aggregate([])


def meet(rows: pa.Table) -> pa.RecordBatch:
    """Return what is listed of the images among rows of `MEETING`, all that there are of their names; as `LISTED`."""
    of_images = pc.is_valid(rows["image_id"])
    images = rows.filter(of_images).select(["name", "image_id"])
    said = rows.filter(pc.invert(of_images)).select(["name", "sha256", "perceptual_hash"])
    met = images.join(said, "name", join_type="inner", use_threads=False).select(LISTED.names)
    table = _distinct(met).cast(LISTED).combine_chunks()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=LISTED)


def gather(rows: pa.Table) -> pa.Table:
    """Return `LISTED` rows each once, in order."""
    order = [(name, "ascending") for name in LISTED.names]
    return _distinct(rows).sort_by(order).cast(LISTED).combine_chunks()


def read(path: str, images: pa.Table) -> Listed:
    """Return what lists say of a shard's images, of a file that `gather`'s rows were written to (`exchange.write_sorted`).

    A file that is not there says nothing: no list has an image of its part.
    """
    if not storage.exists(path):
        return NO_LISTS
    listed: dict[bytes, list[Known]] = {}
    for row in exchange.read_sorted(path, LISTED, images["image_id"]).to_pylist():
        listed.setdefault(row["image_id"], []).append(Known(row["sha256"], row["perceptual_hash"]))
    return listed


def _bytes(batch: pa.RecordBatch, name: str, width: int, path: str) -> pa.Array:
    """Return a column of keys or digests, bytes or hexadecimal digits, as bytes."""
    kind, values = pa.binary(width), batch[name]
    plain = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    try:
        if pa.types.is_null(plain) or plain == kind:
            return values.cast(kind)
        if not (pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain)):
            raise ValueError(str(values.type))
        return pa.array([None if value is None else bytes.fromhex(value) for value in values.to_pylist()], kind)
    except (ValueError, pa.ArrowInvalid) as error:
        raise InputError(
            "a list with a key or digest that is none",
            where=f"{path}: {name}",
            expected=f"{width} bytes, or {2 * width} hex digits",
            found=str(error),
        ) from None
