"""Pictures that the store has under another identity of the same photograph, taken over without asking the web again.

An image changes its key in two cases. A source is added that knows two identities to be one photograph's: what was `flickr:42` to
one source is then `coco:9` (`pmd.images.rules`). Or an earlier version of pmd had no rule for its host, and called it by its URL
(`url_identity.former`). The ledger has its row under the old key still. The picture is the same, and maybe no host has it any
more. So row, bytes and attempts are taken over as they are: what they say of where it was had still holds.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec
from pmd.errors import VerificationError
from pmd.fetch.ledger import partitions, state, stored
from pmd.fetch.lists import blocklists, reference_lists
from pmd.fetch.lists.blocklists import Blocklist
from pmd.fetch.outcome import Attempt, Fetched
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import ATTEMPTS, KEY, LEDGER, with_columns
from pmd.store import commits, exchange, parquet_files, storage
from pmd.store.register import Generation, Register
from pmd.text import url_identity

#: An image, and the key that it has by one of its places.
_NAMES: Final = pa.schema([pa.field("image_id", KEY), pa.field("own_id", KEY)])

#: What gives way where two identities are one (`pmd.images.rules`), and what its addresses have.
_FLICKR: Final = "flickr:"
_HOST: Final = "flickr.com"
_COLUMNS: Final = ("image_id", "identity", "locations", "fetch_shard")

_ROWS_FILE: Final = "ledger.parquet"
_ATTEMPTS_FILE: Final = "attempts.parquet"


class Renamed(NamedTuple):
    """What stands of images under another key, all of it under the key of today and in its order.

    Attributes:
        rows: `LEDGER`, ok.
        attempts: `ATTEMPTS` by which they were had.
    """

    rows: pa.Table
    attempts: pa.Table


def find(known: Register, shards: Collection[int]) -> Renamed:
    """Return what stands under another key of the images of some fetch shards that have no ok row under their own.

    Args:
        known: What stands of the fetch; of each image whose key has changed two ledgers are read.
        shards: The fetch shards.
    """
    cut = partitions.cut(known.root)
    names = _NAMES.empty_table()
    if known.shards:
        names = _in_store(known, cut.shard_bits, _names(known.root, cut, shards))
    rows, attempts = [LEDGER.empty_table()], [ATTEMPTS.empty_table()]
    for generations, own_ids in _by_shard(known, cut.shard_bits, names["own_id"]):
        mine = state.standing(generations)
        mine = mine.filter(pc.and_(pc.equal(mine["status"], OK), pc.is_in(mine["image_id"], own_ids)))
        rows.append(_under_names_of_today(mine, names))
        for generation in generations:
            of_generation = mine.filter(pc.equal(mine["generation"], generation.number))
            for file in generation.files if of_generation.num_rows else ():
                if "/attempts/" in file.name:
                    path = commits.path_of(generation.folder, file.name)
                    for batch in parquet_files.iterate(path, ATTEMPTS.names):
                        tried = pa.Table.from_batches([batch]).filter(pc.equal(batch["status"], OK))
                        tried = tried.filter(pc.is_in(tried["image_id"], of_generation["image_id"]))
                        attempts.append(_under_names_of_today(tried, names))
    by_form = [("image_id", "ascending"), ("stored_form", "ascending")]  # "original" before "resized"
    return Renamed(pa.concat_tables(rows).sort_by(by_form), pa.concat_tables(attempts).sort_by("image_id"))


def in_store(known: Register, shard_bits: int, names: pa.Table) -> pa.Array:
    """Return the images that `find` would find, each once; maybe not all of them are taken over in the end.

    Args:
        known: What stands of the fetch.
        shard_bits: By which its shards are cut.
        names: What the images are and were called (`names_of`).
    """
    found = _in_store(known, shard_bits, names) if known.shards and names.num_rows else names.slice(0, 0)
    return pc.unique(found["image_id"])


def _in_store(known: Register, shard_bits: int, names: pa.Table) -> pa.Table:
    """Return those of `_NAMES` whose image has an ok row under its own key, and none under that of today."""
    there = _ok(known, shard_bits, pa.chunked_array([*names["image_id"].chunks, *names["own_id"].chunks], KEY))
    lacks = pc.invert(pc.is_in(names["image_id"], value_set=there))
    return names.filter(pc.and_(lacks, pc.is_in(names["own_id"], value_set=there)))


def _names(root_url: str, cut: partitions.Cut, shards: Collection[int]) -> pa.Table:
    """Return `_NAMES` of the images of some fetch shards that have or had another identity by one of their places, each once."""
    committed = partitions.image_files(root_url)
    found = [_NAMES.empty_table()]
    for part in sorted({cut.part_of(shard) for shard in shards}):
        images = partitions.read_images(root_url, part, _COLUMNS, committed)
        images = images.filter(pc.is_in(images["fetch_shard"], value_set=pa.array(sorted(shards), pa.int32())))
        found.append(names_of(images))
    return pa.concat_tables(found)


def names_of(images: pa.Table) -> pa.Table:
    """Return image_id and own_id of images that have or had another identity by one of their places, each pair once.

    Args:
        images: `IMAGES`, of which image_id, identity and locations are read.
    """
    others = pc.invert(pc.starts_with(images["identity"], _FLICKR))
    names = pa.concat_tables([_named(images.filter(others), _of_flickr), _named(images, url_identity.former)])
    return names.group_by(_NAMES.names, use_threads=False).aggregate([])


def _named(images: pa.Table, identity_of: Callable[[pa.Array], pa.Array]) -> pa.Table:
    """Return `_NAMES` of images by what is told of their addresses, of which most tell nothing (null)."""
    images = images.combine_chunks()
    address = pc.struct_field(pc.list_flatten(images["locations"]), "url")
    identities = identity_of(pa.concat_arrays([pa.array([], pa.string()), *address.chunks]))
    whose = images["image_id"].take(pc.list_parent_indices(images["locations"]).filter(identities.is_valid()))
    return pa.table([whose, keys.image_ids(identities.drop_null())], schema=_NAMES)


def _of_flickr(addresses: pa.Array) -> pa.Array:
    """Return the identities of addresses that are of Flickr's photographs, else null."""
    there = pc.fill_null(pc.match_substring(addresses, _HOST, ignore_case=True), fill_value=False)
    identities = url_identity.of(addresses.filter(there))
    theirs = pc.if_else(pc.starts_with(identities, _FLICKR), identities, pa.scalar(None, pa.string()))
    return pc.replace_with_mask(pa.nulls(len(addresses), pa.string()), there, theirs)


