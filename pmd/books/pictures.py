"""Which images have certain bytes, or look a certain way, by the ledgers that are committed.

Every generation counts, also one that does not stand any more: these bytes have been that image's. Files that earlier versions
of pmd wrote have other hashes than PDQ, which are not compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pmd.schema import keys
from pmd.store import commits, sealed
from pmd.store.register import Generation, Register

#: The fact of a generation's commit that says which perceptual hash it holds, and what is said there: PDQ, by the reference
#: implementation.
HASH: Final = "perceptual_hash"
PDQ: Final = "pdq"
#: Bits of 256 that may differ: the threshold of PDQ's reference implementation (facebook/ThreatExchange, pdq).
MATCH: Final = 31

_STORED: Final = "stored_digest"

#: Hashes from which on bands find what is near: with fewer, all are compared.
_MANY: Final = 64
#: Hashes that are held to them at a time.
_ROWS: Final = 1 << 13

Words = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]
Numbers = npt.NDArray[np.int64]


def named(
    known: Register, *, sha256s: Collection[bytes] = (), stored: Collection[bytes] = (), hashes: Collection[bytes] = ()
) -> dict[bytes, set[bytes]]:
    """Return digest → the images (image_id) that have it, or whose perceptual hash is near it; none, no entry.

    Reads the keys and digests of all generations once.

    Args:
        known: What stands of the fetch.
        sha256s: Of originals.
        stored: Of what is in the store: `LEDGER.stored_digest`.
        hashes: Perceptual hashes, that must tell pictures apart.
    """
    wanted = {
        name: frozenset(values) for name, values in (("sha256", sha256s), (_STORED, stored), (HASH, hashes)) if values
    }
    looks = Looks(hashes)
    found: dict[bytes, set[bytes]] = {}
    for image_ids, column, values in _columns(known, wanted):
        if column == HASH:
            _near(image_ids, values, looks, found)
            continue
        rows = keys.are_among(values, wanted[column])
        alike = (column_.filter(rows).to_pylist() for column_ in (image_ids, values))
        for image_id, digest in zip(*alike, strict=True):
            found.setdefault(digest, set()).add(image_id)
    return found


def _near(image_ids: pa.Array, values: pa.Array, wanted: Looks, found: dict[bytes, set[bytes]]) -> None:
    known = values.is_valid()
    ids, seen = image_ids.filter(known), words(values.filter(known).to_pylist())
    rows, which = wanted.near(seen)
    for image_id, number in zip(ids.take(pa.array(rows)).to_pylist(), which.tolist(), strict=True):
        found.setdefault(wanted.hashes[number], set()).add(image_id)


def words(hashes: Collection[bytes]) -> Words:
    """Return perceptual hashes as n x 4 words."""
    return np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 4)


def distances(hashes: Words, one: bytes) -> npt.NDArray[np.int64]:
    """Return the bits in which each of n hashes (`words`) differs from one."""
    return np.asarray(np.bitwise_count(hashes ^ words([one])).sum(axis=1, dtype=np.int64))


class Looks:
    """Perceptual hashes that others are held to; thousands of them cost little more than one.

    Where there are many, each is kept under the values of its bands, and under those that differ from them in one bit: of two
    hashes that differ in 31 of 256 bits some band of 16 differs in one bit at most, since 16 bands of two or more were 32.
    Norouzi et al., Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012.

    Args:
        hashes: 32 bytes each.

    Attributes:
        hashes: In order, each once.
    """

    def __init__(self, hashes: Collection[bytes]) -> None:
        self.hashes: Final = sorted({*hashes})
        self._words: Final = words(self.hashes)
        self._bands = [_Band(column) for column in _banded(self._words).T] if len(self.hashes) >= _MANY else []

    def near(self, seen: Words) -> tuple[Numbers, Numbers]:
        """Return which of some hashes (`words`) are near which of these: the numbers of both, a pair each, each pair once."""
        nothing = np.zeros(0, np.int64)
        parts = [self._near(seen[start : start + _ROWS], start) for start in range(0, len(seen), _ROWS)]
        rows, which = (np.concatenate([nothing, *column]) for column in zip((nothing, nothing), *parts, strict=True))
        return rows, which

    def has_near(self, one: bytes) -> bool:
        """Return whether one of them is near a hash."""
        return bool(len(self.near(words([one]))[0]))

    def _near(self, seen: Words, start: int) -> tuple[Numbers, Numbers]:
        if not self._bands:
            each = [np.flatnonzero(distances(seen, one) <= MATCH) for one in self.hashes]
            which = np.repeat(np.arange(len(each)), [len(rows) for rows in each])
            return np.concatenate([np.zeros(0, np.int64), *each]) + start, which
        found = [np.zeros(0, np.int64)]
        for band, values in zip(self._bands, _banded(seen).T, strict=True):
            rows, which = band.proposed(values)
            bits = np.bitwise_count(seen[rows] ^ self._words[which]).sum(axis=1, dtype=np.int64)
            found.append((rows * len(self.hashes) + which)[bits <= MATCH])
        rows, which = np.divmod(np.unique(np.concatenate(found)), len(self.hashes))
        return rows + start, which


class _Band:
    """What has each value of a band of 16 bits, or one that differs in a bit.

    Args:
        values: That of each hash.
    """

    def __init__(self, values: npt.NDArray[np.uint16]) -> None:
        near = np.concatenate([values, *(values ^ np.uint16(1 << bit) for bit in range(16))])
        self._which = np.argsort(near, kind="stable") % max(len(values), 1)
        self._starts = np.searchsorted(np.sort(near), np.arange(2**16 + 1))

    def proposed(self, values: npt.NDArray[np.uint16]) -> tuple[Numbers, Numbers]:
        """Return the pairs (row of `values`, hash) that agree in it, but for a bit."""
        starts = self._starts[values]
        counts = self._starts[values.astype(np.int64) + 1] - starts
        rows = np.repeat(np.arange(len(values)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, self._which[starts[rows] + within]


def _banded(hashes: Words) -> npt.NDArray[np.uint16]:
    """Return hashes as n x 16 bands."""
    return np.ascontiguousarray(hashes).view(np.uint16).reshape(-1, 16)


def _columns(known: Register, names: Collection[str]) -> Iterator[tuple[pa.Array, str, pa.Array]]:
    """Yield image_ids, a column's name, and its values, of every file of the ledger, and of hashes computed since."""
    for path, generation in _files(known) if names else ():
        with sealed.open_checked(path) as raw:
            parquet = pq.ParquetFile(raw)
            here = [name for name in names if name in parquet.schema_arrow.names]
            here = [name for name in here if name != HASH or generation.facts.get(HASH) == PDQ]
            for batch in parquet.iter_batches(columns=["image_id", *here], use_threads=False) if here else ():
                for name in here:
                    yield batch["image_id"], name, batch[name]


def _files(known: Register) -> Iterator[tuple[str, Generation]]:
    for generation in known.every():
        for file in generation.files:
            if file.name.endswith(".parquet") and "/attempts/" not in file.name:
                yield commits.path_of(generation.folder, file.name), generation
