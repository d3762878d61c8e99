"""One generation of one fetch shard: which images it takes, the tar, the attempts, the ledger, and the commit.

The order is what makes it survive anything: the tar is streamed to a temporary and named by its digest when it is
whole; attempts and ledger follow; `_stage.json` comes last and only if no commit is there. A kill leaves files that nothing
lists (`claims.sweep` removes them), never a listed file that is not whole. Of two workers with the same shard one commits.
The driver puts its run's epoch where the next generation will stand before its workers start (`claims.begin`): a worker of an
earlier run, still alive, then commits nothing. Only the driver removes files, before its workers start and when they have ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import operator
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec, flow
from pmd.config.options import FetchOptions
from pmd.errors import NetworkError
from pmd.fetch import network, outcome
from pmd.fetch.adoption import adopt, renamed
from pmd.fetch.clock import utc_now
from pmd.fetch.generations.reports import Done, Heard, waited
from pmd.fetch.generations.tar import StoreTar
from pmd.fetch.generations.waiting import Waiting
from pmd.fetch.lane.engine import Fetcher, Progress
from pmd.fetch.ledger import state
from pmd.fetch.lists import blocklists, reference_lists
from pmd.fetch.outcome import Attempt, Fetched
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import KEY, LEDGER, LEDGER_FILE
from pmd.store import commits, parquet_files, root, storage
from pmd.store.commits import Books, Commit, File
from pmd.store.register import Generation
from pmd.suppression import lists

STAGE: Final = flow.FETCH.name

#: Options that change no outcome, given a web that answers alike.
_NO_OUTCOME: Final = frozenset(
    {"per_host", "host_groups", "adopt", "concurrency", "lanes", "resolve", "ca_file", "proxy"}
)

#: What of an outcome a row of the ledger holds.
_OUTCOME: Final = tuple(field.name for field in dataclasses.fields(Fetched) if field.name in LEDGER.names)
_outcome: Final = operator.attrgetter(*_OUTCOME)
_EMPTY: Final[dict[str, Any]] = dict.fromkeys(LEDGER.names)


@dataclasses.dataclass(frozen=True)
class Order:
    """What is to be fetched of a shard, and how.

    Attributes:
        root: ROOT.
        shard: The fetch shard.
        images: Its `IMAGES` rows, wanted or not.
        options: How to fetch and in which form to store.
        retry: Statuses whose images are tried anew.
        epoch: That of the run (`commits.claim`).
        adopted: What may be taken over: `adopt.INDEX`.
        renamed: What the store has of them under another key.
        waiting: Where a second generation waits, of images that were not reached while no host had answered the lane; without it
            they are settled as they are. Those that were lost to an earlier run are, in any case.
        listed: What lists say of the shard's images.
        hashed: Whether something asks for perceptual hashes (`asking.who`).
        progress: Called with each image settled.
        check: Raises where nothing is to be committed any more.
    """

    root: str
    shard: int
    images: pa.Table
    options: FetchOptions
    retry: Collection[str] = ()
    epoch: int = 0
    adopted: pa.Table | None = None
    renamed: renamed.Renamed | None = None
    waiting: Waiting | None = None
    listed: reference_lists.Listed = dataclasses.field(default_factory=dict)
    hashed: bool = True
    progress: Progress | None = None
    check: commits.Check = lambda: None


def run_shard(order: Order, lane: Fetcher) -> Commit | None:
    """Fetch what is wanted of a shard, and commit it; see `settle_shard`."""
    done = settle_shard(order, lane)
    return None if done is None else done.commit


def settle_shard(order: Order, lane: Fetcher) -> Done | None:
    """Fetch what is wanted of a shard and commit it as its next generation, with what blocklists have come to name.

    Args:
        order: What is to be fetched, and how.
        lane: Serves several shards.

    Returns:
        The commit that stands for the generation, be it another worker's, and what it leaves open; None if no image is wanted,
        or all wait. Where the lane is asked to end meanwhile, the generation has what is settled.

    Raises:
        InputError: An archive is gone; what was settled before is committed, as with every other mistake but two.
        NetworkError: The network is broken; nothing of the generation is kept.
        RootError: A later run has taken over.
    """
    known = state.own(order.root, order.shard)
    ledger = state.standing(known)
    ended = state.last_end(order.root) if order.retry else 0
    todo = state.to_fetch(known, order.images, ledger, order.options, order.retry, ended)
    before = _as_before(state.to_restore(known, ledger), order.listed)
    blocklist = blocklists.read(order.options.blocklists)
    blocked = blocklist.stored(ledger, order.images)
    if todo.num_rows == 0 and not blocked:
        return None
    generation = state.next_generation(known)
    started = utc_now()
    listed = {**order.listed, **before}

    def settled() -> Generator[Fetched, None, None]:
        yield from _blocked(ledger, blocked, generation, started)
        taken = []
        for fetched in _taken_over(order, todo, ledger, generation, blocklist, listed, started):
            taken.append(fetched.image_id)
            yield _unlisted(fetched, before)
            if lane.stopping:
                return
        with contextlib.closing(
            lane.fetch(
                _but(todo, taken), generation=generation, previous=ledger, listed=listed, progress=order.progress
            )
        ) as found:
            for fetched in found if order.waiting is None else _but_unheard(found, lane, ledger, unheard):
                yield _unlisted(fetched, before)

    unheard: list[Fetched] = []
    met: list[Exception] = []
    with contextlib.closing(settled()) as found, _told_at_the_end(met):
        commit, heard = _write(order, generation, _until_met(found, met), started)
        order.check()
        standing = commit_generation(order.root, commit) if commit is not None else None
    if order.waiting is not None and unheard:
        number = generation if commit is None else generation + 1
        later, _ = _write(order, number, (_in_generation(fetched, number) for fetched in unheard), started)
        assert later is not None
        order.waiting.leave(later)
    if standing is None:
        return None
    left = _count_left(order, known, ledger, standing, blocklist)
    return Done(standing, left, heard if standing is commit else None)


def _taken_over(
    order: Order,
    todo: pa.Table,
    ledger: pa.Table,
    generation: int,
    blocklist: blocklists.Blocklist,
    listed: reference_lists.Listed,
    when: datetime.datetime,
) -> Iterator[Fetched]:
    """Yield the images for which nobody has to be asked: what the store has under another key, and img2dataset's."""
    taken = []
    if order.renamed is not None:
        for fetched in renamed.fetched(
            order.root,
            todo,
            order.renamed,
            blocklist=blocklist,
            generation=generation,
            listed=listed,
            max_pixels=order.options.max_pixels if order.hashed else None,
        ):
            taken.append(fetched.image_id)
            yield fetched
    if order.adopted is not None:
        yield from adopt.fetched(
            _but(todo, taken),
            order.adopted,
            options=order.options,
            blocklist=blocklist,
            generation=generation,
            previous=ledger,
            when=when,
            listed=listed,
            hashed=order.hashed,
        )


