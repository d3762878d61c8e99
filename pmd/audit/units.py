"""What pairs come in: users, images, hosts, pages and subreddits, counted where all pairs of one have met.

    occurrences   pairs, what was seen of them, the last stage each survived → `ROWS`, which meet by unit
    count         all rows of some units → a `Counted`, which merges in any order

Only sums leave: how many units have so many pairs (`SIZES`), the sums that intervals need (`pmd.audit.clusters`) and tests of
losses (`pmd.audit.losses`), and the names of the hosts with most pairs. No list of users, and no sample of them, is handed on.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.audit import associations, clusters, losses
from pmd.audit.clusters import Counts
from pmd.audit.marks import BITS, OF_ENGLISH, OF_READ
from pmd.audit.measure import CATEGORIES, NOT_READ, STAGES, Seen
from pmd.schema import keys
from pmd.schema.tables import KEY

#: What is counted, and in which source where not in all.
KINDS: Final = ("image", "user", "subreddit", "page", "host")
#: Of several sources together only units are counted that are one across sources.
ACROSS: Final = ("image", "host")

#: What another draw of pairs would draw, by source: who made them, else what they show, else where they lie. Two kinds cross.
CLUSTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "yfcc100m": ("user",),
    "sbu_captions": ("user",),
    "red_caps": ("user", "subreddit"),
    "wit": ("image", "page"),
    "conceptual_captions": ("host",),
    "conceptual_12m": ("host",),
}
BY_IMAGE: Final = ("image",)

#: Whose loss is tested: the coarsest of these that a source has.
LOST_BY: Final = ("host", "user")

#: Properties whose loss is not tested: marks, and what their ratio needs.
UNTESTED: Final = frozenset({*BITS, "young+old", "young both old"})

#: All sources together, where a source is named otherwise.
ALL: Final = ""

#: Kinds whose units are named.
NAMED: Final = ("subreddit", "host")
#: Texts with a mark from which a host or a subreddit is named beside it, and how many are.
LEAST_MARKED: Final = 20
LISTED_MARKED: Final = 20

#: Hosts that are listed, of each source and stage.
LISTED_HOSTS: Final = 20

ROWS: Final = pa.schema(
    [
        pa.field("unit_id", KEY, nullable=False),
        pa.field("kind", pa.int8(), nullable=False),  # of `KINDS`
        pa.field("source", pa.string(), nullable=False),
        pa.field("last", pa.int8(), nullable=False),  # number of the last stage survived
        pa.field("category", pa.int8(), nullable=False),  # of `CATEGORIES`, or `NOT_READ`
        pa.field("country", pa.string(), nullable=False),  # "": no geotag, or at sea
        pa.field("marks", pa.int64(), nullable=False),  # `marks.MARKS` as bits
        pa.field("associated", pa.string(), nullable=False),  # as in `Marked`
        pa.field("name", pa.string(), nullable=False),  # of hosts and subreddits alone
        pa.field("pairs", pa.int64(), nullable=False),  # that are alike in all of these
    ]
)

_AT: Final = [
    pa.field("source", pa.string(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("stage", pa.int64(), nullable=False),
]
#: Units by how many pairs they have after a stage.
SIZES: Final = pa.schema([*_AT, pa.field("size", pa.int64()), pa.field("units", pa.int64())])
#: `clusters.ROWS` of each source, kind, stage and domain: what the shares are shares of.
SUMS: Final = pa.schema([*_AT, pa.field("domain", pa.string(), nullable=False), *clusters.ROWS])
#: `losses.ROWS` of the step that a stage is.
LOSSES: Final = pa.schema([*_AT, pa.field("domain", pa.string(), nullable=False), *losses.ROWS])
#: The hosts with most pairs.
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
    return CLUSTERS.get(source, BY_IMAGE)


def occurrences(pairs: pa.RecordBatch, last: pa.Array, seen: Mapping[str, Seen]) -> Iterable[pa.RecordBatch]:
    """Yield `ROWS`: of each pair one for each unit that it comes in.

    Args:
        pairs: `measure.COLUMNS`; any sources.
        last: The last stage that each pair survived.
        seen: Source → what `measure.look` saw of its pairs, in their order.
    """
    numbers = pc.index_in(last.cast(pa.string()), value_set=pa.array(STAGES)).cast(pa.int8())
    names = pairs.column("source").cast(pa.string())
    for source, found in sorted(seen.items()):
        mine = pa.array(np.flatnonzero(pc.equal(names, source).to_numpy(zero_copy_only=False)))
        stages, images = numbers.take(mine), pairs.column("image_id").take(mine)
        marked, texts = _of_pairs(found)
        for code, kind in enumerate(KINDS):
            if kind == "image":
                ids, having = images, np.arange(len(mine))
            else:
                values = found.units.get(kind)
                if values is None:
                    continue
                having = np.flatnonzero(np.array([bool(value) for value in values], dtype=bool))
                prefix = f"{kind}\0" if kind in ACROSS else f"{kind}\0{source}\0"
                ids = keys.hashed(pa.array([prefix + values[place] for place in having.tolist()], pa.string()))
            if not len(having):
                continue
            places = pa.array(having)
            named = kind in NAMED
            names_of = [found.units[kind][place] for place in having.tolist()] if named else [""] * len(ids)
            found_rows = pa.table(
                [
                    ids,
                    pa.array(np.full(len(ids), code), pa.int8()),
                    pa.array([source] * len(ids), pa.string()),
                    stages.take(places),
                    pa.array(found.categories[having], pa.int8()),
                    pa.array([found.countries[place] for place in having.tolist()], pa.string()),
                    pa.array(marked[having], pa.int64()),
                    texts.take(places),
                    pa.array(names_of, pa.string()),
                    np.ones(len(ids), dtype=np.int64),
                ],
                schema=ROWS,
            )
            yield from (found_rows if kind == "image" else _alike(found_rows)).to_batches()


def _of_pairs(found: Seen) -> tuple[Counts, pa.Array]:
    """Return the marks of each pair, and what is set against gendered terms; of those that were not read nothing."""
    read = np.flatnonzero(found.categories != NOT_READ)
    marked = np.zeros(len(found.categories), dtype=np.int64)
    marked[read] = found.marked.marks
    texts = np.full(len(found.categories), "", dtype=object)
    texts[read] = found.marked.associated
    return marked, pa.array(texts, pa.string())


def _alike(rows: pa.Table) -> pa.Table:
    """Return rows that are alike as one: a host that has all pairs of a source would else fill a worker's memory."""
    names = ROWS.names[:-1]
    return rows.group_by(names).aggregate([("pairs", "sum")]).rename_columns(ROWS.names).cast(ROWS)


