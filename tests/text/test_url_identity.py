"""Which image a URL shows."""

from __future__ import annotations

import collections
import csv
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.text import url_identity, urls
from tests.text.pieced import URLS, column


def test_credentials_are_no_part_of_what_an_image_is() -> None:
    with_them = "https://ada:l0velace@A.example/x.jpg#top"
    assert url_identity.of_one(with_them) == url_identity.of_one("http://a.example/x.jpg") == "url:a.example/x.jpg"
    flickr = "http://me:pw@farm5.staticflickr.com/4012/4567890123_0a1b2c3d4e.jpg"
    assert url_identity.of_one(flickr) == "flickr:4567890123"


@given(st.lists(st.none() | URLS | st.text(st.characters(exclude_categories=["Cs"]))))
def test_identity_depends_on_the_canonical_form_alone(raws: list[str | None]) -> None:
    forms = urls.canonical(column(*raws))
    identities = url_identity.of(column(*raws))
    assert identities.equals(url_identity.of(forms))
    for raw, form, identity in zip(raws, forms.to_pylist(), identities.to_pylist(), strict=True):
        assert (form is None) == (identity is None)
        assert raw is None or identity == url_identity.of_one(raw)


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
    assert url_identity.of_one(url) == "flickr:6985418911"


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
    assert url_identity.of_one(url) == identity
    assert url_identity.of(column("http://b.example/", url, None)).to_pylist() == ["url:b.example/", identity, None]


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
    assert url_identity.of_one(f"{base}/{server}/{photo}_{secret}{suffix}.jpg") == f"flickr:{photo}"


def test_genuine_yfcc_rows_have_their_photo_id(samples: Path) -> None:
    with (samples / "yfcc100m" / "yfcc100m_dataset_25col.tsv").open(encoding="utf-8", newline="\n") as file:
        rows = [line.split("\t") for line in file]
    assert url_identity.of(column(*(row[16] for row in rows))).to_pylist() == [f"flickr:{row[1]}" for row in rows]


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
        picture: url_identity.of(column(*forms, *urls.canonical(column(*forms)).to_pylist())).to_pylist()
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
    for form, identity in zip(forms.to_pylist(), url_identity.of(raws).to_pylist(), strict=True):
        if form is not None:
            by_identity[identity].add(form)
    assert [raw for raw, form in zip(raws.to_pylist(), forms.to_pylist(), strict=True) if form is None] == ["UNLIKELY"]
    assert len(by_identity) > 15_000
    merged = [group for group in by_identity.values() if len(group) > 1]
    assert all(len({form.partition("://")[2] for form in group}) == 1 for group in merged)


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
    identities = pc.fill_null(url_identity.of(addresses), "coco:1")
    for shift in (0, 3):
        told = url_identity.is_the_url(identities.slice(shift), addresses.slice(shift)).tolist()
        assert told == [is_told for _, is_told in given][shift:]
    assert not url_identity.is_the_url(
        pa.array(["url:a.example/1", "url:"]), pa.array(["https://a.example/2", "http:/"])
    ).any()


def test_bytes_that_stand_where_null_is_are_nothing() -> None:
    content = "http://a.example/1aaaaaa\u00fczz".encode()
    offsets = pa.array([0, 18, len(content)], pa.int32()).buffers()[1]
    addresses = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(content), pa.py_buffer(bytes([1])))
    assert urls.alike(addresses).to_pylist() == ["a.example/1", None]
    assert url_identity.of(addresses).to_pylist() == ["url:a.example/1", None]


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
    assert url_identity.former(pa.array([url], pa.string())).to_pylist() == [former]
