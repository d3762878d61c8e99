"""What stands under a ROOT: each commit is read once, however many stages ask for it.

A build judges some forty units, and most of them look at what the same commits say. Who holds ROOT's lock makes a picture of it
and passes it on; when a stage has run, a new one takes its place (`after`). Nobody else may commit meanwhile.
"""

from __future__ import annotations

import functools
from typing import Any

from pmd import flow
from pmd.errors import RootError
from pmd.store import commits, register, storage
from pmd.store.commits import STAGE_FILE, Commit
from pmd.store.register import Register


class Standing:
    """A picture of one moment, as far as it has been looked at.

    Args:
        root: ROOT.
        generations: What stands of the fetch, where that is known; by default it is found out when it is first asked for.
    """

    def __init__(self, root: str, generations: Register | None = None) -> None:
        self.root = root
        self._commits: dict[str, Commit | None] = {}
        #: What stages have found out of all generations, for them to be remembered (`register.answered`).
        self.found: dict[str, Any] = {}
        if generations is not None:
            self.generations = generations

    @functools.cached_property
    def generations(self) -> Register:
        """What stands of the fetch."""
        return register.current(self.root)

    def commit(self, folder: str) -> Commit | None:
        """Return the commit of a folder, or None where nothing is committed; see `commits.read`."""
        if folder not in self._commits:
            self._commits[folder] = commits.read(folder)
        return self._commits[folder]

    def require(self, folder: str, remedy: str = "run: pmd build CONFIG") -> Commit:
        """Return the commit of a folder.

        Raises:
            RootError: Nothing is committed there.
        """
        commit = self.commit(folder)
        if commit is None:
            raise RootError("nothing is committed here", where=folder, expected=STAGE_FILE, remedy=remedy)
        return commit

    def digest(self, folder: str) -> str:
        """Return the digest of what is committed in a folder.

        Raises:
            RootError: Nothing is.
        """
        return self.require(folder).digest()

    @functools.cached_property
    def curated(self) -> tuple[str, ...]:
        """The sources that have a curate commit, sorted."""
        return self._sources(flow.PAIRS)

    @functools.cached_property
    def published(self) -> tuple[str, ...]:
        """The sources whose list is committed, sorted."""
        return self._sources(flow.LISTS)

    def _sources(self, kind: flow.Folder) -> tuple[str, ...]:
        folders = (f"{kind.above}/{name}" for name in storage.list_names(storage.join(self.root, kind.above)))
        return tuple(
            sorted(
                kind.fields(folder)[0]
                for folder in folders
                if kind.holds(folder) and self.commit(storage.join(self.root, folder)) is not None
            )
        )

    def after(self, stage: flow.Stage) -> Standing:
        """Return what stands when a stage has run: its own commits, and what may write generations, are looked at anew."""
        if stage.ledger is not None:  # and those before it may have been run anew
            return Standing(self.root)
        later = Standing(self.root, self.__dict__.get("generations"))
        prefix = f"{self.root.rstrip('/')}/"
        later._commits = {
            folder: commit
            for folder, commit in self._commits.items()
            if flow.stage_of(folder.removeprefix(prefix)) != stage
        }
        return later

    def knowing(self, generations: Register) -> Standing:
        """Return the same with what stands of the fetch as it was just written."""
        later = Standing(self.root, generations)
        later._commits = self._commits
        return later
