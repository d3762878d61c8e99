"""The shapes that every pipeline here has: units read in parallel, rows brought together by partition, one commit.

Elements are Arrow batches or (partition, batch) pairs, declared, so that the Arrow coder carries them. Barriers are
GroupByKeys: an engine may ignore a Reshuffle. Nothing is kept between bundles.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import gc
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.internal import pickler
from apache_beam.pipeline import PipelineVisitor

import pmd.engines.coder  # noqa: F401  registers the coder of record batches
from pmd.engines import channels, coder, counters, ends, mistakes, progress, signatures, versions
from pmd.engines.versions import Versions
from pmd.store import exchange, parcels
from pmd.store.commits import Books, File
from pmd.store.exchange import Rows
from pmd.store.parcels import Unit

signatures.remember()

#: What a worker hands to the commit: one row a file, or one a (source, reason) count. `fact` is JSON.
OUTPUTS = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("source", pa.string()),
        pa.field("reason", pa.string()),  # null: kept
        pa.field("count", pa.int64()),
        pa.field("fact", pa.string()),
    ]
)


def outputs(files: Iterable[File], books: dict[str, Books] | None = None, facts: Iterable[str] = ()) -> pa.RecordBatch:
    """Return files, books and facts as one batch of `OUTPUTS`."""
    rows: list[dict[str, Any]] = [dataclasses.asdict(file) for file in files]
    for source, book in (books or {}).items():
        rows.append({"source": source, "reason": None, "count": book.kept})
        rows += [{"source": source, "reason": reason, "count": count} for reason, count in book.rejected.items()]
    rows += [{"fact": fact} for fact in facts]
    return pa.RecordBatch.from_pylist(rows, schema=OUTPUTS)


@dataclasses.dataclass(frozen=True)
class Collected:
    """All outputs of a stage."""

    files: tuple[File, ...]
    books: dict[str, Books]
    facts: tuple[str, ...]


def collect(batches: Iterable[pa.RecordBatch]) -> Collected:
    """Add up batches of `OUTPUTS`, in any order; equal files count once."""
    files: set[File] = set()
    books: dict[str, Books] = {}
    facts: list[str] = []
    for batch in batches:
        for row in batch.to_pylist():
            if row["name"] is not None:
                files.add(File(row["name"], row["bytes"], row["rows"], row["sha256"]))
            elif row["fact"] is not None:
                facts.append(row["fact"])
            else:
                kept = row["reason"] is None
                more = Books(row["count"], {}) if kept else Books(0, {row["reason"]: row["count"]})
                books[row["source"]] = books.get(row["source"], Books()) + more
    return Collected(tuple(sorted(files, key=lambda file: file.name)), books, tuple(sorted(facts)))


#: What a unit's batch carries beside its rows.
_NUMBER: Final = b"unit"
_OF: Final = b"units"


class Work(Protocol):
    """What a worker does with one element, and maybe a side input: a picklable callable that knows the run's work folder."""

    @property
    def work(self) -> str:
        """The folder of this run."""

    def __call__(self, element: Any, /, *side: Any) -> Iterable[Any]:
        """Yield the outputs of one element."""


class Spreads(abc.ABC):
    """What gives rows of a unit that are to meet others, and maybe more. Called, it writes them to runs."""

    work: str
    #: Kind → what its rows are: each meets by itself. Where there is one, it needs no name.
    kinds: ClassVar[Mapping[str, pa.Schema]]

    @property
    def partitions(self) -> int:
        """How many units there are, where these are what has met in a partition."""
        return 1

    @abc.abstractmethod
    def rows(self, unit: Any, /, *side: Any) -> Iterable[Rows | pa.RecordBatch]:
        """Yield the rows of a unit, and what else it gives."""

    def __call__(self, unit: Any, /, *side: Any) -> Iterator[pa.RecordBatch]:
        """A unit → what it gives beside rows, and `exchange.runs_of` each kind of these."""
        with exchange.Runs(self.work, self.kinds) as runs:
            for found in self.rows(unit, *side):
                if isinstance(found, Rows):
                    runs.put(found)
                else:
                    yield found
        yield from runs.written

    def unit_of(self, unit: Any) -> Unit:
        """Return which of all units one is: a batch of `create`, or a partition with what has met in it."""
        return Unit(unit[0], self.partitions) if isinstance(unit, tuple) else unit_of(unit)


