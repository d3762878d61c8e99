"""Near-duplicate captions on Beam: the steps of `pmd.dedupe.near_texts`, between which rows meet in run files.

Texts stand in sorted files of the run, one a partition, whose rows are looked up where texts are compared. A worker holds one
partition of texts, of bands or of proposals. What is asked of a text that very many resemble is read in pieces.
The election is one worker's: it reads the links partition by partition, and keeps 16 bytes of each text that joins another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import pyarrow as pa

from pmd import flow
from pmd.config.asked import Asked
from pmd.dedupe import captions, near_texts
from pmd.dedupe.transforms import kept_texts
from pmd.engines.partitions import part_of
from pmd.engines.transforms import outputs
from pmd.fetch import partitions
from pmd.schema.tables import NEAR_TEXTS
from pmd.store import commits, exchange, storage
from pmd.text import neighbours

#: Rows with a form that are verified at once, in bytes.
_VERIFIED_BYTES = 32 * 2**20


@dataclasses.dataclass(frozen=True)
class Files:
    """The sorted files of a run: of each partition its texts, and where they stand."""

    work: str

    def write(self, partition: int, rows: pa.Table, texts: pa.Table) -> None:
        """Write a partition's `OCCURRENCES` without forms, and its `TEXTS`."""
        exchange.write_sorted(self._path("texts", partition), texts)
        exchange.write_sorted(self._path("stands", partition), rows.select(captions.STANDS.names).sort_by("text_id"))

    def texts(self, partition: int, ids: pa.ChunkedArray) -> pa.Table:
        """Return the `TEXTS` of a partition with some keys."""
        return exchange.read_sorted(self._path("texts", partition), near_texts.TEXTS, ids)

    def stands(self, partition: int) -> pa.Table:
        """Return the `captions.STANDS` of a partition, which may have none."""
        path = self._path("stands", partition)
        tables = [pa.Table.from_batches([batch]) for batch in commits.iterate(path)] if storage.exists(path) else []
        return pa.concat_tables([captions.STANDS.empty_table(), *(table.cast(captions.STANDS) for table in tables)])

    def _path(self, what: str, partition: int) -> str:
        return storage.join(self.work, f"{what}-{partition:05d}.parquet")


@dataclasses.dataclass(frozen=True)
class SpreadOccurrences:
    """Write where the texts of a part's pairs that are left stand to a run."""

    root: str
    cut: partitions.Cut
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """PARTS of one row, whose groups stand → RUNS."""
        kept, texts = kept_texts(self.root, self.cut, part_of(batch), self.work)
        rows = near_texts.occurrences(texts, kept["text"]).combine_chunks()
        yield from exchange.write(self.work, near_texts.OCCURRENCES, self.cut.part_bits, rows.to_batches(), "text_id")


@dataclasses.dataclass(frozen=True)
class SpreadBands:
    """Bring the texts of a partition together in its files; write their bands to a run."""

    bands: neighbours.Bands
    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of texts, all its RUNS) → RUNS."""
        partition, references = keyed
        rows = exchange.read(self.work, references, near_texts.OCCURRENCES)
        texts = near_texts.texts(rows)
        Files(self.work).write(partition, rows, texts)
        del rows
        banded = near_texts.band_keys(texts, self.bands)
        yield from exchange.write(self.work, near_texts.BANDED, self.bits, banded, "band")


@dataclasses.dataclass(frozen=True)
class Propose:
    """Write the pairs of texts of a partition of bands that are to be compared to a run."""

    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of bands, all its RUNS) → RUNS."""
        proposed = near_texts.proposals(exchange.read(self.work, keyed[1], near_texts.BANDED))
        yield from exchange.write(self.work, near_texts.PROPOSED, self.bits, proposed, "text_id")


@dataclasses.dataclass(frozen=True)
class Ask:
    """Write each proposal of a partition once, with the form of its later text, to a run."""

    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of later texts, all its RUNS) → RUNS."""
        partition, references = keyed
        rows = exchange.read(self.work, references, near_texts.PROPOSED)
        known = Files(self.work).texts(partition, rows["text_id"])
        yield from exchange.write(self.work, near_texts.ASKED, self.bits, near_texts.asked(rows, known), "earlier")


@dataclasses.dataclass(frozen=True)
class Verify:
    """Compare what is asked of a partition's texts; write the links to a run."""

    asked: Asked
    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of earlier texts, all its RUNS) → RUNS."""
        yield from exchange.write(self.work, near_texts.LINKS, self.bits, self._links(*keyed), "text_id")

    def _links(self, partition: int, references: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files, threshold = Files(self.work), self.asked.dedupe.near_texts
        assert threshold is not None
        for rows in _pieces(exchange.iterate(self.work, references, near_texts.ASKED)):
            known = files.texts(partition, rows["earlier"])
            yield from near_texts.verified(rows, known, threshold).to_batches()


def _pieces(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables together until there are some bytes of them."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(table.nbytes for table in waiting) >= _VERIFIED_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


@dataclasses.dataclass(frozen=True)
class ElectTexts:
    """Hold the election among all texts that are linked; write who has joined whom to a run."""

    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(0, all RUNS of links) → RUNS."""
        linked = (
            (partition, exchange.read(self.work, [runs], near_texts.LINKS))
            for partition, runs in exchange.by_partition(keyed[1])
        )
        members = (batch for table in near_texts.elect(linked, self.bits) for batch in table.to_batches())
        yield from exchange.write(self.work, near_texts.MEMBERS, self.bits, members, "text_id")


@dataclasses.dataclass(frozen=True)
class GroupTexts:
    """Write the groups of a partition's texts; where texts are capped, write what counts together to a run."""

    folder: str
    bits: int
    asked: Asked
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of texts, its PARTS of one row and its RUNS of `ElectTexts`) → OUTPUTS, RUNS."""
        partition, batches = keyed
        runs = [batch for batch in batches if batch.schema == exchange.RUNS]
        found = NEAR_TEXTS.empty_table()
        if runs:
            members = exchange.read(self.work, runs, near_texts.MEMBERS)
            found = near_texts.groups(Files(self.work).texts(partition, members["text_id"]), members)
            name = f"near_texts/{flow.part(partition, self.bits)}"
            yield outputs([commits.put_table(self.folder, name, found)])
        if self.asked.dedupe.max_images_per_text is not None:
            grouped = found if self.asked.dedupe.near_texts_action == "cap" else NEAR_TEXTS.empty_table()
            rows = near_texts.capped(Files(self.work).stands(partition), grouped).combine_chunks()
            yield from exchange.write(self.work, captions.TEXTS, self.bits, rows.to_batches(), "text_id")
