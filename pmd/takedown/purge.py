"""Purging: what was read and what was fetched is written anew without the rows and pictures that suppression lists name.

Every file is written whole under a new name, then the commit is replaced, then the file that it listed before is removed: killed
at any moment, the next `apply` finds the old commit or the new one and does the rest. What says that a commit is fresh is
rewritten with it, so that a build finds nothing to do because of what was removed. Generations, which nothing else ever
changes, give way here.

Each function counts what it removes, or would remove, by kind (`KINDS`).
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast
from urllib import parse

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec, flow
from pmd.audit import labelling
from pmd.config.options import FetchOptions
from pmd.curate import needs as curate_needs
from pmd.curate import rules as curate_rules
from pmd.fetch.generations import store
from pmd.fetch.generations.tar import StoreTar
from pmd.fetch.ledger import partitions, state
from pmd.fetch.politeness import policies
from pmd.refresh import waves as refresh_waves
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import KEPT_OUT, PAIRS, REJECTED, in_source_folder, with_columns
from pmd.store import commits, parquet_files, root, storage
from pmd.store.commits import Books, Commit, File
from pmd.store.lock import Lock
from pmd.store.wanted import Wanted
from pmd.suppression import kept_out, people, rows
from pmd.suppression.lists import Suppression

#: What is counted, as receipts have it.
KINDS: Final = (
    "pairs",
    "rejected rows",
    "rows of the ledger",
    "attempts",
    "perceptual hashes",
    "stored pictures",
    "lines of what hosts said",
    "rows of waves",
    "texts to be labelled",
)

_DIGEST: Final = re.compile(r"-[0-9a-f]{16}\.parquet$")


@dataclasses.dataclass(frozen=True)
class Purge:
    """What is done, and how.

    Attributes:
        lock: ROOT's, held by this process.
        lists: What is to be removed.
        held: The lists' paths and digests, as commits of curate are to know them.
        told: What those say of ROOT's own list besides (`pmd.curate.needs.told_of_own`).
        is_dry: Only count.
    """

    lock: Lock
    lists: Suppression
    held: tuple[tuple[str, str], ...] = ()
    told: Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_dry: bool = False


def curated(purge: Purge, root_url: str) -> Counter[str]:
    """Purge the pairs and rejected rows of all sources that are curated."""
    removed: Counter[str] = Counter()
    for source in root.curated_sources(root_url):
        removed += _source(purge, root_url, source)
    return removed


def _source(purge: Purge, root_url: str, source: str) -> Counter[str]:
    folder = root.curate_folder(root_url, source)
    commit = commits.require(folder, f"run: {flow.CURATE.command}")
    removed: Counter[str] = Counter()
    files: list[File] = []
    left: Counter[str] = Counter()
    kept_out_of: dict[str, _KeptOut] = defaultdict(_KeptOut)
    kept = commit.sources.get(source, Books()).kept
    for file in commit.files:
        kind, _, name = file.name.partition("/")
        part = kept_out_of[_DIGEST.sub("", name)]
        if kind == flow.KEPT_OUT:
            part.file = file
            continue
        is_pairs = file.name.startswith(str(flow.PAIRS.keeps))
        table = parquet_files.read_table(folder, file)
        named = (rows.pairs if is_pairs else rows.rejected)(purge.lists, table)
        if not named.any():
            files.append(file)
            continue
        gone, stays = table.filter(pa.array(named)), table.filter(pa.array(~named)).combine_chunks()
        removed["pairs" if is_pairs else "rejected rows"] += gone.num_rows
        if is_pairs:
            kept -= gone.num_rows
            part.pairs = gone
        else:
            left.update(gone["reason"].to_pylist())
            part.rejected = gone
        if stays.num_rows and not purge.is_dry:
            prefix = _DIGEST.sub("", file.name)
            schema = PAIRS if is_pairs else REJECTED
            files.append(parquet_files.put_table(folder, prefix, stays.cast(in_source_folder(schema))))
    if purge.is_dry:
        return removed
    for name, part in kept_out_of.items():
        files += part.written(purge.lists, folder, f"{flow.KEPT_OUT}/{name}")
    booked = commit.sources.get(source, Books()).rejected
    rejected = {reason: count - left[reason] for reason, count in booked.items() if count > left[reason]}
    books = {**commit.sources, source: Books(kept, rejected)}
    in_order = tuple(sorted(files, key=lambda file: file.name))
    changed = dataclasses.replace(commit, files=in_order, sources=books)
    _commit_source(purge, folder, source, commit, curate_rules.suppressing(changed, removed.total()))
    return removed


@dataclasses.dataclass
class _KeptOut:
    """What a part of a source's rows has kept of those that were kept out, and the rows that leave now."""

    file: File | None = None
    pairs: pa.Table = dataclasses.field(default_factory=PAIRS.empty_table)
    rejected: pa.Table = dataclasses.field(default_factory=REJECTED.empty_table)

    def written(self, lists: Suppression, folder: str, prefix: str) -> list[File]:
        """Write what is kept of all of them, as a reading would: less what the lists have by now."""
        before = KEPT_OUT.empty_table() if self.file is None else parquet_files.read_table(folder, self.file)
        if not (before.num_rows or self.pairs.num_rows or self.rejected.num_rows):
            return []
        now = kept_out.merged(lists, [before, kept_out.of(lists, self.pairs, self.rejected)])
        if self.file is not None and now.equals(before):
            return [self.file]
        return [parquet_files.put_table(folder, prefix, now)] if now.num_rows else []