class SpreadsMet(Spreads):
    """What gives rows of what has met in a partition, so that they meet others anew."""

    bits: int  # of the partitions in which its units have met

    @property
    def partitions(self) -> int:
        """How many units there are."""
        return 1 << self.bits


@dataclasses.dataclass(frozen=True)
class ToParcels:
    """Hand the rows of a unit to the engine's shuffle."""

    spreads: Spreads

    @property
    def work(self) -> str:
        """The folder of this run."""
        return self.spreads.work

    @property
    def partitions(self) -> int:
        """How many units there are, where these are what has met in a partition."""
        return self.spreads.partitions

    def __call__(self, unit: Any, /, *side: Any) -> Iterator[tuple[bytes, pa.RecordBatch]]:
        """A unit → (key of a parcel, rows), and (`parcels.BESIDE`, what else it gives)."""
        yield from parcels.cut(self.spreads.kinds, self.spreads.rows(unit, *side), self.spreads.unit_of(unit))


def spread_key(batch: pa.RecordBatch) -> int:
    """Return a number that scatters units over workers and does not depend on their order."""
    return zlib.crc32(repr(batch.to_pylist()).encode())


class Spread(beam.PTransform):  # type: ignore[misc]
    """Hand each unit to a worker of its own: a GroupByKey on a scattering number, which no engine skips."""

    def expand(self, units: Any) -> Any:
        """PCollection[RecordBatch] → PCollection[RecordBatch]."""
        return (
            units
            | "Key" >> beam.Map(lambda batch: (spread_key(batch), batch)).with_output_types(tuple[int, pa.RecordBatch])
            | "Group" >> beam.GroupByKey()
            | "Ungroup" >> beam.FlatMap(lambda keyed: keyed[1]).with_output_types(pa.RecordBatch)
        )


def create(batches: list[pa.RecordBatch], *, spread: bool = False) -> Any:
    """Return a PTransform that gives these batches, one element each, which carry the numbers that they have among all.

    Args:
        batches: The elements.
        spread: Whether the engine is to deal them out to its workers, in turn where it can. An engine may not: then it is slower.
    """
    of = str(len(batches))
    numbered = [batch.replace_schema_metadata({_NUMBER: str(number), _OF: of}) for number, batch in enumerate(batches)]
    return beam.Create(numbered, reshuffle=spread).with_output_types(pa.RecordBatch)


def unit_of(batch: pa.RecordBatch) -> Unit:
    """Return which of all units a batch is that `create` has given."""
    return Unit(int(batch.schema.metadata[_NUMBER]), int(batch.schema.metadata[_OF]))


class _Sizes(PipelineVisitor):  # type: ignore[misc]
    def __init__(self) -> None:
        self.most = 0

    def visit_transform(self, applied: Any) -> None:
        if isinstance(applied.transform, beam.Create):
            self.most = max(self.most, len(applied.transform.values))

    def enter_composite_transform(self, applied: Any) -> None:
        self.visit_transform(applied)


def units(pipeline: beam.Pipeline) -> int:
    """Return how many units a pipeline begins with: of what it is created from, the most."""
    sizes = _Sizes()
    pipeline.visit(sizes)
    return sizes.most


@functools.cache
def _freeze() -> None:
    """Leave what is imported by now out of later collections, each of which would walk all of it."""
    gc.collect()
    gc.freeze()


