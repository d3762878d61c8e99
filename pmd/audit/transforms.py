"""The audit on Beam: what became of pairs is brought to where they are read; what must meet of them meets by partition.

fates    parts of images, and what the shards left out → what became of each pair, in files by key (`pmd.audit.counting.fates`)
letters  files of pairs → which texts may be repeated: of others no more is asked than their words (`pmd.audit.counting.repeated`)
pairs    files of pairs beside these → counts, and rows by image, unit, text and word
the rest images, units, texts and words are counted where all rows of one have met; what is repeated goes to one worker
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Final

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd import flow
from pmd.audit.counting import context, distinct, fates, measure, overlap, repeated, standing, unit_sums, units
from pmd.audit.figures import attributes, datasets, pictures, result, tables
from pmd.audit.places import population
from pmd.audit.report import sections as report
from pmd.dedupe import rules as dedupe_rules
from pmd.engines.transforms import OUTPUTS, Collected, Cross, Meet, Only, Spreads, SpreadsMet, outputs, per_task
from pmd.fetch.ledger import partitions
from pmd.images import aliases as images_aliases
from pmd.images import rules as images_rules
from pmd.images.aliases import ALIASES, Aliases
from pmd.manifests import Table2
from pmd.store import commits, exchange, parquet_files, root, storage
from pmd.store.exchange import Rows
from pmd.store.proposals import Proposal

#: Of each row one: a part, or a file of pairs that the shards left out.
FATE_TASKS = pa.schema([pa.field("part", pa.int32()), pa.field("left_out", pa.string())])
#: A file of pairs, and their source.
PAIR_TASKS = pa.schema(
    [pa.field("pairs", pa.string(), nullable=False), pa.field("source", pa.string(), nullable=False)]
)

#: What a fact of a worker is, by how it begins.
COUNTED, REPEATED, OVERLAP, UNITS, PICTURES, WORDS = (
    "counted ",
    "repeated ",
    "overlap ",
    "units ",
    "pictures ",
    "words ",
)

#: By how many bits of a source's key words are dealt out.
_WORD_BITS = 4
#: Pairs that are looked at together, at most.
_BATCH_ROWS = 2**16
#: The same where few of their texts are read: fewer, so that their columns stay in a processor's cache and little memory is new
#: to a process; not so few that what is done once a batch costs more. Where many are read, adding up what texts have costs more.
_SAMPLED_ROWS = 2**15
#: Few: less than a fourth.
_FEW_TEXTS = 2**62
#: Bytes of a column that are read at once, about: `meta` of as many pairs as are looked at together has 25 MB and more, memory
#: that the system would give anew each time, which takes longer than to read it.
_COLUMN_BYTES = 2**22


#: The kinds of rows of pairs that must meet: what they are.
KINDS: Final[Mapping[str, pa.Schema]] = {
    "image": distinct.ROWS,
    "unit": units.ROWS,
    "text": repeated.OCCURRENCES,
    "word": context.ROWS,
}


def fate_tasks(root_url: str, part_bits: int) -> list[pa.RecordBatch]:
    """Return all that tells what became of pairs, in batches that are a unit each."""
    folder = root.shards_folder(root_url, "rejected")
    left_out = commits.require(folder, f"run: {flow.SHARD.command}").files
    files = [({"left_out": storage.join(folder, file.name)}, file.bytes) for file in left_out]
    rows: list[list[dict[str, Any]]] = [[{"part": part}] for part in range(2**part_bits)]
    return [pa.RecordBatch.from_pylist(task, schema=FATE_TASKS) for task in [*rows, *exchange.tasks(files)]]


def pair_tasks(root_url: str, sources: Iterable[str]) -> list[pa.RecordBatch]:
    """Return all files of pairs, in batches that are a unit each."""
    files = [
        ({"pairs": storage.join(folder, file.name), "source": source}, file.bytes)
        for source, folder in ((source, root.curate_folder(root_url, source)) for source in sources)
        for file in commits.require(folder, f"run: {flow.CURATE.command}").under("pairs")
    ]
    return [pa.RecordBatch.from_pylist(task, schema=PAIR_TASKS) for task in exchange.tasks(files)]


@dataclasses.dataclass(frozen=True)
class SpreadFates:
    """Write what became of pairs to a run; count the images of a part, of all and of those that were fetched.

    Attributes:
        root: ROOT.
        cut: How its images are cut.
        bits: Of the partitions of pairs.
        work: The folder of runs.
        tasks: How many there are.
    """

    root: str
    cut: partitions.Cut
    bits: int
    work: str
    tasks: int

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """FATE_TASKS → RUNS, and OUTPUTS."""
        facts: list[str] = []
        yield from exchange.write(self.work, fates.FATES, self.bits, self._rows(batch.to_pylist(), facts), "pair_id")
        if facts:
            yield outputs((), facts=facts)

    def _rows(self, task: Iterable[dict[str, Any]], facts: list[str]) -> Iterator[pa.RecordBatch]:
        for row in task:
            if row["left_out"] is not None:
                for rows in parquet_files.iterate(row["left_out"], ["pair_id"]):
                    yield fates.rows(rows["pair_id"], fates.LEFT_OUT)
            else:
                shards = self.cut.shards(row["part"])
                ledger = partitions.read_ledger(self.root, shards, _OF_LEDGER)
                groups = dedupe_rules.read_groups(self.root, row["part"])
                yield fates.of_part(self.root, row["part"], ledger, groups)
                images = partitions.read_images(self.root, row["part"], ("image_id", "sources"))
                facts += [
                    OVERLAP + orjson.dumps(overlap.count(images["sources"])).decode(),
                    PICTURES + orjson.dumps(pictures.count(images, ledger, groups)).decode(),
                ]


#: What of the ledger tells the last stage that pairs survived, and what pictures there are.
_OF_LEDGER = ("image_id", "status", "width_px", "height_px", "bytes", "format")


@dataclasses.dataclass(frozen=True)
class PackFates:
    """Write what became of the pairs of a partition to a file that workers map."""

    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of pairs, all its RUNS) → `fates.FILES`."""
        partition, written = keyed
        yield fates.pack(self.work, partition, exchange.read(self.work, written, fates.FATES))


