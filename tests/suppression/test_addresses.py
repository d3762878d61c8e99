"""A column of addresses says what each says by itself."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pmd.suppression import addresses, lists
from pmd.suppression.lists import Suppression

ADDRESSES = [
    "https://www.flickr.com/photos/11111111@N01/4242/",
    "http://farm1.static.flickr.com/2/4242_abcdef.jpg",
    "https://live.staticflickr.com/1/4242_0123abcd_b.jpg",
    "https://www.flickr.com/people/11111111@N01/",
    "https://m.flickr.com/#/photos/a/4242/",
    "https://flic.kr/p/2g9",
    "https://redd.it/abc12",
    "https://www.reddit.com/r/x/comments/abc12/words/",
    "https://reddit.com./user/Somebody",
    "https://commons.wikimedia.org/wiki/File:Example.jpg",
    "https://de.m.wikipedia.org/wiki/Datei:Example.jpg",
    "https://en.wikipedia.org/wiki/Cat#/media/File:Example.jpg",
    "https://upload.wikimedia.org/wikipedia/commons/thumb/a/a9/Example.jpg/220px-Example.jpg",
    "https://cocodataset.org/#explore?id=9",
    "https://imgur.com/AbCdEfG",
    "https://storage.googleapis.com/openimages/web/visualizer/index.html?id=0c77b6ff7d22afdb",
    "https://visualgenome.org/api/v0/images/61",
    "https://web.archive.org/web/2019id_/https://redd.it/abc12",
    "https://preview.redd.it/words-v0-abcdefg123.png?width=640",
    "https://www.reddit.com/media?url=https%3A%2F%2Fi.redd.it%2Fabcdefg123.jpg",
    "http://a.b.example./%7ea.jpg?utm_source=mail",
    "http://[::1]/a.jpg",
    "http://www.web.archive.org/web/2019/http://a.example/b.jpg",
    "http://127.0.0.1:8080/x",
    "ftp://a.example/b",
    "no address",
    None,
]


@pytest.mark.parametrize("column", [ADDRESSES, ADDRESSES[20:], [None], []])
def test_columns_say_what_each_address_says(column: list[str | None]) -> None:
    found: list[set[tuple[str, object]]] = [set() for _ in column]
    for said in addresses.said(pa.array(column, pa.string())):
        for row, value in zip(said.rows.tolist(), said.values.to_pylist(), strict=True):
            found[row].add((said.kind, value))
    assert found == [set() if address is None else {*addresses.said_by(address)} for address in column]


def test_what_lists_name_is_told_by_its_row() -> None:
    held = Suppression((lists.new().with_values({"user": ["flickr/11111111@N01"], "host": ["b.example"]}),))
    column = pa.array(ADDRESSES, pa.string())
    rows = {
        row for said in addresses.said(column) for row, _ in addresses.said_among(said, addresses.listed(held, said))
    }
    assert rows == {3, 20} == {row for row, one in enumerate(ADDRESSES) if one and addresses.is_named(held, one)}
