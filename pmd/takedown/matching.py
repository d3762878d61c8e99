"""What requests name in a ROOT: images under every identity that sources know of them, with their digests and duplicates.

A user or a host means all images of his or its pairs. An image means all its pairs, whichever source has them. What has
the same bytes, looks alike, or stands in the same group of duplicates, is the same picture and goes with it; but not what
shares the bytes of a host's placeholder: these are strangers. A placeholder is told by how many images have its bytes, whether
or not dedupe is asked to look for such. The list keeps which bytes were found so: with each takedown fewer images have them, and
when nine were left, the next request took the pictures of eight strangers along.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec, flow
from pmd.books import pictures, redirects
from pmd.dedupe import rules as dedupe_rules
from pmd.fetch.ledger import state
from pmd.images import names, takedowns
from pmd.images import rules as images_rules
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import KEY
from pmd.store import commits, parquet_files, register, root, storage
from pmd.store.register import Register
from pmd.suppression import addresses, lists, people, rows
from pmd.suppression.lists import Suppression
from pmd.takedown.requests import Request, Word, read_word, values_of
from pmd.terminal import bar
from pmd.text import urls

Mask = npt.NDArray[np.bool_]
T = TypeVar("T")
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
#: What tells the addresses of pairs.
_ADDRESSED: Final = ("image_id", "image_url", "mirrors", "also")
_OF_LEDGER: Final = ("image_id", "sha256", "stored_digest", "perceptual_hash")
#: Images from which on bytes that they share are taken for a placeholder's, as `repeated_bytes` of `recommended` has it. The
#: other profiles look for none, and a request for one picture would take all strangers' with it.
_MANY: Final = 10
_Row = Mapping[str, bytes | None]


@dataclasses.dataclass
class Matched:
    """What is to be taken down, as a suppression list takes it (`lists.List.with_values`), and what it was found by.

    Attributes:
        values: Kind → values.
        looks: Perceptual hashes that may be kept.
        pairs: Pairs that requests name by themselves, or by their images.
        unmatched: Numbers of the requests that name no pair that stands here.
        in_part: Of requests that name some, by number: what names none.
        again: Those of the unmatched that lists named already: they were carried out before.
        shared: SHA-256 of placeholders that are had of these images → how many others have the bytes too, and stay.
    """

    values: dict[str, set[str | bytes]] = dataclasses.field(default_factory=lambda: defaultdict(set))
    looks: set[bytes] = dataclasses.field(default_factory=set)
    pairs: int = 0
    unmatched: tuple[int, ...] = ()
    in_part: Mapping[int, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    again: tuple[int, ...] = ()
    shared: Mapping[bytes, int] = dataclasses.field(default_factory=dict)

    @property
    def images(self) -> set[bytes]:
        """The images, by key."""
        return {value for value in self.values["image"] if isinstance(value, bytes)}

    @property
    def shared_in_hex(self) -> dict[str, int]:
        """`shared`, as it is told."""
        return {digest.hex(): count for digest, count in self.shared.items()}


def resolve(
    root_url: str,
    requests: Sequence[Request],
    sources: Iterable[str],
    standing: Suppression,
    kept_out: Suppression | None = None,
) -> Matched:
    """Find what requests name in a ROOT, and which images have pictures that lists name by their bytes already.

    Args:
        root_url: ROOT.
        requests: What was asked for.
        sources: The names of the configured sources.
        standing: The lists that hold.
        kept_out: What sources have kept of rows that these keep out (`pmd.suppression.kept_out.standing`).
    """
    known_sources = [*sources]
    asked = [(read_word(said, known_sources), request) for request in requests for said in request.said]
    known = register.current(root_url)
    words = [word for word, _ in asked]
    matched = Matched()
    # Whatever a ROOT knows: later rows and later builds are meant, too.
    for kind, said in values_of(words).items():
        matched.values[kind] |= said
    by_bytes = _by_bytes(known, words)
    agreed = [request.keeps_looks for _, request in asked]
    kept = kept_out or _NOTHING
    held = Suppression((*standing.lists, *kept.lists))
    pairs = _Pairs(root_url, _Meant(words, by_bytes), kept)
    theirs = _Meant(_where(words, agreed), _where(by_bytes, agreed))
    (led, met_by_led), (of_theirs, _) = _led_to(known, [(pairs.meant, held), (theirs, _NOTHING)])
    also = pairs.also | takedowns.rejected_links(root_url, root.curated_sources(root_url))
    # Of an image that a source knows under another identity the pairs have that one.
    linked = pairs.meant.newly_said(_KEY, (image for link in also for image in link))
    images = pairs.images | {*_fetched_of(known, standing, kept)} | led
    images |= {image for link in also for image in link if kept.holds("image", image)}
    nobodys = _Nobodys(root_url, known, standing)
    images = _spread(nobodys, images, also)
    images, spelled = _at_their_addresses(nobodys, images, also)
    # Last, and no further: of a row that is named as such the picture itself is not meant, nor what has its addresses.
    images |= _left_alone(root_url, pairs.pair_ids, images)
    matched.pairs = pairs.count
    met_by = pairs.met | met_by_led | linked
    met = {request.number for number, (_, request) in enumerate(asked) if number in met_by}
    matched.unmatched = tuple(sorted({request.number for request in requests} - met))
    held_whole = _held_whole(standing, asked)
    matched.again = tuple(number for number in matched.unmatched if number in held_whole)
    matched.in_part = _in_part([(request.number, word.said) for word, request in asked], met_by, met)
    matched.values["image"] |= images
    matched.values["url"] |= spelled
    # Pairs of these images, too: a sheet, or a list of what has left, knows a pair by nothing but its id.
    matched.values["pair"] |= pairs.pair_ids | _pairs_of(root_url, images)
    own, matched.shared = _without_shared(nobodys, images)
    matched.values[lists.SHARED] |= {*matched.shared}
    for kind, digest in (("sha256", "sha256"), ("stored", "stored_digest")):
        matched.values[kind] |= {value for row in own if (value := row[digest]) is not None}
    if any(agreed):
        mine = _Pairs(root_url, theirs).images | of_theirs
        seen = {row["perceptual_hash"] for row in own if row["image_id"] in mine}
        seen |= {word.named.pdq for word in _where(words, agreed) if word.named is not None}
        matched.looks |= {look for look in seen if look is not None and codec.is_telling(look)}
    return matched


def _held_whole(lists: Suppression, asked: Iterable[tuple[Word, Request]]) -> set[int]:
    """Return the numbers of the requests of which lists name all words; of looks, which stand in few lists, nothing is known."""
    held: dict[int, bool] = {}
    for word, request in asked:
        said = [(kind, value) for kind, values in values_of([word]).items() for value in values]
        if said:
            is_held = any(lists.holds(kind, value) for kind, value in said)
            held[request.number] = held.get(request.number, True) and is_held
    return {number for number, is_whole in held.items() if is_whole}


def _in_part(
    said: Sequence[tuple[int, str]], met_by: Collection[int], met: Collection[int]
) -> dict[int, tuple[str, ...]]:
    """Return what names nothing of the requests that name something: number → as it was said.

    Args:
        said: The number of its request and the word, of all words.
        met_by: The places of the words that name something.
        met: The numbers of the requests that do.
    """
    things: list[list[int]] = []  # the places of words that are one thing: a picture file waits as its digests
    for place, (number, word) in enumerate(said):
        before = said[things[-1][0]] if things else (0, "")
        if before[0] == number and before[1].startswith("sha256:") and word.startswith(("pdq:", "xxh3:")):
            things[-1].append(place)
        else:
            things.append([place])
    found: dict[int, list[str]] = defaultdict(list)
    for thing in things:
        number, word = said[thing[0]]
        if number in met and not any(place in met_by for place in thing):
            found[number].append(word)
    return {number: tuple(words) for number, words in found.items()}


def _where(things: Sequence[T], which: Iterable[bool]) -> list[T]:
    return [*itertools.compress(things, which)]


def _by_bytes(known: Register, words: Sequence[Word]) -> list[frozenset[bytes]]:
    """Return for each word the images that have the bytes that it names, or look so, by the ledger."""
    named = [word.named for word in words if word.named is not None]
    found = iter(names.with_bytes(known, named))
    return [frozenset() if word.named is None else frozenset(next(found)) for word in words]


def _fetched_of(known: Register, standing: Suppression, kept_out: Suppression) -> Iterator[bytes]:
    """Yield the images whose pictures lists name by their bytes or looks, and those that sources have kept out by their keys."""
    by_bytes = standing.has("sha256") or standing.has("stored") or standing.looks
    held = Suppression((*(standing.lists if by_bytes else ()), *kept_out.lists))
    for table in _ledgers(known) if held else ():
        found = rows.fetched(held, table)
        yield from table["image_id"].filter(pa.array(found)).to_pylist()


def _led_to(known: Register, asked: Sequence[tuple[_Meant, Suppression]]) -> list[tuple[set[bytes], set[int]]]:
    """Return for words and lists the images whose address has led to one that they name, and the numbers of these words.

    Upstream may have a picture at the address of a shortener, or of a page that moved: its owner knows it where it lies. All that
    is asked is asked of one pass.
    """
    found: list[tuple[set[bytes], set[int]]] = [(set(), set()) for _ in asked]
    if not any(meant or held for meant, held in asked):
        return found
    for batch in redirects.led(known):
        for said in addresses.said(batch["address"]):
            for (meant, held), (images, met) in zip(asked, found, strict=True):
                for wanted in (meant.among(said), addresses.listed(held, said)):
                    for row, value in addresses.said_among(said, wanted):
                        images.add(batch["image_id"][row].as_py())
                        met.update(meant.newly_said(_KINDS[said.kind], [value]))
    return found


def _compared(word: Word, by_bytes: Iterable[bytes]) -> Iterator[tuple[str, str | bytes]]:
    """Yield what a pair is held to for a word: (kind of `_VALUES`, value)."""
    yield from ((_KEY, image) for image in by_bytes)
    if word.user is not None:
        yield _USER, word.user
    if word.host is not None:
        yield _HOST, word.host
    if word.named is not None:
        one = word.named
        yield from ((_KEY, key) for key in (one.key, *one.image_ids) if key is not None)
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


_KEY, _ROW, _URL, _USER, _HOST = "key", "row", "url", "user", "host"
#: Kind of what words say → what pairs have of it.
_VALUES: Final[Mapping[str, Callable[[pa.RecordBatch], Iterable[str | bytes | None]]]] = {
    _KEY: _keys_of,
    _ROW: _rows_of,
    _URL: _urls_of,
    _USER: _users_of,
    _HOST: lambda pairs: itertools.chain.from_iterable(_hosts_of(pairs)),
}


#: The kinds of suppression lists that addresses say something of → those of `_VALUES`.
_KINDS: Final = {"url": _URL, "host": _HOST, "image": _KEY, "row": _ROW, "post": _ROW, "user": _USER}


class _Meant:
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
        self.ids: frozenset[bytes] = frozenset(value for value in said[_KEY] if isinstance(value, bytes))
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
        return self._said[_KINDS[said.kind]]

    def newly_met(self, found: pa.RecordBatch) -> set[int]:
        """Return the numbers of the words that name any of some pairs, and were not met before."""
        kinds = [kind for kind, values in self._unmet.items() if values]
        return set().union(*(self.newly_said(kind, _VALUES[kind](found)) for kind in kinds))

    def newly_said(self, kind: str, values: Iterable[str | bytes | None]) -> set[int]:
        """Return the numbers of the words that say one of some values of a kind, and were not met before by any of them."""
        unmet = self._unmet[kind]
        return {number for value in {*values} & unmet.keys() for number in unmet.pop(cast(str | bytes, value))}


class _Pairs:
    """What words name among the pairs of all sources that are curated.

    Attributes:
        images: Images that are meant, by key, under the identities of their own sources.
        pair_ids: Pairs that are meant alone, and not their images.
        also: (image, another identity of the same photograph), of all pairs that say so.
        meant: What the words mean.
        count: Pairs that words name.
        met: The numbers of the words that name any.
    """

    def __init__(self, root_url: str, meant: _Meant, kept_out: Suppression = _NOTHING) -> None:
        self.meant = meant
        self.images: set[bytes] = {*meant.ids}
        self.pair_ids: set[bytes] = set()
        self.also: set[tuple[bytes, bytes]] = set()
        self.count = 0
        self.met: set[int] = set()
        self._kept_out = kept_out
        for batch in batches(root_url):
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


def batches(root_url: str, columns: Sequence[str] = _COLUMNS) -> Iterator[pa.RecordBatch]:
    """Yield the pairs of all sources that are curated, configured or not."""
    for source in root.curated_sources(root_url):
        folder = root.curate_folder(root_url, source)
        for file in commits.require(folder, f"run: {flow.CURATE.command}").under("pairs"):
            yield from parquet_files.iterate(storage.join(folder, file.name), columns)


@dataclasses.dataclass(frozen=True)
class _Nobodys:
    """Tells which pictures are nobody's.

    Attributes:
        root_url: ROOT.
        known: What stands of its fetch.
        lists: Those that hold, by which it was found of some before images were taken down.
    """

    root_url: str
    known: Register
    lists: Suppression

    def shared(self, rows_of: Iterable[_Row]) -> dict[bytes, set[bytes]]:
        """Return of the SHA-256 of rows of the ledger those of pictures that are nobody's → the images that have them."""
        told, digests = _placeholders(self.root_url, self.known), _digests(rows_of, "sha256", ())
        told |= {digest for digest in digests if self.lists.holds(lists.SHARED, digest)}
        having = pictures.named(self.known, sha256s=digests)
        found = {digest: having.get(digest, set()) for digest in digests}
        return {digest: images for digest, images in found.items() if digest in told or len(images) >= _MANY}


