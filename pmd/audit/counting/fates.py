"""What became of pairs: the last stage that each survived, by its key, so that whoever reads pairs knows it.

    of_part   what later stages have left of a part's images → pairs and their last stage
    pack      all `FATES` of a partition → a file in order of keys, which workers map
    Known     such files → the last stage of any pairs

Pairs themselves never meet: 17 bytes of each do, and whoever reads a file of pairs looks them up in order, since curate leaves
pairs in order of their keys. A pair that no later stage knows was lost with curate's.
"""

from __future__ import annotations

import dataclasses
import functools
import uuid
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd import flow
from pmd.audit.counting.measure import ASKED, CLASSES
from pmd.dedupe import rules as dedupe_rules
from pmd.fetch.ledger import partitions
from pmd.schema import keys
from pmd.schema.statuses import UNASKED
from pmd.schema.tables import KEY
from pmd.store import exchange, mapped, storage

#: Of a pair that the shards left out; another row says that it was to be there.
LEFT_OUT: Final = len(CLASSES)
_NUMBERS: Final = {name: number for number, name in enumerate(CLASSES)}

#: A pair, and the number of the last of `CLASSES` that it survived as far as one stage knows, or `LEFT_OUT`.
FATES: Final = pa.schema([pa.field("pair_id", KEY, nullable=False), pa.field("last", pa.int8(), nullable=False)])

#: A file of `pack`: of the pairs whose keys begin so.
FILES: Final = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("pairs", pa.int64(), nullable=False),
        pa.field("alike", pa.int64(), nullable=False),  # the most keys that have one first half
    ]
)

#: Bytes of a pair in a file: both halves of its key, and its class.
_PAIR_BYTES: Final = 17

Halves = tuple[NDArray[np.uint64], NDArray[np.uint64]]
Classes = NDArray[np.int8]


def rows(pair_ids: pa.Array | pa.ChunkedArray, last: int) -> pa.RecordBatch:
    """Return `FATES` of pairs with one fate."""
    table = pa.table({"pair_id": pair_ids, "last": pa.array(np.full(len(pair_ids), last, np.int8))}, schema=FATES)
    return exchange.widen(table, FATES)


def of_part(root_url: str, part: int, ledger: pa.Table, groups: pa.Table) -> pa.RecordBatch:
    """Return `FATES` of a part's views, each pair once.

    Args:
        root_url: ROOT.
        part: The part's number.
        ledger: `image_id` and `status` of its images.
        groups: Its `GROUPS`.
    """
    views = partitions.read_views(root_url, part, ("image_id", "pair_id"))
    outcome = dedupe_rules.outcomes(views, ledger, groups, dedupe_rules.read_repeated(root_url, part))
    unasked = pc.is_in(ledger["status"], value_set=pa.array(UNASKED)).to_numpy(zero_copy_only=False)
    lost = np.where(np.r_[unasked, False], _NUMBERS[flow.IMAGES.name], _NUMBERS[ASKED]).astype(np.int8)
    last = lost[outcome.at]  # -1, of an image that nobody asked for, is the last
    last[outcome.leaves | outcome.repeats] = _NUMBERS[flow.FETCH.name]
    last[outcome.kept] = _NUMBERS[flow.DEDUPE.name]
    return pa.RecordBatch.from_arrays([views["pair_id"].combine_chunks(), pa.array(last)], schema=FATES)


def pack(folder: str, partition: int, fates: pa.Table) -> pa.RecordBatch:
    """Write what became of the pairs of a partition to a file, and return `FILES` of it.

    Args:
        folder: Where.
        partition: Its number.
        fates: All its `FATES`, in any order.
    """
    ids, last = fates["pair_id"].combine_chunks(), fates["last"].to_numpy()
    out = last == LEFT_OUT
    first, second, found = _sorted(keys.halves(ids.filter(pa.array(~out))), last[~out])
    left_out = _sorted(keys.halves(ids.filter(pa.array(out))), last[out])
    is_out = _looked_up(left_out, (first, second), _alike(left_out[0])) == LEFT_OUT
    found[(found == _NUMBERS[flow.DEDUPE.name]) & ~is_out] = _NUMBERS[flow.SHARD.name]
    name = f"fates-{uuid.uuid4().hex}.bin"
    with storage.Draft(folder, durable=False) as draft:
        for column in (first, second, found):
            draft.file.write(column.tobytes())
        draft.finish(name)
    return pa.RecordBatch.from_pylist(
        [{"partition": partition, "path": storage.join(folder, name), "pairs": len(first), "alike": _alike(first)}],
        schema=FILES,
    )


def _sorted(halves: Halves, last: Classes) -> tuple[NDArray[np.uint64], NDArray[np.uint64], Classes]:
    """Return keys in order of their first halves, and what is said of each."""
    order = np.argsort(halves[0])
    return halves[0][order], halves[1][order], last[order]


def _alike(first: NDArray[np.uint64]) -> int:
    """Return how many keys have one first half, at most: one, but for chance."""
    starts = np.flatnonzero(np.r_[True, first[1:] != first[:-1]]) if len(first) else np.zeros(0, np.int64)
    return int(np.diff(np.r_[starts, len(first)]).max(initial=0))


def _looked_up(known: tuple[NDArray[np.uint64], NDArray[np.uint64], Classes], wanted: Halves, alike: int) -> Classes:
    """Return what is known of each key; 0 where nothing is."""
    first, second, last = known
    found = np.zeros(len(wanted[0]), np.int8)
    start = np.searchsorted(first, wanted[0])
    for step in range(alike):
        at = np.minimum(start + step, len(first) - 1)
        same = (first[at] == wanted[0]) & (second[at] == wanted[1])
        found[same] = last[at[same]]
    return found


@dataclasses.dataclass(frozen=True)
class Known:
    """Files of `pack`.

    Attributes:
        bits: How many bits of a key name its partition.
        files: Partition → its row of `FILES`.
    """

    bits: int
    files: dict[int, dict[str, Any]]

    @classmethod
    def of(cls, bits: int, batches: Iterable[pa.RecordBatch]) -> Known:
        """Return what batches of `FILES` name."""
        return cls(bits, {row["partition"]: row for batch in batches for row in batch.to_pylist() if row["pairs"]})

    def last(self, pair_ids: pa.Array) -> pa.DictionaryArray:
        """Return the last of `CLASSES` that each pair survived."""
        first, second = keys.halves(pair_ids)
        numbers = exchange.partitions(pair_ids, self.bits)
        found = np.zeros(len(pair_ids), np.int8)
        for number in np.flatnonzero(np.bincount(numbers)).tolist():
            mine = slice(None) if not self.bits else np.flatnonzero(numbers == number)
            if number in self.files:
                row = self.files[number]
                found[mine] = _looked_up(self._opened(number), (first[mine], second[mine]), row["alike"])
        return pa.DictionaryArray.from_arrays(pa.array(found), pa.array(CLASSES))

    @functools.cached_property
    def _mapped(self) -> dict[int, tuple[NDArray[np.uint64], NDArray[np.uint64], Classes]]:
        return {}

    def _opened(self, number: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64], Classes]:
        """Return the file of a partition, mapped."""
        if number not in self._mapped:
            pairs = self.files[number]["pairs"]
            whole = np.asarray(np.memmap(mapped.path(self.files[number]["path"], _PAIR_BYTES * pairs), np.uint8, "r"))
            halves = whole[: 16 * pairs].view(np.uint64).reshape(2, pairs)
            self._mapped[number] = (halves[0], halves[1], whole[16 * pairs :].view(np.int8))
        return self._mapped[number]
