"""Keys from content: 128-bit hashes that no position, path, clock or process can change.

The hash is XXH3-128 (xxhash, canonical big-endian form): not cryptographic, which nothing here needs; the chance that two
of 10^8 rows share a key is 10^16 / 2^129 ≈ 1.5e-23.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pmd.schema.tables import KEY

_SEPARATOR = b"\x00"


def digest(*parts: str | bytes | memoryview) -> bytes:
    """Return the 16-byte digest of parts, which are joined by NUL so that ("ab", "c") and ("a", "bc") differ."""
    if len(parts) == 1 and isinstance(parts[0], memoryview):
        return xxhash.xxh3_128_digest(parts[0])  # in its place: to join is to copy
    return xxhash.xxh3_128_digest(_SEPARATOR.join(part.encode() if isinstance(part, str) else part for part in parts))


def pair_id(source: str, source_id: str) -> bytes:
    """Return the key of a pair: digest of its source and its upstream id."""
    return digest("pair", source, source_id)


def image_id(identity: str) -> bytes:
    """Return the key of an image: digest of its identity (`pmd.text.url_identity`)."""
    return digest("image", identity)


def key_array(keys: Iterable[bytes | None]) -> pa.Array:
    """Return keys as a 16-byte binary array."""
    return pa.array(list(keys), type=KEY)


def pair_ids(source: str, source_ids: pa.Array) -> pa.Array:
    """Return `pair_id` of each source id."""
    return _digests(f"pair\0{source}\0".encode(), source_ids)


def image_ids(identities: pa.Array) -> pa.Array:
    """Return `image_id` of each identity; null stays null."""
    return _digests(b"image\0", identities)


def hashed(values: pa.Array, of: Callable[[bytes], bytes] = xxhash.xxh3_128_digest) -> pa.Array:
    """Return `digest` of each value of a string or binary array, itself one part, or another of 16 bytes; null stays null."""
    binary = values.cast(pa.binary() if values.type in (pa.string(), pa.binary()) else pa.large_binary())
    # By way of NumPy, which makes the objects in half the time of `to_pylist`, and of one buffer for all digests.
    objects = binary.to_numpy(zero_copy_only=False).tolist()
    if not values.null_count:
        return pa.Array.from_buffers(KEY, len(objects), [None, pa.py_buffer(b"".join(map(of, objects)))])
    return key_array(None if value is None else of(value) for value in objects)


def hexadecimal(keys: pa.Array) -> pa.Array:
    """Return keys without nulls as 32 hexadecimal digits, lower-case."""
    digits = raw(keys).tobytes().hex().encode()
    offsets = np.arange(0, 32 * len(keys) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(digits))


def raw(keys: pa.Array, width: int = 16) -> npt.NDArray[np.uint8]:
    """Return the bytes of keys without nulls, or of digests of another width: one row each. A view, not a copy."""
    if not len(keys):
        return np.zeros((0, width), np.uint8)
    whole = np.frombuffer(keys.buffers()[1], dtype=np.uint8, count=width * (keys.offset + len(keys)))
    return whole.reshape(-1, width)[keys.offset :]


def sortable(keys: pa.Array) -> npt.NDArray[np.bytes_]:
    """Return keys without nulls as NumPy's strings of 16 bytes, whose order is that of their bytes.

    NumPy shows them without zeros at their ends; among strings of one length these are no matter.
    """
    return raw(keys).view("S16").reshape(-1)


def halves(keys: pa.Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the first and the last eight bytes of keys without nulls as numbers that sort as the keys do."""
    words = raw(keys).view(">u8").astype(np.uint64)
    return words[:, 0], words[:, 1]


def order(keys: pa.Array, then: pa.Array | None = None) -> npt.NDArray[np.int64]:
    """Return the indices that sort keys without nulls, and equal ones by others; what is equal in both stays in its order."""
    first, last = halves(keys)
    indices = np.argsort(first)  # not a stable sort, which takes several times as long: few keys share a half
    ordered = first[indices]
    same = ordered[1:] == ordered[:-1]
    if same.any():
        shared = np.flatnonzero(np.r_[same, False] | np.r_[False, same])
        some = np.sort(indices[shared])
        by = [last[some], first[some]]
        if then is not None:
            by = [*halves(then.take(pa.array(some)))[::-1], *by]
        indices[shared] = some[np.lexsort(by)]
    return indices


def places(wanted: pa.Array, among: pa.Array) -> npt.NDArray[np.int64]:
    """Return where each key stands first among others; -1 where it does not.

    Of keys that are in order on both sides, as those of views and of a ledger are, a merge finds them: each that is wanted once,
    however many rows beside each other have it.
    """
    if not len(wanted) or not len(among):
        return np.full(len(wanted), -1, np.int64)
    if wanted.null_count or among.null_count:
        return _looked_up(wanted, among)
    first, last = halves(wanted)
    known = halves(among)
    if (known[0][1:] <= known[0][:-1]).any() or (first[1:] < first[:-1]).any():
        return _looked_up(wanted, among)
    is_new = is_first(first, last)
    each: npt.NDArray[np.int64] = places_in_order((first[is_new], last[is_new]), known)[np.cumsum(is_new) - 1]
    return each


def is_first(first: npt.NDArray[np.uint64], last: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return for each of some keys, which are in order, whether it is the first of those that are equal; see `halves`."""
    found: npt.NDArray[np.bool_] = np.r_[True, (first[1:] != first[:-1]) | (last[1:] != last[:-1])][: len(first)]
    return found


def places_in_order(
    wanted: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]],
    among: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]],
) -> npt.NDArray[np.int64]:
    """Return where each key, in any order, stands among others, which are in order; -1 where it does not.

    Args:
        wanted: The keys' `halves`.
        among: The others', at least one; no two have one first half.
    """
    at = np.minimum(np.searchsorted(among[0], wanted[0]), len(among[0]) - 1)
    found: npt.NDArray[np.int64] = np.where((among[0][at] == wanted[0]) & (among[1][at] == wanted[1]), at, -1)
    return found


def are_among(column: pa.Array | pa.ChunkedArray, known: Set[Any]) -> pa.Array | pa.ChunkedArray:
    """Return which values of a column are among some; null is not.

    What is walked through is the smaller of the two: of batches by the thousand none may cost what a million names cost, nor
    what all its rows cost as Python's objects, where few are asked for.
    """
    found = known if len(known) < len(column) else {one for one in pc.unique(column).to_pylist() if one in known}
    return pc.is_in(column, value_set=pa.array(sorted(found), column.type))


def _looked_up(wanted: pa.Array, among: pa.Array) -> npt.NDArray[np.int64]:
    found = pc.fill_null(pc.index_in(wanted, value_set=among), -1)
    at: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return at


def _digests(prefix: bytes, texts: pa.Array) -> pa.Array:
    return hashed(pc.binary_join_element_wise(pa.scalar(prefix), texts.cast(pa.binary()), b""))


def partition_of(key: bytes, bits: int) -> int:
    """Return the first `bits` bits (0…32) of a key as a number: the partition, or fetch shard, that it belongs to."""
    return int.from_bytes(key[:4], "big") >> (32 - bits) if bits else 0
