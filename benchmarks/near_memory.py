"""The search for near-duplicates at PMD's size: memory of each process and of all together, time, and what is found.

    python benchmarks/near_memory.py --hashes 1000000 --hashes 5000000 [--workers 2] [--folder FOLDER]

Rows are written as the dedupe stage's workers write them, in run files, and go through its own callables: one process packs, some
search the 16 shares, one elects. Strangers are like photographs' hashes (`benchmarks/near_duplicates.py`). Of the rows

- 12 % are planted, 0 to 35 bits from a stranger, as many at each distance;
- 3 % are in clumps of 1,000 variants of one photograph, 2 to 40 bits from it;
- 1 % are in clumps of up to 10,000 variants of one picture, 2 to 10 bits from it;
- 1 % show up to 10,000 times the same hash each.

Checked: that every planted pair within the distance is connected, told by distance; and of a sample of rows, compared with all
the others, that each is connected to all that it matches, and to something only if it matches anything.

Memory is told three ways: the most that a process had resident (VmHWM), which counts the pages of the mapped file in each
process that maps it; the most that it had of its own (RssAnon); and the most of all processes together, a shared page counted
once (Pss, every five seconds). The other two are looked at four times a second. Times are processor time. The last line is JSON.

At 70 million rows: 12 GB of disk, an hour or more of processor time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.near_duplicates import DISTANCE, forest_of, mixing, photographs, strangers, varied
from benchmarks.scaling.measuring import Watch, kilobytes
from pmd.config.asked import Asked
from pmd.config.options import DedupeOptions
from pmd.dedupe import near, packed
from pmd.dedupe import rules as dedupe_rules
from pmd.dedupe.transforms import LINKED, SEARCHES, Elect, FindLinks, PackHashes
from pmd.store import exchange

#: Rows that are made at a time; planted pairs are within one block.
_BLOCK: Final = 50_000
#: Planted distances: from 0 to below this.
_DISTANCES: Final = 36
#: Rows that are compared with all.
_SAMPLE: Final = 40
#: Pss is asked for at one look of so many. The system walks all pages for it: of 3 GB mapped twice a third of a search's time.
_SELDOM: Final = 20


# --- rows


class Mixture:
    """Makes rows, block by block."""

    def __init__(self, samples: Path | None, rows: int) -> None:
        self._random = np.random.default_rng(rows)
        real = None if samples is None else photographs(samples)[:, 0]
        self._matrix = None if real is None else mixing(real)[0]
        seeds = strangers(-(-rows * 3 // 100 // 1000) + 2 * (-(-rows // 100 // 10_000)), self._random, self._matrix)
        tight = -(-rows // 100 // 10_000)
        self._tight, self._same, self._loose = seeds[:tight], seeds[tight : 2 * tight], seeds[2 * tight :]

    def block(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return hashes (count, 32), and planted pairs among them: (row, row, distance)."""
        random = self._random
        planted, clumped, repeated = count * 12 // 100, count * 3 // 100, count // 100
        own = strangers(count - planted - clumped - 2 * repeated, random, self._matrix)
        from_, apart = random.integers(0, len(own), planted), np.arange(planted) % _DISTANCES
        pieces = [
            own,
            _turned(own[from_], apart, random),
            varied(_some(self._loose, clumped, random), random.integers(1, 21, clumped), random),
            varied(_some(self._tight, repeated, random), random.integers(1, 6, repeated), random),
            _some(self._same, repeated, random),
        ]
        order = random.permutation(count)
        place = np.empty(count, np.int64)
        place[order] = np.arange(count)
        pairs = np.stack([place[from_], place[len(own) + np.arange(planted)], apart], axis=1)
        return np.concatenate(pieces)[order], pairs

    def batch(self, hashes: np.ndarray) -> pa.RecordBatch:
        """Return `near.HASHED` of hashes."""
        count = len(hashes)
        width = self._random.integers(200, 2000, count, dtype=np.int32) * 4
        buffers = (self._random.bytes(16 * count), hashes.tobytes())
        columns = [
            pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), count, [None, pa.py_buffer(content)])
            for size, content in zip((16, 32), buffers, strict=True)
        ]
        flags = [pa.array(np.ones(count, bool)), pa.array(np.zeros(count, bool))]
        return pa.RecordBatch.from_arrays(
            [*columns, pa.array(width), pa.array(width // 4 * 3), *flags], schema=near.HASHED
        )


def _some(seeds: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    return seeds[random.integers(0, len(seeds), count)]


def _turned(hashes: np.ndarray, apart: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return hashes of which so many bits are turned, as many on as off, or one more on: else they would say nothing."""
    bits = np.unpackbits(hashes, axis=1)
    draws = random.random(bits.shape, dtype=np.float32)
    order = np.argsort(np.where(bits == 1, draws, 1 + draws), axis=1)
    place, count, off = np.arange(256), bits.sum(axis=1, dtype=np.int64)[:, None], apart[:, None] // 2
    turned = (place < off) | ((place >= count) & (place < count + apart[:, None] - off))
    flips = np.zeros_like(bits)
    np.put_along_axis(flips, order, turned.astype(np.uint8), axis=1)
    return np.packbits(bits ^ flips, axis=1)


def write(rows: int, samples: Path | None, work: str) -> list[pa.RecordBatch]:
    """Write rows to runs, and the planted pairs beside them; return their `RUNS`."""
    mixture = Mixture(samples, rows)
    planted = []

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, _BLOCK):
            hashes, pairs = mixture.block(min(_BLOCK, rows - start))
            planted.append(pairs + np.array([start, start, 0]))
            yield mixture.batch(hashes)

    runs = list(exchange.write(work, near.HASHED, 0, batches(), "image_id"))
    np.save(f"{work}/planted.npy", np.concatenate(planted).astype(np.int32))
    return runs


# --- memory


class Memory(Watch):
    """Looks at the memory of child processes."""

    every_s = 0.25

    def __init__(self) -> None:
        super().__init__()
        self.together, self.own = 0, 0
        self._looks = 0

    def look(self) -> None:
        """Look once."""
        numbers = [child.pid for child in multiprocessing.active_children()]
        if self._looks % _SELDOM == 0:
            together = sum(kilobytes(f"/proc/{number}/smaps_rollup", "Pss:") for number in numbers)
            self.together = max(self.together, together)
        self._looks += 1
        self.own = max([self.own, *(kilobytes(f"/proc/{number}/status", "RssAnon:") for number in numbers)])


# --- steps


def _counted(step: tuple[Callable[..., Any], Any]) -> tuple[list[Any], float, int]:
    """Return what a callable of the stage yields, its processor time, and the most that its process has had resident."""
    start = time.process_time()
    found = list(step[0](step[1]))
    return found, time.process_time() - start, kilobytes("/proc/self/status", "VmHWM:")


def step(calls: Sequence[tuple[Callable[..., Any], Any]], workers: int) -> tuple[list[Any], dict[str, float]]:
    """Run callables in processes of their own; return what they yield, and the time and memory."""
    start = time.monotonic()
    with Memory() as watch, multiprocessing.get_context("spawn").Pool(workers) as pool:
        results = list(pool.imap_unordered(_counted, calls, chunksize=1))
    return [item for found, _, _ in results for item in found], {
        "seconds": round(time.monotonic() - start, 1),
        "cpu_s": round(sum(seconds for _, seconds, _ in results), 1),
        "hwm_gb": round(max(most for _, _, most in results) / 2**20, 2),
        "own_gb": round(watch.own / 2**20, 2),
        "together_gb": round(watch.together / 2**20, 2),
    }


def checked(given: tuple[str, list[Any], int]) -> dict[str, Any]:
    """Return the share of planted pairs that is connected, by distance; compare a sample with all."""
    work, batches, rows = given
    paths = [batch["path"][0].as_py() for batch in batches if batch.schema == LINKED]
    forest = forest_of(rows, list(packed.read_links(paths)))
    planted = np.load(f"{work}/planted.npy")
    connected = forest.roots(planted[:, 0]) == forest.roots(planted[:, 1])
    shares = {str(apart): float(connected[planted[:, 2] == apart].mean()) for apart in range(_DISTANCES)}
    (search, *_) = (batch for batch in batches if batch.schema == SEARCHES)
    row = search.to_pylist()[0]
    hashes, first = packed.Packed(row["path"], row["hashes"], row["rows"]).opened()
    for at in np.random.default_rng(0).integers(0, len(hashes), _SAMPLE).tolist():
        matching = [
            start + np.flatnonzero(near.distances(hashes[start : start + 2**20], hashes[at]) <= DISTANCE)
            for start in range(0, len(hashes), 2**20)
        ]
        theirs = forest.roots(first[np.concatenate(matching)])
        assert (theirs == theirs[0]).all()
        assert len(theirs) == 1 or forest.joined[first[at]]
    return {"connected": shares, "missed": sum(share < 1 for apart, share in shares.items() if int(apart) <= DISTANCE)}


def measure(rows: int, samples: Path | None, workers: int, folder: Path) -> dict[str, Any]:
    """Run one size in a folder."""
    work = str(folder)
    spawned = multiprocessing.get_context("spawn")
    with spawned.Pool(1) as pool:
        runs = pool.apply(write, (rows, samples, work))
    asked = Asked.only(
        dedupe=DedupeOptions(same_bytes="merge", repeated_bytes=10, near="merge", near_distance=DISTANCE)
    )
    made, packing = step([(PackHashes(work), (0, runs))], 1)
    searches = [batch for batch in made if batch.schema == SEARCHES]
    links, searching = step([(FindLinks(asked, work), batch) for batch in searches], workers)
    related, electing = step([(Elect(asked, 0, work), (0, [*links, *made]))], 1)
    with spawned.Pool(1) as pool:
        found = pool.apply(checked, ((work, [*links, *made], rows),))
    count = searches[0]["hashes"][0].as_py()
    bands = near.bands_for(count, count * (count - 1) // 2, DISTANCE)
    every = (packing, searching, electing)
    return {
        "rows": rows,
        "distinct": count,
        "workers": workers,
        "bands": len(bands.worth),
        "masks": len(bands.searches()),
        "pack": packing,
        "search": searching,
        "elect": electing,
        "gone": exchange.read(work, related, dedupe_rules.RELATED).num_rows,
        "cpu_s": round(sum(one["cpu_s"] for one in every), 1),
        "us_a_row": round(sum(one["cpu_s"] for one in every) / rows * 1e6, 1),
        "most_together_gb": max(one["together_gb"] for one in every),
        **found,
    }


def main() -> None:
    """Measure each size, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hashes", type=int, action="append", help="sizes; by default 1,000,000")
    parser.add_argument("--workers", type=int, default=2, help="processes that search")
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--folder", type=Path, help="where the files stand; by default in the temporary folder")
    chosen = parser.parse_args()
    samples = chosen.samples if (chosen.samples / "coco").is_dir() else None
    results = []
    for rows in chosen.hashes or [1_000_000]:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            results.append(measure(rows, samples, chosen.workers, Path(folder)))
        sys.stdout.write(json.dumps(results[-1]) + "\n")
        sys.stdout.flush()
    growth = None
    if len(results) > 1:
        first, last = results[0], results[-1]
        growth = round(float(np.log(last["cpu_s"] / first["cpu_s"]) / np.log(last["rows"] / first["rows"])), 2)
    sys.stdout.write(json.dumps({"near_memory": results, "growth_exponent": growth}) + "\n")


if __name__ == "__main__":
    main()
