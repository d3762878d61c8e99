"""Verify: recount everything under a ROOT from the committed files, and name every place where they disagree.

Nothing is believed: not a size, a checksum, a count of rows, a key or a total. Files are read front to back, one at a
time, a row group or a member at a time; what must be compared across files is cut by key (`pmd.census`) or by part.

1. Every file that a commit lists is there, with its bytes, its SHA-256 and its rows; nothing else is beside it.
2. The books: in = kept + rejected; kept and rejected by reason are the rows of the files; in is what the stage before kept.
3. The pairs: each that entered is kept or rejected exactly once, in every stage, shard format and list; its keys are the
   hashes of its content, its text is the same everywhere.
4. The images: those of the views; the ledger's rows one an image and generation; the stored bytes are where the ledger
   says, are an image, and where they are the original's have its digest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import posixpath
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import census, codec, commits, dedupe, keys, parts, publish, root, storage
from pmd.census import Census, Expectation
from pmd.errors import PmdError
from pmd.schema.reasons import reasons_of
from pmd.schema.statuses import OK, STATUSES
from pmd.schema.tables import ATTEMPTS, GROUPS, IMAGES, LEDGER, PAIRS, REJECTED, VIEWS
from pmd.shards import writing
from pmd.status import (
    BEFORE,
    GENERATION,
    NOTHING,
    STAGES,
    Account,
    Unit,
    accounts_by_stage,
    balance,
    made_of,
    read_unit,
    stage_of,
)

#: Told of (bytes read so far, bytes in all).
Progress = Callable[[int, int], None]

#: Problems of one kind that are told one by one; of more only their number.
EXAMPLES: Final = 10

_BLOCK_BYTES: Final = 1 << 20
#: Bytes that tell an image's format.
_HEAD_BYTES: Final = 64
_ROWS: Final = 65_536
_TOPS: Final = ("audit", "curate", "dedupe", "fetch", "images", "publish", "shards", "views")
_DAMAGE: Final = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, EOFError, tarfile.TarError)


def verify(root_url: str, progress: Progress | None = None) -> dict[str, Any]:
    """Recount a ROOT.

    Args:
        root_url: ROOT.
        progress: Told how far it is.

    Returns:
        ``files``, ``bytes`` and ``rows``, as counted; ``commits``; ``problems``: place, what, expected, found of each.

    Raises:
        RootError: No ROOT, or one of another version.
    """
    described = root.require(root_url)
    names = storage.list_files(root_url)
    report = _Report()
    units = _units(root_url, names, report)
    _check_listing(names, units, report)
    records = sum(file.rows for unit in units.values() for file in unit.commit.files)
    with Census(records) as pairs:
        recount = _Recount(root_url, int(described.get("fetch_shard_bits", 0)), units, pairs, report, progress)
        for unit in sorted(units.values(), key=lambda unit: unit.folder):
            recount.unit(unit)
        _check_books(units, recount, report)
        _check_chain(units, report)
        expected = _expectation(units)
        pairs.judge(expected, lambda place, what, wanted, found: report.tell(what, place, wanted, found))
    _check_parts(root_url, units, report)
    return {
        "files": recount.files,
        "bytes": recount.bytes,
        "rows": recount.rows,
        "commits": len(units),
        "problems": report.problems(),
    }


def text(found: Mapping[str, Any]) -> str:
    """Return what was found as people read it."""
    counted = f"{found['files']:,} files, {found['bytes']:,} bytes, {found['rows']:,} rows of {found['commits']:,} commits recounted"
    if not found["problems"]:
        return f"{counted}: all of it is as the commits say, and the books balance."
    lines = [f"{counted}: {len(found['problems'])} problems"]
    for problem in found["problems"]:
        lines.append(f"  {problem['place']}: {problem['what']}")
        if problem["expected"] or problem["found"]:
            lines.append(f"      expected: {problem['expected']}")
            lines.append(f"      found:    {problem['found']}")
    lines.append(
        "If a stage ran alone, or the configuration changed, `pmd build CONFIG` brings the others after it. If files were "
        "changed or lost, remove the folder of the commit that lists them and build again."
    )
    return "\n".join(lines)


class _Report:
    """Collects problems; of many of one kind only the first few."""

    def __init__(self) -> None:
        self._told: list[dict[str, str]] = []
        self._counts: Counter[str] = Counter()

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


def _units(root_url: str, names: Sequence[str], report: _Report) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last != commits.STAGE_FILE or folder.split("/", 1)[0] not in _TOPS:
            continue
        try:
            unit = read_unit(root_url, folder)
        except (PmdError, KeyError, TypeError, ValueError) as error:
            report.tell("not a commit", name, "a JSON object with stage, files, sources, hash and run", error)
            continue
        if unit is not None:
            units[folder] = unit
            if unit.commit.stage != stage_of(folder):
                report.tell("commit of another stage", name, stage_of(folder), unit.commit.stage)
    return units


def _check_listing(names: Sequence[str], units: Mapping[str, Unit], report: _Report) -> None:
    """Each file is listed once and there; nothing else stands in a committed folder."""
    listed: Counter[str] = Counter()
    for unit in units.values():
        listed.update(name for name, _ in unit.files())
    for name, times in listed.items():
        if times > 1:
            report.tell("listed more than once", name, 1, times)
    if root.LOCK_FILE in names:  # somebody writes, or was killed: what is not listed yet is no mistake
        return
    own = {f"{folder}/{commits.STAGE_FILE}" for folder in units}
    homes = (*(f"{folder}/" for folder in units), *_shared_homes(units))
    for name in names:
        if name not in listed and name not in own and name.startswith(homes):
            report.tell("no commit lists this file", name, "nothing", "a file; the stage's next run removes it")


def _shared_homes(units: Mapping[str, Unit]) -> list[str]:
    """Return the folders in which generations keep what does not stand beside their commits."""
    return ["fetch/store/", "fetch/attempts/", "fetch/ledger/"] if any(GENERATION in folder for folder in units) else []


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


class _Recount:
    """Reads every file once for its bytes and once for its rows; counts books; fills the census."""

    def __init__(
        self,
        root_url: str,
        shard_bits: int,
        units: Mapping[str, Unit],
        pairs: Census,
        report: _Report,
        progress: Progress | None,
    ) -> None:
        self._root = root_url
        self._shard_bits = shard_bits
        self._units = units
        self._pairs = pairs
        self._report = report
        self._progress = progress
        self._total = sum(file.bytes for unit in units.values() for file in unit.commit.files)
        self.files = 0
        self.bytes = 0
        self.rows = 0
        self.formats = _formats(units)
        #: (folder of the commit, source) → rows kept; and (…, reason) → rows rejected.
        self.kept: Counter[tuple[str, str]] = Counter()
        self.rejected: Counter[tuple[str, str, str]] = Counter()

    def unit(self, unit: Unit) -> None:
        """Recount the files of one commit."""
        stored: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        # A generation's ledger stands last by name, but tells what its tar must hold.
        for name, file in sorted(unit.files(), key=lambda item: not item[0].startswith("fetch/ledger/")):
            path = storage.join(self._root, name)
            if not storage.exists(path):
                self._report.tell("file is gone", name, f"{file.bytes} bytes, {file.rows} rows", "nothing")
                continue
            self.files += 1
            try:
                rows = self._file(unit, name, file, path, stored)
            except _DAMAGE as error:
                self._report.tell("file cannot be read", name, f"{file.rows} rows", _first_line(error))
                continue
            if rows is not None:
                self.rows += rows
                if rows != file.rows:
                    self._report.tell("rows", name, file.rows, rows)
        for store_file, rows_of in stored.items():
            for row in rows_of.values():
                place = f"{unit.folder}: image {row['image_id'].hex()}"
                self._report.tell(
                    "the ledger's picture is not in the store", place, f"{store_file}, byte {row['offset']}", "nothing"
                )

    def _file(
        self,
        unit: Unit,
        name: str,
        file: commits.File,
        path: str,
        stored: dict[str, dict[int, dict[str, Any]]],
    ) -> int | None:
        if name.endswith(".tar"):
            return self._tar(unit, name, file, path, stored)
        with storage.open_raw(path) as raw:
            hashed = _Hashed(raw, self._passed)
            self._compare(name, file, hashed.finish(), hashed.size)
        if not name.endswith(".parquet"):
            if posixpath.basename(name) == "sizes.json":
                self._sizes(unit, name, path)
            return None
        with storage.open_raw(path) as raw:
            return self._parquet(unit, name, pq.ParquetFile(raw), stored)

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
        wanted = {file.name: file.rows for file in unit.commit.files if file.name != "sizes.json"}
        found = orjson.loads(storage.read_bytes(path))
        if found != wanted:
            self._report.tell("samples by shard", name, wanted, found)

    # Parquet

    def _parquet(
        self, unit: Unit, name: str, parquet: pq.ParquetFile, stored: dict[str, dict[int, dict[str, Any]]]
    ) -> int:
        schema, check = self._kind(unit.folder, name)
        if not parquet.schema_arrow.remove_metadata().equals(schema.remove_metadata()):
            self._report.tell("columns", name, _names(schema), _names(parquet.schema_arrow))
            return int(parquet.metadata.num_rows)
        number = self._pairs.file(name)
        before: tuple[bytes, ...] | None = None
        rows = 0
        for batch in parquet.iter_batches(batch_size=writing.CHUNK if schema is writing.PARQUET else _ROWS):
            rows += batch.num_rows
            before = check(self, unit, name, number, batch, before, stored)
        return rows

    def _kind(self, folder: str, name: str) -> tuple[pa.Schema, Callable[..., Any]]:
        """Return what a Parquet file must hold, and how its rows are checked."""
        inner = name.removeprefix(f"{folder}/")
        if GENERATION in folder:
            return (LEDGER, _Recount._ledger) if name.startswith(folder) else (ATTEMPTS, _Recount._attempts)
        if inner.startswith("rejected/") or folder.endswith("/rejected"):
            return REJECTED, _Recount._rejected
        if folder.startswith("curate/"):
            return PAIRS, _Recount._curated
        if folder == "views":
            return VIEWS, _Recount._views
        if folder == "images":
            return IMAGES, _Recount._images
        if folder == "dedupe":
            return GROUPS, _Recount._groups
        if folder.startswith("shards/"):
            return writing.PARQUET, _Recount._samples
        if folder.startswith("publish/"):
            return publish.PUBLISHED, _Recount._published
        raise ValueError(f"no stage writes Parquet in {folder}")

    def _curated(
        self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: tuple[bytes, ...] | None, *_: object
    ) -> tuple[bytes, ...] | None:
        source = unit.folder.rpartition("source=")[2]
        self._check_pair_keys(name, batch)
        self._check_image_keys(name, batch)
        for other in {*batch["source"].to_pylist()} - {source}:
            self._report.tell("source", name, source, other)
        self._keep(unit, census.CURATED, number, batch)
        return self._check_order(name, batch, ("pair_id",), before)

    def _views(
        self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: tuple[bytes, ...] | None, *_: object
    ) -> tuple[bytes, ...] | None:
        self._check_pair_keys(name, batch)
        self._keep(unit, census.VIEWED, number, batch)
        return self._check_order(name, batch, ("image_id", "pair_id"), before)

    def _keep(self, unit: Unit, role: int, number: int, batch: pa.RecordBatch) -> None:
        sources = batch["source"].to_pylist()
        for source, count in Counter(sources).items():
            self.kept[unit.folder, source] += count
        self._pairs.add(role, number, census.key_bytes(batch["pair_id"]), sources, batch["text"].to_pylist())

    def _rejected(
        self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: tuple[bytes, ...] | None, *_: object
    ) -> tuple[bytes, ...] | None:
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
        self._pairs.add(census.REJECTED_ROLES[stage], number, census.key_bytes(batch["pair_id"]), sources, None)
        return self._check_order(name, batch, ("pair_id",), before)

    def _published(
        self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: tuple[bytes, ...] | None, *_: object
    ) -> tuple[bytes, ...] | None:
        source = unit.folder.rpartition("source=")[2]
        self.kept[unit.folder, source] += batch.num_rows
        found = census.hex_keys(batch["pair_id"].to_pylist())
        self._pairs.add(census.PUBLISHED, number, found, [source] * batch.num_rows, batch["text"].to_pylist())
        return self._check_order(name, batch, ("pair_id",), before)

    def _images(
        self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: tuple[bytes, ...] | None, *_: object
    ) -> tuple[bytes, ...] | None:
        self._check_image_keys(name, batch)
        for image_id, shard in zip(batch["image_id"].to_pylist(), batch["fetch_shard"].to_pylist(), strict=True):
            if shard != keys.partition_of(image_id, self._shard_bits):
                wanted = keys.partition_of(image_id, self._shard_bits)
                self._report.tell("fetch_shard", f"{name}: image {image_id.hex()}", wanted, shard)
        return self._check_order(name, batch, ("image_id",), before)

    def _groups(
        self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, before: tuple[bytes, ...] | None, *_: object
    ) -> tuple[bytes, ...] | None:
        for relation in {*batch["relation"].to_pylist()} - {dedupe.SAME_BYTES, dedupe.REPEATED_BYTES}:
            self._report.tell("relation", name, f"{dedupe.SAME_BYTES} or {dedupe.REPEATED_BYTES}", relation)
        return before

    def _samples(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, *_: object) -> None:
        form = unit.folder.removeprefix("shards/")
        for row in batch.to_pylist():
            content, path = row["image"]["bytes"], row["image"]["path"]
            self._sample(unit, form, name, number, row["key"], row["image_id"], row["pairs"], row["text"])
            self._picture(f"{name}: sample {row['key']}", content[:_HEAD_BYTES], posixpath.splitext(path)[1][1:])

    # Shards

    def _sample(
        self,
        unit: Unit,
        form: str,
        name: str,
        number: int,
        key: str,
        image_id: str,
        pairs: Sequence[Mapping[str, str]],
        caption: str,
    ) -> None:
        place = f"{name}: sample {key}"
        if not pairs or caption != pairs[0]["text"]:
            self._report.tell("caption", place, pairs[0]["text"] if pairs else "at least one pair", caption)
        found = census.hex_keys([pair["pair_id"] for pair in pairs])
        for pair, pair_id in zip(pairs, found, strict=True):
            self.kept[unit.folder, pair["source"]] += 1
            if keys.pair_id(pair["source"], pair["source_id"]) != pair_id:
                wanted = keys.pair_id(pair["source"], pair["source_id"]).hex()
                self._report.tell("pair_id", f"{place}: {pair['source']}/{pair['source_id']}", wanted, pair_id.hex())
        role = census.SHARDED + self.formats.index(form)
        self._pairs.add(role, number, found, [pair["source"] for pair in pairs], [pair["text"] for pair in pairs])

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
        stored: dict[str, dict[int, dict[str, Any]]],
    ) -> int | None:
        """Read a tar front to back, once, for its digest and its members."""
        with storage.open_raw(path) as raw:
            hashed = _Hashed(raw, self._passed)
            stream = io.BufferedReader(hashed, _BLOCK_BYTES)
            rows: int | None = None
            try:
                with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK_BYTES) as tar:
                    if GENERATION in unit.folder:
                        rows = self._store(name, tar, stored[name])
                    else:
                        rows = self._webdataset(unit, name, tar)
            except _DAMAGE as error:
                self._report.tell("file cannot be read", name, f"{file.rows} samples", _first_line(error))
            self._compare(name, file, hashed.finish(), hashed.size)
        return rows

    def _webdataset(self, unit: Unit, name: str, tar: tarfile.TarFile) -> int:
        form = unit.folder.removeprefix("shards/")
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
                caption = members["txt"].decode()
                self._sample(unit, form, name, number, key, described["image_id"], described["pairs"], caption)
            except (ValueError, KeyError, TypeError) as error:
                self._report.tell("description of a sample", place, "image_id, region, pairs", _first_line(error))
            self._picture(place, members[pictures[0]], pictures[0])
        return samples

    # Fetch

    def _ledger(
        self,
        unit: Unit,
        name: str,
        number: int,
        batch: pa.RecordBatch,
        before: tuple[bytes, ...] | None,
        stored: dict[str, dict[int, dict[str, Any]]],
    ) -> tuple[bytes, ...] | None:
        shard, generation = _shard_and_generation(unit.folder)
        files = {listed for listed, _ in unit.files()}
        statuses = batch["status"].to_pylist()
        for row in batch.to_pylist():
            place = f"{name}: image {row['image_id'].hex()}"
            if row["status"] not in STATUSES:
                self._report.tell("status", place, ", ".join(STATUSES), row["status"])
            if row["generation"] != generation:
                self._report.tell("generation", place, generation, row["generation"])
            if keys.partition_of(row["image_id"], self._shard_bits) != shard:
                self._report.tell(
                    "fetch shard of an image", place, keys.partition_of(row["image_id"], self._shard_bits), shard
                )
            fields = ("store_file", "offset", "length", "stored_form", "stored_format", "sha256")
            there = [field for field in fields if row[field] is not None]
            if row["status"] != OK:
                if row["store_file"] is not None:
                    self._report.tell("an image that is not ok is stored", place, "nothing", row["store_file"])
                continue
            if len(there) != len(fields):
                self._report.tell("an ok image", place, ", ".join(fields), ", ".join(there) or "none of them")
                continue
            if row["store_file"] not in files:
                self._report.tell("store file", place, "one that this generation lists", row["store_file"])
                continue
            if row["offset"] in stored[row["store_file"]]:
                self._report.tell("two images at one place", place, "a place of its own", row["offset"])
            stored[row["store_file"]][row["offset"]] = row
        for status, count in Counter(statuses).items():
            self.rejected[unit.folder, "", status] += count
        return self._check_order(name, batch, ("image_id",), before)

    def _attempts(self, unit: Unit, name: str, number: int, batch: pa.RecordBatch, *_: object) -> None:
        shard, generation = _shard_and_generation(unit.folder)
        for row in batch.select(["image_id", "generation", "status"]).to_pylist():
            place = f"{name}: image {row['image_id'].hex()}"
            if row["generation"] != generation:
                self._report.tell("generation", place, generation, row["generation"])
            if keys.partition_of(row["image_id"], self._shard_bits) != shard:
                self._report.tell(
                    "fetch shard of an image", place, keys.partition_of(row["image_id"], self._shard_bits), shard
                )

    def _store(self, name: str, tar: tarfile.TarFile, rows: dict[int, dict[str, Any]]) -> int:
        """Compare a store's members with the ledger's rows, which are taken away as they are found."""
        members = 0
        for member in tar:
            members += 1
            place = f"{name}: {member.name}"
            content = tar.extractfile(member)
            digest, head, length = _digest(cast(BinaryIO, content)) if content is not None else ("", b"", 0)
            row = rows.pop(member.offset_data, None)
            if row is None:
                self._report.tell(
                    "a picture that the ledger does not know", place, f"a row with offset {member.offset_data}", "none"
                )
                continue
            if length != row["length"]:
                self._report.tell("length of a stored picture", place, row["length"], length)
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

    def _check_order(
        self, name: str, batch: pa.RecordBatch, columns: Sequence[str], before: tuple[bytes, ...] | None
    ) -> tuple[bytes, ...] | None:
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


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _shard_and_generation(folder: str) -> tuple[int, int]:
    shard, generation = folder.split("/")[-2:]
    return int(shard.removeprefix("shard=")), int(generation.removeprefix("generation="))


def _digest(content: BinaryIO) -> tuple[str, bytes, int]:
    """Return a member's SHA-256, first bytes and length."""
    digest = hashlib.sha256()
    head, length = b"", 0
    while block := content.read(_BLOCK_BYTES):
        head = head or block[:_HEAD_BYTES]
        digest.update(block)
        length += len(block)
    return digest.hexdigest(), head, length


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


