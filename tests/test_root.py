"""ROOT: its layout, what is chosen once, and its one writer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from pmd import commits, root, storage
from pmd.errors import RootError, VerificationError


def lock_of(folder: Path) -> Path:
    return folder / root.LOCK_FILE


def test_the_layout_is_the_contract() -> None:
    assert root.curate_folder("out", "coco") == "out/curate/source=coco"
    assert root.ledger_folder("out", 3, 12) == "out/fetch/ledger/shard=00003/generation=0012"
    assert root.shards_folder("out", "webdataset") == "out/shards/webdataset"
    assert root.publish_folder("out", "wit") == "out/publish/source=wit"
    assert root.dedupe_folder("gs://bucket/pmd") == "gs://bucket/pmd/dedupe"


def test_a_second_writer_is_refused_and_told_who_and_since_when(tmp_path: Path) -> None:
    with root.writer(str(tmp_path), "pmd build pmd.toml"):
        holder = orjson.loads(lock_of(tmp_path).read_bytes())
        with pytest.raises(RootError) as caught, root.writer(str(tmp_path), "pmd fetch pmd.toml"):
            pytest.fail("two writers")
        assert str(caught.value) == (
            f"{tmp_path}: another writer has it since {holder['since']}: pmd build pmd.toml\n"
            f"  found: process {os.getpid()} on {holder['host']}\n"
            f"  remedy: wait for it; if you know that it is gone, remove {lock_of(tmp_path)}"
        )
        assert orjson.loads(lock_of(tmp_path).read_bytes()) == holder
    assert not lock_of(tmp_path).exists()


def test_a_writer_that_fails_gives_the_root_back(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"), root.writer(str(tmp_path), "pmd build"):
        raise RuntimeError("boom")
    with root.writer(str(tmp_path), "pmd build"):
        assert lock_of(tmp_path).exists()


def test_a_writer_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    code = "import os, sys; from pmd import root\nwith root.writer(sys.argv[1], 'pmd build (killed)'): os._exit(9)\n"
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == 9
    assert orjson.loads(lock_of(tmp_path).read_bytes())["command"] == "pmd build (killed)"
    with root.writer(str(tmp_path), "pmd build (next)"):
        assert orjson.loads(lock_of(tmp_path).read_bytes())["command"] == "pmd build (next)"


@pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="only where a process' start can be read is a reused pid told"
)
def test_a_process_that_has_the_pid_of_a_dead_writer_is_not_taken_for_it(tmp_path: Path) -> None:
    with root.writer(str(tmp_path), "pmd build"):
        holder = orjson.loads(lock_of(tmp_path).read_bytes())
    lock_of(tmp_path).write_bytes(
        orjson.dumps({**holder, "process": "1"})
    )  # this process' pid, started at another time
    with root.writer(str(tmp_path), "pmd build again"):
        assert orjson.loads(lock_of(tmp_path).read_bytes())["command"] == "pmd build again"


def test_a_writer_on_another_machine_is_never_taken_over(tmp_path: Path) -> None:
    lock_of(tmp_path).write_bytes(
        orjson.dumps(
            {
                "host": "elsewhere",
                "pid": 2**22,
                "process": None,
                "since": "2025-01-02T03:04:05+00:00",
                "command": "pmd build",
            }
        )
    )
    with (
        pytest.raises(
            RootError, match=r"since 2025-01-02T03:04:05\+00:00: pmd build\n  found: process 4194304 on elsewhere"
        ),
        root.writer(str(tmp_path), "pmd build"),
    ):
        pytest.fail("taken over")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "x"}'])
def test_a_damaged_lock_is_told_and_not_waited_for(tmp_path: Path, content: bytes) -> None:
    lock_of(tmp_path).write_bytes(content)
    with pytest.raises(RootError) as caught, root.writer(str(tmp_path), "pmd build"):
        pytest.fail("taken over")
    assert str(caught.value) == (
        f"{lock_of(tmp_path)}: not the lock of a writer\n  remedy: if nobody writes here, remove {lock_of(tmp_path)}"
    )


def test_a_root_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    where = str(tmp_path / "file" / "root")
    with pytest.raises(RootError) as caught, root.writer(where, "pmd build"):
        pytest.fail("written")
    assert str(caught.value).startswith(f"{where}: cannot be written\n  found: ")
    assert str(caught.value).endswith("  remedy: choose another root, or mend its permissions")


def test_what_is_chosen_once_stays(tmp_path: Path) -> None:
    assert root.describe(str(tmp_path)) is None
    root.create(str(tmp_path), 5)
    root.create(str(tmp_path), 9)
    assert root.describe(str(tmp_path)) == {"version": 1, "fetch_shard_bits": 5}
    assert root.require(str(tmp_path)) == {"version": 1, "fetch_shard_bits": 5}


def test_a_folder_that_is_no_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(RootError) as caught:
        root.require(str(tmp_path))
    assert str(caught.value) == f"{tmp_path}: no ROOT here\n  expected: root.json\n  remedy: run: pmd build CONFIG"


@pytest.mark.parametrize(
    ("content", "found"),
    [(b'{"version": 2}', "2"), (b"{", "something else"), (b"[]", "something else"), (b"null", "something else")],
)
def test_a_root_of_another_version_is_told(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / root.ROOT_FILE).write_bytes(content)
    with pytest.raises(RootError) as caught:
        root.describe(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}/root.json: not a ROOT that this pmd can read\n"
        '  expected: {"version": 1, …}\n'
        f"  found: {found}\n"
        "  remedy: use the pmd that made it, or another root; if it was damaged, run: pmd repair ROOT"
    )


def test_no_flipped_bit_of_root_json_is_believed(tmp_path: Path) -> None:
    root.create(str(tmp_path), 5)
    path = tmp_path / root.ROOT_FILE
    content = path.read_bytes()
    for at in range(len(content) - 1):  # the last is a line's end
        for bit in range(8):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            with pytest.raises((RootError, VerificationError)):
                root.describe(str(tmp_path))
    path.write_bytes(b'{"version":1,"fetch_shard_bits":5}')  # of an earlier version
    assert root.describe(str(tmp_path)) == {"version": 1, "fetch_shard_bits": 5}


def test_only_committed_sources_are_curated(tmp_path: Path) -> None:
    assert root.curated_sources(str(tmp_path)) == []
    storage.put(f"{root.curate_folder(str(tmp_path), 'wit')}/_stage.json", b"{}")
    storage.put(f"{root.curate_folder(str(tmp_path), 'coco')}/_stage.json", b"{}")
    storage.put(f"{root.curate_folder(str(tmp_path), 'sbu_captions')}/pairs/part", b"")
    assert root.curated_sources(str(tmp_path)) == ["coco", "wit"]


#: In each round two processes meet at a dead writer's lock; a winner stays until both have tried. One is slow: having seen that
#: the writer is dead, it looks 2,000 times whether the other has won before it removes the lock.
_RACER = """
import os, sys
from pathlib import Path
from pmd import root, storage
from pmd.errors import RootError

