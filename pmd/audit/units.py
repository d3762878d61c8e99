"""What pairs come in: users, images, hosts, pages and subreddits, counted where all pairs of one have met.

    occurrences   pairs, what was seen of them, the last stage each survived → `ROWS`, which meet by unit
    count         all rows of some units → a `Counted`, which merges in any order

Only sums leave: how many units have so many pairs (`SIZES`), the sums that intervals need (`pmd.audit.clusters`) and tests of
losses (`pmd.audit.losses`), and the names of the hosts with most pairs. No list of users, and no sample of them, is handed on.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd import manifests
from pmd.audit import associations, clusters, groups, losses
from pmd.audit.clusters import Counts, Having
from pmd.audit.marks import BITS, OF_ENGLISH, OF_READ
from pmd.audit.measure import CATEGORIES, CLASSES, DATA, NOT_READ, Seen, by_source, classes, low_words

#: What is counted, and in which source where not in all.
KINDS: Final = ("image", "user", "subreddit", "page", "host")
#: What another draw of pairs would draw of a data set (of one that names no users, images alone count), and of pairs of
#: people's own. Of any other source its manifest says so.
OF_DATA: Final = ("user", "image")
BY_IMAGE: Final = ("image",)

#: Whose loss is tested: the coarsest of these that a source has.
LOST_BY: Final = ("host", "user")

#: Properties whose loss is not tested: marks, and what their ratio needs.
UNTESTED: Final = frozenset({*BITS, "young+old", "young both old"})

#: Domains of losses: all pairs, by how many the unit had at first; and pairs that have a date, by year.
SIZED: Final = "sized"
DATED: Final = "dated"

#: All sources together, where a source is named otherwise.
ALL: Final = ""

#: Years are below this.
_YEARS: Final = 2**12

#: Kinds whose units are named.
NAMED: Final = ("subreddit", "host")
#: Texts with a mark from which a host or a subreddit is named beside it, and how many are.
LEAST_MARKED: Final = 20
LISTED_MARKED: Final = 20

#: Pairs from which the sizes of units are sorted. Smaller ones are counted in a table, which is as long as the largest.
_LARGE: Final = 2**16

#: Hosts that are listed, of each source and stage.
LISTED_HOSTS: Final = 20

ROWS: Final = pa.schema(
    [
        pa.field("unit", pa.uint64(), nullable=False),  # `Seen.ids`; of an image half of its key
        pa.field("kind", pa.int8(), nullable=False),  # of `KINDS`
        pa.field("source", pa.string(), nullable=False),
        pa.field("last", pa.int8(), nullable=False),  # number of the last of `CLASSES` survived
        pa.field("category", pa.int8(), nullable=False),  # of `CATEGORIES`, or `NOT_READ`
        pa.field("country", pa.string(), nullable=False),  # "": no geotag, or at sea
        pa.field("marks", pa.int64(), nullable=False),  # `marks.MARKS` as bits
        pa.field("associated", pa.string(), nullable=False),  # as in `Marked`
        pa.field("name", pa.string(), nullable=False),  # of hosts and subreddits alone
        pa.field("year", pa.int16(), nullable=False),  # of `LOST_BY` alone; 0: no date
        pa.field("pairs", pa.int64(), nullable=False),  # that are alike in all of these
    ]
)

_AT: Final = [
    pa.field("source", pa.string(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("stage", pa.int64(), nullable=False),
]
_AT_NAMES: Final = tuple(field.name for field in _AT)
#: Units by how many pairs they have after a stage.
SIZES: Final = pa.schema([*_AT, pa.field("size", pa.int64()), pa.field("units", pa.int64())])
#: `clusters.ROWS` of each source, kind, stage and domain: what the shares are shares of.
SUMS: Final = pa.schema([*_AT, pa.field("domain", pa.string(), nullable=False), *clusters.ROWS])
#: `losses.ROWS` of the step that a stage is.
LOSSES: Final = pa.schema([*_AT, pa.field("domain", pa.string(), nullable=False), *losses.ROWS])
#: `groups.ROWS` of each source and kind.
GROUPS: Final = pa.schema([*_AT[:2], *groups.ROWS])
#: The hosts with most pairs after any stage, after each.
HOSTS: Final = pa.schema(
    [*_AT, pa.field("name", pa.string(), nullable=False), pa.field("pairs", pa.int64(), nullable=False)]
)

#: The hosts and subreddits with most texts that have a mark, with the texts that were read of them and are English.
MARKED: Final = pa.schema(
    [
        *_AT,
        pa.field("mark", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("english", pa.int64(), nullable=False),
        pa.field("texts", pa.int64(), nullable=False),
    ]
)

#: Property → the categories that have it, of the texts that were read; and of those that are English.
READ: Final[Mapping[str, frozenset[int]]] = {
    name: frozenset(code for code, names in enumerate(CATEGORIES) if name in names)
    for name in ("english", "undetermined")
}
ENGLISH: Final[Mapping[str, frozenset[int]]] = {
    **{
        name: frozenset(code for code, names in enumerate(CATEGORIES) if name in names)
        for name in ("female", "male", "neutral")
    },
    "both": frozenset(code for code, names in enumerate(CATEGORIES) if {"female", "male"} <= names),
    "neither": frozenset(
        code for code, names in enumerate(CATEGORIES) if "english" in names and not {"female", "male"} & names
    ),
}


def clusters_of(source: str) -> tuple[str, ...]:
    """Return the kinds of units that another draw of a source's pairs would draw."""
    if source == DATA:
        return OF_DATA
    manifest = manifests.load_all().get(source)
    return BY_IMAGE if manifest is None else manifest.clusters


