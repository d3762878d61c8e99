"""What a build costs where machines are paid by time: processor hours of each stage, and prices.

Hours are the plan's figures times what a row, a pair or a picture takes of a processor: `flow.Rate`, in the stage's row, as
measured on the machines of docs/benchmarks.md; what was not measured says so. They count processors that work all the time: those
that wait cost as much. A fetch is another matter, since it waits for hosts: it costs its lanes for as long as its slowest host
takes.
"""

from __future__ import annotations

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
UNKNOWN: Final = "unknown"

#: Rows of ten million hashes, and by which power of their number more the search for near-duplicates takes.
_NEAR_ROWS: Final = 1e7
_NEAR_POWER: Final = 0.35


#: What the search for near-duplicates takes of an image, at `_NEAR_ROWS` (docs/benchmarks/search.md).
_NEAR_S: Final = 64e-6


def cost(config: Config, planned: Mapping[str, Any], prices: Prices) -> dict[str, Any]:
    """Return what a build costs, by what is planned.

    Args:
        config: The configuration.
        planned: What `plan.plan` returns.
        prices: Of an hour.

    Returns:
        ``stages``: of each stage its processor ``hours``, its ``price``, whether they were measured (``told``), and
        ``ranges`` of both where what it grows with is estimated; of a stage without a rate, hours and price are None.
        ``waiting``: of a fetch on these machines the ``hours`` that its lanes wait and work in all, and their ``price``.
        ``price``: of all stages but the fetch, as far as it is known. ``currency``, ``prices``, and ``priced``: where these
        come from. JSON-able.
    """
    stages = [_stage(config, planned, stage, prices) for stage in flow.STAGES]
    lanes_h = planned["fetch"]["lanes"] * planned["fetch"]["hours"]
    told = prices.model_dump()
    return {
        "stages": stages,
        "waiting": {"hours": lanes_h, "price": lanes_h * hour(prices)},
        "price": sum(item["price"] or 0.0 for item in stages if item["stage"] != flow.FETCH.name),
        "currency": told.pop("currency"),
        "prices": told,
        "priced": PRICED if prices == Prices() else "[engine.prices]",
    }


def hour(prices: Prices) -> float:
    """Return the price of a processor's hour with its memory and disk."""
    return prices.processor + prices.memory_gb * prices.gb_of_memory + prices.disk_gb * prices.gb_of_disk


def _stage(config: Config, planned: Mapping[str, Any], stage: flow.Stage, prices: Prices) -> dict[str, Any]:
    rate = stage.rate
    if rate is None:
        return {"stage": stage.name, "hours": None, "price": None, "told": UNKNOWN, "ranges": {}}

    def hours(count: float) -> float:
        near = stage == flow.DEDUPE and config.dedupe.near == "merge"
        return (rate.seconds * count + (_near_s(planned["fetched"]) if near else 0.0)) / 3600

    counts = planned["ranges"].get(rate.of, ())
    found = {"hours": hours(planned[rate.of]), "price": hours(planned[rate.of]) * hour(prices)}
    ranges = {name: [hours(count) * by for count in counts] for name, by in (("hours", 1.0), ("price", hour(prices)))}
    told = MEASURED if rate.is_measured else GUESS
    return {"stage": stage.name, **found, "told": told, "ranges": ranges if counts else {}}


def _near_s(images: int) -> float:
    return float(_NEAR_S * images * (images / _NEAR_ROWS) ** _NEAR_POWER)


def rows(costs: Mapping[str, Any], number: Callable[[float], str]) -> Iterator[Sequence[str]]:
    """Yield the rows of a table: stage, processor hours, price, between what, told by."""
    for item in costs["stages"]:
        if item["price"] is None:
            yield item["stage"], "–", "–", "", item["told"]
            continue
        between = " to ".join(map(number, item["ranges"].get("price", ())))
        mark = "~" if between or item["told"] == GUESS else ""
        yield item["stage"], mark + number(item["hours"]), mark + number(item["price"]), between, item["told"]


def lines(costs: Mapping[str, Any], number: Callable[[float], str]) -> Iterator[str]:
    """Yield what is said below it."""
    money = costs["currency"]
    unknown = [item["stage"] for item in costs["stages"] if item["price"] is None]
    counted = " and ".join(["the fetch", *unknown])
    yield f"All but {counted}: ~{number(costs['price'])} {money}, where no processor waits."
    if costs["waiting"]["hours"]:
        yield (
            f"The fetch keeps its lanes for {number(costs['waiting']['hours'])} hours in all, which cost "
            f"{number(costs['waiting']['price'])} {money} there; most of it they wait. Run it on one machine: "
            "pmd fetch CONFIG --engine local"
        )
    yield f"Prices: {costs['priced']}."
