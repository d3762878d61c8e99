"""What pairs come in: users, images, hosts, pages and subreddits, counted where all pairs of one have met.

    occurrences   pairs, what was seen of them, the last stage each survived → `ROWS`, which meet by unit
    count         all rows of some units → a `Counted` (`pmd.audit.counting.unit_sums`), which merges in any order

Only sums leave. No list of users, and no sample of them, is handed on.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd import manifests
from pmd.audit.counting import associations
from pmd.audit.counting.measure import CATEGORIES, CLASSES, DATA, NOT_READ, Seen, by_source, classes, low_words
from pmd.audit.counting.unit_sums import (
    ALL,
    EMPTY,
    GROUPS,
    HOSTS,
    LISTED_HOSTS,
    LOSSES,
    MARKED,
    SIZES,
    SUMS,
    Counted,
    added_up,
    largest_hosts,
    most_marked,
    sizes,
)
from pmd.audit.statistics import clusters, groups, losses
from pmd.audit.statistics.clusters import Counts, Having
from pmd.audit.texts.marks import BITS, OF_ENGLISH, OF_READ

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

#: Years are below this.
_YEARS: Final = 2**12

#: Kinds whose units are named.
NAMED: Final = ("subreddit", "host")
#: Texts with a mark from which a host or a subreddit is named beside it.
LEAST_MARKED: Final = 20

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
    """Yield `ROWS`: of each pair one for each unit that it comes in; of images only what `counting.distinct` does not count.

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
    return added_up([EMPTY, *found])


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
    return most_marked(pa.concat_tables(found))


def _hosts(source: str, units: _Units, pairs: Counts, rows: pa.Table) -> pa.Table:
    names = units.named(rows["name"])

    def after(stage: int, some: NDArray[np.intp]) -> pa.Table:
        length = len(some)
        head = [[source] * length, ["host"] * length, [stage] * length]
        return pa.table([*head, names.take(pa.array(some)), pairs[some, stage]], schema=HOSTS)

    # A host that is large after one stage is told of after each, also where it was not among the largest.
    large: set[str] = set()
    for stage in range(len(CLASSES)):
        large |= {*largest_hosts(after(stage, _at_least(pairs[:, stage], LISTED_HOSTS)))["name"].to_pylist()}
    of_large = np.flatnonzero(pc.is_in(names, value_set=pa.array(sorted(large), pa.string())))
    return pa.concat_tables([after(stage, of_large[pairs[of_large, stage] > 0]) for stage in range(len(CLASSES))])


def _at_least(counts: Counts, number: int) -> NDArray[np.intp]:
    """Return where the largest counts stand, so many, and all that are as large as the least of these; none is zero."""
    least = np.partition(counts, -number)[-number] if len(counts) > number else 0
    return np.flatnonzero(counts >= max(least, 1))