def occurrences(pairs: pa.RecordBatch, last: pa.Array, seen: Mapping[str, Seen]) -> Iterable[pa.RecordBatch]:
    """Yield `ROWS`: of each pair one for each unit that it comes in; of images only what `pmd.audit.distinct` does not count.

    Pairs of a unit that are alike are one row: a host that has all pairs of a source would else fill a worker's memory.

    Args:
        pairs: `measure.COLUMNS`; any sources.
        last: The last of `measure.CLASSES` that each pair survived.
        seen: Source → what `measure.look` saw of its pairs, in their order.
    """
    numbers = classes(last)
    for source, mine in by_source(pairs).items():
        found = seen[source]
        pairs_of = _Alike.of(found, numbers[mine])
        for code, kind in enumerate(KINDS):
            if kind == "image" and kind in clusters_of(source):
                images = low_words(pairs.column("image_id"))[mine]
                some = np.flatnonzero(pairs_of.is_told)
                yield _rows(code, source, images[some], pairs_of, some, np.ones(len(some), np.int64))
            elif kind in found.units:
                names = found.units[kind]
                having = pc.not_equal(names.dictionary, "").to_numpy(zero_copy_only=False)[names.indices.to_numpy()]
                some, counts = pairs_of.together(names.indices.to_numpy(), having, dated=kind in LOST_BY)
                yield _rows(code, source, found.ids(kind)[some], pairs_of, some, counts, names)


