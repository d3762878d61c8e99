"""URLs: the canonical form of one, and the identity of the image that it shows, known before anything is downloaded.

Curate takes `image_id` from the identity (`pmd.schema.keys.image_id`), so that one photograph is fetched once however many
sources name it, in whatever size. Two URLs share an identity only where their host documents, or its own naming
shows, that they are copies of one picture; a wrong merge loses a picture, a missed one costs a download, so doubt
keeps them apart. Nothing is fetched by these strings: `locations` hold upstream's URLs.

- *Canonical*: the WHATWG URL standard's serialisation (ada), of http and https only, less user information, the fragment,
  the tracking parameters and an empty query. Scheme, the query's order and percent-encoding stay as the standard leaves
  them. Idempotent.
- *User information* (``user:password@``) says who asks, not which picture: we ask without it, so the URL with it and the
  one without it are the same image, and somebody's password is no part of a key, a takedown's match or a published list.
- *Identity*: see `identity`. Where no rule knows the host: ``url:`` and the canonical URL without its scheme, because
  the same address over http and https is the same image.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib import parse

import ada_url
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from publicsuffixlist import PSLFILE, PublicSuffixList

from pmd.formats.lines import every_other
from pmd.schema import keys

#: How the identity begins of an image that only its URL tells.
_BY_URL: Final = "url:"
#: More bytes than a text has.
_EVERYTHING: Final = 2**31

#: Parameters that say where a visitor came from, and never which image is meant: Google Analytics' campaign parameters
#: (Analytics help, "URL builders"), Google Ads' click id (Ads help, "GCLID") and Facebook's. No others: `ref`,
#: `source`, `v` and the like choose content somewhere.
_TRACKING_PREFIX: Final = "utm_"
_TRACKING: Final = frozenset({"gclid", "fbclid"})
_MAY_TRACK: Final = re.compile("utm_|gclid|fbclid", re.IGNORECASE)

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

#: URLs that are canonical as they stand (RE2), most of any source's, which need no parser: a host of plain labels whose last
#: one cannot begin an IPv4 address, no port, and only characters that the standard escapes nowhere. What
#: `_PERHAPS_NOT` finds in one of them may still change: Punycode is checked, dot segments go, tracking parameters go.
_CANONICAL: Final = r"^https?://(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*(?:\?[A-Za-z0-9._~!$&()*+,;=:@/?%-]+)?$"
_PERHAPS_NOT: Final = r"(?i)xn--|/(?:\.|%2e)|utm_|gclid|fbclid"

#: A host that is canonical as it stands, but for Punycode: its last label cannot be of an IPv4 address (RE2).
_PLAIN_HOST: Final = r"^(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*$"
#: What may be such a host.
_HOST_BEFORE_SLASH: Final = r"^https?://([a-z0-9._-]+)/"

#: The root of the DNS behind a host ("example.com."): another spelling of the same name.
_ROOT_DOT: Final = re.compile(r"^(https?://[^/]*[^/.])\.+((?::[0-9]+)?/)")
#: Canonical URLs that may have other spellings (RE2).
_MAY_BE_SPELLED: Final = r"%|^https?://[^/]*\.(?::[0-9]+)?/"
_ESCAPE: Final = re.compile("%([0-9A-Fa-f]{2})")
#: Characters that part a URL, which mean another thing where they are escaped; "+" is a blank in many a query.
_PARTING: Final = frozenset("/?#%&=+;")

_YFCC_BUCKET: Final = "https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images"
_HEXADECIMAL: Final = re.compile("[0-9a-f]+")
_UNPADDED: Final = [f"{byte:x}" for byte in range(256)]


def canonical(urls: pa.Array) -> pa.Array:
    """Return the canonical form of each URL; null where it is null or not an absolute http or https URL."""
    strings = urls if urls.type == pa.string() else urls.cast(pa.string())
    stands = pc.and_(
        pc.match_substring_regex(strings, _CANONICAL), pc.invert(pc.match_substring_regex(strings, _PERHAPS_NOT))
    )
    rest = pc.invert(pc.fill_null(stands, fill_value=True))
    if not pc.any(rest).as_py():
        return strings
    parsed = pa.array([canonical_one(url) for url in strings.filter(rest).to_pylist()], type=pa.string())
    return pc.replace_with_mask(strings, rest, parsed)


def canonical_one(url: str) -> str | None:
    """Return one URL as `canonical` does."""
    href = _serialised(url)
    if href is None:
        return None
    # The standard escapes "#" everywhere but before the fragment, and "?" everywhere before the query.
    href = href.partition("#")[0]
    if "?" not in href:
        return href
    address, _, query = href.partition("?")
    if _MAY_TRACK.search(query):
        query = "&".join(part for part in query.split("&") if not _is_tracking(part))
    return f"{address}?{query}" if query else address


def alike(forms: pa.Array) -> pa.Array:
    """Return one spelling for all canonical URLs that differ in nothing but spelling, without the scheme; null where null.

    It is what takedowns are compared by, where a missed picture is worse than one too many, and no identity: a server may take
    two spellings for two things. Alike are what RFC 3986 (6.2.2) calls equivalent, the standard's parser leaves as it is,
    and people meet in address bars: `%7e`, `%7E` and `~`, `%28` and `(`, `%c3%bc` and `%C3%BC`, and `example.com.` beside
    `example.com`. Escapes of what parts a URL (`%2F`, `%26`, …) stay.
    """
    bare = _beginning("", forms)
    return _one_by_one(bare, forms, _MAY_BE_SPELLED, alike_one)


def by_any_spelling(urls: pa.Array) -> pa.Array:
    """Return what each URL is found by however it is spelled: `alike` as an identity; null where it has one spelling."""
    nothing = pa.nulls(len(urls), pa.string())
    return _one_by_one(nothing, canonical(urls), _MAY_BE_SPELLED, lambda form: _BY_URL + alike_one(form))


def alike_one(form: str) -> str:
    """Return one canonical URL as `alike` does.

    >>> alike_one("http://example.com./%7esomebody/a%2Fb.jpg")
    'example.com/~somebody/a%2Fb.jpg'
    """
    return _ESCAPE.sub(_unescaped, without_root_dot(form)).partition("://")[2]


def without_root_dot(form: str) -> str:
    """Return a canonical URL whose host does not end with the dot of the DNS's root."""
    return _ROOT_DOT.sub(r"\1\2", form)