def _opened(kind: type[PerTask], drivers: Versions, work: str, sealed: bytes) -> PerTask:
    """Return a step as a worker gets it; a worker of other versions does not open it."""
    versions.check(drivers, work)
    folder, function = pickler.loads(sealed)
    versions.stand_in(folder)
    return kind(function)


class PerTask(beam.DoFn):  # type: ignore[misc]
    """Run a function from a batch to batches. It crosses sealed: a worker looks at the driver's versions before it is opened."""

    def __init__(self, function: Work) -> None:
        self._function = function
        self._counts: progress.Counts | None = None
        self._encoded = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (
            type(self),
            versions.here(),
            self._function.work,
            pickler.dumps((ends.folder(), self._function)),
        )

    def setup(self) -> None:
        """Run before the first element."""
        _freeze()

    def start_bundle(self) -> None:
        """Begin to count what a bundle gives."""
        self._encoded = coder.encoded_bytes()

    def process(self, element: Any) -> Iterator[Any]:
        """Yield what the function gives; leave a user's mistake where the driver finds it."""
        yield from self._run(element)

    def _run(self, *given: Any) -> Iterator[Any]:
        with mistakes.left_in(self._function.work):
            ends.check(self._function.work)
            for found in self._function(*given):
                channels.check(self._encoded)
                yield found
            self._tell(given[0])

    def _tell(self, element: Any) -> None:
        """Leave word that a task is done: a unit, or one of so many partitions."""
        function = self._function
        # A pipeline that begins with units of two kinds says how many there are of each.
        total = _partitions(function) if isinstance(element, tuple) else getattr(function, "tasks", progress.UNITS)
        if self._counts is None:
            self._counts = progress.Counts(self._function.work, uuid.uuid4().hex)
        self._counts.step(_name(function), total)

    def finish_bundle(self) -> None:
        """Leave what was not told yet."""
        if self._counts is not None:
            self._counts.write()


def per_task(work: Any) -> beam.ParDo:
    """Return the step that does some work on each record batch, as `PerTask`, and yields record batches."""
    return beam.ParDo(PerTask(work)).with_output_types(pa.RecordBatch)


def _name(function: Work) -> str:
    """Return what a person is told that a function does: rows are read, or made, and the way that they go is none of it."""
    return type(function.spreads if isinstance(function, ToParcels) else function).__name__


def _partitions(function: Work) -> int:
    """Return how many partitions a function has to do with; 0 where it does not say."""
    bits = getattr(function, "bits", None)
    return int(getattr(function, "partitions", 0 if bits is None else 2**bits))


class PerTaskBeside(PerTask):
    """Run a function from a batch, and a side input as a second argument, to batches."""

    def process(self, element: Any, side: Any) -> Iterator[Any]:  # type: ignore[override]  # Beam asks for the names
        """Yield what the function gives; leave a user's mistake where the driver finds it."""
        yield from self._run(element, side)