@dataclasses.dataclass(frozen=True)
class _Alike:
    """What pairs of one source have, whatever they come in: each is a number, or a place in a dictionary.

    Attributes:
        last: The class.
        category: As of `Seen`.
        country: Places in `countries`.
        text: Places in `texts`.
        year: 0 for none.
        countries: Codes, "" among them.
        texts: Marks and associated terms that some texts have together.
    """

    last: Counts
    category: Counts
    country: Counts
    text: Counts
    year: Counts
    countries: pa.Array
    texts: pa.StructArray

    @classmethod
    def of(cls, found: Seen, last: NDArray[np.intp]) -> _Alike:
        """Return what was seen of pairs; those that were not read have no marks and terms."""
        countries = found.countries.dictionary_encode()
        read = np.flatnonzero(found.categories != NOT_READ)
        associated = pa.array([*found.marked.associated, ""], pa.string()).dictionary_encode()
        marks, of_marks = np.unique(np.r_[found.marked.marks, 0], return_inverse=True)
        width = len(associated.dictionary)
        codes, of_texts = np.unique(of_marks * width + associated.indices.to_numpy(), return_inverse=True)
        text = np.full(len(found.categories), of_texts[-1], dtype=np.int64)
        text[read] = of_texts[:-1]
        texts = [pa.array(marks[codes // width], pa.int64()), associated.dictionary.take(pa.array(codes % width))]
        return cls(
            last.astype(np.int64),
            found.categories.astype(np.int64),
            countries.indices.to_numpy().astype(np.int64),
            text,
            _years(found),
            countries.dictionary,
            pa.StructArray.from_arrays(texts, names=["marks", "associated"]),
        )

    @functools.cached_property
    def is_told(self) -> NDArray[np.bool_]:
        """Which pairs have a text that was read, or a country: shares are of these."""
        placed = pc.not_equal(self.countries, "").to_numpy(zero_copy_only=False)
        told: NDArray[np.bool_] = (self.category != NOT_READ) | placed[self.country]
        return told

    @functools.cached_property
    def _undated(self) -> tuple[Counts, int]:
        """A number of what each pair has but for its year, and how many such numbers there may be."""
        code, width = self.last, len(CLASSES)
        for values, number in (
            (self.category - NOT_READ, len(CATEGORIES) + 1),
            (self.country, len(self.countries)),
            (self.text, len(self.texts)),
        ):
            code, width = code * number + values, width * number
        return code, width

    def together(
        self, unit: NDArray[np.int32], having: NDArray[np.bool_], *, dated: bool
    ) -> tuple[NDArray[np.intp], Counts]:
        """Return one of the pairs of each unit that are alike in all, and how many there are.

        Args:
            unit: The number of each pair's unit, below the number of pairs.
            having: Which pairs have one.
            dated: Whether the year counts.
        """
        code, width = self._undated
        if dated:
            code, width = code * _YEARS + self.year, width * _YEARS
        assert width * len(code) < 2**63, "a batch of pairs has so few values that one number tells them all"
        some = np.flatnonzero(having)
        mine = unit[some].astype(np.int64) * width + code[some]
        order = np.argsort(mine)
        starts = np.flatnonzero(np.diff(mine[order], prepend=-1))
        return some[order[starts]], np.diff(np.r_[starts, len(mine)])


def _rows(
    code: int,
    source: str,
    ids: NDArray[np.uint64],
    alike: _Alike,
    some: NDArray[np.intp],
    pairs: Counts,
    names: pa.DictionaryArray | None = None,
) -> pa.RecordBatch:
    """Return `ROWS` of some pairs, each of which stands for several."""
    kind, length = KINDS[code], len(some)
    texts = alike.texts.take(pa.array(alike.text[some]))
    columns = {
        "unit": pa.array(ids),
        "kind": pa.repeat(pa.scalar(code, pa.int8()), length),
        "source": pa.repeat(pa.scalar(source, pa.string()), length),
        "last": pa.array(alike.last[some].astype(np.int8)),
        "category": pa.array(alike.category[some].astype(np.int8)),
        "country": alike.countries.take(pa.array(alike.country[some])),
        "marks": texts.field("marks"),
        "associated": texts.field("associated"),
        "name": names.take(pa.array(some)).cast(pa.string())
        if names is not None and kind in NAMED
        else pa.repeat(pa.scalar("", pa.string()), length),
        "year": pa.array((alike.year[some] if kind in LOST_BY else np.zeros(length)).astype(np.int16)),
        "pairs": pa.array(pairs, pa.int64()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in ROWS.names], schema=ROWS)


def _years(found: Seen) -> Counts:
    """Return the year of each pair; 0 where it has none."""
    years = found.traits.get("year")
    if years is None:
        return np.zeros(len(found.categories), dtype=np.int64)
    numbers = np.array([int(year or 0) for year in years.dictionary.to_pylist()], dtype=np.int64)
    of_pairs: Counts = numbers[years.indices.to_numpy()]
    return of_pairs


@dataclasses.dataclass(frozen=True)
class _Ordered:
    """A table in the order of the columns that say what its rows are of: the rows of one thing are a slice, found once for all.

    Attributes:
        table: The rows.
        slices: Values of these columns → where their rows begin, and how many there are.
    """

    table: pa.Table
    slices: Mapping[tuple[object, ...], tuple[int, int]]

    @classmethod
    def by(cls, table: pa.Table, *columns: str) -> _Ordered:
        """Return a table that stands in the order of some columns."""
        whole = table.select(columns).combine_chunks()
        is_first = np.arange(len(whole)) == 0
        for column in whole.columns:
            differs = pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0)))
            is_first[1:] |= differs.to_numpy()
        starts = np.flatnonzero(is_first)
        lengths = np.diff(np.r_[starts, len(whole)]).tolist()
        heads = whole.take(pa.array(starts))
        values = zip(*(column.to_pylist() for column in heads.columns), strict=True)
        slices = dict(zip(values, zip(starts.tolist(), lengths, strict=True), strict=True))
        assert len(slices) == len(starts), "rows of the same values stand beside each other"
        return cls(table, slices)

    def at(self, *values: object) -> pa.Table:
        """Return the rows of some values."""
        return self.table.slice(*self.slices.get(values, (0, 0)))


@dataclasses.dataclass(frozen=True)
class Counted:
    """What is known of units: tables whose rows are added up, in the order of what they are of once they are `merged`."""

    sizes: pa.Table
    sums: pa.Table
    losses: pa.Table
    hosts: pa.Table
    groups: pa.Table
    marked: pa.Table

    @property
    def rows(self) -> int:
        """How many all tables have."""
        return sum(getattr(self, field.name).num_rows for field in dataclasses.fields(self))

    def to_bytes(self) -> bytes:
        """Return its tables as packed streams of Arrow, one behind the other."""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
        for field in dataclasses.fields(self):
            table = getattr(self, field.name)
            with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
                writer.write_table(table)
        return bytes(sink.getvalue().to_pybytes())

    @classmethod
    def from_bytes(cls, content: bytes) -> Counted:
        """Return what `to_bytes` wrote."""
        source = pa.BufferReader(content)
        return cls(*(pa.ipc.open_stream(source).read_all() for _ in dataclasses.fields(cls)))

    @functools.cached_property
    def ordered(self) -> Mapping[str, _Ordered]:
        """Its tables by source, kind and stage, those of domains by domain too: each is asked for hundreds of times."""
        whole = {name: _Ordered.by(getattr(self, name), *_AT_NAMES) for name in ("sizes", "sums", "hosts", "marked")}
        parts = {
            f"{name} of domains": _Ordered.by(getattr(self, name), *_AT_NAMES, "domain") for name in ("sums", "losses")
        }
        return whole | parts

    @functools.cached_property
    def summed(self) -> dict[tuple[str, str, int, str], clusters.Sums]:
        """What `sums_of` has made already: all figures of a domain are of the same clusters."""
        return {}


