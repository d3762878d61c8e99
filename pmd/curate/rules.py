"""Curate: from a source's drafts to pairs and rejected rows, with their keys.

Two decisions, both on Arrow tables and both free of Beam. `judge` works on one batch and on nothing else: normalise the
text, find the image's identity, make the keys. `resolve` works on one partition, in which all rows that share an upstream
id meet: number the repeated ones, reject exact repeats where asked, sort.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config.asked import Asked
from pmd.schema import keys
from pmd.schema.tables import JUDGED, PAIRS, REJECTED, with_columns
from pmd.store.commits import Books, Commit
from pmd.suppression import rows as suppressed
from pmd.suppression.lists import Suppression
from pmd.text import cleaning, url_identity

STAGE: Final = flow.CURATE.name
#: In a commit's facts: how many rows of the source suppression lists have kept out.
SUPPRESSED: Final = "suppressed"

#: What only pairs have: neither is it in `REJECTED`, nor does it order rows that share an id.
_PAIRS_ONLY: Final = (
    "image_url",
    "identity",
    "mirrors",
    "width_px",
    "height_px",
    "region",
    "text",
    "meta",
    "text_licence",
    "image_licence",
    "licence_evidence",
)

#: What an id ends in that looks like the number of a row that repeats another's (RE2), from #2 to #9999. Rows that differ in it
#: alone meet in one partition, so there must be an end: a file may call all its rows `set#123456`. Beyond it one of ours may be
#: upstream's own, too: of an id with ten thousand rows.
_NUMBER: Final = "(?:#(?:[2-9]|[1-9][0-9]{1,3}))+$"

#: Input bytes of a partition, uncompressed. A partition's rows stand in memory, with their upstream fields and copies
#: about ten times that.
PARTITION_BYTES: Final = 24 * 2**20


def judge(source: str, drafts: pa.RecordBatch) -> pa.RecordBatch:
    """Normalise drafts, give them identities and keys, and reject what has no text or no image.

    Args:
        source: The source's name.
        drafts: A batch of `DRAFTS`.

    Returns:
        The same rows, in the same order, as `JUDGED`. A reason that the reader gave stays. Of rows that leave, what only pairs
        have is null: it would be carried to their partition, and nobody would read it.
    """
    source_ids = drafts["source_id"]
    if source_ids.null_count:
        source_ids = pc.coalesce(source_ids, keys.hexadecimal(drafts["row_digest"]))
    texts = cleaning.normalise(drafts["text"])
    identities = _identities(drafts["identity"], drafts["image_url"])
    no_text = pa.array(cleaning.shows_nothing(texts))
    no_identity = pc.is_null(identities)
    # Few drafts have no identity: only for these it matters whether there is a URL at all.
    no_url = _are_blank(drafts["image_url"]) if pc.any(no_identity).as_py() else no_identity
    reasons = pc.case_when(
        pc.make_struct(
            pc.is_valid(drafts["reason"]),
            pc.and_(no_identity, no_url),
            no_identity,
            no_text,
        ),
        drafts["reason"],
        "no_image",
        "bad_url",
        "empty_text",
        pa.scalar(None, pa.string()),
    )
    detail = pc.if_else(
        pc.and_(pc.is_null(drafts["reason"]), pc.fill_null(pc.equal(reasons, "bad_url"), fill_value=False)),
        drafts["image_url"],
        drafts["detail"],
    )
    leaves = pc.is_valid(reasons)
    columns = {name: drafts[name] for name in JUDGED.names if name in drafts.schema.names}
    columns |= {
        "key": keys.pair_ids(source, _stems(source_ids)),
        "image_id": keys.image_ids(identities),
        "source_id": source_ids,
        "text": texts,
        "identity": identities,
        "meta": pc.coalesce(drafts["meta"], "{}"),
        "reason": reasons,
        "detail": detail,
    }
    if leaves.true_count:
        columns |= {name: _of_pairs(columns[name], leaves) for name in _PAIRS_ONLY}
    return pa.RecordBatch.from_arrays([columns[name] for name in JUDGED.names], schema=JUDGED)


def _stems(source_ids: pa.Array) -> pa.Array:
    """Return ids without what looks like a number of ours: the second row of `a` must not be called as upstream's own `a#2`."""
    if not pc.any(pc.match_substring(source_ids, "#")).as_py():
        return source_ids
    return pc.replace_substring_regex(source_ids, _NUMBER, "")