def _formats(units: Mapping[str, Unit]) -> list[str]:
    return sorted(
        folder.removeprefix("shards/")
        for folder in units
        if folder.startswith("shards/") and folder != "shards/rejected"
    )


def _expectation(units: Mapping[str, Unit]) -> Expectation:
    imaged = made_of(units)
    published = {folder.rpartition("source=")[2] for folder in units if folder.startswith("publish/")}
    return Expectation(tuple(accounts_by_stage(units)), imaged, published & {*imaged}, _formats(units))


# Books


def _check_books(units: Mapping[str, Unit], recount: _Recount, report: _Report) -> None:
    """The books of each commit are the rows of its files."""
    for folder, unit in sorted(units.items()):
        place = f"{folder}/{commits.STAGE_FILE}"
        for source, account in sorted(unit.accounts.items()):
            if not account.balances():
                told = f"{account.kept} kept and {sum(account.rejected.values())} rejected"
                report.tell("books: in is kept + rejected", f"{place}: {source}", told, f"in {account.taken}")
        if GENERATION in folder:
            _check_generation_books(place, unit, recount, report)
            continue
        if folder in {"curate", "images"} or stage_of(folder) == "audit":
            continue
        _check_rejected_books(place, folder, unit, recount, report)
        _check_kept_books(place, folder, unit, recount, report)
    _check_twins(units, report)


