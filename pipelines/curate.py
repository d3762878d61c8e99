"""Curate sources: annotation files → pairs and rejected rows."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam

from pipelines import running
from pmd import flow, sources, stages
from pmd.config import Config, inputs
from pmd.config.asked import Asked
from pmd.curate import needs
from pmd.curate.rules import PARTITION_BYTES
from pmd.curate.transforms import (
    ReadChunk,
    ReadChunks,
    ResolvePartition,
    ResolvePartitions,
    chunks_of,
    with_suppressed,
)
from pmd.engines.committing import CommitStage, target
from pmd.engines.transforms import ByPartition, WriteCommit, create
from pmd.formats import archives, compression, parquet
from pmd.sources.contract import InputFile
from pmd.store import exchange, root
from pmd.suppression import lists

#: How much larger compressed annotation files become, at least; measured on Wikipedia and Flickr captions, 4 to 6.
_EXPANSION = 5


@dataclasses.dataclass(frozen=True)
class Input:
    """What a source is made of, looked up once: upstream has thousands of files, and each may lie in an object store."""

    need: needs.Needs
    bytes: int


def _looked_up(config: Config, name: str) -> Input:
    need = needs.of(config, name)
    return Input(need, _bytes(need.files))


def groups(config: Config, names: Sequence[str]) -> list[dict[str, Input]]:
    """Return sources in groups that are curated at once: small ones together, since a pipeline of its own costs each a second."""
    found: list[dict[str, Input]] = []
    size = running.PROCESS_BYTES
    for name in names:
        mine = _looked_up(config, name)
        if size + mine.bytes >= running.PROCESS_BYTES:
            found.append({})
            size = 0
        found[-1][name] = mine
        size += mine.bytes
    return found


def build(config: Config, names: Sequence[str] | Mapping[str, Input], flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `curate/source=…` of each of some sources; of a group, what was looked up holds."""
    looked_up = names if isinstance(names, Mapping) else {name: _looked_up(config, name) for name in names}
    needed = {name: looked_up[name].need for name in sorted(looked_up)}
    sizes = {name: looked_up[name].bytes for name in needed}
    tables = exchange.Numbered({name: exchange.bits_for(size, PARTITION_BYTES) for name, size in sizes.items()})
    work = root.work_folder(config.root, flow.CURATE.name)
    asked = Asked.of(config, flow.CURATE.name)
    chunks, read, resolve = {}, {}, {}
    for name, need in needed.items():
        chosen, bits = config.sources[name], tables.bits[name]
        for note in inputs.notes_of_archives(chosen, need.files):
            logging.getLogger("pmd.notes").warning("%s", note)
        chunks[name] = sources.load(chosen.reader or name).plan(need.files, chosen.options)
        names_in_root = needs.names_of(config, need.files)
        read[name] = ReadChunk(name, chosen.options, work, bits, chosen.reader, names_in_root)
        resolve[name] = ResolvePartition(name, asked, need.wanted.folder, bits, work, lists.digests(config.suppression))
    own = needs.told_of_own(config.root)
    targets = tuple(
        target(need.wanted, own, kind=name, sources=(name,), complete=with_suppressed) for name, need in needed.items()
    )

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Chunks" >> create(chunks_of(chunks))
            | "Curate"
            >> ByPartition(
                ReadChunks(read, tables, work),
                ResolvePartitions(resolve, tables, work),
                by_engine=config.engine.is_shuffling,
            )
            | "Commit" >> WriteCommit(CommitStage(work, targets, tuple(needed)))
        )

    folders = [need.wanted.folder for need in needed.values()]
    running.run_and_commit(config.root, folders, wire, flags, work, sum(sizes.values()))


def _bytes(files: Sequence[InputFile]) -> int:
    """Return about how many bytes of text files hold; of an archive whose members are named one by one, each has its size."""
    return sum(map(_text_bytes, {archives.split_member(file.path)[0]: file for file in files}.values()))


def _text_bytes(file: InputFile) -> int:
    """Return about how many bytes of text a file holds."""
    path, member = archives.split_member(file.path)
    if member is None and parquet.is_parquet(path):
        return parquet.text_bytes(path)
    return file.bytes * (1 if compression.sniff(path) == "plain" else _EXPANSION)


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("curate", argv) as command:
        inputs.check(command.config, command.names)
        needs.refuse_lost_lists(command.config)
        stale = [name for name in command.names if stages.why(flow.CURATE, command.config, name) is not None]
        for together in groups(command.config, stale):
            build(command.config, together, command.flags)


if __name__ == "__main__":
    main()