EMPTY: Final = Counted(*(schema.empty_table() for schema in (SIZES, SUMS, LOSSES, HOSTS, GROUPS, MARKED)))


def merged(parts: Iterable[Counted]) -> Counted:
    """Return what is known of the units of all parts, sorted; each unit stands in one part alone.

    Parts are taken one by one. As soon as those that wait have as many rows as all before them together, they are added up: so
    no more is held than twice what comes out and a part, and a row is added up a few times, not once a part.
    """
    waiting = [EMPTY]
    for part in parts:
        waiting.append(part)
        if len(waiting) > 2 and sum(one.rows for one in waiting[1:]) >= waiting[0].rows:
            waiting = [_merged(waiting)]
    return _merged(waiting)


def _merged(some: Sequence[Counted]) -> Counted:
    """Return what is known of the units of all parts, added up at once."""
    hosts = pa.concat_tables([part.hosts for part in some])
    return Counted(
        _added(SIZES, [part.sizes for part in some], 4),
        _added(SUMS, [part.sums for part in some], 6),
        _added(LOSSES, [part.losses for part in some], 7),
        _largest(hosts),
        _added(GROUPS, [part.groups for part in some], 5),
        _most_marked(pa.concat_tables([part.marked for part in some])),
    )


def _added(schema: pa.Schema, tables: Iterable[pa.Table], key_columns: int) -> pa.Table:
    """Return the rows of all tables, in order of their first columns; rows with the same values in these are added up.

    Each source, kind and stage is added up by itself: that takes several times the room of its rows.

    Args:
        schema: What the rows are.
        tables: Each in order of its source, kind and stage; no two rows of one have the same values in their first columns.
        key_columns: How many columns say what a row is of.
    """
    at = [name for name in _AT_NAMES if name in schema.names]
    parts = [_Ordered.by(table, *at) for table in tables]
    found = [schema.empty_table()]
    for one in sorted({one for part in parts for one in part.slices}):
        some = [part.at(*one) for part in parts if one in part.slices]
        rows = some[0] if len(some) == 1 else _summed(pa.concat_tables(some), schema, key_columns)
        found.append(rows.sort_by([(name, "ascending") for name in schema.names[:key_columns]]))
    return pa.concat_tables(found).combine_chunks()


def _summed(rows: pa.Table, schema: pa.Schema, key_columns: int) -> pa.Table:
    """Return rows of which no two have the same values in their first columns, in any order."""
    names = schema.names[:key_columns]
    summed = rows.group_by(names, use_threads=False).aggregate([(name, "sum") for name in schema.names[key_columns:]])
    named = summed.rename_columns([name.removesuffix("_sum") for name in summed.schema.names])
    return named.select(schema.names).cast(schema)


def _largest(hosts: pa.Table) -> pa.Table:
    """Return the rows of hosts that are among the `LISTED_HOSTS` with most pairs of their source after some stage, sorted."""
    order = [("source", "ascending"), ("stage", "ascending"), ("pairs", "descending"), ("name", "ascending")]
    ranked = hosts.sort_by(order)
    sources, stages, names = (ranked[column].to_pylist() for column in ("source", "stage", "name"))
    held: dict[tuple[str, int], int] = {}
    large: set[tuple[str, str]] = set()
    for source, stage, name in zip(sources, stages, names, strict=True):
        held[source, stage] = held.get((source, stage), 0) + 1
        if held[source, stage] <= LISTED_HOSTS:
            large.add((source, name))
    found = [place for place, at in enumerate(zip(sources, names, strict=True)) if at in large]
    return ranked.take(pa.array(found, pa.int64()))


def _most_marked(rows: pa.Table) -> pa.Table:
    """Return the `LISTED_MARKED` of each source, kind, stage and mark that have most texts with it, sorted."""
    at = ["source", "kind", "stage", "mark"]
    order = [*((name, "ascending") for name in at), ("texts", "descending"), ("name", "ascending")]
    ranked = rows.sort_by(order)
    held: dict[tuple[object, ...], int] = {}
    found = []
    for place, where in enumerate(zip(*(ranked[name].to_pylist() for name in at), strict=True)):
        held[where] = held.get(where, 0) + 1
        if held[where] <= LISTED_MARKED:
            found.append(place)
    return ranked.take(pa.array(found, pa.int64()))