@dataclasses.dataclass(frozen=True)
class Counting:
    """How pairs are counted.

    Attributes:
        plan: Which texts are read.
        sources: All sources.
        bits: Of the partitions of what became of pairs ("fate"), and of those by image, unit and text.
        work: The folder of runs.
        sample: One in so many images is in the build: pairs of others are counted nowhere.
        attributes: Files of attributes (`attributes.to_bytes`).
        of_columns: Whether pairs name licences and sizes, as those of any data set do.
    """

    plan: measure.Plan
    sources: tuple[str, ...]
    bits: Mapping[str, int]
    work: str
    sample: int = 1
    attributes: tuple[str, ...] = ()
    of_columns: bool = False

    def count(
        self,
        batches: Iterable[tuple[pa.RecordBatch, pa.Array]],
        often: NDArray[np.uint32] | None = None,
        aliases: Aliases | None = None,
    ) -> Iterator[Rows | pa.RecordBatch]:
        """Count pairs, given with the last stage that each survived: → rows of `KINDS`, and OUTPUTS.

        Args:
            batches: The pairs.
            often: Which texts may be repeated, in order, as of `repeated.occurrences`.
            aliases: Which images stand for others.
        """
        counted = measure.Partial()
        for pairs, last in batches:
            for start in range(0, pairs.num_rows, _BATCH_ROWS):
                some = pairs.slice(start, _BATCH_ROWS), last.slice(start, _BATCH_ROWS)
                counted = measure.merge(counted, (yield from self._batch(*some, often, aliases)))
        yield outputs((), facts=[COUNTED + base64.b64encode(measure.to_bytes(counted)).decode()])

    def _batch(
        self,
        pairs: pa.RecordBatch,
        last: pa.Array,
        often: NDArray[np.uint32] | None,
        aliases: Aliases | None,
    ) -> Generator[Rows, None, measure.Partial]:
        """Return what is counted of some pairs; yield what must meet."""
        outside = measure.Partial()
        if aliases is not None:
            pairs = standing.with_standing(pairs, aliases)
        if self.sample != 1:
            # What left curate for want of being in the sample was never to be in the build.
            inside = pa.array(images_rules.in_sample(pairs.column("image_id"), self.sample))
            mine = pc.or_(inside, pc.not_equal(last.cast(pa.string()), flow.CURATE.name))
            outside = measure.outside(pairs.filter(pc.invert(mine)))
            pairs, last = pairs.filter(mine), last.filter(mine)
        seen = measure.look(pairs, self.plan)
        counted = measure.merge(outside, measure.measure(pairs, last, self.plan, seen))
        if self.attributes:
            known = [attributes.held(path) for path in self.attributes]
            counted = measure.merge(counted, measure.tallied(pairs, last, attributes.tally, seen, known))
        if self.of_columns:
            counted = measure.merge(counted, measure.tallied(pairs, last, attributes.of_columns, seen, None))
        yield self._numbered("image", distinct.occurrences(pairs, last, self.sources))
        for rows in units.occurrences(pairs, last, seen):
            yield self._numbered("unit", rows)
        yield from exchange.by_key(context.occurrences(pairs, last, seen, self.plan), "source_id", _WORD_BITS, "word")
        yield self._numbered("text", repeated.occurrences(pairs, last, seen, often))
        return counted

    def _numbered(self, kind: str, rows: pa.RecordBatch) -> Rows:
        """Return rows of a kind that meet by the first bits of the number in their first column."""
        numbers = (rows.column(0).to_numpy() >> np.uint64(63 - self.bits[kind])) >> np.uint64(1)
        return Rows(rows, numbers.astype(np.int32), kind)


