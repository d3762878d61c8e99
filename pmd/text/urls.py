"""URLs: the canonical form of one, its other spellings, and its host.

*Canonical* is the WHATWG URL standard's serialisation (ada), of http and https only, less user information, the fragment,
the tracking parameters and an empty query. Scheme, the query's order and percent-encoding stay as the standard leaves
them. It is idempotent.

*User information* (``user:password@``) says who asks, not which picture: we ask without it, so the URL with it and the
one without it are the same image, and somebody's password is no part of a key, a takedown's match or a published list.

Which image a URL shows: `pmd.text.url_identity`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import ada_url
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.formats.lines import every_other

#: More bytes than a text has.
_EVERYTHING: Final = 2**31

#: Parameters that say where a visitor came from, and never which image is meant: Google Analytics' campaign parameters
#: (Analytics help, "URL builders"), Google Ads' click id (Ads help, "GCLID") and Facebook's. No others: `ref`,
#: `source`, `v` and the like choose content somewhere.
_TRACKING_PREFIX: Final = "utm_"
_TRACKING: Final = frozenset({"gclid", "fbclid"})
_MAY_TRACK: Final = re.compile("utm_|gclid|fbclid", re.IGNORECASE)

#: URLs that are canonical as they stand (RE2), most of any source's, which need no parser: a host of plain labels whose last
#: one cannot begin an IPv4 address, no port, and only characters that the standard escapes nowhere. What
#: `_PERHAPS_NOT` finds in one of them may still change: Punycode is checked, dot segments go, tracking parameters go.
_CANONICAL: Final = r"^https?://(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*(?:\?[A-Za-z0-9._~!$&()*+,;=:@/?%-]+)?$"
_PERHAPS_NOT: Final = r"(?i)xn--|/(?:\.|%2e)|utm_|gclid|fbclid"

#: A host that is canonical as it stands, but for Punycode: its last label cannot be of an IPv4 address (RE2).
PLAIN_HOST: Final = r"^(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*$"
#: What may be such a host.
_HOST_BEFORE_SLASH: Final = r"^https?://([a-z0-9._-]+)/"

#: The root of the DNS behind a host ("example.com."): another spelling of the same name.
_ROOT_DOT: Final = re.compile(r"^(https?://[^/]*[^/.])\.+((?::[0-9]+)?/)")
#: Canonical URLs that may have other spellings (RE2).
MAY_BE_SPELLED: Final = r"%|^https?://[^/]*\.(?::[0-9]+)?/"
_ESCAPE: Final = re.compile("%([0-9A-Fa-f]{2})")
#: Characters that part a URL, which mean another thing where they are escaped; "+" is a blank in many a query.
_PARTING: Final = frozenset("/?#%&=+;")


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
    bare = with_beginning("", forms)
    return one_by_one(bare, forms, MAY_BE_SPELLED, alike_one)


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
        pc.match_substring_regex(encoded.dictionary, PLAIN_HOST), pc.match_substring(encoded.dictionary, "xn--")
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


def with_beginning(said: str, forms: pa.Array) -> pa.Array:
    """Return canonical URLs with some words in place of the scheme; null where null."""
    word, nothing = (pa.scalar(one, pa.large_binary()) for one in (said.encode(), b""))
    begun = pc.binary_join_element_wise(word, without_scheme(forms), nothing).cast(pa.string())
    return begun if not forms.null_count else pc.if_else(forms.is_valid(), begun, pa.scalar(None, pa.string()))


def without_scheme(forms: pa.Array) -> pa.Array:
    """Return the bytes of http and https URLs without the scheme; of null, nothing."""
    widths = pc.if_else(pc.starts_with(forms, "https://"), len("https://"), len("http://"))
    # Bytes may stand where null is: of these nothing is left, since what a cut leaves need not be UTF-8.
    return behind(forms, pc.fill_null(widths, _EVERYTHING).to_numpy(zero_copy_only=False))


def behind(texts: pa.Array, widths: np.ndarray) -> pa.Array:
    """Return what stands behind so many bytes of each text; nothing of one that has not so many."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    bounds = np.empty(2 * len(texts) + 1, np.int64)
    bounds[::2] = ends
    bounds[1::2] = ends[1:]
    bounds[:-1:2] += np.minimum(widths, np.diff(ends))
    return every_other(data or b"", bounds)


def one_by_one(result: pa.Array, forms: pa.Array, pattern: str, one: Callable[[str], str | None]) -> pa.Array:
    """Return strings, in place of those whose form matches what is made of the form by itself; few do."""
    some = pc.fill_null(pc.match_substring_regex(forms, pattern), fill_value=False)
    if not pc.any(some).as_py():
        return result
    made = pa.array([one(form) for form in forms.filter(some).to_pylist()], type=pa.string())
    return pc.replace_with_mask(result, some, made)


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
