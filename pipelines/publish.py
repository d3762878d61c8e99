"""Publish one source: its pairs, and what became of their images → a list of URLs, texts and checksums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow.compute as pc

from pipelines import running
from pmd import flow, stages
from pmd.config import Config
from pmd.engines.committing import CommitStage, target
from pmd.engines.transforms import ByPartition, WriteCommit, create
from pmd.errors import RootError
from pmd.fetch import asking, blocklists, partitions
from pmd.fetch import needs as fetch_needs
from pmd.images import takedowns
from pmd.publish import folder, needs
from pmd.publish.transforms import SpreadBoth, WriteList, tasks
from pmd.schema import keys
from pmd.store import register, root, storage
from pmd.store.standing import Standing


def build(config: Config, source: str, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `publish/source=…`.

    Raises:
        RootError: Pictures that a blocklist, or a takedown list by their bytes, names or may name are still among those listed.
    """
    _refuse_blocked(config)
    _refuse_taken_down(config)
    needed = needs.of(config, source)
    wanted, terms, files = needed.wanted, needed.terms, needed.files
    curated = root.curate_folder(config.root, source)
    bits = max((len(files) - 1).bit_length(), 0)
    cut = partitions.cut(config.root)
    listed = [(storage.join(curated, file.name), file.bytes) for file in files]
    work = root.work_folder(config.root, f"publish-{source}")

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Units" >> create(tasks(listed, range(2**cut.part_bits)))
            | "Publish"
            >> ByPartition(
                SpreadBoth(config.root, source, cut, bits, work),
                WriteList(terms, needs.level(terms, config), wanted.folder, bits, work),
            )
            | "Commit" >> WriteCommit(CommitStage(work, (target(wanted),)))
        )

    size = running.parquet_bytes([*files, *partitions.view_files(config.root)])
    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, size)


def _refuse_blocked(config: Config) -> None:
    blocklist = blocklists.read(config.fetch.blocklists)
    if not blocklist:
        return
    standing = Standing(config.root)
    unseen = asking.why(standing, asking.by_blocklist(config.fetch))
    if unseen is not None:
        raise RootError(
            "pictures in the store have not been held against a blocklist",
            where=config.root,
            found=unseen,
            remedy="run: pmd build CONFIG; it hashes them, and takes those that are listed out of shards and lists",
        )
    if fetch_needs.is_settled(config, standing):
        return
    cut = partitions.cut(config.root)
    blocked = sum(
        len(
            blocklist.stored(
                partitions.read_ledger(config.root, cut.shards(part)), partitions.read_images(config.root, part)
            )
        )
        for part in range(2**cut.part_bits)
    )
    if blocked:
        raise RootError(
            "pictures in the store are on a blocklist",
            where=config.root,
            found=f"{blocked:,} images",
            remedy="run: pmd build CONFIG; it takes them out of shards and lists",
        )


def _refuse_taken_down(config: Config) -> None:
    """Refuse to list pictures that a takedown list names by their bytes: known since they were fetched or hashed."""
    listed = takedowns.lines(config.takedown, config.sources)
    standing = Standing(config.root)
    unseen = asking.why(standing, asking.by_takedown(config))
    if unseen is not None:
        raise RootError(
            "pictures in the store have not been held against a takedown list",
            where=config.root,
            found=unseen,
            remedy="run: pmd build CONFIG; it hashes them, and takes those that are listed out of shards and lists",
        )
    resolved = takedowns.resolved(standing, listed)
    register.answered(standing.generations, root.writing(config.root).epoch, standing.found)
    known = keys.key_array({image_id for line in resolved for image_id in line.known})
    left = sum(
        pc.sum(pc.is_in(partitions.read_images(config.root, part, ("image_id",))["image_id"], value_set=known)).as_py()
        or 0
        for part in range(2 ** partitions.cut(config.root).part_bits if len(known) else 0)
    )
    if left:
        raise RootError(
            "pictures in the store are on a takedown list",
            where=config.root,
            found=f"{left:,} images",
            remedy="run: pmd build CONFIG; it takes them out of shards and lists",
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("publish", argv) as command:
        for name in command.names:
            if stages.why(flow.PUBLISH, command.config, name) is not None:
                build(command.config, name, command.flags)
        folder.write(command.config)


if __name__ == "__main__":
    main()
