"""Canonical URLs and the identities of images."""

from __future__ import annotations

import collections
import csv
import hashlib
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.text import urls

PIECES = st.sampled_from(
    [
        "http://",
        "https://",
        "HTTP:",
        "ftp://",
        "//",
        "user:pw@",
        "a.example",
        "A.EXAMPLE",
        "bücher.example",
        "1.2",
        ":80",
        ":443",
        ":8080",
        "/",
        "\\",
        "..",
        ".",
        "%2e",
        "%2F",
        "a b",
        "é",
        "?",
        "&",
        "utm_source=x",
        "gclid=1",
        "fbclid",
        "x=1",
        "#",
        "=",
        "[::1]",
        "static.flickr.com",
        "/5/6_abcdef12_b.jpg",
        "upload.wikimedia.org",
        "/wikipedia/commons/thumb/a/ab/N_(1).jpg/9px-N.jpg",
        "\t",
        "\n",
        "%",
        "@",
        ":",
        "imgur.com",
        "/abcde.jpg",
        "'",
        '"',
        "<",
        "|",
        "^",
    ]
)
URLS = st.lists(PIECES).map("".join) | st.lists(PIECES).map(lambda pieces: "http://" + "".join(pieces))


def column(*values: str | None) -> pa.Array:
    return pa.array(values, type=pa.string())


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


def test_credentials_are_no_part_of_what_an_image_is() -> None:
    with_them = "https://ada:l0velace@A.example/x.jpg#top"
    assert urls.identity_one(with_them) == urls.identity_one("http://a.example/x.jpg") == "url:a.example/x.jpg"
    flickr = "http://me:pw@farm5.staticflickr.com/4012/4567890123_0a1b2c3d4e.jpg"
    assert urls.identity_one(flickr) == "flickr:4567890123"
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
def test_canonical_is_idempotent_and_identity_depends_on_it_alone(raws: list[str | None]) -> None:
    forms = urls.canonical(column(*raws))
    assert urls.canonical(forms).equals(forms)
    identities = urls.identity(column(*raws))
    assert identities.equals(urls.identity(forms))
    hosts = urls.host(column(*raws)).to_pylist()
    for raw, form, identity, host in zip(raws, forms.to_pylist(), identities.to_pylist(), hosts, strict=True):
        assert (form is None) == (identity is None) == (host is None)
        assert raw is None or identity == urls.identity_one(raw)
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


FLICKR = [
    "http://farm8.staticflickr.com/7205/6985418911_df7747990d.jpg",
    "https://farm8.staticflickr.com/7205/6985418911_df7747990d_b.jpg",
    "http://farm8.static.flickr.com/7205/6985418911_df7747990d_m.jpg",
    "http://static.flickr.com/7205/6985418911_df7747990d_s.jpg",
    "https://live.staticflickr.com/7205/6985418911_692d7e0a7f_o.jpg",
    "https://live.staticflickr.com/7205/6985418911_692d7e0a7f_o.png",
    "https://live.staticflickr.com/7205/6985418911_0123456789_3k.jpg",
    "https://live.staticflickr.com/7205/6985418911_df7747990d_b_d.jpg",
    "https://c1.staticflickr.com/8/7205/6985418911_df7747990d_z.jpg?zz=1",
    *(f"http://farm8.staticflickr.com/7205/6985418911_df7747990d_{size}.jpg" for size in "qtmnwzcblhkf"),
]


