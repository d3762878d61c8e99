"""Near-duplicate captions: time, recall and memory of the audit's search and of a whole build's, beside plain datasketch.

    python benchmarks/near_texts.py [--texts 262144] [--sizes 100000 300000 1000000] [--crowd 300000]

Captions are generated: a tenth have a variant in which one word is exchanged; recall is the share of those that match (Jaccard
.8, exactly) which end in one group. First `--texts` of them are searched in one process: by `pmd.text.neighbours`
(bands of hash values that are computed on whole columns), and by datasketch alone (`MinHash.bulk` with xxh32, the
same shingles, bands and check). Then the steps of a build are run one by one, without Beam, on each of `--sizes`, in
partitions of 65,536 texts at most; and on `--crowd` texts that share nearly all their bands. Each runs in a process of its
own; its peak is what one worker that does all partitions in turn holds. Seconds are processor time of one core. The last line
is JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasketch
import numpy as np
import pyarrow as pa
import xxhash

from pmd.config.asked import Asked
from pmd.config.options import DedupeOptions
from pmd.dedupe import captions, near_texts
from pmd.dedupe.text_transforms import Ask, ElectTexts, GroupTexts, Propose, SpreadBands, Verify
from pmd.schema.tables import NEAR_TEXTS
from pmd.store import exchange, parquet_files
from pmd.text import minhash, neighbours

JACCARD = 0.8
ASKED = Asked.only(dedupe=DedupeOptions(same_bytes="keep", repeated_bytes=0, near="keep", near_texts=JACCARD))
PARTITION = 65_536
STARTS = ("ba", "co", "du", "fe", "gri", "ha", "ki", "lo", "mu", "ne", "po", "ra", "si", "tu", "vo")
ENDS = ("ble", "dor", "fin", "gat", "lan", "mer", "net", "pin", "rok", "sel", "tan", "vik")
WORDS = np.array([start + end for start in STARTS for end in ENDS])

Pairs = list[tuple[str, str]]


def drawn(rows: int, random: np.random.Generator) -> list[str]:
    """Return captions of eight to twenty-eight words."""
    lengths = random.integers(8, 29, rows)
    words = WORDS[random.integers(0, len(WORDS), int(lengths.sum()))].tolist()
    ends = np.cumsum(lengths).tolist()
    return [" ".join(words[end - length : end]) for end, length in zip(ends, lengths.tolist(), strict=True)]


def chunks(rows: int) -> Iterator[tuple[list[str], Pairs]]:
    """Yield captions, `PARTITION` at a time at most, and those of their variants that match."""
    random = np.random.default_rng(1)
    for start in range(0, rows, PARTITION):
        size = min(PARTITION, rows - start)
        found = drawn(size - size // 11, random)
        match = []
        for text in found[: size // 11]:
            words = text.split()
            words[int(random.integers(len(words)))] = str(random.choice(WORDS))
            variant = " ".join(words)
            found.append(variant)
            sets = minhash.shingle_set(text), minhash.shingle_set(variant)
            if text != variant and minhash.jaccard(*sets) >= JACCARD:
                match.append((text, variant))
        yield list(dict.fromkeys(found)), match


def ours(texts: Sequence[str]) -> list[int]:
    """Return the groups of the audit."""
    return neighbours.groups(texts, JACCARD)


def plain(texts: Sequence[str]) -> list[int]:
    """Return the groups that datasketch gives by itself."""
    size = minhash.SHINGLE
    sets = [[text[at : at + size].encode() for at in range(max(1, len(text) - size + 1))] for text in texts]
    sketches = datasketch.MinHash.bulk(sets, num_perm=minhash.PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)
    index = datasketch.MinHashLSH(JACCARD, minhash.PERMUTATIONS, neighbours.WEIGHTS)
    parents = list(range(len(texts)))
    for place, sketch in enumerate(sketches):
        mine = minhash.shingle_set(texts[place])
        for other in index.query(sketch):
            if minhash.jaccard(mine, minhash.shingle_set(texts[other]), JACCARD) >= JACCARD:
                parents[place] = parents[other]
                break
        index.insert(place, sketch)
    return parents


def in_one_process(search: Callable[[Sequence[str]], list[int]], rows: int) -> dict[str, Any]:
    """Search some captions, all at once."""
    texts: list[str] = []
    match: Pairs = []
    for more, matching in chunks(rows):
        texts += more
        match += matching
    texts = list(dict.fromkeys(texts))
    start = time.process_time()
    group = dict(zip(texts, search(texts), strict=True))
    seconds = time.process_time() - start
    return {
        "texts": len(texts),
        "us": round(seconds / len(texts) * 1e6, 1),
        "recall": round(sum(group[one] == group[other] for one, other in match) / len(match), 4),
        "peak_gb": peak_gb(),
    }


def peak_gb() -> float:
    """Return what this process has held at most."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def occurrences(texts: Sequence[str], first: int) -> pa.RecordBatch:
    """Return each text on an image of its own."""
    count = len(texts)
    numbers = np.zeros((count, 2), ">u8")
    numbers[:, 1] = np.arange(first, first + count)
    ids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(numbers.tobytes())])
    columns = [captions.text_ids(pa.array(texts)), ids, ids, ids, pa.array([False] * count)]
    table = pa.table(columns, schema=captions.TEXTS)
    (batch,) = near_texts.occurrences(table, pa.chunked_array([pa.array(texts)])).combine_chunks().to_batches()
    return batch


