"""Names of whole files: given in one step, where the file system has links and where it has none."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import RootError
from pmd.store import naming


def test_a_folder_that_is_not_ours_to_read_need_not_be_synchronised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: str, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    synchronised: list[int] = []
    monkeypatch.setattr(naming, "_synchronise", lambda number, path: synchronised.append(number))
    naming.sync_folder(str(tmp_path))
    assert len(synchronised) == 1
    monkeypatch.setattr(naming.os, "open", refused)
    naming.sync_folder(str(tmp_path))
    assert len(synchronised) == 1


class _Library:
    """The C library of a system, with or without a rename that replaces nothing."""

    def __init__(self, name: str | None, error: int = 0) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._error = error
        if name is not None:
            setattr(self, name, self._rename)

    def _rename(self, *asked: Any) -> int:
        self.asked.append(asked)
        return -1 if self._error else 0


@pytest.mark.parametrize("name", ["renameat2", "renamex_np", None])
def test_where_no_link_can_be_made_a_rename_that_replaces_nothing_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    def no_links(old: str, new: str) -> None:
        raise OSError(errno.EPERM, "no hard links")

    library = _Library(name)
    monkeypatch.setattr(naming.os, "link", no_links)
    monkeypatch.setattr(naming.ctypes, "CDLL", lambda *_, **__: library)
    if name is None:
        with pytest.raises(RootError, match="cannot name a file only where the name is free"):
            naming.named("old", "new", (0, 0))
        return
    assert naming.named("old", "new", (0, 0))
    (asked,) = library.asked
    assert [word for word in asked if isinstance(word, bytes)] == [b"old", b"new"]
    assert asked[-1] == {"renameat2": naming._RENAME_NOREPLACE, "renamex_np": naming._RENAME_EXCL}[str(name)]


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(errno.EEXIST, False), (errno.EINVAL, RootError), (errno.ENOSYS, RootError), (errno.EIO, OSError)],
)
def test_what_such_a_rename_answers_is_told(
    monkeypatch: pytest.MonkeyPatch, number: int, outcome: bool | type[Exception]
) -> None:
    def no_links(old: str, new: str) -> None:
        raise OSError(errno.EMLINK, "no hard links")

    monkeypatch.setattr(naming.os, "link", no_links)
    monkeypatch.setattr(naming.ctypes, "CDLL", lambda *_, **__: _Library("renameat2", number))
    monkeypatch.setattr(naming.ctypes, "get_errno", lambda: number)
    if isinstance(outcome, bool):
        assert naming.named("old", "new", (0, 0)) is outcome
        return
    with pytest.raises(outcome) as told:
        naming.named("old", "new", (0, 0))
    assert os.strerror(number) in str(told.value)
    assert "new" in str(told.value)


def test_a_link_that_fails_for_another_reason_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(old: str, new: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(naming.os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        naming.named("old", "new", (0, 0))
