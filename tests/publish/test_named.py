"""How often a list names who contributed a row: in its caption and in its URL, the only columns that can."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from pmd import manifests
from pmd.publish import named
from pmd.publish import rules as publish_rules
from pmd.publish.rules import PUBLISHED
from pmd.schema.tables import PAIRS
from pmd.suppression import people


def counted(source: str, *rows: tuple[dict[str, Any], str | None, str | None]) -> dict[str, int]:
    """Return what is counted of (meta, text, URL)."""
    keys = [bytes([number]) * 16 for number in range(len(rows))]
    pairs = pa.table(
        {
            "pair_id": pa.array(keys[::-1], PAIRS.field("pair_id").type),
            "meta": [json.dumps(meta) for meta, _, _ in rows][::-1],
        }
    )
    listed = pa.table(
        {
            "pair_id": publish_rules.hexadecimal(pa.chunked_array([pa.array(keys, PAIRS.field("pair_id").type)])),
            "text": pa.array([text for _, text, _ in rows], PUBLISHED.field("text").type),
            "image_url": pa.array([url for _, _, url in rows], PUBLISHED.field("image_url").type),
        }
    )
    return dict(named.count(source, pairs, listed))


@pytest.mark.parametrize(
    ("source", "meta", "text", "url", "found"),
    [
        ("red_caps", {"author": "SomeOne"}, "a cat, by someone", "http://a.example/1.jpg", (1, 1, 0)),
        ("red_caps", {"author": "SomeOne"}, "someones cat", "http://a.example/u/SomeOne/1.jpg", (1, 0, 1)),
        ("red_caps", {"author": "[deleted]"}, "it was [deleted]", None, (0, 0, 0)),
        ("red_caps", {"author": "bo"}, "bo", "http://bo.example/", (0, 0, 0)),
        ("sbu_captions", {"user_id": "1@N01"}, None, "http://flickr.com/photos/1%40N01/2/", (1, 0, 1)),
        ("sbu_captions", {"user_id": "1@N01"}, "of 11@N01", "http://flickr.com/11@N01/", (1, 0, 0)),
        ("yfcc100m", {"uid": "1@N01", "unickname": "Ada+L."}, "(c) ada l.", "http://x.example/1.jpg", (1, 1, 0)),
        ("yfcc100m", {"uid": None}, "a cat", None, (0, 0, 0)),
        ("coco", {"author": "someone"}, "someone", "http://someone.example/", (0, 0, 0)),
    ],
)
def test_a_row_counts_where_the_name_stands_by_itself(
    source: str, meta: dict[str, Any], text: str | None, url: str | None, found: tuple[int, int, int]
) -> None:
    counts = counted(source, (meta, text, url))
    assert tuple(counts.get(name, 0) for name in (named.ROWS, *named.COLUMNS)) == found


def test_counts_of_parts_add_up_and_of_nobody_there_are_none() -> None:
    one = counted(
        "red_caps",
        ({"author": "someone"}, "someone", None),
        ({"author": "another"}, "a cat", "http://another.example/"),
    )
    assert one == {"rows": 2, "text": 1, "image_url": 1}
    assert named.summed([one, {}, one]) == {"rows": 4, "text": 2, "image_url": 2}
    assert named.summed([]) == {}


def test_every_field_by_which_users_are_known_is_looked_for() -> None:
    known = people.fields()
    assert known == {"yfcc100m": "uid", "sbu_captions": "user_id", "red_caps": "author"}
    assert {source: manifests.recorded(source).people[0] for source in known} == known
    assert manifests.recorded("yfcc100m").people == ("uid", "unickname")
    assert manifests.recorded("coco").people == manifests.recorded("my_pairs").people == ()
