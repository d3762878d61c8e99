"""Samples by hash: which users, hosts, images and pairs are followed, so that the audit's memory does not grow.

A *bottom-k* sketch keeps the k units whose hashes are smallest, and all that is counted of them. Whether a unit is kept
depends on its hash and the set of all units alone, so the sketch of the whole is the same in whatever order and
grouping the parts are merged, and the counts of the units in it are exact: a unit that once fell out can never come
back. (Misra–Gries and space-saving sketches find the largest units better, but depend on order.) The units kept are a
uniform sample of all units, and the (k+1)-th smallest hash tells how many there are: Bar-Yossef et al., "Counting
distinct elements in a data stream", RANDOM 2002; Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC
2007. The relative standard error of that count is about 1/√k, 2.2 % for the k used here; HyperLogLog would come to the
same within 4 kB, but gives no sample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pmd.errors import PmdError
from pmd.text.minhash import mixed

Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]

#: Units that a sketch keeps: 2.2 % standard error of distinct counts, 100 kB a sketch at most.
SIZE: Final = 2048
#: Pairs that a pair sample keeps: a host's share is known to within 1.6 percentage points (95 %).
PAIRS: Final = 4096

#: The limit of a sketch that holds everything. No hash reaches it: hashes are below 2^64 - 1 (`mix`).
EVERYTHING: Final = 2**64 - 1


def mix(keys: pa.Array) -> Hashes:
    """Return a 64-bit hash of each 16-byte key, below 2^64 - 1.

    The second half of the key goes through the finaliser of SplitMix64 (`minhash.mixed`), so that the hash
    is independent of what else is cut by a key's bits: fetch shards by the first ones, samples of images by the last.
    """
    fixed = keys.cast(pa.binary(16))
    raw = np.frombuffer(fixed.buffers()[1] or b"", dtype=">u8")[2 * fixed.offset : 2 * (fixed.offset + len(fixed))]
    return np.minimum(mixed(raw[1::2].astype(np.uint64)), np.uint64(EVERYTHING - 1))


@dataclasses.dataclass(frozen=True)
class Sketch:
    """The units of one kind with the smallest hashes, and how many pairs each has.

    Attributes:
        hashes: Of the units kept, ascending, all below `limit`; shape (n,), n ≤ SIZE.
        counts: Pairs of each unit by class; shape (n, classes).
        limit: Every unit seen whose hash is below it is kept; `EVERYTHING` where none was dropped.
        total: Pairs that have a unit at all, kept or not, by class; shape (classes,).
        names: What each unit is called, or None where units are not to be named (people, images).
    """

    hashes: Hashes
    counts: Counts
    limit: int
    total: Counts
    names: tuple[str, ...] | None = None

    @property
    def complete(self) -> bool:
        """Whether every unit is in it."""
        return self.limit == EVERYTHING

    def __add__(self, other: Sketch) -> Sketch:
        """Return the sketch of both parts' pairs."""
        hashes, places = np.unique(np.concatenate([self.hashes, other.hashes]), return_inverse=True)
        counts = np.zeros((len(hashes), self.counts.shape[1]), dtype=np.int64)
        np.add.at(counts, places, np.concatenate([self.counts, other.counts]))
        names: Sequence[str] | None = None
        if self.names is not None and other.names is not None:
            called = dict(zip(places.tolist(), [*self.names, *other.names], strict=True))
            names = [called[place] for place in range(len(hashes))]
        return _cut(hashes, counts, min(self.limit, other.limit), self.total + other.total, names)

    def below(self, limit: int) -> Sketch:
        """Return the sketch with a lower limit: for joining samples of unequal density."""
        keep = int(np.searchsorted(self.hashes, np.uint64(min(limit, self.limit))))
        names = None if self.names is None else self.names[:keep]
        return Sketch(self.hashes[:keep], self.counts[:keep], min(limit, self.limit), self.total, names)

    def distinct(self, kept: int) -> float:
        """Return how many units there are, of which `kept` are in the sketch."""
        return float(kept) if self.complete else kept * (2.0**64 / self.limit)

    def to_json(self) -> dict[str, Any]:
        """Return the sketch as JSON-like values."""
        return {
            "hashes": self.hashes.tolist(),
            "counts": self.counts.tolist(),
            "limit": self.limit,
            "total": self.total.tolist(),
            "names": self.names,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Sketch:
        """Return what `to_json` wrote."""
        total = np.array(raw["total"], dtype=np.int64)
        return cls(
            np.array(raw["hashes"], dtype=np.uint64),
            np.array(raw["counts"], dtype=np.int64).reshape(-1, len(total)),
            raw["limit"],
            total,
            None if raw["names"] is None else tuple(raw["names"]),
        )


def of(hashes: Hashes, classes: NDArray[np.intp], width: int, names: Sequence[str] | None = None) -> Sketch:
    """Return the sketch of a batch.

    Args:
        hashes: The hash of each pair's unit.
        classes: Each pair's class, 0…width-1.
        width: Number of classes.
        names: The name of each pair's unit, or None.
    """
    distinct, first, places = np.unique(hashes, return_index=True, return_inverse=True)
    counts = np.bincount(places * width + classes, minlength=len(distinct) * width).reshape(-1, width).astype(np.int64)
    total = np.bincount(classes, minlength=width).astype(np.int64)
    called = None if names is None else [names[index] for index in first.tolist()]
    return _cut(distinct, counts, EVERYTHING, total, called)


def _cut(hashes: Hashes, counts: Counts, limit: int, total: Counts, names: Sequence[str] | None) -> Sketch:
    keep = int(np.searchsorted(hashes, np.uint64(limit)))
    if keep > SIZE:
        keep, limit = SIZE, int(hashes[SIZE])
    return Sketch(hashes[:keep], counts[:keep], limit, total, None if names is None else tuple(names[:keep]))


@dataclasses.dataclass(frozen=True)
class PairSample:
    """The pairs with the smallest hashes: a uniform sample of pairs, each with its class, host and user.

    A uniform sample of hosts can miss the few hosts that hold most pairs; a sample of pairs cannot.

    Attributes:
        hashes: Ascending, all below `limit`; shape (n,), n ≤ PAIRS.
        classes: Each pair's class.
        hosts: Each pair's registrable domain; "" where it has no URL.
        users: The hash of each pair's user; 0 where it has none.
        limit: As in `Sketch`.
    """

    hashes: Hashes
    classes: NDArray[np.int64]
    hosts: tuple[str, ...]
    users: Hashes
    limit: int

    @property
    def complete(self) -> bool:
        """Whether every pair is in it."""
        return self.limit == EVERYTHING

    def __add__(self, other: PairSample) -> PairSample:
        """Return the sample of both parts' pairs.

        Raises:
            PmdError: A pair stands in both.
        """
        hashes = np.concatenate([self.hashes, other.hashes])
        order = np.argsort(hashes)
        if len(np.unique(hashes)) < len(hashes):
            raise PmdError(
                "a pair was measured twice",
                where="audit",
                expected="each pair in one batch",
                remedy="run: pmd verify ROOT",
            )
        hosts = [*self.hosts, *other.hosts]
        return pair_sample(
            hashes[order],
            np.concatenate([self.classes, other.classes])[order],
            [hosts[index] for index in order.tolist()],
            np.concatenate([self.users, other.users])[order],
            min(self.limit, other.limit),
        )

    def below(self, limit: int) -> PairSample:
        """Return the sample with a lower limit."""
        return pair_sample(self.hashes, self.classes, self.hosts, self.users, min(limit, self.limit))

    def to_json(self) -> dict[str, Any]:
        """Return the sample as JSON-like values."""
        return {
            "hashes": self.hashes.tolist(),
            "classes": self.classes.tolist(),
            "hosts": self.hosts,
            "users": self.users.tolist(),
            "limit": self.limit,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> PairSample:
        """Return what `to_json` wrote."""
        return cls(
            np.array(raw["hashes"], dtype=np.uint64),
            np.array(raw["classes"], dtype=np.int64),
            tuple(raw["hosts"]),
            np.array(raw["users"], dtype=np.uint64),
            raw["limit"],
        )


def pair_sample(
    hashes: Hashes,
    classes: NDArray[np.int64],
    hosts: Sequence[str],
    users: Hashes,
    limit: int = EVERYTHING,
) -> PairSample:
    """Return the sample of pairs that are given in ascending order of their hashes."""
    keep = int(np.searchsorted(hashes, np.uint64(limit)))
    if keep > PAIRS:
        keep, limit = PAIRS, int(hashes[PAIRS])
    return PairSample(hashes[:keep], classes[:keep], tuple(hosts[:keep]), users[:keep], limit)
