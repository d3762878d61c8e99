"""A build of YFCC100M with planted places: who photographs where, and whom link rot strikes, are known."""

from __future__ import annotations

import functools
from typing import Any

import pyarrow as pa

from pmd.audit.counting import measure, units
from pmd.audit.counting.measure import CLASSES
from pmd.audit.figures.result import result
from pmd.audit.places import population
from pmd.audit.places.population import Population
from pmd.config.reference import Row
from pmd.store.commits import Books
from tests.audit.batches import WHOLE, batch, pair
from tests.audit.figures.test_result import TABLE2

SPOTS = {"DE": ("13.4", "52.52"), "VN": ("105.85", "21.03"), "US": ("-73.98", "40.75"), "LI": ("9.52", "47.14")}
STAGES = ("curate", "images", "fetch")

ROWS = (
    Row("DE", 2010, "high", 80.0),
    Row("US", 2010, "high", 70.0),
    Row("VN", 2010, "lower_middle", 30.0),
    Row("LI", 2010, "high", None),
)
BESIDE = population.Beside(2010, Population(2010, {"DE": 80, "US": 300, "VN": 90, "LI": 1, "IN": 529}, 1000), ROWS)


def pairs() -> tuple[pa.RecordBatch, pa.Array]:
    """Return 1,000 pairs of 124 users.

    100 users have five photographs each: 60 of them four in Germany and one in Vietnam, 40 the other way round. 20 have five each
    of the United States, and one five of Liechtenstein. Three have 395 without a place. Every photograph of Vietnam but 60 is
    dead; 50 of the United States opted out.
    """
    rows, last = [], []
    for user in range(100):
        for number in range(5):
            where = "DE" if (number < 4) == (user < 60) else "VN"
            rows.append((f"u{user}", where, f"20{6 + number:02}"))
    rows += [(f"us{number % 20}", "US", "2012") for number in range(100)]
    rows += [("li", "LI", "2010")] * 5
    rows += [(f"n{number % 3}", None, "") for number in range(395)]
    vietnam = 0
    made = []
    for number, (user, where, year) in enumerate(rows):
        meta: dict[str, Any] = {"uid": user, "datetaken": f"{year}-01-01 10:00:00.0" if year else "null"}
        if where is not None:
            meta |= dict(zip(("longitude", "latitude"), SPOTS[where], strict=True))
        host = "a.de" if number % 2 else "b.tv"
        made.append(
            pair("yfcc100m", str(number), "a woman" if number % 4 else "a man", url=f"http://{host}/x", meta=meta)
        )
        vietnam += where == "VN"
        if where == "VN" and vietnam > 60:
            last.append(measure.ASKED)
        elif where == "US" and number % 2:
            last.append("images")
        else:
            last.append("fetch")
    return batch(made), pa.array(last)


@functools.cache
def content(*, with_reference: bool = True) -> dict[str, Any]:
    """Return its audit.json; `language.languages` is to say that all is English."""
    some, last = pairs()
    partial = measure.measure(some, last, WHOLE)
    beside = BESIDE if with_reference else population.NOTHING
    rows = pa.Table.from_batches(units.occurrences(some, last, measure.look(some, WHOLE)), units.ROWS)
    kept = {stage: int(partial.sources["yfcc100m"].pairs[CLASSES.index(stage) :].sum()) for stage in STAGES}
    lost = {"dead": 1000 - kept["fetch"] - 50, "opted_out": 50}
    books = {
        "curate": {"yfcc100m": Books(1000, {"too_few_words": 3000})},
        "images": {"yfcc100m": Books(1000)},
        "fetch": {"yfcc100m": Books(kept["fetch"], lost)},
    }
    known = units.count(rows, beside.incomes)
    return result(partial, books, WHOLE, TABLE2, counted=known, profile="paper", beside=beside)
