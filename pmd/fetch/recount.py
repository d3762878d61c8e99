"""Recounting what fetch commits: generations with their ledger, attempts and store, pairs without image, sums."""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Final, cast

import pyarrow as pa
import xxhash

from pmd import codec, flow
from pmd.books import recount
from pmd.books.committed import Committed
from pmd.books.recount import HEAD_BYTES, Keys, Table, Tally
from pmd.fetch.generations import mend
from pmd.fetch.ledger import state, stored, sums
from pmd.fetch.lists import reference_lists
from pmd.schema import keys
from pmd.schema.statuses import OK, STATUSES
from pmd.schema.tables import ATTEMPTS, HASHES, LEDGER_FILE, ledger_file
from pmd.terminal import bar

_BLOCK_BYTES: Final = 1 << 20
#: What the ledger says of every image that is ok.
_STORED: Final = ("store_file", "offset", "length", "stored_form", "stored_format", "sha256")
#: What a perceptual hash may be of.
_HASHED_FORMS: Final = (stored.ORIGINAL, stored.RESIZED)


class Recount(recount.Recount):
    """The recount of one generation, of the rejected pairs, or of the sums of what was there.

    What one generation's files say of each other is held until its end: the ledger's rows until the store's member is found,
    and which images were settled and tried.
    """

    tables: ClassVar[Mapping[str, pa.Schema]] = {
        "attempts": ATTEMPTS,
        "ledger": LEDGER_FILE,
        "hashes": HASHES,
        "availability": sums.SUMS,
    }

    def __init__(self, committed: Committed, tally: Tally) -> None:
        super().__init__(committed, tally)
        taken = committed.commit.facts.get(state.LOST, {})
        #: Images whose picture or row in the ledger damage has taken, as the commit says; and whether it has taken attempts.
        self._lost = frozenset(state.lost_images(committed.commit).to_pylist())
        self._is_hashed = committed.commit.facts.get(state.HASH) == state.PDQ
        self._without_attempts = bool(taken.get("attempts"))
        #: store file → offset → the ledger's row, until the store's member is found.
        self._stored: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        #: image_id → the location and status of its row in the ledger.
        self._settled: dict[bytes, tuple[str | None, str]] = {}
        #: (image_id, location, status) of its attempts.
        self._attempted: set[tuple[bytes, str, str]] = set()
        #: Whole rows of its attempts: two tries of one place differ in when they were, at least.
        self._tries: set[tuple[Any, ...]] = set()
        self._files = {listed for listed, _ in committed.files()}
        if self._lost or self._without_attempts:
            message = f"{bar.amount(len(self._lost), 'images')}, {bar.amount(taken.get('attempts', 0), 'attempts')}"
            tally.report.note("lost to damage, as the commit says; the images are asked for anew", self.folder, message)

    def order(self, name: str) -> int:
        return 0 if name.startswith(f"{flow.GENERATION.above}/") else 1  # the ledger tells what the tar must hold

    def table(self, name: str, columns: Sequence[str]) -> Table:
        if self.is_rejected(name):
            return self.rejected(columns)
        if self.committed.is_of(flow.AVAILABILITY):
            return Table(sums.SUMS, self._sums)
        if name.startswith(f"{self.folder}/"):
            return Table(ledger_file([*columns]), self._ledger)
        if name.startswith(f"{flow.HASHES.above}/"):
            return Table(HASHES, self._hashes)
        return Table(ATTEMPTS, self._attempts)

    def tar(self, name: str, tar: tarfile.TarFile) -> int:
        """Compare a store's members with the ledger's rows, which are taken away as they are found."""
        members = 0
        rows = self._stored[name]
        gone = {key.hex() for key in self._lost} | {mend.GAP}
        for member in tar:
            members += 1
            if member.name.partition(".")[0] in gone:
                continue
            place = f"{name}: {member.name}"
            row = rows.pop(member.offset_data, None)
            if row is None:
                expected = f"a row with offset {member.offset_data}"
                self.tell("a picture that the ledger does not know", place, expected, "none")
                continue
            content = tar.extractfile(member)
            self._picture(place, row, *_measured(cast(BinaryIO, content) if content is not None else None))
        return members

    def end(self) -> None:
        """Pictures that no store had; images settled without an attempt, and attempts at images that were not settled."""
        for store_file, rows in self._stored.items():
            for row in rows.values():
                place = f"{self.folder}: image {row['image_id'].hex()}"
                expected = f"{store_file}, byte {row['offset']}"
                self.tell("the ledger's picture is not in the store", place, expected, "nothing")
        tried = {(image_id, location) for image_id, location, _ in self._attempted}
        came = {(image_id, location) for image_id, location, status in self._attempted if status == OK}
        for image_id, (location, status) in self._settled.items():
            if self._without_attempts or location is None:
                continue
            if (image_id, location) not in (came if status == OK else tried):
                place = f"{self.folder}: image {image_id.hex()}"
                self.tell("an image settled without an attempt", place, f"an attempt at {location}", "none")
        for image_id, location in sorted(tried):
            if image_id not in self._settled and image_id not in self._lost:
                place = f"{self.folder}: image {image_id.hex()}, {location}"
                self.tell("an attempt at an image that was not settled", place, "a row of the ledger", "none")

    def _ledger(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        for row in state.completed(pa.Table.from_batches([batch])).to_pylist():
            place = f"{name}: image {row['image_id'].hex()}"
            self._check_generation(place, row)
            self._settled[row["image_id"]] = row["location"], row["status"]
            if row["status"] == OK:
                self._ok_row(place, row)
            elif row["store_file"] is not None:
                self.tell("an image that is not ok is stored", place, "nothing", row["store_file"])
            expected = reference_lists.MARKS if row["status"] == OK else ()
            if row["listed"] is not None and row["listed"] not in expected:
                self.tell("listed", place, ", ".join(expected) or "nothing of what is not ok", row["listed"])
        for status, count in Counter(batch["status"].to_pylist()).items():
            self.tally.rejected[self.folder, "", status] += count
        return recount.check_order(self.tally.report, name, batch, ("image_id",), before)

    def _check_generation(self, place: str, row: Mapping[str, Any]) -> None:
        shard, number = map(int, flow.GENERATION.fields(self.folder))
        if row["status"] not in STATUSES:
            self.tell("status", place, ", ".join(STATUSES), row["status"])
        if row["generation"] != number:
            self.tell("generation", place, number, row["generation"])
        wanted = keys.partition_of(row["image_id"], self.tally.shard_bits)
        if wanted != shard:
            self.tell("fetch shard of an image", place, wanted, shard)

    def _ok_row(self, place: str, row: dict[str, Any]) -> None:
        there = [field for field in _STORED if row[field] is not None]
        if row["image_id"] in self._lost:
            return
        if self._is_hashed and row["perceptual_hash"] is None:
            self.tell("an ok image of a generation whose commit says that all have their hash", place, "a hash", "none")
        if row["hashed_form"] is not None:
            self._hashed_form(place, row["hashed_form"])
        if len(there) != len(_STORED):
            self.tell("an ok image", place, ", ".join(_STORED), ", ".join(there) or "none of them")
        elif row["store_file"] not in self._files:
            self.tell("store file", place, "one that this generation lists", row["store_file"])
        elif row["offset"] in self._stored[row["store_file"]]:
            self.tell("two images at one place", place, "a place of its own", row["offset"])
        else:
            self._stored[row["store_file"]][row["offset"]] = row

    def _attempts(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        for row in batch.to_pylist():
            place = f"{name}: image {row['image_id'].hex()}"
            self._check_generation(place, row)
            whole = tuple(row.values())
            if whole in self._tries:
                self.tell("row stands twice", f"{place}, {row['location']}", "one row a try", "the same again")
            self._tries.add(whole)
            self._attempted.add((row["image_id"], row["location"], row["status"]))
        return before

    def _hashes(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        """Hashes are of images of this shard, each once, and say what they were computed of."""
        shard, _ = map(int, flow.GENERATION.fields(self.folder))
        for image_id in batch["image_id"].to_pylist():
            wanted = keys.partition_of(image_id, self.tally.shard_bits)
            if wanted != shard:
                self.tell("fetch shard of an image", f"{name}: image {image_id.hex()}", wanted, shard)
        for form in {*batch["hashed_form"].to_pylist()}:
            self._hashed_form(name, form)
        return recount.check_order(self.tally.report, name, batch, ("image_id",), before)

    def _sums(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        """Sums are of images, of which so many were there, or fewer; that they are right is compared part by part."""
        for row in batch.to_pylist():
            if not 0 <= row["alive"] <= row["images"]:
                place = f"{name}: {row['by']} {row['name']} of {row['source']}"
                self.tell("images that were there", place, f"0 to {row['images']}", row["alive"])
        return recount.check_order(self.tally.report, name, batch, sums.KEYS, before)

    def _hashed_form(self, place: str, form: str) -> None:
        if form not in _HASHED_FORMS:
            self.tell("hashed_form", place, " or ".join(_HASHED_FORMS), form)

    def _picture(
        self, place: str, row: Mapping[str, Any], sha256: str, digest: bytes, head: bytes, length: int
    ) -> None:
        """A stored picture is what the ledger says of it."""
        if length != row["length"]:
            self.tell("length of a stored picture", place, row["length"], length)
        elif row.get("stored_digest") not in {None, digest}:
            self.tell("digest of a stored picture", place, row["stored_digest"].hex(), digest.hex())
        sniffed = codec.sniff(head[:HEAD_BYTES])
        if sniffed != row["stored_format"]:
            self.tell("format of a stored picture", place, row["stored_format"], sniffed or head[:8].hex())
        if row["stored_form"] == stored.RESIZED:
            self._size(place, row, codec.written_size(head))
        if row["stored_form"] == "original" and sha256 != row["sha256"].hex():
            self.tell("sha256 of a stored original", place, row["sha256"].hex(), sha256)
        if row["stored_form"] == "original" and length != row["bytes"]:
            self.tell("bytes of a stored original", place, row["bytes"], length)

    def _size(self, place: str, row: Mapping[str, Any], found: tuple[int, int] | None) -> None:
        """A picture that was encoded anew stands upright, with the size that shards go by."""
        expected = row["stored_width_px"], row["stored_height_px"]
        if None not in expected and found not in {None, expected}:
            self.tell("size of a stored picture", place, expected, found)


def _measured(content: BinaryIO | None) -> tuple[str, bytes, bytes, int]:
    """Return a member's SHA-256, XXH3-128, first block and length."""
    if content is None:
        return "", b"", b"", 0
    digest, short = hashlib.sha256(), xxhash.xxh3_128()
    head, length = b"", 0
    while block := content.read(_BLOCK_BYTES):
        head = head or block
        digest.update(block)
        short.update(block)
        length += len(block)
    return digest.hexdigest(), short.digest(), head, length
