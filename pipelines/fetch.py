"""Fetch: images that have no settled row, or a new location → generations; then the pairs whose image could not be had."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam

from pipelines import hashes, running
from pmd import flow
from pmd.config import Config
from pmd.curate import needs as curate_needs
from pmd.engines import choosing
from pmd.engines.committing import CommitStage, target
from pmd.engines.partitions import part_batches
from pmd.engines.progress import Total
from pmd.engines.transforms import Cross, End, Meet, Spread, WriteCommit, create, per_task
from pmd.errors import NetworkError
from pmd.fetch import needs, summary
from pmd.fetch.adoption import adopt, renamed
from pmd.fetch.clock import utc_now
from pmd.fetch.generations import claims, store
from pmd.fetch.generations.reports import Reports
from pmd.fetch.generations.waiting import Waiting
from pmd.fetch.lane import leases
from pmd.fetch.ledger import asking, partitions
from pmd.fetch.lists import reference_lists
from pmd.fetch.reference_transforms import MeetNames, SpreadNames, WriteListed
from pmd.fetch.rejected_transforms import PAIRS, SUMS, RejectPart, with_ledger
from pmd.fetch.runs import Run, Sums, summed
from pmd.fetch.transforms import FetchLane, lane_batches, lane_name, run_lanes
from pmd.publish import transforms as lists
from pmd.store import commits, exchange, register, root, storage
from pmd.store.register import Register
from pmd.store.standing import Standing
from pmd.suppression import lists as suppression

#: Bytes of rows that meet in one partition of the lists of `fetch.against`, and of one row as it is counted: a row of a list
#: has two names at most, at 80 bytes, and there are fewer names of images than that.
LISTED_PARTITION_BYTES = 128 * 2**20
LISTED_ROW_BYTES = 200


def build(
    config: Config,
    flags: Sequence[str] = (),
    retry: Sequence[str] = (),
    *,
    settle_unreached: bool = False,
    until: datetime.datetime | None = None,
) -> Run:
    """Download what is pending, each shard in a generation of its own; commit what follows, and tell how it went.

    Where a blocklist or a takedown list names pictures by their looks, what is stored without a hash is hashed first. Where the
    time is up, what is settled is committed, but not what follows (`fetch/rejected`, `fetch/availability`): that is for when
    nothing is left.

    Args:
        config: The configuration.
        flags: Beam's own flags.
        retry: Statuses whose images are tried anew.
        settle_unreached: Images that cannot be reached are lost, even if no host answers at all.
        until: When the lanes are asked to end with what they have (`stopping.asked_at`); None: when they are done.

    Returns:
        What `tell` tells of.

    Raises:
        ConfigError: The engine is not installed.
        InputError: A list of `fetch.against` is missing, or none.
        NetworkError: The network is broken, or nothing that was asked for just now was reached.
        RootError: A list of what was taken down is lost.
    """
    config = suppression.held(config)
    curate_needs.refuse_lost_lists(config)
    needs.check(config)
    flags = choosing.flags(config.engine, flags, config.root)
    running.check(flags)
    if asking.to_judge(config) is not None:
        hashes.build(config, flags)
    standing = Standing(config.root)
    pending = needs.pending_images(config, retry, standing)
    shards = sorted(pending)
    run = Run()
    loaded = Downloaded()
    if shards:
        known = standing.generations
        first = {shard: known.next(shard) for shard in shards}
        start = time.monotonic()
        loaded = _download(
            config,
            known,
            shards,
            flags,
            tuple(retry),
            settle_unreached=settle_unreached,
            until=until,
            images=sum(pending.values()),
        )
        run = Run(first, time.monotonic() - start, told=loaded.told)
        left = 0 if until is None or utc_now() < until else sum(needs.pending_images(config, retry).values())
        if left:
            logging.getLogger("pmd.notes").warning(summary.cut(left))
            summary.check({}, loaded.left_open)
            return dataclasses.replace(run, is_cut=True)
    if any(item.why() for item in needs.wanted(config)):
        commit_rejected(config, flags)
    if shards:
        books = commits.require(root.fetch_rejected_folder(config.root), f"run: {flow.FETCH.command}").sources
        for line in summary.lines(books):
            logging.getLogger("pmd.notes").warning(line)
        if not settle_unreached:
            summary.check(books, loaded.left_open)
    return run


def restore(config: Config, shards: Sequence[int], flags: Sequence[str] = ()) -> Mapping[str, int]:
    """Fetch anew what some shards have lost to damage (`state.to_restore`), and nothing else.

    Returns:
        The images that stay open because no host answered, by what became of them: the next fetch asks for them.
    """
    needs.check(config)
    known = register.current(config.root)
    if not shards:
        return {}
    return _download(config, known, shards, flags, (), settle_unreached=False, lost_only=True).left_open


@dataclasses.dataclass(frozen=True)
class Downloaded:
    """What lanes have done.

    Attributes:
        left_open: Images that stay open because no host answered, by what became of them.
        told: What the lanes have told.
    """

    left_open: Mapping[str, int] = dataclasses.field(default_factory=dict)
    told: Sums = dataclasses.field(default_factory=Sums)


def _download(
    config: Config,
    known: Register,
    shards: Sequence[int],
    flags: Sequence[str],
    retry: tuple[str, ...],
    *,
    settle_unreached: bool,
    lost_only: bool = False,
    until: datetime.datetime | None = None,
    images: int = 0,
) -> Downloaded:
    """Run the lanes."""
    needs.require_contact(config)
    lock = root.writing(config.root)
    known = claims.begin(known, shards, lock.epoch, lock.check)
    work = root.work_folder(config.root, "fetch")
    lanes = min(config.fetch.lanes, len(shards))
    index = _index(config, shards)
    others = None if lost_only else _renamed(known, shards)
    listed = _listed(config, shards, flags)
    waiting, reports = Waiting(_emptied(config, "waiting")), Reports(_emptied(config, "reports"))
    storage.make_folder(waiting.folder)
    leases.end_earlier(root.leases_folder(config.root))
    lane = FetchLane(
        config.root,
        partitions.cut(config.root),
        config.fetch,
        config.contact or "",
        retry,
        lanes,
        work,
        began=utc_now(),
        epoch=lock.epoch,
        waiting=None if settle_unreached else waiting,
        index=index,
        renamed=others,
        listed=listed,
        hashed=asking.who(config) is not None,
        lost_only=lost_only,
        until=until,
        folder=config.folder,
        reports=reports,
        leases=None if running.is_ours(flags) else root.leases_folder(config.root),
    )
    heard = True
    try:
        _run_lanes(config, lane, shards, flags, images)
    except NetworkError:
        heard = False
        raise
    finally:
        lock.check()
        left_open = store.end_waiting(config.root, waiting, settle=heard and waiting.is_answered())
        done = reports.read()
        known = claims.end(known, shards, lock.epoch, lock.check, [one.commit for one in done])
        leases.remove_ended(root.leases_folder(config.root))
        for name in ("waiting", "reports", "adopt", "listed", "renamed"):
            _emptied(config, name)
    if not lost_only and {one.shard for one in done if not one.left} >= {*shards}:
        register.answered(known, lock.epoch, needs.answers(config, Standing(config.root, known)))
    return Downloaded(left_open, summed(done))


def _emptied(config: Config, name: str) -> str:
    """Return a folder of the work folder, of which nothing is left."""
    folder = root.work_folder(config.root, name)
    storage.remove_tree(folder)
    return folder


def _run_lanes(config: Config, lane: FetchLane, shards: Sequence[int], flags: Sequence[str], images: int) -> None:
    """Run lanes: processes of ours, or tasks of an engine's workers."""
    if running.is_ours(flags):
        with root.doing(lane.work):
            run_lanes(lane, shards, images)
        return

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            # LANES: few and long, so that they are dealt out in turn; as keys they would be by hash, several to one worker
            | "Lanes" >> create(lane_batches(shards, lane.lanes), spread=True)
            # SHARDS
            | "Fetch" >> per_task(lane)
            | "End" >> End(lane.work)
        )

    with leases.attended(root.leases_folder(config.root), map(lane_name, range(lane.lanes))):
        running.run(wire, flags, lane.work, total=Total("images", images) if images else None)


