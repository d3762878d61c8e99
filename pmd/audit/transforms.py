"""The audit on Beam: pairs and the last stage that each survived meet in run files, by pair; partitions are counted.

Texts then meet in the same way, by their form, and what is repeated goes to one worker. Images are counted where they stand.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.audit import (
    attributes,
    context,
    datasets,
    geography,
    measure,
    overlap,
    pictures,
    repeated,
    report,
    result,
    tables,
    units,
)
from pmd.dedupe import rules as dedupe_rules
from pmd.engines.transforms import OUTPUTS, Collected, Meet, Only, PerTask, outputs
from pmd.fetch import partitions
from pmd.images import rules as images_rules
from pmd.manifests import Table2
from pmd.schema.statuses import OK
from pmd.schema.tables import KEY, PAIRS
from pmd.store import commits, exchange, root, storage
from pmd.store.proposals import Proposal

#: Of each row one: a file of pairs, a part, a file of pairs that the shards left out.
TASKS = pa.schema([pa.field("pairs", pa.string()), pa.field("part", pa.int32()), pa.field("left_out", pa.string())])

#: A pair (`last` null), the last of `measure.CLASSES` that one survived, or "left out" for one that the shards left out.
MEETING = pa.schema(
    [
        pa.field("pair_id", KEY, nullable=False),
        pa.field("last", pa.string()),
        *(PAIRS.field(name).with_nullable(True) for name in measure.COLUMNS if name != "pair_id"),
    ]
)
LEFT_OUT = "left out"

#: The status of images that nobody was to ask for.
OPTED_OUT = "opted_out"

#: What a fact of a worker is, by how it begins.
COUNTED, REPEATED, OVERLAP, UNITS, PICTURES, WORDS = (
    "counted ",
    "repeated ",
    "overlap ",
    "units ",
    "pictures ",
    "words ",
)

#: `exchange.RUNS` of units, told from those of texts by a name.
UNIT_RUNS = pa.schema([exchange.RUNS.field(0).with_name("unit_partition"), *list(exchange.RUNS)[1:]])
#: Those of words, likewise; and by how many bits of a source's key they are dealt out.
WORD_RUNS = pa.schema([exchange.RUNS.field(0).with_name("word_partition"), *list(exchange.RUNS)[1:]])
_WORD_BITS = 4


def as_runs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """UNIT_RUNS or WORD_RUNS → RUNS."""
    return pa.RecordBatch.from_arrays(batch.columns, schema=exchange.RUNS)


def tasks(root_url: str, sources: Iterable[str], part_bits: int) -> list[pa.RecordBatch]:
    """Return everything that the audit reads, in batches that are a unit each."""
    files = [
        ({"pairs": storage.join(folder, file.name)}, file.bytes)
        for folder in (root.curate_folder(root_url, source) for source in sources)
        for file in commits.require(folder, "run: pmd curate").under("pairs")
    ]
    folder = root.shards_folder(root_url, "rejected")
    left_out = commits.require(folder, "run: pmd shard").files
    files += [({"left_out": storage.join(folder, file.name)}, file.bytes) for file in left_out]
    rows: list[list[dict[str, Any]]] = [[{"part": part}] for part in range(2**part_bits)]
    return [pa.RecordBatch.from_pylist(task, schema=TASKS) for task in [*rows, *exchange.tasks(files)]]


#: What of the ledger tells the last stage that pairs survived, and what pictures there are.
_OF_LEDGER = ("image_id", "status", "width_px", "height_px", "bytes", "format")
#: What of the views tells it.
_OF_VIEWS = ("image_id", "pair_id", "source", "source_id")


@dataclasses.dataclass(frozen=True)
class SpreadPairs:
    """Write pairs, or what became of them, to a run; count the images of a part, of all and of those that were fetched."""

    root: str
    cut: partitions.Cut
    bits: int
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """TASKS → RUNS, and OUTPUTS."""
        facts: list[str] = []
        yield from exchange.write(self.work, MEETING, self.bits, self._rows(batch.to_pylist(), facts), "pair_id")
        if facts:
            yield outputs((), facts=facts)

    def _rows(self, task: Iterable[dict[str, Any]], facts: list[str]) -> Iterator[pa.RecordBatch]:
        for row in task:
            if row["pairs"] is not None:
                for rows in commits.iterate(row["pairs"], measure.COLUMNS):
                    yield exchange.widen(pa.Table.from_batches([rows]), MEETING)
            elif row["left_out"] is not None:
                for rows in commits.iterate(row["left_out"], ["pair_id"]):
                    yield exchange.widen(pa.Table.from_batches([rows]), MEETING, last=LEFT_OUT)
            else:
                part = _Part.read(self.root, row["part"], self.cut)
                for stage, pair_ids in part.last_stages(self.root):
                    yield exchange.widen(pa.table({"pair_id": pair_ids}), MEETING, last=stage)
                facts += part.facts(self.root)


@dataclasses.dataclass(frozen=True)
class _Part:
    """What is known of the images of a part."""

    number: int
    ledger: pa.Table
    groups: pa.Table

    @classmethod
    def read(cls, root_url: str, number: int, cut: partitions.Cut) -> _Part:
        ledger = partitions.read_ledger(root_url, cut.shards(number), _OF_LEDGER)
        return cls(number, ledger, dedupe_rules.read_groups(root_url, number))

    def last_stages(self, root_url: str) -> Iterator[tuple[str, pa.ChunkedArray]]:
        """Yield stages that pairs may have survived last, and the pairs."""
        views = partitions.read_views(root_url, self.number, _OF_VIEWS)
        kept, rejected = dedupe_rules.judge_again(root_url, self.number, views, self.ledger, self.groups)
        yield flow.DEDUPE.name, kept["pair_id"]
        yield flow.FETCH.name, rejected["pair_id"]
        statuses = partitions.statuses(views, self.ledger)
        lost = pc.not_equal(statuses, OK)
        opted_out = pc.equal(statuses, OPTED_OUT)
        yield measure.ASKED, views["pair_id"].filter(pc.and_not(lost, opted_out))
        yield flow.IMAGES.name, views["pair_id"].filter(opted_out)

    def facts(self, root_url: str) -> list[str]:
        """Return the images by the sources that show them, and those that were fetched by their sizes."""
        images = partitions.read_images(root_url, self.number, ("image_id", "sources"))
        shown = pictures.count(images, self.ledger, self.groups)
        return [
            OVERLAP + orjson.dumps(overlap.count(images["sources"])).decode(),
            PICTURES + orjson.dumps(shown).decode(),
        ]


@dataclasses.dataclass(frozen=True)
class CountPartition:
    """Count a partition; its counts go to the commit as a fact. Write where its texts stand to a run, and its units to another.

    Attributes:
        plan: Which texts are read.
        sample: One in so many images is in the build: pairs of others are counted nowhere.
        bits: Of the partitions by text.
        unit_bits: Of those by unit.
        work: The folder of runs.
        attributes: Files of attributes (`attributes.to_bytes`).
    """

    plan: measure.Plan
    sample: int
    bits: int
    unit_bits: int
    work: str
    attributes: tuple[str, ...] = ()

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → RUNS of texts, UNIT_RUNS, WORD_RUNS, and OUTPUTS."""
        counted = measure.Partial()
        run = exchange.RunWriter(self.work, units.ROWS, self.unit_bits)
        words = exchange.RunWriter(self.work, context.ROWS, _WORD_BITS)

        def texts() -> Iterator[pa.RecordBatch]:
            nonlocal counted
            for pairs, last in _pairs(self.work, keyed[1]):
                # What left curate for want of being in the sample was never to be in the build.
                some, fates = pairs, last
                if self.sample != 1:
                    inside = pa.array(images_rules.in_sample(pairs.column("image_id"), self.sample))
                    mine = pc.or_(inside, pc.not_equal(last, flow.CURATE.name))
                    some, fates = pairs.filter(mine), last.filter(mine)
                    counted = measure.merge(counted, measure.outside(pairs.filter(pc.invert(mine))))
                seen = measure.look(some, self.plan)
                counted = measure.merge(counted, measure.measure(some, fates, self.plan, seen))
                if self.attributes:
                    known = [attributes.held(path) for path in self.attributes]
                    counted = measure.merge(counted, measure.tallied(some, fates, attributes.tally, seen, known))
                for rows in units.occurrences(some, fates, seen):
                    run.add(rows, "unit_id")
                for rows in context.occurrences(some, fates, seen, self.plan):
                    words.add(rows, "source_id")
                yield repeated.occurrences(some, measure.stages(fates), seen)

        try:
            yield from exchange.write(self.work, repeated.OCCURRENCES, self.bits, texts(), "text_id")
            written = [(run.close(), UNIT_RUNS), (words.close(), WORD_RUNS)]
        except BaseException:
            run.discard()
            words.discard()
            raise
        for runs, schema in written:
            if runs.num_rows:
                yield pa.RecordBatch.from_arrays(runs.columns, schema=schema)
        yield outputs((), facts=[COUNTED + base64.b64encode(measure.to_bytes(counted)).decode()])


