"""Which images of a ROOT are the same picture: the same bytes, the same looks, one group of duplicates, or one address.

These go with a picture that is taken down; but not what shares the bytes of a host's placeholder: these are strangers. A
placeholder is told by how many images have its bytes, whether or not dedupe is asked to look for such. The list keeps which
bytes were found so: with each takedown fewer images have them, and when nine were left, the next request took the pictures of
eight strangers along.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec, flow
from pmd.books import pictures
from pmd.dedupe import rules as dedupe_rules
from pmd.fetch.ledger import state
from pmd.images import rules as images_rules
from pmd.schema import keys
from pmd.store import commits, parquet_files, root, storage
from pmd.store.register import Register
from pmd.suppression import lists, rows
from pmd.suppression.lists import Suppression

#: What tells the addresses of pairs.
_ADDRESSED: Final = ("image_id", "image_url", "mirrors", "also")
_OF_LEDGER: Final = ("image_id", "sha256", "stored_digest", "perceptual_hash")
#: Images from which on bytes that they share are taken for a placeholder's, as `repeated_bytes` of `recommended` has it. The
#: other profiles look for none, and a request for one picture would take all strangers' with it.
_MANY: Final = 10
#: A row of the ledger.
Row = Mapping[str, bytes | None]


def batches(root_url: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the pairs of all sources that are curated, configured or not."""
    for source in root.curated_sources(root_url):
        folder = root.curate_folder(root_url, source)
        for file in commits.require(folder, f"run: {flow.CURATE.command}").under("pairs"):
            yield from parquet_files.iterate(storage.join(folder, file.name), columns)


@dataclasses.dataclass(frozen=True)
class Nobodys:
    """Tells which pictures are nobody's.

    Attributes:
        root_url: ROOT.
        known: What stands of its fetch.
        lists: Those that hold, by which it was found of some before images were taken down.
    """

    root_url: str
    known: Register
    lists: Suppression

    def shared(self, rows_of: Iterable[Row]) -> dict[bytes, set[bytes]]:
        """Return of the SHA-256 of rows of the ledger those of pictures that are nobody's → the images that have them."""
        told, digests = _placeholders(self.root_url, self.known), _digests(rows_of, "sha256", ())
        told |= {digest for digest in digests if self.lists.holds(lists.SHARED, digest)}
        having = pictures.named(self.known, sha256s=digests)
        found = {digest: having.get(digest, set()) for digest in digests}
        return {digest: images for digest, images in found.items() if digest in told or len(images) >= _MANY}


def spread(nobodys: Nobodys, images: set[bytes], also: set[tuple[bytes, bytes]]) -> set[bytes]:
    """Return images with all that are the same picture."""
    root_url, known = nobodys.root_url, nobodys.known
    found = {*images_rules.reached(frozenset(images), also)}
    rows_of = ledger_rows(known, found)
    shared = nobodys.shared(rows_of)
    digests = {name: _digests(rows_of, name, shared) for name in ("sha256", "stored_digest", "perceptual_hash")}
    found |= pictures.having(
        known,
        sha256s=digests["sha256"],
        stored=digests["stored_digest"],
        hashes={look for look in digests["perceptual_hash"] if codec.is_telling(look)},
    )
    found |= _alike(root_url, found - {row["image_id"] for row in rows_of if row["sha256"] in shared})
    return {*images_rules.reached(frozenset(found), also)}


def at_their_addresses(
    nobodys: Nobodys, images: set[bytes], also: set[tuple[bytes, bytes]]
) -> tuple[set[bytes], set[str | bytes]]:
    """Return images with all that stand at one of their addresses, and how these addresses are spelled."""
    root_url = nobodys.root_url
    spelled: set[str | bytes] = set()
    while images:
        told: set[str | bytes] = set()
        ids: set[str | bytes] = set()
        for pairs in batches(root_url, _ADDRESSED):
            found = pairs.filter(keys.are_among(pairs["image_id"], images))
            if len(found):
                of_these = rows.known_by(found)
                told |= of_these["url"]
                ids |= of_these["image"]
        there = images | {key for key in ids if isinstance(key, bytes)}
        if told > spelled:
            spelled = told
            at_these = images_rules.Takedown(urls=frozenset(f"http://{address}" for address in map(str, told)))
            for pairs in batches(root_url, _ADDRESSED):
                there.update(pairs["image_id"].filter(pa.array(at_these.pictures(pairs))).to_pylist())
        if there == images:
            break
        images = spread(nobodys, there, also)
    return images, spelled


