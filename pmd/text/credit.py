"""Credit for a picture: a line that names its licence and leads to the page where its author is named.

The page is found by what the picture is (`pmd.text.url_identity`), and its address holds no user's id or name: Flickr leads
from a photo's number to its page, Wikimedia from a file's name. Other hosts have no such page that an address tells, and their
pictures no line: a page that must be guessed credits nobody.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema import licences

_FLICKR: Final = re.compile(r"flickr:([0-9]+)")
#: A former version of a file (`archive`) has the page of the file; its name begins with the time at which it gave way.
_WIKIMEDIA: Final = re.compile(
    r"url:upload\.wikimedia\.org/(wik[a-z]+)/([a-z-]+)/(?:archive/[0-9a-f]/[0-9a-f]{2}/[0-9]{14}(?:!|%21)|[0-9a-f]/[0-9a-f]{2}/)"
    r"([^/?#]+)"
)
#: What may be a page (RE2): the others never leave Arrow.
_MAY_HAVE_PAGE: Final = r"^flickr:|^url:upload\.wikimedia\.org/"


def page(identity: str) -> str | None:
    """Return the page of a picture's author and licence, or None where its identity tells none.

    >>> page("flickr:4242")
    'https://www.flickr.com/photo.gne?id=4242'
    """
    if photo := _FLICKR.fullmatch(identity):
        return f"https://www.flickr.com/photo.gne?id={photo[1]}"
    if file := _WIKIMEDIA.fullmatch(identity):
        project, language, name = file.groups()
        host = "commons.wikimedia.org" if language == "commons" else f"{language}.{project}.org"
        return f"https://{host}/wiki/File:{name}"
    return None


def pages(identities: pa.Array, also: pa.Array) -> pa.Array:
    """Return `page` of each picture, by its identity or by another one that its source knows of it."""
    return pc.coalesce(_pages(identities), _pages(also))


def lines(stated: pa.Array, identities: pa.Array, also: pa.Array) -> pa.Array:
    """Return the line that credits each picture; null where its licence asks for none, or no page can be named.

    Args:
        stated: Its licence.
        identities: Its identity.
        also: Another one, or null.
    """
    nothing = pa.scalar(None, pa.string())
    asks = asking(stated)
    if not pc.any(asks).as_py():
        return pa.nulls(len(stated), pa.string())
    licensed = stated.dictionary_encode()
    ends = [
        ", under " + " ".join([expression, *(f"({address})" for address in [licences.address(expression)] if address)])
        for expression in licensed.dictionary.to_pylist()
    ]
    ending = pa.array(ends, pa.string()).take(licensed.indices)
    named = pc.if_else(asks, pages(identities, also), nothing)
    return pc.binary_join_element_wise("By the author named at ", named, ending, "")


def asking(stated: pa.Array) -> pa.Array:
    """Return whether each licence asks for credit; of none, false."""
    asks = [one for one in pc.unique(stated).drop_null().to_pylist() if licences.asks_for_credit(one)]
    return pc.is_in(stated, value_set=pa.array(asks, pa.string()))


def _pages(identities: pa.Array) -> pa.Array:
    perhaps = pc.fill_null(pc.match_substring_regex(identities, _MAY_HAVE_PAGE), fill_value=False)
    found = pa.array([page(identity) for identity in identities.filter(perhaps).to_pylist()], pa.string())
    return pc.replace_with_mask(pa.nulls(len(identities), pa.string()), perhaps, found)