def _but(images: pa.Table, taken: Sequence[bytes]) -> pa.Table:
    return images.filter(pc.invert(pc.is_in(images["image_id"], value_set=pa.array(taken, KEY))))


def _until_met(found: Iterator[Fetched], met: list[Exception]) -> Iterator[Fetched]:
    """Yield outcomes until a mistake is met, and note that: what is settled by then is committed, and not asked for again.

    Where the network is broken nothing is kept: what came before may have come of that.
    """
    try:
        yield from found
    except NetworkError:
        raise
    except Exception as error:  # noqa: BLE001  it is raised when what is settled is committed
        met.append(error)


@contextlib.contextmanager
def _told_at_the_end(met: Sequence[Exception]) -> Iterator[None]:
    """Raise the mistake that was met, whatever came after it."""
    try:
        yield
    except Exception:
        if not met:
            raise
    if met:
        raise met[0]


def _count_left(
    order: Order, before: tuple[Generation, ...], ledger: pa.Table, commit: Commit, blocklist: blocklists.Blocklist
) -> int:
    """Return how many images another fetch, asked alike, would ask for or judge anew when a generation stands."""
    folder = root.ledger_folder(order.root, order.shard, commit.facts["generation"])
    known = (*before, Generation.of(folder, commit))
    now = state.effective([ledger, *state.ledgers(folder, commit)])
    todo = state.to_fetch(known, order.images, now, order.options)
    return int(todo.num_rows) + len(blocklist.stored(now, order.images))