def _spread(nobodys: _Nobodys, images: set[bytes], also: set[tuple[bytes, bytes]]) -> set[bytes]:
    """Return images with all that are the same picture."""
    root_url, known = nobodys.root_url, nobodys.known
    found = {*images_rules.reached(frozenset(images), also)}
    rows_of = _ledger_rows(known, found)
    shared = nobodys.shared(rows_of)
    digests = {name: _digests(rows_of, name, shared) for name in ("sha256", "stored_digest", "perceptual_hash")}
    found |= pictures.having(
        known,
        sha256s=digests["sha256"],
        stored=digests["stored_digest"],
        hashes={look for look in digests["perceptual_hash"] if codec.is_telling(look)},
    )
    found |= _alike(root_url, found - {row["image_id"] for row in rows_of if row["sha256"] in shared})
    return {*images_rules.reached(frozenset(found), also)}


def _digests(rows_of: Iterable[_Row], name: str, shared: Collection[bytes]) -> set[bytes]:
    """Return what rows of the ledger have in a column, but for those whose picture is nobody's."""
    return {value for row in rows_of if (value := row[name]) is not None and row["sha256"] not in shared}


def _without_shared(nobodys: _Nobodys, images: set[bytes]) -> tuple[list[_Row], dict[bytes, int]]:
    """Return the rows of images but for those whose picture is nobody's, and of these SHA-256 → how many others have it."""
    rows_of = _ledger_rows(nobodys.known, images)
    shared = nobodys.shared(rows_of)
    left = {digest: len(others) for digest, having in shared.items() if (others := having - images)}
    return [row for row in rows_of if row["sha256"] not in left], left


