"""What addresses of the web say, as suppression lists have it: themselves, their hosts, a picture, a page, a person.

By columns, since a ROOT has millions: only pages, which few addresses are, are read one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Set
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.suppression import people, rows
from pmd.suppression.lists import Suppression
from pmd.text import pages, url_identity, urls

#: What may be the address of a page or of a person that is understood (RE2, on canonical URLs); `pages` and `people` decide.
_MAY_BE_A_PAGE: Final = (
    r"^https?://(?:(?:[^/]*\.)?(?:flickr\.com|flic\.kr|reddit\.com|redd\.it|imgur\.(?:com|io)|wik[a-z]+\.org)|(?:www\.)?cocodataset\.org"
    r"|(?:www\.)?visualgenome\.org|(?:www\.)?storage\.googleapis\.com)\.?[/:]"
    rf"|{pages.MAY_HOLD}"
)
_TYPES: Final = {"image": KEY}


class Said(NamedTuple):
    """Things of one kind (of `lists.KINDS`) that addresses say: `values[i]` is said by the address of row `rows[i]`."""

    kind: str
    rows: npt.NDArray[np.int64]
    values: pa.Array


def type_of(kind: str) -> pa.DataType:
    """Return the type of what addresses say of a kind."""
    return _TYPES.get(kind, pa.string())


def said(addresses: pa.Array) -> Iterator[Said]:
    """Yield what a column of addresses says, a kind at a time, some kinds several times. Nothing of what is no address."""
    forms = urls.canonical(addresses)
    there = np.flatnonzero(forms.is_valid().to_numpy(zero_copy_only=False)).astype(np.int64)
    forms = forms.drop_null()
    yield Said("url", there, forms)
    yield Said("url", there, urls.alike(forms))
    yield Said("image", there, keys.image_ids(url_identity.of(forms)))
    yield _hosts(forms, there)
    yield from _pages(addresses, forms, there)


def said_by(address: str) -> list[tuple[str, str | bytes]]:
    """Return what one address says: (kind, value)."""
    form = urls.canonical_one(address)
    if form is None:
        return []
    identity = url_identity.of_one(address)
    return [
        ("url", form),
        ("url", urls.alike_one(form)),
        *(("host", name) for name in people.hosts_of([form])),
        *((("image", keys.image_id(identity)),) if identity is not None else ()),
        *_said_as_page(address),
    ]


def is_named(lists: Suppression, address: str) -> bool:
    """Return whether lists name an address, whatever it is called there: by itself, its host, its picture, its page, a person."""
    return bool(lists) and any(lists.holds(kind, value) for kind, value in said_by(address))


def listed(lists: Suppression, one: Said) -> Set[str | bytes]:
    """Return those of the values that addresses say that lists name; each is looked at once."""
    return lists.among(one.kind, pc.unique(one.values).to_pylist()) if lists.has(one.kind) else frozenset()


def said_among(one: Said, wanted: Set[str | bytes]) -> Iterator[tuple[int, str | bytes]]:
    """Yield row and value of what is said of some values, which may be very many."""
    there = rows.is_among(one.values, wanted)
    yield from zip(one.rows[there].tolist(), one.values.filter(pa.array(there)).to_pylist(), strict=True)


def _hosts(forms: pa.Array, there: npt.NDArray[np.int64]) -> Said:
    """Return the hosts of canonical URLs, with all above them."""
    hosts = urls.hosts(forms)
    names = [[] if name is None else people.above(name) for name in hosts.dictionary.to_pylist()]
    counts = np.array([len(above) for above in names], np.int64)
    of_form = np.asarray(hosts.indices.to_numpy(zero_copy_only=False), np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])[of_form]
    many = counts[of_form]
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    each = pa.array([name for above in names for name in above], pa.string())
    return Said("host", np.repeat(there, many), each.take(pa.array(np.repeat(starts, many) + within)))


def _pages(addresses: pa.Array, forms: pa.Array, there: npt.NDArray[np.int64]) -> Iterator[Said]:
    perhaps = pc.match_substring_regex(forms, _MAY_BE_A_PAGE)
    if not pc.any(perhaps).as_py():
        return
    told: dict[str, list[tuple[int, str | bytes]]] = defaultdict(list)
    # The address as it stands: a viewer's state is behind "#", which a canonical form has not.
    at = there[perhaps.to_numpy(zero_copy_only=False)]
    for row, address in zip(at.tolist(), addresses.take(pa.array(at)).to_pylist(), strict=True):
        for kind, value in _said_as_page(address):
            told[kind].append((row, value))
    for kind, found in told.items():
        values = pa.array([value for _, value in found], type_of(kind))
        yield Said(kind, np.array([row for row, _ in found], np.int64), values)


def _said_as_page(address: str) -> Iterator[tuple[str, str | bytes]]:
    """Yield what an address says as that of a page: its pictures, its posts, a person."""
    page = pages.meant(address)
    if page is not None:
        yield from (("image", keys.image_id(identity)) for identity in page.identities)
        for row in page.rows:  # lists of earlier versions have posts among the rows
            yield from (("row", "/".join(row)), ("post", "/".join(row)))
        yield from (("url", urls.alike_one(one)) for one in page.holds)
        yield from (("host", name) for name in people.hosts_of(page.holds))
    user = people.user(address, ())
    if user is not None:
        yield "user", user