def _of_pairs(column: pa.Array, leaves: pa.BooleanArray) -> pa.Array:
    """Return a column with nulls in the rows that leave."""
    if leaves.false_count == 0:
        return pa.nulls(len(column), column.type)
    return pc.if_else(leaves, pa.scalar(None, column.type), column)


def rename(judged: pa.RecordBatch, names: Mapping[str, str]) -> pa.RecordBatch:
    """Return rows whose places name files as ROOT does.

    Args:
        judged: `JUDGED`, whose places begin with paths as they were opened.
        names: Such a path → its name in ROOT.
    """
    where = judged["where"]
    for path, name in names.items():
        # A path may begin another one; a place goes on with ":", or with a member.
        its = pc.or_(pc.starts_with(judged["where"], f"{path}:"), pc.starts_with(judged["where"], f"{path}!/"))
        if pc.any(its).as_py():
            renamed = pc.utf8_replace_slice(judged["where"], 0, len(path), name)
            where = pc.if_else(its, renamed, where)
    return with_columns(judged, {"where": where})


@dataclasses.dataclass(frozen=True)
class Resolved:
    """One partition, finished: `PAIRS` and `REJECTED`, each in order of pair_id."""

    pairs: pa.Table
    rejected: pa.Table

    def books(self) -> Books:
        """Return how many rows were kept, and rejected by reason."""
        return Books(self.pairs.num_rows, dict(sorted(Counter(self.rejected["reason"].to_pylist()).items())))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.pairs.num_rows + self.rejected.num_rows)

    def tables(self) -> dict[str, pa.Table]:
        """Return its tables by the names of their folders."""
        return {"pairs": self.pairs, "rejected": self.rejected}

    def parted(self, lists: Suppression) -> tuple[Resolved, Resolved]:
        """Return what suppression lists leave of it, and what they keep out. Rows keep the numbers that they have among all."""
        pairs, rejected = suppressed.pairs(lists, self.pairs), suppressed.rejected(lists, self.rejected)
        left, gone = (
            Resolved(
                self.pairs.filter(pa.array(of_pairs)).combine_chunks(),
                self.rejected.filter(pa.array(of_rejected)).combine_chunks(),
            )
            for of_pairs, of_rejected in ((~pairs, ~rejected), (pairs, rejected))
        )
        return left, gone


def suppressing(commit: Commit, dropped: int) -> Commit:
    """Return a commit that says of so many more rows that suppression lists have kept them out."""
    if not dropped:
        return commit
    facts = {**commit.facts, SUPPRESSED: commit.facts.get(SUPPRESSED, 0) + dropped}
    return dataclasses.replace(commit, facts=facts)


#: What orders the rows of one id. The last three may come from a file's name, which is not in the digest.
_ORDER: Final = ("source_id", "row_digest", "reason", "detail", "file_name", "split")


def resolve(source: str, judged: pa.Table, asked: Asked) -> Resolved:
    """Number the rows that share an upstream id, and split pairs from rejected rows.

    Rows with one id are numbered in order of their content (`row_digest`), so the order in which they were read does not
    matter; the second is `ID#2`, unless that is another row's own id. Under ``duplicate_rows = "reject"`` a row whose id,
    image, region and text all equal those of an earlier kept row is a `duplicate_row`.

    Args:
        source: The source's name.
        judged: All rows of a partition, `JUDGED`, in any order.
        asked: What the configuration asks of curate.
    """
    table = judged.combine_chunks()
    pair_ids = _keys(table)
    in_order = keys.order(pair_ids)
    repeats = np.union1d(_repeats(pair_ids, in_order), np.flatnonzero(_look_numbered(table["source_id"])))
    if len(repeats):
        # Few rows share an id: only they are looked at, and put in the places that their numbers give them.
        table, pair_ids = _number(source, table, repeats, asked)
        in_order = keys.order(pair_ids)
    leaves = table["reason"].is_valid().to_numpy(zero_copy_only=False)[in_order]
    kept, left = in_order[~leaves], in_order[leaves]
    return Resolved(
        _columns(table, pair_ids, kept, PAIRS, source=source),
        _columns(table, pair_ids, left, REJECTED, source=source, stage=STAGE),
    )


