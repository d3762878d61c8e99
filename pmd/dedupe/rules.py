"""De-duplicate images by their bytes and by what they look like, once these are known.

Groups say which image stands for which: of those with equal bytes one stays, and of those that are left one of each
set of near-duplicates (`pmd.dedupe.near`). The pairs of an image that gives way move to the one that stays, so that every caption
is kept. A picture that very many identities share is a host's placeholder and its pairs leave. Where a text, or a group of
texts that are nearly one (`pmd.dedupe.near_texts`), may stand on so many images only (`pmd.dedupe.captions`), the images of
what is left are counted, and pairs leave for it last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd import flow
from pmd.config.asked import Asked
from pmd.dedupe import captions, evaluation, near
from pmd.fetch.ledger import partitions
from pmd.images import rules as images_rules
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import GROUPS, GROUPS_LATER, KEY, NEAR_TEXTS, REJECTED
from pmd.store import commits, parquet_files, root

STAGE: Final = flow.DEDUPE.name
SAME_BYTES: Final = "same_bytes"
REPEATED_BYTES: Final = "repeated_bytes"
NEAR_DUPLICATE: Final = "near_duplicate"
EVALUATION_OVERLAP: Final = "evaluation_overlap"

#: Relations under which the pairs of an image move to another.
MERGED: Final = (SAME_BYTES, NEAR_DUPLICATE)
#: Relations whose images leave, with all their pairs, and that are the reason.
LEAVING: Final = (REPEATED_BYTES, EVALUATION_OVERLAP)
#: All that groups may say.
RELATIONS: Final = (*MERGED, *LEAVING)

#: What is compared: one row an image that was fetched. `key` is the start of the digest, by which rows meet.
HASHES: Final = pa.schema(
    [
        pa.field("key", KEY, nullable=False),
        pa.field("sha256", pa.binary(32), nullable=False),
        pa.field("image_id", KEY, nullable=False),
        pa.field("pixels", pa.int64(), nullable=False),
        pa.field("whole", pa.bool_(), nullable=False),  # kept as it was fetched, not resized
    ]
)


#: Of a perceptual hash, and odd numbers by which its words are told apart in `survivors_digest`.
_HASH_BYTES: Final = 32
_HASH_FACTORS: Final = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64
)

#: What is found of two images before it is known which one stands for them in the end: `GROUPS` without that column.
RELATED: Final = pa.schema([field for field in GROUPS if field.name not in GROUPS_LATER])

#: What parts must know of groups of equal bytes: which of their images have given way or leave, and which stand for others.
MARKS: Final = pa.schema([pa.field("image_id", KEY, nullable=False), pa.field("stands", pa.bool_(), nullable=False)])


def hashes(ledger: pa.Table, image_ids: pa.Array) -> pa.Table:
    """Return the digests of those images of a ledger that are there and still wanted.

    Args:
        ledger: `LEDGER`.
        image_ids: The images that views name; others are of sources no longer configured.
    """
    wanted = pc.and_(pc.equal(ledger["status"], OK), pc.is_in(ledger["image_id"], value_set=image_ids))
    rows = ledger.filter(wanted).combine_chunks()
    digests = rows["sha256"].to_pylist()
    return pa.table(
        {
            "key": pa.array([digest[:16] for digest in digests], KEY),
            "sha256": rows["sha256"],
            "image_id": rows["image_id"],
            "pixels": pc.multiply(rows["width_px"].cast(pa.int64()), rows["height_px"].cast(pa.int64())),
            "whole": pc.equal(rows["stored_form"], "original"),
        }
    ).cast(HASHES)


def to_compare(root_url: str, part: int, leaving: pa.Array) -> pa.Array:
    """Return the images of a part that are compared with others: those that its views name, but for some that leave."""
    wanted = partitions.read_views(root_url, part, ["image_id"])["image_id"].unique()
    return wanted.filter(pc.invert(pc.is_in(wanted, value_set=leaving)))


def leaving(found: pa.Table) -> pa.Array:
    """Return the images of `GROUPS` that leave."""
    return _leaving(found)["image_id"].combine_chunks()


def groups(rows: pa.Table, asked: Asked) -> pa.Table:
    """Find the images with equal bytes.

    Args:
        rows: All `HASHES` of a partition, in any order.
        asked: What the configuration asks of dedupe.

    Returns:
        `RELATED`, in order of image_id: one row an image that gives way. The image with most pixels stays (equal bytes
        have equal pixels; the order is that of later comparisons), among equals one that is kept as it was fetched, since
        regions of another may have to be cut from it, then the smallest key. Under `repeated_bytes` every image of the
        group has a row, and its kept_id is the one that would have stayed.
    """
    order = [("sha256", "ascending"), ("pixels", "descending"), ("whole", "descending"), ("image_id", "ascending")]
    rows = rows.take(pc.sort_indices(rows, order)).combine_chunks()
    digests = rows["sha256"].to_pylist()
    ids = rows["image_id"].to_pylist()
    found: list[tuple[bytes, bytes, str, int]] = []
    start = 0
    for stop in range(1, len(digests) + 1):
        if stop < len(digests) and digests[stop] == digests[start]:
            continue
        size = stop - start
        if asked.dedupe.repeated_bytes and size >= asked.dedupe.repeated_bytes:
            found += [(image, ids[start], REPEATED_BYTES, 0) for image in ids[start:stop]]
        elif asked.dedupe.same_bytes == "merge":
            found += [(image, ids[start], SAME_BYTES, 0) for image in ids[start + 1 : stop]]
        start = stop
    found.sort()
    columns = list(zip(*found, strict=True)) if found else [(), (), (), ()]
    return related(*columns)


def related(image_ids: Any, kept_ids: Any, relations: Any, distances: Any, matched: Any = None) -> pa.Table:
    """Return `RELATED` of its columns."""
    matched = [None] * len(image_ids) if matched is None else matched
    columns = (image_ids, kept_ids, relations, distances, matched)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, RELATED, strict=True)], schema=RELATED
    )


def meeting_ids(found: pa.Table) -> pa.Array:
    """Return by which image each row of `RELATED` must meet others to be resolved: kept_id of equal bytes, which may give way."""
    alone = pc.is_in(found["relation"], value_set=pa.array([NEAR_DUPLICATE, *LEAVING]))
    return pc.if_else(alone, found["image_id"], found["kept_id"]).combine_chunks()


def resolved(found: pa.Table) -> pa.Table:
    """Return `RELATED` as `GROUPS`: with the image that stands in the end, in order of image_id.

    Args:
        found: All rows that meet by some of `meeting_ids`, in any order.
    """
    found = found.combine_chunks()
    near = found.filter(pc.equal(found["relation"], NEAR_DUPLICATE)).combine_chunks()
    stands = pc.coalesce(near["kept_id"].take(partitions.positions(found["kept_id"], near)), found["kept_id"])
    leaves = pc.is_in(found["relation"], value_set=pa.array(LEAVING))
    stands = pc.if_else(leaves, pa.scalar(None, KEY), stands)
    return found.append_column(GROUPS.field("stands_id"), stands).sort_by("image_id").combine_chunks()


def marks(found: pa.Table) -> pa.Table:
    """Return `RELATED` of equal bytes as `MARKS`."""
    count = found.num_rows
    ids = pa.concat_tables([found.select(["image_id"]), found.select(["kept_id"]).rename_columns(["image_id"])])
    stands = pa.concat_arrays([pa.repeat(pa.scalar(False), count), pa.repeat(pa.scalar(True), count)])
    return ids.append_column("stands", stands).cast(MARKS)


def may_leave(asked: Asked) -> bool:
    """Return whether images may leave for themselves, whatever stands beside them (`overlaps`)."""
    return bool(asked.dedupe.evaluation)


def overlaps(ledger: pa.Table, image_ids: pa.Array, known: pa.Table, asked: Asked) -> pa.Table:
    """Return the `RELATED` of evaluation images: each image that matches one, how far it is, and which it matches.

    Args:
        ledger: `LEDGER` of a part.
        image_ids: The images that views name.
        known: `evaluation.KNOWN`.
        asked: What the configuration asks of dedupe.
    """
    rows = ledger.filter(pc.and_(pc.equal(ledger["status"], OK), pc.is_in(ledger["image_id"], value_set=image_ids)))
    found = evaluation.overlaps(rows, known, asked.dedupe.near_distance)
    ids = rows["image_id"].take(found["place"]).to_pylist()
    groups = related(
        ids, ids, [EVALUATION_OVERLAP] * len(ids), found["distance"].to_pylist(), found["name"].to_pylist()
    )
    return groups.take(pc.sort_indices(groups, [("image_id", "ascending")])).combine_chunks()


def hashed(views: pa.Table, ledger: pa.Table, marked: pa.Table) -> pa.Table:
    """Return what is compared for near-duplicates: the images of a part that are left.

    Args:
        views: `VIEWS` of a part (image_id and region will do).
        ledger: `LEDGER` of the part.
        marked: `MARKS` of the part.

    Returns:
        `near.HASHED`. An image that stands for others counts as one that regions are shown of, wherever they may be cut
        from it: its own part does not know the others' views.
    """
    shown = views.group_by("image_id", use_threads=False).aggregate([("region", "count")])
    left = pc.and_(
        pc.equal(ledger["status"], OK), pc.is_in(ledger["image_id"], value_set=shown["image_id"].combine_chunks())
    )
    left = pc.and_(left, pc.is_valid(ledger["perceptual_hash"]))
    standing = marked.filter(marked["stands"])["image_id"].combine_chunks()
    away = marked.filter(pc.invert(marked["stands"]))["image_id"].combine_chunks()
    gone = pc.is_in(ledger["image_id"], value_set=away)
    rows = ledger.filter(pc.and_(left, pc.invert(gone)))
    whole = pc.equal(rows["stored_form"], "original")
    stands = pc.and_(whole, pc.is_in(rows["image_id"], value_set=standing))
    regions = shown["region_count"].take(partitions.positions(rows["image_id"], shown))
    return pa.table(
        {
            **{name: rows[name] for name in near.HASHED.names[:4]},
            "whole": whole,
            "has_region": pc.or_(stands, pc.greater(regions, 0)),
        }
    ).cast(near.HASHED)


def near_groups(matches: pa.Table) -> pa.Table:
    """Return `near.MATCHES` as `RELATED`."""
    names = ("image_id", "kept_id", "distance")
    ids, kept, distances = (matches[name].to_pylist() for name in names)
    return related(ids, kept, [NEAR_DUPLICATE] * len(ids), distances)


def judge(
    views: pa.Table, ledger: pa.Table, found: pa.Table, repeated: pa.Table | None = None
) -> tuple[pa.Table, pa.Table]:
    """Split the views of fetched images into kept and rejected.

    Args:
        views: `VIEWS` of a part.
        ledger: `LEDGER` of the part.
        found: `GROUPS` of the part.
        repeated: `captions.REPEATED` of the part: pairs that leave for their text.

    Returns:
        The kept views (with the image_id they came with), and `REJECTED`.
    """
    outcome = outcomes(views, ledger, found, repeated)
    kept = views.filter(pa.array(outcome.kept))
    gone = _leaving(found)
    leaving = views.filter(pa.array(outcome.leaves))
    at = partitions.positions(leaving["image_id"], gone)
    rejected = images_rules.reject(leaving, STAGE, gone["relation"].take(at), gone["matched"].take(at))
    if repeated is None or not outcome.repeats.any():
        return kept, rejected
    over = views.filter(pa.array(outcome.repeats))
    at = pc.index_in(over["pair_id"].combine_chunks(), value_set=repeated["pair_id"].combine_chunks())
    reasons, details = (repeated[name].take(at) for name in ("reason", "detail"))
    rejected = pa.concat_tables([rejected, images_rules.reject(over, STAGE, reasons, details)])
    return kept, rejected.take(pc.sort_indices(rejected, [("pair_id", "ascending")])).combine_chunks()


class Outcomes(NamedTuple):
    """What becomes of views: each is one of these, or its image was not fetched.

    Attributes:
        kept: It stays.
        leaves: Its image leaves.
        repeats: It leaves for its text.
        at: Where its image stands in the ledger; -1 where it does not.
    """

    kept: NDArray[np.bool_]
    leaves: NDArray[np.bool_]
    repeats: NDArray[np.bool_]
    at: NDArray[np.int64]


def outcomes(views: pa.Table, ledger: pa.Table, found: pa.Table, repeated: pa.Table | None = None) -> Outcomes:
    """Return what becomes of views, given as to `judge`; of `views` image_id and pair_id will do."""
    at = partitions.places(views["image_id"], ledger)
    is_ok = np.r_[pc.equal(ledger["status"], OK).to_numpy(zero_copy_only=False), False].astype(np.bool_)
    there = is_ok[at]  # -1, of no row, is the last
    leaves = there & (partitions.places(views["image_id"], _leaving(found)) >= 0)
    repeats = np.zeros(len(there), np.bool_)
    if repeated is not None and repeated.num_rows:
        of_text = pc.is_in(views["pair_id"], value_set=repeated["pair_id"].combine_chunks())
        repeats = there & ~leaves & of_text.to_numpy(zero_copy_only=False)
    return Outcomes(there & ~leaves & ~repeats, leaves, repeats, at)


def _leaving(found: pa.Table) -> pa.Table:
    """Return the rows of images that leave."""
    return found.filter(pc.is_in(found["relation"], value_set=pa.array(LEAVING))).combine_chunks()


def judge_again(
    root_url: str, part: int, views: pa.Table, ledger: pa.Table, found: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """Split the views of a part, or some of them, as the committed stage has done; see `judge`.

    Views that stay keep the image_id they came with, also where their image gave way to another: `kept_ids` tells which, and
    `pmd.dedupe.left` both at once.
    """
    return judge(views, ledger, found, read_repeated(root_url, part))


def _committed(root_url: str, kind: str) -> tuple[str, list[commits.File]]:
    """Return the stage's folder, and the files of a kind that its commit lists."""
    folder = root.dedupe_folder(root_url)
    return folder, commits.require(folder, f"run: {flow.DEDUPE.command}").under(kind)