def _index(config: Config, shards: Sequence[int]) -> str | None:
    """Write down what may be taken over for images of some shards, for the workers; return where."""
    if not config.fetch.adopt:
        return None
    folder = root.work_folder(config.root, "adopt")
    storage.make_folder(folder)
    path = storage.join(folder, "index.parquet")
    cut, committed = partitions.cut(config.root), partitions.image_files(config.root)
    parts = {cut.part_of(shard) for shard in shards}
    images = (partitions.read_images(config.root, part, adopt.NEEDED, committed) for part in sorted(parts))
    adopt.write(path, adopt.of_images(adopt.index(config.fetch.adopt, max_bytes=config.fetch.max_bytes), images))
    return path


def _renamed(known: Register, shards: Sequence[int]) -> str | None:
    """Write down what the store has of some shards' images under another key, for the workers; return the folder."""
    found = renamed.find(known, shards)
    if not found.rows.num_rows:
        return None
    folder = root.work_folder(known.root, "renamed")
    renamed.write(folder, found)
    return folder


def _listed(config: Config, shards: Sequence[int], flags: Sequence[str]) -> str | None:
    """Write down what the lists say of the images of some shards, part by part, for the lanes; return the folder."""
    paths = reference_lists.files(config.fetch.against)
    if not paths:
        return None
    folder, work = root.work_folder(config.root, "listed"), root.work_folder(config.root, "against")
    storage.remove_tree(folder)
    cut = partitions.cut(config.root)
    bits = exchange.bits_for(LISTED_ROW_BYTES * reference_lists.count_rows(paths), LISTED_PARTITION_BYTES)
    numbers = sorted({cut.part_of(shard) for shard in shards})
    sizes = [(path, storage.size(path)) for path in paths]
    by_engine = config.engine.is_shuffling

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Units" >> create(lists.tasks({"": sizes}, numbers))
            | "Spread" >> Spread()
            # RUNS by name
            | "Names" >> Cross(SpreadNames(config.root, tuple(shards), bits, work), by_engine=by_engine)
            | "By name" >> Meet(by_engine=by_engine)
            # RUNS by image
            | "Images" >> Cross(MeetNames(bits, cut.part_bits, work), by_engine=by_engine)
            | "By part" >> Meet(by_engine=by_engine)
            | "Write" >> per_task(WriteListed(folder, work))
            | "End" >> End(work)
        )

    size = running.uncompressed(sum(size for _, size in sizes)) + running.parquet_bytes(
        partitions.image_files(config.root)
    )
    running.run(wire, flags, work, size)
    return folder


