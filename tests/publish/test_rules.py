"""Published lists: rows that `facebook/pmd`'s users know, of what is left, without text that may not be handed on."""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pytest

from pmd import flow, manifests
from pmd.config.asked import Asked
from pmd.config.options import PublishOptions
from pmd.publish import rules as publish_rules
from pmd.schema import keys
from pmd.schema.tables import LEDGER, PAIRS, VIEWS
from pmd.text import urls

WIT = manifests.load("wit")
ASKED, ASKED_FOR_ALL = (Asked.only(publish=PublishOptions(withheld_text=what)) for what in ("omit", "include"))
#: Upstream's fields of a row, with those that may leave.
META = {
    "page_title": "Ada Lovelace",
    "language": "en",
    "is_main_image": "true",
    "original_width": "640",
    "_pmd": {"field": "x"},
}


def of_level(terms: Any, level: publish_rules.Redistribute) -> Any:
    """Return a source's terms with another level of what may be handed on."""
    return terms.model_copy(update={"redistribute": level})


def pair(source_id: str, **columns: Any) -> dict[str, Any]:
    return {
        "pair_id": keys.pair_id("wit", source_id),
        "image_id": keys.image_id(f"url:e.org/{source_id}"),
        "source": "wit",
        "source_id": source_id,
        "image_url": f"http://e.org/{source_id}",
        "identity": f"url:e.org/{source_id}",
        "text": f"text of {source_id}",
        "meta": json.dumps({**META, "original_height": str(len(source_id))}),
        "text_licence": "CC-BY-SA-3.0",
        "image_licence": "NOASSERTION",
        "licence_evidence": None,
        "split": "train",
        **columns,
    }


def pairs_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=PAIRS)


def fates_of(*source_ids: str, **in_splits: str) -> pa.Table:
    """Return FATES of pairs, which are all in train, but for those that are given."""
    views = pa.Table.from_pylist(
        [
            {name: pair(source_id, split=in_splits.get(source_id, "train")).get(name) for name in VIEWS.names}
            for source_id in source_ids
        ],
        schema=VIEWS,
    )
    ledger = pa.Table.from_pylist(
        [
            {
                "image_id": pair(source_id)["image_id"],
                "status": "ok",
                "sha256": source_id.encode() * 32,
                "perceptual_hash": b"p" * 32,
                "width_px": 4,
                "height_px": 3,
                "format": "jpeg",
                "generation": 0,
            }
            for source_id in sorted(source_ids, reverse=True)
        ],
        schema=LEDGER,
    )
    return publish_rules.fates(views, ledger)


def test_a_row_is_what_facebook_pmd_has_and_more() -> None:
    table = publish_rules.rows(pairs_of(pair("a", region=[0.0, 0.0, 0.5, 1.0])), fates_of("a"), WIT, ASKED)
    assert table.schema == publish_rules.PUBLISHED
    assert table.to_pylist() == [
        {
            "image_url": "http://e.org/a",
            "text": "text of a",
            "source": "google/wit",
            "meta": '{"language":"en","original_width":"640","original_height":"1","is_main_image":"true"}',
            "pair_id": keys.pair_id("wit", "a").hex(),
            "image_id": keys.image_id("url:e.org/a").hex(),
            "identity": None,
            "file_name": None,
            "region": [0.0, 0.0, 0.5, 1.0],
            "status": "ok",
            "sha256": (b"a" * 32).hex(),
            "perceptual_hash": (b"p" * 32).hex(),
            "width": 4,
            "height": 3,
            "text_licence": "CC-BY-SA-3.0",
            "image_licence": "NOASSERTION",
            "licence_evidence": None,
            "attribution": None,
            "split": "train",
            "withheld_digest": None,
        }
    ]


