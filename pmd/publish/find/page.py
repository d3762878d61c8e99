"""The page: its template, its scripts, and what it has to know of these lists, in one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

import orjson

from pmd.audit.report.style import CSS
from pmd.config.options import CardOptions
from pmd.escape import html as escape
from pmd.publish import census
from pmd.publish.census import Listed
from pmd.publish.find import index
from pmd.schema import licences
from pmd.store import commits

#: The scripts, in the order in which they stand in the page.
SCRIPTS: Final = ("hashes.js", "addresses.js", "page.js")
_ADDRESS: Final = re.compile(r"(?:mailto:)?([^@\s:/]+@[^@\s:/]+\.[^@\s:/]+)")


def html(options: CardOptions, listed: Sequence[Listed], bits: int) -> bytes:
    """Return find.html.

    Args:
        options: What the card says: title, version, whom to write to.
        listed: The lists.
        bits: How the index is cut.
    """
    found = _ADDRESS.fullmatch(options.contact or "")
    address = found[1] if found else None
    known: dict[str, Any] = {
        "title": options.title,
        "version": options.version,
        "contact": options.contact,
        "address": address,
        "bits": bits,
        "digest": commits.options_hash([index.FORMAT, census.digest_of(listed)]),
        "skip": bits // 8,
        "digits": index.digits(bits),
        "name_bytes": index.NAME_BYTES,
        "sources": {item.name: item.title for item in listed if item.rows},
        "licences": _licences(listed),
    }
    # As JSON that is no markup: a page ends a script at "</script", whatever stands around it.
    told = orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode().replace("<", "\\u003c")
    scripts = "\n".join([f"const LISTS = {told};", *map(read, SCRIPTS)])
    page = read("page.html")
    whom = escape(address or options.contact or "whoever gave you these lists, or publishes them")
    for mark, value in (("TITLE", escape(options.title)), ("CSS", CSS), ("WHOM", whom), ("SCRIPT", scripts)):
        page = page.replace(f"/*{mark}*/", value)
    return page.encode()


def read(name: str) -> str:
    """Return a file that stands beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _licences(listed: Sequence[Listed]) -> dict[str, str]:
    """Return the licences of images that can be read somewhere, with their addresses."""
    stated = {licence for item in listed for licence in item.image_licences}
    found = {licence: licences.address(licence) for licence in sorted(stated)}
    return {licence: address for licence, address in found.items() if address}
