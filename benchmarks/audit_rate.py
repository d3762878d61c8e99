"""What the audit takes of a processor, step by step, a pair.

    python benchmarks/audit_rate.py [--samples ../shared/samples] [--pairs 65536]

Pairs in PMD's proportions are generated (`benchmarks/audit_rows.py`) and seen and counted through the functions that production
runs, with all texts read and with 2 of 300; without Beam. Microseconds are processor time of one core, a pair. The time that CLD2
takes for a text says how busy the machine was: 5.3 where nothing else runs. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from audit_rows import SHARES, Rows

from pmd import manifests
from pmd.audit import lexicon, measure, repeated, units
from pmd.schema.tables import KEY
from pmd.text import language


def pairs(samples: Path, rows: int) -> pa.RecordBatch:
    """Return generated pairs, as the audit gets them."""
    table = Rows(samples).chunk(0, rows)
    names = {manifest.hub_name: name for name, manifest in manifests.load_all().items()}
    columns: dict[str, Any] = {name: table[name].combine_chunks() for name in ("image_url", "text", "meta")}
    for name in ("pair_id", "image_id"):
        columns[name] = pa.array([bytes.fromhex(one) for one in table[name].to_pylist()], KEY)
    columns["source"] = pa.array([names[one] for one in table["source"].to_pylist()])
    arrays = [columns[name] if name.endswith("_id") else columns[name].cast(pa.string()) for name in measure.COLUMNS]
    return pa.RecordBatch.from_arrays(arrays, names=list(measure.COLUMNS))


def steps(batch: pa.RecordBatch) -> dict[str, float]:
    """Return what each step takes, in microseconds a pair."""
    stages = np.array(["curate", "images", "fetch", "shard"])
    last = pa.array(stages[np.random.default_rng(1).integers(0, len(stages), batch.num_rows)])
    language.languages(batch.column("text").slice(0, 9))  # loads the models
    found: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        found[name] = round((time.process_time() - start) / batch.num_rows * 1e6, 2)
        return result

    texts = language.readable(batch.column("text")).to_pylist()
    timed("CLD2", lambda: language.ask_cld2(texts))
    timed("languages", lambda: language.languages(batch.column("text")))
    for name, limits in (("all texts", {}), ("2 of 300", dict.fromkeys(SHARES, 2**64 // 150))):
        plan = measure.Plan(limits, lexicon.load())
        seen = timed(f"{name}: seen", lambda plan=plan: measure.look(batch, plan))
        timed(f"{name}: counted", lambda plan=plan, seen=seen: measure.measure(batch, last, plan, seen))
        rows = timed(f"{name}: rows by unit", lambda seen=seen: [*units.occurrences(batch, last, seen)])
        timed(f"{name}: units", lambda rows=rows: units.count(pa.Table.from_batches(rows)))
    timed("repeated captions", lambda: repeated.occurrences(batch, last, seen))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--pairs", type=int, default=65_536)
    given = parser.parse_args()
    found = steps(pairs(given.samples, given.pairs))
    for name, microseconds in found.items():
        print(f"{name:24} {microseconds:8.2f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