@pytest.mark.parametrize("url", FLICKR)
def test_every_form_of_a_flickr_photograph_has_one_identity(url: str) -> None:
    assert urls.identity_one(url) == "flickr:6985418911"


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        # Flickr's, but no photograph, or not Flickr's.
        ("https://www.flickr.com/photos/me/6985418911/", "url:www.flickr.com/photos/me/6985418911/"),
        (
            "https://www.flickr.com/photos/me/6985418911/play/orig/df7747990d/",
            "url:www.flickr.com/photos/me/6985418911/play/orig/df7747990d/",
        ),
        (
            "https://live.staticflickr.com/video/6985418911/df7747990d/700.mp4?s=abc",
            "url:live.staticflickr.com/video/6985418911/df7747990d/700.mp4?s=abc",
        ),
        (
            "http://farm1.static.flickr.com.evil.example/7205/6985418911_df7747990d.jpg",
            "url:farm1.static.flickr.com.evil.example/7205/6985418911_df7747990d.jpg",
        ),
        (
            "http://farm1.staticflickr.com:81/7205/6985418911_df7747990d.jpg",
            "url:farm1.staticflickr.com:81/7205/6985418911_df7747990d.jpg",
        ),
        # COCO
        ("http://images.cocodataset.org/train2014/COCO_train2014_000000000009.jpg", "coco:9"),
        ("http://images.cocodataset.org/train2017/000000000009.jpg", "coco:9"),
        ("https://s3.amazonaws.com/images.cocodataset.org/val2017/000000000139.jpg", "coco:139"),
        ("http://mscoco.org/images/131074", "coco:131074"),
        ("http://images.cocodataset.org/zips/train2017.zip", "url:images.cocodataset.org/zips/train2017.zip"),
        # Open Images
        (
            "https://s3.amazonaws.com/open-images-dataset/train/000a1249af2bc5f0.jpg",
            "openimages:000a1249af2bc5f0",
        ),
        ("https://open-images-dataset.s3.amazonaws.com/test/000a1249af2bc5f0.jpg", "openimages:000a1249af2bc5f0"),
        (
            "https://s3.amazonaws.com/another-bucket/train/000a1249af2bc5f0.jpg",
            "url:s3.amazonaws.com/another-bucket/train/000a1249af2bc5f0.jpg",
        ),
        # Visual Genome
        ("https://cs.stanford.edu/people/rak248/VG_100K_2/1.jpg", "visual_genome:1"),
        ("http://cs.stanford.edu/people/rak248/VG_100K/2417997.jpg", "visual_genome:2417997"),
        # the YFCC mirror names no photo
        (
            "https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images/4e2/f7a/4e2f7a26a1dfbf165a7e30bdabf7e72a.jpg",
            "url:multimedia-commons.s3-us-west-2.amazonaws.com/data/images/4e2/f7a/4e2f7a26a1dfbf165a7e30bdabf7e72a.jpg",
        ),
        # Wikimedia
        (
            "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/Name_%281%29.jpg/220px-Name_%281%29.jpg",
            "url:upload.wikimedia.org/wikipedia/commons/a/ab/Name_(1).jpg",
        ),
        (
            "https://thumb.wikimedia.org/wikipedia/commons/thumb/a/ab/Name_%281%29.jpg/960px-Name_%281%29.jpg?utm_source=commons",
            "url:upload.wikimedia.org/wikipedia/commons/a/ab/Name_(1).jpg",
        ),
        (
            "http://upload.wikimedia.org/wikipedia/commons/a/ab/Name_(1).jpg?2011",
            "url:upload.wikimedia.org/wikipedia/commons/a/ab/Name_(1).jpg",
        ),
        (
            "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/Long.jpeg/520px-thumbnail.jpeg",
            "url:upload.wikimedia.org/wikipedia/commons/a/ab/Long.jpeg",
        ),
        (
            "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/D.svg/40px-D.svg.png",
            "url:upload.wikimedia.org/wikipedia/commons/a/ab/D.svg",
        ),
        (
            "https://upload.wikimedia.org/wikipedia/commons/thumb/a/ab/S.tif/lossy-page1-220px-S.tif.jpg",
            "url:upload.wikimedia.org/wikipedia/commons/a/ab/S.tif",
        ),
        *(
            (f"https://upload.wikimedia.org/{path}", f"url:upload.wikimedia.org/{path}")
            for path in (
                "wikipedia/commons/thumb/a/ab/S.tif/lossy-page2-220px-S.tif.jpg",
                "wikipedia/commons/thumb/a/ab/B.djvu/page1-220px-B.djvu.jpg",
                "wikipedia/commons/thumb/a/ab/D.svg/langde-40px-D.svg.png",
                "wikipedia/commons/thumb/a/ab/V.webm/220px--V.webm.jpg",
                "math/a/b/c/x.png",
            )
        ),
        # Imgur
        ("https://i.imgur.com/eJ54Ibf.jpg", "imgur:eJ54Ibf"),
        ("http://i.imgur.com/eJ54Ibf.png?1", "imgur:eJ54Ibf"),
        ("http://imgur.com/eJ54Ibfh.jpg", "imgur:eJ54Ibf"),
        ("https://i.imgur.io/eJ54Ibf_d.webp?maxwidth=640&shape=thumb&fidelity=medium", "imgur:eJ54Ibf"),
        ("http://i.imgur.com/abcde.jpg", "imgur:abcde"),
        ("http://i.imgur.com/eJ54Ibm.jpg", "imgur:eJ54Ibm"),
        ("http://i.imgur.com/FHTOJs.jpg", "url:i.imgur.com/FHTOJs.jpg"),
        ("http://i.imgur.com/eJ54Ibfx.jpg", "url:i.imgur.com/eJ54Ibfx.jpg"),
        ("http://i.imgur.com/eJ54Ibf.gifv", "url:i.imgur.com/eJ54Ibf.gifv"),
        ("http://i.imgur.com/abcde,fghij.jpg", "url:i.imgur.com/abcde,fghij.jpg"),
        ("http://i.imgur.com/removed.png", "imgur:removed"),
        # anything else: the address, over http or https
        ("https://a.example/x.jpg?w=200", "url:a.example/x.jpg?w=200"),
        ("http://a.example:80/x.jpg?w=200#f", "url:a.example/x.jpg?w=200"),
        ("http://u@a.example/x.jpg", "url:a.example/x.jpg"),
        ("ftp://a.example/x.jpg", None),
    ],
)
def test_identity(url: str, identity: str | None) -> None:
    assert urls.identity_one(url) == identity
    assert urls.identity(column("http://b.example/", url, None)).to_pylist() == ["url:b.example/", identity, None]


