"""Curate: from a source's drafts to pairs and rejected rows, with their keys.

Two decisions, both on Arrow tables and both free of Beam. `judge` works on one batch and on nothing else: normalise the
text, find the image's identity, make the keys. `settle` works on one partition, in which all rows that share an upstream
id meet: number the repeated ones, reject exact repeats where asked, sort.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd import keys, text, urls
from pmd.commits import Books
from pmd.options import CurateOptions
from pmd.schema.tables import JUDGED, KEY, PAIRS, REJECTED

STAGE: Final = "curate"

#: Input bytes of a partition, uncompressed. A partition's rows stand in memory, with their upstream fields and copies
#: about ten times that.
PARTITION_BYTES: Final = 24 * 2**20


def judge(source: str, drafts: pa.RecordBatch) -> pa.RecordBatch:
    """Normalise drafts, give them identities and keys, and reject what has no text or no image.

    Args:
        source: The source's name.
        drafts: A batch of `DRAFTS`.

    Returns:
        The same rows, in the same order, as `JUDGED`. A reason that the reader gave stays.
    """
    source_ids = pc.coalesce(drafts["source_id"], _hex(drafts["row_digest"]))
    texts = text.normalise(drafts["text"])
    identities = pc.coalesce(drafts["identity"], urls.identity(drafts["image_url"]))
    no_text = pc.equal(pc.fill_null(pc.binary_length(texts), 0), 0)
    no_identity = pc.is_null(identities)
    no_url = pc.is_null(drafts["image_url"])
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
    columns = {name: drafts[name] for name in JUDGED.names if name in drafts.schema.names}
    columns |= {
        "key": keys.pair_ids(source, source_ids),
        "image_id": keys.image_ids(identities),
        "source_id": source_ids,
        "text": texts,
        "identity": identities,
        "meta": pc.coalesce(drafts["meta"], "{}"),
        "reason": reasons,
        "detail": detail,
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in JUDGED.names], schema=JUDGED)


@dataclasses.dataclass(frozen=True)
class Settled:
    """One partition, finished: `PAIRS` and `REJECTED`, each in order of pair_id."""

    pairs: pa.Table
    rejected: pa.Table

    def books(self) -> Books:
        """Return how many rows were kept, and rejected by reason."""
        return Books(self.pairs.num_rows, dict(sorted(Counter(self.rejected["reason"].to_pylist()).items())))


#: What orders the rows of one id. The last three may come from a file's name, which is not in the digest.
_ORDER: Final = ("source_id", "row_digest", "reason", "detail", "file_name", "split")


def settle(source: str, judged: pa.Table, options: CurateOptions) -> Settled:
    """Number the rows that share an upstream id, and split pairs from rejected rows.

    Rows with one id are numbered in order of their content (`row_digest`), so the order in which they were read does not
    matter; the second is `ID#2`. Under ``duplicate_rows = "reject"`` a row whose id, image, region and text all equal those
    of an earlier kept row is a `duplicate_row`.

    Args:
        source: The source's name.
        judged: All rows of a partition, `JUDGED`, in any order.
        options: Options of the stage.
    """
    table = judged.take(pc.sort_indices(judged, [(name, "ascending") for name in _ORDER])).combine_chunks()
    bases = table["source_id"].to_numpy(zero_copy_only=False)
    first = np.r_[True, bases[1:] != bases[:-1]] if len(bases) else np.zeros(0, bool)
    positions = np.arange(len(bases))
    numbers = positions - np.maximum.accumulate(np.where(first, positions, 0)) + 1
    source_ids = bases.copy()
    pair_ids = table["key"].to_pylist()
    reasons = table["reason"].to_pylist()
    repeats = np.flatnonzero(~first)
    for i in repeats:
        source_ids[i] = f"{bases[i]}#{numbers[i]}"
        pair_ids[i] = keys.pair_id(source, source_ids[i])
    if options.duplicate_rows == "reject" and len(repeats):
        _reject_repeats(table, first, reasons)
    table = table.set_column(table.schema.get_field_index("source_id"), "source_id", pa.array(source_ids, pa.string()))
    table = table.append_column("pair_id", pa.array(pair_ids, KEY))
    table = table.set_column(table.schema.get_field_index("reason"), "reason", pa.array(reasons, pa.string()))
    table = table.append_column("source", pa.array([source] * len(table), pa.string()))
    table = table.append_column("stage", pa.array([STAGE] * len(table), pa.string()))
    table = table.take(pc.sort_indices(table, [("pair_id", "ascending")]))
    kept = pc.is_null(table["reason"])
    return Settled(
        table.filter(kept).select(PAIRS.names).cast(PAIRS),
        table.filter(pc.invert(kept)).select(REJECTED.names).cast(REJECTED),
    )


def _reject_repeats(table: pa.Table, first: np.ndarray, reasons: list[str | None]) -> None:
    """Set `duplicate_row` for rows that say the same as an earlier kept row of their id."""
    group = np.cumsum(first)
    shared = np.flatnonzero(np.bincount(group)[group] > 1)
    seen: set[tuple[Any, ...]] = set()
    columns = [table[name].take(pa.array(shared)).to_pylist() for name in ("image_id", "region", "text")]
    for i, image_id, region, words in zip(shared, *columns, strict=True):
        if reasons[i] is not None:
            continue
        says = (int(group[i]), image_id, tuple(region) if region else None, words)
        if says in seen:
            reasons[i] = "duplicate_row"
        seen.add(says)


def _hex(digests: pa.Array) -> pa.Array:
    return pa.array([item.hex() for item in digests.to_pylist()], pa.string())
