"""Damage: who notices a flipped byte, in every kind of committed file, and what looking costs.

    python benchmarks/damage.py [--flips 200] [--builds 6] [--seed 0]

The demo is built once. Of each kind of file, bytes are flipped at seeded offsets: of Parquet a third each anywhere, in the
footer and in the header of a page; of the store's tars half in headers. After each flip the file is read by what its
stages read it with, in this process, and compared with what it gave before. `noticed`: the reader stopped; `harmless`:
it gave what it gave before; `less`: hosts are asked again; `wrong`: it gave anything else; `verify`: the commit's digest tells
(what `pmd verify` and `pmd repair` go by). Then, `--builds` times, a byte of what a build reads is flipped, and everything from
dedupe on is built: it must stop, or give the same samples. `pmd repair` and another build must give those of the sound ROOT.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import random
import re
import shutil
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import build, repair
from pmd import config
from pmd.books import committed
from pmd.config import Config
from pmd.demo.config import open_web, write_demo
from pmd.errors import PmdError
from pmd.fetch.ledger import state, stored
from pmd.fetch.politeness import policies
from pmd.inspection import verify
from pmd.schema import keys
from pmd.store import commits, parquet_files, root, sealed, storage

#: Kinds of files → where they stand.
PARQUET = {
    "pairs": "curate/*/pairs/*.parquet",
    "rejected rows": "*/**/rejected/**/*.parquet",
    "images": "images/*.parquet",
    "views": "views/pairs/*.parquet",
    "ledger": "fetch/ledger/*/*/*.parquet",
    "attempts": "fetch/attempts/*/*.parquet",
    "groups": "dedupe/groups/*.parquet",
    "lists": "publish/*/*.parquet",
}
#: Files that no stage reads again.
UNREAD = {
    "shard tars": "shards/webdataset/*.tar",
    "shard Parquet": "shards/parquet/*.parquet",
    "audit.json": "audit/audit.json",
}

Reader = Callable[[], Any]


@dataclasses.dataclass
class Bench:
    """A sound ROOT in which one file at a time is damaged."""

    root: Path
    chance: random.Random
    flips: int

    def __post_init__(self) -> None:
        names = storage.list_files(str(self.root))
        units = committed.read_all(str(self.root), names)
        self.listed = {name: (file.bytes, file.sha256) for unit in units.values() for name, file in unit.files()}

    def kind(
        self, pattern: str, read: Callable[[Path], Any], where: Callable[[bytes], int] | None = None
    ) -> Counter[str]:
        """Flip bytes of the files of a pattern, and count what became of it."""
        paths = sorted(path for path in self.root.glob(pattern) if path.is_file())
        found: Counter[str] = Counter(files=len(paths))
        before = {path: (path.read_bytes(), read(path)) for path in paths}
        for _ in range(self.flips):
            path = self.chance.choice(paths)
            content, sound = before[path]
            at = self.chance.randrange(len(content)) if where is None else where(content)
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << self.chance.randrange(8)]) + content[at + 1 :])
            sealed.forget()
            found[self.outcome(read, path, sound)] += 1
            expected = self.listed.get(str(path.relative_to(self.root)))
            found["verify"] += expected is not None and sealed.measured(str(path)) != expected
            path.write_bytes(content)
        sealed.forget()
        return found

    @staticmethod
    def outcome(read: Callable[[Path], Any], path: Path, sound: Any) -> str:
        """Return what a reader makes of a damaged file."""
        try:
            now = read(path)
        except PmdError:
            return "noticed"
        if now == sound:
            return "harmless"
        if isinstance(sound, frozenset) and now < sound:
            return "less"
        return "wrong"

    def in_parquet(self, content: bytes) -> int:
        """Return a place in a Parquet file: anywhere, in its footer, or in the header of its first page."""
        footer = int.from_bytes(content[-8:-4], "little") + 8
        start, stop = self.chance.choice([(0, len(content)), (len(content) - footer, len(content)), (4, 30)])
        return self.chance.randrange(start, stop)


def rows(path: Path) -> Any:
    """Read a committed Parquet file as stages do."""
    return pa.Table.from_batches(list(parquet_files.iterate(str(path)))).to_pylist()


def pictures(where: Path) -> Callable[[Path], Any]:
    """Return what reads all pictures of a tar of the store, as the shard stage does."""
    ledgers = {shard: state.read_ledger(str(where), shard).to_pylist() for shard in state.shards(str(where))}
    by_tar: dict[str, list[dict[str, Any]]] = {}
    for row in (row for ledger in ledgers.values() for row in ledger if row["store_file"] is not None):
        by_tar.setdefault(row["store_file"], []).append(row)
    return lambda path: [stored.read(str(where), row) for row in by_tar.get(str(path.relative_to(where)), ())]


def in_pictures(chance: random.Random) -> Callable[[bytes], int]:
    """Return what chooses a place in a tar: in half of all cases within a header."""

    def place(content: bytes) -> int:
        at = chance.randrange(len(content))
        return at if chance.random() < 0.5 else at - at % 512 + chance.randrange(160)

    return place


def policies_of(where: Path) -> Callable[[Path], Any]:
    """Return what reads all that hosts have said."""
    return lambda _: frozenset(
        (origin, repr(policy))
        for kind in ("robots", "tdmrep")
        for origin, policy in policies.read(str(where), kind)  # type: ignore[arg-type]
    )


def samples(where: Path) -> dict[str, bytes]:
    """Return the members of all shards, and their digest."""
    found = {}
    for path in sorted(where.glob("shards/webdataset/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                found[member.name] = hashlib.sha256(file.read() if file is not None else b"").digest()
    return found


def whole(sound: Path, chosen: Config, text: str, chance: random.Random, folder: Path) -> str:
    """Flip a byte of what a build from dedupe on reads; build, repair, build; return what happened."""
    where = folder / "root"
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(sound, where)
    path = folder / "demo" / "damaged.toml"  # beside the demo's own, to whose folder its paths are relative
    path.write_text(re.sub("(?m)^root = .*$", f'root = "{where}"', text))
    mine = config.load(str(path))
    before = samples(where)
    for name in ("dedupe", "shards", "publish", "audit"):
        shutil.rmtree(where / name)
    patterns = (
        "views/pairs/*.parquet",
        "fetch/ledger/*/*/*.parquet",
        "fetch/store/*/*.tar",
        "curate/*/pairs/*.parquet",
    )
    victim = chance.choice(sorted(where.glob(chance.choice(patterns))))
    content = bytearray(victim.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    victim.write_bytes(content)
    said = "built"
    try:
        with root.writer(str(where), "benchmark"):
            build.build(mine)
    except PmdError as error:
        said = f"stopped (exit {error.exit_code})"
    if said == "built" and samples(where) != before:
        return f"{victim.relative_to(where)}: WRONG SAMPLES"
    with root.writer(str(where), "benchmark"):
        done = repair.repair(str(where), str(path))
        build.build(mine)
    problems = verify.verify(str(where))["problems"]
    ended = "the same samples" if samples(where) == before and not problems else f"OTHERS, {problems}"
    return f"{victim.relative_to(where)}: {said}, {len(done.damaged)} mended, then {ended}"


def cost(count: int = 1_000_000) -> dict[str, float]:
    """Return what reading a Parquet file of a million rows takes, and what checking it adds, in seconds: the least of five."""
    chance = random.Random(0)
    words = [f"w{number:05d}" for number in range(20_000)]
    ids = keys.key_array(keys.digest(str(number)) for number in range(count))
    texts = [" ".join(chance.choices(words, k=8)) for _ in range(count)]
    table = pa.table({"image_id": ids, "pair_id": ids, "text": texts})
    with tempfile.TemporaryDirectory() as folder:
        file = parquet_files.put_table(folder, "part", table)
        path = Path(folder) / file.name
        summed = Path(folder) / "pages.parquet"
        pq.write_table(table, summed, compression="zstd", compression_level=1, write_page_checksum=True)

        def read(at: Path, columns: list[str] | None = None, **options: bool) -> Reader:
            return lambda: pq.ParquetFile(at, **options).read(columns=columns, use_threads=False)

        return {
            "megabytes": round(file.bytes / 1e6, 1),
            "sha256": least(lambda: sealed.measured(str(path))),
            "read": least(read(path)),
            "read one column": least(read(path, ["image_id"])),
            "read with page checksums": least(read(summed, page_checksum_verification=True)),
        }


def least(call: Reader) -> float:
    """Return the least of five times, in seconds of the processor."""

    def once() -> float:
        start = time.process_time()
        call()
        return time.process_time() - start

    return round(min(once() for _ in range(5)), 4)


def kinds(bench: Bench) -> Iterator[tuple[str, Counter[str]]]:
    """Damage each kind of file."""
    for name, pattern in PARQUET.items():
        yield name, bench.kind(pattern, rows, bench.in_parquet)
    yield "store tars", bench.kind("fetch/store/*/*.tar", pictures(bench.root), in_pictures(bench.chance))
    yield (
        "_stage.json",
        bench.kind("**/_stage.json", lambda path: commits.to_json(commits.require(str(path.parent), ""))),
    )
    yield "root.json", bench.kind("root.json", lambda path: root.describe(str(path.parent)))
    yield "hosts", bench.kind("fetch/hosts/*.jsonl", policies_of(bench.root))
    for name, pattern in UNREAD.items():
        yield name, bench.kind(pattern, lambda _: None)


def main() -> None:
    """Damage, read, mend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--builds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    result: dict[str, Any] = {"flips": options.flips, "kinds": {}, "builds": []}
    columns = ("noticed", "less", "harmless", "wrong", "verify")
    with tempfile.TemporaryDirectory() as folder, open_web() as web:
        path = write_demo(Path(folder) / "demo", web)
        chosen = config.load(str(path))
        with root.writer(chosen.root, "benchmark"):
            build.build(chosen)
        where = Path(chosen.root)
        sys.stdout.write(f"{'kind':16s} {'files':>6s} " + " ".join(f"{name:>9s}" for name in columns) + "\n")
        for name, found in kinds(Bench(where, chance, options.flips)):
            result["kinds"][name] = {column: found[column] for column in columns}
            line = " ".join(f"{found[column]:9d}" for column in columns)
            sys.stdout.write(f"{name:16s} {found['files']:6d} {line}\n")
            sys.stdout.flush()
        for _ in range(options.builds):
            told = whole(where, chosen, path.read_text(), chance, Path(folder))
            result["builds"].append(told)
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()
    result["wrong"] = sum(found["wrong"] for found in result["kinds"].values())
    result["cost_s"] = cost()
    sys.stdout.write(f"cost: {result['cost_s']}\n")
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
