"""Images: the pairs of all sources → distinct images, and the pairs in order of their images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from pipelines import running
from pmd import flow, stages
from pmd.config import Config, scores
from pmd.config.asked import Asked
from pmd.engines.committing import CommitStage
from pmd.engines.transforms import ByPartition, WriteCommit, create
from pmd.fetch.ledger import partitions
from pmd.images import aliases, beside, needs, takedowns
from pmd.images import rules as images_rules
from pmd.images.transforms import GatherPartition, SpreadByImage, file_batch, targets
from pmd.store import commits, exchange, parquet_files, register, root, storage
from pmd.store.register import Generation
from pmd.suppression import kept_out, lists
from pmd.terminal import bar


def build(config: Config, flags: Sequence[str] = ()) -> None:
    """Run the pipeline and commit `images` and `views`."""
    asked, needed = Asked.of(config, flow.IMAGES.name), needs.of(config)
    paths = [path for _, path, _ in needed.pairs]
    if "fetch_shard_bits" not in root.require(config.root):
        known = register.current(config.root)
        choose_cut(config.root, ((shard, known.of(shard)) for shard in known.shards), paths)
    shard_bits = root.fetch_shard_bits(config.root)
    rows = sum(file.rows for _, _, file in needed.pairs)
    bits = min(shard_bits, exchange.bits_for(rows, images_rules.PART_ROWS, most=images_rules.MOST_PART_BITS))
    tasks = exchange.tasks(((name, path), file.bytes) for name, path, file in needed.pairs)
    work, side = (root.work_folder(config.root, name) for name in ("images", "images-side"))
    views = root.views_folder(config.root)
    found = [batch for path in paths for batch in aliases.found(path)]
    known_links = aliases.links(found)
    listed = needs.taken_down(config)
    held = lists.digests(config.suppression) if needed.kept_out else ()
    kept = kept_out.read(needed.kept_out, held)
    links = takedowns.rejected_links(config.root, needed.sources) if listed or kept else set()
    spread = SpreadByImage(
        work,
        bits,
        asked,
        images_rules.taken_down(listed, kept, known_links | links),
        _indexes(needed, side),
        beside.write_aliases(found, side),
        beside.write_held_out(config.root, needed.left_out, known_links, side),
        tuple(scores.put(rule.file, rule.keep, rule.missing, side) for rule in config.scores),
        needed.kept_out,
        held,
    )
    gather = GatherPartition(needed.wanted.folder, views, bits, shard_bits, asked, work)

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Files" >> create([file_batch(task) for task in tasks])
            | "Images" >> ByPartition(spread, gather, by_engine=config.engine.is_shuffling)
            | "Commit" >> WriteCommit(CommitStage(work, targets(needed.wanted, views, bits, shard_bits)))
        )

    size = sum(file.bytes for _, _, file in needed.pairs)  # as they are: a row takes less than one of curate
    running.run_and_commit(config.root, [views, needed.wanted.folder], wire, flags, work, size)
    storage.remove_tree(side)
    note = takedowns.note(listed, takedowns.unmatched(config.root, needed.sources, listed, links))
    for said in (note, _note_of_kept_out(views) if kept else None):
        if said is not None:
            logging.getLogger("pmd.notes").warning(said)


def _indexes(needed: needs.Needs, side: str) -> tuple[tuple[str, str], ...]:
    """Write down what is in the sources' archives of images; return where, by source."""
    paths_of = {name: [path for source, path, _ in needed.pairs if source == name] for name in needed.archives}
    return tuple(
        (name, beside.write_index(archives, name, paths_of[name], side)) for name, archives in needed.archives.items()
    )


def _note_of_kept_out(views: str) -> str | None:
    """Return in words that pairs show pictures of rows that are kept out, if any do: these stand still before this stage."""
    books = commits.require(views, f"run: {flow.IMAGES.command}").sources.values()
    left = sum(one.rejected.get(takedowns.REASON, 0) for one in books)
    if not left:
        return None
    are = "is" if left == 1 else "are"
    return (
        f"takedown: {bar.amount(left, 'pairs')} {are} left out, also such as show pictures of people, hosts or posts whose own "
        "rows are kept out. To purge these from all that stands: pmd takedown apply CONFIG"
    )


def choose_cut(root_url: str, fetched: Iterable[tuple[int, Iterable[Generation]]], paths: Sequence[str]) -> None:
    """Write `root.json`: how the fetch is cut, by what was fetched or, where that does not tell, by how many images there are.

    Args:
        root_url: ROOT.
        fetched: See `partitions.shard_bits`.
        paths: The files of the sources' pairs.
    """
    estimated = images_rules.fetch_shard_bits(images_rules.estimate_distinct(_image_ids(iter(paths))))
    root.create(root_url, partitions.shard_bits(fetched, estimated))


def _image_ids(paths: Iterator[str]) -> Iterator[pa.Array]:
    for path in paths:
        for batch in parquet_files.iterate(path, ["image_id"]):
            yield batch.column(0)


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("images", argv) as command:
        if stages.why(flow.IMAGES, command.config) is not None:
            build(command.config, command.flags)


if __name__ == "__main__":
    main()
