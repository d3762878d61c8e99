"""What a lane tells its driver when it is done: the generations that it committed, and what they leave open.

The driver could read it from the commits, a request each. A lane that dies tells nothing; then the driver does read them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

import orjson

from pmd.store import commits, storage
from pmd.store.commits import Commit

_ENDING: Final = ".json"


@dataclasses.dataclass(frozen=True)
class Done:
    """One shard: the commit that stands for its generation, and the images that another fetch, asked alike, would ask for."""

    commit: Commit
    left: int

    @property
    def shard(self) -> int:
        """The fetch shard."""
        return int(self.commit.facts["shard"])


@dataclasses.dataclass(frozen=True)
class Reports:
    """The folder of a run's reports."""

    folder: str

    def leave(self, lane: str, done: Iterable[Done]) -> None:
        """Leave what a lane has done; a worker that is doubled replaces it by the same."""
        told = [{"commit": commits.to_json(one.commit).decode(), "left": one.left} for one in done]
        storage.put(storage.join(self.folder, f"{lane}{_ENDING}"), orjson.dumps(told), durable=False)

    def read(self) -> list[Done]:
        """Return what all lanes have done, in order of their names."""
        paths = [storage.join(self.folder, name) for name in storage.list_files(self.folder) if name.endswith(_ENDING)]
        return [
            Done(commits.from_json(one["commit"].encode(), path), int(one["left"]))
            for path in sorted(paths)
            for one in orjson.loads(storage.read_bytes(path))
        ]
