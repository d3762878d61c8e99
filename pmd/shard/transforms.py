"""Shards on Beam: views meet by window in run files → ordered samples → equal shards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pmd import flow
from pmd.config.options import ShardOptions
from pmd.dedupe import rules as dedupe_rules
from pmd.engines.committing import Target, target
from pmd.engines.partitions import part_of
from pmd.engines.transforms import Collected, outputs
from pmd.fetch import partitions, refusals
from pmd.images import rules as images_rules
from pmd.shard import patching, samples, writing
from pmd.store import commits, exchange, sealed, storage
from pmd.store.proposals import Proposal
from pmd.store.wanted import Wanted

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
class SpreadViews:
    """Write the views of a part that are left, under the images that stand for theirs, to a run."""

    root: str
    cut: partitions.Cut
    bits: int
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """PARTS of one row → RUNS."""
        part = part_of(batch)
        groups = dedupe_rules.read_groups(self.root)
        ledger = partitions.read_ledger(self.root, self.cut.shards(part))
        kept, _ = dedupe_rules.judge_again(self.root, part, partitions.read_views(self.root, part), ledger, groups)
        ids = dedupe_rules.kept_ids(kept["image_id"], groups)
        rows = kept.set_column(0, "image_id", ids).select(samples.SAMPLE_ROWS.names).cast(samples.SAMPLE_ROWS)
        pieces = rows.combine_chunks().to_batches()
        yield from exchange.write(self.work, samples.SAMPLE_ROWS, self.bits, pieces, "image_id")


@dataclasses.dataclass(frozen=True)
class OrderWindow:
    """Order a window's samples; write them and the rejected pairs."""

    root: str
    cut: partitions.Cut
    bits: int
    options: ShardOptions
    seed: int
    rejected_folder: str
    work: str
    stored_long_side_px: int | None = None

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(window, all its RUNS) → WINDOWS."""
        window, references = keyed
        rows = exchange.read(self.work, references, samples.SAMPLE_ROWS)
        ledger = partitions.read_ledger(self.root, self.cut.shards(window, self.bits))
        ordered = samples.order(rows, ledger, self.options, self.seed, self.stored_long_side_px)
        path = storage.join(
            self.work, commits.put_table(self.work, f"samples-{window:05d}", ordered.samples, durable=False).name
        )
        name = flow.part(window, self.bits)
        files = [commits.put_table(self.rejected_folder, name, ordered.rejected)] if ordered.rejected.num_rows else []
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
    """Turn the windows' counts into shards of equal size."""

    samples_per_shard: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(0, all WINDOWS) → SHARDS, one batch a shard, one row a slice."""
        windows = sorted((row for batch in keyed[1] for row in batch.to_pylist()), key=lambda row: row["window"])
        shards = samples.cut_ranks([row["samples"] for row in windows], self.samples_per_shard)
        for shard, slices in enumerate(shards):
            yield pa.RecordBatch.from_pylist(
                [
                    {
                        "shard": shard,
                        "of": len(shards),
                        "path": windows[window]["path"],
                        "start": start,
                        "stop": stop,
                    }
                    for window, start, stop in slices
                ],
                schema=SHARDS,
            )


@dataclasses.dataclass(frozen=True)
class WriteShard:
    """Write one shard in every format; pictures that turn out to be none are left for the driver, and no file."""

    root: str
    folders: tuple[tuple[str, str], ...]
    tag: str
    options: ShardOptions
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """SHARDS of one shard → OUTPUTS; names start with the format."""
        slices = batch.to_pylist()
        name = name_of(slices[0]["shard"], slices[0]["of"], self.tag)
        yield from _written(self.root, dict(self.folders), name, slices, self.options, self.work)


@dataclasses.dataclass(frozen=True)
class CutPatches:
    """Turn the windows' samples into the shards in which a place has changed hands (`patching`), format by format.

    Where there are more new samples than places, all are cut anew.
    """

    folders: tuple[tuple[str, str], ...]
    tag: str
    samples_per_shard: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(0, all WINDOWS) → PATCHES, one batch a shard, one row a slice; and OUTPUTS of the shards that stay."""
        windows = sorted((row for batch in keyed[1] for row in batch.to_pylist()), key=lambda row: row["window"])
        counts = [row["samples"] for row in windows]
        now = patching.Layout.joined([patching.of_samples(row["path"]) for row in windows])
        for form, folder in self.folders:
            files = patching.shards_of(commits.require(folder, "run: pmd shard CONFIG"))
            before = patching.Layout.joined([patching.read(storage.join(folder, file.name)) for file in files])
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
        shards = samples.cut_ranks(counts, self.samples_per_shard)
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
    options: ShardOptions
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """PATCHES of one shard → OUTPUTS; names start with the format."""
        slices = batch.to_pylist()
        form = slices[0]["form"]
        yield from _written(
            self.root, {form: dict(self.folders)[form]}, slices[0]["name"], slices, self.options, self.work
        )


def name_of(shard: int, of: int, tag: str) -> str:
    """Return the name of a shard, without its extension."""
    return f"{shard:05d}-of-{of:05d}-{tag}"


def _written(
    root: str,
    folders: dict[str, str],
    name: str,
    slices: list[dict[str, Any]],
    options: ShardOptions,
    work: str,
) -> Iterator[pa.RecordBatch]:
    rows = pa.concat_tables([_slice(row["path"], row["start"], row["stop"]) for row in slices])
    try:
        written = writing.write_shard(root, folders, name, rows, options)
    except refusals.Undecodable as undecodable:
        refusals.leave(work, undecodable.refusals)
        return
    yield outputs([dataclasses.replace(file, name=f"{form}:{file.name}") for form, file in written.items()])


def _slice(path: str, start: int, stop: int) -> pa.Table:
    with sealed.open_checked(path) as file:
        return pq.ParquetFile(file).read(use_threads=False).slice(start, stop - start)


def window_outputs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the OUTPUTS that a batch of WINDOWS carries."""
    with pa.ipc.open_stream(batch["outputs"][0].as_py()) as reader:
        return reader.read_next_batch()


def with_sizes(proposal: Proposal, found: Collected) -> Proposal:
    """Return a proposal with a `sizes.json`, which WebDataset's readers look for.

    To Parquet's it would be a file that is none of theirs, and theirs tell their rows.
    """
    return dataclasses.replace(proposal, fixed={flow.SIZES: writing.sizes(proposal.commit.files)})


def targets(wanted: Iterable[Wanted]) -> tuple[Target, ...]:
    """Return what is committed: the rejected pairs, then each format."""
    return tuple(
        target(item, kind=item.unit, complete=with_sizes if item.unit == "webdataset" else None) for item in wanted
    )
