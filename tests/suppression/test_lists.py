"""Suppression lists: HMACs that name nobody, and which users, hosts and rows they mean."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pmd import config
from pmd.errors import InputError
from pmd.fetch.lists import blocklists
from pmd.schema import keys
from pmd.schema.tables import PAIRS, REJECTED
from pmd.suppression import lists, people, rows
from pmd.suppression.lists import Suppression


def of(**values: list[str | bytes]) -> Suppression:
    return Suppression((lists.new().with_values(values),))


def test_a_list_holds_what_was_put_in_and_says_none_of_it() -> None:
    one = lists.new().with_values({"user": ["flickr/1@N01"], "image": [b"\1" * 16]}, [b"\2" * 32])
    written = lists.to_bytes(one)
    assert lists.from_bytes(written, "list") == one
    assert lists.to_bytes(one.with_values({"user": ["flickr/1@N01"]})) == written
    assert one.holds("user", "flickr/1@N01")
    assert not one.holds("host", "flickr/1@N01")
    assert not one.holds("user", "flickr/1@N02")
    for word in ("1@N01", "flickr", ("\1" * 16).encode().hex()):
        assert word.encode() not in written
    assert one.entries["user"] != lists.new().with_values({"user": ["flickr/1@N01"]}).entries["user"]


@pytest.mark.parametrize("secret", [b"short", bytes(range(32)), bytes(range(64)), bytes(range(65))])
def test_many_values_are_looked_up_as_each_is(secret: bytes) -> None:
    named: list[str | bytes] = ["a user", b"\1" * 16, "ü"]
    one = lists.List(secret).with_values({"image": named, "user": ["another"]})
    asked = [*named, "another", b"\2" * 16, ""]
    assert one.among("image", asked) == {value for value in asked if one.holds("image", value)} == {*named}
    assert Suppression((lists.new(), one, one)).among("image", [None, *asked]) == {*named}
    assert one.among("host", asked) == set()


def test_what_is_no_list_is_told_and_not_repeated() -> None:
    with pytest.raises(InputError) as told:
        lists.from_bytes(b'{"format": "pmd suppression list", "version": 2, "secret": "abc"}', "there.json")
    assert str(told.value) == (
        "there.json: not a suppression list of this version of pmd\n"
        '  expected: a JSON object with "format": "pmd suppression list" and "version": 1\n'
        "  remedy: take the file takedown/suppression.json of the ROOT that it comes from, as it stands there"
    )


def test_a_list_that_names_what_a_later_version_knows_is_told_as_its_own() -> None:
    """Nothing may be let in that it keeps out, and its file is as it should be."""
    later = lists.to_bytes(lists.new()).replace(b'"image": []', b'"image": [], "hearsay": []')
    with pytest.raises(InputError, match="a suppression list of a later version of pmd") as told:
        lists.from_bytes(later, "there.json")
    assert told.value.remedy == "install the version of pmd that has written it, or a later one"
    assert "hearsay" not in str(told.value)


@pytest.mark.parametrize(
    ("said", "user"),
    [
        ("user:yfcc100m/1@N01", "flickr/1@N01"),
        ("user:sbu_captions/1@N01", "flickr/1@N01"),
        ("user:yfcc100m/1%40N01", "flickr/1@N01"),
        ("https://www.flickr.com/people/1@N01/", "flickr/1@N01"),
        ("flickr.com/photos/1%40N01", "flickr/1@N01"),
        ("https://www.reddit.com/user/SomeOne", "reddit/someone"),
        ("https://old.reddit.com/u/SomeOne/", "reddit/someone"),
        ("u/SomeOne", "reddit/someone"),
        ("user:my_pairs/7", "my_pairs/7"),
        ("user:yfcc100m/1@n01", "flickr/1@N01"),
        ("https://www.flickr.com./people/1@n01/", "flickr/1@N01"),
        ("user:red_caps/u/SomeOne", "reddit/someone"),
        ("http://one[.]example/x.jpg", None),
        ("user:nowhere/7", None),
        ("user:red_caps/[deleted]", None),
        ("https://www.flickr.com/photos/1@N01/4242/", None),
        ("https://www.flickr.com/photos/a-name/", None),
        ("coco/12", None),
    ],
)
def test_users_are_one_on_their_site(said: str, user: str | None) -> None:
    assert people.user(said, {"my_pairs", "coco"}) == user


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("host:Example.com", "example.com"),
        ("host:img.example.com", "img.example.com"),
        ("host:com", "com"),
        # Of an address only a part may be meant, and all of the host would go.
        ("host:http://example.com/", None),
        ("host:example.com/one.jpg", None),
        ("host:example.com:8080", None),
        ("host:me@example.com", None),
        ("host:example.com?x", None),
        ("host:example.com#x", None),
        ("host:example.com\\x", None),
        ("example.com", None),
        ("host:", None),
        ("host:a b", None),
    ],
)
def test_hosts(said: str, host: str | None) -> None:
    assert people.host(said) == host


def pair(source: str, source_id: str, url: str, **more: object) -> dict[str, object]:
    image_id = keys.image_id(f"url:{url}")
    own = {"pair_id": keys.pair_id(source, source_id), "image_id": image_id, "source": source, "source_id": source_id}
    return own | {"image_url": url, "identity": f"url:{url}", "text": "said", "meta": "{}"} | more


TABLE = pa.Table.from_pylist(
    [
        pair("coco", "1", "http://img.one.example/1.jpg", also="flickr:7"),
        pair("coco", "1#2", "http://two.example:8080/2.jpg?a=b"),
        pair("yfcc100m", "3", "http://three.example/3.jpg", meta='{"uid": "1@N01"}'),
        pair("conceptual_12m", "4", "http://four.example/4.jpg", mirrors=["http://one.example/copy.jpg"]),
        pair("red_caps", "5", "http://notone.example/5.jpg", meta='{"author": "SomeOne"}'),
        pair("conceptual_12m", "6", "https://i1.wp.com/six.example/uploads/6.jpg?resize=640%2C480"),
        pair(
            "wit",
            "7",
            "http://seven.example/7.jpg",
            mirrors=["https://web.archive.org/web/2014id_/http://six.example/6.jpg"],
        ),
    ],
    schema=PAIRS,
)


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ({"host": ["one.example"]}, [0, 3]),
        ({"host": ["img.one.example"]}, [0]),
        ({"host": ["two.example"]}, [1]),
        ({"image": [keys.image_id("flickr:7")]}, [0]),
        ({"image": [keys.image_id("url:http://three.example/3.jpg")]}, [2]),
        ({"row": ["coco/1"]}, [0, 1]),
        ({"row": ["coco/1#2"]}, [1]),
        ({"user": ["flickr/1@N01"]}, [2]),
        ({"user": ["reddit/someone"]}, [4]),
        ({"url": ["http://one.example/copy.jpg"]}, [3]),
        ({"pair": [keys.pair_id("red_caps", "5")]}, [4]),
        ({"pair": [b"\0" * 16], "user": ["flickr/2@N02"]}, []),
        # An address holds another one.
        ({"host": ["six.example"]}, [5, 6]),
        ({"image": [keys.image_id("url:six.example/uploads/6.jpg")]}, [5]),
        ({"url": ["six.example/uploads/6.jpg"]}, [5]),
        ({"image": [keys.image_id("url:six.example/6.jpg")]}, [6]),
        ({"host": ["wp.com"]}, [5]),
        ({}, []),
    ],
)
def test_pairs_are_named_by_all_that_they_are_known_by(named: dict[str, list[str | bytes]], found: list[int]) -> None:
    assert rows.pairs(of(**named), TABLE).nonzero()[0].tolist() == found


def test_rejected_rows_are_named_by_key_and_by_an_address_in_what_they_say() -> None:
    row = {"source": "coco", "stage": "curate", "reason": "bad_url", "also": None, "where": "f:1"}
    table = pa.Table.from_pylist(
        [
            {**row, "source_id": "1", "pair_id": b"\1" * 16, "image_id": None, "detail": "see http://one.example/x y"},
            {**row, "source_id": "2", "pair_id": b"\2" * 16, "image_id": b"\3" * 16, "detail": None},
        ],
        schema=REJECTED,
    )
    assert rows.rejected(of(host=["one.example"]), table).tolist() == [True, False]
    assert rows.rejected(of(image=[b"\3" * 16]), table).tolist() == [False, True]
    assert rows.rejected(of(row=["coco/2"]), table).tolist() == [False, True]


def test_a_configuration_names_lists_that_are_there(tmp_path: Path) -> None:
    text = f'root = "{tmp_path}/pmd"\ncontact = "mailto:a@b.org"\n{{}}[sources.coco]\nannotations = ["x.json"]\n'
    path = tmp_path / "pmd.toml"
    path.write_text(text.format('suppression = "list.json"\n'), encoding="utf-8")
    with pytest.raises(config.InvalidConfig) as told:
        config.load(str(path))
    assert [(one.key, one.expected) for one in told.value.problems] == [("suppression", "a file that is there")]
    listed = tmp_path / "list.json"
    listed.write_bytes(lists.to_bytes(lists.new()))
    loaded = config.load(str(path))
    assert lists.held(loaded).suppression == (str(listed),)
    own = Path(lists.path_of(loaded.root))
    own.parent.mkdir(parents=True)
    own.write_bytes(lists.to_bytes(lists.new()))
    held = lists.held(loaded)
    assert held.suppression == held.fetch.blocklists == (str(own), str(listed))
    assert lists.held(held) == held
    path.write_text(text.format(""), encoding="utf-8")
    own.unlink()
    plain = config.load(str(path))
    assert lists.held(plain) is plain


def test_to_the_fetch_a_list_is_a_blocklist(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    look = bytes(range(32))
    path.write_bytes(lists.to_bytes(lists.new().with_values({"sha256": [b"\1" * 32]}, [look])))
    found = blocklists.read([str(path)])
    assert found
    assert found.match(b"\1" * 32, None) == blocklists.SUPPRESSED
    assert found.match(b"\2" * 32, None) is None
    assert found.match(None, bytes([look[0] ^ 7, *look[1:]])) == blocklists.SUPPRESSED
    path.write_bytes(lists.to_bytes(lists.new().with_values({"user": ["flickr/1@N01"]})))
    assert not blocklists.read([str(path)])