def _commit_source(purge: Purge, folder: str, source: str, before: Commit, now: Commit) -> None:
    """Write the commit of a source: fresh where it was fresh, of the lists that hold now."""
    inputs = dict(before.run.get("inputs", {}))
    is_fresh = before.hash == _wanted_of_curate(source, folder, before, inputs).hash
    inputs.pop(curate_needs.SUPPRESSION, None)
    inputs |= curate_needs.suppression_input(purge.held)
    now = dataclasses.replace(
        now,
        hash=_wanted_of_curate(source, folder, before, inputs).hash if is_fresh else before.hash,
        run={**before.run, "inputs": inputs, **purge.told},
    )
    if now == before:
        return
    commits.claim(folder, purge.lock.epoch)
    purge.lock.check()
    commits.write(folder, dataclasses.replace(now, run={**now.run, commits.EPOCH: purge.lock.epoch}))
    commits.sweep(folder, purge.lock.check)


def _wanted_of_curate(source: str, folder: str, commit: Commit, inputs: Mapping[str, str]) -> Wanted:
    return Wanted(flow.CURATE.name, source, folder, commit.run.get("options", {}), inputs)


def generations(purge: Purge, root_url: str, options: FetchOptions) -> Counter[str]:
    """Purge the ledgers, attempts, hashes and pictures of all that was ever fetched."""
    removed: Counter[str] = Counter()
    for shard in state.shards(root_url):
        for number, folder, commit in state.generations(root_url, shard):
            removed += _Generation(purge, root_url, shard, number, folder, commit, options).purge()
    return removed


