"""What a run that did not end has left goes with the next one, whatever that is asked for; nothing else does."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from pathlib import Path

import pytest

from pmd.errors import RootError
from pmd.store import commits, leftovers, lock, root, storage, versions
from pmd.store.commits import Books, Commit
from pmd.store.versions import Versioned

PART = "part-00000-of-00001"
TEMPORARY = f"{storage.TEMPORARY}{'0' * 32}"


def killed(where: str) -> None:
    """Leave a ROOT as a run does that is killed between its commit and the removal of what the commit before listed."""
    with root.writer(where, "pmd build") as held:
        folder = root.images_folder(where)
        commits.claim(folder, held.epoch)
        file = commits.put_content(folder, PART, ".parquet", b"new", 1)
        commits.write(folder, Commit("images", (file,), {"coco": Books()}, "h", {commits.EPOCH: held.epoch}))
        commits.put_content(folder, PART, ".parquet", b"old", 1)
        storage.put(storage.join(root.shards_folder(where, "parquet"), "00000-of-00001-01234567.parquet"), b"old")
        for name in (TEMPORARY, f"audit/{TEMPORARY}", f"fetch/hosts/{TEMPORARY}"):
            storage.put(storage.join(where, name), b"half")
        for name in (
            "images/holiday.jpg",
            "letter.txt",
            "fetch/hosts/robots-lane-00000.jsonl",
            f"images/{PART}.parquet",
        ):
            storage.put(storage.join(where, name), b"precious")
        commits.claim(root.audit_folder(where), held.epoch)
    state = lock.read(where)
    storage.put(storage.join(where, lock.STATE_FILE), lock.State(state.epoch, state.last, ended=False).to_json())


def names(where: str) -> set[str]:
    return set(storage.list_files(where)) - {lock.STATE_FILE, lock.LOCK_FILE}


KEPT = {
    "images/_stage.json",
    f"images/{PART}-{commits.sha256(b'new')[:16]}.parquet",
    "images/holiday.jpg",
    "letter.txt",
    "fetch/hosts/robots-lane-00000.jsonl",
    f"images/{PART}.parquet",
}


def test_the_next_run_removes_it_though_it_has_nothing_to_do(tmp_path: Path) -> None:
    where = str(tmp_path)
    killed(where)
    assert len(names(where) - KEPT) == 6
    with root.writer(where, "pmd build"):
        assert names(where) == KEPT
    assert not (tmp_path / "shards").exists()
    assert not (tmp_path / "audit").exists()


def test_another_root_that_stands_in_it_keeps_what_its_writer_is_writing(tmp_path: Path) -> None:
    where, other = str(tmp_path), str(tmp_path / "small")
    killed(where)
    name = f"{root.images_folder(other)}/{PART}.parquet"
    with root.writer(other, "pmd build (small)"):
        with storage.write_whole(name) as file, root.writer(where, "pmd build"):
            file.write(b"whole")
            assert {one for one in names(where) if not one.startswith("small/")} == KEPT
        assert storage.read_bytes(name) == b"whole"


def test_a_worker_of_that_run_that_is_still_alive_commits_nothing_any_more(tmp_path: Path) -> None:
    where = str(tmp_path)
    killed(where)
    epoch = lock.read(where).epoch
    with root.writer(where, "pmd build"), pytest.raises(RootError, match="a later run has taken over"):
        commits.write_if_absent(root.audit_folder(where), Commit("audit", (), {}, "h", {commits.EPOCH: epoch}))
    assert names(where) == KEPT


def test_nothing_is_removed_where_a_commit_cannot_be_read(tmp_path: Path) -> None:
    where = str(tmp_path)
    killed(where)
    stage = tmp_path / "images/_stage.json"
    stage.write_bytes(stage.read_bytes().replace(b'"rows": 1', b'"rows": 2'))
    before = names(where)
    leftovers.remove(where, 2**40, lambda: None)
    assert names(where) == before - {"audit/_stage.json"}


def test_a_wave_that_was_killed_is_gone_on_with_and_goes_with_a_takedown(tmp_path: Path) -> None:
    """Else the next refresh would ask again for all that was answered; and what is drawn names images."""
    where = str(tmp_path)
    killed(where)
    wave = {f"refresh/wave=2026-02-01/{name}" for name in (f"drawn-{'0' * 16}.parquet", f"asked-{'0' * 32}.json")}
    for name in (*wave, f"refresh/wave=2026-02-01/{TEMPORARY}"):
        storage.put(storage.join(where, name), b"of a wave")
    with root.writer(where, "pmd build"):
        assert names(where) == KEPT | wave
    leftovers.remove(where, 2**40, lambda: None)
    assert names(where) == KEPT


@pytest.mark.parametrize("call", [2, 3, 4])
def test_who_tries_a_storage_while_another_begins_there_finds_nothing_wrong_with_it(
    call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other removes the file that it is tried with, as one that a killed writer has left."""
    where, swap, asked = f"memory://{uuid.uuid4().hex}", versions.swap, []

    def overtaken(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        asked.append(content)
        if len(asked) == call:
            leftovers.remove_unfinished(where, lambda: None)
        return swap(url, content, seen)

    monkeypatch.setattr(versions, "swap", overtaken)
    versions.probe(where)
    assert len(asked) >= 4
    assert storage.list_files(where) == []


def test_a_writer_that_was_killed_before_it_was_known_as_one_leaves_nothing(tmp_path: Path) -> None:
    where = str(tmp_path)
    with root.writer(where, "pmd build"):
        root.create(where, 3)
    for name in (TEMPORARY, ".tmp-mine"):
        storage.put(storage.join(where, name), b"half")
    with root.writer(where, "pmd build"):
        assert names(where) == {root.ROOT_FILE, ".tmp-mine"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RootError], ids=["a signal", "an error"])
