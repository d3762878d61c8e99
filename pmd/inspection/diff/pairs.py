"""Pairs of two sides, compared by key: what became of each, and what it says.

A pair's *fate* is ``absent``, ``kept``, or the reason with which it was rejected; every reason is one stage's.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import orjson
import polars as pl
import pyarrow as pa

from pmd import flow
from pmd.config.reasons import REASONS
from pmd.inspection import upstream
from pmd.inspection.diff.join import A, B, Examples, Meeting, hashes, joined

#: Kinds of rows. A pair's hashes: first is of its text, second of its image_url, rest of everything else that it says. A
#: rejected row's rest is of its detail.
PAIR: Final = "pair"
REJECTED: Final = "rejected"

ABSENT: Final = "absent"
#: The reason of a pair whose image nobody has asked for yet.
NOT_FETCHED: Final = "not_fetched"
KEPT: Final = "kept"
_WHAT: Final = {"first": "text", "second": "image_url", "rest": "rest"}


@dataclasses.dataclass
class Compared:
    """What was found of pairs.

    Attributes:
        fates: (source, fate in A, fate in B) → pairs, equal ones too.
        changed: (source, what: text, image_url, rest or detail) → pairs that both sides have and that differ in it.
        altered: Source → pairs that both sides keep and that differ in any of these, each once.
        examples: Rows of differences, as `describe` shows them.
    """

    fates: Counter[tuple[str, str, str]]
    changed: Counter[tuple[str, str]]
    altered: Counter[str]
    examples: list[dict[str, Any]]

    @functools.cached_property
    def alone(self) -> dict[str, str]:
        """Source → the side that alone has rows of it: then there is nothing to compare, and one line says so."""
        return _alone(self.fates)


def _alone(fates: Counter[tuple[str, str, str]]) -> dict[str, str]:
    has: dict[str, set[str]] = {}
    for source, before, after in fates:
        has.setdefault(source, set()).update(side for side, fate in ((A, before), (B, after)) if fate != ABSENT)
    return {source: min(sides) for source, sides in sorted(has.items()) if len(sides) == 1}


def said(batch: pa.RecordBatch, rest: list[str]) -> dict[str, pl.Series]:
    """Return the hashes of pairs: of their text, their URL, and the columns `rest`, which are compared as one."""
    return {"first": hashes(batch, ["text"]), "second": hashes(batch, ["image_url"]), "rest": hashes(batch, rest)}


def compare(meeting: Meeting, limit: int, rest: list[str], root_urls: Mapping[str, str]) -> Compared:
    """Compare all pairs that were added to a meeting.

    Args:
        meeting: Rows of the kinds `PAIR` and `REJECTED`.
        limit: Examples of each kind of difference.
        rest: The columns that are compared as one.
        root_urls: Side → its ROOT, of the sides that are one.
    """
    fates: Counter[tuple[str, str, str]] = Counter()
    changed: Counter[tuple[str, str]] = Counter()
    altered: Counter[str] = Counter()
    examples = Examples(limit)
    for rows in meeting.buckets():
        met = _met(rows)
        for source, before, after, count in met.group_by("source", "fate_a", "fate_b").len().iter_rows():
            fates[source, before, after] += count
        moved = met.filter(pl.col("fate_a") != pl.col("fate_b"))
        examples.add(moved, ["source", "fate_a", "fate_b"], what="fate")
        differs = pl.any_horizontal(pl.col(f"{column}_a") != pl.col(f"{column}_b") for column in _WHAT)
        kept = (pl.col("fate_a") == KEPT) & (pl.col("fate_b") == KEPT)
        altered.update(dict(met.filter(kept & differs).group_by("source").len().iter_rows()))
        for column, what in [*_WHAT.items(), ("detail", "detail")]:
            # Null where a side has no such row: then there is nothing to compare. A detail belongs to its reason.
            same_reason = pl.lit(what != "detail") | (pl.col("fate_a") == pl.col("fate_b"))
            found = met.filter((pl.col(f"{column}_a") != pl.col(f"{column}_b")) & same_reason)
            for source, count in found.group_by("source").len().iter_rows():
                changed[source, what] += count
            examples.add(found, ["source"], what=what)
    alone = _alone(fates)
    shown = [_describe(meeting, row, rest) for row in examples.all() if row["source"] not in alone]
    return Compared(fates, changed, altered, _with_upstream(shown, root_urls))


def _met(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row a key: what each side says of it."""
    return joined(_side(rows, A), _side(rows, B)).with_columns(
        source=pl.coalesce("source_a", "source_b"),
        fate_a=pl.col("fate_a").fill_null(ABSENT),
        fate_b=pl.col("fate_b").fill_null(ABSENT),
    )


