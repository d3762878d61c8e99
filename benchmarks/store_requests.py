"""What a driver asks an object store, by stage and by the number of fetch shards.

    python benchmarks/store_requests.py [--shards 8 512 32768]

ROOTs of all twelve sources are written straight into fake-gcs-server, an image a fetch shard, or from `IN_PROCESS` shards on
into a dictionary that answers in its place (`benchmarks/breaking/object_api.py`), where no generation has a ledger that could be
read. The requests of this process are then counted, at the client. Two builds of each: `whole` from distinct images to the audit,
where only the workers' own work is left out (what they commit is written past the client), and `idle`, which finds nothing to do.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from unittest import mock
from urllib.parse import quote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow as pa

from benchmarks.breaking import emulators
from pipelines import build, running
from pipelines import fetch as fetch_pipeline
from pmd import config, flow, stages
from pmd.config import Config
from pmd.demo.config import open_web, write_demo
from pmd.fetch.generations import store
from pmd.fetch.generations.reports import Done, Heard
from pmd.fetch.ledger import asked, sums
from pmd.fetch.transforms import FetchLane
from pmd.schema.tables import IMAGES, LEDGER, LEDGER_FILE
from pmd.store import commits, parquet_files, root, storage
from pmd.store.commits import Books, Commit, File

#: Of PMD, 4,096 images each.
SHARDS: Final = (8, 512, 32_768)
#: From so many on, the emulator would take a day.
IN_PROCESS: Final = 4096
#: Of a build; its beginning and its end are the writer's.
STAGES: Final = ("writer", *flow.NAMES)
_PARTS_BITS: Final = 9
_STATUSES: Final = ("ok", "dead", "forbidden", "timeout")


class Counting:
    """Counts what gcsfs asks, by the stage that runs."""

    def __init__(self, objects: Any = None) -> None:
        self._objects = objects
        self.stage = ""
        self.counts: dict[str, Counter[str]] = {}
        self._before: Any = None

    def __enter__(self) -> Counting:
        from gcsfs.core import GCSFileSystem

        self._before = GCSFileSystem._request
        counting = self

        async def counted(fs: Any, method: str, path: str, *positional: Any, **named: Any) -> Any:
            counting.counts.setdefault(counting.stage, Counter())[method] += 1
            if counting._objects is not None:
                return await counting._objects.request(fs, method, path, *positional, **named)
            return await counting._before(fs, method, path, *positional, **named)

        GCSFileSystem._request = counted
        return self

    def __exit__(self, *_: object) -> None:
        from gcsfs.core import GCSFileSystem

        GCSFileSystem._request = self._before


#: Writes an object, past the client that is counted.
Put = Callable[[str, bytes], None]


def to_emulator(url: str) -> Put:
    """Return what writes straight into a bucket of fake-gcs-server."""
    bucket = url.partition("://")[2]
    at = http.client.HTTPConnection(urlsplit(os.environ["STORAGE_EMULATOR_HOST"]).netloc)

    def put(where: str, content: bytes) -> None:
        name = where.partition("://")[2].removeprefix(f"{bucket}/")
        at.request("POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}", content)
        answer = at.getresponse()
        answer.read()
        assert answer.status == 200, answer.status

    return put


def _file(name: str, ending: str, content: bytes = b"") -> File:
    digest = commits.sha256(content or name.encode())
    return File(f"{name}{digest[:16]}{ending}", max(len(content), 1), 1, digest)


def _image_id(shard: int, bits: int) -> bytes:
    return (shard << (128 - bits) | shard).to_bytes(16, "big")


class Root:
    """A ROOT of 2^bits fetch shards, of which some have an image; by default all.

    Args:
        put: Writes an object.
        chosen: The configuration.
        bits: See above.
        shards: How many have an image.
        ledgers: Whether generations have a ledger. Else a byte stands for each of their files, so that listings are as long, and
            a build that reads a ledger fails: to write 32,768 takes minutes.
    """

    def __init__(self, put: Put, chosen: Config, bits: int, shards: int | None = None, *, ledgers: bool = True) -> None:
        self._put, self._config, self._bits, self._ledgers = put, chosen, bits, ledgers
        self._shards = 2**bits if shards is None else shards
        self._root = chosen.root

    def _commit(self, folder: str, commit: Commit) -> None:
        self._put(f"{folder}/{commits.STAGE_FILE}", commits.to_json(commit))

    def curate(self) -> None:
        """Write `root.json`, the pairs' commits, and the distinct images."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(storage, "put_if_absent", self._put))
            root.create(self._root, self._bits)
        for name in sorted(self._config.sources):
            pairs = (_file("pairs/part-00000-of-00001-", ".parquet"),)
            self.stage(flow.CURATE, name, pairs, sources={name: Books(2**self._bits)})
        part_bits = min(_PARTS_BITS, self._bits)
        facts = {"part_bits": part_bits, "fetch_shard_bits": self._bits}
        files = [self._part(part, part_bits) for part in range(2**part_bits)]
        (wanted,) = stages.wanted(flow.IMAGES, self._config)
        for folder, kept in ((root.views_folder(self._root), ()), (root.images_folder(self._root), tuple(files))):
            self._commit(folder, Commit(flow.IMAGES.name, kept, {}, wanted.hash, self._run(wanted), facts))

    def _part(self, part: int, part_bits: int) -> File:
        width = self._bits - part_bits
        rows = [
            {
                "image_id": _image_id(shard, self._bits),
                "identity": f"url:http://a.example/{shard}",
                "locations": [{"kind": "original", "url": f"http://a.example/{shard}"}],
                "sources": sorted(self._config.sources),
                "has_region": False,
                "fetch_shard": shard,
            }
            for shard in range(part << width, (part + 1) << width)
            if shard < self._shards
        ]
        content = parquet_files.to_bytes(pa.Table.from_pylist(rows, schema=IMAGES))
        file = _file(f"{flow.part(part, part_bits)}-", ".parquet", content)
        self._put(f"{root.images_folder(self._root)}/{file.name}", content)
        return dataclasses.replace(file, rows=len(rows))

    def generation(self, shard: int, epoch: int) -> Commit:
        """Commit a shard's generation as a worker does, of an image that is dead; return the commit."""
        folder = root.ledger_folder(self._root, shard, 0)
        content = self._ledger(shard) if self._ledgers else b""
        ledger = _file("ledger-", ".parquet", content)
        self._put(f"{folder}/{ledger.name}", content)
        others = [
            store.elsewhere(_file(f"{shard}" if kind == "store" else "generation=0000-", ending), kind, shard)
            for kind, ending in (("store", ".tar"), ("attempts", ".parquet"))
        ]
        for other in others:
            self._put(commits.path_of(folder, other.name), b"")
        books = Books(300, dict.fromkeys(_STATUSES[1:], 10 + shard % 7))
        commit = Commit(
            store.STAGE,
            (ledger, *others),
            dict.fromkeys(sorted(self._config.sources), books),
            commits.options_hash(shard),
            {commits.EPOCH: epoch, "images": 1, "statuses": {"dead": 1}, "ended": "2026-01-01T00:00:00+00:00"},
            store.facts(shard, 0, is_hashed=False),
        )
        self._commit(folder, commit)
        return commit

    def _ledger(self, shard: int) -> bytes:
        row = dict.fromkeys(LEDGER.names) | {
            "image_id": _image_id(shard, self._bits),
            "status": "dead",
            "generation": 0,
            "tried": [f"http://a.example/{shard}"],
        }
        table = pa.Table.from_pylist([row], schema=LEDGER).rename_columns(LEDGER_FILE.names)
        return parquet_files.to_bytes(table)

    def sums(self) -> list[File]:
        """Write the sums of what was there as the workers do, a file a part; return the files."""
        part_bits = min(_PARTS_BITS, self._bits)
        width = self._bits - part_bits
        files = []
        for part in range(2**part_bits):
            images = sum(shard < self._shards for shard in range(part << width, (part + 1) << width))
            cuts = ((sums.HOST, "a.example"), (sums.STATUS, "dead"), (sums.DAY, "2026-01-01"))
            rows = [
                {"by": by, "source": source, "name": name, "images": images, "alive": 0}
                for by, name in cuts
                for source in (asked.ALL, *self._config.sources)
            ]
            content = parquet_files.to_bytes(sums.added([pa.Table.from_pylist(rows if images else [], sums.SUMS)]))
            file = _file(f"{flow.part(part, part_bits)}-", ".parquet", content)
            self._put(f"{sums.folder_of(self._root)}/{file.name}", content)
            files.append(file)
        return files

    def stage(
        self, stage: flow.Stage, unit: str, files: Sequence[File] = (), sources: Mapping[str, Books] | None = None
    ) -> None:
        """Commit a unit as its configuration asks for."""
        for wanted in stages.wanted(stage, self._config, unit):
            self._commit(
                wanted.folder, Commit(stage.name, tuple(files), dict(sources or {}), wanted.hash, self._run(wanted))
            )

    @staticmethod
    def _run(wanted: Any) -> dict[str, Any]:
        return {commits.EPOCH: 1, "options": dict(wanted.options), "inputs": dict(wanted.inputs)}


