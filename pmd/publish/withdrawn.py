"""What has left the lists since earlier releases: ids, of all causes together, for who holds an older list.

Nothing tells why a row left, nor when: a dead link, a change upstream, another option and a takedown look alike. The list only
grows; an id leaves it when its row is back in the lists.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import commits, storage

FILE: Final = "withdrawn.parquet"

#: Ids in hex, as lists have them.
WITHDRAWN: Final = pa.schema([pa.field("pair_id", pa.string())])

#: Above a list's files, where the list of what has left may stand.
_ABOVE: Final = 2

Ids = np.ndarray[tuple[int, ...], np.dtype[np.void]]


def update(folder: str, before: Iterable[str], now: Iterable[str]) -> bytes | None:
    """Return the list of what has left, as a file; None where nothing ever has.

    Args:
        folder: That of the release.
        before: The files of the lists that stand in it.
        now: Those of the lists that are to replace them.
    """
    path = storage.join(folder, FILE)
    known = [*before, *([path] if storage.exists(path) else [])]
    if not known:
        return None
    left = np.setdiff1d(_ids(known), _ids(now))
    if not len(left):
        return None
    ids = pa.Array.from_buffers(KEY, len(left), [None, pa.py_buffer(left.tobytes())])
    return commits.parquet_bytes(pa.table([keys.hexadecimal(ids)], schema=WITHDRAWN))


def _ids(paths: Iterable[str]) -> Ids:
    """Return the pair_ids of files, sorted, each once."""
    parts = [bytes.fromhex("".join(ids)) for path in paths for ids in _hexadecimal(path)]
    return np.unique(np.frombuffer(b"".join(parts), np.dtype((np.void, KEY.byte_width))))


def _hexadecimal(path: str) -> Iterator[list[str]]:
    for batch in commits.iterate(path, ["pair_id"]):
        yield batch["pair_id"].drop_null().to_pylist()


def beside(lists: str) -> pa.Array | None:
    """Return the ids of what has left that stand beside lists, in their folder or above a file; None where none stand."""
    folder = lists if storage.is_folder(lists) else posixpath.dirname(lists)
    for _ in range(_ABOVE):
        path = storage.join(folder, FILE) if folder else FILE
        if storage.exists(path):
            return pa.array([one for ids in _hexadecimal(path) for one in ids], pa.string())
        folder = posixpath.dirname(folder.rstrip("/"))
    return None
