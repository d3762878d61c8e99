"""Conceptual Captions and Conceptual 12M: captions of pages on the web."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Final

from pmd.demo.files import CC3M_FILE, CC12M_FILE
from pmd.demo.pictures import SCENES, Picture, bomb_png, encoded, notice, tracking_pixel
from pmd.demo.rows.shared import Shared, article
from pmd.demo.web import Answer, page, redirect, route_of
from pmd.demo.world import Builder, Drawing, Outcome, kept, rejected, token

_PLACEHOLDER_URLS: Final = 12


@dataclasses.dataclass(frozen=True)
class _Page:
    """A place on the web that does something in particular, and the status in which its image ends."""

    url: str
    status: str
    answer: Answer | None


def fill(builder: Builder, shared: Shared) -> None:
    """Fill the world with them."""
    _cc3m(builder)
    _cc12m(builder, shared)


def _alt(picture: Picture, number: int) -> str:
    scene = SCENES[picture.scene]
    return (
        f"{article(picture.subject)} {scene.place} {picture.time} .",
        f"illustration of {article(picture.subject)} {scene.place} , vector",
        f"a woman is shown {article(picture.subject)} by her son .",
        f"actor arrives with {article(picture.subject)} at the premiere of his film .",
    )[number % 4]


def _cc3m(builder: Builder) -> None:
    source = "conceptual_captions"
    hosts = itertools.cycle(["photos.garden-blog.example", "www.travel-notes.example", "cdn.shop.example"])

    def add(caption: str, url: str, outcome: Outcome) -> tuple[str, str]:
        record = (caption, url)
        builder.add(source, CC3M_FILE, record, outcome)
        return record

    record = ("", "")
    for number in range(14):
        picture = builder.picture(form="png" if number == 4 else "jpeg")
        image = builder.image(picture)
        query = "?imgmax=800" if number == 2 else ""
        name = f"picture-{token(f'cc3m {number}', 6)}.{picture.extension}{query}"
        url = f"http://{next(hosts)}/{2009 + number % 9}/{number:02d}/{name}"
        builder.locate(image, url, picture)
        record = add(_alt(picture, number), url, kept(image, _alt(picture, number)))
    builder.add(source, CC3M_FILE, record, rejected("duplicate_row"))

    for number, (what, code) in enumerate(
        (
            (f"http://www.travel-notes.example/new/{token('moved', 6)}.jpg", 301),
            ("/kept/relative.jpg", 302),
        )
    ):
        picture = builder.picture()
        image = builder.image(picture)
        host = ("old-blog.example", "photos.garden-blog.example")[number]
        target = what if what.startswith("http") else f"http://{host}{what}"
        builder.serve(target, picture)
        url = builder.locate(image, f"http://{host}/2008/entry-{number}.jpg", redirect(what, code))
        add(_alt(picture, number), url, kept(image, _alt(picture, number)))

    for status, answer, caption in (
        ("dead", page("Not Found", 404), "a page that is no longer there ."),
        ("forbidden", page("Forbidden", 403), "a host that lets nobody in ."),
        ("not_an_image", page("Welcome to our new site"), "a site that answers with its home page ."),
        ("server_error", page("Internal Server Error", 500), "a host that has an error of its own ."),
    ):
        image = builder.image(status=status)
        url = builder.locate(image, f"http://{status.replace('_', '-')}.blog.example/img/photo.jpg", answer)
        add(caption, url, kept(image, caption))
        if status == "server_error":
            builder.may_repeat.add(route_of(url))

    quoted = '" hello " , said the man to his daughter'  # a quote at the start, which is no quoting
    picture = builder.picture()
    image = builder.image(picture)
    add(quoted, builder.locate(image, "http://cdn.shop.example/q/hello.jpg", picture), kept(image, quoted))
    # One URL in both collections, and one under two spellings.
    for number in range(2):
        picture = builder.picture()
        image = builder.image(picture)
        url = builder.locate(
            image, f"http://both.blog.example{'' if number == 0 else ':80'}/shared-{number}.jpg", picture
        )
        add(_alt(picture, number), url, kept(image, _alt(picture, number)))

    add("", "http://cdn.shop.example/empty.jpg", rejected("empty_text"))
    add("a picture on a host of another kind .", "ftp://ftp.example/pub/picture.jpg", rejected("bad_url"))
    builder.add(source, CC3M_FILE, ("a caption without a url .",), rejected("malformed_row"))
    builder.add(
        source, CC3M_FILE, ("a caption", "http://cdn.shop.example/x.jpg", "and more"), rejected("malformed_row")
    )
    builder.add(
        source,
        CC3M_FILE,
        "caf\xe9 in a street .\thttp://cdn.shop.example/y.jpg".encode("latin-1"),
        rejected("bad_encoding"),
    )


def _cc12m(builder: Builder, shared: Shared) -> None:
    source = "conceptual_12m"

    def add(url: str, caption: str, outcome: Outcome) -> None:
        builder.add(source, CC12M_FILE, (url, caption), outcome)

    def good(url: str, caption: str, picture: Picture, answer: Answer | None = None) -> str:
        image = builder.image(picture)
        add(builder.locate(image, url, answer or picture), caption, kept(image, caption))
        return image

    hosts = itertools.cycle(["media.news.example", "shop.example", "kitchen.example", "static.kitchen.example"])
    for number in range(16):
        form = {2: "cmyk", 5: "avif", 8: "webp", 11: "png"}.get(number, "jpeg")
        picture = builder.picture(form=form)  # type: ignore[arg-type]
        scheme = "https" if number % 4 == 1 else "http"
        name = f"{token(f'cc12m {number}', 8)}.{picture.extension}"
        url = f"{scheme}://{next(hosts)}/wp-content/uploads/20{10 + number % 10}/{name}"
        scene = SCENES[picture.scene]
        caption = (
            f"<PERSON> with {article(picture.subject)} {scene.place}",
            f"{picture.subject.title()} {scene.place.title()} - Image 7 of 10",
            f"{scene.detail}. Photo: <PERSON>, who gave it to her husband",
            f"{article(picture.subject).capitalize()} {picture.time} \U0001f5bc  | Kitchen & More",
        )[number % 4]
        good(url, caption, picture)

    # A host that asks for a pause is left alone with all of its domain, so these two have domains of their own.
    picture = builder.picture()
    good(
        "http://busy.example/photo.jpg",
        "A host that was busy for a moment",
        picture,
        Answer(Drawing(picture), behaviour="busy_once"),
    )
    builder.may_repeat.add(route_of("http://busy.example/photo.jpg"))
    picture = builder.picture()
    good(
        "http://slow.blog.example/photo.jpg",
        "A host that is slow but gets there",
        picture,
        Answer(Drawing(picture), behaviour="drip"),
    )

    truncated = encoded(builder.picture((640, 480)))
    for place in (
        _Page("http://nowhere.blog.example/a/photo.jpg", "dead", page("Not Found", 404)),
        _Page("http://nowhere.blog.example/b/photo.jpg", "dead", page("Gone", 410)),
        _Page("http://law.blog.example/photo.jpg", "forbidden", page("Unavailable For Legal Reasons", 451)),
        _Page(
            "http://overloaded.example/photo.jpg",
            "rate_limited",
            dataclasses.replace(page("Service Unavailable", 503), headers=(("Retry-After", "1"),)),
        ),
        _Page("http://gibberish.blog.example/photo.jpg", "server_error", Answer(behaviour="garbage")),
        _Page("http://silent.blog.example/photo.jpg", "connection", Answer(behaviour="drop")),
        _Page("https://untrusted.blog.example/photo.jpg", "tls", Answer(Drawing(builder.picture()))),
        _Page("http://loop.blog.example/1.jpg", "too_many_redirects", redirect("http://loop.blog.example/2.jpg")),
        _Page("http://endless.blog.example/photo.jpg", "too_large", Answer(truncated, behaviour="endless")),
        _Page("http://half.blog.example/photo.jpg", "undecodable", Answer(truncated[: len(truncated) // 2])),
        _Page("http://huge.blog.example/photo.png", "bomb", Answer(bomb_png(), content_type="image/png")),
        _Page("http://pixel.blog.example/track.gif", "too_small", Answer(tracking_pixel(), content_type="image/gif")),
        _Page(
            "http://noai.blog.example/photo.jpg",
            "opted_out",
            Answer(Drawing(builder.picture()), headers=(("X-Robots-Tag", "noai, noimageai"),)),
        ),
        _Page("http://robots.blog.example/private/photo.jpg", "opted_out", Answer(Drawing(builder.picture()))),
        _Page("http://reserved.blog.example/photo.jpg", "opted_out", Answer(Drawing(builder.picture()))),
        _Page(
            "http://trap.blog.example/metadata.jpg",
            "blocked_address",
            redirect("http://169.254.169.254/latest/meta-data/"),
        ),
        _Page("http://trap.blog.example/file.jpg", "blocked_address", redirect("file:///etc/passwd")),
        _Page("http://192.168.1.20/cam/photo.jpg", "blocked_address", Answer(Drawing(builder.picture()))),
    ):
        image = builder.image(status=place.status)
        caption = f"A photo at {place.url.split('/')[2].split('.')[0]}, which ends as {place.status.replace('_', ' ')}"
        add(builder.locate(image, place.url, place.answer), caption, kept(image, caption))
    builder.serve("http://loop.blog.example/2.jpg", redirect("http://loop.blog.example/1.jpg"))
    builder.serve("http://169.254.169.254/latest/meta-data/", Answer(Drawing(builder.picture())))
    builder.untrusted_hosts.add("untrusted.blog.example")
    for url in (
        "http://169.254.169.254/latest/meta-data/",
        "http://192.168.1.20/cam/photo.jpg",
        "http://robots.blog.example/private/photo.jpg",
        "http://reserved.blog.example/photo.jpg",
    ):
        builder.never_requested.add(route_of(url))
    for url in (
        "http://overloaded.example/photo.jpg",
        "http://gibberish.blog.example/photo.jpg",
        "http://silent.blog.example/photo.jpg",
        "http://loop.blog.example/1.jpg",
        "http://loop.blog.example/2.jpg",
        "http://endless.blog.example/photo.jpg",
    ):
        builder.may_repeat.add(route_of(url))

    # The same bytes under two URLs: a repost. And one notice under twelve: a host that forbids hot links.
    picture = builder.picture()
    for number in range(2):
        image = builder.image(picture, same_bytes="repost")
        caption = f"A picture that two sites have, seen on site number {number + 1}"
        url = builder.locate(image, f"http://repost-{number + 1}.blog.example/photo.jpg", picture)
        add(url, caption, kept(image, caption))
    forbidden = Answer(notice("Please do not hotlink"), content_type="image/png")
    for number in range(_PLACEHOLDER_URLS):
        image = builder.image(same_bytes="hotlink")
        caption = f"Wallpaper number {number + 1} of the mountains and the sea"
        url = builder.locate(
            image, f"http://img.hotlink.example/wallpapers/{token(f'hotlink {number}', 8)}.jpg", forbidden
        )
        add(url, caption, kept(image, caption))

    image, photo = shared.cc12m_yfcc
    caption = "A large version of a picture from Flickr"
    add(photo.live("_b"), caption, kept(image, caption))
    for number, spelling in enumerate(
        ("http://both.blog.example/shared-0.jpg", "http://BOTH.blog.example/shared-1.jpg#top")
    ):
        url = f"http://both.blog.example{'' if number == 0 else ':80'}/shared-{number}.jpg"
        image = builder.image_at(url)
        caption = f"The same address as in the smaller collection, number {number + 1}"
        add(builder.locate(image, spelling), caption, kept(image, caption))

    add("http://kitchen.example/empty.jpg", " ", rejected("empty_text"))
    add("not a url at all", "A caption beside something that is no address", rejected("bad_url"))
    builder.add(source, CC12M_FILE, ("http://kitchen.example/no-caption.jpg",), rejected("malformed_row"))
    # The last row of cc12m.tsv has no newline after it.
    good("http://kitchen.example/last.jpg", "The last row of the file, without a newline", builder.picture())
