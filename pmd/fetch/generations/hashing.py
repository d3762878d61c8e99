"""Perceptual hashes of stored pictures, computed when something begins to ask for them, as a generation of its own.

A shard's generation is written and committed as one of the fetch is (`store`), but no host is asked. It lists a file of
hashes. A picture may turn out to be none when it is decoded for the first time: then the generation has a row of the ledger with
that status too, and an attempt that says what was wrong. Nothing of earlier generations is changed. A run that dies between two
shards leaves whole generations, and the next one does the rest.

A picture that was scaled is hashed as it is stored, since its original is gone; `hashed_form` says so.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pmd import codec
from pmd.fetch import outcome
from pmd.fetch.clock import utc_now
from pmd.fetch.generations import store
from pmd.fetch.ledger import asking, reading, state, stored
from pmd.fetch.outcome import Attempt, Fetched
from pmd.schema.tables import HASHES
from pmd.store import commits, parquet_files
from pmd.store.commits import Commit, File


@dataclasses.dataclass(frozen=True)
class Order:
    """Which shard's pictures are to be hashed.

    Attributes:
        root: ROOT.
        shard: The fetch shard.
        images: Its `IMAGES` rows (image_id and sources will do).
        max_pixels: `FetchOptions.max_pixels`; what was accepted when it was stored is accepted, whatever the limit was then.
        began: When the run began: written into the attempts, so that doubled workers write the same.
        epoch: That of the run (`commits.claim`).
    """

    root: str
    shard: int
    images: pa.Table
    max_pixels: int
    began: datetime.datetime
    epoch: int = 0


@dataclasses.dataclass(frozen=True)
class Found:
    """What decoding a stored picture has shown: its hash, or that it is none after all."""

    row: Mapping[str, Any]  # of the ledger
    perceptual_hash: bytes | None = None
    refusal: codec.Refused | None = None


def run_shard(order: Order, progress: Callable[[], None] = lambda: None) -> Commit | None:
    """Hash what a shard has stored without a hash, one picture in memory at a time, and commit it as its next generation.

    Args:
        order: Which shard's pictures.
        progress: Called with each picture.

    Returns:
        The commit that stands for the generation, be it another worker's; None where nothing lacks its hash.

    Raises:
        VerificationError: A stored picture is damaged: that says nothing of what the host gave.
        RootError: A later run has taken over.
    """
    known = state.own(order.root, order.shard)
    ledger = state.standing(known)
    rows = asking.lacking(ledger, order.images["image_id"])
    if not rows.num_rows:
        return None
    generation = state.next_generation(known)
    found = []
    with reading.Pictures(order.root, rows) as pictures:
        for row in sorted(rows.to_pylist(), key=_place):
            found.append(_hashed(order, row, pictures))
            progress()
    return commit(order, generation, found)


def _place(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["store_file"], row["offset"]


def _hashed(order: Order, row: Mapping[str, Any], pictures: reading.Pictures) -> Found:
    content = pictures.read(row)
    pixels = (row["width_px"] or 0) * (row["height_px"] or 0)
    try:
        return Found(row, codec.hash_of(content, codec.Limits(max(order.max_pixels, pixels))))
    except codec.Refused as refusal:
        return Found(row, refusal=refusal)


def commit(order: Order, generation: int, found: Sequence[Found]) -> Commit:
    """Write what was found as a shard's generation, and commit it if nobody has; return what stands."""
    outcomes = [_refused(one.row, generation, order.began, one.refusal) for one in found if one.refusal is not None]
    rows = [store.outcome_row(one, generation) for one in outcomes]
    sources = dict(zip(*(order.images[name].to_pylist() for name in ("image_id", "sources")), strict=True))
    files: list[File] = []
    if len(outcomes) < len(found):
        name = f"generation={generation:04d}"
        folder = state.shard_folder(order.root, "hashes", order.shard)
        files.append(store.elsewhere(parquet_files.put_table(folder, name, _table(found)), "hashes", order.shard))
    if rows:
        attempts = [attempt for one in outcomes for attempt in one.attempts]
        files += store.put_settled(order.root, order.shard, generation, rows, attempts)
    made = Commit(
        stage=store.STAGE,
        files=tuple(files),
        sources=store.books(rows, sources),
        hash=commits.options_hash([state.PDQ, sorted(one.row["image_id"].hex() for one in found)]),
        run={
            commits.EPOCH: order.epoch,
            "started": order.began.isoformat(),
            "ended": utc_now().isoformat(),
            "images": len(rows),
            "statuses": Counter(row["status"] for row in rows),
            "hashed": len(found) - len(rows),
            "hashed_scaled": sum(one.refusal is None and one.row["stored_form"] == stored.RESIZED for one in found),
        },
        facts=store.facts(order.shard, generation, is_hashed=True) | {state.FROM_STORE: True},
    )
    return store.commit_generation(order.root, made)


def _refused(row: Mapping[str, Any], generation: int, when: datetime.datetime, refusal: codec.Refused) -> Fetched:
    said = f"the stored picture, when it was first decoded: {refusal.detail}"
    attempt = Attempt(row["image_id"], row["location"], generation, when, refusal.status, error=said)
    return outcome.refused(row, attempt)


def _table(found: Sequence[Found]) -> pa.Table:
    rows = [
        {
            "image_id": one.row["image_id"],
            "perceptual_hash": one.perceptual_hash,
            "hashed_form": one.row["stored_form"],
        }
        for one in found
        if one.refusal is None
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: bytes(row["image_id"])), schema=HASHES)
