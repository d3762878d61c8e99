"""Near-duplicates: which images match by their perceptual hashes, and which of those that match stays.

Hashes are PDQ's, 256 bits. A match is verified by the distance itself; banded search only proposes. It cuts a hash into
bands and looks up, in each, the values that differ in few bits: if two hashes differ in at most d bits, and the bands
together allow for d + 1 - (number of bands) differing bits, some band differs in no more than it allows for (the
pigeonhole principle), so no match is missed. Wider bands propose fewer strangers and cost more look-ups; the number of
rows decides. Norouzi et al., Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012.

Bands are searched apart, each by a worker of its own. What a band finds is told as links that connect the rows, not as
all pairs: of a picture that ten thousand rows show, ten thousand links, not fifty million. Then each connected component
holds an election: the rows in order of (pixels descending, image_id), each stays unless it matches one that *stays*. So
B may go because of A, and C, which matches B alone, stays.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema.tables import KEY

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Largest distance that is searched for, and the default: PDQ's own "confident match"
#: (facebook/ThreatExchange, python-threatexchange/threatexchange/signal_type/pdq: PDQ_CONFIDENT_MATCH_THRESHOLD = 31).
MOST_DISTANCE: Final = 31

#: A hash says which of 256 coefficients lie above their median: 128, unless many are equal, as in a flat picture (none
#: is set) or one of a few lines. 159 photographs of COCO have 128, all of them. Hashes with fewer set bits, or
#: more, match strangers; they are left alone.
LEAST_SET_BITS: Final = 120
MOST_SET_BITS: Final = 136

#: Largest difference of aspect ratios at which two images are one: a region's box is in fractions of its image.
_ASPECT_PERCENT: Final = 1

#: Workers that search bands; rows few enough that 16 bands of 16 bits are best have work for all of them.
UNITS: Final = 16
_BANDS: Final = (16, 12, 11)
#: Costs of a look-up and of a proposed pair, in ns, measured at 1M rows on one core; they choose the bands.
_LOOKUP_NS: Final = 18.0
_PAIR_NS: Final = 45.0

#: Pairs that are compared at a time (some 200 MB of scratch), and found ones that are kept before they are folded.
_CHUNK: Final = 1 << 21
_FOLD: Final = 1 << 22

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

#: Rows that match others, with the one by which a band connects them.
LINKS: Final = pa.schema([*HASHED, pa.field("link", KEY, nullable=False)])

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
    if not len(array):
        return np.zeros((0, 4), np.uint64)
    raw = np.frombuffer(array.buffers()[1], dtype=">u8", count=4 * (array.offset + len(array)))
    return raw.reshape(-1, 4)[array.offset :].astype(np.uint64)


def informative(hashes: Words) -> Mask:
    """Return which hashes say enough to be compared."""
    bits = np.bitwise_count(hashes).sum(axis=1, dtype=np.int64)
    return np.asarray((bits >= LEAST_SET_BITS) & (bits <= MOST_SET_BITS))


def distances(one: Words, other: Words) -> Numbers:
    """Return the number of bits in which rows of two arrays of hashes differ."""
    return np.asarray(np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64))


# --- search ----------------------------------------------------------------------------------------------------------


class Bands:
    """How 256 bits are cut for a distance, and how many differing bits each band allows for."""

    def __init__(self, count: int, distance: int) -> None:
        self.edges = [256 * band // count for band in range(count + 1)]
        # Allowing for t bits is worth t + 1; all worth d + 1 between them. A band of worth 0 is not searched.
        self.worth = [(distance + 1) // count + (band < (distance + 1) % count) for band in range(count)]

    def width(self, band: int) -> int:
        """Return the bits of a band."""
        return self.edges[band + 1] - self.edges[band]

    def masks(self, band: int) -> list[int]:
        """Return the differences that are looked up, 0 first."""
        width = self.width(band)
        return [
            sum(1 << bit for bit in bits)
            for size in range(self.worth[band])
            for bits in itertools.combinations(range(width), size)
        ]

    def values(self, hashes: Words, band: int) -> Numbers:
        """Return each hash's value of a band."""
        start, stop = self.edges[band], self.edges[band + 1]
        word, offset = divmod(start, 64)
        width = stop - start
        found = hashes[:, word] << np.uint64(offset)
        if offset + width > 64:
            found = found | (hashes[:, word + 1] >> np.uint64(64 - offset))
        return (found >> np.uint64(64 - width)).astype(np.int64)

    def elsewhere(self, band: int) -> tuple[int, int]:
        """Return two words of the hash that the band is not in: they tell strangers best."""
        first, last = self.edges[band] // 64, (self.edges[band + 1] - 1) // 64
        one, two, *_ = [word for word in range(4) if word not in {first, last}]
        return one, two


