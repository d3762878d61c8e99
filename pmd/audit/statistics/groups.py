"""Units in groups: users and hosts by how many pairs they had at first, and users by the country of most of their photographs.

What leaves are sums by group and class: how many pairs, of how many units. A unit stays in the group of its first size whatever
it loses, so that it can be asked which of them lost most. The country of most photographs is taken anew after every stage; it
says where someone photographed most, and not where they live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pmd.audit.statistics.clusters import Counts, Having
from pmd.text.minhash import mixed

#: Pairs from which a unit is in a group, and the group's name.
SIZES: Final = ((1, "1"), (2, "2–9"), (10, "10–99"), (100, "100–999"), (1000, "1,000+"))

#: What units are grouped by.
SIZE: Final = "size"
COUNTRY: Final = "country"

ROWS: Final = pa.schema(
    [
        pa.field("by", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("class", pa.int64(), nullable=False),
        pa.field("pairs", pa.int64(), nullable=False),
        pa.field("units", pa.int64(), nullable=False),
    ]
)


def of_sizes(pairs: Counts) -> NDArray[np.intp]:
    """Return the place among `SIZES` of units with so many pairs."""
    return np.searchsorted([least for least, _ in SIZES], pairs, side="right") - 1


def name_of(pairs: int) -> str:
    """Return the group of a unit with so many pairs."""
    return next(name for least, name in reversed(SIZES) if pairs >= least)


def by_size(pairs: Counts) -> pa.Table:
    """Return `ROWS` of units by their first size.

    Args:
        pairs: Of each unit after each stage; shape (units, classes).
    """
    group = of_sizes(pairs[:, 0])
    names = [name for _, name in SIZES]
    tables = [ROWS.empty_table()]
    for stage in range(pairs.shape[1]):
        sums, units = np.zeros((2, len(names)), dtype=np.int64)
        some = pairs[:, stage] > 0
        np.add.at(sums, group[some], pairs[some, stage])
        np.add.at(units, group[some], 1)
        tables.append(_table(SIZE, names, stage, sums, units))
    return pa.concat_tables(tables)


def by_country(ids: NDArray[np.uint64], having: Mapping[str, Having]) -> pa.Table:
    """Return `ROWS` of units by the country that most of their placed pairs are in; `pairs` are all placed ones of these units.

    Where several have as many, a hash of the unit and the country decides, so that no country wins by its name.

    Args:
        ids: A hash of each unit; shape (units,).
        having: Country → pairs of the units that have some, after each stage; shape (some, classes).
    """
    names = sorted(having)
    tables = [ROWS.empty_table()]
    for stage in range(having[names[0]].pairs.shape[1] if names else 0):
        best = np.zeros(len(ids), dtype=np.int64)
        drawn = np.zeros(len(ids), dtype=np.uint64)
        winner = np.full(len(ids), -1, dtype=np.int64)
        whole = np.zeros(len(ids), dtype=np.int64)
        for number, name in enumerate(names):
            units, count = having[name].clusters, having[name].pairs[:, stage]
            whole[units] += count
            some = np.flatnonzero((count > 0) & (count >= best[units]))
            units, count = units[some], count[some]
            lot = mixed(ids[units] ^ np.uint64(int.from_bytes(name.encode(), "big")))
            wins = (count > best[units]) | (lot > drawn[units])
            won = units[wins]
            best[won], drawn[won], winner[won] = count[wins], lot[wins], number
        placed = winner >= 0
        pairs, units = np.zeros((2, len(names)), dtype=np.int64)
        np.add.at(pairs, winner[placed], whole[placed])
        np.add.at(units, winner[placed], 1)
        tables.append(_table(COUNTRY, names, stage, pairs, units))
    return pa.concat_tables(tables)


def _table(by: str, names: Sequence[str], stage: int, pairs: Counts, units: Counts) -> pa.Table:
    """Return a row of each group that has a unit with a pair."""
    some = np.flatnonzero(units)
    head = [[by] * len(some), [names[place] for place in some.tolist()], [stage] * len(some)]
    return pa.table([*head, pairs[some], units[some]], schema=ROWS)