def _at_their_addresses(
    nobodys: _Nobodys, images: set[bytes], also: set[tuple[bytes, bytes]]
) -> tuple[set[bytes], set[str | bytes]]:
    """Return images with all that stand at one of their addresses, and how these addresses are spelled."""
    root_url = nobodys.root_url
    spelled: set[str | bytes] = set()
    while images:
        told: set[str | bytes] = set()
        ids: set[str | bytes] = set()
        for pairs in batches(root_url, _ADDRESSED):
            found = pairs.filter(keys.are_among(pairs["image_id"], images))
            if len(found):
                of_these = rows.known_by(found)
                told |= of_these["url"]
                ids |= of_these["image"]
        there = images | {key for key in ids if isinstance(key, bytes)}
        if told > spelled:
            spelled = told
            at_these = images_rules.Takedown(urls=frozenset(f"http://{address}" for address in map(str, told)))
            for pairs in batches(root_url, _ADDRESSED):
                there.update(pairs["image_id"].filter(pa.array(at_these.pictures(pairs))).to_pylist())
        if there == images:
            break
        images = _spread(nobodys, there, also)
    return images, spelled


def _alike(root_url: str, images: set[bytes]) -> set[bytes]:
    """Return all images of the groups that some are of."""
    heads = {*images}  # an image without a row may stand for others
    for group in _groups(root_url, dedupe_rules.MERGED):
        heads.update(group["stands_id"].filter(keys.are_among(group["image_id"], images)).to_pylist())
    found: set[bytes] = set()
    for group in _groups(root_url, dedupe_rules.MERGED):
        theirs = group.filter(keys.are_among(group["stands_id"], heads))
        found.update(*(theirs[name].to_pylist() for name in ("image_id", "stands_id")))
    return found