def count(rows: pa.Table, incomes: Mapping[str, str] | None = None) -> Counted:
    """Return what is known of units.

    Args:
        rows: All `ROWS` of these units, in any order.
        incomes: Country → its income class, where that is known.
    """
    found = []
    kinds = rows["kind"].to_numpy()
    encoded = rows["source"].combine_chunks().dictionary_encode()
    sources, of_source = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    told = rows.drop_columns(["kind", "source"])
    for code in np.flatnonzero(np.bincount(kinds)).tolist():
        kind, of_kind = KINDS[code], kinds == code
        some = told if kind in NAMED else told.drop_columns(["name"])
        for place in np.flatnonzero(np.bincount(of_source[of_kind])).tolist():
            mine = some.filter(pa.array(of_kind & (of_source == place)))
            found.append(_count(sources[place], kind, mine, incomes or {}))
        if kind == "host":
            found.append(_count(ALL, kind, some.filter(pa.array(of_kind)), {}))
    return _merged([EMPTY, *found])


def of_sizes(tables: Iterable[pa.Table]) -> Counted:
    """Return units of which only `SIZES` are known."""
    sizes = pa.concat_tables([SIZES.empty_table(), *tables]).sort_by([(name, "ascending") for name in _AT_NAMES])
    return merged([dataclasses.replace(EMPTY, sizes=sizes)])


@dataclasses.dataclass(frozen=True)
class _Units:
    """The units of one source and kind, and their rows: those of a unit beside each other.

    Attributes:
        ids: Which units there are.
        rows: Of each row where it stood among those that were given.
        place: Which unit it is of; ascending.
        last: The last stage that its pairs survived.
        pairs: How many pairs it stands for.
        category: As in `ROWS`; so are `marks` and `year`.
        country: A place in `countries`.
        countries: Codes, "" among them.
    """

    ids: NDArray[np.uint64]
    rows: NDArray[np.intp]
    place: Counts
    last: Counts
    pairs: Counts
    category: NDArray[np.int8]
    marks: Counts
    year: NDArray[np.int16]
    country: Counts
    countries: tuple[str, ...]

    @classmethod
    def of(cls, rows: pa.Table) -> _Units:
        """Return the units of `ROWS`."""
        unit = rows["unit"].to_numpy()
        order = np.argsort(unit)
        countries = rows["country"].combine_chunks().dictionary_encode()
        first, place = _numbered(unit[order])
        return cls(
            unit[order[first]],
            order,
            place,
            rows["last"].to_numpy()[order].astype(np.int64),
            rows["pairs"].to_numpy()[order],
            rows["category"].to_numpy()[order],
            rows["marks"].to_numpy()[order],
            rows["year"].to_numpy()[order],
            countries.indices.to_numpy().astype(np.int64)[order],
            tuple(countries.dictionary.to_pylist()),
        )

    def only(self, some: NDArray[np.bool_]) -> _Units:
        """Return the units that have some rows, and these alone."""
        mine = np.flatnonzero(some)
        first, place = _numbered(self.place[mine])
        return _Units(
            self.ids[self.place[mine[first]]],
            self.rows[mine],
            place,
            self.last[mine],
            self.pairs[mine],
            self.category[mine],
            self.marks[mine],
            self.year[mine],
            self.country[mine],
            self.countries,
        )

    def whole(self) -> Counts:
        """Return the pairs of each unit after each stage; shape (units, stages)."""
        return after(self.place, self.last, len(self.ids), self.pairs)

    def named(self, names: pa.ChunkedArray) -> pa.Array:
        """Return the name of each unit, which is that of all its rows; names are those of the rows that were given."""
        first, _ = _numbered(self.place)
        return names.combine_chunks().take(pa.array(self.rows[first]))

    def having(self, some: NDArray[np.bool_]) -> Having:
        """Return the units that have some rows, and the pairs of these after each stage."""
        return self._having(np.flatnonzero(some))

    def by(self, values: NDArray[np.int16]) -> dict[int, Having]:
        """Return the same of the rows with each value."""
        order = np.argsort(values, kind="stable")
        starts = np.flatnonzero(np.diff(values[order], prepend=-1)).tolist()
        return {
            int(values[order[start]]): self._having(order[start:stop])
            for start, stop in itertools.pairwise([*starts, len(order)])
        }

    def _having(self, rows: NDArray[np.intp]) -> Having:
        first, number = _numbered(self.place[rows])
        return Having(self.place[rows[first]], after(number, self.last[rows], len(first), self.pairs[rows]))