def _check_rejected_books(place: str, folder: str, unit: Unit, recount: _Recount, report: _Report) -> None:
    if folder.startswith("shards/") and folder != "shards/rejected":
        return  # the rejected pairs of all formats stand in one folder
    booked = {
        (source, reason): count
        for source, account in unit.accounts.items()
        for reason, count in account.rejected.items()
        if count
    }
    counted = {(source, reason): count for (at, source, reason), count in recount.rejected.items() if at == folder}
    for source, reason in sorted({*booked, *counted}):
        wanted, found = booked.get((source, reason), 0), counted.get((source, reason), 0)
        if wanted != found:
            report.tell("books: rejected", f"{place}: {source}, {reason}", f"{wanted}, as booked", f"{found} rows")


def _check_kept_books(place: str, folder: str, unit: Unit, recount: _Recount, report: _Report) -> None:
    if folder in {"fetch/rejected", "dedupe", "shards/rejected"}:
        return  # what these keep, no file of theirs holds; the census counts it
    counted = {source: count for (at, source), count in recount.kept.items() if at == folder}
    for source in sorted({*unit.accounts, *counted}):
        wanted, found = unit.accounts.get(source, NOTHING).kept, counted.get(source, 0)
        if wanted != found:
            report.tell("books: kept", f"{place}: {source}", f"{wanted}, as booked", f"{found} rows")