def _ok(known: Register, shard_bits: int, image_ids: pa.ChunkedArray) -> pa.Array:
    """Return those of some keys under which the ledger has a picture."""
    found = [pa.array([], KEY)]
    for generations, of_shard in _by_shard(known, shard_bits, image_ids):
        ledger = state.standing(generations, columns=("image_id", "status"))
        mine = pc.and_(pc.equal(ledger["status"], OK), pc.is_in(ledger["image_id"], of_shard))
        found.append(ledger["image_id"].filter(mine).combine_chunks())
    return pa.concat_arrays(found)


def _by_shard(
    known: Register, shard_bits: int, image_ids: pa.ChunkedArray
) -> Iterator[tuple[tuple[Generation, ...], pa.Array]]:
    """Yield the generations of each fetch shard that has any, and those keys that are its own: to look among all takes long."""
    of_shard: dict[int, list[bytes]] = defaultdict(list)
    for key in image_ids.to_pylist():
        of_shard[keys.partition_of(key, shard_bits)].append(key)
    for shard in sorted(of_shard.keys() & {*known.shards}):
        yield known.of(shard), pa.array(of_shard[shard], KEY)


def _under_names_of_today(table: pa.Table, names: pa.Table) -> pa.Table:
    at = keys.places(table["image_id"].combine_chunks(), names["own_id"].combine_chunks())
    return with_columns(table, {"image_id": names["image_id"].take(pa.array(at))})