def _unescaped(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    plain = "!" <= character <= "~" and character not in _PARTING
    return character if plain else escape[0].upper()


def of_visual_genome(identity: str) -> tuple[str, ...]:
    """Return where an image of Visual Genome's is, in one folder or the other; nothing of another identity.

    Half of these images are known as COCO's, others as Flickr's, so that only their addresses tell Visual Genome's own id.
    """
    kind, _, number = identity.partition(":")
    if kind != "visual_genome":
        return ()
    return tuple(_VISUAL_GENOME.format(folder, number) for folder in _VISUAL_GENOME_FOLDERS)


def handed_on(urls: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return URLs as they may be handed on: less their user information. A column without any comes back as it is."""
    perhaps = pc.match_substring(urls, "@")
    if not pc.any(perhaps).as_py():
        return urls
    values = urls.to_pylist()
    for row in pc.indices_nonzero(pc.fill_null(perhaps, fill_value=False)).to_pylist():
        values[row] = without_credentials(values[row])
    return pa.chunked_array([values], urls.type)


def without_credentials(url: str) -> str:
    """Return a URL as it is, or, where it has user information, as the standard serialises it without.

    What is not an absolute http or https URL is returned as it is: nothing is published of it.
    """
    if "@" not in url:
        return url
    try:
        parts = ada_url.URL(url)
    except ValueError:
        return url
    return (_serialised(url) or url) if parts.username or parts.password else url


def identity(urls: pa.Array) -> pa.Array:
    """Return what each URL says of which image it shows; null where `canonical` is.

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
    forms = canonical(urls)
    result = _beginning(_BY_URL, forms)
    return _one_by_one(result, forms, _KNOWN_HOSTS, _identity_of)


def former_identity(urls: pa.Array) -> pa.Array:
    """Return what an earlier version called the image of each URL, where that is not its `identity`; else null.

    It was the URL without its scheme, for want of a rule, and with its user information. Whoever gives a host a rule, or changes
    what is canonical, adds its URLs here: pictures that were fetched before are then found in the store, and not asked for anew.
    """
    nothing = pa.nulls(len(urls), pa.string())
    strings = urls if urls.type == pa.string() else urls.cast(pa.string())
    return _one_by_one(nothing, strings, _ONCE_BY_URL, _former)


def _former(url: str) -> str | None:
    form = canonical_one(url)
    if form is None:
        return None
    user, at, _ = ada_url.normalize_url(url).split("/")[2].rpartition("@")
    former = f"{_BY_URL}{user}{at}{form.partition('://')[2]}"
    return None if former == _identity_of(form) else former


def is_of(identities: pa.Array, urls: pa.Array) -> np.ndarray:
    """Return which URLs stand in their identity as they are, but for the scheme: such a URL has a canonical form for certain.

    Most do, and bytes are compared in a fraction of the time that a parser, or a pattern, takes to look.

    Args:
        identities: Without nulls.
        urls: Without nulls, as many.
    """
    ours = _behind(identities, np.full(len(urls), len(_BY_URL)))
    has_scheme = pc.or_(pc.starts_with(urls, "http://"), pc.starts_with(urls, "https://"))
    told = pc.and_(pc.starts_with(identities, _BY_URL), has_scheme)
    return np.asarray(pc.and_(told, pc.equal(ours, _bare(urls))).to_numpy(zero_copy_only=False), bool)


def _bare(forms: pa.Array) -> pa.Array:
    """Return the bytes of http and https URLs without the scheme; of null, nothing."""
    widths = pc.if_else(pc.starts_with(forms, "https://"), len("https://"), len("http://"))
    # Bytes may stand where null is: of these nothing is left, since what a cut leaves need not be UTF-8.
    return _behind(forms, pc.fill_null(widths, _EVERYTHING).to_numpy(zero_copy_only=False))


def _beginning(said: str, forms: pa.Array) -> pa.Array:
    """Return canonical URLs with some words in place of the scheme; null where null."""
    word, nothing = (pa.scalar(one, pa.large_binary()) for one in (said.encode(), b""))
    begun = pc.binary_join_element_wise(word, _bare(forms), nothing).cast(pa.string())
    return begun if not forms.null_count else pc.if_else(forms.is_valid(), begun, pa.scalar(None, pa.string()))


def _behind(texts: pa.Array, widths: np.ndarray) -> pa.Array:
    """Return what stands behind so many bytes of each text; nothing of one that has not so many."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    bounds = np.empty(2 * len(texts) + 1, np.int64)
    bounds[::2] = ends
    bounds[1::2] = ends[1:]
    bounds[:-1:2] += np.minimum(widths, np.diff(ends))
    return every_other(data or b"", bounds)


def _one_by_one(result: pa.Array, forms: pa.Array, pattern: str, one: Callable[[str], str | None]) -> pa.Array:
    """Return strings, in place of those whose form matches what is made of the form by itself; few do."""
    some = pc.fill_null(pc.match_substring_regex(forms, pattern), fill_value=False)
    if not pc.any(some).as_py():
        return result
    made = pa.array([one(form) for form in forms.filter(some).to_pylist()], type=pa.string())
    return pc.replace_with_mask(result, some, made)


def identity_one(url: str) -> str | None:
    """Return the identity of one URL as `identity` does."""
    form = canonical_one(url)
    return None if form is None else _identity_of(form)


def host(urls: pa.Array) -> pa.Array:
    """Return each URL's host, lower-case and without user and port (IPv6 in brackets); null where `canonical` is."""
    return hosts(urls).dictionary_decode()


def hosts(urls: pa.Array) -> pa.DictionaryArray:
    """Return `host` of each URL as a dictionary: few hosts have most of any source's URLs."""
    import polars as pl  # late: it takes a tenth of a second, and every command reads this module in

    strings = urls if urls.type == pa.string() else urls.cast(pa.string())
    # What follows the slash changes no host, and fails no URL: it need not be looked at.
    found = pl.Series(pl.from_arrow(strings), dtype=pl.String).str.extract(_HOST_BEFORE_SLASH).to_arrow()
    encoded = found.cast(pa.string()).dictionary_encode()
    sound = pc.and_not(
        pc.match_substring_regex(encoded.dictionary, _PLAIN_HOST), pc.match_substring(encoded.dictionary, "xn--")
    )
    rest = pc.and_(pc.invert(pc.fill_null(sound.take(encoded.indices), fill_value=False)), strings.is_valid())
    if not pc.any(rest).as_py():
        return encoded
    others = _canonical_hosts(strings.filter(rest)).dictionary_encode()
    known = pa.concat_arrays([encoded.dictionary, others.dictionary]).dictionary_encode()
    places = known.indices.to_numpy()
    own = pc.replace_with_mask(
        encoded.indices, rest, pc.add(others.indices, pa.scalar(len(encoded.dictionary), pa.int32()))
    )
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()).take(own), known.dictionary)