def _check_generation_books(place: str, unit: Unit, recount: _Recount, report: _Report) -> None:
    """A generation books each image under every source that it then had: at least once, at most once a source."""
    counted = {status: count for (at, _, status), count in recount.rejected.items() if at == unit.folder}
    booked: Counter[str] = Counter()
    for source, account in unit.accounts.items():
        for status, count in {OK: account.kept, **account.rejected}.items():
            booked[status] += count
            if count > counted.get(status, 0) or (len(unit.accounts) == 1 and count != counted.get(status, 0)):
                report.tell(
                    "books: images of a generation",
                    f"{place}: {source}, {status}",
                    f"{count}, as booked",
                    f"{counted.get(status, 0)} rows",
                )
    for status, count in counted.items():
        if booked[status] < count:
            report.tell(
                "books: images of a generation",
                f"{place}: {status}",
                f"{booked[status]}, as booked for all sources",
                f"{count} rows",
            )


def _check_twins(units: Mapping[str, Unit], report: _Report) -> None:
    """A stage that commits several folders books the same in each."""
    twins = [("views", "images")] + [("shards/rejected", f"shards/{form}") for form in _formats(units)]
    for one, other in twins:
        if one in units and other in units and _plain(units[one]) != _plain(units[other]):
            report.tell(
                "books differ from those of the same stage", f"{other}/{commits.STAGE_FILE}", f"as {one}", "others"
            )
        if (one in units) != (other in units):
            absent, there = (one, other) if other in units else (other, one)
            report.tell("half of a stage's commits", there, f"{absent}/{commits.STAGE_FILE}", "nothing")


