"""One run of fetch, told from the generations that it committed: its images, how fast they came, and which hosts took long."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow.compute as pc

from pmd import flow
from pmd.config import Config
from pmd.fetch import hosts
from pmd.fetch.reports import Done, Heard, Waits, waited
from pmd.schema.statuses import OK
from pmd.store import commits, register, root
from pmd.store.commits import Commit

#: Hosts that are told, at most.
SLOWEST: Final = 10


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run knows of itself.

    Attributes:
        first: Fetch shard → its first generation that this run may have written; shards without work are not in it.
        seconds: How long it took, from the first lane's beginning to the last one's end.
        is_cut: Whether its time was up before it was done.
        done: What its lanes have told; of other generations their files tell.
    """

    first: Mapping[int, int] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    is_cut: bool = False
    done: Sequence[Done] = ()


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
    statuses: Counter[str] = Counter()
    sources: dict[str, Counter[str]] = {}
    size = generations = 0
    asked = _Asked(config.fetch.host_groups)
    for commit, heard in _generations(config.root, run):
        generations += 1
        statuses.update(commit.run["statuses"])
        for source, books in commit.sources.items():
            sources.setdefault(source, Counter()).update({OK: books.kept, **books.rejected})
        asked.add(heard.waited)
        size += heard.bytes
    images = statuses.total()
    standing = commits.read(root.fetch_rejected_folder(config.root))
    pairs = {} if standing is None else standing.sources
    return {
        "images": images,
        "bytes": size,
        "seconds": round(run.seconds, 3),
        "images_per_s": _rate(images, run.seconds),
        "mb_per_s": _rate(size / 1e6, run.seconds),
        "is_cut": run.is_cut,
        "generations": generations,
        "statuses": _sorted(statuses),
        "sources": {source: _sorted(counts) for source, counts in sorted(sources.items())},
        "slowest_hosts": asked.slowest(),
        "pairs": {
            source: {"in": books.total, "kept": books.kept, "rejected": dict(sorted(books.rejected.items()))}
            for source, books in sorted(pairs.items())
        },
    }


def _generations(root_folder: str, run: Run) -> Iterator[tuple[Commit, Heard]]:
    """Yield what the run has committed; what its lanes have told of is not read."""
    told = {(one.shard, one.commit.facts["generation"]): one for one in run.done}
    known = register.current(root_folder) if run.first else None
    for shard, first in sorted(run.first.items()):
        for generation in () if known is None else known.of(shard):
            if generation.number < first:
                continue
            done = told.get((shard, generation.number))
            if done is not None and done.heard is not None:
                yield done.commit, done.heard
            else:
                commit = commits.require(generation.folder, f"run: {flow.FETCH.command}")
                yield commit, _heard(generation.folder, commit)


def _heard(folder: str, commit: Commit) -> Heard:
    """Return what a generation's files say."""
    size = 0
    locations: list[str] = []
    seconds: list[float | None] = []
    for file in commit.files:
        path = commits.path_of(folder, file.name)
        if "/attempts/" in file.name:
            for batch in commits.iterate(path, ("location", "seconds")):
                locations += batch["location"].to_pylist()
                seconds += batch["seconds"].to_pylist()
        elif not file.name.startswith("../"):
            size += sum(pc.sum(batch["bytes"]).as_py() or 0 for batch in commits.iterate(path, ("bytes",)))
    return Heard(size, waited(locations, seconds))


class _Asked:
    """Tries and seconds of each host group."""

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self._named = {host: name for name, named in groups.items() for host in named}
        self._tries: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, waits: Waits) -> None:
        for host, (tries, seconds) in waits.items():
            name = hosts.group_name(host, self._named)
            self._tries[name] += tries
            self._seconds[name] += seconds

    def slowest(self) -> list[dict[str, Any]]:
        longest = sorted(self._seconds.items(), key=lambda item: (-item[1], item[0]))[:SLOWEST]
        return [
            {
                "host": name,
                "tries": self._tries[name],
                "seconds": round(seconds, 3),
                "seconds_per_try": round(seconds / self._tries[name], 3),
            }
            for name, seconds in longest
        ]


def _rate(count: float, seconds: float) -> float:
    return round(count / seconds, 3) if seconds else 0.0


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count}
