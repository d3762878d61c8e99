"""Files of a run that workers map: where they stand, or copied once to a worker far from them, and gone where that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pmd.errors import InputError
from pmd.store import mapped, spools, storage


def _written(folder: str, content: bytes) -> str:
    with storage.Draft(folder) as draft:
        draft.file.write(content)
        draft.finish("file.bin")
    return storage.join(folder, "file.bin")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def test_a_copy_that_fails_leaves_nothing_and_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_RANGE_BYTES", 10)
    url = _written("memory://mapped/_work/epoch-1/near", bytes(range(25)))
    before = set(os.listdir(spools.folder()))
    real = storage.read_bytes

    def read(url: str, start: int, stop: int) -> bytes:
        if start == 20:
            raise ConnectionResetError("the storage is gone")
        return real(url, start, stop)

    with monkeypatch.context() as broken:
        broken.setattr(storage, "read_bytes", read)
        with pytest.raises(ConnectionResetError):
            mapped.path(url, 25)
    assert set(os.listdir(spools.folder())) == before
    assert _read(mapped.path(url, 25)) == bytes(range(25))


def test_the_copy_of_another_run_goes_and_that_of_another_root_stays() -> None:
    roots = ("memory://one", "memory://two")
    first = [_written(f"{root}/_work/epoch-1/near", root.encode()) for root in roots]
    copies = [mapped.path(url, 12) for url in first]
    assert [mapped.path(url, 12) for url in first] == copies, "nothing is copied twice"
    assert [_read(copy) for copy in copies] == [b"memory://one", b"memory://two"]
    again = mapped.path(_written("memory://one/_work/epoch-2/near", b"another run!"), 12)
    assert _read(again) == b"another run!"
    assert not os.path.exists(copies[0])
    assert _read(mapped.path(first[1], 12)) == b"memory://two"
    assert mapped.path(first[1], 12) == copies[1]


def test_a_file_of_this_machine_is_mapped_as_it_stands(tmp_path: Path) -> None:
    url = _written(f"{tmp_path}/_work/epoch-1/near", b"some")
    assert mapped.path(url, 4) == url


def test_a_root_that_another_machine_has_on_its_own_disk_is_told(tmp_path: Path) -> None:
    url = f"{tmp_path}/_work/epoch-1/near/hashes.bin"
    with pytest.raises(InputError) as raised:
        mapped.path(url, 25)
    assert str(raised.value) == (
        f"{url}: rows that another worker has written are not there\n"
        "  expected: a ROOT on storage that all workers reach\n"
        "  found: no such file\n"
        "  remedy: name such a ROOT in the configuration"
    )