@dataclasses.dataclass(frozen=True)
class CountUnits:
    """Count the users, images, hosts, pages and subreddits of a partition; only sums leave it, as a fact."""

    work: str
    incomes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # country → class

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of units, all its RUNS) → OUTPUTS."""
        found = units.count(exchange.read(self.work, keyed[1], units.ROWS), self.incomes)
        yield outputs((), facts=[UNITS + found.to_text()])


@dataclasses.dataclass(frozen=True)
class CountWords:
    """Count the words beside terms of identity of some sources; what leaves is a fact of each."""

    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of words, all its RUNS) → OUTPUTS."""
        found = context.count(exchange.read(self.work, keyed[1], context.ROWS))
        yield outputs((), facts=[WORDS + orjson.dumps(one).decode() for one in found])


@dataclasses.dataclass(frozen=True)
class CountForms:
    """Count on how many images each text of a partition stands; write those on many to a run."""

    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of texts, all its RUNS) → RUNS."""
        rows = repeated.count(exchange.read(self.work, keyed[1], repeated.OCCURRENCES))
        yield from exchange.write(self.work, repeated.TEXTS, 0, rows.to_batches(), "text_id")


@dataclasses.dataclass(frozen=True)
class SumForms:
    """Bring all repeated texts together, and those that are nearly one."""

    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(0, all RUNS) → OUTPUTS."""
        found = repeated.summary(exchange.read(self.work, keyed[1], repeated.TEXTS))
        yield outputs((), facts=[REPEATED + orjson.dumps(found).decode()])