def test_host_and_registrable_domain() -> None:
    hosts = urls.host(
        column("http://U@Farm1.Static.Flickr.com:81/x?@", "http://[::1]:8/", "x", None, "http://a.example?b:c")
    )
    assert hosts.to_pylist() == ["farm1.static.flickr.com", "[::1]", None, None, "a.example"]
    for host, domain in {
        "farm1.static.flickr.com": "flickr.com",
        "www.bbc.co.uk": "bbc.co.uk",
        "co.uk": "co.uk",
        "a.b.kobe.jp": "a.b.kobe.jp",
        "c.a.b.kobe.jp": "a.b.kobe.jp",
        "x.city.kobe.jp": "city.kobe.jp",
        "i.user.blogspot.com": "user.blogspot.com",
        "127.0.0.1": "127.0.0.1",
        "[::1]": "[::1]",
        "localhost": "localhost",
    }.items():
        assert urls.registrable_domain(host) == domain


def test_domains_of_a_column_are_those_that_the_library_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [line.split(" ")[0].strip() for line in Path(urls.PSLFILE).read_text(encoding="utf-8").splitlines()]
    suffixes = [rule.lstrip("!").replace("*", "star") for rule in rules if rule and not rule.startswith("//")]
    made = {f"{name}{suffix}" for suffix in suffixes for name in ("", "a.", "b.a.", "c.b.a.", ".", "a..")}
    made |= {f"{name}{suffix.partition('.')[2]}" for suffix in suffixes for name in ("a.", "b.a.")}
    made |= {
        "",
        "127.0.0.1",
        "1.2.3",
        "[::1]",
        "localhost",
        "a.unknown",
        "b.a.unknown",
        "a.xn--p1ai",
        "A.B.com",
        "é.com",
    }
    hosts = sorted(made)
    whole = [urls.registrable_domain(host) if host else "" for host in hosts]
    asked: list[str] = []
    monkeypatch.setattr(urls, "registrable_domain", lambda host: asked.append(host) or dict_of[host])
    dict_of = dict(zip(hosts, whole, strict=True))
    assert urls.registrable_domains(pa.array(hosts)).to_pylist() == whole
    assert 0 < len(asked) < len(hosts) * 3 / 4  # of rules; of hosts as they are, nearly none
    asked.clear()
    plain = [f"www.site{number}.{end}" for number in range(50) for end in ("com", "co.uk", "de", "com.au", "unknown")]
    dict_of |= dict.fromkeys(plain, "")
    urls.registrable_domains(pa.array(plain))
    assert not asked


