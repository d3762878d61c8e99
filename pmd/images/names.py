"""What people call an image or a pair, in whatever form they have it → what it may be here. For explain, takedowns and diff.

`read` looks at the words alone, and at a picture file where they name one; what a ROOT knows under them is looked up by each
command, digests by `pmd.books.pictures`. One word may mean several things (64 digits are either hash): all of them count.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Callable, Collection, Sequence
from typing import Final

from pmd import codec
from pmd.books import pictures
from pmd.schema import keys
from pmd.store import clients, storage
from pmd.store.register import Register
from pmd.text import pages, url_identity, urls

#: Every form that is understood, as errors, the command line's help and the docs have it.
FORMS: Final = (
    "an image's URL; the page of a photo on Flickr (or its flic.kr link), of a file on Wikimedia, or of a Reddit or Imgur post; "
    "an identity (flickr:4242, coco:9); SOURCE/ID; a pair_id or image_id (32 hex digits); sha256:HEX or pdq:HEX "
    "(64 hex digits; pdq of a picture with something in it), or xxh3:HEX (32) of a stored picture; or the path of a picture"
)

#: White space, and characters without a shape of their own: chats put them behind an address, and Windows before a path.
_UNSEEN: Final = r"[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+"
_AROUND: Final = re.compile(rf"\A{_UNSEEN}|{_UNSEEN}\Z")

#: Bytes by which a picture's format is told.
_HEAD_BYTES: Final = 64

_KEY: Final = re.compile("[0-9a-fA-F]{32}")
_DIGEST: Final = re.compile("(?:(sha256|pdq):)?([0-9a-f]{64})", re.IGNORECASE)
_STORED: Final = re.compile("xxh3:([0-9a-f]{32})", re.IGNORECASE)
_WEB: Final = re.compile("https?://", re.IGNORECASE)
_WITHOUT_SCHEME: Final = re.compile(r"//|(?:[a-z0-9-]+\.)+[a-z]{2,}/.", re.IGNORECASE)
#: `pmd.text.url_identity`, and what sources without URLs have.
_IDENTITY: Final = re.compile(
    r"(?:flickr|coco|visual_genome):[1-9][0-9]*|openimages:[0-9a-f]{16}|imgur:[0-9A-Za-z]{5,7}|ade20k:\S+|url:[^/\s]+/\S*"
)
_ROW: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]*)/(\S.*)")
#: A post as Reddit's own records have it, and RedCaps' with them (`permalink`).
_PERMALINK: Final = re.compile(r"/?(r/[A-Za-z0-9_]+/comments/[0-9a-z]+(?:/[^\s/?#]*)?/?)")


#: Sites whose pages show many pictures, an album or a person's newest: as addresses of one picture they would match nothing.
#: So do those of search engines and wikis.
_SITES: Final = re.compile(
    r"(?:(?:(?:www|m|secure)\.)?flickr\.com|flic\.kr|(?:[a-z]+\.)?reddit\.com|(?:(?:www|m)\.)?imgur\.(?:com|io)"
    r"|(?:(?:www|images|lens)\.)?google\.[a-z.]+|(?:(?:www|cn)\.)?bing\.com|(?:www\.)?duckduckgo\.com|(?:www\.)?yandex\.[a-z.]+"
    r"|commons\.(?:m\.)?wikimedia\.org|[a-z-]+\.(?:m\.)?wik(?:ipedia|tionary|iquote|ibooks|isource|inews|iversity|ivoyage)\.org)\.?"
)
#: What a picture of the site's own may end in (imgur.com/images/logo.jpg), and what search engines call their copies, which lists
#: of pairs have: www.bing.com/th?id=…, images.google.com/images?q=tbn:….
_PICTURE: Final = re.compile(
    r"[^?#]+\.(?:jpe?g|png|gif|webp)(?:[?#].*)?|https?://[^/]*\bbing\.com\.?/th[?/].+"
    r"|https?://[^/]*\bgoogle\.[a-z.]+/images\?(?:[^#]*&)?q=tbn(?::|%3a).+",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Named:
    """What some words may mean.

    Attributes:
        says: What they were taken for.
        identities: Of images.
        urls: Canonical URLs, that may be a pair's `image_url` or one of an image's locations.
        key: A pair_id or image_id.
        rows: (source, source id); a repeat of the row ("#2") is meant too.
        sha256: Of an original's bytes.
        stored: XXH3-128 of stored bytes.
        pdq: Perceptual hash; None also where it tells nothing apart.
        is_page: Whether a page was named.
    """

    says: str
    identities: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    key: bytes | None = None
    rows: tuple[tuple[str, str], ...] = ()
    sha256: bytes | None = None
    stored: bytes | None = None
    pdq: bytes | None = None
    is_page: bool = False

    @property
    def image_ids(self) -> list[bytes]:
        """The keys of its identities."""
        return [keys.image_id(identity) for identity in self.identities]

    @property
    def is_picture(self) -> bool:
        """Whether a picture is meant, whoever shows it: rows are then the post that it stands in, and not rows alone."""
        return bool(self.urls or self.identities or self.is_page)

    @property
    def is_of_many(self) -> bool:
        """Whether the address is one of a page that shows no picture alone: an album's, a person's."""
        if self.is_page or not self.urls or not all(one.startswith(url_identity.BY_URL) for one in self.identities):
            return False
        url = self.urls[0]
        return _SITES.fullmatch(urls.host_of(url) or "") is not None and _PICTURE.fullmatch(url) is None

    @property
    def is_in_words(self) -> bool:
        """Whether only the words tell what is meant: an address, an identity or a row, and no file that is there."""
        return not self.is_of_bytes and self.key is None

    @property
    def is_of_bytes(self) -> bool:
        """Whether only the ledger can tell which image it is."""
        return any(digest is not None for digest in (self.sha256, self.stored, self.pdq))


def with_bytes(known: Register, listed: Sequence[Named]) -> list[set[bytes]]:
    """Return for each the images that have its bytes, or look so, by what stands of the fetch; reads all ledgers, if any asks."""
    having = pictures.named(
        known,
        sha256s={named.sha256 for named in listed if named.sha256 is not None},
        stored={named.stored for named in listed if named.stored is not None},
        hashes={named.pdq for named in listed if named.pdq is not None},
    )
    return [
        {image for digest in (named.sha256, named.stored, named.pdq) if digest for image in having.get(digest, ())}
        for named in listed
    ]


def bare(said: str) -> str:
    """Return words without white space around them, and without what nobody sees and programs copy along.

    >>> bare("\u200bhttps://one.example/1.jpg\ufeff ")
    'https://one.example/1.jpg'
    """
    return _AROUND.sub("", said)


def read(said: str, sources: Collection[str], path_of: Callable[[str], str | None] = lambda path: path) -> Named | None:
    """Return what words mean, or None where they are of none of the `FORMS`.

    Args:
        said: The words.
        sources: The names of sources that SOURCE/ID may begin with.
        path_of: Gives the path of a picture that is named so; None where there can be none.

    Raises:
        OSError: A picture is there, but cannot be read.
    """
    named = _read(bare(said), sources, path_of)
    addresses = () if named is None else tuple(itertools.chain(*map(url_identity.visual_genome_urls, named.identities)))
    if named is None or not addresses:
        return named
    return dataclasses.replace(named, urls=tuple(dict.fromkeys((*named.urls, *addresses))))


def _read(said: str, sources: Collection[str], path_of: Callable[[str], str | None]) -> Named | None:
    if not storage.is_text(said):
        return _file(said, path_of)  # nothing else is called so
    if _KEY.fullmatch(said):
        return Named("a pair_id or image_id", key=bytes.fromhex(said))
    digest = _DIGEST.fullmatch(said)
    if digest is not None:
        return _digest((digest[1] or "").lower(), bytes.fromhex(digest[2]))
    stored = _STORED.fullmatch(said)
    if stored is not None:
        return Named("the digest of a stored picture", stored=bytes.fromhex(stored[1]))
    if _WEB.match(said):
        return _url(said)
    if _IDENTITY.fullmatch(said):
        return Named("an identity", identities=(said,))
    post = _PERMALINK.fullmatch(said)
    if post is not None:
        return _url(f"https://www.reddit.com/{post[1]}")
    row = _ROW.fullmatch(said)
    named = _either(
        Named("a source id", rows=((row[1], row[2]),)) if row is not None and row[1] in sources else None,
        _file(said, path_of),
    )
    if named is not None or "://" in said:
        return named
    return _copied(said) if _WITHOUT_SCHEME.match(said) else None


def _file(said: str, path_of: Callable[[str], str | None]) -> Named | None:
    """Return what words mean as a file's path: the picture that is there, and what its name says."""
    if "://" in said:
        return None
    path, page = path_of(said), pages.coco_file(said)
    seen = picture(storage.read_bytes(path)) if path is not None and _is_picture(path) else None
    return _either(seen, None if page is None else _page(page))