@dataclasses.dataclass(frozen=True)
class Counted:
    """What is known of units: tables whose rows are added up."""

    sizes: pa.Table
    sums: pa.Table
    losses: pa.Table
    hosts: pa.Table
    marked: pa.Table

    def to_text(self) -> str:
        """Return it as text that Beam carries."""
        return ".".join(base64.b64encode(_bytes(table)).decode() for table in self._tables())

    @classmethod
    def from_text(cls, text: str) -> Counted:
        """Return what `to_text` wrote."""
        return cls(*(_table(base64.b64decode(part)) for part in text.split(".")))

    def _tables(self) -> tuple[pa.Table, ...]:
        return self.sizes, self.sums, self.losses, self.hosts, self.marked


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _table(content: bytes) -> pa.Table:
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


EMPTY: Final = Counted(*(schema.empty_table() for schema in (SIZES, SUMS, LOSSES, HOSTS, MARKED)))


def merged(parts: Iterable[Counted]) -> Counted:
    """Return what is known of the units of all parts, sorted; each unit stands in one part alone."""
    some = [EMPTY, *parts]
    hosts = pa.concat_tables([part.hosts for part in some])
    return Counted(
        _added(SIZES, [part.sizes for part in some], 4),
        _added(SUMS, [part.sums for part in some], 6),
        _added(LOSSES, [part.losses for part in some], 7),
        _largest(hosts),
        _most_marked(pa.concat_tables([part.marked for part in some])),
    )


def _added(schema: pa.Schema, tables: Iterable[pa.Table], key_columns: int) -> pa.Table:
    names = schema.names[:key_columns]
    summed = pa.concat_tables(tables).group_by(names).aggregate([(name, "sum") for name in schema.names[key_columns:]])
    named = summed.rename_columns([name.removesuffix("_sum") for name in summed.schema.names])
    return named.select(schema.names).cast(schema).sort_by([(name, "ascending") for name in names])


def _largest(hosts: pa.Table) -> pa.Table:
    """Return the `LISTED_HOSTS` of each source and stage that have most pairs, sorted."""
    order = [("source", "ascending"), ("stage", "ascending"), ("pairs", "descending"), ("name", "ascending")]
    ranked = hosts.sort_by(order)
    found: list[int] = []
    held: dict[tuple[str, int], int] = {}
    for place, at in enumerate(zip(ranked["source"].to_pylist(), ranked["stage"].to_pylist(), strict=True)):
        held[at] = held.get(at, 0) + 1
        if held[at] <= LISTED_HOSTS:
            found.append(place)
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