def test_a_password_in_a_url_is_not_handed_on_and_every_other_character_is() -> None:
    secret = "https://ada:l0ve@E.org/a@b.jpg?x=%7E#top"
    plain = "HTTP://E.org/b@c"
    rows = [
        pair("a", image_url=secret, meta=json.dumps({"url": secret})),
        pair("b", image_url=plain),
        pair("c", image_url=None),
    ]
    table = publish_rules.rows(pairs_of(*rows), fates_of("a", "b", "c"), WIT, ASKED)
    assert {row["text"]: row["image_url"] for row in table.to_pylist()} == {
        "text of a": "https://e.org/a@b.jpg?x=%7E#top",
        "text of b": plain,
        "text of c": None,
    }
    assert "l0ve" not in repr(table.to_pylist())


@pytest.mark.parametrize(
    ("said", "leaves"),
    [
        ({"id": 7, "name": "Ada"}, {"id": 7}),
        ({"id": "7", "when": "2013-11-14"}, {"id": "7"}),
        ({"id": "7 Ada"}, {}),
        ({"id": "Ada\n7"}, {}),
        ({"id": "7\n"}, {}),
        ({"id": [7]}, {}),
        ({"id": {"id": 7}}, {}),
        ({"id": None}, {}),
        ({"id": True}, {}),
        ({"id": 7.5}, {}),
        ({"flag": False, "score": 0.93}, {"flag": False, "score": 0.93}),
        ({"flag": "false", "image": {"id": 1, "owner": "Ada"}}, {"flag": "false", "image": {"id": 1}}),
        ({"image": "Ada"}, {}),
        ({"image": [{"id": 1}]}, {}),
        ({"image": {"owner": "Ada"}}, {}),
        ({"image.id": 1}, {}),
        ({}, {}),
    ],
)
def test_of_upstreams_fields_those_leave_that_are_listed_in_the_form_that_is_given(said: Any, leaves: Any) -> None:
    allowed = {"id": "[0-9]+", "flag": "true|false", "score": "[0-9.]+", "image.id": "[0-9]+"}
    (found,) = publish_rules.meta(pa.chunked_array([[json.dumps(said)]]), allowed).to_pylist()
    assert json.loads(found) == leaves


def test_evidence_of_a_licence_leaves_where_it_has_the_form_of_one() -> None:
    said = pa.chunked_array([["http://cc.org/by/2.0/", "Ada", "http://cc.org/by/2.0/?by=Ada", None]])
    assert publish_rules.evidence(said, r"http://cc\.org/by/[0-9.]+/").to_pylist() == [
        "http://cc.org/by/2.0/",
        None,
        None,
        None,
    ]
    assert publish_rules.evidence(said, None).null_count == 4


def test_text_that_may_not_be_handed_on_is_left_out_with_meta() -> None:
    table = publish_rules.rows(pairs_of(pair("a"), pair("b")), fates_of("a", "b"), of_level(WIT, "urls"), ASKED)
    assert table.schema == publish_rules.PUBLISHED
    assert (table["text"].null_count, table["meta"].null_count) == (2, 2)
    assert b"text of" not in repr(table.to_pylist()).encode()
    assert table["sha256"].null_count == table["image_url"].null_count == table["withheld_digest"].null_count == 0
    assert len(table["withheld_digest"].unique()) == 2


def test_of_some_sources_ids_digests_and_status_are_listed_and_nothing_else() -> None:
    said = {"image_url": None, "file_name": "000000000009.jpg", "image_licence": "CC-BY-2.0", "also": "flickr:42"}
    coco = manifests.load("coco")
    table = publish_rules.rows(
        pairs_of(pair("a", **said), pair("b")),
        fates_of("a", "b"),
        of_level(coco, "ids"),
        ASKED,
    )
    for name in ("image_url", "text", "meta", "identity", "file_name"):
        assert table[name].null_count == 2, name
    assert re.search("text of|e\\.org|0009", repr(table.to_pylist())) is None
    for name in ("pair_id", "image_id", "sha256", "status", "withheld_digest", "text_licence", "image_licence"):
        assert table[name].null_count == 0, name
    assert table["attribution"].drop_null().to_pylist() == [
        "By the author named at https://www.flickr.com/photo.gne?id=42, under CC-BY-2.0 "
        "(https://creativecommons.org/licenses/by/2.0/)"
    ]


