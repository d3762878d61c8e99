"""Patching shards: samples that have left give their places to others, and every shard that none has left stays as it is.

Ranks are not drawn anew. What stands in a shard stays there. The place of a sample that is gone goes to one that is new: a
takedown may let in a pair that had been one too many. Where there is none, the last sample of the last shard takes it: that shard
is the reserve. So all shards but the last keep their counts, and only files in which a place has changed hands are written anew.
"""

from __future__ import annotations

import dataclasses
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import flow
from pmd.books.report import first_line
from pmd.errors import InputError, PmdError
from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import sealed, shortage, storage
from pmd.store.commits import Commit, File
from pmd.terminal import bar

_Places = npt.NDArray[np.int64]

#: What of a sample tells whether it is as it was.
_DESCRIBED: Final = ("image_id", "region", "pairs", "split")
_NAME: Final = re.compile(r"(\d+-of-\d+)-[0-9a-f]{8}\.\w+")


@dataclasses.dataclass(frozen=True)
class Layout:
    """Samples in the order of their places.

    Attributes:
        keys: Of each sample.
        digests: Of what is said of it.
    """

    keys: pa.Array
    digests: pa.Array

    @classmethod
    def of(cls, described: Iterable[tuple[str, Mapping[str, Any]]]) -> Layout:
        """Return the layout of samples, each with its key and what is said of it."""
        listed = [(bytes.fromhex(key), _digest(said)) for key, said in described]
        ids, digests = zip(*listed, strict=True) if listed else ((), ())
        return cls(keys.key_array(ids), keys.key_array(digests))

    @classmethod
    def joined(cls, layouts: Sequence[Layout]) -> Layout:
        """Return layouts end to end."""
        empty = pa.array([], KEY)
        return cls(
            pa.concat_arrays([empty, *(one.keys for one in layouts)]),
            pa.concat_arrays([empty, *(one.digests for one in layouts)]),
        )


@dataclasses.dataclass(frozen=True)
class Patch:
    """A shard that is to be written: the place of its file among those that stand, and which samples it holds, in order."""

    file: int
    samples: _Places


def plan(counts: Sequence[int], before: Layout, now: Layout) -> tuple[list[int], list[Patch]] | None:
    """Give each place in the shards to a sample.

    Args:
        counts: Samples in each shard, as they stand.
        before: All samples in the shards.
        now: All samples that there are to be, in their own order.

    Returns:
        The shards that stay as they are, and those that are written; None where there are more new samples than places.
    """
    at = pc.index_in(before.keys, value_set=now.keys)
    places = pc.fill_null(at, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    there = places >= 0
    changed = np.zeros(len(places), bool)
    same = pc.equal(before.digests.filter(pa.array(there)), now.digests.take(pa.array(places[there])))
    changed[there] = ~np.asarray(same.to_numpy(zero_copy_only=False), bool)
    new = np.setdiff1d(np.arange(len(now.keys)), places[there])
    gaps = np.flatnonzero(~there)
    if len(new) > len(gaps):
        return None
    filled = places.copy()
    filled[gaps[: len(new)]] = new
    left = gaps[len(new) :]
    count = len(now.keys)
    low = left[left < count]
    reserve = np.flatnonzero(filled[count:] >= 0)[::-1] + count
    filled[low] = filled[reserve]
    moved = changed | (filled != places)
    kept: list[int] = []
    patches: list[Patch] = []
    start = 0
    for file, size in enumerate(counts):
        stop = start + size
        if stop <= count and not moved[start:stop].any():
            kept.append(file)
        elif start < count:
            patches.append(Patch(file, filled[start : min(stop, count)]))
        start = stop
    return kept, patches


def runs(samples: _Places, counts: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield samples, by their places among all, as slices (window, start, stop) of windows that hold so many each."""
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    windows = np.searchsorted(starts, samples, side="right") - 1
    rows = samples - starts[windows]
    breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(windows) != 0)) + 1
    for part in np.split(np.arange(len(samples)), breaks):
        if len(part):
            yield int(windows[part[0]]), int(rows[part[0]]), int(rows[part[-1]]) + 1


def shards_of(commit: Commit) -> list[File]:
    """Return the shards that a commit lists, in order."""
    return sorted((file for file in commit.files if file.name not in flow.BESIDE_SHARDS), key=lambda file: file.name)


def renamed(name: str, tag: str) -> str:
    """Return a shard's name, without its extension, with another tag: of the same number it is another file."""
    match = _NAME.fullmatch(name)
    assert match is not None, name
    return f"{match[1]}-{tag}"


def read(folder: str, file: File) -> Layout:
    """Return the samples of a shard, of either format.

    Raises:
        VerificationError: It is gone or damaged: whose places are whose is not known then.
    """
    path = storage.join(folder, file.name)
    try:
        found = Layout.of(_of_tar(path) if path.endswith(".tar") else _of_parquet(path))
    except Exception as error:
        is_ours = isinstance(error, PmdError) and not isinstance(error, InputError)  # of storage that is away, say
        if is_ours or not shortage.tells_of_bytes(error):
            raise
        raise sealed.damaged(
            path, "a shard is gone or damaged", bar.amount(file.rows, "samples"), first_line(error)
        ) from None
    if len(found.keys) != file.rows:  # a tar that is cut off between two members ends there
        there = bar.amount(len(found.keys), "samples")
        raise sealed.damaged(path, "a shard is damaged", bar.amount(file.rows, "samples"), there)
    return found


def of_samples(path: str) -> Layout:
    """Return the samples of a window, as the stage has put them in order."""
    return Layout.of(_of_parquet(path))


def _of_parquet(path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with sealed.open_checked(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=["key", *_DESCRIBED], use_threads=False):
            for row in batch.to_pylist():
                yield row["key"], row


def _of_tar(path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with storage.open_raw(path) as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
        for member in tar:
            stem, _, suffix = member.name.partition(".")
            if suffix == "json":
                content = tar.extractfile(member)
                assert content is not None
                yield stem, orjson.loads(content.read())


def _digest(said: Mapping[str, Any]) -> bytes:
    image_id = said["image_id"]
    named = {"image_id": image_id.hex() if isinstance(image_id, bytes) else image_id}
    # Of what is said of a pair only what the pair itself is: what loaders are told beside follows from it.
    # The split is the group's.
    pairs = [[pair["pair_id"], pair["text"]] for pair in said["pairs"]]
    return keys.digest(
        orjson.dumps(
            {**named, "region": said["region"], "split": said.get("split"), "pairs": pairs}, option=orjson.OPT_SORT_KEYS
        )
    )
