"""Curate on Beam: chunks of annotation files → run files → partitions of pairs and rejected rows."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from pmd import flow, sources
from pmd.config.asked import Asked
from pmd.curate.rules import judge, rename, resolve, suppressing
from pmd.engines import progress
from pmd.engines.committing import of_kind
from pmd.engines.transforms import Collected, Spreads, outputs
from pmd.schema.tables import JUDGED, KEPT_OUT, in_source_folder
from pmd.sources.contract import Chunk
from pmd.store import exchange, parquet_files
from pmd.store.exchange import Rows
from pmd.store.proposals import Proposal
from pmd.suppression import kept_out, lists

CHUNKS = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("form", pa.string(), nullable=False),
        pa.field("member", pa.string()),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("stop", pa.int64()),
        pa.field("companions", pa.list_(pa.string()), nullable=False),
    ]
)


def chunk_batch(chunk: Chunk) -> pa.RecordBatch:
    """Return a chunk as a batch of one row."""
    return pa.RecordBatch.from_pylist([dataclasses.asdict(chunk)], schema=CHUNKS)


def chunks_of(of: Mapping[str, Iterable[Chunk]]) -> list[pa.RecordBatch]:
    """Return the chunks of several sources, each as a batch of one row that names its source too."""
    return [
        batch.append_column("source", pa.array([source]))
        for source, chunks in sorted(of.items())
        for batch in map(chunk_batch, chunks)
    ]


def chunk_of(batch: pa.RecordBatch) -> Chunk:
    """Return the chunk of a batch of one row."""
    row = batch.to_pylist()[0]
    return Chunk(**{**row, "companions": tuple(row["companions"])})


@dataclasses.dataclass(frozen=True)
class ReadChunk:
    """Read a chunk, judge its drafts, write them to a run; give references by partition.

    Attributes:
        source: The source's name, of which its pairs' keys are made.
        options: Options of its reader.
        work: Where runs go.
        bits: There are 2**bits partitions.
        reader: What reads it, where that is not the module of its own name.
        names: Path of a file → how places name it in ROOT, where that differs.
    """

    source: str
    options: Any
    work: str
    bits: int
    reader: str | None = None
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """CHUNKS of one row → RUNS."""
        yield from exchange.write(self.work, JUDGED, self.bits, self.judged(batch), "key")

    def judged(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """CHUNKS of one row → `JUDGED`."""
        yield from self._judged(chunk_of(batch))

    def _judged(self, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        counts = progress.Counts(self.work, uuid.uuid4().hex)
        names = {path: self.names[path] for path in (chunk.path, *chunk.companions) if path in self.names}
        for drafts in sources.load(self.reader or self.source).read(chunk, self.options):
            yield rename(judge(self.source, drafts), names)
            counts.add(rows=len(drafts))
        counts.write()


@dataclasses.dataclass(frozen=True)
class ResolvePartition:
    """Read a partition's rows back, resolve their ids, write its files."""

    source: str
    asked: Asked
    folder: str
    bits: int
    work: str
    suppression: tuple[tuple[str, str], ...] = ()

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → OUTPUTS."""
        partition, references = keyed
        settled = resolve(self.source, exchange.read(self.work, references, JUDGED), self.asked)
        dropped, of_dropped = 0, KEPT_OUT.empty_table()
        if self.suppression:
            held = lists.read(self.suppression)
            left, gone = settled.parted(held)
            settled, dropped = left, gone.rows
            of_dropped = kept_out.of(held, gone.pairs, gone.rejected) if dropped else of_dropped
        part = flow.part(partition, self.bits)
        tables = {name: table.cast(in_source_folder(table.schema)) for name, table in settled.tables().items()}
        files = [
            parquet_files.put_table(self.folder, f"{name}/{part}", table)
            for name, table in (*tables.items(), (flow.KEPT_OUT, of_dropped))
            if table.num_rows
        ]
        yield outputs(files, {self.source: settled.books()}, [str(dropped)] if dropped else [])


@dataclasses.dataclass(frozen=True)
class ReadChunks(Spreads):
    """Read chunks of several sources.

    Attributes:
        of: Source → how its chunks are read.
        tables: How its partitions are numbered.
        work: Where runs go.
    """

    of: Mapping[str, ReadChunk]
    tables: exchange.Numbered
    work: str

    kinds = exchange.one_kind(JUDGED)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """A batch of `chunks_of` → `JUDGED`, with their partitions."""
        source = batch.column("source")[0].as_py()
        for judged in self.of[source].judged(batch.select(CHUNKS.names)):
            yield Rows(judged, self.tables.numbers(source, judged["key"]))


@dataclasses.dataclass(frozen=True)
class ResolvePartitions:
    """Resolve partitions of several sources.

    Attributes:
        of: Source → how its partitions are resolved.
        tables: How they are numbered.
        work: Where runs are.
    """

    of: Mapping[str, ResolvePartition]
    tables: exchange.Numbered
    work: str

    @property
    def partitions(self) -> int:
        """How many there are."""
        return len(self.tables)

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(number of a partition, all its RUNS) → OUTPUTS."""
        number, references = keyed
        source, partition = self.tables.place(number)
        for found in self.of[source]((partition, references)):
            yield of_kind(source, found)


def with_suppressed(proposal: Proposal, found: Collected) -> Proposal:
    """Return a proposal whose facts say how many rows suppression lists have kept out; nothing else of them is written down."""
    return dataclasses.replace(proposal, commit=suppressing(proposal.commit, sum(map(int, found.facts))))
