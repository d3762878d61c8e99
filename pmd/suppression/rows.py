"""Which rows of the tables suppression lists name: of pairs, of rejected rows, of what was fetched.

The same rule drops a row when a source is read and when a takedown is applied to what stands, so that both come to the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.books import pictures
from pmd.schema import keys
from pmd.suppression import people
from pmd.suppression.lists import Suppression
from pmd.text import pages, urls

Mask = npt.NDArray[np.bool_]

_ADDRESS: Final = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
_REPEAT: Final = re.compile(r"#[0-9]+$")


def pairs(lists: Suppression, table: pa.Table) -> Mask:
    """Return which `PAIRS` are named: by key, row, image under any identity, user, or one of their URLs and hosts."""
    found = _keyed(lists, table)
    if lists.has("user"):
        columns = (table[name].to_pylist() for name in ("source", "meta"))
        users = [people.of_meta(source, meta) for source, meta in zip(*columns, strict=True)]
        found |= _in(users, lists.among("user", users))
    if lists.has("url") or lists.has("host"):
        columns = (table[name].to_pylist() for name in ("image_url", "mirrors"))
        found |= _addressed(lists, ([url, *(mirrors or ())] for url, mirrors in zip(*columns, strict=True)))
    return found


def rejected(lists: Suppression, table: pa.Table) -> Mask:
    """Return which `REJECTED` rows are named: by key, row or image, or by an address in what they say."""
    found = _keyed(lists, table)
    if lists.has("url") or lists.has("host"):
        found |= _addressed(lists, (_ADDRESS.findall(detail or "") for detail in table["detail"].to_pylist()))
    return found


def fetched(lists: Suppression, table: pa.Table) -> Mask:
    """Return which rows of a ledger, of attempts or of hashes are named: by image or, where they have them, digests or looks."""
    found = _of(lists, "image", table["image_id"])
    for kind, column in (("sha256", "sha256"), ("stored", "stored_digest")):
        if column in table.schema.names:
            found |= _of(lists, kind, table[column])
    if lists.looks and "perceptual_hash" in table.schema.names:
        found |= alike(lists, table["perceptual_hash"].to_pylist())
    return found


def said_by(address: str) -> list[tuple[str, str | bytes]]:
    """Return what an address names, as lists have it: (kind, value). None of what is no address of the web."""
    form = urls.canonical_one(address)
    if form is None:
        return []
    page = pages.meant(address)
    identities = (urls.identity_one(address), *(page.identities if page is not None else ()))
    user = people.user(address, ())
    return [
        ("url", form),
        ("url", urls.alike_one(form)),
        *(("host", name) for name in people.hosts_of([form])),
        *(("image", keys.image_id(identity)) for identity in identities if identity is not None),
        *(("row", "/".join(row)) for row in (page.rows if page is not None else ())),
        *((("user", user),) if user is not None else ()),
    ]


def is_address(lists: Suppression, address: str) -> bool:
    """Return whether an address is named, whatever it is called there: by itself, its host, its picture, its page, a person."""
    return bool(lists) and any(lists.holds(kind, value) for kind, value in said_by(address))


def alike(lists: Suppression, hashes: Iterable[bytes | None]) -> Mask:
    """Return which perceptual hashes are near one that a list keeps."""
    listed = [*hashes]
    found = np.zeros(len(listed), bool)
    there = [place for place, seen in enumerate(listed) if seen is not None]
    if not lists.looks or not there:
        return found
    near, _ = lists.kept_looks.near(pictures.words([seen for seen in listed if seen is not None]))
    found[np.array(there)[near]] = True
    return found


def _keyed(lists: Suppression, table: pa.Table) -> Mask:
    """Return which rows are named by pair_id, by SOURCE/ID (a repeat is meant with it), or by an identity of the image."""
    found = _of(lists, "pair", table["pair_id"]) | _of(lists, "image", table["image_id"])
    if lists.has("row"):
        columns = (table[name].to_pylist() for name in ("source", "source_id"))
        named = [f"{source}/{source_id}" for source, source_id in zip(*columns, strict=True)]
        bare = [_REPEAT.sub("", row) for row in named]
        found |= _in(named, lists.among("row", named)) | _in(bare, lists.among("row", bare))
    if lists.has("image"):
        also = table["also"].to_pylist()
        ids = {other: keys.image_id(other) for other in {*also} if other is not None}
        others = lists.among("image", ids.values())
        found |= np.array([other is not None and ids[other] in others for other in also], bool)
    return found


def _of(lists: Suppression, kind: str, column: pa.ChunkedArray) -> Mask:
    if not lists.has(kind):
        return np.zeros(len(column), bool)
    named = lists.among(kind, pc.unique(column).to_pylist())
    if not named:
        return np.zeros(len(column), bool)
    found = pc.is_in(column, value_set=pa.array(sorted(named), column.type))
    return np.asarray(found.to_numpy(), bool)


def _addressed(lists: Suppression, listed: Iterable[list[str | None]]) -> Mask:
    return np.array([_is_named(lists, addresses) for addresses in listed], bool)


def _is_named(lists: Suppression, addresses: list[str | None]) -> bool:
    there = [address for address in addresses if address]
    if lists.has("host") and any(lists.holds("host", name) for name in people.hosts_of(there)):
        return True
    canonical = map(urls.canonical_one, there) if lists.has("url") else ()
    forms = {spelled for form in canonical if form is not None for spelled in (form, urls.alike_one(form))}
    return any(lists.holds("url", form) for form in forms)


def _in(values: list[str | None] | list[str], named: set[str | bytes]) -> Mask:
    return np.array([value in named for value in values], bool)
