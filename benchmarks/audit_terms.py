"""Terms in texts: COCO's ratio of male to female captions, and how fast texts are looked through.

    python benchmarks/audit_terms.py [--samples ../shared/samples] [--pairs 300000]

Real captions (COCO, Conceptual Captions, alt texts) are repeated up to the number that is asked for. They are looked through
once as the audit does, all of them read and then a sample of 200,000 of 30 million, and word by word in Python for comparison.
COCO's ratio is of all its captions among the samples, through the functions that production runs: the figure, what another draw
of such photographs would give, and the terms that carry it. Seconds are processor time of one core. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pmd.audit.counting import measure, units
from pmd.audit.counting.measure import Plan
from pmd.audit.figures import result
from pmd.audit.texts import lexicon, marks, personal_data, vocabulary, words
from pmd.schema import keys
from pmd.schema.tables import PAIRS
from pmd.store.commits import Books
from pmd.text import language
from pmd.text.tokens import Tokens


def coco(samples: Path) -> list[tuple[str, str]]:
    """Return (image, caption) of all captions of COCO's among the samples."""
    files = sorted((samples / "coco").glob("captions_*2017.json"))
    return [
        (str(row["image_id"]), " ".join(row["caption"].split()))
        for path in files
        for row in json.loads(path.read_text(encoding="utf-8"))["annotations"]
    ]


def real(samples: Path, number: int) -> list[str]:
    texts = [caption for _, caption in coco(samples)] * 5
    texts += pq.read_table(samples / "urls/laion_10000.parquet")["TEXT"].drop_null().to_pylist()
    for path in sorted((samples / "cc3m").glob("*.tsv")):
        texts += [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    return (texts * (number // len(texts) + 1))[:number]


def batch(source: str, rows: Sequence[tuple[str, str]], metas: Sequence[str] = ()) -> pa.RecordBatch:
    """Return captions as PAIRS; without `metas` pairs have no fields of upstream."""
    return pa.RecordBatch.from_pylist(
        [
            {
                "pair_id": keys.pair_id(source, str(number)),
                "image_id": keys.image_id(image),
                "source": source,
                "source_id": str(number),
                "identity": image,
                "image_url": f"http://farm{number % 9}.staticflickr.com/{number}.jpg",
                "text": text,
                "meta": metas[number] if metas else "{}",
            }
            for number, (image, text) in enumerate(rows)
        ],
        schema=PAIRS,
    )


def ratio(samples: Path) -> dict[str, Any]:
    """Return COCO's ratio of captions with a male to captions with a female term."""
    pairs = batch("coco", coco(samples))
    last = pa.array(["curate"] * pairs.num_rows)
    plan = Plan({}, lexicon.load())
    seen = measure.look(pairs, plan)
    rows = pa.Table.from_batches(units.occurrences(pairs, last, seen), units.ROWS)
    books = {"curate": {"coco": Books(pairs.num_rows)}}
    figures = result.result(measure.measure(pairs, last, plan, seen), books, plan, {}, counted=units.count(rows))[
        "sources"
    ]["coco"]["curate"]
    gendered = figures["gendered"]
    female, draw = gendered["female_to_male"], gendered["female_to_male"]["another_draw"]
    carried: dict[str, list[str]] = {}
    for row in figures["terms"]["carried_by"]:
        carried.setdefault(row["list"], []).append(f"{row['term']} {row['texts']}")
    return {
        "captions": pairs.num_rows,
        "english": gendered["coverage"]["measured"],
        "texts": gendered["texts"],
        "male to female": round(1 / female["value"], 3),
        "another draw": [round(1 / end, 3) for end in reversed(draw["interval"])]
        if draw["interval"]
        else draw["refused"],
        "images": draw["clusters"],
        "carried by": {name: ", ".join(terms) for name, terms in carried.items()},
    }


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def plainly(forms: Mapping[tuple[str, ...], object], text: str) -> set[tuple[str, ...]]:
    """Return the gendered terms of a text, word by word."""
    found, position, tokens = set(), 0, words.plain(text)
    while position < len(tokens):
        for length in (4, 3, 2, 1):
            if (form := tuple(tokens[position : position + length])) in forms:
                found.add(form)
                position += len(form) - 1
                break
        position += 1
    return found


def rates(samples: Path, number: int) -> dict[str, float]:
    """Return texts, or pairs, a second of processor time."""
    texts = pa.array(real(samples, number))
    lists = lexicon.load()
    assert isinstance(lists, lexicon.Lexicon)
    known, english = vocabulary.of(lists), np.ones(len(texts), dtype=bool)
    tokens = Tokens.of(texts)
    few = texts.slice(0, min(number, 50_000))
    spent = {
        "gendered terms, word by word": seconds(lambda: [plainly(lists.terms, text) for text in few.to_pylist()])
        / len(few),
        "tokens": seconds(lambda: Tokens.of(texts)) / number,
        "words": seconds(lambda: words.split(tokens)) / number,
        "personal data": seconds(lambda: personal_data.find(tokens)) / number,
        "all terms and personal data": seconds(lambda: marks.look(tokens, english, known)) / number,
        "languages": seconds(lambda: language.languages(tokens)) / number,
    }
    metas = [
        json.dumps({"uid": f"{place % 997}@N00", "longitude": "2.35", "latitude": "48.85"}) for place in range(number)
    ]
    pairs = batch("yfcc100m", [(str(place), text) for place, text in enumerate(texts.to_pylist())], metas)
    last = pa.array(["shard"] * number)
    parts = [(pairs.slice(start, 65_536), last.slice(start, 65_536)) for start in range(0, number, 65_536)]
    for name, limit in (("all texts read", measure.EVERYTHING), ("200,000 of 30 million read", 2**64 // 150)):
        plan = Plan({"yfcc100m": limit}, lists)

        def counted(plan: Plan = plan) -> None:
            for some, fates in parts:
                seen = measure.look(some, plan)
                measure.measure(some, fates, plan, seen)

        spent[f"pairs, {name}"] = seconds(counted) / number
    return {name: round(1 / one) for name, one in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="terms in texts")
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--pairs", type=int, default=300_000)
    given = parser.parse_args()
    found = {"coco": ratio(given.samples), "a second": rates(given.samples, given.pairs)}
    for name, figures in found.items():
        print(name)
        for label, figure in figures.items():
            print(f"  {label}: {figure:,}" if isinstance(figure, int) else f"  {label}: {figure}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
