"""What shard depends on: the views, the ledger and the groups."""

from __future__ import annotations

import posixpath
from typing import Final

from pmd import flow
from pmd.config import Config
from pmd.fetch import state
from pmd.store import root, storage
from pmd.store.wanted import Wanted, digest

#: What stands among the formats for the pairs that no format takes.
REJECTED: Final = posixpath.basename(flow.UNSHARDED.at())


def wanted(config: Config, unit: str = "all") -> tuple[Wanted, ...]:
    """Return the commits of the rejected pairs and of every format, in this order: all are made at once."""
    options = config.shard.told() | {"seed": config.seed}
    del options["formats"]
    found = {
        "views": digest(root.views_folder(config.root)),
        "ledger": state.ledger_digest(config.root),
        "dedupe": digest(root.dedupe_folder(config.root)),
    }
    return tuple(
        Wanted(flow.SHARD.name, form, root.shards_folder(config.root, form), options, found)
        for form in (REJECTED, *config.shard.formats)
    )


def retired(config: Config) -> list[tuple[str, str]]:
    """Return (format, folder) of formats whose folders stand under ROOT and that the configuration no longer names."""
    forms = storage.list_names(storage.join(config.root, flow.UNSHARDED.top))
    kept = {REJECTED, *config.shard.formats}
    return [(form, root.shards_folder(config.root, form)) for form in forms if form not in kept]
