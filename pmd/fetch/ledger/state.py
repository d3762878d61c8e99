"""What fetch has settled, read through commits alone, and which images are still wanted.

A fetch shard is a row of *generations*, each committed once and never changed (`fetch/ledger/shard=…/generation=…/`).
Its `_stage.json` lists its ledger, its tar and its attempts; the last two lie in other folders and are named relative
to the commit's (`../../../store/…`). What stands for an image is the row of its latest generation, but an `ok` is never
replaced, save by `blocked_content`, when a blocklist has grown; by what a stored picture turned out to be when it was first
decoded (`FROM_STORE`); and by `pmd repair`: it writes into the commit of a generation
which of its images were lost to damage (`LOST`). What was known of these up to then stands no more, so they are asked for anew.

A perceptual hash is known of a picture where something asked for it. It was computed with the fetch, or later from the store
(`generations.hashing`): then it stands in a file of a generation of its own, and is laid over the rows of those before. Which
hash it is, is a fact of the commit (`HASH`). Those of earlier versions, whose commits say nothing of it, are another: they
are not known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.books import pictures
from pmd.config.options import FetchOptions
from pmd.fetch.http import addresses
from pmd.fetch.lists import blocklists
from pmd.fetch.outcome import GONE
from pmd.schema.statuses import BLOCKED_ADDRESS, OK
from pmd.schema.tables import HASHES, IMAGES, KEY, LEDGER, LEDGER_LATER, SETTLED_IN
from pmd.store import commits, parquet_files, root, storage
from pmd.store.commits import Commit, File
from pmd.store.register import Generation

_UP: Final = "../"

#: The kind of a location that `fetch.web_archive` adds; the others stand in `images`.
WEB_ARCHIVE: Final = "web_archive"


#: The fact of a commit that tells what damage took from a generation: ``images`` (keys, hex, sorted) whose picture or whose
#: row of the ledger is gone, and ``attempts``, the rows of evidence that are.
LOST: Final = "lost"


class Committed(Protocol):
    """A generation as its commit tells it, or the register."""

    @property
    def files(self) -> tuple[File, ...]:
        """What it lists."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What it says beside."""


def lost_images(commit: Committed) -> pa.Array:
    """Return the images that a generation has lost to damage, sorted."""
    return pa.array([bytes.fromhex(key) for key in commit.facts.get(LOST, {}).get("images", ())], KEY)


#: The fact of a commit that says which perceptual hash it holds: in its ledger, of each image that is ok, and in its file of
#: hashes.
HASH: Final = pictures.HASH
#: What is said there: PDQ, by the reference implementation.
PDQ: Final = pictures.PDQ
#: The fact of a commit whose generation asked no host: it tells of stored pictures what decoding them has shown. Its rows of
#: the ledger replace an `ok`, and its hashes are laid over the rows before.
FROM_STORE: Final = "from_store"

#: What a commit's `run` says of the statuses that its run tried anew; without it there were none.
RETRIED: Final = "retried"

#: What a commit's `run` says of who decoded, scaled and encoded its pictures (`codec.libraries`); earlier versions say nothing.
LIBRARIES: Final = "libraries"

_SHARD_FOLDERS: Final = {
    "ledger": flow.LEDGER,
    "store": flow.STORE.path,
    "attempts": flow.ATTEMPTS.path,
    "hashes": flow.HASHES.path,
}


def shard_folder(root_folder: str, kind: str, shard: int) -> str:
    """Return the folder of a fetch shard's "ledger", "store", "attempts" or "hashes"."""
    return storage.join(root_folder, _SHARD_FOLDERS[kind].format(shard=shard))


def shards(root_folder: str) -> list[int]:
    """Return the fetch shards that have a folder in the ledger, sorted."""
    return _numbers(storage.join(root_folder, flow.GENERATION.above), "shard=")


def numbers(root_folder: str, shard: int) -> list[int]:
    """Return the generations of a shard that have a folder, sorted."""
    return _numbers(shard_folder(root_folder, "ledger", shard), "generation=")


def generations(root_folder: str, shard: int, before: int | None = None) -> Iterator[tuple[int, str, Commit]]:
    """Yield the committed generations of a shard in order: number, folder, commit; by default all, else those before one.

    Each is read: for those who want all that a commit says. Of many shards, the register tells what stands.
    """
    for generation in numbers(root_folder, shard):
        if before is not None and generation >= before:
            return
        folder = root.ledger_folder(root_folder, shard, generation)
        commit = commits.read(folder)
        if commit is not None:
            yield generation, folder, commit


