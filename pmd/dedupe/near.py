"""Near-duplicates: which images match by their perceptual hashes, and which of those that match stays.

Hashes are PDQ's, 256 bits. A match is verified by the distance itself; banded search only proposes. It cuts a hash into
bands: if two hashes differ in at most d bits, and the bands together allow for d + 1 - (number of bands) differing bits,
some band differs in no more than it allows for (the pigeonhole principle). A band that allows for t bits is searched under
2^(t+1) - 1 masks, of which one hides any t bits (`_cover`): rows that agree in all that a mask shows are compared. So no
match is missed. Wider bands propose fewer strangers and need more masks; the number of rows decides. Pagh, CoveringLSH:
Locality-sensitive Hashing without False Negatives, SODA 2016; Norouzi et al., Fast Search in Hamming Space with Multi-Index
Hashing, CVPR 2012.

The masks are searched apart, a share of them by each worker, in one file of all distinct hashes (`pmd.dedupe.packed`). What a
share finds is told as links that connect the rows, not as all pairs: of a picture that ten thousand rows show, ten thousand
links, not fifty million. Rows are told by their numbers. Then each connected component holds an election
(`pmd.dedupe.election`): the rows in order of (pixels descending, image_id), each stays unless it matches one that *stays*. So B
may go because of A, and C, which matches B alone, stays.

Of a hash a share has 32 bytes in the mapped file, which the system keeps once for all workers of a machine, and 13 of its own:
a key of 8 while it is sorted under one mask, and 5 in the forest. What it does with the sorted rows it does a segment at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pmd.codec import SET_BITS
from pmd.forest import Forest, Numbers
from pmd.schema import keys
from pmd.schema.tables import KEY

Words = npt.NDArray[np.uint64]
#: Pairs of rows, by their numbers: shape (n, 2).
Pairs = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


#: Workers that search, each under its share of the masks.
SHARES: Final = 16
_BANDS: Final = range(4, 17)
#: Costs of a row under a mask and of a proposed pair, in ns, fitted to 1M and 3M rows under 4 to 7 bands on one core; they choose
#: the bands. A pair's two hashes are mostly in no cache.
_ROW_NS: Final = 60.0
_PAIR_NS: Final = 200.0

#: Rows that are looked at a time, of those that are in order: some 100 MB of what is made of them.
_SEGMENT: Final = 1 << 20
#: Pairs that are compared at a time: their hashes stay in a core's cache.
_CHUNK: Final = 1 << 15
#: Rows that agree under a mask, from which on they are compared with the first of them before all with all.
_MANY: Final = 16

#: Odd numbers that spread bits upwards when multiplied with (the golden ratio's, SplitMix64's two, degski's).
_SPREAD: Final = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93], dtype=np.uint64
)

#: What is compared: one row an image that is there, wanted, and has not given way already.
HASHED: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("perceptual_hash", pa.binary(32), nullable=False),
        pa.field("width_px", pa.int32(), nullable=False),
        pa.field("height_px", pa.int32(), nullable=False),
        pa.field("whole", pa.bool_(), nullable=False),  # kept as it was fetched, not resized
        pa.field("has_region", pa.bool_(), nullable=False),  # a pair shows a region of it
    ]
)

#: Who gives way to whom.
MATCHES: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("kept_id", KEY, nullable=False),
        pa.field("distance", pa.int32(), nullable=False),
    ]
)


def words(hashes: pa.ChunkedArray | pa.Array) -> Words:
    """Return 32-byte hashes as an array of shape (n, 4), 64 bits each, first bit first."""
    array = hashes.combine_chunks() if isinstance(hashes, pa.ChunkedArray) else hashes
    return keys.raw(array, 32).view(">u8").astype(np.uint64)


def informative(hashes: Words) -> Mask:
    """Return which hashes say enough to be compared (`codec.is_telling`)."""
    bits = np.bitwise_count(hashes).sum(axis=1, dtype=np.int64)
    return np.asarray((bits >= SET_BITS.start) & (bits < SET_BITS.stop))


def distances(one: Words, other: Words) -> Numbers:
    """Return the number of bits in which rows of two arrays of hashes differ."""
    bits = np.bitwise_count(one ^ other)
    return np.asarray(bits[..., 0].astype(np.int64) + bits[..., 1] + bits[..., 2] + bits[..., 3])


# --- search ----------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _cover(width: int, worth: int) -> Words:
    """Return masks of a band's bits, of which one hides any `worth` - 1 of them.

    Each bit has a vector of `worth` numbers modulo 2. A mask is such a vector v ≠ 0, and shows the bits whose vectors are not
    orthogonal to it: about half. `worth` - 1 vectors do not span the space, so some v is orthogonal to all of them. Any
    choice of vectors will do; a bit gets the one by which strangers are told apart best.
    """
    numbers = np.arange(1, 1 << worth, dtype=np.uint64)
    shows = (np.bitwise_count(numbers[:, None] & numbers) & 1).astype(np.uint64)
    masks = np.zeros(len(numbers), np.uint64)
    agreeing = np.ones(len(numbers))  # the share of strangers that agree under each mask
    for bit in range(width):
        best = np.argmax(agreeing @ shows)
        masks |= shows[:, best] << np.uint64(bit)
        agreeing *= np.where(shows[:, best], 0.5, 1)
    return masks


class Bands:
    """How 256 bits are cut for a distance, how many differing bits each band allows for, and under which masks."""

    def __init__(self, count: int, distance: int) -> None:
        self.edges = [256 * band // count for band in range(count + 1)]
        # Allowing for t bits is worth t + 1; all worth d + 1 between them. A band of worth 0 is not searched.
        self.worth = [(distance + 1) // count + (band < (distance + 1) % count) for band in range(count)]
        widths = np.diff(self.edges).tolist()
        self.masks = [
            _cover(width, worth) if worth else np.zeros(0, np.uint64)
            for width, worth in zip(widths, self.worth, strict=True)
        ]

    def values(self, hashes: Words, band: int) -> Words:
        """Return each hash's value of a band."""
        start, stop = self.edges[band], self.edges[band + 1]
        word, offset = divmod(start, 64)
        width = stop - start
        found = hashes[:, word] << np.uint64(offset)
        if offset + width > 64:
            found |= hashes[:, word + 1] >> np.uint64(64 - offset)
        return found >> np.uint64(64 - width)

    def searches(self) -> list[tuple[int, int]]:
        """Return the bands and masks that are searched, as (band, number of the mask), in order."""
        return [(band, mask) for band, masks in enumerate(self.masks) for mask in range(len(masks))]

    def cost(self, rows: int, compared: int) -> float:
        """Return the ns that all searches of some rows take, of which `compared` pairs are strangers."""
        shown = np.bitwise_count(np.concatenate(self.masks)).astype(np.float64)
        return len(shown) * rows * _ROW_NS + float((2.0**-shown).sum()) * compared * _PAIR_NS


