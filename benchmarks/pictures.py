"""What stored pictures cost the shard stage: local ones beside a copy of the same bytes, and requests of an object store.

    python benchmarks/pictures.py [--pictures 8000] [--kilobytes 45] [--times 5] [--folder FOLDER]

Store files are written with pictures of random bytes, as many in each as in a fetch shard of PMD. By turns, as often as asked:

- *read*: all files, a block after another, by plain reads;
- *ours*: all pictures in the order of shards, that is in none, by `reading.Pictures`, each checked;
- *copy*: all files, a block after another, through `storage.Draft`, which hashes and synchronises, as shards are written;
- *shard*: the same pictures written to WebDataset's tars of 1,000 samples.

Told are the medians of seconds, and of each pair's ratio. The files are in the system's memory when they are read, so that
what is compared is our own work. Then the requests and bytes of a window, by how large its pictures are and how many of
them no shard has; nothing is asked for it. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pmd.config.asked import Asked
from pmd.config.options import ShardOptions
from pmd.fetch.generations.tar import StoreTar
from pmd.fetch.ledger import reading
from pmd.schema import keys
from pmd.shard import writing
from pmd.shard.samples import SAMPLES
from pmd.store import storage

#: Pictures of a fetch shard.
_FILE: Final = 2136
_BLOCK_BYTES: Final = 2**20
_SHARD: Final = 1000
_HEADER: Final = 512


def stored_samples(root: Path, pictures: int, kilobytes: float) -> pa.Table:
    """Write store files; return `SAMPLES` of all pictures, in a mixed order."""
    chance = random.Random(0)
    rows: list[dict[str, Any]] = []
    for number, start in enumerate(range(0, pictures, _FILE)):
        mine = []
        folder = root / f"fetch/store/shard={number:05d}"
        with StoreTar(str(folder)) as tar:
            for at in range(start, min(start + _FILE, pictures)):
                content = chance.randbytes(int(1000 * kilobytes * chance.lognormvariate(-0.125, 0.5)))
                key = keys.digest(str(at))
                offset = tar.add(f"{key.hex()}.jpg", content)
                said = {"image_url": f"http://images.example.org/{at:012d}.jpg", "text_licence": "CC-BY-4.0"}
                pair = {
                    "pair_id": key.hex(),
                    "source": "coco",
                    "source_id": str(at),
                    "text": "a caption of about a dozen words that says what is seen",
                    "image_id": key.hex(),
                    **said,
                }
                mine.append(
                    {
                        "key": key.hex(),
                        "image_id": key,
                        "pairs": [pair],
                        **said,
                        "split": "train",
                        "width_px": 640,
                        "height_px": 480,
                        "offset": offset,
                        "length": len(content),
                        "stored_format": "jpeg",
                        "stored_form": "original",
                        "stored_digest": keys.digest(content),
                    }
                )
            file = tar.finish()
        assert file is not None
        rows += [row | {"store_file": f"fetch/store/shard={number:05d}/{file.name}"} for row in mine]
    chance.shuffle(rows)
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def read(files: list[Path]) -> None:
    """Read files."""
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.read(_BLOCK_BYTES):
                pass


def ours(root: Path, samples: pa.Table) -> None:
    """Read pictures, a shard at a time."""
    for start in range(0, samples.num_rows, _SHARD):
        some = samples.slice(start, _SHARD)
        with reading.Pictures(str(root), some) as pictures:
            for row in some.to_pylist():
                pictures.read(row)


def copy(files: list[Path], folder: Path) -> None:
    """Copy files as shards are written: hashed, synchronised, named."""
    for number, path in enumerate(files):
        with storage.Draft(str(folder)) as draft, path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK_BYTES):
                draft.file.write(block)
            draft.finish(f"{number}.tar")


def shard(root: Path, samples: pa.Table, folder: Path) -> None:
    """Write tars of the samples."""
    for start in range(0, samples.num_rows, _SHARD):
        some = samples.slice(start, _SHARD)
        with reading.Pictures(str(root), some) as pictures:
            writing.write_samples(
                {"webdataset": str(folder)},
                f"{start:09d}",
                writing.load(pictures, some, Asked.only(shard=ShardOptions())),
            )


def _seconds(call: Callable[[], None]) -> tuple[float, float]:
    wall, own = time.monotonic(), time.process_time()
    call()
    return time.monotonic() - wall, time.process_time() - own


def local(pictures: int, kilobytes: float, times: int, folder: Path) -> dict[str, Any]:
    """Measure the local path, pair by pair."""
    root, out = folder / "root", folder / "out"
    samples = stored_samples(root, pictures, kilobytes)
    files = sorted(root.rglob("*.tar"))
    pairs: list[tuple[tuple[str, Callable[[], None]], tuple[str, Callable[[], None]]]] = [
        (("read", lambda: read(files)), ("ours", lambda: ours(root, samples))),
        (("copy", lambda: copy(files, out)), ("shard", lambda: shard(root, samples, out))),
    ]
    found: dict[str, Any] = {"pictures": pictures, "gb": round(sum(path.stat().st_size for path in files) / 1e9, 2)}
    for plain, theirs in pairs:
        seconds: dict[str, list[tuple[float, float]]] = {plain[0]: [], theirs[0]: []}
        for number in range(times + 1):  # the first is thrown away
            for name, call in (plain, theirs):
                took = _seconds(call)
                if number:
                    seconds[name].append(took)
                shutil.rmtree(out, ignore_errors=True)
        for name, each in seconds.items():
            found[f"{name}_s"] = round(statistics.median(wall for wall, _ in each), 2)
            found[f"{name}_cpu_s"] = round(statistics.median(own for _, own in each), 2)
        both = list(zip(seconds[theirs[0]], seconds[plain[0]], strict=True))
        found[f"{theirs[0]}_to_{plain[0]}"] = round(statistics.median(one[0] / other[0] for one, other in both), 2)
        found[f"{theirs[0]}_to_{plain[0]}_cpu"] = round(statistics.median(one[1] / other[1] for one, other in both), 2)
    return found


def requests(kilobytes: float, gone: float) -> dict[str, float]:
    """Return the requests for 1,000 wanted pictures of a fetch shard, and bytes read to bytes wanted."""
    chance = random.Random(0)
    wanted, end = [], 0
    for _ in range(_FILE):
        size = int(1000 * kilobytes * chance.lognormvariate(-0.125, 0.5))
        if chance.random() >= gone:
            wanted.append((end + _HEADER, size))
        end += _HEADER + size + -size % _HEADER
    found = reading.ranges(wanted)
    return {
        "kilobytes": kilobytes,
        "gone": gone,
        "requests": round(1000 * len(found) / len(wanted), 2),
        "bytes": round(sum(each.stop - each.start for each in found) / sum(length for _, length in wanted), 3),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8_000)
    parser.add_argument("--kilobytes", type=float, default=45)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files stand; by default in the temporary folder")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        found = local(chosen.pictures, chosen.kilobytes, chosen.times, Path(folder))
    print(json.dumps(found))
    asked = [
        requests(kilobytes, gone) for kilobytes in (4, 12, 45, 150, 500) for gone in (0, 0.12, 0.15, 0.5, 0.9, 0.99)
    ]
    for row in asked:
        print(json.dumps(row))
    print(json.dumps({"benchmark": "pictures", "local": found, "requests": asked}))


if __name__ == "__main__":
    main()
