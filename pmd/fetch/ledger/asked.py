"""Which images the web was asked for, and what it said: of the committed images and ledger, a part at a time.

An image counts where it has an address on the web and its fate was decided there: what came out of an archive that upstream
hands out, or of img2dataset's shards, says nothing of the web, and neither does a copy of a web archive of the picture's own
place, which is gone. Nor does what nobody may ask for, or keep (`statuses.UNASKED`).
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.fetch.ledger import partitions
from pmd.schema.statuses import OK, UNASKED
from pmd.schema.tables import IMAGES, KEY
from pmd.store import register
from pmd.store.register import Generation
from pmd.text import domain_names, urls

#: What stands for all sources.
ALL: Final = "all"

ORIGINAL: Final = "original"
ARCHIVE: Final = "archive"
#: The status of what is gone from its place, and was had from a web archive.
ARCHIVED: Final = "archived"

#: An address with another one in its path, as in https://web.archive.org/web/2014id_/http://a.example/1.jpg.
_HELD: Final = re.compile(r"https?://[^?#]*/https?://", re.IGNORECASE)

#: When a picture was fetched.
WHEN: Final = pa.timestamp("ms", tz="UTC")

#: One row an image that the web was asked for.
ASKED: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("host", pa.string(), nullable=False),  # registrable domain of upstream's address, or a mirror's
        pa.field("sources", pa.list_(pa.string()), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # one of the ledger's, or `ARCHIVED`
        pa.field("location", pa.string()),  # the one used, or the last one tried
        pa.field("sha256", pa.binary(32)),
        pa.field("fetched", WHEN),  # when the generation ended that settled it; null: its commit does not say
    ]
)


def read(root_url: str) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield the `ASKED` of each part, with the `IMAGES` of the same rows; the ledger of every fetch shard is read.

    Raises:
        RootError: There are no images yet.
    """
    known = register.current(root_url)
    cut = partitions.cut(root_url)
    committed = partitions.image_files(root_url)
    for part in range(2**cut.part_bits):
        generations = [known.of(shard) for shard in cut.shards(part)]
        ledger = partitions.standing(generations)
        images = partitions.read_images(root_url, part, committed=committed).combine_chunks()
        yield asked(images, ledger, ended(itertools.chain.from_iterable(generations)))


def of_part(root_url: str, part: int, ledger: pa.Table, generations: Iterable[Iterable[Generation]]) -> pa.Table:
    """Return the `ASKED` of one part, by its ledger, and by the generations that this was read from."""
    images = partitions.read_images(root_url, part).combine_chunks()
    return asked(images, ledger, ended(itertools.chain.from_iterable(generations)))[0]


def ended(generations: Iterable[Generation]) -> dict[int, dict[int, datetime.datetime]]:
    """Return fetch shard → generation → when it ended; without those whose commit was made again from its files."""
    found: dict[int, dict[int, datetime.datetime]] = {}
    for generation in generations:
        said = generation.run.get("ended")
        if said is not None:
            when = datetime.datetime.fromisoformat(said)
            found.setdefault(generation.shard, {})[generation.number] = when
    return found


