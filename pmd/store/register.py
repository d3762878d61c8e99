"""The register: one file that tells which generations of the fetch are committed, so that nobody reads their commits one by one.

PMD has 32,768 fetch shards, and each of their generations a commit of its own: on an object store that is a request each, several
times a build. `fetch/register` has what readers need of all of them, in a few megabytes, and is read once.

The commits remain what counts; the register only remembers them. Beside each it keeps the version of the commit's file, and so
can be brought up to date by one flat listing, a request a thousand files: only commits that it does not know, or knows in another
version, are read. Who is about to change generations first writes into the register that he is at work, under the epoch of his
lock (`begin`), and when he is done what stands (`save`); both by compare-and-swap, and never in place of a higher epoch. So

- where its writer ended well, an object store's register is believed as it is;
- where it did not, where there is none, or where it is damaged, the listing tells;
- a local folder is always looked through: people remove and copy files there, and it costs no requests.

Its bytes are in no class of equal bytes: they tell versions, which differ wherever a ROOT is copied to.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import io
import logging
import posixpath
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pmd import flow
from pmd.errors import PmdError
from pmd.store import commits, storage, versions
from pmd.store.commits import STAGE_FILE, Commit, File
from pmd.store.versions import Listed, Versioned

#: Raised where a register of another version is not to be read.
VERSION: Final = 1

#: What a generation's commit says of its run that others than its run ask for.
RUN: Final = (commits.EPOCH, "ended", "retried", "statuses", "libraries", "hashed_scaled")

#: Requests at a time.
_AT_ONCE: Final = 16
#: Times that the register is written anew, where another has just written it: there are two writers at most.
_SWAPS: Final = 4

_FILE: Final = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
_KNOWN: Final = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("files", pa.list_(pa.field("item", _FILE, nullable=False)), nullable=False),
        pa.field("facts", pa.string(), nullable=False),
        pa.field("keeps", pa.bool_(), nullable=False),
        pa.field("run", pa.string(), nullable=False),
    ]
)

_T = TypeVar("_T")
_U = TypeVar("_U")


@dataclasses.dataclass(frozen=True)
class Generation:
    """What a committed generation is, for all who do not need the books of its own run.

    Attributes:
        shard: Its fetch shard.
        number: Its number.
        folder: That of its commit.
        files: See `Commit`.
        facts: See `Commit`.
        digest: `Commit.digest`.
        keeps: Whether any picture of it is ok, by its books.
        run: What `RUN` names.
    """

    shard: int
    number: int
    folder: str
    files: tuple[File, ...]
    facts: Mapping[str, Any]
    digest: str
    keeps: bool
    run: Mapping[str, Any]

    @classmethod
    def of(cls, folder: str, commit: Commit) -> Generation:
        """Return what a commit says."""
        shard, number = _numbers(folder)
        run = {name: commit.run[name] for name in RUN if name in commit.run}
        keeps = any(books.kept for books in commit.sources.values())
        return cls(shard, number, folder, commit.files, commit.facts, commit.digest(), keeps, run)

    @property
    def name(self) -> str:
        """The folder of its commit, relative to ROOT."""
        return flow.GENERATION.at(shard=self.shard, generation=self.number)

    @property
    def epoch(self) -> int:
        """The epoch that committed it."""
        return int(self.run.get(commits.EPOCH, 0))


def _numbers(folder: str) -> tuple[int, int]:
    shard, number = folder.rsplit("/", 2)[1:]
    return int(shard.partition("=")[2]), int(number.partition("=")[2])


@dataclasses.dataclass(frozen=True)
class Register:
    """What stands of the fetch: an immutable picture of one moment.

    Attributes:
        root: ROOT.
        known: A row a generation, in order of shard and number.
        answers: What a driver has found out of all of it → the key of what that depends on (`answered`).
        epoch: Of who wrote the file last; 0: there is none.
        at_work: Whether he has not said that he is done.
        seen: The version of the file, None: there is none.
        is_kept: Whether the file says the same, and that its writer is done.
    """

    root: str
    known: pa.Table
    answers: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    epoch: int = 0
    at_work: bool = False
    seen: str | None = None
    is_kept: bool = False

    @functools.cached_property
    def _rows(self) -> dict[int, tuple[int, int]]:
        """Fetch shard → its first row, and how many it has."""
        found = np.unique(self.known["shard"].to_numpy(), return_index=True, return_counts=True)
        shards, starts, counts = (column.tolist() for column in found)
        return {shard: (start, count) for shard, start, count in zip(shards, starts, counts, strict=True)}

    @property
    def shards(self) -> list[int]:
        """The fetch shards that have a generation, sorted."""
        return [*self._rows]

    def of(self, shard: int) -> tuple[Generation, ...]:
        """Return the committed generations of a shard, in order."""
        start, count = self._rows.get(shard, (0, 0))
        return tuple(_generation(self.root, row) for row in self.known.slice(start, count).to_pylist())

    def every(self) -> Iterator[Generation]:
        """Yield all generations, in order of shard and number."""
        for shard in self.shards:
            yield from self.of(shard)

    def next(self, shard: int) -> int:
        """Return the number of the generation that a shard's next run writes first."""
        start, count = self._rows.get(shard, (0, 0))
        return int(self.known["number"][start + count - 1].as_py()) + 1 if count else 0

    @functools.cached_property
    def digest(self) -> str:
        """The digest of all committed generations: what later stages depend on."""
        columns = (self.known[name].to_pylist() for name in ("shard", "number", "digest"))
        return commits.options_hash([*map(list, zip(*columns, strict=True))])

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """The folder of each generation, relative to ROOT → the digest of its commit."""
        return dict(zip(self.versions, self.known["digest"].to_pylist(), strict=True))

    @functools.cached_property
    def versions(self) -> dict[str, str]:
        """The folder of each generation, relative to ROOT → the version of its commit."""
        columns = (self.known[name].to_pylist() for name in ("shard", "number", "version"))
        return {
            flow.GENERATION.at(shard=shard, generation=number): version
            for shard, number, version in zip(*columns, strict=True)
        }


