"""Refilling a list that carries ids and digests with what it withholds, from one's own copy of the annotation files.

Whoever has a source's files has curated them into a ROOT of their own. A row of the list and a pair of that ROOT are the same
where their pair_id is; what the pair says goes into the row only where its digest is the row's `withheld_digest`. So a copy of
another edition, or read under another profile, fills nothing in that the list's publisher did not have. Rows that the list of
what has left names (`pmd.store.withdrawn`), where one stands beside the lists, are left out, as `pmd.load` leaves them out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd.config import Config
from pmd.curate import needs as curate_needs
from pmd.errors import InputError
from pmd.manifests import Terms
from pmd.publish import lists
from pmd.publish import rules as publish_rules
from pmd.schema.tables import PAIRS, with_columns
from pmd.store import parquet_files, root, sealed, storage, withdrawn, written
from pmd.store.standing import Standing

_PARTS: Final = re.compile(r"part-(\d+)-of-(\d+)")
#: The end of the path of a list's file, sealed or refilled.
_LIST: Final = re.compile(r"(?:^|[/-])part-\d+-of-\d+(?:-[0-9a-f]{16})?\.parquet$")
#: What is refilled: all that any list leaves out.
_REFILLED: Final = publish_rules.WITHHELD["ids"]


@dataclasses.dataclass
class Joined:
    """What became of the rows of a source: refilled, not found in the copy, found with other content, left out as withdrawn."""

    rows: int = 0
    filled: int = 0
    absent: int = 0
    other: int = 0
    withdrawn: int = 0


def join(config: Config, listed: str, out: str) -> dict[str, Joined]:
    """Write a list anew, with what it withholds.

    Args:
        config: One's own: its sources are curated.
        listed: The list, a folder of lists, or a ROOT.
        out: The folder for the files, which stand as the list's do and are called so, less the digest in their names: that is of
            the bytes that the list had, and no reader would take others under it.

    Returns:
        Source → its rows. Rows that nothing was withheld of count as neither.

    Raises:
        InputError: There is no list, `out` is where it stands, or other lists stand there.
        RootError: A source of the list is not curated.
    """
    names = {source.terms.hub_name: source.name for _, source in sorted(config.sources.items())}
    if not storage.exists(listed):
        raise InputError("nothing is here", where=listed, expected="a published list, a folder of lists, or a ROOT")
    paths = lists.files(listed)
    if not paths:
        raise InputError("no lists", where=listed, expected="Parquet files that pmd publish wrote", found="none")
    result: dict[str, Joined] = {}
    left = withdrawn.beside(listed)
    below = {path: _relative(listed, path) for path in paths}
    if any(storage.is_same(path, storage.join(out, name)) for path, name in below.items()):
        raise InputError(
            "the refilled lists would stand among those that they are made of",
            where=out,
            remedy="name another folder with --out",
        )
    _clear(out, {sealed.unsealed(name) for name in below.values()})
    with contextlib.ExitStack() as stack:
        drafts: list[tuple[storage.Draft, str]] = []
        for path, name in below.items():
            table = _without(left, pa.Table.from_batches(lists.iterate(path), lists.ROWS), names, result)
            refilled = _refilled(config, names, table, result)
            folder, _, last = storage.join(out, sealed.unsealed(name)).rpartition("/")
            draft = stack.enter_context(storage.Draft(folder))
            parquet_files.write(draft.file, [refilled.cast(publish_rules.PUBLISHED)], page_index=True)
            draft.close()
            drafts.append((draft, last))
        for draft, last in drafts:  # all, once all are whole
            draft.finish(last)
    return dict(sorted(result.items()))


def _clear(out: str, wanted: set[str]) -> None:
    """Remove what a killed run has left in the folder for refilled lists.

    Raises:
        InputError: It is a file, or lists stand there that this one does not replace: readers would take them for part of it.
    """
    if storage.exists(out) and not storage.is_folder(out):
        raise InputError("a file is here", where=out, expected="a folder, be it new", remedy="name another with --out")
    names = storage.list_files(out)
    others = [name for name in names if name not in wanted and _LIST.search(name)]
    if others:
        raise InputError(
            "other lists stand here",
            where=out,
            expected="an empty folder, or what this list was refilled to before",
            found=storage.join(out, others[0]) + (f" and {len(others) - 1} more" if len(others) > 1 else ""),
            remedy="name another folder with --out, or remove them",
        )
    folders = {posixpath.dirname(name) for name in wanted}
    for name in names:
        # Below others may stand what is somebody else's, a ROOT in which a build runs among it.
        if written.is_temporary(name) and posixpath.dirname(name) in folders:
            storage.remove(storage.join(out, name))


def _relative(listed: str, path: str) -> str:
    below = path.removeprefix(listed).lstrip("/")
    return below or path.rpartition("/")[2]


def _without(left: pa.Array | None, rows: pa.Table, names: Mapping[str, str], result: dict[str, Joined]) -> pa.Table:
    """Return the rows that have not left, and count the others."""
    if left is None:
        return rows
    gone = pc.is_in(rows["pair_id"], value_set=left)
    for said in pc.value_counts(rows.filter(gone)["source"]).to_pylist():
        hub_name = said["values"]
        result.setdefault(names.get(hub_name, hub_name), Joined()).withdrawn += said["counts"]
    return rows.filter(pc.invert(gone))


def _refilled(config: Config, names: Mapping[str, str], rows: pa.Table, result: dict[str, Joined]) -> pa.Table:
    rows = rows.combine_chunks()
    for hub_name in sorted({*rows["source"].to_pylist()}):
        name = names.get(hub_name, hub_name)
        joined = result.setdefault(name, Joined())
        mine = pc.and_(pc.equal(rows["source"], hub_name), pc.is_valid(rows["withheld_digest"]))
        wanted = rows.filter(mine)["pair_id"].combine_chunks()
        joined.rows += pc.sum(pc.equal(rows["source"], hub_name)).as_py()
        if not len(wanted):
            continue
        if name not in config.sources:
            joined.absent += len(wanted)
            continue
        terms = config.sources[name].terms
        said = pa.concat_tables(
            [
                _with_digests(PAIRS.empty_table(), terms),
                *(_with_digests(pairs, terms) for pairs in _own(config, name, wanted)),
            ]
        )
        rows = _filled(rows, mine, said.combine_chunks(), joined)
    return rows


def _own(config: Config, name: str, wanted: pa.Array) -> Iterator[pa.Table]:
    """Yield one's own pairs of some keys, a file at a time; of files that can have none, nothing is read."""
    commit, folder = curate_needs.commit_of(Standing(config.root), name), root.curate_folder(config.root, name)
    heads = {int(key[:8], 16) for key in wanted.to_pylist()}
    keys = pa.array([bytes.fromhex(key) for key in wanted.to_pylist()], PAIRS.field("pair_id").type)
    for file in commit.under("pairs"):
        numbers = _PARTS.search(file.name)
        assert numbers is not None, file.name
        part, parts = map(int, numbers.groups())
        if any(head * parts >> 32 == part for head in heads):
            pairs = parquet_files.read_table(folder, file).cast(PAIRS)
            yield pairs.filter(pc.is_in(pairs["pair_id"], value_set=keys))


