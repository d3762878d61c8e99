"""What each stage and command holds, at two numbers of rows: whether memory grows with them.

    python benchmarks/stage_memory.py [--rows 100000 1000000] [--only curate verify …] [--out FOLDER]

Conceptual 12M is generated (`benchmarks/curate.py`), with scores of its pairs. The ledger and the store are not fetched: the
production's own code writes them (`generations.store.run_shard`), from a lane that makes a tiny JPEG of each image in place of
asking for it. 12 % are dead, and 5 % show one of so few pictures that several images have its bytes. Each stage and command is
then a process of its own, in two worker processes. What it and all that it started hold is looked at five times a second: pages
of no file (RssAnon), which nothing can take back, beside pages of files (RssFile, RssShmem); of each process, and of all
together. ROOTs are kept, and what was measured is not run again (FOLDER/ROWS/measured.jsonl), unless --only names it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from curate import conceptual_12m
from PIL import Image

from benchmarks.scaling.measuring import Watch, tree
from pmd import config
from pmd.fetch.clock import utc_now
from pmd.fetch.generations import claims, store
from pmd.fetch.ledger import partitions
from pmd.fetch.outcome import Attempt, Fetched
from pmd.store import register, root
from pmd.text.minhash import mixed

_PMD: Final = (sys.executable, "-m", "pmd")
_DEAD_PERCENT: Final = 12
_COPIED_PERCENT: Final = 5
#: Images of a picture that several have, on the average: fewer than what makes it a placeholder.
_OF_A_COPY: Final = 4
_URL_ROW: Final = 77
_PAGE: Final = 1024


class _Watched(Watch):
    """Looks at what a process and its descendants hold."""

    every_s = 0.2

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._pid = pid
        #: process → the most that it was seen to hold: of no file, of files.
        self.held: dict[int, list[int]] = {}
        self.together = [0, 0]

    def look(self) -> None:
        now = [_held(pid) for pid in tree(self._pid)]
        for pid, anonymous, filed in now:
            most = self.held.setdefault(pid, [0, 0])
            most[:] = max(most[0], anonymous), max(most[1], filed)
        total = [sum(row[1] for row in now), sum(row[2] for row in now)]
        self.together = [max(pair) for pair in zip(self.together, total, strict=True)]


def _held(pid: int) -> tuple[int, int, int]:
    """Return the process, its bytes of no file, and those of files."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return pid, 0, 0
    told = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    anonymous, filed, shared = (int(told.get(name, 0)) * _PAGE for name in ("RssAnon", "RssFile", "RssShmem"))
    return pid, anonymous, filed + shared