class _Generation:
    def __init__(
        self,
        purge: Purge,
        root_url: str,
        shard: int,
        number: int,
        folder: str,
        commit: Commit,
        options: FetchOptions,
    ) -> None:
        self._purge, self._root, self._shard, self._number = purge, root_url, shard, number
        self._folder, self._commit, self._options = folder, commit, options

    def purge(self) -> Counter[str]:
        """Write what is left of it, and commit that."""
        removed: Counter[str] = Counter()
        files: list[File] = []
        ledger = left = None
        for file in self._commit.files:
            if not file.name.startswith("../"):
                ledger, left = self._split(file)
                removed["rows of the ledger"] += ledger.num_rows - left.num_rows
            elif not file.name.endswith(".parquet"):
                continue
            else:
                kind = "perceptual hashes" if state.is_hashes(file.name) else "attempts"
                before, after = self._split(file)
                removed[kind] += before.num_rows - after.num_rows
                files.append(self._written(file, before, after))
        lost = self._commit.facts.get(state.LOST, {})
        still_lost = [key for key in lost.get("images", ()) if not self._is_named(key)]
        tars = [file for file in self._commit.files if file.name.startswith("../") and file.name.endswith(".tar")]
        if ledger is not None and left is not None:
            removed["stored pictures"] += _stored(ledger) - _stored(left)
        removed = Counter({kind: count for kind, count in removed.items() if count})
        if self._purge.is_dry or not (removed or len(still_lost) < len(lost.get("images", ()))):
            return removed
        if ledger is not None and left is not None:
            left, tars = self._without_pictures(ledger, left, tars)
            own = next(file for file in self._commit.files if not file.name.startswith("../"))
            same = left.num_rows == ledger.num_rows
            files.append(own if same else parquet_files.put_table(self._folder, "ledger", left.combine_chunks()))
        self._write(ledger, left, [*files, *tars], {**lost, "images": still_lost} if lost else {})
        return removed

    def _is_named(self, key: str) -> bool:
        return self._purge.lists.holds("image", bytes.fromhex(key))

    def _split(self, file: File) -> tuple[pa.Table, pa.Table]:
        """Return a file's rows, and those of them that stay."""
        above, _, name = commits.path_of(self._folder, file.name).rpartition("/")
        table = parquet_files.read_table(above, dataclasses.replace(file, name=name))
        return table, table.filter(pa.array(~rows.fetched(self._purge.lists, table)))

    def _written(self, file: File, before: pa.Table, after: pa.Table) -> File:
        if after.num_rows == before.num_rows or self._purge.is_dry:
            return file
        above, _, name = commits.path_of(self._folder, file.name).rpartition("/")
        put = parquet_files.put_table(above, _DIGEST.sub("", name), after.combine_chunks())
        return dataclasses.replace(put, name=f"{file.name.removesuffix(name)}{put.name}")

    def _without_pictures(self, ledger: pa.Table, left: pa.Table, tars: Sequence[File]) -> tuple[pa.Table, list[File]]:
        """Write the tars anew that hold a picture which leaves, and give the rows that stay their new places."""
        all_in = ledger["store_file"].drop_null().to_pylist()
        still_in = Counter(left["store_file"].drop_null().to_pylist())
        shrunk = {name for name, count in Counter(all_in).items() if still_in[name] < count}
        places = {name: left[name].to_pylist() for name in ("store_file", "offset", "length", "stored_format")}
        ids = left["image_id"].to_pylist()
        kept = [file for file in tars if self._in_root(file) not in shrunk]
        for name in sorted(shrunk):
            members = [row for row, file in enumerate(places["store_file"]) if file == name]
            members.sort(key=lambda row: cast(int, places["offset"][row]))
            with StoreTar(state.shard_folder(self._root, "store", self._shard)) as tar:
                for row in members:
                    start, length = places["offset"][row], places["length"][row]
                    content = storage.read_bytes(storage.join(self._root, name), start, start + length)
                    extension = codec.EXTENSIONS[cast(codec.Format, places["stored_format"][row])]
                    places["offset"][row] = tar.add(f"{ids[row].hex()}.{extension}", content)
                written = tar.finish()
            if written is not None:
                kept.append(store.elsewhere(written, "store", self._shard))
                for row in members:
                    places["store_file"][row] = f"{flow.STORE.at(shard=self._shard)}/{written.name}"
        moved = {name: pa.array(places[name], left.schema.field(name).type) for name in ("store_file", "offset")}
        return with_columns(left, moved), kept

    def _in_root(self, file: File) -> str:
        return f"{flow.STORE.at(shard=self._shard)}/{file.name.rpartition('/')[2]}"

    def _write(
        self, ledger: pa.Table | None, left: pa.Table | None, files: Iterable[File], lost: Mapping[str, Any]
    ) -> None:
        before = self._commit
        facts = {name: value for name, value in before.facts.items() if name != state.LOST}
        if lost.get("images") or lost.get("attempts"):
            facts[state.LOST] = {name: value for name, value in lost.items() if value}
        run: dict[str, Any] = {**before.run, commits.EPOCH: self._purge.lock.epoch}
        now = dataclasses.replace(before, files=tuple(files), facts=facts, run=run)
        if ledger is not None and left is not None:
            statuses = Counter(left["status"].to_pylist())
            ids = ledger["image_id"].to_pylist()
            asked = store.generation_hash(self._options, ids) == before.hash
            now = dataclasses.replace(
                now,
                sources=_less(before.sources, self._gone(ledger, left), statuses),
                hash=store.generation_hash(self._options, left["image_id"].to_pylist()) if asked else before.hash,
                run={**run, "images": left.num_rows, "statuses": dict(statuses)},
            )
        commits.claim(self._folder, self._purge.lock.epoch)
        self._purge.lock.check()
        commits.write(self._folder, now)
        commits.sweep(self._folder, self._purge.lock.check)
        listed = {file.name for file in now.files}
        gone = [file.name for file in before.files if file.name.startswith("../") and file.name not in listed]
        commits.remove([commits.path_of(self._folder, name) for name in gone], self._purge.lock.check)

    def _gone(self, ledger: pa.Table, left: pa.Table) -> list[tuple[str, tuple[str, ...]]]:
        """Return status and sources of the images that leave, as far as the images that stand still tell."""
        stays = left["image_id"].combine_chunks()
        gone = ledger.filter(pc.invert(pc.is_in(ledger["image_id"], value_set=stays)))
        sources: dict[bytes, tuple[str, ...]] = {}
        if commits.read(root.images_folder(self._root)) is not None:
            images = partitions.read_shard(self._root, self._shard, ("image_id", "sources"))
            sources = {row["image_id"]: tuple(row["sources"]) for row in images.to_pylist()}
        return [
            (status, sources.get(image, ()))
            for image, status in zip(gone["image_id"].to_pylist(), gone["status"].to_pylist(), strict=True)
        ]


def _stored(ledger: pa.Table) -> int:
    return len(ledger) - int(ledger["store_file"].null_count)


