"""The audit's page of generated pairs with planted effects, to be looked at: python benchmarks/audit_page.py FOLDER [PAIRS].

Six sources, all steps; a source of four texts; users of Zipf's sizes; links that die by host, and more often where a text has a
female term. Through the functions that production runs; the page, audit.json and the tables are written to FOLDER.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from pmd import manifests
from pmd.audit import lexicon, measure, overlap, repeated, report, result, tables, units
from pmd.config.options import AuditOptions
from pmd.schema import keys
from pmd.schema.tables import PAIRS
from pmd.store.commits import Books

#: Source → its share of the pairs, and of its English captions those with a female and a male term.
SOURCES = {
    "yfcc100m": (0.55, 0.05, 0.07),
    "conceptual_12m": (0.2, 0.09, 0.08),
    "red_caps": (0.12, 0.03, 0.04),
    "wit": (0.08, 0.02, 0.06),
    "coco": (0.05, 0.12, 0.25),
}
PLACES = {
    "US": (-98, 39),
    "GB": (-1.5, 52),
    "FR": (2.35, 48.85),
    "JP": (139.7, 35.7),
    "BR": (-46.6, -23.5),
    "KE": (36.8, -1.3),
}
WEIGHTS = (0.5, 0.2, 0.12, 0.1, 0.06, 0.02)
SCENES = (
    "a red flower in the garden",
    "sunset over the old harbour",
    "my dog runs on the beach",
    "street market at night",
)
FOREIGN = (
    "ein Hund läuft durch den Garten am Haus",
    "une petite maison au bord de la mer",
    "un perro corre por la playa grande",
)


def pairs(number: int, seed: int = 1) -> tuple[pa.RecordBatch, pa.Array]:
    """Return pairs and the last stage that each survived."""
    draw = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    last: list[str] = []
    for source, (share, female, male) in SOURCES.items():
        for index in range(int(number * share)):
            rows.append(row := _pair(source, index, female, male, draw))
            last.append(_last(row, draw))
    rows += [
        _row("sbu_captions", index, "a woman and a man", {"user_id": "u"}, "http://one.org/x") for index in range(4)
    ]
    last += ["shard"] * 4
    return pa.RecordBatch.from_pylist(rows, schema=PAIRS), pa.array(last)


def _pair(source: str, index: int, female: float, male: float, draw: np.random.Generator) -> dict[str, Any]:
    user = min(int(draw.zipf(1.4)), 5000)
    scene = SCENES[int(draw.integers(len(SCENES)))]
    roll = draw.random()
    who = "a woman and " if roll < female else "a man and " if roll < female + male else ""
    text = f"{who}{scene} number {int(draw.integers(1000)) if draw.random() < 0.7 else 7}"
    if draw.random() < 0.15:
        text = FOREIGN[int(draw.integers(len(FOREIGN)))]
    meta: dict[str, Any] = {
        "uid": f"u{user}",
        "author": f"a{user}",
        "subreddit": f"s{user % 40}",
        "page_url": f"p{user}",
    }
    if source == "yfcc100m" and draw.random() < 0.45:
        east, north = PLACES[str(draw.choice([*PLACES], p=WEIGHTS))]
        meta |= {"longitude": f"{east + draw.normal() * 0.3:.4f}", "latitude": f"{north + draw.normal() * 0.3:.4f}"}
    return _row(source, index, text, meta, f"https://img.host{min(int(draw.zipf(1.5)), 400)}.org/{index}.jpg")


def _row(source: str, index: int, text: str, meta: dict[str, Any], url: str) -> dict[str, Any]:
    return {
        "pair_id": keys.pair_id(source, str(index)),
        "image_id": keys.image_id(f"{source}/{index // (5 if source == 'coco' else 1)}"),
        "source": source,
        "source_id": str(index),
        "image_url": url,
        "identity": f"{source}/{index}",
        "text": text,
        "meta": orjson.dumps(meta).decode(),
    }


def _last(row: dict[str, Any], draw: np.random.Generator) -> str:
    dies = 0.12 + 0.25 * ("woman" in row["text"]) + 0.2 * ("host3." in row["image_url"])
    roll = draw.random()
    return "images" if roll < dies else "fetch" if roll < dies + 0.02 else "dedupe" if roll < dies + 0.03 else "shard"


def content(number: int) -> dict[str, Any]:
    """Return the content of audit.json."""
    rows, last = pairs(number)
    names = sorted({*SOURCES, "sbu_captions"})
    counts = {name: rows["source"].to_pylist().count(name) for name in names}
    plan = measure.plan(counts, AuditOptions(text_sample=60_000), lexicon.load())
    seen = measure.look(rows, plan)
    partial = measure.measure(rows, last, plan, seen)
    known = units.count(pa.Table.from_batches(units.occurrences(rows, last, seen), units.ROWS))
    repeats = repeated.summary(repeated.count(pa.Table.from_batches([repeated.occurrences(rows, last)])))
    books = {"curate": {name: Books(counts[name], {"too_few_words": counts[name] // 4}) for name in names}}
    for before, stage in itertools.pairwise(measure.STAGES):
        books[stage] = {}
        for name in names:
            kept = int(partial.sources[name].pairs[measure.STAGES.index(stage) :].sum())
            lost = books[before][name].kept - kept
            reason = {"fetch": "dead", "dedupe": "near_duplicate", "shard": "bad_region"}.get(stage, "no_location")
            books[stage][name] = Books(kept, {reason: lost} if lost else {})
    shared = overlap.matrix([[[["coco", "yfcc100m"], number // 100], *([[name], counts[name]] for name in names)]])
    table2 = {name: manifest.table2 for name, manifest in manifests.load_all().items()}
    return result.result(
        partial, books, plan, table2, counted=known, profile="recommended", repeated=repeats, overlap=shared
    )


def main() -> None:
    """Write the page."""
    folder, number = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300_000
    found = content(number)
    (folder / tables.FOLDER).mkdir(parents=True, exist_ok=True)
    (folder / "audit.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    (folder / "report.html").write_text(report.html(found), encoding="utf-8")
    for name, file in tables.files(found):
        (folder / name).write_bytes(file)


if __name__ == "__main__":
    main()