def _with_digests(pairs: pa.Table, terms: Terms) -> pa.Table:
    """Return what a list with all of it would say of pairs."""
    full = publish_rules.said(pairs, terms)
    return pa.table(
        {**full, "pair_id": publish_rules.hexadecimal(pairs["pair_id"]), "digest": publish_rules.digests(full)}
    )


def _filled(rows: pa.Table, mine: pa.ChunkedArray, said: pa.Table, joined: Joined) -> pa.Table:
    at = pc.if_else(
        mine, pc.index_in(rows["pair_id"], value_set=said["pair_id"].combine_chunks()), pa.scalar(None, pa.int32())
    )
    found = pc.is_valid(at)
    same = pc.fill_null(pc.equal(said["digest"].take(at), rows["withheld_digest"]), fill_value=False)
    joined.filled += _count(same)
    joined.absent += _count(pc.and_(mine, pc.invert(found)))
    joined.other += _count(pc.and_(found, pc.invert(same)))
    return with_columns(rows, {name: pc.if_else(same, said[name].take(at), rows[name]) for name in _REFILLED})


def _count(which: pa.ChunkedArray) -> int:
    return int(pc.sum(which).as_py() or 0)


def lines(result: Mapping[str, Joined]) -> list[Sequence[str]]:
    """Return a row of words a source, for a table."""
    return [(name, *(f"{count:,}" for count in dataclasses.astuple(joined))) for name, joined in result.items()]
