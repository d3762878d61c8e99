"""Units in groups: users and hosts by how many pairs they had at first, and users by the country of most of their photographs.

What leaves are sums by group and class: how many pairs, of how many units. A unit stays in the group of its first size whatever
it loses, so that it can be asked which of them lost most. The country of most photographs is taken anew after every stage; it
says where someone photographed most, and not where they live.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pmd.audit.clusters import Counts
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
    return pa.concat_tables(
        [ROWS.empty_table()]
        + [
            _rows(SIZE, name, stage, pairs[group == number, stage])
            for number, name in enumerate(names)
            for stage in range(pairs.shape[1])
        ]
    )


def by_country(ids: NDArray[np.uint64], having: Mapping[str, Counts]) -> pa.Table:
    """Return `ROWS` of units by the country that most of their placed pairs are in; `pairs` are all placed ones of these units.

    Where several have as many, a hash of the unit and the country decides, so that no country wins by its name.

    Args:
        ids: A hash of each unit; shape (units,).
        having: Country → pairs of each unit after each stage; shape (units, classes).
    """
    names = sorted(having)
    tables = [ROWS.empty_table()]
    for stage in range(having[names[0]].shape[1] if names else 0):
        best = np.zeros(len(ids), dtype=np.int64)
        drawn = np.zeros(len(ids), dtype=np.uint64)
        winner = np.full(len(ids), -1, dtype=np.int64)
        whole = np.zeros(len(ids), dtype=np.int64)
        for number, name in enumerate(names):
            count = having[name][:, stage]
            some = np.flatnonzero((count > 0) & (count >= best))
            lot = mixed(ids[some] ^ np.uint64(int.from_bytes(name.encode(), "big")))
            wins = (count[some] > best[some]) | (lot > drawn[some])
            won = some[wins]
            best[won], drawn[won], winner[won] = count[won], lot[wins], number
            whole += count
        tables += [_rows(COUNTRY, name, stage, whole[winner == number]) for number, name in enumerate(names)]
    return pa.concat_tables(tables)


def _rows(by: str, group: str, stage: int, pairs: Counts) -> pa.Table:
    """Return one row, or none where no unit of the group has a pair."""
    units = int(np.count_nonzero(pairs))
    if not units:
        return ROWS.empty_table()
    return pa.table([[by], [group], [stage], [int(pairs.sum())], [units]], schema=ROWS)
