"""What a stage is asked is what its commits depend on: no option is in the one and not in the other."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Annotated

import pytest

from pmd import config, flow
from pmd.config import told
from pmd.config.asked import Asked
from pmd.config.options import Also, ImagesOptions, LicenceOptions, ShardOptions
from pmd.config.tables import TABLES, stages_of

CHOSEN = config.parse(
    'root = "out"\nseed = 7\nsample = 9\ncontact = "mailto:a@b.org"\n[sources.sbu_captions]\nannotations = ["x"]\n'
    '[licence]\nimage_allow = ["CC0-1.0"]\n'
)
#: Every option that there is, with its table.
OPTIONS = [(table, option) for table, model in TABLES.items() for option in model.model_fields]


class More(LicenceOptions):
    least: Annotated[int, Also((flow.SHARD.name, flow.PUBLISH.name))] = 0


def also(table: str, option: str) -> set[str]:
    """Return the stages that an option is marked for, as its declaration has them."""
    marks = TABLES[table].model_fields[option].metadata
    return {stage for mark in marks if isinstance(mark, Also) for stage in mark.stages}


@pytest.mark.parametrize(("table", "option"), OPTIONS, ids=[f"{table}.{option}" for table, option in OPTIONS])
def test_an_option_is_there_in_its_own_stage_and_those_that_it_is_marked_for(table: str, option: str) -> None:
    for stage in flow.NAMES:
        asked = getattr(Asked.of(CHOSEN, stage), table)
        if stage == table or stage in also(table, option):
            assert getattr(asked, option) == getattr(getattr(CHOSEN, table), option)
        else:
            with pytest.raises(
                AttributeError, match=rf"{option} is said to have no effect in this stage: mark it with"
            ):
                getattr(asked, option)


@pytest.mark.parametrize(("table", "option"), OPTIONS, ids=[f"{table}.{option}" for table, option in OPTIONS])
def test_no_option_is_asked_of_a_stage_whose_commits_do_not_depend_on_it(table: str, option: str) -> None:
    """Those of fetch depend on none: what is fetched stays, and nothing but its own table is asked of it."""
    value = object()
    changed = getattr(CHOSEN, table).model_copy(update={option: value})
    for stage in stages_of(table, TABLES[table], option):
        assert option not in changed.later | changed.unsaid
        assert (
            getattr(getattr(Asked.of(dataclasses.replace(CHOSEN, **{table: changed}), stage), table), option) is value
        )
        assert (
            option in told.of(CHOSEN, stage) or option in getattr(CHOSEN, table).later | getattr(CHOSEN, table).unsaid
        )
    assert flow.FETCH.name not in also(table, option)
    assert also(table, option) <= {*flow.NAMES}
    assert table not in also(table, option)


def test_a_new_option_is_asked_of_every_stage_that_it_is_marked_for() -> None:
    marked = dataclasses.replace(CHOSEN, licence=More(least=3))
    for stage in (flow.SHARD.name, flow.PUBLISH.name):
        asked = Asked.of(marked, stage).licence
        assert isinstance(asked, More)
        assert asked.least == told.of(marked, stage)["least"] == 3
    assert not hasattr(Asked.of(marked, flow.DEDUPE.name).licence, "least")
    assert "least" not in told.of(marked, flow.DEDUPE.name)


@pytest.mark.parametrize(("option", "value", "heeding"), [("sample", 9, "images"), ("seed", 7, "shard")])
def test_the_seed_and_the_sample_are_asked_of_the_stage_that_heeds_them(option: str, value: int, heeding: str) -> None:
    for stage in flow.NAMES:
        asked = Asked.of(CHOSEN, stage)
        if stage == heeding:
            assert getattr(asked, option) == value
        else:
            with pytest.raises(AttributeError, match=f"{option} is said to have no effect in this stage"):
                getattr(asked, option)


def test_what_is_asked_is_the_same_in_another_process() -> None:
    asked = Asked.of(CHOSEN, flow.IMAGES.name)
    again = pickle.loads(pickle.dumps(asked))
    assert again == asked
    assert not hasattr(again.shard, "unit")
    assert again.licence.image_allow == ("CC0-1.0",)


def test_the_configuration_itself_stays_whole() -> None:
    Asked.of(CHOSEN, flow.IMAGES.name)
    assert CHOSEN.shard == ShardOptions()
    assert isinstance(CHOSEN.images, ImagesOptions)
    assert CHOSEN.images.evaluation_copies == "reject"


def test_without_a_configuration_some_tables_ask_and_other_options_are_at_their_defaults() -> None:
    asked = Asked.only(seed=3, shard=ShardOptions(unit="pair"))
    assert (asked.seed, asked.sample, asked.shard.unit) == (3, 1, "pair")
    assert asked.licence == LicenceOptions()
    assert asked.dedupe.near_distance == 31
    assert not hasattr(asked.dedupe, "near")


def test_what_no_table_has_is_no_option() -> None:
    with pytest.raises(AttributeError, match="'ShardOptions' object has no attribute 'units'"):
        CHOSEN.shard.units  # type: ignore[attr-defined]  # noqa: B018
