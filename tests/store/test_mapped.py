"""Files of a run that a worker far from them maps: copied once, and gone where that fails."""

from __future__ import annotations

import os

import pytest

from pmd.store import mapped, spools, storage


def test_a_copy_that_fails_leaves_nothing_and_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_RANGE_BYTES", 10)
    url = "memory://mapped/run/file.bin"
    with storage.Draft("memory://mapped/run") as draft:
        draft.file.write(bytes(range(25)))
        draft.finish("file.bin")
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
    with open(mapped.path(url, 25), "rb") as file:
        assert file.read() == bytes(range(25))
