"""find.html: its scripts name images as Python does, its index has what the lists have, and it tells no more."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xxhash

from pmd.config import Config
from pmd.config.options import CardOptions
from pmd.images import names, takedowns
from pmd.publish import folder
from pmd.publish.find import index, page
from pmd.publish.rules import PUBLISHED
from pmd.schema import keys
from pmd.store import parquet_files
from pmd.text import pages, url_identity, urls
from tests import tiny_root

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="runs the page's scripts: needs node")
TESTS = Path(__file__).parents[1]

#: Addresses that nobody has tried above, put together of pieces that mean something to a rule, or nearly.
HOSTS = (
    "www.flickr.com", "flickr.com", "m.flickr.com", "flic.kr", "farm3.staticflickr.com", "live.staticflickr.com",
    "c1.staticflickr.com", "static.flickr.com", "commons.wikimedia.org", "en.wikipedia.org", "de.m.wikipedia.org",
    "upload.wikimedia.org", "thumb.wikimedia.org", "i.imgur.com", "imgur.com", "m.imgur.com", "i.imgur.io", "imgur.io",
    "www.reddit.com", "old.reddit.com", "redd.it",
    "cocodataset.org", "images.cocodataset.org", "s3.amazonaws.com", "open-images-dataset.s3.amazonaws.com", "mscoco.org",
    "cs.stanford.edu", "visualgenome.org", "storage.googleapis.com", "example.org", "EXAMPLE.ORG:8080",
    "user:pass@example.org", "münchen.example", "xn--mnchen-3ya.example", "192.168.0.1", "0x7f.1", "[::1]", "example.org.",
    "a_b.example", "ex%41mple.org", "a b.example", "",
    "web.archive.org", "i0.wp.com", "i1.wp.com.", "www.google.com", "images.google.de", "www.bing.com", "duckduckgo.com",
    "external-content.duckduckgo.com", "yandex.com.tr", "wsrv.nl", "eur01.safelinks.protection.outlook.com",
)  # fmt: skip
PARTS = (
    "photos", "somebody", "4242", "04242", "12345678901234567890123", "in", "album-7", "p", "8yV2Qz", "0OIl", "photo.gne",
    "wiki", "File:A_b (c).jpg", "File:%C3%84pfel,%20rot.JPG", "Datei:a+b.png", "Category:a.jpg", "File:ſ.jpg", "File:ß.png",
    "Special:FilePath", "Special:Redirect", "file", "Example.jpg", "index.php", "wikipedia", "commons", "thumb", "a", "a1",
    "ab", "archive", "320px-Example.jpg", "page1-320px-a.jpg", "%E4.jpg", "a%2Fb.jpg", "a%2fb.png", "abcdefg", "abcdefgs.jpg",
    "abcde.gifv", "abcdeF.png", "gallery", "r", "pics", "comments", "media", "AbC123", "train2017", "000000000009.jpg",
    "COCO_train2014_000000000009.jpg", "images", "9", "train", "0123456789abcdef.jpg", "people", "rak248", "VG_100K_2", "api",
    "v0", "openimages", "web", "index.html", "2", "4242_abcdef_z.jpg", "65535", "4242_0123456789_o_d.JPG", "..", ".",
    "http:", "https:", "Commons:Deletion_requests", "http%3A%2f%2Fa.example%2Fb%20c.jpg", "https%3a%2F%2Fflic.kr%2Fp%2F8yV2Qz",
    "imgres", "url", "search", "iu",
    "%2e%2e", "", "ü.jpg", "a b", "a'b", "a|b", "{x}", "a;b", "~", "*", "%", "%zz", "\\x", "a\tb", "\u3000", "😀.png",
)  # fmt: skip
QUERIES = (
    "", "?", "?id=4242", "?id=0123456789abcdef", "?short=8yV2Qz", "?title=File:A%20b.jpg", "?title=File:A+b.jpg&x=",
    "?utm_source=a", "?UTM_source=a&b=1&fbclid=2", "?a=utm_", "?gclid", "?a&b=&c", "?ü=ä", "?a='b\"", "?title=", "?id=1&id=2",
    "?imgurl=http%3A%2F%2Fa.example%2Fb.jpg&img_url=x/y", "?url=a.example/b.jpg&mediaurl=https://flic.kr/p/8yV2Qz&q=words",
    "?u=https%3A%2F%2Fi0.wp.com%2Fa.example%2Fb.jpg%3Fw%3D1&iai=http%3A%2F%2Fa.example", "?q=https://a.example/b.jpg&imgurl=%2F%2F",
    "?id=%E4", "?url=https%3A%2F%2Fi.redd.it%2Fabc123.jpg",
)  # fmt: skip
FRAGMENTS = (
    "",
    "#",
    "#/media/File:A_b.jpg",
    "#explore?id=9",
    "#/photos/somebody/4242/",
    "#%2Fmedia%2FFile:B.png",
    "#a#b",
    "# x ",
)


def addresses() -> list[str]:
    """Return every address of the tests of addresses, pages and names, and thousands that are put together by lot."""
    there = [
        found
        for path in sorted((TESTS / "text").glob("test_*.py"))
        for found in re.findall(r'"(https?://[^"\\]+)"', path.read_text(encoding="utf-8"))
    ]
    lot = random.Random(17)
    made = [
        f"{lot.choice(('https', 'http', 'HTTP', 'ftp', ' https'))}://{lot.choice(HOSTS)}/"
        + "/".join(lot.choice(PARTS) for _ in range(lot.randint(0, 5)))
        + lot.choice(QUERIES)
        + lot.choice(FRAGMENTS)
        for _ in range(6000)
    ]
    known = [
        f"https://{host}/{path}{query}{fragment}"
        for host in HOSTS[:26]
        for path in (
            "wiki/File:Ä_(b),_c+d.jpg",
            "photos/x/4242",
            "w/index.php",
            "p/8yV2Qz",
            "r/pics/comments/AbC/x",
            "a/thumb/b",
        )
        for query in QUERIES
        for fragment in FRAGMENTS[:5]
    ]
    return [*dict.fromkeys([*there, *made, *known])]


WORDS = (
    "flickr:4242", "flickr:0", "coco:9", "openimages:0123456789abcdef", "imgur:abcdefg", "imgur:abcd", "ade20k:a/b", "url:x/",
    "url:x", "visual_genome:1", "0" *32, "A" *32, "g" *32, "b" *64, f"sha256:{'C' * 64}", "red_caps/abc", "red_caps/abc/d",
    "red_caps/ ", "coco/12345", "000000000009.jpg", "x/COCO_train2014_000000000009.jpg", "flickr.com/photos/x/4242",
    "www.flickr.com/photos/x/4242", "//flic.kr/p/8yV2Qz", "example.org/a.jpg", "en.wikipedia.org/wiki/File:A.jpg",
    "i.imgur.com/abcdefg.jpg", "nowhere", "", " ", "a/b", "ftp://flickr.com/photos/x/4242", "  flickr:4242 ", "http://",
    "https://[", "redd.it/abc",
    "/r/crafts/comments/osch1/a_scarf_that_i_knitted/", "r/crafts/comments/osch1", "/r/crafts/", "r/a b/comments/c",
    "https://a.example/1.jpg https://a.example/2.jpg", "https://a.example/1.jpg.", "https://a.example/1.jpg;Eva",
    "https://a.example/1.jpg, 2019-01-02", "https://a.example/1.jpg,", "https://a.example/1.jpg?a,b", "https://a.example/a,b.jpg",
    "https://a.example/1.jpg # mine", "https://a.example/1.jpg\tmine", "https://a.example/a;b=c",
    "https://flickr.com/photos/x/ 1", "https://a.example/1.png”", "https://a.example/1.webp, Müller", "red_caps/a\tb",
    "https://www.bing.com/th?id=OIP.x", "https://images.google.com/images?q=tbn:ANd9", "https://www.google.com/images/logo.png",
    "https://imgur.com/a/AbCdE",
)  # fmt: skip


def run(expression: str, given: Any, **lists: Any) -> Any:
    """Return what an expression in the page's scripts gives for `given`, as JSON has it."""
    known = {"bits": 0, "skip": 0, "digits": 1, "name_bytes": index.NAME_BYTES, "sources": {}, "licences": {}} | lists
    scripts = "\n".join([f"const LISTS = {json.dumps(known)};", *map(page.read, page.SCRIPTS)])
    # Both on standard input: a command line has no room for them.
    code = f"{scripts}\nconst given = {json.dumps(given)};\nprocess.stdout.write(JSON.stringify({expression}));"
    assert NODE is not None
    done = subprocess.run([NODE, "-"], input=code, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@needs_node
def test_digests_are_those_of_python() -> None:
    lot = random.Random(0)
    contents = [
        lot.randbytes(size) for size in (*range(9, 300), 511, 512, 513, 1023, 1024, 1025, 1088, 2048, 2049, 5000)
    ]
    found = run(
        "given.map(bytesOf).map((bytes) => [xxh3(bytes), md5(bytes), sha256(bytes)])",
        [content.hex() for content in contents],
    )
    assert found == [
        [xxhash.xxh3_128_hexdigest(content), hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()]
        for content in contents
    ]
    short = [b"", b"a", b"abcdefgh"]
    assert run(
        "given.map(bytesOf).map((bytes) => [md5(bytes), sha256(bytes)])", [content.hex() for content in short]
    ) == [[hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()] for content in short]


def differing(said: Sequence[str], here: Iterable[Any], there: Iterable[Any]) -> list[tuple[str, Any, Any]]:
    return [(word, one, other) for word, one, other in zip(said, here, there, strict=True) if one != other]


@needs_node
def test_addresses_and_pages_are_read_as_python_reads_them() -> None:
    said = addresses()
    assert len(said) > 8000
    found = run(
        "given.map((said) => [said, canonical(said)]).map(([said, form]) => "
        "[form, form && identityOf(form), form && alike(form), page(said)])",
        said,
    )

    def python(address: str) -> list[Any]:
        meant = pages.meant(address)
        shown = meant and {
            "says": meant.says,
            "identities": list(meant.identities),
            "rows": [list(row) for row in meant.rows],
        }
        form = urls.canonical_one(address)
        return [form, url_identity.of_one(address), form and urls.alike_one(form), shown]

    assert differing(said, map(python, said), found) == []
    assert sum(one[3] is not None for one in found) > 500
    assert sum(form is not None and form.partition("://")[2] != alike for form, _, alike, _ in found) > 500


@needs_node
def test_words_are_taken_for_what_names_takes_them_for() -> None:
    said = [*WORDS, *addresses()[::7]]
    found = run(
        "given.map(meaning).map((found) => "
        "found && [found.isOfMany, found.isMore, found.identities, found.rows, found.keys, found.sha256])",
        said,
    )

    def python(word: str) -> list[Any] | None:
        named = names.read(word, ["red_caps"], lambda path: None)
        return named and [
            named.is_of_many,
            takedowns.is_more(named, word.strip()),
            list(named.identities),
            [list(row) for row in named.rows],
            [] if named.key is None else [named.key.hex()],
            None if named.sha256 is None else named.sha256.hex(),
        ]

    assert differing(said, map(python, said), found) == []
    assert [sum(one is not None and one[place] for one in found) > 10 for place in (0, 1)] == [True, True]


@needs_node
@pytest.mark.parametrize(
    ("said", "heading"),
    [
        ("https://www.flickr.com/photos/somebody/", "This is not the address of one picture"),
        ("https://www.google.com/search?q=my+photo", "This is not the address of one picture"),
        ("https://en.wikipedia.org/wiki/Cat", "This is not the address of one picture"),
        ("http://a.example/1.jpg http://a.example/2.jpg", "More stands here than one address"),
        ("http://a.example/1.jpg.", "More stands here than one address"),
    ],
)
def test_what_would_be_found_nowhere_is_not_answered_by_no(said: str, heading: str) -> None:
    asked = f'found(0, 1, [], ""); await answer(meaning({json.dumps(said)}), {json.dumps(said)})'
    assert shown(asked)["headings"] == ["Looking …", heading]


@needs_node
def test_keys_are_those_of_the_lists() -> None:
    said = [
        "flickr:4242",
        "0123456789abcdef" * 2,
        f"sha256:{'ab' * 32}",
        "red_caps/xyz",
        "http://example.org/" + "a" * 400,
    ]
    expected = [
        keys.image_id("flickr:4242"), bytes.fromhex("0123456789abcdef" * 2), bytes.fromhex("ab" * 32),
        keys.pair_id("red_caps", "xyz"), keys.image_id("url:example.org/" + "a" * 400),
    ]  # fmt: skip
    assert run("given.map(meaning).map(keysOf)", said) == [[index.name_of(key)] for key in expected]


#: So much of a browser's document as the page's answers need; each question's heading is kept, and the scripts that it loads.
_DOCUMENT = """
const headings = [], loaded = [], nothing = () => undefined;
const node = () => ({ append: nothing, replaceChildren: (heading) => headings.push(heading), querySelectorAll: () => [] });
const head = { ...node(), append: (script) => { loaded.push(script.src); setTimeout(script.onerror); } };
globalThis.document = { head, getElementById: node, createElement: node };
element = (tag, ...children) => (tag === "h2" ? children[0] : node());
const soon = () => new Promise((done) => setTimeout(done, 20));
"""


def shown(question: str) -> dict[str, list[str]]:
    """Return the headings that the page shows one after the other, and the scripts that it loads, once a question is answered."""
    known = {
        "bits": 0,
        "skip": 0,
        "digits": 1,
        "name_bytes": index.NAME_BYTES,
        "digest": "d1",
        "sources": {},
        "licences": {},
    }
    scripts = "\n".join([f"const LISTS = {json.dumps(known)};", *map(page.read, page.SCRIPTS)])
    said = "process.stdout.write(JSON.stringify({ headings, loaded }))"
    assert NODE is not None
    code = f"{scripts}\n{_DOCUMENT}\n(async () => {{ {question}; await soon(); {said}; }})();"
    done = subprocess.run([NODE, "-"], input=code, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@needs_node
def test_what_cannot_be_read_as_a_file_is_told() -> None:
    """A folder that was dropped on the page, or a picture that stands in a cloud: the page looked for ever."""
    gone = '{ name: "holidays", arrayBuffer: () => Promise.reject(new Error("NotFoundError")) }'
    assert shown(f"await ofFile({gone})")["headings"] == ["Looking …", "This cannot be read as a file"]


@needs_node
def test_the_answer_is_that_of_the_last_question() -> None:
    slow = '{ name: "a.jpg", arrayBuffer: () => new Promise((done) => setTimeout(() => done(new ArrayBuffer(9)), 5)) }'
    headings = shown(f'ofFile({slow}); answer(null, "nowhere")')["headings"]
    assert headings == ["Looking …", "This is no form that is known here"]


@needs_node
def test_a_browser_does_not_take_the_index_of_other_lists_that_it_has_kept() -> None:
    found = shown('await answer(meaning("flickr:1"), "flickr:1")')
    assert found == {"headings": ["Looking …", "The index cannot be read"], "loaded": ["find/0.js?d1"]}


@needs_node
def test_what_is_handed_to_whoever_publishes_means_the_picture_whoever_shows_it() -> None:
    link = "https://www.google.com/imgres?imgurl=http%3A%2F%2Fone.example%2F1.jpg"
    said = {
        "https://www.flickr.com/photos/x/4242/": "flickr:4242",
        "http://one.example/1.jpg": "http://one.example/1.jpg",
        link: link,
        "https://www.reddit.com/r/pics/comments/abc12/words/": "https://redd.it/abc12",
        "red_caps/abc12": "https://redd.it/abc12",
        "https://web.archive.org/web/2019/https://redd.it/abc12": "https://redd.it/abc12",
        f"sha256:{'ab' * 32}": f"sha256:{'ab' * 32}",
        # That which a list has all the same.
        "https://www.google.com/search?q=cat": "url:www.google.com/search?q=cat",
        "http://one.example/1.jpg, a cat": "url:one.example/1.jpg,%20a%20cat",
    }
    found = run("given.map((said) => lineOf(meaning(said), said))", [*said])
    assert found == [*said.values()]
    for line in found:
        named = names.read(line, ["red_caps"])
        assert named is not None
        assert named.is_picture or named.is_of_bytes
        assert not named.is_of_many
        assert not takedowns.is_more(named, line)


# --- the index ---


def listed(where: Path, source: str, rows: Iterable[tuple[str, str, str | None]], url: str | None = None) -> str:
    """Write a list of (identity, licence, content's SHA-256) and return its path."""
    empty = dict.fromkeys(PUBLISHED.names) | {"image_url": url}
    made = [
        empty
        | {
            "image_id": keys.image_id(identity).hex(), "image_licence": licence, "sha256": sha256,
            "pair_id": keys.pair_id(source, str(number)).hex(), "source": source,
        }
        for number, (identity, licence, sha256) in enumerate(rows)
    ]  # fmt: skip
    return str(where / parquet_files.put_table(str(where), source, pa.Table.from_pylist(made, schema=PUBLISHED)).name)


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    where = tmp_path_factory.mktemp("lists")
    licences = ("CC-BY-4.0", "CC0-1.0", "NOASSERTION")
    coco = [(f"flickr:{number}", licences[number % 3], digest(number)) for number in range(1, 700)]
    wit = [(f"flickr:{number}", "CC-BY-SA-4.0", digest(number % 50)) for number in range(500, 900)]
    return {
        "coco": [listed(where, "coco", coco)],
        "wit": [listed(where, "wit", wit)],
        "red_caps": [listed(where, "red_caps", wit[:9])],
    }


def asked(shards: Mapping[str, bytes], bits: int, said: Sequence[str]) -> list[Any]:
    """Return what the page finds for words, once it has loaded all shards."""
    loaded = "".join(content.decode() for content in shards.values())
    expression = f"(() => {{ {loaded} return given.map(meaning).map(keysOf).map((keys) => keys.flatMap(look)); }})()"
    found: list[Any] = run(expression, said, bits=bits, skip=bits // 8, digits=index.digits(bits))
    return found


@needs_node
@pytest.mark.parametrize("bits", [0, 1, 4, 8, 9, 13])
def test_the_page_finds_what_the_lists_have_and_nothing_else(lists: dict[str, list[str]], bits: int) -> None:
    shards = dict(index.shards(lists, bits))
    assert [*shards] == [f"{number:0{index.digits(bits)}x}.js" for number in range(2**bits)]
    said = [
        "flickr:1",
        "flickr:2",
        "flickr:3",
        "flickr:600",
        "flickr:899",
        "flickr:900",
        f"sha256:{digest(20)}",
        "red_caps/8",
        "red_caps/9",
    ]
    assert asked(shards, bits, said) == [
        [["coco", "CC0-1.0"]],
        [["coco", "NOASSERTION"]],
        [["coco", "CC-BY-4.0"]],
        [["coco", "CC-BY-4.0"], ["wit", "CC-BY-SA-4.0"]],
        [["wit", "CC-BY-SA-4.0"]],
        [],
        [["coco", "NOASSERTION"], ["wit", "CC-BY-SA-4.0"]],
        [["red_caps", "CC-BY-SA-4.0"]],
        [],
    ]  # fmt: skip
    absent = asked(shards, bits, [f"flickr:{number}" for number in range(10_000, 12_000)])
    assert absent == [[]] * 2000


def test_the_bytes_depend_on_the_rows_alone(lists: dict[str, list[str]], tmp_path: Path) -> None:
    once = dict(index.shards(lists, 3))
    halves = {}
    for name, (path,) in lists.items():
        rows = pa.Table.from_batches(list(parquet_files.iterate(path))).cast(PUBLISHED)
        parts = (rows.slice(rows.num_rows // 2), rows.slice(0, rows.num_rows // 2))
        halves[name] = [
            str(tmp_path / parquet_files.put_table(str(tmp_path), f"{name}-{n}", part).name)
            for n, part in enumerate(parts)
        ]
    assert dict(index.shards(dict(reversed(halves.items())), 3)) == once


@needs_node
def test_an_image_is_found_by_its_url_too_where_a_source_knows_it_as_another(tmp_path: Path) -> None:
    url = "https://cs.stanford.edu/people/rak248/VG_100K_2/2.jpg"
    path = listed(tmp_path, "visual_genome", [("coco:9", "NOASSERTION", None)], url)
    shards = dict(index.shards({"visual_genome": [path]}, 0))
    said = [url, url.replace("_2", ""), "visual_genome:2", "https://visualgenome.org/api/v0/images/2", "coco:9"]
    assert asked(shards, 0, said) == [[["visual_genome", "NOASSERTION"]]] * 5
    assert asked(shards, 0, ["visual_genome:3"]) == [[]]


@needs_node
def test_more_sets_than_a_byte_counts(tmp_path: Path) -> None:
    path = listed(tmp_path, "coco", [(f"flickr:{number}", f"LicenseRef-{number}", None) for number in range(1, 400)])
    (content,) = dict(index.shards({"coco": [path]}, 0)).values()
    assert content.startswith(b"found(0,2,")
    assert asked({"0": content}, 0, ["flickr:1", "flickr:399"]) == [
        [["coco", "LicenseRef-1"]],
        [["coco", "LicenseRef-399"]],
    ]


@needs_node
@pytest.mark.parametrize(
    "upstream",
    [
        "http://a.example/%7eme/gr%c3%bcn%20%28b%29.jpg",
        "https://A.example./~me/grün (b).jpg",
        "http://a.example/~me/gr%C3%BCn (b%29.jpg",
    ],
)
def test_an_address_is_found_however_it_is_spelled(tmp_path: Path, upstream: str) -> None:
    identity = url_identity.of_one(upstream)
    assert identity is not None
    path = listed(tmp_path, "coco", [(identity, "CC0-1.0", None)], url=upstream)
    shards = dict(index.shards({"coco": [path]}, 4))
    said = [
        upstream,
        "http://a.example/~me/grün (b).jpg",
        "https://a.example/%7Eme/gr%C3%BCn%20%28b%29.jpg",
        "http://a.example./~me/gr%c3%bcn%20(b).jpg",
    ]
    assert [{source for source, _ in rows} for rows in asked(shards, 4, said)] == [{"coco"}] * 4
    assert asked(shards, 4, ["http://a.example/~me/grun (b).jpg", "http://a.example/~me%2Fgrün (b).jpg"]) == [[], []]


@needs_node
def test_a_scaled_copy_is_found_by_where_the_picture_lies(tmp_path: Path) -> None:
    copy = "https://i0.wp.com/home.example/child.jpg?resize=640%2C480"
    identity = url_identity.of_one(copy)
    assert identity is not None
    path = listed(tmp_path, "conceptual_captions", [(identity, "NOASSERTION", None)], url=copy)
    shards = dict(index.shards({"conceptual_captions": [path]}, 4))
    said = [
        copy,
        "http://home.example/child.jpg",
        "https://i2.wp.com/home.example/child.jpg",
        "https://www.google.com/imgres?imgurl=https%3A%2F%2Fhome.example%2Fchild.jpg&tbnid=x",
    ]
    assert [{source for source, _ in rows} for rows in asked(shards, 4, said)] == [{"conceptual_captions"}] * 4
    assert asked(shards, 4, ["http://home.example/other.jpg"]) == [[]]


@needs_node
def test_what_an_address_holds_is_found_however_it_is_spelled(tmp_path: Path) -> None:
    copy = "https://i0.wp.com/home.example/a%20child%20%281%29.jpg?w=640"
    identity = url_identity.of_one(copy)
    assert identity is not None
    path = listed(tmp_path, "conceptual_captions", [(identity, "NOASSERTION", None)], url=copy)
    shards = dict(index.shards({"conceptual_captions": [path]}, 4))
    said = [
        "http://home.example/a%20child%20%281%29.jpg",
        "http://home.example./a child (1).jpg",
        "https://www.google.com/imgres?imgurl=https%3A%2F%2Fhome.example%2Fa%2520child%2520(1).jpg",
    ]
    assert [{source for source, _ in rows} for rows in asked(shards, 4, said)] == [{"conceptual_captions"}] * 3


def test_a_shard_ends_no_script_whatever_a_licence_says(tmp_path: Path) -> None:
    path = listed(tmp_path, "coco", [("flickr:1", "</script><b>", None)])
    (content,) = dict(index.shards({"coco": [path]}, 0)).values()
    assert b"<" not in content


@pytest.mark.parametrize("bits", [0, 3, 8, 10])
def test_a_shard_is_read_back_by_who_looks_for_what_was_taken_down(tmp_path: Path, bits: int) -> None:
    identities = [f"flickr:{number}" for number in range(1, 50)]
    path = listed(tmp_path, "coco", [(identity, "</script>found(1,1,[],", None) for identity in identities])
    shards = dict(index.shards({"coco": [path]}, bits))
    found = frozenset().union(*(index.kept(content.decode()) for content in shards.values()))
    skip = bits // 8
    assert found >= {keys.image_id(identity)[skip : skip + index.NAME_BYTES] for identity in identities}
    assert keys.image_id("flickr:50")[skip : skip + index.NAME_BYTES] not in found
    assert index.kept("found(it)") == frozenset()


def test_the_number_of_shards_grows_with_the_lists() -> None:
    assert [index.bits_for(rows) for rows in (0, 16_384, 16_385, 70_000_000)] == [0, 0, 1, 13]


# --- in a release ---


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def mine(built: Config, tmp_path: Path) -> Config:
    shutil.copytree(built.root, tmp_path / "pmd")
    return dataclasses.replace(
        built, root=str(tmp_path / "pmd"), card=CardOptions(contact="mailto:removal@example.org")
    )


def of_release(chosen: Config, said: Sequence[str]) -> list[Any]:
    shards = {path.name: path.read_bytes() for path in sorted(Path(chosen.root, "release/find").iterdir())}
    return asked(shards, 0, said)


@needs_node
def test_a_release_finds_its_own_images_and_forgets_what_leaves_the_lists(mine: Config) -> None:
    folder.write(mine)
    said = [
        tiny_root.C1,
        tiny_root.C3,
        tiny_root.C4,
        "https://www.flickr.com/photos/x/4242/",
        "coco:9",
        tiny_root.VG_URL,
    ]
    found = [sorted({source for source, _ in rows}) for rows in of_release(mine, said)]
    assert found == [["conceptual_captions"], [], [], ["conceptual_captions"], ["coco"], ["visual_genome"]]
    sums = Path(mine.root, "release/SHA256SUMS").read_text()
    assert "find/0.js" in sums
    assert "find.html" in sums
    without = {name: source for name, source in mine.sources.items() if name != "visual_genome"}
    assert folder.write(dataclasses.replace(mine, sources=without))
    assert of_release(mine, [tiny_root.VG_URL]) == [[]]
    assert "visual_genome" not in Path(mine.root, "release/find/0.js").read_text()
    assert (
        "Visual Genome"
        not in Path(mine.root, "release/find.html").read_text().partition("const LISTS")[2].partition("\n")[0]
    )


def test_shards_that_are_too_many_go_and_those_of_the_same_lists_are_not_written_again(
    mine: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "NAMES", 1)
    folder.write(mine)
    where = Path(mine.root, "release/find")
    many = {path.name: path.stat().st_mtime_ns for path in where.iterdir()}
    assert len(many) > 8
    (where / "mine.js").write_text("somebody's")
    folder.write(dataclasses.replace(mine, card=CardOptions(title="Other")))
    assert {path.name: path.stat().st_mtime_ns for path in where.iterdir() if path.name != "mine.js"} == many
    monkeypatch.undo()
    folder.write(dataclasses.replace(mine, card=CardOptions(title="Another")))
    assert {path.name for path in where.iterdir()} == {"0.js", "mine.js"}


def attributes(text: str) -> Iterator[str]:
    return (found for found in re.findall(r'(?:src|href)="([^"]*)"', text.partition("<script>")[0]))


def test_the_page_needs_nothing_but_its_shards_and_no_title_is_markup(mine: Config) -> None:
    chosen = dataclasses.replace(mine, card=CardOptions(title="</script><script>alert(1)</script>", contact="a & b"))
    folder.write(chosen)
    text = Path(mine.root, "release/find.html").read_text()
    assert "default-src 'none'" in text
    assert [*attributes(text)] == ["data:,"]
    assert text.count("</script>") == 1
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|localStorage|innerHTML", text)


def test_the_page_tells_of_other_lists_by_another_digest_and_of_a_title_by_the_same(mine: Config) -> None:
    def told(chosen: Config) -> str:
        folder.write(chosen)
        found: str = json.loads(re.search(r"const LISTS = (.*);", Path(mine.root, "release/find.html").read_text())[1])[
            "digest"
        ]  # type: ignore[index]
        return found

    whole = told(mine)
    assert told(dataclasses.replace(mine, card=CardOptions(title="Other"))) == whole
    without = {name: source for name, source in mine.sources.items() if name != "visual_genome"}
    assert told(dataclasses.replace(mine, sources=without)) != whole


@pytest.mark.parametrize(
    ("contact", "whom"),
    [
        ("mailto:a@example.org", "write to a@example.org,"),
        ("A & B", "write to A &amp; B,"),
        (None, "write to whoever gave you these lists, or publishes them,"),
    ],
)
def test_without_scripts_the_page_says_whom_to_write_to(contact: str | None, whom: str) -> None:
    said = page.html(CardOptions(contact=contact), [], 0).decode()
    assert whom in said.partition("<noscript>")[2].partition("</noscript>")[0]


@functools.cache
def _fields(address: str) -> dict[str, Any]:
    said = page.html(CardOptions(contact=address), [], 0).decode()
    found: dict[str, Any] = json.loads(re.search(r"const LISTS = (.*);", said)[1])  # type: ignore[index]
    return found


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        ("mailto:a@example.org", "a@example.org"),
        ("a@example.org", "a@example.org"),
        ("https://example.org/remove", None),
        ("Ada", None),
    ],
)
def test_whom_to_write_to(contact: str, address: str | None) -> None:
    assert (_fields(contact)["contact"], _fields(contact)["address"]) == (contact, address)