def _either(one: Named | None, other: Named | None) -> Named | None:
    """Return what words mean that may mean either: of a row, a picture and a page, each has fields of its own."""
    if one is None or other is None:
        return one or other
    return Named(
        f"{one.says}, or {other.says}",
        identities=one.identities + other.identities,
        rows=one.rows + other.rows,
        sha256=one.sha256 or other.sha256,
        stored=one.stored or other.stored,
        pdq=one.pdq or other.pdq,
        is_page=one.is_page or other.is_page,
    )


def _is_picture(path: str) -> bool:
    try:
        there = storage.exists(path) and not storage.is_folder(path)
    except (OSError, ValueError) as error:  # no name that a file can have
        if clients.fails(error):
            raise
        return False
    return there and codec.sniff(storage.read_bytes(path, 0, _HEAD_BYTES)) is not None


def picture(content: bytes) -> Named:
    """Return what a picture's bytes name."""
    try:
        seen: bytes | None = codec.hash_of(content, codec.Limits())
    except codec.Refused:
        seen = None
    sha256 = hashlib.sha256(content).digest()
    return Named("a picture file", sha256=sha256, stored=keys.digest(content), pdq=_telling(seen))


def _digest(kind: str, digest: bytes) -> Named | None:
    """Return what 64 digits mean; a hash that tells nothing apart means nothing."""
    if kind == "sha256":
        return Named("the SHA-256 of a picture", sha256=digest)
    if kind == "pdq":
        return Named("a perceptual hash", pdq=digest) if codec.is_telling(digest) else None
    return Named("a SHA-256 or perceptual hash", sha256=digest, pdq=_telling(digest))


