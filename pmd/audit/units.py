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

from pmd.audit import clusters, groups, losses
from pmd.audit.clusters import Counts
from pmd.audit.measure import CATEGORIES, CLASSES, DATA, NOT_READ, Seen, low_words
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
    DATA: ("user", "image"),  # of a data set that names no users, images alone count
}
BY_IMAGE: Final = ("image",)

#: Whose loss is tested: the coarsest of these that a source has.
LOST_BY: Final = ("host", "user")

#: All sources together, where a source is named otherwise.
ALL: Final = ""

#: Hosts that are listed, of each source and stage.
LISTED_HOSTS: Final = 20

ROWS: Final = pa.schema(
    [
        pa.field("unit_id", KEY, nullable=False),
        pa.field("kind", pa.int8(), nullable=False),  # of `KINDS`
        pa.field("source", pa.string(), nullable=False),
        pa.field("last", pa.int8(), nullable=False),  # number of the last of `CLASSES` survived
        pa.field("category", pa.int8(), nullable=False),  # of `CATEGORIES`, or `NOT_READ`
        pa.field("country", pa.string(), nullable=False),  # "": no geotag, or at sea
        pa.field("name", pa.string(), nullable=False),  # of hosts alone
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
#: `groups.ROWS` of each source and kind.
GROUPS: Final = pa.schema([*_AT[:2], *groups.ROWS])
#: The hosts with most pairs after any stage, after each.
HOSTS: Final = pa.schema(
    [*_AT, pa.field("name", pa.string(), nullable=False), pa.field("pairs", pa.int64(), nullable=False)]
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
        last: The last of `measure.CLASSES` that each pair survived.
        seen: Source → what `measure.look` saw of its pairs, in their order.
    """
    numbers = pc.index_in(last.cast(pa.string()), value_set=pa.array(CLASSES)).cast(pa.int8())
    names = pairs.column("source").cast(pa.string())
    for source, found in sorted(seen.items()):
        mine = pa.array(np.flatnonzero(pc.equal(names, source).to_numpy(zero_copy_only=False)))
        stages, images = numbers.take(mine), pairs.column("image_id").take(mine)
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
            host_names = (
                [found.units["host"][place] for place in having.tolist()] if kind == "host" else [""] * len(ids)
            )
            found_rows = pa.table(
                [
                    ids,
                    pa.array(np.full(len(ids), code), pa.int8()),
                    pa.array([source] * len(ids), pa.string()),
                    stages.take(places),
                    pa.array(found.categories[having], pa.int8()),
                    pa.array([found.countries[place] for place in having.tolist()], pa.string()),
                    pa.array(host_names, pa.string()),
                    np.ones(len(ids), dtype=np.int64),
                ],
                schema=ROWS,
            )
            yield from (found_rows if kind == "image" else _alike(found_rows)).to_batches()


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
    groups: pa.Table

    def to_text(self) -> str:
        """Return it as text that Beam carries."""
        return ".".join(base64.b64encode(_bytes(table)).decode() for table in self._tables())

    @classmethod
    def from_text(cls, text: str) -> Counted:
        """Return what `to_text` wrote."""
        return cls(*(_table(base64.b64decode(part)) for part in text.split(".")))

    def _tables(self) -> tuple[pa.Table, ...]:
        return self.sizes, self.sums, self.losses, self.hosts, self.groups


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _table(content: bytes) -> pa.Table:
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


EMPTY: Final = Counted(*(schema.empty_table() for schema in (SIZES, SUMS, LOSSES, HOSTS, GROUPS)))


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
        if kind in ACROSS:
            found.append(_count(ALL, kind, of_kind, {}))
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
        where = self.place * len(CLASSES) + self.last
        where, pairs = (where, self.pairs) if some is None else (where[some], self.pairs[some])
        # Sums of whole numbers below 2^53, so exact.
        table = np.bincount(where, weights=pairs, minlength=self.number * len(CLASSES))
        table = table.reshape(self.number, len(CLASSES)).astype(np.int64)
        return np.ascontiguousarray(np.cumsum(table[:, ::-1], axis=1)[:, ::-1])


def _count(source: str, kind: str, rows: pa.Table, incomes: Mapping[str, str]) -> Counted:
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
    sizes = [_sizes(source, kind, stage, pairs[:, stage]) for stage in range(len(CLASSES))]
    sums: list[pa.Table] = []
    lost: list[pa.Table] = []
    domains: Mapping[str, tuple[Counts, Mapping[str, Counts]]] = {}
    # Of other kinds only the numbers are wanted: there may be as many images as pairs.
    if source != ALL and (kind in clusters_of(source) or kind in LOST_BY):
        domains = _domains(units, rows, incomes)
        for domain, (whole, having) in domains.items():
            for stage in range(len(CLASSES)):
                at = {name: counts[:, stage] for name, counts in having.items()}
                if kind in clusters_of(source):
                    sums.append(_at(source, kind, stage, domain, clusters.rows(clusters.of(whole[:, stage], at))))
                if stage and kind in LOST_BY and (whole[:, stage] < whole[:, stage - 1]).any():
                    both = {name: (counts[:, stage - 1], counts[:, stage]) for name, counts in having.items()}
                    lost.append(_at(source, kind, stage, domain, losses.of(whole[:, stage - 1], whole[:, stage], both)))
    return Counted(
        pa.concat_tables(sizes),
        pa.concat_tables([SUMS.empty_table(), *sums]),
        pa.concat_tables([LOSSES.empty_table(), *lost]),
        _hosts(source, units, pairs, rows) if kind == "host" else HOSTS.empty_table(),
        _groups(source, kind, pairs, encoded.dictionary, domains.get("placed")),
    )


def _groups(
    source: str, kind: str, pairs: Counts, ids: pa.Array, placed: tuple[Counts, Mapping[str, Counts]] | None
) -> pa.Table:
    if kind not in LOST_BY or source == ALL:
        return GROUPS.empty_table()
    found = [groups.by_size(pairs)]
    if kind == "user" and placed is not None:
        found.append(groups.by_country(low_words(ids), placed[1]))
    rows = pa.concat_tables(found)
    head = [pa.array([name] * rows.num_rows, pa.string()) for name in (source, kind)]
    return pa.table([*head, *rows.columns], schema=GROUPS)


def _domains(
    units: _Units, rows: pa.Table, incomes: Mapping[str, str]
) -> Mapping[str, tuple[Counts, Mapping[str, Counts]]]:
    """Return the domains that shares are of: of each its pairs by unit and stage, and those with each property."""
    categories = rows["category"].to_numpy()

    def having(properties: Mapping[str, frozenset[int]]) -> dict[str, Counts]:
        return {name: units.counts(np.isin(categories, sorted(codes))) for name, codes in properties.items()}

    english = having(ENGLISH)
    english["female+male"] = english["female"] + english["male"]
    english_codes = sorted(READ["english"])
    found = {
        "read": (units.counts(categories != NOT_READ), having(READ)),
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
    classes: dict[str, Counts] = {}
    for label, counts in placed.items():
        if label in incomes:
            classes[incomes[label]] = classes.get(incomes[label], np.zeros_like(counts)) + counts
    if classes:
        found["income"] = (sum(classes.values(), np.zeros_like(next(iter(classes.values())))), classes)
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


def _hosts(source: str, units: _Units, pairs: Counts, rows: pa.Table) -> pa.Table:
    first = np.zeros(units.number, dtype=np.int64)
    first[units.place] = np.arange(len(units.place))
    names = rows["name"].combine_chunks()
    found = []
    for stage in range(len(CLASSES)):
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


def losses_of(counted: Counted, source: str, kind: str, stage: int, domain: str) -> pa.Table:
    """Return what clusters of a source lost at a stage."""
    rows = _where(counted.losses, source, kind, stage)
    return rows.filter(pc.equal(rows["domain"], domain)).select(losses.ROWS.names)


def hosts_of(counted: Counted, source: str, stage: int) -> list[tuple[str, int]]:
    """Return the hosts with most pairs, each with its pairs."""
    rows = _where(counted.hosts, source, "host", stage)
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


def _where(table: pa.Table, source: str, kind: str, stage: int) -> pa.Table:
    matching = pc.and_(pc.equal(table["source"], source), pc.equal(table["kind"], kind))
    return table.filter(pc.and_(matching, pc.equal(table["stage"], stage)))
