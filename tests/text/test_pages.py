"""Pages and links about one image: what people have of it instead of the picture's own URL."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pmd.text import pages

COMMONS = "url:upload.wikimedia.org/wikipedia/commons/a/a9/Example.jpg"


@pytest.mark.parametrize(
    "url",
    [
        "https://www.flickr.com/photos/somebody/123456789/",
        "http://flickr.com/photos/12345678@N00/123456789",
        "HTTPS://WWW.FLICKR.COM/photos/somebody/123456789/in/album-72157600000000000/",
        "https://www.flickr.com/photos/somebody/123456789/in/photostream/lightbox/",
        "https://www.flickr.com/photos/somebody/123456789/sizes/o/?utm_source=x#top",
        "https://m.flickr.com/#/photos/somebody/123456789/",
        "https://flic.kr/p/bUKpk",
        "http://flic.kr/p/bUKpk/",
        "https://www.flickr.com/photo.gne?id=123456789",
        "https://www.flickr.com/photo.gne?short=bUKpk",
        "http://www.flickr.com/photo_zoom.gne?size=l&id=123456789",
    ],
)
def test_a_flickr_photo(url: str) -> None:
    page = pages.meant(url)
    assert page is not None
    assert page.identities == ("flickr:123456789",)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.flickr.com/photos/somebody/",
        "https://www.flickr.com/photos/somebody/albums/72157600000000000",
        "https://www.flickr.com/photos/somebody/sets/123/",
        "https://www.flickr.com/photos/tags/2008",
        "https://flic.kr/s/aHsk",
        "https://flic.kr/p/0OIl",  # none of these letters counts
        "https://www.flickr.com/photo.gne?id=abc",
        f"https://flic.kr/p/{'z' * 13}",
        f"https://flic.kr/p/{'z' * 5000}",
        f"https://www.flickr.com/photo.gne?short={'z' * 5000}",
        f"https://www.flickr.com/photo.gne?id={'9' * 5000}",
        f"https://www.flickr.com/photos/somebody/{'9' * 21}/",
        f"https://cocodataset.org/#explore?id={'9' * 5000}",
        f"https://visualgenome.org/api/v0/images/{'9' * 21}",
        "https://notflickr.com/photos/somebody/1",
        "https://flickr.com.example/photos/somebody/1",
    ],
)
def test_what_is_no_photo_s_page(url: str) -> None:
    assert pages.meant(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://commons.wikimedia.org/wiki/File:Example.jpg",
        "https://commons.m.wikimedia.org/wiki/file:example.jpg",
        "https://commons.wikimedia.org/wiki/Image:Example.jpg",
        "https://commons.wikimedia.org/wiki/Special:FilePath/Example.jpg?width=300",
        "https://commons.wikimedia.org/wiki/Special:Redirect/file/Example.jpg",
        "https://commons.wikimedia.org/w/index.php?title=File:Example.jpg&oldid=4",
        "https://commons.wikimedia.org/wiki/Commons:Deletion_requests/File:Example.jpg",
        "https://commons.wikimedia.org/w/index.php?title=Commons:Deletion_requests/File:Example.jpg&action=edit",
        "https://commons.wikimedia.org/wiki/Category:Examples#/media/File:Example.jpg",
    ],
)
def test_a_file_on_commons(url: str) -> None:
    page = pages.meant(url)
    assert page is not None
    assert page.identities == (COMMONS,)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://en.wikipedia.org/wiki/File:Example.jpg", "wikipedia/en"),
        ("https://en.m.wikipedia.org/wiki/Cat#/media/File:Example.jpg", "wikipedia/en"),
        ("https://de.wikipedia.org/wiki/Datei:Example.jpg", "wikipedia/de"),
        ("https://ja.wikipedia.org/wiki/%E3%83%95%E3%82%A1%E3%82%A4%E3%83%AB:Example.jpg", "wikipedia/ja"),
        ("https://fr.wikisource.org/wiki/Fichier:Example.jpg", "wikisource/fr"),
    ],
)
def test_a_file_of_a_wikipedia_lies_there_or_on_commons(url: str, own: str) -> None:
    page = pages.meant(url)
    assert page is not None
    assert page.identities == (f"url:upload.wikimedia.org/{own}/a/a9/Example.jpg", COMMONS)


def test_a_file_s_name_is_spelled_as_its_urls_are() -> None:
    page = pages.meant("https://commons.wikimedia.org/wiki/File:Caf%C3%A9_(a),_b.jpg")
    other = pages.meant("https://commons.wikimedia.org/wiki/File:Cafe\u0301 (a), b.jpg")
    assert page is not None
    assert page == other
    (identity,) = page.identities
    assert identity.endswith("/Caf%C3%A9_(a),_b.jpg")


@pytest.mark.parametrize(
    "url",
    [
        "https://commons.wikimedia.org/wiki/Category:Example.jpg",
        "https://commons.wikimedia.org/wiki/User:Example.jpg",
        "https://commons.wikimedia.org/wiki/File:Example.ogv",
        "https://en.wikipedia.org/wiki/Example",
        "https://wikipedia.example/wiki/File:Example.jpg",
    ],
)
def test_what_is_no_file_s_page(url: str) -> None:
    assert pages.meant(url) is None


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://imgur.com/AbCdEfG", "imgur:AbCdEfG"),
        ("https://imgur.io/AbCdEfG", "imgur:AbCdEfG"),
        ("https://i.imgur.com/AbCdEfG.gifv", "imgur:AbCdEfG"),
        ("https://i.imgur.io/AbCdE.mp4", "imgur:AbCdE"),
        ("https://imgur.com/gallery/some-title-AbCdEfG", "imgur:AbCdEfG"),
        ("https://cocodataset.org/#explore?id=391895", "coco:391895"),
        ("https://visualgenome.org/api/v0/images/2407890", "visual_genome:2407890"),
    ],
)
def test_pages_of_other_hosts(url: str, identity: str) -> None:
    page = pages.meant(url)
    assert page is not None
    assert page.identities == (identity,)


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        (
            "https://www.reddit.com/media?url=https%3A%2F%2Fi.redd.it%2F6c86llczqs151.jpg",
            "url:i.redd.it/6c86llczqs151.jpg",
        ),
        (
            "https://www.reddit.com/media?url=https%3A%2F%2Fpreview.redd.it%2Fwords-v0-z90lvr65c11a1.jpg%3Fwidth%3D640%26s%3D9",
            "url:i.redd.it/z90lvr65c11a1.jpg",
        ),
        (
            "https://old.reddit.com/r/funny/comments/media/nice_hat/?url=https%3A%2F%2Fi.redd.it%2Fzv02loj5yejb1.png",
            "url:i.redd.it/zv02loj5yejb1.png",
        ),
    ],
)
def test_reddits_page_of_a_picture_means_the_picture(url: str, identity: str) -> None:
    page = pages.meant(url)
    assert page is not None
    assert (page.identities, page.rows) == ((identity,), ())


def test_a_page_that_shows_no_picture_of_reddits_means_none() -> None:
    assert pages.meant("https://www.reddit.com/media?url=https%3A%2F%2Fone.example%2F1.jpg") is None
    assert pages.meant("https://www.reddit.com/media") is None


@pytest.mark.parametrize(
    "url",
    [
        "https://www.reddit.com/r/pics/comments/AbC12/some_title/",
        "https://old.reddit.com/gallery/abc12",
        "http://redd.it/abc12",
    ],
)
def test_a_reddit_post_is_a_row_of_red_caps(url: str) -> None:
    page = pages.meant(url)
    assert page is not None
    assert page.rows == (("red_caps", "abc12"),)


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("000000000009.jpg", "coco:9"),
        ("train2014/COCO_train2014_000000290843.jpg", "coco:290843"),
        ("9.jpg", None),
        ("COCO_test_000000000009.jpg", None),
    ],
)
def test_a_file_of_coco(name: str, identity: str | None) -> None:
    page = pages.coco_file(name)
    assert (page.identities if page else None) == ((identity,) if identity else None)


@pytest.mark.parametrize(
    ("url", "identities"),
    [
        ("https://preview.redd.it/abcdefg123.jpg?width=640&auto=webp&s=aa", ("url:i.redd.it/abcdefg123.jpg",)),
        ("https://preview.redd.it/a-title-of-words-v0-abcdefg123.png?width=640", ("url:i.redd.it/abcdefg123.png",)),
        ("https://preview.redd.it/", None),
        ("https://commons.wikimedia.org/w/thumb.php?f=Example.jpg&w=300", (COMMONS,)),
        ("https://commons.wikimedia.org/w/thumb.php?w=300", None),
        ("https://web.archive.org/web/20190101000000/http://one.example/1.jpg?a=b", ("url:one.example/1.jpg?a=b",)),
        ("https://web.archive.org/web/2019im_/https:/one.example/1.jpg", ("url:one.example/1.jpg",)),
        ("http://web.archive.org/web/0id_/one.example/1.jpg", ("url:one.example/1.jpg",)),
        (
            "https://web.archive.org/web/2019*/https://www.flickr.com/photos/somebody/4242/",
            ("flickr:4242", "url:www.flickr.com/photos/somebody/4242/"),
        ),
        ("https://web.archive.org/web/2019/https://live.staticflickr.com/1/4242_0123abcd_b.jpg", ("flickr:4242",)),
        (
            "https://web.archive.org/web/2019/https://web.archive.org/web/2018/http://a.example/",
            ("url:web.archive.org/web/2018/http://a.example/", "url:a.example/"),
        ),
        ("https://web.archive.org/about", None),
        ("https://web.archive.org/web/", None),
    ],
)
def test_what_shows_or_keeps_a_picture_that_lies_elsewhere(url: str, identities: tuple[str, ...] | None) -> None:
    page = pages.meant(url)
    assert (None if page is None else page.identities) == identities


def test_a_post_that_was_archived_is_that_post() -> None:
    page = pages.meant("https://web.archive.org/web/2019/https://redd.it/abc12")
    assert page is not None
    assert page.rows == (("red_caps", "abc12"),)


LIES = "url:one.example/1.jpg"


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://i0.wp.com/one.example/1.jpg?resize=640%2C480&ssl=1", LIES),
        ("http://i3.wp.com./one.example/1.jpg", LIES),
        ("https://res.cloudinary.com/a/image/fetch/w_700,ar_3:2/https://one.example/1.jpg", LIES),
        ("https://i.amz.mshcdn.com/lTGE=/fit-in/850x850/http%3A%2F%2Fone.example%2F1.jpg", LIES),
        ("https://web.archive.org/save/http://one.example/1.jpg", LIES),
        (
            "https://www.google.com/imgres?imgurl=http%3A%2F%2Fone.example%2F1.jpg&imgrefurl=http%3A%2F%2Fone.example",
            LIES,
        ),
        ("https://www.google.co.uk/imgres?q=cat&imgurl=https%3A%2F%2Fone.example%2F1.jpg#vet=1", LIES),
        ("https://www.google.com/url?sa=i&url=https%3A%2F%2Fwww.flickr.com%2Fphotos%2Fx%2F4242", "flickr:4242"),
        ("https://www.google.com/url?q=https://one.example/1.jpg&sa=D", LIES),
        ("https://www.bing.com/images/search?view=detailV2&mediaurl=http%3a%2f%2fone.example%2f1.jpg", LIES),
        ("https://duckduckgo.com/?q=x&iai=http%3A%2F%2Fone.example%2F1.jpg&ia=images", LIES),
        ("https://external-content.duckduckgo.com/iu/?u=https%3A%2F%2Fone.example%2F1.jpg&f=1&nofb=1", LIES),
        ("https://external-content.duckduckgo.com/iu/?u=https%3A%2F%2Fi0.wp.com%2Fone.example%2F1.jpg%3Fw%3D6", LIES),
        ("https://yandex.ru/images/search?img_url=http%3A%2F%2Fone.example%2F1.jpg&rpt=simage", LIES),
        ("https://images.weserv.nl/?url=one.example/1.jpg&w=300", LIES),
        (
            "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fone.example%2F1.jpg&data=05%7C02%7C&reserved=0",
            LIES,
        ),
        (
            "https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.flickr.com%2Fphotos%2Fx%2F4242%2F&data=05",
            "flickr:4242",
        ),
        ("https://a.example/smart/http://one.example/1.jpg?1445436823", LIES),
        ("https://a.example/smart/http://one.example/1.jpg?1445436823", f"{LIES}?1445436823"),
        ("https://web.archive.org/web/2019/https://a.example/b/http://one.example/1.jpg", LIES),
        ("https://preview.redd.it/abc123.jpg?width=640", "url:i.redd.it/abc123.jpg"),
        ("https://en.wikipedia.org/w/thumb.php?f=Example.jpg&width=300", COMMONS),
    ],
)
def test_an_address_that_holds_another_means_what_lies_there(url: str, identity: str) -> None:
    page = pages.meant(url)
    assert page is not None
    assert identity in page.identities
    assert dict(pages.held(pa.array(["http://one.example/1.jpg", None, url]))) == {2: page}


@pytest.mark.parametrize(
    "url",
    [
        "https://i0.wp.com/latex.php",
        "https://i4.wp.com/one.example/1.jpg",
        "https://one.example/?url=http%3A%2F%2Ftwo.example%2F1.jpg",  # whatever it is for
        "https://one.example/a.jpg?mark=https://two.example/watermark.png",
        "https://www.google.com/imgres?imgurl=",
        "https://www.google.com/imgres?imgurl=data%3Aimage%2Fpng",
        "https://www.google.com/search?q=cat&tbm=isch",
        "https://one.example/http/2.jpg",
        "https://one.example/https://",
    ],
)
def test_an_address_that_holds_none(url: str) -> None:
    assert pages.meant(url) is None


def test_however_deep_addresses_lie_it_comes_to_an_end() -> None:
    for deep in ("https://i0.wp.com/a.example", "https://a.example/b", "https://web.archive.org/web/2019"):
        page = pages.meant("/".join([*[deep] * 3000, "https://one.example/1.jpg"]))
        assert page is not None
        assert len(page.holds) <= 2**3
