"""Curate one source: annotation files → pairs and rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from pipelines import running
from pmd import flow, sources, stages
from pmd.config import Config, inputs
from pmd.curate import needs
from pmd.curate.rules import PARTITION_BYTES
from pmd.curate.transforms import ReadChunk, ResolvePartition, chunk_batch, with_suppressed
from pmd.engines.committing import CommitStage, target
from pmd.engines.transforms import ByPartition, WriteCommit, create
from pmd.formats import archives, compression, parquet
from pmd.sources.contract import InputFile
from pmd.store import exchange, root
from pmd.suppression import lists

#: How much larger compressed annotation files become, at least; measured on Wikipedia and Flickr captions, 4 to 6.
_EXPANSION = 5


def build(config: Config, source: str, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `curate/source=…`."""
    needed = needs.of(config, source)
    wanted, files, chosen = needed.wanted, needed.files, config.sources[source]
    chunks = sources.load(chosen.reader or source).plan(files, chosen.options)
    # Of an archive whose members are named one by one, each has its size.
    size = sum(map(_text_bytes, {archives.split_member(file.path)[0]: file for file in files}.values()))
    bits = exchange.bits_for(size, PARTITION_BYTES)
    work = root.work_folder(config.root, f"curate-{source}")

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Chunks" >> create([chunk_batch(chunk) for chunk in chunks])
            | "Curate"
            >> ByPartition(
                ReadChunk(source, chosen.options, work, bits, chosen.reader, needs.names_of(config, files)),
                ResolvePartition(source, config.curate, wanted.folder, bits, work, lists.digests(config.suppression)),
            )
            | "Commit" >> WriteCommit(CommitStage(work, (target(wanted, complete=with_suppressed),), (source,)))
        )

    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, size)


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
        for name in command.names:
            if stages.why(flow.CURATE, command.config, name) is not None:
                build(command.config, name, command.flags)


if __name__ == "__main__":
    main()
