"""Repeated captions: the audit's counting of exact repetition. Near repetition: benchmarks/near_texts.py.

    python benchmarks/repeated_texts.py [--pairs 1000000]

Pairs are generated: 5 % have one of ten boilerplate texts, 10 % a camera's file name, the rest nearly distinct captions;
users are unequal. They are spread and counted in 16 partitions, as the pipeline does, without Beam and without files. Seconds
are processor time of one core. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa

from pmd.audit.counting import repeated
from pmd.schema.tables import PAIRS

STARTS = ("ba", "co", "du", "fe", "gri", "ha", "ki", "lo", "mu", "ne", "po", "ra", "si", "tu", "vo")
ENDS = ("ble", "dor", "fin", "gat", "lan", "mer", "net", "pin", "rok", "sel", "tan", "vik")
WORDS = np.array([start + end for start in STARTS for end in ENDS])
BITS = 4
BATCH = 50_000


def texts(rows: int, random: np.random.Generator) -> list[str]:
    """Return captions of four to fourteen words."""
    lengths = random.integers(4, 15, rows)
    words = WORDS[random.integers(0, len(WORDS), int(lengths.sum()))].tolist()
    ends = np.cumsum(lengths).tolist()
    return [" ".join(words[end - length : end]) for end, length in zip(ends, lengths.tolist(), strict=True)]


def pairs(rows: int, random: np.random.Generator) -> pa.RecordBatch:
    """Return generated pairs."""
    captions = texts(rows, random)
    boilerplate = texts(10, np.random.default_rng(7))
    draws = random.random(rows)
    for row in np.flatnonzero(draws < 0.15).tolist():
        captions[row] = boilerplate[row % 10] if draws[row] < 0.05 else f"IMG_{row}.JPG"
    users = (random.pareto(1.2, rows) * 10).astype(int).tolist()
    keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(random.bytes(16 * rows))])
    columns = {
        "pair_id": keys,
        "image_id": keys,
        "source": pa.repeat("yfcc100m", rows),
        "image_url": pa.nulls(rows, pa.string()),
        "text": pa.array(captions),
        "meta": pa.array([f'{{"uid":"{user}"}}' for user in users]),
    }
    schema = pa.schema([PAIRS.field(name) for name in columns])
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)


def exact(rows: int) -> dict[str, Any]:
    """Count repeated texts."""
    random = np.random.default_rng(0)
    spread = 0.0
    found: list[list[pa.RecordBatch]] = [[] for _ in range(2**BITS)]
    for _ in range(rows // BATCH):
        batch, last = pairs(BATCH, random), pa.repeat("shard", BATCH)
        start = time.process_time()
        occurrences = repeated.occurrences(batch, last)
        where = occurrences.column("text").to_numpy() % 2**BITS
        for partition in range(2**BITS):
            found[partition].append(occurrences.filter(pa.array(where == partition)))
        spread += time.process_time() - start
    start = time.process_time()
    summary = repeated.summary(pa.concat_tables([repeated.count(pa.Table.from_batches(part)) for part in found]))
    counted = time.process_time() - start
    shared = {row["images"]: row["pairs"] / rows for row in summary["all"]["shard"]["shared_by"]}
    assert abs(shared[1000] - 0.15) < 0.01
    return {
        "pairs": rows,
        "spread_us": round(spread / rows * 1e6, 2),
        "count_us": round(counted / rows * 1e6, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main() -> None:
    """Measure it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    options = parser.parse_args()
    sys.stdout.write(json.dumps(exact(options.pairs)) + "\n")


if __name__ == "__main__":
    main()
