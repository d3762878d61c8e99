"""Where the Multimedia Commons, a bucket of YFCC100M's photographs, may hold one."""

from __future__ import annotations

import hashlib
import itertools
import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema import keys

_BUCKET: Final = "https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images"
_HEXADECIMAL: Final = re.compile("[0-9a-f]+")
_UNPADDED: Final = [f"{byte:x}" for byte in range(256)]


def mirrors(download_url: str, published_hash: str | None) -> list[str]:
    """Return where the Multimedia Commons bucket may hold a YFCC100M photograph, likeliest first, without repeats.

    A key is named by a hash: the one in the row where it has one, which is md5 of the download URL, each byte printed
    without its leading zero (true of 400 of 400 genuine rows). The package yfcc100m (PyPI) knows no other keys. What
    ordinary hexadecimal gives stands behind.

    Args:
        download_url: The row's download URL, exactly as it stands there.
        published_hash: The row's hash column; None in the layout of 23 columns.
    """
    md5 = _md5(download_url.encode())
    hashes = ["".join(map(_UNPADDED.__getitem__, md5)), md5.hex()]
    published = (published_hash or "").strip().lower()
    if published != hashes[0] and _HEXADECIMAL.fullmatch(published):
        hashes.insert(0, published)
    return [f"{_BUCKET}/{name[:3]}/{name[3:6]}/{name}.jpg" for name in dict.fromkeys(hashes)]


def mirror_lists(download_urls: pa.Array, published_hashes: pa.Array | None) -> pa.Array:
    """Return `mirrors` of each row, as lists of strings.

    Args:
        download_urls: Without nulls.
        published_hashes: Without nulls; None in the layout of 23 columns.
    """
    rows = len(download_urls)
    digests = keys.hashed(download_urls, _md5)
    ordinary = keys.hexadecimal(digests)
    digits = np.frombuffer(ordinary.buffers()[2], np.uint8).reshape(-1, 32)
    shown = np.ones(digits.shape, np.bool_)
    shown[:, 0::2] = keys.raw(digests) > 0xF
    unpadded = pa.StringArray.from_buffers(rows, pa.py_buffer(_offsets(shown.sum(1))), pa.py_buffer(digits[shown]))
    places = np.arange(2 * rows).reshape(2, -1).T  # of each row both names
    given = np.ones(places.shape, np.bool_)
    given[:, 1] = ~shown.all(1)  # otherwise they are one
    names = pa.concat_arrays([unpadded, ordinary]).take(pa.array(places[given]))
    found = pc.binary_join_element_wise(
        _BUCKET, pc.utf8_slice_codeunits(names, 0, 3), pc.utf8_slice_codeunits(names, 3, 6), names, "/"
    )
    lists = pa.ListArray.from_arrays(_offsets(given.sum(1)), pc.binary_join_element_wise(found, ".jpg", ""))
    if published_hashes is None:
        return lists
    published = published_hashes.cast(pa.string())
    others = np.flatnonzero(pc.not_equal(published, unpadded).to_numpy(zero_copy_only=False))
    if not len(others):
        return lists
    arguments = zip(*(column.take(pa.array(others)).to_pylist() for column in (download_urls, published)), strict=True)
    slots = np.arange(rows)
    slots[others] = rows + np.arange(len(others))
    return pa.concat_arrays([lists, pa.array(itertools.starmap(mirrors, arguments), lists.type)]).take(pa.array(slots))


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
