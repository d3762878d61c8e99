"""Near-duplicate search over generated hashes with clumps, beside brute force and, where they are installed, its peers.

Strangers are like photographs' hashes. Where the samples are there, their hashes are measured: 128 bits are set, and from the
spread of the distances follows how far bits depend on each other; strangers get that dependence (the photographs' own
covariance, shrunk until the spread is the same). Else bits are independent but for their number. Of the rows

- 10 % are planted: 2, 4, … 40 bits from a stranger;
- 3 % are in clumps of 1,000 variants of one photograph, 2 to 40 bits from it;
- 1 % are in clumps of up to 10,000 variants of one picture, 2 to 10 bits from it, as a placeholder is encoded anew;
- 1 % show up to 10,000 times the same hash each;
- with the samples, each photograph in twelve sizes and qualities; the others are strangers.

Brute force compares a sample of the rows with all, with the same XOR and population count; its time for all pairs is the
sample's, scaled. It checks what is found: rows of the sample are linked if and only if they match, and what goes
matches what stays.

Peers get the distinct hashes, since a hash that ten thousand rows show has 10⁸ pairs, and are asked for the rows within the
distance of a sample; their time for all rows is the sample's, scaled, and the time that the index takes. faiss (faiss-cpu): all
with all; IndexBinaryMultiHash of 16 bands of 16 bits, one flipped, and of 11 of 23, two flipped, which miss nothing; and of 8
bands of 32, one flipped, which may; IndexBinaryHash of the first 24 bits, two flipped. imagededup: its BK-tree on the same
hashes, and its own brute force on their first 64 bits at its distance of 10, which is what it compares. Recall is that of
planted pairs within the distance.

With `--root`, the rows are written below a folder as a ROOT's views and ledger, a pair an image, and `pmd dedupe` runs on it in
one process: everything that the stage does, near-duplicates being the most of it.

    python benchmarks/near_duplicates.py --rows 300000 --rows 1000000 [--peers-up-to 1000000] [--samples ../shared/samples]
    python benchmarks/near_duplicates.py --rows 1000000 --root FOLDER

All times are the process's CPU time on one core. Every size runs in a process of its own, so that its peak memory is its own.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from pmd import codec
from pmd.dedupe import election, near, packed
from pmd.forest import Forest
from pmd.schema.tables import LEDGER, VIEWS
from pmd.store import commits, exchange, parquet_files, root

DISTANCE = 31
SAMPLE = 200
_BLOCK = 50_000
_SIZES = (1024, 320, 200, 128)
_QUALITIES = (90, 60, 30)
#: Most rows for which a BK-tree is made: at this distance it compares nearly all with all.
_TREE_ROWS = 10_000
#: How a ROOT is cut: a few thousand images in a fetch shard, as in a build, at a million rows.
_PART_BITS = 5
_SHARD_BITS = 8


def photographs(samples: Path) -> np.ndarray:
    """Return the hashes of the samples' photographs, and of their copies: (photographs, 1 + copies, 32) bytes."""
    files = sorted([*(samples / "coco/train2017").glob("*.jpg"), *(samples / "coco/val2017").glob("*.jpg")])
    found = []
    for file in files:
        picture = codec.upright_rgb(file.read_bytes())
        copies = [picture]
        for side in _SIZES:
            small = picture.copy()
            small.thumbnail((side, side), Image.Resampling.LANCZOS)
            for quality in _QUALITIES:
                copies.append(codec.upright_rgb(codec.encode_jpeg(small, quality)))
        found.append([np.frombuffer(codec.perceptual_hash(copy), np.uint8) for copy in copies])
    return np.array(found, np.uint8).reshape(-1, 1 + len(_SIZES) * len(_QUALITIES), 32)


def spread(packed: np.ndarray) -> float:
    """Return the standard deviation of the distances between hashes."""
    bits = np.unpackbits(packed, axis=1).astype(np.float32)
    apart = bits.sum(axis=1)[:, None] + bits.sum(axis=1) - 2 * bits @ bits.T
    return float(apart[np.triu_indices(len(bits), 1)].std())


def strangers(count: int, random: np.random.Generator, mixing: np.ndarray | None = None) -> np.ndarray:
    """Return hashes with 128 bits set: where 256 numbers, mixed by a matrix, lie above their median."""
    packed = np.empty((count, 32), np.uint8)
    for start in range(0, count, _BLOCK):
        drawn = random.standard_normal((min(_BLOCK, count - start), 256), dtype=np.float32)
        mixed = drawn if mixing is None else drawn @ mixing
        median = np.partition(mixed, 128, axis=1)[:, 128:129]
        packed[start : start + len(drawn)] = np.packbits(mixed < median, axis=1)
    return packed