def _telling(seen: bytes | None) -> bytes | None:
    return seen if seen is not None and codec.is_telling(seen) else None


def _url(said: str) -> Named | None:
    form, identity = urls.canonical_one(said), url_identity.of_one(said)
    if form is None or identity is None:
        return None
    # Both are one host, and upstream may have either.
    dotless = url_identity.of_one(urls.without_root_dot(form))
    identities = tuple(dict.fromkeys(found for found in (identity, dotless) if found is not None))
    page = pages.meant(said)
    if page is not None:
        # The URL may also be that of a pair: what it says of itself then counts, too.
        return dataclasses.replace(
            _page(page),
            identities=tuple(dict.fromkeys((*page.identities, *identities))),
            urls=tuple(dict.fromkeys((form, *page.holds))),  # upstream may spell what it holds otherwise
        )
    return Named(f"a URL of {identity}", identities=identities, urls=(form,))


def _copied(said: str) -> Named | None:
    """Return what an address without its scheme means, as browsers show them: of hosts that are known, else it is a guess."""
    url = f"https://{said.removeprefix('//')}"
    named = _url(url)
    guessed = named is None or any(identity.startswith(url_identity.BY_URL) for identity in named.identities)
    return None if guessed and pages.meant(url) is None else named


def with_scheme(said: str) -> str | None:
    """Return words that may be an address without its scheme, as browsers show them, with one; None of all others."""
    return f"https://{said.removeprefix('//')}" if _WITHOUT_SCHEME.match(said) else None


def _page(page: pages.Page) -> Named:
    of = ", ".join(page.identities) or ", ".join("/".join(row) for row in page.rows)
    return Named(f"{page.says} of {of}", identities=page.identities, rows=page.rows, is_page=True)
