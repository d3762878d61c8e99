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
import pyarrow.compute as pc
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
_ROWS: Final = 1 << 10
#: Pairs that are compared at a time, about.
_PAIRS: Final = 1 << 18
#: Bands of a hash, and the values that one may have with one more.
_BANDS: Final = 16
_VALUES: Final = 2**16 + 1
#: Hashes of each value of a band that are looked at before all are.
_FIRST: Final = 16
#: What turns no bit of a band, or one.
_FLIPPED: Final = np.array([0, *(1 << bit for bit in range(16))], np.uint16)

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
    wanted = _wanted(sha256s, stored, hashes)
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


def having(
    known: Register, *, sha256s: Collection[bytes] = (), stored: Collection[bytes] = (), hashes: Collection[bytes] = ()
) -> set[bytes]:
    """Return the images that have any of some digests, or whose perceptual hash is near any of some; arguments as of `named`.

    Of a camera's ten thousand pictures, which all look alike, `named` would tell each of each.
    """
    wanted = _wanted(sha256s, stored, hashes)
    looks = Looks(hashes)
    found: set[bytes] = set()
    for image_ids, column, values in _columns(known, wanted):
        if column != HASH:
            rows = keys.are_among(values, wanted[column])
        else:
            rows = values.is_valid()
            seen = looks.are_near(words(values.filter(rows).to_pylist()))
            rows = pc.replace_with_mask(rows, rows, pa.array(seen))
        found.update(image_ids.filter(rows).to_pylist())
    return found


def _wanted(
    sha256s: Collection[bytes], stored: Collection[bytes], hashes: Collection[bytes]
) -> dict[str, frozenset[bytes]]:
    """Return column → what is looked for in it, of those in which something is."""
    asked = ("sha256", sha256s), (_STORED, stored), (HASH, hashes)
    return {name: frozenset(values) for name, values in asked if values}


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

    Where there are many, they are in order of each band, and looked up under its value and under those that differ from it in one
    bit: of two hashes that differ in 31 of 256 bits some band of 16 differs in one bit at most, since 16 bands of two or more
    were 32. Norouzi et al., Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012.

    Args:
        hashes: 32 bytes each.

    Attributes:
        hashes: In order, each once.
    """

    def __init__(self, hashes: Collection[bytes]) -> None:
        self.hashes: Final = sorted({*hashes})
        self._words: Final = words(self.hashes)
        self._bands = _Bands(self._words) if len(self.hashes) >= _MANY else None

    def near(self, seen: Words) -> tuple[Numbers, Numbers]:
        """Return which of some hashes (`words`) are near which of these: the numbers of both, a pair each, each pair once."""
        nothing = np.zeros(0, np.int64)
        parts = [self._near(seen[start : start + _ROWS], start) for start in range(0, len(seen), _ROWS)]
        rows, which = (np.concatenate([nothing, *column]) for column in zip((nothing, nothing), *parts, strict=True))
        return rows, which

    def has_near(self, one: bytes) -> bool:
        """Return whether one of them is near a hash."""
        return bool(self.are_near(words([one]))[0])

    def are_near(self, seen: Words) -> npt.NDArray[np.bool_]:
        """Return which of some hashes (`words`) are near any of these: of very many that look alike, the first few will do."""
        found = np.zeros(len(seen), np.bool_)
        for first in (_FIRST, len(self.hashes)):
            left = np.flatnonzero(~found)
            for start in range(0, len(left), _ROWS):
                some = left[start : start + _ROWS]
                for rows, which in self._proposed(seen[some], first):
                    bits = np.bitwise_count(seen[some[rows]] ^ self._words[which]).sum(axis=1, dtype=np.int64)
                    found[some[rows[bits <= MATCH]]] = True
        return found

    def nearest(self, one: bytes) -> list[bytes]:
        """Return those that are nearest to a hash, of those that are near it."""
        which = np.arange(len(self.hashes)) if self._bands is None else self.near(words([one]))[1]
        bits = distances(self._words[which], one)
        least = bits.min(initial=MATCH + 1)
        return [self.hashes[number] for number in which[bits == least].tolist()] if least <= MATCH else []

    def _near(self, seen: Words, start: int) -> tuple[Numbers, Numbers]:
        found, more = np.zeros(0, np.int64), [np.zeros(0, np.int64)]
        for rows, which in self._proposed(seen, len(self.hashes)):
            bits = np.bitwise_count(seen[rows] ^ self._words[which]).sum(axis=1, dtype=np.int64)
            more.append((rows * len(self.hashes) + which)[bits <= MATCH])
            if sum(map(len, more)) > len(found) + _PAIRS:  # a pair may agree in all bands
                found, more = np.unique(np.concatenate([found, *more])), []
        rows, which = np.divmod(np.unique(np.concatenate([found, *more])), max(len(self.hashes), 1))
        return rows + start, which

    def _proposed(self, seen: Words, first: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield pairs among which are those that are near each other; so many of each hash and band."""
        if self._bands is not None:
            yield from self._bands.proposed(seen, first)
        elif len(seen):
            rows, which = np.divmod(np.arange(len(seen) * len(self.hashes)), max(len(self.hashes), 1))
            yield rows, which


class _Bands:
    """Which of some hashes (`words`) have each value of each band of 16 bits."""

    def __init__(self, hashes: Words) -> None:
        values = _banded(hashes)
        which = np.argsort(values, axis=0, kind="stable").T
        starts = [np.searchsorted(column[at], np.arange(_VALUES)) for column, at in zip(values.T, which, strict=True)]
        self._which = which.astype(np.int32).reshape(-1)  # band by band
        self._starts = np.concatenate([of + band * len(hashes) for band, of in enumerate(starts)])

    def proposed(self, seen: Words, first: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield the pairs (row of `seen`, hash) that agree in a band, but for a bit: the first hashes of each value.

        They come so many at a time that memory has a bound.
        """
        asked = (_banded(seen)[:, :, None] ^ _FLIPPED).astype(np.int64)
        asked += np.arange(_BANDS)[:, None] * _VALUES
        starts = self._starts[asked.reshape(-1)]
        total = np.cumsum(np.minimum(self._starts[asked.reshape(-1) + 1] - starts, first))
        low = 0
        while low < len(total):
            before = total[low - 1] if low else 0
            high = max(int(np.searchsorted(total, before + _PAIRS, side="right")), low + 1)
            counts = np.diff(total[low:high], prepend=before)
            within = np.arange(total[high - 1] - before) - np.repeat(np.cumsum(counts) - counts, counts)
            rows = np.repeat(np.arange(low, high) // (_BANDS * len(_FLIPPED)), counts)
            yield rows, self._which[np.repeat(starts[low:high], counts) + within].astype(np.int64)
            low = high


def _banded(hashes: Words) -> npt.NDArray[np.uint16]:
    """Return hashes as n x 16 bands."""
    return np.ascontiguousarray(hashes).view(np.uint16).reshape(-1, _BANDS)


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
