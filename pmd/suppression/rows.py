"""Which rows of the tables suppression lists name: of pairs, of rejected rows, of what was fetched.

The same rule drops a row when a source is read and when a takedown is applied to what stands, so that both come to the same.
Whatever is asked of a list is asked of columns: each distinct value once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.books import pictures as hashes_of
from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.suppression import people
from pmd.suppression.lists import Suppression
from pmd.text import pages, url_identity, urls

Mask = npt.NDArray[np.bool_]

_ADDRESS: Final = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
#: How a row of a source ends that repeats another, behind that one's id.
REPEAT: Final = r"#[0-9]+$"


def pairs(lists: Suppression, table: pa.Table | pa.RecordBatch) -> Mask:
    """Return which `PAIRS` are named: by key, by row, or by their pictures."""
    return _is_named(lists, "pair", table["pair_id"]) | _by_row(lists, "row", table) | pictures(lists, table)


def pictures(lists: Suppression, table: pa.Table | pa.RecordBatch) -> Mask:
    """Return which `PAIRS` are named by their pictures: by image under any identity, post, user, or one of their URLs and hosts.

    A row that is named as such, or a pair, leaves alone: others may show its picture.
    """
    found = by_image(lists, table) | _by_row(lists, "post", table)
    if lists.has("user"):
        columns = (table[name].to_pylist() for name in ("source", "meta"))
        users = [people.of_meta(source, meta) for source, meta in zip(*columns, strict=True)]
        named = lists.among("user", users)
        found |= np.array([user in named for user in users], bool)
    if lists.has("url") or lists.has("host"):
        found |= _is_address(lists, _whole(table["image_url"]))
        mirrors = _whole(table["mirrors"])
        found[pc.list_parent_indices(mirrors).to_numpy()[_is_address(lists, mirrors.flatten())]] = True
    if any(map(lists.has, ("image", "url", "host"))):
        found[[row for row, page in held(table) if _holds_one(lists, page)]] = True
    return found


def held(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[int, pages.Page]]:
    """Yield which `PAIRS` have an address that holds another, or shows a copy of what lies elsewhere, and what it says."""
    yield from pages.held(_whole(table["image_url"]))
    mirrors = _whole(table["mirrors"])
    parents = pc.list_parent_indices(mirrors)
    yield from ((parents[row].as_py(), page) for row, page in pages.held(mirrors.flatten()))


def _holds_one(lists: Suppression, page: pages.Page) -> bool:
    """Return whether lists name what stands in an address: the picture, its address, or its host."""
    return (
        any(lists.holds("image", keys.image_id(identity)) for identity in page.identities)
        or any(lists.holds("url", urls.alike_one(form)) for form in page.holds)
        or any(lists.holds("host", name) for name in people.hosts_of(page.holds))
    )


def rejected(lists: Suppression, table: pa.Table | pa.RecordBatch) -> Mask:
    """Return which `REJECTED` rows are named: by key, row or image, or by an address in what they say."""
    found = _is_named(lists, "pair", table["pair_id"]) | _by_row(lists, "row", table) | _by_row(lists, "post", table)
    found |= by_image(lists, table)
    if lists.has("url") or lists.has("host"):
        said = [(row, _ADDRESS.findall(detail or "")) for row, detail in enumerate(table["detail"].to_pylist())]
        parents = np.array([row for row, listed in said for _ in listed], np.int64)
        told = pa.array([address for _, listed in said for address in listed], pa.string())
        found[parents[_is_address(lists, told)]] = True
    return found


def by_image(lists: Suppression, table: pa.Table | pa.RecordBatch) -> Mask:
    """Return which pairs or rejected rows are named by their image, under any identity."""
    found = _is_named(lists, "image", table["image_id"])
    if lists.has("image"):
        others = _whole(table["also"])
        named = lists.among("image", map(keys.image_id, pc.unique(others).drop_null().to_pylist()))
        if named:
            found |= is_in(keys.image_ids(others), pa.array(sorted(named), KEY))
    return found


def known_by(table: pa.Table | pa.RecordBatch) -> dict[str, set[str | bytes]]:
    """Return what the pictures of `PAIRS` are known by, as lists take it (`List.with_values`): kind → values.

    These are the keys of their images under every identity, their own and those of their addresses; and of addresses that no
    rule but their spelling tells the one spelling that stands for all (`urls.alike`).
    """
    told = pa.concat_arrays([_whole(table["image_url"]), _whole(table["mirrors"]).flatten()])
    forms = urls.canonical(pc.unique(told)).drop_null()
    identities = url_identity.of(forms)
    spelled = urls.alike(forms).filter(pc.starts_with(identities, url_identity.BY_URL))
    of_addresses = map(keys.image_id, pc.unique(identities).to_pylist())
    return {"image": images_of(table).union(of_addresses), "url": {*spelled.to_pylist()}}


def images_of(table: pa.Table | pa.RecordBatch) -> set[str | bytes]:
    """Return the keys of the images of pairs or rejected rows, under every identity that these say."""
    own = {key for key in pc.unique(table["image_id"]).to_pylist() if key is not None}
    return own.union(map(keys.image_id, pc.unique(table["also"]).drop_null().to_pylist()))


def fetched(lists: Suppression, table: pa.Table) -> Mask:
    """Return which rows of a ledger, of attempts or of hashes are named: by image or, where they have them, digests or looks."""
    found = _is_named(lists, "image", table["image_id"])
    for kind, column in (("sha256", "sha256"), ("stored", "stored_digest")):
        if column in table.schema.names:
            found |= _is_named(lists, kind, table[column])
    if lists.looks and "perceptual_hash" in table.schema.names:
        found |= alike(lists, table["perceptual_hash"].to_pylist())
    return found


def alike(lists: Suppression, hashes: Iterable[bytes | None]) -> Mask:
    """Return which perceptual hashes are near one that a list keeps."""
    listed = [*hashes]
    found = np.zeros(len(listed), bool)
    there = [place for place, seen in enumerate(listed) if seen is not None]
    if not lists.looks or not there:
        return found
    found[there] = lists.kept_looks.are_near(hashes_of.words([seen for seen in listed if seen is not None]))
    return found


def _by_row(lists: Suppression, kind: str, table: pa.Table | pa.RecordBatch) -> Mask:
    """Return which rows are named by SOURCE/ID; a repeat is meant with it."""
    if not lists.has(kind):
        return np.zeros(len(table), bool)
    own, repeated = named_as(table)
    return _is_named(lists, kind, own) | _is_named(lists, kind, repeated)


def named_as(table: pa.Table | pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
    """Return rows as SOURCE/ID, and the rows that they repeat, which those that repeat none are themselves."""
    own = pc.binary_join_element_wise(_whole(table["source"]), _whole(table["source_id"]), "/")
    return own, pc.replace_substring_regex(own, REPEAT, "")


def _is_named(lists: Suppression, kind: str, column: pa.Array | pa.ChunkedArray) -> Mask:
    named = lists.among(kind, pc.unique(column).to_pylist()) if lists.has(kind) else ()
    return is_in(column, pa.array(sorted(named), column.type)) if named else np.zeros(len(column), bool)


def _is_address(lists: Suppression, column: pa.Array) -> Mask:
    """Return which URLs are named, by themselves or by their hosts."""
    found = np.zeros(len(column), bool)
    if lists.has("host"):
        hosts = urls.hosts(column)
        named = np.array([_is_host(lists, name) for name in hosts.dictionary.to_pylist()], bool)
        there = np.flatnonzero(hosts.indices.is_valid().to_numpy(zero_copy_only=False))
        found[there] = named[hosts.indices.drop_null().to_numpy()]
    if lists.has("url"):
        forms = urls.canonical(column)
        found |= _is_named(lists, "url", forms) | _is_named(lists, "url", urls.alike(forms))
    return found


def _is_host(lists: Suppression, name: str | None) -> bool:
    return name is not None and any(lists.holds("host", above) for above in people.above(name))


def is_in(column: pa.Array | pa.ChunkedArray, wanted: pa.Array) -> Mask:
    """Return which values are among some."""
    return np.asarray(_whole(pc.is_in(column, value_set=wanted)).to_numpy(zero_copy_only=False), bool)


def is_among(column: pa.Array | pa.ChunkedArray, known: Set[Any]) -> Mask:
    """Return which values are among some, which may be very many (`keys.are_among`)."""
    return np.asarray(_whole(keys.are_among(column, known)).to_numpy(zero_copy_only=False), bool)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
