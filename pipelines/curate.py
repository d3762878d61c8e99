"""Curate one source: annotation files → pairs and rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import orjson

from pipelines import running
from pmd import sources, stages
from pmd.config import Config, inputs
from pmd.curate.rules import PARTITION_BYTES
from pmd.curate.transforms import CommitSource, ReadUnit, SettlePartition, unit_batch
from pmd.engines.transforms import ByPartition, WriteCommit, create
from pmd.formats import archives, compression
from pmd.store import exchange, root

#: How much larger compressed annotation files become, at least; measured on Wikipedia and Flickr captions, 4 to 6.
_EXPANSION = 5


def build(config: Config, source: str, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `curate/source=…`."""
    wanted = stages.curate(config, source)
    chosen = config.sources[source]
    files = inputs.files(chosen)
    units = sources.load(source).plan(files, chosen.options)
    size = sum(
        file.bytes * (1 if compression.sniff(archives.split_member(file.path)[0]) == "plain" else _EXPANSION)
        for file in files
    )
    bits = exchange.bits_for(size, PARTITION_BYTES)
    work = root.work_folder(config.root, f"curate-{source}")

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Units" >> create([unit_batch(unit) for unit in units])
            | "Curate"
            >> ByPartition(
                ReadUnit(source, chosen.options, work, bits),
                SettlePartition(source, config.curate, wanted.folder, bits, work),
            )
            | "Commit"
            >> WriteCommit(CommitSource(source, wanted.folder, wanted.hash, orjson.dumps(wanted.run()), work))
        )

    running.run_and_commit(config.root, [wanted.folder], wire, flags, work, size)


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("curate", argv) as told:
        inputs.check(told.config, told.names)
        for name in told.names:
            if stages.curate(told.config, name).why() is not None:
                build(told.config, name, told.flags)


if __name__ == "__main__":
    main()
