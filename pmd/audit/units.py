"""What pairs come in: users, images, hosts, pages and subreddits, counted where all pairs of one have met.

    occurrences   pairs, what was seen of them, the last stage each survived → `ROWS`, which meet by unit
    count         all rows of some units → a `Counted`, which merges in any order

Only sums leave: how many units have so many pairs (`SIZES`), the sums that intervals need (`pmd.audit.clusters`) and tests of
losses (`pmd.audit.losses`), and the names of the hosts with most pairs. No list of users, and no sample of them, is handed on.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

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
        """Return a table by some columns; rows of the same values stay in their order."""
        ordered = table.sort_by([(name, "ascending") for name in columns]).combine_chunks()
        slices: dict[tuple[object, ...], tuple[int, int]] = {}
        for place, values in enumerate(zip(*(ordered[name].to_pylist() for name in columns), strict=True)):
            start, _ = slices.get(values, (place, 0))
            slices[values] = (start, place + 1 - start)
        return cls(ordered, slices)

    def at(self, *values: object) -> pa.Table:
        """Return the rows of some values."""
        return self.table.slice(*self.slices.get(values, (0, 0)))


@dataclasses.dataclass(frozen=True)
class Counted:
    """What is known of units: tables whose rows are added up."""

    sizes: pa.Table
    sums: pa.Table
    losses: pa.Table
    hosts: pa.Table
    groups: pa.Table
    marked: pa.Table

    def to_text(self) -> str:
        """Return it as text that Beam carries."""
        return ".".join(base64.b64encode(_bytes(table)).decode() for table in self._tables())

    @classmethod
    def from_text(cls, text: str) -> Counted:
        """Return what `to_text` wrote."""
        return cls(*(_table(base64.b64decode(part)) for part in text.split(".")))

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

    def _tables(self) -> tuple[pa.Table, ...]:
        return self.sizes, self.sums, self.losses, self.hosts, self.groups, self.marked


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _table(content: bytes) -> pa.Table:
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


EMPTY: Final = Counted(*(schema.empty_table() for schema in (SIZES, SUMS, LOSSES, HOSTS, GROUPS, MARKED)))


def merged(parts: Iterable[Counted]) -> Counted:
    """Return what is known of the units of all parts, sorted; each unit stands in one part alone."""
    some = [EMPTY, *parts]
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
    names = schema.names[:key_columns]
    summed = pa.concat_tables(tables).group_by(names).aggregate([(name, "sum") for name in schema.names[key_columns:]])
    named = summed.rename_columns([name.removesuffix("_sum") for name in summed.schema.names])
    return named.select(schema.names).cast(schema).sort_by([(name, "ascending") for name in names])


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
    for code in sorted(pc.unique(rows["kind"]).to_pylist()):
        kind = KINDS[code]
        of_kind = rows.filter(pc.equal(rows["kind"], code))
        sources = sorted(pc.unique(of_kind["source"]).to_pylist())
        for source in sources:
            mine = of_kind.filter(pc.equal(of_kind["source"], source))
            found.append(_count(source, kind, mine, incomes or {}))
        if kind == "host":
            found.append(_count(ALL, kind, of_kind, {}))
    return merged(found)


def of_sizes(tables: Iterable[pa.Table]) -> Counted:
    """Return units of which only `SIZES` are known."""
    return merged([dataclasses.replace(EMPTY, sizes=pa.concat_tables([SIZES.empty_table(), *tables]))])


@dataclasses.dataclass(frozen=True)
class _Units:
    """The units of one source and kind, and their rows.

    Attributes:
        ids: Which units there are.
        given: Of each row that was given, which unit it is of.
        last_of: The last stage that its pairs survived.
        pairs_of: How many pairs it stands for.
    """

    ids: NDArray[np.uint64]
    given: Counts
    last_of: Counts
    pairs_of: Counts

    @classmethod
    def of(cls, rows: pa.Table) -> _Units:
        """Return the units of `ROWS`."""
        ids, place = np.unique(rows["unit"].to_numpy(), return_inverse=True)
        return cls(ids, place, rows["last"].to_numpy().astype(np.int64), rows["pairs"].to_numpy())

    @functools.cached_property
    def rows(self) -> NDArray[np.intp]:
        """Where rows stand among those given, those of a unit beside each other; of many units only their numbers are wanted."""
        return np.argsort(self.given, kind="stable")

    @functools.cached_property
    def place(self) -> Counts:
        """Of the rows in this order, which unit each is of."""
        return self.given[self.rows]

    @functools.cached_property
    def last(self) -> Counts:
        """The last stage that its pairs survived."""
        return self.last_of[self.rows]

    @functools.cached_property
    def pairs(self) -> Counts:
        """How many pairs it stands for."""
        return self.pairs_of[self.rows]

    def whole(self) -> Counts:
        """Return the pairs of each unit after each stage; shape (units, stages)."""
        return after(self.given, self.last_of, len(self.ids), self.pairs_of)

    def named(self, names: pa.ChunkedArray) -> pa.Array:
        """Return the name of each unit, which is that of all its rows."""
        first = np.searchsorted(self.place, np.arange(len(self.ids)))
        return names.combine_chunks().take(pa.array(self.rows[first]))

    def counts(self, some: NDArray[np.bool_]) -> Counts:
        """Return the pairs of each unit after each stage, of some rows in this order; shape (units, stages)."""
        having = self.having(some)
        found = np.zeros((len(self.ids), len(CLASSES)), dtype=np.int64)
        found[having.clusters] = having.pairs
        return found

    def having(self, some: NDArray[np.bool_]) -> Having:
        """Return the units that have some rows, and the pairs of these after each stage."""
        mine = np.flatnonzero(some)
        place = self.place[mine]
        is_first = np.r_[True, place[1:] != place[:-1]][: len(place)]
        number = np.cumsum(is_first) - 1
        return Having(place[is_first], after(number, self.last[mine], int(is_first.sum()), self.pairs[mine]))


def after(place: Counts, last: Counts, number: int, pairs: Counts | None = None) -> Counts:
    """Return the pairs of so many units after each stage, by the unit of each row, its last stage and its pairs: else one."""
    # Sums of whole numbers below 2^53, so exact.
    table = np.bincount(place * len(CLASSES) + last, weights=pairs, minlength=number * len(CLASSES))
    table = table.reshape(-1, len(CLASSES)).astype(np.int64)
    return np.ascontiguousarray(np.cumsum(table[:, ::-1], axis=1)[:, ::-1])


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    return column.combine_chunks().dictionary_encode()


def _count(source: str, kind: str, rows: pa.Table, incomes: Mapping[str, str]) -> Counted:
    units = _Units.of(rows)
    pairs = units.whole()
    # Of images those alone are here that shares are of.
    known = [sizes(source, kind, stage, pairs[:, stage]) for stage in range(len(CLASSES) if kind != "image" else 0)]
    sums: list[pa.Table] = []
    lost: list[pa.Table] = []
    domains: Mapping[str, _Domain] = {}
    # Of other kinds only the numbers are wanted: there may be as many images as pairs.
    if source != ALL and (kind in clusters_of(source) or kind in LOST_BY):
        domains = _domains(units, rows, incomes)
        for domain, (whole, having) in domains.items():
            for stage in range(len(CLASSES)):
                at = {name: counts.after(stage) for name, counts in having.items()}
                if kind in clusters_of(source):
                    sums.append(_at(source, kind, stage, domain, clusters.rows(clusters.of(whole[:, stage], at))))
                if stage and kind in LOST_BY and (whole[:, stage] < whole[:, stage - 1]).any():
                    both = {
                        name: counts.after(stage - 1, stage) for name, counts in having.items() if name not in UNTESTED
                    }
                    lost.append(_at(source, kind, stage, domain, losses.of(whole[:, stage - 1], whole[:, stage], both)))
        if kind in clusters_of(source):
            of_terms = associations.sums(rows, len(CLASSES))
            head = [pa.repeat(pa.scalar(name, pa.string()), of_terms.num_rows) for name in (source, kind)]
            sums.append(pa.table([*head, *of_terms.columns], schema=SUMS))
        if kind in LOST_BY:
            for domain, one in ((SIZED, _by_size(pairs)), (DATED, _by_year(units, rows))):
                lost += [_at(source, kind, stage, domain, some) for stage, some in _lost_of(one)]
    return Counted(
        pa.concat_tables([SIZES.empty_table(), *known]),
        pa.concat_tables([SUMS.empty_table(), *sums]),
        pa.concat_tables([LOSSES.empty_table(), *lost]),
        _hosts(source, units, pairs, rows) if kind == "host" else HOSTS.empty_table(),
        _groups(source, kind, pairs, units.ids, domains.get("placed")),
        _marked(source, kind, units, rows) if kind in NAMED and source != ALL else MARKED.empty_table(),
    )


#: The pairs of each unit after each stage, and by property those of the units that have some with it.
_Domain = tuple[Counts, Mapping[str, Having]]


def _by_size(pairs: Counts) -> _Domain:
    """Return units by how many pairs they had at first."""
    group = groups.of_sizes(pairs[:, 0])
    places = {name: np.flatnonzero(group == number) for number, (_, name) in enumerate(groups.SIZES)}
    return pairs, {name: Having(some, pairs[some]) for name, some in places.items() if len(some)}


def _by_year(units: _Units, rows: pa.Table) -> _Domain:
    """Return the dated pairs of units by year."""
    years = rows["year"].to_numpy()[units.rows]
    return units.counts(years > 0), {
        str(year): units.having(years == year) for year in np.unique(years).tolist() if year
    }


def _lost_of(domain: _Domain) -> Iterator[tuple[int, pa.Table]]:
    """Yield each stage that lost any of these pairs, and `losses.ROWS` of it."""
    whole, having = domain
    for stage in range(1, len(CLASSES)):
        before, after = whole[:, stage - 1], whole[:, stage]
        if (after < before).any():
            yield stage, losses.of(before, after, {name: one.after(stage - 1, stage) for name, one in having.items()})


def _groups(source: str, kind: str, pairs: Counts, ids: NDArray[np.uint64], placed: _Domain | None) -> pa.Table:
    if kind not in LOST_BY or source == ALL:
        return GROUPS.empty_table()
    found = [groups.by_size(pairs)]
    if kind == "user" and placed is not None:
        found.append(groups.by_country(ids, placed[1]))
    rows = pa.concat_tables(found)
    head = [pa.array([name] * rows.num_rows, pa.string()) for name in (source, kind)]
    return pa.table([*head, *rows.columns], schema=GROUPS)


def _domains(units: _Units, rows: pa.Table, incomes: Mapping[str, str]) -> Mapping[str, _Domain]:
    """Return the domains that shares are of: of each its pairs by unit and stage, and those with each property."""
    categories, marks = (rows[name].to_numpy()[units.rows] for name in ("category", "marks"))

    def having(properties: Mapping[str, frozenset[int]]) -> dict[str, Having]:
        return {name: units.having(np.isin(categories, sorted(codes))) for name, codes in properties.items()}

    english = having(ENGLISH)
    english |= {name: units.having((marks & BITS[name]) > 0) for names in OF_ENGLISH.values() for name in names}
    english["female+male"] = _both(len(units.ids), english["female"], english["male"])
    both = BITS["young"] | BITS["old"]
    english["young+old"] = _both(len(units.ids), english["young"], english["old"])
    english["young both old"] = units.having((marks & both) == both)
    english_codes = sorted(READ["english"])
    found = {
        "read": (
            units.counts(categories != NOT_READ),
            having(READ) | {name: units.having((marks & BITS[name]) > 0) for name in OF_READ},
        ),
        "english": (units.counts(np.isin(categories, english_codes)), english),
    }
    codes = _encoded(rows["country"])
    numbers, labels = codes.indices.to_numpy(zero_copy_only=False)[units.rows], codes.dictionary.to_pylist()
    placed = {label: units.having(numbers == number) for number, label in enumerate(labels) if label}
    if placed:
        found["placed"] = (units.counts(numbers != (labels.index("") if "" in labels else len(labels))), placed)
    of_class: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        if label in incomes:
            of_class.setdefault(incomes[label], []).append(number)
    if of_class:
        classes = {name: units.having(np.isin(numbers, some)) for name, some in of_class.items()}
        known = [number for some in of_class.values() for number in some]
        found["income"] = (units.counts(np.isin(numbers, known)), classes)
    return {name: domain for name, domain in found.items() if domain[0].any()}


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
    units = np.bincount(pairs, minlength=2)  # as long as the largest unit has pairs
    units[1] += alone
    found = np.flatnonzero(units[1:]) + 1
    units = units[found]
    length = len(found)
    return pa.table([[source] * length, [kind] * length, [stage] * length, found, units.astype(np.int64)], schema=SIZES)


def _marked(source: str, kind: str, units: _Units, rows: pa.Table) -> pa.Table:
    """Return the units that have `LEAST_MARKED` texts or more with a mark of `harm`."""
    names = units.named(rows["name"])
    categories, marks = (rows[name].to_numpy()[units.rows] for name in ("category", "marks"))
    english = units.counts(np.isin(categories, sorted(READ["english"])))
    found = [MARKED.empty_table()]
    for mark in OF_ENGLISH["harm"]:
        having = units.counts((marks & BITS[mark]) > 0)
        for stage in range(len(CLASSES)):
            some = np.flatnonzero(having[:, stage] >= LEAST_MARKED)
            head = [[value] * len(some) for value in (source, kind, stage, mark)]
            columns = [*head, names.take(pa.array(some)), english[some, stage], having[some, stage]]
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
