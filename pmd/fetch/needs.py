"""What fetch depends on: images that have no settled row, or a new location; then the views and the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from pmd import flow
from pmd.config import Config
from pmd.fetch import asking, blocklists, partitions, state
from pmd.store import root
from pmd.store.wanted import Wanted, digest


def wanted(config: Config, unit: str = "all") -> tuple[Wanted, ...]:
    """Return the commit of the rejected pairs; generations are committed as they come."""
    found = {"views": digest(root.views_folder(config.root)), "ledger": state.ledger_digest(config.root)}
    return (Wanted(flow.FETCH.name, "rejected", root.fetch_rejected_folder(config.root), {}, found),)


def pending(config: Config) -> str | None:
    """Return why images must be fetched, or stored ones hashed for a blocklist to be held against them; else None."""
    hashes = asking.why(config.root, asking.by_blocklist(config.fetch))
    if hashes is not None:
        return hashes
    found = sum(pending_images(config).values())
    why = "have not been tried, have a new location, may be asked at an address that was refused, or are on a blocklist"
    return f"{found:,} images {why}" if found else None


def pending_images(config: Config, retry: Sequence[str] = ()) -> dict[int, int]:
    """Return fetch shard → images to be tried or, stored before a blocklist named them, judged anew; none, no shard."""
    blocklist = blocklists.read(config.fetch.blocklists)
    counts = {
        shard: todo.num_rows + len(blocklist.stored(ledger, images))
        for shard, images, ledger, todo in partitions.pending(config.root, config.fetch, retry)
    }
    return {shard: count for shard, count in counts.items() if count}
