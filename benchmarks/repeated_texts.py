"""Repeated captions: the audit's counting of exact and near repetition, and MinHash beside datasketch's.

    python benchmarks/repeated_texts.py [--pairs 1000000] [--near 50000]

Pairs are generated: 5 % have one of ten boilerplate texts, 10 % a camera's file name, the rest nearly distinct captions;
users are unequal. They are spread and counted in 16 partitions, as the pipeline does, without Beam and without files.
Near-duplicates are searched among `--near` distinct captions; a tenth have a variant, in which one word is exchanged.
datasketch is measured where it is installed (`pip install datasketch==2.0.0`; it needs scipy), with the same shingles, bands
and check by the sets; it hashes with xxh32. Seconds are processor time of one core. The last line is JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pmd.audit import repeated
from pmd.schema.tables import PAIRS
from pmd.store import exchange
from pmd.text import minhash

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
        where = exchange.partitions(occurrences.column("text_id"), BITS)
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


def variants(rows: int) -> tuple[list[str], int]:
    """Return distinct captions, and how many of them are another with one word exchanged."""
    random = np.random.default_rng(1)
    found = list(dict.fromkeys(texts(rows, random)))
    changed = []
    for text in found[: rows // 10]:
        words = text.split() * 2  # long enough that one word is under a fifth of it
        changed.append(" ".join(words))
        words[int(random.integers(len(words)))] = str(WORDS[random.integers(len(WORDS))])
        changed.append(" ".join(words))
    return list(dict.fromkeys(found[rows // 10 :] + changed)), rows // 10


def with_datasketch(chosen: list[str]) -> tuple[list[int], float] | None:
    """Return the groups that datasketch's MinHash and index give, and seconds; None where it is not installed."""
    try:
        datasketch = importlib.import_module("datasketch")
    except ImportError:
        return None
    start = time.process_time()
    size = minhash.SHINGLE
    sets = [[text[at : at + size].encode() for at in range(max(1, len(text) - size + 1))] for text in chosen]
    sketches = datasketch.MinHash.bulk(sets, num_perm=minhash.BANDS * minhash.ROWS, hashfunc=xxhash.xxh32_intdigest)
    index = datasketch.MinHashLSH(num_perm=minhash.BANDS * minhash.ROWS, params=(minhash.BANDS, minhash.ROWS))
    parents = list(range(len(chosen)))
    for place, sketch in enumerate(sketches):
        for other in index.query(sketch):
            if minhash._jaccard(chosen[place], chosen[other]) >= minhash.JACCARD:
                parents[place] = parents[other]
                break
        index.insert(place, sketch)
    return parents, time.process_time() - start


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--near", type=int, default=50_000)
    options = parser.parse_args()
    result: dict[str, Any] = {"exact": exact(options.pairs)}
    sys.stdout.write(f"exact: {result['exact']}\n")
    chosen, planted = variants(options.near)
    start = time.process_time()
    groups = minhash.groups(chosen)
    seconds = time.process_time() - start
    changed = [(2 * place, 2 * place + 1) for place in range(planted)]
    first = len(chosen) - 2 * planted
    match = [
        (one, other) for one, other in changed if minhash._jaccard(chosen[first + one], chosen[first + other]) >= 0.8
    ]
    result["near"] = {"texts": len(chosen), "matches": len(match), "us": round(seconds / len(chosen) * 1e6, 1)}
    found = {"own": groups}
    peer = with_datasketch(chosen)
    if peer is not None:
        found["datasketch"] = peer[0]
        result["near"]["datasketch_us"] = round(peer[1] / len(chosen) * 1e6, 1)
    for name, labels in found.items():
        recall = sum(labels[first + one] == labels[first + other] for one, other in match) / len(match)
        result["near"][f"recall_{name}"] = round(recall, 4)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