@pytest.mark.parametrize(
    ("file_name", "image_url", "listed"),
    [
        ("val2014/COCO_val2014_000000000009.jpg", None, "val2014/COCO_val2014_000000000009.jpg"),
        ("000000000009.jpg", None, "000000000009.jpg"),
        ("000000000009.jpg", "http://e.org/9", None),
        ("Ada Lovelace.jpg", None, None),
        (None, None, None),
    ],
)
def test_what_has_no_url_has_a_file_name_and_an_identity(
    file_name: str | None, image_url: str | None, listed: str | None
) -> None:
    row = pair("9", file_name=file_name, image_url=image_url, identity="coco:9")
    found = publish_rules.rows(pairs_of(row), fates_of("9"), manifests.load("coco"), ASKED_FOR_ALL).to_pylist()[0]
    assert (found["file_name"], found["identity"]) == (listed, listed and "coco:9")


def test_a_split_has_files_of_its_own_and_so_have_rows_without_a_url() -> None:
    rows = [
        pair("a", split="train"),
        pair("b", split="validation"),
        pair("c", split=None),
        pair("d", split=None, image_url=None),
        pair("e", split="validation"),
    ]
    fates = fates_of(*"abcde", b="validation", d="validation", e="test")  # upstream's is not asked
    table = publish_rules.rows(pairs_of(*rows), fates, WIT, ASKED)
    found = {name: sorted(rows["text"].to_pylist()) for name, rows in publish_rules.by_file(table)}
    assert found == {
        "train": ["text of a", "text of c"],
        "test": ["text of e"],
        "validation": ["text of b"],
        "validation-nourl": ["text of d"],
    }
    for name in found:
        assert flow.LISTS.holds("publish/source=wit")
        assert re.fullmatch(flow.LISTS.files, f"{name}-{flow.part(0, 1)}-0123456789abcdef.parquet")


@pytest.mark.parametrize("order", [("a", "b", "c", "d"), ("d", "b", "a", "c")])
def test_only_what_is_left_is_listed_in_order_of_keys(order: tuple[str, ...]) -> None:
    table = publish_rules.rows(pairs_of(*map(pair, order)), fates_of(*order[1:], "e"), WIT, ASKED)
    ids = table["pair_id"].to_pylist()
    assert ids == sorted(keys.pair_id("wit", source_id).hex() for source_id in order[1:])
    for row in table.to_pylist():
        assert row["sha256"] == (row["text"].removeprefix("text of ").encode() * 32).hex()


def test_nothing_left_is_an_empty_list() -> None:
    for pairs, fates in ((pairs_of(), fates_of()), (pairs_of(pair("a")), fates_of()), (pairs_of(), fates_of("a"))):
        table = publish_rules.rows(pairs, fates, WIT, ASKED)
        assert (table.num_rows, table.schema) == (0, publish_rules.PUBLISHED)


def test_where_no_field_of_upstreams_may_leave_meta_is_an_empty_object() -> None:
    found = publish_rules.meta(pa.chunked_array([['{"a": 1}', "{}"], ['{"b": 2}']]), {})
    assert found.to_pylist() == ["{}"] * 3
    assert found.type == pa.string()


def test_a_field_within_what_is_no_object_is_not_there() -> None:
    column = pa.chunked_array([['{"a": {"b": {"c": "x", "d": "y"}}}', '{"a": 1}', '{"a": {"b": "c"}}', '{"a": [1]}']])
    assert publish_rules.meta(column, {"a.b.c": ".*"}).to_pylist() == ['{"a":{"b":{"c":"x"}}}', "{}", "{}", "{}"]


def test_columns_have_their_type_where_nothing_is_in_them() -> None:
    none = pa.chunked_array([[]], pa.string())
    assert publish_rules.evidence(pa.chunked_array([["x", None]]), None).equals(pa.nulls(2, pa.string()))
    assert publish_rules.meta(none, {"a": ".*"}).equals(pa.array([], pa.string()))
    assert urls.handed_on(none) == none
