"""Power cuts at each step of each kind of commit: what a commit lists is whole, and none that was there is lost.

Each kind is also tried with each of its synchronisations left out: that some cut then does harm shows that none is for nothing,
and that the check would notice.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pmd.errors import PmdError
from pmd.fetch.generations import claims, store
from pmd.fetch.generations.tar import StoreTar
from pmd.fetch.ledger import state
from pmd.store import commits, lock, parquet_files, proposals, register, root
from pmd.store.commits import Books, Commit
from pmd.store.lock import Lock, State
from pmd.store.proposals import Proposal
from tests.store.power_cuts import Moment, Recorder

EPOCH = 7
PART = "part-00000-of-00001"


def commit(*files: commits.File, epoch: int = EPOCH) -> Commit:
    return Commit("images", files, {"coco": Books(2)}, "0" * 32, {commits.EPOCH: epoch})


def put(folder: Path, prefix: str, value: int) -> commits.File:
    return parquet_files.put_table(str(folder), prefix, pa.table({"x": [value] * 100}))


def standing(top: Path, value: int = 1, prefix: str = f"pairs/{PART}") -> None:
    """Commit something before the recording begins."""
    folder = top / "views"
    commits.claim(str(folder), 3)
    commits.write(str(folder), commit(put(folder, prefix, value), epoch=3))


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of commit: what stands before, and what is recorded."""

    before: Callable[[Path], None]
    act: Callable[[Path], None]
    #: What a reader finds at the end, whatever happens then; None: no commit.
    holds: Callable[[Path], bool]


def _stage(top: Path) -> None:
    folder = top / "views"
    commits.claim(str(folder), EPOCH)
    made = commit(put(folder, f"pairs/{PART}", 2), put(folder, f"rejected/{PART}", 3))
    proposals.accept([Proposal(str(folder), made)], Lock(str(top), EPOCH, State()))


def _fixed(top: Path) -> None:
    folder = top / "audit"
    commits.claim(str(folder), EPOCH)
    fixed = {"audit.json": b"{}", "report.html": b"<p>"}
    proposals.accept([Proposal(str(folder), commit(), fixed)], Lock(str(top), EPOCH, State()))


def _generation(top: Path) -> None:
    known = claims.begin(register.current(str(top)), [2], EPOCH)
    with StoreTar(state.shard_folder(str(top), "store", 2)) as tar:
        tar.add("0a.jpg", b"picture")
        tar_file = tar.finish()
    assert tar_file is not None
    folder = root.ledger_folder(str(top), 2, 0)
    ledger = put(Path(folder), "ledger", 4)
    made = dataclasses.replace(
        commit(store.elsewhere(tar_file, "store", 2), ledger), facts={"shard": 2, "generation": 0}
    )
    store.commit_generation(str(top), made)
    claims.end(known, [2], EPOCH)


def _is_committed(folder: str, hashed: str = "0" * 32, *, least: int = EPOCH) -> Callable[[Path], bool]:
    def holds(top: Path) -> bool:
        found = commits.read(str(top / folder))
        return found is not None and found.hash == hashed and int(found.run[commits.EPOCH]) >= least

    return holds


def _nothing(_: Path) -> None:
    pass


KINDS = {
    "a first commit": Kind(_nothing, _stage, _is_committed("views")),
    "a commit in place of another": Kind(standing, _stage, _is_committed("views")),
    "files of fixed names": Kind(_nothing, _fixed, _is_committed("audit")),
    "a generation of the fetch": Kind(_nothing, _generation, _is_committed("fetch/ledger/shard=00002/generation=0000")),
    "a commit that is retired": Kind(
        standing,
        lambda top: commits.retire(str(top / "views")),
        lambda top: commits.read(str(top / "views")) is None,
    ),
    "what is chosen once": Kind(
        _nothing, lambda top: root.create(str(top), 5), lambda top: root.describe(str(top)) is not None
    ),
    "the epoch of a writer": Kind(
        _nothing,
        lambda top: lock._keep(str(top), State(9, None, ended=False)),
        lambda top: lock.read(str(top)).epoch == 9,
    ),
}


def broken(top: Path) -> Iterator[str]:
    """Yield what the shipped reader finds wrong below a folder."""
    for path in sorted(top.rglob(commits.STAGE_FILE)):
        folder = str(path.parent)
        try:
            found = commits.read(folder)
        except PmdError as error:
            yield str(error)
            continue
        for file in found.files if found is not None else ():
            listed = Path(commits.path_of(folder, file.name))
            content = listed.read_bytes() if listed.exists() else None
            if content is None or hashlib.sha256(content).hexdigest() != file.sha256:
                yield f"{file.name}: {'gone' if content is None else f'{len(content)} bytes of {file.bytes}'}"
    if (top / root.ROOT_FILE).exists():
        try:
            root.describe(str(top))
        except PmdError as error:
            yield str(error)
    if (top / lock.STATE_FILE).exists():
        try:
            lock.read(str(top))
        except PmdError as error:
            yield str(error)


def harm(moments: list[Moment], kind: Kind, had: bool, folder: Path) -> Iterator[str]:
    """Yield what cuts do: what is listed and not whole, a commit lost that was there, one lost that was acknowledged."""
    tried: set[str] = set()
    for number, moment in enumerate(moments):
        for view, names in moment.views():
            seen = repr((names, moment.content))
            if seen in tried and number < len(moments) - 1:
                continue
            tried.add(seen)
            shutil.rmtree(folder, ignore_errors=True)
            moment.build(names, folder)
            for found in broken(folder):
                yield f"after {moment.step}, {view}: {found}"
            if had and not any(folder.rglob(commits.STAGE_FILE)) and kind is not KINDS["a commit that is retired"]:
                yield f"after {moment.step}, {view}: what was committed before is lost"
            if number == len(moments) - 1 and not _holds(kind, folder):
                yield f"at the end, {view}: what was acknowledged is lost"


def _holds(kind: Kind, folder: Path) -> bool:
    try:
        return kind.holds(folder)
    except PmdError:
        return False


def record(kind: Kind, top: Path, forgotten: int | None = None) -> Recorder:
    top.mkdir()
    kind.before(top)
    recorder = Recorder(top, forgotten)
    with recorder.recording():
        kind.act(top)
    return recorder


@pytest.mark.parametrize("name", KINDS)
def test_what_a_commit_lists_is_whole_after_a_cut_at_any_step(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    recorder = record(kind, tmp_path / "root")
    assert len(recorder.moments) >= 3
    assert kind.holds(tmp_path / "root")
    assert list(harm(recorder.moments, kind, kind.before is standing, tmp_path / "cut")) == []


@pytest.mark.parametrize("name", KINDS)
def test_none_of_the_synchronisations_is_for_nothing(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    undisturbed = record(kind, tmp_path / "root")
    assert undisturbed.synchronised
    for forgotten, path in enumerate(undisturbed.synchronised):
        recorder = record(kind, tmp_path / f"root-{forgotten}", forgotten)
        found = next(harm(recorder.moments, kind, kind.before is standing, tmp_path / f"cut-{forgotten}"), None)
        assert found is not None, f"fsync {forgotten} of {path} does nothing for {name}: {undisturbed.synchronised}"