def _but_unheard(
    found: Iterator[Fetched], lane: Fetcher, ledger: pa.Table, unheard: list[Fetched]
) -> Iterator[Fetched]:
    """Yield outcomes but those that say nothing of the image while no host has answered the lane: these are set aside.

    Where one has answered by the end, they follow. An image that an earlier run could not reach is never set aside.
    """
    statuses = pa.array(network.UNHEARD, pa.string())
    before = frozenset(ledger.filter(pc.is_in(ledger["status"], value_set=statuses))["image_id"].to_pylist())
    for fetched in found:
        if fetched.status in network.UNHEARD and fetched.image_id not in before:
            unheard.append(fetched)
        else:
            yield fetched
    if unheard and lane.answered:
        yield from unheard
        unheard.clear()


def _as_before(lost: Mapping[bytes, bytes | None], listed: reference_lists.Listed) -> reference_lists.Listed:
    """Return what images that were lost to damage must be, where no list says it: the bytes that they were, or `changed`."""
    return {
        image_id: (reference_lists.Known(sha256, None),)
        for image_id, sha256 in lost.items()
        if sha256 is not None and image_id not in listed
    }


def _unlisted(fetched: Fetched, before: reference_lists.Listed) -> Fetched:
    """Return an outcome without the mark that says that a list has it, where it was only compared with what it was."""
    return dataclasses.replace(fetched, listed=None) if fetched.image_id in before else fetched


def _in_generation(fetched: Fetched, generation: int) -> Fetched:
    attempts = tuple(dataclasses.replace(attempt, generation=generation) for attempt in fetched.attempts)
    return dataclasses.replace(fetched, attempts=attempts)


def end_waiting(root_folder: str, waiting: Waiting, *, settle: bool) -> Counter[str]:
    """Commit the generations that wait, or leave them to be removed (`end`); return the images of those, by status.

    Only for the one writer of ROOT, when its workers have ended.
    """
    left_open: Counter[str] = Counter()
    for commit in waiting.left():
        if settle:
            shard, generation = commit.facts["shard"], commit.facts["generation"]
            commits.claim(root.ledger_folder(root_folder, shard, generation), commit.epoch)
            commit_generation(root_folder, commit)
        else:
            left_open.update(commit.run["statuses"])
    return left_open


def _blocked(
    ledger: pa.Table, names: Mapping[bytes, str], generation: int, when: datetime.datetime
) -> Iterator[Fetched]:
    """Yield the outcome of images that were fetched before a blocklist named them."""
    for row in ledger.select(["image_id", "location", "tried"]).to_pylist():
        name = names.get(row["image_id"])
        if name is not None:
            evidence = blocklists.evidence(name)
            attempt = Attempt(row["image_id"], row["location"], generation, when, blocklists.STATUS, error=evidence)
            tried = tuple(row["tried"] or ())
            yield Fetched(row["image_id"], blocklists.STATUS, row["location"], tried, (attempt,))


def _write(
    order: Order, generation: int, settled: Iterator[Fetched], started: datetime.datetime
) -> tuple[Commit | None, Heard]:
    """Write a generation's tar, attempts and ledger; return the commit that is to be written, None if nothing is settled."""
    store = state.shard_folder(order.root, "store", order.shard)
    rows: list[dict[str, Any]] = []
    attempts: list[Attempt] = []
    with StoreTar(store) as tar:
        for fetched in settled:
            rows.append(_ledger_row(fetched, generation, tar))
            attempts += fetched.attempts
        tar_file = tar.finish()
    heard = Heard(
        sum(row["bytes"] or 0 for row in rows),
        waited([attempt.location for attempt in attempts], [attempt.seconds for attempt in attempts]),
    )
    if not rows:
        return None, heard
    files = []
    if tar_file is not None:
        path = storage.join(flow.STORE.at(shard=order.shard), tar_file.name)
        for row in rows:
            if row["length"] is not None:
                row["store_file"] = path
        files.append(elsewhere(tar_file, "store", order.shard))
    files += put_settled(order.root, order.shard, generation, rows, attempts)
    sources = dict(zip(order.images["image_id"].to_pylist(), order.images["sources"].to_pylist(), strict=True))
    sources = {row["image_id"]: sources[row["image_id"]] for row in rows}
    commit = Commit(
        stage=STAGE,
        files=tuple(files),
        sources=books(rows, sources),
        hash=generation_hash(order.options, sources),
        run={
            commits.EPOCH: order.epoch,
            "started": started.isoformat(),
            "ended": utc_now().isoformat(),
            "images": len(rows),
            "statuses": Counter(row["status"] for row in rows),
            state.LIBRARIES: codec.libraries(),
            **({state.RETRIED: sorted(order.retry)} if order.retry else {}),
        },
        facts=facts(order.shard, generation, is_hashed=is_hashed(rows)),
    )
    return commit, heard