def asked(
    images: pa.Table, ledger: pa.Table, when: Mapping[int, Mapping[int, datetime.datetime]]
) -> tuple[pa.Table, pa.Table]:
    """Return the `ASKED` of some images, and their own rows.

    Args:
        images: `IMAGES`.
        ledger: What stands for them, and maybe for others.
        when: Fetch shard → generation → when it ended.
    """
    places = _Places(images, ledger)
    at = partitions.positions(images["image_id"], ledger)
    may_be = pc.fill_null(pc.invert(pc.is_in(ledger["status"], value_set=pa.array(UNASKED)).take(at)), False)
    chosen = pa.array(np.flatnonzero(places.counts & may_be.to_numpy(zero_copy_only=False)))
    mine, at = images.take(chosen), at.take(chosen)
    settled = ledger.select(["status", "location", "sha256", "generation"]).take(at)
    elsewhere = pc.and_(pc.equal(settled["status"], OK), pc.invert(pa.array(places.on_web).take(chosen)))
    copies = _copies(mine.filter(elsewhere), settled["location"].filter(elsewhere))
    archived = np.zeros(len(chosen), np.bool_)
    archived[np.flatnonzero(elsewhere.to_numpy())] = copies
    status = pc.if_else(pa.array(archived), pa.scalar(ARCHIVED), settled["status"])
    fetched = [
        when.get(shard, {}).get(number)
        for shard, number in zip(mine["fetch_shard"].to_pylist(), settled["generation"].to_pylist(), strict=True)
    ]
    table = pa.table(
        {
            "image_id": mine["image_id"],
            "host": pa.array(places.hosts, pa.string()).take(chosen),
            "sources": mine["sources"],
            "status": status,
            "location": settled["location"],
            "sha256": settled["sha256"],
            "fetched": pa.array(fetched, WHEN),
        }
    )
    return table.cast(ASKED), mine.select(IMAGES.names)


def _copies(images: pa.Table, used: pa.ChunkedArray) -> list[bool]:
    """Return which images were had from a web archive. Others were had where upstream had them once.

    The address of a copy holds one of theirs, or in its path another whole one: that of a place that upstream names no more.
    """
    places = zip(images["locations"].to_pylist(), used.to_pylist(), strict=True)
    return [
        any(place["url"] in url for place in own if place["kind"] == ORIGINAL) or _HELD.match(url) is not None
        for own, url in places
    ]


class _Places:
    """The places of images: one row an image.

    Attributes:
        hosts: The registrable domain of upstream's address, else of the first mirror's; None: it has neither.
        counts: Whether it has one, and its fate was not decided by an archive.
        on_web: Whether the place that decided is one of the image's own addresses on the web.
    """

    def __init__(self, images: pa.Table, ledger: pa.Table) -> None:
        locations = pa.concat_arrays(images["locations"].chunks) if images.num_rows else None
        rows = images.num_rows
        if locations is None:
            self.hosts: list[str | None] = []
            self.counts = self.on_web = np.zeros(0, np.bool_)
            return
        flat = pc.list_flatten(locations)
        row = pc.list_parent_indices(locations).to_numpy().astype(np.int64)
        kind, url = flat.field("kind"), flat.field("url")
        at = partitions.positions(images["image_id"], ledger)
        used = pc.fill_null(pc.equal(url, ledger["location"].take(at).combine_chunks().take(pa.array(row))), False)
        is_used = used.to_numpy(zero_copy_only=False)
        is_web = pc.not_equal(kind, ARCHIVE).to_numpy(zero_copy_only=False)
        is_original = pc.equal(kind, ORIGINAL).to_numpy(zero_copy_only=False)
        first = _firsts(row, is_web & is_original, _firsts(row, is_web, np.full(rows, -1)))
        named = urls.host(url.take(pa.array(first[first >= 0])))
        domains = iter(named.to_pylist())
        found = [next(domains) if place >= 0 else None for place in first.tolist()]
        self.hosts = [None if host is None else domain_names.registrable_domain(host) for host in found]
        settled = ledger["location"].take(at)
        on_web = pc.fill_null(pc.match_substring_regex(settled, "^https?://", ignore_case=True), True)
        # Archives may lie elsewhere by now, and img2dataset's shards are no place of an image.
        by_archive = np.bincount(row[is_used & ~is_web], minlength=rows) > 0
        by_archive |= ~on_web.to_numpy()
        self.on_web = np.bincount(row[is_used & is_web], minlength=rows) > 0
        self.counts = np.array([host is not None for host in self.hosts]) & ~(by_archive & ~self.on_web)


def _firsts(
    row: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_], otherwise: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the first chosen place of each row; of a row without, what stands otherwise."""
    found = otherwise.copy()
    places = np.flatnonzero(chosen)[::-1]  # the first is written last
    found[row[places]] = places
    return found
