"""Images on Beam: files of pairs → rows that meet by image → files of images and views, cut alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from pmd import flow
from pmd.config import scores
from pmd.config.asked import Asked
from pmd.engines.committing import Target, target
from pmd.engines.transforms import Spreads, outputs
from pmd.images import archived, beside
from pmd.images import rules as images_rules
from pmd.store import exchange, parquet_files
from pmd.store.exchange import Rows
from pmd.store.wanted import Wanted
from pmd.suppression import kept_out

PAIR_FILES = pa.schema([pa.field("source", pa.string(), nullable=False), pa.field("path", pa.string(), nullable=False)])


def file_batch(files: Iterable[tuple[str, str]]) -> pa.RecordBatch:
    """Return files of pairs, each with its source, as a unit."""
    return pa.RecordBatch.from_pylist([{"source": source, "path": path} for source, path in files], schema=PAIR_FILES)


@dataclasses.dataclass(frozen=True)
class SpreadByImage(Spreads):
    """Read files of pairs in batches, give each row its image, write them to a run."""

    work: str
    bits: int
    asked: Asked
    takedown: images_rules.Takedown
    indexes: tuple[tuple[str, str], ...]  # source → index file, where it has archives
    aliases: str
    held_out: str  # file of the keys of evaluation images, end to end
    scores: tuple[scores.Held, ...] = ()
    kept_out: tuple[str, ...] = ()  # files of what sources have kept of rows that suppression lists keep out
    suppression: tuple[tuple[str, str], ...] = ()  # these lists (`lists.digests`)

    kinds = exchange.one_kind(images_rules.IMAGE_ROWS)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """PAIR_FILES → `IMAGE_ROWS`, with their partitions."""
        yield from exchange.by_key(self._rows(batch.to_pylist()), "image_id", self.bits)

    def _rows(self, files: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        for file in files:
            index_file = dict(self.indexes).get(file["source"])
            for pairs in parquet_files.iterate(file["path"], images_rules.NEEDED):
                yield images_rules.spread(
                    pairs,
                    self.asked,
                    aliases=beside.read_aliases(self.aliases),
                    index=beside.read_index(index_file) if index_file else archived.NO_FILES,
                    takedown=self.takedown,
                    kept_out=kept_out.read(self.kept_out, self.suppression),
                    held_out=beside.read_held_out(self.held_out),
                    verdicts=[beside.verdicts(held) for held in self.scores],
                )


@dataclasses.dataclass(frozen=True)
class GatherPartition:
    """Read a partition's rows back, gather them, write its files of images, views and rejected rows."""

    images_folder: str
    views_folder: str
    bits: int
    shard_bits: int
    asked: Asked
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → OUTPUTS; names start with the folder they are in: `images` or `views`."""
        partition, references = keyed
        rows = exchange.read(self.work, references, images_rules.IMAGE_ROWS)
        gathered = images_rules.gather(rows, self.shard_bits, self.asked)
        part = flow.part(partition, self.bits)
        files = []
        for folder, name, table in (
            (self.images_folder, part, gathered.images),
            (self.views_folder, f"pairs/{part}", gathered.views),
            (self.views_folder, f"rejected/{part}", gathered.rejected),
        ):
            if table.num_rows:
                file = parquet_files.put_table(folder, name, table)
                kind = "images" if folder == self.images_folder else "views"
                files.append(dataclasses.replace(file, name=f"{kind}:{file.name}"))
        yield outputs(files, gathered.books())


def targets(wanted: Wanted, views_folder: str, bits: int, shard_bits: int) -> tuple[Target, ...]:
    """Return what is committed: the views, then the images."""
    facts = {"part_bits": bits, "fetch_shard_bits": shard_bits}
    return (
        target(wanted, folder=views_folder, kind="views", facts=facts),
        target(wanted, kind="images", facts=facts),
    )