def _canonical_hosts(urls: pa.Array) -> pa.Array:
    # What stands between the slashes, looked at once each.
    places = pc.list_element(pc.split_pattern(canonical(urls), "/", max_splits=3), 2).dictionary_encode()
    parts = pc.extract_regex(places.dictionary, r"^(?P<host>\[[^\]]*\]|[^/?:]*)")
    return pc.struct_field(parts, "host").take(places.indices)


def host_of(url: str) -> str | None:
    """Return one URL's host as `host` does."""
    form = canonical_one(url)
    return None if form is None else re.split("[/?]", form.partition("://")[2], maxsplit=1)[0].removesuffix(_port(form))


def _port(form: str) -> str:
    """Return the port of a canonical URL, with its colon; "" where it has none."""
    found = re.match(r"https?://(?:\[[^\]]*\]|[^/?:]*)(:[0-9]+)?", form)
    return (found and found[1]) or ""


def above(host: str) -> list[str]:
    """Return a host and all above it, nearest first; of one that is too long for a name, those above it that are none too long.

    >>> above("img.example.com")
    ['img.example.com', 'example.com', 'com']
    """
    near = host
    if len(host) > _LONGEST_NAME:  # from the dot on that stands next to so many
        near = host[-_LONGEST_NAME - 1 :].partition(".")[2]
    labels = near.split(".") if near else []
    names = [".".join(labels[start:]) for start in range(len(labels))]
    return names if near == host else [host, *names]


