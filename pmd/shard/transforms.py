"""Shards on Beam: views meet by window → ordered samples → equal shards."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import flow
from pmd.config.asked import Asked
from pmd.dedupe import left
from pmd.engines.committing import Target, target
from pmd.engines.partitions import part_of
from pmd.engines.transforms import Collected, Spreads, outputs
from pmd.fetch.generations import refusals
from pmd.fetch.ledger import partitions, reading
from pmd.images import rules as images_rules
from pmd.shard import patching, samples, windows, writing
from pmd.store import commits, exchange, parquet_files, sealed, storage
from pmd.store.exchange import Rows
from pmd.store.proposals import Proposal
from pmd.store.wanted import Wanted
from pmd.text import urls

WINDOWS = pa.schema(
    [
        pa.field("window", pa.int32(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("samples", pa.int64(), nullable=False),
        pa.field("outputs", pa.binary(), nullable=False),  # OUTPUTS: the rejected pairs' file, and the books
    ]
)

SHARDS = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("of", pa.int32(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64(), nullable=False),
        pa.field("rank", pa.int64(), nullable=False),  # of `start` in the shard
        pa.field("samples", pa.int64(), nullable=False),  # of the whole shard
    ]
)

#: A shard of one format that is written where others stay: one row a slice.
PATCHES = pa.schema(
    [
        pa.field("form", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64(), nullable=False),
    ]
)


@dataclasses.dataclass(frozen=True)
class SpreadViews(Spreads):
    """Write the views of a part that are left, under the images that stand for theirs, to a run."""

    root: str
    cut: partitions.Cut
    bits: int
    work: str

    kinds = exchange.one_kind(samples.SAMPLE_ROWS)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """PARTS of one row → `SAMPLE_ROWS`, with their windows."""
        part = part_of(batch)
        kept = left.views(self.root, part, partitions.read_ledger(self.root, self.cut.shards(part)))
        stands = kept["stands_id"].combine_chunks()
        columns = {name: kept[name] for name in samples.SAMPLE_ROWS.names if name in kept.schema.names} | {
            "image_id": stands,
            "is_merged": pc.not_equal(stands, kept["image_id"].combine_chunks()),
            "own_id": pc.coalesce(kept["own_id"], kept["image_id"]),
            "image_url": urls.handed_on(kept["image_url"]),
        }
        rows = pa.table(columns).select(samples.SAMPLE_ROWS.names).cast(samples.SAMPLE_ROWS)
        yield from exchange.by_key(rows.combine_chunks().to_batches(), "image_id", self.bits)


@dataclasses.dataclass(frozen=True)
class OrderWindow:
    """Order a window's samples; write them and the rejected pairs."""

    root: str
    cut: partitions.Cut
    bits: int
    asked: Asked
    rejected_folder: str
    work: str
    stored_long_side_px: int | None = None

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(window, all its RUNS) → WINDOWS."""
        window, references = keyed
        ledger = partitions.read_ledger(self.root, self.cut.shards(window, self.bits))
        # Rows are held by nobody here: samples are written, as a whole, when they are gone.
        read = exchange.read(self.work, references, samples.SAMPLE_ROWS)
        ordered = samples.order(read, ledger, self.asked, self.stored_long_side_px)
        del read, ledger
        path = storage.join(
            self.work, parquet_files.put_table(self.work, f"samples-{window:05d}", ordered.samples, durable=False).name
        )
        name = flow.part(window, self.bits)
        files = (
            [parquet_files.put_table(self.rejected_folder, name, ordered.rejected)] if ordered.rejected.num_rows else []
        )
        books = images_rules.count_books(ordered.kept, ordered.rejected)
        described = outputs([dataclasses.replace(file, name=f"rejected:{file.name}") for file in files], books)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, described.schema) as writer:
            writer.write_batch(described)
        yield pa.RecordBatch.from_pylist(
            [
                {
                    "window": window,
                    "path": path,
                    "samples": ordered.samples.num_rows,
                    "outputs": sink.getvalue().to_pybytes(),
                }
            ],
            schema=WINDOWS,
        )


@dataclasses.dataclass(frozen=True)
class CutShards:
    """Turn the windows' counts into shards of equal size, and these into tasks (`pmd.shard.windows`)."""

    asked: Asked
    work: str
    by_window: bool = False

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(0, all WINDOWS) → SHARDS, one batch a task, one row a slice."""
        found = sorted((row for batch in keyed[1] for row in batch.to_pylist()), key=lambda row: row["window"])
        counts = [row["samples"] for row in found]
        of_shards = samples.sizes(sum(counts), self.asked)
        shards = samples.cut_ranks(counts, of_shards)
        task_of = windows.tasks(counts, windows.SHARDS_A_TASK * max(of_shards, default=1))
        tasks: dict[int, list[dict[str, Any]]] = {}
        for shard, slices in enumerate(shards):
            rank = 0
            for window, start, stop in slices:
                row = {"shard": shard, "of": len(shards), "path": found[window]["path"], "start": start, "stop": stop}
                row |= {"rank": rank, "samples": sum(end - first for _, first, end in slices)}
                tasks.setdefault(task_of[window] if self.by_window else shard, []).append(row)
                rank += stop - start
        for rows in tasks.values():
            yield pa.RecordBatch.from_pylist(rows, schema=SHARDS)


def by_shard(batch: pa.RecordBatch) -> tuple[int, pa.RecordBatch]:
    """Key SHARDS of one shard by it."""
    return batch["shard"][0].as_py(), batch


def joined(keyed: tuple[int, Iterable[pa.RecordBatch]]) -> pa.RecordBatch:
    """(shard, the SHARDS that tasks hand on of it) → SHARDS of the shard, in order; what a rerun handed on again counts once."""
    rows = {row["rank"]: row for batch in keyed[1] for row in batch.to_pylist()}
    return pa.RecordBatch.from_pylist([rows[rank] for rank in sorted(rows)], schema=SHARDS)


@dataclasses.dataclass(frozen=True)
class WriteShard:
    """Write a task's shards in every format; pictures that turn out to be none are left for the driver, and no file.

    Of a shard of which the task has a part, the part is handed on.
    """

    root: str
    folders: tuple[tuple[str, str], ...]
    tag: str
    asked: Asked
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """SHARDS of one task → OUTPUTS, whose names start with the format, and SHARDS of what it hands on."""
        slices = batch.to_pylist()
        ordered = _ordered(slices)
        shards = {number: (rows[0], _joined(ordered, rows)) for number, rows in _by_number(slices).items()}
        places = pa.concat_tables([table.select(list(reading.COLUMNS)) for _, table in shards.values()])
        with reading.Pictures(self.root, places) as pictures:
            for number, (first, table) in shards.items():
                if table.num_rows < first["samples"]:
                    path = windows.hand_on(self.root, self.work, table, pictures)
                    part = first | {"path": path, "start": 0, "stop": table.num_rows}
                    yield pa.RecordBatch.from_pylist([part], schema=SHARDS)
                else:
                    name = name_of(number, first["of"], self.tag)
                    yield from _written(dict(self.folders), name, table, pictures, self.asked, self.work)


@dataclasses.dataclass(frozen=True)
class CutPatches:
    """Turn the windows' samples into the shards in which a place has changed hands (`patching`), format by format.

    Where there are more new samples than places, all are cut anew.
    """

    folders: tuple[tuple[str, str], ...]
    tag: str
    asked: Asked
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(0, all WINDOWS) → PATCHES, one batch a shard, one row a slice; and OUTPUTS of the shards that stay."""
        windows = sorted((row for batch in keyed[1] for row in batch.to_pylist()), key=lambda row: row["window"])
        counts = [row["samples"] for row in windows]
        now = patching.Layout.joined([patching.of_samples(row["path"]) for row in windows])
        for form, folder in self.folders:
            files = patching.shards_of(commits.require(folder, f"run: {flow.SHARD.command}"))
            before = patching.Layout.joined([patching.read(folder, file) for file in files])
            planned = patching.plan([file.rows for file in files], before, now)
            if planned is None:
                yield from self._anew(form, windows, counts)
                continue
            kept, patches = planned
            yield outputs([dataclasses.replace(files[at], name=f"{form}:{files[at].name}") for at in kept])
            for patch in patches:
                name = patching.renamed(files[patch.file].name, self.tag)
                yield self._patch(form, name, windows, patching.runs(patch.samples, counts))

    def _anew(self, form: str, windows: list[dict[str, Any]], counts: list[int]) -> Iterator[pa.RecordBatch]:
        shards = samples.cut_ranks(counts, samples.sizes(sum(counts), self.asked))
        for shard, slices in enumerate(shards):
            yield self._patch(form, name_of(shard, len(shards), self.tag), windows, slices)

    def _patch(
        self, form: str, name: str, windows: list[dict[str, Any]], slices: Iterable[tuple[int, int, int]]
    ) -> pa.RecordBatch:
        rows = [
            {"form": form, "name": name, "path": windows[window]["path"], "start": start, "stop": stop}
            for window, start, stop in slices
        ]
        return pa.RecordBatch.from_pylist(rows, schema=PATCHES)