def _numbered(values: NDArray[Any]) -> tuple[NDArray[np.intp], Counts]:
    """Return where the runs of equal values begin, and of each value the number of its run."""
    is_first = np.r_[True, values[1:] != values[:-1]][: len(values)]
    return np.flatnonzero(is_first), np.cumsum(is_first) - 1


def after(place: Counts, last: Counts, number: int, pairs: Counts | None = None) -> Counts:
    """Return the pairs of so many units after each stage, by the unit of each row, its last stage and its pairs: else one."""
    # Sums of whole numbers below 2^53, so exact. Units stand beside each other, since stages are looked at one by one.
    table = np.bincount(last * number + place, weights=pairs, minlength=number * len(CLASSES))
    table = table.reshape(len(CLASSES), number).astype(np.int64)
    return np.cumsum(table[::-1], axis=0)[::-1].T


def _count(source: str, kind: str, rows: pa.Table, incomes: Mapping[str, str]) -> Counted:
    units = _Units.of(rows)
    pairs = units.whole()
    # Of images those alone are here that shares are of.
    known = [sizes(source, kind, stage, pairs[:, stage]) for stage in range(len(CLASSES) if kind != "image" else 0)]
    sums: list[pa.Table] = []
    lost: list[pa.Table] = []
    domains: Mapping[str, _Domain] = {}
    if source != ALL and (kind in clusters_of(source) or kind in LOST_BY):
        domains = _domains(units, incomes)
        if kind in clusters_of(source):
            sums = [*_sums(source, kind, domains, rows)]
        if kind in LOST_BY:
            shares = {name: domain.without(UNTESTED) for name, domain in domains.items()}
            for name, domain in {**shares, SIZED: _by_size(pairs), DATED: _by_year(units)}.items():
                lost += [_at(source, kind, stage, name, some) for stage, some in _lost_of(domain)]
    return Counted(
        pa.concat_tables([SIZES.empty_table(), *known]),
        pa.concat_tables([SUMS.empty_table(), *sums]).sort_by("stage"),
        pa.concat_tables([LOSSES.empty_table(), *lost]).sort_by("stage"),
        _hosts(source, units, pairs, rows) if kind == "host" else HOSTS.empty_table(),
        _groups(source, kind, pairs, domains.get("placed")),
        _marked(source, kind, units, rows) if kind in NAMED and source != ALL else MARKED.empty_table(),
    )


@dataclasses.dataclass(frozen=True)
class _Domain:
    """What shares are shares of: some of the pairs, by unit.

    Attributes:
        ids: The units that have any, or those of all pairs.
        whole: Their pairs after each stage; shape (units, stages).
        having: Property → those of the units that have some with it.
    """

    ids: NDArray[np.uint64]
    whole: Counts
    having: Mapping[str, Having]

    def without(self, names: frozenset[str]) -> _Domain:
        """Return the same without some properties."""
        return dataclasses.replace(self, having={name: some for name, some in self.having.items() if name not in names})


def _sums(source: str, kind: str, domains: Mapping[str, _Domain], rows: pa.Table) -> Iterator[pa.Table]:
    """Yield `SUMS` of all domains after each stage, and of the terms that stand with gendered ones."""
    for name, domain in domains.items():
        for stage in range(len(CLASSES)):
            at = {of: counts.after(stage) for of, counts in domain.having.items()}
            yield _at(source, kind, stage, name, clusters.rows(clusters.of(domain.whole[:, stage], at)))
    of_terms = associations.sums(rows, len(CLASSES))
    head = [pa.repeat(pa.scalar(name, pa.string()), of_terms.num_rows) for name in (source, kind)]
    yield pa.table([*head, *of_terms.columns], schema=SUMS)


def _by_size(pairs: Counts) -> _Domain:
    """Return units by how many pairs they had at first."""
    group = groups.of_sizes(pairs[:, 0])
    places = {name: np.flatnonzero(group == number) for number, (_, name) in enumerate(groups.SIZES)}
    having = {name: Having(some, pairs[some]) for name, some in places.items() if len(some)}
    return _Domain(np.zeros(0, np.uint64), pairs, having)


def _by_year(units: _Units) -> _Domain:
    """Return the dated pairs of units by year."""
    dated = units.only(units.year > 0)
    return _Domain(dated.ids, dated.whole(), {str(year): some for year, some in dated.by(dated.year).items()})


def _lost_of(domain: _Domain) -> Iterator[tuple[int, pa.Table]]:
    """Yield each stage, and `losses.ROWS` of it: where it lost none of these pairs it may have lost others of the source."""
    for stage in range(1, len(CLASSES)):
        both = {name: one.after(stage - 1, stage) for name, one in domain.having.items()}
        yield stage, losses.of(domain.whole[:, stage - 1], domain.whole[:, stage], both)


