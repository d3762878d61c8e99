"""What has left the lists since earlier releases: ids, of all causes together, for who holds an older list.

Nothing tells why a row left, nor when: a dead link, a change upstream, another option and a takedown look alike. The list only
grows; an id leaves it when its row is back in the lists.

Ids of both meet in a run file on the temporary disk, cut by their first bits (`pmd.store.exchange`), and the list is written as
it is found, so memory is one partition. The bytes depend on the ids alone.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from pmd import flow
from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import exchange, parquet_files, spools, storage

FILE: Final = flow.WITHDRAWN

#: Ids in hex, as lists have them.
WITHDRAWN: Final = pa.schema([pa.field("pair_id", pa.string())])

#: Bytes of lists whose ids make a partition: a list of ids alone has some 20 a row, and then they are 1.6 million.
_PARTITION_BYTES: Final = 32 * 2**20

_ROWS: Final = pa.schema([pa.field("pair_id", KEY, nullable=False), pa.field("stands", pa.bool_(), nullable=False)])


def update(
    folder: str, before: Iterable[str], now: Iterable[str], announce: Callable[[str], None] = lambda digest: None
) -> str | None:
    """Write the list of what has left, in place of the one that stands.

    Args:
        folder: That of the release.
        before: The files of the lists that stand in it.
        now: Those of the lists that are to replace them.
        announce: Told of the file's digest before it stands.

    Returns:
        The SHA-256 of the file, in hex; None where nothing has left: then none is written, and what stands stays.
    """
    path = storage.join(folder, FILE)
    known, stand = [*before, *([path] if storage.exists(path) else [])], [*now]
    if not known:
        return None
    bits = exchange.bits_for(sum(map(storage.size, [*known, *stand])), _PARTITION_BYTES)
    with tempfile.TemporaryDirectory(prefix="withdrawn-", dir=spools.folder()) as work:
        runs = list(exchange.write(work, _ROWS, bits, _rows(known, stand), "pair_id"))
        ids = (_gone_ids(exchange.read(work, [run], _ROWS)) for _, run in exchange.by_partition(runs))
        return _written(folder, _groups(ids), announce)


def _rows(known: Sequence[str], stand: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for paths, stands in ((known, False), (stand, True)):
        for path in paths:
            for ids in _hexadecimal(path):
                raw = pa.py_buffer(bytes.fromhex("".join(ids)))
                column = pa.Array.from_buffers(KEY, len(ids), [None, raw])
                yield pa.RecordBatch.from_arrays([column, pa.repeat(stands, len(ids))], schema=_ROWS)


def _gone_ids(rows: pa.Table) -> pa.Array:
    """Return the ids that do not stand, in order, each once."""
    first, last = keys.halves(rows["pair_id"].combine_chunks())
    stands = rows["stands"].combine_chunks().to_numpy(zero_copy_only=False)
    order = np.lexsort((~stands, last, first))  # of one id what stands comes first
    is_first = np.ones(len(order), bool)
    is_first[1:] = (np.diff(first[order]) != 0) | (np.diff(last[order]) != 0)
    chosen = order[is_first]
    return rows["pair_id"].combine_chunks().take(pa.array(chosen[~stands[chosen]]))


def _groups(parts: Iterable[pa.Array]) -> Iterator[pa.Table]:
    """Yield ids in row groups: of so many rows each, whatever parts they come in, but for the last."""
    waiting = pa.array([], KEY)
    for part in parts:
        waiting = pa.concat_arrays([waiting, part])
        while len(waiting) > parquet_files.ROW_GROUP_ROWS:
            yield _table(waiting[: parquet_files.ROW_GROUP_ROWS])
            waiting = waiting[parquet_files.ROW_GROUP_ROWS :]
    if len(waiting):
        yield _table(waiting)


def _table(ids: pa.Array) -> pa.Table:
    return pa.table([keys.hexadecimal(ids)], schema=WITHDRAWN)


def _written(folder: str, groups: Iterator[pa.Table], announce: Callable[[str], None]) -> str | None:
    """Write row groups as the file; return its SHA-256, or None where there are none."""
    first = next(groups, None)
    if first is None:
        return None
    with storage.Draft(folder) as draft:
        parquet_files.write(draft.file, itertools.chain([first], groups))
        draft.close()
        announce(draft.sha256)
        draft.finish(FILE)
        return draft.sha256


def _hexadecimal(path: str) -> Iterator[list[str]]:
    for batch in parquet_files.iterate(path, ["pair_id"]):
        yield batch["pair_id"].drop_null().to_pylist()