def test_what_a_run_has_left_that_was_cut_short_goes_with_the_next(tmp_path: Path, error: type[BaseException]) -> None:
    """A signal may come between a commit and the removal of what the one before listed: its stage is not run again."""
    where = str(tmp_path)
    with root.writer(where, "pmd build") as held:
        folder = root.images_folder(where)
        commits.claim(folder, held.epoch)
        file = commits.put_content(folder, PART, ".parquet", b"new", 1)
        commits.write(folder, Commit("images", (file,), {"coco": Books()}, "h", {commits.EPOCH: held.epoch}))
    with contextlib.suppress(error), root.writer(where, "pmd build"):
        commits.put_content(folder, PART, ".parquet", b"old", 1)
        raise error("it ends here")
    assert lock.read(where).cut_short
    with root.writer(where, "pmd build"):
        assert names(where) == {"images/_stage.json", f"images/{file.name}"}
    assert not lock.read(where).cut_short


@pytest.mark.parametrize("ended", [False, True], ids=["killed", "cut short"])
def test_what_a_wave_has_asked_for_that_goes_on_stays(tmp_path: Path, ended: bool) -> None:
    """It is committed only when every image has an answer, and hosts would be asked anew."""
    where, wave = str(tmp_path), "refresh/wave=2026-02-01"
    begun = {f"{wave}/drawn-0123456789abcdef.parquet", f"{wave}/asked-{'0' * 32}.json"}
    with root.writer(where, "pmd refresh") as held:
        commits.claim(storage.join(where, wave), held.epoch)
        for name in (*begun, f"{wave}/{TEMPORARY}", f"images/{PART}-0123456789abcdef.parquet"):
            storage.put(storage.join(where, name), b"{}")
    state = dataclasses.replace(lock.read(where), ended=ended, cut_short=ended)
    storage.put(storage.join(where, lock.STATE_FILE), state.to_json())
    with root.writer(where, "pmd build"):
        assert names(where) == begun


def test_a_run_that_ended_has_left_nothing_to_look_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = str(tmp_path)
    killed(where)
    with root.writer(where, "pmd build"):
        pass
    monkeypatch.setattr(leftovers, "remove", pytest.fail)
    with root.writer(where, "pmd build"):
        pass
