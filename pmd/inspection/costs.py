"""What a build costs where machines are paid by time: processor hours of each stage, and prices.

Hours are the plan's figures times what a row, a pair or a picture takes of a processor, as measured on the machines of
docs/benchmarks.md; what was not measured says so. They count processors that work all the time: those that wait cost as much.
A fetch is another matter, since it waits for hosts: it costs its lanes for as long as its slowest host takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pmd import flow
from pmd.config import Config
from pmd.config.engine import Prices

#: Where Google's prices come from that `Prices` has; nobody has looked since.
PRICED: Final = (
    "Google's list for batch workers in us-central1, as of 2024; not looked up since: check it, and set [engine.prices]"
)

MEASURED: Final = "measured"
GUESS: Final = "guess"

#: Rows of ten million hashes, and by which power of their number more the search for near-duplicates takes.
_NEAR_ROWS: Final = 1e7
_NEAR_POWER: Final = 0.35


@dataclasses.dataclass(frozen=True)
class Rate:
    """What a stage takes of a processor.

    Attributes:
        stage: Its name.
        of: The figure of the plan that it grows with.
        seconds: Of one of these.
        told: Whether that was measured.
    """

    stage: str
    of: str
    seconds: float
    told: str


#: docs/benchmarks.md: fifty million rows of YFCC100M; a million pairs of Conceptual 12M; 520 pictures a second in two lanes with
#: a core each; ten million hashes.
RATES: Final = (
    Rate(flow.CURATE.name, "rows", 35e-6, MEASURED),
    Rate(flow.IMAGES.name, "pairs", 9e-6, MEASURED),
    Rate(flow.FETCH.name, "to_fetch", 1 / 260, MEASURED),
    Rate(flow.DEDUPE.name, "pairs", 20e-6, GUESS),
    Rate(flow.SHARD.name, "samples", 4e-3, GUESS),
    Rate(flow.PUBLISH.name, "pairs", 10e-6, GUESS),
    Rate(flow.AUDIT.name, "pairs", 100e-6, GUESS),
)
#: What the search for near-duplicates takes of an image, at `_NEAR_ROWS`.
_NEAR_S: Final = 64e-6


def cost(config: Config, planned: Mapping[str, Any], prices: Prices) -> dict[str, Any]:
    """Return what a build costs, by what is planned.

    Args:
        config: The configuration.
        planned: What `plan.plan` returns.
        prices: Of an hour.

    Returns:
        ``stages``: of each stage its processor ``hours``, its ``price``, whether they were measured (``told``), and
        ``ranges`` of both where what it grows with is estimated. ``waiting``: of a fetch on these machines the ``hours``
        that its lanes wait and work in all, and their ``price``. ``price``: of all stages but the fetch. ``currency``,
        ``prices``, and ``priced``: where these come from. JSON-able.
    """
    stages = [_stage(config, planned, rate, prices) for rate in RATES]
    lanes_h = planned["fetch"]["lanes"] * planned["fetch"]["hours"]
    told = prices.model_dump()
    return {
        "stages": stages,
        "waiting": {"hours": lanes_h, "price": lanes_h * hour(prices)},
        "price": sum(item["price"] for item in stages if item["stage"] != flow.FETCH.name),
        "currency": told.pop("currency"),
        "prices": told,
        "priced": PRICED if prices == Prices() else "[engine.prices]",
    }


def hour(prices: Prices) -> float:
    """Return the price of a processor's hour with its memory and disk."""
    return prices.processor + prices.memory_gb * prices.gb_of_memory + prices.disk_gb * prices.gb_of_disk


def _stage(config: Config, planned: Mapping[str, Any], rate: Rate, prices: Prices) -> dict[str, Any]:
    def hours(count: float) -> float:
        near = rate.stage == flow.DEDUPE.name and config.dedupe.near == "merge"
        return (rate.seconds * count + (_near_s(planned["fetched"]) if near else 0.0)) / 3600

    counts = planned["ranges"].get(rate.of, ())
    found = {"hours": hours(planned[rate.of]), "price": hours(planned[rate.of]) * hour(prices)}
    ranges = {name: [hours(count) * by for count in counts] for name, by in (("hours", 1.0), ("price", hour(prices)))}
    return {"stage": rate.stage, **found, "told": rate.told, "ranges": ranges if counts else {}}


def _near_s(images: int) -> float:
    return float(_NEAR_S * images * (images / _NEAR_ROWS) ** _NEAR_POWER)


def rows(costs: Mapping[str, Any], number: Callable[[float], str]) -> Iterator[Sequence[str]]:
    """Yield the rows of a table: stage, processor hours, price, between what, told by."""
    for item in costs["stages"]:
        between = " to ".join(map(number, item["ranges"].get("price", ())))
        mark = "~" if between or item["told"] == GUESS else ""
        yield item["stage"], mark + number(item["hours"]), mark + number(item["price"]), between, item["told"]


def lines(costs: Mapping[str, Any], number: Callable[[float], str]) -> Iterator[str]:
    """Yield what is said below it."""
    money = costs["currency"]
    yield f"All but the fetch: ~{number(costs['price'])} {money}, where no processor waits."
    if costs["waiting"]["hours"]:
        yield (
            f"The fetch keeps its lanes for {number(costs['waiting']['hours'])} hours in all, which cost "
            f"{number(costs['waiting']['price'])} {money} there; most of it they wait. Run it on one machine: "
            "pmd fetch CONFIG --engine local"
        )
    yield f"Prices: {costs['priced']}."
