"""What makes a commit stale: options and inputs, and of a file's version its bytes, not its time."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from pmd.store import commits, storage
from pmd.store.commits import Commit
from pmd.store.wanted import Wanted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cc3m.tsv"
    path.write_bytes(b"a cat\thttp://a.example/1.jpg\n")
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read whole, in their order."""
    found: list[str] = []
    original = storage.content_digest.__wrapped__

    def digest(url: str, version: str) -> str:
        found.append(url)
        return str(original(url, version))

    monkeypatch.setattr(storage, "content_digest", digest)
    return found


def wanted(file: Path, **options: int) -> Wanted:
    name = "data/cc3m.tsv"
    versions = {name: storage.fingerprint(str(file))}
    return Wanted("curate", "cc3m", str(file.parent / "curate"), options, versions, {name: str(file)})


def commit(item: Wanted, epoch: int = 1) -> None:
    commits.claim(item.folder, epoch)
    run = item.run() | {commits.EPOCH: epoch}
    commits.write(item.folder, Commit(item.stage, (), {}, item.hash, run))


def touch(path: Path) -> None:
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 10**9))


def test_a_format_is_told_as_another_version_and_no_option_of_anybodys(file: Path) -> None:
    commit(wanted(file, spellings=1))
    assert wanted(file, spellings=1, format=2, a=1).why() == "written by another version of pmd; option a is new"
    assert wanted(file, spellings=2).why() == "written by another version of pmd"
    assert wanted(file, spellings=1, located=1).why() == "option located is new"  # with the archives that it is of


def test_of_many_changes_the_first_are_told(file: Path) -> None:
    commit(wanted(file))
    assert (
        wanted(file, a=1, b=2, c=3, d=4).why() == "option a is new; option b is new; option c is new; option d is new"
    )
    assert (wanted(file, a=1, b=2, c=3, d=4, e=5, f=6).why() or "").endswith("; option d is new; and 2 more")


def test_a_sample_is_told_as_it_is_asked_for(file: Path) -> None:
    commit(wanted(file, sample=1000))
    assert wanted(file, sample=1).why() == "option sample was 1/1000, is 1/1"


def test_another_time_of_the_same_bytes_makes_nothing_stale(file: Path, read: list[str]) -> None:
    commit(wanted(file))
    assert wanted(file).why() is None
    assert read == [str(file)]  # for the commit; not to see that nothing has changed
    touch(file)
    assert wanted(file).why() is None
    assert read == [str(file)] * 2


def test_the_new_time_is_remembered_so_that_the_file_is_not_read_again(file: Path, read: list[str]) -> None:
    commit(wanted(file))
    before = commits.require(wanted(file).folder, "")
    touch(file)
    wanted(file).remember(2)
    after = commits.require(wanted(file).folder, "")
    assert (after.epoch, after.hash) == (2, wanted(file).hash)
    assert after.digest() == before.digest()
    assert after.run["digests"] == before.run["digests"]
    read.clear()
    assert wanted(file).why() is None
    wanted(file).remember(3)
    assert read == []
    assert commits.require(wanted(file).folder, "").epoch == 2


def test_other_bytes_of_the_same_size_are_another_file(file: Path) -> None:
    commit(wanted(file))
    file.write_bytes(file.read_bytes().replace(b"cat", b"dog"))
    touch(file)
    assert wanted(file).why() == "input data/cc3m.tsv changed"
    wanted(file).remember(2)
    assert wanted(file).why() == "input data/cc3m.tsv changed"


def test_another_file_with_the_size_and_time_of_the_one_before_is_another_file(file: Path) -> None:
    """As `cp -p`, `rsync --times` and `touch -r` make it."""
    commit(wanted(file))
    other = file.with_name("other.tsv")
    other.write_bytes(file.read_bytes().replace(b"cat", b"dog"))
    shutil.copystat(file, other)
    other.replace(file)
    assert wanted(file).why() == "input data/cc3m.tsv changed"
    assert not wanted(file).remember(2)
    commit(wanted(file), 3)
    assert wanted(file).why() is None


def test_a_file_whose_rights_have_changed_is_read_once_more_and_is_the_same(file: Path, read: list[str]) -> None:
    commit(wanted(file))
    before = commits.require(wanted(file).folder, "")
    file.chmod(0o600)
    read.clear()
    assert wanted(file).remember(2)
    assert read == [str(file)]
    assert commits.require(wanted(file).folder, "").hash == before.hash
    assert wanted(file).why() is None
    assert not wanted(file).remember(3)
    assert read == [str(file)]


def test_a_commit_of_an_earlier_version_knows_no_time_of_change(file: Path, read: list[str]) -> None:
    item = wanted(file)
    commit(item)
    older = commits.require(item.folder, "")
    commits.write(item.folder, dataclasses.replace(older, run={k: v for k, v in older.run.items() if k != "changed"}))
    file.chmod(0o600)
    read.clear()
    assert item.why() is None
    assert read == []


def test_another_size_is_another_file_unread(file: Path, read: list[str]) -> None:
    commit(wanted(file))
    read.clear()
    file.write_bytes(file.read_bytes() * 2)
    assert wanted(file).why() == "input data/cc3m.tsv changed"
    assert read == []


def test_whatever_else_changes_makes_it_stale_though_the_bytes_are_the_same(file: Path) -> None:
    commit(wanted(file, min_words=2))
    touch(file)
    assert wanted(file, min_words=3).why() == "option min_words was 2, is 3; input data/cc3m.tsv changed"
    item = wanted(file, min_words=2)
    more = dataclasses.replace(item, inputs={**item.inputs, "data/more.tsv": "1:1"})
    assert more.why() == "input data/cc3m.tsv changed; input data/more.tsv is new"


def test_an_input_that_has_no_file_here_goes_by_its_version(file: Path) -> None:
    item = dataclasses.replace(wanted(file), files={})
    commit(item)
    assert "digests" not in item.run()
    touch(file)
    assert dataclasses.replace(wanted(file), files={}).why() == "input data/cc3m.tsv changed"