@functools.lru_cache(maxsize=256)
def _bands(count: int, distance: int) -> Bands:
    return Bands(count, distance)


def bands_for(rows: int, compared: int, distance: int) -> Bands:
    """Return the bands under which `rows` rows, and `compared` pairs of them, are searched soonest."""
    return min((_bands(count, distance) for count in _BANDS), key=lambda bands: bands.cost(rows, compared))


def ordered(hashes: Words, key: Callable[[Words], Words]) -> Iterator[tuple[Numbers, Mask]]:
    """Order rows by keys; yield them in segments: their numbers, and whether each has the key of the one before it.

    Keys are compared in their upper bits, as many as the rows' numbers leave free: at 10M rows 40. Rows of one key are in one
    segment, in order of their numbers.

    Args:
        hashes: The rows.
        key: Gives the keys of some of them.
    """
    count = len(hashes)
    low = np.uint64((1 << max(count - 1, 1).bit_length()) - 1)
    packed = np.empty(count, np.uint64)
    for start in range(0, count, _SEGMENT):
        some = packed[start : start + _SEGMENT]
        np.bitwise_and(key(hashes[start : start + _SEGMENT]), ~low, out=some)
        some |= np.arange(start, start + len(some), dtype=np.uint64)
    packed.sort()
    start = 0
    while start < count:
        last = packed[min(start + _SEGMENT, count) - 1]
        stop = int(np.searchsorted(packed, last | low, side="right"))
        some = packed[start:stop]
        same = np.zeros(len(some), bool)
        same[1:] = (some[1:] ^ some[:-1]) <= low
        yield (some & low).astype(np.int32 if count < 2**31 else np.int64), same
        start = stop