def path_of(root: str) -> str:
    """Return the register's path."""
    return storage.join(root, flow.REGISTER)


def current(root: str, *, tells_of_lost: bool = False) -> Register:
    """Return what stands now.

    Args:
        root: ROOT.
        tells_of_lost: Whether generations are told that are gone; only who holds the lock knows that nobody removes any.

    Raises:
        RootError: A commit is of another version.
        VerificationError: A commit is damaged.
    """
    kept = read(root)
    if kept.is_kept and (root in _looked_at or not storage.is_local(root)):
        return kept
    found = listed(root)
    if tells_of_lost and kept.is_kept:
        _tell_of_lost(kept, found)
    return _up_to_date(kept, found)


#: Local ROOTs that this process writes, and that it has looked through since it holds the lock.
_looked_at: Final[set[str]] = set()


@contextlib.contextmanager
def looked_at(root: str, epoch: int) -> Iterator[None]:
    """Bring the register up to date for who has just taken ROOT's lock; while he holds it, it is believed.

    Where damage keeps it from being so, whoever asks what stands is told.
    """
    try:
        with contextlib.suppress(PmdError):
            keep(current(root, tells_of_lost=True), epoch)
            _looked_at.add(root)
        yield
    finally:
        _looked_at.discard(root)


def _tell_of_lost(known: Register, found: Mapping[str, Listed]) -> None:
    """Tell of generations that stood when the last writer ended and are gone now, before the register forgets them."""
    lost = sorted(known.versions.keys() - found.keys())
    if lost:
        logging.getLogger("pmd.notes").warning(
            "%s: gone, with %d other commits of the fetch, though it stood when the last writer ended. Pictures that no commit "
            "tells of are asked for anew: to keep them, end this, and put what is gone back from a copy of this ROOT.",
            storage.join(known.root, lost[0], STAGE_FILE),
            len(lost) - 1,
        )


def trusted(root: str) -> Register | None:
    """Return the register as it was left, for workers whose driver has brought it up to date; None where nobody did.

    It is read once a process as long as it stays as it is.
    """
    path = path_of(root)
    version = versions.version(path)
    if version is None:
        return None
    found = _read_once(root, version)
    return found if found.is_kept and found.seen == version else None


@functools.lru_cache(maxsize=2)
def _read_once(root: str, version: str) -> Register:
    return read(root)


