"""What the end-to-end tests share: building, reading committed tables, comparing two ROOTs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import build
from pmd import config
from pmd.config import Config
from pmd.fetch.ledger import partitions
from pmd.schema.tables import LEDGER_OUTCOME
from pmd.store import commits, root

_REPOSITORY: Final = Path(__file__).resolve().parents[2]


def benchmark(name: str, *words: str) -> dict[str, Any]:
    """Run a benchmark, which must end well; return its last line."""
    run = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *words],
        cwd=_REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def run(chosen: Config, flags: tuple[str, ...] = ()) -> list[build.Step]:
    """Build; return what was done."""
    steps: list[build.Step] = []
    with root.writer(chosen.root, "test"):
        build.build(chosen, flags=flags, report=steps.append)
    return steps


def load(text: str) -> Config:
    """Return the configuration of a text."""
    return config.parse(text)


def table(folder: str | Path, prefix: str = "") -> pa.Table:
    """Return the committed rows of a folder, as its `_stage.json` lists them."""
    commit = commits.require(str(folder), "")
    names = [file.name for file in commit.files if file.name.startswith(prefix) and file.name.endswith(".parquet")]
    return pa.concat_tables([pq.read_table(Path(folder) / name) for name in names])


def rows(folder: str | Path, prefix: str = "") -> list[dict[str, Any]]:
    """Return the same as dictionaries."""
    commit = commits.require(str(folder), "")
    if not any(file.name.startswith(prefix) and file.name.endswith(".parquet") for file in commit.files):
        return []
    return table(folder, prefix).to_pylist()


def committed(where: Path) -> dict[str, dict[str, Any]]:
    """Return folder → its commit, for every commit of a ROOT."""
    return {
        str(path.parent.relative_to(where)): orjson.loads(path.read_bytes())
        for path in sorted(where.rglob("_stage.json"))
    }


def digests(commit: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the digests of a commit's files."""
    return {file["name"]: file["sha256"] for file in commit["files"] if file["name"].startswith(prefix)}


def assert_same(one: Path, other: Path, *, fetched_alike: bool) -> None:
    """Fail where two ROOTs differ in a class of bytes that the design claims.

    Args:
        one: A ROOT.
        other: Another.
        fetched_alike: Both have the same `fetch/`; else only what stands before it, and the ledger's outcomes, is equal.
    """
    ours, theirs = committed(one), committed(other)
    curated = [folder for folder in ours if folder.startswith("curate/")]
    assert curated == [folder for folder in theirs if folder.startswith("curate/")]
    for folder in curated:
        assert digests(ours[folder], "pairs/") == digests(theirs[folder], "pairs/"), folder
        assert ours[folder]["sources"] == theirs[folder]["sources"], folder
        assert _without_where(one / folder) == _without_where(other / folder), folder
    assert digests(ours["images"]) == digests(theirs["images"])
    assert digests(ours["views"]) == digests(theirs["views"])
    if not fetched_alike:
        return
    for folder in ours:
        if folder.startswith(("fetch/rejected", "dedupe", "shards/", "publish/")):
            assert digests(ours[folder]) == digests(theirs[folder]), folder
    assert (one / "audit/audit.json").read_bytes() == (other / "audit/audit.json").read_bytes()


def _without_where(folder: Path) -> list[dict[str, Any]]:
    return [{**row, "where": None} for row in rows(folder, "rejected/")]


def outcomes(where: str) -> list[dict[str, Any]]:
    """Return the outcome columns of the whole ledger: what two runs on a web that answers alike have in common."""
    ledger = partitions.read_ledger(where, range(2 ** partitions.cut(where).shard_bits))
    return sorted(ledger.select(LEDGER_OUTCOME).to_pylist(), key=lambda row: row["image_id"])
