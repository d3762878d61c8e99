"""Generations that wait for the end of their run: what a lane could not reach before any host had answered it.

Where no host answers in a whole run it is our network that is broken, and that nothing could be reached says nothing of the
images: they must stay open. A lane cannot know what other lanes hear, nor what it will hear itself. So it writes the
generation that would settle such images whole, but leaves the commit in the run's work folder, and beside it word of an
answer. When all lanes have ended, the driver commits all of them or none (`store.end_waiting`); after a kill, none.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from pmd.store import commits, storage
from pmd.store.commits import Commit

_ANSWERED: Final = "answered-"
_COMMIT: Final = ".json"


@dataclasses.dataclass(frozen=True)
class Waiting:
    """The folder of a run's waiting commits, and of word that hosts answered."""

    folder: str

    def leave(self, commit: Commit) -> None:
        """Leave the commit of a generation; its facts say of which. A shard has one: a worker that is doubled replaces it."""
        storage.put(
            storage.join(self.folder, f"shard={commit.facts['shard']:05d}{_COMMIT}"),
            commits.to_json(commit),
            durable=False,
        )

    def answered(self, lane: str) -> None:
        """Leave word that a host answered a lane, whatever it said."""
        storage.put(storage.join(self.folder, f"{_ANSWERED}{lane}"), b"", durable=False)

    def is_answered(self) -> bool:
        """Return whether any lane was answered."""
        return any(name.startswith(_ANSWERED) for name in storage.list_files(self.folder))

    def left(self) -> list[Commit]:
        """Return the commits, in order of their shards."""
        paths = (storage.join(self.folder, name) for name in storage.list_files(self.folder) if name.endswith(_COMMIT))
        return [commits.from_json(storage.read_bytes(path), path) for path in sorted(paths)]
