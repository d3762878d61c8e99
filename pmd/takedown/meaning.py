"""What the words of requests mean, as the pairs of a ROOT are compared with it: all words at once, however many there are.

A user or a host means all images of his or its pairs. An image means all its pairs, whichever source has them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pmd.images import rules as images_rules
from pmd.images import takedowns
from pmd.schema import keys
from pmd.suppression import addresses, people, rows
from pmd.suppression.lists import Suppression
from pmd.takedown import copies
from pmd.takedown.requests import Word
from pmd.text import urls

Mask = npt.NDArray[np.bool_]
_NOTHING: Final = Suppression()

#: What of the pairs is looked at.
_COLUMNS: Final = (
    "pair_id",
    "image_id",
    "source",
    "source_id",
    "image_url",
    "identity",
    "also",
    "mirrors",
    "meta",
)


def _compared(word: Word, by_bytes: Iterable[bytes]) -> Iterator[tuple[str, str | bytes]]:
    """Yield what a pair is held to for a word: (kind of `_VALUES`, value)."""
    yield from ((BY_KEY, image) for image in by_bytes)
    if word.user is not None:
        yield _USER, word.user
    if word.host is not None:
        yield _HOST, word.host
    if word.named is not None:
        one = word.named
        yield from ((BY_KEY, key) for key in (one.key, *one.image_ids) if key is not None)
        yield from ((_URL, urls.alike_one(url)) for url in one.urls)
        yield from ((_ROW, "/".join(row)) for row in one.rows)


def _keys_of(pairs: pa.RecordBatch) -> list[bytes]:
    held = [keys.image_id(identity) for _, page in rows.held(pairs) for identity in page.identities]
    return [*pairs["image_id"].to_pylist(), *pairs["pair_id"].to_pylist(), *held]


def _rows_of(pairs: pa.RecordBatch) -> Iterator[str]:
    for source, source_id in zip(*(pairs[name].to_pylist() for name in ("source", "source_id")), strict=True):
        yield from (f"{source}/{source_id}", takedowns.base_of(f"{source}/{source_id}"))


def _urls_of(pairs: pa.RecordBatch) -> Iterator[str | None]:
    for column in (pairs["image_url"], pairs["mirrors"].flatten()):
        yield from urls.alike(urls.canonical(column)).to_pylist()
    yield from (urls.alike_one(form) for _, page in rows.held(pairs) for form in page.holds)


def _users_of(pairs: pa.RecordBatch) -> Iterator[str | None]:
    """Yield the user of each pair, if it names one."""
    return map(people.of_meta, *(pairs[name].to_pylist() for name in ("source", "meta")))


def _hosts_of(pairs: pa.RecordBatch) -> Iterator[set[str]]:
    """Yield the hosts of each pair."""
    columns = (pairs[name].to_pylist() for name in ("image_url", "mirrors"))
    told = [[url, *(mirrors or ())] for url, mirrors in zip(*columns, strict=True)]
    for row, page in rows.held(pairs):
        told[row] += page.holds
    return map(people.hosts_of, told)


#: What words say: the key of an image or a pair, a row of a source, a URL, a user, a host.
BY_KEY, _ROW, _URL, _USER, _HOST = "key", "row", "url", "user", "host"
#: Kind of what words say → what pairs have of it.
_VALUES: Final[Mapping[str, Callable[[pa.RecordBatch], Iterable[str | bytes | None]]]] = {
    BY_KEY: _keys_of,
    _ROW: _rows_of,
    _URL: _urls_of,
    _USER: _users_of,
    _HOST: lambda pairs: itertools.chain.from_iterable(_hosts_of(pairs)),
}


#: The kinds of suppression lists that addresses say something of → those of `_VALUES`.
KINDS: Final = {"url": _URL, "host": _HOST, "image": BY_KEY, "row": _ROW, "post": _ROW, "user": _USER}


class Meant:
    """What words mean, as pairs are compared with it: with all words at once, however many there are.

    Args:
        words: The words.
        by_bytes: For each word the images that have its bytes, or look so.

    Attributes:
        ids: Keys of images or pairs.
    """

    def __init__(self, words: Sequence[Word], by_bytes: Iterable[frozenset[bytes]]) -> None:
        #: Of the words that were not met yet: kind → value → their numbers.
        self._unmet: dict[str, dict[str | bytes, list[int]]] = {kind: defaultdict(list) for kind in _VALUES}
        for number, (word, found) in enumerate(zip(words, by_bytes, strict=True)):
            for kind, value in _compared(word, found):
                self._unmet[kind][value].append(number)
        self._said = said = {kind: frozenset(values) for kind, values in self._unmet.items()}
        self._is_any = any(said.values())
        self.ids: frozenset[bytes] = frozenset(value for value in said[BY_KEY] if isinstance(value, bytes))
        # The page of a post means its picture; a row that is named as such means that row.
        named = [word.named for word in words if word.named is not None]
        posts = frozenset("/".join(row) for one in named if one.is_picture for row in one.rows)
        forms = frozenset(url for one in named for url in one.urls)
        self._pictures = images_rules.Takedown(ids=self.ids, urls=forms, posts=posts)
        self._alone = images_rules.Takedown(rows=cast(frozenset[str], said[_ROW]) - posts)
        self._users, self._hosts = said[_USER], said[_HOST]

    def __bool__(self) -> bool:
        return self._is_any

    def pictures(self, pairs: pa.RecordBatch) -> Mask:
        """Return the pairs whose pictures are meant."""
        meant: Mask = rows.is_among(pairs["image_id"], self.ids) | self._pictures.pictures(pairs)
        if self._users:
            meant |= np.array([user in self._users for user in _users_of(pairs)], bool)
        if self._hosts:
            meant |= np.array([not self._hosts.isdisjoint(hosts) for hosts in _hosts_of(pairs)], bool)
        return meant

    def alone(self, pairs: pa.RecordBatch) -> Mask:
        """Return the pairs that are meant alone, and not their pictures."""
        alone: Mask = rows.is_among(pairs["pair_id"], self.ids) | self._alone.names(pairs)
        return alone

    def among(self, said: addresses.Said) -> frozenset[str | bytes]:
        """Return what words say of what addresses say."""
        return self._said[KINDS[said.kind]]

    def newly_met(self, found: pa.RecordBatch) -> set[int]:
        """Return the numbers of the words that name any of some pairs, and were not met before."""
        kinds = [kind for kind, values in self._unmet.items() if values]
        return set().union(*(self.newly_said(kind, _VALUES[kind](found)) for kind in kinds))

    def newly_said(self, kind: str, values: Iterable[str | bytes | None]) -> set[int]:
        """Return the numbers of the words that say one of some values of a kind, and were not met before by any of them."""
        unmet = self._unmet[kind]
        return {number for value in {*values} & unmet.keys() for number in unmet.pop(cast(str | bytes, value))}


class Pairs:
    """What words name among the pairs of all sources that are curated.

    Attributes:
        images: Images that are meant, by key, under the identities of their own sources.
        pair_ids: Pairs that are meant alone, and not their images.
        also: (image, another identity of the same photograph), of all pairs that say so.
        meant: What the words mean.
        count: Pairs that words name.
        met: The numbers of the words that name any.
    """

    def __init__(self, root_url: str, meant: Meant, kept_out: Suppression = _NOTHING) -> None:
        self.meant = meant
        self.images: set[bytes] = {*meant.ids}
        self.pair_ids: set[bytes] = set()
        self.also: set[tuple[bytes, bytes]] = set()
        self.count = 0
        self.met: set[int] = set()
        self._kept_out = kept_out
        for batch in copies.batches(root_url, _COLUMNS):
            self._look(batch)

    def _look(self, pairs: pa.RecordBatch) -> None:
        linked = pairs.filter(pairs["also"].is_valid())
        others = map(keys.image_id, linked["also"].to_pylist())
        self.also.update(zip(linked["image_id"].to_pylist(), others, strict=True))
        if self._kept_out:
            found = pairs.filter(pa.array(rows.pictures(self._kept_out, pairs)))
            self.images |= {key for key in rows.images_of(found) if isinstance(key, bytes)}
        if not self.meant:
            return
        meant, alone = self.meant.pictures(pairs), self.meant.alone(pairs)
        self.images.update(pairs["image_id"].filter(pa.array(meant)).to_pylist())
        self.pair_ids.update(pairs["pair_id"].filter(pa.array(alone)).to_pylist())
        found = pairs.filter(pa.array(meant | alone))
        self.count += len(found)
        if len(found):
            self.met |= self.meant.newly_met(found)