def own(root_folder: str, shard: int, before: int | None = None) -> tuple[Generation, ...]:
    """Return the generations of one shard, read from its own commits: for a worker that is about to add one.

    Args:
        root_folder: ROOT.
        shard: The shard.
        before: Only those before this one, which need not be sound; by default all.
    """
    return tuple(Generation.of(folder, commit) for _, folder, commit in generations(root_folder, shard, before))


def read_ledger(root_folder: str, shard: int, before: int | None = None) -> pa.Table:
    """Return what stands for each image of a shard, by its own commits; see `standing`."""
    return standing(own(root_folder, shard, before))


def standing(known: Iterable[Generation], before: int | None = None, columns: Sequence[str] = LEDGER.names) -> pa.Table:
    """Return what stands for each image of a shard: a `LEDGER` table sorted by image_id.

    Args:
        known: The shard's generations, in order.
        before: Only of generations before this one; by default of all.
        columns: Those of `LEDGER` that are read, by default all; `image_id` and `status` must be among them.

    Raises:
        VerificationError: A ledger's file is damaged.
    """
    tables: list[pa.Table] = []
    for generation in known:
        if before is not None and generation.number >= before:
            break
        settled = [*ledgers(generation.folder, generation, columns)]
        if generation.facts.get(FROM_STORE):
            for rows in settled:
                tables = [_without(table, rows["image_id"].combine_chunks()) for table in tables]
            for hashes in read_hashes(generation.folder, generation):
                tables = [_with_hashes(table, hashes) for table in tables]
        tables += settled
        lost = lost_images(generation)
        if len(lost):
            tables = [_without(table, lost) for table in tables]
    return effective(tables) if tables else pa.schema([LEDGER.field(name) for name in columns]).empty_table()


def ledgers(folder: str, commit: Committed, columns: Sequence[str] = LEDGER.names) -> Iterator[pa.Table]:
    """Yield the ledger of a generation, what it has lost with it; perceptual hashes that are not today's are null.

    Args:
        folder: That of the commit.
        commit: The generation.
        columns: Those that are wanted.
    """
    # Files of earlier versions name one column otherwise: these are read whole.
    some = None if "generation" in columns else [name for name in columns if name not in LEDGER_LATER]
    some = None if some is None or len(some) < len(columns) else some
    for file in commit.files:
        if not file.name.startswith(_UP):
            read = parquet_files.read_table(folder, file, some)
            table = read if some is not None else completed(read).select(list(columns))
            yield table if commit.facts.get(HASH) == PDQ else _without_hashes(table)


def read_hashes(folder: str, commit: Committed) -> Iterator[pa.Table]:
    """Yield the `HASHES` of a generation that asked no host; none where they are not today's."""
    for file in commit.files if commit.facts.get(HASH) == PDQ else ():
        if is_hashes(file.name):
            above, _, name = commits.path_of(folder, file.name).rpartition("/")
            yield parquet_files.read_table(above, dataclasses.replace(file, name=name))


def is_hashes(name: str) -> bool:
    """Return whether a generation's file, by its name relative to the commit's folder, is one of perceptual hashes."""
    return name.startswith(f"{_UP}{_UP}{_UP}hashes/")


#: What a ledger has of a perceptual hash.
_OF_HASH: Final = tuple(name for name in HASHES.names if name != "image_id")


def _with_hashes(ledger: pa.Table, hashes: pa.Table) -> pa.Table:
    """Return a ledger with what is known of its images since."""
    at = pc.index_in(ledger["image_id"], value_set=hashes["image_id"].combine_chunks())
    there = [name for name in _OF_HASH if name in ledger.schema.names]
    return _set(ledger, {name: pc.coalesce(hashes[name].take(at), ledger[name]) for name in there})


def _without_hashes(ledger: pa.Table) -> pa.Table:
    there = [name for name in _OF_HASH if name in ledger.schema.names]
    return _set(ledger, {name: pa.nulls(ledger.num_rows, LEDGER.field(name).type) for name in there})


