"""Users and hosts: how sources name them, and how people do.

A user is one on the site where he has his account, whichever source says so: YFCC100M and SBU Captions both name Flickr's.
A host means itself and all below it: `example.com` is also `img.example.com`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib import parse

import orjson

from pmd import manifests
from pmd.text import domain_names, urls

#: Sites whose pages of people are understood.
_FLICKR_SITE: Final = "flickr"
_REDDIT_SITE: Final = "reddit"
#: What upstream writes where there is no user, or none any more: RedCaps "None", Reddit words in brackets.
NOBODY: Final = frozenset({"", "None", "[deleted]", "[removed]"})

#: Forms of a user or host, as errors, the command line's help and the docs have them.
FORMS: Final = (
    "user:SOURCE/ID, a person's page on Flickr (flickr.com/people/ID or flickr.com/photos/ID, with the id that has an @), "
    "a redditor's page (reddit.com/user/NAME) or u/NAME; host:example.com, with all hosts below it"
)

_USER: Final = re.compile(r"user:([A-Za-z][A-Za-z0-9_]*)/(\S+)")
#: A host alone: neither an address, of which only a part may be meant, nor a port.
_HOST: Final = re.compile(r"host:([^\s/:@?#\\%\[\]]+)")
_REDDITOR: Final = re.compile(r"/?u(?:ser)?/([A-Za-z0-9_-]{2,20})/?")
_NSID: Final = "[0-9]+@[Nn][0-9]{2}"
_FLICKR: Final = re.compile(rf"/(?:people|photos)/({_NSID})/?")
#: A redditor's name as people write it before a source's, which has none of that.
_CALLED: Final = re.compile("/?u(?:ser)?/")
_HOST_NAME: Final = re.compile(r"(?:[a-z0-9_-]+\.)*[a-z0-9_-]+")


def fields() -> Mapping[str, str]:
    """Return source → the field of upstream that names who a picture is of, of sources whose manifests say so."""
    named = {source: manifest.recorded.user for source, manifest in manifests.load_all().items()}
    return {source: field for source, field in named.items() if field is not None}


def user_key(source: str, user: str) -> str | None:
    """Return a user as suppression lists have him: SITE/ID; None where nobody is named.

    >>> user_key("yfcc100m", "8125449@N03"), user_key("red_caps", "SomeOne")
    ('flickr/8125449@N03', 'reddit/someone')
    """
    return _on_site(manifests.recorded(source).site or source, user)


def _on_site(site: str, user: str) -> str | None:
    if user in NOBODY:
        return None
    name = parse.unquote_plus(user)
    if site == _REDDIT_SITE:
        name = _CALLED.sub("", name, count=1).lower()
    elif site == _FLICKR_SITE and re.fullmatch(_NSID, name):
        name = name.upper()
    return f"{site}/{name}"


def of_meta(source: str, meta: str) -> str | None:
    """Return the user whom upstream's fields of a pair name."""
    said = manifests.recorded(source)
    return None if said.user is None else _on_site(said.site or source, str(orjson.loads(meta).get(said.user) or ""))


def in_fields(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the users that an object may name, of whatever source it is."""
    for source, field in fields().items():
        key = user_key(source, str(given[field] or "")) if field in given else None
        if key is not None:
            yield key


def user(said: str, sources: Collection[str]) -> str | None:
    """Return the user whom words name, as `user_key`; None where they name none."""
    named = _USER.fullmatch(said)
    if named is not None:
        return user_key(named[1], named[2]) if named[1] in sources or named[1] in fields() else None
    redditor = _REDDITOR.fullmatch(said)
    if redditor is not None:
        return _on_site(_REDDIT_SITE, redditor[1])
    try:
        parts = parse.urlsplit(said if "://" in said else f"https://{said}")
    except ValueError:  # brackets that hold no address
        return None
    host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    path = parse.unquote(parts.path)
    if host == "flickr.com" or host.endswith(".flickr.com"):
        page = _FLICKR.fullmatch(path)
        return None if page is None else _on_site(_FLICKR_SITE, page[1])
    if host == "reddit.com" or host.endswith(".reddit.com"):
        page = _REDDITOR.fullmatch(path)
        return None if page is None else _on_site(_REDDIT_SITE, page[1])
    return None


def source_of(said: str) -> str | None:
    """Return the source whose user words name ("user:SOURCE/ID"); None where they are of another form."""
    named = _USER.fullmatch(said)
    return None if named is None else named[1]


def host(said: str) -> str | None:
    """Return the host that words name ("host:example.com"); None where they name none."""
    named = _HOST.fullmatch(said)
    if named is None:
        return None
    name = (urls.host_of(f"http://{named[1]}/") or "").rstrip(".")
    return name if _HOST_NAME.fullmatch(name) else None


def above(name: str) -> list[str]:
    """Return a host and all above it, but for the last label alone.

    >>> above("img.example.com")
    ['img.example.com', 'example.com']
    """
    names = domain_names.above(name.rstrip("."))
    return names[:-1] or names


def hosts_of(addresses: Iterable[str | None]) -> set[str]:
    """Return the hosts of URLs, with all above them."""
    names = {urls.host_of(address) for address in addresses if address}
    return {name for found in names if found for name in above(found)}