def put_settled(
    root_folder: str, shard: int, generation: int, rows: Iterable[Mapping[str, Any]], attempts: Iterable[Attempt]
) -> tuple[File, File]:
    """Write the attempts of a generation, and its rows of the ledger; return the files as its commit lists them."""
    folder = state.shard_folder(root_folder, "attempts", shard)
    tried = parquet_files.put_table(folder, f"generation={generation:04d}", outcome.attempts_table(attempts))
    in_order = sorted(rows, key=lambda row: cast(bytes, row["image_id"]))
    table = pa.Table.from_pylist(in_order, schema=LEDGER).rename_columns(LEDGER_FILE.names)
    ledger = parquet_files.put_table(root.ledger_folder(root_folder, shard, generation), "ledger", table)
    return elsewhere(tried, "attempts", shard), ledger


def facts(shard: int, generation: int, *, is_hashed: bool) -> dict[str, Any]:
    """Return the facts of a generation; `is_hashed`: every image of it that is ok has a perceptual hash."""
    return {"shard": shard, "generation": generation} | ({state.HASH: state.PDQ} if is_hashed else {})


def is_hashed(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether each image of a ledger that is ok has its hash; rows of earlier versions do not say what theirs is of."""
    forms = [row["hashed_form"] for row in rows if row["status"] == OK]
    return bool(forms) and None not in forms


def generation_hash(options: FetchOptions, image_ids: Iterable[bytes]) -> str:
    """Return the hash of the options and images of a generation."""
    chosen = {name: value for name, value in options.told().items() if name not in _NO_OUTCOME}
    # ROOT's own list of what was taken down comes to be later than most generations, which are what they were.
    chosen["blocklists"] = [path for path in chosen["blocklists"] if not path.endswith(f"/{lists.PLACE}")]
    return commits.options_hash([chosen, sorted(image_id.hex() for image_id in image_ids)])


def outcome_row(fetched: Fetched, generation: int) -> dict[str, Any]:
    """Return the row of `LEDGER` of an image, but for its place in the store."""
    row = _EMPTY | dict(zip(_OUTCOME, _outcome(fetched), strict=True))
    row["generation"], row["tried"] = generation, list(fetched.tried)
    return row


def _ledger_row(fetched: Fetched, generation: int, tar: StoreTar) -> dict[str, Any]:
    row = outcome_row(fetched, generation)
    if fetched.stored is not None:
        extension = codec.EXTENSIONS[cast(codec.Format, fetched.stored_format)]
        row["offset"] = tar.add(f"{fetched.image_id.hex()}.{extension}", fetched.stored)
        row["length"] = len(fetched.stored)
        row["stored_digest"] = keys.digest(fetched.stored)
    return row


def elsewhere(file: File, kind: str, shard: int) -> File:
    """Return a file named relative to the folder of the commit, in which it does not stand."""
    return File(f"../../../{kind}/shard={shard:05d}/{file.name}", file.bytes, file.rows, file.sha256)


def books(rows: Sequence[Mapping[str, Any]], sources: Mapping[bytes, Sequence[str]]) -> dict[str, Books]:
    """Count this generation's images for each of their sources."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for source in sources[row["image_id"]]:
            counts.setdefault(source, Counter())[row["status"]] += 1
    return {source: Books(found.pop(OK, 0), dict(found)) for source, found in counts.items()}


def commit_generation(root_folder: str, commit: Commit) -> Commit:
    """Commit a generation if nobody has; return what stands."""
    folder = root.ledger_folder(root_folder, commit.facts["shard"], commit.facts["generation"])
    # The driver may have ended, and swept, while a worker that it thought dead was still writing.
    if all(storage.exists(commits.path_of(folder, file.name)) for file in commit.files) and commits.write_if_absent(
        folder, commit
    ):
        return commit
    return commits.require(folder, "run the same command again")