def without_shared(nobodys: Nobodys, images: set[bytes]) -> tuple[list[Row], dict[bytes, int]]:
    """Return the rows of images but for those whose picture is nobody's, and of these SHA-256 → how many others have it."""
    rows_of = ledger_rows(nobodys.known, images)
    shared = nobodys.shared(rows_of)
    left = {digest: len(others) for digest, having in shared.items() if (others := having - images)}
    return [row for row in rows_of if row["sha256"] not in left], left


def pairs_of(root_url: str, images: set[bytes]) -> set[bytes]:
    """Return the ids of all pairs of some images."""
    if not images:
        return set()
    found = (
        batch["pair_id"].filter(keys.are_among(batch["image_id"], images)).to_pylist()
        for batch in batches(root_url, ("pair_id", "image_id"))
    )
    return set().union(*found)


def left_alone(root_url: str, pair_ids: set[bytes], images: set[bytes]) -> set[bytes]:
    """Return the images all of whose pairs are taken down: nobody names them any more."""
    if not pair_ids:
        return set()
    there: Counter[bytes] = Counter()
    gone: Counter[bytes] = Counter()
    for batch in batches(root_url, ("pair_id", "image_id")):
        out = keys.are_among(batch["pair_id"], pair_ids)
        gone.update(batch["image_id"].filter(out).to_pylist())
    mine = {*gone} - images
    for batch in batches(root_url, ("image_id",)):
        there.update(batch["image_id"].filter(keys.are_among(batch["image_id"], mine)).to_pylist())
    return {image for image in mine if there[image] == gone[image]}


def ledgers(known: Register) -> Iterator[pa.Table]:
    """Yield the rows of every generation, what stands and what does not."""
    for generation in known.every():
        for table in state.ledgers(generation.folder, generation):
            yield table.select(list(_OF_LEDGER))


def ledger_rows(known: Register, images: set[bytes]) -> list[Row]:
    """Return what every generation has of some images; hashes that were computed later with those of their own."""
    if not images:
        return []
    found = [
        row for table in ledgers(known) for row in table.filter(keys.are_among(table["image_id"], images)).to_pylist()
    ]
    later: dict[bytes, bytes] = {}
    for generation in known.every():
        for table in state.read_hashes(generation.folder, generation):
            mine = table.filter(keys.are_among(table["image_id"], images))
            later |= dict(zip(mine["image_id"].to_pylist(), mine["perceptual_hash"].to_pylist(), strict=True))
    return [row | {"perceptual_hash": row["perceptual_hash"] or later.get(row["image_id"])} for row in found]


def _digests(rows_of: Iterable[Row], name: str, shared: Collection[bytes]) -> set[bytes]:
    """Return what rows of the ledger have in a column, but for those whose picture is nobody's."""
    return {value for row in rows_of if (value := row[name]) is not None and row["sha256"] not in shared}


def _alike(root_url: str, images: set[bytes]) -> set[bytes]:
    """Return all images of the groups that some are of."""
    heads = {*images}  # an image without a row may stand for others
    for group in _groups(root_url, dedupe_rules.MERGED):
        heads.update(group["stands_id"].filter(keys.are_among(group["image_id"], images)).to_pylist())
    found: set[bytes] = set()
    for group in _groups(root_url, dedupe_rules.MERGED):
        theirs = group.filter(keys.are_among(group["stands_id"], heads))
        found.update(*(theirs[name].to_pylist() for name in ("image_id", "stands_id")))
    return found


def _groups(root_url: str, relations: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the groups of some relations, a file at a time."""
    if commits.read(root.dedupe_folder(root_url)) is not None:
        for found in dedupe_rules.each_groups(root_url):
            yield found.filter(pc.is_in(found["relation"], value_set=pa.array(relations)))


def _placeholders(root_url: str, known: Register) -> set[bytes]:
    """Return the SHA-256 of pictures that many images share, and that are therefore nobody's."""
    ids: set[bytes] = set()
    for group in _groups(root_url, [dedupe_rules.REPEATED_BYTES]):
        ids.update(group["image_id"].to_pylist())
    found: set[bytes] = set()
    for table in ledgers(known) if ids else ():
        theirs = table["sha256"].filter(keys.are_among(table["image_id"], ids))
        found.update(pc.unique(theirs).drop_null().to_pylist())
    return found
