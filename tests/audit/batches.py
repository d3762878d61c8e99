"""Batches of pairs for the audit's tests, written by hand or drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import pyarrow as pa

from pmd.audit.counting import distinct, measure, unit_sums, units
from pmd.audit.counting.measure import Plan
from pmd.audit.texts.lexicon import Lexicon, of
from pmd.schema import keys
from pmd.schema.tables import PAIRS

#: A lexicon that needs no package.
WORDS: Lexicon = of(
    {
        "female": ["woman", "women", "she", "trans woman", "mrs.", "mother-in-law"],
        "male": ["man", "men", "he", "the boys"],
        "neutral": ["person", "gender non-conforming"],
    }
)

#: Every text is looked at.
WHOLE = Plan({}, WORDS)


def pair(
    source: str,
    source_id: str,
    text: str,
    *,
    image: str | None = None,
    url: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one row of PAIRS; images are told apart by `image`, by default the row's own."""
    return {
        "pair_id": keys.pair_id(source, source_id),
        "image_id": keys.image_id(image or f"{source}/{source_id}"),
        "source": source,
        "source_id": source_id,
        "image_url": url,
        "identity": image or source_id,
        "text": text,
        "meta": orjson.dumps(dict(meta or {})).decode(),
    }


def batch(rows: Iterable[Mapping[str, Any]]) -> pa.RecordBatch:
    """Return rows as a batch of PAIRS."""
    return pa.RecordBatch.from_pylist(list(rows), schema=PAIRS)


def counted(pairs: pa.RecordBatch, last: pa.Array, plan: Plan = WHOLE) -> unit_sums.Counted:
    """Return what is known of the units of a batch."""
    rows = units.occurrences(pairs, last, measure.look(pairs, plan))
    sources = sorted(set(pairs["source"].to_pylist()))
    images = pa.Table.from_batches([distinct.occurrences(pairs, last, sources)])
    return unit_sums.merged([units.count(pa.Table.from_batches(rows, units.ROWS)), distinct.count(images, sources)])
