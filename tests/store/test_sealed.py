"""Committed files are checked whole before a row of them is used, once a process."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest

from pmd.errors import RootError, VerificationError
from pmd.store import commits, parquet_files, sealed, storage

TABLE = pa.table({"text": ["a caption", "another"], "n": [1, 2]})


@pytest.fixture
def file(tmp_path: Path) -> commits.File:
    return parquet_files.put_table(str(tmp_path), "pairs/part-00000-of-00001", TABLE)


def test_only_a_name_that_promises_a_digest_is_held_to_it() -> None:
    assert sealed.digest_of("out/views/pairs/part-00000-of-00001-0123456789abcdef.parquet") == "0123456789abcdef"
    assert sealed.digest_of("00000-of-00001-01234567.parquet") is None
    assert sealed.digest_of("scores-0123456789abcdef.parquet.bak") is None
    assert sealed.digest_of("audit.json") is None
    assert sealed.digest_of("train-nourl-part-00000-of-00001-0123456789abcdef.parquet") == "0123456789abcdef"
    assert sealed.digest_of("attempts/shard=00000/generation=0000-0123456789abcdef.parquet") == "0123456789abcdef"


def test_the_digits_in_names_of_datasets_promise_no_digest() -> None:
    """`push_to_hub` called tables so until 2023, and the Hub still has them: huggingface/datasets#6303."""
    assert sealed.digest_of("data/train-00000-of-00001-a09b74b3ef9c3b56.parquet") is None
    assert (
        sealed.unsealed("train-00000-of-00001-a09b74b3ef9c3b56.parquet")
        == "train-00000-of-00001-a09b74b3ef9c3b56.parquet"
    )


def test_no_flipped_byte_of_a_committed_file_is_read(tmp_path: Path, file: commits.File) -> None:
    """Data, page headers and the footer alike."""
    path = tmp_path / file.name
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        sealed.forget()
        with pytest.raises(VerificationError):
            parquet_files.read_table(str(tmp_path), file)
        with pytest.raises(VerificationError):
            next(parquet_files.iterate(str(path)))
    path.write_bytes(content)
    assert parquet_files.read_table(str(tmp_path), file).equals(TABLE)


@pytest.mark.parametrize("prefix", ["part-00000-of-00001", "pairs/part-00000-of-00001"])
def test_what_a_writer_has_replaced_is_no_damage(tmp_path: Path, prefix: str) -> None:
    """A reader has read a commit; before it opens the file, a run commits another one and sweeps."""
    folder = str(tmp_path)
    old, new = (parquet_files.put_table(folder, prefix, rows) for rows in (TABLE, TABLE.slice(1)))
    commits.write(folder, commits.Commit("curate", (new,), {}, "hash", {}))
    commits.sweep(folder)
    (tmp_path / old.name).unlink(missing_ok=True)
    with pytest.raises(RootError, match="a run has committed other files in its place") as caught:
        parquet_files.read_table(folder, old)
    assert caught.value.remedy == "run the same command again; pmd status ROOT tells whether somebody writes"
    (tmp_path / new.name).unlink()
    with pytest.raises(VerificationError, match="a committed file is gone"):
        parquet_files.read_table(folder, new)


def test_the_error_says_which_file_and_what_to_do(tmp_path: Path, file: commits.File) -> None:
    path = tmp_path / file.name
    path.write_bytes(path.read_bytes()[:-1])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(VerificationError) as caught:
        parquet_files.read_table(str(tmp_path), file)
    assert caught.value.exit_code == 5
    assert str(caught.value) == (
        f"{path}: a committed file has other bytes than were written\n"
        f"  expected: sha256 {file.sha256[:16]}…\n"
        f"  found: sha256 {digest[:16]}…, {file.bytes - 1} bytes\n"
        "  remedy: run: pmd repair ROOT"
    )
    path.unlink()
    with pytest.raises(VerificationError, match="a committed file is gone"):
        parquet_files.read_table(str(tmp_path), file)


def test_a_file_is_read_through_once_until_it_changes(
    tmp_path: Path, file: commits.File, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []
    digest = hashlib.file_digest

    def counted(opened: Any, name: Any) -> Any:
        digests.append(opened.name)
        return digest(opened, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    path = str(tmp_path / file.name)
    for _ in range(3):
        assert parquet_files.read_table(str(tmp_path), file, ["n"]).num_rows == 2
        assert sum(batch.num_rows for batch in parquet_files.iterate(path)) == 2
    assert digests == [path]
    (tmp_path / "other").write_bytes(Path(path).read_bytes()[:-1] + b"?")
    (tmp_path / "other").replace(path)
    with pytest.raises(VerificationError):
        parquet_files.read_table(str(tmp_path), file)
    assert digests == [path, path]


def test_a_remote_file_is_fetched_once_and_held_to_its_digest(tmp_path: Path) -> None:
    folder = "memory://sealed"
    file = parquet_files.put_table(folder, "part", TABLE)
    path = storage.join(folder, file.name)
    assert parquet_files.read_table(folder, file).equals(TABLE)
    assert parquet_files.read_table(folder, file, ["n"]).num_rows == 2
    content = storage.read_bytes(path)
    storage.put(path, content[:9] + bytes([content[9] ^ 1]) + content[10:])
    with pytest.raises(VerificationError, match="other bytes"):
        parquet_files.read_table(folder, file)
    storage.remove(path)
    with pytest.raises(VerificationError, match="gone"):
        parquet_files.read_table(folder, file)
    fsspec.filesystem("memory").rm("/sealed", recursive=True)