def meet(folder, word):
    (folder / f"{word}-{sys.argv[2]}").touch()
    while not all((folder / f"{word}-{name}").exists() for name in "ab"):
        pass

def remove(path, now=storage.remove):
    looks = 2000 if sys.argv[2] == "b" and path.endswith("writer.json") else 0
    while looks and not os.path.exists(os.path.join(os.path.dirname(path), "won-a")):
        looks -= 1
    now(path)

storage.remove = remove
for number in range(int(sys.argv[3])):
    folder = Path(sys.argv[1]) / str(number)
    meet(folder, "ready")
    try:
        with root.writer(str(folder), "pmd build"):
            (folder / f"won-{sys.argv[2]}").touch()
            meet(folder, "tried")
    except RootError:
        meet(folder, "tried")
"""
_ROUNDS = 20


def dead_lock() -> bytes:
    return orjson.dumps(
        {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process": "1",  # this pid, of a process that started at another time
            "since": "2025-01-02T03:04:05+00:00",
            "command": "pmd build (killed)",
        }
    )


def test_of_two_processes_that_take_over_a_dead_writers_lock_at_once_one_wins(tmp_path: Path) -> None:
    for number in range(_ROUNDS):
        (tmp_path / str(number)).mkdir()
        lock_of(tmp_path / str(number)).write_bytes(dead_lock())
    racers = [
        subprocess.Popen([sys.executable, "-c", _RACER, str(tmp_path), name, str(_ROUNDS)]) for name in ("a", "b")
    ]
    assert [racer.wait(timeout=60) for racer in racers] == [0, 0]
    for number in range(_ROUNDS):
        assert len(list((tmp_path / str(number)).glob("won-*"))) == 1, number
        assert not list((tmp_path / str(number)).glob("writer.json*"))


def test_one_that_died_while_taking_over_is_taken_over(tmp_path: Path) -> None:
    lock_of(tmp_path).write_bytes(dead_lock())
    Path(f"{lock_of(tmp_path)}.takeover").write_bytes(dead_lock())
    with root.writer(str(tmp_path), "pmd build again"):
        assert orjson.loads(lock_of(tmp_path).read_bytes())["command"] == "pmd build again"
    assert list(tmp_path.iterdir()) == []


def test_the_work_folder_goes_with_its_writer(tmp_path: Path) -> None:
    left = tmp_path / "_work" / "curate-coco" / "run-1.arrows"
    left.parent.mkdir(parents=True)
    left.touch()
    with root.writer(str(tmp_path), "pmd build"):
        assert not left.exists(), "what a killed run left"
        storage.make_folder(root.work_folder(str(tmp_path), "images"))
        storage.remove_tree(root.work_folder(str(tmp_path), "images"))
        assert (tmp_path / "_work").exists()
    assert not (tmp_path / "_work").exists()
    with root.writer(str(tmp_path), "pmd build"):
        left.parent.mkdir(parents=True)
        left.touch()
    assert left.exists(), "not empty: the next writer's first business"


def test_a_folder_of_curated_sources_is_a_root(tmp_path: Path) -> None:
    where = str(tmp_path)
    with pytest.raises(RootError, match="no ROOT here"):
        root.require(where)
    commits.write(root.curate_folder(where, "coco"), commits.Commit("curate", (), {"coco": commits.Books()}, "h", {}))
    assert root.require(where) == {"version": root.VERSION}
    root.create(where, 5)
    assert root.require(where) == {"version": root.VERSION, "fetch_shard_bits": 5}