def write(folder: str, found: Renamed) -> None:
    """Keep what was found for the lanes."""
    storage.make_folder(folder)
    exchange.write_sorted(storage.join(folder, _ROWS_FILE), found.rows)
    exchange.write_sorted(storage.join(folder, _ATTEMPTS_FILE), found.attempts)


def read(folder: str, images: pa.Table) -> Renamed:
    """Return what was found of a shard's images."""
    return Renamed(
        exchange.read_sorted(storage.join(folder, _ROWS_FILE), LEDGER, images["image_id"]),
        exchange.read_sorted(storage.join(folder, _ATTEMPTS_FILE), ATTEMPTS, images["image_id"]),
    )


def fetched(
    root_url: str,
    images: pa.Table,
    found: Renamed,
    *,
    blocklist: Blocklist,
    generation: int,
    listed: reference_lists.Listed = reference_lists.NO_LISTS,
    max_pixels: int | None = None,
) -> Iterator[Fetched]:
    """Yield the images whose picture the store has, or that turn out to be blocked; the others are left for the web.

    Args:
        root_url: ROOT.
        images: `IMAGES` that are wanted.
        found: What the store has of them.
        blocklist: What must not be kept.
        generation: Written into the attempts.
        listed: What lists say of the images; a picture that is another is not taken, and the web is asked.
        max_pixels: Of a picture that is decoded, where something asks for perceptual hashes; None: nothing does.
    """
    wanted = {*images["image_id"].to_pylist()}
    tries = _by_image(found.attempts.to_pylist())
    for image_id, rows in _by_image(found.rows.to_pylist()).items():
        for row in rows if image_id in wanted else ():
            known = listed.get(image_id, ())
            taken = _taken(root_url, row, tries.get(image_id, []), blocklist, generation, known, max_pixels)
            if taken is not None:
                yield taken
                break


def _by_image(rows: Iterable[dict[str, Any]]) -> dict[bytes, list[dict[str, Any]]]:
    return {key: [*of_image] for key, of_image in itertools.groupby(rows, key=lambda row: row["image_id"])}


#: What of a row of the ledger an outcome has too, and is taken over as it is.
_KEPT: Final = ({field.name for field in dataclasses.fields(Fetched)} & {*LEDGER.names}) - {"tried", "listed"}


def _taken(
    root_url: str,
    row: dict[str, Any],
    tries: Iterable[dict[str, Any]],
    blocklist: Blocklist,
    generation: int,
    known: Collection[reference_lists.Known],
    max_pixels: int | None,
) -> Fetched | None:
    """Return an image as the store has it; None if that will not do."""
    if max_pixels is not None and row["perceptual_hash"] is None:
        try:
            row = row | _hashed(stored.read(root_url, row), row, max_pixels)
        except (VerificationError, codec.Refused):
            return None
    tried = tuple(row["tried"] or ())
    mine = [Attempt(**one | {"generation": generation}) for one in tries if one["location"] == row["location"]]
    name = blocklist.match(row["sha256"], row["perceptual_hash"])
    if name is not None:
        refused = [
            dataclasses.replace(one, status=blocklists.STATUS, error=blocklists.evidence(name)) for one in mine[:1]
        ]
        return Fetched(row["image_id"], blocklists.STATUS, row["location"], tried, tuple(refused)) if mine else None
    comparison = reference_lists.compare([*known], row["sha256"], row["perceptual_hash"])
    if not mine or comparison.mark == reference_lists.STATUS:
        return None
    try:
        content = stored.read(root_url, row)
    except VerificationError:
        return None
    facts = {name: row[name] for name in _KEPT}
    return Fetched(**facts, tried=tried, listed=comparison.mark, attempts=tuple(mine), stored=content)


def _hashed(content: bytes, row: dict[str, Any], max_pixels: int) -> dict[str, Any]:
    """Return the perceptual hash of a stored picture: its commit will say that each has one, so nobody would make it later."""
    pixels = (row["width_px"] or 0) * (row["height_px"] or 0)
    made = codec.hash_of(content, codec.Limits(max(max_pixels, pixels)))
    return {"perceptual_hash": made, "hashed_form": row["stored_form"]}