def _groups(root_url: str, relations: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the groups of some relations, a file at a time."""
    if commits.read(root.dedupe_folder(root_url)) is not None:
        for found in dedupe_rules.each_groups(root_url):
            yield found.filter(pc.is_in(found["relation"], value_set=pa.array(relations)))


def _placeholders(root_url: str, known: Register) -> set[bytes]:
    """Return the SHA-256 of pictures that many images share, and that are therefore nobody's."""
    ids: set[bytes] = set()
    for group in _groups(root_url, [dedupe_rules.REPEATED_BYTES]):
        ids.update(group["image_id"].to_pylist())
    found: set[bytes] = set()
    for table in _ledgers(known) if ids else ():
        theirs = table["sha256"].filter(keys.are_among(table["image_id"], ids))
        found.update(pc.unique(theirs).drop_null().to_pylist())
    return found


def _pairs_of(root_url: str, images: set[bytes]) -> set[bytes]:
    """Return the ids of all pairs of some images."""
    if not images:
        return set()
    found = (
        batch["pair_id"].filter(keys.are_among(batch["image_id"], images)).to_pylist()
        for batch in batches(root_url, ("pair_id", "image_id"))
    )
    return set().union(*found)


def _left_alone(root_url: str, pair_ids: set[bytes], images: set[bytes]) -> set[bytes]:
    """Return the images all of whose pairs are taken down: nobody names them any more."""
    if not pair_ids:
        return set()
    there: Counter[bytes] = Counter()
    gone: Counter[bytes] = Counter()
    for batch in batches(root_url, ("pair_id", "image_id")):
        out = keys.are_among(batch["pair_id"], pair_ids)
        gone.update(batch["image_id"].filter(out).to_pylist())
    mine = {*gone} - images
    for batch in batches(root_url, ("image_id",)):
        there.update(batch["image_id"].filter(keys.are_among(batch["image_id"], mine)).to_pylist())
    return {image for image in mine if there[image] == gone[image]}


def _ledgers(known: Register) -> Iterator[pa.Table]:
    """Yield the rows of every generation, what stands and what does not."""
    for generation in known.every():
        for table in state.ledgers(generation.folder, generation):
            yield table.select(list(_OF_LEDGER))


def _ledger_rows(known: Register, images: set[bytes]) -> list[_Row]:
    """Return what every generation has of some images; hashes that were computed later with those of their own."""
    if not images:
        return []
    found = [
        row for table in _ledgers(known) for row in table.filter(keys.are_among(table["image_id"], images)).to_pylist()
    ]
    later: dict[bytes, bytes] = {}
    for generation in known.every():
        for table in state.read_hashes(generation.folder, generation):
            mine = table.filter(keys.are_among(table["image_id"], images))
            later |= dict(zip(mine["image_id"].to_pylist(), mine["perceptual_hash"].to_pylist(), strict=True))
    return [row | {"perceptual_hash": row["perceptual_hash"] or later.get(row["image_id"])} for row in found]


#: Bits of 256 at which a picture is listed for a person to look at: twice what is taken for the same.
NEAR: Final = 2 * pictures.MATCH
#: More bits than a hash has: of a picture of which nobody knows how it looks.
_UNKNOWN: Final = 257


@dataclasses.dataclass(frozen=True)
class Near:
    """An image that may show the same.

    Attributes:
        image_id: Its key.
        identity: Its identity, where the images know it.
        location: Where it was had.
        bits: In which its perceptual hash differs; None: it has none.
        is_same: Whether it has the same bytes.
        is_turned: Whether it is so near only to the picture mirrored, or turned by a quarter or a half.
    """

    image_id: bytes
    identity: str | None
    location: str | None
    bits: int | None
    is_same: bool
    is_turned: bool = False

    def describe(self) -> dict[str, Any]:
        """Return it as `--json` tells it."""
        return {**dataclasses.asdict(self), "image_id": self.image_id.hex()}


@dataclasses.dataclass(frozen=True)
class Search:
    """What a picture was looked for among, and what was found.

    Attributes:
        near: The images that may show the same, nearest first.
        by_bytes: Stored pictures whose bytes were compared: all of them.
        by_looks: Those of them whose looks were compared, too.
        without_hash: Those whose looks nobody knows.
        can_look: Whether the picture has looks that tell it from others: none of one colour has.
    """

    near: list[Near]
    by_bytes: int
    by_looks: int
    without_hash: int
    can_look: bool

    def describe(self) -> dict[str, Any]:
        """Return it as `--json` tells it."""
        return {**dataclasses.asdict(self), "near": [near.describe() for near in self.near]}

    def says(self) -> str:
        """Return in words what was looked through, and what was not."""
        said = [
            f"looked through: by their bytes all {bar.amount(self.by_bytes, 'stored pictures')}, "
            f"by their looks {self.by_looks:,} of them",
            "not looked through: pictures that are not in the store",
        ]
        if not self.can_look:
            said.append(
                "by looks nothing can be found: the picture cannot be decoded, or has nothing in it that tells it apart"
            )
        elif self.without_hash:
            said.append(
                f"{bar.amount(self.without_hash, 'stored pictures')} {'has' if self.without_hash == 1 else 'have'} no perceptual "
                "hash: copies among them that were scaled or saved anew are not found. To have them hashed, without purging "
                "anything: the same command with --hash"
            )
        return "\n".join(said)


def find(root_url: str, content: bytes) -> Search:
    """Return the images that are near a picture, and what was looked through.

    Those that are near it mirrored or turned are listed too. To a perceptual hash these are other pictures, and no stage takes
    them for the same, but copies are made so.

    Args:
        root_url: ROOT.
        content: The picture's bytes.
    """
    named = names.picture(content)
    ways = [] if named.pdq is None else [named.pdq, *_turned(content)]
    known = register.current(root_url)
    found: dict[bytes, Near] = {}
    stored = unknown = 0
    for shard in known.shards:
        ledger = state.standing(known.of(shard))
        ledger = ledger.filter(pc.equal(ledger["status"], OK))
        stored += ledger.num_rows
        unknown += int(ledger["perceptual_hash"].null_count)
        far = _bits_apart(ledger["perceptual_hash"], ways)
        same = rows.is_in(ledger["sha256"], pa.array([named.sha256], ledger["sha256"].type))
        same |= rows.is_in(ledger["stored_digest"], pa.array([named.stored], KEY))
        places = np.flatnonzero(same | (far.min(axis=1) <= NEAR))
        for place, row in zip(places, ledger.select(["image_id", "location"]).take(places).to_pylist(), strict=True):
            nearest = int(far[place].min())
            bits = nearest if nearest < _UNKNOWN else None
            found[row["image_id"]] = Near(
                **row, identity=None, bits=bits, is_same=bool(same[place]), is_turned=bool(far[place, 0] > nearest)
            )
    identities = _identities(root_url, found)
    listed = [dataclasses.replace(near, identity=identities.get(key)) for key, near in found.items()]
    order = sorted(listed, key=lambda near: (not near.is_same, NEAR if near.bits is None else near.bits, near.image_id))
    can_look = named.pdq is not None
    return Search(order, stored, stored - unknown if can_look else 0, unknown, can_look)


def _bits_apart(hashes: pa.ChunkedArray, ways: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Return in how many bits each of some hashes (rows) differs from each of others (columns, one at least)."""
    far = np.full((len(hashes), max(len(ways), 1)), _UNKNOWN)
    there = hashes.is_valid().to_numpy()
    words = pictures.words(hashes.drop_null().to_pylist())
    for column, way in enumerate(ways):
        far[there, column] = pictures.distances(words, way)
    return far


def _turned(content: bytes) -> list[bytes]:
    """Return the perceptual hashes of a picture mirrored and turned, in all seven ways."""
    from PIL import Image

    picture = codec.upright_rgb(content)
    return [codec.perceptual_hash(picture.transpose(how)) for how in Image.Transpose]


def _identities(root_url: str, images: Mapping[bytes, object]) -> dict[bytes, str]:
    """Return the identities of some images."""
    found: dict[bytes, str] = {}
    for batch in batches(root_url, ("image_id", "identity")) if images else ():
        mine = batch.filter(keys.are_among(batch["image_id"], images.keys()))
        found |= dict(zip(mine["image_id"].to_pylist(), mine["identity"].to_pylist(), strict=True))
    return found