def test_few_hosts_have_the_domains_that_they_have_in_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = pa.array(["farm1.static.flickr.com", None, "", "B.co.uk", "x.city.kobe.jp", "[::1]", "a.com.", "..com"])
    few = urls.registrable_domains(hosts)
    monkeypatch.setattr(urls, "_FEW_HOSTS", 0)
    assert few.to_pylist() == urls.registrable_domains(hosts).to_pylist()


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


@given(
    st.integers(1, 70_000),
    st.integers(1, 10**11),
    st.text("0123456789abcdef", min_size=10, max_size=10),
    st.sampled_from([None, "", *"sqtmnwzcblhkfo", "3k"]),
    st.none() | st.integers(1, 66),
)
def test_a_flickr_url_keeps_its_photo_id(
    server: int, photo: int, secret: str, size: str | None, farm: int | None
) -> None:
    base = "https://live.staticflickr.com" if farm is None else f"http://farm{farm}.staticflickr.com"
    suffix = f"_{size}" if size else ""
    assert urls.identity_one(f"{base}/{server}/{photo}_{secret}{suffix}.jpg") == f"flickr:{photo}"


def test_yfcc_mirrors() -> None:
    base = "https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images"
    published = "4e2f7a26a1dfbf165a7e30bdabf7e72a"
    # No byte of this digest is under 0x10, so that all spellings are one.
    assert urls.yfcc_mirrors(FLICKR[0], published) == [f"{base}/4e2/f7a/{published}.jpg"]
    assert urls.yfcc_mirrors(FLICKR[0], None) == urls.yfcc_mirrors(FLICKR[0], "not a hash")
    # md5("http://a.example/4") = 79ff3bcb59888c410b5793f7a2fe7eaf has the byte 0b.
    ordinary, unpadded = urls.yfcc_mirrors("http://a.example/4", "79ff3bcb59888c410b5793f7a2fe7eaf")
    assert ordinary == f"{base}/79f/f3b/79ff3bcb59888c410b5793f7a2fe7eaf.jpg"
    assert unpadded == f"{base}/79f/f3b/79ff3bcb59888c41b5793f7a2fe7eaf.jpg"
    assert urls.yfcc_mirrors("http://a.example/4", None) == [unpadded, ordinary]


@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.sampled_from(["own", "ordinary", "upper", "other", "", "not a hash"])),
        max_size=20,
    )
)
def test_yfcc_mirrors_of_many_are_those_of_each(rows: list[tuple[str, str]]) -> None:
    download_urls = [f"http://a.example/{number}/{name}" for number, (name, _) in enumerate(rows)]
    published = []
    for url, (_, kind) in zip(download_urls, rows, strict=True):
        digest = hashlib.md5(url.encode()).digest()
        own = "".join(f"{byte:x}" for byte in digest)
        published.append(
            {"own": own, "ordinary": digest.hex(), "upper": own.upper(), "other": "abc123" * 5}.get(kind, kind)
        )
    of_each = [urls.yfcc_mirrors(url, given) for url, given in zip(download_urls, published, strict=True)]
    assert urls.yfcc_mirror_lists(column(*download_urls), column(*published)).to_pylist() == of_each
    without = [urls.yfcc_mirrors(url, None) for url in download_urls]
    assert urls.yfcc_mirror_lists(column(*download_urls), None).to_pylist() == without