def _side(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    mine = rows.filter(pl.col("side") == side)
    pairs = mine.filter(pl.col("kind") == PAIR).unique("key", keep="first", maintain_order=True)
    left = mine.filter(pl.col("kind") == REJECTED).unique("key", keep="first", maintain_order=True)
    pairs = pairs.select("key", "source", "first", "second", "rest", "file", "row")
    left = left.select(
        "key",
        pl.col("source").alias("left_source"),
        pl.col("reason"),
        pl.col("rest").alias("detail"),
        pl.col("file").alias("left_file"),
        pl.col("row").alias("left_row"),
    )
    found = pairs.join(left, on="key", how="full", coalesce=True)
    return found.select(
        "key",
        pl.coalesce("source", "left_source").alias("source"),
        pl.col("reason").fill_null(KEPT).alias("fate"),
        "first",
        "second",
        "rest",
        "detail",
        "file",
        "row",
        "left_file",
        "left_row",
    )


def _describe(meeting: Meeting, row: Mapping[str, Any], rest: list[str]) -> dict[str, Any]:
    sides = {side: _says(meeting, row, side) for side in (A, B)}
    if row["what"] == "rest":
        fields = [_fields(meeting.row(row[f"file_{side}"], row[f"row_{side}"], rest)) for side in (A, B)]
        for side, mine, other in zip((A, B), fields, reversed(fields), strict=True):
            names = [name for name in sorted({*mine, *other}) if mine.get(name) != other.get(name)]
            sides[side]["fields"] = {name: mine.get(name) for name in names}
    return {
        "what": row["what"],
        "source": row["source"],
        "source_id": sides[A].pop("source_id", None) or sides[B].get("source_id"),
        "pair_id": row["key"].hex(),
        "from": told(row["fate_a"]),
        "to": told(row["fate_b"]),
        **{side: {name: value for name, value in says.items() if name != "source_id"} for side, says in sides.items()},
    }


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pair's columns by name, keys in hex, and upstream's fields as "meta.NAME"."""
    fields = {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items() if name != "meta"}
    if row.get("meta") is not None:
        fields |= {f"meta.{name}": value for name, value in orjson.loads(row["meta"]).items()}
    return fields


def _says(meeting: Meeting, row: Mapping[str, Any], side: str) -> dict[str, Any]:
    says = meeting.row(row[f"file_{side}"], row[f"row_{side}"], ["source_id", "text", "image_url"])
    left = meeting.row(row[f"left_file_{side}"], row[f"left_row_{side}"], ["source_id", "detail", "where"])
    return says | {name: value for name, value in left.items() if value is not None}


def _with_upstream(examples: list[dict[str, Any]], root_urls: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return examples with what upstream says of the rows that a side has rejected, and where; curate keeps no text of them."""
    for side, root_url in root_urls.items():
        found = upstream.read((example[side].get("where") for example in examples), root_url)
        for example in examples:
            row = found.get(example[side].get("where"))
            if row is not None:
                more = {"upstream": row.says, "unread": row.unread}
                example[side] |= {
                    "where": row.place,
                    **{name: value for name, value in more.items() if value is not None},
                }
    return examples


def told(fate: str) -> str:
    """Return a fate as people read it: "fetch: dead"."""
    return f"{REASONS[fate][0]}: {fate}" if fate in REASONS else fate


def stage_table(compared: Compared, stages: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Return, for each source and stage, how many pairs each side kept, and how many only one of them did.

    Args:
        compared: What was found.
        stages: source → the stages that both sides have of it, in order.
    """
    lines = []
    for source, listed in sorted(stages.items()):
        for stage in () if source in compared.alone else listed:
            counts = Counter[tuple[bool, bool]]()
            for (name, before, after), count in compared.fates.items():
                if name == source:
                    counts[_keeps(stage, before), _keeps(stage, after)] += count
            lines.append(
                {
                    "source": source,
                    "stage": stage,
                    "a": counts[True, True] + counts[True, False],
                    "b": counts[True, True] + counts[False, True],
                    "only_a": counts[True, False],
                    "only_b": counts[False, True],
                }
            )
    return lines


def _keeps(stage: str, fate: str) -> bool:
    """Return whether a stage, and all before it, kept a pair of this fate."""
    if fate in {ABSENT, KEPT}:
        return fate == KEPT
    return flow.NAMES.index(REASONS[fate][0]) > flow.NAMES.index(stage)


def moves(compared: Compared) -> list[dict[str, Any]]:
    """Return how many pairs of each source have another fate in B than in A."""
    return [
        {"source": source, "from": told(before), "to": told(after), "pairs": count}
        for (source, before, after), count in sorted(compared.fates.items())
        if before != after and source not in compared.alone
    ]


def only_in(compared: Compared) -> list[dict[str, Any]]:
    """Return each source that one side alone has, with its pairs: all, and of these the kept ones."""
    found = []
    for source, side in compared.alone.items():
        of_source = {
            (before, after): count for (name, before, after), count in compared.fates.items() if name == source
        }
        kept = sum(count for fates, count in of_source.items() if KEPT in fates)
        found.append({"source": source, "only_in": side, "pairs": sum(of_source.values()), "kept": kept})
    return found


def changes(compared: Compared) -> list[dict[str, Any]]:
    """Return how many pairs of each source say something else in B than in A."""
    return [
        {"source": source, "what": what, "pairs": count} for (source, what), count in sorted(compared.changed.items())
    ]


#: How a pair may fare from A to B. Died and revived are told of images that fetch lost or found again.
FARED: Final = ("added", "removed", "changed", "died", "revived")


def fared(compared: Compared) -> list[dict[str, Any]]:
    """Return how the pairs of each source fared from A to B, of the sources where any did: how many, and for what status.

    *Added* and *removed* are kept by one side and unknown to the other: new upstream, or of another list. *Died*: A had the
    image, B could not have it; *revived* is the contrary; both have ``statuses``. *Changed*: both keep it, and it says
    something else. All other moves stand in `moves`.
    """
    counts: dict[str, Counter[str]] = {}
    statuses: dict[str, Counter[tuple[str, str]]] = {}
    for (source, before, after), count in compared.fates.items():
        how = _how(before, after)
        if how is not None:
            counts.setdefault(source, Counter())[how] += count
            lost = {"died": after, "revived": before}.get(how)
            if lost is not None:
                statuses.setdefault(source, Counter())[how, lost] += count
    for source, count in compared.altered.items():
        counts.setdefault(source, Counter())["changed"] += count
    return [
        {
            "source": source,
            **{how: fares[how] for how in FARED},
            "statuses": [
                {"how": how, "status": status, "pairs": count}
                for (how, status), count in sorted(statuses.get(source, Counter()).items())
            ],
        }
        for source, fares in sorted(counts.items())
    ]


def _how(before: str, after: str) -> str | None:
    """Return how a pair of these fates fared, but for what it says; None: not at all, or in another way."""
    if ABSENT in {before, after}:
        return {(ABSENT, KEPT): "added", (KEPT, ABSENT): "removed"}.get((before, after))
    if _was_had(before) and _was_lost(after):
        return "died"
    if _was_lost(before) and _was_had(after):
        return "revived"
    return None


def _was_lost(fate: str) -> bool:
    """Return whether fetch could not have the image."""
    return fate in REASONS and REASONS[fate][0] == flow.FETCH.name and fate != NOT_FETCHED


def _was_had(fate: str) -> bool:
    """Return whether fetch had the image, whatever became of the pair then."""
    return fate == KEPT or (fate in REASONS and _keeps(flow.FETCH.name, fate))
