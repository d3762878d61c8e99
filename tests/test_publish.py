"""Published lists: rows that `facebook/pmd`'s users know, of what is left, without text that may not be handed on."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from pmd import keys, publish
from pmd.schema.tables import LEDGER, PAIRS, VIEWS


def pair(source_id: str, **columns: Any) -> dict[str, Any]:
    return {
        "pair_id": keys.pair_id("wit", source_id),
        "image_id": keys.image_id(f"url:e.org/{source_id}"),
        "source": "wit",
        "source_id": source_id,
        "image_url": f"http://e.org/{source_id}",
        "identity": f"url:e.org/{source_id}",
        "text": f"text of {source_id}",
        "meta": f'{{"id":"{source_id}"}}',
        "text_licence": "CC-BY-SA-3.0",
        "image_licence": "NOASSERTION",
        "licence_evidence": None,
        "split": "train",
        **columns,
    }


def pairs_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=PAIRS)


def fates_of(*source_ids: str) -> pa.Table:
    views = pa.Table.from_pylist(
        [{name: pair(source_id).get(name) for name in VIEWS.names} for source_id in source_ids], schema=VIEWS
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
    return publish.fates(views, ledger)


def test_a_row_is_what_facebook_pmd_has_and_more() -> None:
    table = publish.rows(
        pairs_of(pair("a", region=[0.0, 0.0, 0.5, 1.0])), fates_of("a"), name="google/wit", with_text=True
    )
    assert table.schema == publish.PUBLISHED
    assert table.to_pylist() == [
        {
            "image_url": "http://e.org/a",
            "text": "text of a",
            "source": "google/wit",
            "meta": '{"id":"a"}',
            "pair_id": keys.pair_id("wit", "a").hex(),
            "image_id": keys.image_id("url:e.org/a").hex(),
            "region": [0.0, 0.0, 0.5, 1.0],
            "sha256": (b"a" * 32).hex(),
            "perceptual_hash": (b"p" * 32).hex(),
            "width": 4,
            "height": 3,
            "text_licence": "CC-BY-SA-3.0",
            "image_licence": "NOASSERTION",
            "licence_evidence": None,
            "split": "train",
        }
    ]


def test_a_password_in_a_url_is_not_handed_on_and_every_other_character_is() -> None:
    secret = "https://ada:l0ve@E.org/a@b.jpg?x=%7E#top"
    plain = "HTTP://E.org/b@c"
    rows = [
        pair("a", image_url=secret, meta=json.dumps({"url": secret, "by": "ada:l0ve@work"})),
        pair("b", image_url=plain, meta=json.dumps({"url": plain})),
        pair("c", image_url=None),
    ]
    table = publish.rows(pairs_of(*rows), fates_of("a", "b", "c"), name="wit", with_text=True)
    found = {row["text"]: (row["image_url"], row["meta"]) for row in table.to_pylist()}
    clean = "https://e.org/a@b.jpg?x=%7E#top"
    assert found == {
        "text of a": (clean, json.dumps({"url": clean, "by": "ada:l0ve@work"})),
        "text of b": (plain, rows[1]["meta"]),
        "text of c": (None, rows[2]["meta"]),
    }


def test_text_that_may_not_be_handed_on_is_left_out_with_meta() -> None:
    table = publish.rows(pairs_of(pair("a"), pair("b")), fates_of("a", "b"), name="wit", with_text=False)
    assert table.schema == publish.PUBLISHED
    assert (table["text"].null_count, table["meta"].null_count) == (2, 2)
    assert b"text of" not in repr(table.to_pylist()).encode()
    assert table["sha256"].null_count == 0


@pytest.mark.parametrize("order", [("a", "b", "c", "d"), ("d", "b", "a", "c")])
def test_only_what_is_left_is_listed_in_order_of_keys(order: tuple[str, ...]) -> None:
    table = publish.rows(pairs_of(*map(pair, order)), fates_of(*order[1:], "e"), name="wit", with_text=True)
    ids = table["pair_id"].to_pylist()
    assert ids == sorted(keys.pair_id("wit", source_id).hex() for source_id in order[1:])
    for row in table.to_pylist():
        assert row["sha256"] == (row["text"].removeprefix("text of ").encode() * 32).hex()


def test_nothing_left_is_an_empty_list() -> None:
    for pairs, fates in ((pairs_of(), fates_of()), (pairs_of(pair("a")), fates_of()), (pairs_of(), fates_of("a"))):
        table = publish.rows(pairs, fates, name="wit", with_text=True)
        assert (table.num_rows, table.schema) == (0, publish.PUBLISHED)