def _set(ledger: pa.Table, columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    for name, values in columns.items():
        ledger = ledger.set_column(ledger.schema.get_field_index(name), LEDGER.field(name), values)
    return ledger


def _without(ledger: pa.Table, image_ids: pa.Array) -> pa.Table:
    return ledger.filter(pc.invert(pc.is_in(ledger["image_id"], value_set=image_ids)))


def to_restore(known: Iterable[Generation], ledger: pa.Table) -> dict[bytes, bytes | None]:
    """Return the images that were lost to damage and for which nothing stands: image_id → the SHA-256 that it had, if known.

    Args:
        known: The shard's generations, in order.
        ledger: What stands for its images.
    """
    sha256_of: dict[bytes, bytes | None] = {}
    for generation in known:
        lost = lost_images(generation)
        if not len(lost):
            continue
        sha256_of |= dict.fromkeys(lost.to_pylist())
        for table in ledgers(generation.folder, generation):
            mine = table.filter(pc.is_in(table["image_id"], value_set=lost))
            sha256_of |= dict(zip(mine["image_id"].to_pylist(), mine["sha256"].to_pylist(), strict=True))
    for image_id in ledger["image_id"].to_pylist() if sha256_of else ():
        sha256_of.pop(image_id, None)
    return sha256_of


def completed(ledger: pa.Table) -> pa.Table:
    """Return a file's ledger as a `LEDGER`: under its names, and with the columns that its version of pmd did not write, null."""
    ledger = ledger.rename_columns(["generation" if name == SETTLED_IN else name for name in ledger.schema.names])
    for name in LEDGER_LATER:
        if name not in ledger.schema.names:
            ledger = ledger.append_column(LEDGER.field(name), pa.nulls(ledger.num_rows, LEDGER.field(name).type))
    return ledger


def effective(ledgers: Collection[pa.Table]) -> pa.Table:
    """Return one row an image from the ledgers of its generations, in order: the first ok, else the last row.

    What was blocked is so until it is retried, even where it had been fetched before it was listed.
    """
    if not ledgers:
        return LEDGER.empty_table()
    table = pa.concat_tables(ledgers)
    if len(ledgers) == 1:
        return table
    standing: dict[bytes, int] = {}
    settled: set[bytes] = set()
    for row, (image_id, status) in enumerate(
        zip(table["image_id"].to_pylist(), table["status"].to_pylist(), strict=True)
    ):
        if status == blocklists.STATUS:
            settled.discard(image_id)
        if image_id not in settled:
            standing[image_id] = row
        if status == OK:
            settled.add(image_id)
    return table.take(pa.array([row for _, row in sorted(standing.items())], pa.int64()))


def next_generation(known: Sequence[Generation]) -> int:
    """Return the number of the generation that a shard's next run writes first, by those that it has."""
    return known[-1].number + 1 if known else 0


def to_fetch(
    known: Sequence[Generation],
    images: pa.Table,
    ledger: pa.Table,
    options: FetchOptions,
    retry: Collection[str] = (),
    ended: int = 0,
) -> pa.Table:
    """Return the images of a fetch shard that the next run asks for, each with the locations that it tries (`wanted`).

    Args:
        known: The shard's generations, in order.
        images: Its images.
        ledger: What stands for them.
        options: Which limits and places count.
        retry: Statuses whose images are tried anew.
        ended: The epoch under which a fetch has last come to its end (`last_end`).
    """
    again = allowed_since(known, ledger, options.allow_addresses)
    done = retried(known, ended) if retry else {}
    return wanted(images, ledger, retry, again, options.web_archive, done)


def last_end(root_folder: str) -> int:
    """Return the epoch under which a fetch has last come to its end; 0: none has."""
    rejected = commits.read(root.fetch_rejected_folder(root_folder))
    return 0 if rejected is None else int(rejected.run.get(commits.EPOCH, 0))


def retried(known: Iterable[Generation], ended: int) -> dict[int, frozenset[str]]:
    """Return generation → the statuses that were tried anew with it, since a fetch has last come to its end.

    What such a generation has settled is not tried anew once more, so that a retry that is cut short, again and again, ends.
    """
    return {
        generation.number: frozenset(generation.run[RETRIED])
        for generation in known
        if RETRIED in generation.run and generation.epoch > ended
    }


def allowed_since(known: Iterable[Generation], ledger: pa.Table, networks: Iterable[str]) -> set[tuple[bytes, str]]:
    """Return (image_id, location) of what was refused for its address and may be asked now: `allow_addresses` has grown.

    Args:
        known: The shard's generations, in order.
        ledger: What stands for its images.
        networks: `FetchOptions.allow_addresses`.
    """
    policy = addresses.AddressPolicy.of(networks)
    blocked = ledger.filter(pc.equal(ledger["status"], BLOCKED_ADDRESS))["image_id"].combine_chunks()
    if not policy.allowed or not len(blocked):
        return set()
    last: dict[tuple[bytes, str], str | None] = {}  # place → what its latest attempt says was refused
    for generation in known:
        for file in generation.files:
            if "/attempts/" in file.name:
                path = commits.path_of(generation.folder, file.name)
                for batch in parquet_files.iterate(path, ("image_id", "location", "status", "error")):
                    for row in batch.filter(pc.is_in(batch["image_id"], value_set=blocked)).to_pylist():
                        refused = row["status"] == BLOCKED_ADDRESS
                        last[row["image_id"], row["location"]] = row["error"] if refused else None
    return {
        place
        for place, error in last.items()
        if error is not None and any(policy.refusal(address) is None for address in addresses.refused(error))
    }


def wanted(
    images: pa.Table,
    ledger: pa.Table,
    retry: Collection[str] = (),
    again: Collection[tuple[bytes, str]] = (),
    web_archive: str | None = None,
    done: Mapping[int, Collection[str]] = MappingProxyType({}),
) -> pa.Table:
    """Return the images that are to be fetched, each with the locations that are to be tried.

    An image is wanted if it has no ledger row. If it has one that is not ok, it is wanted in three cases:

    - A location was not tried yet. Then only such locations are tried.
    - Its status is in `retry`, and the same retry has not settled it (`done`). Then all locations are tried.
    - A location is in `again`. Then all are tried, too.

    Blocked content is wanted only in a retry: other locations show the same picture.

    Args:
        images: `IMAGES` rows.
        ledger: What stands for them (`read_ledger`).
        retry: Statuses.
        again: Images, each with one of its locations (`allowed_since`).
        done: Generation → statuses of which what it has settled is not tried anew (`retried`).
        web_archive: `FetchOptions.web_archive`: a last location of each image, but of those that are kept from us.
    """
    if not ledger.num_rows and web_archive is None:
        return images
    is_ok = pc.equal(ledger["status"], OK)
    settled = ledger.filter(is_ok)["image_id"].combine_chunks()
    images = images.filter(pc.invert(pc.is_in(images["image_id"], value_set=settled)))
    ledger = ledger.filter(pc.invert(is_ok))
    known = {
        image_id: (status, frozenset(tried or ()), status in retry and status not in done.get(generation, ()))
        for image_id, status, tried, generation in zip(
            *(ledger[name].to_pylist() for name in ("image_id", "status", "tried", "generation")), strict=True
        )
    }
    rows: list[int] = []
    locations: list[list[dict[str, str]]] = []
    ids, places = images["image_id"].to_pylist(), images["locations"].to_pylist()
    for row, (image_id, in_images) in enumerate(zip(ids, places, strict=True)):
        status, tried, is_retried = known.get(image_id, (None, frozenset(), False))
        if status == blocklists.STATUS and not is_retried:
            continue
        copies = []
        if web_archive is not None and (status is None or status in GONE or is_retried):
            copies = _copies(in_images, web_archive)
        all_locations = [*in_images, *copies]
        anew = status is None or is_retried or any((image_id, place["url"]) in again for place in all_locations)
        to_try = [place for place in all_locations if anew or place["url"] not in tried]
        if anew or to_try:
            rows.append(row)
            locations.append(to_try)
    at = images.schema.get_field_index("locations")
    field = IMAGES.field("locations")
    return images.take(pa.array(rows, pa.int64())).set_column(at, field, pa.array(locations, type=field.type))


def _copies(locations: Iterable[Mapping[str, str]], template: str) -> list[dict[str, str]]:
    """Return where a web archive has what stood at an image's original places."""
    return [
        {"kind": WEB_ARCHIVE, "url": template.replace("{url}", place["url"])}
        for place in locations
        if place["kind"] == "original"
    ]


def _numbers(folder: str, prefix: str) -> list[int]:
    names = storage.list_names(folder)
    return sorted(int(name.removeprefix(prefix)) for name in names if name.startswith(prefix))