@functools.lru_cache(maxsize=65_536)
def registrable_domain(host: str) -> str:
    """Return the domain that someone registered ("farm1.static.flickr.com" → "flickr.com"), by the public suffix list.

    The list is the one that the installed publicsuffixlist ships. A host that has no such domain (an IP address, a
    suffix itself) is returned as it is. The dot of the DNS's root ("flickr.com.") is no part of it.
    """
    host = host.rstrip(".") or host
    if host.startswith("[") or host.replace(".", "").isdigit():
        return host
    near = host if len(host) <= _LONGEST_NAME else next(iter(above(host)[1:]), host)
    return _suffixes("xn--" in near.lower()).privatesuffix(near) or host


def is_suffix(host: str) -> bool:
    """Return whether a host is what a registry registers others' names below: "com", "co.uk".

    Whose names a company gives out ("github.io") is a host of that company's.
    """
    return bool(_registries().publicsuffix(host) == host)


def registrable_domains(hosts: pa.Array) -> pa.Array:
    """Return `registrable_domain` of each host, given each once; "" and null stay.

    Nearly all are told by their last two labels, which are looked up as a column. Of the others the library is asked.
    """
    if len(hosts) <= _FEW_HOSTS:
        return pa.array([host and registrable_domain(host) for host in hosts.to_pylist()], pa.string())
    import polars as pl  # late: it takes a tenth of a second, and every command reads this module in

    ends = _ends()
    column = pl.Series("host", pl.from_arrow(hosts), dtype=pl.String).to_frame()
    found = column.select(two=pl.col("host").str.extract(_LAST_TWO), three=pl.col("host").str.extract(_LAST_THREE))
    two, three = (found[name].to_arrow().cast(pa.string()) for name in ("two", "three"))
    three = pc.coalesce(three, two)
    plain = pc.and_(pc.match_substring_regex(hosts, _PLAIN_HOST), pc.match_substring(hosts, "."))
    asked = pc.or_(pc.invert(plain), pc.match_substring(hosts, "xn--"))
    for end, some in ((two, ends.wild), (three, ends.longer)):
        asked = pc.or_(asked, pc.is_in(end, value_set=some))
    asked = pc.or_(asked, pc.match_substring_regex(hosts, ends.below_wild))
    domains = pc.if_else(pc.is_in(two, value_set=ends.suffixes), three, two)
    if not pc.any(asked).as_py():
        return domains
    others = [registrable_domain(host) if host else "" for host in hosts.filter(asked).to_pylist()]
    return pc.replace_with_mask(domains, asked, pa.array(others, pa.string()))