def _less(
    books: Mapping[str, Books], gone: Iterable[tuple[str, tuple[str, ...]]], statuses: Mapping[str, int]
) -> dict[str, Books]:
    """Return a generation's books without some images; of no source it books more than there are."""
    off = Counter((source, status) for status, sources in gone for source in sources)
    counts = {
        source: {
            status: min(max(count - off[source, status], 0), statuses.get(status, 0))
            for status, count in {OK: book.kept, **book.rejected}.items()
        }
        for source, book in books.items()
    }
    for status, rows_of in statuses.items():  # booked once at least
        if sum(found.get(status, 0) for found in counts.values()) < rows_of:
            for source, book in books.items():
                before = book.kept if status == OK else book.rejected.get(status, 0)
                if before:
                    counts[source][status] = min(before, rows_of)
    return {
        source: Books(found.pop(OK, 0), {status: count for status, count in found.items() if count})
        for source, found in counts.items()
        if any(found.values())
    }


def hosts(purge: Purge, root_url: str) -> Counter[str]:
    """Purge what hosts have said that are named."""
    removed: Counter[str] = Counter()
    if not purge.lists.has("host"):
        return removed
    folder = policies.hosts_folder(root_url)
    for name in storage.list_files(folder):
        path = storage.join(folder, name)
        with storage.open_raw(path) as file:
            gone = sum(_is_of_host(purge.lists, line) for line in file)
        removed["lines of what hosts said"] += gone
        if not purge.is_dry and gone:
            purge.lock.check()
            _leave_out(path, lambda line: _is_of_host(purge.lists, line))
    return Counter({kind: count for kind, count in removed.items() if count})


def _leave_out(path: str, is_gone: Callable[[bytes], bool]) -> None:
    """Write a file anew without some of its lines; a lane's may be larger than memory. One of which none is left is removed."""
    left = 0
    with storage.open_raw(path) as before, storage.write_whole(path) as after:
        for line in before:
            if not is_gone(line):
                after.write(line)
                left += 1
    if not left:
        storage.remove(path)


def _is_of_host(lists: Suppression, line: bytes) -> bool:
    try:
        name = parse.urlsplit(str(orjson.loads(line)["origin"])).hostname
    except (ValueError, KeyError, TypeError):
        return False
    return name is not None and any(lists.holds("host", host) for host in people.above(name))


def labels(purge: Purge, root_url: str) -> Counter[str]:
    """Purge the sheets of texts that people label: of pairs that are named, or that no source has any more."""
    in_sheets = labelling.listed(root_url)
    if not in_sheets:
        return Counter()
    ids = keys.key_array([bytes.fromhex(pair_id) for pair_id in sorted(in_sheets)])
    stays: set[str] = set()
    for source in root.curated_sources(root_url):
        folder = root.curate_folder(root_url, source)
        for file in commits.require(folder, f"run: {flow.CURATE.command}").under("pairs"):
            table = parquet_files.read_table(folder, file)
            mine = table.filter(pc.is_in(table["pair_id"], value_set=ids))
            if mine.num_rows:
                left = mine.filter(pa.array(~rows.pairs(purge.lists, mine)))
                stays.update(key.hex() for key in left["pair_id"].to_pylist())
    gone = in_sheets - stays
    if gone and not purge.is_dry:
        purge.lock.check()
        labelling.leave_out(root_url, gone)
    return Counter({"texts to be labelled": len(gone)} if gone else {})


def waves(purge: Purge, root_url: str) -> Counter[str]:
    """Purge the images that `pmd refresh` has asked for again; a wave that has not come to its end is removed."""
    removed: Counter[str] = Counter()
    committed = refresh_waves.committed(root_url)
    for date in refresh_waves.dates(root_url):
        folder = refresh_waves.folder_of(root_url, date)
        if date in committed:
            removed["rows of waves"] += _wave(purge, folder, committed[date])
        elif not purge.is_dry:
            commits.retire(folder, purge.lock.check)
    return Counter({kind: count for kind, count in removed.items() if count})


def _wave(purge: Purge, folder: str, commit: Commit) -> int:
    files: list[File] = []
    gone = 0
    for file in commit.files:
        table = parquet_files.read_table(folder, file)
        named = rows.fetched(purge.lists, table) | np.array(
            [any(purge.lists.holds("host", name) for name in people.above(host)) for host in table["host"].to_pylist()],
            bool,
        )
        stays = table.filter(pa.array(~named)).combine_chunks()
        gone += table.num_rows - stays.num_rows
        if purge.is_dry or stays.num_rows == table.num_rows:
            files.append(file)
        else:
            files.append(parquet_files.put_table(folder, _DIGEST.sub("", file.name), stays.cast(refresh_waves.WAVE)))
    if gone and not purge.is_dry:
        commits.claim(folder, purge.lock.epoch)
        purge.lock.check()
        run = {**commit.run, commits.EPOCH: purge.lock.epoch}
        commits.write(folder, dataclasses.replace(commit, files=tuple(files), run=run))
        commits.sweep(folder, purge.lock.check)
    return gone
