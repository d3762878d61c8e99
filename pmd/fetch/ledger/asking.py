"""Who asks for perceptual hashes, and which stored pictures have none yet.

A hash takes the decoding of a whole picture, which costs more than all else about one that is kept as it came. So it is computed
where something asks for it: with the fetch, while the picture is at hand, or later from the store (`generations.hashing`), so
that whoever begins to ask after a fetch asks the web for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd.config import Config
from pmd.config.options import DedupeOptions, FetchOptions
from pmd.fetch.ledger import partitions, state
from pmd.fetch.lists import blocklists, reference_lists
from pmd.images import takedowns
from pmd.schema.statuses import OK
from pmd.store import commits, root
from pmd.store.register import Generation
from pmd.store.standing import Standing
from pmd.terminal import bar


def who(config: Config) -> str | None:
    """Return the option that asks for the hash of what is fetched, or None: then nothing is decoded for it.

    Raises:
        InputError: A list that the configuration names is missing, or none.
    """
    return by_dedupe(config.dedupe) or _by_fetch(config.fetch) or by_takedown(config)


def by_dedupe(options: DedupeOptions) -> str | None:
    """Return the option of `[dedupe]` that asks for the hash of all that is stored, or None."""
    if options.near == "merge":
        return "dedupe.near"
    return "dedupe.evaluation" if options.evaluation else None


def by_blocklist(options: FetchOptions) -> str | None:
    """Return the option by which stored pictures are to be known by their looks, or None: `fetch.blocklists`.

    Raises:
        InputError: A list is missing, or none.
    """
    return "fetch.blocklists" if blocklists.read(options.blocklists).looks else None


def by_takedown(config: Config) -> str | None:
    """Return `takedown` where a line of its lists may name stored pictures by their looks, or None.

    That is a `pdq:`, 64 digits alone (they may be either hash), and a picture's file.

    Raises:
        InputError: A line names nothing.
    """
    listed = takedowns.lines(config.takedown, config.sources)
    return "takedown" if any(line.named.pdq is not None for line in listed) else None


def to_judge(config: Config) -> str | None:
    """Return the option by which the fetch must know the looks of all that is stored, before anything is made of it, or None.

    Raises:
        InputError: A list is missing, or none.
    """
    return by_blocklist(config.fetch) or by_takedown(config)


def _by_fetch(options: FetchOptions) -> str | None:
    if options.store == "resized" and options.resizing.is_square:
        return "fetch.resize_mode"  # no hash of the picture can be computed later, of what is stored of it
    paths = reference_lists.files(options.against)
    return by_blocklist(options) or ("fetch.against" if any(map(reference_lists.has_hashes, paths)) else None)


def lacking(ledger: pa.Table, image_ids: pa.ChunkedArray) -> pa.Table:
    """Return the rows of a ledger whose picture is stored and has no perceptual hash.

    Args:
        ledger: What stands for the images of a shard.
        image_ids: The images that are still wanted; others are of sources or samples that are no longer configured.
    """
    unknown = pc.and_(pc.equal(ledger["status"], OK), pc.is_null(ledger["perceptual_hash"]))
    return ledger.filter(pc.and_(unknown, pc.is_in(ledger["image_id"], value_set=image_ids.combine_chunks())))


#: What a driver remembers of all that stands: no stored picture lacks its hash.
HASHED: Final = "hashed"


def key(there: Standing) -> str:
    """Return what it depends on that none lacks its hash."""
    return commits.options_hash([there.digest(root.images_folder(there.root)), there.generations.digest])


def missing(there: Standing) -> dict[int, int]:
    """Return fetch shard → stored pictures without a perceptual hash; none, no shard.

    Shards whose commits say that all their hashes are there cost nothing more than the register; where it is remembered that none
    is missing, none does.

    Raises:
        RootError: There are no images.
    """
    known = there.generations
    if known.answers.get(HASHED) == key(there):
        return {}
    layout = partitions.cut(there.root)
    committed = there.require(root.images_folder(there.root)).files
    by_part: dict[int, list[int]] = {}
    for shard in known.shards:
        if not _may_lack(known.of(shard)):
            continue
        by_part.setdefault(layout.part_of(shard), []).append(shard)
    counts = {}
    for part, shards in by_part.items():
        images = partitions.read_images(there.root, part, ("image_id", "fetch_shard"), committed)
        for shard in shards:
            mine = images.filter(pc.equal(images["fetch_shard"], shard))["image_id"]
            counts[shard] = lacking(state.standing(known.of(shard)), mine).num_rows
    return {shard: count for shard, count in counts.items() if count}


def _may_lack(known: Iterable[Generation]) -> bool:
    """Return whether a shard has a generation that kept pictures without their hash: what came since is told by its ledger."""
    return any(generation.facts.get(state.HASH) != state.PDQ and generation.keeps for generation in known)


def why(there: Standing, asks: str | None) -> str | None:
    """Return in words why hashes must be computed for who asks, or None where none must.

    Raises:
        RootError: There are no images.
    """
    count = sum(missing(there).values()) if asks is not None else 0
    have = "has" if count == 1 else "have"
    return (
        f"{bar.amount(count, 'stored pictures')} {have} no perceptual hash yet, and {asks} asks for it"
        if count
        else None
    )