def count(rows: pa.Table) -> Counted:
    """Return what is known of units.

    Args:
        rows: All `ROWS` of these units, in any order.
    """
    found = []
    for code in sorted(pc.unique(rows["kind"]).to_pylist()):
        kind = KINDS[code]
        of_kind = rows.filter(pc.equal(rows["kind"], code))
        sources = sorted(pc.unique(of_kind["source"]).to_pylist())
        for source in sources:
            found.append(_count(source, kind, of_kind.filter(pc.equal(of_kind["source"], source))))
        if kind in ACROSS:
            found.append(_count(ALL, kind, of_kind))
    return merged(found)


@dataclasses.dataclass(frozen=True)
class _Units:
    """The units of one source and kind.

    Attributes:
        place: Of each row, which unit it is of.
        last: Of each row, the last stage that its pairs survived.
        pairs: Of each row, how many pairs it stands for.
        number: How many units there are.
    """

    place: Counts
    last: Counts
    pairs: Counts
    number: int

    def counts(self, some: np.ndarray | None = None) -> Counts:
        """Return the pairs of each unit after each stage; shape (units, stages)."""
        where = self.place * len(STAGES) + self.last
        where, pairs = (where, self.pairs) if some is None else (where[some], self.pairs[some])
        # Sums of whole numbers below 2^53, so exact.
        table = np.bincount(where, weights=pairs, minlength=self.number * len(STAGES))
        table = table.reshape(self.number, len(STAGES)).astype(np.int64)
        return np.ascontiguousarray(np.cumsum(table[:, ::-1], axis=1)[:, ::-1])


