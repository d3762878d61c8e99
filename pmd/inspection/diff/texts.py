"""Near-duplicate captions of two ROOTs: texts that are grouped in one alone, or otherwise in the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from pmd.store import parquet_files

_ALONE, _GROUPED, _OTHERWISE = "alone", "in a group", "in another group"
_COLUMNS: Final = ("text_id", "group_id")


def compare(a: Iterable[str], b: Iterable[str]) -> list[dict[str, Any]]:
    """Return how many texts differ: one entry for each way, with `from` (in A), `to` (in B) and `texts`.

    Args:
        a: The files of near-duplicate texts of one ROOT.
        b: Of the other.
    """
    met = _read(a).join(_read(b), on="text_id", how="full", suffix="_b")
    counted: Counter[tuple[str, str]] = Counter()
    for is_in_a, is_in_b, count in (
        met.filter(pl.col("group_id").ne_missing(pl.col("group_id_b")))
        .group_by(pl.col("group_id").is_not_null().alias("in_a"), pl.col("group_id_b").is_not_null().alias("in_b"))
        .len()
        .iter_rows()
    ):
        after = (_OTHERWISE if is_in_a else _GROUPED) if is_in_b else _ALONE
        counted[_GROUPED if is_in_a else _ALONE, after] += count
    return [{"from": before, "to": after, "texts": count} for (before, after), count in sorted(counted.items())]


def _read(paths: Iterable[str]) -> pl.DataFrame:
    empty = pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.Binary))
    tables = [pl.DataFrame(pl.from_arrow(batch)) for path in paths for batch in parquet_files.iterate(path, _COLUMNS)]
    return pl.concat([empty, *tables])
