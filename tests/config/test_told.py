"""What the configuration says to a stage: its own options, and those of other tables that are marked."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from typing import Annotated

import pytest

from pmd import config, flow
from pmd.config import told
from pmd.config.options import Also, LicenceOptions

CHOSEN = config.parse(
    'root = "out"\ncontact = "mailto:a@b.org"\n[sources.sbu_captions]\nannotations = ["x"]\n'
    '[dedupe]\nevaluation = ["lists"]\n[licence]\nimage_allow = ["CC0-1.0"]\n'
)


class More(LicenceOptions):
    least: Annotated[int, Also(("shard", "publish"))] = 0


class ToStranger(LicenceOptions):
    least: Annotated[int, Also(("stranger",))] = 0


def test_a_stage_is_told_its_own_options_less_those_that_came_later_and_say_nothing() -> None:
    assert told.of(CHOSEN, "dedupe") == CHOSEN.dedupe.model_dump(mode="json")
    assert told.of(CHOSEN, "shard") == CHOSEN.shard.told()
    assert "shards" not in told.of(CHOSEN, "shard")


def test_an_option_is_said_to_each_stage_that_it_is_marked_for_unless_it_is_at_its_default() -> None:
    assert told.of(CHOSEN, "images") == {**CHOSEN.images.told(), "image_allow": ["CC0-1.0"]}
    plain = dataclasses.replace(CHOSEN, licence=More())
    marked = dataclasses.replace(CHOSEN, licence=More(least=3))
    assert told.of(plain, "images") == CHOSEN.images.told()
    for stage in ("shard", "publish"):
        assert told.of(marked, stage) == told.of(plain, stage) | {"least": 3}
        assert told.of(plain, stage) == told.of(CHOSEN, stage)
    assert told.of(marked, "dedupe") == told.of(CHOSEN, "dedupe")


def test_a_stage_without_a_table_is_told_what_others_say_to_it() -> None:
    assert told.of(CHOSEN, "stranger") == {}
    marked = dataclasses.replace(CHOSEN, licence=ToStranger(least=3))
    assert told.of(marked, "stranger") == {"least": 3}


@pytest.mark.parametrize("stage", [stage for stage in flow.STAGES if stage != flow.FETCH], ids=lambda stage: stage.name)
def test_every_stage_asks_what_it_is_told(stage: flow.Stage) -> None:
    """What is fetched stays, whatever options say: so fetch does not."""
    source = inspect.getsource(importlib.import_module(f"pmd.{stage.name}.needs"))
    assert f"told.of(config, flow.{stage.name.upper()}.name)" in source
