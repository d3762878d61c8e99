"""Samples: from the views that are left to what a training step sees, in shuffled order.

A sample is an image or a region of one (``unit = "image"``, with all its captions), or a single pair (``unit = "pair"``).
image_id is a hash, so the store is in random order already; within a window of fetch shards samples are ordered by a hash
of their key and the seed, and windows follow each other. A shard is a range of ranks, so all but the last are equal, and
its task reads the store files of one window, or of two.
"""

from __future__ import annotations

import dataclasses
import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config.asked import Asked
from pmd.errors import ConfigError
from pmd.fetch.ledger import partitions, stored
from pmd.images import rules as images_rules
from pmd.schema import keys, licences
from pmd.schema.tables import KEY, REGION

STAGE: Final = flow.SHARD.name

#: What a sample says of rights and places, and each of its pairs of its own.
STATED: Final = ("image_url", "text_licence", "image_licence", "attribution")

PAIR: Final = pa.struct(
    [
        pa.field("pair_id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("source_id", pa.string()),
        pa.field("text", pa.string()),
        pa.field("image_id", pa.string()),  # the image as the source's list has it
        *(pa.field(name, pa.string()) for name in STATED),
    ]
)

#: One row a sample; `key` is the member name in the shards, hex.
SAMPLES: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("image_id", KEY, nullable=False),
        pa.field("region", REGION),
        pa.field("pairs", pa.list_(PAIR), nullable=False),
        *(pa.field(name, pa.string()) for name in STATED),
        pa.field("split", pa.string(), nullable=False),
        pa.field("store_file", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("stored_format", pa.string(), nullable=False),
        pa.field("stored_form", pa.string(), nullable=False),
        pa.field("sha256", pa.binary(32)),
        pa.field("stored_digest", pa.binary(16)),
        pa.field("width_px", pa.int32()),  # of the original, upright
        pa.field("height_px", pa.int32()),
        pa.field("stored_width_px", pa.int32()),  # upright; null: as the original
        pa.field("stored_height_px", pa.int32()),
    ]
)

#: What a sample has of the ledger, and the rest of it.
_OF_LEDGER: Final = (*stored.COLUMNS, "width_px", "height_px", "stored_width_px", "stored_height_px")
_DESCRIBED: Final = pa.schema([field for field in SAMPLES if field.name not in _OF_LEDGER])

#: A view on its way to its sample: `VIEWS`, under the image that stands for its own, in the split that it is in.
SAMPLE_ROWS: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("pair_id", KEY, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("region", REGION),
        pa.field("width_px", pa.int32()),
        pa.field("height_px", pa.int32()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("own_id", KEY, nullable=False),
        pa.field("is_merged", pa.bool_(), nullable=False),  # its image gave way to the one that it stands under
        *(pa.field(name, pa.string()) for name in STATED),
        pa.field("split", pa.string(), nullable=False),
    ]
)


@dataclasses.dataclass(frozen=True)
class Window:
    """One window, finished: its `SAMPLES` in order, and the pairs that leave."""

    samples: pa.Table
    rejected: pa.Table
    kept: pa.Table  # of the pairs that are in samples: `source`


def window_bits(cut: partitions.Cut, window: int) -> int:
    """Return how many bits cut the images into windows of about `window` fetch shards."""
    return min(max(cut.shard_bits - max(window - 1, 0).bit_length(), 0), images_rules.MOST_PART_BITS)


