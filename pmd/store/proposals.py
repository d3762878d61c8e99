"""What a pipeline asks its driver to commit.

Workers write files, but only the driver holds ROOT's lock, so only it replaces commits: a worker that outlives its run, or a
job that a cluster runs on without its driver, changes nothing that anybody reads. The last step of a pipeline leaves a proposal
in the run's work folder; a worker that is doubled leaves the same once more.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from pmd.store import commits, storage, versions
from pmd.store.commits import Commit, File
from pmd.store.lock import Lock

_FILE: Final = "proposal.json"


@dataclasses.dataclass(frozen=True)
class Proposal:
    """One commit.

    Attributes:
        folder: Where it is to stand.
        commit: Without the files of `fixed`.
        fixed: Small files of names without a digest. They would change under the old commit's readers if a worker wrote them.
    """

    folder: str
    commit: Commit
    fixed: Mapping[str, bytes] = dataclasses.field(default_factory=dict)

    def with_facts(self, facts: Mapping[str, Any]) -> Proposal:
        """Return the same with these facts in the place of the commit's."""
        return dataclasses.replace(self, commit=dataclasses.replace(self.commit, facts=facts))


def leave(work: str, proposals: Sequence[Proposal]) -> None:
    """Leave all proposals of a run in its work folder, in the order in which they are to be committed."""
    content = [
        {
            "folder": proposal.folder,
            "commit": commits.to_json(proposal.commit).decode(),
            "fixed": {name: base64.b64encode(content).decode() for name, content in proposal.fixed.items()},
        }
        for proposal in proposals
    ]
    storage.put(storage.join(work, _FILE), orjson.dumps(content), durable=False)


def read(work: str) -> list[Proposal]:
    """Return the proposals of a run; none where it left none."""
    path = storage.join(work, _FILE)
    if not storage.exists(path):
        return []
    return [
        Proposal(
            item["folder"],
            commits.from_json(item["commit"].encode(), path),
            {name: base64.b64decode(content) for name, content in item["fixed"].items()},
        )
        for item in orjson.loads(storage.read_bytes(path))
    ]


def accept(proposals: Sequence[Proposal], lock: Lock) -> None:
    """Commit, under the epoch of the lock that this process holds; then remove what the commits before listed.

    The folders were claimed for it.

    Raises:
        RootError: The lock was lost.
    """
    for proposal in proposals:
        files = [*proposal.commit.files]
        if proposal.fixed:
            commits.open_for_change(proposal.folder, lock.epoch)
        for name, content in sorted(proposal.fixed.items()):
            _put_of_fixed_name(storage.join(proposal.folder, name), content, lock)
            files.append(File(name, len(content), 0, commits.sha256(content)))
        lock.check()
        run = {**proposal.commit.run, commits.EPOCH: lock.epoch}
        commits.write(proposal.folder, dataclasses.replace(proposal.commit, files=tuple(files), run=run))
    for proposal in proposals:
        commits.sweep(proposal.folder, lock.check)


def _put_of_fixed_name(path: str, content: bytes, lock: Lock) -> None:
    """Write a file of a fixed name, unless another writer has done so since this one held the lock."""
    seen = versions.read(path)
    lock.check()
    if not versions.make_stand(path, content, seen):
        lock.check()
        raise commits.superseded(path, None, lock.epoch)