#: Characters of a host's name (RFC 1035). A URL may have a longer one, of as many labels.
_LONGEST_NAME: Final = 253
#: Hosts that are asked for one by one: to make the rules ready for a column takes longer.
_FEW_HOSTS: Final = 64
#: The last two labels of a host, and three.
_LAST_TWO: Final = r"([^.]+\.[^.]+)$"
_LAST_THREE: Final = r"([^.]+\.[^.]+\.[^.]+)$"


class _Ends(NamedTuple):
    """What the rules of the public suffix list end in.

    Attributes:
        below_wild: RE2 of hosts below the star of a rule like "*.ck".
        wild: What follows the star of rules like "*.kawasaki.jp", and the last two labels of exceptions.
        suffixes: Suffixes of two labels.
        longer: The last three labels of rules of more than two.
    """

    below_wild: str
    wild: pa.Array
    suffixes: pa.Array
    longer: pa.Array


@functools.cache
def _ends() -> _Ends:
    wild, suffixes, longer = set(), set(), set()
    for line in Path(PSLFILE).read_text(encoding="utf-8").splitlines():
        rule = line.lower().split(" ")[0].rstrip()
        labels = rule.lstrip("!").split(".")
        if not rule or rule.startswith("//") or len(labels) < 2:
            continue
        if "*" in labels[-3:]:
            wild.add(".".join(labels[-3:]).rpartition("*.")[2])
        elif rule.startswith("!"):
            wild.add(".".join(labels[-2:]))
        elif len(labels) == 2:
            suffixes.add(rule)
        else:
            longer.add(".".join(labels[-3:]))
    top = sorted(re.escape(label) for label in wild if "." not in label)
    columns = (pa.array(sorted(some), pa.string()) for some in (wild, suffixes, longer))
    return _Ends(rf"\.(?:{'|'.join(top)})$", *columns)


