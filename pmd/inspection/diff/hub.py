"""A ROOT's curated pairs beside an annotation file of facebook/pmd, image by image: what FLAVA kept, and what we keep.

An image is found by its identity (`pmd.text.url_identity`). Of YFCC100M that is the photo id, which `meta` (`photoid`,
`downloadurl`, `pageurl`) or a Flickr URL tells; a URL of the Multimedia Commons bucket tells only a hash, and is looked up
among the mirrors of our pairs. Only curate is compared: the file says nothing of dead links and duplicates.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow, manifests
from pmd.errors import InputError
from pmd.formats import compression
from pmd.inspection.diff import hub_files
from pmd.inspection.diff.join import A, B, Examples, Meeting, Passed, Tell
from pmd.inspection.diff.pairs import told
from pmd.inspection.diff.roots import Book
from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import parquet_files, storage

#: Bytes of a row, at least (`yfcc100m_subset.jsonl`: 14.5 GB for 30M, about 480); compressed, a fifth.
_ROW_BYTES: Final = 200

#: Kinds of rows. first is the caption's hash, second that of its letters and digits alone. An alias tells by first and
#: second, the halves of a key, which image of ours has that URL.
_PAIR, _LEFT, _THEIRS, _ALIAS = "pair", "rejected", "theirs", "alias"

_NO_ROW: Final = "no row of ours"


def compare(root_url: str, path: str, limit: int, tell: Tell | None = None) -> dict[str, Any]:
    """Compare a ROOT's pairs with an annotation file; see `pmd.inspection.diff.diff`.

    Raises:
        InputError: The file is none of facebook/pmd's, or has nothing of this ROOT's sources.
    """
    book = Book(root_url)
    names = {manifests.hub_name(name): name for name in book.sources} | {name: name for name in book.sources}
    records = storage.size(path) // (_ROW_BYTES if compression.sniff(path) == "plain" else _ROW_BYTES // 5)
    read = hub_files.Read()
    passed = Passed(tell)  # how many rows the file has is known when it is read
    with contextlib.ExitStack() as stack:
        met = stack.enter_context(Meeting(records + book.records(), passed))
        hashed: Meeting | None = None
        sources: set[str] = set()
        for batch in hub_files.read(path, names, read, limit):
            sources |= {*batch["source"].to_pylist()}
            known = batch.filter(pc.is_valid(batch["image_id"]))
            _add_theirs(met, known.filter(pc.invert(known["of_bucket"])))
            of_bucket = known.filter(known["of_bucket"])
            if len(of_bucket):
                hashed = hashed or stack.enter_context(Meeting(records + 3 * book.records(), passed))
                _add_theirs(hashed, of_bucket)
        if read.rows and not sources:
            raise InputError(
                "nothing in it is of a source that this ROOT has",
                where=path,
                expected=f"rows of {', '.join(book.sources)}",
                found=", ".join(read.not_curated),
            )
        if hashed is not None:
            _resolve(met, hashed, book, sorted(sources))
        for source in sorted(sources):
            _spread_ours(met, book, source)
        counts, examples = _judge(met, limit)
        shown = [_describe(met, row) for row in examples]
    captions = hub_files.read_back(path, {row["line"] for row in shown if row["line"] is not None})
    for row in shown:
        row["theirs"] = captions.get(row.pop("line"), {})
    lines = [_entry(source, counts) for source in sorted(sources)]
    agree = all(line["same_text"] == line["ours"] == line["theirs"] for line in lines)
    return {
        "equal": agree and not (read.unreadable or read.unidentified or read.not_curated),
        "rows": read.rows,
        "sources": lines,
        "unreadable": read.unreadable,
        "unidentified": read.unidentified,
        "not_curated": dict(sorted(read.not_curated.items())),
        "first": read.first,
        "examples": shown,
    }


def _add_theirs(met: Meeting, batch: pa.RecordBatch) -> None:
    met.add(batch["image_id"], side=B, kind=_THEIRS, source=batch["source"], row=batch["line"], **_hashes(batch))


def _hashes(batch: pa.RecordBatch) -> dict[str, pl.Series]:
    """Return the hashes of a caption, and of its letters and digits alone."""
    texts = pl.Series("text", batch["text"]).cast(pl.String)
    bare = texts.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]", "")
    return {"first": texts.hash(), "second": bare.hash()}


def _resolve(met: Meeting, hashed: Meeting, book: Book, sources: list[str]) -> None:
    """Give rows whose URL names a photograph by its hash the key of the image of which that is a mirror."""
    for source in sources:
        for path, _ in book.files(flow.PAIRS.at(source=source), "pairs/"):
            for batch in parquet_files.iterate(path, ["image_id", "mirrors"]):
                mirrors = batch["mirrors"]
                found = keys.image_ids(hub_files.of_bucket(mirrors.flatten()))
                first, second = keys.halves(batch["image_id"].take(pc.list_parent_indices(mirrors)))
                there = pc.is_valid(found)
                hashed.add(
                    found.filter(there),
                    side=A,
                    kind=_ALIAS,
                    first=pa.array(first).filter(there),
                    second=pa.array(second).filter(there),
                )
    for rows in hashed.buckets():
        aliases = rows.filter(pl.col("kind") == _ALIAS).unique("key", keep="first")
        theirs_rows = rows.filter(pl.col("kind") == _THEIRS)
        both = theirs_rows.join(
            aliases.select("key", pl.col("first").alias("high"), pl.col("second").alias("low")), on="key", how="left"
        )
        own = [
            key if high is None else int(high).to_bytes(8, "big") + int(low).to_bytes(8, "big")
            for key, high, low in both.select("key", "high", "low").iter_rows()
        ]
        columns = {name: both[name] for name in ("source", "first", "second", "row")}
        met.add(pa.array(own, KEY), side=B, kind=_THEIRS, **columns)


def _spread_ours(met: Meeting, book: Book, source: str) -> None:
    folder = flow.PAIRS.at(source=source)
    for prefix, kind, columns in (
        ("pairs/", _PAIR, ["image_id", "text"]),
        ("rejected/", _LEFT, ["image_id", "reason"]),
    ):
        for path, _ in book.files(folder, prefix):
            for batch, file, row in met.read(path, columns):
                there = pc.is_valid(batch["image_id"])  # a rejected row may name none
                left = batch.filter(there)
                more = _hashes(left) if kind == _PAIR else {"reason": left["reason"]}
                met.add(left["image_id"], side=A, kind=kind, source=source, file=file, row=row.filter(there), **more)


def _judge(met: Meeting, limit: int) -> tuple[Counter[tuple[str, str]], list[dict[str, Any]]]:
    """Return (source, what) → images, and examples of disagreements."""
    counts: Counter[tuple[str, str]] = Counter()
    examples = Examples(limit)
    for rows in met.buckets():
        both = _met(rows)
        for source, ours, other, left, count in (
            both.group_by("source", "ours", "theirs", "rejected").agg(pl.len()).iter_rows()
        ):
            counts[source, "ours"] += count * ours
            counts[source, "theirs"] += count * other
            counts[source, "rejected"] += count * left
        for source, verdict, count in both.drop_nulls("verdict").group_by("source", "verdict").len().iter_rows():
            counts[source, verdict] += count
        examples.add(both.filter(pl.col("verdict") != "same_text"), ["source", "verdict"])
    return counts, examples.all()


def _met(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row a source and image: which side has it, and what they make of each other."""
    by = ["source", "key"]
    texts = [pl.col("first").sort().alias("texts"), pl.col("second").sort().alias("bare")]
    kinds = {kind: rows.filter(pl.col("kind") == kind) for kind in (_PAIR, _LEFT, _THEIRS)}
    at = pl.struct("file", "row").sort_by("file", "row").first().alias("at")
    ours = kinds[_PAIR].group_by(by).agg(*texts, at)
    left = kinds[_LEFT].sort("reason", "file", "row").unique(by, keep="first", maintain_order=True)
    left = left.select(*by, "reason", pl.struct("file", "row").alias("left_at"))
    other = kinds[_THEIRS].group_by(by).agg(*texts, pl.col("row").min().alias("line"))
    both = ours.join(other, on=by, how="full", coalesce=True, suffix="_b").join(left, on=by, how="full", coalesce=True)
    has_ours, has_theirs = pl.col("texts").is_not_null(), pl.col("texts_b").is_not_null()
    return both.with_columns(
        ours=has_ours,
        theirs=has_theirs,
        rejected=pl.col("reason").is_not_null() & ~has_ours,
        verdict=pl.when(has_ours & has_theirs & (pl.col("texts") == pl.col("texts_b")))
        .then(pl.lit("same_text"))
        .when(has_ours & has_theirs & (pl.col("bare") == pl.col("bare_b")))
        .then(pl.lit("alike"))
        .when(has_ours & has_theirs)
        .then(pl.lit("other_text"))
        .when(has_ours)
        .then(pl.lit("only_ours"))
        .when(has_theirs)
        .then(pl.lit("only_theirs: ") + pl.col("reason").fill_null(_NO_ROW)),
    )