@contextlib.contextmanager
def without_workers(made: Root, chosen: Config) -> Iterator[None]:
    """Have workers' output written past the client that is counted."""

    def lanes(lane: FetchLane, shards: Sequence[int], images: int = 0) -> None:
        done = [Done(made.generation(shard, lane.epoch), 0, Heard(0, {})) for shard in shards]
        assert lane.reports is not None
        for number in range(lane.lanes):
            lane.reports.leave(f"lane-{number:05d}", done[number :: lane.lanes])

    def run_and_commit(root_url: str, folders: Sequence[str], *_: object, **__: object) -> None:
        lock = root.writing(root_url)
        for folder in folders:
            commits.claim(folder, lock.epoch)
        wanted = {
            item.folder: item
            for stage in flow.STAGES[2:]
            for unit in ([folder.rpartition("=")[2] for folder in folders] if stage.unit == "source" else ["all"])
            if stage.name in folders[0].removeprefix(root_url) or (stage == flow.SHARD and "/shards/" in folders[0])
            for item in stages.wanted(stage, chosen, unit)
        }
        for folder in folders:
            item = wanted[folder]
            run = {commits.EPOCH: lock.epoch, "options": dict(item.options), "inputs": dict(item.inputs)}
            files = made.sums() if folder == sums.folder_of(root_url) else ()
            commits.write(folder, Commit(item.stage, tuple(files), {}, item.hash, run))
            commits.sweep(folder, lock.check)

    with (
        mock.patch.object(fetch_pipeline, "run_lanes", lanes),
        mock.patch.object(running, "run_and_commit", run_and_commit),
    ):
        yield


