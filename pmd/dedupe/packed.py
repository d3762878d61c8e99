"""Perceptual hashes in one file, which every worker that searches maps into its memory: the system keeps it once a machine.

First the distinct hashes that say anything, 32 bytes each, in the byte order of this machine; then for each the number of the
first row that has it, 4 bytes. A worker far from ROOT copies the file to its own disk, once for all shares that it searches.
"""

from __future__ import annotations

import dataclasses
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pmd.dedupe import near
from pmd.dedupe.near import Pairs, Words
from pmd.store import mapped, spools, storage

Rows = npt.NDArray[np.int32]

_HASH_BYTES: Final = 32
_ROW_BYTES: Final = 4
#: Hashes that are written at a time.
_CHUNK: Final = 1 << 18


@dataclasses.dataclass(frozen=True)
class Packed:
    """A file of hashes.

    Attributes:
        path: The file.
        hashes: How many it holds.
        rows: How many rows were looked at: those that say nothing, and those of equal hashes, have their numbers too.
    """

    path: str
    hashes: int
    rows: int

    def opened(self) -> tuple[Words, Rows]:
        """Return the hashes and the number of the first row of each, mapped."""
        path = mapped.path(self.path, self._bytes)
        if not self.hashes:
            return np.zeros((0, 4), np.uint64), np.zeros(0, np.int32)
        hashes = np.memmap(path, np.uint64, "r", shape=(self.hashes, 4))
        rows = np.memmap(path, np.int32, "r", offset=_HASH_BYTES * self.hashes, shape=(self.hashes,))
        return np.asarray(hashes), np.asarray(rows)

    @property
    def _bytes(self) -> int:
        return (_HASH_BYTES + _ROW_BYTES) * self.hashes


def pack(folder: str, pieces: Iterable[pa.Table]) -> tuple[Packed, Pairs]:
    """Write a file of hashes; return it, and the links of rows whose hashes are equal.

    Args:
        folder: Where.
        pieces: `near.HASHED` in the order of their numbers.
    """
    with spools.named(), tempfile.TemporaryFile(dir=spools.folder()) as spool:
        numbers, rows = [np.zeros(0, np.int32)], 0
        for piece in pieces:
            found = near.words(piece["perceptual_hash"])
            telling = np.flatnonzero(near.informative(found))
            spool.write(found[telling].tobytes())
            numbers.append((telling + rows).astype(np.int32))
            rows += piece.num_rows
        assert rows < 2**31, "rows are numbered in 32 bits"
        spool.flush()
        row = np.concatenate(numbers)
        numbers.clear()
        hashes = (
            np.asarray(np.memmap(spool, np.uint64, "r", shape=(len(row), 4)))
            if len(row)
            else np.zeros((0, 4), np.uint64)
        )
        is_first, links = _distinct(hashes)
        name = f"hashes-{uuid.uuid4().hex}.bin"
        with storage.Draft(folder, durable=False) as draft:
            for start in range(0, len(row), _CHUNK):
                draft.file.write(hashes[start : start + _CHUNK][is_first[start : start + _CHUNK]].tobytes())
            draft.file.write(row[is_first].tobytes())
            draft.finish(name)
    return Packed(storage.join(folder, name), int(is_first.sum()), rows), row[links]


def _distinct(hashes: Words) -> tuple[near.Mask, Pairs]:
    """Return which hashes are the first of those that equal them, and a link to it of each other one."""
    is_first = np.zeros(len(hashes), bool)
    links = [np.zeros((0, 2), np.int32)]
    for rows, same in near.equal(hashes):
        first = rows[~same]
        is_first[first] = True
        others = np.flatnonzero(same)
        links.append(np.stack([rows[others], first[np.cumsum(~same)[others] - 1]], axis=1))
    return is_first, np.concatenate(links)


def write_links(folder: str, links: Pairs) -> str:
    """Write links; return the file's path."""
    name = f"links-{uuid.uuid4().hex}.bin"
    with storage.Draft(folder, durable=False) as draft:
        draft.file.write(links.tobytes())
        draft.finish(name)
    return storage.join(folder, name)


def read_links(paths: Iterable[str]) -> Iterator[Pairs]:
    """Yield the links of files, one by one."""
    for path in paths:
        yield np.frombuffer(storage.read_bytes(path), np.int32).reshape(-1, 2)
