"""Storage that fails now and then: what may be tried again is, what may not is made anew, and nothing is tried for ever."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pmd.errors import RootError, VerificationError
from pmd.fetch.generations.tar import StoreTar
from pmd.fetch.ledger import stored
from pmd.store import exchange, naming, patience, sealed, storage, versions
from tests.store.failing_storage import PASSING, FailingStorage

MOUNTS = ("ETIMEDOUT", "ESTALE")
CONTENT = random.Random(0).randbytes(3 * 2**20 + 17)
PIECES = [CONTENT[start : start + 100_003] for start in range(0, len(CONTENT), 100_003)]


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FailingStorage:
    monkeypatch.setattr(patience, "_failed_at", float("-inf"))
    return FailingStorage(tmp_path, monkeypatch)


def write(folder: Path) -> None:
    with storage.write_whole(f"{folder}/file") as file:
        for piece in PIECES:
            file.write(piece)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Writing


@pytest.mark.parametrize("name", PASSING)
def test_a_write_in_a_stream_is_made_again_in_its_place(tmp_path: Path, failing: FailingStorage, name: str) -> None:
    failing.fail("write", name, 0, 1, 2, 5, 7, 8)
    write(tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert names(tmp_path) == ["file"]
    assert failing.pauses == [0.05, 0.2, 1.0, 0.05, 0.05, 0.2]


def test_a_write_that_failed_half_way_is_made_again_whole(tmp_path: Path, failing: FailingStorage) -> None:
    failing.fail("write", "EIO", 0, 3, 4)
    failing.write_half()
    write(tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_pieces_are_written_whole_though_a_write_fails_or_takes_a_part(tmp_path: Path, failing: FailingStorage) -> None:
    failing.fail("write", "EIO", 0, 3, 4)
    with storage.Draft(str(tmp_path)) as draft:
        draft.file.write(b"first ")
        draft.writelines([memoryview(piece) for piece in PIECES])
        draft.writelines([b"", b"last"])
        draft.finish("file")
    expected = b"first " + CONTENT + b"last"
    assert (tmp_path / "file").read_bytes() == expected
    assert (draft.bytes, draft.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert max(failing.sizes) == len(CONTENT)  # as they are given, not joined or one by one


def test_more_pieces_than_a_system_takes_at_once_are_written(tmp_path: Path) -> None:
    with storage.Draft(str(tmp_path)) as draft:
        draft.writelines([b"ab"] * 3000)
        draft.finish("file")
    assert (tmp_path / "file").read_bytes() == b"ab" * 3000


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EROFS", "EFBIG"])
def test_a_write_that_was_refused_is_not_made_again(tmp_path: Path, failing: FailingStorage, name: str) -> None:
    failing.fail("write", name)
    with pytest.raises(OSError) as caught:
        write(tmp_path)
    assert (caught.value.errno, caught.value.filename) == (getattr(errno, name), str(tmp_path))
    assert (failing.calls["write"], failing.pauses, names(tmp_path)) == (1, [], [])


def test_a_write_that_fails_for_good_ends_with_its_place(tmp_path: Path, failing: FailingStorage) -> None:
    failing.fail("write", "EIO")
    with pytest.raises(OSError) as caught:
        write(tmp_path)
    assert str(caught.value) == f"[Errno 5] Input/output error: '{tmp_path}'"
    assert (failing.calls["write"], names(tmp_path)) == (4, [])


def test_a_process_waits_no_more_once_storage_has_failed_for_good(tmp_path: Path, failing: FailingStorage) -> None:
    failing.fail("write", "EIO")
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            storage.put(f"{tmp_path}/file", b"content")
    assert failing.pauses == [0.05, 0.2, 1.0]


def test_a_failed_write_of_what_only_a_run_needs_is_synchronised(tmp_path: Path, failing: FailingStorage) -> None:
    with storage.write_whole(f"{tmp_path}/sound", durable=False) as file:
        file.write(CONTENT)
    assert failing.calls["fsync"] == 0
    failing.fail("write", "EIO", 0)
    with storage.write_whole(f"{tmp_path}/file", durable=False) as file:
        file.write(CONTENT)
    assert failing.calls["fsync"] == 1


@pytest.mark.parametrize("name", MOUNTS)
def test_a_stream_that_could_not_be_synchronised_is_written_anew(
    tmp_path: Path, failing: FailingStorage, name: str
) -> None:
    failing.fail("fsync", name, 0, 1)
    failing.sizes.clear()
    write(tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert (failing.calls["fsync"], names(tmp_path)) == (3, ["file"])
    assert max(failing.sizes) <= 2**20  # of a stream of any length


def test_what_a_failed_synchronisation_has_lost_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronise = os.fsync

    def lose(number: int) -> None:
        os.pwrite(number, bytes(100), 2**20)
        monkeypatch.setattr(os, "fsync", synchronise)
        raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(os, "fsync", lose)
    with pytest.raises(RootError) as caught:
        write(tmp_path)
    assert (caught.value.problem, caught.value.where) == ("the storage has lost what was written", str(tmp_path))
    assert "run the same command again" in str(caught.value)
    assert names(tmp_path) == []


def test_bytes_in_memory_are_written_anew_whatever_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronise = os.fsync

    def lose(number: int) -> None:
        os.ftruncate(number, 0)
        monkeypatch.setattr(os, "fsync", synchronise)
        raise OSError(errno.EIO, "lost")

    for put in (storage.put, storage.put_if_absent, lambda url, content: versions.swap(url, content, None)):
        monkeypatch.setattr(os, "fsync", lose)
        path = tmp_path / str(len(names(tmp_path)))
        put(str(path), CONTENT)
        assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["0", "1", "2"]


def test_a_folder_is_synchronised_again(tmp_path: Path, failing: FailingStorage) -> None:
    storage.put(f"{tmp_path}/file", b"")
    failing.fail("fsync", "EIO", 0, 1)
    storage.sync_folders([f"{tmp_path}/file"])
    assert failing.pauses == [0.05, 0.2]


# Answers that are lost


def test_a_name_that_was_given_though_the_answer_was_lost_is_won(tmp_path: Path, failing: FailingStorage) -> None:
    failing.lose_answers("link")
    failing.fail("link", "EIO", 0)
    assert storage.put_if_absent(f"{tmp_path}/lock", b"first")
    failing.fail("link", "EIO", 0)
    assert not storage.put_if_absent(f"{tmp_path}/lock", b"second")
    assert (tmp_path / "lock").read_bytes() == b"first"
    assert names(tmp_path) == ["lock"]


def test_a_name_that_was_given_by_renaming_is_won(
    tmp_path: Path, failing: FailingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.fail("link", "EPERM")  # no hard links
    rename, tries = naming._rename_if_absent, []

    def lose(old: str, new: str) -> int:
        tries.append(rename(old, new))
        return errno.EIO if len(tries) == 1 else tries[-1]

    monkeypatch.setattr(naming, "_rename_if_absent", lose)
    assert storage.put_if_absent(f"{tmp_path}/lock", b"first")
    assert not storage.put_if_absent(f"{tmp_path}/lock", b"second")
    assert tries[0] == 0


def test_a_file_that_was_replaced_though_the_answer_was_lost_is_in_place(
    tmp_path: Path, failing: FailingStorage
) -> None:
    failing.lose_answers("replace")
    for numbers in ((0,), (0, 1, 2)):
        failing.fail("replace", "ETIMEDOUT", *numbers)
        write(tmp_path)
        assert (tmp_path / "file").read_bytes() == CONTENT
    failing.fail("replace", "ETIMEDOUT", 0)
    assert versions.swap(f"{tmp_path}/other", b"new", None)
    assert names(tmp_path) == ["file", "other"]


def test_a_file_that_another_removed_is_not_taken_for_renamed(tmp_path: Path, failing: FailingStorage) -> None:
    storage.put(f"{tmp_path}/file", b"old")
    with storage.Draft(str(tmp_path)) as draft:
        draft.file.write(b"new")
        draft.close()
        (temporary,) = tmp_path.glob(f"{storage.TEMPORARY}*")
        temporary.unlink()
        with pytest.raises(FileNotFoundError):
            draft.finish("file")
    assert (tmp_path / "file").read_bytes() == b"old"


# Reading


@pytest.mark.parametrize("name", PASSING)
def test_a_read_in_a_stream_is_made_again_in_its_place(tmp_path: Path, failing: FailingStorage, name: str) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    with storage.open_raw(f"{tmp_path}/file") as file:
        failing.fail("read", name, 0, 1, 4)
        found = [file.read(100_003) for _ in PIECES]
    assert found == PIECES
    with storage.open_raw(f"{tmp_path}/file") as file:
        failing.fail("read", name, 0, 2)
        assert (file.seek(5), file.read()) == (5, CONTENT[5:])


def test_a_stale_file_is_opened_again(tmp_path: Path, failing: FailingStorage) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    with storage.open_raw(f"{tmp_path}/file") as file:
        before = file.read(2**20)
        opened = failing.calls["open"]
        failing.fail("read", "ESTALE", 0)
        assert before + file.read() == CONTENT
    assert failing.calls["open"] == opened + 1


def test_a_stale_file_is_not_read_on_in_another_of_its_name(tmp_path: Path, failing: FailingStorage) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    with storage.open_raw(f"{tmp_path}/file") as file:
        file.read(2**20)
        storage.put(f"{tmp_path}/file", CONTENT[::-1])
        failing.fail("read", "ESTALE")
        with pytest.raises(OSError, match="Stale file handle") as caught:
            file.read(2**20)
    assert caught.value.filename == f"{tmp_path}/file"


@pytest.mark.parametrize("pattern", ["*.tsv", "in/*.tsv", "*/a.tsv", "**/*.tsv"])
def test_files_are_not_taken_for_absent_where_a_folder_cannot_be_listed(
    tmp_path: Path, failing: FailingStorage, pattern: str
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.tsv", "in/a.tsv", "in/b.tsv"):
        (tmp_path / name).touch()
    wanted = storage.glob(f"{tmp_path}/{pattern}")
    assert wanted
    lists = failing.calls["scandir"]
    storage.glob(f"{tmp_path}/{pattern}")
    lists = failing.calls["scandir"] - lists
    for number in range(lists):
        failing.fail("scandir", "EIO", number)
        assert storage.glob(f"{tmp_path}/{pattern}") == wanted
    failing.fail("scandir", "EIO")
    with pytest.raises(OSError, match="Input/output"):
        storage.glob(f"{tmp_path}/{pattern}")


@pytest.mark.parametrize("name", ["EIO", "ESTALE"])
def test_a_folder_of_a_failing_disk_has_no_other_fingerprint(
    tmp_path: Path, failing: FailingStorage, name: str
) -> None:
    for number in range(3):
        storage.put(f"{tmp_path}/{number}/file", b"")
    wanted = storage.fingerprint(str(tmp_path))
    for number in range(4):
        failing.fail("scandir", name, number)
        assert storage.fingerprint(str(tmp_path)) == wanted


def test_a_folder_that_is_there_is_made_though_nobody_can_look(tmp_path: Path, failing: FailingStorage) -> None:
    storage.make_folder(f"{tmp_path}/one")
    failing.fail("stat", "EIO", 0, 1)
    storage.make_folder(f"{tmp_path}/one")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        storage.make_folder(f"{tmp_path}/file")


def test_a_tree_is_removed_though_some_of_it_fails_or_goes_meanwhile(tmp_path: Path, failing: FailingStorage) -> None:
    for number in range(5):
        storage.put(f"{tmp_path}/tree/{number}/file", b"")
    failing.fail("scandir", "EIO", 0, 3)
    storage.remove_tree(f"{tmp_path}/tree")
    assert names(tmp_path) == []


# A store's client


class Busy:
    """A store that is busy for some calls, and what its client says of that."""

    def __init__(self, times: int, said: str) -> None:
        self.left, self.said = times, said

    def __call__(self) -> str:
        if not self.left:
            return "content"
        self.left -= 1
        raise OSError(errno.EBUSY, "Please reduce your request rate.") from RuntimeError(self.said)


@pytest.mark.parametrize("code", ["SlowDown", "ServiceUnavailable", "503", "InternalError", "500"])
def test_a_busy_store_is_waited_for_where_its_client_asks_no_more(failing: FailingStorage, code: str) -> None:
    """Botocore asks again only as long as enough of what it has asked before was answered."""
    assert (
        patience.patiently(Busy(3, f"An error occurred ({code}) when calling the PutObject operation: x")) == "content"
    )
    assert failing.pauses == [1.0, 2.0, 4.0]


def test_a_busy_store_is_not_waited_for_again_where_its_client_has_waited(failing: FailingStorage) -> None:
    said = "An error occurred (SlowDown) when calling the PutObject operation (reached max retries: 6): x"
    with pytest.raises(OSError, match="reduce"):
        patience.patiently(Busy(1, said))
    assert failing.pauses == []


# What is built on it


def test_rows_that_cross_between_workers_survive_writes_and_reads_that_fail(
    tmp_path: Path, failing: FailingStorage
) -> None:
    schema = pa.schema([pa.field("key", pa.binary(16), nullable=False), pa.field("text", pa.string())])
    chance = random.Random(1)
    rows = [{"key": chance.randbytes(16), "text": chance.randbytes(40).hex()} for _ in range(20_000)]
    batches = [
        pa.RecordBatch.from_pylist(rows[start : start + 1000], schema=schema) for start in range(0, 20_000, 1000)
    ]
    failing.fail("write", "EIO", *range(0, 100, 2))
    references = list(exchange.write(str(tmp_path), schema, 3, batches, "key"))
    written = failing.calls["write"]
    failing.fail("read", "ESTALE", *range(0, 200, 3))
    found = [
        row
        for _, each in exchange.by_partition(references)
        for row in exchange.read(str(tmp_path), [each], schema).to_pylist()
    ]
    assert sorted(map(repr, found)) == sorted(map(repr, rows))
    assert written > 1
    assert len(failing.pauses) > written // 2  # the faults were met


def test_a_store_file_is_the_same_though_writes_and_a_synchronisation_fail(
    tmp_path: Path, failing: FailingStorage
) -> None:
    def stored_in(folder: Path) -> tuple[str, list[int]]:
        with StoreTar(str(folder)) as tar:
            offsets = [tar.add(f"{number:032x}.jpg", piece) for number, piece in enumerate(PIECES)]
            file = tar.finish()
        assert file is not None
        assert (folder / file.name).stat().st_size == file.bytes
        return file.sha256, offsets

    undisturbed = stored_in(tmp_path / "one")
    failing.fail("write", "EIO", 0, 2, 3)
    failing.fail("fsync", "EIO", 0)
    assert stored_in(tmp_path / "other") == undisturbed
    (one,), (other,) = (list((tmp_path / name).iterdir()) for name in ("one", "other"))
    assert (one.name, one.read_bytes()) == (other.name, other.read_bytes())


def test_storage_that_is_away_is_not_taken_for_damage(tmp_path: Path, failing: FailingStorage) -> None:
    (tmp_path / "tar").write_bytes(b"0123456789")
    row = {"image_id": bytes(16), "store_file": "tar", "offset": 2, "length": 3, "stored_form": "", "sha256": None}
    assert stored.read(str(tmp_path), row) == b"234"
    failing.fail("read", "ETIMEDOUT")
    with pytest.raises(TimeoutError):
        stored.read(str(tmp_path), row)
    with pytest.raises(TimeoutError):
        sealed.measured(f"{tmp_path}/tar")
    failing.fail("read", "EIO")  # a sector that cannot be read is lost
    with pytest.raises(VerificationError, match="a stored picture cannot be read"):
        stored.read(str(tmp_path), row)
    assert sealed.measured(f"{tmp_path}/tar") is None


# Object stores


class ClientPayloadError(Exception):
    """As a client calls an answer that broke off."""


def counted(*errors: Exception) -> tuple[list[int], Any]:
    """Return a call that raises these, and then gives 1; and its tries."""
    tries: list[int] = []

    def call() -> int:
        tries.append(1)
        if len(tries) <= len(errors):
            raise errors[len(tries) - 1]
        return 1

    return tries, call


def answer(number: int, words: str) -> OSError:
    """Return what s3fs makes of an answer."""
    error = OSError(number, os.strerror(number))
    error.__cause__ = Exception(f"An error occurred {words}")
    return error


def test_a_store_that_is_too_busy_is_waited_for_longer(failing: FailingStorage) -> None:
    tries, call = counted(*[answer(errno.EIO, "(429) when calling GetObject: Too Many Requests")] * 5)
    assert patience.patiently(call) == 1
    assert failing.pauses == [1.0, 2.0, 4.0, 8.0, 15.0]
    assert len(tries) == 6


def test_what_a_client_has_waited_for_is_not_waited_for_again(failing: FailingStorage) -> None:
    """Four times half a minute: s3fs gives what is left of its own tries the numbers of failing disks."""
    tries, call = counted(answer(errno.EREMOTEIO, "(InternalError) when calling GetObject (reached max retries: 7)"))
    with pytest.raises(OSError, match="Remote I/O"):
        patience.patiently(call)
    assert len(tries) == 1
    tries, call = counted(OSError(errno.EREMOTEIO, "of a disk"))
    assert patience.patiently(call) == 1
    assert failing.pauses == [0.05]


def test_an_answer_that_breaks_off_is_asked_for_again(failing: FailingStorage) -> None:
    tries, call = counted(ClientPayloadError("half"), ClientPayloadError("half"))
    assert patience.wholly(call) == 1
    assert failing.pauses == [0.05, 0.2]
    tries, call = counted(*[ClientPayloadError("half")] * 9)
    with pytest.raises(ClientPayloadError):
        patience.wholly(call)
    assert len(tries) == 4
    tries, call = counted(ClientPayloadError("half"))
    with pytest.raises(ClientPayloadError):  # other clients ask again by themselves
        patience.patiently(call)
    assert len(tries) == 1