def _alike(hashes: Words, bands: Bands, band: int, mask: np.uint64) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield, in segments, the rows that agree with others under a mask, and the number of the set in which they do, in order."""
    for rows, same in ordered(hashes, lambda some: (bands.values(some, band) & mask) * _SPREAD[0]):
        among = same.copy()
        among[:-1] |= same[1:]
        at = np.flatnonzero(among)
        yield rows[at], np.cumsum(~same[at])


def _crossed(sets: Numbers, kinds: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the pairs of places that are in one set and of different kinds; both are in order of (set, kind)."""
    count = len(sets)
    if not count:
        return
    apart = sets[1:] != sets[:-1]
    ends = np.r_[np.flatnonzero(apart) + 1, count]
    set_end = np.repeat(ends, np.diff(ends, prepend=0))
    ends = np.r_[np.flatnonzero(apart | (kinds[1:] != kinds[:-1])) + 1, count]
    kind_end = np.repeat(ends, np.diff(ends, prepend=0))
    place = np.flatnonzero(set_end > kind_end)
    start = kind_end[place]
    size = set_end[place] - start
    total = np.cumsum(size)
    low = 0
    while low < len(place):
        before = total[low - 1] if low else 0
        high = max(int(np.searchsorted(total, before + _CHUNK, side="right")), low + 1)
        some = size[low:high]
        number = np.arange(total[high - 1] - before)
        yield (
            np.repeat(place[low:high], some),
            np.repeat(start[low:high] - (total[low:high] - some - before), some) + number,
        )
        low = high


def _matching(
    hashes: Words, distance: int, rows: Numbers, sets: Numbers, kinds: Numbers
) -> Iterator[tuple[Numbers, Numbers]]:
    for i, j in _crossed(sets, kinds):
        one, other = rows[i], rows[j]
        found = np.flatnonzero(distances(hashes.take(one, axis=0), hashes.take(other, axis=0)) <= distance)
        if len(found):
            yield one[found], other[found]


def connect(hashes: Words, distance: int, bands: Bands, searches: list[tuple[int, int]]) -> Forest:
    """Connect the hashes that match, as some of the searches of `bands` find them.

    Pairs that are connected already are not compared again: of a clump, a search compares what the ones before it have left
    apart.
    """
    forest = Forest(len(hashes))
    for band, mask in searches:
        for rows, sets in _alike(hashes, bands, band, bands.masks[band][mask]):
            _connect_first(hashes, distance, rows, sets, forest)
            kinds = _by_component(rows, sets, forest)
            for one, other in _matching(hashes, distance, rows, sets, kinds):
                forest.join(one, other)
    return forest


def _connect_first(hashes: Words, distance: int, rows: Numbers, sets: Numbers, forest: Forest) -> None:
    """Connect what matches the first of its set, in large sets: of a clump that is most of it."""
    starts = np.flatnonzero(np.diff(sets, prepend=-1))
    sizes = np.diff(starts, append=len(sets))
    large = np.flatnonzero(sizes > _MANY)
    if not len(large):
        return
    one = np.repeat(rows[starts[large]], sizes[large])
    other = rows[np.flatnonzero(np.repeat(sizes > _MANY, sizes))]
    apart = np.flatnonzero(forest.roots(one) != forest.roots(other))
    for start in range(0, len(apart), _CHUNK):
        some = apart[start : start + _CHUNK]
        bits = distances(hashes.take(one[some], axis=0), hashes.take(other[some], axis=0))
        found = some[bits <= distance]
        forest.join(one[found], other[found])


def _by_component(rows: Numbers, sets: Numbers, forest: Forest) -> Numbers:
    """Return each row's component; put the rows of a set in order of it, in place, where two have the same."""
    kinds = rows.copy()
    joined = np.flatnonzero(forest.joined[rows])
    kinds[joined] = forest.roots(rows[joined])
    theirs = sets[joined]
    crowded = np.zeros(int(sets[-1]) + 1 if len(sets) else 0, bool)
    crowded[theirs[1:][theirs[1:] == theirs[:-1]]] = True
    at = np.flatnonzero(crowded[sets])
    order = at[np.lexsort((kinds[at], sets[at]))]
    rows[at], kinds[at] = rows[order], kinds[order]
    return kinds