@functools.lru_cache(maxsize=64)
def bands_for(left: int, right: int, distance: int) -> Bands:
    """Return the bands that find the pairs of `left` rows with `right` others soonest."""

    def cost(bands: Bands) -> float:
        lookups, proposed = 0.0, 0.0
        for band in range(len(bands.worth)):
            probes = len(bands.masks(band))
            lookups += probes * left
            proposed += probes * left * right / 2 ** bands.width(band)
        return lookups * _LOOKUP_NS + proposed * _PAIR_NS

    return min((Bands(count, distance) for count in _BANDS), key=cost)


class _Index:
    """Rows in order of a band's values, and where each value starts."""

    def __init__(self, hashes: Words, bands: Bands, band: int) -> None:
        values = bands.values(hashes, band)
        self.order = np.argsort(values, kind="stable")
        self.hashes = hashes[self.order]
        values = values[self.order]
        starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else np.zeros(0, np.int64)
        self.values = values[starts]
        self.starts = starts
        self.counts = np.diff(np.r_[starts, len(values)])

        self._width = bands.width(band)

    @functools.cached_property
    def _slots(self) -> npt.NDArray[np.int32]:
        slots = np.full(1 << self._width, -1, np.int32)
        slots[self.values] = np.arange(len(self.values), dtype=np.int32)
        return slots

    def find(self, values: Numbers) -> Numbers:
        """Return the place of each value in `values`, -1 where it is not there."""
        if len(self.values) << 5 > 1 << self._width:
            return self._slots[values].astype(np.int64)
        place = np.searchsorted(self.values, values)
        place[place == len(self.values)] = 0
        return np.where(self.values[place] == values, place, -1) if len(self.values) else np.full(len(values), -1)


def _near(a: _Index, b: _Index, at_a: Numbers, at_b: Numbers, distance: int, first: tuple[int, int]) -> Mask:
    """Return which proposed pairs match; two words decide most of it."""
    one, two = first
    bits = np.bitwise_count(a.hashes[at_a, one] ^ b.hashes[at_b, one])
    bits += np.bitwise_count(a.hashes[at_a, two] ^ b.hashes[at_b, two])
    found = bits <= distance
    likely = np.flatnonzero(found)
    found[likely] = distances(a.hashes[at_a[likely]], b.hashes[at_b[likely]]) <= distance
    return np.asarray(found)


