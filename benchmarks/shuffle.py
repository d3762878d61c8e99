"""Rows that must meet, by run files and through an engine's own shuffle: what both take, one after the other.

    python benchmarks/shuffle.py [--engine local|prism|flink|spark] [--rows 2000000] [--hot 0.5] [--repeats 1]
                                 [--ways files,engine] [--stages dedupe,audit] [--folder .engines] [--out FOLDER]

Generates judged rows of the width that YFCC100M's have, in units of as many as a range of its file has, and brings them
together in as many partitions as curate cuts so many into, by the stages' own transform (`ByPartition`). A partition's worker
reads its rows and adds up their keys and bytes, no more, so that what is measured is the way there. `--hot` puts that share of
all rows into one partition. Both ways must bring the same rows. An engine must be up (`pmd engine up`). Processor time is that of
all its processes, its workers and this process; memory is the peak of what all of them hold together (PSS) and of the largest
(RSS), looked at twice a second.

`--stages` runs whole stages in its place, on a ROOT of so many generated pairs (`benchmarks/audit_root.py`): dedupe, with
near-duplicate captions at .8 and a cap, so that it has all meetings but those of pictures' looks, and the audit. What they commit
must be the same. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import apache_beam as beam
import audit_root
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.scaling.measuring import Watch, kilobytes, tree
from pipelines import audit, dedupe, running
from pmd.config import Config, load
from pmd.config.engine import Engine
from pmd.curate.rules import PARTITION_BYTES
from pmd.engines import choosing, servers
from pmd.engines.partitions import PARTS, part_of
from pmd.engines.transforms import ByPartition, Collected, Spreads, WriteCommit, create, outputs
from pmd.schema.tables import JUDGED
from pmd.store import commits, exchange, root
from pmd.store.exchange import Rows

#: Rows of YFCC100M in a range of its file, which is a unit.
UNIT_ROWS: Final = 150_000
#: Bytes of a row of that file.
ROW_BYTES: Final = 430
#: Rows in a batch, as readers give them.
_BATCH_ROWS: Final = 10_000


@dataclasses.dataclass(frozen=True)
class Generated(Spreads):
    """Judged rows of a unit.

    Attributes:
        rows_each: How many.
        bits: Of the partitions.
        hot: Which share of them is in the first partition, beside what chance puts there.
        work: The folder of the run.
    """

    rows_each: int
    bits: int
    hot: float
    work: str

    kinds = exchange.one_kind(JUDGED)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """PARTS of one row → `JUDGED`, with their partitions."""
        chance = np.random.default_rng(part_of(batch))
        words = pa.array(["".join(map(chr, letters)) for letters in chance.integers(97, 123, (4096, 6)).tolist()])
        for start in range(0, self.rows_each, _BATCH_ROWS):
            rows = _judged(chance, words, min(_BATCH_ROWS, self.rows_each - start), self.hot)
            yield Rows(rows, exchange.partitions(rows["key"], self.bits))


def _judged(chance: np.random.Generator, words: pa.Array, count: int, hot: float) -> pa.RecordBatch:
    raw = chance.integers(0, 256, (count, 48), dtype=np.uint8)
    raw[: int(hot * count), :2] = 0
    keys = [_keys(np.ascontiguousarray(raw[:, at : at + 16])) for at in (0, 16, 32)]

    def sentence(length: int) -> pa.Array:
        some = [words.take(pa.array(chance.integers(0, len(words), count))) for _ in range(length)]
        return pc.binary_join_element_wise(*some, " ")

    numbers = pa.array(chance.integers(10**9, 10**10, count)).cast(pa.string())
    url = pc.binary_join_element_wise("http://farm", sentence(1), ".staticflickr.com/1234/", numbers, ".jpg", "")
    table = pa.table(
        {
            "key": keys[0],
            "image_id": keys[1],
            "row_digest": keys[2],
            "source_id": numbers,
            "identity": pc.binary_join_element_wise("flickr:", numbers, ""),
            "text": sentence(14),
            "image_url": url,
            "image_licence": pa.repeat("http://creativecommons.org/licenses/by-nc-sa/2.0/", count),
            "attribution": sentence(2),
            "where": pc.binary_join_element_wise("yfcc100m_dataset:", numbers, ""),
        }
    )
    return exchange.widen(table, JUDGED)


def _keys(raw: Any) -> pa.Array:
    return pa.Array.from_buffers(JUDGED.field("key").type, len(raw), [None, pa.py_buffer(raw.tobytes())])


@dataclasses.dataclass(frozen=True)
class AddUp:
    """Read a partition's rows, a message at a time, and add up what does not depend on their order."""

    bits: int
    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(partition, all its RUNS) → OUTPUTS."""
        references = list(keyed[1])
        rows = total = size = 0
        for table in exchange.iterate(self.work, references, JUDGED):
            keys = table["key"].combine_chunks()
            words = np.frombuffer(keys.buffers()[1], "<u8")[2 * keys.offset :][: 2 * len(keys)]
            rows, total = rows + table.num_rows, (total + int(words.sum(dtype=np.uint64))) % 2**64
            size += pc.sum(pc.binary_length(table["text"])).as_py()
        found = {"partition": keyed[0], "rows": rows, "sum": total, "text_bytes": size}
        messages = sum(batch.num_rows for batch in references)
        yield outputs((), facts=[json.dumps({"found": found, "messages": messages})])


@dataclasses.dataclass(frozen=True)
class Tell:
    """Write what was found to a file."""

    path: str
    work: str
    stage: str = "curate"

    def __call__(self, found: Collected) -> None:
        """Write it."""
        Path(self.path).write_text("\n".join(found.facts))


class Used(Watch):
    """Looks at what some processes and all that descend from them hold, and at their processor time from end to end."""

    def __init__(self, pids: Iterable[int]) -> None:
        super().__init__()
        self.together_mb = self.largest_mb = 0
        self._pids = tuple(pids)

    def __enter__(self) -> Used:
        self._start = self._processor_s()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.processor_s = self._processor_s() - self._start

    def _processes(self) -> set[int]:
        return {pid for root_pid in self._pids for pid in tree(root_pid)}

    def look(self) -> None:
        """Look once."""
        processes = self._processes()
        together = sum(kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in processes)
        self.together_mb = max(self.together_mb, together // 1024)
        most = max(kilobytes(f"/proc/{pid}/status", "VmRSS:") for pid in processes)
        self.largest_mb = max(self.largest_mb, most // 1024)

    def _processor_s(self) -> float:
        ticks = 0
        for pid in self._processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended; who started it has waited for it, and has its time
            ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")


def once(engine: str, told: argparse.Namespace, where: str, *, by_engine: bool) -> dict[str, Any]:
    """Bring all rows together one way; return what it took."""
    units = max(told.rows // UNIT_ROWS, 1)
    bits = exchange.bits_for(told.rows * ROW_BYTES, PARTITION_BYTES)
    work, out = root.work_folder(where, "curate"), f"{where}/found"
    batches = [pa.RecordBatch.from_pylist([{"part": unit}], schema=PARTS) for unit in range(units)]

    def wire(pipeline: beam.Pipeline) -> Any:
        spreads = Generated(told.rows // units, bits, told.hot, work)
        return (
            pipeline
            | create(batches)
            | ByPartition(spreads, AddUp(bits, work), by_engine=by_engine)
            | WriteCommit(Tell(out, work))
        )

    running_here = servers.started(engine, told.folder) if engine in servers.NAMES else None
    at = {engine: {"endpoint": running_here.endpoint}} if running_here else {}
    flags = choosing.flags(Engine.model_validate({"name": engine, **at}), (), where)
    start = time.monotonic()
    with Used(pids(engine, told.folder)) as watch:
        running.run(wire, flags, work, 0)
    seconds = time.monotonic() - start
    facts = [json.loads(line) for line in Path(out).read_text().splitlines()]
    found = sorted((fact["found"] for fact in facts), key=lambda row: row["partition"])
    return {
        "way": "engine" if by_engine else "files",
        "seconds": round(seconds, 1),
        "processor_s": round(watch.processor_s, 1),
        "together_mb": watch.together_mb,
        "largest_mb": watch.largest_mb,
        "messages": sum(fact["messages"] for fact in facts),
        "partitions": len(found),
        "found": found,
    }


def stage_once(engine: str, told: argparse.Namespace, chosen: Config, stage: str, *, by_engine: bool) -> dict[str, Any]:
    """Run a stage one way; return what it took, and what it has committed."""
    way = "engine" if by_engine else "files"
    config = dataclasses.replace(chosen, engine=Engine.model_validate({"name": engine, "shuffle": way}))
    folder = {"dedupe": root.dedupe_folder, "audit": root.audit_folder}[stage](chosen.root)
    flags = choosing.flags(config.engine, (), chosen.root)
    start = time.monotonic()
    with root.writer(chosen.root, "benchmark"), Used(pids(engine, told.folder)) as watch:
        {"dedupe": dedupe, "audit": audit}[stage].build(config, flags)
    seconds = time.monotonic() - start
    return {
        "stage": stage,
        "way": way,
        "seconds": round(seconds, 1),
        "processor_s": round(watch.processor_s, 1),
        "together_mb": watch.together_mb,
        "largest_mb": watch.largest_mb,
        "found": {file.name: file.sha256 for file in commits.require(folder, "").files if not _says_when(file.name)},
    }


def _says_when(name: str) -> bool:
    return name == "report.html"


def stages(told: argparse.Namespace, where: str) -> Iterator[dict[str, Any]]:
    """Run stages both ways by turns, and hold them to the same files."""
    chosen = load(str(audit_root.make(Path(where), Path(told.samples), told.rows)))
    asked = chosen.dedupe.model_copy(
        update={"near": "keep", "near_texts": 0.8, "near_texts_action": "cap", "max_images_per_text": 10}
    )
    chosen = dataclasses.replace(chosen, dedupe=asked)
    found: dict[str, Any] = {}
    for stage in sorted(told.stages.split(",")):  # the audit is of what was generated, so it is first
        for _ in range(told.repeats):
            for way in told.ways.split(","):
                run = stage_once(told.engine, told, chosen, stage, by_engine=way == "engine")
                files = run.pop("found")
                assert found.setdefault(stage, files) == files, "the ways commit other files"
                yield run


def pids(engine: str, folder: str) -> list[int]:
    """Return this process and those of an engine that runs here."""
    running_here = servers.read(engine, folder) if engine in servers.NAMES else None
    return [os.getpid(), *(process.pid for process in (running_here.processes if running_here else ()))]


def ways(told: argparse.Namespace, where: str) -> Iterator[dict[str, Any]]:
    """Bring rows together both ways by turns, and hold them to the same rows."""
    root.create(where, 2)
    first: Any = None
    with root.writer(where, "benchmark"):
        for _ in range(told.repeats):
            for way in told.ways.split(","):
                run = once(told.engine, told, where, by_engine=way == "engine")
                found = run.pop("found")
                first = first or found
                assert found == first, "the ways bring other rows"
                yield run


def main() -> None:
    """Measure both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--hot", type=float, default=0.0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--ways", default="files,engine")
    parser.add_argument("--stages", help="dedupe, audit or both, with a comma")
    parser.add_argument("--samples", default="../shared/samples")
    parser.add_argument("--folder", default=servers.FOLDER)
    parser.add_argument("--out")
    told = parser.parse_args()
    where = told.out or tempfile.mkdtemp(prefix="pmd-shuffle-")
    runs: list[dict[str, Any]] = []
    for run in stages(told, where) if told.stages else ways(told, where):
        runs.append(run)
        print(json.dumps(run), flush=True)
    if told.out is None:
        shutil.rmtree(where)
    print(json.dumps({"engine": told.engine, "rows": told.rows, "hot": told.hot, "runs": runs}))


if __name__ == "__main__":
    main()