def _groups(source: str, kind: str, pairs: Counts, placed: _Domain | None) -> pa.Table:
    if kind not in LOST_BY or source == ALL:
        return GROUPS.empty_table()
    found = [groups.by_size(pairs)]
    if kind == "user" and placed is not None:
        found.append(groups.by_country(placed.ids, placed.having))
    rows = pa.concat_tables(found)
    head = [pa.array([name] * rows.num_rows, pa.string()) for name in (source, kind)]
    return pa.table([*head, *rows.columns], schema=GROUPS)


def _domains(units: _Units, incomes: Mapping[str, str]) -> Mapping[str, _Domain]:
    """Return the domains of shares that any pair is in: of each its pairs by unit and stage, and those with each property."""
    read = units.only(units.category != NOT_READ)
    is_placed = np.array([label != "" for label in units.countries], dtype=bool)
    placed = units.only(is_placed[units.country])
    by_country = placed.by(placed.country.astype(np.int16))
    found = {
        "read": _Domain(read.ids, read.whole(), _categories(read, READ) | _marks(read, OF_READ)),
        "english": _english(read.only(np.isin(read.category, sorted(READ["english"])))),
        "placed": _Domain(
            placed.ids, placed.whole(), {units.countries[code]: some for code, some in by_country.items()}
        ),
        "income": _by_income(placed, incomes),
    }
    return {name: domain for name, domain in found.items() if len(domain.whole)}


def _categories(units: _Units, properties: Mapping[str, frozenset[int]]) -> dict[str, Having]:
    return {name: units.having(np.isin(units.category, sorted(codes))) for name, codes in properties.items()}


def _marks(units: _Units, names: Iterable[str]) -> dict[str, Having]:
    return {name: units.having((units.marks & BITS[name]) > 0) for name in names}


def _english(units: _Units) -> _Domain:
    """Return the English texts that were read, by what they have."""
    having = _categories(units, ENGLISH) | _marks(units, (name for names in OF_ENGLISH.values() for name in names))
    having["female+male"] = _both(len(units.ids), having["female"], having["male"])
    both = BITS["young"] | BITS["old"]
    having["young+old"] = _both(len(units.ids), having["young"], having["old"])
    having["young both old"] = units.having((units.marks & both) == both)
    return _Domain(units.ids, units.whole(), having)


def _by_income(placed: _Units, incomes: Mapping[str, str]) -> _Domain:
    """Return the pairs in countries whose income class is known, by class."""
    names = sorted({*incomes.values()})
    of_country = np.array([names.index(incomes[code]) if code in incomes else -1 for code in placed.countries])
    known = placed.only(of_country.astype(np.int64)[placed.country] >= 0)
    by_class = known.by(of_country.astype(np.int16)[known.country])
    return _Domain(known.ids, known.whole(), {names[number]: some for number, some in by_class.items()})


def _both(number: int, one: Having, other: Having) -> Having:
    """Return the sums of two properties; a pair with both counts twice."""
    found = np.zeros((number, len(CLASSES)), dtype=np.int64)
    found[one.clusters] += one.pairs
    found[other.clusters] += other.pairs
    some = np.flatnonzero(found[:, 0])
    return Having(some, found[some])


def _at(source: str, kind: str, stage: int, domain: str, rows: pa.Table) -> pa.Table:
    length = rows.num_rows
    schema = SUMS if rows.schema.names == clusters.ROWS.names else LOSSES
    head = [[source] * length, [kind] * length, [stage] * length, [domain] * length]
    arrays = [pa.array(values, field.type) for values, field in zip(head, schema, strict=False)]
    return pa.table([*arrays, *rows.columns], schema=schema)


def sizes(source: str, kind: str, stage: int, pairs: Counts, alone: int = 0) -> pa.Table:
    """Return `SIZES` of units with so many pairs each, and of some more that have one."""
    is_large = pairs >= _LARGE
    units = np.bincount(pairs[~is_large], minlength=2)
    units[1] += alone
    found = np.flatnonzero(units[1:]) + 1
    large, units_of_large = np.unique(pairs[is_large], return_counts=True)
    found, units = np.r_[found, large], np.r_[units[found], units_of_large]
    length = len(found)
    return pa.table([[source] * length, [kind] * length, [stage] * length, found, units.astype(np.int64)], schema=SIZES)


def _marked(source: str, kind: str, units: _Units, rows: pa.Table) -> pa.Table:
    """Return the units that have `LEAST_MARKED` texts or more with a mark of `harm`."""
    read = units.only(np.isin(units.category, sorted(READ["english"])))
    english, names = read.whole(), read.named(rows["name"])
    found = [MARKED.empty_table()]
    for mark, having in _marks(read, OF_ENGLISH["harm"]).items():
        for stage in range(len(CLASSES)):
            often = having.pairs[:, stage] >= LEAST_MARKED
            some = having.clusters[often]
            head = [[value] * len(some) for value in (source, kind, stage, mark)]
            columns = [*head, names.take(pa.array(some)), english[some, stage], having.pairs[often, stage]]
            found.append(pa.table(columns, schema=MARKED))
    return _most_marked(pa.concat_tables(found))