def read(root: str) -> Register:
    """Return the register as it stands in its file, whoever is at work; an empty one where there is none that can be read."""
    found = versions.read(path_of(root))
    if found is None:
        return Register(root, _KNOWN.empty_table())
    try:
        return _parsed(root, found)
    except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
        logging.getLogger("pmd.notes").warning(
            "%s is damaged, or of another version of pmd: what is committed is looked up in the ledger itself",
            path_of(root),
        )
        return Register(root, _KNOWN.empty_table(), seen=found.version)


def listed(root: str) -> dict[str, Listed]:
    """Return the commits of generations that a listing shows: folder, relative to ROOT → its commit's file."""
    above = flow.GENERATION.above
    found = versions.listed(storage.join(root, above), f"/{STAGE_FILE}")
    folders = {f"{above}/{name.removesuffix(f'/{STAGE_FILE}')}": file for name, file in found.items()}
    return {folder: file for folder, file in folders.items() if flow.GENERATION.holds(folder)}


def _up_to_date(
    kept: Register, found: Mapping[str, Listed], told: Mapping[str, Commit] = MappingProxyType({})
) -> Register:
    """Return a register that knows what a listing shows; `told`: commits that need not be read, by their folder."""
    # What is no longer than a claim is one.
    there = {folder: file.version for folder, file in found.items() if file.bytes > commits.BARE_BYTES}
    if there == kept.versions:
        return kept
    same = pa.array([there.get(folder) == version for folder, version in kept.versions.items()], pa.bool_())
    other = [folder for folder, version in there.items() if kept.versions.get(folder) != version]
    paths = [storage.join(kept.root, folder) for folder in other]
    untold = [path for path in paths if path not in told]
    commits_of = {**told, **dict(zip(untold, at_once(kept.root, commits.read, untold), strict=True))}
    rows = [
        _row(Generation.of(path, commit), there[folder])
        for folder, path in zip(other, paths, strict=True)
        if (commit := commits_of[path]) is not None
    ]
    known = pa.concat_tables([kept.known.filter(same), pa.Table.from_pylist(rows, schema=_KNOWN)])
    return dataclasses.replace(
        kept,
        known=known.sort_by([("shard", "ascending"), ("number", "ascending")]).combine_chunks(),
        is_kept=False,
    )


def at_once(root: str, ask: Callable[[_T], _U], of: Sequence[_T]) -> list[_U]:
    """Return what a question gives for each, in their order; on an object store many are asked at once."""
    if len(of) < 2 or not storage.is_object_store(storage.filesystem(root)[0]):
        return [ask(one) for one in of]
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, of))


def begin(register: Register, epoch: int) -> Register:
    """Write that somebody is at work on the generations; return what stands.

    Raises:
        RootError: A later run has taken over.
    """
    return _written(dataclasses.replace(register, epoch=epoch, at_work=True), register.seen)


def refreshed(register: Register, told: Iterable[Commit] = ()) -> Register:
    """Return a register brought up to date by a listing; its file stays as it is.

    Args:
        register: What stood.
        told: Commits that workers have told of, and that stand if the listing shows them: they are not read.
    """
    by_folder = {
        storage.join(
            register.root,
            flow.GENERATION.at(shard=commit.facts["shard"], generation=commit.facts["generation"]),
        ): commit
        for commit in told
    }
    return _up_to_date(register, listed(register.root), by_folder)


def save(register: Register, epoch: int) -> Register:
    """Write what stands, and that its writer is done; return it. Where nothing does, there is no register either.

    Raises:
        RootError: A later run has taken over.
    """
    path = path_of(register.root)
    if not register.known.num_rows and register.seen is not None and versions.remove(path, register.seen):
        storage.remove_empty(posixpath.dirname(path))
        return Register(register.root, _KNOWN.empty_table())
    return _written(dataclasses.replace(register, epoch=epoch, at_work=False), register.seen)


def unclaim(root: str, epoch: int) -> None:
    """Remove all claims where nothing is committed; only for who holds the lock, when its workers have ended.

    A worker that has not ended commits nothing any more, even in the same moment. Claims are told by their size.
    """
    claims = [folder for folder, file in listed(root).items() if file.bytes <= commits.BARE_BYTES]
    at_once(root, lambda folder: commits.unclaim(storage.join(root, folder), epoch), claims)


