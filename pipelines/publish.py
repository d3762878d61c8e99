"""Publish sources: their pairs, and what became of their images → a list each of URLs, texts and checksums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow.compute as pc

from pipelines import running
from pmd import flow, stages
from pmd.config import Config
from pmd.config.asked import Asked
from pmd.engines.committing import CommitStage, target
from pmd.engines.transforms import ByPartition, WriteCommit, create
from pmd.errors import RootError
from pmd.fetch import needs as fetch_needs
from pmd.fetch.ledger import asking, partitions
from pmd.fetch.lists import blocklists
from pmd.images import takedowns
from pmd.publish import folder, needs
from pmd.publish.transforms import SourceList, SpreadBoth, WriteList, tasks, with_named
from pmd.schema import keys
from pmd.store import exchange, register, root, storage
from pmd.store.standing import Standing
from pmd.terminal import bar


def groups(config: Config, names: Sequence[str]) -> list[list[str]]:
    """Return sources in groups that are published at once: all, since each part of the views tells of all."""
    return [[*names]] if names else []


def build(config: Config, names: Sequence[str], flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `publish/source=…` of each of some sources.

    Raises:
        RootError: Pictures that a blocklist, or a takedown list by their bytes, names or may name are still among those listed.
    """
    standing = Standing(config.root)
    _refuse_blocked(config, standing)
    _refuse_taken_down(config, standing)
    needed = {name: needs.of(config, name, standing) for name in sorted(names)}
    lists = exchange.Numbered({name: max((len(need.files) - 1).bit_length(), 0) for name, need in needed.items()})
    cut = partitions.cut(config.root)
    files = {name: _files(config, name, need) for name, need in needed.items()}
    made = {name: SourceList(need.terms, need.wanted.folder) for name, need in needed.items()}
    work = root.work_folder(config.root, flow.PUBLISH.name)
    targets = tuple(
        target(need.wanted, kind=name, sources=(name,), complete=with_named) for name, need in needed.items()
    )

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Units" >> create(tasks(files, range(2**cut.part_bits)))
            | "Publish"
            >> ByPartition(
                SpreadBoth(config.root, cut, lists, work),
                WriteList(made, Asked.of(config, flow.PUBLISH.name), lists, work),
                by_engine=config.engine.is_shuffling,
            )
            | "Commit" >> WriteCommit(CommitStage(work, targets))
        )

    read = [file for need in needed.values() for file in need.files]
    size = running.parquet_bytes([*read, *partitions.view_files(config.root)])
    folders = [need.wanted.folder for need in needed.values()]
    running.run_and_commit(config.root, folders, wire, flags, work, size)


def _files(config: Config, name: str, need: needs.Needs) -> list[tuple[str, int]]:
    """Return the paths of a source's pairs, with their bytes."""
    curated = root.curate_folder(config.root, name)
    return [(storage.join(curated, file.name), file.bytes) for file in need.files]


def _refuse_blocked(config: Config, standing: Standing) -> None:
    blocklist = blocklists.read(config.fetch.blocklists)
    if not blocklist:
        return
    unseen = asking.why(standing, asking.by_blocklist(config.fetch))
    if unseen is not None:
        raise _unseen("blocklist", config.root, unseen)
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
        raise _left("blocklist", config.root, blocked)


def _refuse_taken_down(config: Config, standing: Standing) -> None:
    """Refuse to list pictures that a takedown list names by their bytes: known since they were fetched or hashed."""
    listed = takedowns.lines(config.takedown, config.sources)
    unseen = asking.why(standing, asking.by_takedown(config))
    if unseen is not None:
        raise _unseen("takedown list", config.root, unseen)
    resolved = takedowns.resolved(standing, listed)
    register.answered(standing.generations, root.writing(config.root).epoch, standing.found)
    known = keys.key_array({image_id for line in resolved for image_id in line.known})
    left = sum(
        pc.sum(pc.is_in(partitions.read_images(config.root, part, ("image_id",))["image_id"], value_set=known)).as_py()
        or 0
        for part in range(2 ** partitions.cut(config.root).part_bits if len(known) else 0)
    )
    if left:
        raise _left("takedown list", config.root, left)


def _unseen(kind: str, root_url: str, why: str) -> RootError:
    return RootError(
        f"pictures in the store have not been held against a {kind}",
        where=root_url,
        found=why,
        remedy="run: pmd build CONFIG; it hashes them, and takes those that are listed out of shards and lists",
    )


def _left(kind: str, root_url: str, images: int) -> RootError:
    return RootError(
        f"pictures in the store are on a {kind}",
        where=root_url,
        found=bar.amount(images, "images"),
        remedy="run: pmd build CONFIG; it takes them out of shards and lists",
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("publish", argv) as command:
        stale = [name for name in command.names if stages.why(flow.PUBLISH, command.config, name) is not None]
        for together in groups(command.config, stale):
            build(command.config, together, command.flags)
        folder.write(command.config)


if __name__ == "__main__":
    main()
