"""Near-duplicate captions on Beam: the steps of `pmd.dedupe.near_texts`, between which rows meet.

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
from pmd.engines.transforms import Spreads, SpreadsMet, outputs
from pmd.fetch.ledger import partitions
from pmd.schema.tables import NEAR_TEXTS
from pmd.store import exchange, parquet_files, storage
from pmd.store.exchange import Rows
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
        tables = (
            [pa.Table.from_batches([batch]) for batch in parquet_files.iterate(path)] if storage.exists(path) else []
        )
        return pa.concat_tables([captions.STANDS.empty_table(), *(table.cast(captions.STANDS) for table in tables)])

    def _path(self, what: str, partition: int) -> str:
        return storage.join(self.work, f"{what}-{partition:05d}.parquet")


@dataclasses.dataclass(frozen=True)
class SpreadOccurrences(Spreads):
    """Give where the texts of a part's pairs that are left stand."""

    root: str
    cut: partitions.Cut
    work: str

    kinds = exchange.one_kind(near_texts.OCCURRENCES)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """PARTS of one row, whose groups stand → `near_texts.OCCURRENCES`."""
        kept, texts = kept_texts(self.root, self.cut, part_of(batch), self.work)
        rows = near_texts.occurrences(texts, kept["text"]).combine_chunks()
        yield from exchange.by_key(rows.to_batches(), "text_id", self.cut.part_bits)


@dataclasses.dataclass(frozen=True)
class SpreadBands(SpreadsMet):
    """Bring the texts of a partition together in its files; give their bands.

    Attributes:
        bands: Which they are.
        bits: Of the partitions of texts.
        band_bits: Of the partitions of bands.
        work: The folder of the run.
    """

    bands: neighbours.Bands
    bits: int
    band_bits: int
    work: str

    kinds = exchange.one_kind(near_texts.BANDED)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition of texts, all its RUNS) → `near_texts.BANDED`."""
        partition, references = keyed
        rows = exchange.read(self.work, references, near_texts.OCCURRENCES)
        texts = near_texts.texts(rows)
        Files(self.work).write(partition, rows, texts)
        del rows
        yield from exchange.by_key(near_texts.band_keys(texts, self.bands), "band", self.band_bits)


@dataclasses.dataclass(frozen=True)
class Propose(Spreads):
    """Give the pairs of texts of a partition of bands that are to be compared."""

    bits: int
    band_bits: int
    work: str

    kinds = exchange.one_kind(near_texts.PROPOSED)

    @property
    def partitions(self) -> int:
        """How many there are."""
        return 1 << self.band_bits

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition of bands, all its RUNS) → `near_texts.PROPOSED`."""
        proposed = near_texts.proposals(exchange.read(self.work, keyed[1], near_texts.BANDED))
        yield from exchange.by_key(proposed, "text_id", self.bits)


@dataclasses.dataclass(frozen=True)
class Ask(SpreadsMet):
    """Give each proposal of a partition once, with the form of its later text."""

    bits: int
    work: str

    kinds = exchange.one_kind(near_texts.ASKED)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition of later texts, all its RUNS) → `near_texts.ASKED`."""
        partition, references = keyed
        rows = exchange.read(self.work, references, near_texts.PROPOSED)
        known = Files(self.work).texts(partition, rows["text_id"])
        yield from exchange.by_key(near_texts.asked(rows, known), "earlier", self.bits)


@dataclasses.dataclass(frozen=True)
class Verify(SpreadsMet):
    """Compare what is asked of a partition's texts; give the links."""

    asked: Asked
    bits: int
    work: str

    kinds = exchange.one_kind(near_texts.LINKS)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition of earlier texts, all its RUNS) → `near_texts.LINKS`."""
        yield from exchange.by_key(self._links(*keyed), "text_id", self.bits)

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
class ElectTexts(Spreads):
    """Hold the election among all texts that are linked; give who has joined whom."""

    bits: int
    work: str

    kinds = exchange.one_kind(near_texts.MEMBERS)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(0, all RUNS of links) → `near_texts.MEMBERS`."""
        linked = (
            (partition, exchange.read(self.work, [runs], near_texts.LINKS))
            for partition, runs in exchange.by_partition(keyed[1])
        )
        members = (batch for table in near_texts.elect(linked, self.bits) for batch in table.to_batches())
        yield from exchange.by_key(members, "text_id", self.bits)


@dataclasses.dataclass(frozen=True)
class GroupTexts(SpreadsMet):
    """Write the groups of a partition's texts; where texts are capped, give what counts together."""

    folder: str
    bits: int
    asked: Asked
    work: str

    kinds = exchange.one_kind(captions.TEXTS)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows | pa.RecordBatch]:
        """(partition of texts, its PARTS of one row and its RUNS of `ElectTexts`) → OUTPUTS, `captions.TEXTS`."""
        partition, batches = keyed
        runs = exchange.runs_among(batches)
        found = NEAR_TEXTS.empty_table()
        if runs:
            members = exchange.read(self.work, runs, near_texts.MEMBERS)
            found = near_texts.groups(Files(self.work).texts(partition, members["text_id"]), members)
            name = f"near_texts/{flow.part(partition, self.bits)}"
            yield outputs([parquet_files.put_table(self.folder, name, found)])
        if self.asked.dedupe.max_images_per_text is not None:
            grouped = found if self.asked.dedupe.near_texts_action == "cap" else NEAR_TEXTS.empty_table()
            rows = near_texts.capped(Files(self.work).stands(partition), grouped).combine_chunks()
            yield from exchange.by_key(rows.to_batches(), "text_id", self.bits)