def _entry(source: str, counts: Counter[tuple[str, str]]) -> dict[str, Any]:
    prefix = "only_theirs: "
    shared = sum(counts[source, verdict] for verdict in ("same_text", "alike", "other_text"))
    union = counts[source, "ours"] + counts[source, "theirs"] - shared
    return {
        "source": source,
        "ours": counts[source, "ours"],
        "ours_rejected": counts[source, "rejected"],
        "theirs": counts[source, "theirs"],
        "both": shared,
        "same_text": counts[source, "same_text"],
        "alike": counts[source, "alike"],
        "other_text": counts[source, "other_text"],
        "only_ours": counts[source, "only_ours"],
        "only_theirs": {
            told(verdict.removeprefix(prefix)): count
            for (name, verdict), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if name == source and verdict.startswith(prefix)
        },
        "agreement": shared / union if union else 1.0,
    }


def _describe(met: Meeting, row: Mapping[str, Any]) -> dict[str, Any]:
    at = row["at"] or {}
    says = met.row(at.get("file"), at.get("row"), ["source_id", "text", "image_url", "meta"])
    if says:
        chosen = orjson.loads(says.pop("meta")).get("_pmd", {})
        says["detail"] = " ".join(str(value) for value in chosen.values())
    else:
        left = row["left_at"] or {}
        says = met.row(left.get("file"), left.get("row"), ["source_id", "detail"])
    verdict, _, reason = row["verdict"].partition(": ")
    return {
        "source": row["source"],
        "what": verdict,
        "reason": told(reason) if reason else None,
        "image_id": row["key"].hex(),
        "ours": says,
        "line": row["line"],
    }
