"""What the pipeline tests share: the tiny world built by the pipelines themselves, in several partitions of everything."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pmd.fetch.transforms
from pipelines import audit, build, curate, running
from pmd import config, flow
from pmd.audit.counting import repeated
from pmd.config import Config
from pmd.fetch.ledger import state
from pmd.fetch.outcome import Fetched
from pmd.images import rules as images_rules
from pmd.schema.tables import LEDGER_OUTCOME, REJECTED
from pmd.store import commits, parquet_files, root, storage
from tests import tiny_root

#: Bits of the fetch shards, so that there are several parts, windows and partitions.
SHARD_BITS = 2


class FakeLane(tiny_root.Lane):
    """The tiny world's pictures in place of a lane of the fetch engine; `hashed` says whether with their hashes."""

    hashed = True

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(tiny_root._web())

    def __enter__(self) -> FakeLane:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def fetch(self, todo: pa.Table, *, generation: int, **_: Any) -> Iterator[Fetched]:
        for fetched in super().fetch(todo, generation=generation):
            yield fetched if self.hashed else dataclasses.replace(fetched, perceptual_hash=None, hashed_form=None)


def world(folder: Path) -> Config:
    """Write the annotation files and the configuration of the tiny world, and a list to check what is fetched against."""
    chosen = config.load(tiny_root.write_config(folder))
    listed = {"image_id": "ab" * 16, "image_url": tiny_root.C1, "sha256": "cd" * 32, "perceptual_hash": None}
    pq.write_table(pa.Table.from_pylist([listed]), folder / "list.parquet")
    return dataclasses.replace(
        chosen,
        fetch=chosen.fetch.model_copy(update={"against": (f"{folder}/list.parquet",)}),
        dedupe=chosen.dedupe.model_copy(update={"max_images_per_text": 1000}),
        shard=chosen.shard.model_copy(update={"samples_per_shard": 2, "window": 1}),
    )


@contextlib.contextmanager
def small(*, hashed: bool = True) -> Iterator[pytest.MonkeyPatch]:
    """Make partitions so small that even the tiny world has several, and fetch from no web, with hashes or without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeLane, "hashed", hashed)
        patch.setattr(pmd.fetch.transforms, "Lane", FakeLane)
        # On Beam, in this process: lanes in processes of their own would not know of it.
        patch.setattr(running, "is_ours", lambda _: False)
        patch.setattr(images_rules, "PART_ROWS", 1)
        patch.setattr(curate, "PARTITION_BYTES", 200)
        patch.setattr(audit, "PARTITION_PAIRS", dict.fromkeys(audit.PARTITION_PAIRS, 4))
        patch.setattr(repeated, "FREQUENT", 1)
        yield patch


def run(chosen: Config) -> None:
    """Build everything."""
    root.create(chosen.root, SHARD_BITS)
    with root.writer(chosen.root, "test"):
        build.build(chosen)


@contextlib.contextmanager
def captured() -> Iterator[dict[str, Any]]:
    """Collect each pipeline's proto, by the folder that it works in, while pipelines run."""
    found: dict[str, Any] = {}
    original = running.run

    def run_and_keep(wire: running.Wire, flags: Any, work: str, _: int = 0, *then: Any, **named: Any) -> None:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
        wire(pipeline)
        found[Path(work).name] = pipeline.to_runner_api()
        original(wire, flags, work, 0, *then, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "run", run_and_keep)
        yield found


def committed(where: str) -> dict[str, dict[str, Any]]:
    """Return folder → what is committed there, less the `run` section and what differs from one fetch to the next."""
    found = {}
    for path in sorted(Path(where).rglob("_stage.json")):
        content = orjson.loads(path.read_bytes())
        del content["run"]
        folder = str(path.parent.relative_to(where))
        if folder.startswith("fetch/ledger"):
            content["files"] = content["hash"] = None
        if folder == flow.AVAILABILITY.path:
            content["files"] = None  # of days
        found[folder] = content
    return found


def outcomes(where: str) -> list[dict[str, Any]]:
    """Return what the ledger says became of each image, of all fetch shards."""
    ledger = pa.concat_tables([state.read_ledger(where, shard) for shard in state.shards(where)])
    return list(ledger.select(list(LEDGER_OUTCOME)).to_pylist())


def unlisted(where: str) -> list[str]:
    """Return the files of a ROOT that no commit lists, less those that stand outside of commits."""
    listed = {"root.json", "writer.json", "writer.lock", flow.REGISTER}
    for path in sorted(Path(where).rglob("_stage.json")):
        folder = path.parent
        listed.add(str(path.relative_to(where)))
        for file in orjson.loads(path.read_bytes())["files"]:
            listed.add(str(Path(commits.path_of(str(folder), file["name"])).relative_to(where)))
    return [
        name
        for name in storage.list_files(where)
        if name not in listed and not name.startswith(("fetch/hosts/", "release/"))
    ]


def rejected_by_dedupe(chosen: Config) -> list[dict[str, Any]]:
    """Return the committed `REJECTED` rows of dedupe."""
    folder = root.dedupe_folder(chosen.root)
    files = commits.require(folder, "").under("rejected")
    found = pa.concat_tables([REJECTED.empty_table(), *(parquet_files.read_table(folder, file) for file in files)])
    return list(found.to_pylist())