def matches(hashes: Words, known: Words, distance: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield which hashes match which of some others, by their places; a pair may come several times."""
    count = len(hashes)
    if not count or not len(known):
        return
    bands = bands_for(count + len(known), count * len(known), distance)
    both = np.concatenate([hashes, known])
    searches = ((band, mask) for band, masks in enumerate(bands.masks) for mask in masks)
    for rows, sets in (found for band, mask in searches for found in _alike(both, bands, band, mask)):
        for mine, theirs in _matching(both, distance, rows, sets, (rows >= count).astype(np.int64)):
            yield mine, theirs - count


def nearest(hashes: Words, known: Words, distance: int) -> tuple[Numbers, Numbers]:
    """Find for each hash the nearest of some others.

    Returns:
        The place of the nearest (among equals the first), -1 where none is within `distance`; and how far it is.
    """
    count = len(hashes)
    place, far = np.full(count, -1, np.int64), np.full(count, distance + 1, np.int64)
    for mine, theirs in matches(hashes, known, distance):
        bits = distances(hashes[mine], known[theirs])
        order = np.lexsort((theirs, bits, mine))
        order = order[np.diff(mine[order], prepend=-1) != 0]
        i, j, bits = mine[order], theirs[order], bits[order]
        better = (bits < far[i]) | ((bits == far[i]) & (j < place[i]))
        place[i[better]], far[i[better]] = j[better], bits[better]
    return place, far


def equal(hashes: Words) -> Iterator[tuple[Numbers, Mask]]:
    """Yield rows with equal hashes together, in segments, and whether each equals the one before it.

    Others' hashes may part equal ones, where the sums that rows are ordered by agree (in 40 bits, at 10M rows): both sets are
    searched, and connected there.
    """
    for rows, same in ordered(hashes, lambda some: (some * _SPREAD).sum(axis=1)):
        again = np.flatnonzero(same)
        same[again] = distances(hashes.take(rows[again], axis=0), hashes.take(rows[again - 1], axis=0)) == 0
        yield rows, same


# --- links -----------------------------------------------------------------------------------------------------------


def links(hashes: Words, distance: int, number: int) -> Pairs:
    """Return links among hashes that match, as a share of the searches sees it: each but the first of its component, and that.

    All shares together connect two if and only if matches do; sizes are not looked at yet.

    Args:
        hashes: All that are informative, each once.
        distance: The largest at which two hashes match.
        number: One of `SHARES`.
    """
    count = len(hashes)
    bands = bands_for(count, count * (count - 1) // 2, distance)
    searches = bands.searches()
    share = searches[len(searches) * number // SHARES : len(searches) * (number + 1) // SHARES]
    forest = connect(hashes, distance, bands, share)
    joined = np.flatnonzero(forest.joined).astype(np.int32)
    roots = forest.roots(joined)
    found: Pairs = np.stack([joined, roots], axis=1)[joined != roots].astype(np.int32, copy=False)
    return found


# --- what is linked --------------------------------------------------------------------------------------------------


def gathered(rows: Iterable[pa.Table], count: int, linked: Iterable[Pairs]) -> tuple[pa.Table, Numbers]:
    """Return the rows that are linked, as `HASHED`, and the component of each.

    Args:
        rows: All `HASHED` in the order of their numbers, in pieces, of which only those that are linked are kept.
        count: How many they are.
        linked: All links.
    """
    forest = Forest(count)
    for pairs in linked:
        for start in range(0, len(pairs), _SEGMENT):
            some = pairs[start : start + _SEGMENT]
            forest.join(some[:, 0], some[:, 1])
    numbers = np.flatnonzero(forest.joined)
    kept, start = [HASHED.empty_table()], 0
    for piece in rows:
        first, last = np.searchsorted(numbers, [start, start + piece.num_rows])
        kept.append(piece.take(pa.array(numbers[first:last] - start)))
        start += piece.num_rows
    assert start == count
    return pa.concat_tables(kept).combine_chunks(), forest.roots(numbers)