class Only(beam.PTransform):  # type: ignore[misc]
    """Keep the batches of one schema, of what a worker yields of several."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__()
        self._schema = schema

    def expand(self, batches: Any) -> Any:
        """PCollection[RecordBatch] → PCollection[RecordBatch]."""
        schema = self._schema
        return batches | "Only" >> beam.Filter(lambda batch: batch.schema == schema).with_output_types(pa.RecordBatch)


class Together(beam.PTransform):  # type: ignore[misc]
    """Bring small batches to one worker."""

    def expand(self, batches: Any) -> Any:
        """PCollection[RecordBatch] → PCollection of one (0, all of them), or of none."""
        return (
            batches
            | "All" >> beam.Map(lambda batch: (0, batch)).with_output_types(tuple[int, pa.RecordBatch])
            | "Group" >> beam.GroupByKey()
        )


class RunsOf(beam.PTransform):  # type: ignore[misc]
    """Keep the runs of one kind of rows, of what workers give."""

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self._kind = kind

    def expand(self, given: Any) -> Any:
        """PCollection[RecordBatch] → PCollection[RecordBatch] of RUNS."""
        return (
            given
            | "Of a kind" >> Only(exchange.runs_of(self._kind))
            | "As runs" >> beam.Map(exchange.as_runs).with_output_types(pa.RecordBatch)
        )


class TurnOver(beam.PTransform):  # type: ignore[misc]
    """What each unit has written of a kind of rows → what each partition is to read.

    Units have a message for each of their buffers, and handing out a reference for each unit and partition would be millions of
    elements where the input is large: so all come together, and each partition is one element. Of the engine's shuffle a
    partition has messages of megabytes, so few that each is an element, and nothing has to come together.
    """

    def __init__(self, kind: str = "", *, by_engine: bool) -> None:
        super().__init__()
        self._kind, self._by_engine = kind, by_engine

    def expand(self, given: Any) -> Any:
        """PCollection[RecordBatch] with RUNS of a kind → PCollection[(partition, RUNS)]."""
        runs = given | "Runs" >> RunsOf(self._kind)
        if self._by_engine:
            return runs | "Of its partition" >> beam.Map(_of_its_partition).with_output_types(
                tuple[int, pa.RecordBatch]
            )
        return (
            runs
            | "Together" >> Together()
            | "By partition" >> beam.FlatMap(_turned_over).with_output_types(tuple[int, pa.RecordBatch])
        )


def _turned_over(keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[tuple[int, pa.RecordBatch]]:
    return exchange.by_partition(keyed[1])


def _of_its_partition(runs: pa.RecordBatch) -> tuple[int, pa.RecordBatch]:
    return int(runs.column("partition")[0].as_py()), runs


class Meet(beam.PTransform):  # type: ignore[misc]
    """Give each partition to a worker, with all that units have written of it of a kind of rows."""

    def __init__(self, kind: str = "", *, by_engine: bool) -> None:
        super().__init__()
        self._kind, self._by_engine = kind, by_engine

    def expand(self, given: Any) -> Any:
        """PCollection[RecordBatch] with RUNS of a kind → PCollection[(partition, all its RUNS)]."""
        return given | "Turn over" >> TurnOver(self._kind, by_engine=self._by_engine) | "Group" >> beam.GroupByKey()


class Cross(beam.PTransform):  # type: ignore[misc]
    """Have workers give rows that are to meet others, by run files or through the engine's shuffle.

    Either way rows end up in runs, those of units or those of parcels, and whoever reads them knows no difference.

    Args:
        spreads: The work.
        by_engine: Whether rows cross the engine's shuffle.
        side: Side inputs of the work.
    """

    def __init__(self, spreads: Spreads, *, by_engine: bool, side: Sequence[Any] = ()) -> None:
        super().__init__()
        self._spreads, self._by_engine, self._side = spreads, by_engine, side

    def expand(self, units: Any) -> Any:
        """PCollection of units → PCollection[RecordBatch] of `exchange.runs_of` each kind, and of what else workers give."""
        if not self._by_engine:
            return units | "Write runs" >> self._per_task(self._spreads).with_output_types(pa.RecordBatch)
        land = parcels.Land(self._spreads.kinds, self._spreads.work)
        # (key of a parcel, rows), and what else there is
        cut = units | "Cut" >> self._per_task(ToParcels(self._spreads)).with_output_types(tuple[bytes, pa.RecordBatch])
        landed = (
            cut
            | "Rows" >> beam.Filter(_is_of_a_parcel).with_output_types(tuple[bytes, pa.RecordBatch])
            | "Shuffle" >> beam.GroupByKey()
            # RUNS of one row
            | "Land" >> per_task(land)
        )
        beside = cut | "Beside" >> beam.FlatMap(_beside).with_output_types(pa.RecordBatch)
        return (landed, beside) | "Both" >> beam.Flatten()

    def _per_task(self, work: Work) -> Any:
        return beam.ParDo(PerTaskBeside(work), *self._side) if self._side else beam.ParDo(PerTask(work))


def _is_of_a_parcel(keyed: tuple[bytes, pa.RecordBatch]) -> bool:
    return keyed[0] != parcels.BESIDE


def _beside(keyed: tuple[bytes, pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if not _is_of_a_parcel(keyed):
        yield keyed[1]


class ByPartition(beam.PTransform):  # type: ignore[misc]
    """Rows meet by partition: `write` gives those of a unit, `merge` gets all of a partition.

    Both are picklable callables of `pmd` (plain dataclasses with `__call__`).
    """

    def __init__(self, write: Spreads, merge: Work, *, by_engine: bool) -> None:
        super().__init__()
        self._write = write
        self._merge = merge
        self._by_engine = by_engine

    def expand(self, units: Any) -> Any:
        """PCollection[RecordBatch] of units → PCollection[RecordBatch] of outputs."""
        return (
            units
            | "Spread" >> Spread()
            # RUNS
            | "Cross" >> Cross(self._write, by_engine=self._by_engine)
            # (partition, RUNS)
            | "Meet" >> Meet(by_engine=self._by_engine)
            # OUTPUTS
            | "Merge" >> per_task(self._merge)
        )


class Finish(Protocol):
    """What commits a stage: a picklable callable that knows the run's work folder."""

    @property
    def work(self) -> str:
        """The folder of this run."""

    @property
    def stage(self) -> str:
        """The stage's name."""

    def __call__(self, found: Collected, /) -> None:
        """Commit."""


