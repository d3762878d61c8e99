"""Commits with their books, as they are written: nothing in them need add up.

A stage that commits several folders writes the same books into each (`pmd.flow`); those of its first folder count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from pmd import flow
from pmd.store import commits, root, storage
from pmd.store.commits import STAGE_FILE, Commit


@dataclasses.dataclass(frozen=True)
class Account:
    """The books of one source in one stage."""

    taken: int
    kept: int
    rejected: Mapping[str, int]

    def balances(self) -> bool:
        """Return whether what came in is what was kept and rejected."""
        return self.taken == self.kept + sum(self.rejected.values())


NOTHING: Final = Account(0, 0, {})


@dataclasses.dataclass(frozen=True)
class Committed:
    """One commit and where it stands; `folder` is relative to ROOT."""

    folder: str
    commit: Commit
    accounts: Mapping[str, Account]

    def files(self) -> list[tuple[str, commits.File]]:
        """Return each file with its name relative to ROOT ("fetch/store/…", which a generation names by "../")."""
        return [(within(self.folder, file.name), file) for file in self.commit.files]

    @property
    def source(self) -> str:
        """The source whose commit this is, of a stage that commits by source."""
        kind = flow.kind_of(self.folder)
        assert kind is not None, self.folder
        return kind[0].fields(self.folder)[0]

    def is_of(self, kind: flow.Folder) -> bool:
        """Return whether it stands in such a folder."""
        return kind.holds(self.folder)


def within(folder: str, name: str) -> str:
    """Return a commit's file name relative to ROOT; ".." is resolved, since object stores do not."""
    parts: list[str] = []
    for part in f"{folder}/{name}".split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def read(root_url: str, folder: str, *, damaged: bool = False) -> Committed | None:
    """Return the commit of a folder (relative to ROOT), or None where nothing is committed; see `commits.from_json`."""
    path = storage.join(root_url, folder, STAGE_FILE)
    try:
        content = storage.read_bytes(path)
    except FileNotFoundError:
        return None
    commit = commits.from_json(content, path, damaged=damaged)
    if commit.is_bare:
        return None
    books = orjson.loads(content)["sources"]
    # `Books` adds up by construction; what was written may not.
    accounts = {
        source: Account(int(entry.get("in", -1)), int(entry["kept"]), dict(entry["rejected"]))
        for source, entry in books.items()
    }
    return Committed(folder, commit, accounts)


def read_all(root_url: str, names: Iterable[str]) -> dict[str, Committed]:
    """Return every commit, by its folder; `names` are the files below ROOT."""
    by_folder: dict[str, Committed] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        if last == STAGE_FILE and not folder.startswith(f"{root.WORK}/"):
            committed = read(root_url, folder)
            if committed is not None:
                by_folder[folder] = committed
    return by_folder


def stage_of(folder: str) -> str:
    """Return the name of the stage whose folder this is; of a folder that no stage has, its first part."""
    stage = flow.stage_of(folder)
    return folder.partition("/")[0] if stage is None else stage.name


def accounts_by_stage(by_folder: Mapping[str, Committed]) -> dict[str, dict[str, Account]]:
    """Return stage → source → its books, of the stages that are committed and count pairs, in the order of the flow."""
    accounts: dict[str, dict[str, Account]] = {}
    for stage in flow.COUNTING:
        for committed in by_folder.values():
            if committed.is_of(stage.books):
                accounts.setdefault(stage.name, {}).update(committed.accounts)
    return accounts


def made_of(by_folder: Mapping[str, Committed]) -> list[str]:
    """Return the sources whose pairs the committed images were made of; a source added since is none of them."""
    views = by_folder.get(flow.VIEWS.at())
    if views is None:
        return []
    inputs = views.commit.run.get("inputs", {})
    curated = {committed.source for committed in by_folder.values() if committed.is_of(flow.PAIRS)}
    return sorted({*views.accounts} | (curated & {*inputs}) if inputs else {*views.accounts} | curated)


def formats_of(by_folder: Mapping[str, Committed]) -> list[str]:
    """Return the formats in which shards are committed, sorted."""
    return sorted(form for form, folder in flow.SHARDS.items() if folder.at() in by_folder)
