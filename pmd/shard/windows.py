"""Which worker writes which shards: where a picture costs a request, one that reads its windows once, whole, and in order.

A shard's pictures lie scattered over all of its window. On local files each shard is a task of its own, which reads a picture at
its place. On other storage a task is a window, or so many that follow each other that there are ten shards in them: it has all
of their pictures, and writes all shards that lie within. Of the two that reach into its neighbours it hands its share on, in
order: one file of pictures, and one of samples that point into it. When all have done so, whoever has both shares writes the
shard.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from pmd.fetch.ledger import reading
from pmd.schema.tables import with_columns
from pmd.store import parquet_files, storage

#: Shards of a task, at least: a tenth of what it reads is handed on, at most.
SHARDS_A_TASK: Final = 10


def tasks(counts: Sequence[int], least: int) -> list[int]:
    """Return of each window the task that reads it; they are numbered, and ascend.

    Args:
        counts: Samples of each window, in order.
        least: Samples of a task that another follows.
    """
    found: list[int] = []
    number, samples = 0, 0
    for count in counts:
        if samples >= least:
            number, samples = number + 1, 0
        found.append(number)
        samples += count
    return found


def hand_on(root_folder: str, work: str, samples: pa.Table, pictures: reading.Pictures) -> str:
    """Write samples whose shard another task writes, and their pictures, one after the other; return the samples' path.

    Args:
        root_folder: ROOT.
        work: The folder of this run, below it.
        samples: `SAMPLES` in order.
        pictures: Reads them.
    """
    places: dict[tuple[str, int], int] = {}
    offsets, end = [], 0
    name = f"pictures-{uuid.uuid4().hex}.bin"
    with storage.Draft(work, durable=False) as draft:
        for row in _rows(samples):
            place = row["store_file"], row["offset"]
            if place not in places:
                places[place] = end
                draft.file.write(pictures.read(row))
                end += row["length"]
            offsets.append(places[place])
        draft.finish(name)
    file = storage.join(work, name).removeprefix(root_folder).lstrip("/")
    moved = {"store_file": pa.repeat(file, samples.num_rows), "offset": pa.array(offsets, pa.int64())}
    samples = with_columns(samples, moved)
    return storage.join(work, parquet_files.put_table(work, "samples-part", samples, durable=False).name)


def _rows(samples: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = samples.drop_columns(["pairs"]).to_pylist()
    return rows
