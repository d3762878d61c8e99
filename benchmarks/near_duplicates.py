"""Near-duplicate search over generated hashes with clumps, beside brute force on the same rows.

Of the rows 85 % are strangers (random hashes with half their bits set, as photographs have them), 10 % are 2 to 40 bits from
another row, 3 % belong to clumps of 1,000 variants of one picture (2 to 40 bits from it), and 2 % are one hash repeated.
Brute force compares a sample of the rows with all, in blocks, with the same XOR and population count; its time for all
pairs is the sample's, scaled. Both give the same matches for the sample, which is checked.

    python benchmarks/near_duplicates.py --rows 200000 --rows 1000000

Every size runs in a process of its own, so that its peak memory is its own. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa

from pmd import near

DISTANCE = 31
SAMPLE = 200


def strangers(count: int, random: np.random.Generator) -> np.ndarray:
    """Return hashes with 128 bits set, as bits; a block at a time, since each takes a sort of 256 numbers."""
    packed = np.empty((count, 32), np.uint8)
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        places = np.argsort(random.random((size, 256), dtype=np.float32), axis=1)
        packed[start : start + size] = np.packbits((places < 128).astype(np.uint8), axis=1)
    return packed


def varied(packed: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return hashes 2 to 40 bits away: as many bits are set as are cleared."""
    bits = np.unpackbits(packed, axis=1)
    half = random.integers(1, 21, len(bits))
    draws = random.random(bits.shape, dtype=np.float32)
    for value in (0, 1):
        rank = np.argsort(np.argsort(np.where(bits == value, draws, 2), axis=1), axis=1)
        bits = np.where((bits == value) & (rank < half[:, None]), 1 - value + 2, bits)
    return np.packbits((bits & 1).astype(np.uint8), axis=1)


def generated(rows: int) -> pa.Table:
    """Return `near.HASHED` of the mixture above."""
    random = np.random.default_rng(rows)
    own = strangers(rows * 85 // 100, random)
    pieces = [own]
    for start in range(0, rows // 10, 50_000):
        chosen = own[random.integers(0, len(own), min(50_000, rows // 10 - start))]
        pieces.append(varied(chosen, random))
    pieces += [varied(np.repeat(own[clump : clump + 1], 1000, axis=0), random) for clump in range(rows * 3 // 100_000)]
    pieces.append(np.repeat(own[-1:], rows - sum(map(len, pieces)), axis=0))
    packed = np.concatenate(pieces)[random.permutation(rows)]
    ids = random.bytes(16 * rows)
    constant = np.ones(rows, bool)
    columns = [
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(ids)]),
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), rows, [None, pa.py_buffer(packed.tobytes())]),
        pa.array(random.integers(200, 2000, rows) * 4, pa.int32()),
        pa.array(np.zeros(rows), pa.int32()),
        pa.array(constant),
        pa.array(~constant),
    ]
    columns[3] = pa.array(columns[2].to_numpy() // 4 * 3, pa.int32())  # one aspect ratio: every match is a merge
    return pa.table(columns, schema=near.HASHED)


def brute(hashes: np.ndarray, sample: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Return CPU seconds, and the rows that match each of a sample."""
    start = time.process_time()
    found = []
    for at in sample:
        bits = np.bitwise_count(hashes ^ hashes[at]).sum(axis=1, dtype=np.int16)
        found.append(np.flatnonzero(bits <= DISTANCE))
    return time.process_time() - start, found


def measure(rows: int) -> dict[str, Any]:
    """Run one size."""
    table = generated(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    linked = pa.concat_tables([near.links(table, DISTANCE, unit) for unit in range(near.UNITS)])
    searched = time.process_time() - start
    gone = near.elect(linked, DISTANCE)
    seconds = time.process_time() - start
    hashes = near.words(table["perceptual_hash"])
    sample = np.random.default_rng(0).integers(0, rows, SAMPLE)
    brute_s, matching = brute(hashes, sample)
    # Each of the sample that has a match goes for one that stays, or stays itself; what has none is not linked.
    ids = table["image_id"].to_pylist()
    linked_ids, left = (
        set(linked["image_id"].to_pylist()),
        dict(zip(*gone.select([0, 1]).to_pydict().values(), strict=True)),
    )
    for at, others in zip(sample, matching, strict=True):
        assert (len(others) > 1) == (ids[at] in linked_ids)
        kept = left.get(ids[at])
        near_ids = {ids[other] for other in others}
        assert (
            kept in near_ids
            if kept
            else all(other in left or other == ids[at] for other in near_ids if len(others) > 1)
        )
    bands = near.bands_for(rows // 2, rows, DISTANCE)
    return {
        "rows": rows,
        "bands": len(bands.worth),
        "gone": gone.num_rows,
        "search_s": round(searched, 2),
        "election_s": round(seconds - searched, 2),
        "us_per_row": round(seconds / rows * 1e6, 1),
        "brute_s": round(brute_s / SAMPLE * rows / 2, 1),
        "brute_to_ours": round(brute_s / SAMPLE * rows / 2 / seconds, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "before_gb": round(before / 2**20, 2),
    }


def main() -> None:
    """Measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, action="append", help="sizes; by default 200,000, 500,000 and 1,000,000")
    sizes = parser.parse_args().rows or [200_000, 500_000, 1_000_000]
    results = []
    for rows in sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results.append(pool.apply(measure, (rows,)))
        sys.stdout.write(json.dumps(results[-1]) + "\n")
        sys.stdout.flush()
    growth = None
    if len(results) > 1:
        first, last = results[0], results[-1]
        ratio = (last["search_s"] + last["election_s"]) / (first["search_s"] + first["election_s"])
        growth = round(float(np.log(ratio) / np.log(last["rows"] / first["rows"])), 2)
    sys.stdout.write(json.dumps({"near_duplicates": results, "growth_exponent": growth}) + "\n")


if __name__ == "__main__":
    main()