def mixing(originals: np.ndarray) -> tuple[np.ndarray | None, dict[str, float]]:
    """Return the matrix with which strangers are as far spread as photographs, and what was measured."""
    random = np.random.default_rng(0)
    wanted = spread(originals)
    signs = np.unpackbits(originals, axis=1).astype(np.float64) * 2 - 1
    covariance = (signs - signs.mean(axis=0)).T @ (signs - signs.mean(axis=0)) / len(signs)
    told = {"photographs": len(originals), "distance_sd": wanted, "independent_sd": spread(strangers(4000, random))}
    low, high, matrix = 0.0, 1.0, None
    for _ in range(8):
        share = (low + high) / 2
        matrix = np.linalg.cholesky((1 - share) * np.eye(256) + share * covariance).T.astype(np.float32)
        got = spread(strangers(4000, random, matrix))
        low, high = (share, high) if got < wanted else (low, share)
    return matrix, told | {"share": share, "generated_sd": got}


def varied(packed: np.ndarray, half: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return hashes in which `half` of the set bits are cleared and as many of the others set."""
    varied = np.empty_like(packed)
    for start in range(0, len(packed), _BLOCK):
        some = slice(start, start + _BLOCK)
        bits = np.unpackbits(packed[some], axis=1)
        draws = random.random(bits.shape, dtype=np.float32)
        # Set bits come first in order of the draws, the others after them.
        order = np.argsort(np.where(bits == 1, draws, 1 + draws), axis=1)
        place = np.arange(256)
        count = bits.sum(axis=1, dtype=np.int64)[:, None]
        turned = (place < half[some, None]) | ((place >= count) & (place < count + half[some, None]))
        flips = np.zeros_like(bits)
        np.put_along_axis(flips, order, turned.astype(np.uint8), axis=1)
        varied[some] = np.packbits(bits ^ flips, axis=1)
    return varied


def generated(rows: int, samples: Path | None) -> tuple[pa.Table, np.ndarray, dict[str, float]]:
    """Return `near.HASHED` of the mixture above, the planted pairs as (row, row, distance), and what was measured."""
    random = np.random.default_rng(rows)
    real = np.zeros((0, 1, 32), np.uint8) if samples is None else photographs(samples)
    matrix, told = mixing(real[:, 0]) if len(real) else (None, {})
    planted, clumped, repeated = rows // 10, rows * 3 // 100, rows // 100
    own = strangers(rows - planted - clumped - 2 * repeated - real[:, :, 0].size, random, matrix)
    from_ = random.integers(0, len(own), planted)
    half = 1 + np.arange(planted) % 20
    seeds = real[:, 0] if len(real) else own[:100]
    few = -(-repeated // 10_000)
    tight = np.resize(own[: 2 * few : 2], (repeated, 32))
    pieces = [
        own,
        varied(own[from_], half, random),
        varied(seeds[np.arange(clumped) // 1000 % len(seeds)], random.integers(1, 21, clumped), random),
        varied(tight, random.integers(1, 6, repeated), random),
        np.resize(own[1 : 2 * few : 2], (repeated, 32)),
        real.reshape(-1, 32),
    ]
    order = random.permutation(rows)
    hashes = np.concatenate(pieces)[order]
    place = np.empty(rows, np.int64)
    place[order] = np.arange(rows)
    pairs = np.stack([place[from_], place[len(own) + np.arange(planted)], 2 * half], axis=1)
    ids = random.bytes(16 * rows)
    width = random.integers(200, 2000, rows, dtype=np.int32) * 4
    constant = np.ones(rows, bool)
    columns = [
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(ids)]),
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), rows, [None, pa.py_buffer(hashes)]),
        pa.array(width),
        pa.array(width // 4 * 3),  # one aspect ratio: every match is a merge
        pa.array(constant),
        pa.array(~constant),
    ]
    return pa.table(columns, schema=near.HASHED), pairs, told


def brute(hashes: near.Words, sample: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Return CPU seconds, and the rows that match each of a sample."""
    start = time.process_time()
    found = [np.flatnonzero(near.distances(hashes, hashes[at]) <= DISTANCE) for at in sample]
    return time.process_time() - start, found


def check(table: pa.Table, linked: Forest, gone: pa.Table, sample: np.ndarray, matching: list[np.ndarray]) -> None:
    """Compare with brute force: who is linked matches; who goes, goes for one that matches; who stays stands alone."""
    ids = table["image_id"].take(pa.array(sample)).to_pylist()
    left = dict(zip(gone["image_id"].to_pylist(), gone["kept_id"].to_pylist(), strict=True))
    for row, own, others in zip(sample.tolist(), ids, matching, strict=True):
        assert (len(others) > 1) == linked.joined[row]
        near_ids = set(table["image_id"].take(pa.array(others)).to_pylist())
        assert left[own] in near_ids if own in left else all(other in left for other in near_ids - {own})


def forest_of(rows: int, links: list[near.Pairs]) -> Forest:
    """Return which rows are connected."""
    forest = Forest(rows)
    for pairs in links:
        forest.join(pairs[:, 0], pairs[:, 1])
    return forest


def recall(linked: Forest, pairs: np.ndarray) -> float:
    """Return the share of the planted pairs within the distance whose rows are connected."""
    within = pairs[pairs[:, 2] <= DISTANCE]
    return float((linked.roots(within[:, 0]) == linked.roots(within[:, 1])).mean())


# --- peers -----------------------------------------------------------------------------------------------------------


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def _faiss(packed: np.ndarray, sample: np.ndarray, planted: np.ndarray) -> list[dict[str, Any]]:
    """Return the times and the recall of faiss's indexes."""
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(1)

    def multi(bands: int, width: int, flips: int) -> Any:
        index = faiss.IndexBinaryMultiHash(256, bands, width)
        index.nflip = flips
        return index

    single = faiss.IndexBinaryHash(256, 24)
    single.nflip = 2
    indexes = {
        "faiss IndexBinaryFlat": faiss.IndexBinaryFlat(256),
        "faiss IndexBinaryMultiHash, 16 of 16 bits, 1 flip": multi(16, 16, 1),
        "faiss IndexBinaryMultiHash, 11 of 23 bits, 2 flips": multi(11, 23, 2),
        "faiss IndexBinaryMultiHash, 8 of 32 bits, 1 flip": multi(8, 32, 1),
        "faiss IndexBinaryHash, 24 bits, 2 flips": single,
    }
    results = []
    for name, index in indexes.items():
        # Its radius is exclusive.
        built, _ = _timed(functools.partial(index.add, packed))
        asked, _ = _timed(functools.partial(index.range_search, packed[sample], DISTANCE + 1))
        limits, _, found = index.range_search(packed[planted[:, 0]], DISTANCE + 1)
        hits = [other in found[limits[at] : limits[at + 1]] for at, other in enumerate(planted[:, 1])]
        results.append(_told(name, len(packed), built, asked / len(sample), float(np.mean(hits))))
    return results


def _imagededup(packed: np.ndarray, sample: np.ndarray) -> list[dict[str, Any]]:
    """Return the times of imagededup's searches; what it compares are strings of hexadecimal digits."""
    tree = importlib.import_module("imagededup.handlers.search.bktree").BKTree
    cython = importlib.import_module("imagededup.handlers.search.brute_force_cython").BruteForceCython

    def apart(one: str, other: str) -> int:
        return (int(one, 16) ^ int(other, 16)).bit_count()

    few = {str(at): packed[at].tobytes().hex() for at in range(min(len(packed), _TREE_ROWS))}
    built, made = _timed(lambda: tree(few, apart))
    queries = list(few.values())[:50]
    asked, found = _timed(lambda: [made.search(query, tol=DISTANCE) for query in queries])
    expected = [sum(apart(query, other) <= DISTANCE for other in few.values()) for query in queries]
    right = sum(map(len, found)) / sum(expected)
    results = [_told("imagededup BKTree, 256 bits", len(few), built, asked / len(queries), right)]
    short = {str(at): packed[at, :8].tobytes().hex() for at in range(len(packed))}
    built, made = _timed(lambda: cython(short, apart))
    queries = [short[str(at)] for at in sample[:5]]
    asked, _ = _timed(lambda: [made.search(query, tol=10) for query in queries])
    results.append(_told("imagededup brute force in Cython, 64 bits", len(short), built, asked / len(queries), None))
    return results


def _told(name: str, rows: int, built: float, asked: float, share: float | None) -> dict[str, Any]:
    return {
        "peer": name,
        "rows": rows,
        "built_s": round(built, 2),
        "us_a_query": round(asked * 1e6, 1),
        "all_s": round(built + asked * rows, 1),
        "recall": share if share is None else round(share, 4),
    }


def peers(table: pa.Table, pairs: np.ndarray) -> list[dict[str, Any]]:
    """Measure what is installed, on the distinct hashes."""
    packed = np.frombuffer(table["perceptual_hash"].chunk(0).buffers()[1], np.uint8).reshape(-1, 32)
    values = packed.view("V32").reshape(-1)
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    random = np.random.default_rng(1)
    place = random.permutation(len(first))  # not in order of the hashes
    distinct = np.empty((len(first), 32), np.uint8)
    distinct[place] = packed[first]
    inverse = place[inverse]
    sample = random.integers(0, len(distinct), SAMPLE)
    within = pairs[pairs[:, 2] <= DISTANCE]
    chosen = within[random.integers(0, len(within), SAMPLE)]
    planted = np.stack([inverse[chosen[:, 0]], inverse[chosen[:, 1]]], axis=1)
    results = []
    with contextlib.suppress(ImportError):
        results += _faiss(distinct, sample, planted)
    with contextlib.suppress(ImportError):
        results += _imagededup(distinct, sample)
    return results


def measure(rows: int, samples: Path | None, *, beside: bool) -> dict[str, Any]:
    """Run one size."""
    table, pairs, told = generated(rows, samples)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        packing, (made, equal) = _timed(lambda: packed.pack(folder, [table]))
        hashes, first = made.opened()
        searched, links = _timed(lambda: [first[near.links(hashes, DISTANCE, share)] for share in range(near.SHARES)])
        searched += packing
    links.append(equal)
    elected, gone = _timed(lambda: election.elect(*near.gathered([table], rows, links), DISTANCE))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = searched + elected
    hashes = near.words(table["perceptual_hash"])
    sample = np.random.default_rng(0).integers(0, rows, SAMPLE if rows <= 1_000_000 else SAMPLE // 5)
    brute_s, matching = brute(hashes, sample)
    linked = forest_of(rows, links)
    check(table, linked, gone, sample, matching)
    count = len(np.unique(hashes[:, 0]))
    bands = near.bands_for(count, count * (count - 1) // 2, DISTANCE)
    return {
        "rows": rows,
        "like": {name: round(value, 3) for name, value in told.items()},
        "bands": len(bands.worth),
        "masks": len(bands.searches()),
        "gone": gone.num_rows,
        "search_s": round(searched, 2),
        "election_s": round(elected, 2),
        "us_per_row": round(seconds / rows * 1e6, 1),
        "recall": recall(linked, pairs),
        "brute_s": round(brute_s / len(sample) * rows / 2, 1),
        "brute_to_ours": round(brute_s / len(sample) * rows / 2 / seconds, 1),
        "peak_gb": round(peak / 2**20, 2),
        "before_gb": round(before / 2**20, 2),
        "peers": peers(table, pairs) if beside else [],
    }


# --- the stage -------------------------------------------------------------------------------------------------------


def write_root(table: pa.Table, folder: Path) -> Path:
    """Write rows as the views and the ledger of a ROOT; return the path of its configuration."""
    random = np.random.default_rng(2)
    chosen = str(folder / "root")
    root.create(chosen, _SHARD_BITS)
    shard_of = exchange.partitions(table["image_id"], _SHARD_BITS)
    views, lines = [], {"image": 16, "sha256": 32}
    for shard in range(1 << _SHARD_BITS):
        rows = table.filter(pa.array(shard_of == shard))
        rows = rows.take(pc.sort_indices(rows, [("image_id", "ascending")])).combine_chunks()
        count = len(rows)
        made = {
            name: pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(width), count, [None, pa.py_buffer(random.bytes(width * count))]
            )
            for name, width in lines.items()
        }
        known = {
            **{name: rows[name] for name in ("image_id", "perceptual_hash", "width_px", "height_px")},
            "status": pa.repeat("ok", count),
            "sha256": made["sha256"],
            "stored_form": pa.repeat("original", count),
            "generation": pa.repeat(pa.scalar(0, pa.int32()), count),
        }
        ledger = pa.table([known.get(field.name, pa.nulls(count, field.type)) for field in LEDGER], schema=LEDGER)
        place = root.ledger_folder(chosen, shard, 0)
        file = parquet_files.put_table(place, "ledger", ledger)
        commits.write(place, commits.Commit("fetch", (file,), {}, "generated", {}))
        shown = {
            "image_id": rows["image_id"],
            "pair_id": made["image"],
            "source": pa.repeat("coco", count),
            "source_id": pc.cast(pa.array(random.integers(0, 2**62, count)), pa.string()),
            "text": pa.repeat("a caption of a dozen words", count),
        }
        views.append(pa.table([shown.get(field.name, pa.nulls(count, field.type)) for field in VIEWS], schema=VIEWS))
    place = root.views_folder(chosen)
    each = 1 << (_SHARD_BITS - _PART_BITS)
    files = tuple(
        parquet_files.put_table(
            place,
            f"pairs/part-{part:05d}-of-{1 << _PART_BITS:05d}",
            pa.concat_tables(views[part * each : (part + 1) * each]),
        )
        for part in range(1 << _PART_BITS)
    )
    facts = {"part_bits": _PART_BITS, "fetch_shard_bits": _SHARD_BITS}
    commits.write(place, commits.Commit("images", files, {}, "generated", {}, facts))
    (folder / "captions.json").write_text("{}", encoding="utf-8")
    path = folder / "pmd.toml"
    path.write_text(
        f'root = "{chosen}"\ncontact = "mailto:nobody@example.org"\n'
        f'[sources.coco]\nannotations = ["{folder}/captions.json"]\nexclude_karpathy = "none"\n'
        '[dedupe]\nnear = "merge"\n',
        encoding="utf-8",
    )
    return path


def write(rows: int, samples: Path | None, folder: Path) -> str:
    """Generate and write a ROOT, with the rows and the planted pairs beside it."""
    table, pairs, _ = generated(rows, samples)
    with pa.ipc.new_file(folder / "rows.arrow", table.schema) as file:
        file.write_table(table)
    np.save(folder / "pairs.npy", pairs)
    return str(write_root(table, folder))


def judged(folder: Path) -> dict[str, Any]:
    """Return how many rows of a ROOT gave way; check that what does is within the distance of what stays, which stays.

    Recall is the share of the planted pairs within the distance of which not both stayed.
    """
    table = pa.ipc.open_file(pa.memory_map(str(folder / "rows.arrow"))).read_all()
    pairs = np.load(folder / "pairs.npy")
    place = root.dedupe_folder(str(folder / "root"))
    commit = commits.require(place, "run: pmd dedupe")
    groups = pa.concat_tables([parquet_files.read_table(place, file) for file in commit.under("groups")])
    ids = table["image_id"].combine_chunks()
    gone, kept = (pc.index_in(groups[name], value_set=ids).to_numpy() for name in ("image_id", "kept_id"))
    left = np.zeros(len(ids), bool)
    left[gone] = True
    hashes = near.words(table["perceptual_hash"])
    assert not left[kept].any()
    assert (near.distances(hashes[gone], hashes[kept]) == groups["distance"].to_numpy()).all()
    assert groups["distance"].to_numpy().max() <= DISTANCE
    within = pairs[pairs[:, 2] <= DISTANCE]
    return {"gone": len(gone), "recall": float((left[within[:, 0]] | left[within[:, 1]]).mean())}


def staged(rows: int, path: str) -> dict[str, Any]:
    """Run `pmd dedupe` in one process on a ROOT."""
    command = [sys.executable, "-m", "pmd", "dedupe", path, "--", "--direct_num_workers=1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"pmd dedupe ended with {os.waitstatus_to_exitcode(status)}")
    seconds = used.ru_utime + used.ru_stime
    return {
        "rows": rows,
        **judged(Path(path).parent),
        "stage_s": round(seconds, 1),
        "us_per_row": round(seconds / rows * 1e6, 1),
        "peak_gb": round(used.ru_maxrss / 2**20, 2),
    }


def main() -> None:
    """Measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, action="append", help="sizes; by default 300,000 and 1,000,000")
    parser.add_argument("--peers-up-to", type=int, default=1_000_000, help="most rows that peers are given")
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--root", type=Path, help="an empty folder: run the stage on a ROOT of the rows, made there")
    chosen = parser.parse_args()
    samples = chosen.samples if (chosen.samples / "coco").is_dir() else None
    results = []
    for rows in chosen.rows or [300_000, 1_000_000]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            if chosen.root is None:
                results.append(pool.apply(measure, (rows, samples), {"beside": rows <= chosen.peers_up_to}))
            else:
                folder = chosen.root / str(rows)
                folder.mkdir(parents=True)
                path = pool.apply(write, (rows, samples, folder))
                results.append(staged(rows, path))
                shutil.rmtree(folder)
        sys.stdout.write(json.dumps(results[-1]) + "\n")
        sys.stdout.flush()
    growth = None
    if len(results) > 1:
        first, last = results[0], results[-1]
        growth = round(
            float(1 + np.log(last["us_per_row"] / first["us_per_row"]) / np.log(last["rows"] / first["rows"])), 2
        )
    sys.stdout.write(json.dumps({"near_duplicates": results, "growth_exponent": growth}) + "\n")


if __name__ == "__main__":
    main()
