"""A ROOT of generated pairs, built up to the shards, for measuring the audit: any number of rows, the same for all.

Rows are those of `benchmarks/audit_rows.py`. Of their images so many are lost at each stage as `FATES` says, so that all that
the audit reads is there: pairs by source, views, distinct images, a ledger by fetch shard, groups, and what the shards left out.
Nothing is fetched, and no picture is there.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from audit_rows import CHUNK, SHARES, Rows
from near_memory import Mixture

from pmd import config, flow, manifests
from pmd.fetch.generations import store
from pmd.images.rules import PART_ROWS
from pmd.schema.tables import GROUPS, IMAGES, KEY, LEDGER, LEDGER_FILE, PAIRS, REJECTED, VIEWS
from pmd.store import commits, exchange, parquet_files, root, storage
from pmd.store.commits import Books, Commit, File
from pmd.text.minhash import mixed

#: What becomes of images, and of how many of a thousand; the rest is in the shards.
FATES: Final = {"takedown": 5, "opted_out": 20, "dead": 180, "repeated_bytes": 10}
#: Of a thousand images that stay, those that are a copy of another, and of pairs those that the shards left out.
_COPIES: Final = 10
_LEFT_OUT: Final = 5
#: Rows of a file of pairs.
_FILE_ROWS: Final = 2**18

Numbers = np.ndarray[Any, np.dtype[np.int64]]


def make(folder: Path, samples: Path, rows: int, *, hashed: bool = False) -> Path:
    """Write a ROOT under a folder, unless it stands there already; return the configuration.

    Args:
        folder: Where; the ROOT is `folder/root`.
        samples: The folder of real samples.
        rows: How many pairs.
        hashed: Whether images have perceptual hashes, of which some match others.
    """
    chosen = folder / "pmd.toml"
    if not chosen.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _Root(folder / "root", samples, rows, Mixture(None, rows) if hashed else None).write()
        configured(folder, chosen.name)
    return chosen


def configured(folder: Path, name: str, text_sample: int | None = None) -> Path:
    """Write a configuration of the ROOT in a folder."""
    lines = [f"root = {json.dumps(str(folder / 'root'))}", 'contact = "mailto:benchmarks@example.org"']
    nothing = folder / "annotations.tsv"
    nothing.write_text("")
    for source in SHARES:
        lines += [f"[sources.{source}]", f"annotations = [{json.dumps(str(nothing))}]"]
    if text_sample is not None:
        lines += ["[audit]", f"text_sample = {text_sample}"]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    config.load(str(path))
    return path


class _Root:
    def __init__(self, path: Path, samples: Path, rows: int, hashes: Mixture | None) -> None:
        self._root, self._rows, self._samples, self._hashes = str(path), rows, samples, hashes
        self._shard_bits = exchange.bits_for(rows, root.IMAGES_PER_SHARD)
        self._part_bits = min(self._shard_bits, exchange.bits_for(rows, PART_ROWS))
        self._names = {manifest.hub_name: name for name, manifest in manifests.load_all().items()}

    def write(self) -> None:
        """Write all commits."""
        with root.writer(self._root, "benchmark"):
            root.create(self._root, self._shard_bits)
            work = root.work_folder(self._root, "benchmark")
            storage.make_folder(work)
            runs = self._pairs(work)
            self._by_image(work, runs)
            storage.remove_tree(work)

    def _pairs(self, work: str) -> pa.RecordBatch:
        """Commit the pairs of each source; return the `RUNS` of all pairs by part."""
        run = exchange.RunWriter(work, PAIRS, self._part_bits)
        waiting: dict[str, list[pa.RecordBatch]] = {source: [] for source in SHARES}
        files: dict[str, list[File]] = {source: [] for source in SHARES}
        kept: Counter[str] = Counter()
        made = Rows(self._samples)
        for number, start in enumerate(range(0, self._rows, CHUNK)):
            rows = self._curated(made.chunk(number, min(CHUNK, self._rows - start)))
            run.add(rows, "image_id")
            for source, some in waiting.items():
                some.append(rows.filter(pc.equal(rows["source"], source)))
                kept[source] += some[-1].num_rows
                if sum(batch.num_rows for batch in some) >= _FILE_ROWS or start + CHUNK >= self._rows:
                    files[source].append(self._put_pairs(source, len(files[source]), some))
                    some.clear()
        for source, some in files.items():
            self._commit(flow.CURATE.name, root.curate_folder(self._root, source), some, {source: Books(kept[source])})
        return run.close()

    def _curated(self, published: pa.Table) -> pa.RecordBatch:
        """Return generated rows as `PAIRS`."""
        known = {
            name: pa.array([bytes.fromhex(key) for key in published[name].to_pylist()], KEY)
            for name in ("pair_id", "image_id")
        }
        known["source"] = pa.array([self._names[name] for name in published["source"].to_pylist()])
        known["source_id"] = known["identity"] = published["pair_id"].combine_chunks()
        known |= {name: published[name].combine_chunks() for name in ("image_url", "text", "meta")}
        nothing = published.num_rows
        arrays = [
            known[field.name].cast(field.type) if field.name in known else pa.nulls(nothing, field.type)
            for field in PAIRS
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=PAIRS)

    def _put_pairs(self, source: str, number: int, some: Sequence[pa.RecordBatch]) -> File:
        table = pa.Table.from_batches(some).sort_by("pair_id")
        folder = root.curate_folder(self._root, source)
        return parquet_files.put_table(folder, f"pairs/{flow.part(number, 12)}", table, durable=False)

    def _by_image(self, work: str, runs: pa.RecordBatch) -> None:
        """Commit what later stages have left, part by part."""
        found: dict[str, list[File]] = {name: [] for name in ("views", "images", "groups", "left out")}
        books: dict[str, Counter[tuple[str, str]]] = {stage.name: Counter() for stage in flow.JUDGING[1:]}
        for part, some in exchange.by_partition([runs]):
            pairs = exchange.read(work, [some], PAIRS).sort_by([("image_id", "ascending"), ("pair_id", "ascending")])
            self._part(part, _Part.of(pairs.combine_chunks()), found, books)
        facts = {"part_bits": self._part_bits, "fetch_shard_bits": self._shard_bits}
        of_stage = {stage: _books(counts) for stage, counts in books.items()}
        for stage, folder, files in (
            (flow.IMAGES, root.views_folder(self._root), found["views"]),
            (flow.IMAGES, root.images_folder(self._root), found["images"]),
            (flow.FETCH, root.fetch_rejected_folder(self._root), []),
            (flow.DEDUPE, root.dedupe_folder(self._root), found["groups"]),
            (flow.SHARD, root.shards_folder(self._root, "rejected"), found["left out"]),
        ):
            self._commit(stage.name, folder, files, of_stage[stage.name], facts if stage == flow.IMAGES else {})

    def _part(
        self, number: int, part: _Part, found: dict[str, list[File]], books: dict[str, Counter[tuple[str, str]]]
    ) -> None:
        name = flow.part(number, self._part_bits)
        for key, folder, prefix, table in (
            ("views", root.views_folder(self._root), f"pairs/{name}", part.views()),
            ("images", root.images_folder(self._root), name, part.images(self._shard_bits)),
            ("groups", root.dedupe_folder(self._root), f"groups/{name}", part.groups()),
            ("left out", root.shards_folder(self._root, "rejected"), name, part.left_out()),
        ):
            found[key].append(parquet_files.put_table(folder, prefix, table, durable=False))
        ledger = part.ledger() if self._hashes is None else _with_hashes(part.ledger(), self._hashes)
        numbers = exchange.partitions(ledger["image_id"], self._shard_bits)
        for shard in np.unique(numbers).tolist():
            self._generation(shard, ledger.filter(pa.array(numbers == shard)))
        for stage, counts in part.books():
            books[stage].update(counts)

    def _generation(self, shard: int, ledger: pa.Table) -> None:
        folder = root.ledger_folder(self._root, shard, 0)
        file = parquet_files.put_table(folder, "ledger", ledger.rename_columns(LEDGER_FILE.names), durable=False)
        self._commit(
            flow.FETCH.name,
            folder,
            [file],
            {"all": Books(1)},
            store.facts(shard, 0, is_hashed=self._hashes is not None),
        )

    def _commit(
        self,
        stage: str,
        folder: str,
        files: Sequence[File],
        books: dict[str, Books],
        facts: dict[str, Any] | None = None,
    ) -> None:
        content = Commit(stage, tuple(files), books, commits.options_hash(folder), {commits.EPOCH: 1}, facts or {})
        storage.put(storage.join(folder, commits.STAGE_FILE), commits.to_json(content))


@dataclasses.dataclass(frozen=True)
class _Part:
    """Pairs of a part by image, and what becomes of them.

    Attributes:
        pairs: `PAIRS`, in order of (image_id, pair_id).
        fate: Place in `FATES` of each pair's image; their number where it stays.
        copy: Whether it is a copy of another.
        out: Whether the shards left the pair out.
    """

    pairs: pa.Table
    fate: Numbers
    copy: np.ndarray[Any, np.dtype[np.bool_]]
    out: np.ndarray[Any, np.dtype[np.bool_]]

    @classmethod
    def of(cls, pairs: pa.Table) -> _Part:
        """Draw what becomes of pairs, by the keys of their images and their own."""
        images, others = _drawn(pairs["image_id"], 1), _drawn(pairs["image_id"], 2)
        fate = np.searchsorted(np.cumsum(list(FATES.values())), images, "right")
        stays = fate == len(FATES)
        return cls(pairs, fate, stays & (others < _COPIES), stays & (_drawn(pairs["pair_id"], 3) < _LEFT_OUT))

    def views(self) -> pa.Table:
        """Return `VIEWS`."""
        kept = self.pairs.filter(pa.array(self.fate > 0))
        return exchange_table(kept, VIEWS)

    def _images(self, after: int = 1) -> pa.Table:
        """Return the images with a fate from some place on, each once: key, fate, copy, sources, URL."""
        columns = {"image_id": self.pairs["image_id"], "fate": self.fate, "copy": self.copy}
        columns |= {"source": self.pairs["source"], "url": self.pairs["image_url"]}
        some = pa.table(columns).filter(pa.array(self.fate >= after))
        by = some.group_by("image_id", use_threads=False)
        found = by.aggregate([("fate", "max"), ("copy", "max"), ("source", "distinct"), ("url", "first")])
        return found.rename_columns(["image_id", "fate", "copy", "sources", "url"]).sort_by("image_id").combine_chunks()

    def images(self, shard_bits: int) -> pa.Table:
        """Return `IMAGES`."""
        found = self._images()
        rows = found.num_rows
        kinds = pa.array(["original"] * rows)
        places = pa.StructArray.from_arrays([kinds, found["url"].combine_chunks()], names=["kind", "url"])
        locations = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1), pa.int32()), places)
        columns = {
            "image_id": found["image_id"],
            "identity": found["url"],
            "locations": locations.cast(IMAGES.field("locations").type),
            "sources": found["sources"],
            "has_region": pa.repeat(pa.scalar(False), rows),
            "fetch_shard": pa.array(exchange.partitions(found["image_id"], shard_bits)),
        }
        return pa.table([columns[name] for name in IMAGES.names], schema=IMAGES)

    def ledger(self) -> pa.Table:
        """Return `LEDGER`."""
        found = self._images()
        rows = found.num_rows
        fate = found["fate"].to_numpy()
        words = pa.array([*FATES, "ok"]).take(pa.array(np.where(fate >= 3, len(FATES), fate)))
        drawn = _drawn(found["image_id"], 4)
        columns = {
            "image_id": found["image_id"],
            "status": words,
            "location": found["url"],
            "bytes": pa.array(drawn * 200 + 5000),
            "sha256": pc.binary_join_element_wise(
                found["image_id"].cast(pa.binary()), found["image_id"].cast(pa.binary()), b""
            ).cast(pa.binary(32)),
            "width_px": pa.array(drawn + 100, pa.int32()),
            "height_px": pa.array(1200 - drawn, pa.int32()),
            "format": pa.repeat(pa.scalar("jpeg"), rows),
            "stored_form": pa.repeat(pa.scalar("resized"), rows),
            "generation": pa.array(np.zeros(rows), pa.int32()),
        }
        there = pc.equal(words, "ok")
        for name in ("bytes", "sha256", "width_px", "height_px", "format", "stored_form"):
            columns[name] = pc.if_else(there, columns[name], pa.scalar(None, columns[name].type))
        return exchange_table(pa.table(columns), LEDGER)

    def groups(self) -> pa.Table:
        """Return `GROUPS`: images that leave, and copies of others."""
        found = self._images(3)
        leaves = found["fate"].to_numpy() == 3
        copy = found["copy"].to_numpy(zero_copy_only=False)
        another = found["image_id"].take(pa.array(np.roll(np.arange(found.num_rows), 1)))
        rows = pa.table(
            {
                "image_id": found["image_id"],
                "kept_id": pc.if_else(pa.array(leaves), found["image_id"], another),
                "relation": pa.array(np.where(leaves, "repeated_bytes", "near_duplicate")),
                "distance": pa.array(np.zeros(len(leaves)), pa.int32()),
                "stands_id": pc.if_else(pa.array(leaves), pa.scalar(None, KEY), another),
            }
        )
        return exchange_table(rows.filter(pa.array(leaves | copy)), GROUPS)

    def left_out(self) -> pa.Table:
        """Return `REJECTED` of the shards."""
        some = self.pairs.filter(pa.array(self.out)).select(["source", "source_id", "pair_id", "image_id"])
        for name, value in (("stage", flow.SHARD.name), ("reason", "crop_too_small")):
            some = some.append_column(name, pa.repeat(pa.scalar(value), some.num_rows))
        return exchange_table(some, REJECTED)

    def books(self) -> Iterator[tuple[str, Counter[tuple[str, str]]]]:
        """Yield stages, and (source, reason) → pairs; the reason of those that are kept is ""."""
        reasons = [*FATES]
        for stage, here in (
            (flow.IMAGES.name, reasons[:1]),
            (flow.FETCH.name, reasons[1:3]),
            (flow.DEDUPE.name, reasons[3:]),
        ):
            came = self.fate >= reasons.index(here[0])
            names = np.array([*reasons, ""], dtype=object)[self.fate]
            yield (
                stage,
                self._counted(came, np.where(np.isin(self.fate, [reasons.index(one) for one in here]), names, "")),
            )
        stays = self.fate == len(FATES)
        yield flow.SHARD.name, self._counted(stays, np.where(self.out, "crop_too_small", ""))

    def _counted(self, some: Any, reasons: Any) -> Counter[tuple[str, str]]:
        sources = self.pairs["source"].to_numpy(zero_copy_only=False)
        return Counter(zip(sources[some].tolist(), reasons[some].tolist(), strict=True))


def _with_hashes(ledger: pa.Table, hashes: Mixture) -> pa.Table:
    """Return `LEDGER` with a perceptual hash of each picture."""
    there = pc.equal(ledger["status"], "ok")
    made = pa.py_buffer(hashes.block(ledger.num_rows)[0].tobytes())
    for name, values in (
        ("perceptual_hash", pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), ledger.num_rows, [None, made])),
        ("hashed_form", pa.scalar("resized")),
    ):
        place = LEDGER.get_field_index(name)
        column = pc.if_else(there, values, pa.scalar(None, LEDGER.field(name).type))
        ledger = ledger.set_column(place, LEDGER.field(name), column)
    return ledger


def exchange_table(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows under a schema; columns that they lack are null."""
    return pa.Table.from_batches([exchange.widen(rows, schema)])


def _books(counts: Counter[tuple[str, str]]) -> dict[str, Books]:
    found: dict[str, Books] = {}
    for (source, reason), count in sorted(counts.items()):
        more = Books(0, {reason: count}) if reason else Books(count)
        found[source] = found.get(source, Books()) + more
    return found


def _drawn(ids: pa.ChunkedArray, salt: int) -> Numbers:
    """Return a number below a thousand for each key, the same for equal keys."""
    raw = np.frombuffer(ids.combine_chunks().cast(pa.binary(16)).buffers()[1], dtype="<u8")
    words = raw.reshape(-1, 2)[:, 0][: len(ids)] ^ np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    return (mixed(words) % np.uint64(1000)).astype(np.int64)
