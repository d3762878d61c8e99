"""Files that are written here and sent elsewhere: nothing stays when they are sent, nor when a process is killed."""

from __future__ import annotations

import ast
import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from pmd.inspection.diff import join
from pmd.store import exchange, failures, root, spools, storage, versions

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have spools in a folder of the test's."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(spools, "_mine", [])
    return folder


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def folders(folder: Path) -> list[Path]:
    return sorted(folder.glob("pmd-*/pmd-*"))


def test_what_was_sent_is_gone_here(temporary: Path) -> None:
    storage.put("memory://spools/a", b"content")
    with storage.write_whole("memory://spools/b") as file:
        file.write(b"content")
    rows = pa.record_batch({"key": pa.array([b"k" * 32] * 10, pa.binary(32))})
    assert list(exchange.write("memory://spools/work", rows.schema, 4, [rows], "key"))
    assert len(folders(temporary)) == 1
    assert files(temporary) == []


def other(temporary: Path, then: str) -> subprocess.Popen[str]:
    """Start a process that writes a file, says so, and does something."""
    code = f"""
import os, signal, sys, tempfile
tempfile.tempdir = {str(temporary)!r}
from pmd.store import storage
draft = storage.Draft("memory://spools")
draft.file.write(bytes(100_000))
draft.file.flush()
print("here", flush=True)
{then}
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def test_the_next_process_removes_what_a_killed_one_left_and_nothing_of_one_that_lives(temporary: Path) -> None:
    lives, killed = other(temporary, "sys.stdin.read()"), other(temporary, "os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.wait() == -signal.SIGKILL
    assert len(files(temporary)) == 2
    mine = spools.folder()
    assert len(files(temporary)) == 1
    assert mine in map(str, folders(temporary))
    assert spools.folder() == mine
    assert lives.stdin is not None
    lives.stdin.close()
    assert lives.wait() == 0
    assert files(temporary) == []
    assert [str(path) for path in folders(temporary)] == [mine]


def test_a_folder_that_another_user_could_change_is_not_used(temporary: Path) -> None:
    (temporary / f"pmd-{os.getuid()}").symlink_to(temporary.parent)
    assert Path(spools.folder()).parent == temporary


def test_a_root_in_which_a_probe_was_cut_off_is_still_new() -> None:
    url = "memory://spools/cut/root"
    assert versions.swap(f"{url}/{storage.TEMPORARY}{'0' * 32}", b"first", None)
    root.refuse_others_folders(url)
    storage.put(f"{url}/holiday.jpg", b"mine")
    with pytest.raises(root.RootError, match="the folder holds files"):
        root.refuse_others_folders(url)


def test_an_answer_that_was_lost_condemns_no_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client asks again: the first try had been done, and the second is refused."""
    swap = versions.swap
    told: list[bool] = []

    def twice(url: str, content: bytes, seen: versions.Versioned | None, **_: object) -> bool:
        told.append(swap(url, content, seen) and swap(url, content, seen))
        return told[-1]

    monkeypatch.setattr(versions, "swap", twice)
    versions.probe("memory://spools/probed")
    assert told
    assert not any(told)


def test_where_the_temporary_disk_has_no_locks_that_is_told(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary / f"pmd-{os.getuid()}" / "pmd-left").mkdir(parents=True)

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(OSError, match="No locks available") as raised:
        spools.folder()
    told = failures.told(raised.value)
    assert told is not None
    assert told.problem == "the storage gives no locks"


def test_whatever_has_a_name_here_goes_with_the_process_that_has_made_it() -> None:
    """Of one that was killed nobody removed the rest: texts and addresses of two lists that were compared, pictures."""
    named = {"TemporaryDirectory", "NamedTemporaryFile", "mkdtemp", "mkstemp"}
    found: dict[str, list[bool]] = {}
    for path in sorted({*(REPOSITORY / "pmd").rglob("*.py")} - {*(REPOSITORY / "pmd/demo").rglob("*.py")}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("tempfile.") in named:
                place = {word.arg for word in node.keywords}
                found.setdefault(str(path.relative_to(REPOSITORY)), []).append("dir" in place)
    assert {"pmd/inspection/diff/join.py", "pmd/fetch/adoption/img2dataset.py"} <= found.keys()
    assert not [path for path, are_placed in found.items() if not all(are_placed)]


def test_rows_that_are_compared_stand_in_the_folder_of_the_process(temporary: Path) -> None:
    with join.Meeting(10, join.Passed(None)):
        (folder,) = folders(temporary)
        assert [path.parent for path in temporary.rglob("diff-*")] == [folder]
    assert files(temporary) == []