class CountPairs(beam.PTransform):  # type: ignore[misc]
    """Count pairs, what they come in, and their texts: each meets what is of its kind."""

    def __init__(self, count: CountPartition, count_units: CountUnits) -> None:
        super().__init__()
        self._count, self._count_units = count, count_units

    def expand(self, pairs: Any) -> Any:
        """PCollection[RecordBatch] of RUNS of `MEETING` → PCollection[RecordBatch] of OUTPUTS."""
        work = self._count.work
        # RUNS of texts, UNIT_RUNS, WORD_RUNS, and OUTPUTS
        counted = (
            pairs | "By pair" >> Meet() | "Count" >> beam.ParDo(PerTask(self._count)).with_output_types(pa.RecordBatch)
        )
        known = (
            counted
            | "Units of pairs" >> Only(UNIT_RUNS)
            | "As runs" >> beam.Map(as_runs).with_output_types(pa.RecordBatch)
            | "By unit" >> Meet()
            | "Count units" >> beam.ParDo(PerTask(self._count_units)).with_output_types(pa.RecordBatch)
        )
        words = (
            counted
            | "Words of pairs" >> Only(WORD_RUNS)
            | "Words as runs" >> beam.Map(as_runs).with_output_types(pa.RecordBatch)
            | "By source" >> Meet()
            | "Count words" >> beam.ParDo(PerTask(CountWords(work))).with_output_types(pa.RecordBatch)
        )
        repeated = (
            counted
            | "Texts" >> Only(exchange.RUNS)
            | "By text" >> Meet()
            | "Repeated" >> beam.ParDo(PerTask(CountForms(work))).with_output_types(pa.RecordBatch)
            | "All repeated" >> Meet()
            | "Sum" >> beam.ParDo(PerTask(SumForms(work))).with_output_types(pa.RecordBatch)
        )
        return (counted | "Counts" >> Only(OUTPUTS), known, words, repeated) | "Counted" >> beam.Flatten()


