"""What requests name in a ROOT: images under every identity that sources know of them, with their digests and duplicates.

What words mean is told by `pmd.takedown.meaning`, and what is the same picture by `pmd.takedown.copies`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import pyarrow as pa

from pmd import codec
from pmd.books import redirects
from pmd.images import names, takedowns
from pmd.store import register, root
from pmd.store.register import Register
from pmd.suppression import addresses, lists, rows
from pmd.suppression.lists import Suppression
from pmd.takedown import copies, meaning
from pmd.takedown.meaning import Meant, Pairs
from pmd.takedown.requests import Request, Word, read_word, values_of

T = TypeVar("T")
_NOTHING: Final = Suppression()


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
    known, kept = register.current(root_url), kept_out or _NOTHING
    words = [word for word, _ in asked]
    by_bytes = _by_bytes(known, words)
    pairs = Pairs(root_url, Meant(words, by_bytes), kept)
    agreed = [request.keeps_looks for _, request in asked]
    theirs = Meant(_where(words, agreed), _where(by_bytes, agreed))
    held = Suppression((*standing.lists, *kept.lists))
    (led, met_by_led), (led_to_theirs, _) = _led_to(known, [(pairs.meant, held), (theirs, _NOTHING)])
    begun = pairs.images | led | {*_fetched_of(known, standing, kept)}
    nobodys = copies.Nobodys(root_url, known, standing)
    images, spelled, linked = _the_same(nobodys, pairs, begun, kept)
    matched = Matched(pairs=pairs.count)
    _tell_met(matched, requests, asked, pairs.met | met_by_led | linked, standing)
    # Whatever a ROOT knows: later rows and later builds are meant, too.
    for kind, said in values_of(words).items():
        matched.values[kind] |= said
    matched.values["image"] |= images
    matched.values["url"] |= spelled
    # Pairs of these images, too: a sheet, or a list of what has left, knows a pair by nothing but its id.
    matched.values["pair"] |= pairs.pair_ids | copies.pairs_of(root_url, images)
    own, matched.shared = copies.without_shared(nobodys, images)
    matched.values[lists.SHARED] |= {*matched.shared}
    for kind, digest in (("sha256", "sha256"), ("stored", "stored_digest")):
        matched.values[kind] |= {value for row in own if (value := row[digest]) is not None}
    if any(agreed):
        mine = Pairs(root_url, theirs).images | led_to_theirs
        matched.looks = _looks(_where(words, agreed), (row for row in own if row["image_id"] in mine))
    return matched


def _the_same(
    nobodys: copies.Nobodys, pairs: Pairs, begun: set[bytes], kept: Suppression
) -> tuple[set[bytes], set[str | bytes], set[int]]:
    """Return images with all that are the same picture or stand at one of their addresses.

    Args:
        nobodys: Tells which pictures of ROOT are nobody's.
        pairs: What words name among pairs.
        begun: The images.
        kept: What sources have kept of rows that are kept out.

    Returns:
        The images, how their addresses are spelled, and the places of the words that are met only now: of an image that a source
        knows under another identity the pairs have that one.
    """
    root_url = nobodys.root_url
    also = pairs.also | takedowns.rejected_links(root_url, root.curated_sources(root_url))
    linked = pairs.meant.newly_said(meaning.BY_KEY, (image for link in also for image in link))
    begun = begun | {image for link in also for image in link if kept.holds("image", image)}
    images, spelled = copies.at_their_addresses(nobodys, copies.spread(nobodys, begun, also), also)
    # Last, and no further: of a row that is named as such the picture itself is not meant, nor what has its addresses.
    return images | copies.left_alone(root_url, pairs.pair_ids, images), spelled, linked


def _tell_met(
    matched: Matched,
    requests: Sequence[Request],
    asked: Sequence[tuple[Word, Request]],
    met_by: Collection[int],
    standing: Suppression,
) -> None:
    """Tell which requests name nothing here, or in part.

    Args:
        matched: Is told.
        requests: All of them.
        asked: Every word, and the request that has it.
        met_by: The places of the words that name something.
        standing: The lists that hold.
    """
    met = {request.number for place, (_, request) in enumerate(asked) if place in met_by}
    matched.unmatched = tuple(sorted({request.number for request in requests} - met))
    held_whole = _held_whole(standing, asked)
    matched.again = tuple(number for number in matched.unmatched if number in held_whole)
    matched.in_part = _in_part([(request.number, word.said) for word, request in asked], met_by, met)


def _held_whole(standing: Suppression, asked: Iterable[tuple[Word, Request]]) -> set[int]:
    """Return the numbers of the requests of which lists name all words; of looks, which stand in few lists, nothing is known."""
    held: dict[int, bool] = {}
    for word, request in asked:
        said = [(kind, value) for kind, values in values_of([word]).items() for value in values]
        if said:
            is_held = any(standing.holds(kind, value) for kind, value in said)
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


def _looks(words: Iterable[Word], own: Iterable[copies.Row]) -> set[bytes]:
    """Return the perceptual hashes that may be kept, of pictures and of words; none that strangers' pictures have, too."""
    seen = {row["perceptual_hash"] for row in own} | {word.named.pdq for word in words if word.named is not None}
    return {look for look in seen if look is not None and codec.is_telling(look)}


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
    for table in copies.ledgers(known) if held else ():
        found = rows.fetched(held, table)
        yield from table["image_id"].filter(pa.array(found)).to_pylist()


def _led_to(known: Register, asked: Sequence[tuple[Meant, Suppression]]) -> list[tuple[set[bytes], set[int]]]:
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
                        met.update(meant.newly_said(meaning.KINDS[said.kind], [value]))
    return found