def test_genuine_yfcc_rows(samples: Path) -> None:
    with (samples / "yfcc100m" / "yfcc100m_dataset_25col.tsv").open(encoding="utf-8", newline="\n") as file:
        rows = [line.split("\t") for line in file]
    assert urls.identity(column(*(row[16] for row in rows))).to_pylist() == [f"flickr:{row[1]}" for row in rows]
    for row in rows:
        assert urls.yfcc_mirrors(row[16], None)[0] == urls.yfcc_mirrors(row[16], row[2])[0]


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


def equivalents() -> dict[str, list[str]]:
    """Picture → URLs that show it, of the table of equivalent forms."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    with (Path(__file__).parent / "url_equivalents.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            found[row["picture"]].append(row["url"])
    return found


def test_equivalent_forms_merge_and_others_never_do() -> None:
    table = equivalents()
    assert sum(map(len, table.values())) > 150
    identities = {
        picture: urls.identity(column(*forms, *urls.canonical(column(*forms)).to_pylist())).to_pylist()
        for picture, forms in table.items()
    }
    assert {picture: set(found) for picture, found in identities.items() if len(set(found)) > 1} == {}
    for one, other in itertools.combinations(identities.values(), 2):
        assert not set(one) & set(other)


def genuine(samples: Path) -> Iterator[str]:
    """Yield the image URLs of all genuine rows."""
    yield from pq.read_table(samples / "urls" / "laion_10000.parquet", columns=["URL"])["URL"].to_pylist()
    for name in ("Validation_GCC-1.1.0-Validation.head5000.tsv", "Train_GCC-training.tsv"):
        yield from (line.split("\t")[1] for line in (samples / "cc3m" / name).read_text("utf-8").splitlines())
    for part in ("train", "val"):
        document = json.loads((samples / "coco" / f"captions_{part}2017.json").read_bytes())
        yield from (image[key] for image in document["images"] for key in ("coco_url", "flickr_url"))
    for count, place in ((25, 16), (23, 14)):
        path = samples / "yfcc100m" / f"yfcc100m_dataset_{count}col.tsv"
        yield from (line.split("\t")[place] for line in path.read_text("utf-8").split("\n") if line)
    yield from json.loads((samples / "sbu" / "sbu-captions-all.json").read_bytes())["image_urls"]


def test_genuine_urls_merge_only_http_with_https(samples: Path) -> None:
    raws = column(*dict.fromkeys(genuine(samples)))
    forms = urls.canonical(raws)
    assert urls.canonical(forms).equals(forms)
    by_identity: dict[str, set[str]] = collections.defaultdict(set)
    for form, identity in zip(forms.to_pylist(), urls.identity(raws).to_pylist(), strict=True):
        if form is not None:
            by_identity[identity].add(form)
    assert [raw for raw, form in zip(raws.to_pylist(), forms.to_pylist(), strict=True) if form is None] == ["UNLIKELY"]
    assert len(by_identity) > 15_000
    merged = [group for group in by_identity.values() if len(group) > 1]
    assert all(len({form.partition("://")[2] for form in group}) == 1 for group in merged)


def test_urlcanon_dot_segments(samples: Path) -> None:
    vectors = json.loads((samples / "urls" / "urlcanon" / "path_dots.json").read_text(encoding="utf-8"))["special"]
    # The standard reads a backslash as a slash; urlcanon keeps it.
    vectors = {path: expected for path, expected in vectors.items() if "\\" not in path}
    assert len(vectors) > 20
    for path, expected in vectors.items():
        assert urls.canonical_one(f"http://a.example{path}") == f"http://a.example{expected}", path


def test_a_url_that_its_identity_has_as_it_is_needs_no_look() -> None:
    given = [
        ("https://a.example/1.jpg", True),
        ("http://a.example/1.jpg?x=1", True),
        ("https://a.example", False),  # canonical with a slash
        ("HTTPS://a.example/1.jpg", False),
        ("https://farm1.staticflickr.com/2/4242_abcdef.jpg", False),
        ("ftp://a.example/1.jpg", False),
        ("", False),
        ("https://grüße.example/1.jpg", False),
    ]
    addresses = pa.array([url for url, _ in given], pa.string())
    identities = pc.fill_null(urls.identity(addresses), "coco:1")
    for shift in (0, 3):
        told = urls.is_of(identities.slice(shift), addresses.slice(shift)).tolist()
        assert told == [is_told for _, is_told in given][shift:]
    assert not urls.is_of(pa.array(["url:a.example/1", "url:"]), pa.array(["https://a.example/2", "http:/"])).any()


def test_bytes_that_stand_where_null_is_are_nothing() -> None:
    content = "http://a.example/1aaaaaa\u00fczz".encode()
    offsets = pa.array([0, 18, len(content)], pa.int32()).buffers()[1]
    addresses = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(content), pa.py_buffer(bytes([1])))
    assert urls.identity(addresses).to_pylist() == ["url:a.example/1", None]
    assert urls.alike(addresses).to_pylist() == ["a.example/1", None]


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("img.example.com", ["img.example.com", "example.com", "com"]),
        ("localhost", ["localhost"]),
        ("[::1]", ["[::1]"]),
        ("x" * 300, ["x" * 300]),
        ("x" * 300 + ".example.com", ["x" * 300 + ".example.com", "example.com", "com"]),
        ("xx." + "y" * 249 + ".com", ["xx." + "y" * 249 + ".com", "y" * 249 + ".com", "com"]),
        ("xx" + "y" * 249 + ".com", ["xx" + "y" * 249 + ".com", "com"]),
    ],
)
def test_what_is_above_a_host_is_told_in_whole_labels(host: str, names: list[str]) -> None:
    assert urls.above(host) == names


def test_a_host_of_very_many_labels_has_no_more_above_it_than_a_name_may_have() -> None:
    """Fifty thousand names of fifty thousand characters would be gigabytes."""
    host = "a." * 50_000 + "example.com"
    assert sum(map(len, urls.above(host))) < 2 * len(host)
    assert urls.registrable_domain(host) == "example.com"


@pytest.mark.parametrize(
    ("url", "former"),
    [
        ("http://u:p@a.example/x.jpg", "url:u:p@a.example/x.jpg"),
        ("HTTP://U@A.Example:80/x.jpg?utm_source=b#c", "url:U@a.example/x.jpg"),
        ("https://i.imgur.com/abcdefg_d.jpg?maxwidth=500", "url:i.imgur.com/abcdefg_d.jpg?maxwidth=500"),
        ("https://i.imgur.com/abcdefg.JPG", "url:i.imgur.com/abcdefg.JPG"),
        ("https://m.imgur.com/abcdefg.png", "url:m.imgur.com/abcdefg.png"),
        ("https://imgur.io/abcdefg.png", "url:imgur.io/abcdefg.png"),
        ("https://Thumb.wikimedia.org/a/b/thumb/a/ab/X.jpg/9px-X.jpg", "url:thumb.wikimedia.org/a/b/thumb/a/ab/X.jpg/9px-X.jpg"),
        ("https://i.imgur.com/abcdefg.jpg", None),
        ("https://www.imgur.com/gallery/abcdefg", None),
        ("https://upload.wikimedia.org/a/b/thumb/a/ab/X.jpg/9px-X.jpg", None),
        ("http://a.example/@u/x.jpg", None),
        ("ftp://u@a.example/x.jpg", None),
        (None, None),
    ],
)  # fmt: skip
def test_what_0_1_0_called_an_image_is_known_where_it_is_called_otherwise_now(
    url: str | None, former: str | None
) -> None:
    """As 0.1.0 gave them; its pictures are looked for under these names."""
    assert urls.former_identity(pa.array([url], pa.string())).to_pylist() == [former]