def _columns(table: pa.Table, pair_ids: pa.Array, rows: np.ndarray, schema: pa.Schema, **constants: str) -> pa.Table:
    """Return some rows of a table, in the order given, as another table."""
    indices = pa.array(rows)
    names = [name for name in schema.names if name not in constants and name != "pair_id"]
    taken = table.select(names).append_column("pair_id", pair_ids).take(indices)
    return pa.table(
        [
            pa.repeat(pa.scalar(constants[field.name], field.type), len(rows))
            if field.name in constants
            else taken[field.name]
            for field in schema
        ],
        schema=schema,
    )


def _keys(table: pa.Table) -> pa.Array:
    """Return the column of keys as one array."""
    column = table["key"]
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _repeats(base_ids: pa.Array, in_order: np.ndarray) -> np.ndarray:
    """Return the rows whose key is that of another row too, ascending."""
    ordered = keys.raw(base_ids)[in_order]
    same = (ordered[1:] == ordered[:-1]).all(axis=1)
    return np.sort(in_order[np.r_[same, False] | np.r_[False, same]]) if same.any() else np.zeros(0, np.int64)


def _look_numbered(source_ids: pa.ChunkedArray) -> np.ndarray:
    """Return which ids look like those of numbered rows: their key is not that of their partition."""
    return np.asarray(pc.match_substring_regex(source_ids, _NUMBER).to_numpy(), bool)


def _number(source: str, table: pa.Table, repeats: np.ndarray, asked: Asked) -> tuple[pa.Table, pa.Array]:
    """Number rows that share an id; return the table with their new ids and reasons, and all rows' pair_id."""
    shared = table.take(pa.array(repeats))
    by_content = pc.sort_indices(shared, [(name, "ascending") for name in _ORDER])
    where = repeats[by_content.to_numpy()]
    shared = shared.take(by_content).combine_chunks()
    bases = shared["source_id"].to_pylist()
    reasons = shared["reason"].to_pylist()
    first = np.array([i == 0 or bases[i - 1] != base for i, base in enumerate(bases)])
    if asked.curate.duplicate_rows == "reject":
        _reject_repeats(shared, first, reasons)
    source_ids = _numbered(bases)
    columns = {
        "source_id": pa.array(source_ids, pa.string()),
        "reason": pa.array(reasons, pa.string()),
        "key": keys.pair_ids(source, pa.array(source_ids, pa.string())),
    }
    slots = np.arange(len(table))
    slots[where] = len(table) + np.arange(len(bases))
    indices = pa.array(slots)
    whole = {name: pa.concat_arrays([*table[name].chunks, changed]) for name, changed in columns.items()}
    table = with_columns(table, {name: column.take(indices) for name, column in whole.items()})
    return table, _keys(table)


def _numbered(bases: list[str]) -> list[str]:
    """Return an id of its own for each row, in their order: the second `a` is `a#2`, or has the next number that is free."""
    taken = {*bases}
    named: list[str] = []
    number = 1
    for before, base in itertools.pairwise([None, *bases]):
        number = 1 if base != before else number + 1
        while number > 1 and f"{base}#{number}" in taken:
            number += 1
        named.append(str(base) if number == 1 else f"{base}#{number}")
    return named


def _reject_repeats(table: pa.Table, first: np.ndarray, reasons: list[str | None]) -> None:
    """Set `duplicate_row` for rows that say the same as an earlier kept row of their id."""
    group = np.cumsum(first)
    shared = np.flatnonzero(np.bincount(group)[group] > 1)
    seen: set[tuple[Any, ...]] = set()
    columns = [table[name].take(pa.array(shared)).to_pylist() for name in ("image_id", "region", "text")]
    for row, image_id, region, words in zip(shared, *columns, strict=True):
        if reasons[row] is not None:
            continue
        says = (int(group[row]), image_id, tuple(region) if region else None, words)
        if says in seen:
            reasons[row] = "duplicate_row"
        seen.add(says)


def _are_blank(texts: pa.Array) -> pa.Array:
    """Return which texts are null, or nothing but white space."""
    return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), fill_value=True)


def _identities(given: pa.Array, image_urls: pa.Array) -> pa.Array:
    """Return the identities that the reader gave, and those of the URLs where it gave none."""
    if not given.null_count:
        return given
    if given.null_count == len(given):
        return url_identity.of(image_urls)
    return pc.coalesce(given, url_identity.of(pc.if_else(pc.is_null(given), image_urls, pa.scalar(None, pa.string()))))
