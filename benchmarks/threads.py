"""What `shard`, `dedupe` and `audit` hold and take in one thread, in two, and in two processes, by how much they have to read.

    python benchmarks/threads.py [--stages audit dedupe shard] [--mib 100 250 500] [--turns 1] [--out FOLDER]

From 64 MiB of input on a stage works in two threads, and from 512 MiB on in several processes (`pipelines/running.py`). Inputs
are made as large as that is counted: for audit and dedupe ROOTs of generated pairs (`benchmarks/audit_root.py`; their images
have perceptual hashes, of which some are planted near others), for shard builds of files in PMD's proportions, whose pictures
are served on loopback (`benchmarks/scale.py`). Each run is a process of its own, start-up and all; kinds of runs take turns. Told
are seconds, processor time, the largest process, and all processes together (Pss, twice a second). The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import audit_root

from benchmarks import scale
from benchmarks.scaling import upstream
from benchmarks.scaling.measuring import cost
from pipelines import running
from pmd import config, flow
from pmd.fetch.ledger import partitions
from pmd.store import root

#: How a stage is run → Beam's flags that make it so.
MODES: Final = {
    "one thread": ("--direct_num_workers=1",),
    "two threads": ("--direct_running_mode=multi_threading", "--direct_num_workers=2"),
    "two processes": ("--direct_num_workers=2",),
}
#: Stage → MiB that are counted for a million generated pairs; of shard, for a million of PMD's images.
_MIB: Final = {"audit": 686.0, "dedupe": 436.0, "shard": running.picture_bytes(10**6) / 2**20}
_PMD_IMAGES: Final = 70_000_000


def counted(stage: str, chosen: config.Config) -> int:
    """Return the bytes of input that a stage counts."""
    if stage == "shard":
        return running.image_bytes(partitions.image_files(chosen.root))
    if stage == "dedupe":
        return running.parquet_bytes(partitions.view_files(chosen.root))
    from pmd.audit import needs

    return running.parquet_bytes(needs.of(chosen).files)


def generated(folder: Path, samples: Path, rows: int) -> Path:
    """Return the configuration of a ROOT of so many pairs."""
    return audit_root.make(folder, samples, rows, hashed=True)


def fetched(folder: Path, _: Path, images: int) -> Path:
    """Return the configuration of a ROOT whose so many images were fetched."""
    if not (folder / "pmd.toml").exists():
        folder.mkdir(parents=True)
        with scale.serving(folder / "ca.pem") as web:
            files = upstream.write(folder / "upstream", images / _PMD_IMAGES)
            chosen = scale.configured(folder, web.ports, files)
            for stage in (flow.CURATE, flow.IMAGES, flow.FETCH, flow.DEDUPE):
                subprocess.run([sys.executable, "-m", "pmd", stage.name, str(chosen)], check=True)
    return folder / "pmd.toml"


def measured(stage: str, path: Path, turns: int) -> dict[str, Any]:
    """Return what a stage takes on a ROOT, by kind of run."""
    found: dict[str, Any] = {"mib": counted(stage, config.load(str(path))) / 2**20, "runs": {}}
    for _ in range(turns):
        for mode, flags in MODES.items():
            took = cost([sys.executable, __file__, "--run", stage, str(path), json.dumps(flags)])
            found["runs"].setdefault(mode, []).append(dataclasses.asdict(took))
            print(
                f"  {stage:7}{found['mib']:6.0f} MiB  {mode:14}{took.seconds:7.1f} s{took.processor_s:7.1f} s of processor"
                f"{took.peak_bytes / 1e6:7.0f} M largest{took.together_bytes / 1e6:7.0f} M together",
                flush=True,
            )
    return found


def run(stage: str, path: str, flags: list[str]) -> None:
    """Run a stage in this process, be it up to date."""
    chosen = config.load(path)
    with root.writer(chosen.root, "benchmark"):
        importlib.import_module(f"pipelines.{stage}").build(chosen, flags)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=[*_MIB], default=[*_MIB])
    parser.add_argument("--mib", type=float, nargs="+", default=(100, 250, 500))
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--out", type=Path, default=Path("/tmp/pmd-threads"))
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.run:
        run(told.run[0], told.run[1], json.loads(told.run[2]))
        return
    found = []
    for stage in told.stages:
        make: Callable[[Path, Path, int], Path] = fetched if stage == "shard" else generated
        for mib in told.mib:
            folder = told.out / f"{stage}-{mib:g}"
            path = make(folder, told.samples, round(10**6 * mib / _MIB[stage]))
            found.append({"stage": stage, **measured(stage, path, told.turns)})
            shutil.rmtree(folder)
    print(json.dumps({"benchmark": "threads", "found": found}))


if __name__ == "__main__":
    main()