def _hosts(source: str, units: _Units, pairs: Counts, rows: pa.Table) -> pa.Table:
    names = units.named(rows["name"])

    def after(stage: int, some: NDArray[np.intp]) -> pa.Table:
        length = len(some)
        head = [[source] * length, ["host"] * length, [stage] * length]
        return pa.table([*head, names.take(pa.array(some)), pairs[some, stage]], schema=HOSTS)

    # A host that is large after one stage is told of after each, also where it was not among the largest.
    large: set[str] = set()
    for stage in range(len(CLASSES)):
        large |= {*_largest(after(stage, _at_least(pairs[:, stage], LISTED_HOSTS)))["name"].to_pylist()}
    of_large = np.flatnonzero(pc.is_in(names, value_set=pa.array(sorted(large), pa.string())))
    return pa.concat_tables([after(stage, of_large[pairs[of_large, stage] > 0]) for stage in range(len(CLASSES))])


def _at_least(counts: Counts, number: int) -> NDArray[np.intp]:
    """Return where the largest counts stand, so many, and all that are as large as the least of these; none is zero."""
    least = np.partition(counts, -number)[-number] if len(counts) > number else 0
    return np.flatnonzero(counts >= max(least, 1))


def sizes_of(counted: Counted, source: str, kind: str, stage: int) -> tuple[Counts, Counts]:
    """Return how many pairs units have after a stage, ascending, and how many units have so many."""
    rows = counted.ordered["sizes"].at(source, kind, stage)
    return rows["size"].to_numpy(), rows["units"].to_numpy()


def sums_of(counted: Counted, source: str, kind: str, stage: int, domain: str) -> clusters.Sums:
    """Return the sums over the clusters of a source after a stage."""
    at = (source, kind, stage, domain)
    if at not in counted.summed:
        rows = counted.ordered["sums of domains"].at(*at)
        counted.summed[at] = clusters.from_rows(rows.select(clusters.ROWS.names))
    return counted.summed[at]


def associations_of(counted: Counted, source: str, kind: str, stage: int) -> dict[str, clusters.Sums]:
    """Return the sums over the clusters of a source after a stage, by the term that all their pairs have."""
    return associations.by_term(counted.ordered["sums"].at(source, kind, stage))


def marked_of(counted: Counted, source: str, kind: str, stage: int) -> pa.Table:
    """Return the hosts or subreddits of `MARKED`."""
    return counted.ordered["marked"].at(source, kind, stage)


def losses_of(counted: Counted, source: str, kind: str, stage: int, domain: str) -> pa.Table:
    """Return what clusters of a source lost at a stage."""
    return counted.ordered["losses of domains"].at(source, kind, stage, domain).select(losses.ROWS.names)


def hosts_of(counted: Counted, source: str, stage: int) -> list[tuple[str, int]]:
    """Return the hosts with most pairs, each with its pairs."""
    rows = counted.ordered["hosts"].at(source, "host", stage)
    return list(zip(rows["name"].to_pylist(), rows["pairs"].to_pylist(), strict=True))[:LISTED_HOSTS]


def large_hosts_of(counted: Counted, source: str) -> dict[str, Counts]:
    """Return the pairs, after each of `CLASSES`, of every host that is among those with most pairs after some stage."""
    rows = counted.hosts.filter(pc.equal(counted.hosts["source"], source))
    found: dict[str, Counts] = {}
    for name, stage, pairs in zip(*(rows[column].to_pylist() for column in ("name", "stage", "pairs")), strict=True):
        found.setdefault(name, np.zeros(len(CLASSES), dtype=np.int64))[stage] = pairs
    return dict(sorted(found.items()))


def groups_of(counted: Counted, source: str, kind: str, by: str) -> dict[str, tuple[Counts, Counts]]:
    """Return group → its pairs, and its units that have any, after each of `CLASSES`."""
    table = counted.groups
    at = pc.and_(pc.equal(table["source"], source), pc.and_(pc.equal(table["kind"], kind), pc.equal(table["by"], by)))
    rows = table.filter(at)
    found: dict[str, tuple[Counts, Counts]] = {}
    for name, stage, pairs, some in zip(
        *(rows[column].to_pylist() for column in ("group", "class", "pairs", "units")), strict=True
    ):
        zeros = np.zeros(len(CLASSES), dtype=np.int64)
        of_pairs, of_units = found.setdefault(name, (zeros, zeros.copy()))
        of_pairs[stage], of_units[stage] = pairs, some
    return dict(sorted(found.items()))