@dataclasses.dataclass(frozen=True)
class SpreadLetters(Spreads):
    """Write what tells which texts may be repeated: `repeated.letters` of the pairs of files.

    Attributes:
        bits: Of the partitions.
        work: The folder of runs.
        tasks: How many there are.
    """

    bits: int
    work: str
    tasks: int

    kinds = exchange.one_kind(repeated.LETTERS)

    def rows(self, task: pa.RecordBatch) -> Iterator[Rows]:
        """PAIR_TASKS → `repeated.LETTERS`."""
        for row in task.to_pylist():
            for pairs in parquet_files.iterate(row["pairs"], ["text"], _BATCH_ROWS, _COLUMN_BYTES):
                found = repeated.letters(pairs.column("text"))
                numbers = (found >> np.uint32(31 - self.bits)) >> np.uint32(1)
                yield Rows(
                    pa.RecordBatch.from_arrays([pa.array(found)], schema=repeated.LETTERS), numbers.astype(np.int32)
                )


@dataclasses.dataclass(frozen=True)
class FindAliases:
    """Find which images stand for others.

    Attributes:
        work: The folder of this run.
        tasks: How many there are.
    """

    work: str
    tasks: int

    def __call__(self, task: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """PAIR_TASKS → `aliases.ALIASES`."""
        for path in task.column("pairs").to_pylist():
            yield from images_aliases.found(path)


@dataclasses.dataclass(frozen=True)
class FindOften:
    """Find which texts may be repeated."""

    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → `repeated.OFTEN`."""
        yield repeated.often(exchange.read(self.work, keyed[1], repeated.LETTERS))


@dataclasses.dataclass(frozen=True)
class CountFiles(Spreads):
    """Count the pairs of files; their counts go to the commit as a fact.

    Attributes:
        counting: How.
        tasks: How many there are.
    """

    counting: Counting
    tasks: int
    kinds = KINDS

    @property
    def work(self) -> str:  # type: ignore[override]  # a field elsewhere
        """The folder of this run."""
        return self.counting.work

    def rows(self, task: pa.RecordBatch, beside: Iterable[pa.RecordBatch]) -> Iterator[Rows | pa.RecordBatch]:
        """PAIR_TASKS, and all `fates.FILES`, `repeated.OFTEN` and `aliases.ALIASES` → rows of `KINDS`, and OUTPUTS."""
        told = list(beside)
        known = fates.Known.of(self.counting.bits["fate"], (batch for batch in told if batch.schema == fates.FILES))
        often = [batch.column(0).to_numpy() for batch in told if batch.schema == repeated.OFTEN]
        yield from self.counting.count(
            ((pairs, known.last(pairs.column("pair_id"))) for row in task.to_pylist() for pairs in self._read(**row)),
            np.sort(np.concatenate(often)) if often else None,
            Aliases.of(batch for batch in told if batch.schema == ALIASES),
        )

    def _read(self, pairs: str, source: str) -> Iterator[pa.RecordBatch]:
        """Yield the pairs of a file, with those columns that are asked of their source."""
        wanted = [name for name in measure.columns_of(source) if name != "source"]
        is_sampled = self.counting.plan.limits.get(source, measure.EVERYTHING) < _FEW_TEXTS
        number = _SAMPLED_ROWS if is_sampled else _BATCH_ROWS
        read = parquet_files.iterate(pairs, wanted, number, _COLUMN_BYTES)
        for rows in _together((measure.cut(some, source) for some in read), number):
            names = pa.DictionaryArray.from_arrays(np.zeros(rows.num_rows, np.int8), pa.array([source]))
            yield rows.append_column("source", names)


def _together(batches: Iterable[pa.RecordBatch], number: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of whole batches, as many as are no more than so many together."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if waiting and sum(some.num_rows for some in waiting) + batch.num_rows > number:
            yield pa.concat_batches(waiting)
            waiting = []
        waiting.append(batch)
    if waiting:
        yield pa.concat_batches(waiting)


def _of_units(work: str, found: unit_sums.Counted) -> pa.RecordBatch:
    """Return OUTPUTS with the fact where a partition's units are told: in a file, since all of them together fill a worker."""
    return outputs((), facts=[UNITS + commits.put_aside(work, "units", found.to_bytes(), ".arrows")])


def read_units(path: str) -> unit_sums.Counted:
    """Return what the fact of a partition of units names."""
    try:
        return unit_sums.Counted.from_bytes(storage.read_bytes(path))
    except FileNotFoundError:
        raise exchange.not_reached(path) from None


@dataclasses.dataclass(frozen=True)
class CountImages:
    """Count the images of a partition, and the pairs of each; only how many have so many leaves it."""

    work: str
    sources: tuple[str, ...]

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of images, all its RUNS) → OUTPUTS."""
        found = distinct.count(exchange.read(self.work, keyed[1], distinct.ROWS), self.sources)
        yield _of_units(self.work, found)


@dataclasses.dataclass(frozen=True)
class CountUnits:
    """Count the users, hosts, pages and subreddits of a partition, and what images share; only sums leave it."""

    work: str
    incomes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # country → class

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of units, all its RUNS) → OUTPUTS."""
        found = units.count(exchange.read(self.work, keyed[1], units.ROWS), self.incomes)
        yield _of_units(self.work, found)


