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

from pmd.store import commits, sealed
from pmd.store.register import Generation, Register

#: The fact of a generation's commit that says which perceptual hash it holds, and what is said there: PDQ, by the reference
#: implementation.
HASH: Final = "perceptual_hash"
PDQ: Final = "pdq"
#: Bits of 256 that may differ: the threshold of PDQ's reference implementation (facebook/ThreatExchange, pdq).
MATCH: Final = 31

_STORED: Final = "stored_digest"

Words = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]


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
    wanted = {name: values for name, values in (("sha256", sha256s), (_STORED, stored), (HASH, hashes)) if values}
    found: dict[bytes, set[bytes]] = {}
    for image_ids, column, values in _columns(known, wanted):
        if column == HASH:
            _near(image_ids, values, hashes, found)
            continue
        rows = pc.is_in(values, value_set=pa.array(sorted(wanted[column]), values.type))
        alike = (column_.filter(rows).to_pylist() for column_ in (image_ids, values))
        for image_id, digest in zip(*alike, strict=True):
            found.setdefault(digest, set()).add(image_id)
    return found


def _near(image_ids: pa.Array, values: pa.Array, wanted: Collection[bytes], found: dict[bytes, set[bytes]]) -> None:
    known = values.is_valid()
    ids, seen = image_ids.filter(known).to_pylist(), words(values.filter(known).to_pylist())
    for one in wanted if ids else ():
        for place in np.flatnonzero(distances(seen, one) <= MATCH).tolist():
            found.setdefault(one, set()).add(ids[place])


def words(hashes: Collection[bytes]) -> Words:
    """Return perceptual hashes as n x 4 words."""
    return np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 4)


def distances(hashes: Words, one: bytes) -> npt.NDArray[np.int64]:
    """Return the bits in which each of n hashes (`words`) differs from one."""
    return np.asarray(np.bitwise_count(hashes ^ words([one])).sum(axis=1, dtype=np.int64))


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