def _count(source: str, kind: str, rows: pa.Table) -> Counted:
    encoded = rows["unit_id"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    units = _Units(
        encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        rows["last"].to_numpy().astype(np.int64),
        rows["pairs"].to_numpy(),
        len(encoded.dictionary),
    )
    pairs = units.counts()
    sizes = [_sizes(source, kind, stage, pairs[:, stage]) for stage in range(len(STAGES))]
    sums: list[pa.Table] = []
    lost: list[pa.Table] = []
    # Of other kinds only the numbers are wanted: there may be as many images as pairs.
    if source != ALL and (kind in clusters_of(source) or kind in LOST_BY):
        domains = _domains(units, rows)
        for domain, (whole, having) in domains.items():
            for stage in range(len(STAGES)):
                at = {name: counts[:, stage] for name, counts in having.items()}
                if kind in clusters_of(source):
                    sums.append(_at(source, kind, stage, domain, clusters.rows(clusters.of(whole[:, stage], at))))
                if stage and kind in LOST_BY and (whole[:, stage] < whole[:, stage - 1]).any():
                    both = {
                        name: (counts[:, stage - 1], counts[:, stage])
                        for name, counts in having.items()
                        if name not in UNTESTED
                    }
                    lost.append(_at(source, kind, stage, domain, losses.of(whole[:, stage - 1], whole[:, stage], both)))
        if kind in clusters_of(source):
            sums += [
                _at(source, kind, stage, domain, one) for stage, domain, one in associations.sums(rows, len(STAGES))
            ]
    return Counted(
        pa.concat_tables(sizes),
        pa.concat_tables([SUMS.empty_table(), *sums]),
        pa.concat_tables([LOSSES.empty_table(), *lost]),
        _hosts(source, units, pairs, rows) if kind == "host" else HOSTS.empty_table(),
        _marked(source, kind, units, rows) if kind in NAMED and source != ALL else MARKED.empty_table(),
    )


def _domains(units: _Units, rows: pa.Table) -> Mapping[str, tuple[Counts, Mapping[str, Counts]]]:
    """Return the domains that shares are of: of each its pairs by unit and stage, and those with each property."""
    categories = rows["category"].to_numpy()

    def having(properties: Mapping[str, frozenset[int]]) -> dict[str, Counts]:
        return {name: units.counts(np.isin(categories, sorted(codes))) for name, codes in properties.items()}

    english = having(ENGLISH)
    marks = rows["marks"].to_numpy()
    english |= {name: units.counts((marks & BITS[name]) > 0) for names in OF_ENGLISH.values() for name in names}
    english["female+male"] = english["female"] + english["male"]
    both = BITS["young"] | BITS["old"]
    english |= {"young+old": english["young"] + english["old"], "young both old": units.counts((marks & both) == both)}
    english_codes = sorted(READ["english"])
    found = {
        "read": (
            units.counts(categories != NOT_READ),
            having(READ) | {name: units.counts((marks & BITS[name]) > 0) for name in OF_READ},
        ),
        "english": (units.counts(np.isin(categories, english_codes)), english),
    }
    codes = rows["country"].combine_chunks().dictionary_encode()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    numbers, labels = codes.indices.to_numpy(zero_copy_only=False), codes.dictionary.to_pylist()
    placed = {label: units.counts(numbers == number) for number, label in enumerate(labels) if label}
    if placed:
        whole = units.counts(np.isin(numbers, [number for number, label in enumerate(labels) if label]))
        found["placed"] = (whole, placed)
    return {name: domain for name, domain in found.items() if domain[0].any()}


def _at(source: str, kind: str, stage: int, domain: str, rows: pa.Table) -> pa.Table:
    length = rows.num_rows
    schema = SUMS if rows.schema.names == clusters.ROWS.names else LOSSES
    head = [[source] * length, [kind] * length, [stage] * length, [domain] * length]
    arrays = [pa.array(values, field.type) for values, field in zip(head, schema, strict=False)]
    return pa.table([*arrays, *rows.columns], schema=schema)


def _sizes(source: str, kind: str, stage: int, pairs: Counts) -> pa.Table:
    sizes, units = np.unique(pairs[pairs > 0], return_counts=True)
    length = len(sizes)
    return pa.table([[source] * length, [kind] * length, [stage] * length, sizes, units.astype(np.int64)], schema=SIZES)


def _marked(source: str, kind: str, units: _Units, rows: pa.Table) -> pa.Table:
    """Return the units that have `LEAST_MARKED` texts or more with a mark of `harm`."""
    first = np.zeros(units.number, dtype=np.int64)
    first[units.place] = np.arange(len(units.place))
    names, marks = rows["name"].combine_chunks(), rows["marks"].to_numpy()
    english = units.counts(np.isin(rows["category"].to_numpy(), sorted(READ["english"])))
    found = [MARKED.empty_table()]
    for mark in OF_ENGLISH["harm"]:
        having = units.counts((marks & BITS[mark]) > 0)
        for stage in range(len(STAGES)):
            some = np.flatnonzero(having[:, stage] >= LEAST_MARKED)
            head = [[value] * len(some) for value in (source, kind, stage, mark)]
            columns = [*head, names.take(pa.array(first[some])), english[some, stage], having[some, stage]]
            found.append(pa.table(columns, schema=MARKED))
    return _most_marked(pa.concat_tables(found))


def _hosts(source: str, units: _Units, pairs: Counts, rows: pa.Table) -> pa.Table:
    first = np.zeros(units.number, dtype=np.int64)
    first[units.place] = np.arange(len(units.place))
    names = rows["name"].combine_chunks()
    found = []
    for stage in range(len(STAGES)):
        some = np.flatnonzero(pairs[:, stage])
        length = len(some)
        table = [
            [source] * length,
            ["host"] * length,
            [stage] * length,
            names.take(pa.array(first[some])),
            pairs[some, stage],
        ]
        found.append(_largest(pa.table(table, schema=HOSTS)))
    return pa.concat_tables(found)


def sizes_of(counted: Counted, source: str, kind: str, stage: int) -> tuple[Counts, Counts]:
    """Return how many pairs units have after a stage, ascending, and how many units have so many."""
    rows = _where(counted.sizes, source, kind, stage)
    return rows["size"].to_numpy(), rows["units"].to_numpy()


def sums_of(counted: Counted, source: str, kind: str, stage: int, domain: str) -> clusters.Sums:
    """Return the sums over the clusters of a source after a stage."""
    rows = _where(counted.sums, source, kind, stage)
    rows = rows.filter(pc.equal(rows["domain"], domain))
    return clusters.from_rows(rows.select(clusters.ROWS.names))


def associations_of(counted: Counted, source: str, kind: str, stage: int) -> dict[str, clusters.Sums]:
    """Return the sums over the clusters of a source after a stage, by the term that all their pairs have."""
    return associations.by_term(_where(counted.sums, source, kind, stage))


def marked_of(counted: Counted, source: str, kind: str, stage: int) -> pa.Table:
    """Return the hosts or subreddits of `MARKED`."""
    return _where(counted.marked, source, kind, stage)


def losses_of(counted: Counted, source: str, kind: str, stage: int, domain: str) -> pa.Table:
    """Return what clusters of a source lost at a stage."""
    rows = _where(counted.losses, source, kind, stage)
    return rows.filter(pc.equal(rows["domain"], domain)).select(losses.ROWS.names)


def hosts_of(counted: Counted, source: str, stage: int) -> list[tuple[str, int]]:
    """Return the hosts with most pairs, each with its pairs."""
    rows = _where(counted.hosts, source, "host", stage)
    return list(zip(rows["name"].to_pylist(), rows["pairs"].to_pylist(), strict=True))


def _where(table: pa.Table, source: str, kind: str, stage: int) -> pa.Table:
    matching = pc.and_(pc.equal(table["source"], source), pc.equal(table["kind"], kind))
    return table.filter(pc.and_(matching, pc.equal(table["stage"], stage)))
