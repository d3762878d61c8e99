"""What shard depends on: the views, the ledger and the groups."""

from __future__ import annotations

import posixpath
from typing import Final

from pmd import flow
from pmd.config import Config, told
from pmd.store import root, storage
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted

#: What stands among the formats for the pairs that no format takes.
REJECTED: Final = posixpath.basename(flow.UNSHARDED.at())

#: As `wanted.FORMAT`, for shards alone. 2: samples with URL, licences, credit, split and size.
SHARD_FORMAT: Final = 2


def wanted(config: Config, unit: str = "all", standing: Standing | None = None) -> tuple[Wanted, ...]:
    """Return the commits of the rejected pairs and of every format, in this order: all are made at once."""
    options = told.of(config, flow.SHARD.name) | {"format": SHARD_FORMAT, "seed": config.seed}
    del options["formats"]
    long_side_px = stored_long_side_px(config)
    if long_side_px is not None:
        options["stored_long_side_px"] = long_side_px
    there = standing or Standing(config.root)
    found = {
        "views": there.digest(root.views_folder(config.root)),
        "ledger": there.generations.digest,
        "dedupe": there.digest(root.dedupe_folder(config.root)),
    }
    return tuple(
        Wanted(flow.SHARD.name, form, root.shards_folder(config.root, form), options, found)
        for form in (REJECTED, *config.shard.formats)
    )


def stored_long_side_px(config: Config) -> int | None:
    """Return the long side of what fetch stores, where shards go by the short one, which may then be of any length; else None."""
    kept, asked = config.fetch.resizing, config.shard.resizing
    goes_by_other = kept.mode == "keep_ratio_largest" and asked.side_px is not None and asked.by_short_side
    return kept.side_px if config.fetch.store == "resized" and goes_by_other else None


def retired(config: Config, standing: Standing | None = None) -> list[tuple[str, str]]:
    """Return (format, folder) of formats whose folders stand under ROOT and that the configuration no longer names."""
    forms = storage.list_names(storage.join(config.root, flow.UNSHARDED.top))
    kept = {REJECTED, *config.shard.formats}
    return [(form, root.shards_folder(config.root, form)) for form in forms if form not in kept]
