"""Which image a URL shows: its identity, known before anything is downloaded.

Curate takes `image_id` from the identity (`pmd.schema.keys.image_id`), so that one photograph is fetched once however many
sources name it, in whatever size. Two URLs share an identity only where their host documents, or its own naming
shows, that they are copies of one picture; a wrong merge loses a picture, a missed one costs a download, so doubt
keeps them apart. Nothing is fetched by these strings: `locations` hold upstream's URLs.

Where no rule knows the host, it is ``url:`` and the canonical URL without its scheme, because the same address over http and
https is the same image.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib import parse

import ada_url
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.text import urls

#: How the identity begins of an image that only its URL tells.
BY_URL: Final = "url:"

#: "Photo Image URLs" of the Flickr API documentation, former editions of it included, and `_l`, which old links have.
#: The path of c1.staticflickr.com and its like begins with the farm; `_d` asks for a download. Secrets are
#: hexadecimal.
_FLICKR_HOST: Final = re.compile(r"(?:farm[0-9]+\.|c[0-9]+\.|live\.)?static\.?flickr\.com")
_FLICKR_PATH: Final = re.compile(
    r"/(?:[0-9]+/)?[0-9]+/([1-9][0-9]*)_[0-9a-f]{6,16}(?:_(?:[sqtmnwzcblhkfo]|[3-6]k))?(?:_d)?\.(?:jpg|jpeg|png|gif|webp)",
    re.IGNORECASE,
)

#: images.cocodataset.org is also the name of the S3 bucket behind it; mscoco.org/images/N is `coco_url` in the first
#: release of the annotations.
_COCO_PATH: Final = re.compile(
    r"/(?:train|val|test)20(?:14|15|17)/(?:COCO_(?:train|val|test)20(?:14|15|17)_)?([0-9]{12})\.jpg"
)
_MSCOCO_PATH: Final = re.compile(r"/images/([1-9][0-9]*)")
_OPEN_IMAGES_PATH: Final = re.compile(r"/(?:train|validation|test)/([0-9a-f]{16})\.jpg")
_VISUAL_GENOME_PATH: Final = re.compile(r"/people/rak248/VG_100K(?:_2)?/([1-9][0-9]*)\.jpg")
#: Visual Genome's two folders of images, which share their ids.
_VISUAL_GENOME: Final = "https://cs.stanford.edu/people/rak248/{0}/{1}.jpg"
_VISUAL_GENOME_FOLDERS: Final = ("VG_100K", "VG_100K_2")

#: MediaWiki's thumbnails: `/thumb/` and the hashed folders, the file's name, then size and name again. Pages of
#: documents but the first, translated drawings and frames of videos are other pictures, and keep their URL.
#: Since August 2026 Wikimedia's pages show them from a host of their own, under the same paths (phabricator.wikimedia.org,
#: T427465).
_WIKIMEDIA_HOSTS: Final = frozenset({"upload.wikimedia.org", "thumb.wikimedia.org"})
_WIKIMEDIA_THUMB: Final = re.compile(
    r"(/[a-z0-9_-]+/[a-z0-9_-]+)/thumb(/(?:archive/)?[0-9a-f]/[0-9a-f]{2}/[^/]+\.(?:jpe?g|png|gif|svg|tiff?|webp|bmp))"
    r"/(?:qlow-|(?:lossy-|lossless-)?page1-)?[0-9]+px-[^/]*",
    re.IGNORECASE,
)
_WIKIMEDIA_FILE: Final = re.compile(r"/[a-z0-9_-]+/[a-z0-9_-]+/(?:archive/)?[0-9a-f]/[0-9a-f]{2}/[^/]+")

#: An Imgur id has 5 or 7 letters and digits. A thumbnail has one letter more; after 5 that would be a guess (ids of 6
#: were never documented, nor ruled out), after 7 it is certain. `_d` is what Imgur's own pages show, its size in the
#: query. The extension does not choose the picture; .gifv and .mp4 are videos. imgur.io is Imgur too.
_IMGUR_HOSTS: Final = frozenset(f"{name}imgur.{end}" for name in ("", "i.", "m.", "www.") for end in ("com", "io"))
_IMGUR_PATH: Final = re.compile(
    r"/(?:([0-9A-Za-z]{7})[sbtmlh]|([0-9A-Za-z]{5}|[0-9A-Za-z]{7})(?:_d)?)\.(?i:jpe?g|png|gif|webp)"
)

_S3_PATH_STYLE: Final = re.compile(r"s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com")
_S3_BUCKET_STYLE: Final = re.compile(r"([a-z0-9.-]+)\.s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com")

#: A host for which some rule may hold (RE2, on canonical URLs): the rest never leave Arrow.
_KNOWN_HOSTS: Final = (
    r"^https?://(?:[a-z0-9.-]*static\.?flickr\.com|images\.cocodataset\.org|(?:www\.)?mscoco\.org"
    r"|[a-z0-9.-]*\.amazonaws\.com|cs\.stanford\.edu|(?:upload|thumb)\.wikimedia\.org|(?:(?:i|m|www)\.)?imgur\.(?:com|io))[/:]"
)

#: URLs that an earlier version knew by nothing but themselves, and today's rules know as somebody's (RE2): with user information,
#: Wikimedia's thumbnails on a host of their own, Imgur's other hosts, its `_d`, and extensions in capitals.
_ONCE_BY_URL: Final = (
    r"^(?i:https?)://(?:[^/?]*@|(?i:thumb\.wikimedia\.org|(?:m|www)\.imgur\.com|(?:(?:i|m|www)\.)?imgur\.io)[/:]"
    r"|(?i:(?:i\.)?imgur\.com)(?::[0-9]+)?/[0-9A-Za-z]+(?:_d\.|\.[A-Za-z]*[A-Z]))"
)


def of(addresses: pa.Array) -> pa.Array:
    """Return what each URL says of which image it shows; null where `urls.canonical` is.

    ======================  ===============================================================================
    ``flickr:ID``           the photo id, in any of Flickr's hosts, sizes and editions of its URLs
    ``coco:ID``             the image id, without leading zeros; 2014, 2015 and 2017 share their ids
    ``openimages:ID``       16 hexadecimal digits
    ``visual_genome:ID``    the image id
    ``imgur:ID``            the id, in any size and extension that is no video
    ``url:HOST/PATH``       the rest. A Wikimedia thumbnail gives its original's URL
    ======================  ===============================================================================

    The size variants that Flickr and Imgur crop square (`_s`, `_q`; `s`, `b`) count as the same photograph.
    """
    forms = urls.canonical(addresses)
    result = urls.with_beginning(BY_URL, forms)
    return urls.one_by_one(result, forms, _KNOWN_HOSTS, _identity_of)


def of_one(url: str) -> str | None:
    """Return the identity of one URL as `of` does."""
    form = urls.canonical_one(url)
    return None if form is None else _identity_of(form)


def former(addresses: pa.Array) -> pa.Array:
    """Return what an earlier version called the image of each URL, where that is not its identity; else null.

    It was the URL without its scheme, for want of a rule, and with its user information. Whoever gives a host a rule, or changes
    what is canonical, adds its URLs here: pictures that were fetched before are then found in the store, and not asked for anew.
    """
    nothing = pa.nulls(len(addresses), pa.string())
    strings = addresses if addresses.type == pa.string() else addresses.cast(pa.string())
    return urls.one_by_one(nothing, strings, _ONCE_BY_URL, _former)


def _former(url: str) -> str | None:
    form = urls.canonical_one(url)
    if form is None:
        return None
    user, at, _ = ada_url.normalize_url(url).split("/")[2].rpartition("@")
    called = f"{BY_URL}{user}{at}{form.partition('://')[2]}"
    return None if called == _identity_of(form) else called


def by_any_spelling(addresses: pa.Array) -> pa.Array:
    """Return what each URL is found by however it is spelled: `urls.alike` as an identity; null where it has one spelling."""
    nothing = pa.nulls(len(addresses), pa.string())
    return urls.one_by_one(
        nothing, urls.canonical(addresses), urls.MAY_BE_SPELLED, lambda form: BY_URL + urls.alike_one(form)
    )


def is_the_url(identities: pa.Array, addresses: pa.Array) -> np.ndarray:
    """Return which identities are the URL as it is, but for the scheme: such a URL has a canonical form for certain.

    Most are, and bytes are compared in a fraction of the time that a parser, or a pattern, takes to look.

    Args:
        identities: Strings without nulls.
        addresses: URLs without nulls, as many.

    Returns:
        A bool a row.
    """
    ours = urls.behind(identities, np.full(len(addresses), len(BY_URL)))
    has_scheme = pc.or_(pc.starts_with(addresses, "http://"), pc.starts_with(addresses, "https://"))
    told = pc.and_(pc.starts_with(identities, BY_URL), has_scheme)
    same = pc.and_(told, pc.equal(ours, urls.without_scheme(addresses)))
    return np.asarray(same.to_numpy(zero_copy_only=False), bool)


def visual_genome_urls(identity: str) -> tuple[str, ...]:
    """Return where an image of Visual Genome's is, in one folder or the other; nothing of another identity.

    Half of these images are known as COCO's, others as Flickr's, so that only their addresses tell Visual Genome's own id.
    """
    kind, _, number = identity.partition(":")
    if kind != "visual_genome":
        return ()
    return tuple(_VISUAL_GENOME.format(folder, number) for folder in _VISUAL_GENOME_FOLDERS)


def _identity_of(form: str) -> str:
    """Return the identity of a canonical URL."""
    rest = form.partition("://")[2]
    address, _, query = rest.partition("?")
    host_name, slash, path = address.partition("/")
    return _named(host_name, slash + path, query) or BY_URL + rest


def _named(host_name: str, path: str, query: str) -> str | None:
    """Return the identity that a host's own rule gives, or None.

    Where the picture does not depend on the query by the host's nature (Flickr, Wikimedia, Imgur) it is ignored;
    elsewhere a URL with a query is left alone.
    """
    if host_name.endswith("flickr.com"):
        photo = _FLICKR_PATH.fullmatch(path) if _FLICKR_HOST.fullmatch(host_name) else None
        return f"flickr:{photo[1]}" if photo else None
    if host_name in _WIKIMEDIA_HOSTS:
        return _wikimedia(path)
    if host_name in _IMGUR_HOSTS:
        picture = _IMGUR_PATH.fullmatch(path)
        return f"imgur:{picture[1] or picture[2]}" if picture else None
    if query:
        return None
    if host_name.endswith("amazonaws.com"):
        bucket, path = _bucket(host_name, path)
        rule = _BUCKETS.get(bucket)
    else:
        rule = _HOSTS.get(host_name)
    return rule(path) if rule else None


def _coco(path: str) -> str | None:
    image = _COCO_PATH.fullmatch(path)
    return f"coco:{int(image[1])}" if image else None


def _mscoco(path: str) -> str | None:
    image = _MSCOCO_PATH.fullmatch(path)
    return f"coco:{image[1]}" if image else None


def _open_images(path: str) -> str | None:
    image = _OPEN_IMAGES_PATH.fullmatch(path)
    return f"openimages:{image[1]}" if image else None


def _visual_genome(path: str) -> str | None:
    image = _VISUAL_GENOME_PATH.fullmatch(path)
    return f"visual_genome:{image[1]}" if image else None


_HOSTS: Final[dict[str, Callable[[str], str | None]]] = {
    "images.cocodataset.org": _coco,
    "mscoco.org": _mscoco,
    "www.mscoco.org": _mscoco,
    "cs.stanford.edu": _visual_genome,
}
_BUCKETS: Final[dict[str, Callable[[str], str | None]]] = {
    "images.cocodataset.org": _coco,
    "open-images-dataset": _open_images,
}


def _bucket(host_name: str, path: str) -> tuple[str, str]:
    """Return bucket and key (with its slash) of an S3 URL, whose bucket stands in the host or begins the path."""
    if _S3_PATH_STYLE.fullmatch(host_name):
        bucket, slash, key = path[1:].partition("/")
        return bucket, slash + key
    in_host = _S3_BUCKET_STYLE.fullmatch(host_name)
    return (in_host[1], path) if in_host else ("", path)


def _wikimedia(path: str) -> str | None:
    thumb = _WIKIMEDIA_THUMB.fullmatch(path)
    original = thumb[1] + thumb[2] if thumb else path
    if not _WIKIMEDIA_FILE.fullmatch(original):
        return None
    return f"{BY_URL}upload.wikimedia.org{_one_encoding(original)}"


def _one_encoding(path: str) -> str:
    """Return a path with one spelling of its percent-encoding, where that is sure not to change what it names.

    Wikipedia's pages write "(" and "," of a file's name both plain and encoded.
    """
    if "%" not in path or "%2f" in path.lower():
        return path
    decoded = parse.unquote(path)
    return path if "\ufffd" in decoded else parse.quote(decoded, safe="/:@!$&'()*,;=~")
