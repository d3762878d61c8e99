"""Keys from content: 128-bit hashes that no position, path, clock or process can change.

The hash is XXH3-128 (xxhash, canonical big-endian form): not cryptographic, which nothing here needs; the chance that two
of 10^8 rows share a key is 10^16 / 2^129 ≈ 1.5e-23.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import xxhash

from pmd.schema.tables import KEY

_SEPARATOR = b"\x00"


def digest(*parts: str | bytes) -> bytes:
    """Return the 16-byte digest of parts, which are joined by NUL so that ("ab", "c") and ("a", "bc") differ."""
    return xxhash.xxh3_128_digest(_SEPARATOR.join(part.encode() if isinstance(part, str) else part for part in parts))


def pair_id(source: str, source_id: str) -> bytes:
    """Return the key of a pair: digest of its source and its upstream id."""
    return digest("pair", source, source_id)


def image_id(identity: str) -> bytes:
    """Return the key of an image: digest of its identity (`pmd.urls`)."""
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


def _digests(prefix: bytes, texts: pa.Array) -> pa.Array:
    found = texts.cast(pa.binary()).to_pylist()
    hashed = [None if text is None else xxhash.xxh3_128_digest(prefix + text) for text in found]
    return key_array(hashed)


def partition_of(key: bytes, bits: int) -> int:
    """Return the first `bits` bits (0…32) of a key as a number: the partition, or fetch shard, that it belongs to."""
    return int.from_bytes(key[:4], "big") >> (32 - bits) if bits else 0
