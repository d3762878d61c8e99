"""Publish one source: its pairs, and what became of their images → a list of URLs, texts and checksums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import orjson

from pipelines import running
from pmd import manifests, stages
from pmd.config import Config
from pmd.engines.transforms import ByPartition, WriteCommit, create
from pmd.errors import RootError
from pmd.fetch import blocklists, partitions
from pmd.fetch.rejected_transforms import CommitStage
from pmd.publish import rules as publish_rules
from pmd.publish.transforms import SpreadBoth, WriteList, units
from pmd.store import commits, root, storage


def build(config: Config, source: str, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `publish/source=…`.

    Raises:
        RootError: Pictures that a blocklist names are still among those that are listed.
    """
    _refuse_blocked(config)
    wanted = stages.publish(config, source)
    manifest = manifests.load(source)
    with_text = manifest.redistribute_text or config.publish.withheld_text == "include"
    curated = root.curate_folder(config.root, source)
    files = commits.require(curated, "run: pmd curate").under("pairs")
    bits = max((len(files) - 1).bit_length(), 0)
    cut = partitions.cut(config.root)
    listed = [(storage.join(curated, file.name), file.bytes) for file in files]
    work = root.work_folder(config.root, f"publish-{source}")

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Units" >> create(units(listed, range(2**cut.part_bits)))
            | "Publish"
            >> ByPartition(
                SpreadBoth(config.root, source, cut, bits, work),
                WriteList(manifest, with_text, wanted.folder, bits, work),
            )
            | "Commit"
            >> WriteCommit(
                CommitStage(publish_rules.STAGE, wanted.folder, wanted.hash, orjson.dumps(wanted.run()), work)
            )
        )

    size = running.parquet_bytes([*files, *partitions.view_files(config.root)])
    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, size)


def _refuse_blocked(config: Config) -> None:
    blocklist = blocklists.read(config.fetch.blocklists)
    if not blocklist:
        return
    cut = partitions.cut(config.root)
    found = sum(
        len(
            blocklist.stored(
                partitions.read_ledger(config.root, cut.shards(part)), partitions.read_images(config.root, part)
            )
        )
        for part in range(2**cut.part_bits)
    )
    if found:
        raise RootError(
            "pictures in the store are on a blocklist",
            where=config.root,
            found=f"{found:,} images",
            remedy="run: pmd build CONFIG; it takes them out of shards and lists",
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("publish", argv) as told:
        for name in told.names:
            if stages.publish(told.config, name).why() is not None:
                build(told.config, name, told.flags)


if __name__ == "__main__":
    main()
