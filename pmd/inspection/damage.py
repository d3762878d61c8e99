"""Damage: which committed files are not as they were written, and whose they are; for `pmd repair`.

A ROOT is looked through once, front to back. Here nothing is mended and no row is judged: `pmd verify` recounts. What can be
had back, and how, follows from whose file it is: a stage makes its own again from what stands before it; what came from the
web stands in a generation of the fetch (`pmd.fetch.generations.mend`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence

from pmd import flow
from pmd.books.committed import Committed, read, stage_of
from pmd.errors import PmdError
from pmd.publish import checking
from pmd.store import commits, root, sealed, storage

#: Told of (bytes read so far, bytes in all).
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Damage:
    """One file that is not as it was written.

    Attributes:
        folder: Of the commit that it belongs to, relative to ROOT; "" for `root.json`; that of the release has none.
        name: The file, relative to ROOT.
        expected: What it was.
        found: What is there.
    """

    folder: str
    name: str
    expected: str
    found: str

    @property
    def stage(self) -> str:
        """The stage that wrote it; "" for `root.json`."""
        return stage_of(self.folder) if self.folder else ""

    @property
    def unit(self) -> tuple[str, str]:
        """Stage and unit that write it: a source's, or "all"."""
        kind = flow.kind_of(self.folder)
        by_source = kind is not None and kind[1].unit == "source"
        return self.stage, kind[0].fields(self.folder)[0] if kind is not None and by_source else "all"

    @property
    def is_fetched(self) -> bool:
        """Whether it came from the web, so that no stage can make it again from files."""
        return flow.GENERATION.holds(self.folder)

    @property
    def generation(self) -> tuple[int, int]:
        """Fetch shard and generation of what came from the web."""
        shard, number = map(int, flow.GENERATION.fields(self.folder))
        return shard, number

    def describe(self) -> dict[str, str]:
        """Return it as `--json` tells it."""
        return {"place": self.name, "expected": self.expected, "found": self.found}


def survey(root_url: str, progress: Progress | None = None, only: Collection[str] | None = None) -> list[Damage]:
    """Return every damaged file of a ROOT, in order of names.

    Args:
        root_url: ROOT.
        progress: Told how far it is.
        only: The folders of the commits that are looked at; by default all.
    """
    damaged = _root_file(root_url)
    standing: list[Committed] = []
    names = storage.list_files(root_url)
    for stage in flow.STAGES:
        there = {folder for folder in stage.together if f"{folder.path}/{commits.STAGE_FILE}" in names}
        for lacking in (folder for folder in stage.together if there and folder not in there):
            damaged.append(Damage(lacking.path, f"{lacking.path}/{commits.STAGE_FILE}", "a commit", "nothing"))
    damaged += _skipped(names)
    for name in names:
        folder, _, last = name.rpartition("/")
        if last != commits.STAGE_FILE or not folder or folder.startswith(f"{root.WORK}/"):
            continue
        if only is not None and folder not in only:
            continue
        try:
            committed = read(root_url, folder)
        except (PmdError, KeyError, TypeError, ValueError) as error:
            damaged.append(Damage(folder, name, "a commit", str(error).splitlines()[0]))
            continue
        if committed is not None:
            standing.append(committed)
    if only is None or flow.RELEASE in only:
        damaged += _released(root_url, names, standing)
    return sorted([*damaged, *_files(root_url, standing, progress)], key=lambda damage: damage.name)


def _skipped(names: Sequence[str]) -> Iterator[Damage]:
    """Yield the commits that are gone, of stages that are not a source's own: of what they made another stage's commit stands.

    So it is where a repair was killed between the removal of a damaged commit and the next one.
    """
    folders = [name.rpartition("/")[0] for name in names if name.endswith(f"/{commits.STAGE_FILE}")]
    there = {stage.name for stage in flow.STAGES if any(map(stage.books.holds, folders))}
    for stage in flow.STAGES:
        before = flow.BY_NAME[stage.after] if stage.after is not None and stage.counts_pairs else None
        if before is None or stage.name not in there or before.name in there or before.unit == "source":
            continue
        if not any(folder.path in folders for folder in before.together):  # else it is half of a stage's commits
            yield Damage(before.books.path, f"{before.books.path}/{commits.STAGE_FILE}", "a commit", "nothing")


def _root_file(root_url: str) -> list[Damage]:
    try:
        if "fetch_shard_bits" in (root.describe(root_url) or {}):
            root.fetch_shard_bits(root_url)
    except PmdError as error:
        return [Damage("", root.ROOT_FILE, error.expected or "", error.found or "")]
    return []


def _released(root_url: str, names: Sequence[str], standing: Sequence[Committed]) -> list[Damage]:
    """Return the files of the release that are gone or damaged; no commit lists them."""
    found = checking.check(root_url, checking.names_in(names), checking.lists_in(standing))
    return [
        Damage(flow.RELEASE, one.name, one.expected, one.found) for one in found.problems if one.what in checking.MENDED
    ]


def _files(root_url: str, standing: Sequence[Committed], progress: Progress | None) -> list[Damage]:
    total, done = sum(file.bytes for committed in standing for file in committed.commit.files), 0
    damaged = []
    for committed in standing:
        for name, file in committed.files():
            state = sealed.measured(storage.join(root_url, name))
            if state != (file.bytes, file.sha256):
                expected = f"{file.bytes} bytes, sha256 {file.sha256}"
                damaged.append(Damage(committed.folder, name, expected, sealed.in_words(state)))
            done += file.bytes
            if progress is not None:
                progress(done, total)
    return damaged


def must_run(*, damaged: bool, committed: bool, was_fresh: bool | None, why: str | None) -> bool:
    """Return whether a repair runs a unit: its own files are damaged, or it followed what stands before it and does not now.

    What was stale before the repair, or never ran, is left to `pmd build`.

    Args:
        damaged: Whether any of its files are.
        committed: Whether it has a commit.
        was_fresh: Whether its commit was fresh before; None: what stands before it could not be read.
        why: Why it must run now; None: its commit is fresh.
    """
    return damaged or (committed and was_fresh is not False and why is not None)