def yfcc_mirror_lists(download_urls: pa.Array, published_hashes: pa.Array | None) -> pa.Array:
    """Return `yfcc_mirrors` of each row, as lists of strings.

    Args:
        download_urls: Without nulls.
        published_hashes: Without nulls; None in the layout of 23 columns.
    """
    rows = len(download_urls)
    digests = keys.hashed(download_urls, _md5)
    ordinary = keys.hexadecimal(digests)
    digits = np.frombuffer(ordinary.buffers()[2], np.uint8).reshape(-1, 32)
    shown = np.ones(digits.shape, np.bool_)
    shown[:, 0::2] = keys.raw(digests) > 0xF
    unpadded = pa.StringArray.from_buffers(rows, pa.py_buffer(_offsets(shown.sum(1))), pa.py_buffer(digits[shown]))
    places = np.arange(2 * rows).reshape(2, -1).T  # of each row both names
    given = np.ones(places.shape, np.bool_)
    given[:, 1] = ~shown.all(1)  # otherwise they are one
    names = pa.concat_arrays([unpadded, ordinary]).take(pa.array(places[given]))
    mirrors = pc.binary_join_element_wise(
        _YFCC_BUCKET, pc.utf8_slice_codeunits(names, 0, 3), pc.utf8_slice_codeunits(names, 3, 6), names, "/"
    )
    lists = pa.ListArray.from_arrays(_offsets(given.sum(1)), pc.binary_join_element_wise(mirrors, ".jpg", ""))
    if published_hashes is None:
        return lists
    published = published_hashes.cast(pa.string())
    others = np.flatnonzero(pc.not_equal(published, unpadded).to_numpy(zero_copy_only=False))
    if not len(others):
        return lists
    arguments = zip(*(column.take(pa.array(others)).to_pylist() for column in (download_urls, published)), strict=True)
    slots = np.arange(rows)
    slots[others] = rows + np.arange(len(others))
    return pa.concat_arrays([lists, pa.array(itertools.starmap(yfcc_mirrors, arguments), lists.type)]).take(
        pa.array(slots)
    )


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def yfcc_mirrors(download_url: str, published_hash: str | None) -> list[str]:
    """Return where the Multimedia Commons bucket may hold a YFCC100M photograph, likeliest first, without repeats.

    A key is named by a hash: the one in the row where it has one, which is md5 of the download URL, each byte printed
    without its leading zero (true of 400 of 400 genuine rows). The package yfcc100m (PyPI) knows no other keys. What
    ordinary hexadecimal gives stands behind.

    Args:
        download_url: The row's download URL, exactly as it stands there.
        published_hash: The row's hash column; None in the layout of 23 columns.
    """
    md5 = _md5(download_url.encode())
    hashes = ["".join(map(_UNPADDED.__getitem__, md5)), md5.hex()]
    published = (published_hash or "").strip().lower()
    if published != hashes[0] and _HEXADECIMAL.fullmatch(published):
        hashes.insert(0, published)
    return [f"{_YFCC_BUCKET}/{name[:3]}/{name[3:6]}/{name}.jpg" for name in dict.fromkeys(hashes)]


def _serialised(url: str) -> str | None:
    """Return an absolute http or https URL as the standard writes it, without user information; None for any other."""
    try:
        href: str = ada_url.normalize_url(url)
    except ValueError:
        return None
    if not href.startswith(("http://", "https://")):
        return None
    if "@" not in href:
        return href
    scheme, _, rest = href.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _is_tracking(parameter: str) -> bool:
    name = parameter.partition("=")[0].lower()
    return name.startswith(_TRACKING_PREFIX) or name in _TRACKING


def _identity_of(form: str) -> str:
    """Return the identity of a canonical URL."""
    rest = form.partition("://")[2]
    address, _, query = rest.partition("?")
    host_name, slash, path = address.partition("/")
    return _named(host_name, slash + path, query) or f"url:{rest}"


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
    return f"url:upload.wikimedia.org{_one_encoding(original)}"


def _one_encoding(path: str) -> str:
    """Return a path with one spelling of its percent-encoding, where that is sure not to change what it names.

    Wikipedia's pages write "(" and "," of a file's name both plain and encoded.
    """
    if "%" not in path or "%2f" in path.lower():
        return path
    decoded = parse.unquote(path)
    return path if "\ufffd" in decoded else parse.quote(decoded, safe="/:@!$&'()*,;=~")


@functools.cache
def _registries() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=True)


@functools.cache
def _suffixes(has_punycode: bool) -> PublicSuffixList:
    # To spell all rules in Punycode too takes most of the time, and only a host that is spelled so asks for one.
    return PublicSuffixList(accept_encoded_idn=has_punycode)
