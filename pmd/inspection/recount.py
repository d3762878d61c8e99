"""Recount: read one committed file after the other, whole, for its bytes and its rows; for `pmd verify`.

Files are read front to back, a row group or a member at a time. What must be compared across files is only noted here:
how often each commit kept and rejected (`Recount.kept`, `Recount.rejected`), and where each pair
stands (`pmd.inspection.reconciliation`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import posixpath
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pmd import codec
from pmd.dedupe import rules as dedupe_rules
from pmd.fetch import mend, reference_lists, state
from pmd.inspection import reconciliation
from pmd.inspection.reconciliation import Census
from pmd.inspection.status import GENERATION, Unit, stage_of
from pmd.publish import rules as publish_rules
from pmd.schema import keys
from pmd.schema.reasons import reasons_of
from pmd.schema.statuses import OK, STATUSES
from pmd.schema.tables import ATTEMPTS, GROUPS, IMAGES, LEDGER, PAIRS, REJECTED, VIEWS, in_source_folder, ledger_file
from pmd.shard import writing
from pmd.store import commits, storage

#: Told of (bytes read so far, bytes in all).
Progress = Callable[[int, int], None]

#: Problems of one kind that are told one by one; of more only their number.
EXAMPLES: Final = 10

#: What reading a damaged file raises: Arrow, orjson, tarfile, and Python itself on what they give.
DAMAGE: Final = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, EOFError, tarfile.TarError)

_BLOCK_BYTES: Final = 1 << 20
#: Bytes that tell an image's format.
_HEAD_BYTES: Final = 64
_ROWS: Final = 65_536

_Keys = tuple[bytes, ...] | None


class Report:
    """Collects problems; of many of one kind only the first few."""

    def __init__(self) -> None:
        self._told: list[dict[str, str]] = []
        self._counts: Counter[str] = Counter()
        self.notes: list[dict[str, str]] = []

    def note(self, what: str, place: str, found: str = "") -> None:
        self.notes.append({"place": place, "what": what, "found": found})

    def tell(self, what: str, place: str, expected: object = "", found: object = "") -> None:
        self._counts[what] += 1
        if self._counts[what] <= EXAMPLES:
            self._told.append({"place": place, "what": what, "expected": str(expected), "found": str(found)})

    def problems(self) -> list[dict[str, str]]:
        more = [
            {"place": f"{count - EXAMPLES:,} more places", "what": what, "expected": "", "found": ""}
            for what, count in self._counts.items()
            if count > EXAMPLES
        ]
        return [*self._told, *more]


@dataclasses.dataclass(frozen=True)
class _Generation:
    """What one generation's files say of each other; empty for other commits.

    Attributes:
        stored: store file → offset → the ledger's row, until the store's member is found.
        settled: image_id → the location and status of its row in the ledger.
        attempted: (image_id, location, status) of its attempts.
        tries: Whole rows of its attempts: two tries of one place differ in when they were, at least.
        lost: Images whose picture or row in the ledger damage has taken, as the commit says.
        without_attempts: Whether damage has taken attempts, as the commit says.
    """

    stored: dict[str, dict[int, dict[str, Any]]] = dataclasses.field(default_factory=lambda: defaultdict(dict))
    settled: dict[bytes, tuple[str | None, str]] = dataclasses.field(default_factory=dict)
    attempted: set[tuple[bytes, str, str]] = dataclasses.field(default_factory=set)
    tries: set[tuple[Any, ...]] = dataclasses.field(default_factory=set)
    lost: frozenset[bytes] = frozenset()
    without_attempts: bool = False

    @classmethod
    def of(cls, unit: Unit) -> _Generation:
        """Return one of which nothing is read yet."""
        taken = unit.commit.facts.get(state.LOST, {})
        lost = frozenset(state.lost_images(unit.commit).to_pylist())
        return cls(lost=lost, without_attempts=bool(taken.get("attempts")))


class _Hashed(io.RawIOBase):
    """Reads a file front to back, hashing what passes; `finish` reads what is left."""

    def __init__(self, file: BinaryIO, passed: Callable[[int], None]) -> None:
        self._file = file
        self._passed = passed
        self._digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        self._digest.update(block)
        self.size += len(block)
        self._passed(len(block))
        return len(block)

    def finish(self) -> str:
        while self.read(_BLOCK_BYTES):
            pass
        return self._digest.hexdigest()


class Recount:
    """Reads every file once for its bytes and once for its rows; counts books; fills the census."""

    def __init__(
        self,
        root_url: str,
        shard_bits: int,
        units: Mapping[str, Unit],
        merged: Mapping[bytes, bytes],
        pairs: Census,
        report: Report,
        progress: Progress | None,
    ) -> None:
        self._root = root_url
        self._shard_bits = shard_bits
        self._units = units
        self._merged = merged
        self._pairs = pairs
        self._report = report
        self._progress = progress
        self._total = sum(file.bytes for unit in units.values() for file in unit.commit.files)
        self.files = 0
        self.bytes = 0
        self.rows = 0
        self.formats = formats_of(units)
        #: (folder of the commit, source) → rows kept; and (…, reason) → rows rejected.
        self.kept: Counter[tuple[str, str]] = Counter()
        self.rejected: Counter[tuple[str, str, str]] = Counter()

    def unit(self, unit: Unit) -> None:
        """Recount the files of one commit."""
        generation = _Generation.of(unit)
        if generation.lost or generation.without_attempts:
            told = f"{len(generation.lost):,} images, {unit.commit.facts[state.LOST].get('attempts', 0):,} attempts"
            self._report.note("lost to damage, as the commit says; the images are asked for anew", unit.folder, told)
        # A generation's ledger stands last by name, but tells what its tar must hold.
        for name, file in sorted(unit.files(), key=lambda item: not item[0].startswith("fetch/ledger/")):
            path = storage.join(self._root, name)
            if not storage.exists(path):
                self._report.tell("file is gone", name, f"{file.bytes} bytes, {file.rows} rows", "nothing")
                continue
            self.files += 1
            try:
                rows = self._file(unit, name, file, path, generation)
            except DAMAGE as error:
                self._report.tell("file cannot be read", name, f"{file.rows} rows", first_line(error))
                continue
            if rows is not None:
                self.rows += rows
                if rows != file.rows:
                    self._report.tell("rows", name, file.rows, rows)
        if unit.folder.startswith("shards/") and unit.folder != "shards/rejected":
            self._equal_shards(unit)
        self._compare_generation(unit.folder, generation)

    def _compare_generation(self, folder: str, generation: _Generation) -> None:
        """Pictures that no store had; images settled without an attempt, and attempts at images that were not settled."""
        for store_file, rows in generation.stored.items():
            for row in rows.values():
                place = f"{folder}: image {row['image_id'].hex()}"
                expected = f"{store_file}, byte {row['offset']}"
                self._report.tell("the ledger's picture is not in the store", place, expected, "nothing")
        tried = {(image_id, location) for image_id, location, _ in generation.attempted}
        came = {(image_id, location) for image_id, location, status in generation.attempted if status == OK}
        for image_id, (location, status) in generation.settled.items():
            if generation.without_attempts or location is None:
                continue
            if (image_id, location) not in (came if status == OK else tried):
                place = f"{folder}: image {image_id.hex()}"
                self._report.tell("an image settled without an attempt", place, f"an attempt at {location}", "none")
        for image_id, location in sorted(tried):
            if image_id not in generation.settled and image_id not in generation.lost:
                place = f"{folder}: image {image_id.hex()}, {location}"
                self._report.tell("an attempt at an image that was not settled", place, "a row of the ledger", "none")

    def _file(
        self,
        unit: Unit,
        name: str,
        file: commits.File,
        path: str,
        generation: _Generation,
    ) -> int | None:
        if name.endswith(".tar"):
            return self._tar(unit, name, file, path, generation)
        with storage.open_raw(path) as raw:
            hashed = _Hashed(raw, self._passed)
            self._compare(name, file, hashed.finish(), hashed.size)
        if not name.endswith(".parquet"):
            if posixpath.basename(name) == "sizes.json":
                self._sizes(unit, name, path)
            return None
        with storage.open_raw(path) as raw:
            return self._parquet(unit, name, pq.ParquetFile(raw), generation)

    def _passed(self, count: int) -> None:
        self.bytes += count
        if self._progress is not None:
            self._progress(self.bytes, self._total)

    def _compare(self, name: str, file: commits.File, digest: str, size: int) -> None:
        if size != file.bytes:
            self._report.tell("bytes", name, file.bytes, size)
        if digest != file.sha256:
            self._report.tell("sha256", name, file.sha256, digest)

    def _sizes(self, unit: Unit, name: str, path: str) -> None:
        wanted = _samples_by_shard(unit)
        found = orjson.loads(storage.read_bytes(path))
        if found != wanted:
            self._report.tell("samples by shard", name, wanted, found)

    def _equal_shards(self, unit: Unit) -> None:
        counts = [count for _, count in sorted(_samples_by_shard(unit).items())]
        if len({*counts[:-1]}) > 1 or (counts[:-1] and counts[-1] > counts[0]):
            self._report.tell("samples in a shard", unit.folder, "as many in all but the last", counts)

    # Parquet

    def _parquet(self, unit: Unit, name: str, parquet: pq.ParquetFile, generation: _Generation) -> int:
        schema, check = self._kind(unit.folder, name)
        if schema is LEDGER:
            schema = ledger_file(parquet.schema_arrow.names)
        if not _has_columns(parquet.schema_arrow, schema):
            self._report.tell("columns", name, _names(schema), _names(parquet.schema_arrow))
            return int(parquet.metadata.num_rows)
        number = self._pairs.file(name)
        before: _Keys = None
        rows = 0
        size = writing.CHUNK if schema is writing.PARQUET else _ROWS
        for batch in parquet.iter_batches(batch_size=size, use_threads=False):  # as in `commits.read_table`
            rows += batch.num_rows
            before = check(self, unit, name, number, batch, before, generation)
        return rows

    def _kind(self, folder: str, name: str) -> tuple[pa.Schema, Callable[..., Any]]:
        """Return what a Parquet file must hold, and how its rows are checked."""
        inner = name.removeprefix(f"{folder}/")
        if GENERATION in folder:
            return (LEDGER, Recount._ledger) if name.startswith(folder) else (ATTEMPTS, Recount._attempts)
        in_curate = folder.startswith("curate/")
        if inner.startswith("rejected/") or folder.endswith("/rejected"):
            return in_source_folder(REJECTED) if in_curate else REJECTED, Recount._rejected
        if in_curate:
            return in_source_folder(PAIRS), Recount._curated
        if folder == "views":
            return VIEWS, Recount._views
        if folder == "images":
            return IMAGES, Recount._images
        if folder == "dedupe":
            return GROUPS, Recount._groups
        if folder.startswith("shards/"):
            return writing.PARQUET, Recount._samples
        if folder.startswith("publish/"):
            return publish_rules.PUBLISHED, Recount._published
        raise ValueError(f"no stage writes Parquet in {folder}")

    def _curated(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: _Keys, *_: object) -> _Keys:
        source = unit.folder.rpartition("source=")[2]
        self._check_pair_keys(name, batch)
        self._check_image_keys(name, batch)
        for other in {*batch["source"].to_pylist()} - {source}:
            self._report.tell("source", name, source, other)
        self._keep(unit, reconciliation.CURATED, number, batch)
        return self._check_order(name, batch, ("pair_id",), before)

    def _views(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: _Keys, *_: object) -> _Keys:
        self._check_pair_keys(name, batch)
        ids, regions = batch["image_id"].to_pylist(), batch["region"].to_pylist()
        shown = [
            reconciliation.view_bytes(self._merged.get(image_id, image_id), region)
            for image_id, region in zip(ids, regions, strict=True)
        ]
        self._keep(unit, reconciliation.VIEWED, number, batch, shown)
        return self._check_order(name, batch, ("image_id", "pair_id"), before)

    def _keep(
        self, unit: Unit, role: int, number: int, batch: pa.RecordBatch, shown: Sequence[bytes] | None = None
    ) -> None:
        sources = batch["source"].to_pylist()
        for source, count in Counter(sources).items():
            self.kept[unit.folder, source] += count
        self._pairs.add(
            role, number, reconciliation.key_bytes(batch["pair_id"]), sources, batch["text"].to_pylist(), shown
        )

    def _rejected(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: _Keys, *_: object) -> _Keys:
        stage = stage_of(unit.folder)
        self._check_pair_keys(name, batch)
        sources = batch["source"].to_pylist()
        reasons = batch["reason"].to_pylist()
        for (source, reason), count in Counter(zip(sources, reasons, strict=True)).items():
            self.rejected[unit.folder, source, reason] += count
        for other in {*batch["stage"].to_pylist()} - {stage}:
            self._report.tell("stage of rejected rows", name, stage, other)
        for reason in {*reasons}.difference(reasons_of(stage)):
            self._report.tell(f"reason that {stage} does not give", name, ", ".join(reasons_of(stage)), reason)
        self._pairs.add(
            reconciliation.REJECTED_ROLES[stage], number, reconciliation.key_bytes(batch["pair_id"]), sources
        )
        return self._check_order(name, batch, ("pair_id",), before)

    def _published(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: _Keys, *_: object) -> _Keys:
        source = unit.folder.rpartition("source=")[2]
        self.kept[unit.folder, source] += batch.num_rows
        found = reconciliation.hex_keys(batch["pair_id"].to_pylist())
        self._pairs.add(reconciliation.PUBLISHED, number, found, [source] * batch.num_rows, batch["text"].to_pylist())
        return self._check_order(name, batch, ("pair_id",), before)

    def _images(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: _Keys, *_: object) -> _Keys:
        self._check_image_keys(name, batch)
        for image_id, shard in zip(batch["image_id"].to_pylist(), batch["fetch_shard"].to_pylist(), strict=True):
            if shard != keys.partition_of(image_id, self._shard_bits):
                wanted = keys.partition_of(image_id, self._shard_bits)
                self._report.tell("fetch_shard", f"{name}: image {image_id.hex()}", wanted, shard)
        return self._check_order(name, batch, ("image_id",), before)

    def _groups(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: _Keys, *_: object) -> _Keys:
        for relation in {*batch["relation"].to_pylist()}.difference(dedupe_rules.RELATIONS):
            self._report.tell("relation", name, f"one of {', '.join(dedupe_rules.RELATIONS)}", relation)
        return self._check_order(name, batch, ("image_id",), before)

    def _samples(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, *_: object) -> None:
        for row in batch.to_pylist():
            self._sample(unit, name, number, row["key"], row, row["text"])
            suffix = posixpath.splitext(row["image"]["path"])[1][1:]
            self._picture(f"{name}: sample {row['key']}", row["image"]["bytes"][:_HEAD_BYTES], suffix)

    # Shards

    def _sample(self, unit: Unit, name: str, number: int, key: str, described: Mapping[str, Any], caption: str) -> None:
        """Note the pairs of a sample; `described` has image_id, region and pairs."""
        place = f"{name}: sample {key}"
        form, pairs = unit.folder.removeprefix("shards/"), described["pairs"]
        if not pairs or caption != pairs[0]["text"]:
            self._report.tell("caption", place, pairs[0]["text"] if pairs else "at least one pair", caption)
        found = reconciliation.hex_keys([pair["pair_id"] for pair in pairs])
        for pair, pair_id in zip(pairs, found, strict=True):
            self.kept[unit.folder, pair["source"]] += 1
            if keys.pair_id(pair["source"], pair["source_id"]) != pair_id:
                wanted = keys.pair_id(pair["source"], pair["source_id"]).hex()
                self._report.tell("pair_id", f"{place}: {pair['source']}/{pair['source_id']}", wanted, pair_id.hex())
        view = reconciliation.view_bytes(bytes.fromhex(described["image_id"]), described["region"])
        self._pairs.add(
            reconciliation.SHARDED + self.formats.index(form),
            number,
            found,
            [pair["source"] for pair in pairs],
            [pair["text"] for pair in pairs],
            [view] * len(pairs),
        )

    def _picture(self, place: str, head: bytes, suffix: str) -> None:
        found = codec.sniff(head)
        if found is None or writing.extension(found) != suffix:
            self._report.tell("not the picture that its name says", place, suffix, found or f"bytes {head[:8].hex()}")

    def _tar(
        self,
        unit: Unit,
        name: str,
        file: commits.File,
        path: str,
        generation: _Generation,
    ) -> int | None:
        """Read a tar front to back, once, for its digest and its members."""
        with storage.open_raw(path) as raw:
            hashed = _Hashed(raw, self._passed)
            stream = io.BufferedReader(hashed, _BLOCK_BYTES)
            rows: int | None = None
            try:
                with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK_BYTES) as tar:
                    if GENERATION in unit.folder:
                        rows = self._store(name, tar, generation.stored[name], generation.lost)
                    else:
                        rows = self._webdataset(unit, name, tar)
            except DAMAGE as error:
                self._report.tell("file cannot be read", name, f"{file.rows} samples", first_line(error))
            self._compare(name, file, hashed.finish(), hashed.size)
        return rows

    def _webdataset(self, unit: Unit, name: str, tar: tarfile.TarFile) -> int:
        number = self._pairs.file(name)
        samples = 0
        for key, members in _samples_of(tar):
            samples += 1
            place = f"{name}: sample {key}"
            pictures = sorted({*members} - {"json", "txt"})
            if len(pictures) != 1 or not {"json", "txt"} <= {*members}:
                self._report.tell("members", place, "one picture, json and txt, each once", ", ".join(sorted(members)))
                continue
            try:
                described = orjson.loads(members["json"])
                self._sample(unit, name, number, key, described, members["txt"].decode())
            except (ValueError, KeyError, TypeError) as error:
                self._report.tell("description of a sample", place, "image_id, region, pairs", first_line(error))
            self._picture(place, members[pictures[0]], pictures[0])
        return samples

    # Fetch

    def _ledger(
        self,
        unit: Unit,
        name: str,
        number: int,
        batch: pa.RecordBatch,
        before: _Keys,
        generation: _Generation,
    ) -> _Keys:
        files = {listed for listed, _ in unit.files()}
        for row in state.completed(pa.Table.from_batches([batch])).to_pylist():
            place = f"{name}: image {row['image_id'].hex()}"
            self._check_generation(unit.folder, place, row)
            generation.settled[row["image_id"]] = row["location"], row["status"]
            if row["status"] == OK:
                self._ok_row(place, row, files, generation)
            elif row["store_file"] is not None:
                self._report.tell("an image that is not ok is stored", place, "nothing", row["store_file"])
            expected = reference_lists.MARKS if row["status"] == OK else ()
            if row["listed"] is not None and row["listed"] not in expected:
                self._report.tell("listed", place, ", ".join(expected) or "nothing of what is not ok", row["listed"])
        for status, count in Counter(batch["status"].to_pylist()).items():
            self.rejected[unit.folder, "", status] += count
        return self._check_order(name, batch, ("image_id",), before)

    def _check_generation(self, folder: str, place: str, row: Mapping[str, Any]) -> None:
        shard, number = _shard_and_generation(folder)
        if row["status"] not in STATUSES:
            self._report.tell("status", place, ", ".join(STATUSES), row["status"])
        if row["generation"] != number:
            self._report.tell("generation", place, number, row["generation"])
        wanted = keys.partition_of(row["image_id"], self._shard_bits)
        if wanted != shard:
            self._report.tell("fetch shard of an image", place, wanted, shard)

    def _ok_row(self, place: str, row: dict[str, Any], files: Collection[str], generation: _Generation) -> None:
        fields = ("store_file", "offset", "length", "stored_form", "stored_format", "sha256")
        there = [field for field in fields if row[field] is not None]
        if row["image_id"] in generation.lost:
            return
        if len(there) != len(fields):
            self._report.tell("an ok image", place, ", ".join(fields), ", ".join(there) or "none of them")
        elif row["store_file"] not in files:
            self._report.tell("store file", place, "one that this generation lists", row["store_file"])
        elif row["offset"] in generation.stored[row["store_file"]]:
            self._report.tell("two images at one place", place, "a place of its own", row["offset"])
        else:
            generation.stored[row["store_file"]][row["offset"]] = row

    def _attempts(
        self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: _Keys, generation: _Generation
    ) -> None:
        for row in batch.to_pylist():
            place = f"{name}: image {row['image_id'].hex()}"
            self._check_generation(unit.folder, place, row)
            whole = tuple(row.values())
            if whole in generation.tries:
                self._report.tell("row stands twice", f"{place}, {row['location']}", "one row a try", "the same again")
            generation.tries.add(whole)
            generation.attempted.add((row["image_id"], row["location"], row["status"]))

    def _store(self, name: str, tar: tarfile.TarFile, rows: dict[int, dict[str, Any]], lost: Collection[bytes]) -> int:
        """Compare a store's members with the ledger's rows, which are taken away as they are found."""
        members = 0
        gone = {key.hex() for key in lost} | {mend.GAP}
        for member in tar:
            members += 1
            if member.name.partition(".")[0] in gone:
                continue
            place = f"{name}: {member.name}"
            content = tar.extractfile(member)
            digest, short, head, length = _digest(cast(BinaryIO, content)) if content is not None else ("", b"", b"", 0)
            row = rows.pop(member.offset_data, None)
            if row is None:
                self._report.tell(
                    "a picture that the ledger does not know", place, f"a row with offset {member.offset_data}", "none"
                )
                continue
            if length != row["length"]:
                self._report.tell("length of a stored picture", place, row["length"], length)
            elif row.get("stored_digest") not in {None, short}:
                self._report.tell("digest of a stored picture", place, row["stored_digest"].hex(), short.hex())
            if codec.sniff(head) != row["stored_format"]:
                self._report.tell(
                    "format of a stored picture", place, row["stored_format"], codec.sniff(head) or head[:8].hex()
                )
            if row["stored_form"] == "original" and digest != row["sha256"].hex():
                self._report.tell("sha256 of a stored original", place, row["sha256"].hex(), digest)
            if row["stored_form"] == "original" and length != row["bytes"]:
                self._report.tell("bytes of a stored original", place, row["bytes"], length)
        return members

    # Rows

    def _check_pair_keys(self, name: str, batch: pa.RecordBatch) -> None:
        columns = (batch[column].to_pylist() for column in ("pair_id", "source", "source_id"))
        for pair_id, source, source_id in zip(*columns, strict=True):
            if keys.pair_id(source, source_id) != pair_id:
                wanted = keys.pair_id(source, source_id).hex()
                self._report.tell("pair_id", f"{name}: {source}/{source_id}", wanted, pair_id.hex())

    def _check_image_keys(self, name: str, batch: pa.RecordBatch) -> None:
        for image_id, identity in zip(batch["image_id"].to_pylist(), batch["identity"].to_pylist(), strict=True):
            if keys.image_id(identity) != image_id:
                self._report.tell("image_id", f"{name}: {identity}", keys.image_id(identity).hex(), image_id.hex())

    def _check_order(self, name: str, batch: pa.RecordBatch, columns: Sequence[str], before: _Keys) -> _Keys:
        """Rows stand in order, each once; returns the last row's keys."""
        for row, found in enumerate(zip(*(batch[column].to_pylist() for column in columns), strict=True)):
            if before is not None and found <= before:
                place = f"{name}: row {row} of its batch, {_hex(found)}"
                what = "row stands twice" if found == before else "rows out of order"
                self._report.tell(what, place, f"after {_hex(before)}", _hex(found))
            before = found
        return before


