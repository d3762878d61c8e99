"""What waves say: the share that is still there among what was there, of this table and of another draw of hosts.

*This table*: the share that all its images would give, had all been asked for; an image was drawn by lot. *Another draw*: the
share of many more such hosts, since one host that goes takes all its images with it (`pmd.audit.statistics.estimates` has both).

A half-life is told from `WAVES` waves on. It supposes that what is there goes at one rate, whatever its age: then the share of
images that are still there is the mean of e^(-rate · age), and the one rate that gives the share of all waves together is
found; the ends of its interval are those of the share's, clustered by host, so that what waves share is counted once.
Nobody should read a half-life where waves tell of another course.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.audit.statistics import clusters, estimates
from pmd.audit.statistics.clusters import Sums
from pmd.audit.statistics.estimates import Part, Read
from pmd.fetch.ledger.asked import ALL
from pmd.refresh.availability import ALIVE, told
from pmd.refresh.sampling import Bound
from pmd.refresh.waves import Wave
from pmd.schema.statuses import OK, TRANSIENT

#: Waves from which a half-life is told.
WAVES: Final = 3

#: Why there is no half-life.
TOO_FEW_WAVES: Final = "too few waves"
NO_TIME: Final = "not known when the images were fetched"
NONE_GONE: Final = "none has gone"
ALL_GONE: Final = "all have gone"

_IN: Final = "in"
_DAY_S: Final = 86_400.0
#: Rates by the day between which one is looked for: half-lives from a minute to a million years.
_RATES: Final = (1e-9, 1e3)


def of_wave(wave: Wave) -> dict[str, Any]:
    """Return what one wave says, of each source and first of all."""
    return {
        "wave": wave.date,
        "asked": wave.rows.num_rows,
        "statuses": dict(sorted(Counter(wave.rows["status"].to_pylist()).items())),
        "sources": [_population(wave.rows, name, bound) for name, bound in _in_order(wave)],
    }


def _in_order(wave: Wave) -> Iterator[tuple[str, Bound]]:
    yield from sorted(wave.bounds.items(), key=lambda item: (item[0] != ALL, item[0]))


def _population(rows: pa.Table, name: str, bound: Bound) -> dict[str, Any]:
    mine = sample(rows, name, bound)
    alive = int(pc.sum(pc.equal(mine["status"], OK)).as_py() or 0)
    asked = mine.num_rows
    unsure = int(pc.sum(pc.is_in(mine["status"], value_set=pa.array(TRANSIENT))).as_py() or 0)
    same = int(pc.sum(mine["same_bytes"]).as_py() or 0)
    return {
        "source": name,
        "before": bound.images,
        "asked": asked,
        "alive": alive,
        "unsure": unsure,
        "same_bytes": same,
        "share": round(alive / asked, 4) if asked else None,
        "this_table": told(of_table(asked, alive, bound.images)),
        "another_draw": told(of_draw(by_host(mine))),
    }


def sample(rows: pa.Table, name: str, bound: Bound) -> pa.Table:
    """Return the rows of a wave that are drawn alike of a source's images, or of all (`pmd.refresh.sampling`)."""
    below = pc.less_equal(rows["number"], pa.scalar(bound.below, pa.uint64()))
    if name == ALL:
        return rows.filter(below)
    has = [name in sources for sources in rows["sources"].to_pylist()]
    return rows.filter(pc.and_(below, pa.array(has, pa.bool_())))


def of_table(asked: int, alive: int, before: int) -> estimates.Estimate:
    """Return the share of a table's images that are still there, of which some were drawn by lot."""
    if not asked:
        return estimates.NOTHING
    counts = {frozenset({_IN, ALIVE}): alive, frozenset({_IN}): asked - alive}
    return estimates.share_of_table([Read(counts, before / asked, 1 - asked / before)], ALIVE, _IN)


def of_draw(sums: Sums) -> estimates.Estimate:
    """Return the share that is still there, of many more such hosts.

    A wave of a small source has few hosts, so whether there is an interval is told by their sizes alone.
    """
    return estimates.share_of_draw([Part(sums, float(sums.pairs))], ALIVE, refuses_by_sizes=True)


def by_host(rows: pa.Table) -> Sums:
    """Return the sums of rows with the columns host and status, by host."""
    names, hosts = np.unique(np.array(rows["host"].to_pylist(), dtype=object), return_inverse=True)
    alive = pc.equal(rows["status"], OK).to_numpy(zero_copy_only=False) if rows.num_rows else np.zeros(0, np.bool_)
    sizes = np.bincount(hosts, minlength=len(names)).astype(np.int64)
    having = np.bincount(hosts[alive], minlength=len(names)).astype(np.int64)
    return clusters.of(sizes, {ALIVE: having})


def half_life(waves: Sequence[Wave]) -> dict[str, Any]:
    """Return after how many days half of what was there is gone, with its interval of another draw of hosts.

    Returns:
        ``days``: None where ``refused`` says why there is none; ``interval``: its ends, of which the upper one is None where
        it may as well be endless, or None where there is none; ``waves``.
    """
    found: dict[str, Any] = {"waves": len(waves), "days": None, "interval": None, "refused": None}
    if len(waves) < WAVES:
        return found | {"refused": TOO_FEW_WAVES}
    drawn = [sample(wave.rows, ALL, wave.bounds[ALL]) for wave in waves]
    rows = pa.concat_tables(drawn)
    rows = rows.filter(pc.is_valid(rows["fetched"]))
    ages = pc.subtract(rows["when"], rows["fetched"]).cast(pa.int64()).to_numpy() / 1000 / _DAY_S
    if not len(ages) or not (ages > 0).any():
        return found | {"refused": NO_TIME}
    sums = by_host(rows)
    share = of_draw(sums)
    assert share.value is not None
    if share.value in {0.0, 1.0}:
        return found | {"refused": NONE_GONE if share.value else ALL_GONE}
    rate = _rate(share.value, ages)
    ends = None
    if share.low is not None and share.high is not None:
        slowest = None if share.high >= 1 else _days(_rate(share.high, ages))
        ends = [_days(_rate(share.low, ages)), slowest]
    return found | {"days": _days(rate), "interval": ends, "refused": None if ends else share.refused}


def _rate(share: float, ages: npt.NDArray[np.float64]) -> float:
    """Return the rate by the day at which so large a share of images of these ages is still there."""
    from scipy import optimize  # late: it takes half a second, and every build reads this module in

    ages = np.maximum(ages, 0.0)
    low, high = _RATES

    def off(logarithm: float) -> float:
        return float(np.exp(-math.exp(logarithm) * ages).mean()) - share

    if off(math.log(low)) <= 0:
        return low
    if off(math.log(high)) >= 0:
        return high
    return math.exp(float(optimize.brentq(off, math.log(low), math.log(high), xtol=1e-10)))


def _days(rate: float) -> float:
    return round(math.log(2) / rate, 2)