@dataclasses.dataclass(frozen=True)
class WritePatch:
    """Write one shard of one format; as `WriteShard` else."""

    root: str
    folders: tuple[tuple[str, str], ...]
    asked: Asked
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """PATCHES of one shard → OUTPUTS; names start with the format."""
        slices = batch.to_pylist()
        form, name = slices[0]["form"], slices[0]["name"]
        table = _joined(_ordered(slices), slices)
        folders = {form: dict(self.folders)[form]}
        with reading.Pictures(self.root, table.select(list(reading.COLUMNS))) as pictures:
            yield from _written(folders, name, table, pictures, self.asked, self.work)


def name_of(shard: int, of: int, tag: str) -> str:
    """Return the name of a shard, without its extension."""
    return f"{shard:05d}-of-{of:05d}-{tag}"


def _written(
    folders: dict[str, str],
    name: str,
    table: pa.Table,
    pictures: reading.Pictures,
    asked: Asked,
    work: str,
) -> Iterator[pa.RecordBatch]:
    try:
        written = writing.write_samples(folders, name, writing.load(pictures, table, asked))
    except refusals.Undecodable as undecodable:
        refusals.leave(work, undecodable.refusals)
        return
    yield outputs([dataclasses.replace(file, name=f"{form}:{file.name}") for form, file in written.items()])


