"""What a lane tells its driver when it is done: the generations that it committed, what they leave open, and how long hosts took.

The driver could read it from commits, ledgers and attempts, some requests a shard. A lane that dies tells nothing: then the
driver does read them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from pmd.store import commits, storage
from pmd.store.commits import Commit
from pmd.text import urls

_ENDING: Final = ".json"


#: Host → its tries, and how long they took (s).
Waits = Mapping[str, tuple[int, float]]


@dataclasses.dataclass(frozen=True)
class Heard:
    """What the generation of a shard has heard, that its commit does not say.

    Attributes:
        bytes: Of the originals.
        waited: How long hosts took; what was not sent is no part of it.
    """

    bytes: int
    waited: Waits


def waited(locations: Sequence[str], seconds: Sequence[float | None]) -> Waits:
    """Return how long each host took, by attempts: their locations, and how long they took."""
    by_beginning: dict[str, list[float]] = {}
    for location, took in zip(locations, seconds, strict=True):
        if took is not None and took > 0:
            # What follows the slash changes no host.
            by_beginning.setdefault(location[: location.find("/", len("https://")) + 1] or location, []).append(took)
    hosts = urls.host(pa.array(by_beginning, pa.string())).to_pylist()
    found: dict[str, tuple[int, float]] = {}
    for host, each in zip(hosts, by_beginning.values(), strict=True):
        if host is not None:  # as of an archive
            tries, before = found.get(host, (0, 0.0))
            found[host] = tries + len(each), before + sum(each)
    return found


@dataclasses.dataclass(frozen=True)
class Done:
    """One shard of a run.

    Attributes:
        commit: That which stands for its generation.
        left: Images that another fetch, asked alike, would ask for.
        heard: None: another worker has committed it, and this one does not know.
    """

    commit: Commit
    left: int
    heard: Heard | None = None

    @property
    def shard(self) -> int:
        """The fetch shard."""
        return int(self.commit.facts["shard"])

    def describe(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        heard = None if self.heard is None else {"bytes": self.heard.bytes, "waited": dict(self.heard.waited)}
        return {"commit": commits.to_json(self.commit).decode(), "left": self.left, "heard": heard}

    @staticmethod
    def of(told: Mapping[str, Any], where: str) -> Done:
        """Return what JSON says."""
        heard = told["heard"]
        if heard is not None:
            heard = Heard(heard["bytes"], {host: (tries, took) for host, (tries, took) in heard["waited"].items()})
        return Done(commits.from_json(told["commit"].encode(), where), told["left"], heard)


@dataclasses.dataclass(frozen=True)
class Reports:
    """The folder of a run's reports."""

    folder: str

    def leave(self, lane: str, done: Iterable[Done]) -> None:
        """Leave what a lane has done; a worker that is doubled replaces it by the same."""
        told = [one.describe() for one in done]
        storage.put(storage.join(self.folder, f"{lane}{_ENDING}"), orjson.dumps(told), durable=False)

    def read(self) -> list[Done]:
        """Return what all lanes have done, in order of their names."""
        paths = [storage.join(self.folder, name) for name in storage.list_files(self.folder) if name.endswith(_ENDING)]
        return [Done.of(one, path) for path in sorted(paths) for one in orjson.loads(storage.read_bytes(path))]
