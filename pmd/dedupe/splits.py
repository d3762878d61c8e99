"""Splits: upstream's, but for images that are one, of which all pairs are in one split.

A photograph may stand in several sources, and copies of it under several identities. A model that was trained on one copy must
not be tested on another. So all pairs of a group (images with one identity, with equal bytes, or near-duplicates where these are
looked for) take the most restrictive split that any of them has: test over validation over train. A pair of which upstream
says no split is in train. Pairs that leave for their text count, too: their picture is upstream's test picture all the same.

Few images have another split than train, so that all of these go to every worker.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.dedupe import rules
from pmd.fetch.ledger import partitions
from pmd.schema.tables import KEY, SPLITS
from pmd.store import commits, parquet_files, root

#: Relates images with equal bytes that are not merged. It is never committed: nothing gives way to anything.
EQUAL_BYTES: Final = "equal_bytes"

#: A group that is kept out of training, by the image that leads it.
HELD: Final = pa.schema([pa.field("leader_id", KEY, nullable=False), pa.field("split", pa.string(), nullable=False)])

#: The columns of views that are read here, and by whoever judges them.
NEEDED: Final = ("image_id", "pair_id", "source", "source_id", "split")

_RANKS: Final = pa.array(flow.SPLITS)


def ranks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return how restrictive each split is, as its place in `flow.SPLITS`: 0 of what is none of them."""
    return pc.fill_null(pc.index_in(column, value_set=_RANKS), 0)


def restricted(views: pa.Table) -> pa.Table:
    """Return the views that upstream keeps out of training."""
    return views.filter(pc.greater(ranks(views["split"]), 0))


def equal(rows: pa.Table) -> pa.Table:
    """Return the images with equal bytes as `RELATED`: each but the first of them, which leads.

    Args:
        rows: All `rules.HASHES` of a partition, in any order.
    """
    first = rows.group_by("sha256", use_threads=False).aggregate([("image_id", "min")])
    leaders = first["image_id_min"].take(pc.index_in(rows["sha256"], value_set=first["sha256"].combine_chunks()))
    table = pa.table({"image_id": rows["image_id"], "kept_id": leaders})
    table = table.filter(pc.not_equal(table["image_id"], table["kept_id"])).sort_by("image_id")
    count = table.num_rows
    return pa.table(
        [
            *table.columns,
            pa.repeat(pa.scalar(EQUAL_BYTES), count),
            pa.repeat(pa.scalar(0, pa.int32()), count),
            pa.nulls(count, pa.string()),
        ],
        schema=rules.RELATED,
    )


def _leaders(image_ids: pa.ChunkedArray, found: pa.Table) -> pa.Array:
    """Return the image that leads the group of each: an image with equal bytes may have a row of its own near-duplicate too."""
    equal = found.filter(pc.equal(found["relation"], EQUAL_BYTES)).combine_chunks()
    first = equal["stands_id"].take(partitions.positions(image_ids, equal)).combine_chunks()
    return pc.coalesce(first, rules.kept_ids(image_ids, found))


def held(kept: pa.Table, found: pa.Table) -> pa.Table:
    """Return the groups that some pairs of a part keep out of training, as `HELD`.

    Args:
        kept: `VIEWS` (`NEEDED` will do) of images that are there and do not leave.
        found: `GROUPS` of the part, with those of `equal`.
    """
    table = pa.table({"leader_id": _leaders(kept["image_id"], found), "rank": ranks(kept["split"])})
    table = (
        table.filter(pc.greater(table["rank"], 0)).group_by("leader_id", use_threads=False).aggregate([("rank", "max")])
    )
    return pa.table({"leader_id": table["leader_id"], "split": _RANKS.take(table["rank_max"].combine_chunks())}).cast(
        HELD
    )


def moved(kept: pa.Table, found: pa.Table, out_of_training: pa.Table) -> pa.Table:
    """Return the images of a part of which a pair is in another split than its group, as `SPLITS`, in order of image_id.

    Args:
        kept: As in `held`.
        found: As in `held`.
        out_of_training: `HELD` of all parts.
    """
    groups = pa.table({"leader_id": out_of_training["leader_id"], "rank": ranks(out_of_training["split"])})
    groups = groups.group_by("leader_id", use_threads=False).aggregate([("rank", "max")])
    leaders = _leaders(kept["image_id"], found)
    at = pc.index_in(leaders, value_set=groups["leader_id"].combine_chunks())
    of_group = pc.fill_null(groups["rank_max"].take(at), 0)
    table = pa.table({"image_id": kept["image_id"], "rank": of_group})
    table = (
        table.filter(pc.greater(of_group, ranks(kept["split"])))
        .group_by("image_id", use_threads=False)
        .aggregate([("rank", "max")])
    )
    table = table.sort_by("image_id")
    return pa.table({"image_id": table["image_id"], "split": _RANKS.take(table["rank_max"].combine_chunks())}).cast(
        SPLITS
    )


def settled(views: pa.Table, changed: pa.Table) -> pa.Table:
    """Return views with the split that each is in: never null.

    Args:
        views: `VIEWS` of a part, or some of them.
        changed: `SPLITS` of the part.
    """
    others = changed["split"].take(partitions.positions(views["image_id"], changed))
    own = _RANKS.take(ranks(views["split"]).combine_chunks())
    return views.set_column(views.schema.get_field_index("split"), "split", pc.coalesce(others, own))


def count_moved(views: pa.Table, changed: pa.Table) -> dict[str, dict[str, int]]:
    """Return source → split → pairs that are in it and not where upstream has them; arguments as of `settled`."""
    now = settled(views, changed)["split"]
    there = pa.table({"source": views["source"], "split": now}).filter(pc.not_equal(ranks(now), ranks(views["split"])))
    found: dict[str, dict[str, int]] = {}
    for row in there.group_by(["source", "split"], use_threads=False).aggregate([([], "count_all")]).to_pylist():
        found.setdefault(row["source"], {})[row["split"]] = row["count_all"]
    return found


def read(root_url: str, part: int) -> pa.Table:
    """Return the committed `SPLITS` of a part: none, in a ROOT of an earlier version."""
    folder = root.dedupe_folder(root_url)
    files = commits.require(folder, f"run: {flow.DEDUPE.command}").under("splits")
    tables = [parquet_files.read_table(folder, file) for file in files if flow.part_number(file.name) == part]
    return pa.concat_tables([SPLITS.empty_table(), *tables]).combine_chunks()
