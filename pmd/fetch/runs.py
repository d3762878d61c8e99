"""One run of fetch, told from the generations that it committed: its images, how fast they came, and which hosts took long."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow.compute as pc

from pmd import flow
from pmd.config import Config
from pmd.fetch.generations.reports import Done, Heard, waited
from pmd.fetch.politeness import hosts
from pmd.schema.statuses import OK
from pmd.store import commits, parquet_files, register, root
from pmd.store.commits import Commit

#: Hosts that are told, at most.
SLOWEST: Final = 10


@dataclasses.dataclass
class Sums:
    """What several generations come to."""

    statuses: Counter[str] = dataclasses.field(default_factory=Counter)
    sources: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    bytes: int = 0
    tries: Counter[str] = dataclasses.field(default_factory=Counter)
    seconds: defaultdict[str, float] = dataclasses.field(default_factory=lambda: defaultdict(float))
    generations: set[tuple[int, int]] = dataclasses.field(default_factory=set)

    def add(self, commit: Commit, heard: Heard) -> None:
        """Add a generation."""
        self.generations.add((commit.facts["shard"], commit.facts["generation"]))
        self.statuses.update(commit.run["statuses"])
        for source, books in commit.sources.items():
            self.sources.setdefault(source, Counter()).update({OK: books.kept, **books.rejected})
        self.bytes += heard.bytes
        for host, (tries, seconds) in heard.waited.items():
            self.tries[host] += tries
            self.seconds[host] += seconds


def summed(done: Iterable[Done]) -> Sums:
    """Return what the lanes of a run have told: their commits are many, and who tells of the run needs but sums."""
    found = Sums()
    for one in done:
        if one.heard is not None:
            found.add(one.commit, one.heard)
    return found


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run knows of itself.

    Attributes:
        first: Fetch shard → its first generation that this run may have written; shards without work are not in it.
        seconds: How long it took, from the first lane's beginning to the last one's end.
        is_cut: Whether its time was up before it was done.
        told: What its lanes have told; of other generations their files tell.
    """

    first: Mapping[int, int] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    is_cut: bool = False
    told: Sums = dataclasses.field(default_factory=Sums)


def tell(config: Config, run: Run) -> dict[str, Any]:
    """Return a run as JSON has it.

    Returns:
        ``images`` that the run settled, ``bytes`` of their originals, ``seconds``, ``images_per_s``, ``mb_per_s`` (10⁶ bytes);
        ``is_cut`` (its time was up before it was done); ``generations`` that it committed; ``statuses``: status → images;
        ``sources``: source → status → images, each once
        for every source that shows it; ``slowest_hosts``: those that were waited for longest in all, at most ``SLOWEST`` of
        them, each with its tries and seconds (turns of politeness are no part of them); ``pairs``: source → in, kept,
        rejected by reason, of all runs so far.
    """
    sums = _sums(config.root, run)
    images = sums.statuses.total()
    standing = commits.read(root.fetch_rejected_folder(config.root))
    pairs = {} if standing is None else standing.sources
    return {
        "images": images,
        "bytes": sums.bytes,
        "seconds": round(run.seconds, 3),
        "images_per_s": _rate(images, run.seconds),
        "mb_per_s": _rate(sums.bytes / 1e6, run.seconds),
        "is_cut": run.is_cut,
        "generations": len(sums.generations),
        "statuses": _sorted(sums.statuses),
        "sources": {source: _sorted(counts) for source, counts in sorted(sums.sources.items())},
        "slowest_hosts": _slowest(sums, config.fetch.host_groups),
        "pairs": {
            source: {"in": books.total, "kept": books.kept, "rejected": dict(sorted(books.rejected.items()))}
            for source, books in sorted(pairs.items())
        },
    }


def _sums(root_folder: str, run: Run) -> Sums:
    """Return what a run has committed; what its lanes have told of is not read."""
    found = copy.deepcopy(run.told)
    known = register.current(root_folder) if run.first else None
    for shard, first in sorted(run.first.items()):
        for generation in () if known is None else known.of(shard):
            if generation.number >= first and (shard, generation.number) not in found.generations:
                commit = commits.require(generation.folder, f"run: {flow.FETCH.command}")
                found.add(commit, _read_generation(generation.folder, commit))
    return found


def _read_generation(folder: str, commit: Commit) -> Heard:
    """Return what a generation's files say."""
    size = 0
    locations: list[str] = []
    seconds: list[float | None] = []
    for file in commit.files:
        path = commits.path_of(folder, file.name)
        if "/attempts/" in file.name:
            for batch in parquet_files.iterate(path, ("location", "seconds")):
                locations += batch["location"].to_pylist()
                seconds += batch["seconds"].to_pylist()
        elif not file.name.startswith("../"):
            size += sum(pc.sum(batch["bytes"]).as_py() or 0 for batch in parquet_files.iterate(path, ("bytes",)))
    return Heard(size, waited(locations, seconds))


def _slowest(sums: Sums, groups: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the groups of hosts that were waited for longest."""
    named = {host: name for name, of_group in groups.items() for host in of_group}
    tries: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for host, count in sums.tries.items():
        name = hosts.group_name(host, named)
        tries[name] += count
        seconds[name] += sums.seconds[host]
    longest = sorted(seconds.items(), key=lambda item: (-item[1], item[0]))[:SLOWEST]
    return [
        {
            "host": name,
            "tries": tries[name],
            "seconds": round(took, 3),
            "seconds_per_try": round(took / tries[name], 3),
        }
        for name, took in longest
    ]


def _rate(count: float, seconds: float) -> float:
    return round(count / seconds, 3) if seconds else 0.0


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count}
