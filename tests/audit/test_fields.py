"""Fields read by their bytes are those that parsing gives, whatever is in an object."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pyarrow as pa
import pytest

from pmd.audit import fields
from pmd.audit.counting import traits
from pmd.audit.places import places

NAMES = ("uid", "longitude", "created_utc")


def values(metas: list[str], name: str) -> list[Any]:
    return [fields.value(token) for token in fields.tokens(pa.array(metas), NAMES)[name].to_pylist()]


@pytest.mark.parametrize(
    "meta",
    [
        '{"uid":"1@N00","longitude":"2.5","created_utc":1302998814}',
        '{"a":1,"uid":"1@N00"}',
        '{ "uid" : "1@N00" , "longitude": 2.5 }',
        '{"uid":null,"longitude":true,"created_utc":false}',
        '{"uid":"with \\"quotes\\" and \\u00e9","longitude":""}',
        '{"title":"\\",\\"uid\\":\\"not me\\"","uid":"me"}',
        '{"title":"{\\"uid\\":1}"}',
        '{"title":"the \\\\","uid":"me"}',
        '{"uidx":"1","xuid":"2"}',
        '{"other":{"uid":"nested","longitude":1},"longitude":"3"}',
        '{"other":[{"uid":"nested"}]}',
        '{"other":["uid","longitude"],"uid":["a"]}',
        '{"\\u0075id":"escaped name"}',
        '{"title":"uid","uid":"1"}',
        '{"uid":-1.5e3,"longitude":0,"created_utc":"1302998814"}',
        '{"uid":"Größe ☃","longitude":"{"}',
        "{}",
    ],
)
def test_a_field_is_what_parsing_gives(meta: str) -> None:
    for name in NAMES:
        assert values(["{}", meta, "{}"], name) == [None, orjson.loads(meta).get(name), None]


def test_fields_of_many_objects_are_those_that_parsing_gives() -> None:
    chance = random.Random(1)
    texts = ["", "x", '"', "\\", "{", "}", ',"uid":"no"', "é", "\n", ":", "uid", "1"]
    metas = []
    for _ in range(3000):
        names = chance.sample([*NAMES, "title", "tags", 'od"d'], chance.randrange(0, 6))
        metas.append({name: chance.choice([*texts, 1, -2.5, None, True, [1], {"uid": "in"}]) for name in names})
    spelled = [orjson.dumps(meta).decode() for meta in metas]
    for name in NAMES:
        assert values(spelled, name) == [meta.get(name) for meta in metas]
    users = fields.strings(fields.tokens(pa.array(spelled), NAMES)["uid"])
    assert users.to_pylist() == [str(meta.get("uid") or "") for meta in metas]


def test_years_and_countries_of_columns_are_those_of_each() -> None:
    dates = [None, "", "2011-05-03 10:20:30.0", "2011-05-03", "1302998814", 1302998814, 1302998814.0, -5, "null", True]
    dates += [
        "0001-01-01",
        "9999-12-31",
        " 2011-05-03",
        "2011-5-3",
        "12345678901",
        "123456789012",
        [1],
        "2011-05-\u00e9",
    ]
    tokens = pa.array([None if date is None else orjson.dumps(date).decode() for date in dates])
    for last_year in (2010, 2014):
        assert traits.years(tokens, last_year).to_pylist() == [traits.year(date, last_year) for date in dates]
    spots = [
        "",
        None,
        "2.35",
        "48.85",
        2.35,
        48.85,
        "-0",
        "0",
        "1e1",
        "nan",
        "400",
        "181",
        " 5",
        "x",
        0,
        "-30.5",
        "-1",
        -1,
    ]
    pairs = [(east, north) for east in spots for north in spots]
    given = [[None if one is None else orjson.dumps(one).decode() for one in some] for some in zip(*pairs, strict=True)]
    found, nowhere = places.countries(*(pa.array(some, pa.string()) for some in given))
    expected = [at and places.country(*at) for at in (places.position(*spot) for spot in pairs)]
    assert nowhere.tolist() == [code == places.NOWHERE for code in expected]
    assert found.to_pylist() == ["" if code in {None, places.NOWHERE} else code for code in expected]
