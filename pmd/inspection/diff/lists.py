"""Two published lists (`pmd publish`), or folders of them: rows compared by pair_id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pmd import flow
from pmd.errors import InputError
from pmd.formats import parquet
from pmd.inspection.diff import pairs
from pmd.inspection.diff.join import A, B, Meeting, Passed, Tell
from pmd.publish import lists
from pmd.publish.rules import PUBLISHED
from pmd.schema import keys
from pmd.store import sealed

_SAID: Final = [name for name in PUBLISHED.names if name not in {"pair_id", "source", "text", "image_url"}]


def compare(a: Sequence[str], b: Sequence[str], limit: int, tell: Tell | None = None) -> dict[str, Any]:
    """Compare the rows of lists; see `pmd.inspection.diff.diff`."""
    total = 0
    for path in (*a, *b):
        with parquet.telling(path), sealed.open_checked(path) as file:
            total += pq.ParquetFile(file).metadata.num_rows
    known = [lists.columns(path) for path in (*a, *b)]
    # A list of an earlier version has fewer.
    said = [name for name in _SAID if all(name in columns for columns in known)]
    with Meeting(total, Passed(tell, total)) as met:
        for side, paths in ((A, a), (B, b)):
            for path in paths:
                _spread(met, side, path, said)
        found = pairs.compare(met, limit, said, {})
    listed = sorted({source for source, _, _ in found.fates})
    return {
        "equal": not pairs.moves(found) and not found.changed and not found.alone,
        "pairs": sum(found.fates.values()),
        "stages": pairs.stage_table(found, {source: [flow.PUBLISH.name] for source in listed}),
        "only_in": pairs.only_in(found),
        "not_compared": [],
        "fared": pairs.fared(found),
        "moved": pairs.moves(found),
        "changed": pairs.changes(found),
        "images": None,
        "near_texts": [],
        "outputs": [],
        "options": [],
        "examples": found.examples,
    }


def _spread(met: Meeting, side: str, path: str, columns: list[str]) -> None:
    for batch, file, row in met.number(path, lists.iterate(path)):
        try:
            pair_ids = keys.key_array(bytes.fromhex(key) for key in batch["pair_id"].to_pylist())
        except (ValueError, TypeError, pa.ArrowInvalid) as error:
            raise InputError(
                "a key that is none", where=f"{path}: pair_id", expected="32 hex digits", found=str(error)
            ) from None
        said = pairs.said(batch, columns)
        met.add(pair_ids, side=side, kind=pairs.PAIR, source=batch["source"], file=file, row=row, **said)