def built(chosen: Config, counting: Counting) -> dict[str, int]:
    """Build; return stage → requests, where the beginning and the end are a stage too."""
    counting.counts.clear()
    counting.stage = "writer"

    def done(step: build.Step) -> None:
        of_step = counting.counts.pop("running", Counter())
        counting.counts.setdefault(step.stage, Counter()).update(of_step)

    with root.writer(chosen.root, "benchmark"):
        counting.stage = "running"
        build.build(chosen, report=done)
        counting.counts.setdefault("writer", Counter()).update(counting.counts.pop("running", Counter()))
        counting.stage = "writer"
    return {stage: counts.total() for stage, counts in counting.counts.items()}


def in_process() -> tuple[Any, Put]:
    """Return what answers in the place of an emulator, and what writes straight into it."""
    from benchmarks.breaking.object_api import Objects

    objects = Objects()
    return objects, lambda where, content: objects.put(where.partition("://")[2], content)


def _measured(shards: int, bucket: str, chosen: Config) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield each kind of build, and its requests by stage."""
    chosen = dataclasses.replace(chosen, root=f"{bucket}/shards-{shards}")
    objects, put = in_process() if shards >= IN_PROCESS else (None, to_emulator(bucket))
    with Counting(objects) as counting:
        made = Root(put, chosen, shards.bit_length() - 1, ledgers=objects is None)
        made.curate()
        with without_workers(made, chosen):
            whole = built(chosen, counting)
        yield "whole", whole
        yield "idle", built(chosen, counting)


def _line(kind: str, counts: Mapping[str, int], shards: int) -> str:
    total = sum(counts.values())
    figures = "".join(f"{counts.get(name, 0):>9,}" for name in STAGES)
    return f"  {kind:8}{figures}{total:>9,}{total / shards:>9.2f}"


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, nargs="+", default=SHARDS)
    told = parser.parse_args()
    why = emulators.missing("gs")
    if why is not None:
        sys.exit(why)
    found: dict[int, dict[str, dict[str, int]]] = {}
    with tempfile.TemporaryDirectory() as folder, open_web() as web:
        chosen = config.load(str(write_demo(Path(folder), web)))
        for shards in told.shards:
            start, processor = time.monotonic(), time.process_time()
            print(f"{shards:,} fetch shards")
            print(f"  {'':8}" + "".join(f"{name:>9}" for name in STAGES) + f"{'all':>9}{'a shard':>9}", flush=True)
            with emulators.emulated("gs") as bucket:
                for kind, counts in _measured(shards, bucket, chosen):
                    found.setdefault(shards, {})[kind] = counts
                    print(_line(kind, counts, shards), flush=True)
            took_s = time.monotonic() - start
            print(f"  {took_s:.0f} s, {time.process_time() - processor:.0f} s of processor", flush=True)
    print(json.dumps({"benchmark": "store_requests", "requests": found}))


if __name__ == "__main__":
    main()