def _plain(unit: Unit) -> dict[str, Any]:
    return {source: dataclasses.asdict(account) for source, account in unit.accounts.items()}


def _check_chain(units: Mapping[str, Unit], report: _Report) -> None:
    """What a stage took in is what the one before it kept."""
    accounts = accounts_by_stage(units)
    present = [stage for stage in STAGES if stage in accounts]
    for stage in present:
        if stage in BEFORE and BEFORE[stage] not in accounts:
            report.tell("a stage is committed without the one before it", stage, f"{BEFORE[stage]} too", "nothing")
    for line in balance(units):
        if line["before"] in accounts and line["in"] != line["before_kept"]:
            report.tell(
                f"{line['stage']}: in is what {line['before']} kept",
                f"{line['stage']}, {line['source']}",
                f"{line['before_kept']} pairs",
                f"{line['in']} pairs",
            )
    known = accounts.get("curate", {})
    for source in made_of(units):
        if source not in known:
            report.tell("images were made of a source that is gone", f"curate/source={source}", "a commit", "nothing")
    _check_inputs(units, report)


def _check_inputs(units: Mapping[str, Unit], report: _Report) -> None:
    """The images were made of the pairs that are committed now."""
    if "views" not in units:
        return
    inputs = units["views"].commit.run.get("inputs", {})
    for source in made_of(units):
        folder = f"curate/source={source}"
        if source in inputs and folder in units and inputs[source] != units[folder].commit.digest("pairs"):
            report.tell(
                "images were made of other pairs than those committed now",
                folder,
                inputs[source],
                units[folder].commit.digest("pairs"),
            )