def settle_rejected(config: Config, flags: Sequence[str]) -> None:
    """Commit what follows of the ledger anew where it has changed since; where no fetch has ended, there is nothing to settle."""
    if commits.read(root.fetch_rejected_folder(config.root)) is not None and any(
        item.why() for item in needs.wanted(config)
    ):
        commit_rejected(config, flags)


def commit_rejected(config: Config, flags: Sequence[str] = ()) -> None:
    """Commit `fetch/rejected`, the pairs whose image could not be had, and `fetch/availability`, sums of what was there."""
    rejected, available = needs.wanted(config)
    cut = partitions.cut(config.root)
    work = root.work_folder(config.root, "rejected")
    targets = (target(rejected, kind=PAIRS), target(available, kind=SUMS, sources=(), complete=with_ledger))

    def wire(pipeline: beam.Pipeline) -> Any:
        return (
            pipeline
            | "Parts" >> create(part_batches(cut.part_bits))
            | "Spread" >> Spread()
            | "Settle" >> per_task(RejectPart(config.root, rejected.folder, available.folder, cut, work))
            | "Commit" >> WriteCommit(CommitStage(work, targets))
        )

    running.run_and_commit(config.root, [target.folder for target in targets], wire, flags, work)


def main(argv: Sequence[str] | None = None) -> None:
    """Run this stage, where it is stale, from a command line of its own: what a cluster's launcher runs."""
    with running.command("fetch", argv) as command:
        build(command.config, command.flags)


if __name__ == "__main__":
    main()
