"""What is known of units once all pairs of one have met: tables whose rows are added up, and what is asked of them.

    Counted      the tables; merges in any order
    merged       what is known of the units of several parts

`pmd.audit.counting.units` counts; here is what leaves: how many units have so many pairs (`SIZES`), the sums that intervals need
(`pmd.audit.statistics.clusters`) and tests of losses (`pmd.audit.statistics.losses`), and the names of the hosts with most pairs.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.audit.counting import associations
from pmd.audit.counting.measure import CLASSES
from pmd.audit.statistics import clusters, groups, losses
from pmd.audit.statistics.clusters import Counts

#: All sources together, where a source is named otherwise.
ALL: Final = ""

#: Pairs from which the sizes of units are sorted. Smaller ones are counted in a table, which is as long as the largest.
_LARGE: Final = 2**16

#: Hosts that are listed, of each source and stage.
LISTED_HOSTS: Final = 20
#: Hosts and subreddits with most texts that have a mark: how many are named beside it.
LISTED_MARKED: Final = 20

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

    def sizes_of(self, source: str, kind: str, stage: int) -> tuple[Counts, Counts]:
        """Return how many pairs units have after a stage, ascending, and how many units have so many."""
        rows = self.ordered["sizes"].at(source, kind, stage)
        return rows["size"].to_numpy(), rows["units"].to_numpy()

    def sums_of(self, source: str, kind: str, stage: int, domain: str) -> clusters.Sums:
        """Return the sums over the clusters of a source after a stage."""
        at = (source, kind, stage, domain)
        if at not in self.summed:
            rows = self.ordered["sums of domains"].at(*at)
            self.summed[at] = clusters.from_rows(rows.select(clusters.ROWS.names))
        return self.summed[at]

    def associations_of(self, source: str, kind: str, stage: int) -> dict[str, clusters.Sums]:
        """Return the sums over the clusters of a source after a stage, by the term that all their pairs have."""
        return associations.by_term(self.ordered["sums"].at(source, kind, stage))

    def marked_of(self, source: str, kind: str, stage: int) -> pa.Table:
        """Return the hosts or subreddits of `MARKED`."""
        return self.ordered["marked"].at(source, kind, stage)

    def losses_of(self, source: str, kind: str, stage: int, domain: str) -> pa.Table:
        """Return what clusters of a source lost at a stage."""
        return self.ordered["losses of domains"].at(source, kind, stage, domain).select(losses.ROWS.names)

    def hosts_of(self, source: str, stage: int) -> list[tuple[str, int]]:
        """Return the hosts with most pairs, each with its pairs."""
        rows = self.ordered["hosts"].at(source, "host", stage)
        return list(zip(rows["name"].to_pylist(), rows["pairs"].to_pylist(), strict=True))[:LISTED_HOSTS]

    def large_hosts_of(self, source: str) -> dict[str, Counts]:
        """Return the pairs, after each of `CLASSES`, of every host that is among those with most pairs after some stage."""
        rows = self.hosts.filter(pc.equal(self.hosts["source"], source))
        found: dict[str, Counts] = {}
        for name, stage, pairs in zip(
            *(rows[column].to_pylist() for column in ("name", "stage", "pairs")), strict=True
        ):
            found.setdefault(name, np.zeros(len(CLASSES), dtype=np.int64))[stage] = pairs
        return dict(sorted(found.items()))

    def groups_of(self, source: str, kind: str, by: str) -> dict[str, tuple[Counts, Counts]]:
        """Return group → its pairs, and its units that have any, after each of `CLASSES`."""
        table = self.groups
        at = pc.and_(
            pc.equal(table["source"], source), pc.and_(pc.equal(table["kind"], kind), pc.equal(table["by"], by))
        )
        rows = table.filter(at)
        found: dict[str, tuple[Counts, Counts]] = {}
        for name, stage, pairs, some in zip(
            *(rows[column].to_pylist() for column in ("group", "class", "pairs", "units")), strict=True
        ):
            zeros = np.zeros(len(CLASSES), dtype=np.int64)
            of_pairs, of_units = found.setdefault(name, (zeros, zeros.copy()))
            of_pairs[stage], of_units[stage] = pairs, some
        return dict(sorted(found.items()))


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
            waiting = [added_up(waiting)]
    return added_up(waiting)


def added_up(some: Sequence[Counted]) -> Counted:
    """Return what is known of the units of all parts, added up at once."""
    hosts = pa.concat_tables([part.hosts for part in some])
    return Counted(
        _added(SIZES, [part.sizes for part in some], 4),
        _added(SUMS, [part.sums for part in some], 6),
        _added(LOSSES, [part.losses for part in some], 7),
        largest_hosts(hosts),
        _added(GROUPS, [part.groups for part in some], 5),
        most_marked(pa.concat_tables([part.marked for part in some])),
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


def largest_hosts(hosts: pa.Table) -> pa.Table:
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


def most_marked(rows: pa.Table) -> pa.Table:
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


def of_sizes(tables: Iterable[pa.Table]) -> Counted:
    """Return units of which only `SIZES` are known."""
    sizes = pa.concat_tables([SIZES.empty_table(), *tables]).sort_by([(name, "ascending") for name in _AT_NAMES])
    return merged([dataclasses.replace(EMPTY, sizes=sizes)])


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