def _by_number(slices: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in slices:
        found.setdefault(row["shard"], []).append(row)
    return found


@dataclasses.dataclass(frozen=True)
class _Samples:
    """Samples of a window's file: those from `first` on."""

    first: int
    table: pa.Table

    def rows(self, start: int, stop: int) -> pa.Table:
        """Return some, by their places in the file."""
        return self.table.slice(start - self.first, stop - start)


def _ordered(slices: Iterable[dict[str, Any]]) -> dict[str, _Samples]:
    """Return of each file that slices are of the samples that these have: a shard has few of a window's."""
    wanted: dict[str, tuple[int, int]] = {}
    for row in slices:
        start, stop = wanted.get(row["path"], (row["start"], row["stop"]))
        wanted[row["path"]] = min(start, row["start"]), max(stop, row["stop"])
    return {path: _read(path, start, stop) for path, (start, stop) in wanted.items()}


def _joined(ordered: Mapping[str, _Samples], slices: Iterable[dict[str, Any]]) -> pa.Table:
    """Return the samples of slices, one after the other."""
    return pa.concat_tables([ordered[row["path"]].rows(row["start"], row["stop"]) for row in slices])


def _read(path: str, start: int, stop: int) -> _Samples:
    """Return the row groups of a file that have some rows."""
    with sealed.open_checked(path) as file:
        parquet = pq.ParquetFile(file)
        ends = list(
            itertools.accumulate(parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups))
        )
        first = bisect.bisect_right(ends, start)
        groups = range(first, min(bisect.bisect_left(ends, stop) + 1, len(ends)))
        return _Samples(ends[first - 1] if first else 0, parquet.read_row_groups([*groups], use_threads=False))


def window_outputs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the OUTPUTS that a batch of WINDOWS carries."""
    with pa.ipc.open_stream(batch["outputs"][0].as_py()) as reader:
        return reader.read_next_batch()


def with_sizes(proposal: Proposal, found: Collected) -> Proposal:
    """Return a proposal with a `sizes.json`, which WebDataset's readers look for, and what tells `datasets` that it is no data.

    To Parquet's readers these would be files that are none of theirs, and theirs tell their rows.
    """
    fixed = {flow.SIZES: writing.sizes(proposal.commit.files), flow.DATA_FILES: writing.tars(proposal.commit.files)}
    return dataclasses.replace(proposal, fixed=fixed)


def targets(wanted: Iterable[Wanted]) -> tuple[Target, ...]:
    """Return what is committed: the rejected pairs, then each format."""
    return tuple(
        target(item, kind=item.unit, complete=with_sizes if item.unit == "webdataset" else None) for item in wanted
    )
