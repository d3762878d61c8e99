"""The end of a pipeline: what all workers have handed on becomes the proposal of a commit for each of the stage's folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pyarrow as pa

from pmd.engines.transforms import Collected
from pmd.store import proposals
from pmd.store.commits import Books, Commit
from pmd.store.proposals import Proposal
from pmd.store.wanted import Wanted

#: What a stage adds to a proposal that only the collected outputs tell: facts, or files of a fixed name. Picklable.
Complete = Callable[[Proposal, Collected], Proposal]


@dataclasses.dataclass(frozen=True)
class Target:
    """A folder that is committed.

    Attributes:
        stage: The stage's name.
        folder: Where.
        hash: Of all that it depends on.
        run: Its `run` section, as JSON.
        kind: Which of the stage's files are its own, by what stands before the colon in their names; None: all, which have none.
        sources: Those whose books are its own, as are the facts of its kind; None: all.
        facts: What is known before the outputs are.
        complete: Adds what is known only now.
    """

    stage: str
    folder: str
    hash: str
    run: bytes
    kind: str | None = None
    sources: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    complete: Complete | None = None

    def proposal(self, found: Collected, books: Mapping[str, Books]) -> Proposal:
        """Return the commit that is proposed for the folder."""
        mine = self._mine(found, books)
        commit = Commit(self.stage, mine.files, mine.books, self.hash, orjson.loads(self.run), self.facts)
        proposal = Proposal(self.folder, commit)
        return proposal if self.complete is None else self.complete(proposal, mine)

    def _mine(self, found: Collected, books: Mapping[str, Books]) -> Collected:
        """Return what of all outputs is this folder's, without its kind; books and facts are of all where it names no sources."""
        files, facts = found.files, found.facts
        if self.kind is not None:
            prefix = f"{self.kind}:"
            files = tuple(
                dataclasses.replace(file, name=file.name.removeprefix(prefix))
                for file in files
                if file.name.startswith(prefix)
            )
            if self.sources is not None:
                facts = tuple(fact.removeprefix(prefix) for fact in facts if fact.startswith(prefix))
        named = {source: book for source, book in books.items() if self.sources is None or source in self.sources}
        return Collected(files, named, facts)


def of_kind(kind: str, outputs: pa.RecordBatch) -> pa.RecordBatch:
    """Return outputs whose files and facts say which target's they are (`Target.kind`)."""
    rows = outputs.to_pylist()
    for row in rows:
        row |= {name: f"{kind}:{row[name]}" for name in ("name", "fact") if row[name] is not None}
    return pa.RecordBatch.from_pylist(rows, schema=outputs.schema)


def target(wanted: Wanted, told: Mapping[str, Any] | None = None, **more: Any) -> Target:
    """Return the target that answers what is wanted.

    Args:
        wanted: What is.
        told: What its `run` section says besides.
        more: Fields of `Target`.
    """
    run = orjson.dumps(wanted.run(**(told or {})))
    return Target(**{"stage": wanted.stage, "folder": wanted.folder, "hash": wanted.hash, **more}, run=run)


@dataclasses.dataclass(frozen=True)
class CommitStage:
    """Propose the commits of a stage.

    Attributes:
        work: The folder of this run.
        targets: In the order in which they are committed.
        sources: Sources that stand in the books even where no row tells of them.
    """

    work: str
    targets: tuple[Target, ...]
    sources: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """The stage's name."""
        return self.targets[0].stage

    def __call__(self, found: Collected) -> None:
        """Propose them."""
        books = {source: Books() for source in self.sources} | found.books
        proposals.leave(self.work, [target.proposal(found, books) for target in self.targets])