def steps(work: str, written: list[pa.RecordBatch], bits: int) -> Iterator[tuple[str, float, list[pa.RecordBatch]]]:
    """Do a build's steps one by one; yield each one's name, its seconds and what it has written."""
    bands = neighbours.bands(JACCARD)
    folder = str(Path(work) / "committed")
    band_bits = min(bits + exchange.bits_for(bands.number, 1), exchange.MOST_BITS)
    for step in (
        SpreadBands(bands, bits, band_bits, work),
        Propose(bits, band_bits, work),
        Ask(bits, work),
        Verify(ASKED, bits, work),
    ):
        start = time.process_time()
        written = [out for keyed in exchange.by_partition(written) for out in step((keyed[0], [keyed[1]]))]
        yield type(step).__name__, time.process_time() - start, written
    start = time.process_time()
    written = list(ElectTexts(bits, work)((0, written)))
    group = GroupTexts(folder, bits, ASKED, work)
    for number, runs in exchange.by_partition(written):
        list(group((number, [runs])))
    yield "Elect", time.process_time() - start, written


def over_a_build(made: Callable[[], Iterator[tuple[list[str], Pairs]]], rows: int) -> dict[str, Any]:
    """Search captions as a build does."""
    bits = exchange.bits_for(rows, PARTITION)
    with tempfile.TemporaryDirectory() as work:
        written: list[pa.RecordBatch] = []
        match: Pairs = []
        count = 0
        for texts, matching in made():
            batch = occurrences(texts, count)
            count += len(texts)
            match += matching
            written += exchange.write(work, near_texts.OCCURRENCES, bits, [batch], "text_id")
        seconds = {}
        for name, spent, runs in steps(work, written, bits):
            seconds[name] = round(spent, 1)
            asked = sum(batch.num_rows for batch in runs)
        disk = sum(path.stat().st_size for path in Path(work).rglob("*") if path.is_file())
        peak = peak_gb()
        found = list(groups(str(Path(work) / "committed")))
        group = {form: leader for table in found for form, leader in zip(*table, strict=True)}
    assert asked
    return {
        "texts": count,
        "us": round(sum(seconds.values()) / count * 1e6, 1),
        "seconds": seconds,
        "grouped": len(group),
        "groups": len({*group.values()}),
        "recall": round(sum(one in group and group[one] == group.get(other) for one, other in match) / len(match), 4)
        if match
        else None,
        "run_files_gb": round(disk / 1e9, 2),
        "peak_gb": peak,
    }


def groups(folder: str) -> Iterator[tuple[list[str], list[bytes]]]:
    """Yield the forms of each committed file, and their groups."""
    for path in sorted(Path(folder).rglob("*.parquet")):
        for batch in parquet_files.iterate(str(path), NEAR_TEXTS.names):
            yield batch["form"].to_pylist(), batch["group_id"].to_pylist()


def crowd(rows: int) -> Iterator[tuple[list[str], Pairs]]:
    """Yield texts of one agency, each signed with another name."""
    for start in range(0, rows, PARTITION):
        names = (np.base_repr(number, 26).lower() for number in range(start, min(start + PARTITION, rows)))
        letters = str.maketrans("0123456789abcdefghijklmnop", "abcdefghijklmnopqrstuvwxyz")
        yield (
            [
                f"photo taken by {name.translate(letters)} on assignment for the daily planet all rights reserved "
                "please do not use without permission of the daily planet and its heirs"
                for name in names
            ],
            [],
        )


def main() -> None:
    """Measure all, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=2**18)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--crowd", type=int, default=300_000)
    options = parser.parse_args()
    todo: list[tuple[str, Callable[..., dict[str, Any]], Iterable[Any]]] = [
        ("the search of the audit", in_one_process, (ours, options.texts)),
        ("datasketch alone", in_one_process, (plain, options.texts)),
        *((f"build, {rows:,}", _build, (rows,)) for rows in options.sizes),
        (f"build, a crowd of {options.crowd:,}", _crowd, (options.crowd,)),
    ]
    result = {}
    for name, function, given in todo:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result[name] = pool.apply(function, tuple(given))
        sys.stdout.write(f"{name}: {result[name]}\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps(result) + "\n")


def _build(rows: int) -> dict[str, Any]:
    return over_a_build(lambda: chunks(rows), rows)


def _crowd(rows: int) -> dict[str, Any]:
    return over_a_build(lambda: crowd(rows), rows)


if __name__ == "__main__":
    main()