def read_groups(root_url: str, part: int | None = None) -> pa.Table:
    """Return the committed `GROUPS` of a part, or all of them: those of an earlier version, whose files are not cut, always."""
    folder, files = _committed(root_url, "groups")
    if part is not None:
        files = [file for file in files if not flow.is_cut(file.name) or flow.part_number(file.name) == part]
    return groups_of(parquet_files.read_table(folder, file) for file in files)


def each_groups(root_url: str) -> Iterator[pa.Table]:
    """Yield the committed `GROUPS` of all parts, a part at a time; those of an earlier version together."""
    folder, files = _committed(root_url, "groups")
    together = [[file] for file in files] if all(flow.is_cut(file.name) for file in files) else [files]
    for some in together:
        yield groups_of(parquet_files.read_table(folder, file) for file in some)


def groups_of(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the `GROUPS` of files; those of earlier versions do not say who stands in the end: all of them must be there."""
    found = list(tables)
    if any(table.schema.names == RELATED.names for table in found):
        return resolved(pa.concat_tables([table.cast(RELATED) for table in found]))
    return pa.concat_tables([GROUPS.empty_table(), *(table.cast(GROUPS) for table in found)])


def read_near_texts(root_url: str, columns: Sequence[str] = NEAR_TEXTS.names) -> pa.Table:
    """Return all committed `NEAR_TEXTS`, or some of their columns: none, unless the build was asked for them."""
    folder, files = _committed(root_url, "near_texts")
    schema = pa.schema([NEAR_TEXTS.field(name) for name in columns])
    return pa.concat_tables(
        [schema.empty_table(), *(parquet_files.read_table(folder, file, columns) for file in files)]
    )


def read_repeated(root_url: str, part: int) -> pa.Table:
    """Return the pairs of a part that the committed stage rejected for their text, as `captions.REPEATED`."""
    folder, files = _committed(root_url, "rejected")
    tables = [parquet_files.read_table(folder, file) for file in files if flow.part_number(file.name) == part]
    rows = pa.concat_tables([REJECTED.empty_table(), *tables])
    of_texts = pc.is_in(rows["reason"], value_set=pa.array([captions.REPEATED_TEXT, captions.NEAR_TEXT]))
    return rows.filter(of_texts).select(captions.REPEATED.names).cast(captions.REPEATED)


def texts(kept: pa.Table, found: pa.Table) -> pa.Table:
    """Return the texts of the kept views of a part, as `captions.TEXTS`.

    Args:
        kept: `VIEWS`.
        found: `GROUPS` of the part.
    """
    return pa.table(
        {
            "text_id": captions.text_ids(kept["text"].combine_chunks()),
            "stands_id": kept_ids(kept["image_id"], found),
            "image_id": kept["image_id"],
            "pair_id": kept["pair_id"],
            "is_near": pa.repeat(pa.scalar(False), kept.num_rows),
        }
    ).cast(captions.TEXTS)


def kept_ids(image_ids: pa.ChunkedArray, found: pa.Table) -> pa.Array:
    """Return for each image the one that stands for it in the end: itself, unless `GROUPS` of `MERGED` relations say another."""
    ids = image_ids.combine_chunks()
    merged = found.filter(pc.is_in(found["relation"], value_set=pa.array(MERGED))).combine_chunks()
    return pc.coalesce(merged["stands_id"].take(partitions.positions(ids, merged)).combine_chunks(), ids)


def survivors_digest(kept: pa.Table, ledger: pa.Table, changed: pa.Table | None = None) -> dict[str, int]:
    """Return for each source a number that changes when what became of its pairs does; parts add up, modulo 2^64.

    It is a sum of 64-bit words of (pair_id, sha256, perceptual hash, split), so it does not depend on order or on how views are
    cut. A hash is told only where it is known, which may be long after the fetch: lists have it then.

    Args:
        kept: `VIEWS` of a part that are left.
        ledger: `LEDGER` of the part.
        changed: `SPLITS` of the part; None: none is in another split than upstream says.
    """
    of_images = partitions.positions(kept["image_id"], ledger)
    digests = ledger["sha256"].take(of_images).combine_chunks()
    pair_words = keys.raw(kept["pair_id"].combine_chunks()).view("<u8")
    byte_words = keys.raw(digests, 32).view("<u8")
    mixed = (pair_words[:, 0] ^ (byte_words[:, 0] * np.uint64(0x9E3779B97F4A7C15))) + pair_words[:, 1]
    mixed = mixed ^ _hash_words(ledger["perceptual_hash"].take(of_images).combine_chunks())
    if changed is not None:
        at = partitions.positions(kept["image_id"], changed)
        places = pc.fill_null(pc.index_in(changed["split"].take(at), value_set=pa.array(flow.SPLITS)), 0)
        mixed = mixed ^ (places.to_numpy().astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F))
    sources = np.asarray(kept["source"].to_pylist(), dtype=object)
    return {
        str(source): int(np.sum(mixed[sources == source], dtype=np.uint64)) for source in sorted(set(sources.tolist()))
    }


def _hash_words(hashes: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit word of each perceptual hash; 0 where none is known."""
    words = keys.raw(pc.fill_null(hashes, bytes(_HASH_BYTES)), _HASH_BYTES).view("<u8")
    mixed = (words * _HASH_FACTORS).sum(axis=1, dtype=np.uint64) + np.uint64(1)  # one that is all zeros is known, too
    return np.where(hashes.is_valid().to_numpy(zero_copy_only=False), mixed, np.uint64(0))