@dataclasses.dataclass(frozen=True)
class CountWords:
    """Count the words beside terms of identity of some sources; what leaves is a fact of each."""

    work: str
    sources: int  # of the audit

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition of words, all its RUNS) → OUTPUTS."""
        found = context.count(exchange.read(self.work, keyed[1], context.ROWS), self.sources)
        yield outputs((), facts=[WORDS + orjson.dumps(one).decode() for one in found])


@dataclasses.dataclass(frozen=True)
class CountForms(SpreadsMet):
    """Count on how many images each text of a partition stands; give those on many."""

    bits: int  # of the partitions of texts
    work: str

    kinds = exchange.one_kind(repeated.TEXTS)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition of texts, all its RUNS) → `repeated.TEXTS`, all of which meet."""
        rows = repeated.count(exchange.read(self.work, keyed[1], repeated.OCCURRENCES))
        for batch in rows.to_batches():
            yield Rows(batch, np.zeros(batch.num_rows, np.int32))


@dataclasses.dataclass(frozen=True)
class SumForms:
    """Bring all repeated texts together, and those that are nearly one."""

    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(0, all RUNS) → OUTPUTS."""
        found = repeated.summary(exchange.read(self.work, keyed[1], repeated.TEXTS))
        yield outputs((), facts=[REPEATED + orjson.dumps(found).decode()])


class CountMet(beam.PTransform):  # type: ignore[misc]
    """Count what has met of pairs: images, units, words and texts, each with what is of its kind."""

    def __init__(self, counting: Counting, incomes: Mapping[str, str] | None = None, *, by_engine: bool) -> None:
        super().__init__()
        self._counting, self._incomes, self._by_engine = counting, incomes or {}, by_engine

    def expand(self, counted: Any) -> Any:
        """PCollection[RecordBatch] of what `Counting` gives → PCollection[RecordBatch] of OUTPUTS."""
        work, by_engine = self._counting.work, self._by_engine
        repeated = (
            counted
            | "Texts" >> Meet("text", by_engine=by_engine)
            | "Forms" >> Cross(CountForms(self._counting.bits["text"], work), by_engine=by_engine)
            | "All repeated" >> Meet(by_engine=by_engine)
            | "Sum" >> per_task(SumForms(work))
        )
        return (
            counted | "Counts" >> Only(OUTPUTS),
            counted | "Images" >> self._met("image", CountImages(work, self._counting.sources)),
            counted | "Units" >> self._met("unit", CountUnits(work, self._incomes)),
            counted | "Words" >> self._met("word", CountWords(work, len(self._counting.sources))),
            repeated,
        ) | "Counted" >> beam.Flatten()

    def _met(self, kind: str, count: Any) -> Any:
        """Return what brings the rows of one kind together, and counts them partition by partition."""
        return _Met(kind, count, by_engine=self._by_engine)


class _Met(beam.PTransform):  # type: ignore[misc]
    def __init__(self, kind: str, count: Any, *, by_engine: bool) -> None:
        super().__init__()
        self._kind, self._count, self._by_engine = kind, count, by_engine

    def expand(self, counted: Any) -> Any:
        """PCollection[RecordBatch] with RUNS of a kind → PCollection[RecordBatch] of what `count` gives."""
        return counted | "Meet" >> Meet(self._kind, by_engine=self._by_engine) | "Count" >> per_task(self._count)


@dataclasses.dataclass(frozen=True)
class WithReport:
    """Merge all counts, and give a proposal audit.json, report.html and the tables."""

    plan: measure.Plan
    books: Mapping[str, Mapping[str, commits.Books]]  # stage → source → books
    table2: Mapping[str, Table2]
    profile: str | None
    sample: int = 1
    beside: population.Beside = population.NOTHING
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
            counted=unit_sums.merged(map(read_units, facts(UNITS))),
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