def _crossed(a: _Index, b: _Index, left: Numbers, right: Numbers, *, same: bool) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the pairs of the rows of some values of `a` with those of values of `b`, a chunk at a time."""
    if not len(left):
        return
    sizes = a.counts[left] * b.counts[right]
    starts = np.flatnonzero(np.r_[True, np.diff(np.cumsum(sizes) // _CHUNK) > 0])
    for start, stop in zip(starts, [*starts[1:], len(sizes)], strict=True):
        size = sizes[start:stop]
        some_left, some_right = left[start:stop], right[start:stop]
        total = int(size.sum())
        if total == len(size):
            yield a.starts[some_left], b.starts[some_right]
            continue
        ends = np.cumsum(size)
        for low in range(0, total, _CHUNK):
            number = np.arange(low, min(low + _CHUNK, total))
            which = np.searchsorted(ends, number, side="right")
            number -= (ends - size)[which]
            width = b.counts[some_right][which]
            at_a = a.starts[some_left][which] + number // width
            at_b = b.starts[some_right][which] + number % width
            if same:
                once = at_a < at_b
                at_a, at_b = at_a[once], at_b[once]
            yield at_a, at_b


def pairs(hashes: Words, distance: int, bands: Bands, band: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the matches among hashes that one band finds: every match is found by some band, each pair once a band."""
    index = _Index(hashes, bands, band)
    first = bands.elsewhere(band)
    every = np.arange(len(index.values))
    for mask in bands.masks(band):
        if mask == 0:
            many = every[index.counts > 1]
            proposed = _crossed(index, index, many, many, same=True)
        else:
            top = 1 << (mask.bit_length() - 1)
            left = every[(index.values & top) == 0]
            right = index.find(index.values[left] ^ mask)
            there = right >= 0
            proposed = _crossed(index, index, left[there], right[there], same=False)
        for at_a, at_b in proposed:
            found = _near(index, index, at_a, at_b, distance, first)
            if found.any():
                yield index.order[at_a[found]], index.order[at_b[found]]


def nearest(hashes: Words, known: Words, distance: int) -> tuple[Numbers, Numbers]:
    """Find for each hash the nearest of some others.

    Returns:
        The place of the nearest (among equals the first), -1 where none is within `distance`; and how far it is.
    """
    place, far = np.full(len(hashes), -1, np.int64), np.full(len(hashes), distance + 1, np.int64)
    if not len(hashes) or not len(known):
        return place, far
    bands = bands_for(len(hashes), len(known), distance)
    for band, worth in enumerate(bands.worth):
        if not worth:
            continue
        a, b = _Index(hashes, bands, band), _Index(known, bands, band)
        for mask in bands.masks(band):
            right = b.find(a.values ^ mask)
            there = np.flatnonzero(right >= 0)
            for at_a, at_b in _crossed(a, b, there, right[there], same=False):
                found = _near(a, b, at_a, at_b, distance, bands.elsewhere(band))
                i, j = a.order[at_a[found]], b.order[at_b[found]]
                bits = distances(hashes[i], known[j])
                order = np.lexsort((j, bits, i))
                i, j, bits = i[order], j[order], bits[order]
                best = np.r_[True, i[1:] != i[:-1]] if len(i) else np.zeros(0, bool)
                i, j, bits = i[best], j[best], bits[best]
                better = (bits < far[i]) | ((bits == far[i]) & (j < place[i]))
                place[i[better]], far[i[better]] = j[better], bits[better]
    return place, far


# --- components ------------------------------------------------------------------------------------------------------


def components(count: int, one: Numbers, other: Numbers) -> Numbers:
    """Return the component of each of `count` rows, given the pairs that connect them: the smallest row in it."""
    label = np.arange(count)
    while True:
        a, b = label[one], label[other]
        apart = a != b
        if not apart.any():
            return label
        one, other, a, b = one[apart], other[apart], a[apart], b[apart]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while True:
            next_label = label[label]
            if np.array_equal(next_label, label):
                break
            label = next_label


