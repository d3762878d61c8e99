"""What the pictures are known by of rows that suppression lists keep out: so that no other source brings them back.

A list that names a person or a host names pictures that nobody has seen yet: they stand in the rows that curate drops. Another
source may have one of them, and name nobody. So of each row that is dropped for its picture HMACs are kept: of the keys of its
image under every identity, and of its addresses (`pmd.suppression.rows.known_by`). They are made with the secret of the list that
names the row, as the list itself would have them, and so make that list a little longer. `images` leaves out what they name, and
`pmd takedown apply` takes those of ROOT's own list into it. What a list has already is not written down again.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import pyarrow as pa

from pmd import flow
from pmd.schema.tables import KEPT_OUT
from pmd.store import commits, parquet_files, root, storage
from pmd.suppression import lists, rows
from pmd.suppression.lists import List, Suppression

#: What is kept, of the kinds of lists.
KINDS: Final = ("image", "url")


def of(held: Suppression, pairs: pa.Table, rejected: pa.Table) -> pa.Table:
    """Return what stays of rows that are kept out.

    Args:
        held: The lists that keep them out.
        pairs: `PAIRS` that leave.
        rejected: `REJECTED` rows that leave.

    Returns:
        `KEPT_OUT`, in order, each once.
    """
    told: set[tuple[bytes, str, bytes]] = set()
    for list_id, one in _by_id(held).items():
        alone = Suppression((one,))
        known = rows.known_by(pairs.filter(pa.array(rows.pictures(alone, pairs))))
        known["image"] |= rows.images_of(rejected.filter(pa.array(rows.by_image(alone, rejected))))
        told |= {
            (list_id, kind, hmac)
            for kind, values in known.items()
            for hmac in (one.hmac(kind, value) for value in values)
            if hmac not in one.entries.get(kind, ())
        }
    return _table(told)


def merged(held: Suppression, tables: Iterable[pa.Table]) -> pa.Table:
    """Return rows of several `KEPT_OUT` as one, less what the lists have by now, and less those of lists that hold no more."""
    known = _by_id(held)
    told = {tuple(row.values()) for table in tables for row in table.select(KEPT_OUT.names).to_pylist()}
    return _table(row for row in told if row[0] in known and row[2] not in known[row[0]].entries.get(row[1], ()))


def _by_id(held: Suppression) -> dict[bytes, List]:
    """Return lists by what commits call them; copies of one list are one, with all that any of them has."""
    found: dict[bytes, List] = {}
    for one in held.lists:
        list_id = bytes.fromhex(one.identity)
        found[list_id] = one.with_entries(found[list_id].entries) if list_id in found else one
    return found


def _table(told: Iterable[tuple[bytes, str, bytes]]) -> pa.Table:
    ordered = sorted(told)
    columns = [[row[at] for row in ordered] for at in range(len(KEPT_OUT))]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, KEPT_OUT, strict=True)], schema=KEPT_OUT
    )


def files(root_url: str, sources: Iterable[str]) -> tuple[str, ...]:
    """Return the paths of what some curated sources have kept."""
    found: list[str] = []
    for source in sources:
        folder = root.curate_folder(root_url, source)
        commit = commits.require(folder, f"run: {flow.CURATE.command}")
        found += [storage.join(folder, file.name) for file in commit.under(flow.KEPT_OUT)]
    return tuple(found)


def standing(root_url: str, held: Suppression, more: Iterable[pa.Table] = ()) -> Suppression:
    """Return what all curated sources have kept, and `KEPT_OUT` of others, as lists: false where that is nothing; see `read`."""
    there = _batches(files(root_url, root.curated_sources(root_url)))
    return _as_lists(itertools.chain(there, *(table.to_batches() for table in more)), held)


@functools.lru_cache(maxsize=1)
def read(of_sources: Sequence[str], held: Sequence[tuple[str, str]]) -> Suppression:
    """Return what sources have kept, as lists with the secrets of those that hold; once a process.

    Args:
        of_sources: The paths of `files`.
        held: Paths and digests of the lists that hold (`lists.digests`).
    """
    return _as_lists(_batches(of_sources), lists.read(held)) if of_sources else Suppression()


def _batches(of_sources: Iterable[str]) -> Iterator[pa.RecordBatch]:
    for path in of_sources:
        yield from parquet_files.iterate(path, KEPT_OUT.names)


def _as_lists(kept: Iterable[pa.RecordBatch], held: Suppression) -> Suppression:
    known = _by_id(held)
    entries: dict[bytes, dict[str, set[bytes]]] = {list_id: {} for list_id in known}
    for batch in kept:
        for row in batch.to_pylist():
            if row["list_id"] in entries:  # else the source is about to be curated anew
                entries[row["list_id"]].setdefault(row["kind"], set()).add(row["hmac"])
    found = {list_id: {kind: frozenset(hmacs) for kind, hmacs in of.items()} for list_id, of in entries.items() if of}
    return Suppression(tuple(List(known[list_id].secret, of) for list_id, of in found.items()))