# Parts


def _check_parts(root_url: str, units: Mapping[str, Unit], report: _Report) -> None:
    """Compare images, views, ledger, and the pairs that fetch and dedupe reject, a part at a time."""
    if not {"views", "images"} <= {*units}:
        return
    facts = units["views"].commit.facts
    cut = parts.Cut(int(facts["part_bits"]), int(facts["fetch_shard_bits"]))
    groups: pa.Table | None = None
    with contextlib.suppress(*_DAMAGE, PmdError):
        groups = _read_groups(root_url, units)
    for part in range(2**cut.part_bits):
        place = f"part {part} of {2**cut.part_bits}"
        try:
            views = parts.read_views(root_url, part)
            _compare_images(place, parts.read_images(root_url, part), views, report)
            if "fetch/rejected" not in units:
                continue
            ledger = parts.read_ledger(root_url, cut.shards(part))
            found = parts.statuses(views, ledger)
            out = pc.not_equal(found, OK)
            _compare_rejected(
                units["fetch/rejected"], root_url, part, place, views.filter(out)["pair_id"], found.filter(out), report
            )
            if "dedupe" in units and groups is not None:
                _, rejected = dedupe.judge(views, ledger, groups)
                _compare_rejected(
                    units["dedupe"], root_url, part, place, rejected["pair_id"], rejected["reason"], report
                )
        except (*_DAMAGE, PmdError) as error:
            report.tell("cannot be compared", place, "images, views and ledger that can be read", _first_line(error))