def keep(register: Register, epoch: int) -> Register:
    """Write the register where its file says something else, so that workers and the next run need not look; return it.

    Raises:
        RootError: A later run has taken over.
    """
    if register.is_kept or (register.seen is None and not register.known.num_rows):
        return register
    return _written(dataclasses.replace(register, epoch=epoch, at_work=False), register.seen)


def answered(register: Register, epoch: int, answers: Mapping[str, Any]) -> Register:
    """Remember what a driver has found out of all that stands, where that is not known yet; return the register.

    Raises:
        RootError: A later run has taken over.
    """
    if all(register.answers.get(name) == key for name, key in answers.items()):
        return register
    answers = {**register.answers, **answers}
    return _written(dataclasses.replace(register, answers=answers, epoch=epoch, at_work=False), register.seen)


def _written(register: Register, seen: str | None) -> Register:
    """Write a register in place of what was seen, or of what a lower epoch has written since."""
    path = path_of(register.root)
    content = _content(register)
    for _ in range(_SWAPS):
        if versions.swap(path, content, _standing(path, seen), durable=False):  # a local one is never believed unseen
            return dataclasses.replace(register, seen=versions.version(path), is_kept=not register.at_work)
        found = read(register.root)
        if found.epoch > register.epoch:
            break
        seen = found.seen
    raise commits.superseded(path, read(register.root).epoch, register.epoch)


def _standing(path: str, seen: str | None) -> Versioned | None:
    """Return what is to be replaced; object stores compare the version alone, and others the bytes too."""
    if seen is None:
        return None
    if storage.is_object_store(storage.filesystem(path)[0]):
        return Versioned(b"", seen)
    found = versions.read(path)
    return found if found is not None and found.version == seen else Versioned(b"", seen)


def _content(register: Register) -> bytes:
    sink = io.BytesIO()
    pq.write_table(register.known, sink, compression="zstd", compression_level=3)
    table = sink.getvalue()
    head = {
        "version": VERSION,
        "epoch": register.epoch,
        "at_work": register.at_work,
        "answers": dict(register.answers),
        "sha256": commits.sha256(table),
        "nonce": uuid.uuid4().hex,  # an ETag is told by the bytes: no two writes are alike
    }
    head["digest"] = commits.options_hash(head)
    return orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE) + table


def _parsed(root: str, found: Versioned) -> Register:
    line, _, table = found.content.partition(b"\n")
    head = orjson.loads(line)
    if head.pop("digest") != commits.options_hash(head) or head["version"] != VERSION:
        raise ValueError("not as it was written")
    if commits.sha256(table) != head["sha256"]:
        raise ValueError("not as it was written")
    # Not by `read_table`, which reads in `pyarrow.dataset` for one small file.
    known = pq.ParquetFile(io.BytesIO(table)).read(use_threads=False).combine_chunks()
    if not known.schema.equals(_KNOWN):  # most commands need nothing else that casts (`pmd.lean`)
        known = known.cast(_KNOWN)
    at_work = bool(head["at_work"])
    return Register(root, known, head["answers"], int(head["epoch"]), at_work, found.version, is_kept=not at_work)


def _row(generation: Generation, version: str) -> dict[str, Any]:
    facts = {name: value for name, value in generation.facts.items() if name not in {"shard", "generation"}}
    return {
        "shard": generation.shard,
        "number": generation.number,
        "version": version,
        "digest": generation.digest,
        "files": [dataclasses.asdict(file) for file in generation.files],
        "facts": orjson.dumps(facts).decode(),
        "keeps": generation.keeps,
        "run": orjson.dumps(generation.run).decode(),
    }


def _generation(root: str, row: Mapping[str, Any]) -> Generation:
    shard, number = row["shard"], row["number"]
    return Generation(
        shard,
        number,
        storage.join(root, flow.GENERATION.at(shard=shard, generation=number)),
        tuple(File(**file) for file in row["files"]),
        {"shard": shard, "generation": number} | orjson.loads(row["facts"]),
        row["digest"],
        row["keeps"],
        orjson.loads(row["run"]),
    )
