"""Credit: a page by what the picture is, without a user's id, and a line where the licence asks for one."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pmd.text import credit, pages, url_identity


@pytest.mark.parametrize(
    ("image_url", "page"),
    [
        ("http://farm3.static.flickr.com/2/4242_abcdef0123_z.jpg", "https://www.flickr.com/photo.gne?id=4242"),
        (
            "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/Cat_%28x%29.jpg/300px-Cat_%28x%29.jpg",
            "https://commons.wikimedia.org/wiki/File:Cat_(x).jpg",
        ),
        (
            "https://upload.wikimedia.org/wikipedia/en/1/12/Cover.png",
            "https://en.wikipedia.org/wiki/File:Cover.png",
        ),
        (
            "https://upload.wikimedia.org/wiktionary/fr/1/12/Mot.png",
            "https://fr.wiktionary.org/wiki/File:Mot.png",
        ),
        (
            "https://upload.wikimedia.org/wikipedia/commons/archive/a/ab/20100102030405%21Cat.jpg",
            "https://commons.wikimedia.org/wiki/File:Cat.jpg",
        ),
        ("https://upload.wikimedia.org/other/Cat.jpg", None),
        ("https://i.imgur.com/abcdefg.jpg", None),
        ("https://example.org/a.jpg", None),
    ],
)
def test_a_page_follows_from_the_picture(image_url: str, page: str | None) -> None:
    identity = url_identity.of_one(image_url)
    assert identity is not None
    assert credit.page(identity) == page


@pytest.mark.parametrize("identity", ["flickr:4242", "url:upload.wikimedia.org/wikipedia/commons/d/d1/Cat.jpg"])
def test_a_page_leads_back_to_the_picture(identity: str) -> None:
    found = pages.meant(str(credit.page(identity)))
    assert found is not None
    assert identity in found.identities


def test_a_line_names_page_and_licence_where_the_licence_asks() -> None:
    rows = [
        ("CC-BY-2.0", "coco:9", "flickr:4242"),
        ("CC-BY-SA-4.0 AND LicenseRef-mine", "flickr:1", None),
        ("NOASSERTION", "flickr:2", None),
        ("CC0-1.0", "flickr:3", None),
        ("CC-BY-2.0", "url:example.org/a.jpg", None),
        (None, "flickr:4", None),
    ]
    stated, identities, also = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
    assert credit.lines(stated, identities, also).to_pylist() == [
        "By the author named at https://www.flickr.com/photo.gne?id=4242, under CC-BY-2.0 "
        "(https://creativecommons.org/licenses/by/2.0/)",
        "By the author named at https://www.flickr.com/photo.gne?id=1, under CC-BY-SA-4.0 AND LicenseRef-mine",
        None,
        None,
        None,
        None,
    ]


def test_no_rows_have_no_lines() -> None:
    nothing = pa.array([], pa.string())
    assert credit.lines(nothing, nothing, nothing).to_pylist() == []