def misfits(rows: pa.Table, ledger: pa.Table, asked: Asked, stored_long_side_px: int | None = None) -> pa.Array:
    """Return why each view is no sample, or null.

    `box_mismatch`: the image's aspect ratio is not that of the image on which the region was drawn, or the picture in the
    store has another than the image: it was cut to a square, or has a border, before a source with regions came.
    `crop_too_small`: the region, in the whole pixels that `codec.crop` cuts out of the picture in the store, has a short side
    under the limit. That picture is the original, but where an image was stored resized before a source with regions came.
    `sample_too_small`, `sample_too_narrow`: the whole image as it was fetched, or (narrow) the region in the pixels of the
    crop. Too small is also a picture that is stored by its long side, and whose short one is less than shards go by. Of several
    the one that stands first in this list is the reason.

    Args:
        rows: `SAMPLE_ROWS`.
        ledger: `LEDGER` that holds all their images.
        asked: What the configuration asks of shard.
        stored_long_side_px: `needs.stored_long_side_px`.
    """
    at = partitions.positions(rows["image_id"], ledger)
    width = ledger["width_px"].take(at).to_numpy(zero_copy_only=False).astype(np.float64)
    height = ledger["height_px"].take(at).to_numpy(zero_copy_only=False).astype(np.float64)
    drawn_width = rows["width_px"].to_numpy(zero_copy_only=False).astype(np.float64)  # null becomes NaN
    drawn_height = rows["height_px"].to_numpy(zero_copy_only=False).astype(np.float64)
    has_region = pc.is_valid(rows["region"]).to_numpy(zero_copy_only=False)
    sides = np.zeros((len(rows), 4))
    sides[has_region] = np.array(rows["region"].filter(pa.array(has_region)).to_pylist()).reshape(-1, 4)
    stored_width = _stored_or_original(ledger["stored_width_px"].take(at), width)
    stored_height = _stored_or_original(ledger["stored_height_px"].take(at), height)
    across = np.where(has_region, _pixels_between(sides[:, 0], sides[:, 2], stored_width), width)
    down = np.where(has_region, _pixels_between(sides[:, 1], sides[:, 3], stored_height), height)
    short, long = np.minimum(across, down), np.maximum(across, down)
    # Products of whole numbers, so that a difference of exactly the limit is one.
    expected = drawn_width * height
    mismatch = np.abs(width * drawn_height - expected) > asked.shard.max_aspect_difference * expected
    reshaped = stored.reshaped(width, height, stored_width, stored_height)
    reasons = np.full(len(rows), None, dtype=object)
    if asked.shard.max_aspect_ratio is not None:
        reasons[long / short > asked.shard.max_aspect_ratio] = "sample_too_narrow"
    reasons[~has_region & (short < asked.shard.min_side_px)] = "sample_too_small"
    if stored_long_side_px is not None:
        least = np.minimum(float(asked.shard.resizing.side_px or 0), short)
        by_long_side = np.maximum(stored_width, stored_height) == stored_long_side_px
        reasons[~has_region & by_long_side & (np.minimum(stored_width, stored_height) < least)] = "sample_too_small"
    reasons[has_region & (short < asked.shard.min_crop_px)] = "crop_too_small"
    reasons[has_region & (mismatch | reshaped)] = "box_mismatch"
    return pa.array(reasons, pa.string())


def check_sizes(rows: pa.Table, ledger: pa.Table, asked: Asked) -> None:
    """Check that what is stored is as large as the whole pictures that are asked for, wherever the originals were.

    The configuration has been looked at before; here is what was stored under an earlier one.

    Args:
        rows: `SAMPLE_ROWS` that stay.
        ledger: `LEDGER` that holds all their images.
        asked: What the configuration asks of shard.

    Raises:
        ConfigError: It is not.
    """
    wanted = asked.shard.resizing
    if wanted.side_px is None:
        return
    ids = pc.unique(rows.filter(pc.is_null(rows["region"]))["image_id"])
    found = ledger.take(partitions.positions(ids, ledger))
    found = found.filter(pc.equal(found["stored_form"], stored.RESIZED))
    measure = pc.min_element_wise if wanted.by_short_side else pc.max_element_wise
    kept, whole = (measure(found[f"{prefix}width_px"], found[f"{prefix}height_px"]) for prefix in ("stored_", ""))
    smaller = found.filter(pc.and_(pc.less(kept, wanted.side_px), pc.less(kept, whole)))
    if not smaller.num_rows:
        return
    first = smaller.slice(0, 1).to_pylist()[0]
    name = "image_size" if asked.shard.image_size is not None else "short_side_px"
    side = "short" if wanted.by_short_side else "long"
    raise ConfigError(
        "shards make nothing larger than it is kept",
        where=f"shard.{name} = {wanted.side_px}",
        expected=f"whole images stored with a {side} side of {wanted.side_px} px or more, or in their own size",
        found=f"stored smaller than they were: {smaller.num_rows:,} of a window; the first is {first['image_id'].hex()}, "
        f"{first['width_px']} x {first['height_px']} px, stored {first['stored_width_px']} x {first['stored_height_px']} px",
        remedy=f"write a smaller {name}, or leave it out: then pictures are as they are stored",
    )