def _read_groups(root_url: str, units: Mapping[str, Unit]) -> pa.Table | None:
    if "dedupe" not in units:
        return None
    folder = root.dedupe_folder(root_url)
    tables = [commits.read_table(folder, file) for file in units["dedupe"].commit.under("groups")]
    return pa.concat_tables([GROUPS.empty_table(), *tables])


def _compare_images(place: str, images: pa.Table, views: pa.Table, report: _Report) -> None:
    """The images are those of the views, with their sources, and know whether a view is a region."""
    shown = views.group_by("image_id").aggregate([("region", "count")]).sort_by("image_id")
    regions = dict(zip(shown["image_id"].to_pylist(), shown["region_count"].to_pylist(), strict=True))
    sources: defaultdict[bytes, set[str]] = defaultdict(set)
    for row in views.group_by(["image_id", "source"]).aggregate([]).to_pylist():
        sources[row["image_id"]].add(row["source"])
    for row in images.select(["image_id", "has_region", "sources"]).to_pylist():
        key = row["image_id"]
        at = f"images/, {place}: image {key.hex()}"
        count = regions.pop(key, None)
        if count is None:
            report.tell("an image without a pair", at, "at least one view", "none")
            continue
        if bool(count) != row["has_region"]:
            report.tell("has_region", at, bool(count), row["has_region"])
        if sorted(sources[key]) != row["sources"]:
            report.tell("sources of an image", at, ", ".join(sorted(sources[key])), ", ".join(row["sources"]))
    for key in regions:
        report.tell("a view without its image", f"views/, {place}: image {key.hex()}", "a row of images", "none")


def _compare_rejected(
    unit: Unit,
    root_url: str,
    part: int,
    place: str,
    pair_ids: pa.ChunkedArray,
    reasons: pa.ChunkedArray | pa.Array,
    report: _Report,
) -> None:
    """The pairs that a stage rejects are those that the ledger and the groups say, for that reason."""
    prefix = "rejected/" if unit.folder == "dedupe" else ""
    files = [
        file for file in unit.commit.files if file.name.startswith(f"{prefix}part-") and parts.number(file.name) == part
    ]
    should = dict(zip(pair_ids.to_pylist(), reasons.to_pylist(), strict=True))
    for file in files:
        table = commits.read_table(storage.join(root_url, unit.folder), file, ["pair_id", "reason"])
        for pair_id, reason in zip(table["pair_id"].to_pylist(), table["reason"].to_pylist(), strict=True):
            wanted = should.pop(pair_id, None)
            if wanted != reason:
                at = f"{unit.folder}/{file.name}: pair {pair_id.hex()}"
                report.tell(f"why {stage_of(unit.folder)} rejects a pair", at, wanted or "the pair is kept", reason)
    for pair_id, reason in should.items():
        at = f"{unit.folder}/, {place}: pair {pair_id.hex()}"
        report.tell(f"why {stage_of(unit.folder)} rejects a pair", at, reason, "the pair is kept")