def links(rows: pa.Table, distance: int, unit: int) -> pa.Table:
    """Return the rows that match others, as one band sees it.

    Args:
        rows: All `HASHED`, in any order.
        distance: The largest at which two hashes match.
        unit: One of `UNITS`; those that have no band find nothing. The first also connects equal hashes.

    Returns:
        `LINKS`. All units' together connect two rows if and only if matches do; sizes are not looked at yet.
    """
    found = words(rows["perceptual_hash"])
    telling = np.flatnonzero(informative(found))
    unique, first, inverse = np.unique(found[telling], axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    bands = bands_for(max(len(unique) // 2, 1), max(len(unique), 1), distance)
    label = np.arange(len(unique))
    if unit < len(bands.worth) and bands.worth[unit]:
        ones, others, held = [], [], 0
        for one, other in pairs(unique, distance, bands, unit):
            ones.append(one)
            others.append(other)
            held += len(one)
            if held > _FOLD:
                label = components(len(unique), np.concatenate(ones), np.concatenate(others))
                ones, others, held = [np.arange(len(unique))], [label], 0
        if ones:
            label = components(len(unique), np.concatenate(ones), np.concatenate(others))
    if unit == 0:
        members = label[inverse]
        told = np.bincount(members, minlength=len(unique))[members] > 1
        chosen, target = telling[told], telling[first[members[told]]]
    else:
        told = np.bincount(label, minlength=len(unique))[label] > 1
        chosen, target = telling[first[told]], telling[first[label[told]]]
    ids = rows["image_id"].combine_chunks()
    table = rows.take(pa.array(chosen)).append_column(LINKS.field("link"), ids.take(pa.array(target)))
    return table.cast(LINKS).combine_chunks()


# --- election --------------------------------------------------------------------------------------------------------


def elect(linked: pa.Table, distance: int) -> pa.Table:
    """Hold the elections of all components.

    Args:
        linked: `LINKS` of all bands, in any order; a row may come from several.
        distance: The largest at which two hashes match.

    Returns:
        `MATCHES`, in order of image_id: each image that gives way, with the first of those that stay which it matches,
        and how far from it it is. Images match when their hashes do, their aspect ratios differ by 1 % at most, and, where
        a pair shows a region of the one that would give way, the other is kept as it was fetched: a box of one is then a
        box of the other, and is cut from all the pixels there are.
    """
    ids = linked["image_id"].combine_chunks()
    unique = pc.unique(ids)
    component = components(
        len(unique),
        pc.index_in(ids, value_set=unique).to_numpy().astype(np.int64),
        pc.index_in(linked["link"].combine_chunks(), value_set=unique).to_numpy().astype(np.int64),
    )
    rows = linked.take(pc.index_in(unique, value_set=ids))
    width, height = (rows[name].to_numpy().astype(np.int64) for name in ("width_px", "height_px"))
    rank = pc.rank(unique, tiebreaker="first").to_numpy() if len(unique) else np.zeros(0, np.int64)
    order = np.lexsort((rank, -(width * height), component))
    rows = rows.take(pa.array(order)).combine_chunks()
    component, width, height = component[order], width[order], height[order]
    hashes = words(rows["perceptual_hash"])
    whole, has_region = (rows[name].to_numpy(zero_copy_only=False) for name in ("whole", "has_region"))
    kept = np.full(len(order), -1, np.int64)
    far = np.zeros(len(order), np.int64)
    open_ = np.arange(len(order))
    while len(open_):
        # The first of each component that is still open matches none of those that stay: it stays.
        starts = np.flatnonzero(np.r_[True, component[open_[1:]] != component[open_[:-1]]])
        leader = np.repeat(open_[starts], np.diff(np.r_[starts, len(open_)]))
        bits = distances(hashes[open_], hashes[leader])
        one, other = width[open_] * height[leader], width[leader] * height[open_]
        alike = 100 * np.maximum(one, other) <= (100 + _ASPECT_PERCENT) * np.minimum(one, other)
        gives_way = (bits <= distance) & alike & (~has_region[open_] | whole[leader]) & (open_ != leader)
        kept[open_[gives_way]], far[open_[gives_way]] = leader[gives_way], bits[gives_way]
        open_ = open_[~gives_way & (open_ != leader)]
    gone = np.flatnonzero(kept >= 0)
    ids = rows["image_id"].combine_chunks() if isinstance(rows["image_id"], pa.ChunkedArray) else rows["image_id"]
    table = pa.table(
        [ids.take(pa.array(gone)), ids.take(pa.array(kept[gone])), pa.array(far[gone], pa.int32())], schema=MATCHES
    )
    return table.take(pc.sort_indices(table, [("image_id", "ascending")])).combine_chunks()


def matches(rows: pa.Table, distance: int) -> pa.Table:
    """Return `MATCHES` among `HASHED` in any order: all bands and the election, in one process."""
    return elect(pa.concat_tables([links(rows, distance, unit) for unit in range(UNITS)]), distance)
