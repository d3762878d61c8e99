"""Web pages about one image, and other addresses that people have of it but that are no picture's own → its identities.

A rights holder has the page that a browser shows: the photo's page on Flickr, the file's page on Wikimedia Commons. Nothing is
asked of the web: an identity follows from what stands in the address. Where an address may mean one of several images (a file
of a Wikipedia lies there or on Commons), all are given; whoever looks them up finds those that exist.

An address may also hold another one whole, that of the picture which it shows: search engines link so, and servers that scale
others' pictures. 51 of CC3M's first 5,000 pairs for validation have such an address.

An upstream id may name a row rather than a picture (RedCaps' ids are those of Reddit's posts); such are `rows`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final
from urllib import parse

import pyarrow as pa
import pyarrow.compute as pc

from pmd.text import url_identity, urls


@dataclasses.dataclass(frozen=True)
class Page:
    """What an address says.

    Attributes:
        says: What kind of address it is.
        identities: Of the images that it may mean.
        rows: (source, source id) of the rows that it may mean.
        holds: The addresses that stand in it, of the picture that it shows.
    """

    says: str
    identities: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    holds: tuple[str, ...] = ()


#: Flickr's short links count in base 58: digits and letters without 0, O, I and l ("flic.kr/p/{base58-photo-id}", Flickr API
#: documentation, "URLs").
_BASE58: Final = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
#: No id has more digits than a number of 64 bits; without a bound, an address may be so long that Python makes no number of it.
_SHORT_ID: Final = rf"[{_BASE58}]{{1,12}}"
_ID: Final = "[1-9][0-9]{0,19}"
_SHORT: Final = re.compile(rf"/p/({_SHORT_ID})/?")
_SHORT_PHOTO: Final = re.compile(_SHORT_ID)
_NUMBER: Final = re.compile(_ID)
#: What follows the photo's id (`/in/album-…`, `/sizes/o`, `/lightbox`) does not choose another photo. `tags` and the like are no
#: person's.
_FLICKR_PHOTO: Final = re.compile(rf"/photos/(?!tags/|search/|organize/|upload/)[^/]+/({_ID})(?:/.*)?")
_FLICKR_PAGES: Final = frozenset({"/photo.gne", "/photo_zoom.gne", "/photo_exif.gne"})

#: The project's folder on upload.wikimedia.org, by host: en.wikipedia.org → wikipedia/en; hosts with a folder of their own.
_WIKI_HOST: Final = re.compile(
    r"([a-z-]+)\.(?:m\.)?(wik(?:ipedia|tionary|iquote|ibooks|isource|inews|iversity|ivoyage))\.org"
)
_COMMONS: Final = "wikipedia/commons"
_COMMONS_HOSTS: Final = frozenset({"commons.wikimedia.org", "commons.m.wikimedia.org"})
_PICTURE_NAME: Final = re.compile(r"[^/#?]+\.(?:jpe?g|png|gif|svg|tiff?|webp|bmp|xcf)", re.IGNORECASE)
#: "File:" in whatever language; these are other pages that may be called like a file.
_NO_FILE: Final = frozenset({"category", "user", "user talk", "file talk", "template", "help", "talk", "special"})
_SPECIAL: Final = re.compile(r"(?i)special:(?:filepath|redirect/file)/(.+)")
#: Where its deletion is asked for, a file's page stands below.
_REQUESTED: Final = re.compile(r"(?i)commons:deletion[ _]requests/")
#: The characters that MediaWiki leaves plain in a path, as `urls` does.
_PLAIN: Final = "/:@!$&'()*,;=~"

_IMGUR_PAGES: Final = frozenset({"imgur.com", "m.imgur.com", "imgur.io", "m.imgur.io"})
_IMGUR_PAGE: Final = re.compile(r"/(?:gallery/|r/[^/]+/|t/[^/]+/)?(?:[^/]*-)?([0-9A-Za-z]{7}|[0-9A-Za-z]{5})/?")
#: What Imgur's own pages play of a picture that moves; upstream has its still or its GIF.
_IMGUR_VIDEO: Final = re.compile(r"/([0-9A-Za-z]{7}|[0-9A-Za-z]{5})\.(?:gifv|mp4|webm)")
_IMGUR_FILES: Final = frozenset({"i.imgur.com", "i.imgur.io"})
_REDDIT_POST: Final = re.compile(
    r"(?:/r/[^/]+|/u(?:ser)?/[^/]+)?/(?:comments|gallery)/([0-9a-z]+)(?:/.*)?", re.IGNORECASE
)
_REDDIT_SHORT: Final = re.compile(r"/([0-9a-z]+)/?", re.IGNORECASE)
#: What Reddit's own pages show of a picture on i.redd.it: its name, in newer addresses behind the post's title.
_REDDIT_PREVIEW: Final = re.compile(r"/(?:[^/]*-v[0-9]+-)?([0-9a-z]+\.(?:jpe?g|png|gif|webp))")
#: What browsers get where they ask for a picture of i.redd.it alone: a page that shows it, its address in `url`. old.reddit.com
#: takes "media" for a post's id.
_REDDIT_MEDIA: Final = re.compile(r"(?:/r/[^/]+/comments)?/media(?:/[^/]*)?/?")
_REDDIT_PICTURES: Final = frozenset({"i.redd.it", "preview.redd.it"})
#: A page that the Internet Archive has kept: when, which form of it, and its address, of which a slash may be lost.
_ARCHIVED: Final = re.compile(
    r"https?://web\.archive\.org\.?/web/(?:[0-9*]+(?:[a-z]{2}_)?/)?(?:(https?):/{1,2})?([^/].*)"
)
#: What WordPress' servers scale: host and path behind a host of their own (developer.wordpress.com/docs/photon).
_PHOTON: Final = re.compile(r"https?://i[0-3]\.wp\.com\.?/([^/?]+\.[^/?]+/[^?]+)(?:\?.*)?")
#: A whole address in another's path, plain or escaped: https://res.cloudinary.com/a/image/fetch/w_700/https://b.example/1.jpg.
_IN_PATH: Final = re.compile(r"https?://[^?]+/https?(:|%3[Aa])(?:/|%2[Ff]){1,2}([^/?%][^?]*)(\?.*)?")
#: Links of search engines, servers that show what lies elsewhere, what Outlook makes of each link in an e-mail ("Safe Links"):
#: host and path → the fields that may have its address.
_IN_QUERY: Final = (
    (re.compile(r"(?:images\.)?google\.[a-z.]+/imgres"), ("imgurl",)),
    (re.compile(r"google\.[a-z.]+/url"), ("url", "q")),
    (re.compile(r"bing\.com/images/search"), ("mediaurl",)),
    (re.compile(r"duckduckgo\.com/"), ("iai",)),
    (re.compile(r"(?:external-content|proxy)\.duckduckgo\.com/iu/?"), ("u",)),
    (re.compile(r"yandex\.[a-z.]+/images/search"), ("img_url",)),
    (re.compile(r"(?:images\.weserv|wsrv)\.nl/"), ("url",)),
    (re.compile(r"[a-z0-9]+\.safelinks\.protection\.outlook\.com/"), ("url",)),
)
#: So deep addresses in addresses are looked for.
_DEEP: Final = 3
#: What may hold another address, or show a copy of a picture that lies elsewhere (RE2): few addresses of any source's do.
MAY_HOLD: Final = (
    r"(?i)^https?://(?:(?:www\.)?web\.archive\.org\.?/|i[0-3]\.wp\.com\.?/|preview\.redd\.it/|[^/?#]+/w/thumb\.php\?"
    r"|(?:[^/?#]*\.)?(?:duckduckgo\.com|google\.[a-z.]+|bing\.com|yandex\.[a-z.]+|safelinks\.protection\.outlook\.com)"
    r"\.?/[^?#]*\?"
    r"|(?:www\.)?(?:images\.weserv|wsrv)\.nl\.?/|[^?#]+/https?(?::|%3a)(?:/|%2f))"
)
_VISUAL_GENOME: Final = re.compile(rf"/api/v0/images/({_ID})/?(?:\.json)?")
_OPEN_IMAGES_ID: Final = re.compile("[0-9a-f]{16}")
_COCO_FILE: Final = re.compile(r"(?:COCO_(?:train|val|test)20(?:14|15|17)_)?([0-9]{12})\.jpg")


def meant(url: str) -> Page | None:
    """Return what an http or https URL says of an image, if it is a page or link of a kind that is known."""
    form = urls.canonical_one(url)
    if form is None:
        return None
    # A viewer's own state stands behind "#", which the canonical form has not.
    return _of_host(form, parse.unquote(url.partition("#")[2].strip())) or _holding(form)


def held(addresses: pa.Array) -> Iterator[tuple[int, Page]]:
    """Yield which addresses of a column hold another, or show a copy of a picture that lies elsewhere, and what they say."""
    perhaps = pc.fill_null(pc.match_substring_regex(addresses, MAY_HOLD), fill_value=False)
    if not pc.any(perhaps).as_py():
        return
    for row in pc.indices_nonzero(perhaps).to_pylist():
        page = meant(addresses[row].as_py())
        if page is not None:
            yield row, page


def _of_host(form: str, fragment: str = "") -> Page | None:
    """Return what a canonical URL says, and what stood behind its "#", by the rules of its host."""
    parts = parse.urlsplit(form)
    host, query = (parts.hostname or "").rstrip(".").removeprefix("www."), parse.parse_qs(parts.query)
    if host == "flickr.com" or host.endswith(".flickr.com") or host == "flic.kr":
        return _flickr(host, parts.path, query, fragment)
    if host in _COMMONS_HOSTS or _WIKI_HOST.fullmatch(host):
        return _wikimedia(host, parse.unquote(parts.path), query, fragment)
    if host in _IMGUR_PAGES:
        return _one("the Imgur page", _IMGUR_PAGE.fullmatch(parts.path), "imgur")
    if host in _IMGUR_FILES:
        return _one("Imgur's film", _IMGUR_VIDEO.fullmatch(parts.path), "imgur")
    if host in {"redd.it", "preview.redd.it", "reddit.com"} or host.endswith(".reddit.com"):
        return _reddit(host, parts.path, query)
    if host == "cocodataset.org":
        chosen = parse.parse_qs(fragment.partition("?")[2]).get("id", [""])[0]
        return _one("COCO's viewer", _NUMBER.fullmatch(chosen), "coco")
    if host == "visualgenome.org":
        return _one("Visual Genome's page", _VISUAL_GENOME.fullmatch(parts.path), "visual_genome")
    if host == "storage.googleapis.com" and parts.path.startswith("/openimages/web/"):
        return _one("Open Images' viewer", _OPEN_IMAGES_ID.fullmatch(query.get("id", [""])[0]), "openimages")
    return None


def _holding(form: str) -> Page | None:
    """Return what the addresses say that stand in a canonical URL."""
    found = tuple(dict.fromkeys(_held_in(form, _DEEP)))
    if not found:
        return None
    inner = [_of_host(one) or Page("") for one in found]
    identities = [
        identity
        for one, page in zip(found, inner, strict=True)
        for identity in (*page.identities, url_identity.of_one(one))
    ]
    says = "the archived address" if _ARCHIVED.fullmatch(form) else "a link that holds the address"
    rows = dict.fromkeys(row for page in inner for row in page.rows)
    return Page(says, tuple(dict.fromkeys(filter(None, identities))), tuple(rows), found)


def _held_in(form: str, deep: int) -> Iterator[str]:
    for said in _within(form) if deep else ():
        inner = urls.canonical_one(said)
        if inner is not None:
            yield inner
            yield from _held_in(inner, deep - 1)


def _within(form: str) -> Sequence[str]:
    """Return the address that stands in a canonical URL, if one does; in two forms where a query may be of either."""
    archived = _ARCHIVED.fullmatch(form)
    if archived is not None:
        return (f"{archived[1] or 'http'}://{archived[2]}",)
    photon = _PHOTON.fullmatch(form)
    if photon is not None:
        return (f"http://{photon[1]}",)
    path = _IN_PATH.fullmatch(form) if "/http" in form else None
    if path is not None:
        inner = path[2] if path[1] == ":" else parse.unquote(path[2])
        return tuple(dict.fromkeys((f"http://{inner}{path[3] or ''}", f"http://{inner}")))
    address, _, query = form.partition("://")[2].partition("?")
    place = address.removeprefix("www.") if query else ""
    names = next((names for known, names in _IN_QUERY if place and known.fullmatch(place)), ())
    fields = parse.parse_qs(query) if names else {}
    told = [fields[name][0] for name in names if name in fields]
    return [said if "://" in said else f"http://{said}" for said in told if "/" in said]


def _reddit(host: str, path: str, query: dict[str, list[str]]) -> Page | None:
    if host == "preview.redd.it":
        shown = _REDDIT_PREVIEW.fullmatch(path)
        name = f"i.redd.it/{shown[1]}" if shown else ""
        return Page("Reddit's preview", (url_identity.BY_URL + name,), holds=(f"https://{name}",)) if shown else None
    picture = query.get("url", [""])[0]
    if _REDDIT_MEDIA.fullmatch(path) and urls.host_of(picture) in _REDDIT_PICTURES:
        inner, itself = meant(picture), url_identity.of_one(picture)
        found = inner.identities if inner is not None else tuple(filter(None, [itself]))
        return Page("Reddit's page of a picture", found)
    post = (_REDDIT_SHORT if host == "redd.it" else _REDDIT_POST).fullmatch(path)
    return Page("the Reddit post", rows=(("red_caps", post[1].lower()),)) if post else None


def coco_file(name: str) -> Page | None:
    """Return which image a file's name in COCO's archives says."""
    return _one("COCO's file name", _COCO_FILE.fullmatch(name.rpartition("/")[2]), "coco")


def _one(says: str, found: re.Match[str] | None, kind: str) -> Page | None:
    """Return the page of an identity KIND:ID, whose id a match tells."""
    if found is None:
        return None
    number = found[found.lastindex or 0]
    return Page(says, (f"{kind}:{int(number) if kind == 'coco' else number}",))


def _flickr(host: str, path: str, query: dict[str, list[str]], fragment: str) -> Page | None:
    if host == "flic.kr":
        short = _SHORT.fullmatch(path)
        return Page("the Flickr short link", (f"flickr:{_base58(short[1])}",)) if short else None
    if path in _FLICKR_PAGES:
        number, short_id = query.get("id", [""])[0], query.get("short", [""])[0]
        if _SHORT_PHOTO.fullmatch(short_id):
            number = str(_base58(short_id))
        return _one("the Flickr page", _NUMBER.fullmatch(number), "flickr")
    # Flickr's old mobile site had its paths behind "#".
    return _one("the Flickr page", _FLICKR_PHOTO.fullmatch(path) or _FLICKR_PHOTO.fullmatch(fragment), "flickr")


def _base58(text: str) -> int:
    number = 0
    for letter in text:
        number = number * len(_BASE58) + _BASE58.index(letter)
    return number


def _wikimedia(host: str, path: str, query: dict[str, list[str]], fragment: str) -> Page | None:
    title = query.get("title", [path.removeprefix("/wiki/")])[0]
    if path == "/w/thumb.php":  # a scaled copy, as MediaWiki is asked for one
        title = f"File:{query.get('f', [''])[0]}"
        query = {**query, "title": [title]}
    if fragment.startswith("/media/"):  # the viewer over an article
        title = fragment.removeprefix("/media/")
    elif not path.startswith("/wiki/") and "title" not in query:
        return None
    requested = _REQUESTED.match(title)
    title = title[requested.end() :] if requested else title
    special = _SPECIAL.fullmatch(title)
    namespace, _, name = ("File", "", special[1]) if special else title.partition(":")
    name = re.sub("[ _]+", "_", name).strip("_")
    if not _PICTURE_NAME.fullmatch(name) or namespace.replace("_", " ").strip().lower() in _NO_FILE:
        return None
    folders = [_COMMONS]
    wiki = _WIKI_HOST.fullmatch(host)
    if wiki is not None:
        folders.insert(0, f"{wiki[2]}/{wiki[1]}")
    found = [identity for folder in folders for identity in _upload(folder, name)]
    return Page("the Wikimedia file page", tuple(dict.fromkeys(found)))


def _upload(folder: str, name: str) -> list[str]:
    """Return the identities of a file: MediaWiki has folders by the MD5 of its name, whose first letter is large."""
    name = unicodedata.normalize("NFC", name)
    name = name[:1].upper() + name[1:]
    md5 = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    where = f"https://upload.wikimedia.org/{folder}/{md5[0]}/{md5[:2]}/"
    # A name without escapes keeps a plain "+" or "*" in its URL, and one with them has all of them escaped.
    spelled = (parse.quote(name, safe=_PLAIN), parse.quote(name, safe=_PLAIN + "+"))
    return [identity for one in spelled if (identity := url_identity.of_one(where + one)) is not None]