def _hex(found: Sequence[Any]) -> str:
    return "/".join(item.hex() if isinstance(item, bytes) else str(item) for item in found)


def _names(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def first_line(error: BaseException) -> str:
    """Return an error as one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _shard_and_generation(folder: str) -> tuple[int, int]:
    shard, generation = folder.split("/")[-2:]
    return int(shard.removeprefix("shard=")), int(generation.removeprefix("generation="))


def _has_columns(written: pa.Schema, schema: pa.Schema) -> bool:
    """Return whether a file has a table's columns, however they are encoded; it may say of more of them that none is null.

    Files of earlier versions are encoded otherwise, and say so of more.
    """
    if written.names != schema.names:
        return False
    return all(
        commits.plain_type(mine) == commits.plain_type(wanted) and (wanted.nullable or not mine.nullable)
        for mine, wanted in zip(written, schema, strict=True)
    )


def _samples_by_shard(unit: Unit) -> dict[str, int]:
    """Return the samples of each shard that a format's commit lists, by name."""
    return {file.name: file.rows for file in unit.commit.files if file.name != "sizes.json"}


def _digest(content: BinaryIO) -> tuple[str, bytes, bytes, int]:
    """Return a member's SHA-256, XXH3-128, first bytes and length."""
    digest, short = hashlib.sha256(), xxhash.xxh3_128()
    head, length = b"", 0
    while block := content.read(_BLOCK_BYTES):
        head = head or block[:_HEAD_BYTES]
        digest.update(block)
        short.update(block)
        length += len(block)
    return digest.hexdigest(), short.digest(), head, length


def _samples_of(tar: tarfile.TarFile) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the samples of a WebDataset tar: key, and extension → content (of a picture its first bytes).

    A sample's members stand together; one that comes twice is told by an extension of its own.
    """
    key: str | None = None
    members: dict[str, bytes] = {}
    for member in tar:
        stem, _, suffix = member.name.partition(".")
        if key is not None and stem != key:
            yield key, members
            members = {}
        key = stem
        file = tar.extractfile(member)
        content = b"" if file is None else file.read() if suffix in {"json", "txt"} else file.read(_HEAD_BYTES)
        members[suffix if suffix not in members else f"{suffix} twice"] = content
    if key is not None:
        yield key, members


def formats_of(units: Mapping[str, Unit]) -> list[str]:
    """Return the formats in which shards are committed, sorted."""
    return sorted(
        folder.removeprefix("shards/")
        for folder in units
        if folder.startswith("shards/") and folder != "shards/rejected"
    )