def _pairs(work: str, references: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Yield the pairs of a partition, in batches of one source each, and the last stage that each survived."""
    of_sources: dict[str, list[pa.Table]] = {}
    fates = [MEETING.empty_table()]
    for rows in exchange.iterate(work, references, MEETING):
        # Hardly any message has rows of both kinds, or of two sources: nothing is copied to part them.
        lacking = rows["last"].null_count
        if lacking < rows.num_rows:
            fates.append(rows.filter(pc.is_valid(rows["last"])) if lacking else rows)
        pairs = rows if lacking == rows.num_rows else rows.filter(pc.is_null(rows["last"]))
        names = pc.unique(pairs["source"]).to_pylist()
        for name in names:
            mine = pairs if len(names) == 1 else pairs.filter(pc.equal(pairs["source"], name))
            of_sources.setdefault(name, []).append(mine.select(list(measure.COLUMNS)))
    fate = pa.concat_tables([some.select(["pair_id", "last"]) for some in fates])
    tables = [pa.concat_tables(some).combine_chunks() for _, some in sorted(of_sources.items())]
    last = _last(pa.chunked_array([chunk for table in tables for chunk in table["pair_id"].chunks], KEY), fate)
    offset = 0
    for table in tables:
        for batch in table.to_batches(max_chunksize=65_536):
            yield batch, last.slice(offset, batch.num_rows)
            offset += batch.num_rows


def _last(pair_ids: pa.ChunkedArray, fates: pa.Table) -> pa.Array:
    """Return the last stage that each pair survived."""
    out = pc.equal(fates["last"], LEFT_OUT)
    left_out = fates["pair_id"].filter(out).combine_chunks()
    known = fates.filter(pc.invert(out)).combine_chunks()
    pair_ids = pair_ids.combine_chunks()
    # Looked up at once: each look-up makes a hash table of all of them.
    found = pc.index_in(pair_ids, value_set=known["pair_id"].combine_chunks())
    last = pc.fill_null(known["last"].combine_chunks().take(found), flow.CURATE.name)
    kept = pc.invert(pc.is_in(pair_ids, value_set=left_out))
    return pc.if_else(pc.and_(pc.equal(last, flow.DEDUPE.name), kept), flow.SHARD.name, last)


@dataclasses.dataclass(frozen=True)
class WithReport:
    """Merge all counts, and give a proposal audit.json, report.html and the tables."""

    plan: measure.Plan
    books: Mapping[str, Mapping[str, commits.Books]]  # stage → source → books
    table2: Mapping[str, Table2]
    profile: str | None
    sample: int = 1
    beside: geography.Beside = geography.NOTHING
    data: datasets.Described | None = None  # any data set: its books are among what was found

    def __call__(self, proposal: Proposal, found: Collected) -> Proposal:
        """Return it with all files."""

        def facts(kind: str) -> list[str]:
            return [fact.removeprefix(kind) for fact in found.facts if fact.startswith(kind)]

        counted = measure.merge_all(measure.from_bytes(base64.b64decode(fact)) for fact in facts(COUNTED))
        books = self.books if self.data is None else {flow.CURATE.name: found.books}
        content = result.result(
            counted,
            books,
            self.plan,
            self.table2,
            counted=units.merged(map(units.Counted.from_text, facts(UNITS))),
            sample=self.sample,
            profile=self.profile,
            repeated=next(map(orjson.loads, facts(REPEATED)), None),
            overlap=overlap.matrix(map(orjson.loads, facts(OVERLAP))),
            beside=self.beside,
            pictures_=pictures.figures(map(orjson.loads, facts(PICTURES))),
            beside_identity=[*map(orjson.loads, facts(WORDS))],
        )
        if self.data is not None:
            content = datasets.described(content, self.data)
        fixed = {
            "audit.json": orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS),
            "report.html": report.html(content).encode(),
            **dict(tables.files(content)),
        }
        return dataclasses.replace(proposal, fixed=fixed)
