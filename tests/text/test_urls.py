"""Canonical URLs, their spellings and their hosts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.text import urls
from tests.text.pieced import URLS, column


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("http://a.example/x.jpg", "http://a.example/x.jpg"),
        ("  https://A.Example:443/x/../y.jpg#top\n", "https://a.example/y.jpg"),
        ("http://a.example:80", "http://a.example/"),
        ("http://a.example:443/", "http://a.example:443/"),
        ("http://u:p@a.example/", "http://a.example/"),
        ("http://u@a.example/x@y?z=@", "http://a.example/x@y?z=@"),
        ("http://@a.example/", "http://a.example/"),
        ("http://:p@a.example:81?q", "http://a.example:81/?q"),
        ("http:\\\\me@work:p@ss@a.example\\x", "http://a.example/x"),
        ("http://bücher.example/é b", "http://xn--bcher-kva.example/%C3%A9%20b"),
        ("http://a.example/%7ex%2Fy", "http://a.example/%7ex%2Fy"),
        ("http://a.example/x?b=2&a=1", "http://a.example/x?b=2&a=1"),
        ("http://a.example/x?", "http://a.example/x"),
        ("http://a.example/x?utm_source=s&id=3&UTM_medium=m&gclid=1&fbclid=2", "http://a.example/x?id=3"),
        ("http://a.example/x?utm_source=s#f", "http://a.example/x"),
        ("http://a.example/x?my_utm_source=s&ref=2", "http://a.example/x?my_utm_source=s&ref=2"),
        ("http:a.example", "http://a.example/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("ftp://a.example/x", None),
        ("data:image/png;base64,AAAA", None),
        ("//a.example/x.jpg", None),
        ("a.example/x.jpg", None),
        ("http://", None),
        ("http://a b/", None),
        ("", None),
        ("None", None),
    ],
)
def test_canonical(url: str, form: str | None) -> None:
    assert urls.canonical_one(url) == form
    assert urls.canonical(column(url, None)).to_pylist() == [form, None]


def test_credentials_are_no_part_of_what_is_handed_on() -> None:
    with_them = "https://ada:l0velace@A.example/x.jpg#top"
    assert urls.without_credentials(with_them) == "https://a.example/x.jpg#top"
    for as_it_is in ("HTTP://A.example/x@y.jpg?utm_source=z", "http://@/", "mailto:me@a.example", ""):
        assert urls.without_credentials(as_it_is) == as_it_is


SPELLED = (
    ("http://a.example/~me/x.jpg", "https://a.example/%7Eme/x.jpg", "http://a.example./%7eme/%78.jpg"),
    ("http://a.example/%c3%bc.jpg", "http://a.example/ü.jpg"),
    ("http://a.example:81/x_(1).jpg", "http://a.example.:81/x_%281%29.jpg"),
)


NOT_ALIKE = (
    "http://a.example/x/y",
    "http://a.example/x%2Fy",
    "http://a.example/x%252Fy",
    "http://a.example/x?a=b%26c",
    "http://a.example/x?a=b&c",
    "http://a.example/x+y",
    "http://a.example/x%2By",
    "http://a.example/x%20y",
    "http://www.a.example/x/y",
    "http://a.example/X/y",
)


def test_spellings_of_one_address_are_alike_and_no_others() -> None:
    for group in SPELLED:
        assert len({*urls.alike(urls.canonical(column(*group))).to_pylist()}) == 1
    assert len({*urls.alike(urls.canonical(column(*NOT_ALIKE))).to_pylist()}) == len(NOT_ALIKE)
    assert urls.alike(column(None)).to_pylist() == [None]


@given(st.lists(URLS | st.none()))
def test_alike_is_the_same_of_one_and_of_many(raws: list[str | None]) -> None:
    forms = urls.canonical(column(*raws))
    alone = [None if form is None else urls.alike_one(form) for form in forms.to_pylist()]
    assert urls.alike(forms).to_pylist() == alone
    for one in alone:
        assert one is None or urls.alike_one(f"http://{one}") == one


@given(URLS)
def test_only_credentials_are_taken_out(raw: str) -> None:
    clean = urls.without_credentials(raw)
    assert urls.without_credentials(clean) == clean
    assert urls.canonical_one(clean) == urls.canonical_one(raw)


def test_a_lone_surrogate_is_no_url() -> None:
    assert urls.canonical_one("http://a.example/\ud800") is None


@given(st.lists(st.none() | URLS | st.text(st.characters(exclude_categories=["Cs"]))))
def test_canonical_is_idempotent_and_has_a_host_and_no_credentials(raws: list[str | None]) -> None:
    forms = urls.canonical(column(*raws))
    assert urls.canonical(forms).equals(forms)
    for form, host in zip(forms.to_pylist(), urls.host(column(*raws)).to_pylist(), strict=True):
        assert (form is None) == (host is None)
        assert form is None or (host and host in form)
        assert form is None or "@" not in form.split("/")[2]


def one_by_one(raws: list[str | None]) -> list[str | None]:
    return [None if raw is None else urls.canonical_one(raw) for raw in raws]


#: Near what needs no parser: hosts and paths of plain and not so plain characters.
NEARLY_CANONICAL = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "HTTP://"]),
    st.text("a1.-_xn0F%:@", max_size=9),
    st.text("/a.%2eEF~'()*^|[]{}`;=&,+@: \\", max_size=12),
    st.text("?a=1&#'utm_gclid%27|^{}`\"", max_size=9),
)


@given(st.lists(st.none() | URLS | NEARLY_CANONICAL))
def test_what_needs_no_parser_is_what_the_parser_gives(raws: list[str | None]) -> None:
    assert urls.canonical(column(*raws)).to_pylist() == one_by_one(raws)


@pytest.mark.parametrize("character", [chr(code) for code in range(0x20, 0x7F)])
@pytest.mark.parametrize("url", ["http://a{}b.example/", "http://a.example/a{}b/{}", "https://a.example/a?b{}c{}"])
def test_every_character_is_read_as_the_parser_does(character: str, url: str) -> None:
    raw = url.replace("{}", character)
    assert urls.canonical(column(raw)).to_pylist() == one_by_one([raw])


def test_genuine_urls_and_vectors_are_read_as_the_parser_does(samples: Path) -> None:
    raws = pq.read_table(samples / "urls" / "laion_10000.parquet", columns=["URL"])["URL"].to_pylist()
    for file in sorted((samples / "urls" / "wpt").glob("*urltestdata*.json")):
        vectors = json.loads(file.read_text(encoding="utf-8"))
        raws += [vector["input"] for vector in vectors if isinstance(vector, dict)]
    raws = [raw for raw in raws if not any("\ud800" <= character <= "\udfff" for character in raw)]
    assert len(raws) > 10_400
    assert urls.canonical(column(*raws)).to_pylist() == one_by_one(raws)


def test_host() -> None:
    hosts = urls.host(
        column("http://U@Farm1.Static.Flickr.com:81/x?@", "http://[::1]:8/", "x", None, "http://a.example?b:c")
    )
    assert hosts.to_pylist() == ["farm1.static.flickr.com", "[::1]", None, None, "a.example"]


def test_a_host_is_told_without_the_rest_of_its_url_where_that_cannot_matter() -> None:
    chance = random.Random(2)
    begins = ["http://", "https://", "HTTP://", "ftp://", " http://", "http:/", "http:"]
    parts = [
        "a",
        "b",
        "\u00e9",
        "xn--a",
        "xn--fiqs8s",
        ".",
        "..",
        "com",
        "1",
        "0x7f",
        "@",
        "user:pw@",
        ":80",
        ":443",
        ":x",
        "/",
    ]
    parts += ["//", "\\", "?", "#", "%41", "%zz", "\t", "\n", " ", "[::1]", "_", "-", "A"]
    made = [
        chance.choice(begins) + "".join(chance.choice(parts) for _ in range(chance.randint(0, 6)))
        for _ in range(20_000)
    ]
    found = urls.hosts(pa.array([*made, None]))
    assert found.dictionary_decode().to_pylist() == [*map(urls.host_of, made), None]
    assert found.null_count < len(found)
    assert len(found.dictionary) == len(set(found.dictionary.to_pylist()))


@pytest.mark.parametrize(("file", "fewest"), [("urltestdata.json", 400), ("ada_extra_urltestdata.json", 1)])
def test_whatwg_vectors(samples: Path, file: str, fewest: int) -> None:
    vectors = json.loads((samples / "urls" / "wpt" / file).read_text(encoding="utf-8"))
    checked = 0
    for vector in vectors:
        if not isinstance(vector, dict) or vector.get("base") is not None:
            continue
        form = urls.canonical_one(vector["input"])
        if vector.get("failure") or vector["protocol"] not in {"http:", "https:"}:
            assert form is None, vector["input"]
        else:
            # User information, the empty query and the fragment are all that may differ.
            credentials = vector["username"] + (f":{vector['password']}" if vector["password"] else "")
            expected = vector["href"].replace(f"//{credentials}@", "//", 1).partition("#")[0]
            assert form == (expected[:-1] if expected.endswith("?") else expected), vector["input"]
        checked += 1
    assert checked > fewest


@pytest.mark.parametrize("file", ["idempotence.json", "parsing.json", "semantic_precise.json"])
def test_urlcanon_vectors_are_fixed_points_once_canonical(samples: Path, file: str) -> None:
    vectors = json.loads((samples / "urls" / "urlcanon" / file).read_text(encoding="utf-8"))
    forms = {form for url in vectors if (form := urls.canonical_one(url))}
    assert len(forms) > 3
    assert {urls.canonical_one(form) for form in forms} == forms


def test_urlcanon_dot_segments(samples: Path) -> None:
    vectors = json.loads((samples / "urls" / "urlcanon" / "path_dots.json").read_text(encoding="utf-8"))["special"]
    # The standard reads a backslash as a slash; urlcanon keeps it.
    vectors = {path: expected for path, expected in vectors.items() if "\\" not in path}
    assert len(vectors) > 20
    for path, expected in vectors.items():
        assert urls.canonical_one(f"http://a.example{path}") == f"http://a.example{expected}", path
