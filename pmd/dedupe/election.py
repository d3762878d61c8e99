"""Elections among near-duplicates: which of the images that are connected stay, and which give way to which.

In order of (pixels descending, image_id) an image stays unless it matches one that stays before it. Then it gives way to the
first of these. Nearly all components are small, and of a clump nearly all give way to its first. So some rounds are held in
which the first of each component takes what matches it. What is open then is of components in which very many stay: long
chains, or many clumps that touch. There rounds would be as many as images stay, each over all that is open. So the first half
is settled, the second is held to those of it that stay, by the search that finds all matches (`near.matches`), and what is left
of it is settled alone.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.dedupe import near
from pmd.dedupe.near import Mask, Words
from pmd.forest import Numbers

#: Largest difference of aspect ratios at which two images are one: a region's box is in fractions of its image.
_ASPECT_PERCENT: Final = 1

#: Rounds in which the first of each component takes what matches it.
_ROUNDS: Final = 64
#: Images that are compared all with all.
_FEW: Final = 512
#: Rows whose distances are computed at a time: of all at once the hashes are copied twice.
_SEGMENT: Final = 1 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class _Images:
    """What is known of the images, in order of (component, pixels descending, image_id)."""

    component: Numbers
    hashes: Words
    width: Numbers
    height: Numbers
    whole: Mask
    has_region: Mask
    distance: int

    @classmethod
    def of(cls, rows: pa.Table, component: Numbers, distance: int) -> _Images:
        """Return what `near.HASHED` says of images in that order."""
        width, height = (rows[name].to_numpy().astype(np.int64) for name in ("width_px", "height_px"))
        whole, has_region = (rows[name].to_numpy(zero_copy_only=False) for name in ("whole", "has_region"))
        return cls(component, near.words(rows["perceptual_hash"]), width, height, whole, has_region, distance)

    def apart(self, one: Numbers, other: Numbers) -> Numbers:
        """Return in how many bits the hashes of each two differ."""
        found = np.empty(len(one), np.int64)
        for start in range(0, len(one), _SEGMENT):
            some = slice(start, start + _SEGMENT)
            found[some] = near.distances(self.hashes.take(one[some], axis=0), self.hashes.take(other[some], axis=0))
        return found

    def may_stand(self, leaders: Numbers, images: Numbers) -> Mask:
        """Return which leaders may stand for images by their shape, and by the regions that are shown."""
        one = self.width[images] * self.height[leaders]
        other = self.width[leaders] * self.height[images]
        alike = 100 * np.maximum(one, other) <= (100 + _ASPECT_PERCENT) * np.minimum(one, other)
        return np.asarray(alike & (~self.has_region[images] | self.whole[leaders]))

    def same(self, images: Numbers) -> Numbers:
        """Return a number for each image that is equal where hash and shape are."""
        divisor = np.gcd(self.width[images], self.height[images])
        shape = np.stack([self.width[images] // divisor, self.height[images] // divisor], axis=1).astype(np.uint64)
        whole = np.concatenate([self.hashes[images], shape], axis=1)
        numbers: Numbers = np.unique(whole, axis=0, return_inverse=True)[1].reshape(-1)
        return numbers


def elect(rows: pa.Table, component: Numbers, distance: int) -> pa.Table:
    """Hold the elections of all components.

    Args:
        rows: `near.HASHED` of all rows that are linked.
        component: Of each.
        distance: The largest at which two hashes match.

    Returns:
        `near.MATCHES`, in order of image_id: each image that gives way, with the first that stays and matches it, and how far
        that is from it. Images match when their hashes do, and their aspect ratios differ by 1 % at most. Where a pair
        shows a region of the one that would give way, the other must be kept as it was fetched: a box of one is then a box
        of the other, and is cut from all the pixels there are.
    """
    unique = rows["image_id"].combine_chunks()
    width, height = (rows[name].to_numpy().astype(np.int64) for name in ("width_px", "height_px"))
    rank = pc.rank(unique, tiebreaker="first").to_numpy() if len(unique) else np.zeros(0, np.int64)
    order = np.lexsort((rank, -(width * height), component))
    rows = rows.take(pa.array(order)).combine_chunks()
    images = _Images.of(rows, component[order], distance)
    kept = np.full(len(order), -1, np.int64)
    open_: Numbers = np.arange(len(order))
    for _ in range(_ROUNDS):
        if not len(open_):
            break
        open_ = _round(images, open_, kept)
    if len(open_):
        _settle(images, open_, kept)
    gone = np.flatnonzero(kept >= 0)
    ids = rows["image_id"].combine_chunks() if isinstance(rows["image_id"], pa.ChunkedArray) else rows["image_id"]
    far = pa.array(images.apart(gone, kept[gone]), pa.int32())
    table = pa.table([ids.take(pa.array(gone)), ids.take(pa.array(kept[gone])), far], schema=near.MATCHES)
    return table.take(pc.sort_indices(table, [("image_id", "ascending")])).combine_chunks()


def _round(images: _Images, open_: Numbers, kept: Numbers) -> Numbers:
    """Let the first of each component take what matches it; return what is open still."""
    # It matches none of those that stay: it stays.
    component = images.component[open_]
    starts = np.flatnonzero(np.r_[True, component[1:] != component[:-1]])
    leader = np.repeat(open_[starts], np.diff(np.r_[starts, len(open_)]))
    gives_way = (images.apart(open_, leader) <= images.distance) & images.may_stand(leader, open_) & (open_ != leader)
    kept[open_[gives_way]] = leader[gives_way]
    left: Numbers = open_[~gives_way & (open_ != leader)]
    return left


def _settle(images: _Images, open_: Numbers, kept: Numbers) -> None:
    """Settle what is open, in order."""
    same = np.full(len(kept), -1, np.int64)
    same[open_] = images.same(open_)

    def staying(some: Numbers) -> Numbers:
        """Settle some that match none that stays before them; return those that stay, in order."""
        if len(some) <= _FEW:
            return _all_with_all(images, some, kept)
        half = len(some) // 2
        leaders, rest = staying(some[:half]), some[half:]
        _take(images, leaders, rest, kept, same)
        return np.concatenate([leaders, staying(rest[kept[rest] < 0])])

    staying(open_)


def _all_with_all(images: _Images, some: Numbers, kept: Numbers) -> Numbers:
    bits = near.distances(images.hashes[some][:, None], images.hashes[some])
    takes = (bits <= images.distance) & images.may_stand(some[:, None], some)
    is_open = np.ones(len(some), bool)
    leaders = []
    for place in range(len(some)):
        if is_open[place]:
            is_open[place] = False
            taken = takes[place] & is_open
            kept[some[taken]] = some[place]
            is_open &= ~taken
            leaders.append(place)
    return some[leaders]


def _take(images: _Images, leaders: Numbers, rest: Numbers, kept: Numbers, same: Numbers) -> None:
    """Let leaders take what matches them, each what matches none before it; all are in order."""
    for has_region in (False, True):
        mine = rest[images.has_region[rest] == has_region]
        able = leaders[images.whole[leaders]] if has_region else leaders
        # Of leaders of one hash and shape, which stay for their regions, the first takes what any would.
        able = able[np.sort(np.unique(same[able], return_index=True)[1])]
        first = np.full(len(mine), len(able), np.int64)
        for one, other in near.matches(images.hashes[mine], images.hashes[able], images.distance):
            fit = images.may_stand(able[other], mine[one])
            np.minimum.at(first, one[fit], other[fit])
        found = first < len(able)
        kept[mine[found]] = able[first[found]]