def measured(command: Sequence[str]) -> dict[str, Any]:
    """Run a command to its end; return what it took, in seconds and bytes."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with _Watched(process.pid) as watch:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    workers = [held for pid, held in watch.held.items() if pid != process.pid]
    return {
        "exit": process.returncode,
        "said": said.decode(errors="replace")[-2000:] if process.returncode else "",
        "seconds": round(time.monotonic() - start, 1),
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        "driver": watch.held[process.pid],
        "worker": [max(column) for column in zip(*workers, strict=True)] if workers else [0, 0],
        "together": watch.together,
    }


def written(folder: Path, rows: int) -> Path:
    """Write annotations and configuration, unless they stand there; return the configuration."""
    path = folder / "pmd.toml"
    if not path.exists():
        folder.mkdir(parents=True)
        with (folder / "cc12m.tsv").open("w") as target:
            target.writelines(conceptual_12m(rows))
        with (folder / "named.tsv").open("w") as target:
            target.write("url\tcaption\n")
            target.writelines(conceptual_12m(rows))
        _configure(path, scored=False)
    return path


def _configure(path: Path, *, scored: bool) -> None:
    scores = ["[[scores]]", 'file = "scores.parquet"', 'keep = "score < 0.98"', 'missing = "reject"'] if scored else []
    lines = [
        'root = "root"',
        'contact = "mailto:benchmarks@example.org"',
        "[sources.conceptual_12m]",
        'annotations = ["cc12m.tsv"]',
        "[engine]",
        "local = { processes = 2 }",
        *scores,
        "[fetch]",
        'store = "original"',
        "[dedupe]",
        'near = "keep"',
        "max_images_per_text = 5",
        "near_texts = 0.8",
        "[shard]",
        'formats = ["webdataset", "parquet"]',
    ]
    path.write_text("\n".join(lines) + "\n")


def score(path: Path) -> None:
    """Give each curated pair a score, and name them in the configuration."""
    with pq.ParquetWriter(path.parent / "scores.parquet", _SCORES) as target:
        pairs = ds.dataset(sorted((path.parent / "root/curate/source=conceptual_12m/pairs").glob("*.parquet")))
        for batch in pairs.to_batches(columns=["pair_id"]):
            drawn = _drawn(batch["pair_id"], 10_000, 5) / 10_000
            target.write_batch(pa.record_batch([batch["pair_id"], pa.array(drawn)], schema=_SCORES))
    _configure(path, scored=True)


_SCORES: Final = pa.schema([("pair_id", pa.binary(16)), ("score", pa.float64())])


def _drawn(ids: pa.Array, most: int, seed: int) -> Any:
    raw = np.frombuffer(b"".join(ids.to_pylist()), "<u8")[::2]
    return (mixed(raw ^ np.uint64(seed)) % np.uint64(most)).astype(np.int64)


class _Lane:
    """Makes a picture of each image, in place of asking for it."""

    answered, stopping = True, False

    def __init__(self) -> None:
        buffer = io.BytesIO()
        Image.new("L", (64, 48), 90).save(buffer, "JPEG", quality=20)
        self._jpeg = buffer.getvalue()

    def fetch(self, images: pa.Table, *, generation: int = 0, **_: Any) -> Generator[Fetched, None, None]:
        """Yield each image settled; see `pmd.fetch.lane.engine.Lane.fetch`."""
        fates, kinds = (_drawn(images["image_id"], 100, seed).tolist() for seed in (1, 2))
        copies = _drawn(images["image_id"], max(1, images.num_rows * _COPIED_PERCENT // 100 // _OF_A_COPY), 3).tolist()
        when = utc_now()
        for row, image_id in enumerate(images["image_id"].to_pylist()):
            url = images["locations"][row].as_py()[0]["url"]
            if fates[row] < _DEAD_PERCENT:
                tried = Attempt(image_id, url, generation, when, "dead", 404)
                yield Fetched(image_id, "dead", url, (url,), (tried,))
            else:
                said = f"copy {copies[row]}".encode() if kinds[row] < _COPIED_PERCENT else image_id
                yield self._there(image_id, url, said, Attempt(image_id, url, generation, when, "ok", 200, seconds=0.1))

    def _there(self, image_id: bytes, url: str, said: bytes, tried: Attempt) -> Fetched:
        comment = b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said
        content = self._jpeg[:2] + comment + self._jpeg[2:]
        return Fetched(
            image_id, "ok", url, (url,), (tried,), len(content), hashlib.sha256(content).digest(), 64, 48, "jpeg",
            stored=content, stored_form="original", stored_format="jpeg", stored_width_px=64, stored_height_px=48,
        )  # fmt: skip


def fill(path: Path) -> None:
    """Commit what a fetch of all images would."""
    chosen = config.load(str(path))
    with root.writer(chosen.root, "benchmark") as lock:
        shards = range(2 ** int(root.require(chosen.root)["fetch_shard_bits"]))
        claims.begin(register.read(chosen.root), [*shards], lock.epoch)
        lane = _Lane()
        for shard in shards:
            images = partitions.read_shard(chosen.root, shard)
            order = store.Order(chosen.root, shard, images, chosen.fetch, epoch=lock.epoch, hashed=False)
            store.run_shard(order, lane)


def commands(path: Path) -> dict[str, list[str]]:
    """Return each stage and command, in order."""
    folder = path.parent
    at, chosen = str(folder / "root"), str(path)
    *_, last = conceptual_12m(_URL_ROW + 1)
    return {
        "plan, before": [*_PMD, "plan", chosen],
        "curate": [*_PMD, "curate", chosen],
        "(scores)": [sys.executable, __file__, "--run", "score", chosen],
        "images": [*_PMD, "images", chosen],
        "(store)": [sys.executable, __file__, "--run", "fill", chosen],
        "plan, after": [*_PMD, "plan", chosen],
        "fetch, of nothing": [*_PMD, "fetch", chosen],
        "dedupe": [*_PMD, "dedupe", chosen],
        "shard": [*_PMD, "shard", chosen],
        "publish": [*_PMD, "publish", chosen],
        "status": [*_PMD, "status", at],
        "explain": [*_PMD, "explain", at, last.partition("\t")[0]],
        "verify": [*_PMD, "verify", at],
        "peek": [*_PMD, "peek", at, "--out", str(folder / "peek.html")],
        "audit of a TSV": [*_PMD, "audit", str(folder / "named.tsv"), "--out", str(folder / "of-tsv")],
        "audit of lists": [*_PMD, "audit", f"{at}/publish", "--out", str(folder / "of-lists")],
        "join": [*_PMD, "join", chosen, f"{at}/publish", "--out", str(folder / "joined")],
        "diff": [*_PMD, "diff", f"{at}/publish", str(folder / "joined")],
        "takedown find": [*_PMD, "takedown", "find", chosen, str(folder / "photo.jpg")],
        "takedown add": [*_PMD, "takedown", "add", chosen, last.partition("\t")[0]],
        "takedown apply": [*_PMD, "takedown", "apply", chosen],
        "takedown prove": [*_PMD, "takedown", "prove", chosen],
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=(100_000, 1_000_000))
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--out", type=Path, default=Path("/tmp/pmd-memory"))
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.run:
        {"score": score, "fill": fill}[told.run[0]](Path(told.run[1]))
        return
    for rows in told.rows:
        path = written(told.out / str(rows), rows)
        Image.new("RGB", (320, 240), (9, 99, 200)).save(path.parent / "photo.jpg")
        kept = path.parent / "measured.jsonl"
        known = {one["what"]: one for one in map(json.loads, kept.read_text().splitlines())} if kept.exists() else {}
        for what, command in commands(path).items():
            if what not in told.only if told.only else what in known:
                continue
            found = {"rows": rows, "what": what, **measured(command)}
            with kept.open("a") as target:
                target.write(json.dumps(found) + "\n")
            held = "  ".join(
                f"{name} {found[name][0] / 1e6:5.0f} + {found[name][1] / 1e6:4.0f}"
                for name in ("driver", "worker", "together")
            )
            print(
                f"{rows:9,} {what:18}{found['seconds']:7.1f} s {found['processor_s']:7.1f} s  {held}  {found['exit'] or ''}",
                flush=True,
            )
            if found["exit"]:
                print(found["said"], flush=True)


if __name__ == "__main__":
    main()
