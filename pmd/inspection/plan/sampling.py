"""A bounded sample of a source's own annotation files, read by the source's own reader and judged by curate's own rules.

It says how many rows there are, which share of them is kept, and what their images are, before anything is curated. What is
read of a source does not grow with its files, but for one thing: a JSON document whose parts refer to each other (COCO's
captions to its images) is passed through once, and a compressed tar is listed.

- Plain and bzip2 files of lines are read in `WINDOWS` (`BLOCKS`) places, spread evenly, the first at the start. A place of a
  bzip2 file is one of its blocks.
- Of Parquet tables, which say how many rows they have, the first rows of some runs of row groups are read.
- What has to be read from its start (gzip, zstd, members of archives, JSON, quoted text) is read in `DOCUMENTS` documents at
  most, spread evenly, for `STREAM_BYTES` of plain bytes together beyond their first batches of rows.

A file that ends before that is read whole; where all are, nothing is estimated.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow, sources
from pmd.config import Config, SourceConfig
from pmd.config.asked import Asked
from pmd.curate import rules
from pmd.formats import archives, bzip2, compression, metering, parquet
from pmd.inspection.plan import estimates
from pmd.inspection.plan.estimates import Estimate, Piece
from pmd.schema.tables import JUDGED, KEPT_OUT
from pmd.sources import named_tables
from pmd.sources.contract import Chunk, InputFile
from pmd.store import storage
from pmd.suppression import kept_out, lists

#: Places in the plain files of lines of a source, and bytes of each: 8 MB in all, read whole where there is no more.
WINDOWS: Final = 16
WINDOW_BYTES: Final = 1 << 19
#: Places in its bzip2 files: of 900 kB of text each.
BLOCKS: Final = 6
#: Bytes of a bzip2 file before its first block.
_BZIP2_HEADER: Final = 4
#: Documents that are read from their start, and plain bytes of all of them together, beside two batches of rows of each.
DOCUMENTS: Final = 4
STREAM_BYTES: Final = 2 << 20

#: Rows of Parquet tables that are read of a source.
TABLE_ROWS: Final = 20_000

#: Forms of chunks that are lines: a chunk of them may be any range of bytes. Of upstream's, a header's columns may follow.
_LINES: Final = frozenset({"tsv", "jsonl", f"{named_tables.PREFIX}tsv", f"{named_tables.PREFIX}jsonl"})
_PARQUET: Final = f"{named_tables.PREFIX}parquet"
_GOLDEN: Final = (5**0.5 - 1) / 2
#: The form whose chunks are ranges of ids, of equal width.
_DATABASE: Final = "sqlite"
#: The part of such a chunk that is read: some thousand rows.
_OF_CHUNK: Final = 32
#: Marks of how far a reader has come that a document's rows to a byte are told by; the last may be amid its rows.
_MARKS: Final = 2
#: Pieces into which the rows of one reading are cut, to see which images come again far from where they were.
_PIECES: Final = 8
#: The least by which rows may be off, as a share, where places all over the files were read, and where only their starts.
_SPREAD: Final = 0.02
_FROM_START: Final = 0.1


@dataclasses.dataclass(frozen=True)
class Sample:
    """What was read of a source.

    Attributes:
        rows: Rows in all of its files.
        kept: Pairs that curate keeps of them.
        read_rows: Rows that were read.
        whole: Whether these are all.
        pairs: `PAIRS` among them.
        rejected: `REJECTED` among them.
        pieces: The images of the rows that are kept, in the order of the files.
        kept_out: `KEPT_OUT` of those that suppression lists drop.
    """

    rows: Estimate
    kept: Estimate
    read_rows: int
    whole: bool
    pairs: pa.Table
    rejected: pa.Table
    pieces: tuple[Piece, ...]
    kept_out: pa.Table

    @property
    def fraction(self) -> float:
        """How much of the source was read, at most 1."""
        return 1.0 if self.whole or not self.rows.value else min(self.read_rows / self.rows.value, 1.0)


def of_source(config: Config, source: SourceConfig, files: Sequence[InputFile]) -> Sample:
    """Read a sample of a source.

    Args:
        config: The configuration, for curate's options and all suppression lists that hold.
        source: The source.
        files: Its annotation files.

    Raises:
        InputError: A file is none of the source's, or is damaged where it was read.
    """
    reader = sources.load(source.reader or source.name)
    kinds = list(_kinds(reader, source, files))
    readings = [reading for alike in kinds for reading in alike]
    judged = [batch for reading in readings for batch in reading.judged]
    table = pa.Table.from_batches(judged, schema=JUDGED)
    settled = rules.resolve(source.name, table, Asked.of(config, flow.CURATE.name))
    of_dropped = KEPT_OUT.empty_table()
    if config.suppression:
        held = lists.read(lists.digests(config.suppression))
        settled, dropped = settled.parted(held)
        of_dropped = kept_out.of(held, dropped.pairs, dropped.rejected)
    whole = all(reading.whole for reading in readings)
    rows = estimates.total(map(_rows, kinds))
    kept = (
        estimates.known(settled.pairs.num_rows) if whole else rows * _kept(readings, settled.pairs.num_rows, len(table))
    )
    return Sample(
        rows=rows,
        kept=kept,
        read_rows=table.num_rows,
        whole=whole,
        pairs=settled.pairs,
        rejected=settled.rejected,
        pieces=tuple(piece for piece in _placed(kinds)),
        kept_out=of_dropped,
    )


def pieces(images: Sequence[bytes], start: float, stop: float) -> Iterator[Piece]:
    """Yield the images of rows that follow each other, cut into pieces of one size.

    An image whose rows a cut would part stays in the piece before it.

    Args:
        images: The image of each row.
        start: Where the first row is among all rows, of which the last is at 1.
        stop: Where these rows end.
    """
    size = max(-(-len(images) // _PIECES), 1)
    for first in range(0, len(images), size):
        piece = images[first : first + size]
        begun = images[first - 1] if first else None
        new = itertools.dropwhile(begun.__eq__, piece) if begun is not None else piece
        middle = (first + len(piece) / 2) / len(images)
        yield Piece(start + (stop - start) * middle, frozenset(new))


def _placed(kinds: Sequence[Sequence[_Reading]]) -> Iterator[Piece]:
    """Yield the pieces of all readings; files of one kind stand behind those of another."""
    rows = [_rows(alike).value for alike in kinds]
    all_rows = sum(rows) or 1
    begun = 0.0
    for alike, count in zip(kinds, rows, strict=True):
        for reading in alike:
            read = sum(map(len, reading.judged))
            start = (begun + reading.start * count) / all_rows
            yield from pieces(reading.images(), start, min(start + read / all_rows, 1.0))
        begun += count


@dataclasses.dataclass(frozen=True)
class _Reading:
    """What one place or document gave.

    Attributes:
        judged: Its rows.
        start: Where it begins in what it stands for: 0 the start, 1 the end.
        size: How large it is, in the unit of `all_of`.
        all_of: How large all are that it stands for.
        rows: How many rows it has, as far as is known; of a document that was not read to its end, by what came of its start.
        whole: Whether everything that it stands for was read.
        spread: Whether it is one of places all over its files.
    """

    judged: tuple[pa.RecordBatch, ...]
    start: float
    size: float
    all_of: float
    rows: float
    whole: bool
    spread: bool

    def images(self) -> list[bytes]:
        """Return the image of each row that is kept, in order."""
        return [
            image
            for batch in self.judged
            for image in batch.filter(pc.is_null(batch["reason"]))["image_id"].to_pylist()
        ]


def _kinds(reader: Any, source: SourceConfig, files: Sequence[InputFile]) -> Iterator[list[_Reading]]:
    """Read places of the files of lines, and documents: those of one kind together."""
    chunks: list[Chunk] = reader.plan(files, source.options)
    kind_of = {path: compression.sniff(path) for path in {chunk.path for chunk in chunks}}
    by_kind: dict[tuple[str, str], list[Chunk]] = {}
    for chunk in chunks:
        by_kind.setdefault((chunk.form, kind_of[chunk.path]), []).append(chunk)
    bytes_of = {file.path: file.bytes for file in files}
    for (form, kind), alike in by_kind.items():
        plain_form = form if named_tables.is_chunk(alike[0]) else form.partition(":")[0]
        lines = plain_form in _LINES and all(chunk.member is None for chunk in alike)
        if form == _PARQUET:
            yield list(_row_groups(reader, source, alike))
        elif lines and kind == "plain":
            yield list(_windows(reader, source, alike))
        elif lines and kind == "bzip2":
            yield list(_blocks(reader, source, alike))
        elif form == _DATABASE and len(alike) > 1:
            yield list(_ids(reader, source, alike))
        else:
            yield list(_documents(reader, source, alike, bytes_of))


def _judged(reader: Any, source: SourceConfig, chunk: Chunk) -> Iterator[pa.RecordBatch]:
    for drafts in reader.read(chunk, source.options):
        yield rules.judge(source.name, drafts)


def _files_of(chunks: Iterable[Chunk]) -> dict[str, Chunk]:
    """Return path → a chunk that is all of it."""
    return {chunk.path: dataclasses.replace(chunk, start=0, stop=None) for chunk in chunks}


def _windows(reader: Any, source: SourceConfig, chunks: Sequence[Chunk]) -> Iterator[_Reading]:
    """Read places of plain files of lines, which follow each other as if they were one."""
    whole_files = _files_of(chunks)
    sizes = {path: storage.size(path) for path in whole_files}
    total = sum(sizes.values())
    before = _before(sizes)
    everything = total <= WINDOWS * WINDOW_BYTES
    places = (
        [(path, 0, size) for path, size in sizes.items()]
        if everything
        else [(path, at, min(at + WINDOW_BYTES, sizes[path])) for path, at in _spread(sizes, WINDOWS)]
    )
    for path, start, stop in places:
        part = dataclasses.replace(whole_files[path], start=start, stop=stop if stop < sizes[path] else None)
        judged = tuple(_judged(reader, source, part))
        place = (before[path] + start) / total
        yield _Reading(judged, place, stop - start, total, sum(map(len, judged)), everything, spread=True)


def _before(sizes: dict[str, int]) -> dict[str, int]:
    """Return file → the bytes of those before it."""
    return dict(zip(sizes, itertools.accumulate(sizes.values(), initial=0), strict=False))


def _spread(sizes: dict[str, int], count: int) -> Iterator[tuple[str, int]]:
    """Yield places (file, byte), one in each of so many parts of files that follow each other."""
    ends = list(itertools.accumulate(sizes.values()))
    for share in _places(count):
        place = int(share * ends[-1])
        path, end = next((path, end) for path, end in zip(sizes, ends, strict=True) if place < end)
        yield path, place - (end - sizes[path])


def _places(count: int) -> Iterator[float]:
    """Yield a place in each of so many equal parts of a whole of 1, the first at its start.

    They are not equally far apart: what stands in a file twice, one half after the other, would be met at every place. Multiples
    of the golden section fall anywhere within their parts.
    """
    for number in range(count):
        yield (number + number * _GOLDEN % 1) / count


def _blocks(reader: Any, source: SourceConfig, chunks: Sequence[Chunk]) -> Iterator[_Reading]:
    """Read blocks of bzip2 files of lines; of files that have no more than a block a place, all."""
    whole_files = _files_of(chunks)
    sizes = {path: storage.size(path) for path in whole_files}
    total = sum(sizes.values())
    ranges: dict[tuple[str, int], int | None] = {}
    for path, near in _spread(sizes, BLOCKS):
        first = list(
            itertools.islice((block.bit // 8 for block in bzip2.blocks_from(path, near) if block.bit >= 8 * near), 2)
        )
        if first:  # else a place behind the last block's start
            # A reader knows the start of the file, where a header may stand, by 0.
            start = first[0] if first[0] > _BZIP2_HEADER else 0
            ranges.setdefault((path, start), first[1] if len(first) > 1 else None)
    covered = sum((sizes[path] if stop is None else stop) - start for (path, start), stop in ranges.items())
    firsts = dict(sorted(ranges, reverse=True))  # the least of each
    before = sum(firsts.values())
    everything = covered + before >= total
    if everything:
        ranges = dict.fromkeys(((path, 0) for path in sizes), None)
    begins = _before(sizes)
    for (path, start), stop in ranges.items():
        judged = tuple(_judged(reader, source, dataclasses.replace(whole_files[path], start=start, stop=stop)))
        size = (sizes[path] if stop is None else stop) - start
        place = (begins[path] + start) / total
        yield _Reading(judged, place, size, total, sum(map(len, judged)), everything, spread=True)


def _ids(reader: Any, source: SourceConfig, chunks: Sequence[Chunk]) -> Iterator[_Reading]:
    """Read ranges of ids of databases, spread evenly over them."""
    width = min(chunk.stop - chunk.start for chunk in chunks if chunk.stop is not None)
    step = -(-width // _OF_CHUNK)
    for share in _places(WINDOWS):
        place = int(share * (len(chunks) * width - step))
        chunk = chunks[place // width]
        start = chunk.start + place % width
        part = dataclasses.replace(chunk, start=start, stop=start + step)
        judged = tuple(_judged(reader, source, part))
        yield _Reading(judged, share, step, len(chunks) * width, sum(map(len, judged)), whole=False, spread=True)


def _row_groups(reader: Any, source: SourceConfig, chunks: Sequence[Chunk]) -> Iterator[_Reading]:
    """Read the first rows of some runs of row groups of Parquet tables, spread evenly; all of them where they are few."""
    all_of = sum(parquet.row_count(path) for path in {chunk.path for chunk in chunks})
    everything = all_of <= TABLE_ROWS
    count = len(chunks) if everything else min(len(chunks), DOCUMENTS)
    for number in range(count):
        chosen = number * len(chunks) // count
        judged: list[pa.RecordBatch] = []
        with metering.metered() as meter:
            for batch in _judged(reader, source, chunks[chosen]):
                judged.append(batch)
                if not everything and meter.table_rows >= TABLE_ROWS // count:
                    break
        rows = sum(map(len, judged))
        place = chosen / len(chunks)
        yield _Reading(tuple(judged), place, meter.table_rows, all_of, rows, everything, spread=True)


def _documents(
    reader: Any, source: SourceConfig, chunks: Sequence[Chunk], bytes_of: dict[str, int]
) -> Iterator[_Reading]:
    """Read some of the documents that are read from their start, spread evenly."""
    sizes = _sizes(chunks, bytes_of)
    *begins, total = itertools.accumulate(sizes, initial=0)
    count = min(len(chunks), DOCUMENTS)
    chosen = [number * len(chunks) // count for number in range(count)]
    # Where the documents are short, all of them cost no more than some.
    if total <= STREAM_BYTES:
        chosen = list(range(len(chunks)))
    for number in chosen:
        judged, rows, ended = _document(reader, source, chunks[number], sizes[number], STREAM_BYTES // len(chosen))
        place = begins[number] / total if total else 0.0
        whole = ended and len(chosen) == len(chunks)
        yield _Reading(judged, place, sizes[number], total, rows, whole, spread=False)


def _document(
    reader: Any, source: SourceConfig, chunk: Chunk, size: float, limit: int
) -> tuple[tuple[pa.RecordBatch, ...], float, bool]:
    """Return the first rows of a document, about how many there are, and whether these are all; read about so many bytes."""
    judged: list[pa.RecordBatch] = []
    marks: list[tuple[int, int]] = []  # rows so far, and bytes read for them
    ended = True
    with metering.metered() as meter:
        rows = 0
        for batch in _judged(reader, source, chunk):
            judged.append(batch)
            rows += len(batch)
            at = meter.plain_bytes()
            # Several batches may come of what was read at once.
            marks[-1:] = [(rows, at)] if marks and marks[-1][1] == at else [*marks[-1:], (rows, at)]
            if len(marks) > _MARKS and marks[-2][1] - marks[0][1] >= limit:
                ended = False
                break
        ratio = meter.ratio(chunk.path, chunk.member)
    estimated: float = rows
    if not ended:
        (before, start), (after, stop) = marks[0], marks[-2]
        estimated = after + max(size * ratio - stop, 0) * (after - before) / (stop - start)
    return tuple(judged), estimated, ended


def _sizes(chunks: Sequence[Chunk], bytes_of: Iterable[str]) -> list[float]:
    """Return the bytes of each chunk's documents, as they stand in their file or archive; what they refer to is no row.

    A run of an archive's members counts as its part of all of them.
    """
    runs = Counter(chunk.path for chunk in chunks)
    archived = {chunk.path for chunk in chunks if chunk.member is None}
    parts = {
        path: sum(member.bytes for member in archives.members(path)) / runs[path]
        for path in archived
        if archives.is_archive(path)
    }
    files = {*bytes_of}
    own = {archives.split_member(path) for path in files}

    def size(chunk: Chunk) -> float:
        if chunk.member is None and chunk.path in parts:
            return parts[chunk.path]
        named = [(chunk.path, chunk.member), *map(archives.split_member, chunk.companions)]
        return sum(_document_bytes(*document) for document in named if document in own or document[0] in files)

    return [size(chunk) for chunk in chunks]


def _document_bytes(path: str, member: str | None) -> int:
    return storage.size(path) if member is None else archives.size_of(path, member) or 0


def _rows(alike: Sequence[_Reading]) -> Estimate:
    """Return the rows of all files of a kind, by how many there are to a byte."""
    if not alike or all(reading.whole for reading in alike):
        return estimates.known(sum(reading.rows for reading in alike))
    least = _SPREAD if alike[0].spread else _FROM_START
    per_byte = estimates.ratio([(reading.rows, reading.size) for reading in alike], least)
    return per_byte.scaled(alike[0].all_of)


def _kept(readings: Sequence[_Reading], kept: int, rows: int) -> Estimate:
    """Return the share of rows that is kept: as counted, with a range by chance and by how much the readings differ."""
    by_chance = estimates.share(kept, rows)
    parts = [
        (sum(batch["reason"].null_count for batch in reading.judged), sum(map(len, reading.judged)))
        for reading in readings
        if reading.judged
    ]
    by_place = estimates.ratio(parts, 0.0)
    low = min(by_chance.low, by_chance.value - (by_place.value - by_place.low))
    high = max(by_chance.high, by_chance.value + (by_place.high - by_place.value))
    return Estimate(by_chance.value, max(low, 0.0), min(high, 1.0))