def _stored_or_original(stored: pa.ChunkedArray, original: np.ndarray) -> np.ndarray:
    sizes = stored.to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isnan(sizes), original, sizes)


def _pixels_between(start: np.ndarray, length: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    low = np.clip(np.floor(start * pixels + 0.5), 0, pixels - 1)
    high = np.clip(np.floor((start + length) * pixels + 0.5), low + 1, pixels)
    return np.asarray(high - low)


def order(rows: pa.Table, ledger: pa.Table, asked: Asked, stored_long_side_px: int | None = None) -> Window:
    """Make the samples of a window, in their order.

    Args:
        rows: All `SAMPLE_ROWS` of the window, in any order.
        ledger: `LEDGER` of the window's fetch shards.
        asked: What the configuration asks of shard.
        stored_long_side_px: `needs.stored_long_side_px`.

    Raises:
        ConfigError: Larger pictures are asked for than are stored.
    """
    rows = rows.combine_chunks()
    reasons = misfits(rows, ledger, asked, stored_long_side_px)
    stays = pc.is_null(reasons)
    leaving = rows.filter(pc.invert(stays))
    kept = rows.filter(stays).combine_chunks() if leaving.num_rows else rows
    check_sizes(kept, ledger, asked)
    described = _described(kept, asked)
    at = partitions.positions(described["image_id"], ledger)
    table = pa.table(
        [*described.columns, *(ledger[name].take(at).combine_chunks() for name in _OF_LEDGER)], schema=SAMPLES
    )
    return Window(table, images_rules.reject(leaving, STAGE, reasons.filter(pc.invert(stays))), kept.select(["source"]))


#: Pairs that are made Python's objects at a time, about: one takes some 3 kB, and a window may have 262,144 images.
_PAIRS_AT_ONCE: Final = 4096


def _described(kept: pa.Table, asked: Asked) -> pa.Table:
    """Return the samples that pairs (`SAMPLE_ROWS`) make, in their order, but for what the ledger has of them."""
    ranks = pa.chunked_array([_ranks(rows, asked) for rows in kept.to_batches(_PAIRS_AT_ONCE)], KEY).combine_chunks()
    order = [("rank", "ascending"), *((name, "ascending") for name in ("source", "source_id", "pair_id"))]
    at = pc.sort_indices(kept.select(["source", "source_id", "pair_id"]).append_column("rank", ranks), order)
    ranks = ranks.take(at)
    begins = np.r_[True, pc.not_equal(ranks[1:], ranks[:-1]).to_numpy(zero_copy_only=False)][: len(at)]
    starts = np.flatnonzero(begins)
    pieces = np.append(starts[np.unique(starts // _PAIRS_AT_ONCE, return_index=True)[1]], len(at))
    tables = [_DESCRIBED.empty_table()]
    for start, stop in itertools.pairwise(pieces.tolist()):
        rows = kept.take(at[start:stop]).to_pylist()
        firsts = [*(np.flatnonzero(begins[start:stop])).tolist(), stop - start]
        samples = [_sample(rows[one:end], asked) for one, end in itertools.pairwise(firsts)]
        tables.append(pa.Table.from_pylist(samples, schema=_DESCRIBED))
    return pa.concat_tables(tables)


def _ranks(rows: pa.RecordBatch, asked: Asked) -> pa.Array:
    """Return the rank of the sample that each pair is of: pairs of one sample have one."""
    places = zip(*(rows[name].to_pylist() for name in ("image_id", "region", "pair_id")), strict=True)
    named = (_key(image_id, region, pair_id, asked) for image_id, region, pair_id in places)
    return pa.array([keys.digest("rank", str(asked.seed), key) for key in named], KEY)


def _key(image_id: bytes, region: Sequence[float] | None, pair_id: bytes, asked: Asked) -> bytes:
    """Return the key of the sample that a pair is of."""
    if asked.shard.unit == "pair":
        return pair_id
    return keys.digest("sample", image_id, struct.pack("<4d", *region)) if region else image_id


def _sample(members: Sequence[dict[str, Any]], asked: Asked) -> dict[str, Any]:
    """Return what a sample has but of the ledger; of its pairs, in their order."""
    first = members[0]
    return {
        "key": _key(first["image_id"], first["region"], first["pair_id"], asked).hex(),
        "image_id": first["image_id"],
        "region": first["region"],
        "pairs": [_pair(row) for row in members],
        "split": first["split"],
        **_stated(members),
    }


def _pair(row: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        "pair_id": row["pair_id"].hex(),
        "source": row["source"],
        "source_id": row["source_id"],
        "text": row["text"],
        "image_id": row["own_id"].hex(),
        **{name: row[name] for name in STATED},
    }


def _stated(members: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Return what a sample says of rights and places, where its pairs may say different things.

    The first URL, and the licence of the first caption. The licence and the credit are those of one pair: of such as credit the
    image, or else state a licence, the first. A pair of the very picture goes before one of an image that gave way to it.
    """
    urls = sorted((row for row in members if row["image_url"] is not None), key=lambda row: row["is_merged"])
    credited = min(members, key=lambda row: (not _says_of_rights(row), row["is_merged"], -_says_of_rights(row)))
    return {
        "image_url": urls[0]["image_url"] if urls else None,
        "text_licence": members[0]["text_licence"],
        "image_licence": credited["image_licence"],
        "attribution": credited["attribution"],
    }


def _says_of_rights(row: Mapping[str, Any]) -> int:
    if row["attribution"] is not None:
        return 2
    return int(row["image_licence"] not in {None, licences.NOASSERTION})


def sizes(total: int, asked: Asked) -> list[int]:
    """Return the samples of each shard: none is left out, and none is empty.

    By `samples_per_shard` all but the last are equal. By `shards` the first ones may have one sample more than the others; of
    fewer samples than shards each is one.
    """
    if asked.shard.shards is None:
        whole, rest = divmod(total, asked.shard.samples_per_shard)
        return [asked.shard.samples_per_shard] * whole + [rest] * (rest > 0)
    each, more = divmod(total, asked.shard.shards)
    return [count for shard in range(asked.shard.shards) if (count := each + (shard < more))]


def number_of_shards(total: int, asked: Asked) -> int:
    """Return how many shards so many samples make."""
    return (
        min(total, asked.shard.shards) if asked.shard.shards is not None else -(-total // asked.shard.samples_per_shard)
    )


def cut_ranks(counts: list[int], of_shards: list[int]) -> list[list[tuple[int, int, int]]]:
    """Cut windows into shards.

    Args:
        counts: Samples of each window, in order.
        of_shards: Samples of each shard, in order; as many in all.

    Returns:
        For each shard its slices (window, start, stop), in order.
    """
    shards: list[list[tuple[int, int, int]]] = []
    rooms = iter(of_shards)
    room = 0
    for window, count in enumerate(counts):
        start = 0
        while start < count:
            if room == 0:
                shards.append([])
                room = next(rooms)
            taken = min(room, count - start)
            shards[-1].append((window, start, start + taken))
            start += taken
            room -= taken
    return shards
