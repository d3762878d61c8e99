"""The share of the images that was there when it was asked for, as sums: by source and host, status, and day.

They are made a part at a time by the workers that read every ledger anyway, to judge which pairs leave, and are committed beside
these (`fetch/availability`). So whoever tells the figures (`pmd.refresh.availability`) reads a file a part, and no ledger. An
image of several sources counts in each of them, and once in all.

Days are of the run and no outcome of it: the folder's bytes are in no class of equal bytes, as those of attempts are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.fetch.ledger import asked
from pmd.fetch.ledger.asked import ALL
from pmd.schema.statuses import OK, UNASKED
from pmd.store import commits, parquet_files, root, storage
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted

#: By what images are summed up.
DAY: Final = "day"
HOST: Final = "host"
STATUS: Final = "status"
#: The day of an image of which no commit says when it was asked for.
UNKNOWN: Final = "unknown"

#: One row for each name by which images are summed up, of a source or of all. In order of by, source and name.
SUMS: Final = pa.schema(
    [
        pa.field("by", pa.string(), nullable=False),  # `DAY`, `HOST` or `STATUS`
        pa.field("source", pa.string(), nullable=False),  # or `ALL`
        pa.field("name", pa.string(), nullable=False),  # the host, the status, or the day (ISO 8601, UTC; `UNKNOWN`)
        pa.field("images", pa.int64(), nullable=False),  # for which the web was asked
        pa.field("alive", pa.int64(), nullable=False),  # of these, those that were there
    ]
)
KEYS: Final = ("by", "source", "name")

#: The folder's unit, as the stage names it.
UNIT: Final = "availability"
#: What the counts depend on beside images and ledger. Places 2: what img2dataset's shards had is not counted, and what an address
#: had that upstream names no more is alive. 3: not where a web archive had it.
OPTIONS: Final[dict[str, Any]] = {"unasked": list(UNASKED), "places": 3}
#: Rows that are kept apart before they are added up.
_PENDING: Final = 1 << 20


def of(rows: pa.Table) -> pa.Table:
    """Return the `SUMS` of `ASKED` rows."""
    return added(_by_source(rows))


def added(parts: Iterable[pa.Table]) -> pa.Table:
    """Return the `SUMS` of what several `SUMS` count; memory grows with the pairs of a source and a name, not with the images."""
    pending = [SUMS.empty_table()]
    for part in parts:
        pending.append(part)
        if sum(table.num_rows for table in pending) > _PENDING:
            pending = [_summed(pending)]
    found = _summed(pending)
    return found.take(pc.sort_indices(found, [(name, "ascending") for name in KEYS])).combine_chunks()


def _summed(tables: list[pa.Table]) -> pa.Table:
    grouped = pa.concat_tables(tables).group_by(list(KEYS), use_threads=False)
    found = grouped.aggregate([("images", "sum"), ("alive", "sum")])
    return found.select([*KEYS, "images_sum", "alive_sum"]).rename_columns(SUMS.names).cast(SUMS)


def _by_source(rows: pa.Table) -> Iterator[pa.Table]:
    """Yield for each cut a row for each source of an image, and one for all."""
    lists = rows["sources"].combine_chunks()
    lists = lists if isinstance(lists, pa.Array) else pa.concat_arrays(lists.chunks)
    own = pa.array(range(rows.num_rows), pa.int64())
    at = pa.concat_arrays([pc.list_parent_indices(lists).cast(pa.int64()), own])
    sources = pa.concat_arrays([pc.list_flatten(lists), pa.repeat(pa.scalar(ALL), rows.num_rows)])
    alive = pc.equal(rows["status"], OK).cast(pa.int64()).take(at)
    day = pc.coalesce(pc.strftime(rows["fetched"], "%Y-%m-%d"), pa.scalar(UNKNOWN))
    for by, names in ((DAY, day), (HOST, rows["host"]), (STATUS, rows["status"])):
        columns = [pa.repeat(pa.scalar(by), len(at)), sources, names.take(at), pa.repeat(pa.scalar(1), len(at)), alive]
        yield pa.table(columns, names=SUMS.names).cast(SUMS)


def put(folder: str, name: str, rows: pa.Table) -> list[commits.File]:
    """Write the sums of a part's `ASKED` rows; return the file, none where nothing was asked for."""
    found = of(rows)
    return [parquet_files.put_table(folder, name, found)] if found.num_rows else []


#: What the commit's facts say besides: status → images of the ledger, and how many of all have their perceptual hash.
LEDGER: Final = "ledger"
HASHED: Final = "hashed"


def facts(ledgers: Iterable[pa.Table]) -> dict[str, Any]:
    """Return the facts of effective ledgers: what many are asked for, and would else read every ledger to tell."""
    statuses: Counter[str] = Counter()
    hashed = 0
    for ledger in ledgers:
        statuses.update(ledger["status"].to_pylist())
        hashed += ledger.num_rows - ledger["perceptual_hash"].null_count
    return {LEDGER: dict(sorted(statuses.items())), HASHED: hashed}


def together(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the facts of several parts as those of all."""
    statuses: Counter[str] = Counter()
    hashed = 0
    for part in parts:
        statuses.update(part[LEDGER])
        hashed += part[HASHED]
    return {LEDGER: dict(sorted(statuses.items())), HASHED: hashed}


def wanted(root_url: str, standing: Standing) -> Wanted:
    """Return the commit of the sums: of the images with their places, and of the ledger."""
    found = {"images": standing.digest(root.images_folder(root_url)), "ledger": standing.generations.digest}
    return Wanted(flow.FETCH.name, UNIT, folder_of(root_url), OPTIONS, found)


def folder_of(root_url: str) -> str:
    """Return the folder of the sums."""
    return storage.join(root_url, flow.AVAILABILITY.at())


def read(root_url: str, standing: Standing | None = None) -> Iterator[pa.Table]:
    """Yield the `SUMS` of all parts: those that are committed or, where these are not of the ledger that stands, made of it.

    A fetch that was cut short leaves such a ledger, and so does a ROOT of an earlier version.

    Raises:
        RootError: There are no images yet.
    """
    there = standing or Standing(root_url)
    chosen = wanted(root_url, there)
    commit = there.commit(chosen.folder)
    if commit is None or chosen.why(there) is not None:
        yield from (of(rows) for rows, _ in asked.read(root_url))
        return
    for file in commit.files:
        yield parquet_files.read_table(chosen.folder, file)
