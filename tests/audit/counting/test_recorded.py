"""What a new source's manifest says of upstream's fields is all that audit, publish and takedown need to know of them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from pmd import manifests
from pmd.audit.counting import measure, units
from pmd.audit.counting.measure import Plan
from pmd.audit.texts.lexicon import Absent
from pmd.manifests import loading
from pmd.publish import named
from pmd.schema import keys
from pmd.schema.tables import PAIRS
from pmd.store import exchange
from pmd.suppression import people
from tests import postcards

RECORDED = """
[recorded]
user = "sender"
site = "flickr"
names = ["signature"]
page = "album"
longitude = "x"
latitude = "y"
date = "stamped"
dated = "posted"
last_year = 2020
"""
META = {
    "sender": "12@N01",
    "signature": "Aunt Ada",
    "album": "a/1",
    "x": "13.4",
    "y": "52.5",
    "stamped": "1999-07-01",
}


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> manifests.Manifest:
    """A source that nothing in the code knows."""
    content = postcards.MANIFEST.replace("[meta]", 'clusters = ["user", "page"]\n[meta]') + RECORDED
    (tmp_path / "postcards.toml").write_text(content, encoding="utf-8")
    found = manifests.load("postcards", tmp_path)
    every = {**manifests.load_all(), "postcards": found}
    monkeypatch.setattr(loading, "_load_folder", lambda _: every)
    return found


def _pairs(metas: list[dict[str, str]]) -> pa.RecordBatch:
    rows = [
        {
            "pair_id": keys.pair_id("postcards", str(number)),
            "image_id": keys.image_id(str(number)),
            "source": "postcards",
            "source_id": str(number),
            "image_url": "http://cards.example/1.jpg",
            "text": "a view of the lake",
            "meta": orjson.dumps(meta).decode(),
        }
        for number, meta in enumerate(metas)
    ]
    return exchange.widen(pa.Table.from_pylist(rows), PAIRS)


@pytest.mark.usefixtures("manifest")
def test_the_audit_counts_users_places_and_years() -> None:
    pairs = _pairs([META, {**META, "sender": "[deleted]", "x": "", "stamped": "2021-01-01"}])
    seen = measure.look(pairs, Plan({}, Absent("none", "none")))["postcards"]
    assert {kind: names.to_pylist() for kind, names in seen.units.items() if kind != "host"} == {
        "user": ["12@N01", ""],
        "page": ["a/1", "a/1"],
    }
    assert seen.countries.to_pylist() == ["DE", ""]
    assert seen.traits["year"].to_pylist() == ["1999", ""]
    assert units.clusters_of("postcards") == ("user", "page")
    assert "meta" in measure.columns_of("postcards")
    assert "meta" not in measure.columns_of("coco")


@pytest.mark.usefixtures("manifest")
def test_a_takedown_of_a_person_finds_his_pairs() -> None:
    meta = orjson.dumps(META).decode()
    assert people.of_meta("postcards", meta) == people.user("flickr.com/people/12@N01", ["postcards"])
    assert people.of_meta("postcards", orjson.dumps({"sender": "None"}).decode()) is None
    assert [*people.in_fields({"sender": "12@N01"})] == ["flickr/12@N01"]


@pytest.mark.usefixtures("manifest")
def test_publish_looks_for_both_names() -> None:
    pairs = _pairs([META])
    listed = pa.table(
        {
            "pair_id": pa.array([keys.pair_id("postcards", "0").hex()]),
            "text": ["greetings from aunt ada"],
            "image_url": ["http://cards.example/12@N01/1.jpg"],
        }
    )
    assert named.count("postcards", pa.Table.from_batches([pairs]), listed) == {"rows": 1, "text": 1, "image_url": 1}


def test_of_a_source_without_a_manifest_nothing_is_known() -> None:
    assert manifests.recorded("my_pairs") == manifests.Recorded()
    assert people.of_meta("my_pairs", '{"uid": "x"}') is None
