"""What a build costs by the hour: the plan's figures times what was measured, at prices that anybody may replace."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from typer.testing import CliRunner

from pmd import cli, flow
from pmd.config import Config
from pmd.config.engine import Prices
from pmd.inspection import plan
from pmd.inspection.plan import costs
from pmd.inspection.plan.rendering import _short
from tests import tiny_root

#: A processor's hour for one coin, and nothing beside it.
ONE = Prices(currency="EUR", processor=1.0, gb_of_memory=0.0, gb_of_disk=0.0)
HOUR = 3600


def planned(**figures: Any) -> dict[str, Any]:
    names = {stage.rate.of for stage in flow.STAGES if stage.rate is not None} | {"fetched"}
    return {**dict.fromkeys(names, 0), "ranges": {}, "fetch": {"lanes": 1, "hours": 0.0}, **figures}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


def with_near(chosen: Config, near: str) -> Config:
    return dataclasses.replace(chosen, dedupe=chosen.dedupe.model_copy(update={"near": near}))


def of(found: dict[str, Any], stage: str) -> dict[str, Any]:
    (item,) = [item for item in found["stages"] if item["stage"] == stage]
    return dict(item)


def test_a_rate_is_of_a_figure_of_the_plan(chosen: Config) -> None:
    found = plan.plan(chosen)
    assert all(isinstance(found[stage.rate.of], int | float) for stage in flow.STAGES if stage.rate is not None)
    assert [item["stage"] for item in costs.cost(chosen, found, ONE)["stages"]] == [*flow.NAMES]


def test_a_stage_without_a_rate_is_told_without_and_named_below(
    chosen: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = dataclasses.replace(flow.DEDUPE, name="stranger", rate=None)
    whole = costs.cost(chosen, planned(rows=1_000_000), ONE)
    monkeypatch.setattr(flow, "STAGES", (*flow.STAGES, stranger))
    found = costs.cost(chosen, planned(rows=1_000_000), ONE)
    assert found["price"] == whole["price"] > 0
    assert found["stages"][:-1] == whole["stages"]
    assert [*costs.rows(found, _short)][-1] == ("stranger", "–", "–", "", "unknown")
    assert next(costs.lines(found, _short)).startswith("All but the fetch and stranger: ~")
    assert next(costs.lines(whole, _short)).startswith("All but the fetch: ~")


def test_hours_grow_with_what_the_stage_works_on(chosen: Config) -> None:
    found = costs.cost(chosen, planned(rows=100_000_000), ONE)
    assert of(found, "curate")["hours"] == pytest.approx(100e6 * 35e-6 / HOUR)
    assert of(found, "images")["hours"] == 0
    assert found["price"] == of(found, "curate")["price"] == of(found, "curate")["hours"]


def test_an_estimate_keeps_its_range(chosen: Config) -> None:
    found = costs.cost(chosen, planned(rows=200, ranges={"rows": [100, 400]}), ONE)
    low, high = of(found, "curate")["ranges"]["price"]
    assert (low, high) == (of(found, "curate")["price"] / 2, of(found, "curate")["price"] * 2)
    assert of(found, "images")["ranges"] == {}


def test_near_duplicates_take_more_than_their_number(chosen: Config) -> None:
    once, tenfold = (
        of(costs.cost(with_near(chosen, "merge"), planned(fetched=count), ONE), "dedupe")["hours"]
        for count in (10_000_000, 100_000_000)
    )
    assert once == pytest.approx(640 / HOUR)
    assert tenfold / once == pytest.approx(10**1.35)
    assert of(costs.cost(with_near(chosen, "keep"), planned(fetched=10_000_000), ONE), "dedupe")["hours"] == 0


def test_a_fetch_costs_its_lanes_as_long_as_it_takes_and_is_no_part_of_the_sum(chosen: Config) -> None:
    found = costs.cost(chosen, planned(to_fetch=2_600, fetch={"lanes": 16, "hours": 900.0}), ONE)
    assert found["waiting"] == {"hours": 14_400.0, "price": 14_400.0}
    assert found["price"] == 0
    said = "\n".join(costs.lines(found, _short))
    assert "The fetch keeps its lanes for 14,000 hours in all, which cost 14,000 EUR there" in said
    assert "pmd fetch CONFIG --engine local" in said
    assert "fetch" not in "\n".join(costs.lines(costs.cost(chosen, planned(), ONE), _short)).replace(
        "All but the fetch", ""
    )


def test_prices_are_an_hour_of_a_processor_with_what_stands_beside_it() -> None:
    prices = Prices(processor=1.0, gb_of_memory=0.1, gb_of_disk=0.01, memory_gb=4.0, disk_gb=30.0)
    assert costs.hour(prices) == pytest.approx(1.7)


def test_whose_prices_they_are_is_told(chosen: Config) -> None:
    assert costs.cost(chosen, planned(), ONE)["priced"] == "[engine.prices]"
    assert costs.cost(chosen, planned(), ONE)["currency"] == "EUR"
    assert "check it" in costs.cost(chosen, planned(), Prices())["priced"]


def test_the_plan_shows_them_in_80_columns(chosen: Config) -> None:
    found = plan.plan(chosen)
    assert "cost" not in found
    found["cost"] = costs.cost(chosen, found, Prices())
    lines = plan.render(found | {"root": "pmd"}, 80).splitlines()
    start = lines.index("On machines that are paid by time:")
    assert lines[start + 1].split() == ["stage", "processor", "hours", "USD", "between", "told", "by"]
    assert [line.split()[0] for line in lines[start + 2 : start + 2 + len(flow.STAGES)]] == [*flow.NAMES]
    assert max(map(len, lines)) <= 80


def test_the_command_takes_the_one_engine_that_is_paid_by_time(chosen: Config) -> None:
    path = f"{chosen.root}/../pmd.toml"
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["plan", path, "--engine", "dataflow"])
    assert "On machines that are paid by time:" in shown.stdout
    refused = runner.invoke(cli.app, ["plan", path, "--engine", "flink"])
    assert str(refused.exception).splitlines()[0] == "--engine: no engine that is paid by time"