class WriteCommit(beam.PTransform):  # type: ignore[misc]
    """Bring all outputs of a stage together and commit them; the end of every pipeline."""

    def __init__(self, finish: Finish) -> None:
        super().__init__()
        self._finish = finish

    def expand(self, found: Any) -> Any:
        """PCollection[RecordBatch] of outputs → PCollection of one None."""
        pipeline = found.pipeline
        nothing = pipeline | "Nothing" >> create([outputs(())])  # a stage without any output commits too
        return (
            (found, nothing)
            | "All" >> beam.Flatten()
            | "Together" >> beam.Map(_Counted(self._finish.stage)).with_output_types(tuple[int, pa.RecordBatch])
            | "Barrier" >> beam.GroupByKey()
            | "Commit" >> beam.Map(_Finish(self._finish)).with_output_types(int)
        )


@dataclasses.dataclass(frozen=True)
class _Counted:
    """Give all outputs of a stage one key, and the engine's counters what they say."""

    stage: str

    def __call__(self, batch: pa.RecordBatch) -> tuple[int, pa.RecordBatch]:
        counters.count(self.stage, collect([batch]).books)
        return 0, batch


class _Finish:
    def __init__(self, finish: Finish) -> None:
        self._finish = finish

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> int:
        with mistakes.left_in(self._finish.work):
            ends.check(self._finish.work)
            self._finish(collect(keyed[1]))
            ends.leave(self._finish.work)
        return 0


class End(beam.PTransform):  # type: ignore[misc]
    """Leave word that all is done; the end of a pipeline whose steps commit by themselves."""

    def __init__(self, work: str) -> None:
        super().__init__()
        self._work = work

    def expand(self, found: Any) -> Any:
        """PCollection[RecordBatch] → PCollection of one None."""
        nothing = found.pipeline | "Nothing" >> create([outputs(())])
        return (
            (found, nothing)
            | "All" >> beam.Flatten()
            | "Count" >> beam.Map(lambda _: (0, 0)).with_output_types(tuple[int, int])
            | "Barrier" >> beam.GroupByKey()
            | "End" >> beam.Map(_End(self._work)).with_output_types(int)
        )


@dataclasses.dataclass(frozen=True)
class _End:
    work: str

    def __call__(self, _: tuple[int, Iterable[int]]) -> int:
        with mistakes.left_in(self.work):
            ends.leave(self.work)
        return 0
